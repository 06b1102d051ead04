//! The state of a run in one file, replaced atomically: a kill at any moment leaves the old or the new one.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use hilum_nn::Weights;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::optimizer::Moments;
use crate::validation::{Measured, Row};

/// Everything a run needs to go on as if it had never stopped. Random choices need no state: they follow from the step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) step: u64,
    pub(crate) elapsed_s: f64,
    pub(crate) weights: Weights,
    pub(crate) average: Weights,
    pub(crate) moments: Moments,
    pub(crate) validation: Measured,
}

#[derive(Serialize, Deserialize)]
struct Head {
    step: u64,
    elapsed_s: f64,
    /// Hash of what must not change between start and resumption.
    identity: String,
    #[serde(default)]
    validation: Vec<Row>,
}

const HEAD: &str = "hilum";
const PARTS: [&str; 5] = ["weights", "average", "first", "second", "best"];

/// Writes the state beside `path` and moves it there.
pub(crate) fn save(path: &Path, state: &State, identity: &str) -> Result<(), TrainError> {
    let head = Head {
        step: state.step,
        elapsed_s: state.elapsed_s,
        identity: identity.to_string(),
        validation: state.validation.rows.clone(),
    };
    let head = serde_json::to_string(&head).expect("plain data serialises");
    let nothing = Weights::new();
    let best = state.validation.best().unwrap_or(&nothing);
    let parts = [&state.weights, &state.average, &state.moments.first, &state.moments.second, best];
    let mut tensors = Vec::new();
    for (part, weights) in PARTS.iter().zip(parts) {
        for (name, tensor) in weights.iter() {
            let bytes: Vec<u8> = tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.push((format!("{part}/{name}"), tensor.shape.clone(), bytes));
        }
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("shape and length agree"))
    });
    let bytes = safetensors::serialize(views, Some(HashMap::from([(HEAD.to_string(), head)])))
        .map_err(|e| TrainError::data(path, e))?;
    write_atomically(path, &bytes)
}

/// Reads the state, if there is one.
///
/// # Errors
/// [`TrainError::Checkpoint`] if it belongs to another configuration.
pub(crate) fn load(path: &Path, identity: &str) -> Result<Option<State>, TrainError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(TrainError::file(path)(error)),
    };
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| TrainError::data(path, e))?;
    let head = metadata.metadata().as_ref().and_then(|m| m.get(HEAD));
    let head = head.ok_or_else(|| TrainError::data(path, "not a checkpoint"))?;
    let head: Head = serde_json::from_str(head).map_err(|e| TrainError::data(path, e))?;
    if head.identity != identity {
        let reason = "the network, the seed or the data have changed".to_string();
        return Err(TrainError::Checkpoint { path: path.into(), reason });
    }
    let mut parts: [Weights; 5] = std::array::from_fn(|_| Weights::new());
    for (name, tensor) in Weights::from_safetensors(&bytes)?.iter() {
        let found = PARTS.iter().zip(&mut parts).find_map(|(part, weights)| {
            name.strip_prefix(part).and_then(|rest| rest.strip_prefix('/')).map(|name| (weights, name))
        });
        let (weights, name) = found.ok_or_else(|| TrainError::data(path, format!("unknown tensor `{name}`")))?;
        weights.insert(name, tensor.shape.clone(), tensor.data.clone());
    }
    let [weights, average, first, second, best] = parts;
    Ok(Some(State {
        step: head.step,
        elapsed_s: head.elapsed_s,
        weights,
        average,
        moments: Moments { first, second },
        validation: Measured { rows: head.validation, best: Some(best).filter(|best| !best.is_empty()) },
    }))
}

/// Writes a file so that a reader sees the old or the new content, never a part.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    // Runs that share prepared slices may write the same file at once.
    let beside = path.with_extension(format!("{}.partial", std::process::id()));
    let write = || {
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().map_err(TrainError::file(path))
}
