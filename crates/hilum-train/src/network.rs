//! One training step: the layers of a [`Graph`] run forward and back with Burn.
//!
//! The parameters live outside of Burn, in [`Weights`]: every step hands them over, and takes back gradients and the
//! batch's statistics. So a checkpoint is plain arrays, and the optimiser is a pure function of them.

use burn::tensor::module::{batch_norm, max_pool2d};
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor, TensorData, activation};
use hilum_nn::{Graph, NodeId, Op, Weights};

use crate::TrainError;
use crate::fast;
use crate::loss::{self, LossParts, Target};

/// What one step yields.
pub(crate) struct StepResult {
    pub(crate) loss: LossParts,
    /// Gradient of every trainable parameter, named as the parameter.
    pub(crate) gradients: Weights,
    /// Mean and unbiased variance of the batch at every batch normalisation, named as the running statistics.
    pub(crate) statistics: Weights,
}

/// Images `[n, c, rows, columns]` as one flat array.
pub(crate) struct Images {
    pub(crate) shape: [usize; 4],
    pub(crate) data: Vec<f32>,
}

/// Refuses what this crate cannot train yet.
///
/// # Errors
/// For three-dimensional networks and layers without a backward pass here.
pub(crate) fn check_trainable(graph: &Graph) -> Result<(), TrainError> {
    if graph.dims() != hilum_nn::Dims::Two {
        return Err(TrainError::Config("only two-dimensional networks can be trained so far".into()));
    }
    for node in graph.nodes() {
        let what = match node.op {
            Op::InstanceNorm { .. } => "instance normalisation",
            Op::Conv { dilation, .. } if dilation != [1; 3] => "a dilated convolution",
            Op::Conv { groups: 2.., .. } => "a grouped convolution",
            Op::Add => "a sum",
            Op::GlobalAveragePool => "a global pooling",
            Op::Linear { .. } => "a linear layer",
            _ => continue,
        };
        return Err(TrainError::Config(format!("layer `{}`: {what} cannot be trained yet", node.name)));
    }
    Ok(())
}

/// Starting values: He's normal initialisation (doi:10.1109/ICCV.2015.123) for convolutions before a rectifier,
/// ones and zeros for normalisations. The last layer starts near zero, so that training starts from indifferent
/// probabilities.
pub(crate) fn initial_weights(graph: &Graph, seed: u64) -> Weights {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut weights = Weights::new();
    for parameter in graph.parameters() {
        let count = parameter.shape.iter().product();
        let (layer, kind) = parameter.name.rsplit_once('.').expect("names carry their layer");
        let index = graph.nodes().iter().position(|node| node.name == layer).expect("parameters come from layers");
        let values = match kind {
            "weight" if parameter.shape.len() > 1 => {
                let fan_in = match graph.nodes()[index].op {
                    // Blocks do not overlap: every output voxel sees each input channel once.
                    Op::ConvTranspose { .. } => parameter.shape[0],
                    _ => parameter.shape[1..].iter().product(),
                };
                let is_output = graph.output() == NodeId(index + 1);
                let deviation = (2.0 / fan_in as f32).sqrt() * if is_output { 0.1 } else { 1.0 };
                (0..count).map(|_| deviation * normal(&mut random)).collect()
            }
            "weight" | "running_var" => vec![1.0; count],
            _ => vec![0.0; count],
        };
        weights.insert(parameter.name, parameter.shape, values);
    }
    weights
}

/// A standard normal value (Box and Muller, doi:10.1214/aoms/1177706645).
pub(crate) fn normal(random: &mut fastrand::Rng) -> f32 {
    let radius = (-2.0 * (1.0 - random.f32()).ln()).sqrt();
    radius * (std::f32::consts::TAU * random.f32()).cos()
}

/// Loss, gradients and batch statistics for one batch.
pub(crate) fn step(graph: &Graph, weights: &Weights, images: &Images, target: &Target) -> StepResult {
    let mut pass = Pass::new(graph, weights, Mode::Train);
    let logits = pass.run(images);
    let values: Vec<f32> = logits.clone().into_data().try_into_vec().expect("logits are f32");
    let (loss, slope) = loss::masked_bce_dice(&values, target);
    // d(loss)/d(logits) is known in closed form, so the tape starts at `sum(logits * slope)`, whose gradient is it.
    let slope = Tensor::<4>::from_data(TensorData::new(slope, logits.dims()), &logits.device());
    let gradients = (logits * slope).sum().backward();
    let mut result = Weights::new();
    for (name, shape, tensor) in pass.parameters {
        let gradient = match tensor {
            Parameter::One(t) => t.grad(&gradients).map(Tensor::into_data),
            Parameter::Four(t) => t.grad(&gradients).map(Tensor::into_data),
        };
        let gradient = gradient.expect("every parameter reaches the loss");
        result.insert(name, shape, gradient.try_into_vec().expect("gradients are f32"));
    }
    StepResult { loss, gradients: result, statistics: pass.statistics }
}

