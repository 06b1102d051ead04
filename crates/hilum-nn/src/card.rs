//! The model card: all that is known about a set of weights, and the only place where it is written down.
//!
//! Training writes the card, inference reads the same type. The intensity map, the pixel size, the meaning of every
//! output channel and its threshold are here and not in code. A card belongs to exactly one weight file, by its hash.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::{Calibration, Engine, EngineError, EngineOptions, Precision};
use crate::features::Familiarity;
use crate::graph::{Dims, Graph, GraphError};
use crate::unet::UNet;
use crate::weights::{Weights, WeightsError, sha256_hex};

/// A model card, stored as TOML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// Short name, as in file names: `pneumonia-ct`.
    pub name: String,
    /// Version of the weights.
    pub version: String,
    /// Licence of the weights, which follows that of the data.
    pub licence: String,
    /// What the model is for, and what it is not.
    pub intended_use: String,
    /// Known limits, one sentence each.
    pub limits: Vec<String>,
    /// The weight file.
    pub weights: WeightFile,
    /// What the network reads.
    pub input: Input,
    /// What the network predicts, one entry per channel, in order.
    pub outputs: Vec<Output>,
    /// The network.
    pub network: UNet,
    /// What it learned from and was measured on.
    pub data: Vec<Data>,
    /// How far its probabilities can be believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// How inputs are told that are unlike what it learned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub familiar: Option<Familiar>,
    /// Whether and how it can be computed in 8-bit integers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int8: Option<Int8>,
    /// How it was trained: free keys.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub training: toml::Table,
    /// What was measured: free keys.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub results: toml::Table,
}

/// The weight file a card belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightFile {
    /// File name, beside the card.
    pub file: String,
    /// SHA-256 of the file in lower-case hexadecimal.
    pub sha256: String,
}

/// What a network reads: one grey value per pixel, `f32`. A network with several input channels sees the slice in the middle
/// channel and its neighbours in the others ("2.5-D").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// HU to grey: this value and all below become 0.
    pub window_low_hu: f32,
    /// HU to grey: this value and all above become 1. In between the map is straight.
    pub window_high_hu: f32,
    /// Edge of a pixel in the slice plane, in mm, that the network is used to. Finer images are averaged to it.
    pub pixel_mm: f64,
    /// Pixel sizes, in mm, it was trained to bear: smallest and largest.
    pub pixel_mm_range: [f64; 2],
    /// Factor `[slice, row, column]` the input's size must be a multiple of.
    pub size_divisor: [usize; 3],
    /// Distance in mm from one input channel to the next, for a network that sees neighbouring slices; 0 for one channel.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub neighbour_mm: f64,
}

fn is_zero(mm: &f64) -> bool {
    *mm == 0.0
}

impl Input {
    /// The slices a network with this many input channels sees in order to judge slice `index` of `count`, from the foot.
    ///
    /// Neighbours are as many slices apart as come nearest to [`Input::neighbour_mm`], but never none; where the spacing is not
    /// known, they are next to one another. At the ends of the scan its last slice is repeated.
    pub fn slices_seen(
        &self,
        channels: usize,
        index: usize,
        count: usize,
        spacing_mm: Option<f64>,
    ) -> impl Iterator<Item = usize> + use<> {
        let apart = spacing_mm.map_or(1.0, |mm| (self.neighbour_mm / mm).round()).max(1.0) as usize;
        let middle = channels / 2 * apart;
        (0..channels).map(move |channel| (index + channel * apart).saturating_sub(middle).min(count - 1))
    }

    /// The grey value of a density in HU, 0 to 1. Values that are not numbers count as air.
    pub fn grey_from_hu(&self, hu: f32) -> f32 {
        let grey = (hu - self.window_low_hu) / (self.window_high_hu - self.window_low_hu);
        if grey.is_nan() { 0.0 } else { grey.clamp(0.0, 1.0) }
    }

    /// The grey value of an 8-bit picture whose window is not known, 0 to 1.
    pub fn grey_from_8_bit(&self, value: u8) -> f32 {
        f32::from(value) / 255.0
    }
}

/// One predicted channel; its probability is the sigmoid of the logit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// `lung`, `lesion`, ...
    pub name: String,
    /// What a pixel of this channel means.
    pub meaning: String,
    /// Probability from which a pixel counts.
    pub threshold: f32,
}

