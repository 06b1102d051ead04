//! What the scan shows of a fissure: sheets of the right direction near where it should be.

use crate::lobe_prior::{FissureKind, Frame};
use hilum_imaging::hessian::{self, HessianOptions, Sheets};
use hilum_imaging::{filter, morphology};
use hilum_volume::{Geometry, Mask, Volume};
use rayon::prelude::*;

/// Fissures are 1 mm thin; on the working grid they appear as sheets of about this standard deviation.
const SIGMA_MM: f64 = 1.3;

/// A fissure of the working grid stands out by 60 to 120 HU, which gives second derivatives of about this size.
const CONTRAST_HU: f32 = 18.0;

/// Vessels are brighter than fissures: values are held between these, so that a vessel weighs no more than a fissure.
const HELD_HU: std::ops::RangeInclusive<f32> = -980.0..=-620.0;

/// Cells of a surface are this wide.
pub(super) const CELL_MM: f64 = 4.0;

/// The fissure is sought this far to both sides of the average one, in steps of 1 mm.
pub(super) const REACH_MM: usize = 42;

/// Number of heights per cell.
pub(super) const HEIGHTS: usize = 2 * REACH_MM + 1;

/// A ridge of the patch medians below this is noise in any scan.
const RIDGE_FROM_HU: f32 = 6.0;

/// In noisy scans the bound rises to this multiple of the median of all ridges of the search. Chosen on four scans.
const RIDGE_FROM_MEDIAN: f32 = 0.9;

/// A ridge this much above the noise is certain.
const RIDGE_SPAN_HU: f32 = 12.0;

/// Fissures do not stand out more than this; what does is a vessel, a scar or the edge of something dense.
const RIDGE_TOO_HIGH_HU: f32 = 90.0;

/// Vessels, consolidation and walls on the working grid; the fissure is not sought in them.
const DENSE_HU: i16 = -640;

/// Cells to each side over which evidence must go on: with the cell itself about 20 mm.
const COHERENT_CELLS: isize = 2;

/// How far the best plane stands out from its sides by chance; chosen on four scans.
const COHERENT_FROM: f32 = 0.08;

/// A mean higher by this is certain.
const COHERENT_SPAN: f32 = 0.35;

/// What is looked at: the scan itself and its sheets on the working grid, both with the same outer faces.
pub(super) struct Scan<'a> {
    ct: &'a Volume<i16>,
    sheets: Sheets,
    /// Working voxels of aerated lung away from its border and from vessels.
    clear: Mask,
}

impl<'a> Scan<'a> {
    /// Finds the sheets of both lungs, once for all fissures.
    pub(super) fn new(ct: &'a Volume<i16>, working_ct: &Volume<i16>, lungs: &Mask) -> Self {
        let dense = working_ct.data().iter().zip(lungs.data()).map(|(hu, lung)| *lung && *hu > DENSE_HU).collect();
        let dense = Mask::new(working_ct.geometry().clone(), dense).expect("same grid");
        let mut clear = morphology::erode(lungs, 2.6);
        for (clear, near_dense) in clear.data_mut().iter_mut().zip(morphology::dilate(&dense, 1.6).data()) {
            *clear &= !near_dense;
        }
        Self { ct, sheets: sheets(working_ct, lungs, &clear), clear }
    }

    /// HU at a place in mm from the outer faces (column, row, slice direction), linear between slices, the nearest pixel
    /// within them; held to the range of lung and fissures.
    fn value(&self, mm: [f64; 3]) -> Option<f32> {
        let grid = self.ct.geometry();
        let [slices, rows, columns] = grid.shape();
        let [slice_mm, row_mm, column_mm] = grid.spacing_mm();
        let (row, column) = (mm[1] / row_mm, mm[0] / column_mm);
        if row < 0.0 || column < 0.0 || row >= rows as f64 || column >= columns as f64 {
            return None;
        }
        let slice = (mm[2] / slice_mm - 0.5).clamp(0.0, (slices - 1) as f64);
        let low = slice as usize;
        let part = (slice - low as f64) as f32;
        let held = |s: usize| {
            let hu = f32::from(self.ct[[s.min(slices - 1), row as usize, column as usize]]);
            hu.clamp(*HELD_HU.start(), *HELD_HU.end())
        };
        Some(held(low) * (1.0 - part) + held(low + 1) * part)
    }
}

