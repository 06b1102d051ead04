//! Convolutions in bfloat16 or 8-bit integers.
//!
//! The inputs are turned into words first, all of them, with margins of the word that stands for zero; then the rows
//! are computed as in `direct`. Rows outside the input are read like others, because the zero of 8-bit inputs is not 0
//! and the bias makes up for every tap.

use super::execute::{RowTask, Workers, direct_tasks, input_blocks};
use super::filter::RawFilter;
use super::layout::{Layout, View};
use super::program::{InstanceNorm, Window};
use crate::kernels::{Activation, KernelSet, LANES, Number, Quantiser, ReducedRow, ReducedTap, bf16};

/// Fewest input channels for which a convolution is computed with small numbers: a whole block.
pub(crate) const INPUT_CHANNELS_MIN: usize = LANES;

/// A convolution with small numbers and everything fused into it.
#[derive(Clone, Debug)]
pub(crate) struct Reduced {
    pub(crate) window: Window,
    pub(crate) norm: Option<InstanceNorm>,
    pub(crate) activation: Activation,
    quantiser: Quantiser,
    /// Blocks of output channels computed together.
    groups: Vec<usize>,
    /// `[group][input block][tap][word][block of the group][lane]`.
    weights: Vec<u32>,
    /// By group: where its weights begin.
    starts: Vec<usize>,
    /// One per lane of every output block.
    scale: Vec<f32>,
    bias: Vec<f32>,
    /// Words of every input block that carry data.
    block_words: Vec<usize>,
}

impl Reduced {
    /// `range` is what the inputs are expected to lie in, needed for 8-bit integers only.
    pub(crate) fn new(
        (window, norm, activation): (Window, Option<InstanceNorm>, Activation),
        filter: &RawFilter,
        block_channels: &[usize],
        (number, range): (Number, [f32; 2]),
        kernels: KernelSet,
    ) -> Self {
        let step = match range[1] - range[0] {
            span if span > 0.0 && span.is_finite() => span / 255.0,
            _ => 1.0,
        };
        let quantiser = match number {
            Number::Bf16 => Quantiser { number, factor: 1.0, zero: 0 },
            Number::Int8 => Quantiser { number, factor: 1.0 / step, zero: (-range[0] / step).round() as u8 },
        };
        let groups = kernels.reduced_groups(filter.outputs.div_ceil(LANES));
        let lanes = filter.outputs.next_multiple_of(LANES);
        let (mut scale, mut bias) = (vec![1.0; lanes], vec![0.0; lanes]);
        bias[..filter.outputs].copy_from_slice(&filter.bias);
        let mut weight_steps = vec![1.0_f32; lanes];
        if number == Number::Int8 {
            let per_output = filter.inputs * filter.taps;
            for (output, weights) in filter.weights.chunks_exact(per_output).enumerate() {
                let largest = weights.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
                weight_steps[output] = if largest > 0.0 { largest / 127.0 } else { 1.0 };
                let sum: f64 = weights.iter().map(|w| f64::from((w / weight_steps[output]).round())).sum();
                scale[output] = step * weight_steps[output];
                let zeros = f64::from(quantiser.zero) * sum * f64::from(scale[output]);
                bias[output] = (f64::from(bias[output]) - zeros) as f32;
            }
        }
        let word = |output: usize, first_input: usize, channels: usize, tap: usize| -> u32 {
            let mut bytes = [0; 4];
            for place in 0..channels.min(number.per_word()) {
                let weight = filter.weight(output, first_input + place, tap);
                match number {
                    Number::Bf16 => bytes[2 * place..][..2].copy_from_slice(&bf16(weight).to_le_bytes()),
                    Number::Int8 => bytes[place] = (weight / weight_steps[output]).round() as i8 as u8,
                }
            }
            u32::from_le_bytes(bytes)
        };
        let (mut weights, mut starts) = (Vec::new(), Vec::new());
        let mut first_output = 0;
        for &group in &groups {
            starts.push(weights.len());
            let outputs = first_output..first_output + group * LANES;
            let mut first_input = 0;
            for &channels in block_channels {
                for tap in 0..filter.taps {
                    for place in (0..channels).step_by(number.per_word()) {
                        weights.extend(outputs.clone().map(|o| word(o, first_input + place, channels - place, tap)));
                    }
                }
                first_input += channels;
            }
            first_output = outputs.end;
        }
        let block_words = block_channels.iter().map(|channels| channels.div_ceil(number.per_word())).collect();
        Self { window, norm, activation, quantiser, groups, weights, starts, scale, bias, block_words }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.weights.len() * size_of::<u32>() + (self.scale.len() + self.bias.len()) * size_of::<f32>()
    }

    /// Words of one row of an input with its margins.
    fn row_words(&self, columns: usize) -> usize {
        let [left, right] = self.window.margin();
        (left + columns + right) * self.quantiser.number.words()
    }

