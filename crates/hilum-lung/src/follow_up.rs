//! The study beside earlier ones of the same patient: registration, comparison, cautions.

use hilum_findings::clinical::{OTHER_BREATH_FROM_SHARE, THICK_SLICES_FROM_MM};
use hilum_findings::{
    EarlierStudy, Findings, FollowUp, MeasuredStudy, Note, RegistrationFit, Severity, compare, iso_date,
};
use hilum_imaging::extent::{grown, true_extent};
use hilum_imaging::region::seeded_partition;
use hilum_imaging::registration::{Quality, RegistrationOptions, Scan, register};
use hilum_volume::{Interpolation, LabelMap, Mask, Volume};

/// Voxel of the CT kept in a result folder for a later follow-up.
const KEPT_CT_MM: f64 = 2.0;
/// Below this correlation of vessels and fissures the patients may differ. An assumption: registered scans of one person agree at
/// .9 and more on synthetic bodies; other people were not tried.
const SAME_PATIENT_CORRELATION: f64 = 0.35;

/// A study read earlier or just now, with what a comparison needs.
#[derive(Clone, Debug)]
pub struct ReadStudy {
    /// Its findings.
    pub findings: Findings,
    /// Lobes and lesions in one map, as in `labels.nii.gz`.
    pub labels: LabelMap,
    /// The lobes alone, on the same grid.
    pub lobes: LabelMap,
    /// The CT, on any grid; `None` if it was not kept.
    pub ct: Option<Volume<i16>>,
    /// How and when it was acquired.
    pub facts: StudyFacts,
}

/// What images say of patient and acquisition, as far as a comparison needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StudyFacts {
    /// A pseudonym of the patient: equal keys mean the same identity.
    pub patient_key: Option<String>,
    /// Date of acquisition, `YYYYMMDD`.
    pub date: Option<String>,
    /// Convolution kernel.
    pub kernel: Option<String>,
    /// Whether a contrast agent was given.
    pub contrast: Option<bool>,
}

impl StudyFacts {
    /// What the headers of a series say.
    #[must_use]
    pub fn of(summary: &hilum_dicom::SeriesSummary) -> Self {
        let given = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
        Self {
            patient_key: given(&summary.patient_key),
            date: given(&summary.study_date).or_else(|| given(&summary.acquisition_date)),
            kernel: given(&summary.convolution_kernel),
            contrast: Some(summary.contrast),
        }
    }
}

/// An earlier study of which there is a report alone.
#[derive(Clone, Debug)]
pub struct ReportedStudy {
    /// Its numbers.
    pub numbers: EarlierStudy,
    /// Of whom it is, and when it was.
    pub facts: StudyFacts,
}

/// A follow-up with its maps, all on the current study's grid.
#[derive(Clone, Debug)]
pub struct FollowUpResult {
    /// What goes into the findings.
    pub follow_up: FollowUp,
    /// The maps; `None` if the studies could not be brought onto each other.
    pub maps: Option<FollowUpMaps>,
}

/// Maps of a follow-up on the current study's grid.
#[derive(Clone, Debug)]
pub struct FollowUpMaps {
    /// 1 new, 2 persisting, 3 resolved.
    pub change: LabelMap,
    /// The earlier study's lesions, 11 to 13.
    pub earlier_lesions: LabelMap,
    /// The earlier CT, if it was kept.
    pub earlier_ct: Option<Volume<i16>>,
}

/// The CT around the lungs on voxels of 2 mm, to be kept beside the findings: a later study is registered to it.
#[must_use]
pub fn kept_ct(ct: &Volume<i16>, lobes: &LabelMap) -> Option<Volume<i16>> {
    let bounds = true_extent(&lobes.labels().map(|l| *l > 0))?;
    let steps = ct.geometry().spacing_mm().map(|mm| (10.0 / mm).ceil() as usize);
    let around = hilum_imaging::extent::crop(ct, grown(bounds, steps, ct.shape()));
    let grid = around.geometry().isotropic_working_grid(KEPT_CT_MM);
    Some(around.resample(&grid, Interpolation::Area, -1024))
}

/// The lobes of a joined label map, where lesions hide them: each lesion voxel takes the nearest lobe, found on 3 mm.
#[must_use]
pub fn lobes_behind_lesions(labels: &LabelMap) -> LabelMap {
    let coarse = labels.resample_nearest(&labels.geometry().isotropic_working_grid(3.0));
    let lung: Mask = coarse.labels().map(|l| *l > 0);
    let seeds = LabelMap::new(coarse.labels().map(|l| if (1..=5).contains(l) { *l } else { 0 }));
    let filled = seeded_partition(&lung, &seeds).resample_nearest(labels.geometry());
    let mut lobes = labels.labels().map(|l| if (1..=5).contains(l) { *l } else { 0 });
    for ((lobe, label), filled) in lobes.data_mut().iter_mut().zip(labels.labels().data()).zip(filled.labels().data()) {
        if *label > 5 {
            *lobe = (*filled).max(1);
        }
    }
    LabelMap::new(lobes)
}

