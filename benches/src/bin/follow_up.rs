//! How well an earlier scan is brought onto a later one: a real chest CT against its moved, turned and enlarged copy.
//!
//! `follow_up CARD SCAN…` reads every scan (a folder of DICOM, or NIfTI), makes copies of it whose every point is known, and
//! registers the scan to each copy. Prints, tab separated: scan, copy, what told the copy's lungs, opacity in ml, mean and
//! 95th percentile of the error in mm over the voxels of opacity, Dice of the opacity brought over against the opacity moved as
//! known, by the affine map alone and with the deformation, and seconds of the registration.
//!
//! The copy's lungs and opacities are those of the scan, moved as known ("moved"), or what the network finds in the copy
//! ("read"); the truth of the opacity is the moved one either way.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use hilum_dicom::{Limits, Source, nifti};
use hilum_findings::Software;
use hilum_imaging::registration::{AffineMap, RegistrationOptions, Scan, register};
use hilum_lung::{LesionNetwork, Study, analyze};
use hilum_volume::{Geometry, LabelMap, Mask, PatientPoint, PatientVector, Volume};
use rayon::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Degrees around x, y and z, mm along them, and the factor by which the copy is larger.
const COPIES: [(&str, [f64; 3], [f64; 3], f64); 3] = [
    ("moved by 14 mm, turned by 6°, 1.03 larger", [3.0, -2.0, 5.0], [8.0, -6.0, 10.0], 1.03),
    ("moved by 31 mm, turned by 10°, .95 as large", [-6.0, 4.0, 7.0], [-12.0, 20.0, -21.0], 0.95),
    ("shifted by 7 mm", [0.0; 3], [3.2, -5.1, 3.6], 1.0),
];

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [card, scans @ ..] = &arguments[..] else { bail!("follow_up CARD SCAN…") };
    let network = LesionNetwork::new(hilum_train::read_model(card)?, 0)?;
    let read_masks = |study: &Study| -> Result<(Mask, Mask)> {
        let software = Software { name: "follow_up".into(), version: String::new(), commit: None };
        let analysis = analyze(study, &network, software, &|_, _| {})?;
        Ok((analysis.lobes.labels().map(|l| *l > 0), analysis.labels.labels().map(|l| *l > 5)))
    };
    for path in scans {
        let study = read(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (region, lesion) = read_masks(&study)?;
        for (copy, degrees, shift, scale) in COPIES {
            let to_scan = known(study.volume.geometry(), degrees, shift, scale);
            let ct = moved(&study.volume, &to_scan, -1024, |hu, corners| {
                corners.iter().map(|(at, w)| w * f32::from(hu[*at])).sum::<f32>().round() as i16
            });
            let nearest = |mask: &[bool], corners: &[(usize, f32); 8]| {
                corners.iter().filter(|(at, _)| mask[*at]).map(|(_, w)| w).sum::<f32>() >= 0.5
            };
            let true_lesion = moved(&lesion, &to_scan, false, nearest);
            let copied = Study { volume: ct, series: study.series.clone() };
            let pairs = [
                ("moved", (moved(&region, &to_scan, false, nearest), true_lesion.clone())),
                ("read", read_masks(&copied)?),
            ];
            for (told, (copy_region, copy_lesion)) in pairs {
                let current =
                    Scan { intensity: Some(&copied.volume), region: &copy_region, ignored: Some(&copy_lesion) };
                let prior = Scan { intensity: Some(&study.volume), region: &region, ignored: Some(&lesion) };
                let labels = LabelMap::new(lesion.map(|l| u8::from(*l)));
                let mut dices = Vec::new();
                let (mut errors, mut seconds) = (Vec::new(), 0.0);
                for deformable in [false, true] {
                    let started = Instant::now();
                    let options = RegistrationOptions { deformable, ..RegistrationOptions::default() };
                    let found = register(&current, &prior, &options)?;
                    seconds = started.elapsed().as_secs_f64();
                    let carried = found.labels_on(&labels, true_lesion.geometry(), None);
                    dices.push(dice(carried.labels().data(), true_lesion.data()));
                    errors = error_mm(&true_lesion, |p| found.prior_point(p), |p| to_scan.apply(p));
                }
                errors.sort_by(f64::total_cmp);
                let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
                let ml = true_lesion.count() as f64 * true_lesion.geometry().voxel_volume_mm3() / 1000.0;
                println!(
                    "{name}\t{copy}\t{told}\t{ml:.1}\t{mean:.2}\t{:.2}\t{:.3}\t{:.3}\t{seconds:.1}",
                    errors.get(errors.len() * 95 / 100).unwrap_or(&f64::NAN),
                    dices[0],
                    dices[1]
                );
            }
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Study> {
    if path.is_file() {
        return Ok(Study::from_nifti(nifti::read_hu(std::fs::File::open(path)?, &Limits::default())?));
    }
    let scan = hilum_dicom::scan(&Source::from(path), &Limits::default())?;
    let choice = hilum_lung::choose(&scan).context("no series")?;
    Ok(Study::from_dicom(hilum_dicom::load(&scan, &choice.series_uid, &|_| {})?, None))
}

/// The map from the copy's points to the scan's: around the middle of the grid.
fn known(grid: &Geometry, degrees: [f64; 3], shift_mm: [f64; 3], scale: f64) -> AffineMap {
    let turn = |axis: usize, degrees: f64| {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (a, b) = ((axis + 1) % 3, (axis + 2) % 3);
        let mut matrix = [[0.0; 3]; 3];
        matrix[axis][axis] = 1.0;
        (matrix[a][a], matrix[a][b], matrix[b][a], matrix[b][b]) = (cos, -sin, sin, cos);
        matrix
    };
    let product = |a: [[f64; 3]; 3], b: [[f64; 3]; 3]| {
        std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum::<f64>()))
    };
    let turned = product(product(turn(0, degrees[0]), turn(1, degrees[1])), turn(2, degrees[2]));
    let matrix = turned.map(|row: [f64; 3]| row.map(|v| v / scale));
    AffineMap::around(grid.centre_of(grid.shape().map(|n| n / 2)), matrix, PatientVector(shift_mm))
}

/// A volume looked up on its own grid after the map; `value` gets the eight voxels around a point with their shares.
fn moved<T: Copy + Send + Sync>(
    volume: &Volume<T>,
    map: &AffineMap,
    outside: T,
    value: impl Fn(&[T], &[(usize, f32); 8]) -> T + Sync,
) -> Volume<T> {
    let grid = volume.geometry();
    let shape = grid.shape();
    let plane = shape[1] * shape[2];
    let at = |i: usize| {
        let index = [i / plane, i / shape[2] % shape[1], i % shape[2]];
        let place = grid.voxel_from_patient(map.apply(grid.centre_of(index))).0;
        if (0..3).any(|a| place[a] < 0.0 || place[a] > (shape[a] - 1) as f64) {
            return outside;
        }
        let low = place.map(|v| v as usize);
        let corners = std::array::from_fn(|corner| {
            let (mut flat, mut share) = (0, 1.0);
            for a in 0..3 {
                let upper = corner >> a & 1;
                let part = place[a] - low[a] as f64;
                flat = flat * shape[a] + (low[a] + upper).min(shape[a] - 1);
                share *= if upper == 1 { part } else { 1.0 - part };
            }
            (flat, share as f32)
        });
        value(volume.data(), &corners)
    };
    let data = (0..grid.len()).into_par_iter().map(at).collect();
    Volume::new(grid.clone(), data).expect("one value per voxel")
}

fn dice(found: &[u8], truth: &[bool]) -> f64 {
    let both = found.iter().zip(truth).filter(|(f, t)| **f > 0 && **t).count();
    let all = found.iter().filter(|f| **f > 0).count() + truth.iter().filter(|t| **t).count();
    2.0 * both as f64 / all as f64
}

fn error_mm(
    mask: &Mask,
    found: impl Fn(PatientPoint) -> PatientPoint + Sync,
    known: impl Fn(PatientPoint) -> PatientPoint + Sync,
) -> Vec<f64> {
    let grid = mask.geometry();
    let [_, rows, columns] = grid.shape();
    let error = |i: usize| {
        let p = grid.centre_of([i / (rows * columns), i / columns % rows, i % columns]);
        let (a, b) = (found(p).0, known(p).0);
        (0..3).map(|k| (a[k] - b[k]).powi(2)).sum::<f64>().sqrt()
    };
    (0..grid.len()).filter(|i| mask.data()[*i]).map(error).collect()
}
