//! Outlines, pictures and rendering.

use crate::shapes::filled_by;
use hilum_imaging::contour::{Polyline, isolines, outline};
use hilum_imaging::picture::{Picture, Window};
use hilum_imaging::projection::{Plane, PlaneGeometry, View};
use hilum_imaging::render::{Camera, Scene, Stop, Surface};
use hilum_volume::{AxisOrder, Geometry, LabelMap, PatientPoint, PatientVector, Volume};

fn on_plane<T>(width: usize, height: usize, value: impl Fn(f32, f32) -> T) -> Plane<T> {
    let [right, down, _] = View::Axial.directions();
    let geometry = PlaneGeometry { origin: PatientPoint([0.0; 3]), right, down, width, height, pixel_mm: 1.0 };
    let data = (0..width * height).map(|i| value((i % width) as f32, (i / width) as f32)).collect();
    Plane { geometry, data }
}

#[test]
fn a_disc_has_one_round_outline() {
    let cone = on_plane(60, 50, |x, y| 20.0 - (x - 30.2).hypot(y - 24.7));
    let lines = isolines(&cone, 5.0);
    assert_eq!(lines.len(), 1);
    let radius = 15.0_f32;
    for p in &lines[0].points {
        let d = (p[0] - 30.2).hypot(p[1] - 24.7);
        assert!((d - radius).abs() < 0.02, "a point {d} from the centre");
    }
    assert!((lines[0].area() / (std::f32::consts::PI * radius * radius) - 1.0).abs() < 0.01, "clockwise is positive");
    assert!((lines[0].length() / (2.0 * std::f32::consts::PI * radius) - 1.0).abs() < 0.01);
}

#[test]
fn a_ring_has_a_hole_that_runs_the_other_way() {
    let ring = on_plane(40, 40, |x, y| (6.0..=14.0).contains(&(x - 20.0).hypot(y - 20.0)));
    let lines = outline(&ring);
    assert_eq!(lines.len(), 2);
    let areas: Vec<f32> = lines.iter().map(Polyline::area).collect();
    assert!(areas[0] > 0.0 && areas[1] < 0.0, "{areas:?}");
    let pixels = ring.data.iter().filter(|v| **v).count() as f32;
    // Halfway lines cut the corners of pixels: a little less outside, a little more hole.
    assert!((areas.iter().sum::<f32>() - pixels).abs() < 0.05 * pixels, "{areas:?} for {pixels} pixels");
    let smooth = lines[0].smoothed(4);
    assert!(smooth.length() < lines[0].length() && (smooth.area() - areas[0]).abs() < 0.02 * areas[0]);
}

#[test]
fn outlines_are_closed_at_the_edge_and_apart_at_corners() {
    let all = outline(&on_plane(4, 3, |_, _| true));
    assert_eq!(all.len(), 1);
    assert!((all[0].area() - (4.0 * 3.0 - 0.5)).abs() < 1e-5, "four corners of an eighth each are cut");
    let corners = outline(&on_plane(4, 4, |x, y| (x, y) == (1.0, 1.0) || (x, y) == (2.0, 2.0)));
    assert_eq!(corners.len(), 2);
    assert_eq!(outline(&on_plane(5, 5, |_, _| false)), []);
    assert_eq!(outline(&on_plane(0, 0, |_, _| true)), []);
    let one = outline(&on_plane(1, 1, |_, _| true));
    assert_eq!(one[0].points.len(), 4);
}

#[test]
fn windows_follow_the_standard() {
    let lung = Window { center: -500.0, width: 1500.0 };
    let cases = [(-3000.0, 0), (-1250.0, 0), (-500.0, 128), (250.0, 255), (3000.0, 255), (f32::NAN, 0)];
    for (value, grey) in cases {
        assert_eq!(lung.grey(value), grey, "{value}");
    }
}

#[test]
fn a_line_covers_its_length_times_its_thickness() {
    let mut picture = Picture::filled(40, 40, [0; 3]);
    let line = Polyline { points: vec![[5.3, 8.1], [20.0, 30.0], [33.2, 12.9]], closed: false };
    picture.draw(&line, [255, 0, 0], 2.0);
    let covered: f32 = picture.pixels().iter().map(|p| f32::from(p[0]) / 255.0).sum();
    assert!((covered / (line.length() * 2.0) - 1.0).abs() < 0.12, "{covered} of {}", line.length() * 2.0);
    assert_eq!(picture.pixel(20, 30), [255, 0, 0]);
    assert_eq!(picture.pixel(20, 5), [0; 3]);
    // Partly or wholly outside: cut off, never a panic.
    let far = Polyline { points: vec![[-30.0, -9.0], [90.0, 70.0], [f32::from(i16::MAX), 3.0]], closed: true };
    picture.draw(&far, [0, 255, 0], 3.0);
    picture.draw(&Polyline { points: vec![], closed: true }, [0, 0, 255], 3.0);
    picture.draw(&Polyline { points: vec![[-50.0, -50.0]], closed: true }, [0, 0, 255], 3.0);
    assert!(picture.pixels().iter().all(|p| p[2] == 0));
}

