//! From a chest CT to findings and label map.

use std::time::Instant;

use hilum_findings::{
    Classification, Findings, FindingsInput, Fissure, FissureConfidence, KindMethod, MeasureError,
    Model as ModelFinding, NotKnown, Note, OutOfDistribution, Severity, Software, Timings, measure,
};
use hilum_nn::{EngineError, EngineOptions, Model, ModelCard, Runtime};
use hilum_volume::{AxisOrder, LabelMap, Orientation, Volume};
use rayon::prelude::*;

use crate::lesions::{self, LesionRules};
use crate::lobes::{self, Lobes};
use crate::lungs::{self, LungError, LungNote, LungOptions, Lungs};
use crate::{Masks, Study, slices};

/// Name of this product in the findings.
pub const PRODUCT: &str = "hilum-lung";

/// HU of air: what a straightened volume holds where the tilted one has nothing.
const AIR_HU: i16 = -1024;

/// The lesion network, ready to run.
#[derive(Debug)]
pub struct LesionNetwork {
    runtime: Box<dyn Runtime>,
    card: ModelCard,
}

/// Why a card's network cannot serve as the lesion network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The channels are others.
    #[error("the model `{name}` does not predict lung, lesion and consolidation in this order")]
    Outputs {
        /// Name in the card.
        name: String,
    },
    /// The engine cannot run it.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl LesionNetwork {
    /// Prepares a model for this processor; `threads` of 0 takes all.
    ///
    /// # Errors
    /// [`NetworkError`] if the model predicts something else or cannot run.
    pub fn new(model: Model, threads: usize) -> Result<Self, NetworkError> {
        let engine =
            model.engine(EngineOptions { threads, precision: model.precision(), ..EngineOptions::default() })?;
        Self::on(Box::new(engine), model.card)
    }

    /// The model of `card`, already made ready by whatever runs it.
    ///
    /// # Errors
    /// [`NetworkError::Outputs`] if the model predicts something else.
    pub fn on(runtime: Box<dyn Runtime>, card: ModelCard) -> Result<Self, NetworkError> {
        let outputs: Vec<&str> = card.outputs.iter().map(|o| o.name.as_str()).collect();
        if outputs != ["lung", "lesion", "consolidation"] {
            return Err(NetworkError::Outputs { name: card.name });
        }
        Ok(Self { runtime, card })
    }

    /// Its card.
    #[must_use]
    pub fn card(&self) -> &ModelCard {
        &self.card
    }
}

/// What came out of one study.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// All findings but what only the caller knows: `created`, load and report times, peak memory.
    pub findings: Findings,
    /// On the series' own grid: 1 to 5 lobes, 11 ground-glass, 12 consolidation.
    pub labels: LabelMap,
    /// On the same grid: the lobes alone, 1 to 5, also where a lesion hides them in `labels`.
    pub lobes: LabelMap,
    /// What the network said of every voxel of its own, coarser grid before rules were applied: probability of lesion, 0
    /// (0 %) to 255 (100 %).
    pub lesion_probability: Volume<u8>,
}

/// Why a study has no findings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnalysisError {
    /// The scan shows no chest: the study is refused.
    #[error(transparent)]
    Lungs(#[from] LungError),
    /// The network failed.
    #[error(transparent)]
    Network(#[from] EngineError),
    /// The label maps do not fit the CT: a fault of ours.
    #[error(transparent)]
    Measure(#[from] MeasureError),
}

/// A step of the analysis, for progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The network looks at every slice.
    Network,
    /// Lungs are outlined.
    Lungs,
    /// Lobes are told apart.
    Lobes,
    /// Lesions are outlined.
    Lesions,
    /// Everything is counted and scored.
    Measure,
}

impl Stage {
    /// The step in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "looking at every slice",
            Self::Lungs => "outlining the lungs",
            Self::Lobes => "telling the lobes apart",
            Self::Lesions => "outlining lesions",
            Self::Measure => "measuring",
        }
    }
}

/// Analyses one chest CT.
///
/// The result is on the grid of `study.volume` and depends neither on the number of threads nor on the order of its axes.
/// `progress` gets a stage and the share of it that is done, 0 to 1.
///
/// # Errors
/// [`AnalysisError::Lungs`] if the scan does not show a chest; the others are faults of ours or of the model.
pub fn analyze(
    study: &Study,
    network: &LesionNetwork,
    software: Software,
    progress: &(dyn Fn(Stage, f32) + Sync),
) -> Result<Analysis, AnalysisError> {
    analyze_with(study, network, software, None, progress)
}

