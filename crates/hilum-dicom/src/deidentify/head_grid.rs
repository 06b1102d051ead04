//! A head on a grid of its own: cells of 3 mm along the patient's axes, however the images lie.

use hilum_volume::{Geometry, PatientPoint, Volume, VoxelPoint};

use super::deface::Undefaceable;
use crate::Limits;

/// Side of a cell: finer than any feature that is looked for, coarse enough that noise averages out.
pub(super) const CELL_MM: f64 = 3.0;

/// Tissue of CT is denser than this. Half-way between air and fat lies at −550 HU; foam and hair are left outside.
const CT_TISSUE_HU: f32 = -300.0;
/// MR: tissue lies above the mean of air by this share of the distance to the mean of tissue, both told apart by Otsu's threshold
/// (doi 10.1109/TSMC.1979.4310076). A quarter, so that skin still counts where coils lose signal. An assumption.
const MR_SHARE: f32 = 0.25;
/// Values above this share of all are taken for it before Otsu's threshold, so that fat near a coil does not set it.
const MR_BRIGHTEST: f64 = 0.98;

/// How values become tissue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contrast {
    /// Hounsfield units.
    Ct,
    /// Any unit, air near the lowest.
    Mr,
}

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    /// No image reaches it.
    Unseen,
    Air,
    Tissue,
}

/// A neighbouring cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Towards {
    Foot,
    Head,
    Front,
    Back,
    Right,
    Left,
}

const ALL: [Towards; 6] = [Towards::Foot, Towards::Head, Towards::Front, Towards::Back, Towards::Right, Towards::Left];

/// The cells, `[level from the foot, from the front, from the right]`, and which of them are head.
pub(super) struct HeadGrid {
    geometry: Geometry,
    cells: Vec<Cell>,
    head: Vec<bool>,
}

impl HeadGrid {
    /// Finds the largest piece of tissue. `values` lie on the grid of the images, reduced or not.
    pub(super) fn of(values: &Volume<f32>, contrast: Contrast, limits: &Limits) -> Result<Self, Undefaceable> {
        let threshold = match contrast {
            Contrast::Ct => CT_TISSUE_HU,
            Contrast::Mr => mr_threshold(values.data()),
        };
        let images = values.geometry();
        let geometry = around(images, limits)?;
        let [levels, rows, columns] = geometry.shape();
        let shape = images.shape();
        let mut cells = Vec::with_capacity(geometry.len());
        for index in (0..levels).flat_map(|z| (0..rows).flat_map(move |y| (0..columns).map(move |x| [z, y, x]))) {
            let VoxelPoint(at) = images.voxel_from_patient(geometry.centre_of(index));
            let nearest: [f64; 3] = at.map(f64::round);
            let seen = (0..3).all(|a| nearest[a] >= 0.0 && nearest[a] < shape[a] as f64);
            cells.push(match seen.then(|| values[nearest.map(|n| n as usize)]) {
                None => Cell::Unseen,
                Some(value) if value > threshold => Cell::Tissue,
                Some(_) => Cell::Air,
            });
        }
        let mut grid = Self { geometry, cells, head: Vec::new() };
        grid.head = grid.find_head(contrast);
        Ok(grid)
    }

    /// Levels from the foot, rows from the front, columns from the right.
    pub(super) fn shape(&self) -> [usize; 3] {
        self.geometry.shape()
    }

    /// The middle of a place given in cells.
    pub(super) fn point(&self, at: [f64; 3]) -> PatientPoint {
        self.geometry.patient_from_voxel(VoxelPoint(at))
    }

    /// Whether a cell is head.
    pub(super) fn is_head(&self, index: [usize; 3]) -> bool {
        self.head[self.geometry.offset(index)]
    }

    /// Whether images reach a cell.
    pub(super) fn is_seen(&self, index: [usize; 3]) -> bool {
        self.cells[self.geometry.offset(index)] != Cell::Unseen
    }

    /// Whether the field of view ends beside a cell.
    pub(super) fn ends(&self, index: [usize; 3], towards: Towards) -> bool {
        self.step(self.geometry.offset(index), towards).is_none_or(|at| self.cells[at] == Cell::Unseen)
    }

