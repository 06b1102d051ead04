//! From a graph and its weights to the steps that really run.
//!
//! - A batch normalisation behind a convolution is folded into its weights.
//! - An instance normalisation or activation behind a convolution becomes part of it.
//! - A concatenation read only by convolutions disappears: they read its parts.
//! - Layers the output does not need are dropped.
//!
//! Nothing here depends on the size of the input; [`ExecutionPlan`](super::plan::ExecutionPlan) adds that.

use super::filter::{Filter, RawFilter};
use super::precision::{Calibration, Precision};
use super::reduced::{self, Reduced};
use super::winograd;
use super::{Algorithm, EngineError};
use crate::graph::{Graph, NodeId, Op};
use crate::kernels::{Activation, KernelSet, LANES, Number};
use crate::weights::Weights;

/// What is chosen before a program is made.
#[derive(Clone, Copy)]
pub(crate) struct Choices<'a> {
    pub(crate) kernels: KernelSet,
    pub(crate) algorithm: Algorithm,
    pub(crate) precision: Precision,
    pub(crate) calibration: Option<&'a Calibration>,
}

/// Names a value the steps read and write: its place in [`Program::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value(pub(crate) usize);

/// What is known of a value before the input's size is.
#[derive(Clone, Debug)]
pub(crate) struct ValueInfo {
    pub(crate) channels: usize,
    /// The graph's node whose size it has.
    pub(crate) node: NodeId,
    /// Columns of zeros that convolutions read left and right of every row.
    pub(crate) margin: [usize; 2],
}

/// The fused steps of a network, ready for any input size.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) steps: Vec<Step>,
    /// `values[0]` is the input.
    pub(crate) values: Vec<ValueInfo>,
    pub(crate) output: Value,
}

#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The name of a convolution.
    pub(crate) layer: Option<String>,
    pub(crate) inputs: Vec<Value>,
    pub(crate) output: Value,
    pub(crate) work: Work,
}

#[derive(Clone, Debug)]
pub(crate) enum Work {
    Conv(Conv),
    Reduced(Box<Reduced>),
    ConvTranspose(ConvTranspose),
    Pointwise(Pointwise),
    MaxPool {
        size: [usize; 3],
    },
    Concat,
    /// The sum of all inputs, then the activation.
    Add(Activation),
    GlobalAverage,
}

/// How a convolution is computed, and so how its filter is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Direct,
    Winograd,
    /// Every channel by itself.
    Depthwise,
}

/// Which inputs a convolution sees, each `[slice, row, column]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) kernel: [usize; 3],
    pub(crate) stride: [usize; 3],
    pub(crate) padding: [usize; 3],
    pub(crate) dilation: [usize; 3],
}

impl Window {
    /// A kernel whose stride is its size.
    fn block(kernel: [usize; 3]) -> Self {
        Self { kernel, stride: kernel, padding: [0; 3], dilation: [1; 3] }
    }

    /// The input under a tap of an output, `None` where it lies in the padding.
    pub(crate) fn under(&self, axis: usize, output: usize, tap: usize, size: usize) -> Option<usize> {
        let padded = output * self.stride[axis] + tap * self.dilation[axis];
        padded.checked_sub(self.padding[axis]).filter(|&input| input < size)
    }

    /// Columns of zeros read left and right of every row.
    pub(crate) fn margin(&self) -> [usize; 2] {
        // The last output reads up to `padding` columns right of the input, less what the stride leaves over.
        let covered = (self.kernel[2] - 1) * self.dilation[2] + 1;
        [self.padding[2], covered.saturating_sub(self.padding[2] + self.stride[2])]
    }
}

/// A convolution with everything fused into it.
#[derive(Clone, Debug)]
pub(crate) struct Conv {
    pub(crate) window: Window,
    pub(crate) method: Method,
    pub(crate) filter: Filter,
    /// Runs after the whole output is known, then `activation` after it instead of in the kernel.
    pub(crate) norm: Option<InstanceNorm>,
    pub(crate) activation: Activation,
}

/// A transposed convolution whose stride is its kernel. Never normalised by instance.
#[derive(Clone, Debug)]
pub(crate) struct ConvTranspose {
    pub(crate) kernel: [usize; 3],
    pub(crate) filter: Filter,
    pub(crate) activation: Activation,
}

/// A layer that could not be fused into a convolution.
#[derive(Clone, Debug)]
pub(crate) struct Pointwise {
    pub(crate) scale: Scale,
    pub(crate) activation: Activation,
}