#[test]
fn a_png_holds_the_pixels() {
    let mut picture = Picture::filled(7, 5, [10, 20, 30]);
    picture.blend(3, 2, [255, 255, 255], 0.5);
    picture.blend(-1, 2, [255; 3], 1.0);
    let mut reader = png::Decoder::new(std::io::Cursor::new(picture.png())).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!((info.width, info.height), (7, 5));
    assert_eq!(bytes, picture.pixels().as_flattened());
    assert_eq!(picture.pixel(3, 2), [133, 138, 143]);
    assert_eq!(picture.png(), picture.png());
    let part = picture.cropped(3, 2, 100, 1);
    assert_eq!((part.width(), part.height(), part.pixel(0, 0)), (4, 1, [133, 138, 143]));
    let mut twice = Picture::filled(10, 3, [0; 3]);
    twice.place(&part, 8, 1);
    assert_eq!((twice.pixel(8, 1), twice.pixel(9, 1), twice.pixel(7, 1)), ([133, 138, 143], [10, 20, 30], [0; 3]));
}

/// A ball of label 1 on the patient's left, one of label 2 at the head end and one of label 3 in front.
fn three_balls(grid: &Geometry) -> LabelMap {
    let near = |p: PatientPoint, at: [f64; 3]| p.distance_mm(PatientPoint(at)) < 9.0;
    LabelMap::new(filled_by(grid, 0, |p| {
        u8::from(near(p, [30.0, 0.0, 0.0]))
            + 2 * u8::from(near(p, [0.0, 0.0, 30.0]))
            + 3 * u8::from(near(p, [0.0, -30.0, 0.0]))
    }))
}

const COLOURS: [[u8; 3]; 3] = [[255, 0, 0], [0, 255, 0], [0, 0, 255]];

fn scene_of(labels: &LabelMap) -> Scene {
    let mut scene = Scene::new(labels.geometry(), 1.5);
    let solid = |i: usize| Surface { smoothing_mm: 0.5, ..Surface::solid(COLOURS[i]) };
    scene.add_labels(labels, &[(&[1], solid(0)), (&[2], solid(1)), (&[3], solid(2)), (&[77], solid(0))]);
    scene
}

/// Where each ball appears: mean pixel and number of pixels in which its colour prevails.
fn seen(picture: &Picture) -> [Option<([f64; 2], usize)>; 3] {
    std::array::from_fn(|i| {
        let of = |p: &[u8; 3]| p[i] > 40 && (0..3).all(|j| j == i || i16::from(p[i]) > 2 * i16::from(p[j]) - 40);
        let hits: Vec<usize> = (0..picture.pixels().len()).filter(|at| of(&picture.pixels()[*at])).collect();
        let mean = |f: fn(usize, usize) -> usize| {
            hits.iter().map(|at| f(*at, picture.width()) as f64).sum::<f64>() / hits.len() as f64
        };
        (hits.len() > 10).then(|| ([mean(|at, w| at % w), mean(|at, w| at / w)], hits.len()))
    })
}

fn camera(azimuth_deg: f64, elevation_deg: f64) -> Camera {
    Camera { azimuth_deg, elevation_deg, width: 120, height: 120, background: [[0; 3]; 2], ..Camera::default() }
}

/// Axial, and oblique, left-handed and anisotropic: the same balls must appear in the same place.
fn scene_grids() -> [Geometry; 2] {
    let (c, s) = (0.4_f64.cos(), 0.4_f64.sin());
    let axes = [PatientVector([0.0, -s, -c]), PatientVector([0.0, c, -s]), PatientVector([1.0, 0.0, 0.0])];
    [
        Geometry::axial([60, 60, 60], PatientPoint([-44.25; 3]), [1.5; 3]).unwrap(),
        Geometry::new(
            [40, 84, 66],
            PatientPoint([-48.0, -58.0 * c + 60.0 * s, 60.0 * c + 58.0 * s]),
            axes,
            [3.0, 1.4, 1.5],
        )
        .unwrap(),
    ]
}

#[test]
fn things_appear_where_they_are_in_the_patient() {
    for grid in scene_grids() {
        let scene = scene_of(&three_balls(&grid));
        let [left, head, front] = seen(&scene.picture(&camera(0.0, 0.0)));
        let ((left, n), (head, m), (front, _)) = (left.unwrap(), head.unwrap(), front.unwrap());
        assert!(left[0] > 80.0, "the patient's left is on the right: {left:?}");
        assert!(head[1] < front[1] - 30.0, "the head is on top: {head:?} {front:?}");
        assert!((n as f64 / m as f64 - 1.0).abs() < 0.1, "balls of equal size: {n} {m}");
        // From behind, left is left; the ball in front is hidden by none but farther away.
        let [left, _, _] = seen(&scene.picture(&camera(180.0, 0.0)));
        assert!(left.unwrap().0[0] < 40.0);
        // From the patient's left the front is on the left.
        let [_, _, front] = seen(&scene.picture(&camera(90.0, 0.0)));
        assert!(front.unwrap().0[0] < 40.0, "{front:?}");
        // From above the head, the front is at the bottom.
        let [_, _, front] = seen(&scene.picture(&camera(0.0, 90.0)));
        assert!(front.unwrap().0[1] > 80.0, "{front:?}");
    }
}