/// The sheets of both lungs.
fn sheets(ct: &Volume<i16>, lungs: &Mask, clear: &Mask) -> Sheets {
    // Outside the lung, and where it is dense, the local mean of aerated lung stands in: the pleura gives no sheets.
    let aerated =
        Mask::new(ct.geometry().clone(), ct.data().iter().zip(lungs.data()).map(|(hu, l)| *l && *hu < -500).collect())
            .expect("same grid");
    let held: Volume<f32> = ct.map(|hu| f32::from(*hu).clamp(*HELD_HU.start(), *HELD_HU.end()));
    let around = filter::gaussian_within(&held, &aerated, 6.0);
    let mut filled = held;
    let (mut sum, mut n) = (0.0f64, 0usize);
    for (v, a) in filled.data().iter().zip(aerated.data()) {
        if *a {
            sum += f64::from(*v);
            n += 1;
        }
    }
    let mean = (sum / n.max(1) as f64) as f32;
    for (i, value) in filled.data_mut().iter_mut().enumerate() {
        if !lungs.data()[i] {
            *value = if around.data()[i] < 0.0 { around.data()[i] } else { mean };
        }
    }
    let options = HessianOptions { sigma_mm: SIGMA_MM, contrast: CONTRAST_HU, within: Some(clear) };
    hessian::sheets(&filled, &options)
}

/// Evidence for one fissure over the cells of its surface.
pub(super) struct Evidence {
    pub(super) kind: FissureKind,
    pub(super) frame: Frame,
    /// Cells along u and v.
    pub(super) cells: [usize; 2],
    /// Height of the surface around which was sought, lung coordinates, per cell.
    pub(super) start: Vec<f64>,
    /// Strength from 0 to 1 at each height of each cell, `[u][v][height]`; height [`REACH_MM`] is `start`.
    pub(super) strength: Vec<f32>,
    /// Whether the height of the cell lies in the part of the lung where this fissure can be.
    pub(super) inside: Vec<bool>,
    /// Lung coordinate of height per mm.
    pub(super) height_per_mm: f64,
}

impl Evidence {
    /// Gathers what the scan shows at every height of every cell around the surface `course` (height over `u`, `v`).
    /// `belongs` says whether a place (lung coordinates, offset on the working grid) is one where the fissure can be.
    pub(super) fn gather(
        kind: FissureKind,
        frame: Frame,
        scan: &Scan,
        course: &(impl Fn(f64, f64) -> f64 + Sync),
        belongs: impl Fn([f64; 3], usize) -> bool + Sync,
    ) -> Self {
        let mut evidence = Self::none(kind, frame, course);
        let cells = evidence.cells;
        let line = cells[1] * HEIGHTS;
        let mut ridges = vec![0f32; evidence.strength.len()];
        let (strength, inside) = (&mut evidence.strength, &mut evidence.inside);
        strength
            .par_chunks_mut(line)
            .zip(inside.par_chunks_mut(line))
            .zip(ridges.par_chunks_mut(line))
            .enumerate()
            .for_each(|(i, ((strength, inside), ridges))| {
                for j in 0..cells[1] {
                    let cell = Cell::new(kind, &frame, cells, [i, j], evidence.height_per_mm, course);
                    let range = j * HEIGHTS..(j + 1) * HEIGHTS;
                    let out = (&mut strength[range.clone()], &mut inside[range.clone()], &mut ridges[range]);
                    cell.look(scan, &belongs, out);
                }
            });
        evidence.add_ridges(&ridges);
        evidence.keep_coherent();
        evidence
    }

    /// Joins the ridges to the sheets, those above the noise.
    fn add_ridges(&mut self, ridges: &[f32]) {
        let of_lung = ridges.iter().zip(&self.inside).filter(|(ridge, inside)| **inside && **ridge > 0.0);
        let mut known: Vec<f32> = of_lung.map(|(ridge, _)| *ridge).collect();
        if known.is_empty() {
            return;
        }
        let middle = known.len() / 2;
        let median = *known.select_nth_unstable_by(middle, f32::total_cmp).1;
        let from = (RIDGE_FROM_MEDIAN * median).max(RIDGE_FROM_HU);
        for (strength, ridge) in self.strength.iter_mut().zip(ridges) {
            let stands_out = ((ridge - from) / RIDGE_SPAN_HU).clamp(0.0, 1.0);
            let too_high = ((ridge - RIDGE_TOO_HIGH_HU) / RIDGE_TOO_HIGH_HU).clamp(0.0, 0.8);
            let faint = stands_out * (1.0 - too_high);
            *strength = 1.0 - (1.0 - *strength) * (1.0 - faint);
        }
    }

