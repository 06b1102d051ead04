//! The tables of measurements: lobes, components, scores.

use hilum_findings::{Findings, Fissure, Lobe, Side};

use crate::document::{Block, Cell, Column, Row, Section, Table, Text};
use crate::wording::Phrase;
use crate::{Language, impression, palette};

/// Components listed; the rest is in `findings.json`.
const COMPONENTS_MAX: usize = 10;

pub(super) fn number(value: Option<f64>, decimals: usize, language: Language) -> String {
    value.map_or("–".to_string(), |v| language.number(v, decimals))
}

/// A percentage in a column of percentages: one decimal throughout, and never nothing for what is there.
fn percent(value: Option<f64>, language: Language) -> String {
    match value {
        Some(p) if p > 0.0 && p < 0.1 => language.measure(p),
        other => number(other, 1, language),
    }
}

pub(super) fn score(value: Option<u8>) -> String {
    value.map_or("–".to_string(), |v| v.to_string())
}

pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A section named `id` under a heading, holding a table and what follows it.
fn section<'a>(id: &'static str, heading: Phrase, blocks: Vec<Block<'a>>, language: Language) -> Section<'a> {
    Section { id, title: heading.text(language).to_string(), blocks }
}

/// Volume, density, opacity and scores of every lobe, each lung and both; `None` if no lobe was measured.
pub(super) fn lobes<'a>(findings: &Findings, language: Language) -> Option<Section<'a>> {
    if findings.anatomy.lobes.is_empty() {
        return None;
    }
    let title = |p: Phrase| p.text(language);
    let columns = vec![
        Column::words(title(Phrase::ColumnLobe), 2.9),
        Column::number(title(Phrase::ColumnVolume), 1.2),
        Column::number(title(Phrase::ColumnMeanHu), 1.1),
        Column::number(title(Phrase::ColumnOpacityMl), 1.3),
        Column::number(title(Phrase::ColumnOpacityPercent), 1.3),
        Column::number(title(Phrase::ColumnHighPercent), 1.3),
        Column::number(title(Phrase::ColumnCtss), 0.9),
        Column::number(title(Phrase::ColumnLss), 0.8),
        Column::number(title(Phrase::ColumnLhos), 0.9),
    ];
    let mut rows: Vec<Row> = Lobe::ALL.into_iter().map(|lobe| lobe_row(findings, lobe, language)).collect();
    rows.extend(lung_rows(findings, language));
    let table = Table {
        caption: title(Phrase::LobesCaption).to_string(),
        columns,
        rows,
        notes: lobe_notes(findings, language),
    };
    Some(section("lobes", Phrase::LobesHeading, vec![Block::Table(table)], language))
}

fn lobe_row(findings: &Findings, lobe: Lobe, language: Language) -> Row {
    let anatomy = findings.anatomy.lobes.iter().find(|l| l.name == lobe);
    let lesions = findings.lesions.lobes.iter().find(|l| l.name == lobe);
    let name = format!("{} ({})", capitalised(impression::lobe_name(lobe, language)), lobe.abbreviation());
    let cells: Vec<String> = vec![
        name,
        number(anatomy.and_then(|a| a.volume_ml), 0, language),
        number(anatomy.and_then(|a| a.mean_hu), 0, language),
        number(lesions.and_then(|l| l.lesion_ml), 1, language),
        percent(lesions.and_then(|l| l.percent), language),
        percent(lesions.and_then(|l| l.percent_high_opacity), language),
        score(lesions.and_then(|l| l.score_0_5)),
        score(lesions.and_then(|l| l.lss_0_4)),
        score(lesions.and_then(|l| l.lhos_0_4)),
    ];
    Row { cells: cells.into_iter().map(Cell::from).collect(), is_total: false }
}

fn lung_rows(findings: &Findings, language: Language) -> [Row; 3] {
    let volume = &findings.anatomy.lung_volume_ml;
    let lesions = &findings.lesions;
    let of_side = |side: Side| -> Option<f64> {
        let parts: Vec<f64> =
            lesions.lobes.iter().filter(|l| l.name.side() == side).filter_map(|l| l.lesion_ml).collect();
        (!parts.is_empty()).then(|| parts.iter().sum())
    };
    let side = |phrase: Phrase, ml: Option<f64>, side: Side| {
        let opacity = of_side(side);
        let share = opacity.zip(ml).filter(|(_, ml)| *ml > 0.0).map(|(o, ml)| 100.0 * o / ml);
        let mut cells = vec![
            capitalised(phrase.text(language)),
            number(ml, 0, language),
            String::new(),
            number(opacity, 1, language),
            percent(share, language),
        ];
        cells.resize(9, String::new());
        cells
    };
    let scores = &findings.scores;
    let both = vec![
        capitalised(Phrase::BothLungs.text(language)),
        number(volume.total, 0, language),
        String::new(),
        number(lesions.total_ml, 1, language),
        percent(lesions.percent_of_lung, language),
        percent(lesions.percent_high_opacity, language),
        score(scores.ctss_0_25),
        score(scores.lss_0_20),
        score(scores.lhos_0_20),
    ];
    [side(Phrase::RightLung, volume.right, Side::Right), side(Phrase::LeftLung, volume.left, Side::Left), both]
        .map(|cells| Row { cells: cells.into_iter().map(Cell::from).collect(), is_total: true })
}

