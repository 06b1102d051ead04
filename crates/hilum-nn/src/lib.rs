//! Network descriptions, weights, model cards and the CPU inference engine.

mod graph;
mod unet;

pub use graph::{Dims, Graph, GraphError, Node, NodeId, Op, Parameter};
pub use unet::{Activation, Norm, Stem, UNet};
