//! The affine map: twelve parameters, from coarse to fine, from several starts.

use super::image::{Level, Pyramid};
use super::linear::{Cell, Map3, determinant, is_inside, solve12};
use hilum_volume::{PatientPoint, PatientVector};
use rayon::prelude::*;

/// An affine map from current to prior patient points: `prior = matrix · (current − centre) + centre + shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AffineMap {
    centre: [f64; 3],
    matrix: [[f64; 3]; 3],
    shift: [f64; 3],
}

impl AffineMap {
    /// The map that turns and stretches around `centre` by `matrix` (rows of LPS x, y, z) and then moves by `shift`, mm.
    #[must_use]
    pub fn around(centre: PatientPoint, matrix: [[f64; 3]; 3], shift: PatientVector) -> Self {
        Self { centre: centre.0, matrix, shift: shift.0 }
    }

    /// The prior point of a current point.
    #[must_use]
    pub fn apply(&self, current: PatientPoint) -> PatientPoint {
        let d: [f64; 3] = std::array::from_fn(|a| current.0[a] - self.centre[a]);
        PatientPoint(std::array::from_fn(|i| {
            let turned: f64 = (0..3).map(|a| self.matrix[i][a] * d[a]).sum();
            turned + self.centre[i] + self.shift[i]
        }))
    }

    /// Rows of the matrix, LPS.
    #[must_use]
    pub fn matrix(&self) -> [[f64; 3]; 3] {
        self.matrix
    }

    /// How many times larger a volume is in the prior scan.
    #[must_use]
    pub fn determinant(&self) -> f64 {
        determinant(self.matrix)
    }

    fn changed(&self, by: &[f64; 12], scale_mm: f64) -> Self {
        let mut next = *self;
        for i in 0..3 {
            for a in 0..3 {
                next.matrix[i][a] += by[4 * i + a] / scale_mm;
            }
            next.shift[i] += by[4 * i + 3];
        }
        next
    }
}

/// Texture differences count this much beside differences of the surface, which run from 0 to 1.
const TEXTURE_WEIGHT: f32 = 0.06;
/// Texture differences beyond about this count less and less (Geman and McClure): what has no counterpart.
const TEXTURE_OUTLIER: f32 = 1.5;
/// What a point of the region costs that the prior scan does not show.
const UNSEEN_COST: f64 = 0.1;
/// Most steps per level.
const STEPS: usize = 40;
/// A step that moves no point of the region by more is the last, mm.
const STILL_MM: f64 = 0.01;
/// Voxels per summand, fixed so that sums do not depend on the number of threads.
const CHUNK: usize = 4096;

/// Finds the map of least cost.
pub(super) fn fit(fixed: &Pyramid, moving: &Pyramid) -> AffineMap {
    let coarsest = fixed.coarsest();
    let mut best: Option<(f64, AffineMap)> = None;
    for start in starts(fixed.level(coarsest), moving.level(coarsest)) {
        let (_, map) = descend(fixed.level(coarsest), moving.level(coarsest), start, false);
        let (cost, map) = descend(fixed.level(coarsest - 1), moving.level(coarsest - 1), map, true);
        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, map));
        }
    }
    let (_, map) = best.expect("there are starts");
    descend(fixed.finest(), moving.finest(), map, true).1
}

/// Where and how large the region is.
struct Moments {
    centre: [f64; 3],
    deviation: [f64; 3],
    low: [f64; 3],
    high: [f64; 3],
}

impl Moments {
    fn of(level: &Level) -> Self {
        let from = Map3::patient_from(&level.grid);
        let [_, rows, columns] = level.grid.shape();
        let mut sums = [[0.0_f64; 3]; 2];
        let mut total = 0.0;
        let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
        for (i, share) in level.region.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            let index = [i / (rows * columns), i / columns % rows, i % columns].map(|v| v as f32);
            let p = from.apply(index).map(f64::from);
            total += f64::from(*share);
            for a in 0..3 {
                sums[0][a] += f64::from(*share) * p[a];
                sums[1][a] += f64::from(*share) * p[a] * p[a];
                if *share > 0.5 {
                    low[a] = low[a].min(p[a]);
                    high[a] = high[a].max(p[a]);
                }
            }
        }
        let centre = sums[0].map(|s| s / total);
        let deviation = std::array::from_fn(|a| (sums[1][a] / total - centre[a] * centre[a]).max(1.0).sqrt());
        Self { centre, deviation, low, high }
    }
}

/// Maps to start from: by middle and extent, by the middle alone, in place, by the upper ends, by the lower ends.
fn starts(fixed: &Level, moving: &Level) -> Vec<AffineMap> {
    let (f, m) = (Moments::of(fixed), Moments::of(moving));
    let scaled = |scale: [f64; 3], shift: [f64; 3]| {
        let matrix = std::array::from_fn(|i| std::array::from_fn(|a| if a == i { scale[i] } else { 0.0 }));
        AffineMap { centre: f.centre, matrix, shift }
    };
    let middle: [f64; 3] = std::array::from_fn(|a| m.centre[a] - f.centre[a]);
    let extent = std::array::from_fn(|a| (m.deviation[a] / f.deviation[a]).clamp(0.6, 1.6));
    let ends = |f_end: f64, m_end: f64| [middle[0], middle[1], m_end - f_end];
    let one = [1.0; 3];
    let mut starts = vec![scaled(extent, middle), scaled(one, middle)];
    starts.push(scaled(one, ends(f.high[2], m.high[2])));
    starts.push(scaled(one, ends(f.low[2], m.low[2])));
    starts.push(scaled(one, [0.0; 3]));
    starts.retain(|map| map.shift.iter().all(|v| v.is_finite()));
    starts
}

