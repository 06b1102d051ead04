//! ZIP archives as a source.
#![no_main]

use std::sync::Arc;

use hilum_dicom::{Limits, Source, load, scan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    hilum_fuzz::let_caught_panics_pass();
    let source = Source::Memory(vec![("input".into(), Arc::from(data))]);
    if let Ok(scan) = scan(&source, &Limits::default()) {
        let _ = load(&scan, &scan.series()[0].series_uid, &|_| ());
    }
});
