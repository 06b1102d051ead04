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
        let scale = Scale::of([height, width], volume[0].pixel);
        let size = scale.size;
        let input = &self.model.card.input;
        let labels = Mutex::new(vec![Vec::new(); volume.len()]);
        let slice_logits = Mutex::new(vec![f32::NEG_INFINITY; volume.len()]);
        let outputs = &self.model.card.outputs;
        let histograms = Mutex::new(vec![LogitHistogram::default(); outputs.len()]);
        // The lungs first: what is counted of the others lies within.
        let lung = self.structures.lung();
        // A cropped picture goes on as its edge, as in training; what a network would be given beyond it otherwise is black.
        let [_, rows, columns] = self.runtime.graph().size_divisor();
        let canvas =
            if volume[0].whole { size } else { [size[0].next_multiple_of(rows), size[1].next_multiple_of(columns)] };
        let order: Vec<usize> = lung.into_iter().chain((0..outputs.len()).filter(|at| lung != Some(*at))).collect();
        let input_channels = self.runtime.graph().input_channels();
        let fill = |index: usize, out: &mut [f32]| {
            let spacing_mm = volume[0].spacing_mm.map(|mm| mm[0]);
            let seen = input.slices_seen(input_channels, index, volume.len(), spacing_mm);
            for (seen, out) in seen.zip(out.chunks_exact_mut(canvas[0] * canvas[1])) {
                let greys: Vec<f32> = volume[seen].image.iter().map(|v| input.grey_from_8_bit(*v)).collect();
                out.iter_mut().enumerate().for_each(|(i, out)| {
                    let [row, column] = [(i / canvas[1]).min(size[0] - 1), (i % canvas[1]).min(size[1] - 1)];
                    *out = scale.seen(&greys, row, column);
                });
            }
        };
        let take = |index: usize, logits: &[f32]| {
            let plane = canvas[0] * canvas[1];
            let in_frame = |bit: usize| -> Vec<f32> {
                let lines = logits[bit * plane..][..plane].chunks_exact(canvas[1]).take(size[0]);
                lines.flat_map(|line| &line[..size[1]]).copied().collect()
            };
            let truth = &volume[index].labels;
            let mut predicted = vec![0u8; width * height];
            let mut counted = vec![LogitHistogram::default(); outputs.len()];
            for bit in order.iter().copied() {
                let threshold = outputs[bit].logit_threshold();
                let logits = in_frame(bit);
                for (i, label) in predicted.iter_mut().enumerate() {
                    let logit = scale.said(&logits, i / width, i % width);
                    *label |= u8::from(logit >= threshold) << bit;
                    let within = |lung: usize| bit == lung || (*label | truth[i]) >> lung & 1 == 1;
                    if lung.is_none_or(within) {
                        counted[bit].add(logit, truth[i] >> bit & 1 == 1);
                    }
                }
            }
            let mut lesion = in_frame(self.structures.target());
            let at = lesion.len().saturating_sub(SLICE_PIXELS);
            let reached = *lesion.select_nth_unstable_by(at, f32::total_cmp).1;
            let held = "no thread panics while it holds the results";
            labels.lock().expect(held)[index] = predicted;
            slice_logits.lock().expect(held)[index] = reached;
            histograms.lock().expect(held).iter_mut().zip(&counted).for_each(|(all, own)| all.join(own));
        };
        run_slices(self.runtime, volume.len(), canvas, 0.0, fill, take)?;
        let done = "no thread panicked";
        Ok(Prediction {
            labels: labels.into_inner().expect(done),
            slice_logits: slice_logits.into_inner().expect(done),
            histograms: histograms.into_inner().expect(done),
        })
    }
}

/// Between an image and what the network sees of it. Images finer than the network's are averaged by whole factors and the
/// logits interpolated back, coarser ones the other way round, as training enlarges them.
#[derive(Clone, Copy, Debug)]
struct Scale {
    image: [usize; 2],
    /// Of what the network sees.
    size: [usize; 2],
    factor: usize,
    enlarges: bool,
}

/// Coarser images are enlarged this many times at most: what is lost cannot be brought back, and memory is not endless.
const ENLARGED_MOST: f32 = 8.0;

impl Scale {
    /// Of an image whose pixels are `pixel` times those of the network.
    fn of(image: [usize; 2], pixel: f32) -> Self {
        let up = pixel.round().clamp(1.0, ENLARGED_MOST) as usize;
        let down = (1.0 / pixel).round().max(1.0) as usize;
        match up {
            1 => Self { image, size: image.map(|side| side.div_ceil(down)), factor: down, enlarges: false },
            _ => Self { image, size: image.map(|side| side * up), factor: up, enlarges: true },
        }
    }

    /// What the network sees at one of its pixels.
    fn seen(&self, greys: &[f32], row: usize, column: usize) -> f32 {
        let scaled = if self.enlarges { interpolated } else { averaged };
        scaled(greys, self.image, self.factor, row, column)
    }

