//! Against scipy.ndimage; `tests/data/make_references.py` made the files.

use hilum_imaging::components::{Connectivity, fill_holes, fill_holes_by_slice, label};
use hilum_imaging::distance::distance_mm;
use hilum_imaging::filter::{box_mean, gaussian, median3};
use hilum_imaging::morphology::{dilate, erode};
use hilum_volume::{Geometry, Mask, PatientPoint, Volume};

fn grid() -> Geometry {
    Geometry::axial([9, 11, 13], PatientPoint([0.0; 3]), [2.5, 0.8, 1.1]).unwrap()
}

fn floats(bytes: &[u8]) -> Volume<f32> {
    let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Volume::new(grid(), values).unwrap()
}

fn mask(bytes: &[u8]) -> Mask {
    Mask::new(grid(), bytes.iter().map(|b| *b != 0).collect()).unwrap()
}

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../data/", $name))
    };
}

/// Sums in another order differ in the last bits: grey values are of the order of 100, so 1e-4 is about 8 ulp.
const TOLERANCE: f32 = 1e-4;

#[track_caller]
fn assert_close(found: &Volume<f32>, expected: &Volume<f32>) {
    for (at, (f, e)) in found.data().iter().zip(expected.data()).enumerate() {
        assert!((f - e).abs() < TOLERANCE, "voxel {at}: {f} is not {e}");
    }
}

#[test]
fn distance() {
    assert_close(&distance_mm(&mask(data!("mask.u8"))), &floats(data!("distance.f32")));
}

#[test]
fn gaussian_of_1_9_mm() {
    assert_close(&gaussian(&floats(data!("grey.f32")), 1.9), &floats(data!("gaussian.f32")));
}

#[test]
fn box_of_1_7_mm() {
    // Half of 1.7 mm reaches no slice, two rows, one column.
    assert_close(&box_mean(&floats(data!("grey.f32")), 1.7), &floats(data!("box.f32")));
}

#[test]
fn median_of_27() {
    assert_eq!(median3(&floats(data!("grey.f32"))).data(), floats(data!("median.f32")).data());
}

#[test]
fn components_largest_first() {
    let mask = mask(data!("mask.u8"));
    let cases: [(_, &[u8]); 3] = [
        (Connectivity::Faces, data!("labels1.u8")),
        (Connectivity::Edges, data!("labels2.u8")),
        (Connectivity::Corners, data!("labels3.u8")),
    ];
    for (connectivity, expected) in cases {
        let found = label(&mask, connectivity);
        let expected: Vec<u32> = expected.iter().map(|b| u32::from(*b)).collect();
        assert_eq!(found.labels.data(), expected, "{connectivity:?}");
        for item in &found.items {
            assert_eq!(item.voxels, expected.iter().filter(|l| **l == item.id).count());
        }
    }
}

#[test]
fn holes() {
    let mask = mask(data!("mask.u8"));
    assert_eq!(fill_holes(&mask), self::mask(data!("filled.u8")));
    assert_eq!(fill_holes_by_slice(&mask), self::mask(data!("filled_by_slice.u8")));
}

#[test]
fn balls_of_2_mm() {
    let mask = mask(data!("mask.u8"));
    assert_eq!(dilate(&mask, 2.0), self::mask(data!("dilated.u8")));
    assert_eq!(erode(&mask, 2.0), self::mask(data!("eroded.u8")));
}