    /// Keeps what continues over neighbouring cells: a fissure goes on for centimetres, vessels do not.
    ///
    /// Each height becomes the mean strength over the cells within [`COHERENT_CELLS`] on the inclined plane through it that
    /// gathers most, less that 4 to 8 mm beside it (where vessels crowd, everything seems to go on), weighted by its own.
    fn keep_coherent(&mut self) {
        let [nu, nv] = self.cells.map(|n| n as isize);
        let widened: Vec<f32> = (0..self.strength.len())
            .map(|at| {
                let (cell, k) = (at / HEIGHTS, at % HEIGHTS);
                self.of(cell)[k.saturating_sub(1)..=(k + 1).min(HEIGHTS - 1)].iter().copied().fold(0.0, f32::max)
            })
            .collect();
        let reach = COHERENT_CELLS;
        let inside = &self.inside;
        let known: Vec<f32> = inside.iter().map(|i| if *i { 1.0 } else { 0.0 }).collect();
        let root: Vec<f32> = widened.iter().zip(&known).map(|(w, k)| k * w.sqrt()).collect();
        let mut coherent = vec![0f32; widened.len()];
        coherent.par_chunks_mut(HEIGHTS).enumerate().for_each(|(cell, out)| {
            let (i, j) = (cell as isize / nv, cell as isize % nv);
            if !inside[cell * HEIGHTS..(cell + 1) * HEIGHTS].iter().any(|v| *v) {
                return;
            }
            for slope_u in -2..=2isize {
                for slope_v in -2..=2isize {
                    let (mut sum, mut n) = ([0f32; HEIGHTS], [0f32; HEIGHTS]);
                    for di in (-reach..=reach).filter(|d| (0..nu).contains(&(i + d))) {
                        for dj in (-reach..=reach).filter(|d| (0..nv).contains(&(j + d))) {
                            let from = ((i + di) * nv + j + dj) as usize * HEIGHTS;
                            let rise = slope_u * di + slope_v * dj;
                            let (to, start) = ((-rise).max(0) as usize, rise.max(0) as usize);
                            let length = HEIGHTS - to.max(start);
                            let other = from + start..from + start + length;
                            for (s, v) in sum[to..to + length].iter_mut().zip(&root[other.clone()]) {
                                *s += v;
                            }
                            for (n, v) in n[to..to + length].iter_mut().zip(&known[other]) {
                                *n += v;
                            }
                        }
                    }
                    for k in 0..HEIGHTS {
                        // Where the lung ends, half a plane must speak for the whole.
                        let cells = (2 * reach + 1).pow(2) as f32;
                        out[k] = out[k].max(sum[k] / n[k].max(0.5 * cells));
                    }
                }
            }
        });
        let strength = &mut self.strength;
        strength.par_chunks_mut(HEIGHTS).zip(coherent.par_chunks(HEIGHTS)).zip(widened.par_chunks(HEIGHTS)).for_each(
            |((strength, coherent), own)| {
                for k in 0..HEIGHTS {
                    let low = &coherent[k.saturating_sub(8)..k.saturating_sub(3)];
                    let high = &coherent[(k + 4).min(HEIGHTS)..(k + 9).min(HEIGHTS)];
                    let n = (low.len() + high.len()).max(1) as f32;
                    let beside = (low.iter().sum::<f32>() + high.iter().sum::<f32>()) / n;
                    let goes_on = ((coherent[k] - beside - COHERENT_FROM) / COHERENT_SPAN).clamp(0.0, 1.0);
                    strength[k] = goes_on * own[k].sqrt();
                }
            },
        );
    }

    /// No evidence at all: the surface keeps its course.
    pub(super) fn none(kind: FissureKind, frame: Frame, course: &impl Fn(f64, f64) -> f64) -> Self {
        let cells = cells_of(kind, &frame);
        let n = cells[0] * cells[1] * HEIGHTS;
        let height_per_mm = 1.0 / mm_of_step(kind, &frame, 2);
        let start = (0..cells[0] * cells[1])
            .map(|cell| {
                let (u, v) = base(kind, cells, (cell / cells[1]) as f64, (cell % cells[1]) as f64);
                course(u, v)
            })
            .collect();
        Self { kind, frame, cells, start, strength: vec![0.0; n], inside: vec![false; n], height_per_mm }
    }

