//! The median of 27 neighbours, many voxels at a time.

use hilum_volume::Volume;
use rayon::prelude::*;

/// Voxels whose medians are selected together, one per lane.
const LANES: usize = 16;

/// Median over the 3 × 3 × 3 neighbourhood in voxels; the border is repeated outward.
///
/// NaN is treated as an arbitrary value: remove it before.
#[must_use]
pub fn median3(volume: &Volume<f32>) -> Volume<f32> {
    let [slices, rows, columns] = volume.shape();
    let mut data = vec![0.0_f32; volume.geometry().len()];
    data.par_chunks_mut(rows * columns).enumerate().for_each(|(s, out)| {
        // Nine neighbouring lines, each with its first and last voxel repeated and room to read a full set of lanes.
        let mut lines = vec![vec![0.0_f32; columns + 2 + LANES]; 9];
        let planes = [s.saturating_sub(1), s, (s + 1).min(slices - 1)].map(|s| volume.slice(s));
        for r in 0..rows {
            let near = [r.saturating_sub(1), r, (r + 1).min(rows - 1)];
            for (line, (plane, row)) in lines.iter_mut().zip(planes.iter().flat_map(|p| near.map(|r| (p, r)))) {
                line[1..=columns].copy_from_slice(&plane[row * columns..(row + 1) * columns]);
                line[0] = line[1];
                line[columns + 1] = line[columns];
            }
            for (block, out) in out[r * columns..(r + 1) * columns].chunks_mut(LANES).enumerate() {
                let mut window = [[0.0_f32; LANES]; 27];
                for (at, lane) in window.iter_mut().enumerate() {
                    let from = block * LANES + at % 3;
                    lane.copy_from_slice(&lines[at / 3][from..from + LANES]);
                }
                let median = median_of_27(&mut window);
                out.copy_from_slice(&median[..out.len()]);
            }
        }
    });
    Volume::new(volume.geometry().clone(), data).expect("one value per voxel")
}

/// Forgetful selection: of 15 candidates neither the least nor the greatest can be the median of 27, so both make room for
/// the next value, until three remain.
fn median_of_27(values: &mut [[f32; LANES]; 27]) -> [f32; LANES] {
    let mut count = 15;
    let mut next = 15;
    loop {
        extremes_outward(&mut values[..count]);
        if count == 3 {
            return values[1];
        }
        // The least is at 0 and the greatest at count − 1: drop both, take in the next value.
        if next < 27 {
            values[0] = values[next];
            next += 1;
        }
        count -= 1;
    }
}

/// Moves the least value to the front and the greatest to the end, lane by lane.
fn extremes_outward(values: &mut [[f32; LANES]]) {
    let n = values.len();
    for i in 0..n / 2 {
        exchange(values, i, n - 1 - i);
    }
    for i in 1..n.div_ceil(2) {
        exchange(values, 0, i);
    }
    for i in n / 2..n - 1 {
        exchange(values, i, n - 1);
    }
}

/// Puts the lesser of two values first, lane by lane.
#[inline]
fn exchange(values: &mut [[f32; LANES]], low: usize, high: usize) {
    let (a, b) = (values[low], values[high]);
    for lane in 0..LANES {
        values[low][lane] = if b[lane] < a[lane] { b[lane] } else { a[lane] };
        values[high][lane] = if b[lane] < a[lane] { a[lane] } else { b[lane] };
    }
}
