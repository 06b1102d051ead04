//! A network as plain data: typed layers in the order they run.
//!
//! One description serves every reader: the CPU engine plans its kernels from it, training builds its module from it,
//! and the weight file is checked against the parameter list it implies. No architecture is written twice.
//!
//! Every triple is ordered `[slice, row, column]`. A two-dimensional network has 1 (kernel, stride) or 0 (padding)
//! along slices. [`NodeId(0)`](NodeId) is the input, `NodeId(i + 1)` the result of `nodes[i]`; a node may only read
//! earlier ones, so the list is its own schedule.

use serde::{Deserialize, Serialize};

/// Number of spatial dimensions a network looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dims {
    /// Slices are read one at a time; tensors are `[n, c, h, w]`.
    Two,
    /// Whole blocks are read; tensors are `[n, c, d, h, w]`.
    Three,
}

/// Names the value a node computes: 0 is the input, `i + 1` the output of `nodes[i]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub usize);

impl NodeId {
    /// The input of the network.
    pub const INPUT: NodeId = NodeId(0);
}

/// What one layer does. Convolutions are cross-correlations and always carry a bias.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// Convolution with zero padding. Parameters: `weight [out, in / groups, k..]`, `bias [out]`.
    Conv {
        /// Channels of the result.
        out_channels: usize,
        /// Taps along `[slice, row, column]`.
        kernel: [usize; 3],
        /// Step along `[slice, row, column]`.
        stride: [usize; 3],
        /// Zeros added on both sides along `[slice, row, column]`.
        padding: [usize; 3],
        /// Distance between taps along `[slice, row, column]`; 1 if not written.
        #[serde(default = "ones", skip_serializing_if = "is_ones")]
        dilation: [usize; 3],
        /// Channels in and out are split into this many parts that do not see each other; 1 if not written. As many as
        /// channels is a depthwise convolution.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        groups: usize,
    },
    /// Transposed convolution whose stride equals its kernel: every voxel becomes a block, blocks do not overlap.
    /// Parameters: `weight [in, out, k..]` (PyTorch's order), `bias [out]`.
    ConvTranspose {
        /// Channels of the result.
        out_channels: usize,
        /// Taps and step along `[slice, row, column]`.
        kernel: [usize; 3],
    },
    /// Normalisation by stored mean and variance per channel: `(x - mean) / sqrt(var + epsilon) * weight + bias`.
    /// Parameters: `weight`, `bias`, `running_mean`, `running_var`, each `[channels]`.
    BatchNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// Normalisation by the mean and (biased) variance of each channel of each sample.
    /// Parameters: `weight`, `bias`, each `[channels]`.
    InstanceNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// `max(x, 0)`.
    Relu,
    /// `x` where positive, `slope * x` elsewhere.
    LeakyRelu {
        /// Factor of negative values.
        slope: f32,
    },
    /// Maximum over blocks that do not overlap (step = size).
    MaxPool {
        /// Block along `[slice, row, column]`.
        size: [usize; 3],
    },
    /// Channels of all inputs, one after another in the order they are named.
    Concat,
    /// Sum of all inputs, which must have the same channels and resolution (residual connections).
    Add,
    /// Mean of each channel over all voxels of a sample: one voxel is left. What follows can only be [`Op::Linear`],
    /// an activation, [`Op::Add`] or [`Op::Concat`].
    GlobalAveragePool,
    /// Every channel of the result is a weighted sum of all channels of a single voxel. Parameters:
    /// `weight [out, in]`, `bias [out]`.
    Linear {
        /// Channels of the result.
        out_channels: usize,
    },
}

fn ones() -> [usize; 3] {
    [1; 3]
}

fn is_ones(triple: &[usize; 3]) -> bool {
    *triple == [1; 3]
}

fn one() -> usize {
    1
}

fn is_one(count: &usize) -> bool {
    *count == 1
}

impl Op {
    /// A convolution with neighbouring taps that sees all channels.
    pub fn conv(out_channels: usize, kernel: [usize; 3], stride: [usize; 3], padding: [usize; 3]) -> Self {
        Op::Conv { out_channels, kernel, stride, padding, dilation: [1; 3], groups: 1 }
    }
}

