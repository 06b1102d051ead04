//! Connected components of masks.
//!
//! Masks are read as runs of true voxels along the columns; runs that touch are joined by union-find. Work and memory
//! follow the number of runs, not of voxels. The order of components depends on the mask alone.

use crate::extent::{Bounds, union};
use hilum_volume::{Mask, Volume};
use rayon::prelude::*;

/// Which neighbours count as connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connectivity {
    /// Voxels that share a face (6 neighbours).
    Faces,
    /// Voxels that share a face or an edge (18 neighbours).
    Edges,
    /// Voxels that share a face, an edge or a corner (26 neighbours).
    Corners,
}

/// The connected components of a mask.
#[derive(Clone, Debug, PartialEq)]
pub struct Components {
    /// 0 outside the mask, otherwise the component's `id`.
    pub labels: Volume<u32>,
    /// The components, largest first; equal sizes in the order of their first voxel. `items[i].id == i + 1`.
    pub items: Vec<Component>,
}

/// One connected component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its value in [`Components::labels`]; counts from 1.
    pub id: u32,
    /// Number of voxels.
    pub voxels: usize,
    /// Smallest box around it: first index inside and first beyond, for slice, row and column.
    pub bounds: Bounds,
}

impl Components {
    /// The mask of the components that `keep` chooses.
    #[must_use]
    pub fn mask_where(&self, keep: impl Fn(&Component) -> bool) -> Mask {
        let kept: Vec<bool> = std::iter::once(false).chain(self.items.iter().map(keep)).collect();
        let data = self.labels.data().par_iter().map(|id| kept[*id as usize]).collect();
        Mask::new(self.labels.geometry().clone(), data).expect("one value per voxel")
    }
}

/// Labels the connected components of a mask, largest first.
#[must_use]
pub fn label(mask: &Mask, connectivity: Connectivity) -> Components {
    let runs = Runs::of(mask, true, connectivity);
    let (ids, items) = runs.components();
    let [_, rows, columns] = mask.shape();
    let mut labels = Volume::filled(mask.geometry().clone(), 0_u32);
    labels.data_mut().par_chunks_mut(columns).enumerate().for_each(|(line, out)| {
        for at in runs.of_line(line) {
            out[runs.runs[at].start as usize..runs.runs[at].end as usize].fill(ids[at]);
        }
    });
    debug_assert_eq!(runs.first.len(), mask.shape()[0] * rows + 1);
    Components { labels, items }
}

/// The `n` largest components (26 neighbours) as one mask.
#[must_use]
pub fn largest(mask: &Mask, n: usize) -> Mask {
    keep_runs(mask, Connectivity::Corners, |c| c.id as usize <= n)
}

/// The mask without components of fewer than `voxels` voxels.
#[must_use]
pub fn remove_smaller_than(mask: &Mask, voxels: usize, connectivity: Connectivity) -> Mask {
    keep_runs(mask, connectivity, |c| c.voxels >= voxels)
}

/// The components of `mask` that hold at least one true voxel of `seeds` (morphological reconstruction).
///
/// # Panics
/// If the two masks differ in shape.
#[must_use]
pub fn touching(mask: &Mask, seeds: &Mask, connectivity: Connectivity) -> Mask {
    assert_eq!(mask.shape(), seeds.shape(), "mask and seeds lie on one grid");
    let runs = Runs::of(mask, true, connectivity);
    let (ids, items) = runs.components();
    let columns = mask.shape()[2];
    let mut kept = vec![false; items.len() + 1];
    for line in 0..runs.first.len() - 1 {
        for at in runs.of_line(line) {
            let run = runs.runs[at];
            let seeds = &seeds.data()[line * columns + run.start as usize..line * columns + run.end as usize];
            kept[ids[at] as usize] |= seeds.contains(&true);
        }
    }
    runs.paint(mask, |at| kept[ids[at] as usize])
}

