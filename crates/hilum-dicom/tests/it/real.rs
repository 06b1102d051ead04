//! Real series, where they are: `$HILUM_DATA` or `../shared/data` beside the workspace.

use std::path::PathBuf;

use hilum_dicom::Source;
use sha2::{Digest, Sha256};

use crate::support::{codes, loaded_from};

fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("HILUM_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let path = root.join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there (set HILUM_DATA to the data sets)", path.display());
        return None;
    }
    Some(path)
}

/// SHA-256 of the voxels, little-endian in `[slice, row, column]` order, of pydicom and of SimpleITK alike
/// (`tests/data/check_against_simpleitk.py` compares voxel by voxel).
#[test]
fn voxels_equal_those_of_pydicom() {
    struct Case {
        name: &'static str,
        shape: [usize; 3],
        first_z_mm: f64,
        sha256: &'static str,
        notes: &'static [&'static str],
    }
    let cases = [
        Case {
            name: "covid-ct-md/covid-P002",
            shape: [133, 512, 512],
            first_z_mm: -437.7,
            sha256: "ba4a885ec07ec1b637742357da9c8e3d079752dcfc38af18d866e6e4813037e0",
            notes: &["repeated-instance-uid"],
        },
        Case {
            name: "covid-ct-md/cap-cap002",
            shape: [131, 512, 512],
            first_z_mm: -322.1,
            sha256: "365d4306f88a14ae75725d925cdb5f4d605822a3c1de4a3880b369079610c6dc",
            notes: &["repeated-instance-uid"],
        },
        Case {
            name: "lung-pet-ct-dx-A0002",
            shape: [30, 512, 512],
            first_z_mm: 80.0,
            sha256: "f21c8cc06ae9ae3c1c56d5be3eb2e27fbe1fb262179e2721eb59a4eeb0e26d2d",
            notes: &["thick-slices"],
        },
    ];
    for case in cases {
        let Some(path) = data(case.name) else { continue };
        let series = loaded_from(&Source::Path(path)).unwrap();
        assert_eq!(series.volume.shape(), case.shape, "{}", case.name);
        assert_eq!(series.volume.geometry().origin().0[2], case.first_z_mm, "{}", case.name);
        let bytes: Vec<u8> = series.volume.data().iter().flat_map(|hu| hu.to_le_bytes()).collect();
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, case.sha256, "{}", case.name);
        assert_eq!(codes(&series), case.notes, "{}", case.name);
    }
}
