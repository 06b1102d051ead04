//! NIfTI against nibabel: fixtures and quaternions come from `tests/data/nifti/make.py`.

use hilum_dicom::nifti::{Compression, read_hu, read_labels, read_values, to_nifti_ras, write_labels, write_volume};
use hilum_dicom::{Limits, Refusal};
use hilum_volume::{Geometry, LabelMap, PatientPoint, PatientVector, Volume};
use proptest::prelude::*;

const SHEARED: &[u8] = include_bytes!("../data/nifti/sheared.nii.gz");
const QFORM_ONLY: &[u8] = include_bytes!("../data/nifti/qform_only.nii.gz");
const BIG_ENDIAN: &[u8] = include_bytes!("../data/nifti/big_endian_scaled.nii");

type Axes = [[f64; 3]; 3];
const OBLIQUE_LEFT: Axes = [
    [0.7398881092153915, -0.5513251306194094, -0.3854947291327919],
    [0.5984658752684049, 0.8011431478726294, 0.0028727610337073717],
    [0.30725263543360404, -0.23283096221127028, 0.9227055657439589],
];

fn grid(axes: Axes) -> Geometry {
    Geometry::new([2, 3, 4], PatientPoint([-120.5, -80.25, 33.0]), axes.map(PatientVector), [2.5, 0.7, 0.6]).unwrap()
}

/// Every voxel holds its own index.
fn ramp(geometry: Geometry) -> Volume<i16> {
    let mut volume = Volume::filled(geometry, 0i16);
    let [slices, rows, columns] = volume.shape();
    for s in 0..slices {
        for r in 0..rows {
            for c in 0..columns {
                volume[[s, r, c]] = (100 * s + 10 * r + c) as i16 - 1000;
            }
        }
    }
    volume
}

fn written(volume: &Volume<i16>, compression: Compression) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_volume(volume, &mut bytes, compression).unwrap();
    bytes
}

/// Headers hold single precision: 1e-4 mm is ten times its rounding at 200 mm.
fn assert_close(actual: &Geometry, expected: &Geometry) {
    assert_within(actual, expected, 1e-4);
}

fn assert_within(actual: &Geometry, expected: &Geometry, tolerance_mm: f64) {
    assert_eq!(actual.shape(), expected.shape());
    let far = expected.shape().map(|n| n - 1);
    for corner in [[0, 0, 0], far, [far[0], 0, 0], [0, far[1], 0], [0, 0, far[2]]] {
        let miss = actual.centre_of(corner).distance_mm(expected.centre_of(corner));
        assert!(miss < tolerance_mm, "voxel {corner:?} is {miss} mm away");
    }
}

#[test]
fn fixtures_of_nibabel_lie_where_nibabel_put_them() {
    let tilt = 20f64.to_radians();
    let sheared = grid([[0.0, -tilt.sin(), tilt.cos()], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]);
    for (bytes, expected) in [(SHEARED, sheared), (QFORM_ONLY, grid(OBLIQUE_LEFT))] {
        let volume = read_hu(bytes, &Limits::default()).unwrap();
        assert_close(volume.geometry(), &expected);
        assert_eq!(volume.data(), ramp(expected).data());
    }
}

#[test]
fn byte_order_and_scaling_are_obeyed() {
    let volume = read_values(BIG_ENDIAN, &Limits::default()).unwrap();
    let expected = Geometry::axial([2, 3, 4], PatientPoint([0.0; 3]), [2.5, 0.7, 0.6]).unwrap();
    assert_close(volume.geometry(), &expected);
    let stored = ramp(expected);
    assert!(volume.data().iter().zip(stored.data()).all(|(v, s)| *v == 2.0 * f32::from(*s) - 10.0));
}