    /// The heights of one cell.
    pub(super) fn of(&self, cell: usize) -> &[f32] {
        &self.strength[cell * HEIGHTS..(cell + 1) * HEIGHTS]
    }

    /// Number of cells.
    pub(super) fn len(&self) -> usize {
        self.cells[0] * self.cells[1]
    }
}

/// Number of cells along u and v.
fn cells_of(kind: FissureKind, frame: &Frame) -> [usize; 2] {
    std::array::from_fn(|a| ((2.0 * kind.reach()[a] * mm_of_step(kind, frame, a) / CELL_MM).ceil() as usize).max(4))
}

/// Millimetres per unit of the surface coordinate `axis` (0 u, 1 v, 2 height).
fn mm_of_step(kind: FissureKind, frame: &Frame, axis: usize) -> f64 {
    let mut unit = [0.0; 3];
    unit[axis] = 1.0;
    let (from, to) =
        (frame.mm_from_lung(kind.lung_from_surface([0.0; 3])), frame.mm_from_lung(kind.lung_from_surface(unit)));
    (0..3).map(|a| (to[a] - from[a]).powi(2)).sum::<f64>().sqrt()
}

/// `u` and `v` at the (fractional) cell `i`, `j`.
pub(super) fn base(kind: FissureKind, cells: [usize; 2], i: f64, j: f64) -> (f64, f64) {
    let [u, v] = kind.reach();
    (((i + 0.5) / cells[0] as f64 * 2.0 - 1.0) * u, ((j + 0.5) / cells[1] as f64 * 2.0 - 1.0) * v)
}

/// Samples per side of the patch over which a cell is averaged, [`SAMPLE_MM`] apart.
const PATCH: usize = 7;

/// See [`PATCH`].
const SAMPLE_MM: f64 = 1.1;

/// Slopes against the course, along u and along v, at which a patch is tried.
const LOCAL_TILTS: [f64; 3] = [-0.4, 0.0, 0.4];

/// One cell and the course of the surface around it.
struct Cell<'a> {
    kind: FissureKind,
    frame: &'a Frame,
    /// `u`, `v` and the starting height of each sample of the patch.
    patch: Vec<[f64; 3]>,
    /// Unit normal of the surface: column, row, slice direction.
    normal: [f64; 3],
    height_per_mm: f64,
}

impl<'a> Cell<'a> {
    fn new(
        kind: FissureKind,
        frame: &'a Frame,
        cells: [usize; 2],
        [i, j]: [usize; 2],
        height_per_mm: f64,
        course: &impl Fn(f64, f64) -> f64,
    ) -> Self {
        let mut patch = Vec::with_capacity(PATCH * PATCH);
        let step = SAMPLE_MM / CELL_MM;
        for p in 0..PATCH {
            for q in 0..PATCH {
                let off = |k: usize| (k as f64 - (PATCH / 2) as f64) * step;
                let (u, v) = base(kind, cells, i as f64 + off(p), j as f64 + off(q));
                patch.push([u, v, course(u, v)]);
            }
        }
        let (u, v) = base(kind, cells, i as f64, j as f64);
        let h = 0.03;
        let f_u = (course(u + h, v) - course(u - h, v)) / (2.0 * h);
        let f_v = (course(u, v + h) - course(u, v - h)) / (2.0 * h);
        // Rotations carry gradients as they carry points.
        let n = frame.gradient_by_mm(kind.lung_from_surface([-f_u, -f_v, 1.0]));
        let length = n.iter().map(|x| x * x).sum::<f64>().sqrt();
        Self { kind, frame, patch, normal: n.map(|x| x / length), height_per_mm }
    }

