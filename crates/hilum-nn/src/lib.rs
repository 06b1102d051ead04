//! Network descriptions, weights, model cards and the CPU inference engine.
//!
//! A network is data: a [`Graph`] of typed layers, usually written down as a [`UNet`]. From it come the list of
//! parameters a weight file must hold ([`Weights::check`]), the module that training optimises (in `hilum-train`) and
//! the plan of the engine, so no architecture is written twice. A [`ModelCard`] says what a trained network is for and
//! which weights belong to it.
//!
//! The [`Engine`] makes a network ready for this processor once: normalisation and activation are fused into the
//! convolutions, concatenations are read in place, weights are laid out as the kernels read them. For each input size
//! an [`ExecutionPlan`] fixes all buffers, so the memory is known before anything runs, and what cannot run is an error
//! then. Convolutions are computed sixteen channels at a time with AVX-512, AVX2, NEON or portable kernels chosen when
//! the program runs ([`available_kernels`]): 3 x 3 kernels with Winograd's quarter of the multiplications, or all of them
//! as they are defined ([`Algorithm`]), in `f32` or, where asked for, in bfloat16 or 8-bit integers ([`Precision`]). The
//! logits are the same for any number of threads.
//!
//! [`to_onnx`] writes any network as an ONNX file. The engine is one [`Runtime`]; the feature `onnxruntime` adds another,
//! ONNX Runtime, for GPUs and for networks that are not ours. It is off by default: the engine needs nothing installed.
//!
//! [`Mirrored`] has any of them look at the mirror image too. [`run_slices`] and [`run_tiled`] take inputs of any size and hand out logits slice by slice.
//!
//! ```
//! use hilum_nn::{Activation, Dims, Engine, EngineOptions, Norm, Stem, UNet, Weights};
//!
//! let unet = UNet {
//!     dims: Dims::Two,
//!     input_channels: 1,
//!     output_channels: 2,
//!     stem: Stem::Full,
//!     channels: vec![8, 16],
//!     convs_per_stage: 1,
//!     norm: Norm::Instance,
//!     activation: Activation::Relu,
//! };
//! let graph = unet.graph()?;
//! // Normally read from a file: `Weights::from_safetensors(&bytes)?`.
//! let mut weights = Weights::new();
//! for parameter in graph.parameters() {
//!     let count = parameter.shape.iter().product();
//!     weights.insert(parameter.name, parameter.shape, vec![0.1; count]);
//! }
//! let engine = Engine::new(&graph, &weights, EngineOptions::default())?;
//! println!("{} bytes beside the weights", engine.plan([1, 32, 32])?.memory_bytes());
//! let slices = vec![0.0; 3 * 32 * 32];
//! let logits = engine.run(&slices, [3, 1, 1, 32, 32])?; // [slice, channel, depth, row, column]
//! assert_eq!(logits.len(), 3 * 2 * 32 * 32);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`FeatureEngine`] and [`Familiarity`] say how unlike an input is to what a network learned from.
//!
//! This crate knows nothing of medicine, DICOM or Hounsfield units.

mod card;
mod card_markdown;
mod convolution;
mod engine;
mod features;
mod graph;
mod kernels;
mod mirrored;
mod onnx;
#[cfg(feature = "onnxruntime")]
mod onnxruntime;
mod runtime;
mod tiling;
mod unet;
mod weights;

pub use card::{CardError, Data, Familiar, Input, Int8, Model, ModelCard, Output, Trust, WeightFile};
pub use convolution::Convolution;
pub use engine::{Algorithm, Calibration, Engine, EngineError, EngineOptions, ExecutionPlan, Precision};
pub use features::{Familiarity, FeatureEngine};
pub use graph::{Dims, Graph, GraphError, Node, NodeId, Op, Parameter};
pub use kernels::{Kernel, KernelStatus, available_kernels};
pub use mirrored::Mirrored;
pub use onnx::{ONNX_INPUT, ONNX_OPSET, ONNX_OUTPUT, OnnxError, to_onnx};
#[cfg(feature = "onnxruntime")]
pub use onnxruntime::{OnnxDevice, OnnxNetwork, OnnxRuntime, OnnxRuntimeError, OnnxSession};
pub use runtime::Runtime;
pub use tiling::{Blend, Region, Tiling, TilingError, run_slices, run_tiled};
pub use unet::{Activation, Norm, Stem, UNet};
pub use weights::{WeightTensor, Weights, WeightsError, sha256_hex};
