//! Smoothing filters: Gaussian, box mean, median.
//!
//! Widths are in millimetres along each axis of the grid. At the border the outermost voxels are repeated outward.

mod median;

pub use median::median3;

use crate::stack::{along_rows, along_slices};
use hilum_volume::{Mask, Volume};
use rayon::prelude::*;

/// Where the Gaussian is cut off, in sigmas; beyond lie 6 × 10⁻⁵ of its weight.
const TRUNCATE_SIGMAS: f64 = 4.0;

/// Convolution with a Gaussian of standard deviation `sigma_mm` along every axis.
///
/// The kernel is sampled at the voxels' centres, cut off at four sigmas and normalised, so constants stay constant. Along
/// an axis with one voxel, or a `sigma_mm` of 0, nothing changes. NaN spreads to its neighbourhood.
///
/// # Panics
/// If `sigma_mm` is negative or not finite.
#[must_use]
pub fn gaussian(volume: &Volume<f32>, sigma_mm: f64) -> Volume<f32> {
    let mut result = volume.clone();
    gaussian_in_place(&mut result, sigma_mm);
    result
}

/// [`gaussian`] without a second volume.
///
/// # Panics
/// If `sigma_mm` is negative or not finite.
pub fn gaussian_in_place(volume: &mut Volume<f32>, sigma_mm: f64) {
    assert!(sigma_mm.is_finite() && sigma_mm >= 0.0, "a standard deviation is not negative");
    let shape = volume.shape();
    let [slices, rows, columns] = volume.geometry().spacing_mm().map(|spacing_mm| half_gaussian(sigma_mm / spacing_mm));
    let data = volume.data_mut();
    if columns.len() > 1 && shape[2] > 1 {
        data.par_chunks_mut(shape[2]).for_each_init(Vec::new, |padded, line| convolve_line(line, &columns, padded));
    }
    if rows.len() > 1 && shape[1] > 1 {
        along_rows(data, shape, |stack| convolve_stack(stack, &rows));
    }
    if slices.len() > 1 && shape[0] > 1 {
        along_slices(data, shape, |stack| convolve_stack(stack, &slices));
    }
}

/// Mean within the mask of the values within `sigma_mm`, Gaussian-weighted (normalised convolution, Knutsson and Westin
/// 1993, DOI 10.1109/CVPR.1993.341081). Voxels outside the mask neither contribute nor, in the result, hold anything but 0.
///
/// # Panics
/// If the shapes differ or `sigma_mm` is negative or not finite.
#[must_use]
pub fn gaussian_within(volume: &Volume<f32>, mask: &Mask, sigma_mm: f64) -> Volume<f32> {
    normalised(volume, mask, |v| gaussian_in_place(v, sigma_mm))
}

/// Mean over the box of all voxels whose centres lie within `half_width_mm` along each axis.
///
/// The box has an odd number of voxels per axis; the border is repeated outward. Cost does not depend on the width.
///
/// # Panics
/// If `half_width_mm` is negative or not finite.
#[must_use]
pub fn box_mean(volume: &Volume<f32>, half_width_mm: f64) -> Volume<f32> {
    let mut result = volume.clone();
    box_mean_in_place(&mut result, half_width_mm);
    result
}

/// [`box_mean`] of the values inside the mask alone; 0 outside the mask.
///
/// # Panics
/// If the shapes differ or `half_width_mm` is negative or not finite.
#[must_use]
pub fn box_mean_within(volume: &Volume<f32>, mask: &Mask, half_width_mm: f64) -> Volume<f32> {
    normalised(volume, mask, |v| box_mean_in_place(v, half_width_mm))
}

fn box_mean_in_place(volume: &mut Volume<f32>, half_width_mm: f64) {
    assert!(half_width_mm.is_finite() && half_width_mm >= 0.0, "a half width is not negative");
    let shape = volume.shape();
    let steps = volume.geometry().spacing_mm().map(|s| (half_width_mm / s + 1e-6).floor() as usize);
    let data = volume.data_mut();
    if steps[2] > 0 && shape[2] > 1 {
        data.par_chunks_mut(shape[2]).for_each_init(Vec::new, |copy, line| box_line(line, steps[2], copy));
    }
    if steps[1] > 0 && shape[1] > 1 {
        along_rows(data, shape, |stack| box_stack(stack, steps[1]));
    }
    if steps[0] > 0 && shape[0] > 1 {
        along_slices(data, shape, |stack| box_stack(stack, steps[0]));
    }
}

/// `smooth(volume · mask) / smooth(mask)` inside the mask.
fn normalised(volume: &Volume<f32>, mask: &Mask, smooth: impl Fn(&mut Volume<f32>)) -> Volume<f32> {
    assert_eq!(volume.shape(), mask.shape(), "volume and mask lie on one grid");
    let mut sum = volume.clone();
    sum.data_mut().par_iter_mut().zip(mask.data()).for_each(|(v, m)| {
        if !*m {
            *v = 0.0;
        }
    });
    let weights = mask.data().par_iter().map(|m| f32::from(u8::from(*m))).collect();
    let mut weight = Volume::new(mask.geometry().clone(), weights).expect("one weight per voxel");
    smooth(&mut sum);
    smooth(&mut weight);
    sum.data_mut().par_iter_mut().zip(weight.data().par_iter()).zip(mask.data()).for_each(|((v, w), m)| {
        *v = if *m && *w > 0.0 { *v / *w } else { 0.0 };
    });
    sum
}

