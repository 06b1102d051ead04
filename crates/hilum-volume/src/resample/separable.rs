//! Resampling between grids with parallel rows and columns: one axis after the other, slice by slice of the target.

use super::{Intensity, Interpolation, SLACK, Steps, nearest_index};
use crate::{Geometry, Volume};
use rayon::prelude::*;

/// Where one target index takes its values from along one axis.
struct Taps {
    /// First source index.
    first: usize,
    /// Weights of the source indices from `first` on; they sum to one. Empty if the target lies outside.
    weights: Vec<f32>,
}

/// Shift per slice, in voxels, below which slices count as upright.
const NO_LEAN: f64 = 1e-9;

/// `volume` onto a grid whose rows and columns run along its own, in the same order and direction. The slice axes may
/// differ: then every slice of the target lies shifted within the source's planes.
pub(super) fn resample<T: Intensity>(
    volume: &Volume<T>,
    onto: &Geometry,
    interpolation: Interpolation,
    outside: T,
) -> Volume<T> {
    let Steps { origin, by } = Steps::between(volume.geometry(), onto);
    let taps_along = |a: usize, shift: f64| -> Vec<Taps> {
        let at = |i: usize| origin[a] + shift + by[a][a] * i as f64;
        (0..onto.shape()[a]).map(|i| Taps::at(at(i), by[a][a], volume.shape()[a], interpolation)).collect()
    };
    let upright = [taps_along(0, 0.0), taps_along(1, 0.0), taps_along(2, 0.0)];
    let leans = by[0][1].abs() > NO_LEAN || by[0][2].abs() > NO_LEAN;
    let [_, rows, columns] = onto.shape();
    let [_, source_rows, source_columns] = volume.shape();
    let mut data = vec![outside; onto.len()];
    let scratch = || (vec![0.0_f32; source_rows * source_columns], vec![0.0_f32; source_columns]);
    data.par_chunks_mut(rows * columns).enumerate().for_each_init(scratch, |(plane, line), (s, out)| {
        let Taps { first, weights } = &upright[0][s];
        if weights.is_empty() {
            return;
        }
        let shifted = leans.then(|| [1, 2].map(|a| taps_along(a, by[0][a] * s as f64)));
        let [row_taps, column_taps] = shifted.as_ref().map_or([&upright[1], &upright[2]], |[r, c]| [r, c]);
        plane.fill(0.0);
        for (k, weight) in weights.iter().enumerate() {
            for (p, v) in plane.iter_mut().zip(volume.slice(first + k)) {
                *p += weight * v.to_f32();
            }
        }
        for (row, out) in row_taps.iter().zip(out.chunks_mut(columns)).filter(|(row, _)| !row.weights.is_empty()) {
            line.fill(0.0);
            for (k, weight) in row.weights.iter().enumerate() {
                let source = &plane[(row.first + k) * source_columns..(row.first + k + 1) * source_columns];
                for (l, v) in line.iter_mut().zip(source) {
                    *l += weight * v;
                }
            }
            for (column, out) in column_taps.iter().zip(out).filter(|(column, _)| !column.weights.is_empty()) {
                let source = &line[column.first..column.first + column.weights.len()];
                let value: f32 = column.weights.iter().zip(source).map(|(w, v)| w * v).sum();
                *out = T::from_f32(value);
            }
        }
    });
    Volume::new(onto.clone(), data).expect("one value per voxel")
}

impl Taps {
    /// For a target voxel centred at `at` and `width` long, in source voxels, on an axis of `n`.
    fn at(at: f64, width: f64, n: usize, interpolation: Interpolation) -> Self {
        let last = n as f64 - 0.5;
        let inside = at >= -0.5 - SLACK && at <= last + SLACK;
        match interpolation {
            Interpolation::Nearest if inside => Self { first: nearest_index(n, at), weights: vec![1.0] },
            Interpolation::Linear if inside => {
                let p = at.clamp(0.0, (n - 1) as f64);
                let (first, share) = (p as usize, p.fract());
                match share {
                    // On a centre (but for rounding) the neighbour is left out, so that its NaN cannot spread.
                    s if s < 1e-9 => Self { first, weights: vec![1.0] },
                    s if s > 1.0 - 1e-9 => Self { first: first + 1, weights: vec![1.0] },
                    s => Self { first, weights: vec![(1.0 - s) as f32, s as f32] },
                }
            }
            Interpolation::Area => Self::covering((at - 0.5 * width).max(-0.5), (at + 0.5 * width).min(last), n),
            Interpolation::Nearest | Interpolation::Linear => Self { first: 0, weights: Vec::new() },
        }
    }

    /// Source voxels by the length of them between two positions.
    fn covering(from: f64, to: f64, n: usize) -> Self {
        if to - from <= SLACK {
            return Self { first: 0, weights: Vec::new() };
        }
        let first = nearest_index(n, from);
        let last = ((to + 0.5 - SLACK).max(0.0) as usize).clamp(first, n - 1);
        let length = |i: usize| (to.min(i as f64 + 0.5) - from.max(i as f64 - 0.5)).max(0.0);
        let total: f64 = (first..=last).map(length).sum();
        Self { first, weights: (first..=last).map(|i| (length(i) / total) as f32).collect() }
    }
}
