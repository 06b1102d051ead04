//! What a network is trained on.

use std::str::FromStr;

use burn::tensor::{Device, FloatDType};

use crate::TrainError;

/// What a network is trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrainDevice {
    /// This processor, on the kernels of Hilum's own engine.
    #[default]
    Cpu,
    /// A graphics card through Vulkan, Metal or DirectX: Burn's `wgpu` backend, in builds with the feature `wgpu`. Tried
    /// on a software Vulkan, not yet on a card.
    Wgpu,
    /// An NVIDIA card through CUDA: Burn's `cuda` backend, in builds with the feature `cuda`.
    Cuda,
}

impl TrainDevice {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Wgpu, Self::Cuda];

    /// As on the command line: `cpu`, `wgpu`, `cuda`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    /// Why this build cannot train on it, if it cannot. Whether there is such a card shows only when training starts.
    #[must_use]
    pub fn missing(self) -> Option<&'static str> {
        match self {
            Self::Wgpu if cfg!(not(feature = "wgpu")) => {
                Some("this hilum was built without it; `cargo build --release --features wgpu` adds it")
            }
            Self::Cuda if cfg!(not(feature = "cuda")) => Some(
                "this hilum was built without it; `cargo build --release --features cuda` adds it (needs NVIDIA's CUDA)",
            ),
            _ => None,
        }
    }

    /// Burn's device: the card of this number, counted from 0. There is one processor, whatever the number.
    ///
    /// # Errors
    /// [`TrainError::Device`] if this build does not have it.
    #[cfg_attr(
        not(any(feature = "wgpu", feature = "cuda")),
        expect(unused_variables, reason = "no cards in this build")
    )]
    pub(crate) fn open(self, card: usize) -> Result<Device, TrainError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu if card == 0 => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DiscreteGpu(card))),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::cuda(card)),
            #[allow(unreachable_patterns)] // with both features
            other => Err(TrainError::Device { device: other.name(), reason: other.missing().unwrap_or("unknown") }),
        }
    }
}

/// The numbers that convolutions multiply in training ("mixed precision", Micikevicius 2018, arXiv:1710.03740). Weights, gradients,
/// normalisations and the loss are `f32` in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arithmetic {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the range of `f32`. For cards.
    Bf16,
    /// 16 bits with more digits and less range: gradients are scaled on their way back, and a step that overflows is computed
    /// again with a smaller scale. For cards.
    F16,
}

impl Arithmetic {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];

    /// As on the command line: `f32`, `bf16`, `f16`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// Burn's name of the shorter numbers, if they are.
    pub(crate) fn short(self) -> Option<FloatDType> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(FloatDType::BF16),
            Self::F16 => Some(FloatDType::F16),
        }
    }
}

impl FromStr for Arithmetic {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|arithmetic| arithmetic.name() == name);
        found.ok_or_else(|| {
            format!("there is no arithmetic `{name}`; there are: {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}

impl FromStr for TrainDevice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|device| device.name() == name);
        found.ok_or_else(|| format!("there is no device `{name}`; there are: {}", Self::ALL.map(Self::name).join(", ")))
    }
}
