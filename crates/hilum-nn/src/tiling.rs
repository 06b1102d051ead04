//! Inputs of any size: padded to what the network divides, or cut into overlapping patches.
//!
//! Results leave slice by slice through a callback as soon as they are final, so the logits of a whole volume are never
//! held. Networks usually read whole slices ([`run_slices`]), three-dimensional ones slabs of them; patches of slices too large
//! for the memory go through [`run_tiled`].

use crate::engine::{Engine, EngineError};
use crate::graph::{Dims, Graph};
use crate::runtime::Runtime;

/// How [`run_tiled`] cuts a volume and joins the results.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tiling {
    /// Size of a patch `[slices, rows, columns]`, a multiple of the network's divisor. Along an axis where the padded
    /// volume is smaller, the patch is as small.
    pub patch: [usize; 3],
    /// How overlapping patches are joined.
    pub blend: Blend,
    /// Stands for every voxel outside the volume, in the units of the network's input (air, for a CT).
    pub padding_value: f32,
}

/// How overlapping patches are joined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Blend {
    /// Patches overlap by this share of their size (at least 0, below 1; 0.5 is usual), and logits are averaged with a
    /// Gaussian weight around the patch's centre, sigma an eighth of its size, as nnU-Net does (Isensee 2021,
    /// doi:10.1038/s41592-020-01008-z, whose weights we bound below by 1/1000 of the centre's).
    Gaussian {
        /// Share of the patch that the next one covers again.
        overlap: f32,
    },
    /// Voxels closer than this to a cut `[slices, rows, columns]` are computed again by the next patch and their first
    /// result is discarded. If the border is as wide as the network looks, the result is that of the whole volume.
    Discard {
        /// Voxels to discard on either side of a cut.
        border: [usize; 3],
    },
}

/// Why a volume cannot be computed in patches.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TilingError {
    /// The patch, or the volume, cannot run.
    #[error("the patch cannot run")]
    Engine(#[from] EngineError),
    /// The patches would not advance.
    #[error("patches of {patch:?} voxels with this overlap do not advance by the {divisor:?} voxels the network needs")]
    NoAdvance {
        /// Patch, `[slices, rows, columns]`.
        patch: [usize; 3],
        /// What patches advance by at least.
        divisor: [usize; 3],
    },
    /// An overlap that is not a share.
    #[error("an overlap of {0} is not a share of the patch (0 to below 1)")]
    Overlap(f32),
}

/// A box of voxels inside a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First voxel `[slice, row, column]`.
    pub origin: [usize; 3],
    /// Voxels `[slices, rows, columns]`.
    pub size: [usize; 3],
}

impl Region {
    fn voxels(&self) -> usize {
        self.size.iter().product()
    }
}

/// Least slices of a slab that a three-dimensional network sees at once.
const SLAB_SLICES: usize = 24;
/// Slices at either end of a slab whose logits another slab knows better.
const SLAB_BORDER: usize = 4;

/// Runs a network on whole slices `[rows, columns]`, each padded behind its last row and column to what the network divides
/// and cropped back.
///
/// A three-dimensional network sees slabs of them, of 24 slices or the next number that it divides, which overlap by 8; beyond
/// the first and the last slice, that slice goes on.
///
/// For every index below `count`, `fill` writes the slice `[channel, row, column]` and `take` gets its logits in the
/// same order and size. Both are called from several threads at once, in any order; the values do not depend on that. For a
/// three-dimensional network, `fill` may be called more than once for a slice.
///
/// # Errors
/// As [`Engine::plan`]; and for classifiers, which have no logits per voxel.
pub fn run_slices(
    runtime: &(impl Runtime + ?Sized),
    count: usize,
    size: [usize; 2],
    padding_value: f32,
    fill: impl Fn(usize, &mut [f32]) + Sync + Send,
    take: impl Fn(usize, &[f32]) + Sync + Send,
) -> Result<(), EngineError> {
    if runtime.graph().is_classifier() {
        return Err(EngineError::Classifier);
    }
    if runtime.graph().dims() == Dims::Three {
        return run_slabs(runtime, count, size, padding_value, &fill, &take);
    }
    run_padded(runtime, count, [1, size[0], size[1]], padding_value, fill, take)
}

