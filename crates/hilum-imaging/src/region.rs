//! Growing regions: from seeds through a range of values, a few steps at a time, or against one another.

use crate::components::Connectivity;
use hilum_volume::{LabelMap, Mask, Volume, VoxelIndex};
use rayon::prelude::*;
use std::ops::RangeInclusive;

/// Voxels whose value lies in `range` and that are connected to a seed whose value does.
///
/// Seeds outside the range start nothing. NaN lies in no range.
///
/// # Panics
/// If a seed lies outside the grid.
#[must_use]
pub fn grow<T: PartialOrd + Copy + Sync>(
    volume: &Volume<T>,
    seeds: &[VoxelIndex],
    range: RangeInclusive<T>,
    connectivity: Connectivity,
) -> Mask {
    let data = volume.data().par_iter().map(|v| range.contains(v)).collect();
    let within = Mask::new(volume.geometry().clone(), data).expect("one value per voxel");
    let mut start = Mask::filled(volume.geometry().clone(), false);
    seeds.iter().for_each(|seed| start[*seed] = true);
    crate::components::touching(&within, &start, connectivity)
}

/// The voxels of `within` that a path inside it of at most `steps` voxels (26 neighbours) joins to `start`.
///
/// Voxels of `start` outside `within` do not count.
///
/// # Panics
/// If the shapes differ.
#[must_use]
pub fn geodesic_dilate(start: &Mask, within: &Mask, steps: usize) -> Mask {
    assert_eq!(start.shape(), within.shape(), "both masks lie on one grid");
    let neighbours = Neighbours::of(within);
    let mut reached = start.clone();
    reached.data_mut().par_iter_mut().zip(within.data()).for_each(|(r, w)| *r &= *w);
    let mut front: Vec<usize> = (0..reached.data().len()).filter(|at| reached.data()[*at]).collect();
    for _ in 0..steps {
        let mut next = Vec::new();
        for at in front {
            neighbours.each(at, |to, _| {
                if within.data()[to] && !reached.data()[to] {
                    reached.data_mut()[to] = true;
                    next.push(to);
                }
            });
        }
        front = next;
        if front.is_empty() {
            break;
        }
    }
    reached
}

/// Shares a mask out among seeds: every voxel of the mask takes the label of the seed nearest along paths inside it.
///
/// Splits blobs that touch, such as two lungs at the anterior junction, once each has a seed. Path lengths are sums of
/// steps to the 26 neighbours in millimetres, rounded to 1/64 mm, so at most a few per cent longer than the straight
/// line. Parts of the mask without a seed, and everything outside the mask, are 0. Ties go to the seed reached first in
/// memory order.
///
/// # Panics
/// If the shapes differ.
#[must_use]
pub fn seeded_partition(mask: &Mask, seeds: &LabelMap) -> LabelMap {
    seeded_partition_by(mask, seeds, |_, _| 1.0)
}

/// [`seeded_partition`] in which a step between two voxels, given by their offsets in the data, costs its length times
/// `cost` (1 or more): seeds meet where crossing is dear, such as on a fissure.
///
/// # Panics
/// If the shapes differ.
#[must_use]
pub fn seeded_partition_by(mask: &Mask, seeds: &LabelMap, cost: impl Fn(usize, usize) -> f32) -> LabelMap {
    assert_eq!(mask.shape(), seeds.geometry().shape(), "mask and seeds lie on one grid");
    let neighbours = Neighbours::of(mask);
    let mut labels = Volume::filled(mask.geometry().clone(), 0_u8);
    let mut best = vec![u32::MAX; mask.data().len()];
    let mut queue = Buckets::new();
    for (at, (inside, seed)) in mask.data().iter().zip(seeds.labels().data()).enumerate() {
        if *inside && *seed != 0 {
            labels.data_mut()[at] = *seed;
            best[at] = 0;
            queue.push(0, at);
        }
    }
    while let Some((length, at)) = queue.pop() {
        if length > best[at] {
            continue; // reached more cheaply since it was queued
        }
        let label = labels.data()[at];
        neighbours.each(at, |to, step_mm| {
            if mask.data()[to] {
                let step = (step_mm * cost(at, to).max(1.0) * UNITS_PER_MM).round().clamp(1.0, LONGEST) as u32;
                let reached = length.saturating_add(step);
                if reached < best[to] {
                    best[to] = reached;
                    labels.data_mut()[to] = label;
                    queue.push(reached, to);
                }
            }
        });
    }
    LabelMap::new(labels)
}

