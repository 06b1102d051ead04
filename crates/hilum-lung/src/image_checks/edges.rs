//! How wide the edge between lung and soft tissue is, in plane, and whether the picture rings beside it.

use hilum_volume::Volume;
use rayon::prelude::*;

use crate::lungs::{LEFT, RIGHT};

/// Slices that are looked at, at most.
const SLICES: usize = 32;
/// Lung with air, and soft tissue: an edge leads from one to the other.
const LUNG_HU: std::ops::Range<f32> = -1100.0..-650.0;
const TISSUE_HU: std::ops::Range<f32> = -150.0..250.0;
/// An edge begins where lung ends and ends where tissue begins.
const BEGINS_HU: f32 = -700.0;
const ENDS_HU: f32 = -150.0;
/// A Gaussian of standard deviation 1 takes this far from [`BEGINS_HU`] to [`ENDS_HU`] if lung has −850 HU and tissue 40.
const WIDTH_OF_SIGMA: f64 = 1.76;
/// No edge is wider.
const WIDTH_MAX_MM: f64 = 40.0;
/// What lies on either side is seen this far from the edge, over this length.
const PLATEAU_MM: [f64; 2] = [2.0, 6.0];
/// Ringing is seen this far from the edge, against lung at [`FAR_MM`].
const NEAR_MM: [f64; 2] = [0.6, 4.0];
const FAR_MM: [f64; 2] = [6.0, 12.0];
/// What pixels alone add to the width, as a standard deviation in pixels: between a box (.29) and linear interpolation of a step that
/// falls anywhere, measured on scans and phantoms with pixels of .6 to 3 mm.
const PIXEL_BLUR: f64 = 0.6;
/// Edges along one direction that must be seen.
const EDGES_MIN: usize = 200;

/// The edges of the lungs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edges {
    /// Width that a quarter of the edges stays below, less what pixels cause, as the standard deviation of a Gaussian blur in mm:
    /// edges met along rows, and those met along columns. Edges met at a slant are wider, hence not the median.
    pub blur_mm: [f64; 2],
    /// How far the mean lung beside a sharp edge dips below lung farther away, HU.
    pub dip_hu: f64,
}

/// A line of pixels across an edge.
struct Edge {
    width_mm: f64,
    /// HU at steps of [`STEP_MM`] from where the edge begins, into the lung.
    lung: [f32; STEPS],
}

const STEP_MM: f64 = 0.5;
const STEPS: usize = 24;

