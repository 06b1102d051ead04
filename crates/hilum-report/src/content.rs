//! Which sections the report has and what stands in them.

mod follow_up;
mod method;
mod tables;

use hilum_findings::{Findings, Note, Severity};

use crate::document::{Block, Document, Figure, NoteLine, Printed, Section, Text};
use crate::picture::{Kind, Picture};
use crate::wording::Phrase;
use crate::{Language, Subject, chart, impression, palette};

/// Puts the report together.
pub(crate) fn document<'a>(
    findings: &Findings,
    subject: Option<&Subject>,
    pictures: &'a [Picture],
    language: Language,
) -> Document<'a> {
    let subject = subject.and_then(|subject| {
        Some(Printed { on_screen: subject.line(language, false)?, on_paper: subject.line(language, true)? })
    });
    let mut sections = vec![summary(findings, language)];
    if !impression::is_refused(findings) {
        let first = pictures.iter().position(|p| p.kind == Kind::Comparison).unwrap_or(pictures.len());
        let (pictures, comparisons) = pictures.split_at(first);
        if !pictures.is_empty() {
            sections.push(gallery(findings, pictures, language));
        }
        sections.extend(follow_up::section(findings, comparisons, language));
        sections.extend(tables::lobes(findings, language));
        sections.extend(charts(findings, language));
        sections.extend(tables::components(findings, language));
        sections.push(tables::scores(findings, language));
    }
    sections.push(quality(findings, language));
    sections.push(method::study(findings, language));
    sections.extend(method::sections(findings, language));
    Document {
        language,
        title: Phrase::Title.text(language).to_string(),
        subject,
        subtitle: subtitle(findings, language),
        created: findings.created.clone(),
        disclaimer: Phrase::Disclaimer.text(language).to_string(),
        disclaimer_short: Phrase::DisclaimerShort.text(language).to_string(),
        software: method::software(findings, language),
        sections,
    }
}

/// `2026-11-23T03:06:00Z` as `2026-11-23 03:06 UTC`; anything else as it is.
fn readable_time(rfc3339: &str) -> String {
    match (rfc3339.get(..10), rfc3339.get(11..16), rfc3339.ends_with('Z')) {
        (Some(date), Some(time), true) => format!("{date} {time} UTC"),
        _ => rfc3339.to_string(),
    }
}

fn subtitle(findings: &Findings, language: Language) -> String {
    let series = &findings.series;
    let mut parts: Vec<String> = series.description.iter().cloned().collect();
    if let Some(slices) = series.slices {
        parts.push(Phrase::SliceCount.fill(language, &[("count", &language.count(slices))]));
    }
    if let Some([slice, _, _]) = series.spacing_mm {
        parts.push(format!("{} {}\u{a0}mm", Phrase::SliceSpacing.text(language), language.number(slice, 2)));
    }
    if let Some(created) = &findings.created {
        parts.push(format!("{} {}", Phrase::Created.text(language), readable_time(created)));
    }
    parts.join(" · ")
}

fn summary<'a>(findings: &Findings, language: Language) -> Section<'a> {
    let mut blocks = vec![Block::Lead(impression::sentences(findings, language))];
    blocks.extend(impression::triage(findings, language).map(Block::Triage));
    if !impression::is_refused(findings) {
        blocks.push(Block::Figures(figures(findings, language)));
        let co_rads = &findings.scores.co_rads;
        if co_rads.grade.is_some() && !co_rads.reasons.is_empty() {
            let title = format!("{} (CO-RADS)", Phrase::Reasons.text(language));
            let reasons = Text::of_sentences(co_rads.reasons.iter().map(|r| r.text.as_str()), language);
            let items = vec![reasons, Phrase::NotADiagnosis.text(language).into()];
            blocks.push(Block::List { title, items });
        }
    }
    Section { id: "impression", title: Phrase::Impression.text(language).to_string(), blocks }
}