/// Resolution of path lengths.
const UNITS_PER_MM: f32 = 64.0;

/// Longest step the queue can hold, in units: 1 m.
const LONGEST: f32 = 64_000.0;

/// A queue by whole-numbered priority, first in, first out at each (Dial 1969, DOI 10.1145/363269.363610).
struct Buckets {
    /// Voxels by priority modulo the number of buckets.
    buckets: Vec<std::collections::VecDeque<usize>>,
    current: u32,
    queued: usize,
}

impl Buckets {
    fn new() -> Self {
        Self { buckets: Vec::new(), current: 0, queued: 0 }
    }

    /// Queues a voxel at most [`LONGEST`] above the priority taken out last.
    fn push(&mut self, priority: u32, at: usize) {
        let ahead = (priority - self.current) as usize;
        if ahead >= self.buckets.len() {
            self.widen(ahead + 1);
        }
        let bucket = priority as usize % self.buckets.len();
        self.buckets[bucket].push_back(at);
        self.queued += 1;
    }

    fn pop(&mut self) -> Option<(u32, usize)> {
        if self.queued == 0 {
            return None;
        }
        loop {
            let bucket = self.current as usize % self.buckets.len();
            if let Some(at) = self.buckets[bucket].pop_front() {
                self.queued -= 1;
                return Some((self.current, at));
            }
            self.current += 1;
        }
    }

    /// Room for priorities further ahead; what is queued keeps its priority.
    fn widen(&mut self, at_least: usize) {
        let old = std::mem::take(&mut self.buckets);
        let (before, current) = (old.len(), self.current as usize);
        self.buckets.resize_with(at_least.next_power_of_two(), Default::default);
        let now = self.buckets.len();
        for (bucket, content) in old.into_iter().enumerate() {
            let ahead = (bucket + before - current % before) % before;
            self.buckets[(current + ahead) % now] = content;
        }
    }
}

/// The 26 neighbours of voxels by their offset in the data.
struct Neighbours {
    shape: [usize; 3],
    /// Steps along slice, row, column; offset in the data; length in mm.
    steps: Vec<([isize; 3], isize, f32)>,
}

impl Neighbours {
    fn of(mask: &Mask) -> Self {
        let shape = mask.shape();
        let spacing_mm = mask.geometry().spacing_mm();
        let mut steps = Vec::with_capacity(26);
        for step in (0..27).map(|i| [i / 9 - 1, i / 3 % 3 - 1, i % 3 - 1]).filter(|s| *s != [0; 3]) {
            let offset = (step[0] * shape[1] as isize + step[1]) * shape[2] as isize + step[2];
            let length = (0..3).map(|a| (step[a] as f64 * spacing_mm[a]).powi(2)).sum::<f64>().sqrt();
            steps.push((step, offset, length as f32));
        }
        Self { shape, steps }
    }

    /// Calls `visit` with the offset of every neighbour inside the grid and its distance in mm.
    fn each(&self, at: usize, mut visit: impl FnMut(usize, f32)) {
        let [slices, rows, columns] = self.shape;
        let (s, r, c) = (at / (rows * columns), at / columns % rows, at % columns);
        let inner = s > 0 && s + 1 < slices && r > 0 && r + 1 < rows && c > 0 && c + 1 < columns;
        for (step, offset, length) in &self.steps {
            let there = || {
                s.checked_add_signed(step[0]).is_some_and(|s| s < slices)
                    && r.checked_add_signed(step[1]).is_some_and(|r| r < rows)
                    && c.checked_add_signed(step[2]).is_some_and(|c| c < columns)
            };
            if inner || there() {
                visit(at.wrapping_add_signed(*offset), *length);
            }
        }
    }
}
