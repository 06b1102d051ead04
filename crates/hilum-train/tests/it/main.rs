//! Tests through the public interface.

mod data;
mod metrics;
mod synthetic;
mod training;