/// One layer: its operation, the values it reads and the name its parameters carry in the weight file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Unique name, the prefix of its parameters (`down0.conv0` owns `down0.conv0.weight`).
    pub name: String,
    /// What it computes.
    #[serde(flatten)]
    pub op: Op,
    /// The values it reads: exactly one, or two or more for [`Op::Concat`] and [`Op::Add`].
    pub inputs: Vec<NodeId>,
}

/// A whole network. Build it with [`Graph::new`], which refuses one that cannot run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawGraph")]
pub struct Graph {
    dims: Dims,
    input_channels: usize,
    nodes: Vec<Node>,
    output: NodeId,
    #[serde(skip)]
    channels: Vec<usize>,
}

#[derive(Deserialize)]
struct RawGraph {
    dims: Dims,
    input_channels: usize,
    nodes: Vec<Node>,
    output: NodeId,
}

impl TryFrom<RawGraph> for Graph {
    type Error = GraphError;
    fn try_from(raw: RawGraph) -> Result<Self, GraphError> {
        Graph::new(raw.dims, raw.input_channels, raw.nodes, raw.output)
    }
}

/// A parameter the weight file must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// `NODE.weight`, `NODE.bias`, `NODE.running_mean` or `NODE.running_var`.
    pub name: String,
    /// PyTorch's shape; two-dimensional convolutions have no slice axis (`[out, in, rows, columns]`).
    pub shape: Vec<usize>,
}

/// Why a layer list is not a network that can run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The network has no layers.
    #[error("the network has no layers")]
    Empty,
    /// Zero where a count must be positive.
    #[error("layer `{node}`: {what} must be at least 1")]
    Zero {
        /// Layer name.
        node: String,
        /// Which count.
        what: &'static str,
    },
    /// Two layers share a name, so their weights could not be told apart.
    #[error("two layers are named `{0}`")]
    DuplicateName(String),
    /// A layer reads a value that is not computed before it.
    #[error("layer `{node}` reads value {input}, which is not computed before it")]
    ForwardReference {
        /// Layer name.
        node: String,
        /// Offending value.
        input: usize,
    },
    /// Wrong number of inputs.
    #[error("layer `{node}` takes {expected} input(s), {found} given")]
    InputCount {
        /// Layer name.
        node: String,
        /// What the operation takes.
        expected: &'static str,
        /// What was given.
        found: usize,
    },
    /// A two-dimensional network must leave the slice axis alone.
    #[error("layer `{0}` works along slices in a two-dimensional network")]
    SliceAxisInTwoDims(String),
    /// Channels that cannot be split into so many groups.
    #[error("layer `{node}`: {channels} channels cannot be split into {groups} groups")]
    Groups {
        /// Layer name.
        node: String,
        /// Channels read or written.
        channels: usize,
        /// Groups asked for.
        groups: usize,
    },
    /// A sum of values with different numbers of channels.
    #[error("layer `{0}` adds values with different numbers of channels")]
    ChannelMismatch(String),
    /// An operation on a grid behind a pooling that left a single voxel.
    #[error("layer `{0}` needs a grid of voxels, but reads a single one")]
    NeedsGrid(String),
    /// A linear layer that reads a grid.
    #[error("layer `{0}` needs a single voxel, but reads a grid: pool it first")]
    NeedsOneVoxel(String),
    /// Padding that is not smaller than the kernel creates voxels that see only zeros.
    #[error("layer `{0}`: padding must be smaller than what the kernel covers")]
    PaddingTooLarge(String),
    /// Inputs of a concatenation were sampled at different steps, so they can never have one size.
    #[error("layer `{0}` joins values of different resolution")]
    ResolutionMismatch(String),
    /// A convolution that changes size other than by its stride (for example 3×3 without padding).
    #[error("layer `{0}` does not keep the grid: kernel, stride and padding do not fit one another")]
    GridNotKept(String),
    /// The result names a value that does not exist.
    #[error("the output names value {0}, which no layer computes")]
    UnknownOutput(usize),
    /// The logits would neither lie on the input's grid nor be a single voxel.
    #[error("the output is neither at the input's resolution nor a single voxel")]
    OutputResolution,
}

