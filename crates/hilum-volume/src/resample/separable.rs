//! Resampling between grids with parallel axes: one axis after the other, slice by slice of the target.

use super::{Intensity, Interpolation, SLACK, nearest_index};
use crate::{Geometry, Volume};
use rayon::prelude::*;

/// Where one target index takes its values from along one axis.
struct Taps {
    /// First source index.
    first: usize,
    /// Weights of the source indices from `first` on; they sum to one. Empty if the target lies outside.
    weights: Vec<f32>,
}

/// `volume` onto a grid whose axes run along its own, in the same order and direction.
pub(super) fn resample<T: Intensity>(
    volume: &Volume<T>,
    onto: &Geometry,
    interpolation: Interpolation,
    outside: T,
) -> Volume<T> {
    let origin = volume.geometry().voxel_from_patient(onto.origin()).0;
    let taps: [Vec<Taps>; 3] = std::array::from_fn(|a| {
        let step = onto.spacing_mm()[a] / volume.geometry().spacing_mm()[a];
        let n = volume.shape()[a];
        (0..onto.shape()[a]).map(|i| Taps::at(origin[a] + step * i as f64, step, n, interpolation)).collect()
    });
    let [_, rows, columns] = onto.shape();
    let [_, source_rows, source_columns] = volume.shape();
    let mut data = vec![outside; onto.len()];
    let scratch = || (vec![0.0_f32; source_rows * source_columns], vec![0.0_f32; source_columns]);
    data.par_chunks_mut(rows * columns).enumerate().for_each_init(scratch, |(plane, line), (s, out)| {
        let Taps { first, weights } = &taps[0][s];
        if weights.is_empty() {
            return;
        }
        plane.fill(0.0);
        for (k, weight) in weights.iter().enumerate() {
            for (p, v) in plane.iter_mut().zip(volume.slice(first + k)) {
                *p += weight * v.to_f32();
            }
        }
        for (row, out) in taps[1].iter().zip(out.chunks_mut(columns)).filter(|(row, _)| !row.weights.is_empty()) {
            line.fill(0.0);
            for (k, weight) in row.weights.iter().enumerate() {
                let source = &plane[(row.first + k) * source_columns..(row.first + k + 1) * source_columns];
                for (l, v) in line.iter_mut().zip(source) {
                    *l += weight * v;
                }
            }
            for (column, out) in taps[2].iter().zip(out).filter(|(column, _)| !column.weights.is_empty()) {
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
