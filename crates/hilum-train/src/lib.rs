//! Training and evaluation of Hilum networks.

mod augment;
mod batches;
mod cases;
mod checkpoint;
mod config;
mod curve;
mod error;
mod fast;
mod kernels;
mod loss;
mod network;
mod optimizer;
mod run;

pub use augment::{Augmentation, Example, example};
pub use cases::{CHANNELS, Known, Layout, Slice, read};
pub use config::{Schedule, Side, Source, Split, TrainConfig};
pub use error::TrainError;
pub use optimizer::AdamW;
pub use run::{Progress, Summary, run};
