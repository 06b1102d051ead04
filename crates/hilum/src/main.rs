//! The Hilum command line.
fn main() {}
