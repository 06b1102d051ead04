//! How the result came about: the series, the program, its models, their limits, and what was not determined.

use hilum_findings::Findings;

use super::tables::{SCORE_FIELDS, with_assumption};
use crate::Language;
use crate::document::{Block, Cell, Column, Row, Section, Table, Text};
use crate::wording::Phrase;

/// Name and version of the program.
pub(super) fn software(findings: &Findings, language: Language) -> String {
    let software = &findings.software;
    let name = if software.name.is_empty() { "Hilum" } else { &software.name };
    let values = [("name", name), ("version", &software.version)];
    Phrase::SoftwareVersion.fill(language, &values).trim_end().to_string()
}

/// The series that was read.
pub(super) fn study<'a>(findings: &Findings, language: Language) -> Section<'a> {
    let series = &findings.series;
    let mut facts: Vec<(String, Text)> = Vec::new();
    let mut fact = |name: Phrase, value: Option<Text>| {
        facts.extend(value.map(|value| (name.text(language).to_string(), value)));
    };
    fact(Phrase::Series, series.description.clone().map(Text::from));
    fact(Phrase::ChosenBecause, series.chosen_because.as_ref().map(|t| Text::english(t, language)));
    let slices = series.slices.map(|n| language.count(n));
    let spacing = series.spacing_mm.map(|[slice, row, column]| {
        let (between, pixel) = (Phrase::SliceSpacing.text(language), Phrase::PixelSpacing.text(language));
        let [slice, row, column] = [(slice, 2), (row, 3), (column, 3)].map(|(mm, d)| language.number(mm, d));
        format!("{between} {slice}\u{a0}mm, {pixel} {row} × {column}\u{a0}mm")
    });
    let grid: Vec<String> = [slices, spacing].into_iter().flatten().collect();
    fact(Phrase::Slices, (!grid.is_empty()).then(|| grid.join(language.semicolon()).into()));
    fact(Phrase::Orientation, series.orientation.as_ref().map(|t| Text::english(t, language)));
    fact(Phrase::StudyUid, series.study_uid.clone().map(Text::from));
    fact(Phrase::SeriesUid, series.series_uid.clone().map(Text::from));
    fact(Phrase::Created, findings.created.as_deref().map(|c| super::readable_time(c).into()));
    fact(Phrase::Software, Some(full_software(findings, language).into()));
    Section { id: "study", title: Phrase::Study.text(language).to_string(), blocks: vec![Block::Facts(facts)] }
}

fn full_software(findings: &Findings, language: Language) -> String {
    let short = software(findings, language);
    match &findings.software.commit {
        Some(commit) => format!("{short}, {}", Phrase::Revision.fill(language, &[("commit", commit)])),
        None => short,
    }
}

/// Models, limits and times; further definitions; what was not determined.
pub(super) fn sections<'a>(findings: &Findings, language: Language) -> Vec<Section<'a>> {
    let mut sections = vec![method(findings, language)];
    sections.extend(definitions(findings, language));
    sections.extend(not_known(findings, language));
    sections
}

fn method<'a>(findings: &Findings, language: Language) -> Section<'a> {
    let mut blocks = Vec::new();
    if findings.models.is_empty() {
        blocks.push(Block::Paragraph(Phrase::NoModels.text(language).into()));
    } else {
        blocks.push(Block::Table(models(findings, language)));
    }
    let mut limits: Vec<Text> =
        [Phrase::LimitScope, Phrase::LimitErrors, Phrase::LimitCause].map(|p| p.text(language).into()).to_vec();
    limits.extend(findings.models.iter().flat_map(|m| &m.limits).map(|l| Text::english(l, language)));
    blocks.push(Block::List { title: Phrase::LimitsTitle.text(language).to_string(), items: limits });
    blocks.extend(times(findings, language).map(|t| Block::Paragraph(t.into())));
    Section { id: "method", title: Phrase::MethodHeading.text(language).to_string(), blocks }
}

