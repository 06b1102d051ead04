//! Network descriptions, weights, model cards and the CPU inference engine.