/// As [`analyze()`], with lobes or opacities of a reader in place of ours. They lie on the grid of `study.volume`; what they
/// do not have is found as ever.
///
/// # Errors
/// As [`analyze()`]; [`AnalysisError::Measure`] also if the masks lie on another grid or leave no lung.
pub fn analyze_with(
    study: &Study,
    network: &LesionNetwork,
    software: Software,
    masks: Option<&Masks>,
    progress: &(dyn Fn(Stage, f32) + Sync),
) -> Result<Analysis, AnalysisError> {
    let mut timings = Timings::default();
    let upright = Upright::of(&study.volume);
    let ct = upright.volume(&study.volume);

    let started = Instant::now();
    let report = |fraction| progress(Stage::Network, fraction);
    let prediction = slices::predict(network.runtime.as_ref(), &network.card.input, &ct, &report)?;
    let predicted = started.elapsed();

    progress(Stage::Lungs, 0.0);
    let started = Instant::now();
    let lung_probability = prediction.lung.map(|p| f32::from(*p) / 255.0);
    let lungs = lungs::segment(&ct, Some(&lung_probability), &LungOptions::default())?;
    drop(lung_probability);
    timings.lungs = Some(started.elapsed().as_secs_f64());

    progress(Stage::Lobes, 0.0);
    let started = Instant::now();
    let lobes = lobes::segment(&ct, &lungs, &lobes::LobeOptions::default());
    timings.lobes = Some(started.elapsed().as_secs_f64());

    progress(Stage::Lesions, 0.0);
    let started = Instant::now();
    let rules = LesionRules::default();
    let lobes_coarse = lobes.labels().resample_nearest(prediction.ct.geometry());
    let found = lesions::find(&prediction, &lobes_coarse.labels().map(|l| *l > 0), &rules);
    let lesion_probability = prediction.lesion;
    let lesion_labels = lesions::on_ct_grid(&found.labels, lobes.labels());
    timings.lesions = Some((predicted + started.elapsed()).as_secs_f64());

    progress(Stage::Measure, 0.0);
    let started = Instant::now();
    let own = |labels: &LabelMap| upright.back(labels, &study.volume);
    let (mut lobe_labels, mut lesion_labels) = (own(lobes.labels()), own(&lesion_labels));
    let mut notes = quality_notes(&lungs, &lobes, network.card(), &ct);
    if let Some(masks) = masks {
        lobe_labels = masks.lobes.clone().unwrap_or(lobe_labels);
        lesion_labels = masks.lesions.clone().unwrap_or(lesion_labels);
        notes.push(Note::new("masks-given", Severity::Info, masks.sentence()));
    }
    let slice_probability = upright.slice_probability(&found.slice_probability, &study.volume);
    let measured = measure(&study.volume, &lobe_labels, &lesion_labels, slice_probability.as_deref())?;
    let mut findings = Findings::analysed(FindingsInput {
        product: PRODUCT.into(),
        software,
        models: vec![describe(network)],
        series: study.series.clone(),
        measurements: &measured,
        kind_method: KindMethod::HuThreshold,
        kind_method_text: kind_method_text(&rules),
        fissures: fissures(fissure_confidence(&lungs, &lobes)),
        partial_lungs: lungs.notes().iter().any(LungNote::is_a_large_cut).then(|| PARTIAL_LUNGS.into()),
        quality_notes: notes,
        out_of_distribution: OutOfDistribution::default(),
        classification: Classification::default(),
        not_known: not_known(slice_probability.is_some()),
    });
    timings.measure = Some(started.elapsed().as_secs_f64());
    findings.timings_s = timings;
    progress(Stage::Measure, 1.0);
    Ok(Analysis {
        findings,
        labels: joined(lobe_labels.clone(), &lesion_labels),
        lobes: lobe_labels,
        lesion_probability,
    })
}

/// How a series is brought upright (axial order, right angles) and back.
struct Upright {
    order: AxisOrder,
    sheared: bool,
}

impl Upright {
    fn of(volume: &Volume<i16>) -> Self {
        let geometry = volume.geometry();
        Self { order: AxisOrder::towards(geometry, Orientation::Axial), sheared: !geometry.is_orthogonal() }
    }

    fn volume(&self, volume: &Volume<i16>) -> Volume<i16> {
        if self.sheared {
            return volume.deskewed(AIR_HU).reordered(self.order);
        }
        volume.reordered(self.order)
    }

    /// Labels of the upright volume on the grid of `original`.
    fn back(&self, labels: &LabelMap, original: &Volume<i16>) -> LabelMap {
        let labels = LabelMap::new(labels.labels().reordered(self.order.inverse()));
        if self.sheared { labels.resample_nearest(original.geometry()) } else { labels }
    }

    /// Values per coarse axial slice as values per slice of the original in stored order; `None` if its slices are not
    /// axial.
    fn slice_probability(&self, coarse: &[f32], original: &Volume<i16>) -> Option<Vec<f32>> {
        let (axis, reversed) = self.order.0[0];
        (axis == 0).then(|| {
            let slices = original.shape()[0];
            let upright = |s: usize| if reversed { slices - 1 - s } else { s };
            (0..slices).map(|s| coarse[lesions::coarse_slice(upright(s), slices, coarse.len())]).collect()
        })
    }
}