/// Centre and one side of a normalised Gaussian; `[1]` if it is narrower than can be sampled.
fn half_gaussian(sigma_voxels: f64) -> Vec<f32> {
    let reach = (TRUNCATE_SIGMAS * sigma_voxels + 0.5) as usize;
    if reach == 0 {
        return vec![1.0];
    }
    let weight = |k: usize| (-0.5 * (k as f64 / sigma_voxels).powi(2)).exp();
    let sum = 1.0 + 2.0 * (1..=reach).map(weight).sum::<f64>();
    (0..=reach).map(|k| (weight(k) / sum) as f32).collect()
}

fn convolve_line(line: &mut [f32], half: &[f32], padded: &mut Vec<f32>) {
    let reach = half.len() - 1;
    padded.clear();
    padded.extend(std::iter::repeat_n(line[0], reach));
    padded.extend_from_slice(line);
    padded.extend(std::iter::repeat_n(line[line.len() - 1], reach));
    let n = line.len();
    line.iter_mut().for_each(|v| *v *= half[0]);
    for k in 1..=reach {
        let (left, right) = (&padded[reach - k..reach - k + n], &padded[reach + k..reach + k + n]);
        for ((v, l), r) in line.iter_mut().zip(left).zip(right) {
            *v += half[k] * (l + r);
        }
    }
}

/// Columns worked on together: a block of the stack fits the cache.
const BLOCK: usize = 64;

/// Calls `work` for blocks of columns with a copy of the block (`[row][column of block]`) to read and the rows to write.
fn by_blocks(stack: &mut [&mut [f32]], mut work: impl FnMut(&[f32], usize, &mut [&mut [f32]])) {
    let columns = stack[0].len();
    let mut copy = Vec::with_capacity(BLOCK * stack.len());
    for first in (0..columns).step_by(BLOCK) {
        let width = BLOCK.min(columns - first);
        copy.clear();
        for row in stack.iter() {
            copy.extend_from_slice(&row[first..first + width]);
        }
        let mut out: Vec<&mut [f32]> = stack.iter_mut().map(|row| &mut row[first..first + width]).collect();
        work(&copy, width, &mut out);
    }
}

fn convolve_stack(stack: &mut [&mut [f32]], half: &[f32]) {
    let last = stack.len() - 1;
    by_blocks(stack, |copy, width, out| {
        let row = |at: usize| &copy[at * width..(at + 1) * width];
        for (at, target) in out.iter_mut().enumerate() {
            for (v, centre) in target.iter_mut().zip(row(at)) {
                *v = half[0] * centre;
            }
            for (k, weight) in half.iter().enumerate().skip(1) {
                let (before, after) = (row(at.saturating_sub(k)), row((at + k).min(last)));
                for ((v, b), a) in target.iter_mut().zip(before).zip(after) {
                    *v += weight * (b + a);
                }
            }
        }
    });
}

fn box_line(line: &mut [f32], reach: usize, copy: &mut Vec<f32>) {
    let last = line.len() - 1;
    copy.clear();
    copy.extend_from_slice(line);
    let share = 1.0 / (2 * reach + 1) as f64;
    let mut sum = f64::from(copy[0]) * (reach + 1) as f64;
    sum += (1..=reach).map(|k| f64::from(copy[k.min(last)])).sum::<f64>();
    for (at, v) in line.iter_mut().enumerate() {
        *v = (sum * share) as f32;
        sum += f64::from(copy[(at + reach + 1).min(last)]) - f64::from(copy[at.saturating_sub(reach)]);
    }
}

fn box_stack(stack: &mut [&mut [f32]], reach: usize) {
    let last = stack.len() - 1;
    let share = 1.0 / (2 * reach + 1) as f64;
    by_blocks(stack, |copy, width, out| {
        let row = |at: usize| &copy[at * width..(at + 1) * width];
        let mut sums = [0.0_f64; BLOCK];
        for (sum, v) in sums.iter_mut().zip(row(0)) {
            *sum = f64::from(*v) * (reach + 1) as f64;
        }
        for k in 1..=reach {
            for (sum, v) in sums.iter_mut().zip(row(k.min(last))) {
                *sum += f64::from(*v);
            }
        }
        for (at, target) in out.iter_mut().enumerate() {
            let (enter, leave) = (row((at + reach + 1).min(last)), row(at.saturating_sub(reach)));
            for (((v, sum), e), l) in target.iter_mut().zip(&mut sums).zip(enter).zip(leave) {
                *v = (*sum * share) as f32;
                *sum += f64::from(*e) - f64::from(*l);
            }
        }
    });
}
