//! Training and evaluation of Hilum networks.

mod augment;
mod batches;
mod card;
mod cases;
mod checkpoint;
mod config;
mod curve;
mod error;
mod evaluate;
mod fast;
mod kernels;
mod loss;
mod metrics;
mod network;
mod optimizer;
mod plot;
mod run;

pub use augment::{Augmentation, Example, example};
pub use card::{export_card, read_model, write_card};
pub use cases::{CHANNELS, Known, Layout, Reading, Slice, read};
pub use config::{CardText, Schedule, Side, Source, Split, TrainConfig};
pub use error::TrainError;
pub use evaluate::{ChannelResult, ChannelSummary, Detection, EvaluateOptions, Evaluation, PatientResult, evaluate};
pub use metrics::{
    Decision, MeanSd, Overlap, SurfaceAgreement, auc, bootstrap_95, decision, percentile, surface_agreement,
};
pub use optimizer::AdamW;
pub use run::{Progress, Summary, run};