/// The mask with every cavity filled: false voxels with no path of faces to the border of the grid become true.
///
/// The grid's first and last slice are borders too: a tube that is open at the top of the scan is no cavity. Grids of one
/// or two slices have no inside, so [`fill_holes_by_slice`] is what they need.
#[must_use]
pub fn fill_holes(mask: &Mask) -> Mask {
    let [slices, rows, columns] = mask.shape();
    let runs = Runs::of(mask, false, Connectivity::Faces);
    let (ids, items) = runs.components();
    let enclosed: Vec<bool> = std::iter::once(false)
        .chain(items.iter().map(|c| {
            let [s, r, k] = c.bounds;
            s[0] > 0 && s[1] < slices && r[0] > 0 && r[1] < rows && k[0] > 0 && k[1] < columns
        }))
        .collect();
    let holes = runs.paint(mask, |at| enclosed[ids[at] as usize]);
    either(mask, holes)
}

/// The mask with the holes of every slice filled: false voxels with no path of edges within their slice to its border.
#[must_use]
pub fn fill_holes_by_slice(mask: &Mask) -> Mask {
    let [slices, rows, columns] = mask.shape();
    let n = rows * columns;
    let mut holes = Mask::filled(mask.geometry().clone(), false);
    let planes: Vec<Vec<bool>> = (0..slices)
        .into_par_iter()
        .map(|s| {
            let runs = Runs::of_plane(mask.slice(s), columns);
            let (ids, items) = runs.components();
            let enclosed: Vec<bool> = std::iter::once(false)
                .chain(items.iter().map(|c| {
                    let [_, r, k] = c.bounds;
                    r[0] > 0 && r[1] < rows && k[0] > 0 && k[1] < columns
                }))
                .collect();
            let mut plane = vec![false; n];
            for (line, out) in plane.chunks_mut(columns).enumerate() {
                for at in runs.of_line(line).filter(|at| enclosed[ids[*at] as usize]) {
                    out[runs.runs[at].start as usize..runs.runs[at].end as usize].fill(true);
                }
            }
            plane
        })
        .collect();
    for (s, plane) in planes.into_iter().enumerate() {
        holes.slice_mut(s).copy_from_slice(&plane);
    }
    either(mask, holes)
}

/// True where either is.
fn either(mask: &Mask, mut other: Mask) -> Mask {
    other.data_mut().par_iter_mut().zip(mask.data().par_iter()).for_each(|(o, m)| *o |= *m);
    other
}

fn keep_runs(mask: &Mask, connectivity: Connectivity, keep: impl Fn(&Component) -> bool) -> Mask {
    let runs = Runs::of(mask, true, connectivity);
    let (ids, items) = runs.components();
    let kept: Vec<bool> = std::iter::once(false).chain(items.iter().map(keep)).collect();
    runs.paint(mask, |at| kept[ids[at] as usize])
}

/// Consecutive voxels of one line: columns `start..end`.
#[derive(Clone, Copy)]
struct Run {
    start: u32,
    end: u32,
}

/// A mask as runs, with those that touch joined.
struct Runs {
    /// Runs by line (slice · rows + row), each line's in order.
    runs: Vec<Run>,
    /// Index of each line's first run; one entry more than there are lines.
    first: Vec<usize>,
    /// Union-find forest: each run's parent, always of equal or lower index.
    parent: Vec<u32>,
    rows: usize,
}

impl Runs {
    /// The runs of `target` voxels of a mask.
    fn of(mask: &Mask, target: bool, connectivity: Connectivity) -> Self {
        let [slices, rows, columns] = mask.shape();
        let by_slice: Vec<Vec<Vec<Run>>> = mask
            .data()
            .par_chunks(rows * columns)
            .map(|plane| plane.chunks(columns).map(|line| runs_of_line(line, target)).collect())
            .collect();
        let mut all = Self::collect(by_slice.into_iter().flatten(), rows);
        // (slice step, row step, columns by which runs may miss each other and still touch)
        let diagonal = |order: u32| match connectivity {
            Connectivity::Faces => (order <= 1).then_some(0),
            Connectivity::Edges => (order <= 2).then_some(u32::from(order < 2)),
            Connectivity::Corners => Some(1),
        };
        let steps: Vec<(usize, isize, u32)> = [(0, -1, 1), (1, -1, 2), (1, 0, 1), (1, 1, 2)]
            .into_iter()
            .filter_map(|(s, r, order)| diagonal(order).map(|gap| (s, r, gap)))
            .collect();
        for s in 0..slices {
            for r in 0..rows {
                for (back, side, gap) in &steps {
                    let Some(before) = s.checked_sub(*back) else { continue };
                    let Some(row) = r.checked_add_signed(*side).filter(|r| *r < rows) else { continue };
                    all.join_lines(before * rows + row, s * rows + r, *gap);
                }
            }
        }
        all
    }

