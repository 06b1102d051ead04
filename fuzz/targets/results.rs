//! Segmentations and measurement reports of others.
#![no_main]

use hilum_dicom::{Limits, ReportDocument, SegmentationImage};
use hilum_volume::{Geometry, PatientPoint};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    hilum_fuzz::let_caught_panics_pass();
    let limits = Limits::default();
    if let Ok(image) = SegmentationImage::read(data, &limits) {
        let grid = Geometry::axial([6, 7, 10], PatientPoint([-10.0, -20.0, 30.0]), [2.5, 0.8, 0.7]).unwrap();
        for segment in image.segments.iter().take(3) {
            let _ = image.mask(segment.number, &grid);
            let _ = image.fractions(segment.number, &grid);
        }
    }
    let _ = ReportDocument::read(data, &limits);
});
