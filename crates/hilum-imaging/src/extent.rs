//! Boxes of voxels: where a mask is true, and the part of a volume inside a box.

use hilum_volume::{Mask, Volume};
use rayon::prelude::*;

/// A box of voxels: for the slice, row and column axis the first index inside and the first beyond.
pub type Bounds = [[usize; 2]; 3];

/// The smallest box that holds every true voxel; `None` if there is none.
#[must_use]
pub fn true_extent(mask: &Mask) -> Option<Bounds> {
    let [_, rows, columns] = mask.shape();
    let of_slice = |(s, plane): (usize, &[bool])| {
        let mut found: Option<Bounds> = None;
        for (r, line) in plane.chunks(columns).enumerate() {
            let Some(first) = line.iter().position(|v| *v) else { continue };
            let last = line.iter().rposition(|v| *v).unwrap_or(first) + 1;
            let here = [[s, s + 1], [r, r + 1], [first, last]];
            found = Some(found.map_or(here, |f| union(f, here)));
        }
        found
    };
    mask.data().par_chunks(rows * columns).enumerate().filter_map(of_slice).reduce_with(union)
}

/// The smallest box that holds both.
#[must_use]
pub fn union(a: Bounds, b: Bounds) -> Bounds {
    std::array::from_fn(|x| [a[x][0].min(b[x][0]), a[x][1].max(b[x][1])])
}

/// The box grown by `steps` voxels to both sides of each axis, clipped to a grid of `shape`.
#[must_use]
pub fn grown(bounds: Bounds, steps: [usize; 3], shape: [usize; 3]) -> Bounds {
    std::array::from_fn(|a| [bounds[a][0].saturating_sub(steps[a]), (bounds[a][1] + steps[a]).min(shape[a])])
}

/// The part of a mask inside a box, on its own grid.
///
/// # Panics
/// If the box is empty or reaches outside the mask.
#[must_use]
pub fn crop_mask(mask: &Mask, bounds: Bounds) -> Mask {
    crop(mask, bounds)
}

/// The part of a volume inside a box, on its own grid.
///
/// # Panics
/// If the box is empty or reaches outside the volume.
#[must_use]
pub fn crop<T: Copy>(volume: &Volume<T>, bounds: Bounds) -> Volume<T> {
    let shape: [usize; 3] = std::array::from_fn(|a| bounds[a][1] - bounds[a][0]);
    let geometry = volume.geometry().crop(bounds.map(|b| b[0]), shape).expect("the box lies in the volume");
    let mut data = Vec::with_capacity(geometry.len());
    for s in bounds[0][0]..bounds[0][1] {
        for r in bounds[1][0]..bounds[1][1] {
            let at = volume.geometry().offset([s, r, bounds[2][0]]);
            data.extend_from_slice(&volume.data()[at..at + shape[2]]);
        }
    }
    Volume::new(geometry, data).expect("one value per voxel of the box")
}
