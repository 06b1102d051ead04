//! From measurements to findings.

use hilum_volume::Geometry;

use crate::clinical::{
    AERATION_LIMITS_HU, BILATERAL_FROM_SHARE, EMPHYSEMA_BELOW_HU, FOCUS_FROM_ML, HISTOGRAM_BIN_HU, HISTOGRAM_BINS,
    HISTOGRAM_FROM_HU, KIND_SHARE, LISTED_FROM_ML, PERIPHERAL_DEPTH_MM, WELL_AERATED_HU,
};
use crate::components::ComponentCounts;
use crate::definitions::{define_interval, define_kinds, define_slice_probability, definitions};
use crate::{
    Aeration, Anatomy, Class, Classification, CoRadsEvidence, Distribution, Findings, FissureConfidence, Grid,
    HuHistogram, KindMethod, LesionComponent, LesionInterval, LesionKind, Lesions, Lobe, LobeAnatomy, LobeLesions,
    LungVolume, Measurements, Model, NotKnown, Note, OutOfDistribution, Quality, SCHEMA_VERSION, Scores, Series,
    Severity, Side, SliceLesions, SmallComponents, Software, assess_quality, ct_severity, ctss_of_lobe, lss_of_lobe,
    suggest_co_rads, triage,
};

/// What a product hands over to have its findings written.
#[derive(Clone, Debug)]
pub struct FindingsInput<'a> {
    /// The product, such as `hilum-lung`.
    pub product: String,
    /// The program.
    pub software: Software,
    /// The models that were run.
    pub models: Vec<Model>,
    /// The series that was read, see [`Series::on_grid`].
    pub series: Series,
    /// What was counted.
    pub measurements: &'a Measurements,
    /// How ground-glass and consolidation were told apart.
    pub kind_method: KindMethod,
    /// The same in a sentence or two, with the cut points.
    pub kind_method_text: String,
    /// Where the true volume of opacities lies, if the model was measured so that this is known.
    pub lesion_interval: Option<VolumeInterval>,
    /// How the probability of a slice came about, in a sentence or two; empty if there is none.
    pub slice_probability_text: String,
    /// How surely the fissures were found; empty if that was not assessed.
    pub fissures: Vec<FissureConfidence>,
    /// What the product has to say about quality, beside the notes of the series.
    pub quality_notes: Vec<Note>,
    /// Why whole lungs cannot be measured, in one sentence, if a large part of them is not in the scan: scores of whole lobes
    /// and lungs are null then, and the findings are not usable as they stand.
    pub partial_lungs: Option<String>,
    /// How far the study lies from the training data; null within if no detector was run.
    pub out_of_distribution: OutOfDistribution,
    /// Kind of pneumonia; null within if no classifier is offered.
    pub classification: Classification,
    /// Why fields are null, where the product knows better than the general reasons.
    pub not_known: Vec<NotKnown>,
}

/// Volumes between which the true one lies.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeInterval {
    /// The lower one.
    pub low_ml: f64,
    /// The higher one.
    pub high_ml: f64,
    /// In which share of studies, 0 to 1.
    pub coverage: f64,
    /// How it was found, and on whom, in a sentence or two.
    pub text: String,
}

/// A study that could not be analysed.
#[derive(Clone, Debug)]
pub struct RefusalInput {
    /// The product, such as `hilum-lung`.
    pub product: String,
    /// The program.
    pub software: Software,
    /// What is known of the series, if one was chosen.
    pub series: Option<Series>,
    /// Stable name of the reason, such as `not-ct`.
    pub code: String,
    /// The reason in one sentence that a technician understands.
    pub reason: String,
}

