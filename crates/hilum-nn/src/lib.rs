//! Network descriptions, weights, model cards and the CPU inference engine.

mod card;
mod engine;
mod graph;
mod kernels;
mod tiling;
mod unet;
mod weights;

pub use card::{CardError, Data, Input, Model, ModelCard, Output, WeightFile};
pub use engine::{Engine, EngineError, EngineOptions, ExecutionPlan};
pub use graph::{Dims, Graph, GraphError, Node, NodeId, Op, Parameter};
pub use kernels::{Kernel, KernelStatus, available_kernels};
pub use tiling::{Blend, Region, Tiling, TilingError, run_slices, run_tiled};
pub use unet::{Activation, Norm, Stem, UNet};
pub use weights::{WeightTensor, Weights, WeightsError, sha256_hex};
