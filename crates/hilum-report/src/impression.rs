//! The impression: what a radiologist would dictate, put together from the findings.
//!
//! Nothing is measured here. The few cut points below only choose words for shares that `Findings` gives; the shares
//! themselves are in the report.

use hilum_findings::{Findings, FollowUp, Lobe, Priority, Severity, Side, Trend};

use crate::Language;
use crate::document::{Text, Triage};
use crate::wording::Phrase;

/// From this share of the lesion volume on, one kind is named alone. The same cut as
/// [`LesionKind::Mixed`](hilum_findings::LesionKind::Mixed) rests on.
const ONE_KIND: f64 = 0.8;
/// From this share on, one kind is called predominant. Our choice of wording.
const PREDOMINANT_KIND: f64 = 0.6;
/// From this share of the lesion volume on, a place is called the main one. Our choice of wording.
const MAIN_PLACE: f64 = 0.6;
/// "Peripheral" also needs to exceed the outer layer's share of the lung itself by this much: the outer layer is a large
/// part of any lung, so that an even distribution must not be called peripheral. Our choice of wording.
const ABOVE_EVEN: f64 = 0.1;

/// Whether nothing was measured.
pub(crate) fn is_refused(findings: &Findings) -> bool {
    findings.anatomy.lung_volume_ml.total.is_none() && findings.lesions.total_ml.is_none()
}

/// The sentences of the impression, the first being the one to read.
pub(crate) fn sentences(findings: &Findings, language: Language) -> Vec<Text> {
    if is_refused(findings) {
        return vec![
            Phrase::Refused.text(language).into(),
            refusal(findings, language),
            Phrase::RefusedNothing.text(language).into(),
        ];
    }
    let lesions = &findings.lesions;
    let mut said: Vec<Text> = vec![extent(findings, language).into()];
    if lesions.count.unwrap_or(0) > 0 {
        said.extend(lobes(findings, language).map(Text::from));
        said.push(kinds(findings, language).into());
    }
    said.extend(findings.follow_up.iter().flat_map(|follow_up| change(follow_up, language)));
    let scores = &findings.scores;
    if let (Some(ctss), Some(ct)) = (scores.ctss_0_25, scores.severity_ct_0_4) {
        let values = [("ctss", ctss.to_string()), ("ct", ct.to_string())];
        said.push(Phrase::SeverityScores.fill(language, &[("ctss", &values[0].1), ("ct", &values[1].1)]).into());
    }
    if let Some(grade) = scores.co_rads.grade {
        let suspicion = suspicion(grade).map_or("–", |p| p.text(language));
        let values = [("grade", grade.to_string()), ("suspicion", suspicion.to_string())];
        said.push(
            Phrase::CoRadsSuggestion.fill(language, &[("grade", &values[0].1), ("suspicion", &values[1].1)]).into(),
        );
    }
    said.extend(reservations(findings, language));
    said
}

/// What was compared, and what became of the opacities of both lungs; a comparison that was asked for and failed is said too.
fn change(follow_up: &FollowUp, language: Language) -> Vec<Text> {
    let mut said: Vec<Text> = vec![since(follow_up, language).into()];
    let regions = follow_up.comparison.as_ref().map(|comparison| &comparison.regions);
    if let Some(lungs) = regions.and_then(|regions| regions.iter().find(|region| region.name == "lungs")) {
        let values = [
            ("then", language.millilitres(lungs.earlier_ml)),
            ("now", language.millilitres(lungs.ml)),
            ("trend", trend_name(lungs.trend, language)),
        ];
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        said.push(Phrase::ImpressionChange.fill(language, &values).into());
    }
    said
}

/// Which study was compared with.
pub(crate) fn since(follow_up: &FollowUp, language: Language) -> String {
    let Some(compared) = follow_up.compared() else {
        return Phrase::FollowUpReported.text(language).to_string();
    };
    match follow_up.earlier.get(compared).and_then(|e| Some((e.study_date.as_ref()?, e.days_before?))) {
        Some((date, days)) => {
            Phrase::FollowUpSince.fill(language, &[("date", date), ("days", &language.number(days as f64, 0))])
        }
        None => Phrase::FollowUpUndated.text(language).to_string(),
    }
}

