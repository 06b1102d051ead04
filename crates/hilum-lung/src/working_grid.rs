//! The coarser grid on which anatomy is found.
//!
//! Lungs and lobes are structures of centimetres: they are found on a grid of about 1.5 mm, made by averaging (never by
//! picking) the voxels of the scan, and brought back to the scan's own grid afterwards. Both grids have the same outer
//! faces, so one index follows from the other by proportion along each axis.

use hilum_volume::{Geometry, Volume};
use rayon::prelude::*;

/// Spacing of the working grid along every axis; an axis that is coarser in the scan keeps its spacing.
const SPACING_MM: f64 = 1.5;

/// Scanners pad outside the field of view with values down to −3024; nothing in a patient is less dense than air.
const AIR_HU: i16 = -1024;

/// The grid with the outer faces of `geometry` and voxels of about [`SPACING_MM`].
pub(crate) fn geometry_for(geometry: &Geometry) -> Geometry {
    let shape = std::array::from_fn(|a| {
        let extent = geometry.spacing_mm()[a] * geometry.shape()[a] as f64;
        let spacing = geometry.spacing_mm()[a].max(SPACING_MM);
        ((extent / spacing).round() as usize).clamp(1, geometry.shape()[a])
    });
    geometry.with_shape(shape).expect("a coarser version of a valid grid is valid")
}

/// The mean HU of the scan within each voxel of the coarser grid `onto`, which has the same outer faces.
///
/// Works slice by slice; values below that of air are taken as air.
pub(crate) fn average(ct: &Volume<i16>, onto: &Geometry) -> Volume<i16> {
    let [slices, rows, columns] = onto.shape();
    let source = ct.shape();
    let [by_slice, by_row, by_column] = std::array::from_fn(|a| Shares::new(source[a], onto.shape()[a]));
    let mut data = vec![0i16; onto.len()];
    data.par_chunks_mut(rows * columns).enumerate().for_each(|(s, out)| {
        let mut sum = vec![0f32; rows * columns];
        let mut line = vec![0f32; columns];
        for (source_slice, slice_share) in by_slice.of(s) {
            let plane = ct.slice(source_slice);
            for r in 0..rows {
                for (source_row, row_share) in by_row.of(r) {
                    let from = &plane[source_row * source[2]..(source_row + 1) * source[2]];
                    let share = slice_share * row_share;
                    for (c, value) in line.iter_mut().enumerate() {
                        *value = by_column.of(c).map(|(i, w)| w * f32::from(from[i].max(AIR_HU))).sum();
                    }
                    for (total, value) in sum[r * columns..(r + 1) * columns].iter_mut().zip(&line) {
                        *total += share * value;
                    }
                }
            }
        }
        for (o, v) in out.iter_mut().zip(&sum) {
            *o = v.round() as i16;
        }
    });
    debug_assert_eq!(data.len(), slices * rows * columns);
    Volume::new(onto.clone(), data).expect("one value per voxel")
}

/// How much of each fine sample falls into each coarse one along one axis; the shares of a coarse sample sum to 1.
struct Shares {
    first: Vec<usize>,
    shares: Vec<Vec<f32>>,
}

impl Shares {
    fn new(fine: usize, coarse: usize) -> Self {
        let ratio = fine as f64 / coarse as f64;
        let mut first = Vec::with_capacity(coarse);
        let mut shares = Vec::with_capacity(coarse);
        for i in 0..coarse {
            let (from, to) = (i as f64 * ratio, (i + 1) as f64 * ratio);
            let start = (from + 1e-9).floor() as usize;
            let end = ((to - 1e-9).ceil() as usize).min(fine);
            first.push(start);
            let part = |k: usize| (to.min((k + 1) as f64) - from.max(k as f64)).max(0.0) / ratio;
            shares.push((start..end).map(|k| part(k) as f32).collect());
        }
        Self { first, shares }
    }

    fn of(&self, coarse: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let first = self.first[coarse];
        self.shares[coarse].iter().enumerate().map(move |(k, w)| (first + k, *w))
    }
}

/// For each fine index the coarse index below its centre and the weight of the next one; the border is repeated.
pub(crate) fn interpolation(fine: usize, coarse: usize) -> Vec<(usize, f32)> {
    let ratio = coarse as f64 / fine as f64;
    (0..fine)
        .map(|i| {
            let at = ((i as f64 + 0.5) * ratio - 0.5).clamp(0.0, (coarse - 1) as f64);
            let below = (at.floor() as usize).min(coarse.saturating_sub(2));
            (below, (at - below as f64) as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_volume::PatientPoint;

    #[test]
    fn averaging_keeps_extent_and_mean() {
        let fine = Geometry::axial([7, 10, 13], PatientPoint([3.0, -2.0, 5.0]), [0.9, 0.7, 0.8]).unwrap();
        let coarse = geometry_for(&fine);
        assert_eq!(coarse.shape(), [4, 5, 7]);
        let values: Vec<i16> = (0..fine.len()).map(|i| (i % 11) as i16 * 100 - 500).collect();
        let mean = |v: &[i16]| v.iter().map(|x| f64::from(*x)).sum::<f64>() / v.len() as f64;
        let ct = Volume::new(fine, values).unwrap();
        let small = average(&ct, &coarse);
        assert!((mean(ct.data()) - mean(small.data())).abs() < 0.5);
    }

    #[test]
    fn padding_is_air() {
        let grid = Geometry::axial([2, 2, 2], PatientPoint([0.0; 3]), [2.0; 3]).unwrap();
        let ct = Volume::filled(grid.clone(), -3024);
        assert!(average(&ct, &geometry_for(&grid)).data().iter().all(|v| *v == -1024));
    }

    #[test]
    fn interpolation_reproduces_a_ramp() {
        for (i, (below, next)) in interpolation(30, 12).into_iter().enumerate() {
            let expected = ((i as f32 + 0.5) * 0.4 - 0.5).clamp(0.0, 11.0);
            assert!((below as f32 + next - expected).abs() < 1e-5, "{i}");
        }
    }
}
