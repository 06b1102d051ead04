//! Every transfer syntax against the fixtures of `tests/data/syntax/make.py`, encoded by pydicom, CharLS, OpenJPEG and
//! GDCM.

use std::path::PathBuf;
use std::sync::Arc;

use hilum_dicom::Source;
use hilum_volume::PatientPoint;

use crate::support::{codes, loaded_from};

/// `stored` of make.py.
fn stored(slice: usize, row: usize, column: usize, bits: u32, signed: bool) -> i32 {
    let noise = (row * 37 + column * 101 + slice * 211 + row * column * 7) as u64 * 2_654_435_761 % (1 << 32);
    let value = if row % 4 == 3 { (1 << (bits - 1)) - 5 + slice as i32 } else { (noise >> (32 - bits)) as i32 };
    if signed { value - (1 << (bits - 1)) } else { value }
}

#[test]
fn every_syntax_gives_the_pixels_that_were_packed() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/syntax");
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|e| e == "zip"));
    names.sort();
    assert_eq!(names.len(), 34, "a fixture is missing");
    for path in names {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (bits, signed) = match name.rsplit('-').next().unwrap() {
            "u12" => (12, false),
            "s16" => (16, true),
            _ => (16, false),
        };
        // The point transform of one fixture drops two bits.
        let lost = if name.contains("shift2") { 3 } else { 0 };
        let in_memory = Source::Memory(vec![("fixture".into(), Arc::from(std::fs::read(&path).unwrap()))]);
        for source in [Source::Path(path.clone()), in_memory] {
            let series = loaded_from(&source).unwrap_or_else(|e| panic!("{name}: {e}"));
            // GDCM adds a Rescale Type of "unspecified" to what it packs.
            let notes: &[&str] =
                if name.contains("jpeg-sv1") && !name.contains("long") { &["unstated-units"] } else { &[] };
            assert_eq!(codes(&series), notes, "{name}");
            let geometry = series.volume.geometry();
            assert_eq!(geometry.origin(), PatientPoint([-10.0, -20.0, 30.0]), "{name}");
            assert_eq!(geometry.spacing_mm(), [2.0, 0.7, 0.6], "{name}");
            let [slices, rows, columns] = series.volume.shape();
            let size = if name.contains("2000") { [3, 32, 36] } else { [3, 12, 16] };
            assert_eq!([slices, rows, columns], size, "{name}");
            for (slice, row, column) in
                (0..slices).flat_map(|s| (0..rows).flat_map(move |r| (0..columns).map(move |c| (s, r, c))))
            {
                let value = stored(slice, row, column, bits, signed) & !lost;
                let hu = if signed { value } else { (value - 1024).min(32767) };
                assert_eq!(i32::from(series.volume[[slice, row, column]]), hu, "{name} [{slice}, {row}, {column}]");
            }
        }
    }
}

#[test]
fn enhanced_ct_names_its_frames_and_reads_shared_groups() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/syntax/enhanced-u12.zip");
    let series = loaded_from(&Source::Path(path)).unwrap();
    let frames: Vec<_> = series.instances.iter().map(|i| (i.slice_index, i.frame)).collect();
    assert_eq!(frames, [(0, Some(3)), (1, Some(1)), (2, Some(2))], "frames lie in another order than in space");
    assert_eq!(series.summary.convolution_kernel, "B40f");
    assert_eq!(series.summary.slice_thickness_mm, Some(2.0));
    assert_eq!(series.summary.images, 3);
}