    /// Fills the strength of sheets, whether it is inside, and the ridge in HU for the heights of this cell.
    ///
    /// Two detectors see different fissures: sheets of the Hessian find strong ones of any tilt near the course; the
    /// median over a patch that runs along the course finds faint ones, below the noise of a single voxel, and is blind to
    /// vessels that cross it.
    fn look(
        &self,
        scan: &Scan,
        belongs: &impl Fn([f64; 3], usize) -> bool,
        (strength, inside, ridges): (&mut [f32], &mut [bool], &mut [f32]),
    ) {
        let grid = scan.sheets.strength.geometry();
        let mut profiles = vec![[f32::NAN; HEIGHTS]; self.patch.len()];
        for k in 0..HEIGHTS {
            let (mut sheets, mut near, mut known) = (0f32, 0f32, 0usize);
            for (sample, [u, v, start]) in self.patch.iter().enumerate() {
                let w = start + (k as f64 - REACH_MM as f64) * self.height_per_mm;
                let q = self.kind.lung_from_surface([*u, *v, w]);
                let mm = self.frame.mm_from_lung(q);
                let Some(at) = offset_of(grid, mm) else { continue };
                if !scan.clear.data()[at] || !belongs(q, at) {
                    continue;
                }
                if let Some(hu) = scan.value(mm) {
                    profiles[sample][k] = hu;
                    known += 1;
                }
                if sample / PATCH % 2 == 1 && sample % PATCH % 2 == 1 {
                    near += 1.0;
                    sheets += self.along_normal(scan, at);
                }
            }
            if known * 2 >= self.patch.len() && near > 0.0 {
                inside[k] = true;
                strength[k] = sheets / near;
            }
        }
        if !inside.iter().any(|i| *i) {
            return;
        }
        for tilt_u in LOCAL_TILTS {
            for tilt_v in LOCAL_TILTS {
                let profile = self.median_profile(&profiles, inside, [tilt_u, tilt_v]);
                for (k, out) in ridges.iter_mut().enumerate() {
                    *out = out.max(ridge(&profile, k));
                }
            }
        }
    }

    /// The median over the patch at each height, where the patch leans by `tilt` mm per mm against the course.
    fn median_profile(&self, profiles: &[[f32; HEIGHTS]], inside: &[bool], tilt: [f64; 2]) -> [f32; HEIGHTS] {
        let lean: Vec<isize> = (0..profiles.len())
            .map(|sample| {
                let off = |k: usize| (k as f64 - (PATCH / 2) as f64) * SAMPLE_MM;
                (off(sample / PATCH) * tilt[0] + off(sample % PATCH) * tilt[1]).round() as isize
            })
            .collect();
        let mut out = [f32::NAN; HEIGHTS];
        let mut values = Vec::with_capacity(profiles.len());
        for k in (0..HEIGHTS).filter(|k| inside[*k]) {
            values.clear();
            for (profile, lean) in profiles.iter().zip(&lean) {
                let at = k.checked_add_signed(*lean).filter(|at| *at < HEIGHTS);
                if let Some(value) = at.map(|at| profile[at]).filter(|v| !v.is_nan()) {
                    values.push(value);
                }
            }
            if values.len() * 2 >= profiles.len() {
                let middle = values.len() / 2;
                out[k] = *values.select_nth_unstable_by(middle, f32::total_cmp).1;
            }
        }
        out
    }

    /// Strength of the sheet at a voxel as far as it runs along the course.
    fn along_normal(&self, scan: &Scan, at: usize) -> f32 {
        let strength = scan.sheets.strength.data()[at];
        if strength == 0.0 {
            return 0.0;
        }
        let n = scan.sheets.normals.data()[at].map(|v| f64::from(v) / 127.0);
        let cosine = (n[0] * self.normal[2] + n[1] * self.normal[1] + n[2] * self.normal[0]).abs();
        strength * ((cosine - 0.72) / 0.2).clamp(0.0, 1.0) as f32
    }
}

/// The offset of the voxel that holds a place in mm from the outer faces (column, row, slice direction).
fn offset_of(grid: &Geometry, mm: [f64; 3]) -> Option<usize> {
    let index: [f64; 3] = std::array::from_fn(|a| mm[2 - a] / grid.spacing_mm()[a]);
    let within = (0..3).all(|a| index[a] >= 0.0 && index[a] < grid.shape()[a] as f64);
    within.then(|| grid.offset(index.map(|v| v as usize)))
}

/// How much the profile stands out at `k` above the higher of both sides, 2 to 4 mm away; 0 where it is not known.
fn ridge(profile: &[f32; HEIGHTS], k: usize) -> f32 {
    if k < 4 || k + 4 >= HEIGHTS {
        return 0.0;
    }
    let here = (profile[k - 1].max(profile[k + 1]) + profile[k]) / 2.0;
    let below = (profile[k - 2] + profile[k - 3] + profile[k - 4]) / 3.0;
    let above = (profile[k + 2] + profile[k + 3] + profile[k + 4]) / 3.0;
    let ridge = here - below.max(above);
    // NaN where a side is outside the lung.
    if ridge.is_finite() { ridge } else { 0.0 }
}
