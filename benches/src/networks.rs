//! The networks that are compared, with weights and inputs made from a formula.

use hilum_nn::{Activation, Dims, Graph, Norm, Stem, UNet, Weights};

/// A network under a name, and the size of its input.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// As in file names.
    pub name: &'static str,
    /// Two-dimensional networks have batch norm and ReLU, three-dimensional ones instance norm and leaky ReLU, as is
    /// usual for each.
    pub dims: Dims,
    /// Channels of the stages, finest first.
    pub channels: &'static [usize],
    /// `[slices, rows, columns]`.
    pub size: [usize; 3],
}

/// All of them. The second has the shape of lungmask's R231, the fourth that of nnU-Net's default for CT.
pub const NETWORKS: [Network; 4] = [
    Network { name: "2d-16-256", dims: Dims::Two, channels: &[16, 32, 64, 128, 256], size: [1, 256, 256] },
    Network { name: "2d-64-1024", dims: Dims::Two, channels: &[64, 128, 256, 512, 1024], size: [1, 256, 256] },
    Network { name: "3d-16-128", dims: Dims::Three, channels: &[16, 32, 64, 128], size: [96, 96, 96] },
    Network { name: "3d-32-320", dims: Dims::Three, channels: &[32, 64, 128, 256, 320], size: [96, 96, 96] },
];

impl Network {
    /// Its layers: U-Nets with two convolutions a stage, one channel in, three out.
    ///
    /// # Panics
    /// Never for [`NETWORKS`].
    #[must_use]
    pub fn graph(&self) -> Graph {
        let (norm, activation) = match self.dims {
            Dims::Two => (Norm::Batch, Activation::Relu),
            Dims::Three => (Norm::Instance, Activation::LeakyRelu),
        };
        let unet = UNet {
            dims: self.dims,
            input_channels: 1,
            output_channels: 3,
            stem: Stem::Full,
            channels: self.channels.to_vec(),
            convs_per_stage: 2,
            norm,
            activation,
        };
        unet.graph().expect("the table holds networks that run")
    }
}

/// Numbers between -0.5 and 0.5. `peers/engine.py` makes the same ones.
fn numbers(count: usize) -> impl Iterator<Item = f32> {
    (0..count).map(|i| (f64::from((i as u32).wrapping_mul(2_654_435_761)) / 4_294_967_296.0 - 0.5) as f32)
}

/// An input of `count` values.
#[must_use]
pub fn input_for(count: usize) -> Vec<f32> {
    numbers(count).collect()
}

/// Weights under which values neither vanish nor grow from layer to layer: denormal numbers would change the time.
#[must_use]
pub fn weights_for(graph: &Graph) -> Weights {
    let mut weights = Weights::new();
    for parameter in graph.parameters() {
        let count: usize = parameter.shape.iter().product();
        let fan_in = (count / parameter.shape[0]) as f32;
        let suffix = parameter.name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
        let data = match suffix {
            "running_var" => vec![1.0; count],
            "weight" if parameter.shape.len() == 1 => vec![1.0; count],
            "weight" => numbers(count).map(|v| v * (24.0 / fan_in).sqrt()).collect(),
            _ => numbers(count).map(|v| v * 0.1).collect(),
        };
        weights.insert(parameter.name, parameter.shape, data);
    }
    weights
}
