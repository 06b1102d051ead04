//! One training step: the layers of a [`Graph`] run forward and back with Burn.
//!
//! The parameters live outside of Burn, in [`Weights`]: every step hands them over, and takes back gradients and the
//! batch's statistics. So a checkpoint is plain arrays, and the optimiser is a pure function of them.

use burn::tensor::module::batch_norm;
use burn::tensor::{Device, FloatDType, Tensor, TensorData, activation};
use hilum_nn::{Graph, NodeId, Op, Weights};

use crate::kernels::Shape;
use crate::loss::{self, Loss, LossParts, Target};
use crate::normalisation::{NormKind, Together};
use crate::{Arithmetic, TrainDevice, TrainError, fast, plain, supervision};

/// What one step yields.
pub(crate) struct StepResult {
    pub(crate) loss: LossParts,
    /// Gradient of every trainable parameter, named as the parameter.
    pub(crate) gradients: Weights,
    /// Mean and unbiased variance of the batch at every batch normalisation, named as the running statistics.
    pub(crate) statistics: Weights,
}

impl StepResult {
    /// Adds another batch's loss, gradients and statistics.
    pub(crate) fn add(&mut self, other: &Self) {
        self.loss.total += other.loss.total;
        self.loss.cross_entropy += other.loss.cross_entropy;
        for (own, other) in self.loss.dice.iter_mut().zip(&other.loss.dice) {
            *own += other;
        }
        for ((_, own), (_, other)) in self.gradients.iter_mut().zip(other.gradients.iter()) {
            own.iter_mut().zip(&other.data).for_each(|(own, other)| *own += other);
        }
    }

    /// Whether every gradient is a number.
    fn is_finite(&self) -> bool {
        self.gradients.iter().all(|(_, gradient)| gradient.data.iter().all(|g| g.is_finite()))
    }

    /// Makes a mean of a sum of so many batches.
    pub(crate) fn divide(&mut self, batches: u64) {
        if batches > 1 {
            let n = batches as f64;
            self.loss.total /= n;
            self.loss.cross_entropy /= n;
            self.loss.dice.iter_mut().for_each(|dice| *dice /= n);
            self.gradients.iter_mut().for_each(|(_, values)| values.iter_mut().for_each(|v| *v /= n as f32));
        }
    }
}

/// Images `[n, c, slices, rows, columns]` as one flat array; one slice for two-dimensional networks.
pub(crate) struct Images {
    pub(crate) shape: Shape,
    pub(crate) data: Vec<f32>,
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
                let is_output = graph.output() == NodeId(index + 1) || supervision::is_head(layer);
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

/// How a step learns.
#[derive(Clone, Copy)]
pub(crate) struct Learning<'a> {
    /// What is minimised.
    pub(crate) loss: &'a Loss,
    /// Parameters that stay as they are: they get no gradient, and their normalisations keep their statistics.
    pub(crate) frozen: &'a (dyn Fn(&str) -> bool + Sync),
    /// Where it is computed.
    pub(crate) device: TrainDevice,
    /// On which of several cards, counted from 0.
    pub(crate) card: usize,
    /// What convolutions multiply.
    pub(crate) arithmetic: Arithmetic,
}

/// The largest slope of the loss on the tape where convolutions multiply `f16`, whose smallest normal number is 6e-5 and whose
/// largest is 65504: slopes are means over pixels, far below, and sums over pixels, the gradients, thousands of times larger.
const F16_SLOPE: f32 = 1.0 / 16.0;
/// How often a step that overflowed is computed again with a quarter of the scale.
const F16_ATTEMPTS: u32 = 6;

/// Loss, gradients and batch statistics for one batch.
///
/// # Errors
/// [`TrainError::Device`] if there is no such device in this build.
pub(crate) fn step(
    graph: &Graph,
    weights: &Weights,
    images: &Images,
    target: &Target,
    learning: Learning<'_>,
) -> Result<StepResult, TrainError> {
    if learning.device == TrainDevice::Cpu && learning.arithmetic != Arithmetic::F32 {
        let reason = "its kernels compute in f32; bf16 and f16 are for cards";
        return Err(TrainError::Device { device: learning.device.name(), reason });
    }
    let mut attempts = 0;
    loop {
        let mut pass = Pass::new(graph, weights, Mode::Train, learning.device, learning.card)?;
        pass.frozen = learning.frozen;
        pass.arithmetic = learning.arithmetic;
        let result = finish(&mut pass, images, target, learning.loss, 0.25f32.powi(attempts as i32));
        attempts += 1;
        // What is still no number then is no matter of the scale.
        if learning.arithmetic != Arithmetic::F16 || attempts == F16_ATTEMPTS || result.is_finite() {
            return Ok(result);
        }
    }
}

