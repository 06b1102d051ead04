//! Sheets and tubes from second derivatives.
//!
//! The volume is smoothed by a Gaussian of `sigma_mm`, second derivatives are central differences of the smoothed volume in
//! millimetres, and are multiplied by sigma² (Lindeberg's normalisation, DOI 10.1023/A:1008045108935) so that strengths at
//! different scales compare. The eigenvalues of the 3 × 3 matrix at each voxel, |λ1| ≤ |λ2| ≤ |λ3|, say whether it lies on a
//! sheet (one large), a tube (two large) or a blob (three large). Axes are taken at right angles: bring a sheared grid into
//! an orthogonal one first.

mod symmetric;

pub use symmetric::{Eigen, Symmetric3};

use crate::filter::gaussian;
use hilum_volume::{Mask, Volume};
use rayon::prelude::*;

/// How strict the responses are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HessianOptions<'a> {
    /// Standard deviation of the smoothing; about half the thickness of the structures sought.
    pub sigma_mm: f64,
    /// Second derivative (times sigma², in the volume's unit) at which the response reaches 1 − e⁻⁰·⁵ = 39 % of its
    /// range; Frangi's c. Noise well below it gives no response.
    pub contrast: f32,
    /// Compute only where this is true; 0 elsewhere. Neighbours outside the mask are still read.
    pub within: Option<&'a Mask>,
}

/// The response to bright sheets and the direction across them.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheets {
    /// 0 (no sheet) to 1.
    pub strength: Volume<f32>,
    /// Unit normal of the sheet along the slice, row and column axis, in 127ths; its sign is arbitrary. Zero where the
    /// strength is 0.
    pub normals: Volume<[i8; 3]>,
}

/// Frangi's constant for the ratios of eigenvalues (alpha and beta of DOI 10.1007/BFb0056195).
const RATIO: f32 = 0.5;

/// How much each voxel lies on a bright sheet thinner than a few sigma, 0 to 1.
///
/// With |λ1| ≤ |λ2| ≤ |λ3| the response is `exp(−(λ2/λ3)² / 2·0.5²) · (1 − exp(−|λ|² / 2c²))` where λ3 < 0, else 0: the
/// sheet and noise terms of Descoteaux et al. (Bone enhancement filtering, MICCAI 2005, pp. 9-16); their blob term is left
/// out, as the sheet term already falls to e⁻² on blobs and tubes.
///
/// # Panics
/// If sigma or contrast is not positive, or the mask's shape differs.
#[must_use]
pub fn sheetness(volume: &Volume<f32>, options: &HessianOptions) -> Volume<f32> {
    per_voxel(volume, options, |hessian| {
        let [l1, l2, l3] = hessian.eigenvalues_by_size();
        sheet_response([l1, l2, l3], options.contrast)
    })
}

/// [`sheetness`] together with the sheets' normals.
///
/// # Panics
/// As [`sheetness`].
#[must_use]
pub fn sheets(volume: &Volume<f32>, options: &HessianOptions) -> Sheets {
    let both = per_voxel(volume, options, |hessian| {
        let strength = sheet_response(hessian.eigenvalues_by_size(), options.contrast);
        let normal =
            if strength > 0.0 { hessian.largest_direction().map(|v| (v * 127.0).round() as i8) } else { [0; 3] };
        (strength, normal)
    });
    Sheets { strength: both.map(|v| v.0), normals: both.map(|v| v.1) }
}

/// How much each voxel lies in a bright tube of a radius of about `sigma_mm`, 0 to 1 (Frangi et al. 1998,
/// DOI 10.1007/BFb0056195, equation 13, for one scale).
///
/// # Panics
/// As [`sheetness`].
#[must_use]
pub fn vesselness(volume: &Volume<f32>, options: &HessianOptions) -> Volume<f32> {
    per_voxel(volume, options, |hessian| tube_response(hessian.eigenvalues_by_size(), options.contrast))
}

