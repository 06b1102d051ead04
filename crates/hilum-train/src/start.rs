//! Transfer learning: a network starts from what another one has learned.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hilum_nn::{Graph, ModelCard, Output, WeightTensor, Weights};
use serde::{Deserialize, Serialize};

use crate::{TrainError, network, read_model};

/// What a run starts from, and how much of it may still change.
///
/// A tensor is taken over where name and shape agree. Where only the number of input channels differs, the kernels of the new
/// channels share what the old ones weighed, so that the same picture in every channel gives the same values. Where only the
/// number of outputs differs, outputs of the same name are taken over. Everything else starts as if there were nothing to start
/// from.
///
/// ```
/// let start: hilum_train::Start = toml::from_str(r#"
///     from = "models/pneumonia-ct/card.toml"
///     frozen = ["down0*", "down1*"]
///     rates = { "down*" = 0.1, "up*" = 0.3 }
/// "#)?;
/// assert_eq!(start.rate_of("down2.conv0.weight"), 0.1);
/// assert_eq!(start.rate_of("down0.conv0.weight"), 0.0);
/// assert_eq!(start.rate_of("head.weight"), 1.0);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The card of a model of ours, or a safetensors file with tensors named as in [`Graph::parameters`]. `{fold}` in it is the number
    /// of the fold that is trained ([`TrainConfig::fold`](crate::TrainConfig::fold)).
    pub from: PathBuf,
    /// Parameters that stay as they are, with the statistics of their normalisations; `*` at the end stands for all that
    /// begin so.
    #[serde(default)]
    pub frozen: Vec<String>,
    /// Factors of the learning rate by parameter, `*` as above, the longest match counting; 1 where none matches.
    #[serde(default)]
    pub rates: BTreeMap<String, f32>,
}

/// What was taken over at the start of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// SHA-256 of the file the weights came from.
    pub sha256: String,
    /// Parameters taken over as they were.
    pub taken: Vec<String>,
    /// Parameters of which a part was taken over: other inputs or outputs.
    pub adapted: Vec<String>,
    /// Parameters that start afresh.
    pub fresh: Vec<String>,
}

impl Start {
    /// The factor of a parameter's learning rate: 0 if it is frozen.
    #[must_use]
    pub fn rate_of(&self, name: &str) -> f32 {
        if self.frozen.iter().any(|entry| matches(entry, name)) {
            return 0.0;
        }
        let best = self.rates.iter().filter(|(entry, _)| matches(entry, name)).max_by_key(|(entry, _)| entry.len());
        best.map_or(1.0, |(_, rate)| *rate)
    }

    /// What is wrong with the settings for a network, in words.
    pub(crate) fn flaw(&self, graph: &Graph) -> Option<String> {
        if let Some((entry, _)) = self.rates.iter().find(|(_, rate)| !rate.is_finite() || **rate < 0.0) {
            return Some(format!("start: the rate of `{entry}` must be 0 or more"));
        }
        let parameters = graph.parameters();
        let unknown =
            self.frozen.iter().chain(self.rates.keys()).find(|e| !parameters.iter().any(|p| matches(e, &p.name)));
        unknown.map(|entry| format!("start: the network has no parameter `{entry}`"))
    }

    /// The weights a network starts with. `outputs` are the names of its channels.
    ///
    /// # Errors
    /// If the file cannot be read, or nothing in it belongs to this network.
    pub(crate) fn weights(
        &self,
        graph: &Graph,
        outputs: &[Output],
        seed: u64,
    ) -> Result<(Weights, Transfer), TrainError> {
        let (old, old_outputs, sha256) = read(&self.from)?;
        let pairs = common_outputs(&old_outputs, outputs);
        let mut weights = network::initial_weights(graph, seed);
        let mut transfer = Transfer { sha256, ..Transfer::default() };
        let last = graph.nodes().last().map_or("", |node| node.name.as_str());
        let shapes: BTreeMap<String, Vec<usize>> = graph.parameters().into_iter().map(|p| (p.name, p.shape)).collect();
        for (name, values) in weights.iter_mut() {
            let shape = &shapes[name];
            let is_last = name.rsplit_once('.').is_some_and(|(layer, _)| layer == last);
            let counts = [old_outputs.len(), outputs.len()];
            let all_alike = counts[0] == counts[1] && pairs.len() == counts[0] && pairs.iter().all(|(a, b)| a == b);
            let list = match old.get(name) {
                // The last layer of a model whose outputs have names goes by these: its shape says nothing of them.
                Some(tensor) if is_last && counts[0] > 0 && !all_alike => {
                    match outputs_taken(values, shape, tensor, &pairs, counts) {
                        true if !pairs.is_empty() => &mut transfer.adapted,
                        _ => &mut transfer.fresh,
                    }
                }
                Some(tensor) if tensor.shape == *shape => {
                    values.copy_from_slice(&tensor.data);
                    &mut transfer.taken
                }
                Some(tensor) if inputs_shared(values, shape, tensor) => &mut transfer.adapted,
                _ => &mut transfer.fresh,
            };
            list.push(name.to_string());
        }
        if transfer.taken.is_empty() {
            return Err(TrainError::data(&self.from, "nothing in it fits the network that is to start from it"));
        }
        Ok((weights, transfer))
    }
}