/// The same for several batches at once, each on a card of its own: data parallelism. Results are in the order of the batches.
///
/// # Errors
/// As [`step`], for the first batch that fails.
pub(crate) fn steps(
    graph: &Graph,
    weights: &Weights,
    batches: &[(Images, Target)],
    learning: Learning<'_>,
) -> Result<Vec<StepResult>, TrainError> {
    if let [(images, target)] = batches {
        return Ok(vec![step(graph, weights, images, target, learning)?]);
    }
    std::thread::scope(|scope| {
        let running: Vec<_> = batches
            .iter()
            .enumerate()
            .map(|(card, (images, target))| {
                scope.spawn(move || step(graph, weights, images, target, Learning { card, ..learning }))
            })
            .collect();
        running.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// The run of a pass, its loss, and the way back. In `f16`, slopes on the tape are at most `share` of [`F16_SLOPE`].
fn finish(pass: &mut Pass<'_>, images: &Images, target: &Target, loss: &Loss, share: f32) -> StepResult {
    let mut outputs = pass.run(images).into_iter();
    let finest = outputs.next().expect("a network has an output");
    let [.., slices, rows, columns] = finest.dims();
    let total_weight = 1.0 + loss.deep_supervision.iter().sum::<f64>();
    let Slopes { mut parts, logits, slope } = Slopes::of(finest, target, loss, 1.0 / total_weight);
    parts.total /= total_weight;
    let scale = match pass.arithmetic {
        Arithmetic::F16 => share * F16_SLOPE / slope.iter().fold(f32::MIN_POSITIVE, |most, s| most.max(s.abs())),
        Arithmetic::F32 | Arithmetic::Bf16 => 1.0,
    };
    let mut tape = on_tape(logits, slope, scale);
    for (head, weight) in outputs.zip(&loss.deep_supervision) {
        let size = [slices, rows, columns];
        let block = std::array::from_fn(|a| size[a] / head.dims()[2 + a]);
        let coarse = supervision::shrunk(target, size, block);
        let of_head = Slopes::of(head, &coarse, loss, weight / total_weight);
        parts.total += of_head.parts.total * weight / total_weight;
        tape = tape + on_tape(of_head.logits, of_head.slope, scale);
    }
    let loss = parts;
    let gradients = tape.backward();
    let mut result = Weights::new();
    for (name, shape, tensor) in std::mem::take(&mut pass.parameters) {
        let gradient = match tensor {
            Parameter::One(t) => t.grad(&gradients).map(Tensor::into_data),
            Parameter::Kernel(t) => t.grad(&gradients).map(Tensor::into_data),
        };
        let gradient = gradient.expect("every parameter reaches the loss");
        let mut gradient: Vec<f32> = gradient.try_into_vec().expect("gradients are f32");
        if scale != 1.0 {
            gradient.iter_mut().for_each(|g| *g /= scale);
        }
        result.insert(name, shape, gradient);
    }
    StepResult { loss, gradients: result, statistics: std::mem::take(&mut pass.statistics) }
}

/// The loss of logits, and its slope by them, times a weight.
struct Slopes {
    parts: LossParts,
    logits: Tensor<5>,
    slope: Vec<f32>,
}

impl Slopes {
    fn of(logits: Tensor<5>, target: &Target, loss: &Loss, weight: f64) -> Self {
        let values: Vec<f32> = logits.clone().into_data().try_into_vec().expect("logits are f32");
        let (parts, mut slope) = loss::masked(loss, &values, target);
        if weight != 1.0 {
            slope.iter_mut().for_each(|slope| *slope *= weight as f32);
        }
        Self { parts, logits, slope }
    }
}

/// Where the tape starts: d(loss)/d(logits) is known in closed form, so it is `sum(logits * slope)`, whose gradient is the slope.
fn on_tape(logits: Tensor<5>, mut slope: Vec<f32>, scale: f32) -> Tensor<1> {
    if scale != 1.0 {
        slope.iter_mut().for_each(|slope| *slope *= scale);
    }
    let slope = Tensor::<5>::from_data(TensorData::new(slope, logits.dims()), &logits.device());
    (logits * slope).sum()
}

/// Logits `[n, c, rows, columns]` with the stored statistics: what the engine must agree with.
#[cfg(test)]
pub(crate) fn predict(graph: &Graph, weights: &Weights, images: &Images) -> Vec<f32> {
    let mut pass = Pass::new(graph, weights, Mode::Infer, TrainDevice::Cpu, 0).expect("there is always a processor");
    pass.run(images).swap_remove(0).into_data().try_into_vec().expect("logits are f32")
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Train,
    Infer,
}

enum Parameter {
    One(Tensor<1>),
    Kernel(Tensor<5>),
}

/// One run through the layers. Every parameter is used exactly once.
struct Pass<'a> {
    graph: &'a Graph,
    weights: &'a Weights,
    mode: Mode,
    device: Device,
    /// Whether the processor's own kernels do the work.
    fast: bool,
    frozen: &'a (dyn Fn(&str) -> bool + Sync),
    arithmetic: Arithmetic,
    parameters: Vec<(String, Vec<usize>, Parameter)>,
    statistics: Weights,
}

impl<'a> Pass<'a> {
    fn new(
        graph: &'a Graph,
        weights: &'a Weights,
        mode: Mode,
        device: TrainDevice,
        card: usize,
    ) -> Result<Self, TrainError> {
        let fast = device == TrainDevice::Cpu;
        let device = match mode {
            Mode::Train => device.open(card)?.autodiff(),
            Mode::Infer => device.open(card)?,
        };
        let frozen = &|_: &str| false;
        let (arithmetic, parameters, statistics) = (Arithmetic::F32, Vec::new(), Weights::new());
        Ok(Self { graph, weights, mode, device, fast, frozen, arithmetic, parameters, statistics })
    }

    /// The logits, and those of the heads of deep supervision.
    fn run(&mut self, images: &Images) -> Vec<Tensor<5>> {
        let input = Tensor::from_data(TensorData::new(images.data.clone(), images.shape), &self.device);
        let mut values: Vec<Option<Tensor<5>>> = vec![Some(input)];
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
        let outputs = [self.graph.output()].into_iter().chain(supervision::heads(self.graph));
        outputs.map(|id| values[id.0].take().expect("outputs are computed and read by nobody else")).collect()
    }

    fn layer(&mut self, index: usize, mut inputs: Vec<Tensor<5>>) -> Tensor<5> {
        let node = &self.graph.nodes()[index];
        match node.op {
            Op::Concat => return Tensor::cat(inputs, 1),
            Op::Add => return inputs.into_iter().reduce(|sum, x| sum + x).expect("a sum has inputs"),
            _ => {}
        }
        let x = inputs.remove(0);
        match node.op {
            Op::Conv { stride, padding, dilation, groups, .. } => {
                let (weight, bias) = (self.kernel(index, "weight"), self.one(index, "bias"));
                match self.fast && dilation == [1; 3] && groups == 1 && divides(&x, stride) {
                    true => fast::conv(x, weight, bias, stride, padding),
                    false => self.short([x, weight], bias, |[x, weight], bias| {
                        plain::conv(x, weight, bias, [stride, padding, dilation], groups)
                    }),
                }
            }
            Op::ConvTranspose { .. } => {
                let (weight, bias) = (self.kernel(index, "weight"), self.one(index, "bias"));
                match self.fast {
                    true => fast::conv_transpose(x, weight, bias),
                    false => self.short([x, weight], bias, |[x, weight], bias| plain::conv_transpose(x, weight, bias)),
                }
            }
            Op::Linear { .. } => {
                let (weight, bias) = (self.kernel(index, "weight"), self.one(index, "bias"));
                match self.fast {
                    true => fast::conv(x, weight, bias, [1; 3], [0; 3]),
                    false => self.short([x, weight], bias, |[x, weight], bias| {
                        plain::conv(x, weight, bias, [[1; 3], [0; 3], [1; 3]], 1)
                    }),
                }
            }
            Op::BatchNorm { epsilon } => self.normalise(index, x, Together::Batch, epsilon),
            Op::InstanceNorm { epsilon } => self.normalise(index, x, Together::Image, epsilon),
            Op::Relu | Op::LeakyRelu { .. } if self.is_rectified(node.inputs[0]) => x,
            Op::Relu => activation::relu(x),
            Op::LeakyRelu { slope } => activation::leaky_relu(x, f64::from(slope)),
            Op::MaxPool { size } if self.fast => fast::max_pool(x, size),
            Op::MaxPool { size } => plain::max_pool(x, size),
            Op::GlobalAveragePool => x.mean_dim(2).mean_dim(3).mean_dim(4),
            Op::Concat | Op::Add => unreachable!("handled above"),
        }
    }

    /// A layer of products in the numbers that were asked for, its result in `f32`.
    fn short(
        &self,
        factors: [Tensor<5>; 2],
        bias: Tensor<1>,
        layer: impl FnOnce([Tensor<5>; 2], Tensor<1>) -> Tensor<5>,
    ) -> Tensor<5> {
        match self.arithmetic.short() {
            None => layer(factors, bias),
            Some(short) => layer(factors.map(|f| f.cast(short)), bias.cast(short)).cast(FloatDType::F32),
        }
    }

    fn normalise(&mut self, index: usize, x: Tensor<5>, together: Together, epsilon: f32) -> Tensor<5> {
        let (weight, bias) = (self.one(index, "weight"), self.one(index, "bias"));
        let negative = self.rectifier_after(index).unwrap_or(1.0);
        let name = &self.graph.nodes()[index].name;
        let keeps = self.mode == Mode::Infer || (self.frozen)(&format!("{name}.running_mean"));
        if keeps && together == Together::Batch {
            let (mean, variance) = (self.one(index, "running_mean"), self.one(index, "running_var"));
            let y = batch_norm(x, weight, bias, mean, variance, f64::from(epsilon));
            return activation::leaky_relu(y, f64::from(negative));
        }
        let kind = NormKind { together, epsilon, negative };
        let (out, mean, variance) = match self.fast {
            true => fast::normalise(x, weight, bias, kind),
            false => plain::normalise(x, weight, bias, kind),
        };
        if together == Together::Batch {
            let name = &self.graph.nodes()[index].name;
            self.statistics.insert(format!("{name}.running_mean"), vec![mean.len()], mean);
            self.statistics.insert(format!("{name}.running_var"), vec![variance.len()], variance);
        }
        out
    }

    /// What the rectifier right after a normalisation makes of negative values, if it is all that reads it, so that both
    /// can be done at once.
    fn rectifier_after(&self, index: usize) -> Option<f32> {
        let value = NodeId(index + 1);
        let readers = self.graph.nodes().iter().filter(|node| node.inputs.contains(&value)).count();
        let next = self.graph.nodes().get(index + 1).filter(|next| next.inputs == [value])?;
        match next.op {
            _ if readers != 1 || self.graph.output() == value => None,
            Op::Relu => Some(0.0),
            Op::LeakyRelu { slope } if (0.0..=1.0).contains(&slope) => Some(slope),
            _ => None,
        }
    }

    /// Whether a value comes out of a normalisation that has rectified it already.
    fn is_rectified(&self, value: NodeId) -> bool {
        value.0 > 0
            && matches!(self.graph.nodes()[value.0 - 1].op, Op::BatchNorm { .. } | Op::InstanceNorm { .. })
            && self.rectifier_after(value.0 - 1).is_some()
    }

    fn one(&mut self, index: usize, suffix: &str) -> Tensor<1> {
        let name = format!("{}.{suffix}", self.graph.nodes()[index].name);
        let stored = self.weights.get(&name).expect("weights were checked against the graph");
        let shape = [stored.shape[0]];
        let tensor = Tensor::from_data(TensorData::new(stored.data.clone(), shape), &self.device);
        if self.mode == Mode::Infer || (self.frozen)(&name) || suffix.starts_with("running_") {
            return tensor;
        }
        let tensor = tensor.require_grad();
        self.parameters.push((name, stored.shape.clone(), Parameter::One(tensor.clone())));
        tensor
    }

    fn kernel(&mut self, index: usize, suffix: &str) -> Tensor<5> {
        let name = format!("{}.{suffix}", self.graph.nodes()[index].name);
        let stored = self.weights.get(&name).expect("weights were checked against the graph");
        let shape = kernel_shape(&stored.shape);
        let tensor = Tensor::from_data(TensorData::new(stored.data.clone(), shape), &self.device);
        if self.mode == Mode::Infer || (self.frozen)(&name) || suffix.starts_with("running_") {
            return tensor;
        }
        let tensor = tensor.require_grad();
        self.parameters.push((name, stored.shape.clone(), Parameter::Kernel(tensor.clone())));
        tensor
    }
}

/// Whether every axis is a multiple of the step.
fn divides(x: &Tensor<5>, stride: [usize; 3]) -> bool {
    x.dims()[2..].iter().zip(stride).all(|(size, stride)| size.is_multiple_of(stride))
}

/// `[out, in, slices, rows, columns]` of a stored kernel: those of two-dimensional networks have no slices, those of linear
/// layers only channels.
fn kernel_shape(stored: &[usize]) -> Shape {
    match *stored {
        [out, input] => [out, input, 1, 1, 1],
        [out, input, rows, columns] => [out, input, 1, rows, columns],
        [out, input, slices, rows, columns] => [out, input, slices, rows, columns],
        _ => unreachable!("the graph makes kernels of two, four or five axes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_nn::{Activation, Dims, Engine, EngineOptions, Node, Norm, Stem, UNet};

    fn unet(dims: Dims, stem: Stem, norm: Norm, activation: Activation) -> Graph {
        let channels = vec![4, 6, 8];
        let unet =
            UNet { dims, input_channels: 1, output_channels: 3, stem, channels, convs_per_stage: 2, norm, activation };
        unet.graph().unwrap()
    }

    /// Everything a U-Net does not have: a sum, holes, groups, an average over the image, a linear layer.
    fn classifier() -> Graph {
        let wide = Op::Conv {
            out_channels: 4,
            kernel: [1, 3, 3],
            stride: [1; 3],
            padding: [0, 2, 2],
            dilation: [1, 2, 2],
            groups: 2,
        };
        let ops = [
            (Op::conv(4, [1, 3, 3], [1; 3], [0, 1, 1]), vec![0]),
            (wide, vec![1]),
            (Op::Add, vec![1, 2]),
            (Op::LeakyRelu { slope: 0.2 }, vec![3]),
            (Op::GlobalAveragePool, vec![4]),
            (Op::Linear { out_channels: 3 }, vec![5]),
        ];
        let nodes = ops.into_iter().enumerate().map(|(index, (op, inputs))| Node {
            name: format!("layer{index}"),
            op,
            inputs: inputs.into_iter().map(NodeId).collect(),
        });
        Graph::new(Dims::Two, 1, nodes.collect(), NodeId(6)).unwrap()
    }

    /// Networks with two images that each can read.
    fn cases() -> Vec<(Graph, Images)> {
        let flat = unet(Dims::Two, Stem::Half, Norm::Batch, Activation::Relu);
        let deep = unet(Dims::Three, Stem::Full, Norm::Instance, Activation::LeakyRelu);
        let sizes = [(flat, [1, 16, 16]), (deep, [8, 8, 4]), (classifier(), [1, 5, 6])];
        sizes.map(|(graph, size)| (graph, images(size))).into()
    }

    /// The default loss, everything learning, on the processor.
    fn learning() -> Learning<'static> {
        static LOSS: std::sync::LazyLock<Loss> = std::sync::LazyLock::new(Loss::default);
        let (device, arithmetic) = (TrainDevice::Cpu, Arithmetic::F32);
        Learning { loss: &LOSS, frozen: &|_| false, device, card: 0, arithmetic }
    }

    /// Two images of three channels, every third value of which is true, all known.
    fn thirds(graph: &Graph, images: &Images) -> Target {
        let size = [images.shape[2], images.shape[3], images.shape[4]];
        let pixels: usize = graph.output_size(size).iter().product();
        let truth = (0..6 * pixels).map(|i| f32::from(u8::from(i % 3 == 0))).collect();
        Target { batch: 2, channels: 3, pixels, truth, known: vec![1.0; 6 * pixels], distance: vec![] }
    }

    fn images(size: [usize; 3]) -> Images {
        let mut random = fastrand::Rng::with_seed(1);
        let count = 2 * size.iter().product::<usize>();
        Images { shape: [2, 1, size[0], size[1], size[2]], data: (0..count).map(|_| random.f32()).collect() }
    }

    #[test]
    fn initial_weights_are_exactly_those_of_the_graph() {
        for (graph, _) in cases() {
            let weights = initial_weights(&graph, 1);
            weights.check(&graph).unwrap();
            assert_eq!(weights, initial_weights(&graph, 1));
            assert_ne!(weights, initial_weights(&graph, 2));
        }
    }

    #[test]
    fn the_engine_computes_what_was_trained() {
        for (graph, images) in cases() {
            let mut weights = initial_weights(&graph, 1);
            let mut random = fastrand::Rng::with_seed(2);
            for (_, values) in weights.iter_mut() {
                values.iter_mut().for_each(|v| *v += 0.1 * random.f32());
            }
            let expected = predict(&graph, &weights, &images);
            let engine = Engine::new(&graph, &weights, EngineOptions::default()).unwrap();
            let found = engine.run(&images.data, images.shape).unwrap();
            assert_eq!(found.len(), expected.len());
            let largest = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-4 * largest.max(1.0), "{found} against {expected}");
            }
        }
    }

    /// The whole step, loss included, against central differences.
    #[test]
    fn gradients_of_a_step_agree_with_differences() {
        for ((graph, images), batch_norms) in cases().into_iter().zip([10, 0, 0]) {
            let weights = initial_weights(&graph, 1);
            let mut random = fastrand::Rng::with_seed(3);
            let size = [images.shape[2], images.shape[3], images.shape[4]];
            let pixels: usize = graph.output_size(size).iter().product();
            let count = 2 * 3 * pixels;
            let truth = (0..count).map(|_| f32::from(u8::from(random.bool()))).collect();
            let target = Target { batch: 2, channels: 3, pixels, truth, known: vec![1.0; count], distance: vec![] };
            let step = |weights: &Weights| step(&graph, weights, &images, &target, learning()).unwrap();
            let result = step(&weights);
            assert_eq!(result.statistics.len(), 2 * batch_norms);
            let trained: Vec<&str> = result.gradients.iter().map(|(name, _)| name).collect();
            for name in trained.into_iter().step_by(3) {
                let gradient = &result.gradients.get(name).unwrap().data;
                for place in [0, gradient.len() / 2] {
                    let at = |by: f32| {
                        let mut moved = weights.clone();
                        moved.iter_mut().find(|(n, _)| *n == name).unwrap().1[place] += by;
                        step(&moved).loss.total
                    };
                    let numeric = (at(2e-3) - at(-2e-3)) / 4e-3;
                    let found = f64::from(gradient[place]);
                    assert!((numeric - found).abs() < 2e-3 + 0.05 * found.abs(), "{name}[{place}]: {numeric}, {found}");
                }
            }
        }
    }

    /// Burn's own operations, as graphics cards run them, against the processor's kernels.
    #[test]
    fn plain_operations_take_the_same_step() {
        for (graph, images) in cases() {
            let weights = initial_weights(&graph, 1);
            let target = thirds(&graph, &images);
            let device = plain_device();
            let fast = step(&graph, &weights, &images, &target, learning()).unwrap();
            let mut pass = Pass { fast: false, ..Pass::new(&graph, &weights, Mode::Train, device, 0).unwrap() };
            let plain = finish(&mut pass, &images, &target, &Loss::default(), 1.0);
            let (ours, burns) = (fast.loss.total, plain.loss.total);
            assert!((ours - burns).abs() < 1e-4, "the loss is {ours} and {burns}");
            let pairs = fast.gradients.iter().zip(plain.gradients.iter());
            for ((name, fast), (_, plain)) in pairs.chain(fast.statistics.iter().zip(plain.statistics.iter())) {
                let largest = fast.data.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
                for (a, b) in fast.data.iter().zip(&plain.data) {
                    assert!((a - b).abs() < 2e-3 * largest, "{name}: {a} and {b}");
                }
            }
        }
    }

    /// 16-bit products: the step is that of `f32` but for their digits, and `f16` loses no small slope.
    #[test]
    fn mixed_precision_takes_nearly_the_same_step() {
        for (graph, images) in cases() {
            let weights = initial_weights(&graph, 1);
            let target = thirds(&graph, &images);
            let exact = step(&graph, &weights, &images, &target, learning()).unwrap();
            for arithmetic in [Arithmetic::Bf16, Arithmetic::F16] {
                let pass = Pass::new(&graph, &weights, Mode::Train, plain_device(), 0).unwrap();
                let mut pass = Pass { fast: false, arithmetic, ..pass };
                let short = finish(&mut pass, &images, &target, &Loss::default(), 1.0);
                assert!((exact.loss.total - short.loss.total).abs() < 0.02, "{arithmetic:?}");
                let (mut product, mut squares) = (0.0f64, [0.0f64; 2]);
                for ((_, a), (_, b)) in exact.gradients.iter().zip(short.gradients.iter()) {
                    for (a, b) in a.data.iter().zip(&b.data) {
                        product += f64::from(a * b);
                        squares[0] += f64::from(a * a);
                        squares[1] += f64::from(b * b);
                    }
                }
                let cosine = product / (squares[0] * squares[1]).sqrt();
                let length = (squares[1] / squares[0]).sqrt();
                assert!(cosine > 0.99 && (length - 1.0).abs() < 0.05, "{arithmetic:?}: {cosine}, {length}");
            }
        }
    }

    #[test]
    fn the_processor_has_no_short_numbers() {
        let (graph, images) = cases().swap_remove(0);
        let target = thirds(&graph, &images);
        let learning = Learning { arithmetic: Arithmetic::Bf16, ..learning() };
        let error = step(&graph, &initial_weights(&graph, 1), &images, &target, learning).err().unwrap();
        assert!(error.to_string().contains("f32"), "{error}");
    }

    #[test]
    fn coarser_heads_teach_too() {
        let graph = unet(Dims::Two, Stem::Full, Norm::Instance, Activation::LeakyRelu);
        let graph = supervision::with_heads(&graph, 1).unwrap();
        let images = images([1, 16, 16]);
        let mut weights = initial_weights(&graph, 1);
        weights.iter_mut().flat_map(|(_, values)| values).for_each(|v| *v += 0.01);
        let truth: Vec<f32> = (0..2 * 3 * 256).map(|i| f32::from(u8::from(i / 3 % 16 < 9))).collect();
        let known = vec![1.0; truth.len()];
        let target = Target { batch: 2, channels: 3, pixels: 256, truth, known, distance: vec![] };
        let loss = Loss { deep_supervision: vec![0.6], ..Loss::default() };
        let step = |weights: &Weights| {
            step(&graph, weights, &images, &target, Learning { loss: &loss, ..learning() }).unwrap()
        };
        let result = step(&weights);
        for name in ["deep1.weight", "deep1.bias", "head.weight", "up1.norm1.weight", "down0.norm0.bias"] {
            let at = |by: f32| {
                let mut moved = weights.clone();
                moved.iter_mut().find(|(n, _)| *n == name).unwrap().1[1] += by;
                step(&moved).loss.total
            };
            let numeric = (at(4e-3) - at(-4e-3)) / 8e-3;
            let found = f64::from(result.gradients.get(name).unwrap().data[1]);
            assert!((numeric - found).abs() < 1e-3 + 0.05 * found.abs(), "{name}: {numeric}, {found}");
        }
    }

    #[test]
    fn what_is_frozen_gets_no_gradient_and_keeps_its_statistics() {
        for (graph, images) in cases() {
            let weights = initial_weights(&graph, 1);
            let target = thirds(&graph, &images);
            // The first half of the layers; normalisations among them now use what is stored.
            let half = graph.nodes()[graph.nodes().len() / 2].name.clone();
            let order: Vec<String> = graph.nodes().iter().map(|node| node.name.clone()).collect();
            let place = |layer: &str| order.iter().position(|name| name == layer);
            let frozen = |name: &str| place(name.rsplit_once('.').unwrap().0) <= place(&half);
            let result = step(&graph, &weights, &images, &target, Learning { frozen: &frozen, ..learning() }).unwrap();
            let learned: Vec<&str> = result.gradients.iter().map(|(name, _)| name).collect();
            let expected = initial_weights(&graph, 1);
            let expected: Vec<&str> =
                expected.iter().map(|(name, _)| name).filter(|n| !frozen(n) && !n.contains("running_")).collect();
            assert_eq!(learned, expected);
            assert!(result.statistics.iter().all(|(name, _)| !frozen(name)));
        }
    }

    /// `HILUM_TEST_DEVICE`, such as `wgpu`; otherwise the processor.
    fn plain_device() -> TrainDevice {
        std::env::var("HILUM_TEST_DEVICE").map_or(TrainDevice::Cpu, |name| name.parse().unwrap())
    }
}
