//! Hilum's side of the comparisons that `cargo xtask bench` makes.
//!
//! Every contestant, ours (`src/bin`) and the peers' (`peers/*.py`), is a process that stays alive and answers one line on
//! standard output for each line on standard input, so that `xtask` can let them work in turns within one minute of the
//! same machine. Answers are `ok VALUE...`; `error WHY` says that this contestant cannot take part. The lines are:
//!
//! | contestant | line | answer |
//! |---|---|---|
//! | engine | `prepare NETWORK BATCH THREADS SETTING` | `ok` |
//! | engine | `run` | seconds, mean of the magnitude of the logits |
//! | engine | `together N` | seconds until the last of N runs at once is done, seconds until the first is |
//! | train | `prepare NETWORK BATCH THREADS SETTING` | `ok` |
//! | train | `run` | seconds of one step, loss before it |
//! | decode | `run FOLDER THREADS` | seconds, files, sum of all stored or HU values |
//!
//! Our engine also answers `export FOLDER` (writes `NETWORK.onnx` for every network of [`NETWORKS`], for the peers) and
//! `peak` (seconds and number of f32 operations of a loop of nothing but multiply-adds, on one thread).

mod networks;
mod peak;
mod protocol;
mod roc;

pub use networks::{NETWORKS, Network, input_for, weights_for};
pub use peak::peak_operations;
pub use protocol::serve;
pub use roc::roc;
