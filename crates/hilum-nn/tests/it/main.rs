//! Tests of the crate through its public API.

mod engine;
mod naive;
#[cfg(feature = "onnxruntime")]
mod onnxruntime;
mod operators;
mod precision;
mod tiling;
