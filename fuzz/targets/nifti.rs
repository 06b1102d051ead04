//! NIfTI files, packed or not: what is read is written and read again as the same volume.
#![no_main]

use hilum_dicom::{Limits, nifti};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits { max_voxels: 1 << 24, ..Limits::default() };
    let _ = nifti::read_values(data, &limits);
    let _ = nifti::read_labels(data, &limits);
    if let Ok(volume) = nifti::read_hu(data, &limits) {
        let mut written = Vec::new();
        if nifti::write_volume(&volume, &mut written, nifti::Compression::None).is_ok() {
            let again = nifti::read_hu(&written[..], &limits).expect("what we write can be read");
            assert_eq!(again.data(), volume.data());
        }
    }
});
