//! The slice network over a whole chest CT: what it sees and what it says, on one coarse grid.

use std::sync::Mutex;

use hilum_nn::{EngineError, Input, Runtime, run_slices};
use hilum_volume::{Geometry, GeometryError, Interpolation, Volume};

/// HU of air: what lies beyond the scanned field.
pub(crate) const AIR_HU: i16 = -1024;

/// Slices closer than this are averaged in pairs, threes and so on until they are not: the network was taught on slices of
/// 1 to 8 mm, and thinner ones bring it noise and cost time.
const SLICE_SPACING_MIN_MM: f64 = 1.5;

/// What the network says about every voxel of its grid. Probabilities are stored as 0 (0 %) to 255 (100 %).
#[derive(Clone, Debug, PartialEq)]
pub struct SlicePrediction {
    /// The CT as the network saw it before windowing: HU averaged onto its grid.
    pub ct: Volume<i16>,
    /// Probability of lung, lesions within it included.
    pub lung: Volume<u8>,
    /// Probability of lesion.
    pub lesion: Volume<u8>,
    /// Probability of consolidation.
    pub consolidation: Volume<u8>,
}

/// Runs the network on an axial CT (slices to the head, rows to the back, columns to the left) with right angles.
///
/// The CT is averaged onto square pixels of the network's size, and thin slices are averaged together; the grid covers
/// exactly the same space. `progress` gets the share that is done, 0 to 1.
///
/// # Errors
/// [`EngineError`] if the network cannot run on slices of this size.
///
/// # Panics
/// If the network has not the three outputs lung, lesion, consolidation.
pub fn predict(
    runtime: &dyn Runtime,
    input: &Input,
    ct: &Volume<i16>,
    progress: &(dyn Fn(f32) + Sync),
) -> Result<SlicePrediction, EngineError> {
    assert_eq!(runtime.graph().output_channels(), 3);
    let grid = network_grid(ct.geometry(), input).expect("a coarser grid over a valid one is valid");
    let ct = ct.resample(&grid, Interpolation::Area, AIR_HU);
    let [slices, rows, columns] = grid.shape();
    let plane = rows * columns;
    let input_channels = runtime.graph().input_channels();

    let predicted: Vec<Mutex<[Vec<u8>; 3]>> = (0..slices).map(|_| Mutex::default()).collect();
    let done = Mutex::new(0_usize);
    run_slices(
        runtime,
        slices,
        [rows, columns],
        input.grey_from_hu(f32::from(AIR_HU)),
        |slice, image| {
            let seen = input.slices_seen(input_channels, slice, slices, Some(grid.spacing_mm()[0]));
            for (seen, channel) in seen.zip(image.chunks_exact_mut(plane)) {
                greys(&ct, seen, input, channel);
            }
        },
        |slice, logits| {
            let channel = |c: usize| logits[c * plane..(c + 1) * plane].iter().map(|l| probability(*l)).collect();
            *predicted[slice].lock().expect("one writer per slice") = [channel(0), channel(1), channel(2)];
            let mut done = done.lock().expect("counting cannot fail");
            *done += 1;
            progress(*done as f32 / slices as f32);
        },
    )?;

    let mut channels: [Vec<u8>; 3] = std::array::from_fn(|_| Vec::with_capacity(grid.len()));
    for slice in predicted {
        let slice = slice.into_inner().expect("one writer per slice");
        for (channel, values) in channels.iter_mut().zip(slice) {
            channel.extend(values);
        }
    }
    let [lung, lesion, consolidation] =
        channels.map(|values| Volume::new(grid.clone(), values).expect("every slice was predicted"));
    Ok(SlicePrediction { ct, lung, lesion, consolidation })
}

/// A slice as the network sees it.
pub(crate) fn greys(ct: &Volume<i16>, slice: usize, input: &Input, greys: &mut [f32]) {
    greys.iter_mut().zip(ct.slice(slice)).for_each(|(grey, hu)| *grey = input.grey_from_hu(f32::from(*hu)));
}

/// The grid of the network over the same space: whole numbers of pixels and slices as close as can be to its spacing.
fn network_grid(ct: &Geometry, input: &Input) -> Result<Geometry, GeometryError> {
    let [slices, rows, columns] = ct.shape();
    let spacing_mm = ct.spacing_mm();
    let pixels = |count: usize, mm: f64| ((count as f64 * mm / input.pixel_mm).round() as usize).clamp(1, count.max(1));
    let merged = (SLICE_SPACING_MIN_MM / spacing_mm[0]).floor().max(1.0);
    let slices = ((slices as f64 / merged).round() as usize).max(1);
    ct.with_shape([slices, pixels(rows, spacing_mm[1]), pixels(columns, spacing_mm[2])])
}

/// A logit as a probability in 255ths.
fn probability(logit: f32) -> u8 {
    (255.0 / (1.0 + (-logit).exp())).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_volume::PatientPoint;

    const INPUT: Input = Input {
        window_low_hu: -1250.0,
        window_high_hu: 250.0,
        pixel_mm: 1.4,
        pixel_mm_range: [1.0, 2.0],
        size_divisor: [1, 16, 16],
        neighbour_mm: 0.0,
    };

    #[test]
    fn the_grid_covers_the_same_space() {
        for (shape, spacing, expected) in [
            ([133, 512, 512], [2.0, 0.7, 0.7], [133, 256, 256]),
            ([1000, 512, 512], [0.3, 0.7, 0.7], [200, 256, 256]),
            ([40, 100, 120], [8.0, 2.0, 1.4], [40, 100, 120]), // never finer than the CT
        ] {
            let ct = Geometry::axial(shape, PatientPoint([10.0, -20.0, 5.0]), spacing).unwrap();
            let grid = network_grid(&ct, &INPUT).unwrap();
            assert_eq!(grid.shape(), expected);
            let extent =
                |g: &Geometry| -> [f64; 3] { std::array::from_fn(|a| g.spacing_mm()[a] * g.shape()[a] as f64) };
            for a in 0..3 {
                assert!((extent(&grid)[a] - extent(&ct)[a]).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn probabilities_saturate() {
        assert_eq!([probability(-90.0), probability(0.0), probability(90.0)], [0, 128, 255]);
    }
}
