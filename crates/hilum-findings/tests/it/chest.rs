//! A chest of boxes whose every measure is known by arithmetic.
//!
//! Two lungs of 40 × 40 × 60 mm (x, y, z) stand 20 mm apart. Each is cut into lobes at fixed heights: the right one into
//! thirds of 32 ml, the left one into 51.2 ml below and 44.8 ml above.

use hilum_findings::{FindingsInput, KindMethod, Measurements, Series, Software, measure};
use hilum_volume::{AxisOrder, Geometry, LabelMap, PatientPoint, PatientVector, Volume};

/// A box in base coordinates, x y z in mm, from (included) and to (excluded), with its kind of opacity and its HU.
pub(crate) struct Opacity {
    pub(crate) from: [f64; 3],
    pub(crate) to: [f64; 3],
    pub(crate) label: u8,
    pub(crate) hu: i16,
}

/// CT, lobes and lesions on one grid.
pub(crate) struct Chest {
    pub(crate) ct: Volume<i16>,
    pub(crate) lobes: LabelMap,
    pub(crate) lesions: LabelMap,
}

pub(crate) const LUNG_HU: i16 = -850;
const EXTENT_MM: [f64; 3] = [120.0, 60.0, 100.0];

/// The chest on an upright axial grid of the given spacing (slice, row, column): 1, 2 or 4 mm slices, 1 or 2 mm else.
pub(crate) fn chest(spacing_mm: [f64; 3], opacities: &[Opacity]) -> Chest {
    let shape = [0, 1, 2].map(|axis| (EXTENT_MM[2 - axis] / spacing_mm[axis]).round() as usize);
    let first_centre = PatientPoint([2, 1, 0].map(|axis| 0.5 * spacing_mm[axis]));
    let grid = Geometry::axial(shape, first_centre, spacing_mm).expect("a grid");
    let mut ct = Volume::filled(grid.clone(), 40_i16);
    let mut lobes = Volume::filled(grid.clone(), 0_u8);
    let mut lesions = Volume::filled(grid.clone(), 0_u8);
    for s in 0..shape[0] {
        for r in 0..shape[1] {
            for c in 0..shape[2] {
                let index = [s, r, c];
                let point = grid.centre_of(index).0;
                lobes[index] = lobe_at(point);
                if lobes[index] != 0 {
                    ct[index] = LUNG_HU;
                }
                for opacity in opacities {
                    if (0..3).all(|a| point[a] >= opacity.from[a] && point[a] < opacity.to[a]) {
                        lesions[index] = opacity.label;
                        ct[index] = opacity.hu;
                    }
                }
            }
        }
    }
    Chest { ct, lobes: LabelMap::new(lobes), lesions: LabelMap::new(lesions) }
}

/// Right lung x 10–50, left lung x 70–110, both y 10–50 and z 20–80. LPS: the right lung has the smaller x.
fn lobe_at([x, y, z]: [f64; 3]) -> u8 {
    let inside = (10.0..50.0).contains(&y) && (20.0..80.0).contains(&z);
    match (inside, (10.0..50.0).contains(&x), (70.0..110.0).contains(&x)) {
        (true, true, _) if z < 40.0 => 3,
        (true, true, _) if z < 60.0 => 2,
        (true, true, _) => 1,
        (true, _, true) if z < 52.0 => 5,
        (true, _, true) => 4,
        _ => 0,
    }
}

impl Chest {
    pub(crate) fn measured(&self) -> Measurements {
        measure(&self.ct, &self.lobes, &self.lesions, None).expect("three volumes on one grid")
    }

    pub(crate) fn reordered(&self, order: AxisOrder) -> Self {
        Self {
            ct: self.ct.reordered(order),
            lobes: LabelMap::new(self.lobes.labels().reordered(order)),
            lesions: LabelMap::new(self.lesions.labels().reordered(order)),
        }
    }

    /// The same voxels on a grid whose axes are given by `axes` (slice, row, column).
    pub(crate) fn placed(&self, origin: PatientPoint, axes: [PatientVector; 3]) -> Self {
        let old = self.ct.geometry();
        let grid = Geometry::new(old.shape(), origin, axes, old.spacing_mm()).expect("axes of a grid");
        let label = |map: &LabelMap| {
            LabelMap::new(Volume::new(grid.clone(), map.labels().data().to_vec()).expect("as many voxels"))
        };
        Self {
            ct: Volume::new(grid.clone(), self.ct.data().to_vec()).expect("as many voxels"),
            lobes: label(&self.lobes),
            lesions: label(&self.lesions),
        }
    }
}

/// What a product would hand over beside the measurements.
pub(crate) fn input(measured: &Measurements, series: Series) -> FindingsInput<'_> {
    FindingsInput {
        product: "hilum-lung".into(),
        software: Software { name: "hilum".into(), version: "0.1.0".into(), commit: None },
        models: vec![],
        series,
        measurements: measured,
        kind_method: KindMethod::Network,
        kind_method_text: "Taught on slices outlined by readers.".into(),
        lesion_interval: None,
        slice_probability_text: String::new(),
        fissures: vec![],
        quality_notes: vec![],
        partial_lungs: None,
        out_of_distribution: Default::default(),
        classification: Default::default(),
        not_known: vec![],
    }
}