/// Down-sampling of a value relative to the input, as a fraction `down / up` per axis, with the factor the input must
/// be divisible by for it to be exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sampling {
    step: [usize; 3],
    up: [usize; 3],
    /// A single voxel, whatever the size of the input.
    global: bool,
}

impl Sampling {
    const INPUT: Self = Self { step: [1; 3], up: [1; 3], global: false };
    const ONE_VOXEL: Self = Self { step: [1; 3], up: [1; 3], global: true };

    fn size(self, input: [usize; 3]) -> [usize; 3] {
        match self.global {
            true => [1; 3],
            false => std::array::from_fn(|axis| input[axis] / self.step[axis] * self.up[axis]),
        }
    }
}

impl Graph {
    /// Checks the layers and fixes the network.
    ///
    /// `output` must lie on the input's grid, one logit per voxel and channel, or be a single voxel, as of a classifier.
    ///
    /// # Errors
    /// [`GraphError`] says which layer cannot run and why.
    pub fn new(dims: Dims, input_channels: usize, nodes: Vec<Node>, output: NodeId) -> Result<Self, GraphError> {
        let (graph, sampling) = Self::checked(dims, input_channels, nodes, output)?;
        if sampling != Sampling::INPUT && !sampling.global {
            return Err(GraphError::OutputResolution);
        }
        Ok(graph)
    }

    /// A part of a network, whose output may lie on a coarser grid.
    pub(crate) fn part(
        dims: Dims,
        input_channels: usize,
        nodes: Vec<Node>,
        output: NodeId,
    ) -> Result<Self, GraphError> {
        Ok(Self::checked(dims, input_channels, nodes, output)?.0)
    }

    /// All checks but that of the output's grid, which is given back.
    fn checked(
        dims: Dims,
        input_channels: usize,
        nodes: Vec<Node>,
        output: NodeId,
    ) -> Result<(Self, Sampling), GraphError> {
        if nodes.is_empty() {
            return Err(GraphError::Empty);
        }
        if input_channels == 0 {
            return Err(GraphError::Zero { node: "input".into(), what: "channels" });
        }
        let mut names = std::collections::BTreeSet::new();
        let mut channels = vec![input_channels];
        let mut sampling = vec![Sampling::INPUT];
        for (index, node) in nodes.iter().enumerate() {
            if !names.insert(node.name.as_str()) {
                return Err(GraphError::DuplicateName(node.name.clone()));
            }
            check_inputs(node, index)?;
            check_op(node, dims)?;
            check_channels(node, &channels)?;
            channels.push(match node.op {
                Op::Conv { out_channels, .. }
                | Op::ConvTranspose { out_channels, .. }
                | Op::Linear { out_channels } => out_channels,
                Op::Concat => node.inputs.iter().map(|id| channels[id.0]).sum(),
                _ => channels[node.inputs[0].0],
            });
            sampling.push(sample(node, &sampling)?);
        }
        if output.0 > nodes.len() || output == NodeId::INPUT {
            return Err(GraphError::UnknownOutput(output.0));
        }
        Ok((Self { dims, input_channels, nodes, output, channels }, sampling[output.0]))
    }

    /// The part of the network up to its coarsest values, the last of them where there are several: the encoder of a U-Net.
    ///
    /// Its output lies on a coarser grid, see [`Graph::output_size`].
    pub fn encoder(&self) -> Self {
        let shrunk = |sampling: &Sampling| {
            let product = |factors: [usize; 3]| factors.iter().product::<usize>();
            if sampling.global { 0 } else { product(sampling.step) / product(sampling.up) }
        };
        let coarsest =
            self.sampling().iter().enumerate().skip(1).max_by_key(|(_, s)| shrunk(s)).map_or(1, |(at, _)| at);
        let nodes = self.nodes[..coarsest].to_vec();
        Self::part(self.dims, self.input_channels, nodes, NodeId(coarsest)).expect("a part of a checked network")
    }

