//! Splits, augmentation, and the real data sets where they are at hand.

use std::path::{Path, PathBuf};

use hilum_dicom::{
    Algorithm, CtSeriesDescription, Device, LabelSet, Limits, Moment, Origin, ResultContext, Segment,
    SegmentationTitle, Source, binary_segmentation, codes, load,
    nifti::{self, Compression},
    scan, write_ct_series,
};
use hilum_train::{Augmentation, Layout, Reading, Side, Slice, Split, TrainConfig, TrainError, example, read};
use hilum_volume::{Geometry, LabelMap, PatientPoint, Volume};

use crate::synthetic;

fn split(train: &[&str], hold_out: &[&str]) -> Split {
    let own = |list: &[&str]| list.iter().map(|name| (*name).to_string()).collect();
    let same_patient = [("scan7".to_string(), "r40".to_string())].into();
    Split { train: own(train), hold_out: own(hold_out), same_patient, ..Split::default() }
}

#[test]
fn a_patient_on_both_sides_is_refused() {
    for (train, hold_out) in
        [(["c1", "c2"], ["c2", "c3"]), (["c1", "scan7"], ["r40", "c3"]), (["c*", "x"], ["c3", "y"])]
    {
        assert!(matches!(split(&train, &hold_out).check(), Err(TrainError::Leakage(_))), "{train:?} {hold_out:?}");
    }
    let good = split(&["c1", "semiseg-*"], &["r40"]);
    good.check().unwrap();
    assert_eq!(good.side("semiseg-12").unwrap(), Side::Train);
    assert_eq!(good.side("scan7").unwrap(), Side::HoldOut);
    assert!(matches!(good.side("c9"), Err(TrainError::Unassigned(_))));
}

