//! Data sets of pictures (PNG, JPEG) to train on. The first byte chooses the layout: COVID-SemiSeg, COVID-19-CT-Seg with its
//! table of slices, or pairs of pictures, of which there are two files.
#![no_main]

use std::path::Path;

use hilum_dicom::Limits;
use hilum_train::{Layout, Reading, read};
use libfuzzer_sys::fuzz_target;

const TABLE: &[u8] = b"slice,volume,patient_group\n0001,v,p\n";

fuzz_target!(|data: &[u8]| {
    let Some((layout, rest)) = data.split_first() else { return };
    let (layout, places) = match layout % 3 {
        0 => (Layout::CovidSemiSeg, &["Imgs/1.jpg", "GT_lesion/1.png", "GT_multiclass/1.png"][..]),
        1 => (Layout::Covid19CtSeg, &["ct/0001.png", "lungs/0001.png", "covid/0001.png"][..]),
        _ => (Layout::PngPairs, &["images/p_1.png", "masks/p_1.png"][..]),
    };
    let files = hilum_fuzz::files(rest);
    if files.len() != places.len() {
        return;
    }
    // Each process of the fuzzer has a folder of its own, in memory where the system has one there.
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = base.join(format!("hilum-fuzz-pictures-{}", std::process::id()));
    for (place, file) in places.iter().zip(&files) {
        let path = folder.join(place);
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
        std::fs::write(path, file).expect("a file");
    }
    std::fs::write(folder.join("volumes.csv"), TABLE).expect("a file");
    if let Ok(slices) = read(layout, &folder, &Reading::default(), &Limits::default()) {
        for slice in slices {
            assert_eq!(slice.image.len(), slice.width * slice.height);
            assert_eq!(slice.labels.len(), slice.image.len());
        }
    }
});
