//! What was written is read back at the same place, whatever the orientation.

use hilum_dicom::{CtSeriesDescription, PixelCoding};
use hilum_volume::{AxisOrder, Geometry, PatientPoint, PatientVector, Volume};
use proptest::prelude::*;

use crate::support::{axial, codes, files, loaded, ramp};

/// Same voxels at the same places, though slices may be counted from the other end.
fn assert_same_in_space(actual: &Volume<i16>, expected: &Volume<i16>) {
    let reversed = AxisOrder([(0, true), (1, false), (2, false)]);
    let along = actual.geometry().axes()[0].dot(expected.geometry().axes()[0]);
    let expected = if along > 0.0 { expected.clone() } else { expected.reordered(reversed) };
    assert_eq!(actual.shape(), expected.shape());
    let far = expected.shape().map(|n| n - 1);
    for corner in [[0, 0, 0], far, [far[0], 0, 0], [0, far[1], 0], [0, 0, far[2]]] {
        // Decimal Strings keep ten digits at least.
        let miss = actual.geometry().centre_of(corner).distance_mm(expected.geometry().centre_of(corner));
        assert!(miss < 1e-6, "voxel {corner:?} is {miss} mm away");
    }
    assert_eq!(actual.data(), expected.data());
}

#[test]
fn all_48_axis_orders_come_back() {
    let volume = ramp(axial());
    for order in AxisOrder::all() {
        let reordered = volume.reordered(order);
        let series = loaded(&files(&reordered, &CtSeriesDescription::default())).unwrap();
        assert_same_in_space(&series.volume, &reordered);
        let step = series.volume.geometry().axes()[0];
        let dominant = (0..3).max_by(|a, b| step.0[*a].abs().total_cmp(&step.0[*b].abs())).unwrap();
        assert!(step.0[dominant] > 0.0, "{order:?}: index 0 must be at the foot, front or right end");
        assert!(series.notes.is_empty(), "{order:?}: {:?}", series.notes);
    }
}

#[test]
fn every_coding_keeps_hu_in_its_range() {
    struct Case {
        coding: PixelCoding,
        rescale: (f64, f64),
        hu: [i16; 4],
        read: [i16; 4],
    }
    let cases = [
        Case {
            coding: PixelCoding::Unsigned12,
            rescale: (1.0, -1024.0),
            hu: [-3000, -1024, 40, 4000],
            read: [-1024, -1024, 40, 3071],
        },
        Case {
            coding: PixelCoding::Signed16,
            rescale: (1.0, 0.0),
            hu: [-32768, -1024, 40, 32767],
            read: [-32768, -1024, 40, 32767],
        },
        Case {
            coding: PixelCoding::Unsigned16,
            rescale: (0.5, -8192.0),
            hu: [-9000, -1023, 40, 32767],
            read: [-8192, -1023, 40, 24576],
        },
        Case {
            coding: PixelCoding::Signed16,
            rescale: (2.0, -1000.0),
            hu: [-1000, -998, 40, 3000],
            read: [-1000, -998, 40, 3000],
        },
    ];
    for case in cases {
        let data = case.hu.iter().copied().cycle().take(axial().len()).collect();
        let volume = Volume::new(axial(), data).unwrap();
        let (rescale_slope, rescale_intercept) = case.rescale;
        let description =
            CtSeriesDescription { coding: case.coding, rescale_slope, rescale_intercept, ..Default::default() };
        let series = loaded(&files(&volume, &description)).unwrap();
        assert_eq!(series.volume.data()[..4], case.read, "{:?}", case.coding);
    }
}

#[test]
fn a_tilted_gantry_is_sheared_truly_and_noted() {
    for degrees in [-25.0, -5.0, 0.3, 17.5] {
        let tilt = f64::to_radians(degrees);
        let axes = [[0.0, tilt.sin(), tilt.cos()], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]].map(PatientVector);
        let geometry = Geometry::new([12, 6, 5], PatientPoint([-20.0, -30.5, 100.25]), axes, [2.0, 0.7, 0.6]).unwrap();
        let volume = ramp(geometry);
        let written = files(&volume, &CtSeriesDescription::default());
        let series = loaded(&written).unwrap();
        assert_same_in_space(&series.volume, &volume);
        assert_eq!(codes(&series), ["gantry-tilt"], "{degrees}°");
        assert!(series.notes[0].text.contains(&format!("{:.1}°", degrees.abs())), "{}", series.notes[0].text);
        let object = dicom_object::from_reader(&written[0][..]).unwrap();
        let stated = object.element_by_name("GantryDetectorTilt").unwrap().to_float64().unwrap();
        assert!((stated - degrees).abs() < 1e-3, "{stated} for {degrees}°");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Oblique, left-handed, sheared; read in any file order.
    #[test]
    fn any_grid_in_any_file_order(
        turn in prop::array::uniform4(-1f64..1.0),
        origin in prop::array::uniform3(-300f64..300.0),
        spacing in prop::array::uniform3(0.4f64..3.0),
        lean in -0.4f64..0.4,
        left_handed: bool,
        order in Just((0..12usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let n = turn.iter().map(|v| v * v).sum::<f64>().sqrt();
        prop_assume!(n > 0.1);
        let [a, b, c, d] = turn.map(|v| v / n);
        let column = PatientVector([a * a + b * b - c * c - d * d, 2.0 * (b * c + a * d), 2.0 * (b * d - a * c)]);
        let row = PatientVector([2.0 * (b * c - a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d + a * b)]);
        let normal = column.cross(row).times(if left_handed { -1.0 } else { 1.0 });
        // Tiny leans are straightened, by at most 0.1 mm over 300 mm.
        let lean = if lean.abs() < 0.01 { 0.0 } else { lean };
        let slice = PatientVector(std::array::from_fn(|x| normal.0[x] * lean.cos() + row.0[x] * lean.sin()));
        let volume = ramp(Geometry::new([12, 6, 5], PatientPoint(origin), [slice, row, column], spacing).unwrap());
        let written = files(&volume, &CtSeriesDescription::default());
        let series = loaded(&written).unwrap();
        assert_same_in_space(&series.volume, &volume);
        let shuffled: Vec<_> = order.iter().map(|n| written[*n].clone()).collect();
        prop_assert_eq!(loaded(&shuffled).unwrap(), series);
    }
}