#[test]
fn a_configuration_with_leakage_or_a_wrong_size_is_refused() {
    let text = include_str!("../../../../models/pneumonia-ct/train.toml");
    TrainConfig::from_toml(text).unwrap();
    for (from, to, expected) in [
        (r#""c003", "c010""#, r#""c003", "c001""#, "c001"),
        ("size = 256", "size = 250", "multiple of 16"),
        (r#"dims = "two""#, r#"dims = "three""#, "slices must be a multiple of 16"),
        ("batch = 8", "batch = 8\nbatches = 9", "batches"),
        ("part = \"learned from all 50 pictures\"", "", "neither `part` nor `folder`"),
        ("part = \"learned from all 50 pictures\"", "folder = \"elsewhere\"", "no [[data]] elsewhere"),
    ] {
        let error = TrainConfig::from_toml(&text.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// A slice whose grey values are its mask.
fn slice(width: usize, height: usize) -> Slice {
    let inside = |i: usize| {
        let (y, x) = ((i / width) as f32 / height as f32, (i % width) as f32 / width as f32);
        (y - 0.4).powi(2) + (x - 0.55).powi(2) < 0.04 || (y > 0.7 && x < 0.4 && x > 0.1 && y < 0.85)
    };
    Slice {
        patient: "p".into(),
        volume: "v".into(),
        index: 0,
        width,
        height,
        image: (0..width * height).map(|i| 200 * u8::from(inside(i))).collect(),
        labels: (0..width * height).map(|i| u8::from(inside(i))).collect(),
        known: 0b011,
        pixel: 1.0,
        whole: true,
        spacing_mm: None,
        scanner: None,
    }
}

#[test]
fn image_and_mask_are_moved_alike() {
    let geometric = Augmentation { tone: 0.0, local_contrast: 0.0, noise: 0.0, blur: 0.0, ..Augmentation::default() };
    for (width, height) in [(96, 96), (80, 110)] {
        for seed in 0..20 {
            let made = example(&[&slice(width, height)], &geometric, 96, seed);
            let bright = made.image.iter().map(|v| *v > 100.0 / 255.0);
            let (mut both, mut either) = (0, 0);
            for (bright, label) in bright.zip(&made.labels) {
                both += usize::from(bright && *label == 1);
                either += usize::from(bright) + usize::from(*label == 1);
            }
            // The mask takes the nearest pixel, the image is interpolated: they part by less than half a pixel.
            let dice = 2.0 * both as f64 / either as f64;
            assert!(either > 100 && dice > 0.97, "seed {seed}: {dice}");
        }
    }
}

#[test]
fn augmentation_follows_its_seed_and_can_be_none() {
    let slice = slice(96, 96);
    let strong = Augmentation::default();
    assert_eq!(example(&[&slice], &strong, 96, 5), example(&[&slice], &strong, 96, 5));
    assert_ne!(example(&[&slice], &strong, 96, 5).image, example(&[&slice], &strong, 96, 6).image);
    let plain = example(&[&slice], &Augmentation::none(), 96, 5);
    assert_eq!(plain.labels, slice.labels);
    assert!(plain.image.iter().zip(&slice.image).all(|(v, byte)| (v - f32::from(*byte) / 255.0).abs() < 1e-6));
}

#[test]
fn the_synthetic_set_is_read_as_written() {
    let folder = tempfile::tempdir().unwrap();
    synthetic::write(folder.path(), 2);
    let slices = read(Layout::Covid19CtSeg, folder.path(), &reading(""), &Limits::default()).unwrap();
    assert_eq!(slices.len(), 8);
    assert!(slices.iter().all(|slice| slice.shows(1) && slice.width == synthetic::SIZE));
    std::fs::remove_file(folder.path().join("covid/0003.png")).unwrap();
    let error = read(Layout::Covid19CtSeg, folder.path(), &reading(""), &Limits::default()).unwrap_err().to_string();
    assert!(error.contains("0003.png"), "{error}");
}

/// A grey PNG of 4 × 2 pixels.
fn save(path: &Path, pixels: [u8; 8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), 4, 2);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
}

#[test]
fn picture_pairs_are_read_by_patient_scan_and_slice() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, image: [u8; 8], mask: [u8; 8]| {
        save(&folder.path().join("images").join(name), image);
        save(&folder.path().join("masks").join(name), mask);
    };
    // Of p1 two scans, one with consolidation; slice 10 comes after slice 9.
    write("p1_a_9.png", [1; 8], [0, 1, 2, 3, 0, 0, 0, 0]);
    write("p1_a_10.png", [2; 8], [0; 8]);
    write("p1_b_1.png", [3; 8], [1; 8]);
    write("p2.png", [4; 8], [2; 8]);
    std::fs::write(folder.path().join("images/Thumbs.db"), "nothing to learn from").unwrap();
    assert_eq!(Layout::of(folder.path()), Some(Layout::PngPairs));
    let read_all = || read(Layout::PngPairs, folder.path(), &reading("own-"), &Limits::default());
    let slices = read_all().unwrap();
    let seen: Vec<_> = slices.iter().map(|s| (s.patient.as_str(), s.volume.as_str(), s.index, s.image[0])).collect();
    let expected = [
        ("own-p1", "own-p1_a", 0, 1),
        ("own-p1", "own-p1_a", 1, 2),
        ("own-p1", "own-p1_b", 0, 3),
        ("own-p2", "own-p2", 0, 4),
    ];
    assert_eq!(seen, expected);
    assert_eq!(slices[0].labels, [0, 1, 3, 7, 0, 0, 0, 0]);
    let known = slices.iter().map(|slice| slice.known >> 2 == 1).collect::<Vec<_>>();
    assert_eq!(known, [true, true, false, false], "what has no 3 need not tell consolidation");
    assert_eq!((slices[0].pixel, slices[0].whole), (64.0, true), "four pixels are a whole chest");

    write("p2.png", [4; 8], [255; 8]);
    let error = read_all().unwrap_err().to_string();
    assert!(error.contains("p2.png") && error.contains("label 255"), "{error}");
    std::fs::remove_file(folder.path().join("masks/p2.png")).unwrap();
    assert!(read_all().unwrap_err().to_string().contains("masks/p2.png"));
}

#[test]
fn labels_of_nifti_pairs_tell_consolidation() {
    let folder = tempfile::tempdir().unwrap();
    let grid = Geometry::axial([1, 2, 2], PatientPoint([0.0; 3]), [1.0; 3]).unwrap();
    let file = |kind: &str| std::fs::File::create(folder.path().join(format!("a_{kind}.nii.gz"))).unwrap();
    nifti::write_volume(&Volume::filled(grid.clone(), 9_i16), file("image"), Compression::Gzip).unwrap();
    let read_with = |labels: [u8; 4]| {
        let labels = LabelMap::new(Volume::new(grid.clone(), labels.to_vec()).unwrap());
        nifti::write_labels(&labels, file("labels"), Compression::Gzip).unwrap();
        read(Layout::NiftiPairs, folder.path(), &reading(""), &Limits::default())
    };
    let slices = read_with([0, 1, 2, 3]).unwrap();
    assert_eq!(slices[0].labels, [0, 1, 3, 7]);
    assert_eq!(slices[0].known, 0b111);
    assert_eq!(read_with([0, 1, 2, 2]).unwrap()[0].known, 0b011);
    assert!(read_with([0, 1, 2, 4]).unwrap_err().to_string().contains("label 4"));
}

#[test]
fn a_folder_of_no_layout_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("letters/2026");
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("letter.txt"), [0; 200]).unwrap();
    assert_eq!(Layout::of(folder.path()), None);
    assert_eq!(Layout::of(&folder.path().join("absent")), None);
    let mut bytes = [0; 200];
    bytes[128..132].copy_from_slice(b"DICM");
    std::fs::write(deep.join("image"), bytes).unwrap();
    assert_eq!(Layout::of(folder.path()), Some(Layout::DicomSeg));
}

fn reading(prefix: &str) -> Reading {
    Reading { prefix: prefix.into(), ..Reading::default() }
}

/// Counts as in the data sets' own description.
#[test]
fn the_real_sets_are_read_whole() {
    let root = std::env::var_os("HILUM_DATA")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")), PathBuf::from);
    if !root.is_dir() {
        eprintln!("skipped: no data at {}", root.display());
        return;
    }
    let semiseg =
        read(Layout::CovidSemiSeg, &root.join("covid-semiseg-50"), &reading("semiseg-"), &Limits::default()).unwrap();
    assert_eq!(semiseg.len(), 50);
    let consolidated = semiseg.iter().filter(|s| s.labels.iter().any(|bits| bits & 4 != 0)).count();
    assert!(consolidated > 10 && semiseg.iter().all(|slice| slice.shows(1)), "{consolidated}");
    let medseg = read(Layout::NiftiPairs, &root.join("medseg-9"), &reading("medseg-"), &Limits::default()).unwrap();
    assert_eq!(medseg.len(), 45 + 39 + 140 + 39 + 66 + 42 + 42 + 45 + 93);
    let with_lesion = medseg.iter().filter(|slice| slice.shows(1)).count();
    assert_eq!(with_lesion, 43 + 14 + 43 + 25 + 45 + 1 + 9 + 36 + 73);
}

/// A segmentation beside its series is read by its codes; the answer is known voxel by voxel.
#[test]
fn a_series_with_its_segmentation_is_read_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let case = folder.path().join("p1");
    std::fs::create_dir(&case).unwrap();
    let grid = Geometry::axial([4, 6, 8], PatientPoint([0.0; 3]), [3.0, 1.4, 1.4]).unwrap();
    let mut ct = Volume::filled(grid.clone(), -800_i16);
    ct[[1, 2, 3]] = 250;
    write_ct_series(&ct, &CtSeriesDescription::default(), &case).unwrap();
    let found = scan(&Source::from(case.as_path()), &Limits::default()).unwrap();
    let series = load(&found, &found.series()[0].series_uid, &|_| ()).unwrap();
    let origin = Origin::of(&found, &series).unwrap();
    let mut labels = Volume::filled(grid, 0_u8);
    labels.slice_mut(1)[8..40].fill(1);
    labels[[1, 2, 3]] = 2;
    labels[[1, 2, 4]] = 3;
    let map = LabelMap::new(labels);
    let algorithm = Algorithm::new("reader", "1", codes::MORPHOLOGICAL_OPERATIONS).unwrap();
    let segment = |name: &str, code, label: &'static [u8]| {
        let segment = Segment::new(name, codes::ANATOMICAL_STRUCTURE, code, algorithm.clone(), [255, 0, 0]).unwrap();
        (segment, LabelSet { map: &map, labels: label })
    };
    let segments = [
        segment("lung", codes::RIGHT_LUNG, &[1]),
        segment("hazy", codes::GROUND_GLASS_OPACITY, &[2]),
        segment("dense", codes::LUNG_CONSOLIDATION, &[3]),
        segment("ribs", codes::CHEST, &[1]), // nothing to learn from
    ];
    let device = Device::new("Hilum", "test", "1", &["1".to_string()]).unwrap();
    let created = Moment::new("20260101", "120000").unwrap();
    let context = ResultContext { origin: &origin, device: &device, created: &created };
    let title = SegmentationTitle::new("TRUTH", "Outlines of a reader", 1).unwrap();
    let segmentation = binary_segmentation(&context, &title, &segments).unwrap();
    std::fs::create_dir(case.join("masks")).unwrap();
    std::fs::write(case.join("masks/truth.dcm"), segmentation.file.bytes()).unwrap();

    let slices = read(Layout::DicomSeg, folder.path(), &reading("own-"), &Limits::default()).unwrap();
    assert_eq!((slices.len(), slices[1].patient.as_str()), (4, "own-p1"));
    assert_eq!((slices[1].image[0], slices[1].image[2 * 8 + 3]), (77, 255), "-800 and 250 HU of -1250 to 250");
    assert_eq!(slices[1].known, 0b111);
    assert_eq!(slices[1].labels[16..24], [1, 1, 1, 3, 7, 1, 1, 1]);
    assert!(slices[0].labels.iter().all(|bits| *bits == 0));
    assert_eq!(slices[1].spacing_mm, Some([3.0, 1.4, 1.4]));

    // Lungs alone: whether anything in them is a lesion is not told.
    let lungs = binary_segmentation(&context, &title, &segments[..1]).unwrap();
    std::fs::write(case.join("masks/truth.dcm"), lungs.file.bytes()).unwrap();
    let slices = read(Layout::DicomSeg, folder.path(), &reading("own-"), &Limits::default()).unwrap();
    assert_eq!((slices[1].known, &slices[1].labels[16..24]), (0b001, &[1, 1, 1, 0, 0, 1, 1, 1][..]));

    std::fs::remove_file(case.join("masks/truth.dcm")).unwrap();
    let error = read(Layout::DicomSeg, folder.path(), &reading("own-"), &Limits::default()).unwrap_err().to_string();
    assert!(error.contains("no segmentation"), "{error}");
}
