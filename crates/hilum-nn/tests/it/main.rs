//! Tests of the crate through its public API.

mod engine;
mod naive;
mod tiling;