/// [`run_slices`] of a three-dimensional network.
fn run_slabs(
    runtime: &(impl Runtime + ?Sized),
    count: usize,
    size: [usize; 2],
    padding_value: f32,
    fill: &(impl Fn(usize, &mut [f32]) + Sync + Send),
    take: &(impl Fn(usize, &[f32]) + Sync + Send),
) -> Result<(), EngineError> {
    let (inputs, outputs) = (runtime.graph().input_channels(), runtime.graph().output_channels());
    let depth = SLAB_SLICES.next_multiple_of(runtime.graph().size_divisor()[0]);
    let plane = size[0] * size[1];
    // Slab `i` answers for the slices `i * step .. (i + 1) * step`.
    let step = depth - 2 * SLAB_BORDER;
    let slice_at = |slab: usize, place: usize| (slab * step + place).saturating_sub(SLAB_BORDER).min(count - 1);
    let fill_slab = |slab: usize, image: &mut [f32]| {
        let mut slice = vec![0.0; inputs * plane];
        for place in 0..depth {
            fill(slice_at(slab, place), &mut slice);
            for (channel, values) in slice.chunks_exact(plane).enumerate() {
                image[(channel * depth + place) * plane..][..plane].copy_from_slice(values);
            }
        }
    };
    let take_slab = |slab: usize, logits: &[f32]| {
        let mut slice = vec![0.0; outputs * plane];
        for place in SLAB_BORDER..SLAB_BORDER + step.min(count - slab * step) {
            for (channel, values) in slice.chunks_exact_mut(plane).enumerate() {
                values.copy_from_slice(&logits[(channel * depth + place) * plane..][..plane]);
            }
            take(slice_at(slab, place), &slice);
        }
    };
    run_padded(runtime, count.div_ceil(step), [depth, size[0], size[1]], padding_value, fill_slab, take_slab)
}

/// Runs inputs of one size, padded behind to what the network divides and cropped back.
fn run_padded(
    runtime: &(impl Runtime + ?Sized),
    count: usize,
    size: [usize; 3],
    padding_value: f32,
    fill: impl Fn(usize, &mut [f32]) + Sync + Send,
    take: impl Fn(usize, &[f32]) + Sync + Send,
) -> Result<(), EngineError> {
    let padded = padded_size(runtime.graph(), size);
    if padded == size {
        return runtime.run_each(size, count, &fill, &take);
    }
    let voxels: usize = size.iter().product();
    let fill = |index: usize, target: &mut [f32]| {
        let mut slice = vec![0.0; runtime.graph().input_channels() * voxels];
        fill(index, &mut slice);
        target.fill(padding_value);
        copy_rows(&slice, size, target, padded);
    };
    let take = |index: usize, logits: &[f32]| {
        let mut cropped = vec![0.0; runtime.graph().output_channels() * voxels];
        copy_rows(logits, padded, &mut cropped, size);
        take(index, &cropped);
    };
    runtime.run_each(padded, count, &fill, &take)
}