fn matches(entry: &str, name: &str) -> bool {
    entry.strip_suffix('*').map_or(entry == name, |start| name.starts_with(start))
}

/// Weights, names of outputs (none for bare weights) and hash of a file.
fn read(path: &Path) -> Result<(Weights, Vec<String>, String), TrainError> {
    if path.extension().is_some_and(|e| e == "safetensors") {
        let bytes = std::fs::read(path).map_err(TrainError::file(path))?;
        return Ok((Weights::from_safetensors(&bytes)?, Vec::new(), hilum_nn::sha256_hex(&bytes)));
    }
    let model = read_model(path)?;
    let ModelCard { outputs, weights, .. } = model.card;
    Ok((model.weights, outputs.into_iter().map(|output| output.name).collect(), weights.sha256))
}

/// Places of outputs of the same name: old, new.
fn common_outputs(old: &[String], new: &[Output]) -> Vec<(usize, usize)> {
    let place = |name: &String| new.iter().position(|output| output.name == *name);
    old.iter().enumerate().filter_map(|(at, name)| Some((at, place(name)?))).collect()
}

/// Takes outputs over along the one axis that counts them; false if the shapes do not allow it.
fn outputs_taken(
    values: &mut [f32],
    shape: &[usize],
    old: &WeightTensor,
    pairs: &[(usize, usize)],
    [old_count, count]: [usize; 2],
) -> bool {
    if shape.len() != old.shape.len() {
        return false;
    }
    // Convolutions count outputs first, transposed ones second.
    let fits = |axis: usize| {
        let others = (0..shape.len()).filter(|a| *a != axis).all(|a| shape[a] == old.shape[a]);
        others && shape[axis] == count && old.shape[axis] == old_count
    };
    let Some(axis) = (0..shape.len().min(2)).rev().find(|axis| fits(*axis)) else { return false };
    let block: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    for before in 0..outer {
        for (from, to) in pairs {
            let (from, to) = ((before * old_count + from) * block, (before * count + to) * block);
            values[to..to + block].copy_from_slice(&old.data[from..from + block]);
        }
    }
    true
}

