//! One thread or many: the same bits.

use crate::shapes::{filled_by, grids};
use hilum_imaging::components::{Connectivity, label};
use hilum_imaging::distance::distance_mm;
use hilum_imaging::filter::{box_mean, gaussian};
use hilum_imaging::hessian::{HessianOptions, sheets};
use hilum_imaging::morphology::close;
use hilum_imaging::render::{Camera, Scene, Surface};
use hilum_volume::{Geometry, Interpolation, LabelMap};

#[test]
fn the_number_of_threads_does_not_matter() {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| grids().map(|grid| everything(&grid)))
    };
    let one = on(1);
    for threads in [2, 3, 7] {
        assert!(on(threads) == one, "{threads} threads");
    }
}

/// Results of kernels that sum, label or join, as comparable values.
fn everything(grid: &Geometry) -> impl PartialEq + Send + use<> {
    let hu = filled_by(grid, 0.0_f32, |p| (300.0 * (p.0[0] * 0.8).sin() * (p.0[1] * 0.5 + p.0[2] * 0.3).cos()) as f32);
    let mask = hu.map(|v| *v > 40.0);
    let mut scene = Scene::new(grid, 1.0);
    scene.add_labels(&LabelMap::new(mask.map(|m| u8::from(*m))), &[(&[1], Surface::glass([200, 90, 40]))]);
    let camera = Camera { width: 40, height: 40, azimuth_deg: 20.0, ..Camera::default() };
    let options = HessianOptions { sigma_mm: 1.2, contrast: 30.0, within: None };
    (
        [gaussian(&hu, 2.0), box_mean(&hu, 3.0), distance_mm(&mask)],
        sheets(&hu, &options),
        label(&mask, Connectivity::Edges),
        close(&mask, 2.0),
        hu.resample(&grid.isotropic_working_grid(1.7), Interpolation::Area, 0.0),
        scene.picture(&camera).png(),
    )
}