    /// Two or three dimensions.
    pub fn dims(&self) -> Dims {
        self.dims
    }

    /// Channels of the input.
    pub fn input_channels(&self) -> usize {
        self.input_channels
    }

    /// Channels of the result.
    pub fn output_channels(&self) -> usize {
        self.channels[self.output.0]
    }

    /// Layers in the order they run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The value that is the result.
    pub fn output(&self) -> NodeId {
        self.output
    }

    /// Whether the result is a single voxel for an input of any size: one logit per channel, as of a classifier.
    pub fn is_classifier(&self) -> bool {
        self.sampling()[self.output.0].global
    }

    /// Size `[slice, row, column]` of the result: the input's own, or a single voxel of a classifier.
    pub fn output_size(&self, input: [usize; 3]) -> [usize; 3] {
        self.sampling()[self.output.0].size(input)
    }

    fn sampling(&self) -> Vec<Sampling> {
        let mut sampling = vec![Sampling::INPUT];
        for node in &self.nodes {
            sampling.push(sample(node, &sampling).expect("checked at construction"));
        }
        sampling
    }

    /// Channels of a value.
    ///
    /// # Panics
    /// If no layer computes `id`.
    pub fn channels(&self, id: NodeId) -> usize {
        self.channels[id.0]
    }

    /// What the input's size must be divisible by along `[slice, row, column]` so that every layer divides evenly.
    pub fn size_divisor(&self) -> [usize; 3] {
        let mut divisor = [1; 3];
        for value in self.sampling() {
            for axis in 0..3 {
                divisor[axis] = lcm(divisor[axis], value.step[axis]);
            }
        }
        divisor
    }

    /// Size `[slice, row, column]` of every value (index = `NodeId.0`) for an input of this size.
    ///
    /// # Panics
    /// If the size is not a multiple of [`Graph::size_divisor`].
    pub fn sizes(&self, input: [usize; 3]) -> Vec<[usize; 3]> {
        let divisor = self.size_divisor();
        assert!(
            (0..3).all(|axis| input[axis].is_multiple_of(divisor[axis])),
            "input {input:?} is not a multiple of {divisor:?}"
        );
        self.sampling().iter().map(|sampling| sampling.size(input)).collect()
    }

    /// Every parameter with its shape, in layer order.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut list = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let inputs = self.channels[node.inputs[0].0];
            let outputs = self.channels[index + 1];
            let mut add = |suffix: &str, shape: Vec<usize>| {
                list.push(Parameter { name: format!("{}.{suffix}", node.name), shape });
            };
            match node.op {
                Op::Conv { kernel, groups, .. } => {
                    add("weight", self.kernel_shape([outputs, inputs / groups], kernel));
                    add("bias", vec![outputs]);
                }
                Op::ConvTranspose { kernel, .. } => {
                    add("weight", self.kernel_shape([inputs, outputs], kernel));
                    add("bias", vec![outputs]);
                }
                Op::BatchNorm { .. } => {
                    for suffix in ["weight", "bias", "running_mean", "running_var"] {
                        add(suffix, vec![outputs]);
                    }
                }
                Op::InstanceNorm { .. } => {
                    add("weight", vec![outputs]);
                    add("bias", vec![outputs]);
                }
                Op::Linear { .. } => {
                    add("weight", vec![outputs, inputs]);
                    add("bias", vec![outputs]);
                }
                Op::Relu | Op::LeakyRelu { .. } | Op::MaxPool { .. } | Op::Concat | Op::Add | Op::GlobalAveragePool => {
                }
            }
        }
        list
    }

    /// Number of stored values, running statistics included.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|p| p.shape.iter().product::<usize>()).sum()
    }

    /// Multiply-adds of convolutions and linear layers for one input of this size.
    ///
    /// # Panics
    /// If the size is not a multiple of [`Graph::size_divisor`].
    pub fn multiply_adds(&self, input: [usize; 3]) -> u64 {
        let sizes = self.sizes(input);
        let mut total = 0;
        for (index, node) in self.nodes.iter().enumerate() {
            let pairs = (self.channels[node.inputs[0].0] * self.channels[index + 1]) as u64;
            let voxels = |size: [usize; 3]| size.iter().product::<usize>() as u64;
            total += match node.op {
                Op::Conv { kernel, groups, .. } => pairs / groups as u64 * voxels(kernel) * voxels(sizes[index + 1]),
                Op::Linear { .. } => pairs,
                Op::ConvTranspose { kernel, .. } => pairs * voxels(kernel) * voxels(sizes[node.inputs[0].0]),
                _ => 0,
            };
        }
        total
    }

    fn kernel_shape(&self, channels: [usize; 2], kernel: [usize; 3]) -> Vec<usize> {
        let first_axis = match self.dims {
            Dims::Two => 1,
            Dims::Three => 0,
        };
        channels.into_iter().chain(kernel[first_axis..].iter().copied()).collect()
    }
}

