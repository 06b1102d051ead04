//! What rays read: smooth fields of eight bits, and the blocks of the grid in which something can be seen.

use super::ray::Fog;
use crate::extent::{Bounds, grown, union};
use crate::filter::gaussian_in_place;
use hilum_volume::{Geometry, Interpolation, LabelMap, Volume};
use rayon::prelude::*;

/// The field is cut at one half: 255 stands for 1.
pub(super) const LEVEL: f32 = 127.5;

/// Values from 0 to 1 in a box of the scene's grid.
pub(super) struct Part {
    /// First index of the box along each axis.
    start: [usize; 3],
    values: Volume<f32>,
}

impl Part {
    pub(super) fn whole(values: Volume<f32>) -> Self {
        Self { start: [0; 3], values }
    }
}

/// For each set of labels the share of every scene voxel that they fill, in the box that holds them; `None` for sets that
/// do not occur. Each source voxel counts for the scene voxel that holds its centre.
pub(super) fn occupancies(labels: &LabelMap, sets: &[&[u8]], grid: &Geometry) -> Vec<Option<Part>> {
    let mut sets_of = [0_u32; 256];
    for (i, set) in sets.iter().enumerate() {
        set.iter().for_each(|label| sets_of[usize::from(*label)] |= 1 << i);
    }
    let source = labels.geometry().shape();
    let shape = grid.shape();
    let target =
        |a: usize| -> Vec<usize> { (0..source[a]).map(|i| (2 * i + 1) * shape[a] / (2 * source[a])).collect() };
    let (slices, rows, columns) = (target(0), target(1), target(2));
    let extents = slices
        .par_iter()
        .enumerate()
        .map(|(s, to_slice)| {
            let mut found: Vec<Option<Bounds>> = vec![None; sets.len()];
            for (r, line) in labels.labels().slice(s).chunks(source[2]).enumerate() {
                let mut span = [[usize::MAX, 0]; 32];
                let mut seen = 0_u32;
                for (c, label) in line.iter().enumerate().filter(|(_, l)| sets_of[usize::from(**l)] != 0) {
                    let mut bits = sets_of[usize::from(*label)];
                    seen |= bits;
                    while bits != 0 {
                        let i = bits.trailing_zeros() as usize;
                        span[i] = [span[i][0].min(c), c];
                        bits &= bits - 1;
                    }
                }
                for (i, found) in found.iter_mut().enumerate().filter(|(i, _)| seen >> i & 1 == 1) {
                    let row = rows[r];
                    let here =
                        [[*to_slice, to_slice + 1], [row, row + 1], [columns[span[i][0]], columns[span[i][1]] + 1]];
                    *found = Some(found.map_or(here, |f| union(f, here)));
                }
            }
            found
        })
        .reduce(
            || vec![None; sets.len()],
            |a, b| a.into_iter().zip(b).map(|(a, b)| a.zip(b).map(|(a, b)| union(a, b)).or(a).or(b)).collect(),
        );
    // How many source voxels a scene voxel holds, along each axis.
    let held = |of: &[usize], n: usize| -> Vec<f32> {
        let mut counts = vec![0.0; n];
        of.iter().for_each(|t| counts[*t] += 1.0);
        counts
    };
    let held = [held(&slices, shape[0]), held(&rows, shape[1]), held(&columns, shape[2])];
    let margin = 4; // room for the smoothing's tails
    extents
        .into_iter()
        .enumerate()
        .map(|(i, extent)| {
            let bounds = grown(extent?, [margin; 3], shape);
            let start = bounds.map(|b| b[0]);
            let size: [usize; 3] = std::array::from_fn(|a| bounds[a][1] - bounds[a][0]);
            let mut values = Volume::filled(grid.crop(start, size).expect("the box lies in the grid"), 0.0_f32);
            values.data_mut().par_chunks_mut(size[1] * size[2]).enumerate().for_each(|(ts, plane)| {
                for s in (0..source[0]).filter(|s| slices[*s] == start[0] + ts) {
                    for (r, line) in labels.labels().slice(s).chunks(source[2]).enumerate() {
                        let Some(tr) = rows[r].checked_sub(start[1]).filter(|r| *r < size[1]) else { continue };
                        for (c, _) in line.iter().enumerate().filter(|(_, l)| sets_of[usize::from(**l)] >> i & 1 == 1) {
                            plane[tr * size[2] + columns[c] - start[2]] += 1.0;
                        }
                    }
                }
                for (at, v) in plane.iter_mut().enumerate() {
                    let full =
                        held[0][start[0] + ts] * held[1][start[1] + at / size[2]] * held[2][start[2] + at % size[2]];
                    *v /= full;
                }
            });
            Some(Part { start, values })
        })
        .collect()
}