fn lobe_notes(findings: &Findings, language: Language) -> Vec<String> {
    let mut notes = Vec::new();
    let a = &findings.anatomy.aeration;
    if a.normal_percent.is_some() {
        let p = |v: Option<f64>| v.map_or("–".to_string(), |v| language.percent(v));
        notes.push(Phrase::AerationLine.fill(
            language,
            &[
                ("hyper", &p(a.hyperinflated_percent)),
                ("normal", &p(a.normal_percent)),
                ("poor", &p(a.poor_percent)),
                ("none", &p(a.none_percent)),
                ("laa", &p(a.emphysema_laa_950_percent)),
            ],
        ));
    }
    let fissures: Vec<String> = findings
        .anatomy
        .fissures
        .iter()
        .map(|f| {
            let name = match f.name {
                Fissure::RightOblique => Phrase::FissureRightOblique,
                Fissure::RightHorizontal => Phrase::FissureRightHorizontal,
                Fissure::LeftOblique => Phrase::FissureLeftOblique,
            };
            format!("{} {}", name.text(language), number(f.confidence, 2, language))
        })
        .collect();
    if !fissures.is_empty() {
        notes.push(Phrase::FissureLine.fill(language, &[("fissures", &fissures.join(", "))]));
    }
    notes
}

/// The largest connected opacities; `None` if none is listed.
pub(super) fn components<'a>(findings: &Findings, language: Language) -> Option<Section<'a>> {
    let lesions = &findings.lesions;
    if lesions.components.is_empty() {
        return None;
    }
    let title = |p: Phrase| p.text(language);
    let columns = vec![
        Column::words(title(Phrase::ColumnNumber), 0.6),
        Column::words(title(Phrase::ColumnKind), 2.0),
        Column::words(title(Phrase::ColumnLobes), 2.4),
        Column::number(title(Phrase::ColumnVolume), 1.1),
        Column::number(title(Phrase::ColumnMeanHu), 1.0),
        Column::number(title(Phrase::ColumnSlices), 1.0),
        Column::number(title(Phrase::ColumnCentre), 2.0),
    ];
    let rows = lesions.components.iter().take(COMPONENTS_MAX).map(|c| {
        let kind = match c.kind {
            hilum_findings::LesionKind::GroundGlass => Phrase::LegendGroundGlass,
            hilum_findings::LesionKind::Consolidation => Phrase::LegendConsolidation,
            hilum_findings::LesionKind::Mixed => Phrase::LegendMixed,
            hilum_findings::LesionKind::Unknown => Phrase::LegendUnknown,
        };
        let others: Vec<&str> = c.lobes.iter().filter(|l| **l != c.lobe).map(|l| l.abbreviation()).collect();
        let lobe = impression::lobe_name(c.lobe, language);
        let lobe = if others.is_empty() { lobe.to_string() } else { format!("{lobe}; {}", others.join(", ")) };
        let centre = c.centroid_lps_mm.map(|v| language.number(v, 0)).join(" / ");
        let cells = vec![
            Cell::from(c.id.to_string()),
            Cell { text: kind.text(language).into(), swatch: palette::of_kind(c.kind) },
            Cell::from(lobe),
            Cell::from(language.number(c.volume_ml, 1)),
            Cell::from(language.number(c.mean_hu, 0)),
            Cell::from(format!("{}–{}", c.slice_range[0], c.slice_range[1])),
            Cell::from(centre),
        ];
        Row { cells, is_total: false }
    });
    let table = Table {
        caption: title(Phrase::ComponentsCaption).to_string(),
        columns,
        rows: rows.collect(),
        notes: component_notes(findings, language),
    };
    Some(section("components", Phrase::ComponentsHeading, vec![Block::Table(table)], language))
}