/// Runs a network over a volume of `size` `[slices, rows, columns]` in patches.
///
/// `read` writes the voxels of a region `[channel, slice, row, column]`; it is asked for regions inside the volume only.
/// `take` gets the logits of each slice `[channel, row, column]` once, from the first slice to the last, as soon as no
/// patch will change them. At any time the logits of at most one patch's depth of slices are held. Patches begin at
/// multiples of the network's divisor, so that pooling falls on the same voxels as in the whole volume.
///
/// # Errors
/// If the volume is empty, the patch cannot run, or does not advance.
pub fn run_tiled(
    engine: &Engine,
    size: [usize; 3],
    tiling: &Tiling,
    mut read: impl FnMut(Region, &mut [f32]),
    mut take: impl FnMut(usize, &[f32]),
) -> Result<(), TilingError> {
    if size.contains(&0) {
        return Err(EngineError::EmptyInput { size }.into());
    }
    if engine.graph().is_classifier() {
        return Err(EngineError::Classifier.into());
    }
    let padded = padded_size(engine.graph(), size);
    let patch: [usize; 3] = std::array::from_fn(|axis| tiling.patch[axis].min(padded[axis]));
    let plan = engine.plan(patch)?;
    let origins = origins(engine, padded, patch, tiling.blend)?;
    let at_once = engine.side_by_side(&plan);
    let channels = [engine.graph().input_channels(), engine.graph().output_channels()];
    let mut slab = Slab::new(channels[1], patch[0], [size[1], size[2]]);
    let patch_voxels: usize = patch.iter().product();
    for (layer, &slice) in origins[0].iter().enumerate() {
        slab.advance_to(slice, &mut take);
        let corners: Vec<[usize; 3]> =
            origins[1].iter().flat_map(|&y| origins[2].iter().map(move |&x| [slice, y, x])).collect();
        for corners in corners.chunks(at_once) {
            let mut input = vec![tiling.padding_value; corners.len() * channels[0] * patch_voxels];
            for (corner, input) in corners.iter().zip(input.chunks_exact_mut(channels[0] * patch_voxels)) {
                let region = inside(*corner, patch, size);
                let mut voxels = vec![0.0; channels[0] * region.voxels()];
                read(region, &mut voxels);
                copy_rows(&voxels, region.size, input, patch);
            }
            let logits = engine.run(&input, [corners.len(), channels[0], patch[0], patch[1], patch[2]])?;
            for (corner, logits) in corners.iter().zip(logits.chunks_exact(channels[1] * patch_voxels)) {
                let weights: [Vec<f32>; 3] =
                    std::array::from_fn(|axis| weights(tiling.blend, axis, corner[axis], patch[axis], padded[axis]));
                slab.add(inside(*corner, patch, size), logits, patch, &weights);
            }
        }
        if layer + 1 == origins[0].len() {
            slab.advance_to(size[0], &mut take);
        }
    }
    Ok(())
}

/// The next larger size the network divides.
pub(crate) fn padded_size(graph: &Graph, size: [usize; 3]) -> [usize; 3] {
    let divisor = graph.size_divisor();
    std::array::from_fn(|axis| size[axis].next_multiple_of(divisor[axis]))
}

/// The part of a patch that lies inside the volume.
fn inside(origin: [usize; 3], patch: [usize; 3], size: [usize; 3]) -> Region {
    Region { origin, size: std::array::from_fn(|axis| patch[axis].min(size[axis] - origin[axis])) }
}

/// Where patches begin along each axis: as few as cover the volume with the overlap asked for, evenly spread.
fn origins(
    engine: &Engine,
    padded: [usize; 3],
    patch: [usize; 3],
    blend: Blend,
) -> Result<[Vec<usize>; 3], TilingError> {
    let divisor = engine.graph().size_divisor();
    let mut origins = [const { Vec::new() }; 3];
    for axis in 0..3 {
        let step = match blend {
            Blend::Gaussian { overlap } if !(0.0..1.0).contains(&overlap) => return Err(TilingError::Overlap(overlap)),
            Blend::Gaussian { overlap } => (patch[axis] as f32 * (1.0 - overlap)) as usize,
            Blend::Discard { border } => patch[axis].saturating_sub(2 * border[axis]),
        };
        // In units of the divisor, so that every origin is a multiple of it.
        let (step, span) = (step / divisor[axis], (padded[axis] - patch[axis]) / divisor[axis]);
        if span > 0 && step == 0 {
            return Err(TilingError::NoAdvance { patch, divisor });
        }
        let cuts = if span == 0 { 0 } else { span.div_ceil(step) };
        // A single patch begins at 0 whatever the quotient is taken by.
        origins[axis] = (0..=cuts).map(|i| span * i / cuts.max(1) * divisor[axis]).collect();
    }
    Ok(origins)
}

