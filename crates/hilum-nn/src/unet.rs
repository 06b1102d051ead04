//! The U-Net family (Ronneberger 2015, doi:10.1007/978-3-319-24574-4_28) as one small description.

use serde::{Deserialize, Serialize};

use crate::graph::{Dims, Graph, GraphError, Node, NodeId, Op};

/// How the network meets the full resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stem {
    /// The first stage works on the input's own grid.
    Full,
    /// The first convolution steps by 2 and a last transposed convolution brings the logits back to the input's grid.
    /// About 2.5 times cheaper; outlines are as fine as the 2 × 2 blocks of that last layer can draw.
    Half,
}

/// Which normalisation follows every convolution but the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// Batch normalisation: folded into the convolution at inference, so it costs nothing.
    Batch,
    /// Instance normalisation: for the small batches of three-dimensional training.
    Instance,
}

/// Which activation follows every normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// Slope 0.01 for negative values.
    LeakyRelu,
}

/// Describes a U-Net: encoder stages joined by maximum pooling, a decoder of transposed convolutions with skips, and a
/// last layer of logits on the input's grid.
///
/// ```
/// use hilum_nn::{Activation, Dims, Norm, Stem, UNet};
/// let unet = UNet {
///     dims: Dims::Two,
///     input_channels: 1,
///     output_channels: 3,
///     stem: Stem::Half,
///     channels: vec![24, 48, 96, 160],
///     convs_per_stage: 2,
///     norm: Norm::Batch,
///     activation: Activation::Relu,
/// };
/// assert_eq!(unet.graph()?.size_divisor(), [1, 16, 16]);
/// # Ok::<(), hilum_nn::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UNet {
    /// Two or three dimensions.
    pub dims: Dims,
    /// Channels of the input.
    pub input_channels: usize,
    /// Channels of logits.
    pub output_channels: usize,
    /// Resolution of the first stage.
    pub stem: Stem,
    /// Channels of each stage, finest first. Its length is the depth.
    pub channels: Vec<usize>,
    /// Convolutions in every stage, at least 1.
    pub convs_per_stage: usize,
    /// Normalisation.
    pub norm: Norm,
    /// Activation.
    pub activation: Activation,
}

/// Epsilon of both normalisations: PyTorch's default, kept so that foreign weights mean the same here.
const NORM_EPSILON: f32 = 1e-5;
/// PyTorch's default slope of a leaky ReLU.
const LEAKY_SLOPE: f32 = 0.01;

impl UNet {
    /// The layers of this network.
    ///
    /// Names: `down{i}.conv{j}`, `up{i}`, `up{i}.conv{j}`, `head`; norms carry `norm` in the place of `conv`.
    ///
    /// # Errors
    /// [`GraphError`] if there are no stages, no convolutions, or a zero among the channel counts.
    pub fn graph(&self) -> Result<Graph, GraphError> {
        if self.channels.is_empty() || self.convs_per_stage == 0 {
            return Err(GraphError::Empty);
        }
        let mut layers = Layers { unet: self, nodes: Vec::new() };
        let mut value = NodeId::INPUT;
        let mut skips = Vec::new();
        for (stage, &channels) in self.channels.iter().enumerate() {
            if stage > 0 {
                value = layers.push(format!("pool{}", stage - 1), Op::MaxPool { size: self.block(2) }, vec![value]);
            }
            let first_stride = if stage == 0 && self.stem == Stem::Half { 2 } else { 1 };
            value = layers.stage(&format!("down{stage}"), value, channels, first_stride);
            skips.push(value);
        }
        for stage in (0..self.channels.len() - 1).rev() {
            let channels = self.channels[stage];
            let op = Op::ConvTranspose { out_channels: channels, kernel: self.block(2) };
            let raised = layers.push(format!("up{stage}"), op, vec![value]);
            let joined = layers.push(format!("join{stage}"), Op::Concat, vec![skips[stage], raised]);
            value = layers.stage(&format!("up{stage}"), joined, channels, 1);
        }
        let out_channels = self.output_channels;
        let head = match self.stem {
            Stem::Half => Op::ConvTranspose { out_channels, kernel: self.block(2) },
            Stem::Full => Op::conv(out_channels, [1; 3], [1; 3], [0; 3]),
        };
        let output = layers.push("head".into(), head, vec![value]);
        Graph::new(self.dims, self.input_channels, layers.nodes, output)
    }

    /// A cube (or square) of this edge.
    fn block(&self, edge: usize) -> [usize; 3] {
        match self.dims {
            Dims::Two => [1, edge, edge],
            Dims::Three => [edge; 3],
        }
    }
}

struct Layers<'a> {
    unet: &'a UNet,
    nodes: Vec<Node>,
}

impl Layers<'_> {
    fn push(&mut self, name: String, op: Op, inputs: Vec<NodeId>) -> NodeId {
        self.nodes.push(Node { name, op, inputs });
        NodeId(self.nodes.len())
    }

    fn stage(&mut self, name: &str, mut value: NodeId, out_channels: usize, first_stride: usize) -> NodeId {
        let padding = match self.unet.dims {
            Dims::Two => [0, 1, 1],
            Dims::Three => [1; 3],
        };
        for index in 0..self.unet.convs_per_stage {
            let stride = self.unet.block(if index == 0 { first_stride } else { 1 });
            let conv = Op::conv(out_channels, self.unet.block(3), stride, padding);
            value = self.push(format!("{name}.conv{index}"), conv, vec![value]);
            let norm = match self.unet.norm {
                Norm::Batch => Op::BatchNorm { epsilon: NORM_EPSILON },
                Norm::Instance => Op::InstanceNorm { epsilon: NORM_EPSILON },
            };
            value = self.push(format!("{name}.norm{index}"), norm, vec![value]);
            let activation = match self.unet.activation {
                Activation::Relu => Op::Relu,
                Activation::LeakyRelu => Op::LeakyRelu { slope: LEAKY_SLOPE },
            };
            value = self.push(format!("{name}.act{index}"), activation, vec![value]);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unet(dims: Dims, stem: Stem) -> UNet {
        UNet {
            dims,
            input_channels: 1,
            output_channels: 3,
            stem,
            channels: vec![4, 8, 16],
            convs_per_stage: 2,
            norm: Norm::Batch,
            activation: Activation::Relu,
        }
    }

    #[test]
    fn logits_lie_on_the_input_grid() {
        for (dims, stem, divisor, size) in [
            (Dims::Two, Stem::Full, [1, 4, 4], [1, 12, 8]),
            (Dims::Two, Stem::Half, [1, 8, 8], [1, 16, 24]),
            (Dims::Three, Stem::Full, [4, 4, 4], [8, 4, 12]),
            (Dims::Three, Stem::Half, [8, 8, 8], [8, 16, 8]),
        ] {
            let graph = unet(dims, stem).graph().unwrap();
            assert_eq!(graph.size_divisor(), divisor);
            assert_eq!(graph.sizes(size)[graph.output().0], size);
            assert_eq!(graph.output_channels(), 3);
        }
    }

    #[test]
    fn a_half_stem_costs_much_less() {
        let [full, half] =
            [Stem::Full, Stem::Half].map(|stem| unet(Dims::Two, stem).graph().unwrap().multiply_adds([1, 64, 64]));
        assert!(half * 3 < full, "{half} against {full}");
    }

    #[test]
    fn no_stages_is_an_error() {
        let empty = UNet { channels: vec![], ..unet(Dims::Two, Stem::Full) };
        assert_eq!(empty.graph().unwrap_err(), GraphError::Empty);
    }
}
