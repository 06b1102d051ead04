//! Shapes whose answers are known, on isotropic and anisotropic grids, down to one slice.

use hilum_imaging::components::{Connectivity, fill_holes, label, largest, remove_smaller_than, touching};
use hilum_imaging::distance::{distance_mm, signed_distance_mm, squared_distance_mm2};
use hilum_imaging::filter::{box_mean_within, gaussian, gaussian_within, median3};
use hilum_imaging::hessian::{HessianOptions, sheetness, sheets, vesselness};
use hilum_imaging::morphology::{close, dilate, dilate_box, dilate_cross, erode, erode_box, erode_cross, open};
use hilum_volume::{Geometry, Mask, PatientPoint, Volume, VoxelIndex};

/// Isotropic, anisotropic, one slice.
pub(crate) fn grids() -> [Geometry; 3] {
    let make = |shape, spacing: [f64; 3]| Geometry::axial(shape, PatientPoint([0.0; 3]), spacing).unwrap();
    [make([41, 41, 41], [1.0; 3]), make([21, 61, 51], [2.0, 0.7, 0.8]), make([1, 41, 41], [5.0, 1.0, 1.0])]
}

pub(crate) fn indices([slices, rows, columns]: [usize; 3]) -> impl Iterator<Item = VoxelIndex> {
    (0..slices).flat_map(move |s| (0..rows).flat_map(move |r| (0..columns).map(move |c| [s, r, c])))
}

pub(crate) fn centre(grid: &Geometry) -> PatientPoint {
    grid.centre_of(grid.shape().map(|n| n / 2))
}

pub(crate) fn filled_by<T: Clone>(grid: &Geometry, zero: T, f: impl Fn(PatientPoint) -> T) -> Volume<T> {
    let mut volume = Volume::filled(grid.clone(), zero);
    indices(grid.shape()).for_each(|i| volume[i] = f(grid.centre_of(i)));
    volume
}

fn ball(grid: &Geometry, radius_mm: f64) -> Mask {
    let middle = centre(grid);
    filled_by(grid, false, |p| p.distance_mm(middle) <= radius_mm)
}

#[test]
fn distance_from_one_voxel_is_euclidean() {
    for grid in grids() {
        let found = distance_mm(&ball(&grid, 0.1));
        for i in indices(grid.shape()) {
            let expected = grid.centre_of(i).distance_mm(centre(&grid));
            assert!((f64::from(found[i]) - expected).abs() < 1e-4, "{i:?}: {} is not {expected}", found[i]);
        }
    }
}

#[test]
fn distance_to_nothing_is_infinite() {
    for grid in grids() {
        let empty = Mask::filled(grid.clone(), false);
        assert!(squared_distance_mm2(&empty).data().iter().all(|d| *d == f32::INFINITY));
        assert!(signed_distance_mm(&empty).data().iter().all(|d| *d == f32::INFINITY));
        assert!(signed_distance_mm(&Mask::filled(grid, true)).data().iter().all(|d| *d == f32::NEG_INFINITY));
    }
}

#[test]
fn signed_distance_changes_sign_at_the_surface() {
    let grid = &grids()[0];
    let found = signed_distance_mm(&ball(grid, 12.0));
    for i in indices(grid.shape()) {
        let expected = grid.centre_of(i).distance_mm(centre(grid)) - 12.0;
        assert!((f64::from(found[i]) - expected).abs() < 0.9, "{i:?}: {} is not {expected}", found[i]);
    }
}

#[test]
fn a_ball_grows_and_shrinks_by_millimetres() {
    for grid in grids() {
        let start = ball(&grid, 0.1);
        assert_eq!(dilate(&start, 9.0), ball(&grid, 9.0));
        assert_eq!(dilate(&start, 0.5), start, "half a millimetre reaches no neighbour");
        let shrunk = erode(&ball(&grid, 12.0), 4.0);
        // A digital ball shrinks to within one voxel of the ideal one.
        for i in indices(grid.shape()) {
            let d = grid.centre_of(i).distance_mm(centre(&grid));
            assert!(!shrunk[i] || d < 8.0 + 1.3, "{d}");
            assert!(shrunk[i] || d > 8.0 - 1e-6, "{d}");
        }
    }
}

#[test]
fn opening_removes_what_is_thin_and_closing_fills_it() {
    for grid in grids() {
        let middle = centre(&grid);
        let ball = ball(&grid, 10.0);
        let spike = |p: PatientPoint| (p.0[1] - middle.0[1]).abs() < 0.8 && (p.0[2] - middle.0[2]).abs() < 0.8;
        let spiked = filled_by(&grid, false, |p| p.distance_mm(middle) <= 10.0 || spike(p));
        let opened = open(&spiked, 3.0);
        assert!(indices(grid.shape()).all(|i| !opened[i] || grid.centre_of(i).distance_mm(middle) < 13.0));
        assert!(opened.data().iter().zip(spiked.data()).all(|(o, s)| *s || !*o), "opening never adds");
        let bored = filled_by(&grid, false, |p| p.distance_mm(middle) <= 10.0 && !spike(p));
        let closed = close(&bored, 3.0);
        assert!(closed.data().iter().zip(bored.data()).all(|(c, b)| *c || !*b), "closing never removes");
        let deep = |i: &VoxelIndex| grid.centre_of(*i).distance_mm(middle) < 8.0;
        assert!(indices(grid.shape()).filter(deep).all(|i| closed[i]), "the bore is filled");
        assert!(closed.count() <= ball.count());
    }
}

