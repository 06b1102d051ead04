//! The kernels through the public interface: known answers and independent references.

mod references;
mod shapes;