#[test]
fn written_quaternions_are_those_of_nibabel() {
    struct Case {
        axes: Axes,
        quaternion: [f32; 3],
        handedness: f32,
    }
    let cases = [
        Case {
            axes: [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
            quaternion: [0.0, 0.0, 1.0],
            handedness: 1.0,
        },
        Case {
            axes: [[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
            quaternion: [0.0, 0.0, 1.0],
            handedness: -1.0,
        },
        Case {
            axes: [
                [0.24597586575323946, -0.0727956759319679, 0.9665384953702321],
                [-0.32546384261116096, 0.9330769907404642, 0.15310328704341084],
                [0.9130000879626035, 0.35223304631497526, -0.205822060197518],
            ],
            quaternion: [0.115_691_84, -0.057_845_92, -0.976_296],
            handedness: 1.0,
        },
        Case { axes: OBLIQUE_LEFT, quaternion: [0.526_401_9, -0.173_648_18, 0.789_602_8], handedness: -1.0 },
    ];
    for case in cases {
        let bytes = written(&ramp(grid(case.axes)), Compression::None);
        let f32_at = |at: usize| f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(f32_at(76), case.handedness);
        let actual = [256, 260, 264].map(f32_at);
        // Half a turn has two quaternions of opposite sign.
        let near = |sign: f32| actual.iter().zip(case.quaternion).all(|(a, q)| (sign * a - q).abs() < 1e-6);
        assert!(near(1.0) || near(-1.0), "{actual:?} is not {:?}", case.quaternion);
    }
}

#[test]
fn a_sheared_grid_has_no_qform() {
    let volume = read_hu(SHEARED, &Limits::default()).unwrap();
    let bytes = written(&volume, Compression::None);
    assert_eq!(bytes[252..256], [0, 0, 1, 0], "qform_code 0, sform_code 1");
    assert_eq!(read_hu(&bytes[..], &Limits::default()).unwrap(), volume);
}

#[test]
fn labels_come_back() {
    let labels = LabelMap::new(ramp(grid(OBLIQUE_LEFT)).map(|v| (*v + 1000) as u8));
    for compression in [Compression::Gzip, Compression::None] {
        let mut bytes = Vec::new();
        write_labels(&labels, &mut bytes, compression).unwrap();
        assert_eq!(read_labels(&bytes[..], &Limits::default()).unwrap().labels().data(), labels.labels().data());
    }
    let hu = written(&ramp(grid(OBLIQUE_LEFT)), Compression::Gzip);
    assert!(matches!(read_labels(&hu[..], &Limits::default()), Err(Refusal::Nifti(_))), "HU are not labels");
}

#[test]
fn unusable_files_are_refused() {
    let good = written(&ramp(grid(OBLIQUE_LEFT)), Compression::None);
    let changed = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    let grey = written(&ramp(grid(OBLIQUE_LEFT)).map(|v| v + 1000), Compression::None);
    let small = Limits { max_voxels: 23, ..Limits::default() };
    let cases: [(&str, Vec<u8>, Limits, &str); 10] = [
        ("empty", vec![], Limits::default(), "NIfTI-1 header"),
        ("text", b"not an image".repeat(40), Limits::default(), "NIfTI-1 header"),
        ("cut short", good[..370].to_vec(), Limits::default(), "cut short"),
        ("no place", changed(252, &[0; 4]), Limits::default(), "where its voxels lie"),
        ("no voxels", changed(42, &[0, 0]), Limits::default(), "no voxels"),
        ("promises more than it holds", changed(42, &[255, 127, 255, 15]), Limits::default(), "cut short"),
        ("colour", changed(70, &[128, 0]), Limits::default(), "number type"),
        ("singular", changed(280, &[0; 48]), Limits::default(), "affine"),
        ("over the limit", good.clone(), small, "too large"),
        ("grey values", grey, Limits::default(), "Hounsfield"),
    ];
    for (name, bytes, limits, expected) in cases {
        let message = read_hu(&bytes[..], &limits).expect_err(name).to_string();
        assert!(message.contains(expected), "{name}: {message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_grid_comes_back(
        turn in prop::array::uniform4(-1f64..1.0),
        origin in prop::array::uniform3(-300f64..300.0),
        spacing in prop::array::uniform3(0.3f64..8.0),
        order in 0usize..48,
        shear in -0.4f64..0.4,
    ) {
        let n = turn.iter().map(|v| v * v).sum::<f64>().sqrt();
        prop_assume!(n > 0.1);
        let [a, b, c, d] = turn.map(|v| v / n);
        let column = PatientVector([a * a + b * b - c * c - d * d, 2.0 * (b * c + a * d), 2.0 * (b * d - a * c)]);
        let row = PatientVector([2.0 * (b * c - a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d + a * b)]);
        let normal = column.cross(row);
        let slice = PatientVector(std::array::from_fn(|x| normal.0[x] * shear.cos() + row.0[x] * shear.sin()));
        for slice in [normal, slice] {
            let grid = Geometry::new([2, 3, 4], PatientPoint(origin), [slice, row, column], spacing).unwrap()
                .reordered(hilum_volume::AxisOrder::all()[order]);
            let volume = ramp(grid.clone());
            let back = read_hu(&written(&volume, Compression::Gzip)[..], &Limits::default()).unwrap();
            assert_close(back.geometry(), &grid);
            prop_assert_eq!(back.data(), volume.data());
            // The quaternion alone must say the same as the affine, as far as NIfTI can: it leaves out the quaternion's
            // scalar, a = √(1 − b² − c² − d²), which single precision gives to 4e-4 at worst (a half turn), so a corner
            // 32 mm away is placed to 2 × 4e-4 × 32 = 0.026 mm.
            if grid.is_orthogonal() {
                let mut bytes = written(&volume, Compression::None);
                bytes[254] = 0;
                assert_within(read_hu(&bytes[..], &Limits::default()).unwrap().geometry(), &grid, 0.026);
            }
            // Four decimal places of the affine against the geometry itself, through a voxel's centre.
            let ras = to_nifti_ras(&grid);
            let [s, r, c] = grid.shape().map(|n| (n - 1) as f64);
            let at = grid.centre_of(grid.shape().map(|n| n - 1));
            for axis in 0..3 {
                let ras = ras[axis][0] * c + ras[axis][1] * r + ras[axis][2] * s + ras[axis][3];
                let lps = if axis < 2 { -ras } else { ras };
                prop_assert!((lps - at.0[axis]).abs() < 1e-9);
            }
        }
    }
}
