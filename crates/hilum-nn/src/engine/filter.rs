//! Weights in the order the kernels read them.

use std::ops::Range;

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
    /// By group: the input blocks it reads, all unless the convolution is split.
    pub(crate) reads: Vec<Range<usize>>,
    /// By group: where its weights begin.
    pub(crate) starts: Vec<usize>,
}

impl Filter {
    /// Channels a group reads.
    pub(crate) fn channels_read(&self, group: usize) -> usize {
        self.block_channels[self.reads[group].clone()].iter().sum()
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
    /// Parts of inputs and outputs that do not see each other.
    pub(crate) splits: usize,
    /// PyTorch's order: `[out][in of the part][tap]`, transposed `[in][out][tap]`.
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl RawFilter {
    /// The weight between an output and an input, 0 where they do not see each other or there is no such output.
    pub(crate) fn weight(&self, output: usize, input: usize, tap: usize) -> f32 {
        if output >= self.outputs {
            return 0.0;
        }
        if self.transposed {
            return self.weights[(input * self.outputs + output) * self.taps + tap];
        }
        let seen = self.inputs / self.splits;
        match input / seen == output / (self.outputs / self.splits) {
            true => self.weights[(output * seen + input % seen) * self.taps + tap],
            false => 0.0,
        }
    }

    /// `y = x * factor + offset` per output channel becomes part of the weights.
    pub(crate) fn fold(&mut self, factor: &[f64], offset: &[f64]) {
        let per_output = self.inputs / self.splits * self.taps;
        for (index, weight) in self.weights.iter_mut().enumerate() {
            let output = match self.transposed {
                true => index / self.taps % self.outputs,
                false => index / per_output,
            };
            *weight = (f64::from(*weight) * factor[output]) as f32;
        }
        for (output, bias) in self.bias.iter_mut().enumerate() {
            *bias = (f64::from(*bias) * factor[output] + offset[output]) as f32;
        }
    }

    /// Whether every channel is convolved by itself.
    pub(crate) fn is_depthwise(&self) -> bool {
        !self.transposed && self.splits > 1 && self.splits == self.inputs && self.inputs == self.outputs
    }

    /// The input blocks that `outputs` see: all, or those that hold channels of their parts.
    fn reads(&self, outputs: Range<usize>, block_channels: &[usize]) -> Range<usize> {
        if self.splits == 1 {
            return 0..block_channels.len();
        }
        let (seen, made) = (self.inputs / self.splits, self.outputs / self.splits);
        let first_input = outputs.start / made * seen;
        let end_input = (outputs.end.min(self.outputs) - 1) / made * seen + seen;
        let ends: Vec<usize> = block_channels
            .iter()
            .scan(0, |end, channels| {
                *end += channels;
                Some(*end)
            })
            .collect();
        let first = ends.partition_point(|&end| end <= first_input);
        first..ends.partition_point(|&end| end < end_input) + 1
    }

    /// Orders the weights as `[group][input block][tap][channel][block of the group][lane]`, transposed with the tap
    /// before the input block, because there every tap makes outputs of its own.
    ///
    /// A convolution in parts is packed block by block, each with the input blocks it sees; within them, weights between
    /// channels that do not see each other are 0.
    pub(crate) fn pack(&self, block_channels: Vec<usize>, kernels: KernelSet) -> Filter {
        let blocks = self.outputs.div_ceil(LANES);
        let groups = if self.splits == 1 { kernels.groups(blocks) } else { vec![1; blocks] };
        let firsts: Vec<usize> = block_channels
            .iter()
            .scan(0, |sum, &channels| {
                *sum += channels;
                Some(*sum - channels)
            })
            .collect();
        let (mut reads, mut starts, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let mut first_output = 0;
        for &group in &groups {
            let outputs = first_output..first_output + group * LANES;
            let read = self.reads(outputs.clone(), &block_channels);
            starts.push(weights.len());
            let mut push_block = |block: usize, tap: usize| {
                for input in firsts[block]..firsts[block] + block_channels[block] {
                    weights.extend(outputs.clone().map(|output| self.weight(output, input, tap)));
                }
            };
            if self.transposed {
                for tap in 0..self.taps {
                    read.clone().for_each(|block| push_block(block, tap));
                }
            } else {
                for block in read.clone() {
                    (0..self.taps).for_each(|tap| push_block(block, tap));
                }
            }
            reads.push(read);
            first_output = outputs.end;
        }
        Filter { groups, weights, bias: self.padded_bias(), block_channels, reads, starts }
    }

    /// Orders the weights of a convolution that sees only its own channel as `[block][tap][lane]`.
    pub(crate) fn pack_depthwise(&self, block_channels: Vec<usize>) -> Filter {
        let blocks = block_channels.len();
        let mut weights = Vec::with_capacity(blocks * LANES * self.taps);
        for block in 0..blocks {
            for tap in 0..self.taps {
                weights.extend((block * LANES..(block + 1) * LANES).map(|c| match c < self.outputs {
                    true => self.weights[c * self.taps + tap],
                    false => 0.0,
                }));
            }
        }
        let starts = (0..blocks).map(|block| block * LANES * self.taps).collect();
        let reads = (0..blocks).map(|block| block..block + 1).collect();
        Filter { groups: vec![1; blocks], weights, bias: self.padded_bias(), block_channels, reads, starts }
    }

    /// Transforms the weights of 3 x 3 positions for each of `taps / 9` kernel slices and orders them as
    /// `[group][position][kernel slice][channel][block of the group][lane]`.
    pub(crate) fn pack_winograd(&self, block_channels: Vec<usize>, kernels: KernelSet) -> Filter {
        let slices = self.taps / 9;
        let groups = kernels.groups(self.outputs.div_ceil(LANES));
        let mut weights = vec![0.0; self.outputs.next_multiple_of(LANES) * self.inputs * slices * POSITIONS];
        let mut rest = weights.as_mut_slice();
        let (mut first_output, mut starts) = (0, Vec::new());
        for &group in &groups {
            let lanes = group * LANES;
            starts.push(first_output * self.inputs * slices * POSITIONS);
            let (target, after) = rest.split_at_mut(self.inputs * slices * POSITIONS * lanes);
            for slice in 0..slices {
                for input in 0..self.inputs {
                    for lane in 0..lanes.min(self.outputs - first_output) {
                        let first = ((first_output + lane) * self.inputs + input) * self.taps + slice * 9;
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
        let reads = vec![0..block_channels.len(); groups.len()];
        Filter { groups, weights, bias: self.padded_bias(), block_channels, reads, starts }
    }

    fn padded_bias(&self) -> Vec<f32> {
        let mut bias = self.bias.clone();
        bias.resize(self.outputs.next_multiple_of(LANES), 0.0);
        bias
    }
}
