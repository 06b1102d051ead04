//! One network on its way, step by step: for training loops and measurements of one's own.

use hilum_nn::{Graph, Weights};

use crate::loss::{Loss, Target};
use crate::network::Learning;
use crate::network::{self, Images};
use crate::optimizer::{Moments, Optimizer, update_statistics};
use crate::run::STATISTICS_MOMENTUM;
use crate::{Arithmetic, TrainDevice, TrainError};

/// A network with the weights it has learned so far and the optimiser's memory.
///
/// [`run`](crate::run()) is the whole training with data, schedule and checkpoints; this is its innermost part, for networks of
/// two and three dimensions alike.
#[derive(Clone, Debug)]
pub struct Trainee {
    graph: Graph,
    weights: Weights,
    moments: Moments,
    steps: u64,
    device: TrainDevice,
}

impl Trainee {
    /// A network with random weights, to be trained on `device`.
    #[must_use]
    pub fn new(graph: Graph, seed: u64, device: TrainDevice) -> Self {
        let weights = network::initial_weights(&graph, seed);
        Self { graph, weights, moments: Moments::default(), steps: 0, device }
    }

    /// One step on a batch, and its loss before the step: cross-entropy and soft Dice of every channel.
    ///
    /// `images` are `[image, channel, slice, row, column]` with the sizes of `shape`, and `truth` is 0 or 1 for every logit in
    /// the same order. `rate` is the learning rate of this step.
    ///
    /// # Errors
    /// [`TrainError::Device`] if this build does not have the device.
    ///
    /// # Panics
    /// If lengths do not fit, or the network cannot read images of this size.
    pub fn step(
        &mut self,
        images: Vec<f32>,
        shape: [usize; 5],
        truth: Vec<f32>,
        optimizer: &Optimizer,
        rate: f32,
    ) -> Result<f64, TrainError> {
        let size = [shape[2], shape[3], shape[4]];
        let pixels = self.graph.output_size(size).iter().product();
        let known = vec![1.0; truth.len()];
        let target = Target {
            batch: shape[0],
            channels: self.graph.output_channels(),
            pixels,
            truth,
            known,
            distance: Vec::new(),
        };
        let loss = Loss::default();
        let arithmetic = Arithmetic::F32;
        let learning = Learning { loss: &loss, frozen: &|_| false, device: self.device, card: 0, arithmetic };
        let result = network::step(&self.graph, &self.weights, &Images { shape, data: images }, &target, learning)?;
        self.steps += 1;
        optimizer.apply(&mut self.weights, &mut self.moments, &result.gradients, self.steps, &|_| rate);
        update_statistics(&mut self.weights, &result.statistics, STATISTICS_MOMENTUM);
        Ok(result.loss.total)
    }

    /// What it has learned.
    #[must_use]
    pub fn weights(&self) -> &Weights {
        &self.weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_nn::{Activation, Dims, Norm, Stem, UNet};

    #[test]
    fn a_volume_is_learned() {
        let unet = UNet {
            dims: Dims::Three,
            input_channels: 1,
            output_channels: 1,
            stem: Stem::Full,
            channels: vec![4, 8],
            convs_per_stage: 1,
            norm: Norm::Instance,
            activation: Activation::LeakyRelu,
        };
        let mut trainee = Trainee::new(unet.graph().unwrap(), 1, TrainDevice::Cpu);
        let shape = [1, 1, 4, 8, 8];
        let bright = |i: usize| f32::from(u8::from(i / 64 >= 1 && i % 8 >= 3 && i / 8 % 8 < 5));
        let mut random = fastrand::Rng::with_seed(2);
        let images: Vec<f32> = (0..256).map(|i| bright(i) + random.f32()).collect();
        let truth: Vec<f32> = (0..256).map(bright).collect();
        let optimizer = Optimizer::default();
        let mut step = || trainee.step(images.clone(), shape, truth.clone(), &optimizer, 1e-2).unwrap();
        let first = step();
        let last = (0..150).map(|_| step()).last().unwrap();
        assert!(last < 0.3 * first, "the loss went from {first} to {last}");
    }
}