/// Compares a study with earlier ones: with the newest voxel by voxel, with the others by their numbers.
///
/// `earlier` is put in order, the newest first; studies without a date stay behind those with one, in the order given, and those
/// that are dated after this one come last: they are compared with only where there is no other.
/// `remarks` are said among the cautions.
#[must_use]
pub fn follow_up(current: &ReadStudy, mut earlier: Vec<ReadStudy>, remarks: Vec<Note>) -> FollowUpResult {
    let date = current.facts.date.as_deref();
    earlier.sort_by(|a, b| {
        let is_later = |study: &ReadStudy| is_later(study.facts.date.as_deref(), date);
        is_later(a).cmp(&is_later(b)).then_with(|| b.facts.date.cmp(&a.facts.date))
    });
    let mut result = FollowUpResult {
        follow_up: FollowUp {
            study_date: date.and_then(iso_date),
            earlier: earlier
                .iter()
                .map(|study| EarlierStudy::of(&study.findings, study.facts.date.as_deref(), date))
                .collect(),
            comparison: None,
            cautions: remarks,
        },
        maps: None,
    };
    let Some(newest) = earlier.first() else { return result };
    let notes = &mut result.follow_up.cautions;
    notes.extend(cautions(current, newest));
    if earlier[1..].iter().any(|study| is_later(study.facts.date.as_deref(), date))
        && !notes.iter().any(|note| note.code == LATER)
    {
        let text = "One of the studies given as earlier is dated after this one; it is listed and not compared.";
        notes.push(Note::new(LATER, Severity::Warning, text));
    }
    let (region, region_before) = (lung(current), lung(newest));
    let (lesion, lesion_before) = (lesions(&current.labels), lesions(&newest.labels));
    let scan = Scan { intensity: current.ct.as_ref(), region: &region, ignored: Some(&lesion) };
    let before = Scan { intensity: newest.ct.as_ref(), region: &region_before, ignored: Some(&lesion_before) };
    let found = match register(&scan, &before, &RegistrationOptions::default()) {
        Ok(found) => found,
        Err(reason) => {
            notes.push(Note::new("not-comparable", Severity::Severe, format!("not compared: {reason}")));
            return result;
        }
    };
    notes.extend(doubts(found.quality()));
    let grid = current.labels.geometry();
    let steps = grid.spacing_mm().map(|mm| (6.0 / mm).ceil() as usize);
    let within = true_extent(&region).map(|bounds| grown(bounds, steps, grid.shape()));
    drop((region, region_before, lesion, lesion_before));
    let now = MeasuredStudy { findings: &current.findings, lobes: &current.lobes, lesions: &current.labels };
    let then = MeasuredStudy { findings: &newest.findings, lobes: &newest.lobes, lesions: &newest.labels };
    let carried = found.labels_on(&then.components(), grid, within);
    let shown = found.shown_on(newest.labels.geometry(), grid, within);
    let (comparison, change) = compare(&now, &then, &carried, &shown, fit(found.quality()));
    drop((carried, shown));
    let only_lesions = LabelMap::new(newest.labels.labels().map(|l| if *l > 5 { *l } else { 0 }));
    result.follow_up.comparison = Some(comparison);
    result.maps = Some(FollowUpMaps {
        change,
        earlier_lesions: found.labels_on(&only_lesions, grid, within),
        earlier_ct: newest.ct.as_ref().map(|ct| found.volume_on(ct, grid, within, -1024)),
    });
    result
}

impl FollowUpResult {
    /// With the numbers of studies of which there are reports alone, among the others by date.
    #[must_use]
    pub fn with_reported(mut self, current: &StudyFacts, reported: Vec<ReportedStudy>) -> Self {
        let FollowUp { earlier, cautions, .. } = &mut self.follow_up;
        for ReportedStudy { numbers, facts } in reported {
            for note in doubts_of_identity(current, &facts) {
                if !cautions.iter().any(|n| n.code == note.code) {
                    cautions.push(note);
                }
            }
            earlier.push(numbers);
        }
        earlier.sort_by(|a, b| {
            let is_later = |study: &EarlierStudy| study.days_before.is_some_and(|days| days < 0);
            is_later(a).cmp(&is_later(b)).then_with(|| b.study_date.cmp(&a.study_date))
        });
        self
    }
}

/// Code of the note that a study given as earlier is the later one.
const LATER: &str = "earlier-is-later";

/// Whether the date of an earlier study, `YYYYMMDD`, lies after this one's.
fn is_later(then: Option<&str>, now: Option<&str>) -> bool {
    matches!((then, now), (Some(then), Some(now)) if then > now)
}

fn lung(study: &ReadStudy) -> Mask {
    study.lobes.labels().map(|l| *l > 0)
}

fn lesions(labels: &LabelMap) -> Mask {
    labels.labels().map(|l| *l > 5)
}

fn fit(quality: &Quality) -> RegistrationFit {
    RegistrationFit {
        lung_dice: quality.dice,
        surface_mm: quality.surface_mm,
        texture_correlation: quality.correlation,
        deformation_mm: quality.deformation_mm,
        common_percent: 100.0 * quality.common_share_current,
        folded_percent: 100.0 * quality.folded_share,
    }
}