    /// The false runs of one slice, joined across faces.
    fn of_plane(plane: &[bool], columns: usize) -> Self {
        let rows = plane.len() / columns;
        let mut all = Self::collect(plane.chunks(columns).map(|line| runs_of_line(line, false)), rows);
        for r in 1..rows {
            all.join_lines(r - 1, r, 0);
        }
        all
    }

    fn collect(lines: impl Iterator<Item = Vec<Run>>, rows: usize) -> Self {
        let mut runs = Vec::new();
        let mut first = vec![0];
        for line in lines {
            runs.extend(line);
            first.push(runs.len());
        }
        let parent = (0..u32::try_from(runs.len()).expect("fewer than 2^32 runs")).collect();
        Self { runs, first, parent, rows }
    }

    fn of_line(&self, line: usize) -> std::ops::Range<usize> {
        self.first[line]..self.first[line + 1]
    }

    /// Joins the runs of two lines that overlap or miss each other by less than `gap` columns.
    fn join_lines(&mut self, a: usize, b: usize, gap: u32) {
        let (mut i, end_a) = (self.first[a], self.first[a + 1]);
        let (mut j, end_b) = (self.first[b], self.first[b + 1]);
        while i < end_a && j < end_b {
            let (p, q) = (self.runs[i], self.runs[j]);
            if p.start < q.end + gap && q.start < p.end + gap {
                self.join(i as u32, j as u32);
            }
            if p.end < q.end {
                i += 1;
            } else {
                j += 1;
            }
        }
    }

    fn root(&mut self, mut at: u32) -> u32 {
        while self.parent[at as usize] != at {
            let grandparent = self.parent[self.parent[at as usize] as usize];
            self.parent[at as usize] = grandparent;
            at = grandparent;
        }
        at
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b) as usize] = a.min(b);
    }

    /// Each run's component id and the components, largest first.
    fn components(&self) -> (Vec<u32>, Vec<Component>) {
        let mut ids = vec![0_u32; self.runs.len()];
        let mut items: Vec<Component> = Vec::new();
        for line in 0..self.first.len() - 1 {
            let (s, r) = (line / self.rows, line % self.rows);
            for at in self.of_line(line) {
                let run = self.runs[at];
                // Parents have lower indices, so theirs is already numbered.
                let parent = self.parent[at] as usize;
                let id = if parent == at { items.len() as u32 } else { ids[parent] };
                ids[at] = id;
                let here = [[s, s + 1], [r, r + 1], [run.start as usize, run.end as usize]];
                let voxels = (run.end - run.start) as usize;
                match items.get_mut(id as usize) {
                    Some(item) => {
                        item.voxels += voxels;
                        item.bounds = union(item.bounds, here);
                    }
                    None => items.push(Component { id, voxels, bounds: here }),
                }
            }
        }
        items.sort_by_key(|item| std::cmp::Reverse(item.voxels)); // stable: ties stay in order of first voxel
        let mut rank = vec![0_u32; items.len()];
        for (at, item) in items.iter_mut().enumerate() {
            rank[item.id as usize] = at as u32 + 1;
            item.id = at as u32 + 1;
        }
        ids.iter_mut().for_each(|id| *id = rank[*id as usize]);
        (ids, items)
    }

    /// A mask that is true in the runs that `keep` chooses by index.
    fn paint(&self, like: &Mask, keep: impl Fn(usize) -> bool + Sync) -> Mask {
        let columns = like.shape()[2];
        let mut result = Mask::filled(like.geometry().clone(), false);
        result.data_mut().par_chunks_mut(columns).enumerate().for_each(|(line, out)| {
            for at in self.of_line(line).filter(|at| keep(*at)) {
                out[self.runs[at].start as usize..self.runs[at].end as usize].fill(true);
            }
        });
        result
    }
}

fn runs_of_line(line: &[bool], target: bool) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut at = 0;
    while let Some(skip) = line[at..].iter().position(|v| *v == target) {
        let start = at + skip;
        let end = line[start..].iter().position(|v| *v != target).map_or(line.len(), |n| start + n);
        runs.push(Run { start: start as u32, end: end as u32 });
        at = end;
    }
    runs
}
