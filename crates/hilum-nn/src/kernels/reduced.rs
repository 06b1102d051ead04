//! Convolutions in numbers smaller than `f32`: bfloat16 in pairs, or 8-bit integers in fours, to a 32-bit word.
//!
//! A word of neighbouring input channels is multiplied with a word of weights and summed into one lane by a single
//! instruction: AVX512-BF16 (`vdpbf16ps`) or AVX512-VNNI (`vpdpbusd`). The portable twins compute the same; integers
//! exactly, bfloat16 up to rounding.

use super::{Activation, LANES};

/// How small numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// The upper half of an `f32`: 8 bits of mantissa.
    Bf16,
    /// Inputs from 0 to 255, weights from -127 to 127.
    Int8,
}

impl Number {
    /// Numbers in a word.
    pub(crate) fn per_word(self) -> usize {
        match self {
            Number::Bf16 => 2,
            Number::Int8 => 4,
        }
    }

    /// Words of a voxel.
    pub(crate) fn words(self) -> usize {
        LANES / self.per_word()
    }
}

/// One kernel position over one input block, for one row of outputs.
#[derive(Clone, Copy)]
pub(crate) struct ReducedTap<'a> {
    /// Begins at the voxel under the first output.
    pub(crate) input: &'a [u32],
    /// Words of a voxel that carry data.
    pub(crate) words: usize,
    /// `[word][block of the group][lane]`.
    pub(crate) weights: &'a [u32],
}

/// One row of outputs: `sum * scale + bias`, then the activation.
pub(crate) struct ReducedRow<'a> {
    pub(crate) number: Number,
    pub(crate) taps: &'a [ReducedTap<'a>],
    /// Outputs in the row.
    pub(crate) width: usize,
    /// Words from the input of one output to that of the next.
    pub(crate) column_step: usize,
    /// `[block of the group][lane]`.
    pub(crate) scale: &'a [f32],
    /// `[block of the group][lane]`.
    pub(crate) bias: &'a [f32],
    pub(crate) activation: Activation,
}

/// How `f32` become small numbers: `x * factor + zero` rounded, where `zero` is what 0.0 becomes. bfloat16 needs neither.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantiser {
    pub(crate) number: Number,
    pub(crate) factor: f32,
    pub(crate) zero: u8,
}

impl Quantiser {
    /// A word of zeros.
    pub(crate) fn zero_word(&self) -> u32 {
        u32::from_le_bytes([self.zero; 4])
    }
}

/// The nearest bfloat16, ties to even; NaN stays NaN.
pub(crate) fn bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    match value.is_nan() {
        true => (bits >> 16) as u16 | 0x40,
        false => ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16) as u16,
    }
}

/// Whole voxels of `f32` to words.
pub(super) fn quantise(quantiser: Quantiser, input: &[f32], output: &mut [u32]) {
    match quantiser.number {
        Number::Bf16 => {
            for (pair, word) in input.as_chunks::<2>().0.iter().zip(output) {
                *word = u32::from(bf16(pair[0])) | u32::from(bf16(pair[1])) << 16;
            }
        }
        Number::Int8 => {
            let zero = f32::from(quantiser.zero);
            for (four, word) in input.as_chunks::<4>().0.iter().zip(output) {
                // A NaN has no place among integers; the cast makes it 0.
                let bytes = four.map(|x| (x * quantiser.factor + zero).round_ties_even().clamp(0.0, 255.0) as u8);
                *word = u32::from_le_bytes(bytes);
            }
        }
    }
}

/// The portable twin of the vector kernels.
pub(super) fn convolve_row(job: &ReducedRow<'_>, outputs: &mut [&mut [f32]]) {
    let blocks = outputs.len();
    for (block, output) in outputs.iter_mut().enumerate() {
        for x in 0..job.width {
            let column = |tap: &ReducedTap<'_>| x * job.column_step..x * job.column_step + tap.words;
            for lane in 0..LANES {
                let pairs = job.taps.iter().flat_map(|tap| {
                    let weights = tap.weights.iter().skip(block * LANES + lane).step_by(blocks * LANES);
                    tap.input[column(tap)].iter().zip(weights)
                });
                let sum = match job.number {
                    Number::Bf16 => pairs.fold(0.0, |sum, (&input, &weight)| {
                        let high = f32::from_bits(input & 0xFFFF_0000) * f32::from_bits(weight & 0xFFFF_0000);
                        sum + high + f32::from_bits(input << 16) * f32::from_bits(weight << 16)
                    }),
                    Number::Int8 => {
                        let products = pairs.map(|(input, weight)| {
                            let both = input.to_le_bytes().into_iter().zip(weight.to_le_bytes());
                            both.map(|(input, weight)| i32::from(input) * i32::from(weight as i8)).sum::<i32>()
                        });
                        products.sum::<i32>() as f32
                    }
                };
                let channel = block * LANES + lane;
                let value = sum * job.scale[channel] + job.bias[channel];
                output[x * LANES + lane] = job.activation.apply(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{KernelSet, available_kernels};

    /// The same words from every set, and from the same words the same sums.
    #[test]
    fn twins_agree() {
        let values: Vec<f32> =
            (0..20 * LANES as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 4e6 - 2.0).collect();
        let scalar = KernelSet::new(crate::Kernel::Scalar).unwrap();
        for number in [Number::Bf16, Number::Int8] {
            let quantiser = Quantiser { number, factor: 80.0, zero: if number == Number::Int8 { 128 } else { 0 } };
            let quantised = |set: KernelSet| {
                let mut words = vec![0; 20 * number.words()];
                set.quantise(quantiser, &values, &mut words);
                words
            };
            let words = quantised(scalar);
            // Two taps of one block for two blocks of outputs; the second lies one voxel further.
            let weights: Vec<u32> =
                (0..2 * number.words() * 2 * LANES).map(|i| words[i * 7 % words.len()] & 0x7F3F_7F3F).collect();
            let taps: Vec<ReducedTap<'_>> = weights
                .chunks_exact(weights.len() / 2)
                .enumerate()
                .map(|(tap, weights)| ReducedTap {
                    input: &words[tap * number.words()..],
                    words: number.words(),
                    weights,
                })
                .collect();
            let (scale, bias) = ([0.01; 2 * LANES], [0.5; 2 * LANES]);
            let sums = |set: KernelSet| {
                let mut outputs = [[0.0; 19 * LANES]; 2];
                let [first, second] = &mut outputs;
                let (column_step, activation) = (number.words(), Activation::LeakyRelu(0.1));
                let row =
                    ReducedRow { number, taps: &taps, width: 19, column_step, scale: &scale, bias: &bias, activation };
                set.convolve_reduced(&row, &mut [first, second]);
                outputs.concat()
            };
            let expected = sums(scalar);
            let largest = expected.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
            assert!(largest > 0.1, "{number:?}: the sums are all but zero");
            for status in available_kernels().into_iter().filter(|status| status.is_available()) {
                let set = KernelSet::new(status.kernel).unwrap();
                if set.missing_for(number).is_none() {
                    assert_eq!(quantised(set), words, "{number:?}, {}", status.name);
                    for (found, expected) in sums(set).iter().zip(&expected) {
                        assert!(
                            (found - expected).abs() <= 1e-5 * largest,
                            "{number:?}, {}: {found} not {expected}",
                            status.name
                        );
                    }
                }
            }
        }
    }
}
