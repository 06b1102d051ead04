//! From the working grid back to the scan's own grid, with the border where the scan itself shows it.

use super::AIRWAYS;
use super::sides::{LEFT, NONE, RIGHT};
use crate::working_grid::interpolation;
use hilum_volume::{LabelMap, Volume};
use rayon::prelude::*;

/// Middle between aerated lung (about −850 HU) and soft tissue (about 50): a partial-volume voxel that is half lung.
const BORDER_HU: f32 = -400.0;

/// HU away from [`BORDER_HU`] at which a voxel is surely one or the other.
const SURE_HU: f32 = 300.0;

/// A working voxel above this is dense lung, whose border HU does not show.
const DENSE_HU: i16 = -300;

/// Bronchial and tracheal lumen at full resolution; the middle between air and its wall.
const LUMEN_HU: i16 = -600;

/// Labels on the grid of `ct` from those of the working grid, which has the same outer faces.
///
/// Where all working voxels around a voxel agree, it takes their label. At borders the interpolated share of lung and the
/// voxel's own HU decide together, so that the border follows the pleura at full resolution; beside dense lung the share
/// alone decides.
pub(super) fn to_scan(ct: &Volume<i16>, working_ct: &Volume<i16>, working: &Volume<u8>) -> LabelMap {
    let [_, rows, columns] = ct.shape();
    let coarse = working.shape();
    let [by_slice, by_row, by_column] = std::array::from_fn(|a| interpolation(ct.shape()[a], coarse[a]));
    let next = |a: usize| usize::from(coarse[a] > 1);
    let (down, right) = (coarse[2] * next(1), next(2));
    let plane = coarse[1] * coarse[2];
    let labels = working.data();
    let mut out = vec![NONE; ct.geometry().len()];
    out.par_chunks_mut(rows * columns).enumerate().for_each(|(s, out)| {
        let (s0, ws) = by_slice[s];
        let hu = ct.slice(s);
        for r in 0..rows {
            let (r0, wr) = by_row[r];
            for c in 0..columns {
                let (c0, wc) = by_column[c];
                let at = s0 * plane + r0 * coarse[2] + c0;
                let above = at + plane * next(0);
                let around = [
                    at,
                    at + right,
                    at + down,
                    at + down + right,
                    above,
                    above + right,
                    above + down,
                    above + down + right,
                ];
                let first = labels[at];
                if around.iter().all(|i| labels[*i] == first) {
                    out[r * columns + c] = first;
                    continue;
                }
                let mut share = [0f32; 4];
                let (mut nearest, mut greatest) = (at, -1.0);
                for (k, i) in around.into_iter().enumerate() {
                    let along = |bit: usize, w: f32| if k >> bit & 1 == 1 { w } else { 1.0 - w };
                    let weight = along(2, ws) * along(1, wr) * along(0, wc);
                    share[labels[i] as usize] += weight;
                    if weight > greatest {
                        (nearest, greatest) = (i, weight);
                    }
                }
                let dense = matches!(labels[nearest], RIGHT | LEFT) && working_ct.data()[nearest] > DENSE_HU;
                out[r * columns + c] = at_border(share, hu[r * columns + c], dense);
            }
        }
    });
    LabelMap::new(Volume::new(ct.geometry().clone(), out).expect("one label per voxel"))
}

/// The label of a voxel at a border from the shares of the labels around it and its HU.
fn at_border(share: [f32; 4], hu: i16, dense: bool) -> u8 {
    let lung = share[usize::from(RIGHT)] + share[usize::from(LEFT)];
    let airway = share[usize::from(AIRWAYS)];
    if airway > 0.3 && airway >= lung {
        return if hu < LUMEN_HU { AIRWAYS } else { NONE };
    }
    let aeration = if dense { 0.0 } else { ((BORDER_HU - f32::from(hu)) / SURE_HU).clamp(-1.0, 1.0) };
    if 1.2 * (2.0 * lung - 1.0) + aeration <= 0.0 {
        NONE
    } else if share[usize::from(RIGHT)] >= share[usize::from(LEFT)] {
        RIGHT
    } else {
        LEFT
    }
}
