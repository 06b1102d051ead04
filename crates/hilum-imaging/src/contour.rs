//! Outlines on planes, as polylines between pixels.

use crate::projection::Plane;
use std::collections::BTreeMap;

/// A line through pixel positions `[x, y]`: integers are pixel centres, x to the right, y down.
#[derive(Clone, Debug, PartialEq)]
pub struct Polyline {
    /// The points in order; a closed line does not repeat its first.
    pub points: Vec<[f32; 2]>,
    /// Whether the last point joins the first.
    pub closed: bool,
}

impl Polyline {
    /// Length in pixels.
    #[must_use]
    pub fn length(&self) -> f32 {
        let next = self.points.iter().skip(1).chain(self.closed.then(|| &self.points[0]));
        self.points.iter().zip(next).map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).sum()
    }

    /// Area enclosed, in square pixels; positive if the inside lies on the right of the direction of travel as seen on the
    /// screen. An open line is closed first.
    #[must_use]
    pub fn area(&self) -> f32 {
        let next = self.points.iter().cycle().skip(1);
        0.5 * self.points.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f32>()
    }

    /// The line smoothed by moving every point to the weighted mean (1, 2, 1) of itself and its neighbours, `rounds`
    /// times; ends of open lines stay. Takes the steps out of outlines of masks.
    #[must_use]
    pub fn smoothed(&self, rounds: usize) -> Self {
        let mut points = self.points.clone();
        let n = points.len();
        if n < 3 {
            return self.clone();
        }
        for _ in 0..rounds {
            let old = points.clone();
            for i in 0..n {
                if !self.closed && (i == 0 || i == n - 1) {
                    continue;
                }
                let (before, after) = (old[(i + n - 1) % n], old[(i + 1) % n]);
                points[i] = std::array::from_fn(|a| 0.25 * before[a] + 0.5 * old[i][a] + 0.25 * after[a]);
            }
        }
        Self { points, closed: self.closed }
    }

    /// The line with its points in millimetres: pixel positions times `pixel_mm`.
    #[must_use]
    pub fn scaled(&self, pixel_mm: f32) -> Self {
        Self { points: self.points.iter().map(|p| p.map(|v| v * pixel_mm)).collect(), closed: self.closed }
    }
}

/// The outlines of the true pixels of a plane: closed lines halfway between true and false pixel centres.
///
/// Beyond the plane all is false, so masks cut by its edge are closed there. Pixels that touch at a corner only are
/// outlined apart. Outer borders run clockwise on the screen, holes counter-clockwise. Order: by first point from the top.
#[must_use]
pub fn outline(mask: &Plane<bool>) -> Vec<Polyline> {
    isolines(&mask.map(|m| if *m { 1.0 } else { 0.0 }), 0.5)
}

/// The lines along which a plane, linearly interpolated, crosses `level` (marching squares), with higher values inside.
///
/// Beyond the plane's edge values count as just below everything, so every line is closed. NaN counts as below.
#[must_use]
pub fn isolines(plane: &Plane<f32>, level: f32) -> Vec<Polyline> {
    let (width, height) = (plane.width() as isize, plane.height() as isize);
    let value = |x: isize, y: isize| {
        if (0..width).contains(&x) && (0..height).contains(&y) {
            let v = plane.data[(y * width + x) as usize];
            if v.is_nan() { f32::NEG_INFINITY } else { v }
        } else {
            f32::NEG_INFINITY
        }
    };
    // Each crossing lies on an edge between two neighbouring pixels; every line enters it from one cell and leaves into
    // the other, so the map from edge to next edge is the set of lines.
    let mut next: BTreeMap<Edge, Edge> = BTreeMap::new();
    for y in -1..height {
        for x in -1..width {
            let corners = [value(x, y), value(x + 1, y), value(x + 1, y + 1), value(x, y + 1)];
            let case = corners.iter().enumerate().fold(0, |bits, (i, v)| bits | usize::from(*v >= level) << i);
            if case == 0 || case == 15 {
                continue;
            }
            let edges = [
                Edge { y, x, down: false },
                Edge { y, x: x + 1, down: true },
                Edge { y: y + 1, x, down: false },
                Edge { y, x, down: true },
            ];
            for (from, to) in SEGMENTS[case] {
                next.insert(edges[*from], edges[*to]);
            }
        }
    }
    let position = |edge: &Edge| {
        let (dx, dy) = if edge.down { (0, 1) } else { (1, 0) };
        let (a, b) = (value(edge.x, edge.y), value(edge.x + dx, edge.y + dy));
        // Towards the outside of the plane, or NaN, there is nothing to interpolate: halfway.
        let share = if a.is_finite() && b.is_finite() { ((level - a) / (b - a)).clamp(0.0, 1.0) } else { 0.5 };
        [edge.x as f32 + share * dx as f32, edge.y as f32 + share * dy as f32]
    };
    let mut lines = Vec::new();
    while let Some((first, mut at)) = next.pop_first() {
        let mut points = vec![position(&first)];
        while at != first {
            points.push(position(&at));
            at = next.remove(&at).expect("every line is closed");
        }
        lines.push(Polyline { points, closed: true });
    }
    lines
}

/// The edge from the pixel at `x`, `y` to the one on its right or, `down`, below.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    y: isize,
    x: isize,
    down: bool,
}

/// For each pattern of corners above the level (bit 0 upper left, then clockwise), the line segments from edge to edge of
/// the cell (0 top, 1 right, 2 bottom, 3 left) with the inside on the right. In the two ambiguous patterns the corners are
/// kept apart.
const SEGMENTS: [&[(usize, usize)]; 16] = [
    &[],
    &[(0, 3)],
    &[(1, 0)],
    &[(1, 3)],
    &[(2, 1)],
    &[(0, 3), (2, 1)],
    &[(2, 0)],
    &[(2, 3)],
    &[(3, 2)],
    &[(0, 2)],
    &[(1, 0), (3, 2)],
    &[(1, 2)],
    &[(3, 1)],
    &[(0, 1)],
    &[(3, 0)],
    &[],
];
