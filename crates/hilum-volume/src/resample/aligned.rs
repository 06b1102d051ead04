//! Labels and masks between grids with parallel axes: where each index lies is looked up once per axis.

use super::{SLACK, majority, nearest_index};
use crate::{AxisOrder, Geometry, Volume};
use rayon::prelude::*;
use std::borrow::Cow;

/// Where a target index lies on one axis of the source.
#[derive(Clone, Copy)]
struct Place {
    nearest: usize,
    low: usize,
    high: usize,
    /// Weight of `high`.
    share: f32,
}

/// The volume with its axes in the order and direction of the target's.
pub(super) fn ordered<T: Copy + Send + Sync>(volume: &Volume<T>, order: AxisOrder) -> Cow<'_, Volume<T>> {
    if order == AxisOrder::IDENTITY { Cow::Borrowed(volume) } else { Cow::Owned(volume.reordered(order)) }
}

pub(super) fn nearest<T: Copy + Send + Sync>(volume: &Volume<T>, onto: &Geometry, outside: T) -> Volume<T> {
    by_lines(volume, onto, outside, |lines, columns, _, out| {
        let line = lines[0];
        for (o, place) in out.iter_mut().zip(columns) {
            if let Some(place) = place {
                *o = line[place.nearest];
            }
        }
    })
}

pub(super) fn by_majority<T: Copy + Ord + Send + Sync>(volume: &Volume<T>, onto: &Geometry, outside: T) -> Volume<T> {
    by_lines(volume, onto, outside, |lines, columns, [slice, row], out| {
        let around = &lines[1..];
        let only = around[0][0];
        let uniform = around.iter().all(|line| line.iter().all(|v| *v == only));
        for (o, place) in out.iter_mut().zip(columns) {
            let Some(place) = place else { continue };
            *o = if uniform {
                only
            } else {
                majority([slice, row, place.share], |bits| {
                    around[bits & 3][if bits & 4 == 0 { place.low } else { place.high }]
                })
            };
        }
    })
}

/// Calls `fill` for every line of the target inside the source, with the source lines it needs — the nearest, then the
/// four around (lower and upper slice, lower and upper row) —, the places of its columns and the weights of upper slice and
/// upper row.
fn by_lines<T: Copy + Send + Sync>(
    volume: &Volume<T>,
    onto: &Geometry,
    outside: T,
    fill: impl Fn([&[T]; 5], &[Option<Place>], [f32; 2], &mut [T]) + Sync,
) -> Volume<T> {
    let [slices, rows, columns] = places(volume.geometry(), onto);
    let source = volume.shape();
    let line = |s: usize, r: usize| {
        let at = (s * source[1] + r) * source[2];
        &volume.data()[at..at + source[2]]
    };
    let mut data = vec![outside; onto.len()];
    data.par_chunks_mut(columns.len()).enumerate().for_each(|(at, out)| {
        if let (Some(s), Some(r)) = (slices[at / rows.len()], rows[at % rows.len()]) {
            let lines = [
                line(s.nearest, r.nearest),
                line(s.low, r.low),
                line(s.high, r.low),
                line(s.low, r.high),
                line(s.high, r.high),
            ];
            fill(lines, &columns, [s.share, r.share], out);
        }
    });
    Volume::new(onto.clone(), data).expect("one value per voxel")
}

/// For every axis the places of the target's indices; `None` beyond the source's outer faces.
fn places(from: &Geometry, onto: &Geometry) -> [Vec<Option<Place>>; 3] {
    let origin = from.voxel_from_patient(onto.origin()).0;
    std::array::from_fn(|a| {
        let n = from.shape()[a];
        let step = onto.spacing_mm()[a] / from.spacing_mm()[a];
        let place = |i: usize| {
            let at = origin[a] + step * i as f64;
            let p = at.clamp(0.0, (n - 1) as f64);
            let low = p as usize;
            (at >= -0.5 - SLACK && at <= n as f64 - 0.5 + SLACK).then(|| Place {
                nearest: nearest_index(n, at),
                low,
                high: (low + 1).min(n - 1),
                share: (p - low as f64) as f32,
            })
        };
        (0..onto.shape()[a]).map(place).collect()
    })
}
