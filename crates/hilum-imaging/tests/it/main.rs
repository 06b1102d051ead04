//! The kernels through the public interface: known answers and independent references.

mod pictures;
mod planes;
mod references;
mod regions;
mod registration;
mod shapes;
mod threads;