fn check_inputs(node: &Node, index: usize) -> Result<(), GraphError> {
    let found = node.inputs.len();
    let (fits, expected) = match node.op {
        Op::Concat | Op::Add => (found >= 2, "two or more"),
        _ => (found == 1, "one"),
    };
    if !fits {
        return Err(GraphError::InputCount { node: node.name.clone(), expected, found });
    }
    match node.inputs.iter().find(|id| id.0 > index) {
        Some(id) => Err(GraphError::ForwardReference { node: node.name.clone(), input: id.0 }),
        None => Ok(()),
    }
}

fn check_op(node: &Node, dims: Dims) -> Result<(), GraphError> {
    let zero = |what| Err(GraphError::Zero { node: node.name.clone(), what });
    let (kernel, stride, padding) = match node.op {
        Op::Conv { out_channels: 0, .. }
        | Op::ConvTranspose { out_channels: 0, .. }
        | Op::Linear { out_channels: 0 } => return zero("channels"),
        Op::Conv { groups: 0, .. } => return zero("the number of groups"),
        Op::Conv { dilation, .. } if dilation.contains(&0) => return zero("the dilation"),
        Op::Conv { kernel, dilation, stride, padding, .. } if !kernel.contains(&0) => {
            (covered(kernel, dilation), stride, padding)
        }
        Op::Conv { .. } => return zero("the kernel"),
        Op::ConvTranspose { kernel, .. } => (kernel, kernel, [0; 3]),
        Op::MaxPool { size } => (size, size, [0; 3]),
        _ => return Ok(()),
    };
    if kernel.contains(&0) {
        return zero("the kernel");
    }
    if stride.contains(&0) {
        return zero("the stride");
    }
    if (0..3).any(|axis| padding[axis] >= kernel[axis]) {
        return Err(GraphError::PaddingTooLarge(node.name.clone()));
    }
    if dims == Dims::Two && (kernel[0], stride[0], padding[0]) != (1, 1, 0) {
        return Err(GraphError::SliceAxisInTwoDims(node.name.clone()));
    }
    Ok(())
}

fn check_channels(node: &Node, channels: &[usize]) -> Result<(), GraphError> {
    let read = channels[node.inputs[0].0];
    match node.op {
        Op::Conv { out_channels, groups, .. } => match [read, out_channels].into_iter().find(|c| c % groups != 0) {
            Some(channels) => Err(GraphError::Groups { node: node.name.clone(), channels, groups }),
            None => Ok(()),
        },
        Op::Add if node.inputs.iter().any(|id| channels[id.0] != read) => {
            Err(GraphError::ChannelMismatch(node.name.clone()))
        }
        _ => Ok(()),
    }
}

/// Voxels between and including the outermost taps.
fn covered(kernel: [usize; 3], dilation: [usize; 3]) -> [usize; 3] {
    std::array::from_fn(|axis| (kernel[axis] - 1) * dilation[axis] + 1)
}

