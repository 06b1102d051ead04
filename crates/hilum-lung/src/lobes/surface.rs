//! From evidence to one smooth surface per fissure.
//!
//! The average surface is first moved and tilted as a whole to where most evidence lies. Then every cell chooses its height
//! by semi-global matching (Hirschmüller 2008, DOI 10.1109/TPAMI.2007.1166): evidence counts for a height, a jump between
//! neighbours and distance from the moved average against it, summed along eight directions. Last the heights are smoothed,
//! weighted by evidence: where none is seen, neighbours that see some and the moved average decide.

use super::evidence::{CELL_MM, Evidence, HEIGHTS, REACH_MM, base};
use crate::lobe_prior::{FissureKind, Frame};
use rayon::prelude::*;

/// Evidence of this strength at the chosen height (within 2 mm) counts as the fissure seen.
const SEEN: f32 = 0.25;

/// A fissure as it lies in one patient.
#[derive(Clone, Debug)]
pub(super) struct Surface {
    pub(super) kind: FissureKind,
    pub(super) frame: Frame,
    cells: [usize; 2],
    /// Height in lung coordinates per cell, `[u][v]`.
    height: Vec<f64>,
    /// Share of the surface (within the lung) on which a sheet was seen.
    pub(super) support: f64,
    /// The same share for surfaces beside it: what chance gives.
    pub(super) chance: f64,
    /// Mean strength of the evidence along the surface less that beside it.
    pub(super) strength: f64,
    /// Mean distance from the average surface, mm.
    pub(super) moved_mm: f64,
}

impl Surface {
    /// The surfaces that fit best when the course is first moved and tilted as a whole and then bends; without
    /// evidence the course itself.
    pub(super) fn candidates(evidence: &Evidence) -> Vec<Self> {
        align(evidence).into_par_iter().map(|start| Self::bend(evidence, &start, 11.0)).collect()
    }

    /// The surface that fits best close to a course that was already fitted.
    pub(super) fn refined(evidence: &Evidence) -> Self {
        Self::bend(evidence, &vec![0.0; evidence.len()], 7.0)
    }

    /// Bends the course, moved by `start` mm per cell, to the evidence within about `stray_mm`.
    fn bend(evidence: &Evidence, start: &[f64], stray_mm: f64) -> Self {
        let chosen = choose(evidence, start, stray_mm);
        let height_mm = smooth(evidence, start, &chosen);
        let [(support, strength), (chance, strength_beside)] = support(evidence, &height_mm);
        let strength = strength - strength_beside;
        let height: Vec<f64> =
            evidence.start.iter().zip(&height_mm).map(|(start, mm)| start + mm * evidence.height_per_mm).collect();
        let from_average = |(cell, h): (usize, &f64)| {
            let (i, j) = (cell / evidence.cells[1], cell % evidence.cells[1]);
            let (u, v) = base(evidence.kind, evidence.cells, i as f64, j as f64);
            (h - evidence.kind.height(u, v)).abs() / evidence.height_per_mm
        };
        let moved_mm = height.iter().enumerate().map(from_average).sum::<f64>() / height.len() as f64;
        let (kind, frame, cells) = (evidence.kind, evidence.frame, evidence.cells);
        Self { kind, frame, cells, height, support, chance, strength, moved_mm }
    }

    /// How well the surface explains the scan: what is seen beyond chance, less for being far from the average.
    pub(super) fn merit(&self) -> f64 {
        self.strength - 0.03 * (self.moved_mm / 12.0).powi(2)
    }

    /// Height above the surface, in lung coordinates, of a place in lung coordinates; positive above (and in front).
    pub(super) fn above(&self, q: [f64; 3]) -> f64 {
        let [u, v, w] = self.kind.surface_from_lung(q);
        w - self.course(u, v)
    }

    /// Height of the surface over `u`, `v`, held constant beyond its reach.
    pub(super) fn course(&self, u: f64, v: f64) -> f64 {
        let reach = self.kind.reach();
        let place = |x: f64, a: usize| {
            let at = ((x / reach[a] + 1.0) * 0.5 * self.cells[a] as f64 - 0.5).clamp(0.0, (self.cells[a] - 1) as f64);
            let low = (at as usize).min(self.cells[a] - 2);
            (low, at - low as f64)
        };
        let ((i, s), (j, t)) = (place(u, 0), place(v, 1));
        let h = |i: usize, j: usize| self.height[i * self.cells[1] + j];
        let low = h(i, j) * (1.0 - t) + h(i, j + 1) * t;
        let high = h(i + 1, j) * (1.0 - t) + h(i + 1, j + 1) * t;
        low * (1.0 - s) + high * s
    }
}

