//! What a network's encoder makes of an input, and how far that is from what it learned from.

use std::sync::Mutex;

use crate::card::Model;
use crate::engine::{Engine, EngineError, EngineOptions};
use crate::tiling::{copy_rows, padded_size};
use crate::weights::Weights;

/// The encoder of a two-dimensional network: each slice becomes the mean of its coarsest values within a mask.
#[derive(Debug)]
pub struct FeatureEngine {
    engine: Engine,
}

impl FeatureEngine {
    /// Makes the encoder of `model` ready, in `f32` whatever the options say of precision.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn new(model: &Model, options: EngineOptions) -> Result<Self, EngineError> {
        let graph = model.graph.encoder();
        let options = EngineOptions { precision: crate::Precision::F32, ..options };
        Ok(Self { engine: Engine::new(&graph, &model.weights.of(&graph), options)? })
    }

    /// Channels of a slice.
    pub fn input_channels(&self) -> usize {
        self.engine.graph().input_channels()
    }

    /// Values of a slice.
    pub fn channels(&self) -> usize {
        self.engine.graph().output_channels()
    }

    /// The values of `count` slices of `[rows, columns]`, padded behind the last row and column with `padding_value`.
    ///
    /// For every index, `fill` writes the slice `[channel, row, column]` and `within` the mask, `[row, column]`: how much every
    /// pixel counts, 0 to 1. A slice whose mask is empty has no values. Both are called from several threads, in any order.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub fn run(
        &self,
        count: usize,
        size: [usize; 2],
        padding_value: f32,
        fill: impl Fn(usize, &mut [f32]) + Sync + Send,
        within: impl Fn(usize, &mut [f32]) + Sync + Send,
    ) -> Result<Vec<Option<Vec<f32>>>, EngineError> {
        let graph = self.engine.graph();
        let (size, channels) = ([1, size[0], size[1]], graph.input_channels());
        let padded = padded_size(graph, size);
        let coarse = graph.output_size(padded);
        let pixels = size[1] * size[2];
        let found = Mutex::new(vec![None; count]);
        let padded_fill = |index: usize, target: &mut [f32]| {
            let mut slice = vec![0.0; channels * pixels];
            fill(index, &mut slice);
            target.fill(padding_value);
            copy_rows(&slice, size, target, padded);
        };
        let take = |index: usize, values: &[f32]| {
            let mut mask = vec![0.0; pixels];
            within(index, &mut mask);
            let cell = [padded[1] / coarse[1], padded[2] / coarse[2]];
            let mut weights = vec![0.0_f32; coarse[1] * coarse[2]];
            for (at, weight) in mask.iter().enumerate() {
                weights[at / size[2] / cell[0] * coarse[2] + at % size[2] / cell[1]] += weight;
            }
            let sum: f32 = weights.iter().sum();
            if sum > 0.0 {
                let mean = |plane: &[f32]| plane.iter().zip(&weights).map(|(v, w)| v * w).sum::<f32>() / sum;
                let values = values.chunks_exact(weights.len()).map(mean).collect();
                found.lock().expect("no thread panics while it holds the values")[index] = Some(values);
            }
        };
        self.engine.run_each(padded, count, padded_fill, take)?;
        Ok(found.into_inner().expect("no thread panicked"))
    }
}

/// Where the values of familiar inputs lie: a normal distribution.
///
/// The distance of an input from it says how unlike it is to what the network learned from (Lee et al. 2018, arXiv:1807.03888).
#[derive(Clone, Debug, PartialEq)]
pub struct Familiarity {
    mean: Vec<f64>,
    /// Lower triangle of the covariance's Cholesky factor, `[row, column]`.
    factor: Vec<f64>,
}

impl Familiarity {
    /// Name of the mean in a weight file.
    const MEAN: &str = "familiarity.mean";
    /// Name of the factor in a weight file.
    const FACTOR: &str = "familiarity.factor";

