//! DICOM files, several of them in one input, through scan and load: no panic, no other result the second time.
#![no_main]

use hilum_dicom::{Limits, Source, load, scan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    hilum_fuzz::let_caught_panics_pass();
    let source = Source::Memory(hilum_fuzz::named_files(data));
    let Ok(scan) = scan(&source, &Limits::default()) else { return };
    for summary in scan.series().iter().take(3) {
        let first = load(&scan, &summary.series_uid, &|_| ());
        if let Ok(series) = &first {
            assert_eq!(series.volume.data().len(), series.volume.shape().iter().product::<usize>());
        }
        assert_eq!(first, load(&scan, &summary.series_uid, &|_| ()), "two results from the same bytes");
    }
});
