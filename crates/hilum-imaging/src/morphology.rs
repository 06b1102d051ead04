//! Growing and shrinking masks by balls of a radius in millimetres.
//!
//! Balls are exact on any spacing because they come from the distance transform. Space outside the grid is unknown: it
//! neither grows into the mask nor erodes it, so that opening never adds and closing never removes a voxel.

use crate::distance::squared_distance_where;
use crate::extent::{crop_mask, grown, true_extent};
use crate::stack::{along_rows, along_slices};
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

/// Dilation by a box of `steps` voxels to both sides along slice, row and column: cheaper than a ball, and not in mm.
#[must_use]
pub fn dilate_box(mask: &Mask, steps: [usize; 3]) -> Mask {
    let mut result = mask.clone();
    let shape = mask.shape();
    let data = result.data_mut();
    if steps[2] > 0 {
        data.par_chunks_mut(shape[2]).for_each(|line| widen_line(line, steps[2]));
    }
    if steps[1] > 0 {
        along_rows(data, shape, |stack| widen_stack(stack, steps[1]));
    }
    if steps[0] > 0 {
        along_slices(data, shape, |stack| widen_stack(stack, steps[0]));
    }
    result
}

/// Erosion by a box of `steps` voxels to both sides along slice, row and column; the grid's border does not erode.
#[must_use]
pub fn erode_box(mask: &Mask, steps: [usize; 3]) -> Mask {
    complement(dilate_box(&complement(mask.clone()), steps))
}

/// Dilation by one voxel along each axis (a cross: the six neighbours that share a face), `times` over.
#[must_use]
pub fn dilate_cross(mask: &Mask, times: usize) -> Mask {
    (0..times).fold(mask.clone(), |mask, _| {
        let arms = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map(|steps| dilate_box(&mask, steps));
        let mut result = mask;
        result.data_mut().par_iter_mut().enumerate().for_each(|(at, v)| *v |= arms.iter().any(|a| a.data()[at]));
        result
    })
}

/// Erosion by one voxel along each axis, `times` over; the grid's border does not erode.
#[must_use]
pub fn erode_cross(mask: &Mask, times: usize) -> Mask {
    complement(dilate_cross(&complement(mask.clone()), times))
}

fn complement(mut mask: Mask) -> Mask {
    mask.data_mut().par_iter_mut().for_each(|v| *v = !*v);
    mask
}

/// True within `reach` of a true voxel of the line.
fn widen_line(line: &mut [bool], reach: usize) {
    let mut left = 0; // voxels still to be set after a true one
    let mut reached = line.to_vec();
    for (r, v) in reached.iter_mut().zip(line.iter()) {
        left = if *v { reach + 1 } else { left };
        *r = left > 0;
        left = left.saturating_sub(1);
    }
    left = 0;
    for (r, v) in reached.iter_mut().zip(line.iter()).rev() {
        left = if *v { reach + 1 } else { left };
        *r |= left > 0;
        left = left.saturating_sub(1);
    }
    line.copy_from_slice(&reached);
}

/// True where any of the rows up to `reach` before or after is.
fn widen_stack(stack: &mut [&mut [bool]], reach: usize) {
    let columns = stack[0].len();
    let copy: Vec<bool> = stack.iter().flat_map(|row| row.iter().copied()).collect();
    for (at, row) in stack.iter_mut().enumerate() {
        let beyond = (at + reach + 1).min(copy.len() / columns);
        for other in copy[at.saturating_sub(reach) * columns..beyond * columns].chunks(columns) {
            row.iter_mut().zip(other).for_each(|(r, o)| *r |= *o);
        }
    }
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