/// Shares the kernels of a first layer among other inputs, if only their number differs.
fn inputs_shared(values: &mut [f32], shape: &[usize], old: &WeightTensor) -> bool {
    let same =
        shape.len() == old.shape.len() && shape.len() > 2 && shape[0] == old.shape[0] && shape[2..] == old.shape[2..];
    if !same || old.shape[1] == 0 {
        return false;
    }
    let block: usize = shape[2..].iter().product();
    let (inputs, old_inputs) = (shape[1], old.shape[1]);
    for (out, new) in values.chunks_exact_mut(inputs * block).enumerate() {
        for (i, value) in new.iter_mut().enumerate() {
            let tap = i % block;
            let sum: f32 = (0..old_inputs).map(|c| old.data[(out * old_inputs + c) * block + tap]).sum();
            *value = sum / inputs as f32;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_nn::{Activation, Dims, Norm, Stem, UNet};

    fn unet(inputs: usize, outputs: usize, stem: Stem) -> Graph {
        let unet = UNet {
            dims: Dims::Two,
            input_channels: inputs,
            output_channels: outputs,
            stem,
            channels: vec![4, 6],
            convs_per_stage: 1,
            norm: Norm::Batch,
            activation: Activation::Relu,
        };
        unet.graph().unwrap()
    }

    fn outputs(names: &[&str]) -> Vec<Output> {
        names.iter().map(|name| Output { name: (*name).into(), meaning: String::new(), threshold: 0.5 }).collect()
    }

    fn start_from(old: &Weights) -> (tempfile::TempDir, Start) {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("old.safetensors");
        std::fs::write(&from, old.to_safetensors()).unwrap();
        (folder, Start { from, ..Start::default() })
    }

    #[test]
    fn bare_weights_of_the_same_network_are_taken_whole() {
        let graph = unet(1, 2, Stem::Full);
        let old = network::initial_weights(&graph, 7);
        let (_folder, start) = start_from(&old);
        let (weights, transfer) = start.weights(&graph, &outputs(&["a", "b"]), 1).unwrap();
        assert_eq!(weights, old);
        assert!(transfer.fresh.is_empty() && transfer.adapted.is_empty());
    }

    #[test]
    fn more_inputs_share_the_kernels() {
        let old = network::initial_weights(&unet(1, 2, Stem::Full), 7);
        let (_folder, start) = start_from(&old);
        let graph = unet(3, 2, Stem::Full);
        let (weights, transfer) = start.weights(&graph, &outputs(&["a", "b"]), 1).unwrap();
        assert_eq!(transfer.adapted, ["down0.conv0.weight"]);
        let old_input: Vec<f32> = (0..64).map(|i| (i as f32).sin()).collect();
        let predict = |graph: &Graph, weights: &Weights, channels: usize| {
            let images = network::Images { shape: [1, channels, 1, 8, 8], data: old_input.repeat(channels) };
            network::predict(graph, weights, &images)
        };
        let before = predict(&unet(1, 2, Stem::Full), &old, 1);
        for (a, b) in before.iter().zip(predict(&graph, &weights, 3)) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
    }

    #[test]
    fn outputs_are_taken_over_by_name() {
        for stem in [Stem::Full, Stem::Half] {
            let old_graph = unet(1, 2, stem);
            let old = network::initial_weights(&old_graph, 7);
            let tensor = old.get("head.weight").unwrap();
            let new_graph = unet(1, 3, stem);
            let shape = new_graph.parameters().into_iter().find(|p| p.name == "head.weight").unwrap().shape;
            let pairs = common_outputs(&["lung".into(), "lesion".into()], &outputs(&["nodule", "lesion", "lung"]));
            assert_eq!(pairs, [(0, 2), (1, 1)]);
            let mut values = vec![0.0; shape.iter().product()];
            assert!(outputs_taken(&mut values, &shape, tensor, &pairs, [2, 3]));
            let of = |values: &[f32], shape: &[usize], output: usize| -> Vec<f32> {
                let (axis, count) = if stem == Stem::Full { (0, shape[0]) } else { (1, shape[1]) };
                let block: usize = shape[axis + 1..].iter().product();
                values
                    .chunks(block)
                    .enumerate()
                    .filter(|(i, _)| i % count == output)
                    .flat_map(|(_, b)| b.to_vec())
                    .collect()
            };
            assert_eq!(of(&values, &shape, 2), of(&tensor.data, &tensor.shape, 0), "lung");
            assert_eq!(of(&values, &shape, 1), of(&tensor.data, &tensor.shape, 1), "lesion");
            assert!(of(&values, &shape, 0).iter().all(|v| *v == 0.0), "nodule is new");
        }
    }

    #[test]
    fn a_foreign_file_is_refused() {
        let mut other = Weights::new();
        other.insert("layer", vec![1], vec![0.0]);
        let (_folder, start) = start_from(&other);
        let error = start.weights(&unet(1, 2, Stem::Full), &outputs(&["a", "b"]), 1).unwrap_err();
        assert!(error.to_string().contains("nothing in it fits"), "{error}");
    }

    #[test]
    fn unknown_layers_are_named() {
        let start = Start { frozen: vec!["encoder*".into()], ..Start::default() };
        assert_eq!(start.flaw(&unet(1, 2, Stem::Full)).unwrap(), "start: the network has no parameter `encoder*`");
    }
}