#[test]
fn a_mask_that_is_cut_by_the_border_is_not_eroded_there() {
    let grid = Geometry::axial([10, 10, 10], PatientPoint([0.0; 3]), [1.0; 3]).unwrap();
    let lower = filled_by(&grid, false, |p| p.0[2] < 5.5);
    assert_eq!(erode(&lower, 2.0), filled_by(&grid, false, |p| p.0[2] < 3.5));
    assert_eq!(open(&lower, 2.0), lower);
    let full = Mask::filled(grid, true);
    assert_eq!(erode(&full, 3.0), full);
}

#[test]
fn boxes_and_crosses_are_counted_in_voxels() {
    for grid in grids() {
        let shape = grid.shape();
        let at = shape.map(|n| n / 3);
        let mut one = Mask::filled(grid.clone(), false);
        one[at] = true;
        let steps = |i: VoxelIndex| -> [usize; 3] { std::array::from_fn(|a| i[a].abs_diff(at[a])) };
        let (boxed, crossed) = (dilate_box(&one, [2, 1, 3]), dilate_cross(&one, 3));
        for i in indices(shape) {
            let [s, r, c] = steps(i);
            assert_eq!(boxed[i], s <= 2 && r <= 1 && c <= 3, "{i:?}");
            assert_eq!(crossed[i], s + r + c <= 3, "{i:?}");
        }
        assert_eq!(dilate_box(&one, [0; 3]), one);
        // What a box or cross has grown shrinks back by the same.
        assert_eq!(erode_box(&boxed, [2, 1, 3]), one);
        assert_eq!(erode_cross(&crossed, 3), one);
        let full = Mask::filled(grid, true);
        assert_eq!(erode_box(&full, [1; 3]), full, "the border does not erode");
    }
}

#[test]
fn components_of_two_balls() {
    let grid = &grids()[1];
    let small = PatientPoint([5.0, 5.0, 8.0]);
    let both = filled_by(grid, false, |p| p.distance_mm(centre(grid)) <= 9.0 || p.distance_mm(small) <= 3.0);
    let found = label(&both, Connectivity::Corners);
    assert_eq!(found.items.len(), 2);
    assert_eq!(found.mask_where(|c| c.id == 1), ball(grid, 9.0));
    assert_eq!(largest(&both, 1), ball(grid, 9.0));
    assert_eq!(largest(&both, 2), both);
    assert_eq!(remove_smaller_than(&both, found.items[0].voxels, Connectivity::Faces), ball(grid, 9.0));
    let seed = filled_by(grid, false, |p| p.distance_mm(small) <= 1.0);
    assert_eq!(touching(&both, &seed, Connectivity::Faces), filled_by(grid, false, |p| p.distance_mm(small) <= 3.0));
    let bounds = found.items[1].bounds;
    assert!((0..3).all(|a| (bounds[a][1] - bounds[a][0]) as f64 * grid.spacing_mm()[a] < 8.0), "{bounds:?}");
    assert_eq!(label(&Mask::filled(grid.clone(), false), Connectivity::Faces).items, []);
}

#[test]
fn a_cavity_is_filled_and_a_tube_that_leaves_the_grid_is_not() {
    let grid = &grids()[0];
    let middle = centre(grid);
    let shell = filled_by(grid, false, |p| (6.0..=9.0).contains(&p.distance_mm(middle)));
    assert_eq!(fill_holes(&shell), ball(grid, 9.0));
    let across = |p: PatientPoint| (p.0[0] - middle.0[0]).hypot(p.0[1] - middle.0[1]);
    let tube = filled_by(grid, false, |p| (4.0..=6.0).contains(&across(p)));
    assert_eq!(fill_holes(&tube), tube);
}

#[test]
fn a_gaussian_of_a_gaussian_is_a_wider_gaussian() {
    for grid in &grids()[..2] {
        let middle = centre(grid);
        let bump =
            |sigma: f64| filled_by(grid, 0.0_f32, |p| (-0.5 * (p.distance_mm(middle) / sigma).powi(2)).exp() as f32);
        let found = gaussian(&bump(3.0), 2.0);
        let wide = 13.0_f64.sqrt(); // variances add: 9 + 4
        let expected = bump(wide);
        let scale = (3.0 / wide).powi(3) as f32;
        for (f, e) in found.data().iter().zip(expected.data()) {
            assert!((f - scale * e).abs() < 4e-3, "{f} is not {}", scale * e);
        }
    }
}