/// Logits `[n, c, rows, columns]` with the stored statistics: what the engine must agree with.
#[cfg(test)]
pub(crate) fn predict(graph: &Graph, weights: &Weights, images: &Images) -> Vec<f32> {
    Pass::new(graph, weights, Mode::Infer).run(images).into_data().try_into_vec().expect("logits are f32")
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Train,
    Infer,
}

enum Parameter {
    One(Tensor<1>),
    Four(Tensor<4>),
}

/// One run through the layers. Every parameter is used exactly once.
struct Pass<'a> {
    graph: &'a Graph,
    weights: &'a Weights,
    mode: Mode,
    device: Device,
    parameters: Vec<(String, Vec<usize>, Parameter)>,
    statistics: Weights,
}

impl<'a> Pass<'a> {
    fn new(graph: &'a Graph, weights: &'a Weights, mode: Mode) -> Self {
        let device = match mode {
            Mode::Train => Device::flex().autodiff(),
            Mode::Infer => Device::flex(),
        };
        Self { graph, weights, mode, device, parameters: Vec::new(), statistics: Weights::new() }
    }

    fn run(&mut self, images: &Images) -> Tensor<4> {
        let input = Tensor::from_data(TensorData::new(images.data.clone(), images.shape), &self.device);
        let mut values: Vec<Option<Tensor<4>>> = vec![Some(input)];
        let mut last_use = vec![0; self.graph.nodes().len() + 1];
        for (index, node) in self.graph.nodes().iter().enumerate() {
            node.inputs.iter().for_each(|id| last_use[id.0] = index);
        }
        for index in 0..self.graph.nodes().len() {
            let inputs = self.graph.nodes()[index].inputs.clone();
            let inputs = inputs
                .into_iter()
                .map(|id| if last_use[id.0] == index { values[id.0].take() } else { values[id.0].clone() })
                .map(|value| value.expect("a value lives until its last use"))
                .collect();
            let result = self.layer(index, inputs);
            values.push(Some(result));
        }
        values[self.graph.output().0].take().expect("the output is computed")
    }

    fn layer(&mut self, index: usize, mut inputs: Vec<Tensor<4>>) -> Tensor<4> {
        let node = &self.graph.nodes()[index];
        if node.op == Op::Concat {
            return Tensor::cat(inputs, 1);
        }
        let x = inputs.remove(0);
        match node.op {
            Op::Conv { stride, padding, .. } => {
                let (weight, bias) = (self.four(index, "weight"), self.one(index, "bias"));
                fast::conv(x, weight, bias, [stride[1], stride[2]], [padding[1], padding[2]])
            }
            Op::ConvTranspose { .. } => {
                let (weight, bias) = (self.four(index, "weight"), self.one(index, "bias"));
                fast::conv_transpose(x, weight, bias)
            }
            Op::BatchNorm { epsilon } => self.batch_norm(index, x, epsilon),
            Op::Relu if self.mode == Mode::Train && self.is_rectified(node.inputs[0]) => x,
            Op::Relu => activation::relu(x),
            Op::LeakyRelu { slope } => activation::leaky_relu(x, f64::from(slope)),
            Op::MaxPool { size } => max_pool2d(x, MaxPoolOptions::new([size[1], size[2]])),
            Op::Concat | Op::InstanceNorm { .. } | Op::Add | Op::GlobalAveragePool | Op::Linear { .. } => {
                unreachable!("refused by `check_trainable` or handled above")
            }
        }
    }

    fn batch_norm(&mut self, index: usize, x: Tensor<4>, epsilon: f32) -> Tensor<4> {
        let (weight, bias) = (self.one(index, "weight"), self.one(index, "bias"));
        if self.mode == Mode::Infer {
            let (mean, variance) = (self.one(index, "running_mean"), self.one(index, "running_var"));
            return batch_norm(x, weight, bias, mean, variance, f64::from(epsilon));
        }
        let rectify = self.rectifier_follows(index);
        let (out, mean, variance) = fast::batch_norm(x, weight, bias, epsilon, rectify);
        let name = &self.graph.nodes()[index].name;
        self.statistics.insert(format!("{name}.running_mean"), vec![mean.len()], mean);
        self.statistics.insert(format!("{name}.running_var"), vec![variance.len()], variance);
        out
    }

    /// Whether all that reads this layer is the rectifier right after it, so that both can be done at once.
    fn rectifier_follows(&self, index: usize) -> bool {
        let value = NodeId(index + 1);
        let readers = || self.graph.nodes().iter().filter(|node| node.inputs.contains(&value));
        let next = self.graph.nodes().get(index + 1);
        self.graph.output() != value
            && readers().count() == 1
            && next.is_some_and(|node| node.op == Op::Relu && node.inputs == [value])
    }