/// Which way something went; a dash where it is not known.
pub(crate) fn trend_name(trend: Option<Trend>, language: Language) -> String {
    let phrase = match trend {
        Some(Trend::Grown) => Phrase::TrendGrown,
        Some(Trend::Shrunk) => Phrase::TrendShrunk,
        Some(Trend::Unchanged) => Phrase::TrendUnchanged,
        None => return "–".into(),
    };
    phrase.text(language).to_string()
}

/// How soon to read the study; `None` if that was not judged.
pub(crate) fn triage(findings: &Findings, language: Language) -> Option<Triage> {
    let (phrase, level) = match findings.triage.priority? {
        Priority::Routine => (Phrase::PriorityRoutine, 0),
        Priority::Soon => (Phrase::PrioritySoon, 1),
        Priority::Urgent => (Phrase::PriorityUrgent, 2),
    };
    Some(Triage {
        label: Phrase::Triage.text(language).to_string(),
        priority: phrase.text(language).to_string(),
        level,
        reason: findings.triage.reason.as_ref().map(|r| Text::english(r, language)),
    })
}

/// The name of a lobe.
pub(crate) fn lobe_name(lobe: Lobe, language: Language) -> &'static str {
    let phrase = match lobe {
        Lobe::RightUpper => Phrase::RightUpperLobe,
        Lobe::RightMiddle => Phrase::RightMiddleLobe,
        Lobe::RightLower => Phrase::RightLowerLobe,
        Lobe::LeftUpper => Phrase::LeftUpperLobe,
        Lobe::LeftLower => Phrase::LeftLowerLobe,
    };
    phrase.text(language)
}

/// The level of suspicion a CO-RADS grade stands for (Prokop et al., Radiology 2020, doi 10.1148/radiol.2020201473).
pub(crate) fn suspicion(grade: u8) -> Option<Phrase> {
    match grade {
        1 => Some(Phrase::SuspicionVeryLow),
        2 => Some(Phrase::SuspicionLow),
        3 => Some(Phrase::SuspicionEquivocal),
        4 => Some(Phrase::SuspicionHigh),
        5 => Some(Phrase::SuspicionVeryHigh),
        _ => None,
    }
}

/// Why the study was refused: the most severe reason first.
fn refusal(findings: &Findings, language: Language) -> Text {
    match findings.quality.reasons.first() {
        Some(reason) => Text::english(&reason.text, language),
        None => Phrase::RefusedUnknown.text(language).into(),
    }
}

fn extent(findings: &Findings, language: Language) -> String {
    let lesions = &findings.lesions;
    let total = lesions.total_ml.unwrap_or(0.0);
    if total <= 0.0 {
        let lung = findings.anatomy.lung_volume_ml.total.map_or("–".to_string(), |ml| language.millilitres(ml));
        return Phrase::NoOpacity.fill(language, &[("lung", &lung)]);
    }
    let ml = language.millilitres(total);
    let percent = lesions.percent_of_lung.map_or("–".to_string(), |p| language.percent(p));
    if lesions.count == Some(0) {
        return Phrase::TraceOpacity.fill(language, &[("ml", &ml), ("percent", &percent)]);
    }
    let named = |phrases: Vec<Phrase>| phrases.into_iter().map(|p| p.text(language)).collect::<Vec<_>>().join(", ");
    let places = named(places(findings));
    let places = (!places.is_empty()).then(|| Phrase::Mainly.fill(language, &[("places", &places)]));
    let attributes = [Some(named(attributes(findings))).filter(|a| !a.is_empty()), places];
    let attributes: Vec<String> = attributes.into_iter().flatten().collect();
    if attributes.is_empty() {
        return Phrase::OpacitiesPlain.fill(language, &[("ml", &ml), ("percent", &percent)]);
    }
    let values = [("ml", ml.as_str()), ("percent", &percent), ("attributes", &attributes.join(language.semicolon()))];
    Phrase::Opacities.fill(language, &values)
}