/// Weight of every voxel of a patch along one axis; the weight of a voxel is the product over the axes.
fn weights(blend: Blend, axis: usize, origin: usize, patch: usize, padded: usize) -> Vec<f32> {
    let weight = |i: usize| match blend {
        Blend::Gaussian { .. } => {
            let from_centre = (i as f32 + 0.5 - patch as f32 / 2.0) / (patch as f32 / 8.0);
            (-0.5 * from_centre * from_centre).exp().max(1e-3)
        }
        Blend::Discard { border } => {
            let before_cut = origin > 0 && i < border[axis];
            let behind_cut = origin + patch < padded && i + border[axis] >= patch;
            if before_cut || behind_cut { 0.0 } else { 1.0 }
        }
    };
    (0..patch).map(weight).collect()
}

/// Copies the corner that two stacks of `[channel, slice, row, column]` of different size share.
pub(crate) fn copy_rows(from: &[f32], from_size: [usize; 3], to: &mut [f32], to_size: [usize; 3]) {
    let shared: [usize; 3] = std::array::from_fn(|axis| from_size[axis].min(to_size[axis]));
    let channels = from.len() / from_size.iter().product::<usize>();
    for channel in 0..channels {
        for slice in 0..shared[0] {
            for row in 0..shared[1] {
                let start = |size: [usize; 3]| ((channel * size[0] + slice) * size[1] + row) * size[2];
                to[start(to_size)..][..shared[2]].copy_from_slice(&from[start(from_size)..][..shared[2]]);
            }
        }
    }
}

/// Weighted sums of the slices that patches may still change.
struct Slab {
    channels: usize,
    depth: usize,
    /// `[rows, columns]`.
    plane: [usize; 2],
    /// The slice that `sums` begins with.
    first: usize,
    /// `[slice, channel, row, column]`.
    sums: Vec<f32>,
    /// `[slice, row, column]`.
    weights: Vec<f32>,
}

impl Slab {
    fn new(channels: usize, depth: usize, plane: [usize; 2]) -> Self {
        let voxels = depth * plane[0] * plane[1];
        Self { channels, depth, plane, first: 0, sums: vec![0.0; channels * voxels], weights: vec![0.0; voxels] }
    }

    /// Adds the part of a patch's logits that lies in the volume.
    fn add(&mut self, region: Region, logits: &[f32], patch: [usize; 3], weights: &[Vec<f32>; 3]) {
        let [rows, columns] = self.plane;
        for z in 0..region.size[0] {
            let slice = region.origin[0] + z - self.first;
            for y in 0..region.size[1] {
                let row_weight = weights[0][z] * weights[1][y];
                let column_weights = &weights[2][..region.size[2]];
                let at = |plane: usize| (plane * rows + region.origin[1] + y) * columns + region.origin[2];
                for (sum, weight) in self.weights[at(slice)..].iter_mut().zip(column_weights) {
                    *sum += row_weight * weight;
                }
                for channel in 0..self.channels {
                    let logits = &logits[((channel * patch[0] + z) * patch[1] + y) * patch[2]..];
                    let sums = &mut self.sums[at(slice * self.channels + channel)..];
                    for ((sum, weight), logit) in sums.iter_mut().zip(column_weights).zip(logits) {
                        *sum += row_weight * weight * logit;
                    }
                }
            }
        }
    }

    /// Hands out all slices before `slice` and makes room for as many behind.
    fn advance_to(&mut self, slice: usize, take: &mut impl FnMut(usize, &[f32])) {
        let voxels = self.plane[0] * self.plane[1];
        let done = (slice - self.first).min(self.depth);
        for z in 0..done {
            let weights = &self.weights[z * voxels..][..voxels];
            let sums = &mut self.sums[z * self.channels * voxels..][..self.channels * voxels];
            for plane in sums.chunks_exact_mut(voxels) {
                for (sum, weight) in plane.iter_mut().zip(weights) {
                    *sum /= weight;
                }
            }
            take(self.first + z, sums);
        }
        self.sums.copy_within(done * self.channels * voxels.., 0);
        self.weights.copy_within(done * voxels.., 0);
        let kept = self.depth - done;
        self.sums[kept * self.channels * voxels..].fill(0.0);
        self.weights[kept * voxels..].fill(0.0);
        self.first = slice;
    }
}
