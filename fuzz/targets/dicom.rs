//! DICOM files, several of them in one input, through scan and load: no panic, no other result the second time.
#![no_main]

use std::sync::Arc;

use hilum_dicom::{Limits, Source, load, scan};
use libfuzzer_sys::fuzz_target;

/// Stands between the files of one input; the seeds are series of three.
const CUT: &[u8] = b"HILUMCUT";

fn files(data: &[u8]) -> Vec<(String, Arc<[u8]>)> {
    let mut files = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(CUT.len()).position(|w| w == CUT) {
        files.push(&rest[..at]);
        rest = &rest[at + CUT.len()..];
    }
    files.push(rest);
    files.into_iter().enumerate().map(|(n, file)| (n.to_string(), Arc::from(file))).collect()
}

fuzz_target!(|data: &[u8]| {
    let source = Source::Memory(files(data));
    let Ok(scan) = scan(&source, &Limits::default()) else { return };
    for summary in scan.series().iter().take(3) {
        let first = load(&scan, &summary.series_uid, &|_| ());
        if let Ok(series) = &first {
            assert_eq!(series.volume.data().len(), series.volume.shape().iter().product::<usize>());
        }
        assert_eq!(first, load(&scan, &summary.series_uid, &|_| ()), "two results from the same bytes");
    }
});