    /// Of examples, with the covariance shrunk towards that of equal, independent values as Ledoit and Wolf do (2004,
    /// doi:10.1016/S0047-259X(03)00096-4), so that there need not be many of them. `None` for fewer than two, or if they are all alike.
    ///
    /// # Panics
    /// If the examples have different lengths.
    pub fn fit(examples: &[&[f32]]) -> Option<Self> {
        let (count, size) = (examples.len(), examples.first()?.len());
        assert!(examples.iter().all(|example| example.len() == size), "examples have one length");
        let mut mean = vec![0.0; size];
        for example in examples {
            mean.iter_mut().zip(*example).for_each(|(m, v)| *m += f64::from(*v) / count as f64);
        }
        let centred: Vec<Vec<f64>> =
            examples.iter().map(|e| e.iter().zip(&mean).map(|(v, m)| f64::from(*v) - m).collect()).collect();
        let mut covariance = vec![0.0; size * size];
        for example in &centred {
            for (row, a) in covariance.chunks_exact_mut(size).zip(example) {
                row.iter_mut().zip(example).for_each(|(c, b)| *c += a * b / count as f64);
            }
        }
        let average = (0..size).map(|i| covariance[i * size + i]).sum::<f64>() / size as f64;
        let squares = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>();
        // How far the covariance is from the target, and how far each example's own is from the covariance.
        let away = squares(&covariance) - size as f64 * average * average;
        let own: f64 = centred.iter().map(|example| squares(example).powi(2)).sum::<f64>() / count as f64;
        let noise = (own - squares(&covariance)) / count as f64;
        if count < 2 || average <= 0.0 {
            return None;
        }
        let shrinkage = if away > 0.0 { (noise / away).clamp(0.0, 1.0) } else { 1.0 };
        covariance.iter_mut().for_each(|c| *c *= 1.0 - shrinkage);
        (0..size).for_each(|i| covariance[i * size + i] += shrinkage * average + 1e-9 * average);
        Some(Self { mean, factor: cholesky(covariance, size)? })
    }

    /// The squared Mahalanobis distance of an input's values from the familiar ones, divided by their number: about 1 on
    /// average for the examples it was made of, a little less for the shrinkage.
    ///
    /// # Panics
    /// If there are more or fewer values than in the examples.
    pub fn distance(&self, values: &[f32]) -> f64 {
        let size = self.mean.len();
        assert_eq!(values.len(), size, "as many values as in the examples");
        let mut solved: Vec<f64> = Vec::with_capacity(size);
        for (row, (value, mean)) in self.factor.chunks_exact(size).zip(values.iter().zip(&self.mean)) {
            let known: f64 = row.iter().zip(&solved).map(|(l, s)| l * s).sum();
            solved.push((f64::from(*value) - mean - known) / row[solved.len()]);
        }
        solved.iter().map(|s| s * s).sum::<f64>() / size as f64
    }

    /// Number of values.
    pub(crate) fn size(&self) -> usize {
        self.mean.len()
    }

    /// Puts it into a weight file, beside the network's own.
    pub fn store(&self, weights: &mut Weights) {
        let size = self.mean.len();
        let small = |values: &[f64]| values.iter().map(|v| *v as f32).collect();
        weights.insert(Self::MEAN, vec![size], small(&self.mean));
        weights.insert(Self::FACTOR, vec![size, size], small(&self.factor));
    }

    /// Takes it out of a weight file; `None` if there is none, or what is there is none.
    pub(crate) fn take(weights: &mut Weights) -> Option<Self> {
        let (mean, factor) = (weights.remove(Self::MEAN), weights.remove(Self::FACTOR));
        let (mean, factor) = (mean?, factor?);
        let size = mean.data.len();
        let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        let fits = factor.shape == [size, size] && (0..size).all(|i| factor.data[i * size + i] > 0.0);
        fits.then(|| Self { mean: wide(&mean.data), factor: wide(&factor.data) })
    }
}

