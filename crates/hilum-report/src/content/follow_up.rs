//! The section on earlier studies: change by lobe, by opacity, and the trend.

use hilum_findings::{Comparison, Findings, FollowUp, LesionFate, Lobe, Severity};

use super::tables::{capitalised, number, score};
use crate::document::{Block, Cell, Column, NoteLine, Row, Section, Table, Text};
use crate::picture::Picture;
use crate::wording::Phrase;
use crate::{Language, chart, impression, palette};

/// Opacities listed; the rest is in `findings.json`.
const LESIONS_MAX: usize = 12;

/// The section, with the pictures of both studies; `None` if no earlier study was given.
pub(super) fn section<'a>(findings: &Findings, pictures: &'a [Picture], language: Language) -> Option<Section<'a>> {
    let follow_up = findings.follow_up.as_ref()?;
    let mut blocks = vec![Block::Paragraph(impression::since(follow_up, language).into())];
    let notes: Vec<NoteLine> = follow_up.cautions.iter().map(|note| note_line(note, language)).collect();
    if !notes.is_empty() {
        blocks.push(Block::Notes(notes));
    }
    if !pictures.is_empty() {
        let legend = [
            (palette::NEW, Phrase::ChangeNew),
            (palette::PERSISTING, Phrase::ChangePersisting),
            (palette::RESOLVED, Phrase::ChangeResolved),
        ];
        let legend = legend.map(|(colour, phrase)| (colour, phrase.text(language).to_string())).to_vec();
        blocks.push(Block::Gallery { pictures, note: Phrase::ChangeNote.text(language).to_string(), legend });
    }
    if let Some(comparison) = &follow_up.comparison {
        blocks.push(Block::Table(regions(comparison, language)));
        if !comparison.lesions.is_empty() {
            blocks.push(Block::Table(lesions(comparison, language)));
        }
    }
    blocks.push(Block::Table(studies(findings, follow_up, language)));
    blocks.extend(chart::trend(findings, language).map(|chart| Block::Charts(vec![chart])));
    Some(Section { id: "follow-up", title: Phrase::FollowUpHeading.text(language).to_string(), blocks })
}

fn note_line(note: &hilum_findings::Note, language: Language) -> NoteLine {
    let (phrase, level) = match note.severity {
        Severity::Info => (Phrase::SeverityInfo, 0),
        Severity::Warning => (Phrase::SeverityWarning, 1),
        Severity::Severe => (Phrase::SeveritySevere, 2),
    };
    NoteLine { level, severity: phrase.text(language).to_string(), text: Text::english(&note.text, language) }
}

/// A change with its sign.
fn signed(value: f64, language: Language) -> String {
    let text = language.number(value, 1);
    if value >= 0.05 { format!("+{text}") } else { text }
}

fn region_name(name: &str, language: Language) -> String {
    let lobe = Lobe::ALL.into_iter().find(|lobe| lobe.abbreviation() == name);
    match (name, lobe) {
        (_, Some(lobe)) => capitalised(impression::lobe_name(lobe, language)),
        ("right", _) => capitalised(Phrase::RightLung.text(language)),
        ("left", _) => capitalised(Phrase::LeftLung.text(language)),
        _ => capitalised(Phrase::BothLungs.text(language)),
    }
}

fn regions(comparison: &Comparison, language: Language) -> Table {
    let title = |p: Phrase| p.text(language);
    let row = |region: &hilum_findings::RegionChange| {
        let cells = [
            region_name(&region.name, language),
            number(Some(region.earlier_ml), 1, language),
            number(Some(region.ml), 1, language),
            format!("{} (±\u{a0}{})", signed(region.change_ml, language), language.number(region.uncertainty_ml, 1)),
            number(region.earlier_percent, 1, language),
            number(region.percent, 1, language),
            region.change_points.map_or("–".into(), |p| signed(p, language)),
            impression::trend_name(region.trend, language),
        ];
        Row { cells: cells.into_iter().map(Cell::from).collect(), is_total: region.name == "lungs" }
    };
    Table {
        caption: title(Phrase::FollowUpRegions).to_string(),
        columns: vec![
            Column::words(title(Phrase::ColumnLobe), 2.6),
            Column::number(title(Phrase::ColumnThenMl), 1.1),
            Column::number(title(Phrase::ColumnNowMl), 1.1),
            Column::number(title(Phrase::ColumnChangeMl), 1.7),
            Column::number(title(Phrase::ColumnThenPercent), 1.1),
            Column::number(title(Phrase::ColumnNowPercent), 1.1),
            Column::number(title(Phrase::ColumnChangePoints), 1.2),
            Column::words(title(Phrase::ColumnTrend), 1.5),
        ],
        rows: comparison.regions.iter().map(row).collect(),
        notes: vec![],
    }
}