/// Sums of the normal equations, of the cost and of its weight.
struct Normal {
    a: [[f64; 12]; 12],
    b: [f64; 12],
    cost: f64,
    weight: f64,
}

impl Normal {
    const ZERO: Self = Self { a: [[0.0; 12]; 12], b: [0.0; 12], cost: 0.0, weight: 0.0 };

    fn plus(mut self, other: &Self) -> Self {
        for i in 0..12 {
            for j in 0..12 {
                self.a[i][j] += other.a[i][j];
            }
            self.b[i] += other.b[i];
        }
        self.cost += other.cost;
        self.weight += other.weight;
        self
    }

    /// One difference that grows by `slope` per mm of the prior point, at `d` from the centre.
    fn add(&mut self, difference: f32, slope: [f32; 3], weight: f32, d: [f32; 3], scale_mm: f32) {
        let lever = [d[0] / scale_mm, d[1] / scale_mm, d[2] / scale_mm, 1.0];
        let mut row = [0.0_f32; 12];
        for i in 0..3 {
            for a in 0..4 {
                row[4 * i + a] = slope[i] * lever[a];
            }
        }
        for i in 0..12 {
            let weighted = weight * row[i];
            self.b[i] += f64::from(weighted * difference);
            for j in 0..=i {
                self.a[i][j] += f64::from(weighted * row[j]);
            }
        }
    }
}

/// Levenberg and Marquardt's descent on one level.
fn descend(fixed: &Level, moving: &Level, start: AffineMap, with_texture: bool) -> (f64, AffineMap) {
    let scale_mm = 100.0;
    let points = points_of_interest(fixed);
    let mut map = start;
    let mut normal = normal_equations(fixed, moving, &points, &map, scale_mm, with_texture);
    let mut damping = 1e-3;
    for _ in 0..STEPS {
        let mut a = normal.a;
        for i in 0..12 {
            for j in 0..i {
                a[j][i] = a[i][j];
            }
            a[i][i] += damping * normal.a[i][i] + 1e-9;
        }
        let Some(step) = solve12(&a, &normal.b) else { break };
        let candidate = map.changed(&step, scale_mm);
        let sane = (0.2..5.0).contains(&candidate.determinant());
        let next = normal_equations(fixed, moving, &points, &candidate, scale_mm, with_texture);
        if sane && next.cost / next.weight < normal.cost / normal.weight {
            map = candidate;
            normal = next;
            damping = (damping * 0.2).max(1e-6);
            if step.iter().all(|v| v.abs() < STILL_MM) {
                break;
            }
        } else {
            damping *= 8.0;
            if damping > 1e4 {
                break;
            }
        }
    }
    (normal.cost / normal.weight, map)
}

/// Voxels near the surface or within the region: nothing is to be learnt from others.
fn points_of_interest(level: &Level) -> Vec<u32> {
    (0..level.surface.len())
        .filter(|i| level.seen[*i] && (level.surface[*i] > 0.01 || level.trust[*i] > 0.0))
        .map(|i| i as u32)
        .collect()
}

fn normal_equations(
    fixed: &Level,
    moving: &Level,
    points: &[u32],
    map: &AffineMap,
    scale_mm: f64,
    with_texture: bool,
) -> Normal {
    let from = Map3::patient_from(&fixed.grid);
    let to = Map3::sampled(|p| moving.grid.voxel_from_patient(map.apply(PatientPoint(p))).0);
    let [_, rows, columns] = fixed.grid.shape();
    let shape = moving.grid.shape();
    let per_mm = 1.0 / moving.grid.spacing_mm()[0] as f32;
    let centre = map.centre.map(|v| v as f32);
    let sums: Vec<Normal> = points
        .par_chunks(CHUNK)
        .map(|chunk| {
            let mut normal = Normal::ZERO;
            for i in chunk.iter().map(|i| *i as usize) {
                let p = from.apply([(i / (rows * columns)) as f32, (i / columns % rows) as f32, (i % columns) as f32]);
                let at = to.apply(p);
                let d = std::array::from_fn(|a| p[a] - centre[a]);
                normal.weight += 1.0;
                if !is_inside(shape, at) {
                    // Beyond the prior's working grid lies no region.
                    normal.cost += f64::from(fixed.surface[i] * fixed.surface[i]);
                    continue;
                }
                let cell = Cell::around(shape, at);
                if !moving.seen[cell.first] {
                    normal.cost += UNSEEN_COST * f64::from(fixed.region[i]);
                    continue;
                }
                let (surface, slope) = cell.value_and_slope(&moving.surface);
                let difference = fixed.surface[i] - surface;
                normal.cost += f64::from(difference * difference);
                normal.add(difference, in_lps(slope, per_mm), 1.0, d, scale_mm as f32);
                if with_texture && fixed.trust[i] > 0.0 {
                    let trust = fixed.trust[i] * cell.value(&moving.trust);
                    if trust > 0.05 {
                        let (texture, slope) = cell.value_and_slope(&moving.texture);
                        let difference = fixed.texture[i] - texture;
                        let q = 1.0 / (1.0 + (difference / TEXTURE_OUTLIER).powi(2));
                        let weight = TEXTURE_WEIGHT * trust;
                        normal.cost += f64::from(weight * difference * difference * q);
                        normal.add(difference, in_lps(slope, per_mm), weight * q * q, d, scale_mm as f32);
                    }
                }
            }
            normal
        })
        .collect();
    sums.iter().fold(Normal::ZERO, Normal::plus)
}

/// A slope per voxel along slice, row and column of an axial grid as one per mm along x, y and z.
pub(super) fn in_lps(slope: [f32; 3], per_mm: f32) -> [f32; 3] {
    [slope[2] * per_mm, slope[1] * per_mm, slope[0] * per_mm]
}
