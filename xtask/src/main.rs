//! Automation of the repository: `cargo xtask check|test`.
fn main() {}
