//! Random grids: oblique, left-handed, sheared, down to one voxel.

use hilum_volume::{Geometry, PatientPoint, PatientVector, Volume};
use proptest::prelude::*;

/// Any grid of at most 7 voxels a side: turned arbitrarily, reflected half of the time, sheared by up to 30° half of the
/// time, spaced from 0.3 to 8 mm.
pub(crate) fn any_grid() -> impl Strategy<Value = Geometry> {
    let turn = prop::array::uniform3(-3.2..3.2_f64);
    let shape = prop::array::uniform3(1..=7_usize);
    let spacing = prop::array::uniform3(0.3..8.0_f64);
    let origin = prop::array::uniform3(-400.0..400.0_f64);
    (shape, spacing, origin, turn, any::<bool>(), any::<bool>(), -0.5..0.5_f64).prop_map(
        |(shape, spacing_mm, origin, turn, reflect, shear, tangent)| {
            let mut axes = turned(turn);
            if reflect {
                axes[0] = axes[0].times(-1.0);
            }
            if shear {
                let leaning = axes[0].plus(axes[1].times(tangent));
                axes[0] = leaning.times(1.0 / leaning.length_mm());
            }
            Geometry::new(shape, PatientPoint(origin), axes, spacing_mm).unwrap()
        },
    )
}

/// Three orthonormal axes turned by angles about x, y, z.
pub(crate) fn turned([x, y, z]: [f64; 3]) -> [PatientVector; 3] {
    let turn = |v: PatientVector| {
        let [a, b, c] = v.0;
        let (b, c) = (b * x.cos() - c * x.sin(), b * x.sin() + c * x.cos());
        let (a, c) = (a * y.cos() + c * y.sin(), c * y.cos() - a * y.sin());
        PatientVector([a * z.cos() - b * z.sin(), a * z.sin() + b * z.cos(), c])
    };
    [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]].map(|v| turn(PatientVector(v)))
}

/// Every voxel holds its own number.
pub(crate) fn numbered(geometry: &Geometry) -> Volume<i16> {
    Volume::new(geometry.clone(), (0..geometry.len() as i16).collect()).unwrap()
}

/// A linear function of the patient position, sampled on the grid.
pub(crate) fn ramp(geometry: &Geometry) -> Volume<f32> {
    let [slices, rows, columns] = geometry.shape();
    let mut volume = Volume::filled(geometry.clone(), 0.0);
    for s in 0..slices {
        for r in 0..rows {
            for c in 0..columns {
                volume[[s, r, c]] = ramp_at(geometry.centre_of([s, r, c]));
            }
        }
    }
    volume
}

/// The value of [`ramp`] at a point.
pub(crate) fn ramp_at(point: PatientPoint) -> f32 {
    (3.0 + 0.7 * point.0[0] - 1.3 * point.0[1] + 0.4 * point.0[2]) as f32
}
