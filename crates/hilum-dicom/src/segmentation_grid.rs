//! The grid that the frames of a segmentation lie on, for use without its images.

use hilum_volume::{Geometry, PatientPoint, PatientVector};

/// How far frames may lie off an even grid, as a share of their distance.
const OFF_GRID: f64 = 0.02;

/// An even grid through planes at `positions` (in any order, repeatedly) with `axes` along columns and rows: one slice per
/// distance of the two closest planes, from the lowest to the highest along their normal. `None` if there are less than
/// two planes, or they are not even, in one line and within `slices_max`.
pub(crate) fn even_grid(
    positions: &[PatientPoint],
    axes: [PatientVector; 2],
    spacing_mm: [f64; 2],
    [rows, columns]: [usize; 2],
    slices_max: usize,
) -> Option<Geometry> {
    let normal = axes[0].cross(axes[1]);
    let first = positions.first()?;
    let along = |p: &PatientPoint| p.minus(*first).dot(normal);
    let mut planes: Vec<(f64, PatientPoint)> = positions.iter().map(|p| (along(p), *p)).collect();
    planes.sort_by(|a, b| a.0.total_cmp(&b.0));
    planes.dedup_by(|b, a| (b.0 - a.0).abs() < 1e-3);
    let gap = planes.windows(2).map(|w| w[1].0 - w[0].0).min_by(f64::total_cmp)?;
    let (lowest, highest) = (planes.first()?, planes.last()?);
    // The closest two may be off a little; the whole stack tells the distance better.
    let steps = ((highest.0 - lowest.0) / gap).round();
    if !(1.0..slices_max as f64).contains(&steps) {
        return None;
    }
    let step = highest.1.minus(lowest.1).times(1.0 / steps);
    let even = planes.iter().all(|(place, position)| {
        let n = ((place - lowest.0) * steps / (highest.0 - lowest.0)).round();
        position.minus(lowest.1.plus(step.times(n))).length_mm() < OFF_GRID * step.length_mm()
    });
    if !even {
        return None;
    }
    let slice_mm = step.length_mm();
    let directions = [step.times(1.0 / slice_mm), axes[1], axes[0]];
    let spacing = [slice_mm, spacing_mm[1], spacing_mm[0]];
    Geometry::new([steps as usize + 1, rows, columns], lowest.1, directions, spacing).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn omitted_frames_leave_an_even_grid_and_uneven_ones_none() {
        let axes = [PatientVector([1.0, 0.0, 0.0]), PatientVector([0.0, 1.0, 0.0])];
        let grid = |z: &[f64]| {
            let positions: Vec<_> = z.iter().map(|z| PatientPoint([-3.0, 4.0 + 0.25 * z, *z])).collect();
            even_grid(&positions, axes, [0.6, 0.7], [11, 13], 100)
        };
        let found = grid(&[20.0, 10.0, 12.5, 12.5]).unwrap();
        assert_eq!(found.shape(), [5, 11, 13]);
        assert_eq!(found.origin(), PatientPoint([-3.0, 6.5, 10.0]));
        assert!((found.spacing_mm()[0] - 2.5 * (1.0 + 0.0625f64).sqrt()).abs() < 1e-12, "sheared, as a tilted gantry");
        assert_eq!(found.spacing_mm()[1..], [0.7, 0.6]);
        for uneven in [&[1.0][..], &[], &[0.0, 1.0, 2.6], &[0.0, 0.01, 5.0]] {
            assert!(grid(uneven).is_none(), "{uneven:?}");
        }
    }
}
