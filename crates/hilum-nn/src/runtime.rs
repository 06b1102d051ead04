//! What runs a network: our own engine, or another runtime that was handed the same network.

use std::fmt::Debug;

use crate::engine::{Engine, EngineError};
use crate::graph::Graph;

/// A network that is ready to run, whatever computes it.
///
/// [`Engine`] is one; `OnnxNetwork` (feature `onnxruntime`) is another. Logits of different runtimes agree to about 1e-6
/// of the largest one; each runtime gives the same logits for the same input every time.
pub trait Runtime: Debug + Send + Sync {
    /// What computes, and with which numbers, for people: `hilum, AVX-512, int8`.
    fn name(&self) -> String;

    /// The network.
    fn graph(&self) -> &Graph;

    /// Runs `count` inputs of `size` `[slices, rows, columns]` without keeping them or their logits.
    ///
    /// For each index below `count`, `fill` writes the input `[channel, slice, row, column]` and `take` gets the logits
    /// in the same order. Both may be called from several threads, for different indices at once and in any order.
    ///
    /// # Errors
    /// If an input of this size cannot run.
    fn run_each(
        &self,
        size: [usize; 3],
        count: usize,
        fill: &(dyn Fn(usize, &mut [f32]) + Sync),
        take: &(dyn Fn(usize, &[f32]) + Sync),
    ) -> Result<(), EngineError>;
}

impl Runtime for Engine {
    fn name(&self) -> String {
        let status = crate::available_kernels().into_iter().find(|status| status.kernel == self.kernel());
        format!("hilum, {}, {}", status.map_or("portable", |status| status.name), self.precision().name())
    }

    fn graph(&self) -> &Graph {
        Engine::graph(self)
    }

    fn run_each(
        &self,
        size: [usize; 3],
        count: usize,
        fill: &(dyn Fn(usize, &mut [f32]) + Sync),
        take: &(dyn Fn(usize, &[f32]) + Sync),
    ) -> Result<(), EngineError> {
        Engine::run_each(self, size, count, fill, take)
    }
}