#[derive(Clone, Debug)]
pub(crate) enum Scale {
    None,
    /// `x * factor + offset` per lane of every block.
    Fixed {
        factor: Vec<f32>,
        offset: Vec<f32>,
    },
    Instance(InstanceNorm),
}

/// Instance normalisation; both vectors cover all lanes of all blocks and are 0 where there is no channel.
#[derive(Clone, Debug)]
pub(crate) struct InstanceNorm {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    pub(crate) epsilon: f32,
}

impl Program {
    /// Fuses the layers of `graph` and packs the weights for `kernels`.
    ///
    /// `weights` must have passed [`Weights::check`] for this graph.
    ///
    /// # Errors
    /// If a layer is to use 8-bit integers and is not calibrated.
    pub(crate) fn new(graph: &Graph, weights: &Weights, choices: &Choices<'_>) -> Result<Self, EngineError> {
        Builder::new(graph, weights).build(choices)
    }

    /// Memory of the packed weights.
    pub(crate) fn weight_bytes(&self) -> usize {
        let bytes = |step: &Step| match &step.work {
            Work::Conv(conv) => conv.filter.bytes(),
            Work::Reduced(conv) => conv.bytes(),
            Work::ConvTranspose(conv) => conv.filter.bytes(),
            Work::Pointwise(_) | Work::MaxPool { .. } | Work::Concat | Work::Add(_) | Work::GlobalAverage => 0,
        };
        self.steps.iter().map(bytes).sum()
    }
}

/// A convolution while layers are still being folded into it.
struct RawConv {
    /// The layer's, by which its calibration is found.
    name: String,
    window: Window,
    filter: RawFilter,
    norm: Option<InstanceNorm>,
    activation: Activation,
}

impl RawConv {
    fn pack(self, block_channels: Vec<usize>, choices: &Choices<'_>, makes_logits: bool) -> Result<Work, EngineError> {
        let Choices { kernels, algorithm, precision, calibration } = *choices;
        let Self { window, filter: raw, norm, activation, .. } = self;
        if raw.transposed {
            return Ok(Work::ConvTranspose(ConvTranspose {
                kernel: window.kernel,
                filter: raw.pack(block_channels, kernels),
                activation,
            }));
        }
        if let Some(number) = precision.number()
            && raw.splits == 1
            && raw.inputs >= reduced::INPUT_CHANNELS_MIN
            && !makes_logits
        {
            let range = match number {
                Number::Bf16 => [0.0; 2],
                Number::Int8 => {
                    let range = calibration.and_then(|calibration| calibration.range(&self.name));
                    range.ok_or(EngineError::NotCalibrated { layer: self.name })?
                }
            };
            let fused = (window, norm, activation);
            let conv = Reduced::new(fused, &raw, &block_channels, (number, range), kernels);
            return Ok(Work::Reduced(Box::new(conv)));
        }
        let (method, filter) = match algorithm {
            _ if raw.is_depthwise() => (Method::Depthwise, raw.pack_depthwise(block_channels)),
            Algorithm::Fastest if winograd::pays(&window, &raw) => {
                (Method::Winograd, raw.pack_winograd(block_channels, kernels))
            }
            _ => (Method::Direct, raw.pack(block_channels, kernels)),
        };
        Ok(Work::Conv(Conv { window, method, filter, norm, activation }))
    }
}

enum RawWork {
    Conv(Box<RawConv>),
    Pointwise(Pointwise),
    MaxPool { size: [usize; 3] },
    Concat,
    Add(Activation),
    GlobalAverage,
}

struct RawStep {
    inputs: Vec<Value>,
    output: Value,
    work: RawWork,
}

struct Builder<'a> {
    graph: &'a Graph,
    weights: &'a Weights,
    /// How many layers (and the output of the network) read each value of the graph.
    uses: Vec<usize>,
    /// Which values hold each value of the graph: one, or the parts of a concatenation.
    parts: Vec<Vec<Value>>,
    values: Vec<ValueInfo>,
    steps: Vec<RawStep>,
}