/// Heights (mm from the start, per cell) of the course moved and tilted as a whole to most evidence: the best few that
/// differ, best first.
fn align(evidence: &Evidence) -> Vec<Vec<f64>> {
    const DISTINCT_MM: f64 = 9.0;
    let widened = widen(evidence, 2);
    let centre = |cell: usize| {
        let (i, j) = (cell / evidence.cells[1], cell % evidence.cells[1]);
        let part = |at: usize, n: usize| (at as f64 + 0.5) / n as f64 * 2.0 - 1.0;
        [part(i, evidence.cells[0]), part(j, evidence.cells[1])]
    };
    let within = |cell: &usize| evidence.inside[cell * HEIGHTS..(cell + 1) * HEIGHTS].iter().any(|i| *i);
    let present: Vec<usize> = (0..evidence.len()).filter(within).collect();
    let steps = |range: i32, step: usize| (-range..=range).step_by(step).map(f64::from);
    let mut tried = Vec::new();
    for shift in steps(34, 2) {
        for tilt_u in steps(15, 5) {
            for tilt_v in steps(20, 5) {
                let mut sum = 0.0;
                for &cell in &present {
                    let [u, v] = centre(cell);
                    let at = (shift + tilt_u * u + tilt_v * v).round() as i64 + REACH_MM as i64;
                    if (0..HEIGHTS as i64).contains(&at) {
                        sum += f64::from(widened[cell * HEIGHTS + at as usize]);
                    }
                }
                // Prior spreads: how far fissures stray from the average as a whole (mm); assumed, not measured.
                let unusual = (shift / 16.0f64).powi(2) + (tilt_u / 12.0f64).powi(2) + (tilt_v / 14.0f64).powi(2);
                tried.push((sum / present.len().max(1) as f64 - 0.008 * unusual, [shift, tilt_u, tilt_v]));
            }
        }
    }
    tried.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut chosen: Vec<[f64; 3]> = Vec::new();
    for (_, at) in tried {
        if chosen.iter().all(|c| (0..3).map(|a| (c[a] - at[a]).abs()).sum::<f64>() >= DISTINCT_MM) {
            chosen.push(at);
        }
        if chosen.len() == 4 {
            break;
        }
    }
    let limit = REACH_MM as f64 - 1.0;
    let heights = |[shift, tilt_u, tilt_v]: [f64; 3]| {
        let height = |cell: usize| {
            let [u, v] = centre(cell);
            (shift + tilt_u * u + tilt_v * v).clamp(-limit, limit)
        };
        (0..evidence.len()).map(height).collect()
    };
    chosen.into_iter().map(heights).collect()
}

/// For each height the mean of the evidence within `half` mm.
fn widen(evidence: &Evidence, half: usize) -> Vec<f32> {
    let mut out = vec![0f32; evidence.strength.len()];
    for cell in 0..evidence.len() {
        let from = evidence.of(cell);
        for k in 0..HEIGHTS {
            let (low, high) = (k.saturating_sub(half), (k + half).min(HEIGHTS - 1));
            out[cell * HEIGHTS + k] = from[low..=high].iter().sum::<f32>() / (2 * half + 1) as f32;
        }
    }
    out
}

/// Semi-global matching: the index of the best height of each cell.
fn choose(evidence: &Evidence, start: &[f64], stray_mm: f64) -> Vec<usize> {
    const JUMP: f32 = 0.05;
    const MAX_JUMP: usize = 8;
    let [nu, nv] = evidence.cells.map(|n| n as isize);
    let unary: Vec<f32> = (0..evidence.strength.len())
        .map(|at| {
            let away = (at % HEIGHTS) as f64 - REACH_MM as f64 - start[at / HEIGHTS];
            1.0 - evidence.strength[at] + 0.12 * ((away / stray_mm).powi(2) as f32).min(6.0)
        })
        .collect();
    let mut total = vec![0f32; unary.len()];
    for (du, dv) in [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)] {
        let mut path = unary.clone();
        let order =
            |n: isize, d: isize| -> Vec<isize> { if d < 0 { (0..n).rev().collect() } else { (0..n).collect() } };
        for i in order(nu, du) {
            for j in order(nv, dv) {
                let (pi, pj) = (i - du, j - dv);
                if pi < 0 || pj < 0 || pi >= nu || pj >= nv {
                    continue;
                }
                let (at, from) = ((i * nv + j) as usize * HEIGHTS, (pi * nv + pj) as usize * HEIGHTS);
                let before: Vec<f32> = path[from..from + HEIGHTS].to_vec();
                let least = before.iter().copied().fold(f32::INFINITY, f32::min);
                let farthest = least + JUMP * (MAX_JUMP * MAX_JUMP) as f32;
                for k in 0..HEIGHTS {
                    let mut cheapest = farthest;
                    for m in k.saturating_sub(MAX_JUMP)..=(k + MAX_JUMP).min(HEIGHTS - 1) {
                        let jump = k.abs_diff(m);
                        cheapest = cheapest.min(before[m] + JUMP * (jump * jump) as f32);
                    }
                    path[at + k] += cheapest - least;
                }
            }
        }
        for (t, p) in total.iter_mut().zip(&path) {
            *t += p;
        }
    }
    let least = |cell: usize| {
        let costs = &total[cell * HEIGHTS..(cell + 1) * HEIGHTS];
        (0..HEIGHTS).min_by(|a, b| costs[*a].total_cmp(&costs[*b])).expect("there are heights")
    };
    (0..evidence.len()).map(least).collect()
}

