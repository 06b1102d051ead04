//! The network over the slices of a labelled scan.

use std::sync::Mutex;

use hilum_nn::{Model, Runtime, run_slices};

use crate::TrainError;
use crate::calibration::LogitHistogram;
use crate::cases::Slice;
use crate::structures::Structures;

/// A model with what runs it.
pub(crate) struct Predictor<'a> {
    runtime: &'a dyn Runtime,
    model: &'a Model,
    structures: Structures,
}

/// What the network says of one scan.
pub(crate) struct Prediction {
    /// Bits as in [`Slice::labels`], of every slice.
    pub(crate) labels: Vec<Vec<u8>>,
    /// For every slice, the logit of what is looked for that [`SLICE_PIXELS`] pixels of it reach.
    pub(crate) slice_logits: Vec<f32>,
    /// Voxels by their logit, of every channel; within the lungs, as predicted or labelled, but for the lungs themselves and
    /// networks that do not outline them.
    pub(crate) histograms: Vec<LogitHistogram>,
}

/// Pixels of the network's size whose logit must reach a value for the slice to have it: 50 mm² of 1.4 mm pixels.
const SLICE_PIXELS: usize = 25;

impl<'a> Predictor<'a> {
    pub(crate) fn new(runtime: &'a dyn Runtime, model: &'a Model) -> Result<Self, TrainError> {
        Ok(Self { runtime, model, structures: Structures::of(&model.card.outputs)? })
    }

    /// What the model outlines.
    pub(crate) fn structures(&self) -> &Structures {
        &self.structures
    }

    /// The card's threshold of what is looked for, as a logit.
    pub(crate) fn threshold(&self) -> f64 {
        self.model.card.outputs[self.structures.target()].logit_threshold().into()
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
        let outputs = &self.model.card.outputs;
        let histograms = Mutex::new(vec![LogitHistogram::default(); outputs.len()]);
        // The lungs first: what is counted of the others lies within.
        let lung = self.structures.lung();
        let order: Vec<usize> = lung.into_iter().chain((0..outputs.len()).filter(|at| lung != Some(*at))).collect();
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
            let mut counted = vec![LogitHistogram::default(); outputs.len()];
            for bit in order.iter().copied() {
                let threshold = outputs[bit].logit_threshold();
                let logits = &logits[bit * plane..][..plane];
                for (i, label) in predicted.iter_mut().enumerate() {
                    let logit = enlarged(logits, size, factor, i / width, i % width);
                    *label |= u8::from(logit >= threshold) << bit;
                    let within = |lung: usize| bit == lung || (*label | truth[i]) >> lung & 1 == 1;
                    if lung.is_none_or(within) {
                        counted[bit].add(logit, truth[i] >> bit & 1 == 1);
                    }
                }
            }
            let mut lesion = logits[self.structures.target() * plane..][..plane].to_vec();
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