impl<'a> Builder<'a> {
    fn new(graph: &'a Graph, weights: &'a Weights) -> Self {
        let mut uses = vec![0; graph.nodes().len() + 1];
        uses[graph.output().0] = 1;
        for (index, node) in graph.nodes().iter().enumerate().rev() {
            if uses[index + 1] > 0 {
                node.inputs.iter().for_each(|id| uses[id.0] += 1);
            }
        }
        let input = ValueInfo { channels: graph.input_channels(), node: NodeId::INPUT, margin: [0; 2] };
        Self { graph, weights, uses, parts: vec![vec![Value(0)]], values: vec![input], steps: Vec::new() }
    }

    fn build(mut self, choices: &Choices<'_>) -> Result<Program, EngineError> {
        for index in 0..self.graph.nodes().len() {
            let parts = match self.uses[index + 1] {
                0 => Vec::new(),
                _ => self.node(index),
            };
            self.parts.push(parts);
        }
        let output = self.parts[self.graph.output().0][0];
        let values = self.values;
        let steps = self.steps.into_iter().map(|step| {
            let channels = |value: &Value| values[value.0].channels;
            let mut layer = None;
            let work = match step.work {
                RawWork::Conv(raw) => {
                    layer = Some(raw.name.clone());
                    let blocks = step.inputs.iter().map(channels).flat_map(block_channels).collect();
                    raw.pack(blocks, choices, step.output == output)?
                }
                RawWork::Pointwise(pointwise) => Work::Pointwise(pointwise),
                RawWork::MaxPool { size } => Work::MaxPool { size },
                RawWork::Concat => Work::Concat,
                RawWork::Add(activation) => Work::Add(activation),
                RawWork::GlobalAverage => Work::GlobalAverage,
            };
            Ok(Step { layer, inputs: step.inputs, output: step.output, work })
        });
        Ok(Program { steps: steps.collect::<Result<_, EngineError>>()?, output, values: values.clone() })
    }

    /// Adds what node `index` does and returns the values that hold its result.
    fn node(&mut self, index: usize) -> Vec<Value> {
        let node = &self.graph.nodes()[index];
        let inputs: Vec<Value> = node.inputs.iter().flat_map(|id| self.parts[id.0].clone()).collect();
        let id = NodeId(index + 1);
        match node.op {
            Op::Conv { kernel, stride, padding, dilation, groups, .. } => {
                self.conv(id, inputs, Window { kernel, stride, padding, dilation }, groups, false)
            }
            Op::ConvTranspose { kernel, .. } => self.conv(id, inputs, Window::block(kernel), 1, true),
            Op::Linear { .. } => self.conv(id, inputs, Window::block([1; 3]), 1, false),
            Op::BatchNorm { epsilon } => self.batch_norm(id, inputs, epsilon),
            Op::InstanceNorm { epsilon } => self.instance_norm(id, inputs, epsilon),
            Op::Relu => self.activation(id, inputs, Activation::Relu),
            Op::LeakyRelu { slope } => self.activation(id, inputs, Activation::LeakyRelu(slope)),
            Op::MaxPool { size } => self.push(id, inputs, RawWork::MaxPool { size }),
            Op::Concat if self.read_only_by_convolutions(id) => inputs,
            Op::Concat => self.push(id, inputs, RawWork::Concat),
            Op::Add => self.push(id, inputs, RawWork::Add(Activation::None)),
            Op::GlobalAveragePool => self.push(id, inputs, RawWork::GlobalAverage),
        }
    }

    /// Whether a concatenation can be replaced by its parts wherever it is read.
    fn read_only_by_convolutions(&self, id: NodeId) -> bool {
        let readers = self.graph.nodes().iter().enumerate().filter(|(_, node)| node.inputs.contains(&id));
        id != self.graph.output()
            && readers.filter(|(index, _)| self.uses[index + 1] > 0).all(|(_, node)| match node.op {
                // One with a part for every channel needs input and output blocks to be the same channels.
                Op::Conv { groups, .. } => groups < self.graph.channels(id),
                Op::ConvTranspose { .. } | Op::Linear { .. } => true,
                _ => false,
            })
    }

    fn push(&mut self, node: NodeId, inputs: Vec<Value>, work: RawWork) -> Vec<Value> {
        let output = Value(self.values.len());
        self.values.push(ValueInfo { channels: self.graph.channels(node), node, margin: [0; 2] });
        self.steps.push(RawStep { inputs, output, work });
        vec![output]
    }

