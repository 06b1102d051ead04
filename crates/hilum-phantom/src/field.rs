//! Distances worked out once on a coarse grid and interpolated after: a continuous function of the point, cheap to ask.

use glam::Vec3;
use rayon::prelude::*;

/// A scalar field on a box of patient space; outside the box it has the value of the nearest face.
pub(crate) struct Field {
    corner: Vec3,
    step: f32,
    shape: [usize; 3],
    values: Vec<f32>,
}

impl Field {
    /// `distance` sampled every `step` mm from `low` to `high`.
    pub(crate) fn new(low: Vec3, high: Vec3, step: f32, distance: impl Fn(Vec3) -> f32 + Sync) -> Self {
        let shape = ((high - low) / step).to_array().map(|n| n.ceil() as usize + 1);
        let [nx, ny, nz] = shape;
        let values = (0..ny * nz)
            .into_par_iter()
            .flat_map_iter(|line| {
                let (y, z) = (line % ny, line / ny);
                let distance = &distance;
                (0..nx).map(move |x| distance(low + Vec3::new(x as f32, y as f32, z as f32) * step))
            })
            .collect();
        Self { corner: low, step, shape, values }
    }

    /// Trilinear interpolation.
    #[inline]
    pub(crate) fn at(&self, p: Vec3) -> f32 {
        let [nx, ny, nz] = self.shape;
        let limit = Vec3::new((nx - 1) as f32, (ny - 1) as f32, (nz - 1) as f32) - 1e-3;
        let q = ((p - self.corner) / self.step).clamp(Vec3::ZERO, limit);
        let (x, y, z) = (q.x as usize, q.y as usize, q.z as usize);
        let f = q - Vec3::new(x as f32, y as f32, z as f32);
        let base = (z * ny + y) * nx + x;
        let v = &self.values;
        let row = |i: usize| v[i] + (v[i + 1] - v[i]) * f.x;
        let plane = |i: usize| {
            let (a, b) = (row(i), row(i + nx));
            a + (b - a) * f.y
        };
        let (a, b) = (plane(base), plane(base + nx * ny));
        a + (b - a) * f.z
    }

    /// Direction in which the field grows fastest.
    pub(crate) fn gradient(&self, p: Vec3) -> Vec3 {
        let h = 0.7 * self.step;
        Vec3::from_array(Vec3::AXES.map(|axis| self.at(p + axis * h) - self.at(p - axis * h))).normalize_or(Vec3::Z)
    }

    /// The box that holds everything below `level`, as its low and high corner; `None` if there is none.
    pub(crate) fn bounds_below(&self, level: f32) -> Option<(Vec3, Vec3)> {
        let [nx, ny, _] = self.shape;
        let inside = self.values.iter().enumerate().filter(|(_, v)| **v < level).map(|(i, _)| {
            let index = Vec3::new((i % nx) as f32, (i / nx % ny) as f32, (i / nx / ny) as f32);
            self.corner + index * self.step
        });
        inside.fold(None, |bounds, p| match bounds {
            None => Some((p, p)),
            Some((low, high)) => Some((p.min(low), p.max(high))),
        })
    }
}
