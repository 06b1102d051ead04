//! How long each kernel takes on the size it is used at: `cargo bench -p hilum-imaging`.
//!
//! Prints wall time, voxels per second, and processor time, which also tells the cost on a machine that is busy with
//! other work. The volume is a made-up chest: two ellipsoids of air with vessels and noise in a body of water.

use hilum_imaging::components::{Connectivity, fill_holes, label};
use hilum_imaging::distance::distance_mm;
use hilum_imaging::filter::{box_mean_within, gaussian, median3};
use hilum_imaging::hessian::{HessianOptions, sheets, vesselness};
use hilum_imaging::morphology::{close, dilate, erode, open};
use hilum_imaging::projection::{PlaneGeometry, Projection, View, slab};
use hilum_imaging::region::seeded_partition;
use hilum_imaging::render::{Camera, Scene, Surface};
use hilum_volume::{Geometry, Interpolation, LabelMap, PatientPoint, Volume};
use std::time::Instant;

fn main() {
    let grid = chest_grid([250, 256, 256]);
    let ct = chest(&grid);
    let hu = ct.map(|v| f32::from(*v));
    let lungs = ct.map(|v| *v < -500);
    println!("{:?} voxels, {:.1} % in the mask", grid.shape(), 100.0 * lungs.count() as f64 / grid.len() as f64);
    let seeds = LabelMap::new(erode(&lungs, 30.0).map(|v| u8::from(*v)));
    let options = HessianOptions { sigma_mm: 1.5, contrast: 60.0, within: None };
    let inside = HessianOptions { within: Some(&lungs), ..options };
    time("components, 26 neighbours", &grid, || label(&lungs, Connectivity::Corners));
    time("fill holes", &grid, || fill_holes(&lungs));
    time("distance", &grid, || distance_mm(&lungs));
    time("dilate 5 mm", &grid, || dilate(&lungs, 5.0));
    time("open 5 mm", &grid, || open(&lungs, 5.0));
    time("close 10 mm", &grid, || close(&lungs, 10.0));
    time("gaussian 1.5 mm", &grid, || gaussian(&hu, 1.5));
    time("gaussian 6 mm", &grid, || gaussian(&hu, 6.0));
    time("box mean 6 mm in the mask", &grid, || box_mean_within(&hu, &lungs, 6.0));
    time("median of 27", &grid, || median3(&hu));
    time("sheets with normals", &grid, || sheets(&hu, &options));
    time("sheets with normals in the mask", &grid, || sheets(&hu, &inside));
    time("vesselness", &grid, || vesselness(&hu, &options));
    time("seeded partition of the mask", &grid, || seeded_partition(&lungs, &seeds));
    let coarse = grid.with_shape([125, 128, 128]).expect("not empty");
    time("resample to half, area", &grid, || ct.resample(&coarse, Interpolation::Area, -1024));
    time("resample to half, linear", &grid, || ct.resample(&coarse, Interpolation::Linear, -1024));

    let full = chest_grid([300, 512, 512]);
    let ct = chest(&full);
    let labels = LabelMap::new(ct.map(|v| u8::from(*v < -500)));
    println!("{:?} voxels", full.shape());
    let work = full.isotropic_working_grid(1.5);
    time("resample to 1.5 mm, area", &full, || ct.resample(&work, Interpolation::Area, -1024));
    let small = ct.resample(&work, Interpolation::Area, -1024).map(|v| *v < -500);
    time("mask back to full size, smooth", &full, || small.resample_smooth(&full));
    let plane = PlaneGeometry::through(&full, View::Coronal, PatientPoint([0.0; 3]), 0.7);
    time("coronal MIP", &full, || slab(&ct, &plane, f64::INFINITY, Projection::Max, -1024.0));
    time("coronal MIP of 10 mm", &full, || slab(&ct, &plane, 10.0, Projection::Max, -1024.0));
    let mut scene = Scene::new(&full, 1.3);
    time("scene: labels and bone", &full, || {
        scene.add_labels(&labels, &[(&[1], Surface::glass([120, 170, 220]))]);
        scene.add_threshold(&ct, 200, Surface::glass([230, 220, 200]));
    });
    time("picture, 600 x 600", &full, || scene.picture(&Camera::default()));
}

fn time<R>(name: &str, grid: &Geometry, work: impl FnOnce() -> R) {
    let (start, before) = (Instant::now(), processor_seconds());
    let result = work();
    let wall = start.elapsed().as_secs_f64();
    let processor =
        before.zip(processor_seconds()).map_or(String::new(), |(b, a)| format!("{:6.2} s processor", a - b));
    println!("{name:34} {wall:6.2} s {:7.1} Mvoxel/s {processor}", grid.len() as f64 / wall / 1e6);
    drop(result);
}

/// Processor time of this process, where the system tells (Linux: 100 ticks a second, proc(5)).
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

/// A grid of 360 × 360 × 320 mm around the origin.
fn chest_grid(shape: [usize; 3]) -> Geometry {
    let spacing = [320.0 / shape[0] as f64, 360.0 / shape[1] as f64, 360.0 / shape[2] as f64];
    Geometry::axial(shape, PatientPoint([-180.0, -180.0, -160.0]), spacing).expect("a grid")
}

fn chest(grid: &Geometry) -> Volume<i16> {
    let mut state = 7_u32;
    let [slices, rows, columns] = grid.shape();
    let mut data = Vec::with_capacity(grid.len());
    for s in 0..slices {
        for r in 0..rows {
            for c in 0..columns {
                let [x, y, z] = grid.centre_of([s, r, c]).0;
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (state >> 25) as f64 - 64.0;
                let lung = |cx: f64| ((x - cx) / 65.0).powi(2) + (y / 85.0).powi(2) + (z / 120.0).powi(2) < 1.0;
                let vessel = (x * 0.35).sin() * (y * 0.35).sin() > 0.97;
                let body = (x / 170.0).powi(2) + (y / 120.0).powi(2) < 1.0;
                let rib = body && (x / 160.0).powi(2) + (y / 110.0).powi(2) > 1.0 && (z * 0.25).sin() > 0.3;
                let hu = match () {
                    () if (lung(80.0) || lung(-80.0)) && !vessel => -850.0,
                    () if rib => 500.0,
                    () if body => 40.0,
                    () => -1000.0,
                };
                data.push((hu + noise) as i16);
            }
        }
    }
    Volume::new(grid.clone(), data).expect("one value per voxel")
}
