//! The network over the slices of a labelled scan.

use std::sync::Mutex;

use hilum_nn::{Model, Runtime, run_slices};

use crate::TrainError;
use crate::calibration::LogitHistogram;
use crate::cases::{CHANNELS, Slice};

/// Place of lesion in [`CHANNELS`].
pub(crate) const LESION: usize = 1;

/// A model with what runs it.
pub(crate) struct Predictor<'a> {
    runtime: &'a dyn Runtime,
    model: &'a Model,
    channels: [usize; 3],
}

/// What the network says of one scan.
pub(crate) struct Prediction {
    /// Bits as in [`Slice::labels`], of every slice.
    pub(crate) labels: Vec<Vec<u8>>,
    /// For every slice, the lesion's logit that [`SLICE_PIXELS`] pixels of it reach.
    pub(crate) slice_logits: Vec<f32>,
    /// Voxels by their logit, of every channel; within the lungs, as predicted or labelled, but for the lungs themselves.
    pub(crate) histograms: [LogitHistogram; CHANNELS.len()],
}

/// Pixels of the network's size whose logit must reach a value for the slice to have it: 50 mm² of 1.4 mm pixels.
const SLICE_PIXELS: usize = 25;

impl<'a> Predictor<'a> {
    pub(crate) fn new(runtime: &'a dyn Runtime, model: &'a Model) -> Result<Self, TrainError> {
        Ok(Self { runtime, model, channels: channel_indices(model)? })
    }

    /// The card's threshold of one of [`CHANNELS`], as a logit.
    pub(crate) fn threshold(&self, channel: usize) -> f64 {
        self.model.card.outputs[self.channels[channel]].logit_threshold().into()
    }

    /// Runs the network on every slice of a scan.
    pub(crate) fn predict(&self, volume: &[Slice]) -> Result<Prediction, TrainError> {
        let (width, height) = (volume[0].width, volume[0].height);
        // Images finer than the network's are averaged by whole factors, the logits interpolated back.
        let factor = (1.0 / volume[0].pixel).round().max(1.0) as usize;
        let size = [height.div_ceil(factor), width.div_ceil(factor)];
        let input = &self.model.card.input;
        let labels = Mutex::new(vec![Vec::new(); volume.len()]);
        let slice_logits = Mutex::new(vec![f32::NEG_INFINITY; volume.len()]);
        let histograms = Mutex::new([(); CHANNELS.len()].map(|()| LogitHistogram::default()));
        let input_channels = self.runtime.graph().input_channels();
        let fill = |index: usize, out: &mut [f32]| {
            let spacing_mm = volume[0].spacing_mm.map(|mm| mm[0]);
            let seen = input.slices_seen(input_channels, index, volume.len(), spacing_mm);
            let planes = seen.zip(out.chunks_exact_mut(size[0] * size[1]));
            for ((i, out), image) in
                planes.flat_map(|(seen, out)| out.iter_mut().enumerate().zip(std::iter::repeat(&volume[seen].image)))
            {
                let (row, column) = (i / size[1] * factor, i % size[1] * factor);
                let rows = row..(row + factor).min(height);
                let columns = column..(column + factor).min(width);
                let count = (rows.len() * columns.len()) as f32;
                let sum: f32 = rows
                    .map(|r| {
                        image[r * width + columns.start..r * width + columns.end]
                            .iter()
                            .map(|v| input.grey_from_8_bit(*v))
                            .sum::<f32>()
                    })
                    .sum();
                *out = sum / count;
            }
        };
        let take = |index: usize, logits: &[f32]| {
            let plane = size[0] * size[1];
            let truth = &volume[index].labels;
            let mut predicted = vec![0u8; width * height];
            let mut counted = [(); CHANNELS.len()].map(|()| LogitHistogram::default());
            for (bit, channel) in self.channels.iter().enumerate() {
                let threshold = self.model.card.outputs[*channel].logit_threshold();
                let logits = &logits[channel * plane..][..plane];
                for (i, label) in predicted.iter_mut().enumerate() {
                    let logit = enlarged(logits, size, factor, i / width, i % width);
                    *label |= u8::from(logit >= threshold) << bit;
                    // The lungs are the first channel.
                    if bit == 0 || (*label | truth[i]) & 1 == 1 {
                        counted[bit].add(logit, truth[i] >> bit & 1 == 1);
                    }
                }
            }
            let mut lesion = logits[self.channels[LESION] * plane..][..plane].to_vec();
            let at = plane.saturating_sub(SLICE_PIXELS);
            let reached = *lesion.select_nth_unstable_by(at, f32::total_cmp).1;
            let held = "no thread panics while it holds the results";
            labels.lock().expect(held)[index] = predicted;
            slice_logits.lock().expect(held)[index] = reached;
            histograms.lock().expect(held).iter_mut().zip(&counted).for_each(|(all, own)| all.join(own));
        };
        run_slices(self.runtime, volume.len(), size, 0.0, fill, take)?;
        let done = "no thread panicked";
        Ok(Prediction {
            labels: labels.into_inner().expect(done),
            slice_logits: slice_logits.into_inner().expect(done),
            histograms: histograms.into_inner().expect(done),
        })
    }
}

/// The value of a coarse plane at a pixel of the fine one, linearly between the coarse pixels' centres.
fn enlarged(plane: &[f32], size: [usize; 2], factor: usize, row: usize, column: usize) -> f32 {
    if factor == 1 {
        return plane[row * size[1] + column];
    }
    let place = |fine: usize, size: usize| {
        let at = ((fine as f32 + 0.5) / factor as f32 - 0.5).clamp(0.0, size as f32 - 1.0);
        let low = at as usize;
        (low, (low + 1).min(size - 1), at - low as f32)
    };
    let ((r0, r1, fr), (c0, c1, fc)) = (place(row, size[0]), place(column, size[1]));
    let at = |r: usize, c: usize| plane[r * size[1] + c];
    (at(r0, c0) * (1.0 - fc) + at(r0, c1) * fc) * (1.0 - fr) + (at(r1, c0) * (1.0 - fc) + at(r1, c1) * fc) * fr
}

/// Output channel of the model for each of [`CHANNELS`].
fn channel_indices(model: &Model) -> Result<[usize; 3], TrainError> {
    let mut indices = [0; CHANNELS.len()];
    for (index, name) in indices.iter_mut().zip(CHANNELS) {
        let found = model.card.output_index(name);
        *index = found.ok_or_else(|| TrainError::Config(format!("the model predicts no channel `{name}`")))?;
    }
    Ok(indices)
}