/// What the registration itself leaves to doubt.
fn doubts(quality: &Quality) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut say = |code: &str, severity, text: String| notes.push(Note::new(code, severity, text));
    match quality.correlation {
        None => say(
            "follow-up-by-outline",
            Severity::Warning,
            "The earlier result holds no image, so the inside of the lungs was aligned by their outline alone.".into(),
        ),
        Some(r) if r < SAME_PATIENT_CORRELATION => say(
            "follow-up-vessels-differ",
            Severity::Severe,
            format!(
                "Vessels and fissures of the two studies hardly agree (correlation {r:.2}): they may be of different patients."
            ),
        ),
        Some(_) => {}
    }
    let common = quality.common_share_current.min(quality.common_share_prior);
    if common < 0.95 {
        let text = format!(
            "Only {:.0} % of the lungs are in both scans; opacities elsewhere are not compared.",
            100.0 * common
        );
        say("follow-up-in-part", Severity::Warning, text);
    }
    if quality.dice < 0.93 {
        let text = format!("The outlines of the lungs do not lie well on each other (overlap {:.2}).", quality.dice);
        say("follow-up-outlines-differ", Severity::Warning, text);
    }
    if quality.deformation_reduced {
        let text = "The deformation folded over itself and was smoothed: places may be off by some millimetres.";
        say("follow-up-folded", Severity::Warning, text.into());
    }
    notes
}

/// Whether two studies are of one patient, and which was first.
fn doubts_of_identity(now: &StudyFacts, then: &StudyFacts) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut say = |code: &str, severity, text: String| notes.push(Note::new(code, severity, text));
    match (&now.patient_key, &then.patient_key) {
        (Some(a), Some(b)) if a != b => {
            say("other-patient-id", Severity::Severe, "The Patient IDs differ; the comparison was asked for all the same.".into());
        }
        (Some(_), Some(_)) => {}
        _ => say(
            "patient-not-checked",
            Severity::Warning,
            "At least one of the studies names no patient, so that they are of the same one rests on the sender's word.".into(),
        ),
    }
    match (&now.date, &then.date) {
        (Some(now), Some(then)) if is_later(Some(then), Some(now)) => {
            say(LATER, Severity::Severe, "The study given as earlier is dated after this one.".into());
        }
        (Some(_), Some(_)) => {}
        _ => say("dates-unknown", Severity::Info, "The interval is unknown: a study carries no date.".into()),
    }
    notes
}

/// What the acquisitions leave to doubt.
fn cautions(current: &ReadStudy, earlier: &ReadStudy) -> Vec<Note> {
    let (now, then) = (&current.facts, &earlier.facts);
    let mut notes = doubts_of_identity(now, then);
    let series = |study: &ReadStudy| study.findings.series.series_uid.clone();
    if series(current).is_some_and(|uid| series(earlier).as_ref() == Some(&uid)) {
        let text = "The study given as earlier is this very series.";
        notes.push(Note::new("earlier-is-this", Severity::Severe, text));
    }
    let mut say = |code: &str, severity, text: String| notes.push(Note::new(code, severity, text));
    if let (Some(a), Some(b)) = (&now.kernel, &then.kernel)
        && a != b
    {
        say(
            "other-kernel",
            Severity::Warning,
            format!("Other reconstruction kernel ({a}, earlier {b}): densities and edges differ."),
        );
    }
    if let (Some(a), Some(b)) = (now.contrast, then.contrast)
        && a != b
    {
        say(
            "other-contrast",
            Severity::Warning,
            "Contrast agent was given in one of the studies only: densities differ.".into(),
        );
    }
    let spacing = |study: &ReadStudy| study.findings.series.spacing_mm.map(|s| s[0]);
    if let (Some(a), Some(b)) = (spacing(current), spacing(earlier))
        && (a.max(b) >= 1.5 * a.min(b) || a.max(b) >= THICK_SLICES_FROM_MM)
    {
        let text = format!("Slices of {a:.1} mm, earlier {b:.1} mm: small opacities and volumes are less sure.");
        say("other-slices", Severity::Warning, text);
    }
    let lungs = |study: &ReadStudy| study.findings.anatomy.lung_volume_ml.total;
    if let (Some(a), Some(b)) = (lungs(current), lungs(earlier))
        && (a - b).abs() > OTHER_BREATH_FROM_SHARE * b
    {
        let text = format!(
            "Lung volume {a:.0} ml, earlier {b:.0} ml: another depth of breath, which alone changes density and the share of opacity."
        );
        say("other-breath", Severity::Warning, text);
    }
    let models = |study: &ReadStudy| study.findings.models.iter().map(|m| m.sha256.clone()).collect::<Vec<_>>();
    if models(current) != models(earlier) {
        let text = "The earlier result was made by another model: part of the change may be the models'. Analyse its images again.";
        say("other-model", Severity::Warning, text.into());
    }
    notes
}
