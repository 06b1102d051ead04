//! Training and evaluation of Hilum networks.
//!
//! A [`TrainConfig`] names the network, the data and the split; [`run`] trains until the schedule is through and leaves
//! weights with their model card, for programs and for people. A run can be killed at any moment and goes on from its last checkpoint as if nothing
//! had happened: random choices follow from seed and step, and a checkpoint is one file that is replaced atomically.
//! [`evaluate`] measures a model on labelled data, patient by patient, through the same CPU engine that clinics run.
//!
//! - **Cases** ([`list()`], [`Case`], [`Slice`]) are typed slices with a patient each; training keeps them on disk, not in
//!   memory. [`Split`] is by patient, refuses one that is on two sides, and one that is on none.
//! - **Augmentation** ([`example()`]) moves image and mask alike and makes the grey scale uninformative.
//! - **Learning**: layers of a [`hilum_nn::Graph`] on Burn's tape, with CPU kernels for convolution and normalisation;
//!   cross-entropy and soft Dice that are blind where a data set does not know; [`Optimizer`]; averaged weights; [`Start`] for transfer.
//! - **Metrics**: [`Overlap`], [`surface_agreement`], [`auc`], [`decision`], [`bootstrap_95`].
//!
//! The crate reads and writes files, but knows neither the date nor environment variables, and prints nothing.

mod agreement;
mod augment;
mod batches;
mod cache;
mod calibration;
mod card;
mod card_results;
mod cases;
mod charts;
mod checkpoint;
mod compare;
mod config;
mod curve;
mod device;
mod emphasis;
mod error;
mod evaluate;
mod evaluation_table;
mod familiarity;
mod fast;
mod folds;
mod inserted;
mod int8;
mod kernels;
mod layouts;
mod lesionwise;
mod loss;
mod metrics;
mod network;
mod normalisation;
mod optimizer;
mod parts;
mod pictures;
mod plain;
mod plot;
mod predict;
mod run;
mod start;
mod structures;
mod subgroups;
mod supervision;
mod threshold;
mod trainee;
mod validation;

pub use agreement::{Agreement, Detection};
pub use augment::{Augmentation, Example, example};
pub use calibration::{Reliability, ReliabilityBin, SliceProbability, SlicesCalled};
pub use card::{export_card, read_model, write_card};
pub use cases::{CHANNELS, Case, Layout, Reading, Slice, list, read};
pub use charts::charts;
pub use compare::{Comparison, compare, comparison_table};
pub use config::{CardText, DataText, Schedule, Side, Source, Split, TrainConfig, Validation};
pub use device::{Arithmetic, TrainDevice};
pub use error::TrainError;
pub use evaluate::{
    ChannelCalibration, ChannelResult, ChannelSummary, EvaluateOptions, Evaluation, PatientResult, VolumeInterval,
    cross_validate, evaluate, evaluate_on,
};
pub use familiarity::measure_familiarity;
pub use folds::Folds;
pub use int8::measure_int8;
pub use lesionwise::LesionCounts;
pub use loss::{BOUNDARY_PIXELS, Loss};
pub use metrics::{
    Decision, MeanSd, Overlap, SurfaceAgreement, auc, bootstrap_95, decision, percentile, surface_agreement,
};
pub use optimizer::{Method, Optimizer};
pub use run::{CHECKPOINT, Program, Progress, Rehearsal, RunOptions, Summary, rehearse, run};
pub use start::{Start, Transfer};
pub use structures::Structures;
pub use subgroups::{MUCH_LESION_PERCENT, Subgroup, THICK_SLICES_MM};
pub use threshold::ThresholdChoice;
pub use trainee::Trainee;