    fn conv(&mut self, id: NodeId, inputs: Vec<Value>, window: Window, splits: usize, transposed: bool) -> Vec<Value> {
        let [left, right] = window.margin();
        for input in &inputs {
            let margin = &mut self.values[input.0].margin;
            *margin = [margin[0].max(left), margin[1].max(right)];
        }
        let filter = RawFilter {
            transposed,
            taps: window.kernel.iter().product(),
            splits,
            outputs: self.graph.channels(id),
            inputs: self.graph.channels(self.graph.nodes()[id.0 - 1].inputs[0]),
            weights: self.parameter(id, "weight").to_vec(),
            bias: self.parameter(id, "bias").to_vec(),
        };
        let name = self.graph.nodes()[id.0 - 1].name.clone();
        let raw = RawConv { name, window, filter, norm: None, activation: Activation::None };
        self.push(id, inputs, RawWork::Conv(Box::new(raw)))
    }

    fn batch_norm(&mut self, id: NodeId, inputs: Vec<Value>, epsilon: f32) -> Vec<Value> {
        let [weight, bias, mean, variance] =
            ["weight", "bias", "running_mean", "running_var"].map(|name| self.parameter(id, name));
        let factor: Vec<f64> = weight
            .iter()
            .zip(variance)
            .map(|(&w, &v)| f64::from(w) / (f64::from(v) + f64::from(epsilon)).sqrt())
            .collect();
        let offset: Vec<f64> = (0..bias.len()).map(|c| f64::from(bias[c]) - f64::from(mean[c]) * factor[c]).collect();
        if let Some(RawWork::Conv(raw)) = self.sole_reader_of(id)
            && raw.norm.is_none()
            && raw.activation == Activation::None
        {
            raw.filter.fold(&factor, &offset);
            return inputs;
        }
        let lanes = |values: Vec<f64>| padded(values.into_iter().map(|v| v as f32));
        let scale = Scale::Fixed { factor: lanes(factor), offset: lanes(offset) };
        self.push(id, inputs, RawWork::Pointwise(Pointwise { scale, activation: Activation::None }))
    }

    fn instance_norm(&mut self, id: NodeId, inputs: Vec<Value>, epsilon: f32) -> Vec<Value> {
        let [weight, bias] = ["weight", "bias"].map(|name| padded(self.parameter(id, name).iter().copied()));
        let norm = InstanceNorm { weight, bias, epsilon };
        if let Some(RawWork::Conv(raw)) = self.sole_reader_of(id)
            && !raw.filter.transposed
            && raw.norm.is_none()
            && raw.activation == Activation::None
        {
            raw.norm = Some(norm);
            return inputs;
        }
        let pointwise = Pointwise { scale: Scale::Instance(norm), activation: Activation::None };
        self.push(id, inputs, RawWork::Pointwise(pointwise))
    }

    fn activation(&mut self, id: NodeId, inputs: Vec<Value>, activation: Activation) -> Vec<Value> {
        let fused = match self.sole_reader_of(id) {
            Some(RawWork::Conv(raw)) => Some(&mut raw.activation),
            Some(RawWork::Pointwise(pointwise)) => Some(&mut pointwise.activation),
            Some(RawWork::Add(fused)) => Some(fused),
            _ => None,
        };
        match fused {
            Some(fused @ Activation::None) => {
                *fused = activation;
                inputs
            }
            _ => self.push(id, inputs, RawWork::Pointwise(Pointwise { scale: Scale::None, activation })),
        }
    }

    /// The step whose result only node `id` reads, into which that node may be fused.
    fn sole_reader_of(&mut self, id: NodeId) -> Option<&mut RawWork> {
        let input = self.graph.nodes()[id.0 - 1].inputs[0];
        match (self.uses[input.0], self.parts[input.0].as_slice()) {
            (1, &[value]) => self.steps.iter_mut().find(|step| step.output == value).map(|step| &mut step.work),
            _ => None,
        }
    }

    fn parameter(&self, id: NodeId, suffix: &str) -> &'a [f32] {
        let name = format!("{}.{suffix}", self.graph.nodes()[id.0 - 1].name);
        &self.weights.get(&name).expect("the weights were checked against the graph").data
    }
}

/// Channels of each block of a value.
pub(crate) fn block_channels(channels: usize) -> impl Iterator<Item = usize> {
    (0..channels).step_by(LANES).map(move |first| LANES.min(channels - first))
}

/// Fills up the last block with zeros.
fn padded(values: impl ExactSizeIterator<Item = f32>) -> Vec<f32> {
    let lanes = values.len().next_multiple_of(LANES);
    values.chain(std::iter::repeat(0.0)).take(lanes).collect()
}
