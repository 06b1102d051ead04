//! Growing and shrinking masks by balls of a radius in millimetres.
//!
//! Balls are exact on any spacing because they come from the distance transform. Space outside the grid is unknown: it
//! neither grows into the mask nor erodes it, so that opening never adds and closing never removes a voxel.

use crate::distance::squared_distance_where;
use crate::extent::{crop_mask, grown, true_extent};
use hilum_volume::{Mask, Volume};
use rayon::prelude::*;

/// Slack for voxels that lie on the surface of the ball but for rounding.
const TOLERANCE: f64 = 1e-5;

/// Every voxel whose centre is within `radius_mm` of a true voxel's centre.
#[must_use]
pub fn dilate(mask: &Mask, radius_mm: f64) -> Mask {
    let shape = mask.shape();
    let Some(extent) = true_extent(mask) else { return mask.clone() };
    let steps = mask.geometry().spacing_mm().map(|s| (radius_mm / s + TOLERANCE).floor().max(0.0) as usize);
    if steps == [0; 3] {
        return mask.clone();
    }
    let extent = grown(extent, steps, shape);
    let part = crop_mask(mask, extent);
    let distance = squared_distance_where(&part, true);
    let limit = squared(radius_mm);
    paste(mask, extent, &distance, |d| d <= limit)
}

/// Every true voxel with no false voxel's centre within `radius_mm` of its own.
#[must_use]
pub fn erode(mask: &Mask, radius_mm: f64) -> Mask {
    let shape = mask.shape();
    let Some(extent) = true_extent(mask) else { return mask.clone() };
    let extent = grown(extent, [1; 3], shape); // the nearest false voxel lies in the box or just around it
    let part = crop_mask(mask, extent);
    let distance = squared_distance_where(&part, false);
    let limit = squared(radius_mm).max(0.0);
    paste(mask, extent, &distance, |d| d > limit)
}

/// Erosion, then dilation: removes what is thinner than the ball, keeps the rest nearly as it is.
#[must_use]
pub fn open(mask: &Mask, radius_mm: f64) -> Mask {
    dilate(&erode(mask, radius_mm), radius_mm)
}

/// Dilation, then erosion: fills gaps and notches narrower than the ball.
#[must_use]
pub fn close(mask: &Mask, radius_mm: f64) -> Mask {
    erode(&dilate(mask, radius_mm), radius_mm)
}

fn squared(radius_mm: f64) -> f32 {
    (radius_mm * radius_mm * (1.0 + TOLERANCE)) as f32
}

/// The thresholded distances of a box, in an otherwise false mask of the whole grid.
fn paste(like: &Mask, extent: [[usize; 2]; 3], distance: &Volume<f32>, inside: impl Fn(f32) -> bool + Sync) -> Mask {
    let [_, rows, columns] = like.shape();
    let [slices, box_rows, box_columns] = extent;
    let width = box_columns[1] - box_columns[0];
    let mut result = Mask::filled(like.geometry().clone(), false);
    let first = slices[0] * rows * columns;
    let last = slices[1] * rows * columns;
    result.data_mut()[first..last].par_chunks_mut(rows * columns).enumerate().for_each(|(s, plane)| {
        for (r, line) in distance.slice(s).chunks(width).enumerate() {
            let at = (box_rows[0] + r) * columns + box_columns[0];
            for (o, d) in plane[at..at + width].iter_mut().zip(line) {
                *o = inside(*d);
            }
        }
    });
    result
}