#[test]
fn the_picture_does_not_depend_on_the_memory_order() {
    let labels = three_balls(&scene_grids()[0]);
    let expected = scene_of(&labels).picture(&camera(30.0, 20.0));
    assert_eq!(scene_of(&labels).picture(&camera(30.0, 20.0)), expected, "twice the same");
    for order in AxisOrder::all().into_iter().step_by(7) {
        let found = scene_of(&labels.reordered(order)).picture(&camera(30.0, 20.0));
        let differing = found
            .pixels()
            .iter()
            .zip(expected.pixels())
            .filter(|(a, b)| (0..3).any(|i| a[i].abs_diff(b[i]) > 12))
            .count();
        assert!(differing * 100 < expected.pixels().len(), "{order:?}: {differing} pixels");
    }
}

#[test]
fn glass_shows_what_is_inside_and_a_solid_hides_it() {
    let grid = Geometry::axial([40; 3], PatientPoint([-29.25; 3]), [1.5; 3]).unwrap();
    let zero = PatientPoint([0.0; 3]);
    let labels = LabelMap::new(filled_by(&grid, 0, |p| match p.distance_mm(zero) {
        d if d < 7.0 => 2,
        d if d < 24.0 => 1,
        _ => 0,
    }));
    let middle = |outer: Surface| {
        let mut scene = Scene::new(&grid, 1.5);
        scene.add_labels(&labels, &[(&[1, 2], outer), (&[2], Surface::solid([255, 0, 0]))]);
        scene.picture(&camera(0.0, 0.0)).pixel(60, 60)
    };
    let through = middle(Surface::glass([200, 200, 200]));
    assert!(through[0] > 2 * through[1], "{through:?}");
    let hidden = middle(Surface::solid([200, 200, 200]));
    assert!(hidden[0].abs_diff(hidden[1]) < 3, "{hidden:?}");
}

#[test]
fn fog_and_thresholds() {
    let grid = Geometry::axial([40; 3], PatientPoint([-29.25; 3]), [1.5; 3]).unwrap();
    let zero = PatientPoint([0.0; 3]);
    let ct = filled_by(&grid, -1000_i16, |p| if p.distance_mm(zero) < 15.0 { 700 } else { -1000 });
    let stop = |value, opacity| Stop { value, colour: [255, 255, 255], opacity };
    let seen = |stops: &[Stop]| {
        let mut scene = Scene::new(&grid, 1.5);
        scene.set_volume(&ct, stops);
        let picture = scene.picture(&camera(0.0, 0.0));
        (picture.pixel(60, 60)[0], picture.pixel(4, 4)[0])
    };
    assert!(matches!(seen(&[stop(200, 0.0), stop(700, 0.95), stop(900, 0.95)]), (120.., 0)));
    let (thin, _) = seen(&[stop(200, 0.0), stop(700, 0.05), stop(900, 0.05)]);
    assert!((8..80).contains(&thin), "thin fog: {thin}");
    assert_eq!(seen(&[stop(800, 0.9), stop(900, 0.9)]), (0, 0), "no such values");
    let mut scene = Scene::new(&grid, 1.5);
    scene.add_threshold(&ct, 200, Surface::solid([255, 255, 255]));
    let picture = scene.picture(&camera(0.0, 0.0));
    let lit = picture.pixels().iter().filter(|p| p[0] > 20).count() as f64;
    // The ball fills the picture but for the margin of 4 %; half a voxel of smoothing either way.
    let expected = std::f64::consts::PI * (60.0_f64 / 1.04).powi(2);
    assert!((lit / expected - 1.0).abs() < 0.1, "{lit} of {expected}");
}

#[test]
fn an_empty_scene_is_background() {
    let grid = Geometry::axial([1, 5, 5], PatientPoint([0.0; 3]), [2.0; 3]).unwrap();
    let mut scene = Scene::new(&grid, 1.0);
    scene.add_labels(&LabelMap::new(Volume::filled(grid, 0)), &[(&[1], Surface::solid([255; 3]))]);
    let picture = scene.picture(&Camera { width: 20, height: 10, ..Camera::default() });
    assert_eq!((picture.width(), picture.height()), (20, 10));
    assert_eq!(picture.pixel(0, 0), Camera::default().background[0]);
}