/// The sampling of a node's result, given that of the values before it.
fn sample(node: &Node, before: &[Sampling]) -> Result<Sampling, GraphError> {
    let input = before[node.inputs[0].0];
    let needs_grid = matches!(
        node.op,
        Op::Conv { .. }
            | Op::ConvTranspose { .. }
            | Op::BatchNorm { .. }
            | Op::InstanceNorm { .. }
            | Op::MaxPool { .. }
            | Op::GlobalAveragePool
    );
    if input.global && needs_grid {
        return Err(GraphError::NeedsGrid(node.name.clone()));
    }
    match node.op {
        Op::Conv { kernel, stride, padding, dilation, .. } => {
            let kernel = covered(kernel, dilation);
            // out = (in + 2p - k) / s + 1 equals in / s for every `in` divisible by s exactly when 0 <= k - 2p <= s
            // with k - 2p >= 1: the last, partial step is dropped.
            let keeps = (0..3).all(|a| (1..=stride[a]).contains(&kernel[a].saturating_sub(2 * padding[a])));
            if !keeps {
                return Err(GraphError::GridNotKept(node.name.clone()));
            }
            Ok(coarser(input, stride))
        }
        Op::MaxPool { size } => Ok(coarser(input, size)),
        Op::ConvTranspose { kernel, .. } => Ok(finer(input, kernel)),
        Op::GlobalAveragePool => Ok(Sampling::ONE_VOXEL),
        Op::Linear { .. } if !input.global => Err(GraphError::NeedsOneVoxel(node.name.clone())),
        Op::Concat | Op::Add => match node.inputs.iter().all(|id| before[id.0] == input) {
            true => Ok(input),
            false => Err(GraphError::ResolutionMismatch(node.name.clone())),
        },
        _ => Ok(input),
    }
}

fn coarser(value: Sampling, by: [usize; 3]) -> Sampling {
    reduced(Sampling { step: std::array::from_fn(|a| value.step[a] * by[a]), ..value })
}

fn finer(value: Sampling, by: [usize; 3]) -> Sampling {
    reduced(Sampling { up: std::array::from_fn(|a| value.up[a] * by[a]), ..value })
}