fn models(findings: &Findings, language: Language) -> Table {
    let title = |p: Phrase| p.text(language);
    let rows = findings.models.iter().map(|m| {
        let purpose = [m.purpose.clone(), m.computed_by.as_ref().map(|by| format!("({by})"))];
        let cells = vec![
            Cell::from(m.name.clone()),
            Cell::from(m.version.clone()),
            Cell::from(Text::english(purpose.into_iter().flatten().collect::<Vec<_>>().join(" "), language)),
            Cell::from(m.card.clone()),
            Cell::from(m.sha256.clone()),
        ];
        Row { cells, is_total: false }
    });
    Table {
        caption: title(Phrase::ModelsCaption).to_string(),
        columns: vec![
            Column::words(title(Phrase::ColumnModel), 1.6),
            Column::words(title(Phrase::ColumnVersion), 0.8),
            Column::words(title(Phrase::ColumnPurpose), 2.2),
            Column::code(title(Phrase::ColumnCard), 1.6),
            Column::code(title(Phrase::ColumnHash), 2.8),
        ],
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

fn times(findings: &Findings, language: Language) -> Option<String> {
    let t = &findings.timings_s;
    let named = [
        (Phrase::TimingLoad, t.load),
        (Phrase::TimingLungs, t.lungs),
        (Phrase::TimingLobes, t.lobes),
        (Phrase::TimingLesions, t.lesions),
        (Phrase::TimingClassify, t.classify),
        (Phrase::TimingMeasure, t.measure),
        (Phrase::TimingReport, t.report),
        (Phrase::TimingTotal, t.total),
    ];
    let mut parts: Vec<String> = named
        .into_iter()
        .filter_map(|(name, s)| Some(format!("{} {}\u{a0}s", name.text(language), language.number(s?, 1))))
        .collect();
    parts.extend(
        findings.peak_memory_mb.map(|mb| Phrase::PeakMemory.fill(language, &[("mb", &language.number(mb, 0))])),
    );
    (!parts.is_empty()).then(|| {
        let colon = if language == Language::French { "\u{a0}:" } else { ":" };
        format!("{}{colon} {}.", Phrase::TimingsTitle.text(language), parts.join(", "))
    })
}

/// Definitions of what is not in the table of scores; `None` if there are none.
fn definitions<'a>(findings: &Findings, language: Language) -> Option<Section<'a>> {
    let is_score = |field: &str| SCORE_FIELDS.iter().any(|f| *f == field || field == format!("{f}.grade"));
    let facts: Vec<(String, Text)> = findings
        .definitions
        .iter()
        .filter(|d| !is_score(&d.field))
        .map(|d| {
            let text = with_assumption(&d.text, d.assumption, language);
            let text = d.source.as_ref().map_or(text.clone(), |s| format!("{text} ({s})"));
            (d.name.clone(), Text::english(text, language))
        })
        .collect();
    (!facts.is_empty()).then(|| Section {
        id: "definitions",
        title: Phrase::DefinitionsHeading.text(language).to_string(),
        blocks: vec![Block::Facts(facts)],
    })
}

/// Which fields are null and why; `None` if all are known.
fn not_known<'a>(findings: &Findings, language: Language) -> Option<Section<'a>> {
    // One line per reason, with all the fields it explains.
    let mut reasons: Vec<(String, String)> = Vec::new();
    for entry in findings.reasons_for_nulls() {
        match reasons.iter_mut().find(|(_, reason)| *reason == entry.reason) {
            Some((fields, _)) => *fields = format!("{fields}, {}", entry.field),
            None => reasons.push((entry.field, entry.reason)),
        }
    }
    let facts: Vec<(String, Text)> =
        reasons.into_iter().map(|(fields, reason)| (fields, Text::english(&reason, language))).collect();
    (!facts.is_empty()).then(|| Section {
        id: "not-known",
        title: Phrase::NotKnownHeading.text(language).to_string(),
        blocks: vec![Block::Facts(facts)],
    })
}