    fn step(&self, at: usize, towards: Towards) -> Option<usize> {
        let [levels, rows, columns] = self.geometry.shape();
        let (row, level) = (at / columns % rows, at / (columns * rows));
        match towards {
            Towards::Foot => (level > 0).then(|| at - columns * rows),
            Towards::Head => (level + 1 < levels).then(|| at + columns * rows),
            Towards::Front => (row > 0).then(|| at - columns),
            Towards::Back => (row + 1 < rows).then(|| at + columns),
            Towards::Right => (!at.is_multiple_of(columns)).then(|| at - 1),
            Towards::Left => (at % columns + 1 < columns).then(|| at + 1),
        }
    }

    fn neighbours(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        ALL.into_iter().filter_map(move |towards| self.step(at, towards))
    }

    /// The largest piece that is thicker than two cells, and what of the tissue lies within two cells of it: head holders, tubes
    /// and blankets fall off, nose and lips stay.
    fn find_head(&self, contrast: Contrast) -> Vec<bool> {
        let mut tissue: Vec<bool> = self.cells.iter().map(|cell| *cell == Cell::Tissue).collect();
        if contrast == Contrast::Mr {
            // Bone gives no signal in MR: the gap between scalp and brain is closed and filled.
            tissue = self.shrunk(&self.shrunk(&self.grown(&self.grown(&tissue))));
            tissue = self.filled(&tissue);
        }
        let core = self.largest(&self.shrunk(&tissue));
        let near = self.grown(&self.grown(&core));
        near.iter().zip(&tissue).map(|(near, tissue)| *near && *tissue).collect()
    }

    fn grown(&self, mask: &[bool]) -> Vec<bool> {
        (0..mask.len()).map(|at| mask[at] || self.neighbours(at).any(|next| mask[next])).collect()
    }

    /// Nothing is lost where the field of view ends.
    fn shrunk(&self, mask: &[bool]) -> Vec<bool> {
        let solid = |at: usize| mask[at] || self.cells[at] == Cell::Unseen;
        (0..mask.len()).map(|at| mask[at] && self.neighbours(at).all(solid)).collect()
    }

    /// With every cavity that no path of air leads to from beside or above; the cut through the neck is no opening.
    fn filled(&self, mask: &[bool]) -> Vec<bool> {
        let open = |at: usize| !mask[at] && self.cells[at] != Cell::Unseen;
        let beyond = |at: usize, towards: Towards| self.step(at, towards).is_none_or(|n| self.cells[n] == Cell::Unseen);
        let mut reached = vec![false; mask.len()];
        let mut waiting: Vec<usize> = (0..mask.len())
            .filter(|at| open(*at) && ALL.into_iter().any(|t| t != Towards::Foot && beyond(*at, t)))
            .collect();
        waiting.iter().for_each(|at| reached[*at] = true);
        while let Some(at) = waiting.pop() {
            for next in self.neighbours(at).filter(|next| open(*next)) {
                if !std::mem::replace(&mut reached[next], true) {
                    waiting.push(next);
                }
            }
        }
        (0..mask.len()).map(|at| self.cells[at] != Cell::Unseen && !reached[at]).collect()
    }

    /// The largest piece whose cells share faces; of equal ones the lowest.
    fn largest(&self, mask: &[bool]) -> Vec<bool> {
        let mut piece_of = vec![0u32; mask.len()];
        let (mut pieces, mut best, mut most) = (0u32, 0u32, 0usize);
        let mut waiting = Vec::new();
        for start in 0..mask.len() {
            if !mask[start] || piece_of[start] != 0 {
                continue;
            }
            pieces += 1;
            piece_of[start] = pieces;
            waiting.push(start);
            let mut size = 0;
            while let Some(at) = waiting.pop() {
                size += 1;
                for next in self.neighbours(at).filter(|next| mask[*next]) {
                    if piece_of[next] == 0 {
                        piece_of[next] = pieces;
                        waiting.push(next);
                    }
                }
            }
            if size > most {
                (best, most) = (pieces, size);
            }
        }
        piece_of.iter().map(|piece| best != 0 && *piece == best).collect()
    }
}