/// One map of both: a lesion hides the lobe beneath it.
fn joined(mut lobes: LabelMap, lesions: &LabelMap) -> LabelMap {
    lobes.labels_mut().data_mut().par_iter_mut().zip(lesions.labels().data()).for_each(|(lobe, lesion)| {
        if *lesion != 0 {
            *lobe = *lesion;
        }
    });
    lobes
}

fn describe(network: &LesionNetwork) -> ModelFinding {
    let card = &network.card;
    ModelFinding {
        name: card.name.clone(),
        version: card.version.clone(),
        sha256: card.weights.sha256.clone(),
        card: format!("{}/card.toml", card.name),
        computed_by: Some(network.runtime.name()),
        purpose: Some("Lungs and lesions, slice by slice.".into()),
        licence: Some(card.licence.clone()),
        limits: card.limits.clone(),
    }
}

fn kind_method_text(rules: &LesionRules) -> String {
    format!(
        "The network finds lesions, and so does density where parenchyma of {} HU or more fills a ball of {} mm across. Their \
         kind is told by density: where the local mean reaches {} HU it is consolidation, below that ground-glass.",
        rules.bulk_from_hu,
        2.0 * rules.bulk_radius_mm,
        rules.consolidation_from_hu
    )
}

/// Why there are no scores if a large part of the lungs lies outside the scan.
const PARTIAL_LUNGS: &str = "A large part of the lungs is not in the scan: volumes and percentages hold for the part that is, and scores \
                             of whole lobes and lungs are not given.";

/// Trust in each fissure. What is not seen is placed by the average of whole lungs: where much of the lungs lies outside the
/// scan, that average is laid over the wrong part, and what was "seen" along it may be anything.
fn fissure_confidence(lungs: &Lungs, lobes: &Lobes) -> [f64; 3] {
    let partial = lungs.notes().iter().any(LungNote::is_a_large_cut);
    lobes.confidence().map(|confidence| if partial { confidence.min(PARTIAL_CHEST_CONFIDENCE) } else { confidence })
}

/// Most trust in a fissure of a chest that is not wholly in the scan: below what counts as seen in part.
const PARTIAL_CHEST_CONFIDENCE: f64 = 0.2;

fn fissures(confidence: [f64; 3]) -> Vec<FissureConfidence> {
    let names = [Fissure::RightOblique, Fissure::RightHorizontal, Fissure::LeftOblique];
    names
        .into_iter()
        .zip(confidence)
        .map(|(name, confidence)| {
            let text = match confidence {
                c if c >= 0.6 => "Seen along most of its course.",
                c if c >= 0.3 => "Seen in part; elsewhere placed by the average chest.",
                _ => "Hardly seen, or not to be trusted in a scan of part of the chest: the lobes beside it are uncertain.",
            };
            FissureConfidence { name, confidence: Some(confidence), text: Some(text.into()) }
        })
        .collect()
}

fn quality_notes(lungs: &Lungs, lobes: &Lobes, card: &ModelCard, ct: &Volume<i16>) -> Vec<Note> {
    // A lung that is not there is noted with the measurements.
    let of_lungs = lungs.notes().iter().filter(|note| !matches!(note, LungNote::Missing { .. }));
    let mut notes: Vec<Note> = of_lungs.map(|note| Note::new(note.code(), note.severity(), note.to_string())).collect();
    if fissure_confidence(lungs, lobes).iter().any(|c| *c < 0.3) {
        let text = "At least one fissure was hardly seen or is not to be trusted: lobe volumes and scores per lobe are estimates.";
        notes.push(Note::new("fissures-unsure", Severity::Warning, text));
    }
    let pixel_mm = ct.geometry().spacing_mm()[1].max(ct.geometry().spacing_mm()[2]);
    if pixel_mm > card.input.pixel_mm_range[1] {
        let text = format!("The pixels of {pixel_mm:.1} mm are coarser than the network was taught on.");
        notes.push(Note::new("coarse-pixels", Severity::Warning, text));
    }
    notes
}

fn not_known(slices_have_probability: bool) -> Vec<NotKnown> {
    let mut reasons = vec![
        NotKnown::new(
            "classification",
            "No classifier is offered: there are no honest data here to teach and test one on whole CTs in HU.",
        ),
        NotKnown::new("quality.out_of_distribution", "No detector for unusual studies was run."),
    ];
    if !slices_have_probability {
        let reason = "The network looks at axial slices, and those of this series are not axial.";
        reasons.push(NotKnown::new("lesions.slices[].probability", reason));
    }
    reasons
}