fn fate_name(fate: LesionFate, language: Language) -> &'static str {
    match fate {
        LesionFate::New => Phrase::FateNew,
        LesionFate::Persisting => Phrase::FatePersisting,
        LesionFate::Resolved => Phrase::FateResolved,
        LesionFate::Merged => Phrase::FateMerged,
        LesionFate::Split => Phrase::FateSplit,
        LesionFate::Regrouped => Phrase::FateRegrouped,
        LesionFate::NotComparable => Phrase::FateNotComparable,
    }
    .text(language)
}

fn lesions(comparison: &Comparison, language: Language) -> Table {
    let title = |p: Phrase| p.text(language);
    let row = |lesion: &hilum_findings::LesionChange| {
        let fate = fate_name(lesion.fate, language);
        let verdict =
            lesion.trend.map_or(fate.to_string(), |t| format!("{fate}, {}", impression::trend_name(Some(t), language)));
        let cells = [
            lesion.lobe.map_or(String::new(), |lobe| capitalised(impression::lobe_name(lobe, language))),
            verdict,
            number(Some(lesion.earlier_ml), 1, language),
            number(Some(lesion.ml), 1, language),
            format!("{} (±\u{a0}{})", signed(lesion.change_ml, language), language.number(lesion.uncertainty_ml, 1)),
            number(lesion.earlier_mean_hu, 0, language),
            number(lesion.mean_hu, 0, language),
        ];
        Row { cells: cells.into_iter().map(Cell::from).collect(), is_total: false }
    };
    Table {
        caption: title(Phrase::FollowUpLesions).to_string(),
        columns: vec![
            Column::words(title(Phrase::ColumnLobe), 2.2),
            Column::words(title(Phrase::ColumnTrend), 2.2),
            Column::number(title(Phrase::ColumnThenMl), 1.1),
            Column::number(title(Phrase::ColumnNowMl), 1.1),
            Column::number(title(Phrase::ColumnChangeMl), 1.7),
            Column::number(title(Phrase::ColumnThenHu), 1.1),
            Column::number(title(Phrase::ColumnNowHu), 1.1),
        ],
        rows: comparison.lesions.iter().take(LESIONS_MAX).map(row).collect(),
        notes: vec![],
    }
}

/// This study and every earlier one in a row each, the newest first.
fn studies(findings: &Findings, follow_up: &FollowUp, language: Language) -> Table {
    let title = |p: Phrase| p.text(language);
    let date = |date: &Option<String>| date.clone().unwrap_or_else(|| "–".into());
    let row = |when: String, lung: Option<f64>, ml: Option<f64>, percent: Option<f64>, ctss: Option<u8>| {
        let cells =
            [when, number(lung, 0, language), number(ml, 1, language), number(percent, 1, language), score(ctss)];
        Row { cells: cells.into_iter().map(Cell::from).collect(), is_total: false }
    };
    let lesions = &findings.lesions;
    let mut rows = vec![row(
        date(&follow_up.study_date),
        findings.anatomy.lung_volume_ml.total,
        lesions.total_ml,
        lesions.percent_of_lung,
        findings.scores.ctss_0_25,
    )];
    rows.extend(follow_up.earlier.iter().map(|earlier| {
        let when = date(&earlier.study_date);
        let when = if earlier.from_report { Phrase::FromReport.fill(language, &[("date", &when)]) } else { when };
        row(when, earlier.lung_ml, earlier.lesion_ml, earlier.percent_of_lung, earlier.ctss_0_25)
    }));
    Table {
        caption: title(Phrase::FollowUpStudies).to_string(),
        columns: vec![
            Column::words(title(Phrase::Study), 2.0),
            Column::number(title(Phrase::ColumnVolume), 1.2),
            Column::number(title(Phrase::ColumnOpacityMl), 1.3),
            Column::number(title(Phrase::ColumnOpacityPercent), 1.3),
            Column::number(title(Phrase::ColumnCtssTotal), 0.9),
        ],
        rows,
        notes: vec![],
    }
}