impl Output {
    /// The logit from which a pixel counts: comparing logits spares the exponential.
    pub fn logit_threshold(&self) -> f32 {
        (self.threshold / (1.0 - self.threshold)).ln()
    }
}

/// How far the probabilities of a segmentation can be believed, measured on patients it did not learn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Who it was measured on.
    pub measured_on: String,
    /// Thresholds moved so many logits up and down enclose the true volume...
    pub volume_offset_logits: f64,
    /// ...in this share of unseen patients, if they are like those.
    pub volume_coverage: f64,
    /// Number of patients this was found with.
    pub volume_patients: usize,
    /// The probability of a lesion in a slice is the sigmoid of `scale * logit + shift` of the logit that 50 mm² of it reach.
    pub slice_scale: f64,
    /// See `slice_scale`.
    pub slice_shift: f64,
    /// Number of patients these two were found with.
    pub slice_patients: usize,
}

/// How inputs are told that are unlike what a network learned from, by [`Familiarity`] in its weight file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Familiar {
    /// What the distribution was made of.
    pub measured_on: String,
    /// Median distance of a scan's slices from which it is unlike.
    pub limit: f64,
    /// The largest such distance among patients it learned from, each left out of the distribution in turn.
    pub largest_left_out: f64,
}

/// What 8-bit convolutions need to know, and what they cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Int8 {
    /// Which inputs the ranges were seen on, and which patients the change was measured on.
    pub measured_on: String,
    /// By output: the mean Dice with 8-bit convolutions less the mean Dice with `f32`.
    pub dice_change: BTreeMap<String, f64>,
    /// The range of what each convolution reads.
    pub calibration: Calibration,
}

/// Largest change of a mean Dice with which small numbers count as costing nothing.
const DICE_CHANGE_MAX: f64 = 0.001;

impl Int8 {
    /// Whether no output's mean Dice moved by more than 0.001, so that 8-bit convolutions are the default.
    #[must_use]
    pub fn costs_nothing(&self) -> bool {
        self.dice_change.values().all(|change| change.abs() <= DICE_CHANGE_MAX)
    }
}

/// A data set and the part it played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Name and source.
    pub name: String,
    /// Licence.
    pub licence: String,
    /// Which part was learned from, which was held out.
    pub part: String,
}

/// Why a card or its weights cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// The card is not valid TOML, or lacks something.
    #[error("the model card cannot be read: {0}")]
    Format(String),
    /// The weight file is not the one the card was written for.
    #[error(
        "the weights of `{model}` are not those of its card (SHA-256 {found}, the card says {expected}): \
         the file was altered or belongs to another version"
    )]
    Altered {
        /// Name in the card.
        model: String,
        /// Hash in the card.
        expected: String,
        /// Hash of the file.
        found: String,
    },
    /// The card contradicts itself.
    #[error("the model card of `{model}` contradicts itself: {reason}")]
    Inconsistent {
        /// Name in the card.
        model: String,
        /// What does not fit.
        reason: String,
    },
    /// The network cannot run.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The weights are not those of the network.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// A card with its network and its weights, checked against one another.
#[derive(Clone, Debug)]
pub struct Model {
    /// The card.
    pub card: ModelCard,
    /// The network it describes.
    pub graph: Graph,
    /// The weights, of exactly this network.
    pub weights: Weights,
    /// Where the values of familiar inputs lie, if the weight file says so.
    pub familiarity: Option<Familiarity>,
}

impl Model {
    /// What convolutions are computed with unless something else is asked for: 8-bit integers where the card says that they
    /// cost nothing and this processor has instructions for them, else `f32`.
    #[must_use]
    pub fn precision(&self) -> Precision {
        match &self.card.int8 {
            Some(int8) if int8.costs_nothing() && Precision::Int8.is_fast_here() => Precision::Int8,
            _ => Precision::F32,
        }
    }

    /// The network made ready on our own engine, with the card's calibration.
    ///
    /// # Errors
    /// As [`Engine::with_calibration`].
    pub fn engine(&self, options: EngineOptions) -> Result<Engine, EngineError> {
        match &self.card.int8 {
            Some(int8) => Engine::with_calibration(&self.graph, &self.weights, options, &int8.calibration),
            None => Engine::new(&self.graph, &self.weights, options),
        }
    }
}