/// The lower triangle `L` with `L Lᵀ` = `matrix`, in place; `None` if it is not positive definite.
fn cholesky(mut matrix: Vec<f64>, size: usize) -> Option<Vec<f64>> {
    for row in 0..size {
        for column in 0..=row {
            let (a, b) = (&matrix[row * size..][..column], &matrix[column * size..][..column]);
            let rest = matrix[row * size + column] - a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            matrix[row * size + column] = match row == column {
                true if rest > 0.0 => rest.sqrt(),
                true => return None,
                false => rest / matrix[column * size + column],
            };
        }
        matrix[row * size + row + 1..(row + 1) * size].fill(0.0);
    }
    Some(matrix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Dims, Norm, Stem, UNet};

    fn examples(count: usize) -> Vec<Vec<f32>> {
        // Three values; the second follows the first.
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count).map(|_| (next(), next(), next())).map(|(a, b, c)| vec![a, 2.0 * a + 0.2 * b, c]).collect()
    }

    /// The two distances are those of scikit-learn 1.9.1, `LedoitWolf().fit(...)` on the same numbers.
    #[test]
    fn what_is_unlike_is_far() {
        let examples = examples(400);
        let borrowed: Vec<&[f32]> = examples.iter().map(Vec::as_slice).collect();
        let familiar = Familiarity::fit(&borrowed).unwrap();
        let mean = examples.iter().map(|e| familiar.distance(e)).sum::<f64>() / 400.0;
        assert!((0.7..1.0).contains(&mean), "{mean}");
        // Each value is usual, both together are not.
        assert!((familiar.distance(&[0.4, 0.8, 0.0]) - 0.73928).abs() < 1e-4);
        assert!((familiar.distance(&[0.4, -0.8, 0.0]) - 108.8146).abs() < 1e-2);
        assert_eq!(Familiarity::fit(&borrowed[..1]), None);
        assert_eq!(Familiarity::fit(&[borrowed[0], borrowed[0]]), None);
    }

    #[test]
    fn it_is_stored_beside_the_weights() {
        let examples = examples(50);
        let familiar = Familiarity::fit(&examples.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        let mut weights = Weights::new();
        weights.insert("down0.conv0.bias", vec![1], vec![0.5]);
        familiar.store(&mut weights);
        let mut weights = Weights::from_safetensors(&weights.to_safetensors()).unwrap();
        let read = Familiarity::take(&mut weights).unwrap();
        assert!((read.distance(&examples[3]) - familiar.distance(&examples[3])).abs() < 1e-4);
        assert_eq!(weights.len(), 1);
        assert_eq!(Familiarity::take(&mut weights), None);
    }

    #[test]
    fn values_are_means_within_the_mask() {
        let unet = UNet {
            dims: Dims::Two,
            input_channels: 1,
            output_channels: 1,
            stem: Stem::Full,
            channels: vec![2, 3],
            convs_per_stage: 1,
            norm: Norm::Batch,
            activation: Activation::Relu,
        };
        let graph = unet.graph().unwrap();
        let encoder = graph.encoder();
        assert_eq!((encoder.output_channels(), encoder.output_size([1, 8, 8])), (3, [1, 4, 4]));
        let mut weights = Weights::new();
        for parameter in encoder.parameters() {
            let count: usize = parameter.shape.iter().product();
            // Convolutions see nothing but the pixel itself: the encoder multiplies it.
            let data = match parameter.shape.len() {
                4 => (0..count).map(|i| f32::from(u8::from(i % 9 == 4))).collect(),
                _ => vec![
                    f32::from(u8::from(!parameter.name.ends_with("bias") && !parameter.name.ends_with("mean")));
                    count
                ],
            };
            weights.insert(parameter.name, parameter.shape, data);
        }
        let engine = FeatureEngine { engine: Engine::new(&encoder, &weights, EngineOptions::default()).unwrap() };
        let fill = |_: usize, slice: &mut [f32]| slice.iter_mut().enumerate().for_each(|(i, v)| *v = (i / 7) as f32);
        let within = |index: usize, mask: &mut [f32]| mask.iter_mut().skip(42).for_each(|m| *m = index as f32);
        let found = engine.run(2, [8, 7], -1.0, fill, within).unwrap();
        assert_eq!(found[0], None);
        // The last two rows hold 6 and 7, of which pooling keeps 7; two channels are added up.
        let values = found[1].as_ref().unwrap();
        assert!(values.len() == 3 && values.iter().all(|v| (v - 14.0).abs() < 1e-3), "{values:?}");
    }
}