/// Heights in mm, smoothed coarse to fine with the evidence at the chosen heights as weight.
fn smooth(evidence: &Evidence, start: &[f64], chosen: &[usize]) -> Vec<f64> {
    let seen: Vec<f64> = chosen.iter().enumerate().map(|(cell, k)| f64::from(near(evidence.of(cell), *k, 1))).collect();
    let wanted: Vec<f64> = chosen.iter().map(|k| *k as f64 - REACH_MM as f64).collect();
    let mut height = start.to_vec();
    for (sigma_mm, tolerance_mm, trust_before) in [(28.0, 14.0, 0.02), (14.0, 8.0, 0.03), (6.0, 5.0, 0.05)] {
        // Cells that disagree with the smoother surface lie on vessels or accessory fissures.
        let weight: Vec<f64> =
            (0..seen.len())
                .map(|c| {
                    if seen[c] < 0.05 {
                        0.0
                    } else {
                        seen[c] * (-((wanted[c] - height[c]) / tolerance_mm).powi(2)).exp()
                    }
                })
                .collect();
        let pull: Vec<f64> = (0..seen.len()).map(|c| weight[c] * (wanted[c] - height[c])).collect();
        let (pull, total) =
            (blur(&pull, evidence.cells, sigma_mm / CELL_MM), blur(&weight, evidence.cells, sigma_mm / CELL_MM));
        for c in 0..height.len() {
            height[c] += pull[c] / (total[c] + trust_before);
        }
    }
    let limit = REACH_MM as f64;
    height.iter().map(|h| h.clamp(-limit, limit)).collect()
}

/// Greatest value within `half` of index `k`.
fn near(values: &[f32], k: usize, half: usize) -> f32 {
    values[k.saturating_sub(half)..=(k + half).min(values.len() - 1)].iter().copied().fold(0.0, f32::max)
}

/// Gaussian over the cells, normalised at the border.
fn blur(values: &[f64], [nu, nv]: [usize; 2], sigma: f64) -> Vec<f64> {
    let half = (3.0 * sigma).ceil() as usize;
    let weight: Vec<f64> = (0..=half).map(|d| (-0.5 * (d as f64 / sigma).powi(2)).exp()).collect();
    let pass = |from: &[f64], along_u: bool| -> Vec<f64> {
        (0..from.len())
            .map(|at| {
                let (i, j) = (at / nv, at % nv);
                let (here, n) = if along_u { (i, nu) } else { (j, nv) };
                let (mut sum, mut total) = (0.0, 0.0);
                for other in here.saturating_sub(half)..=(here + half).min(n - 1) {
                    let w = weight[here.abs_diff(other)];
                    sum += w * from[if along_u { other * nv + j } else { i * nv + other }];
                    total += w;
                }
                sum / total
            })
            .collect()
    };
    pass(&pass(values, true), false)
}

/// The share of the surface that is seen and the mean strength of its evidence; then the same for surfaces 7 to 13 mm
/// beside it.
fn support(evidence: &Evidence, height_mm: &[f64]) -> [(f64, f64); 2] {
    let share = |shift: f64| {
        let (mut seen, mut strength, mut all) = (0usize, 0.0, 0usize);
        for cell in 0..evidence.len() {
            let k = (height_mm[cell] + shift + REACH_MM as f64).round();
            if k < 0.0 || k >= HEIGHTS as f64 || !evidence.inside[cell * HEIGHTS + k as usize] {
                continue;
            }
            all += 1;
            seen += usize::from(near(evidence.of(cell), k as usize, 2) >= SEEN);
            strength += f64::from(near(evidence.of(cell), k as usize, 1));
        }
        (all >= 10).then(|| (seen as f64 / all as f64, strength / all as f64))
    };
    let beside: Vec<(f64, f64)> = [-13.0, -10.0, -7.0, 7.0, 10.0, 13.0].into_iter().filter_map(share).collect();
    let n = beside.len().max(1) as f64;
    let chance = (beside.iter().map(|b| b.0).sum::<f64>() / n, beside.iter().map(|b| b.1).sum::<f64>() / n);
    [share(0.0).unwrap_or((0.0, 0.0)), chance]
}
