//! From a chest CT to findings and label map.

use std::time::Instant;

use hilum_findings::{
    Classification, Findings, FindingsInput, Fissure, FissureConfidence, KindMethod, MeasureError,
    Model as ModelFinding, NotKnown, Note, OutOfDistribution, Severity, Software, Timings, VolumeInterval, measure,
};
use hilum_nn::{EngineError, EngineOptions, FeatureEngine, Model, ModelCard, Runtime, Trust};
use hilum_volume::{AxisOrder, LabelMap, Orientation, Volume};
use rayon::prelude::*;

use crate::familiar::FamiliarityCheck;
use crate::image_checks::{ImageMeasures, ORIENTATION_CODE};
use crate::lesions::{self, Evidence, LesionRules};
use crate::lobes::{self, Lobes};
use crate::lungs::{self, LungError, LungNote, LungOptions, Lungs};
use crate::{Masks, Study, density, slices};

/// Name of this product in the findings.
pub const PRODUCT: &str = "hilum-lung";

/// HU of air: what a straightened volume holds where the tilted one has nothing.
const AIR_HU: i16 = -1024;

/// The lesion network, ready to run.
#[derive(Debug)]
pub struct LesionNetwork {
    runtime: Box<dyn Runtime>,
    card: ModelCard,
    familiarity: Option<FamiliarityCheck>,
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
        Self::on(Box::new(engine), model, threads)
    }

    /// A model that `runtime` was already made ready for.
    ///
    /// # Errors
    /// [`NetworkError`] if the model predicts something else or its encoder cannot run.
    pub fn on(runtime: Box<dyn Runtime>, model: Model, threads: usize) -> Result<Self, NetworkError> {
        let outputs: Vec<&str> = model.card.outputs.iter().map(|o| o.name.as_str()).collect();
        if outputs != ["lung", "lesion", "consolidation"] {
            return Err(NetworkError::Outputs { name: model.card.name });
        }
        let familiarity = match &model.card.familiar {
            Some(familiar) => Some(FamiliarityCheck {
                engine: FeatureEngine::new(&model, EngineOptions { threads, ..EngineOptions::default() })?,
                familiarity: model.familiarity.clone().expect("a model has what its card's section is about"),
                limit: familiar.limit,
            }),
            None => None,
        };
        Ok(Self { runtime, card: model.card, familiarity })
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
    let familiarity = network.familiarity.as_ref();
    let score = familiarity.map(|check| check.score(&prediction, &network.card.input)).transpose()?.flatten();
    let out_of_distribution = OutOfDistribution { score, flag: score.map(|score| score > 1.0) };
    let mut of_images: Vec<Note> =
        density::implausible(&prediction.ct).into_iter().chain(density::noisy(&ct)).collect();
    let predicted = started.elapsed();

    progress(Stage::Lungs, 0.0);
    let started = Instant::now();
    let lung_probability = prediction.lung.map(|p| f32::from(*p) / 255.0);
    let lungs = lungs::segment(&ct, Some(&lung_probability), &LungOptions::default())?;
    drop(lung_probability);
    of_images.extend(ImageMeasures::of(&ct, &lungs).notes());
    timings.lungs = Some(started.elapsed().as_secs_f64());

    progress(Stage::Lobes, 0.0);
    let started = Instant::now();
    let lobes = lobes::segment(&ct, &lungs, &lobes::LobeOptions::default());
    timings.lobes = Some(started.elapsed().as_secs_f64());

    progress(Stage::Lesions, 0.0);
    let started = Instant::now();
    let rules = LesionRules::default();
    let lobes_coarse = lobes.labels().resample_nearest(prediction.ct.geometry());
    let lungs_coarse = lobes_coarse.labels().map(|l| *l > 0);
    let evidence = Evidence::of(&prediction, &lungs_coarse, &rules);
    let found = evidence.lesions();
    // What holds for images like those the model was measured on says nothing of others, and nothing of a reader's outlines.
    let unlike =
        out_of_distribution.flag == Some(true) || of_images.iter().any(|note| note.severity == Severity::Severe);
    let trust = network.card.trust.as_ref().filter(|_| !unlike);
    let readers = masks.is_some_and(|masks| masks.lesions.is_some());
    let interval = trust.filter(|_| !readers).map(|trust| interval(&evidence, trust));
    let lesion_probability = prediction.lesion;
    let lesion_labels = lesions::on_ct_grid(&found.labels, lobes.labels());
    timings.lesions = Some((predicted + started.elapsed()).as_secs_f64());

    progress(Stage::Measure, 0.0);
    let started = Instant::now();
    let own = |labels: &LabelMap| upright.back(labels, &study.volume);
    let (mut lobe_labels, mut lesion_labels) = (own(lobes.labels()), own(&lesion_labels));
    let mut notes = quality_notes(&lungs, &lobes, network.card(), &ct);
    let mut unreliable = of_images.iter().any(makes_unreliable);
    notes.extend(of_images);
    if let Some(masks) = masks {
        notes.push(Note::new("masks-given", Severity::Info, masks.sentence()));
        let found = masks.lobes.clone().map(|given| std::mem::replace(&mut lobe_labels, given));
        if let Some(given) = &masks.lesions {
            lesion_labels = given.clone();
            let outside = crate::masks::fill_lobes(&mut lobe_labels, given, found.as_ref());
            unreliable |= outside.as_ref().is_some_and(|note| note.severity == Severity::Severe);
            notes.extend(outside);
        }
    }
    let calibrated: Vec<f32> = found.slice_probability.iter().map(|p| calibrated(*p, trust)).collect();
    let slice_probability = upright.slice_probability(&calibrated, &study.volume);
    let measured = measure(&study.volume, &lobe_labels, &lesion_labels, slice_probability.as_deref())?;
    let mut findings = Findings::analysed(FindingsInput {
        product: PRODUCT.into(),
        software,
        models: vec![describe(network)],
        series: study.series.clone(),
        measurements: &measured,
        kind_method: if readers { KindMethod::Given } else { KindMethod::HuThreshold },
        kind_method_text: if readers { GIVEN_KINDS.into() } else { kind_method_text(&rules) },
        fissures: fissures(fissure_confidence(&lungs, &lobes)),
        partial_lungs: lungs.notes().iter().any(LungNote::is_a_large_cut).then(|| PARTIAL_LUNGS.into()),
        quality_notes: notes,
        lesion_interval: interval,
        slice_probability_text: slice_probability.as_ref().map_or(String::new(), |_| slice_probability_text(trust)),
        out_of_distribution: rounded(out_of_distribution),
        classification: Classification::default(),
        not_known: not_known(slice_probability.is_some(), network, unlike, readers),
    });
    findings.quality.usable &= !unreliable;
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

/// The volumes between which the truth lies, by the network alone: what density decides without it is in both.
fn interval(evidence: &Evidence<'_>, trust: &Trust) -> VolumeInterval {
    VolumeInterval {
        low_ml: evidence.volume_ml(-trust.volume_offset_logits),
        high_ml: evidence.volume_ml(trust.volume_offset_logits),
        coverage: trust.volume_coverage,
        text: format!(
            "The volumes if every logit of the network were lower or higher by {:.1}, between which the labelled volume lay in \
             {:.0} % of patients (each judged by the others): {}. Readers' outlines differ among themselves; scans unlike \
             those are not covered.",
            trust.volume_offset_logits,
            100.0 * trust.volume_coverage,
            trust.measured_on
        ),
    }
}

/// The probability that a slice shows a lesion, from the one that 50 mm² of it reach.
fn calibrated(reached: f32, trust: Option<&Trust>) -> f32 {
    let Some(trust) = trust else { return reached };
    // Probabilities are kept in 255ths: 0 is less than half of one.
    let p = f64::from(reached).clamp(0.25 / 255.0, 1.0 - 0.25 / 255.0);
    let logit = trust.slice_scale * (p / (1.0 - p)).ln() + trust.slice_shift;
    (1.0 / (1.0 + (-logit).exp())) as f32
}

fn slice_probability_text(trust: Option<&Trust>) -> String {
    let reached = "The probability of lesion that 50 mm² of the slice's lung reach where it is denser than aerated, vessels aside";
    match trust {
        Some(trust) => {
            format!(
                "{reached}, mapped so that it is as often right as it says in slices of {} patients.",
                trust.slice_patients
            )
        }
        None => format!("{reached}, as the network says it: not calibrated."),
    }
}

fn rounded(found: OutOfDistribution) -> OutOfDistribution {
    OutOfDistribution { score: found.score.map(|score| (1e3 * score).round() / 1e3), ..found }
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

/// How kinds are told apart where they were given.
const GIVEN_KINDS: &str =
    "Opacities and their kinds are those of the segmentation that was given; nothing was found or judged by Hilum.";

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

/// Whether a note means that no number or side should be relied on, rather than that outlines should be checked.
fn makes_unreliable(note: &Note) -> bool {
    note.severity == Severity::Severe && [density::DENSITY_CODE, ORIENTATION_CODE].contains(&note.code.as_str())
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

fn not_known(slices_have_probability: bool, network: &LesionNetwork, unlike: bool, readers: bool) -> Vec<NotKnown> {
    let mut reasons = vec![
        NotKnown::new(
            "classification",
            "No classifier is offered: there are no honest data here to teach and test one on whole CTs in HU.",
        ),
        NotKnown::new(
            "quality.out_of_distribution",
            match network.familiarity {
                Some(_) => "No slice showed enough lung to be held against what the model learned from.",
                None => "The model does not say what images it is used to.",
            },
        ),
    ];
    if readers {
        reasons.push(NotKnown::new("lesions.interval", "The opacities are those of a reader, not of the model."));
    } else if unlike {
        let reason = "The images are unlike those the model was measured on: how far it errs here is not known.";
        reasons.push(NotKnown::new("lesions.interval", reason));
    }
    if !slices_have_probability {
        let reason = "The network looks at axial slices, and those of this series are not axial.";
        reasons.push(NotKnown::new("lesions.slices[].probability", reason));
    }
    reasons
}