/// A volume on the scene's grid.
pub(super) fn downsampled(volume: &Volume<i16>, grid: &Geometry) -> Volume<i16> {
    if grid.shape() == volume.shape() { volume.clone() } else { volume.resample(grid, Interpolation::Area, i16::MIN) }
}

/// A smooth field in a box of the scene's grid, 0 outside.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Index of the field's first voxel on the scene's grid: a border of zeros surrounds the box, so −1 is possible.
    start: [i64; 3],
    shape: [usize; 3],
    data: Vec<u8>,
    /// The smallest box of the scene's grid that holds what is inside the surface.
    pub(super) seen: Bounds,
}

impl Field {
    /// `None` if nothing is left inside the surface after smoothing.
    pub(super) fn smoothed(mut part: Part, whole: [usize; 3], sigma_mm: f64) -> Option<Self> {
        gaussian_in_place(&mut part.values, sigma_mm);
        let size = part.values.shape();
        let shape = size.map(|n| n + 2);
        let mut data = vec![0_u8; shape.iter().product()];
        data.par_chunks_mut(shape[1] * shape[2]).enumerate().for_each(|(s, plane)| {
            if s == 0 || s == shape[0] - 1 {
                return;
            }
            for (r, line) in part.values.slice(s - 1).chunks(size[2]).enumerate() {
                let at = (r + 1) * shape[2] + 1;
                for (o, v) in plane[at..at + size[2]].iter_mut().zip(line) {
                    *o = (v * 255.0 + 0.5) as u8;
                }
            }
        });
        let inside = part.values.map(|v| v * 255.0 + 0.5 >= 128.0);
        let bounds = crate::extent::true_extent(&inside)?;
        let seen =
            std::array::from_fn(|a| [part.start[a] + bounds[a][0], (part.start[a] + bounds[a][1]).min(whole[a])]);
        Some(Self { start: part.start.map(|s| s as i64 - 1), shape, data, seen })
    }

    /// Linear interpolation at a position on the scene's grid, 0 to 255.
    #[inline]
    pub(super) fn at(&self, position: [f32; 3]) -> f32 {
        let mut low = [0_usize; 3];
        let mut share = [0.0_f32; 3];
        for a in 0..3 {
            let p = position[a] - self.start[a] as f32;
            if !(p >= 0.0 && p < (self.shape[a] - 1) as f32) {
                return 0.0;
            }
            low[a] = p as usize;
            share[a] = p - low[a] as f32;
        }
        let row = self.shape[2];
        let first = (low[0] * self.shape[1] + low[1]) * row + low[2];
        let slice = self.shape[1] * row;
        let line = |at: usize| {
            let (a, b) = (f32::from(self.data[at]), f32::from(self.data[at + 1]));
            a + share[2] * (b - a)
        };
        let face = |at: usize| {
            let (a, b) = (line(at), line(at + row));
            a + share[1] * (b - a)
        };
        let (a, b) = (face(first), face(first + slice));
        a + share[0] * (b - a)
    }

    /// Derivatives along slice, row and column, per voxel.
    pub(super) fn slope(&self, position: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|a| {
            let (mut before, mut after) = (position, position);
            before[a] -= 1.0;
            after[a] += 1.0;
            0.5 * (self.at(after) - self.at(before))
        })
    }
}

/// Side of a block in voxels.
const SIDE: usize = 4;

/// For each block of the grid, what can be seen in it: one bit per surface, the highest for the volume. A border of blocks
/// surrounds the grid, because surfaces that leave it are closed just outside.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    shape: [usize; 3],
    contents: Vec<u32>,
}

