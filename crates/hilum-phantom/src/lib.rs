//! Anthropomorphic chest CT phantoms with known answers.

mod anatomy;
mod cells;
mod field;
mod lesion;
mod lungs;
mod mediastinum;
mod random;
mod scanner;
mod shape;
mod skeleton;
mod thorax;
mod tree;

pub use anatomy::Anatomy;
pub use lesion::{Disease, LesionKind};
pub use lungs::Lobe;
pub use scanner::{Scan, ScannerOptions};