/// The smallest grid of cells around all voxels.
fn around(images: &Geometry, limits: &Limits) -> Result<Geometry, Undefaceable> {
    let shape = images.shape();
    let corners = (0..8)
        .map(|corner| images.centre_of(std::array::from_fn(|a| if corner >> a & 1 == 1 { shape[a] - 1 } else { 0 })).0);
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for corner in corners {
        low = std::array::from_fn(|a| low[a].min(corner[a]));
        high = std::array::from_fn(|a| high[a].max(corner[a]));
    }
    let count = |a: usize| ((high[a] - low[a]) / CELL_MM).floor() + 1.0;
    let total: f64 = (0..3).map(count).product();
    if total.is_nan() || total > limits.max_voxels as f64 {
        return Err(Undefaceable::TooLarge);
    }
    let shape = [2, 1, 0].map(|a| count(a) as usize);
    Geometry::axial(shape, PatientPoint(low), [CELL_MM; 3]).map_err(|_| Undefaceable::NoGrid)
}

fn mr_threshold(values: &[f32]) -> f32 {
    let mut sorted: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let Some(low) = sorted.first().copied() else { return f32::INFINITY };
    let high = sorted[((sorted.len() - 1) as f64 * MR_BRIGHTEST) as usize];
    if high <= low {
        return f32::INFINITY;
    }
    let mut counts = [0u64; 256];
    for value in sorted {
        counts[(((value - low) / (high - low)).min(1.0) * 255.0) as usize] += 1;
    }
    let (dark, bright) = otsu(&counts);
    let bin = dark + (bright - dark) * f64::from(MR_SHARE);
    low + (high - low) * bin as f32 / 255.0
}

/// The mean bins of the two classes that Otsu's threshold tells apart.
fn otsu(counts: &[u64; 256]) -> (f64, f64) {
    let total: f64 = counts.iter().map(|n| *n as f64).sum();
    let sum: f64 = counts.iter().enumerate().map(|(bin, n)| bin as f64 * *n as f64).sum();
    let (mut below, mut sum_below, mut best, mut farthest) = (0.0, 0.0, (0.0, 0.0), 0.0);
    for (bin, n) in counts.iter().enumerate() {
        below += *n as f64;
        sum_below += bin as f64 * *n as f64;
        let above = total - below;
        if below == 0.0 || above == 0.0 {
            continue;
        }
        let means = (sum_below / below, (sum - sum_below) / above);
        let between = below * above * (means.0 - means.1).powi(2);
        if between > farthest {
            (farthest, best) = (between, means);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_heaps_are_told_apart() {
        let mut counts = [0; 256];
        (counts[10], counts[12], counts[190], counts[200]) = (50, 50, 30, 30);
        assert_eq!(otsu(&counts), (11.0, 195.0));
    }

    #[test]
    fn the_head_is_the_largest_piece_without_thin_things_on_any_grid() {
        // A ball of 40 mm radius with a board of 3 mm behind it and a smaller ball beside.
        let grid = Geometry::axial([60, 120, 120], PatientPoint([-90.0, -90.0, -90.0]), [3.0, 1.5, 1.5]).unwrap();
        let value = |p: PatientPoint| {
            let ball = |centre: [f64; 3], r: f64| p.distance_mm(PatientPoint(centre)) < r;
            let board = (43.0..46.0).contains(&p.0[1]);
            if ball([0.0; 3], 40.0) || ball([70.0, 0.0, 0.0], 15.0) || board { 40.0 } else { -1000.0 }
        };
        let [slices, rows, columns] = grid.shape();
        let mut data = Vec::new();
        for index in (0..slices).flat_map(|s| (0..rows).flat_map(move |r| (0..columns).map(move |c| [s, r, c]))) {
            data.push(value(grid.centre_of(index)));
        }
        let found = HeadGrid::of(&Volume::new(grid, data).unwrap(), Contrast::Ct, &Limits::default()).unwrap();
        let volume_ml = found.head.iter().filter(|h| **h).count() as f64 * CELL_MM.powi(3) / 1000.0;
        let known = 4.0 / 3.0 * std::f64::consts::PI * 64.0;
        assert!((volume_ml / known - 1.0).abs() < 0.05, "{volume_ml} of {known} ml");
    }
}