/// The volume's bit.
pub(super) const VOLUME: u32 = 1 << 31;

impl Blocks {
    pub(super) fn new(grid: [usize; 3]) -> Self {
        let shape = grid.map(|n| n.div_ceil(SIDE) + 2);
        Self { shape, contents: vec![0; shape.iter().product()] }
    }

    /// What can be seen at a position, and the block's lower faces.
    #[inline]
    pub(super) fn at(&self, position: [f32; 3]) -> (u32, [f32; 3]) {
        let mut index = [0_usize; 3];
        for a in 0..3 {
            // Block 0 is the border below the grid.
            let block = ((position[a] / SIDE as f32).floor() as i64 + 1).clamp(0, self.shape[a] as i64 - 1);
            index[a] = block as usize;
        }
        let contents = self.contents[(index[0] * self.shape[1] + index[1]) * self.shape[2] + index[2]];
        (contents, index.map(|i| (i as f32 - 1.0) * SIDE as f32))
    }

    /// Marks the blocks through which a surface runs.
    pub(super) fn mark_surface(&mut self, number: usize, field: &Field) {
        self.mark(1 << number, |from, to| {
            let (mut any_inside, mut any_outside) = (false, false);
            let mut local = [[0_usize; 2]; 3];
            for a in 0..3 {
                let (low, high) = (from[a] - field.start[a], to[a] - field.start[a]);
                any_outside |= low < 0 || high > field.shape[a] as i64;
                local[a] =
                    [low.clamp(0, field.shape[a] as i64) as usize, high.clamp(0, field.shape[a] as i64) as usize];
                if local[a][0] >= local[a][1] {
                    return false;
                }
            }
            for s in local[0][0]..local[0][1] {
                for r in local[1][0]..local[1][1] {
                    let line = (s * field.shape[1] + r) * field.shape[2];
                    for v in &field.data[line + local[2][0]..line + local[2][1]] {
                        any_inside |= *v >= 128;
                        any_outside |= *v < 128;
                    }
                }
            }
            any_inside && any_outside
        });
    }

    /// Marks the blocks in which the transfer function shows something.
    pub(super) fn mark_volume(&mut self, fog: &Fog) {
        let shape = fog.volume.shape();
        self.mark(VOLUME, |from, to| {
            let (mut low, mut high) = (i16::MAX, i16::MIN);
            let range = |a: usize| from[a].clamp(0, shape[a] as i64) as usize..to[a].clamp(0, shape[a] as i64) as usize;
            for s in range(0) {
                for r in range(1) {
                    let line = (s * shape[1] + r) * shape[2];
                    for v in &fog.volume.data()[line + range(2).start..line + range(2).end] {
                        low = low.min(*v);
                        high = high.max(*v);
                    }
                }
            }
            low <= high && fog.shows(low, high)
        });
    }

    /// Sets `bit` in the blocks for whose voxels, with a border of one, `seen` is true.
    fn mark(&mut self, bit: u32, seen: impl Fn([i64; 3], [i64; 3]) -> bool + Sync) {
        let shape = self.shape;
        self.contents.par_iter_mut().enumerate().for_each(|(i, contents)| {
            let block = [i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]];
            let from = block.map(|b| (b as i64 - 1) * SIDE as i64 - 1);
            if seen(from, from.map(|f| f + SIDE as i64 + 2)) {
                *contents |= bit;
            }
        });
    }

    /// Marks the first surface everywhere, so that nothing is skipped.
    #[cfg(test)]
    pub(super) fn mark_all(&mut self) {
        self.contents.fill(1);
    }

    /// How far a ray may run from `position` along `direction` before it leaves the block whose lower faces are `low`.
    #[inline]
    pub(super) fn way_out(low: [f32; 3], position: [f32; 3], direction: [f32; 3]) -> f32 {
        let mut way = f32::INFINITY;
        for a in 0..3 {
            if direction[a] > 1e-9 {
                way = way.min((low[a] + SIDE as f32 - position[a]) / direction[a]);
            } else if direction[a] < -1e-9 {
                way = way.min((low[a] - position[a]) / direction[a]);
            }
        }
        way.max(0.0)
    }
}