#[test]
fn smoothing_within_a_mask_ignores_what_lies_outside() {
    for grid in grids() {
        let inside = ball(&grid, 8.0);
        let middle = centre(&grid);
        let volume = filled_by(&grid, 0.0_f32, |p| if p.distance_mm(middle) <= 8.0 { -850.0 } else { 9000.0 });
        for found in [gaussian_within(&volume, &inside, 3.0), box_mean_within(&volume, &inside, 3.0)] {
            for i in indices(grid.shape()) {
                let expected = if inside[i] { -850.0 } else { 0.0 };
                assert!((found[i] - expected).abs() < 0.01, "{} is not {expected}", found[i]);
            }
        }
    }
}

#[test]
fn the_median_removes_single_voxels_and_keeps_edges() {
    let grid = &grids()[0];
    let edge = filled_by(grid, 0.0_f32, |p| if p.0[0] > 20.5 { 100.0 } else { 0.0 });
    let mut noisy = edge.clone();
    noisy[[20, 20, 10]] = 500.0;
    noisy[[0, 0, 0]] = -900.0;
    assert_eq!(median3(&noisy), edge);
}

fn options(sigma_mm: f64) -> HessianOptions<'static> {
    HessianOptions { sigma_mm, contrast: 50.0, within: None }
}

#[test]
fn a_bright_sheet_answers_as_a_sheet_with_its_normal_and_a_tube_as_a_tube() {
    for grid in &grids()[..2] {
        let middle = centre(grid);
        let normal = [0.48, 0.6, 0.64]; // x, y, z
        let off = |p: PatientPoint| (0..3).map(|a| normal[a] * (p.0[a] - middle.0[a])).sum::<f64>();
        let sheet = filled_by(grid, -850.0_f32, |p| -850.0 + 400.0 * (-0.5 * (off(p) / 1.5).powi(2)).exp() as f32);
        let across = |p: PatientPoint| p.minus(middle).cross(hilum_volume::PatientVector(normal)).length_mm();
        let tube = filled_by(grid, -850.0_f32, |p| -850.0 + 800.0 * (-0.5 * (across(p) / 2.0).powi(2)).exp() as f32);
        let at = grid.shape().map(|n| n / 2);

        let found = sheets(&sheet, &options(1.5));
        assert!(found.strength[at] > 0.8, "{}", found.strength[at]);
        assert_eq!(found.strength.data(), sheetness(&sheet, &options(1.5)).data());
        let n = found.normals[at].map(|v| f64::from(v) / 127.0); // slice, row, column: z, y, x
        let cosine = n[0] * normal[2] + n[1] * normal[1] + n[2] * normal[0];
        assert!(cosine.abs() > 0.995, "{n:?}");
        assert!(vesselness(&sheet, &options(1.5))[at] < 0.1);

        let sheet_of_tube = sheetness(&tube, &options(2.0))[at];
        let tube_of_tube = vesselness(&tube, &options(2.0))[at];
        assert!(tube_of_tube > 0.7 && sheet_of_tube < 0.3, "tube {tube_of_tube}, sheet {sheet_of_tube}");
        // Away from the structures and for dark ones there is no answer.
        assert!(found.strength[[2, 2, 2]] < 0.01);
        let dark = sheet.map(|v| -1700.0 - v);
        assert!(sheetness(&dark, &options(1.5))[at] == 0.0);
        assert!(vesselness(&tube.map(|v| -v), &options(2.0))[at] == 0.0);
    }
}

#[test]
fn second_derivatives_are_normalised_by_sigma() {
    // A sheet of Gaussian profile with sigma w and height h, smoothed by sigma s, has at its crest the second derivative
    // −h·w / (w² + s²)^(3/2); times s². At contrast c the response is 1 − exp(−λ²/2c²).
    let grid = &grids()[0];
    let middle = centre(grid);
    let (height, w, s, c) = (400.0_f64, 3.0_f64, 3.0_f64, 100.0_f64);
    let sheet = filled_by(grid, 0.0_f32, |p| (height * (-0.5 * ((p.0[0] - middle.0[0]) / w).powi(2)).exp()) as f32);
    let lambda = s * s * height * w / (w * w + s * s).powf(1.5);
    let expected = 1.0 - (-lambda * lambda / (2.0 * c * c)).exp();
    let found = sheetness(&sheet, &HessianOptions { sigma_mm: s, contrast: c as f32, within: None })[[20, 20, 20]];
    assert!((f64::from(found) - expected).abs() < 0.02, "{found} is not {expected}");
}

#[test]
fn the_hessian_within_a_mask_is_that_of_the_whole() {
    let grid = &grids()[1];
    let volume = filled_by(grid, 0.0_f32, |p| {
        (p.0[0] * 0.9).sin() as f32 * 300.0 + (p.0[2] * p.0[1] * 0.02).cos() as f32 * 90.0
    });
    let mask = ball(grid, 9.0);
    let whole = sheetness(&volume, &options(1.0));
    let part = sheetness(&volume, &HessianOptions { within: Some(&mask), ..options(1.0) });
    assert!(whole.data().iter().any(|v| *v > 0.5));
    for i in indices(grid.shape()) {
        assert_eq!(part[i], if mask[i] { whole[i] } else { 0.0 });
    }
}