    /// What it said of a pixel of the image.
    fn said(&self, logits: &[f32], row: usize, column: usize) -> f32 {
        let scaled = if self.enlarges { averaged } else { interpolated };
        scaled(logits, self.size, self.factor, row, column)
    }
}

/// The mean of the pixels of a fine plane that lie in one of the coarse plane.
fn averaged(plane: &[f32], [height, width]: [usize; 2], factor: usize, row: usize, column: usize) -> f32 {
    let rows = row * factor..((row + 1) * factor).min(height);
    let columns = column * factor..((column + 1) * factor).min(width);
    let count = (rows.len() * columns.len()) as f32;
    rows.map(|r| plane[r * width + columns.start..r * width + columns.end].iter().sum::<f32>()).sum::<f32>() / count
}

/// The value of a coarse plane at a pixel of the fine one, linearly between the coarse pixels' centres.
fn interpolated(plane: &[f32], size: [usize; 2], factor: usize, row: usize, column: usize) -> f32 {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hilum_nn::{EngineError, Graph};

    use super::*;

    /// Keeps what it is shown, and finds everything beyond a frame of 10 rows and 21 columns and nothing within.
    #[derive(Debug)]
    struct Watcher {
        graph: Graph,
        shown: Mutex<Vec<f32>>,
    }

    impl Runtime for Watcher {
        fn name(&self) -> String {
            "watcher".into()
        }

        fn graph(&self) -> &Graph {
            &self.graph
        }

        fn run_each(
            &self,
            [_, rows, columns]: [usize; 3],
            _count: usize,
            fill: &(dyn Fn(usize, &mut [f32]) + Sync),
            take: &(dyn Fn(usize, &[f32]) + Sync),
        ) -> Result<(), EngineError> {
            let mut shown = vec![0.0; self.graph.input_channels() * rows * columns];
            fill(0, &mut shown);
            *self.shown.lock().unwrap() = shown;
            let beyond = |i: usize| i % (rows * columns) / columns >= 10 || i % columns >= 21;
            let logits = (0..self.graph.output_channels() * rows * columns).map(|i| if beyond(i) { 9.0 } else { -9.0 });
            take(0, &logits.collect::<Vec<f32>>());
            Ok(())
        }
    }

    #[test]
    fn cropped_pictures_go_on_as_their_edge_and_whole_ones_as_air() {
        let card = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/pneumonia-ct/card.toml");
        let model = crate::read_model(&card).unwrap();
        let watcher = Watcher { graph: model.graph.clone(), shown: Mutex::default() };
        let [_, rows, columns] = model.graph.size_divisor();
        let canvas = [10usize.next_multiple_of(rows), 21usize.next_multiple_of(columns)];
        let image: Vec<u8> = (0..210).map(|i| 100 + (i / 21 * 7 + i % 21) as u8).collect();
        for whole in [false, true] {
            let picture = Slice {
                patient: "p".into(),
                volume: "v".into(),
                index: 0,
                width: 21,
                height: 10,
                image: image.clone(),
                labels: vec![0; 210],
                known: 0b111,
                pixel: 1.0,
                whole,
                spacing_mm: None,
                scanner: None,
            };
            let said = Predictor::new(&watcher, &model).unwrap().predict(&[picture]).unwrap();
            assert!(said.labels[0].iter().all(|label| *label == 0), "what is said beyond the frame does not count");
            assert_eq!(said.slice_logits, [-9.0]);
            let shown = watcher.shown.lock().unwrap();
            assert_eq!(shown.len(), model.graph.input_channels() * canvas[0] * canvas[1]);
            for (i, grey) in shown.iter().enumerate() {
                let [row, column] = [i % (canvas[0] * canvas[1]) / canvas[1], i % canvas[1]];
                let edge = image[row.min(9) * 21 + column.min(20)];
                let expected =
                    if whole && (row > 9 || column > 20) { 0.0 } else { model.card.input.grey_from_8_bit(edge) };
                assert_eq!(*grey, expected, "whole: {whole}, row {row}, column {column}");
            }
        }
    }

    #[test]
    fn images_meet_the_network_at_its_own_scale() {
        for (pixel, size) in
            [(1.0, [10, 21]), (0.7, [10, 21]), (0.5, [5, 11]), (0.3, [4, 7]), (1.4, [10, 21]), (2.0, [20, 42])]
        {
            let scale = Scale::of([10, 21], pixel);
            assert_eq!(scale.size, size, "{pixel}");
            // A slope stays a slope, there and back, but for the rim.
            let greys: Vec<f32> = (0..210).map(|i| (i % 21) as f32).collect();
            let seen = (0..size[0] * size[1]).map(|i| scale.seen(&greys, i / size[1], i % size[1])).collect::<Vec<_>>();
            for column in 4..17 {
                let back = scale.said(&seen, 5, column);
                assert!((back - column as f32).abs() < 1e-4, "{pixel}: {column} became {back}");
            }
        }
        assert_eq!(Scale::of([512, 512], 1000.0).size, [4096; 2], "not beyond all bounds");
    }
}
