//! Network descriptions, weights, model cards and the CPU inference engine.

mod graph;
mod unet;
mod weights;

pub use graph::{Dims, Graph, GraphError, Node, NodeId, Op, Parameter};
pub use unet::{Activation, Norm, Stem, UNet};
pub use weights::{WeightTensor, Weights, WeightsError, sha256_hex};