impl Findings {
    /// The findings of an analysed study: measurements scored, explained and judged.
    #[must_use]
    pub fn analysed(input: FindingsInput<'_>) -> Self {
        let measured = input.measurements;
        let told_apart = input.kind_method != KindMethod::NotToldApart;
        let mut lesions = lesions(measured, input.kind_method, &input.kind_method_text);
        let spacing_mm = input.series.spacing_mm.map_or(0.0, |spacing| spacing[0]);
        if let Some(interval) = &input.lesion_interval {
            lesions.interval = interval.on(measured);
        }
        let mut scores = scores(measured, &lesions.distribution, spacing_mm);
        let mut quality =
            assess_quality(&input.series.notes, &input.quality_notes, measured, spacing_mm, input.out_of_distribution);
        let mut triage = triage(&scores, measured.percent_of_lung());
        let mut definitions = definitions();
        definitions.push(define_kinds(input.kind_method, &input.kind_method_text));
        definitions.extend(input.lesion_interval.as_ref().map(|interval| define_interval(&interval.text)));
        if !input.slice_probability_text.is_empty() {
            definitions.push(define_slice_probability(&input.slice_probability_text));
        }
        let mut not_known = input.not_known;
        if !told_apart {
            for field in KIND_FIELDS {
                not_known.push(NotKnown::new(field, "Ground-glass and consolidation were not told apart."));
            }
        }
        for lobe in Lobe::ALL.iter().filter(|lobe| measured.lobes[**lobe as usize].voxels == 0) {
            let reason = format!("The {} was not found, so it has no percentage and no score.", lobe.name());
            for field in MISSING_LOBE_FIELDS {
                not_known.push(NotKnown::new(field, reason.clone()));
            }
        }
        if let Some(reason) = input.partial_lungs {
            scores = Scores::default();
            for lobe in &mut lesions.lobes {
                (lobe.score_0_5, lobe.lss_0_4, lobe.lhos_0_4) = (None, None, None);
            }
            triage = triage.of_partial_lungs(&reason);
            quality.usable = false;
            not_known.extend(WHOLE_LUNG_FIELDS.map(|field| NotKnown::new(field, reason.clone())));
        }
        let mut classification = input.classification;
        let relied_on = quality.usable
            && quality.out_of_distribution.flag != Some(true)
            && quality.reasons.iter().all(|note| note.severity != Severity::Severe);
        if classification.decision.is_none() && relied_on && scores.co_rads.grade == Some(1) {
            classification.decision = Some(Class::Normal);
        }
        if measured.lesion_voxels() == 0 {
            not_known.push(NotKnown::new("lesions.distribution", "There is no opacity, so it has no distribution."));
        }
        Self {
            schema_version: SCHEMA_VERSION.into(),
            product: input.product,
            software: input.software,
            models: input.models,
            series: input.series,
            anatomy: anatomy(measured, input.fissures),
            lesions,
            scores,
            classification,
            hu_histogram: HuHistogram {
                lung: measured.lung_histogram.clone(),
                lesion: measured.lesion_histogram.clone(),
                bin_width_hu: Some(HISTOGRAM_BIN_HU.into()),
                first_bin_hu: Some(HISTOGRAM_FROM_HU.into()),
            },
            quality,
            triage,
            definitions,
            not_known,
            ..Self::default()
        }
    }

    /// The findings of a refused study: not usable, with the reason, and all else null.
    #[must_use]
    pub fn refused(input: RefusalInput) -> Self {
        let series = input.series.unwrap_or_default();
        let note = Note::new(input.code, Severity::Severe, input.reason);
        let reason = format!("The study was not analysed. {}", note.text);
        let everything = [
            "series",
            "anatomy",
            "lesions",
            "scores",
            "classification",
            "hu_histogram",
            "quality.out_of_distribution",
            "triage",
        ];
        Self {
            schema_version: SCHEMA_VERSION.into(),
            product: input.product,
            software: input.software,
            series,
            quality: Quality { usable: false, reasons: vec![note], ..Quality::default() },
            not_known: everything.map(|field| NotKnown::new(field, reason.clone())).into(),
            ..Self::default()
        }
    }
}

impl Series {
    /// The number, spacing, orientation and place of the slices of a grid; everything else is left empty.
    #[must_use]
    pub fn on_grid(grid: &Geometry) -> Self {
        Self {
            slices: Some(grid.shape()[0]),
            spacing_mm: Some(grid.spacing_mm().map(|mm| rounded(mm, 6))),
            orientation: Some(orientation(grid).into()),
            grid: Some(Grid {
                shape: grid.shape(),
                origin_lps_mm: grid.origin().0.map(|mm| rounded(mm, 6)),
                axes_lps: grid.axes().map(|axis| axis.0.map(|cosine| rounded(cosine, 9))),
            }),
            ..Self::default()
        }
    }
}

