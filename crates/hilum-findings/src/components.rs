//! Connected opacities, found from runs of voxels so that no label volume is needed: a chest of a thousand slices would
//! need a gigabyte for one.

use std::cmp::Ordering;

use hilum_volume::{Geometry, LabelMap, PatientPoint, Volume, VoxelPoint};
use rayon::prelude::*;

use crate::lesions::{CONSOLIDATION_LABEL, GROUND_GLASS_LABEL, UNKNOWN_OPACITY_LABEL};
use crate::{Lobe, Side};

/// One connected opacity, counted in voxels. Voxels that touch by face, edge or corner are connected if they lie in the
/// same lung; a component never crosses from one lung to the other.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentCounts {
    /// Voxels.
    pub voxels: u64,
    /// Sum of HU.
    pub hu_sum: i64,
    /// Voxels of ground-glass, consolidation and unknown kind.
    pub kinds: [u64; 3],
    /// Voxels in each lobe, RUL RML RLL LUL LLL.
    pub lobes: [u64; 5],
    /// First and last slice, both included, in stored order.
    pub stored_slices: [usize; 2],
    /// Centre of mass.
    pub centroid: PatientPoint,
}

/// Voxels of one row that follow each other, all of them opacity in the same lung.
#[derive(Clone, Copy)]
struct Run {
    start: u32,
    end: u32,
    side: Side,
}

/// The runs of one slice, and where those of each row begin.
struct SliceRuns {
    runs: Vec<Run>,
    row_start: Vec<u32>,
}

impl SliceRuns {
    fn row(&self, row: usize) -> std::ops::Range<usize> {
        self.row_start[row] as usize..self.row_start[row + 1] as usize
    }
}

/// Kind of an opacity label as an index into `kinds`; `None` for any other label.
pub(crate) fn kind_index(label: u8) -> Option<usize> {
    match label {
        GROUND_GLASS_LABEL => Some(0),
        CONSOLIDATION_LABEL => Some(1),
        UNKNOWN_OPACITY_LABEL => Some(2),
        _ => None,
    }
}

/// All connected opacities within the lobes, the largest first; equal ones by their place.
///
/// The three volumes must share one grid.
pub(crate) fn components(ct: &Volume<i16>, lobes: &LabelMap, lesions: &LabelMap) -> Vec<ComponentCounts> {
    let [slices, rows, columns] = ct.shape();
    let (runs, first, mut forest) = connect(lobes, lesions);
    let mut slot_of_root = vec![usize::MAX; forest.parent.len()];
    let mut found: Vec<Sums> = Vec::new();
    for s in 0..slices {
        let (hu, lobe, lesion) = (ct.slice(s), lobes.labels().slice(s), lesions.labels().slice(s));
        for r in 0..rows {
            for at in runs[s].row(r) {
                let root = forest.root(first[s] + at);
                if slot_of_root[root] == usize::MAX {
                    slot_of_root[root] = found.len();
                    found.push(Sums::starting_at(s));
                }
                let sums = &mut found[slot_of_root[root]];
                let run = runs[s].runs[at];
                for column in run.start as usize..run.end as usize {
                    let i = r * columns + column;
                    sums.add([s, r, column], hu[i], lobe[i], lesion[i]);
                }
            }
        }
    }
    let mut items: Vec<ComponentCounts> = found.into_iter().map(|sums| sums.finish(ct)).collect();
    items.sort_by(|a, b| largest_first((a.voxels, a.centroid), (b.voxels, b.centroid)));
    items
}

/// A map of the `most` largest components, on the grid of the two maps: 0 is background, otherwise the number that
/// [`LesionComponent::id`](crate::LesionComponent) gives to the same component.
///
/// # Panics
/// If the maps are not of one shape, or `most` exceeds 255.
#[must_use]
pub fn component_labels(lobes: &LabelMap, lesions: &LabelMap, most: usize) -> LabelMap {
    assert!(most <= 255, "a label map holds 255 labels");
    assert_eq!(lobes.geometry().shape(), lesions.geometry().shape(), "lobes and lesions lie on one grid");
    let [slices, rows, columns] = lobes.geometry().shape();
    let (runs, first, mut forest) = connect(lobes, lesions);
    let mut sums = vec![(0u64, [0u64; 3]); forest.parent.len()];
    for s in 0..slices {
        for r in 0..rows {
            for at in runs[s].row(r) {
                let (voxels, index_sums) = &mut sums[forest.root(first[s] + at)];
                let run = runs[s].runs[at];
                let (start, end) = (u64::from(run.start), u64::from(run.end));
                *voxels += end - start;
                let columns = (start..end).sum::<u64>();
                for (sum, by) in
                    index_sums.iter_mut().zip([s as u64 * (end - start), r as u64 * (end - start), columns])
                {
                    *sum += by;
                }
            }
        }
    }
    let mut order: Vec<(usize, u64, PatientPoint)> = (0..sums.len())
        .filter(|root| sums[*root].0 > 0)
        .map(|root| (root, sums[root].0, centroid(lobes.geometry(), sums[root].1, sums[root].0)))
        .collect();
    order.sort_by(|a, b| largest_first((a.1, a.2), (b.1, b.2)));
    let mut id_of_root = vec![0u8; sums.len()];
    for (id, (root, ..)) in (1..=most).zip(order) {
        id_of_root[root] = id as u8;
    }
    let mut labels = Volume::filled(lobes.geometry().clone(), 0u8);
    for s in 0..slices {
        for r in 0..rows {
            for at in runs[s].row(r) {
                let run = runs[s].runs[at];
                let line = r * columns;
                labels.slice_mut(s)[line + run.start as usize..line + run.end as usize]
                    .fill(id_of_root[forest.root(first[s] + at)]);
            }
        }
    }
    LabelMap::new(labels)
}

