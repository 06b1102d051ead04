//! Signed distances of the simple bodies an anatomy is put together from: negative inside, millimetres, smooth.

use glam::{Vec2, Vec3};

/// A quantity given at a few heights and smooth between them (cubic Hermite, level beyond the ends).
pub(crate) struct Profile(pub(crate) &'static [(f32, f32)]);

impl Profile {
    /// The value at height `z`; the table must ascend.
    pub(crate) fn at(&self, z: f32) -> f32 {
        let table = self.0;
        let last = table.len() - 1;
        if z <= table[0].0 {
            return table[0].1;
        }
        if z >= table[last].0 {
            return table[last].1;
        }
        let i = table.partition_point(|(at, _)| *at <= z) - 1;
        let (z0, v0) = table[i];
        let (z1, v1) = table[i + 1];
        let step = z1 - z0;
        let slope = |k: usize| {
            if k == 0 || k == last {
                0.0
            } else {
                (table[k + 1].1 - table[k - 1].1) / (table[k + 1].0 - table[k - 1].0)
            }
        };
        let t = (z - z0) / step;
        let (t2, t3) = (t * t, t * t * t);
        v0 * (2.0 * t3 - 3.0 * t2 + 1.0)
            + slope(i) * step * (t3 - 2.0 * t2 + t)
            + v1 * (3.0 * t2 - 2.0 * t3)
            + slope(i + 1) * step * (t3 - t2)
    }
}

/// 0 below `from`, 1 above `to`, smooth between.
pub(crate) fn ramp(x: f32, from: f32, to: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// From `a` to `b` as `t` goes from 0 to 1.
pub(crate) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// The lesser of two distances, rounded where they meet over about `k` mm: the union of two bodies.
pub(crate) fn smooth_min(a: f32, b: f32, k: f32) -> f32 {
    let h = (k - (a - b).abs()).max(0.0) / k;
    a.min(b) - h * h * k * 0.25
}

/// The greater of two distances, rounded where they meet over about `k` mm: the intersection of two bodies.
pub(crate) fn smooth_max(a: f32, b: f32, k: f32) -> f32 {
    -smooth_min(-a, -b, k)
}

/// Distance to the superellipse `(|x|/rx)^n + (|y|/ry)^n = 1`, to first order.
pub(crate) fn superellipse(at: Vec2, radii: Vec2, n: f32) -> f32 {
    let q = (at / radii).abs();
    let rho = (q.x.powf(n) + q.y.powf(n)).powf(1.0 / n);
    if rho < 1e-3 {
        return -radii.min_element();
    }
    let gradient = Vec2::new((q.x / rho).powf(n - 1.0) / radii.x, (q.y / rho).powf(n - 1.0) / radii.y);
    ((rho - 1.0) / gradient.length()).max(-radii.min_element())
}

/// Distance to an ellipsoid along the axes, to first order.
pub(crate) fn ellipsoid(at: Vec3, radii: Vec3) -> f32 {
    let k0 = (at / radii).length();
    let k1 = (at / (radii * radii)).length();
    if k1 < 1e-6 {
        return -radii.min_element();
    }
    k0 * (k0 - 1.0) / k1
}

/// Distance to an axis-aligned box of half sides `half` whose edges are rounded by `round` mm.
pub(crate) fn rounded_box(at: Vec3, half: Vec3, round: f32) -> f32 {
    let q = at.abs() - half + round;
    q.max(Vec3::ZERO).length() + q.max_element().min(0.0) - round
}

/// A tube between two points whose radius goes evenly from one end to the other; round ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tube {
    pub(crate) from: Vec3,
    pub(crate) to: Vec3,
    pub(crate) radius_from: f32,
    pub(crate) radius_to: f32,
}

impl Tube {
    pub(crate) fn new(from: Vec3, to: Vec3, radius_from: f32, radius_to: f32) -> Self {
        Self { from, to, radius_from, radius_to }
    }

    /// Distance from the axis, and the radius there.
    #[inline]
    pub(crate) fn axis_distance(&self, at: Vec3) -> (f32, f32) {
        let along = self.to - self.from;
        let offset = at - self.from;
        let t = (offset.dot(along) / along.length_squared()).clamp(0.0, 1.0);
        ((offset - along * t).length(), mix(self.radius_from, self.radius_to, t))
    }

    /// Distance from the surface.
    #[inline]
    pub(crate) fn distance(&self, at: Vec3) -> f32 {
        let (distance, radius) = self.axis_distance(at);
        distance - radius
    }

    /// A chain of tubes through points of given radius.
    pub(crate) fn chain(points: &[[f32; 4]]) -> Vec<Self> {
        let split = |p: [f32; 4]| (Vec3::new(p[0], p[1], p[2]), p[3]);
        points
            .windows(2)
            .map(|w| {
                let ((from, radius_from), (to, radius_to)) = (split(w[0]), split(w[1]));
                Self::new(from, to, radius_from, radius_to)
            })
            .collect()
    }

    /// As [`Tube::chain`], but along a smooth curve through the points (Catmull-Rom), in steps of about `step_mm`.
    pub(crate) fn smooth_chain(points: &[[f32; 4]], step_mm: f32) -> Vec<Self> {
        let at = |i: isize| points[i.clamp(0, points.len() as isize - 1) as usize];
        let mut path = vec![points[0]];
        for i in 0..points.len() as isize - 1 {
            let (p0, p1, p2, p3) = (at(i - 1), at(i), at(i + 1), at(i + 2));
            let length: f32 = (0..3).map(|a| (p2[a] - p1[a]).powi(2)).sum::<f32>().sqrt();
            let steps = (length / step_mm).ceil().max(1.0) as usize;
            for s in 1..=steps {
                let t = s as f32 / steps as f32;
                path.push(std::array::from_fn(|a| {
                    0.5 * (2.0 * p1[a]
                        + (p2[a] - p0[a]) * t
                        + (2.0 * p0[a] - 5.0 * p1[a] + 4.0 * p2[a] - p3[a]) * t * t
                        + (3.0 * p1[a] - p0[a] - 3.0 * p2[a] + p3[a]) * t * t * t)
                }));
            }
        }
        Self::chain(&path)
    }
}

/// How much of a point's neighbourhood lies inside a body, seen through a scanner whose point spread is the parabolic
/// kernel of half width `blur`; its standard deviation is `blur / √5`.
#[inline]
pub(crate) fn coverage(distance: f32, blur: f32) -> f32 {
    let t = (0.5 - 0.5 * distance / blur).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// [`coverage`] of a sheet `thickness` mm thick at `distance` from its middle.
#[inline]
pub(crate) fn sheet_coverage(distance: f32, thickness: f32, blur: f32) -> f32 {
    let distance = distance.abs();
    coverage(distance - 0.5 * thickness, blur) - coverage(distance + 0.5 * thickness, blur)
}

/// [`coverage`] of a long tube of `radius` at `distance` from its axis: right for tubes wider than the blur and, by way of
/// a square rod of equal section, for thinner ones.
#[inline]
pub(crate) fn tube_coverage(distance: f32, radius: f32, blur: f32) -> f32 {
    if distance - radius >= blur {
        return 0.0;
    }
    if radius >= 1.5 * blur {
        return coverage(distance - radius, blur);
    }
    let half = radius * mix(0.886, 1.0, ramp(radius, 0.5 * blur, 1.5 * blur));
    let across = coverage(distance - half, blur) + coverage(-distance - half, blur) - 1.0;
    let along = 2.0 * coverage(-half, blur) - 1.0;
    (across * along).max(0.0)
}