/// Side, number and kind, as far as they are known.
fn attributes(findings: &Findings) -> Vec<Phrase> {
    let d = &findings.lesions.distribution;
    let mut said = Vec::new();
    match d.bilateral {
        Some(true) => said.push(Phrase::Bilateral),
        Some(false) => said.push(match more_involved_side(findings) {
            Side::Right => Phrase::RightSided,
            Side::Left => Phrase::LeftSided,
        }),
        None => {}
    }
    said.extend(d.multifocal.map(|many| if many { Phrase::Multifocal } else { Phrase::Focal }));
    said.extend(d.ground_glass_share.map(|share| match share {
        s if s >= ONE_KIND => Phrase::GroundGlassOnly,
        s if s >= PREDOMINANT_KIND => Phrase::GroundGlassMostly,
        s if s <= 1.0 - ONE_KIND => Phrase::ConsolidationOnly,
        s if s <= 1.0 - PREDOMINANT_KIND => Phrase::ConsolidationMostly,
        _ => Phrase::MixedKinds,
    }));
    said
}

/// Where the opacities mostly lie.
fn places(findings: &Findings) -> Vec<Phrase> {
    let d = &findings.lesions.distribution;
    let mut said = Vec::new();
    let even = d.peripheral_share_of_lung.unwrap_or(0.0) + ABOVE_EVEN;
    if d.peripheral_share.is_some_and(|s| s >= MAIN_PLACE && s >= even) {
        said.push(Phrase::Peripheral);
    }
    if d.posterior_share.is_some_and(|s| s >= MAIN_PLACE) {
        said.push(Phrase::Posterior);
    }
    if d.lower_lobe_share.is_some_and(|s| s >= MAIN_PLACE) {
        said.push(Phrase::LowerLobes);
    }
    said
}

fn more_involved_side(findings: &Findings) -> Side {
    let of = |side: Side| -> f64 {
        findings.lesions.lobes.iter().filter(|l| l.name.side() == side).filter_map(|l| l.lesion_ml).sum()
    };
    if of(Side::Right) >= of(Side::Left) { Side::Right } else { Side::Left }
}

/// The lobes that hold opacity, the most involved first; `None` if that is not known of any.
fn lobes(findings: &Findings, language: Language) -> Option<String> {
    let mut involved: Vec<(Lobe, f64)> =
        findings.lesions.lobes.iter().filter_map(|l| Some((l.name, l.percent.filter(|p| *p > 0.0)?))).collect();
    involved.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let named: Vec<String> =
        involved.iter().map(|(lobe, p)| format!("{} {}", lobe_name(*lobe, language), language.percent(*p))).collect();
    (!named.is_empty()).then(|| Phrase::LobesInvolved.fill(language, &[("lobes", &named.join(", "))]))
}

fn kinds(findings: &Findings, language: Language) -> String {
    let lesions = &findings.lesions;
    let kinds = match (lesions.ground_glass_ml, lesions.consolidation_ml) {
        (Some(ground_glass), Some(consolidation)) => Phrase::KindVolumes.fill(
            language,
            &[
                ("ground_glass", &language.millilitres(ground_glass)),
                ("consolidation", &language.millilitres(consolidation)),
            ],
        ),
        _ => Phrase::KindsNotToldApart.text(language).to_string(),
    };
    match lesions.percent_high_opacity {
        Some(p) => format!("{kinds} {}", Phrase::HighOpacity.fill(language, &[("percent", &language.percent(p))])),
        None => kinds,
    }
}

/// What the reader must know before trusting the rest: severe notes, and a study unlike the training data.
fn reservations(findings: &Findings, language: Language) -> Vec<Text> {
    let quality = &findings.quality;
    let phrase = if quality.usable { Phrase::CheckByEye } else { Phrase::NotReliable };
    let severe = quality.reasons.iter().chain(&findings.series.notes).filter(|n| n.severity == Severity::Severe);
    let mut said: Vec<Text> = Vec::new();
    let cautions = findings.follow_up.iter().flat_map(|follow_up| &follow_up.cautions);
    let cautions = cautions.filter(|n| n.severity == Severity::Severe).map(|note| (Phrase::CheckByEye, note));
    for (phrase, note) in severe.map(|note| (phrase, note)).chain(cautions) {
        let Text { text, is_foreign } = Text::english(&note.text, language);
        let text = Text { text: phrase.fill(language, &[("text", &text)]), is_foreign };
        if !said.contains(&text) {
            said.push(text);
        }
    }
    let warnings = quality.reasons.iter().filter(|n| n.severity == Severity::Warning).count();
    if warnings > 0 {
        said.push(Phrase::FurtherWarnings.fill(language, &[("count", &language.count(warnings))]).into());
    }
    if quality.out_of_distribution.flag == Some(true) {
        said.push(Phrase::OutOfDistribution.text(language).into());
    }
    said
}
