//! The graph computed layer by layer exactly as its documentation defines the operations, in `f64`, with nothing
//! shared with the engine. Slow and obvious.

use hilum_nn::{Graph, Node, Op, Weights};

/// A value in `[channel][slice][row][column]`.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) channels: usize,
    pub(crate) size: [usize; 3],
    pub(crate) data: Vec<f64>,
}

impl Tensor {
    fn from_fn(channels: usize, size: [usize; 3], value: impl Fn(usize, [usize; 3]) -> f64) -> Self {
        let mut data = Vec::with_capacity(channels * size.iter().product::<usize>());
        for c in 0..channels {
            for z in 0..size[0] {
                for y in 0..size[1] {
                    for x in 0..size[2] {
                        data.push(value(c, [z, y, x]));
                    }
                }
            }
        }
        Self { channels, size, data }
    }

    fn at(&self, c: usize, [z, y, x]: [usize; 3]) -> f64 {
        self.data[((c * self.size[0] + z) * self.size[1] + y) * self.size[2] + x]
    }

    fn channel(&self, c: usize) -> &[f64] {
        let voxels: usize = self.size.iter().product();
        &self.data[c * voxels..][..voxels]
    }
}

/// Every position of a block `[slices, rows, columns]`, the last axis running fastest.
fn positions(size: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..size.iter().product()).map(move |i| [i / (size[1] * size[2]), i / size[2] % size[1], i % size[2]])
}

/// The logits of one input.
pub(crate) fn run(graph: &Graph, weights: &Weights, input: &[f32], size: [usize; 3]) -> Vec<f64> {
    let input = Tensor { channels: graph.input_channels(), size, data: input.iter().map(|&v| f64::from(v)).collect() };
    let mut values = vec![input];
    for node in graph.nodes() {
        let inputs: Vec<&Tensor> = node.inputs.iter().map(|id| &values[id.0]).collect();
        let result = layer(node, weights, &inputs);
        values.push(result);
    }
    values.swap_remove(graph.output().0).data
}

fn layer(node: &Node, weights: &Weights, inputs: &[&Tensor]) -> Tensor {
    let parameter = |suffix: &str, index: usize| {
        f64::from(weights.get(&format!("{}.{suffix}", node.name)).expect("parameter exists").data[index])
    };
    let input = inputs[0];
    let pointwise =
        |map: &dyn Fn(usize, f64) -> f64| Tensor::from_fn(input.channels, input.size, |c, at| map(c, input.at(c, at)));
    match node.op {
        Op::Conv { out_channels, kernel, stride, padding, dilation, groups } => {
            let size = std::array::from_fn(|a| {
                (input.size[a] + 2 * padding[a] - dilation[a] * (kernel[a] - 1) - 1) / stride[a] + 1
            });
            let seen = input.channels / groups;
            let taps: usize = kernel.iter().product();
            Tensor::from_fn(out_channels, size, |o, at| {
                let mut sum = parameter("bias", o);
                for i in 0..seen {
                    let channel = o / (out_channels / groups) * seen + i;
                    for (tap, offset) in positions(kernel).enumerate() {
                        let under: [isize; 3] = std::array::from_fn(|a| {
                            (at[a] * stride[a] + offset[a] * dilation[a]) as isize - padding[a] as isize
                        });
                        if (0..3).all(|a| (0..input.size[a] as isize).contains(&under[a])) {
                            let weight = parameter("weight", (o * seen + i) * taps + tap);
                            sum += weight * input.at(channel, under.map(|u| u as usize));
                        }
                    }
                }
                sum
            })
        }
        Op::ConvTranspose { out_channels, kernel } => {
            let size = std::array::from_fn(|a| input.size[a] * kernel[a]);
            let taps: usize = kernel.iter().product();
            Tensor::from_fn(out_channels, size, |o, at| {
                let offset: [usize; 3] = std::array::from_fn(|a| at[a] % kernel[a]);
                let tap = (offset[0] * kernel[1] + offset[1]) * kernel[2] + offset[2];
                let source = std::array::from_fn(|a| at[a] / kernel[a]);
                (0..input.channels).fold(parameter("bias", o), |sum, i| {
                    sum + parameter("weight", (i * out_channels + o) * taps + tap) * input.at(i, source)
                })
            })
        }
        Op::BatchNorm { epsilon } => pointwise(&|c, x| {
            (x - parameter("running_mean", c)) / (parameter("running_var", c) + f64::from(epsilon)).sqrt()
                * parameter("weight", c)
                + parameter("bias", c)
        }),
        Op::InstanceNorm { epsilon } => {
            let moments: Vec<(f64, f64)> = (0..input.channels)
                .map(|c| {
                    let values = input.channel(c);
                    let count = values.len() as f64;
                    let mean = values.iter().sum::<f64>() / count;
                    (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count)
                })
                .collect();
            pointwise(&|c, x| {
                let (mean, variance) = moments[c];
                (x - mean) / (variance + f64::from(epsilon)).sqrt() * parameter("weight", c) + parameter("bias", c)
            })
        }
        Op::Relu => pointwise(&|_, x| x.max(0.0)),
        Op::LeakyRelu { slope } => pointwise(&|_, x| if x > 0.0 { x } else { f64::from(slope) * x }),
        Op::MaxPool { size: block } => {
            let size = std::array::from_fn(|a| input.size[a] / block[a]);
            Tensor::from_fn(input.channels, size, |c, at| {
                positions(block)
                    .map(|offset| input.at(c, std::array::from_fn(|a| at[a] * block[a] + offset[a])))
                    .fold(f64::NEG_INFINITY, f64::max)
            })
        }
        Op::Add => Tensor::from_fn(input.channels, input.size, |c, at| inputs.iter().map(|t| t.at(c, at)).sum()),
        Op::GlobalAveragePool => Tensor::from_fn(input.channels, [1; 3], |c, _| {
            input.channel(c).iter().sum::<f64>() / input.channel(c).len() as f64
        }),
        Op::Linear { out_channels } => Tensor::from_fn(out_channels, [1; 3], |o, at| {
            let products = (0..input.channels).map(|i| parameter("weight", o * input.channels + i) * input.at(i, at));
            parameter("bias", o) + products.sum::<f64>()
        }),
        Op::Concat => Tensor {
            channels: inputs.iter().map(|t| t.channels).sum(),
            size: input.size,
            data: inputs.iter().flat_map(|t| t.data.iter().copied()).collect(),
        },
    }
}