    /// Words that all inputs of these layouts become.
    pub(crate) fn input_words<'a>(&self, inputs: impl Iterator<Item = &'a Layout>) -> usize {
        inputs.map(|layout| layout.blocks() * layout.rows() * self.row_words(layout.size[2])).sum()
    }
}

/// The whole convolution, without its instance normalisation. `words` has room for [`Reduced::input_words`].
pub(crate) fn convolve(
    (kernels, workers): (KernelSet, Workers<'_>),
    conv: &Reduced,
    inputs: &[View<'_>],
    (layout, output): (Layout, &mut [f32]),
    words: &mut [u32],
) {
    let row_words = conv.row_words(inputs[0].layout.size[2]);
    let rows = inputs[0].layout.rows();
    quantise((kernels, workers), conv, inputs, &mut words[..conv.input_words(inputs.iter().map(|view| &view.layout))]);
    let words = &*words;
    let outside = vec![conv.quantiser.zero_word(); row_words];
    let tasks = direct_tasks(output, layout, &conv.groups, workers);
    workers.for_each(tasks, |task| {
        let row = |block: usize, slice: Option<usize>, row: Option<usize>| match (slice, row) {
            (Some(slice), Some(row)) => {
                let index = block * rows + slice * inputs[0].layout.size[1] + row;
                &words[index * row_words..][..row_words]
            }
            _ => outside.as_slice(),
        };
        convolve_rows(kernels, conv, inputs[0].layout.size, row, layout, task);
    });
}

/// All inputs as `[block][slice][row][column]` words with margins.
fn quantise((kernels, workers): (KernelSet, Workers<'_>), conv: &Reduced, inputs: &[View<'_>], words: &mut [u32]) {
    let size = inputs[0].layout.size;
    let row_words = conv.row_words(size[2]);
    let rows = inputs[0].layout.rows();
    let first = conv.window.margin()[0] * conv.quantiser.number.words();
    let columns = first..first + size[2] * conv.quantiser.number.words();
    let rows_per_task = workers.rows_per_task(rows, conv.block_words.len());
    let mut tasks = Vec::new();
    for ((view, block), words) in input_blocks(inputs).zip(words.chunks_exact_mut(rows * row_words)) {
        for (part, words) in words.chunks_mut(rows_per_task * row_words).enumerate() {
            tasks.push((view, block, part * rows_per_task, words));
        }
    }
    workers.for_each(tasks, |(view, block, first_row, words)| {
        for (index, words) in words.chunks_exact_mut(row_words).enumerate() {
            let (slice, row) = ((first_row + index) / size[1], (first_row + index) % size[1]);
            words[..columns.start].fill(conv.quantiser.zero_word());
            words[columns.end..].fill(conv.quantiser.zero_word());
            let input = &view.row(block, slice, row)[view.layout.columns()];
            kernels.quantise(conv.quantiser, input, &mut words[columns.clone()]);
        }
    });
}

/// Some rows of outputs; `input` finds the words of a row by block, slice and row.
fn convolve_rows<'a>(
    kernels: KernelSet,
    conv: &'a Reduced,
    size: [usize; 3],
    input: impl Fn(usize, Option<usize>, Option<usize>) -> &'a [u32],
    layout: Layout,
    task: RowTask<'_>,
) {
    let window = conv.window;
    let [kernel_slices, kernel_rows, kernel_columns] = window.kernel;
    let group = task.groups.start;
    let per_word = conv.groups[group] * LANES;
    let first_lane = task.first_block * LANES;
    let voxel = conv.quantiser.number.words();
    let activation = if conv.norm.is_some() { Activation::None } else { conv.activation };
    let mut taps = Vec::new();
    task.for_each_row(layout, |index, outputs| {
        let (slice, row) = (index / layout.size[1], index % layout.size[1]);
        taps.clear();
        let mut weights = &conv.weights[conv.starts[group]..];
        for (block, &words) in conv.block_words.iter().enumerate() {
            for dz in 0..kernel_slices {
                for dy in 0..kernel_rows {
                    let line = input(block, window.under(0, slice, dz, size[0]), window.under(1, row, dy, size[1]));
                    for dx in 0..kernel_columns {
                        let (here, after) = weights.split_at(words * per_word);
                        weights = after;
                        taps.push(ReducedTap { input: &line[dx * window.dilation[2] * voxel..], words, weights: here });
                    }
                }
            }
        }
        let job = ReducedRow {
            number: conv.quantiser.number,
            taps: &taps,
            width: layout.size[2],
            column_step: window.stride[2] * voxel,
            scale: &conv.scale[first_lane..],
            bias: &conv.bias[first_lane..],
            activation,
        };
        super::direct::with_first_column(outputs, layout.first_column(), |outputs| {
            kernels.convolve_reduced(&job, outputs);
        });
    });
}