impl VolumeInterval {
    /// As it goes into the findings: with percentages, and the measured volume within.
    fn on(&self, measured: &Measurements) -> LesionInterval {
        let (low, high) = (self.low_ml.min(measured.lesion_ml()), self.high_ml.max(measured.lesion_ml()));
        let high = high.min(measured.lung_ml());
        let percent = |ml: f64| Some(rounded(100.0 * ml / measured.lung_ml(), 4));
        LesionInterval {
            coverage: Some(rounded(self.coverage, 4)),
            low_ml: Some(rounded(low, 3)),
            high_ml: Some(rounded(high, 3)),
            low_percent: percent(low),
            high_percent: percent(high),
        }
    }
}

/// Fields that are null if ground-glass and consolidation were not told apart.
const KIND_FIELDS: [&str; 7] = [
    "lesions.ground_glass_ml",
    "lesions.consolidation_ml",
    "lesions.lobes[].ground_glass_ml",
    "lesions.lobes[].consolidation_ml",
    "lesions.components[].ground_glass_ml",
    "lesions.components[].consolidation_ml",
    "lesions.distribution.ground_glass_share",
];

/// Fields that are null if a large part of the lungs is not in the scan.
const WHOLE_LUNG_FIELDS: [&str; 4] =
    ["scores", "lesions.lobes[].score_0_5", "lesions.lobes[].lss_0_4", "lesions.lobes[].lhos_0_4"];

/// Fields that are null if a lobe was not found.
const MISSING_LOBE_FIELDS: [&str; 9] = [
    "anatomy.lobes[].mean_hu",
    "lesions.lobes[].percent",
    "lesions.lobes[].percent_high_opacity",
    "lesions.lobes[].score_0_5",
    "lesions.lobes[].lss_0_4",
    "lesions.lobes[].lhos_0_4",
    "scores.ctss_0_25",
    "scores.lss_0_20",
    "scores.lhos_0_20",
];

/// `axial`, `coronal` or `sagittal` if the slices lie within 10° of that plane, else `oblique`.
fn orientation(grid: &Geometry) -> &'static str {
    let normal = grid.axes()[1].cross(grid.axes()[2]);
    let along = normal.times(1.0 / normal.length_mm()).0.map(f64::abs);
    let limit = 10.0_f64.to_radians().cos();
    // The normal of the slices, not the slice axis: a tilted gantry makes oblique slices that stack along z.
    match along.iter().position(|cosine| *cosine >= limit) {
        Some(0) => "sagittal",
        Some(1) => "coronal",
        Some(_) => "axial",
        None => "oblique",
    }
}

fn anatomy(measured: &Measurements, fissures: Vec<FissureConfidence>) -> Anatomy {
    let lobes = Lobe::ALL.map(|name| {
        let counts = &measured.lobes[name as usize];
        LobeAnatomy {
            name,
            volume_ml: Some(rounded(measured.ml(counts.voxels), 3)),
            mean_hu: mean_hu(counts.hu_sum, counts.voxels),
        }
    });
    let between = |from, to| Some(rounded(measured.percent_between(from, to), 3));
    let [hyper, normal, poor] = AERATION_LIMITS_HU;
    let lowest = HISTOGRAM_FROM_HU;
    let highest = HISTOGRAM_FROM_HU + HISTOGRAM_BIN_HU * HISTOGRAM_BINS as i16;
    Anatomy {
        lung_volume_ml: LungVolume {
            total: Some(rounded(measured.lung_ml(), 3)),
            right: Some(rounded(measured.side_ml(Side::Right), 3)),
            left: Some(rounded(measured.side_ml(Side::Left), 3)),
        },
        lobes: lobes.into(),
        fissures,
        aeration: Aeration {
            hyperinflated_percent: between(lowest, hyper),
            normal_percent: between(hyper, normal),
            poor_percent: between(normal, poor),
            none_percent: between(poor, highest),
            emphysema_laa_950_percent: between(lowest, EMPHYSEMA_BELOW_HU),
            well_aerated_percent: between(WELL_AERATED_HU[0], WELL_AERATED_HU[1]),
        },
    }
}