impl ModelCard {
    /// Reads a card.
    ///
    /// # Errors
    /// [`CardError::Format`] with the line that is not understood, [`CardError::Inconsistent`] if its parts do not fit
    /// one another, [`CardError::Graph`] if the network cannot run.
    pub fn from_toml(text: &str) -> Result<Self, CardError> {
        let card: Self = toml::from_str(text).map_err(|error| CardError::Format(error.to_string()))?;
        card.graph()?;
        Ok(card)
    }

    /// The card as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("cards hold nothing TOML cannot say")
    }

    /// The network, checked against the rest of the card.
    ///
    /// # Errors
    /// As [`ModelCard::from_toml`].
    pub fn graph(&self) -> Result<Graph, CardError> {
        let graph = self.network.graph()?;
        let fail = |reason: String| Err(CardError::Inconsistent { model: self.name.clone(), reason });
        if graph.output_channels() != self.outputs.len() {
            return fail(format!("{} outputs named, the network has {}", self.outputs.len(), graph.output_channels()));
        }
        if graph.size_divisor() != self.input.size_divisor {
            let (found, needed) = (self.input.size_divisor, graph.size_divisor());
            return fail(format!("size_divisor is {found:?}, the network needs {needed:?}"));
        }
        let channels = graph.input_channels();
        if self.network.dims == Dims::Two
            && (channels.is_multiple_of(2) || (channels > 1) != (self.input.neighbour_mm > 0.0))
        {
            let mm = self.input.neighbour_mm;
            return fail(format!("a network of {channels} input channels cannot see slices {mm} mm apart"));
        }
        let window = self.input.window_high_hu - self.input.window_low_hu;
        if window.is_nan() || window <= 0.0 {
            return fail("the HU window is empty".into());
        }
        match self.outputs.iter().find(|output| !(output.threshold > 0.0 && output.threshold < 1.0)) {
            Some(output) => fail(format!("the threshold of `{}` is not between 0 and 1", output.name)),
            None => Ok(graph),
        }
    }

    /// Index of a named output channel.
    pub fn output_index(&self, name: &str) -> Option<usize> {
        self.outputs.iter().position(|output| output.name == name)
    }

    /// Joins the card with its weight file.
    ///
    /// # Errors
    /// [`CardError::Altered`] if the bytes are not exactly those the card was written for; [`CardError::Weights`] if
    /// they are not weights of this network.
    pub fn with_weights(self, bytes: &[u8]) -> Result<Model, CardError> {
        let found = sha256_hex(bytes);
        if found != self.weights.sha256 {
            return Err(CardError::Altered { model: self.name, expected: self.weights.sha256, found });
        }
        let graph = self.graph()?;
        let mut weights = Weights::from_safetensors(bytes)?;
        let familiarity = Familiarity::take(&mut weights);
        weights.check(&graph)?;
        let size = graph.channels(graph.encoder().output());
        if self.familiar.is_some() != familiarity.is_some() || familiarity.as_ref().is_some_and(|f| f.size() != size) {
            let reason = "the card's section `familiar` and the weight file do not fit one another".into();
            return Err(CardError::Inconsistent { model: self.name, reason });
        }
        Ok(Model { card: self, graph, weights, familiarity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unet::{Activation, Norm, Stem};

    fn card_and_weights() -> (ModelCard, Vec<u8>) {
        let network = UNet {
            dims: Dims::Two,
            input_channels: 1,
            output_channels: 1,
            stem: Stem::Half,
            channels: vec![2, 3],
            convs_per_stage: 1,
            norm: Norm::Batch,
            activation: Activation::Relu,
        };
        let mut weights = Weights::new();
        for parameter in network.graph().unwrap().parameters() {
            let count = parameter.shape.iter().product();
            weights.insert(parameter.name, parameter.shape, vec![0.25; count]);
        }
        let bytes = weights.to_safetensors();
        let card = ModelCard {
            name: "test".into(),
            version: "1".into(),
            licence: "none".into(),
            intended_use: "tests".into(),
            limits: vec!["knows nothing".into()],
            weights: WeightFile { file: "weights.safetensors".into(), sha256: sha256_hex(&bytes) },
            input: Input {
                window_low_hu: -1250.0,
                window_high_hu: 250.0,
                pixel_mm: 1.4,
                pixel_mm_range: [1.0, 2.0],
                size_divisor: [1, 4, 4],
                neighbour_mm: 0.0,
            },
            outputs: vec![Output { name: "lung".into(), meaning: "lung".into(), threshold: 0.5 }],
            network,
            data: vec![],
            trust: None,
            familiar: None,
            int8: None,
            training: toml::Table::new(),
            results: toml::Table::new(),
        };
        (card, bytes)
    }

    #[test]
    fn toml_and_back() {
        let (mut card, bytes) = card_and_weights();
        card.results.insert("dice".into(), 0.9.into());
        let read = ModelCard::from_toml(&card.to_toml()).unwrap();
        assert_eq!(read, card);
        assert_eq!(read.with_weights(&bytes).unwrap().weights.len(), 22);
    }

    #[test]
    fn small_numbers_only_where_they_cost_nothing() {
        let (mut card, bytes) = card_and_weights();
        let ranges = BTreeMap::from([("enc1.conv1".to_owned(), [-0.5, 2.0])]);
        let calibration = serde_json::from_value(serde_json::json!({ "ranges": ranges })).unwrap();
        let dice_change = BTreeMap::from([("lung".to_owned(), -0.0009), ("lesion".to_owned(), 0.0002)]);
        card.int8 = Some(Int8 { measured_on: "tests".into(), dice_change, calibration });
        let card = ModelCard::from_toml(&card.to_toml()).unwrap();
        let fast = Precision::Int8.is_fast_here();
        let expected = if fast { Precision::Int8 } else { Precision::F32 };
        let mut model = card.with_weights(&bytes).unwrap();
        assert_eq!(model.precision(), expected);
        model.card.int8.as_mut().unwrap().dice_change.insert("lesion".into(), -0.0011);
        assert_eq!(model.precision(), Precision::F32);
    }

    #[test]
    fn an_altered_weight_file_is_refused() {
        let (card, mut bytes) = card_and_weights();
        *bytes.last_mut().unwrap() ^= 1;
        let error = card.with_weights(&bytes).unwrap_err();
        assert!(matches!(error, CardError::Altered { .. }), "{error}");
        assert!(error.to_string().contains("altered"), "{error}");
    }

    #[test]
    fn a_card_that_contradicts_itself_is_refused() {
        let changes: [fn(&mut ModelCard); 6] = [
            |card| card.network.input_channels = 2,
            |card| card.input.neighbour_mm = 3.0,
            |card| card.input.size_divisor = [1, 8, 8],
            |card| card.outputs.clear(),
            |card| card.input.window_high_hu = card.input.window_low_hu,
            |card| card.outputs[0].threshold = 1.0,
        ];
        for change in changes {
            let (mut card, _) = card_and_weights();
            change(&mut card);
            assert!(matches!(ModelCard::from_toml(&card.to_toml()), Err(CardError::Inconsistent { .. })));
        }
    }

    #[test]
    fn neighbouring_slices() {
        let input = Input { neighbour_mm: 3.0, ..card_and_weights().0.input };
        let seen = |channels, index, spacing_mm| input.slices_seen(channels, index, 20, spacing_mm).collect::<Vec<_>>();
        assert_eq!(seen(1, 7, Some(1.0)), [7]);
        assert_eq!(seen(3, 7, Some(1.0)), [4, 7, 10]);
        assert_eq!(seen(3, 7, Some(8.0)), [6, 7, 8], "thick slices: the next ones");
        assert_eq!(seen(5, 7, None), [5, 6, 7, 8, 9]);
        assert_eq!(seen(3, 1, Some(1.0)), [0, 1, 4], "the ends are repeated");
        assert_eq!(seen(3, 19, Some(1.0)), [16, 19, 19]);
    }

    #[test]
    fn grey_values() {
        let input = card_and_weights().0.input;
        for (hu, grey) in [(-1250.0, 0.0), (-500.0, 0.5), (250.0, 1.0), (3000.0, 1.0), (-2000.0, 0.0), (f32::NAN, 0.0)]
        {
            assert_eq!(input.grey_from_hu(hu), grey);
        }
        assert_eq!(input.grey_from_8_bit(255), 1.0);
        let output = Output { name: String::new(), meaning: String::new(), threshold: 0.5 };
        assert_eq!(output.logit_threshold(), 0.0);
    }
}
