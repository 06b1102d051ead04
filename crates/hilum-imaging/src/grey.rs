//! Grey-value morphology with small ellipsoidal neighbourhoods given in millimetres.

use hilum_volume::Volume;
use rayon::prelude::*;

/// Grey opening: the minimum over a ball of `radius_mm`, then the maximum over the same ball.
///
/// Bright structures thinner than the ball in at least two directions (vessels, small airways' walls) sink to the value of
/// their surroundings; plateaus wider than the ball keep theirs. The neighbourhood is the set of voxels whose centres lie
/// within `radius_mm`; neighbours outside the volume do not count. A radius below every spacing returns a copy.
#[must_use]
pub fn opening(volume: &Volume<i16>, radius_mm: f64) -> Volume<i16> {
    extreme(&extreme(volume, radius_mm, i16::min), radius_mm, i16::max)
}

/// `pick` (minimum or maximum) over the ball around every voxel.
fn extreme(volume: &Volume<i16>, radius_mm: f64, pick: fn(i16, i16) -> i16) -> Volume<i16> {
    let [slices, rows, columns] = volume.shape();
    let reach = half_widths(volume.geometry().spacing_mm(), radius_mm);
    let mut data = vec![0_i16; volume.geometry().len()];
    data.par_chunks_mut(rows * columns).enumerate().for_each(|(s, out)| {
        out.copy_from_slice(volume.slice(s));
        let mut widened = vec![0_i16; columns];
        for &(ds, dr, half) in &reach {
            let Some(source) = s.checked_add_signed(ds).filter(|s| *s < slices) else { continue };
            let plane = volume.slice(source);
            for r in 0..rows {
                let Some(row) = r.checked_add_signed(dr).filter(|r| *r < rows) else { continue };
                let line = &plane[row * columns..(row + 1) * columns];
                widened.copy_from_slice(line);
                for d in 1..=half.min(columns - 1) {
                    for c in 0..columns - d {
                        widened[c] = pick(widened[c], line[c + d]);
                        widened[c + d] = pick(widened[c + d], line[c]);
                    }
                }
                for (o, v) in out[r * columns..(r + 1) * columns].iter_mut().zip(&widened) {
                    *o = pick(*o, *v);
                }
            }
        }
    });
    Volume::new(volume.geometry().clone(), data).expect("one value per voxel")
}

/// The ball as lines along the columns: `(slice offset, row offset, half width in columns)`.
fn half_widths(spacing_mm: [f64; 3], radius_mm: f64) -> Vec<(isize, isize, usize)> {
    let steps = |axis: usize| (radius_mm / spacing_mm[axis]).floor() as isize;
    let mut lines = Vec::new();
    for ds in -steps(0)..=steps(0) {
        for dr in -steps(1)..=steps(1) {
            let left =
                radius_mm * radius_mm - (ds as f64 * spacing_mm[0]).powi(2) - (dr as f64 * spacing_mm[1]).powi(2);
            if left >= 0.0 {
                lines.push((ds, dr, (left.sqrt() / spacing_mm[2]).floor() as usize));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::opening;
    use hilum_volume::{Geometry, PatientPoint, Volume};

    fn lung() -> Volume<i16> {
        let geometry = Geometry::axial([12, 20, 24], PatientPoint([0.0; 3]), [2.0, 1.0, 1.0]).unwrap();
        Volume::filled(geometry, -850)
    }

    #[test]
    fn a_thin_vessel_sinks_and_a_wide_plateau_stays() {
        let mut ct = lung();
        for c in 0..24 {
            ct[[6, 5, c]] = 40; // a vessel of one voxel along the columns
        }
        for (s, r, c) in (2..10).flat_map(|s| (9..18).flat_map(move |r| (8..18).map(move |c| (s, r, c)))) {
            ct[[s, r, c]] = -500;
        }
        let opened = opening(&ct, 2.5);
        assert_eq!(opened[[6, 5, 12]], -850);
        assert_eq!(opened[[6, 13, 13]], -500);
        assert!(opened.data().iter().zip(ct.data()).all(|(o, v)| o <= v), "an opening never brightens");
    }

    #[test]
    fn a_radius_below_the_spacing_changes_nothing() {
        let mut ct = lung();
        ct[[3, 3, 3]] = 100;
        assert_eq!(opening(&ct, 0.5), ct);
    }
}