fn component_notes(findings: &Findings, language: Language) -> Vec<String> {
    let lesions = &findings.lesions;
    let mut notes = Vec::new();
    let rest = lesions.components.iter().skip(COMPONENTS_MAX);
    let (count, ml) = rest.fold((0_usize, 0.0), |(n, ml), c| (n + 1, ml + c.volume_ml));
    if count > 0 {
        let values = [("count", language.count(count)), ("ml", language.millilitres(ml))];
        notes.push(Phrase::MoreComponents.fill(language, &[("count", &values[0].1), ("ml", &values[1].1)]));
    }
    let small = &lesions.small_components;
    if let (Some(count), Some(ml), Some(below)) = (small.count.filter(|n| *n > 0), small.volume_ml, small.below_ml) {
        let below = format!("{}\u{a0}ml", language.number(below, if below < 0.1 { 2 } else { 1 }));
        let values = [("count", language.count(count)), ("ml", language.millilitres(ml)), ("below", below)];
        let values: Vec<(&str, &str)> = values.iter().map(|(k, v)| (*k, v.as_str())).collect();
        notes.push(Phrase::SmallComponents.fill(language, &values));
    }
    notes.extend(lesions.kind_method_text.clone());
    notes
}

/// Fields of `findings.json` that the table of scores shows, in its order.
pub(super) const SCORE_FIELDS: [&str; 7] = [
    "lesions.percent_of_lung",
    "lesions.percent_high_opacity",
    "scores.ctss_0_25",
    "scores.lss_0_20",
    "scores.lhos_0_20",
    "scores.severity_ct_0_4",
    "scores.co_rads",
];

/// Every score with its value, definition and source.
pub(super) fn scores<'a>(findings: &Findings, language: Language) -> Section<'a> {
    let (lesions, scores) = (&findings.lesions, &findings.scores);
    let percent = |p: Option<f64>| p.map_or("–".to_string(), |p| language.percent(p));
    let out_of = |s: Option<u8>, max: u8| s.map_or("–".to_string(), |s| format!("{s}\u{a0}/\u{a0}{max}"));
    let values = [
        (Phrase::ScorePo, percent(lesions.percent_of_lung)),
        (Phrase::ScorePho, percent(lesions.percent_high_opacity)),
        (Phrase::ScoreCtss, out_of(scores.ctss_0_25, 25)),
        (Phrase::ScoreLss, out_of(scores.lss_0_20, 20)),
        (Phrase::ScoreLhos, out_of(scores.lhos_0_20, 20)),
        (Phrase::ScoreSeverity, scores.severity_ct_0_4.map_or("–".to_string(), |s| format!("CT-{s}"))),
        (Phrase::ScoreCoRads, score(scores.co_rads.grade)),
    ];
    let rows = values.into_iter().zip(SCORE_FIELDS).map(|((name, value), field)| {
        let definition = findings.definitions.iter().find(|d| d.field == field || d.field == format!("{field}.grade"));
        let meaning = definition.map_or(String::new(), |d| with_assumption(&d.text, d.assumption, language));
        let source = definition.and_then(|d| d.source.clone()).unwrap_or_default();
        let cells = vec![
            Cell::from(name.text(language)),
            Cell::from(value),
            Cell::from(Text::english(meaning, language)),
            Cell::from(Text::english(source, language)),
        ];
        Row { cells, is_total: false }
    });
    let title = |p: Phrase| p.text(language);
    let columns = vec![
        Column::words(title(Phrase::ColumnScore), 1.7),
        Column::words(title(Phrase::ColumnValue), 0.8),
        Column::words(title(Phrase::ColumnMeaning), 3.6),
        Column::words(title(Phrase::ColumnSource), 2.3),
    ];
    let table = Table {
        caption: title(Phrase::ScoresCaption).to_string(),
        columns,
        rows: rows.collect(),
        notes: class_note(findings, language),
    };
    section("scores", Phrase::ScoresHeading, vec![Block::Table(table)], language)
}

/// A definition, with a remark if a part of it is an assumption.
pub(super) fn with_assumption(text: &str, is_assumption: bool, language: Language) -> String {
    if is_assumption { format!("{text} {}", Phrase::Assumption.text(language)) } else { text.to_string() }
}

fn class_note(findings: &Findings, language: Language) -> Vec<String> {
    let c = &findings.classification;
    let classes: Vec<String> = [
        (Phrase::ClassNormal, c.probabilities.normal),
        (Phrase::ClassCovid, c.probabilities.pneumonia_covid),
        (Phrase::ClassOther, c.probabilities.pneumonia_other),
    ]
    .into_iter()
    .filter_map(|(phrase, p)| Some(phrase.fill(language, &[("p", &language.percent(100.0 * p?))])))
    .collect();
    if classes.is_empty() {
        return Vec::new();
    }
    let calibration = if c.calibrated == Some(true) { Phrase::Calibrated } else { Phrase::NotCalibrated };
    let values = [("classes", classes.join(", ")), ("calibration", calibration.text(language).to_string())];
    vec![Phrase::ClassProbability.fill(language, &[("classes", &values[0].1), ("calibration", &values[1].1)])]
}
