//! Rings about the axis of rotation, as faulty detector elements leave them.

use hilum_volume::Volume;
use rayon::prelude::*;

use crate::lungs::{LEFT, RIGHT};

/// Slices that are looked at, at most.
const SLICES: usize = 16;
/// Every so many rows are looked at.
const ROW_STEP: usize = 2;
/// Distance between the two pixels of a pair along the radius.
const PAIR_MM: f64 = 2.0;
/// A pair that differs by more is an edge and counts as this.
const DIFFERENCE_MAX_HU: f32 = 150.0;
/// What is less dense outside the lungs is air, not tissue.
const TISSUE_FROM_HU: i16 = -500;
/// Radii that are compared with their neighbours, to both sides: what changes more slowly is anatomy.
const NEIGHBOURS: usize = 4;
/// Nearer to the middle a circle has too few pixels.
const RADIUS_MIN_MM: f64 = 15.0;
/// Pairs a radius must have to count.
const PAIRS_MIN: u32 = 60;

/// The share of the variance between pixels 2 mm apart along the radius that the radius alone explains, median of slices: 0
/// without rings, towards 1 where there is nothing else. `None` without enough tissue.
///
/// The axis of rotation is taken to run through the middle of the picture, as it does unless the field of view was moved: rings
/// about another place are not seen.
pub(crate) fn measure(ct: &Volume<i16>, labels: &Volume<u8>) -> Option<f64> {
    let [slices, rows, columns] = ct.shape();
    let middle = [0.5 * rows as f64, 0.5 * columns as f64];
    let chosen: Vec<usize> = (0..slices).step_by(slices.div_ceil(SLICES)).collect();
    let mut shares: Vec<f64> =
        chosen.into_par_iter().filter_map(|slice| explained(ct, labels, slice, middle)).collect();
    shares.sort_by(f64::total_cmp);
    shares.get(shares.len() / 2).copied()
}

/// The share of one slice about one centre (row, column).
fn explained(ct: &Volume<i16>, labels: &Volume<u8>, slice: usize, centre: [f64; 2]) -> Option<f64> {
    let [_, rows, columns] = ct.shape();
    let [_, row_mm, column_mm] = ct.geometry().spacing_mm();
    let (hu, label) = (ct.slice(slice), labels.slice(slice));
    let bin_mm = row_mm.max(column_mm);
    let bins = (((rows as f64 * row_mm).hypot(columns as f64 * column_mm)) / bin_mm) as usize + 1;
    let (mut sums, mut counts) = (vec![0f32; bins], vec![0u32; bins]);
    let mut square = 0f64;
    let is_lung = |at: usize| matches!(label[at], RIGHT | LEFT);
    for row in (0..rows).step_by(ROW_STEP) {
        let y = (row as f64 - centre[0]) * row_mm;
        for column in 0..columns {
            let at = row * columns + column;
            let lung = is_lung(at);
            if !lung && hu[at] < TISSUE_FROM_HU {
                continue;
            }
            let x = (column as f64 - centre[1]) * column_mm;
            let radius = x.hypot(y);
            if radius < RADIUS_MIN_MM {
                continue;
            }
            let (r, c) = (
                (row as f64 + PAIR_MM * y / radius / row_mm).round(),
                (column as f64 + PAIR_MM * x / radius / column_mm).round(),
            );
            if r < 0.0 || c < 0.0 || r >= rows as f64 || c >= columns as f64 {
                continue;
            }
            let other = r as usize * columns + c as usize;
            if lung != is_lung(other) || (!lung && hu[other] < TISSUE_FROM_HU) {
                continue;
            }
            let difference = (f32::from(hu[other]) - f32::from(hu[at])).clamp(-DIFFERENCE_MAX_HU, DIFFERENCE_MAX_HU);
            let bin = (radius / bin_mm) as usize;
            sums[bin] += difference;
            counts[bin] += 1;
            square += f64::from(difference).powi(2);
        }
    }
    let used: Vec<(f64, f64)> = sums
        .iter()
        .zip(&counts)
        .filter(|(_, count)| **count >= PAIRS_MIN)
        .map(|(sum, count)| (f64::from(*sum) / f64::from(*count), f64::from(*count)))
        .collect();
    let pairs: f64 = counts.iter().map(|count| f64::from(*count)).sum();
    if used.len() < 8 * NEIGHBOURS || square == 0.0 {
        return None;
    }
    let mut by_radius = 0.0;
    for (i, (mean, count)) in used.iter().enumerate() {
        let near = &used[i.saturating_sub(NEIGHBOURS)..(i + NEIGHBOURS + 1).min(used.len())];
        let about = near.iter().map(|(mean, _)| mean).sum::<f64>() / near.len() as f64;
        by_radius += count * (mean - about).powi(2);
    }
    // What chance alone explains.
    let chance = used.len() as f64 / pairs;
    Some((by_radius / square - chance).max(0.0))
}