    /// Whether a value comes out of a normalisation that has rectified it already.
    fn is_rectified(&self, value: NodeId) -> bool {
        value.0 > 0
            && matches!(self.graph.nodes()[value.0 - 1].op, Op::BatchNorm { .. })
            && self.rectifier_follows(value.0 - 1)
    }

    fn one(&mut self, index: usize, suffix: &str) -> Tensor<1> {
        let name = format!("{}.{suffix}", self.graph.nodes()[index].name);
        let stored = self.weights.get(&name).expect("weights were checked against the graph");
        let shape = [stored.shape[0]];
        let tensor = Tensor::from_data(TensorData::new(stored.data.clone(), shape), &self.device);
        if self.mode == Mode::Infer {
            return tensor;
        }
        let tensor = tensor.require_grad();
        self.parameters.push((name, stored.shape.clone(), Parameter::One(tensor.clone())));
        tensor
    }

    fn four(&mut self, index: usize, suffix: &str) -> Tensor<4> {
        let name = format!("{}.{suffix}", self.graph.nodes()[index].name);
        let stored = self.weights.get(&name).expect("weights were checked against the graph");
        let shape: [usize; 4] = stored.shape.clone().try_into().expect("two-dimensional kernels have four axes");
        let tensor = Tensor::from_data(TensorData::new(stored.data.clone(), shape), &self.device);
        if self.mode == Mode::Infer {
            return tensor;
        }
        let tensor = tensor.require_grad();
        self.parameters.push((name, stored.shape.clone(), Parameter::Four(tensor.clone())));
        tensor
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_nn::{Activation, Dims, Engine, EngineOptions, Norm, Stem, UNet};

    fn graph() -> Graph {
        let unet = UNet {
            dims: Dims::Two,
            input_channels: 1,
            output_channels: 3,
            stem: Stem::Half,
            channels: vec![4, 6, 8],
            convs_per_stage: 2,
            norm: Norm::Batch,
            activation: Activation::Relu,
        };
        unet.graph().unwrap()
    }

    fn images(size: usize) -> Images {
        let mut random = fastrand::Rng::with_seed(1);
        Images { shape: [2, 1, size, size], data: (0..2 * size * size).map(|_| random.f32()).collect() }
    }

    #[test]
    fn initial_weights_are_exactly_those_of_the_graph() {
        let graph = graph();
        let weights = initial_weights(&graph, 1);
        weights.check(&graph).unwrap();
        assert_eq!(weights, initial_weights(&graph, 1));
        assert_ne!(weights, initial_weights(&graph, 2));
    }

    #[test]
    fn the_engine_computes_what_was_trained() {
        let graph = graph();
        let mut weights = initial_weights(&graph, 1);
        let mut random = fastrand::Rng::with_seed(2);
        for (_, values) in weights.iter_mut() {
            values.iter_mut().for_each(|v| *v += 0.1 * random.f32());
        }
        let images = images(32);
        let expected = predict(&graph, &weights, &images);
        let engine = Engine::new(&graph, &weights, EngineOptions::default()).unwrap();
        let found = engine.run(&images.data, [2, 1, 1, 32, 32]).unwrap();
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-4 * largest.max(1.0), "{found} against {expected}");
        }
    }

    /// The whole step, loss included, against central differences.
    #[test]
    fn gradients_of_a_step_agree_with_differences() {
        let graph = graph();
        let weights = initial_weights(&graph, 1);
        let images = images(16);
        let mut random = fastrand::Rng::with_seed(3);
        let count = 2 * 3 * 256;
        let truth = (0..count).map(|_| f32::from(u8::from(random.bool()))).collect();
        let target = Target { batch: 2, channels: 3, pixels: 256, truth, known: vec![1.0; count] };
        let result = step(&graph, &weights, &images, &target);
        assert_eq!(result.statistics.len(), 20);
        for name in ["head.weight", "head.bias", "up0.conv1.weight", "down2.norm1.bias", "up1.weight"] {
            let gradient = &result.gradients.get(name).unwrap().data;
            for place in [0, gradient.len() / 2] {
                let at = |by: f32| {
                    let mut moved = weights.clone();
                    moved.iter_mut().find(|(n, _)| *n == name).unwrap().1[place] += by;
                    step(&graph, &moved, &images, &target).loss.total
                };
                let numeric = (at(2e-3) - at(-2e-3)) / 4e-3;
                let found = f64::from(gradient[place]);
                assert!((numeric - found).abs() < 2e-3 + 0.05 * found.abs(), "{name}[{place}]: {numeric}, {found}");
            }
        }
    }
}