/// Larger components before smaller ones; equal ones by their place.
fn largest_first(a: (u64, PatientPoint), b: (u64, PatientPoint)) -> Ordering {
    let [xa, ya, za] = a.1.0;
    let [xb, yb, zb] = b.1.0;
    b.0.cmp(&a.0).then(za.total_cmp(&zb)).then(ya.total_cmp(&yb)).then(xa.total_cmp(&xb))
}

fn centroid(geometry: &Geometry, index_sums: [u64; 3], voxels: u64) -> PatientPoint {
    geometry.patient_from_voxel(VoxelPoint(index_sums.map(|sum| sum as f64 / voxels as f64)))
}

/// The runs of opacity, slice by slice, the number of the first run of each slice, and which runs touch.
fn connect(lobes: &LabelMap, lesions: &LabelMap) -> (Vec<SliceRuns>, Vec<usize>, Forest) {
    let [slices, rows, columns] = lobes.geometry().shape();
    let runs: Vec<SliceRuns> = (0..slices)
        .into_par_iter()
        .map(|s| runs_of_slice(lobes.labels().slice(s), lesions.labels().slice(s), columns))
        .collect();
    let first: Vec<usize> = runs
        .iter()
        .scan(0, |total, slice| {
            let first = *total;
            *total += slice.runs.len();
            Some(first)
        })
        .collect();
    let mut forest = Forest::new(runs.iter().map(|slice| slice.runs.len()).sum());
    for s in 0..slices {
        for r in 0..rows {
            if r > 0 {
                join_rows(&mut forest, (&runs[s], first[s], r), (&runs[s], first[s], r - 1));
            }
            if s > 0 {
                for other in r.saturating_sub(1)..(r + 2).min(rows) {
                    join_rows(&mut forest, (&runs[s], first[s], r), (&runs[s - 1], first[s - 1], other));
                }
            }
        }
    }
    (runs, first, forest)
}

fn runs_of_slice(lobes: &[u8], lesions: &[u8], columns: usize) -> SliceRuns {
    let mut runs: Vec<Run> = Vec::new();
    let mut row_start = vec![0];
    for (lobe_row, lesion_row) in lobes.chunks(columns).zip(lesions.chunks(columns)) {
        let mut open: Option<Run> = None;
        for (column, (lobe, lesion)) in lobe_row.iter().zip(lesion_row).enumerate() {
            let side = kind_index(*lesion).and_then(|_| Lobe::from_label(*lobe)).map(Lobe::side);
            match (&mut open, side) {
                (Some(run), Some(side)) if run.side == side => run.end += 1,
                _ => {
                    runs.extend(open.take());
                    open = side.map(|side| Run { start: column as u32, end: column as u32 + 1, side });
                }
            }
        }
        runs.extend(open);
        row_start.push(runs.len() as u32);
    }
    SliceRuns { runs, row_start }
}

/// Joins the runs of two neighbouring rows that touch, corners included.
fn join_rows(forest: &mut Forest, a: (&SliceRuns, usize, usize), b: (&SliceRuns, usize, usize)) {
    let mut from = b.0.row(b.2).start;
    let end = b.0.row(b.2).end;
    for i in a.0.row(a.2) {
        let x = a.0.runs[i];
        while from < end && b.0.runs[from].end < x.start {
            from += 1;
        }
        for j in (from..end).take_while(|j| b.0.runs[*j].start <= x.end) {
            if b.0.runs[j].side == x.side {
                forest.join(a.1 + i, b.1 + j);
            }
        }
    }
}

/// Disjoint sets of runs.
struct Forest {
    parent: Vec<u32>,
}

impl Forest {
    fn new(runs: usize) -> Self {
        let runs = u32::try_from(runs).expect("fewer than 2³² runs: a row of 2¹⁶ voxels has at most 2¹⁵");
        Self { parent: (0..runs).collect() }
    }

    fn root(&mut self, of: usize) -> usize {
        let mut at = of;
        while self.parent[at] as usize != at {
            self.parent[at] = self.parent[self.parent[at] as usize];
            at = self.parent[at] as usize;
        }
        at
    }

    /// The smaller root stays, so the result does not depend on the order of joining.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b) as u32;
    }
}

struct Sums {
    voxels: u64,
    hu_sum: i64,
    kinds: [u64; 3],
    lobes: [u64; 5],
    stored_slices: [usize; 2],
    index_sums: [u64; 3],
}

impl Sums {
    fn starting_at(slice: usize) -> Self {
        Self { voxels: 0, hu_sum: 0, kinds: [0; 3], lobes: [0; 5], stored_slices: [slice, slice], index_sums: [0; 3] }
    }

    fn add(&mut self, index: [usize; 3], hu: i16, lobe: u8, lesion: u8) {
        self.voxels += 1;
        self.hu_sum += i64::from(hu);
        self.kinds[kind_index(lesion).expect("a run holds opacities only")] += 1;
        self.lobes[usize::from(lobe) - 1] += 1;
        self.stored_slices[1] = index[0];
        for axis in 0..3 {
            self.index_sums[axis] += index[axis] as u64;
        }
    }

    fn finish(self, ct: &Volume<i16>) -> ComponentCounts {
        ComponentCounts {
            voxels: self.voxels,
            hu_sum: self.hu_sum,
            kinds: self.kinds,
            lobes: self.lobes,
            stored_slices: self.stored_slices,
            centroid: centroid(ct.geometry(), self.index_sums, self.voxels),
        }
    }
}
