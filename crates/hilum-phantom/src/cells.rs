//! Which of many small bodies are near a point: space is cut into cubes, each knowing those that reach into it.

use crate::shape::Tube;
use glam::Vec3;

/// Items with an extent, found by place.
pub(crate) struct Cells<T> {
    items: Vec<T>,
    corner: Vec3,
    side: f32,
    shape: [usize; 3],
    /// Where each cell's list starts in `members`; one more entry than cells.
    starts: Vec<u32>,
    members: Vec<u32>,
}

/// A body that can say how far away its surface is at least.
pub(crate) trait Extent {
    /// Low and high corner of a box around the body.
    fn bounds(&self) -> (Vec3, Vec3);
    /// A distance that is never more than the true one to the body's surface.
    fn distance_at_least(&self, at: Vec3) -> f32;
}

impl Extent for Tube {
    fn bounds(&self) -> (Vec3, Vec3) {
        let r = self.radius_from.max(self.radius_to);
        (self.from.min(self.to) - r, self.from.max(self.to) + r)
    }

    fn distance_at_least(&self, at: Vec3) -> f32 {
        self.axis_distance(at).0 - self.radius_from.max(self.radius_to)
    }
}

impl<T: Extent> Cells<T> {
    /// Cubes of `side` mm; an item is listed wherever it comes within `margin` mm.
    pub(crate) fn new(items: Vec<T>, side: f32, margin: f32) -> Self {
        let bounds: Vec<_> = items.iter().map(Extent::bounds).collect();
        let low = bounds.iter().fold(Vec3::splat(f32::MAX), |a, b| a.min(b.0)) - margin;
        let high = bounds.iter().fold(Vec3::splat(f32::MIN), |a, b| a.max(b.1)) + margin;
        let shape = ((high - low).max(Vec3::ZERO) / side).to_array().map(|n| n as usize + 1);
        let reach = margin + 0.5 * 3.0_f32.sqrt() * side;
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for (i, (item_low, item_high)) in bounds.iter().enumerate() {
            let first = ((*item_low - margin - low) / side).max(Vec3::ZERO);
            let last = (*item_high + margin - low) / side;
            for z in first.z as usize..=(last.z as usize).min(shape[2] - 1) {
                for y in first.y as usize..=(last.y as usize).min(shape[1] - 1) {
                    for x in first.x as usize..=(last.x as usize).min(shape[0] - 1) {
                        let centre = low + (Vec3::new(x as f32, y as f32, z as f32) + 0.5) * side;
                        if items[i].distance_at_least(centre) <= reach {
                            let cell = (z * shape[1] + y) * shape[0] + x;
                            pairs.push((cell as u32, i as u32));
                        }
                    }
                }
            }
        }
        pairs.sort_unstable();
        let mut starts = vec![0; shape.iter().product::<usize>() + 1];
        for (cell, _) in &pairs {
            starts[*cell as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        Self { items, corner: low, side, shape, starts, members: pairs.into_iter().map(|(_, item)| item).collect() }
    }

    /// The items that may come within the margin of `at`; fewer than the margin away is promised to be among them.
    #[inline]
    pub(crate) fn near(&self, at: Vec3) -> impl Iterator<Item = &T> {
        let q = (at - self.corner) / self.side;
        let inside = q.cmpge(Vec3::ZERO).all()
            && (q.x as usize) < self.shape[0]
            && (q.y as usize) < self.shape[1]
            && (q.z as usize) < self.shape[2];
        let range = if inside {
            let cell = (q.z as usize * self.shape[1] + q.y as usize) * self.shape[0] + q.x as usize;
            self.starts[cell] as usize..self.starts[cell + 1] as usize
        } else {
            0..0
        };
        self.members[range].iter().map(|i| &self.items[*i as usize])
    }
}