/// The greatest [`vesselness`] over several scales (which override `options.sigma_mm`).
///
/// # Panics
/// If `sigmas_mm` is empty, and as [`sheetness`].
#[must_use]
pub fn vesselness_multiscale(volume: &Volume<f32>, sigmas_mm: &[f64], options: &HessianOptions) -> Volume<f32> {
    sigmas_mm
        .iter()
        .map(|sigma_mm| vesselness(volume, &HessianOptions { sigma_mm: *sigma_mm, ..*options }))
        .reduce(|mut best, next| {
            best.data_mut().par_iter_mut().zip(next.data()).for_each(|(b, n)| *b = b.max(*n));
            best
        })
        .expect("at least one scale")
}

fn sheet_response([l1, l2, l3]: [f32; 3], contrast: f32) -> f32 {
    if l3 >= 0.0 {
        return 0.0;
    }
    let ratio = l2 / l3;
    (-ratio * ratio / (2.0 * RATIO * RATIO)).exp() * above_noise([l1, l2, l3], contrast)
}

fn tube_response([l1, l2, l3]: [f32; 3], contrast: f32) -> f32 {
    if l2 >= 0.0 || l3 >= 0.0 {
        return 0.0;
    }
    let flat = l2 / l3;
    let blob2 = l1 * l1 / (l2 * l3);
    let width = 2.0 * RATIO * RATIO;
    (1.0 - (-flat * flat / width).exp()) * (-blob2 / width).exp() * above_noise([l1, l2, l3], contrast)
}

fn above_noise(l: [f32; 3], contrast: f32) -> f32 {
    let norm2 = l[0] * l[0] + l[1] * l[1] + l[2] * l[2];
    1.0 - (-norm2 / (2.0 * contrast * contrast)).exp()
}

/// The normalised Hessian of every voxel (in the mask) through `response`.
fn per_voxel<T: Copy + Default + Send>(
    volume: &Volume<f32>,
    options: &HessianOptions,
    response: impl Fn(&Symmetric3) -> T + Sync,
) -> Volume<T> {
    assert!(options.sigma_mm > 0.0 && options.contrast > 0.0, "sigma and contrast are positive");
    if let Some(mask) = options.within {
        assert_eq!(mask.shape(), volume.shape(), "volume and mask lie on one grid");
    }
    let smooth = gaussian(volume, options.sigma_mm);
    let [slices, rows, columns] = volume.shape();
    let [ds, dr, dc] = volume.geometry().spacing_mm().map(|s| (options.sigma_mm / s) as f32);
    let mut data = vec![T::default(); volume.geometry().len()];
    data.par_chunks_mut(rows * columns).enumerate().for_each(|(s, out)| {
        let mask = options.within.map(|m| m.slice(s));
        let planes = [s.saturating_sub(1), s, (s + 1).min(slices - 1)].map(|s| smooth.slice(s));
        for r in 0..rows {
            let near = [r.saturating_sub(1), r, (r + 1).min(rows - 1)];
            let line = |p: usize, q: usize| &planes[p][near[q] * columns..(near[q] + 1) * columns];
            let lines: [[&[f32]; 3]; 3] = std::array::from_fn(|p| std::array::from_fn(|q| line(p, q)));
            for c in 0..columns {
                let at = r * columns + c;
                if mask.is_some_and(|m| !m[at]) {
                    continue;
                }
                let (w, e) = (c.saturating_sub(1), (c + 1).min(columns - 1));
                let twice = 2.0 * lines[1][1][c];
                let hessian = Symmetric3 {
                    aa: ds * ds * (lines[0][1][c] - twice + lines[2][1][c]),
                    bb: dr * dr * (lines[1][0][c] - twice + lines[1][2][c]),
                    cc: dc * dc * (lines[1][1][w] - twice + lines[1][1][e]),
                    ab: 0.25 * ds * dr * (lines[0][0][c] - lines[0][2][c] - lines[2][0][c] + lines[2][2][c]),
                    ac: 0.25 * ds * dc * (lines[0][1][w] - lines[0][1][e] - lines[2][1][w] + lines[2][1][e]),
                    bc: 0.25 * dr * dc * (lines[1][0][w] - lines[1][0][e] - lines[1][2][w] + lines[1][2][e]),
                };
                out[at] = response(&hessian);
            }
        }
    });
    Volume::new(volume.geometry().clone(), data).expect("one value per voxel")
}
