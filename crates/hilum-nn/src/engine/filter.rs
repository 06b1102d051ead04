//! Weights in the order the kernels read them.

use crate::kernels::{KernelSet, LANES, POSITIONS, transform_filter};

/// Weights and bias in the order the kernels read them.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// Blocks of [`LANES`] output channels computed together.
    pub(crate) groups: Vec<usize>,
    /// See the functions of [`RawFilter`].
    pub(crate) weights: Vec<f32>,
    /// One per lane of every output block.
    pub(crate) bias: Vec<f32>,
    /// Channels of every input block, over all inputs.
    pub(crate) block_channels: Vec<usize>,
    /// Kernel positions, transformed ones for Winograd's.
    pub(crate) taps: usize,
}

impl Filter {
    /// Where the weights of a group begin.
    pub(crate) fn group_start(&self, group: usize) -> usize {
        let before: usize = self.groups[..group].iter().sum();
        before * self.input_channels() * self.taps * LANES
    }

    pub(crate) fn input_channels(&self) -> usize {
        self.block_channels.iter().sum()
    }

    pub(crate) fn bytes(&self) -> usize {
        (self.weights.len() + self.bias.len()) * size_of::<f32>()
    }
}

/// The weights of a convolution while layers are still being folded into it.
pub(crate) struct RawFilter {
    pub(crate) transposed: bool,
    /// Kernel positions.
    pub(crate) taps: usize,
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    /// PyTorch's order: `[out][in][tap]`, transposed `[in][out][tap]`.
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl RawFilter {
    fn weight(&self, output: usize, input: usize, tap: usize) -> usize {
        match self.transposed {
            true => (input * self.outputs + output) * self.taps + tap,
            false => (output * self.inputs + input) * self.taps + tap,
        }
    }

    /// `y = x * factor + offset` per output channel becomes part of the weights.
    pub(crate) fn fold(&mut self, factor: &[f64], offset: &[f64]) {
        for output in 0..self.outputs {
            for input in 0..self.inputs {
                for tap in 0..self.taps {
                    let index = self.weight(output, input, tap);
                    self.weights[index] = (f64::from(self.weights[index]) * factor[output]) as f32;
                }
            }
            self.bias[output] = (f64::from(self.bias[output]) * factor[output] + offset[output]) as f32;
        }
    }

    /// Orders the weights as `[group][input block][tap][channel][block of the group][lane]`, transposed with the tap
    /// before the input block, because there every tap makes outputs of its own.
    pub(crate) fn pack(&self, block_channels: Vec<usize>, kernels: KernelSet) -> Filter {
        let groups = kernels.groups(self.outputs.div_ceil(LANES));
        let mut weights = Vec::with_capacity(self.outputs.next_multiple_of(LANES) * self.inputs * self.taps);
        let mut first_output = 0;
        for &group in &groups {
            let outputs = first_output..first_output + group * LANES;
            let mut push_block = |first_input: usize, channels: usize, tap: usize| {
                for input in first_input..first_input + channels {
                    weights.extend(outputs.clone().map(|output| match output < self.outputs {
                        true => self.weights[self.weight(output, input, tap)],
                        false => 0.0,
                    }));
                }
            };
            let starts = block_channels.iter().scan(0, |sum, &channels| {
                *sum += channels;
                Some((*sum - channels, channels))
            });
            if self.transposed {
                for tap in 0..self.taps {
                    starts.clone().for_each(|(start, channels)| push_block(start, channels, tap));
                }
            } else {
                for (start, channels) in starts {
                    (0..self.taps).for_each(|tap| push_block(start, channels, tap));
                }
            }
            first_output = outputs.end;
        }
        self.filter(groups, weights, block_channels, self.taps)
    }

    /// Transforms the weights of 3 x 3 positions for each of `taps / 9` kernel slices and orders them as
    /// `[group][position][kernel slice][channel][block of the group][lane]`.
    pub(crate) fn pack_winograd(&self, block_channels: Vec<usize>, kernels: KernelSet) -> Filter {
        let slices = self.taps / 9;
        let groups = kernels.groups(self.outputs.div_ceil(LANES));
        let mut weights = vec![0.0; self.outputs.next_multiple_of(LANES) * self.inputs * slices * POSITIONS];
        let mut rest = weights.as_mut_slice();
        let mut first_output = 0;
        for &group in &groups {
            let lanes = group * LANES;
            let (target, after) = rest.split_at_mut(self.inputs * slices * POSITIONS * lanes);
            for slice in 0..slices {
                for input in 0..self.inputs {
                    for lane in 0..lanes.min(self.outputs - first_output) {
                        let first = self.weight(first_output + lane, input, slice * 9);
                        let filter = transform_filter(|row, column| self.weights[first + row * 3 + column]);
                        for (position, value) in filter.into_iter().enumerate() {
                            target[((position * slices + slice) * self.inputs + input) * lanes + lane] = value;
                        }
                    }
                }
            }
            rest = after;
            first_output += lanes;
        }
        self.filter(groups, weights, block_channels, POSITIONS * slices)
    }

    fn filter(&self, groups: Vec<usize>, weights: Vec<f32>, block_channels: Vec<usize>, taps: usize) -> Filter {
        let mut bias = self.bias.clone();
        bias.resize(self.outputs.next_multiple_of(LANES), 0.0);
        Filter { groups, weights, bias, block_channels, taps }
    }
}
