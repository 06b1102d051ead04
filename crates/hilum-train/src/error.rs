//! What can go wrong while training or evaluating.

use std::path::PathBuf;

/// Why training or evaluation stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// This build cannot train on what was asked for.
    #[error("cannot train on {device}: {reason}")]
    Device {
        /// Its name.
        device: &'static str,
        /// What is missing.
        reason: &'static str,
    },
    /// A file could not be read or written.
    #[error("cannot access {path}: {reason}")]
    File {
        /// Which file.
        path: PathBuf,
        /// The system's reason; not also the error's source, which would have it said twice.
        reason: std::io::Error,
    },
    /// A file of a data set is not what its layout promises.
    #[error("{path}: {reason}")]
    Data {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration cannot be read.
    #[error("the training configuration is not valid: {0}")]
    Config(String),
    /// A patient is on both sides of the split.
    #[error("patient `{0}` is on two sides of the split: results would mean nothing")]
    Leakage(String),
    /// A patient of a data set is on no side of the split.
    #[error("patient `{0}` is on no side of the split: neither in training, hold-out nor validation")]
    Unassigned(String),
    /// No cases to learn from.
    #[error("no training cases: {0}")]
    NoCases(String),
    /// The checkpoint belongs to another run.
    #[error("the checkpoint in {path} belongs to another configuration: {reason}")]
    Checkpoint {
        /// Which file.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The network description cannot run.
    #[error(transparent)]
    Graph(#[from] hilum_nn::GraphError),
    /// Weights do not fit.
    #[error(transparent)]
    Weights(#[from] hilum_nn::WeightsError),
    /// The model card or its weights cannot be used.
    #[error(transparent)]
    Card(#[from] hilum_nn::CardError),
    /// The engine cannot run the network.
    #[error(transparent)]
    Engine(#[from] hilum_nn::EngineError),
    /// The loss is no longer a number.
    #[error("the loss is not a number at step {0}: lower the learning rate")]
    Diverged(u64),
}

impl TrainError {
    /// A file error with its path.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |reason| Self::File { path, reason }
    }

    /// A data error with its path.
    pub(crate) fn data(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        Self::Data { path: path.into(), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn the_systems_reason_is_said_once() {
        let error = TrainError::file("a")(std::io::ErrorKind::NotFound.into());
        assert_eq!(error.to_string(), "cannot access a: entity not found");
        assert!(error.source().is_none());
    }
}
