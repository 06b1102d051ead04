//! Exact Euclidean distance in millimetres on grids of any spacing.
//!
//! The squared distance transform is separable: along columns it is a two-way scan, along rows and slices the lower
//! envelope of parabolas (Felzenszwalb and Huttenlocher 2012, DOI 10.4086/toc.2012.v008a019). Distances are measured along
//! the grid's axes as if these stood at right angles; bring a sheared grid into an orthogonal one first.

use crate::stack::{along_rows, along_slices};
use hilum_volume::{Mask, Volume};
use rayon::prelude::*;

/// Squared distance, in mm², from each voxel's centre to that of the nearest true voxel; 0 inside the mask.
///
/// Infinite everywhere if no voxel is true. Space outside the grid counts as not true.
#[must_use]
pub fn squared_distance_mm2(mask: &Mask) -> Volume<f32> {
    squared_distance_where(mask, true)
}

/// Distance, in mm, from each voxel's centre to that of the nearest true voxel; see [`squared_distance_mm2`].
#[must_use]
pub fn distance_mm(mask: &Mask) -> Volume<f32> {
    let mut distance = squared_distance_mm2(mask);
    distance.data_mut().par_iter_mut().for_each(|d| *d = d.sqrt());
    distance
}

/// Distance to the surface of the mask, in mm: negative inside, positive outside.
///
/// Outside it is the distance to the nearest true voxel less half a voxel of the finest spacing, inside the negative of
/// the distance to the nearest false voxel less the same, so that it changes sign at the voxels' faces. Infinite (of
/// either sign) if the mask is empty or full.
#[must_use]
pub fn signed_distance_mm(mask: &Mask) -> Volume<f32> {
    let spacing_mm = mask.geometry().spacing_mm();
    let half = (0.5 * spacing_mm.iter().copied().fold(f64::INFINITY, f64::min)) as f32;
    let mut outside = squared_distance_where(mask, true);
    let inside = squared_distance_where(mask, false);
    outside.data_mut().par_iter_mut().zip(inside.data().par_iter()).for_each(|(o, i)| {
        *o = if *i > 0.0 { half - i.sqrt() } else { o.sqrt() - half };
    });
    outside
}

/// Squared distance to the nearest voxel whose value is `target`.
pub(crate) fn squared_distance_where(mask: &Mask, target: bool) -> Volume<f32> {
    let geometry = mask.geometry().clone();
    let shape = geometry.shape();
    let [slice_mm, row_mm, column_mm] = geometry.spacing_mm();
    let columns = shape[2];
    let mut data = vec![0.0_f32; geometry.len()];
    data.par_chunks_mut(columns)
        .zip(mask.data().par_chunks(columns))
        .for_each(|(out, line)| scan_line(line, target, column_mm, out));
    along_rows(&mut data, shape, |stack| envelope_of_stack(stack, row_mm));
    along_slices(&mut data, shape, |stack| envelope_of_stack(stack, slice_mm));
    Volume::new(geometry, data).expect("one distance per voxel")
}

/// One-dimensional squared distances by a forward and a backward scan.
fn scan_line(line: &[bool], target: bool, spacing_mm: f64, out: &mut [f32]) {
    let mut last = None;
    for (at, value) in line.iter().enumerate() {
        if *value == target {
            last = Some(at);
        }
        out[at] = last.map_or(f32::INFINITY, |l| (at - l) as f32);
    }
    let mut next = None;
    for at in (0..line.len()).rev() {
        if line[at] == target {
            next = Some(at);
        }
        let steps = next.map_or(out[at], |n| out[at].min((n - at) as f32));
        out[at] = (f64::from(steps) * spacing_mm).powi(2) as f32;
    }
}

/// Columns handled together, so that strided reads use whole cache lines.
const BLOCK: usize = 16;

/// Replaces every line across the rows of `stack` by its lower envelope of parabolas.
fn envelope_of_stack(stack: &mut [&mut [f32]], spacing_mm: f64) {
    let n = stack.len();
    if n < 2 {
        return;
    }
    let columns = stack[0].len();
    let mut lines = vec![0.0_f32; BLOCK * n];
    let mut envelope = Envelope::new(n);
    for first in (0..columns).step_by(BLOCK) {
        let width = BLOCK.min(columns - first);
        for (at, row) in stack.iter().enumerate() {
            for c in 0..width {
                lines[c * n + at] = row[first + c];
            }
        }
        for line in lines[..width * n].chunks_mut(n) {
            envelope.apply(line, spacing_mm);
        }
        for (at, row) in stack.iter_mut().enumerate() {
            for c in 0..width {
                row[first + c] = lines[c * n + at];
            }
        }
    }
}

/// Working memory of the lower envelope of one line.
struct Envelope {
    /// Position of each parabola's lowest point.
    apex: Vec<usize>,
    /// Height of each parabola's lowest point.
    height: Vec<f64>,
    /// Position (in samples) from which each parabola is the lowest.
    from: Vec<f64>,
}

impl Envelope {
    fn new(n: usize) -> Self {
        Self { apex: Vec::with_capacity(n), height: Vec::with_capacity(n), from: Vec::with_capacity(n) }
    }

    fn apply(&mut self, line: &mut [f32], spacing_mm: f64) {
        if line.iter().all(|v| *v == 0.0) || line.iter().all(|v| v.is_infinite()) {
            return;
        }
        let unit = spacing_mm * spacing_mm;
        self.apex.clear();
        self.height.clear();
        self.from.clear();
        for (at, value) in line.iter().enumerate() {
            if value.is_infinite() {
                continue;
            }
            let height = f64::from(*value);
            let mut from = f64::NEG_INFINITY;
            while let (Some(&p), Some(&h), Some(&f)) = (self.apex.last(), self.height.last(), self.from.last()) {
                let (q, p) = (at as f64, p as f64);
                from = ((height - h) / unit + q * q - p * p) / (2.0 * (q - p));
                if from > f {
                    break;
                }
                self.apex.pop();
                self.height.pop();
                self.from.pop();
                from = f64::NEG_INFINITY;
            }
            self.apex.push(at);
            self.height.push(height);
            self.from.push(from);
        }
        let mut k = 0;
        for (at, value) in line.iter_mut().enumerate() {
            while k + 1 < self.from.len() && self.from[k + 1] < at as f64 {
                k += 1;
            }
            let steps = at as f64 - self.apex[k] as f64;
            *value = (steps * steps * unit + self.height[k]) as f32;
        }
    }
}