/// Measures the edges of the lungs (`labels`, as [`crate::lungs::Lungs::labels`]) in `ct`; `None` if too few are seen.
pub(crate) fn measure(ct: &Volume<i16>, labels: &Volume<u8>) -> Option<Edges> {
    let [slices, rows, columns] = ct.shape();
    let [_, row_mm, column_mm] = ct.geometry().spacing_mm();
    let chosen: Vec<usize> = (0..slices).step_by(slices.div_ceil(SLICES)).collect();
    let found: Vec<[Vec<Edge>; 2]> = chosen
        .into_par_iter()
        .map(|slice| {
            let (hu, label) = (ct.slice(slice), labels.slice(slice));
            let mut edges = [Vec::new(), Vec::new()];
            // Number of lines, from line to line, pixels of a line, from pixel to pixel, size of a pixel.
            let directions = [(rows, columns, columns, 1, column_mm), (columns, 1, rows, columns, row_mm)];
            for (edges, (lines, to_line, length, to_pixel, pixel_mm)) in edges.iter_mut().zip(directions) {
                for line in 0..lines {
                    let at = |i: usize| line * to_line + i * to_pixel;
                    if (0..length).step_by(4).any(|i| is_lung(label[at(i)])) {
                        let mut values: Vec<f32> = (0..length).map(|i| f32::from(hu[at(i)])).collect();
                        let mut lung: Vec<bool> = (0..length).map(|i| is_lung(label[at(i)])).collect();
                        along(&values, &lung, pixel_mm, edges);
                        values.reverse();
                        lung.reverse();
                        along(&values, &lung, pixel_mm, edges);
                    }
                }
            }
            edges
        })
        .collect();
    let mut both = [Vec::new(), Vec::new()];
    for edges in found {
        both.iter_mut().zip(edges).for_each(|(all, new)| all.extend(new));
    }
    if both.iter().any(|edges| edges.len() < EDGES_MIN) {
        return None;
    }
    let quarter = both.each_mut().map(|edges| {
        edges.sort_by(|a, b| a.width_mm.total_cmp(&b.width_mm));
        edges[edges.len() / 4].width_mm
    });
    // The sharper half.
    let sharp: Vec<&Edge> = both.iter().flat_map(|edges| &edges[..edges.len() / 2]).collect();
    let mean = |step: usize| sharp.iter().map(|edge| f64::from(edge.lung[step])).sum::<f64>() / sharp.len() as f64;
    let steps = |[from, to]: [f64; 2]| (from / STEP_MM).round() as usize..(to / STEP_MM).round() as usize;
    let far = steps(FAR_MM).map(mean).sum::<f64>() / steps(FAR_MM).len() as f64;
    let near = steps(NEAR_MM).map(mean).fold(f64::INFINITY, f64::min);
    let beyond_pixels = |width_mm: f64, pixel_mm: f64| {
        ((width_mm / WIDTH_OF_SIGMA).powi(2) - (PIXEL_BLUR * pixel_mm).powi(2)).max(0.0).sqrt()
    };
    let blur_mm = [beyond_pixels(quarter[0], column_mm), beyond_pixels(quarter[1], row_mm)];
    Some(Edges { blur_mm, dip_hu: far - near })
}

fn is_lung(label: u8) -> bool {
    matches!(label, RIGHT | LEFT)
}

/// The edges of a line that lead from lung to tissue as it is read.
fn along(hu: &[f32], lung: &[bool], pixel_mm: f64, edges: &mut Vec<Edge>) {
    let pixels = |mm: f64| (mm / pixel_mm).round().max(1.0) as usize;
    let mean = |from: usize, to: usize| hu[from..to].iter().sum::<f32>() / (to - from) as f32;
    let (near, far) = (pixels(PLATEAU_MM[0]), pixels(PLATEAU_MM[0]) + pixels(PLATEAU_MM[1] - PLATEAU_MM[0]));
    let before = far.max((STEPS as f64 * STEP_MM / pixel_mm).ceil() as usize + 1);
    let longest = (WIDTH_MAX_MM / pixel_mm).ceil() as usize;
    let mut i = before;
    while i + far + 1 < hu.len() {
        if !(hu[i] <= BEGINS_HU && hu[i + 1] > BEGINS_HU && lung[i - near]) {
            i += 1;
            continue;
        }
        let within = i + 1..(i + 2 + longest).min(hu.len() - far);
        let end = within.clone().find(|j| hu[*j] <= BEGINS_HU || hu[*j] >= ENDS_HU);
        if let Some(j) = end.filter(|j| hu[*j] >= ENDS_HU)
            && LUNG_HU.contains(&mean(i + 1 - far, i + 1 - near))
            && TISSUE_HU.contains(&mean(j + near, j + far))
            && (i - before..i + 1 - near).all(|k| lung[k])
        {
            let crossing = |k: usize, level: f32| k as f64 + f64::from((level - hu[k]) / (hu[k + 1] - hu[k]));
            let begins = crossing(i, BEGINS_HU);
            let sample = |step: usize| {
                let at = begins - step as f64 * STEP_MM / pixel_mm;
                let low = at as usize;
                hu[low] + (hu[low + 1] - hu[low]) * (at - low as f64) as f32
            };
            let width_mm = (crossing(j - 1, ENDS_HU) - begins) * pixel_mm;
            edges.push(Edge { width_mm, lung: std::array::from_fn(sample) });
        }
        i = end.unwrap_or(i + 1).max(i + 1);
    }
}