fn lesions(measured: &Measurements, method: KindMethod, method_text: &str) -> Lesions {
    let told_apart = method != KindMethod::NotToldApart;
    let kind_ml = |voxels: u64| told_apart.then(|| rounded(measured.ml(voxels), 3));
    let is_listed = |c: &ComponentCounts| measured.ml(c.voxels) >= LISTED_FROM_ML;
    let listed: Vec<LesionComponent> = measured
        .components
        .iter()
        .zip(&measured.component_slices)
        .filter(|(counts, _)| is_listed(counts))
        .enumerate()
        .map(|(at, (counts, slices))| component(measured, at + 1, counts, *slices, told_apart))
        .collect();
    let small = || measured.components.iter().filter(|c| !is_listed(c));
    let lobes = Lobe::ALL.map(|name| {
        let counts = &measured.lobes[name as usize];
        LobeLesions {
            name,
            percent: counts.percent().map(|p| rounded(p, 4)),
            percent_high_opacity: counts.percent_high().map(|p| rounded(p, 4)),
            score_0_5: counts.percent().map(ctss_of_lobe),
            lss_0_4: counts.percent().map(lss_of_lobe),
            lhos_0_4: counts.percent_high().map(lss_of_lobe),
            lesion_ml: Some(rounded(measured.ml(counts.lesion()), 3)),
            ground_glass_ml: kind_ml(counts.kinds[0]),
            consolidation_ml: kind_ml(counts.kinds[1]),
        }
    });
    let kind_total = |kind: usize| measured.lobes.iter().map(|lobe| lobe.kinds[kind]).sum();
    let slices = measured.slices.iter().enumerate().map(|(index, counts)| SliceLesions {
        index,
        lesion_ml: rounded(measured.ml(counts.lesion), 3),
        probability: measured.slice_probability.as_ref().map(|p| rounded(p[index].into(), 4)),
        lung_ml: rounded(measured.ml(counts.lung), 3),
    });
    Lesions {
        total_ml: Some(rounded(measured.lesion_ml(), 3)),
        ground_glass_ml: kind_ml(kind_total(0)),
        consolidation_ml: kind_ml(kind_total(1)),
        percent_of_lung: Some(rounded(measured.percent_of_lung(), 4)),
        percent_high_opacity: Some(rounded(measured.percent_high_opacity(), 4)),
        count: Some(listed.len()),
        distribution: distribution(measured, &listed, told_apart),
        components: listed,
        small_components: SmallComponents {
            below_ml: Some(LISTED_FROM_ML),
            count: Some(small().count()),
            volume_ml: Some(rounded(measured.ml(small().map(|c| c.voxels).sum()), 3)),
        },
        lobes: lobes.into(),
        slices: slices.collect(),
        kind_method: Some(method),
        kind_method_text: Some(method_text.to_owned()),
        interval: LesionInterval::default(),
    }
}

fn component(
    measured: &Measurements,
    id: usize,
    counts: &ComponentCounts,
    slice_range: [usize; 2],
    told_apart: bool,
) -> LesionComponent {
    let lobes: Vec<Lobe> = Lobe::ALL.into_iter().filter(|lobe| counts.lobes[*lobe as usize] > 0).collect();
    let most = lobes.iter().rev().max_by_key(|lobe| counts.lobes[**lobe as usize]);
    let share = |kind: usize| counts.kinds[kind] as f64 / counts.voxels as f64;
    let kind = match [share(0), share(1), share(2)] {
        _ if !told_apart => LesionKind::Unknown,
        [ground_glass, _, _] if ground_glass >= KIND_SHARE => LesionKind::GroundGlass,
        [_, consolidation, _] if consolidation >= KIND_SHARE => LesionKind::Consolidation,
        [_, _, unknown] if unknown > 1.0 - KIND_SHARE => LesionKind::Unknown,
        _ => LesionKind::Mixed,
    };
    let kind_ml = |kind: usize| told_apart.then(|| rounded(measured.ml(counts.kinds[kind]), 3));
    LesionComponent {
        id,
        volume_ml: rounded(measured.ml(counts.voxels), 3),
        lobe: *most.expect("a component lies in a lobe"),
        mean_hu: rounded(counts.hu_sum as f64 / counts.voxels as f64, 1),
        kind,
        centroid_lps_mm: counts.centroid.0.map(|mm| rounded(mm, 2)),
        slice_range,
        lobes,
        ground_glass_ml: kind_ml(0),
        consolidation_ml: kind_ml(1),
    }
}