fn reduced(value: Sampling) -> Sampling {
    let common: [usize; 3] = std::array::from_fn(|a| gcd(value.step[a], value.up[a]));
    Sampling {
        step: std::array::from_fn(|a| value.step[a] / common[a]),
        up: std::array::from_fn(|a| value.up[a] / common[a]),
        ..value
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn lcm(a: usize, b: usize) -> usize {
    a / gcd(a, b) * b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conv(name: &str, input: usize, out_channels: usize, stride: usize) -> Node {
        let op = Op::conv(out_channels, [1, 3, 3], [1, stride, stride], [0, 1, 1]);
        Node { name: name.into(), op, inputs: vec![NodeId(input)] }
    }

    fn up(name: &str, input: usize, out_channels: usize) -> Node {
        Node {
            name: name.into(),
            op: Op::ConvTranspose { out_channels, kernel: [1, 2, 2] },
            inputs: vec![NodeId(input)],
        }
    }

    fn concat(name: &str, inputs: [usize; 2]) -> Node {
        Node { name: name.into(), op: Op::Concat, inputs: inputs.map(NodeId).to_vec() }
    }

    fn build(nodes: Vec<Node>) -> Result<Graph, GraphError> {
        let output = NodeId(nodes.len());
        Graph::new(Dims::Two, 1, nodes, output)
    }

    #[test]
    fn shapes_and_channels_follow_the_layers() {
        let graph = build(vec![conv("a", 0, 4, 1), conv("b", 1, 8, 2), up("c", 2, 3), concat("d", [1, 3])]).unwrap();
        assert_eq!(graph.output_channels(), 7);
        assert_eq!(graph.size_divisor(), [1, 2, 2]);
        assert_eq!(graph.sizes([1, 6, 8]), [[1, 6, 8], [1, 6, 8], [1, 3, 4], [1, 6, 8], [1, 6, 8]]);
        let shapes: Vec<_> = graph.parameters().into_iter().map(|p| (p.name, p.shape)).collect();
        assert_eq!(shapes[2], ("b.weight".to_string(), vec![8, 4, 3, 3]));
        assert_eq!(shapes[4], ("c.weight".to_string(), vec![8, 3, 2, 2]));
        assert_eq!(graph.multiply_adds([1, 2, 2]), 4 * 9 * 4 + 32 * 9 + 24 * 4);
    }

    #[test]
    fn what_cannot_run_is_refused() {
        let mut bare = conv("a", 0, 4, 1);
        bare.op = Op::conv(4, [1, 3, 3], [1; 3], [0; 3]);
        let mut deep = bare.clone();
        deep.op = Op::conv(4, [3, 3, 3], [1; 3], [1; 3]);
        let node = |name: &str, op, inputs: &[usize]| Node {
            name: name.into(),
            op,
            inputs: inputs.iter().map(|&i| NodeId(i)).collect(),
        };
        let grouped = Op::Conv {
            out_channels: 4,
            kernel: [1, 3, 3],
            stride: [1; 3],
            padding: [0, 2, 2],
            dilation: [1, 2, 2],
            groups: 3,
        };
        let pool = node("b", Op::GlobalAveragePool, &[1]);
        let cases = [
            (vec![node("a", grouped, &[0])], GraphError::Groups { node: "a".into(), channels: 1, groups: 3 }),
            (vec![conv("a", 0, 4, 1), node("b", Op::Add, &[0, 1])], GraphError::ChannelMismatch("b".into())),
            (vec![node("a", Op::Linear { out_channels: 2 }, &[0])], GraphError::NeedsOneVoxel("a".into())),
            (vec![conv("a", 0, 4, 1), pool.clone(), conv("c", 2, 4, 1)], GraphError::NeedsGrid("c".into())),
            (vec![conv("a", 0, 4, 1), pool, node("c", Op::Add, &[1, 2])], GraphError::ResolutionMismatch("c".into())),
            (vec![], GraphError::Empty),
            (vec![conv("a", 1, 4, 1)], GraphError::ForwardReference { node: "a".into(), input: 1 }),
            (vec![conv("a", 0, 4, 1), conv("a", 1, 4, 1)], GraphError::DuplicateName("a".into())),
            (vec![conv("a", 0, 0, 1)], GraphError::Zero { node: "a".into(), what: "channels" }),
            (vec![conv("a", 0, 4, 2)], GraphError::OutputResolution),
            (vec![conv("a", 0, 4, 2), concat("b", [0, 1])], GraphError::ResolutionMismatch("b".into())),
            (vec![bare], GraphError::GridNotKept("a".into())),
            (vec![deep], GraphError::SliceAxisInTwoDims("a".into())),
        ];
        for (nodes, expected) in cases {
            assert_eq!(build(nodes).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_classifier_ends_in_one_voxel() {
        let ops = [Op::conv(6, [1, 3, 3], [1, 2, 2], [0, 1, 1]), Op::GlobalAveragePool, Op::Linear { out_channels: 2 }];
        let node = |(i, op)| Node { name: format!("layer{i}"), op, inputs: vec![NodeId(i)] };
        let graph = build(ops.into_iter().enumerate().map(node).collect()).unwrap();
        assert!(graph.is_classifier());
        assert_eq!((graph.size_divisor(), graph.output_size([1, 8, 8])), ([1, 2, 2], [1; 3]));
        assert_eq!(graph.parameters()[2].shape, [2, 6]);
        assert_eq!(graph.multiply_adds([1, 2, 2]), 6 * 9 + 12);
        assert!(!build(vec![conv("a", 0, 4, 1)]).unwrap().is_classifier());
    }

    #[test]
    fn json_round_trip_checks_again() {
        let graph = build(vec![conv("a", 0, 4, 1)]).unwrap();
        let text = serde_json::to_string(&graph).unwrap();
        assert_eq!(serde_json::from_str::<Graph>(&text).unwrap(), graph);
        let broken = text.replace("\"inputs\":[0]", "\"inputs\":[7]");
        assert!(serde_json::from_str::<Graph>(&broken).unwrap_err().to_string().contains("reads value 7"));
    }
}
