//! The crate through its public interface: space, memory order, resampling.

mod grids;
mod orders;
mod resampling;
mod space;
