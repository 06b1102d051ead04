//! Which numbers convolutions compute with, and what is measured before small ones can be used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kernels::{Kernel, KernelSet, Number};

/// Numbers that convolutions compute with.
///
/// Only convolutions that see at least sixteen channels, are neither grouped nor transposed and do not make the logits
/// use the smaller ones; everything between them stays in `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// Inputs and weights as bfloat16, sums as `f32`. Needs AVX512-BF16, or the portable kernels.
    Bf16,
    /// Inputs as 8-bit integers with the steps of a [`Calibration`], weights as 8-bit integers with a step for each
    /// output channel, sums as 32-bit integers. Needs AVX512-VNNI, or the portable kernels; and
    /// [`Engine::with_calibration`](crate::Engine::with_calibration).
    Int8,
}

impl Precision {
    /// As on the command line: `f32`, `bf16`, `int8`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::Int8 => "int8",
        }
    }

    /// Whether the best kernels of this processor have instructions for it.
    #[must_use]
    pub fn is_fast_here(self) -> bool {
        let best = KernelSet::new(Kernel::Auto).expect("some kernels run everywhere");
        best.kernel() != Kernel::Scalar && self.number().is_none_or(|number| best.missing_for(number).is_none())
    }

    pub(crate) fn number(self) -> Option<Number> {
        match self {
            Precision::F32 => None,
            Precision::Bf16 => Some(Number::Bf16),
            Precision::Int8 => Some(Number::Int8),
        }
    }
}

/// The range of the values that each convolution reads, measured on typical inputs.
///
/// Made by [`Engine::calibrate`](crate::Engine::calibrate). Values beyond the range are cut off by 8-bit convolutions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// By layer: lowest and highest value, with 0 between them.
    ranges: BTreeMap<String, [f32; 2]>,
}

impl Calibration {
    /// Lowest and highest value read by a layer.
    pub(crate) fn range(&self, layer: &str) -> Option<[f32; 2]> {
        self.ranges.get(layer).copied()
    }

    /// Widens the range of a layer. NaN is left out.
    pub(crate) fn add(&mut self, layer: &str, [low, high]: [f32; 2]) {
        let range = self.ranges.entry(layer.to_string()).or_default();
        *range = [range[0].min(low), range[1].max(high)];
    }

    /// Widens every range to what another calibration of the same network saw.
    pub fn merge(&mut self, other: &Calibration) {
        for (layer, &range) in &other.ranges {
            self.add(layer, range);
        }
    }
}