fn figures(findings: &Findings, language: Language) -> Vec<Figure> {
    let dash = || "–".to_string();
    let percent = |p: Option<f64>| p.map_or_else(dash, |p| language.percent(p));
    let score = |s: Option<u8>| s.map_or_else(dash, |s| s.to_string());
    let of = |max: &str| Phrase::OfMax.fill(language, &[("max", max)]);
    let figure = |label: Phrase, value: String, detail: String| Figure {
        label: label.text(language).to_string(),
        value,
        detail,
    };
    let lung = findings.anatomy.lung_volume_ml.total.map_or_else(String::new, |ml| of(&language.millilitres(ml)));
    let interval = &findings.lesions.interval;
    let volume_detail = match (interval.coverage, interval.low_ml, interval.high_ml) {
        (Some(coverage), Some(low), Some(high)) => {
            let values = [
                ("percent", language.number(100.0 * coverage, 0) + "\u{a0}%"),
                ("low", language.millilitres(low)),
                ("high", language.millilitres(high)),
            ];
            Phrase::IntervalMl.fill(language, &values.each_ref().map(|(name, value)| (*name, value.as_str())))
        }
        _ => lung,
    };
    let grade = findings.scores.co_rads.grade;
    let suspicion = grade.and_then(impression::suspicion).map_or_else(String::new, |p| p.text(language).to_string());
    let severity = findings.scores.severity_ct_0_4.map_or_else(dash, |s| format!("CT-{s}"));
    vec![
        figure(Phrase::FigureOpacity, percent(findings.lesions.percent_of_lung), String::new()),
        figure(
            Phrase::FigureVolume,
            findings.lesions.total_ml.map_or_else(dash, |ml| language.millilitres(ml)),
            volume_detail,
        ),
        figure(Phrase::FigureHigh, percent(findings.lesions.percent_high_opacity), String::new()),
        figure(Phrase::FigureCtss, score(findings.scores.ctss_0_25), of("25")),
        figure(Phrase::FigureSeverity, severity, of("CT-4")),
        figure(Phrase::FigureCoRads, score(grade), suspicion),
    ]
}

fn gallery<'a>(findings: &Findings, pictures: &'a [Picture], language: Language) -> Section<'a> {
    let mut legend = Vec::new();
    if findings.lesions.total_ml.is_some_and(|ml| ml > 0.0) {
        let kinds_known = findings.lesions.ground_glass_ml.is_some();
        if kinds_known {
            legend.push((palette::GROUND_GLASS, Phrase::LegendGroundGlass.text(language).to_string()));
            legend.push((palette::CONSOLIDATION, Phrase::LegendConsolidation.text(language).to_string()));
        } else {
            legend.push((palette::UNKNOWN, Phrase::LegendUnknown.text(language).to_string()));
        }
    }
    legend.push((palette::LOBES, Phrase::LegendLobes.text(language).to_string()));
    let note = Phrase::LegendNote.text(language).to_string();
    Section {
        id: "pictures",
        title: Phrase::KeyPictures.text(language).to_string(),
        blocks: vec![Block::Gallery { pictures, note, legend }],
    }
}

fn charts<'a>(findings: &Findings, language: Language) -> Option<Section<'a>> {
    let charts: Vec<_> =
        [chart::histogram(findings, language), chart::profile(findings, language)].into_iter().flatten().collect();
    (!charts.is_empty()).then(|| Section {
        id: "charts",
        title: Phrase::ChartsHeading.text(language).to_string(),
        blocks: vec![Block::Charts(charts)],
    })
}

/// Notes on the result and on the series, each once, the most severe first.
fn quality<'a>(findings: &Findings, language: Language) -> Section<'a> {
    let mut notes: Vec<&Note> = Vec::new();
    for note in findings.quality.reasons.iter().chain(&findings.series.notes) {
        if !notes.iter().any(|n| n.code == note.code && n.text == note.text) {
            notes.push(note);
        }
    }
    notes.sort_by_key(|n| std::cmp::Reverse(n.severity));
    let lines: Vec<NoteLine> = notes
        .into_iter()
        .map(|note| {
            let (phrase, level) = match note.severity {
                Severity::Info => (Phrase::SeverityInfo, 0),
                Severity::Warning => (Phrase::SeverityWarning, 1),
                Severity::Severe => (Phrase::SeveritySevere, 2),
            };
            let text = Text::english(&note.text, language);
            NoteLine { level, severity: phrase.text(language).to_string(), text }
        })
        .collect();
    let blocks = if lines.is_empty() {
        vec![Block::Paragraph(Phrase::NoQualityNotes.text(language).into())]
    } else {
        vec![Block::Notes(lines)]
    };
    Section { id: "quality", title: Phrase::QualityHeading.text(language).to_string(), blocks }
}

#[cfg(test)]
mod tests {
    use super::readable_time;

    #[test]
    fn times_are_readable_or_left_alone() {
        assert_eq!(readable_time("2026-11-23T03:06:59Z"), "2026-11-23 03:06 UTC");
        assert_eq!(readable_time("2026-11-23T03:06:59.25Z"), "2026-11-23 03:06 UTC");
        assert_eq!(readable_time("2026-11-23T03:06:59+02:00"), "2026-11-23T03:06:59+02:00");
        assert_eq!(readable_time("yesterday"), "yesterday");
    }
}