fn distribution(measured: &Measurements, listed: &[LesionComponent], told_apart: bool) -> Distribution {
    let total = measured.lesion_voxels();
    if total == 0 {
        return Distribution { peripheral_within_mm: Some(PERIPHERAL_DEPTH_MM), ..Distribution::default() };
    }
    let share = |voxels: u64| Some(rounded(voxels as f64 / total as f64, 4));
    let sides = [Side::Right, Side::Left];
    let bilateral = sides.into_iter().all(|side| {
        let voxels: u64 = measured.of_side(side, crate::LobeCounts::lesion);
        let is_listed = listed.iter().any(|component| component.lobe.side() == side);
        is_listed && voxels as f64 >= BILATERAL_FROM_SHARE * total as f64
    });
    let lower = [Lobe::RightLower, Lobe::LeftLower].map(|lobe| measured.lobes[lobe as usize].lesion());
    let involved = Lobe::ALL.into_iter().filter(|lobe| listed.iter().any(|component| component.lobes.contains(lobe)));
    Distribution {
        bilateral: Some(bilateral),
        multifocal: Some(listed.iter().filter(|component| component.volume_ml >= FOCUS_FROM_ML).count() >= 2),
        lobes_involved: Some(involved.count()),
        peripheral_share: share(measured.placement.peripheral),
        peripheral_share_of_lung: Some(rounded(measured.placement.peripheral_share_of_lung, 4)),
        peripheral_within_mm: Some(PERIPHERAL_DEPTH_MM),
        posterior_share: share(measured.placement.posterior),
        lower_lobe_share: share(lower.iter().sum()),
        ground_glass_share: share(measured.lobes.iter().map(|lobe| lobe.kinds[0]).sum()).filter(|_| told_apart),
    }
}

fn scores(measured: &Measurements, distribution: &Distribution, slice_spacing_mm: f64) -> Scores {
    // A sum over five lobes stands only if all five are there.
    let sum = |score: &dyn Fn(&crate::LobeCounts) -> Option<u8>| measured.lobes.iter().map(score).sum::<Option<u8>>();
    let more_involved = [Side::Right, Side::Left].into_iter().filter_map(|side| measured.percent_of_side(side));
    let total = measured.lesion_voxels();
    let largest = measured.lobes.iter().map(crate::LobeCounts::lesion).max().unwrap_or(0);
    let evidence = CoRadsEvidence {
        listed_components: measured.components.iter().filter(|c| measured.ml(c.voxels) >= LISTED_FROM_ML).count(),
        percent_of_lung: measured.percent_of_lung(),
        bilateral: distribution.bilateral.unwrap_or(false),
        multifocal: distribution.multifocal.unwrap_or(false),
        peripheral_share: distribution.peripheral_share.unwrap_or(0.0),
        peripheral_share_of_lung: distribution.peripheral_share_of_lung.unwrap_or(0.0),
        posterior_share: distribution.posterior_share.unwrap_or(0.0),
        lower_lobe_share: distribution.lower_lobe_share.unwrap_or(0.0),
        largest_lobe_share: if total == 0 { 0.0 } else { largest as f64 / total as f64 },
        ground_glass_share: distribution.ground_glass_share,
        slice_spacing_mm,
    };
    Scores {
        ctss_0_25: sum(&|lobe| lobe.percent().map(ctss_of_lobe)),
        lss_0_20: sum(&|lobe| lobe.percent().map(lss_of_lobe)),
        lhos_0_20: sum(&|lobe| lobe.percent_high().map(lss_of_lobe)),
        severity_ct_0_4: more_involved.reduce(f64::max).map(ct_severity),
        co_rads: suggest_co_rads(&evidence),
    }
}

fn mean_hu(hu_sum: i64, voxels: u64) -> Option<f64> {
    (voxels > 0).then(|| rounded(hu_sum as f64 / voxels as f64, 1))
}

/// Rounded to so many decimals: what lies beyond is noise, and JSON stays readable. Never −0.
pub(crate) fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale + 0.0
}
