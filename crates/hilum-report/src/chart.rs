//! Charts as lists of marks, drawn alike in HTML (inline SVG) and PDF.

use hilum_findings::Findings;

use crate::Language;
use crate::wording::Phrase;

/// A chart on a sheet of [`Chart::WIDTH`] by [`Chart::HEIGHT`] units, y downwards.
pub(crate) struct Chart {
    pub(crate) title: String,
    /// What is to be seen, for who cannot see it.
    pub(crate) alt: String,
    pub(crate) marks: Vec<Mark>,
}

/// Something drawn, later marks over earlier ones.
pub(crate) enum Mark {
    /// A closed, filled shape.
    Area { points: Vec<[f32; 2]>, ink: Ink },
    /// An open line.
    Line { points: Vec<[f32; 2]>, ink: Ink, width: f32 },
    /// A line of text; `at` is the end of its baseline that `anchor` names.
    Text { at: [f32; 2], anchor: Anchor, text: String },
}

/// What a mark stands for, from which each format takes its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Axis,
    Grid,
    Lung,
    Lesion,
}

/// Which end of a text is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Chart {
    /// Width of the sheet.
    pub(crate) const WIDTH: f32 = 360.0;
    /// Height of the sheet.
    pub(crate) const HEIGHT: f32 = 190.0;
    /// Size of all text.
    pub(crate) const TEXT: f32 = 9.0;
}

/// The plot within the sheet.
const LEFT: f32 = 34.0;
const RIGHT: f32 = Chart::WIDTH - 8.0;
const TOP: f32 = 24.0;
const BOTTOM: f32 = Chart::HEIGHT - 30.0;

/// From data to the sheet, with axes.
struct Plot {
    x: [f64; 2],
    y_max: f64,
    marks: Vec<Mark>,
}

impl Plot {
    /// A plot of `x[0]..=x[1]` by 0 to a round number not below `highest`.
    fn new(x: [f64; 2], highest: f64) -> Self {
        Self { x, y_max: round_up(highest), marks: Vec::new() }
    }

    fn at(&self, x: f64, y: f64) -> [f32; 2] {
        let across = ((x - self.x[0]) / (self.x[1] - self.x[0])).clamp(0.0, 1.0) as f32;
        let up = (y / self.y_max).clamp(0.0, 1.0) as f32;
        [LEFT + across * (RIGHT - LEFT), BOTTOM - up * (BOTTOM - TOP)]
    }

    /// Horizontal grid lines with their values, and ticks along x.
    fn axes(&mut self, language: Language, ticks: &[f64]) {
        for quarter in 0..=2 {
            let value = self.y_max * f64::from(quarter) / 2.0;
            let [x, y] = self.at(self.x[0], value);
            let ink = if quarter == 0 { Ink::Axis } else { Ink::Grid };
            self.marks.push(Mark::Line { points: vec![[x, y], [RIGHT, y]], ink, width: 0.7 });
            let decimals = if self.y_max < 0.4 { 2 } else { usize::from(self.y_max < 4.0) };
            self.text([x - 4.0, y + 3.0], Anchor::End, language.number(value, decimals));
        }
        for tick in ticks {
            let [x, y] = self.at(*tick, 0.0);
            self.marks.push(Mark::Line { points: vec![[x, y], [x, y + 3.5]], ink: Ink::Axis, width: 0.7 });
            self.text([x, y + 13.0], Anchor::Middle, language.number(*tick, 0));
        }
    }

    /// The area between zero and steps of one height per column from `x` to the next.
    fn steps(&mut self, columns: &[(f64, f64, f64)], ink: Ink) {
        let mut top: Vec<[f32; 2]> = Vec::with_capacity(2 * columns.len());
        for (from, to, y) in columns {
            top.extend([self.at(*from, *y), self.at(*to, *y)]);
        }
        let (Some(first), Some(last)) = (columns.first(), columns.last()) else { return };
        let mut points = vec![self.at(first.0, 0.0)];
        points.extend(&top);
        points.push(self.at(last.1, 0.0));
        self.marks.push(Mark::Area { points, ink });
        self.marks.push(Mark::Line { points: top, ink, width: 1.1 });
    }

    fn text(&mut self, at: [f32; 2], anchor: Anchor, text: String) {
        self.marks.push(Mark::Text { at, anchor, text });
    }

    /// Names of what is drawn, at the upper right, and of the axes.
    fn labels(&mut self, vertical: String, horizontal: String, names: [(Ink, &str); 2]) {
        self.text([2.0, 10.0], Anchor::Start, vertical);
        self.text([(LEFT + RIGHT) / 2.0, Chart::HEIGHT - 4.0], Anchor::Middle, horizontal);
        let mut x = RIGHT;
        for (ink, name) in names.into_iter().rev() {
            self.text([x, 10.0], Anchor::End, name.to_string());
            x -= crate::font::Face::Regular.width(name, Chart::TEXT) + 4.0;
            let points = vec![[x - 9.0, 3.0], [x, 3.0], [x, 10.0], [x - 9.0, 10.0]];
            self.marks.push(Mark::Area { points: points.clone(), ink });
            self.marks.push(Mark::Line { points: [points.clone(), vec![points[0]]].concat(), ink, width: 0.8 });
            x -= 19.0;
        }
    }
}

/// The least of 1, 2, 4, 5 or 10 times a power of ten that is not below `value`; 1 for nothing.
fn round_up(value: f64) -> f64 {
    if !(value.is_finite() && value > 0.0) {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|v| *v >= value * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// Density of the lung and of the opacities, each as a share of its own volume; `None` if it was not measured.
pub(crate) fn histogram(findings: &Findings, language: Language) -> Option<Chart> {
    /// What the horizontal axis spans: all of the lung and of opacities in it.
    const RANGE_HU: [f64; 2] = [-1050.0, 150.0];
    let h = &findings.hu_histogram;
    let (first, width) = (f64::from(h.first_bin_hu?), f64::from(h.bin_width_hu?));
    let share = |counts: &[u64]| -> Vec<f64> {
        let total = counts.iter().sum::<u64>() as f64;
        counts.iter().map(|c| if total > 0.0 { 100.0 * *c as f64 / total } else { 0.0 }).collect()
    };
    let columns = |shares: &[f64]| -> Vec<(f64, f64, f64)> {
        (0..shares.len())
            .map(|i| (first + width * i as f64, first + width * (i + 1) as f64, shares[i]))
            .filter(|(from, to, _)| *to > RANGE_HU[0] && *from < RANGE_HU[1])
            .collect()
    };
    let (lung, lesion) = (columns(&share(&h.lung)), columns(&share(&h.lesion)));
    let peak = |c: &[(f64, f64, f64)]| c.iter().copied().max_by(|a, b| a.2.total_cmp(&b.2)).filter(|p| p.2 > 0.0);
    let lung_peak = peak(&lung)?;
    let lesion_peak = peak(&lesion);
    let mut plot = Plot::new(RANGE_HU, lung_peak.2.max(lesion_peak.map_or(0.0, |p| p.2)));
    plot.axes(language, &[-1000.0, -800.0, -600.0, -400.0, -200.0, 0.0]);
    plot.steps(&lung, Ink::Lung);
    if lesion_peak.is_some() {
        plot.steps(&lesion, Ink::Lesion);
    }
    let hu = Phrase::HistogramAxis.text(language);
    plot.labels(
        Phrase::HistogramVertical.fill(language, &[("width", &language.number(width, 0))]),
        hu.to_string(),
        [(Ink::Lung, Phrase::HistogramLung.text(language)), (Ink::Lesion, Phrase::HistogramLesion.text(language))],
    );
    let middle = |p: (f64, f64, f64)| language.number(0.5 * (p.0 + p.1), 0);
    let of_lesion = lesion_peak
        .map(|p| Phrase::HistogramAltLesion.fill(language, &[("lesion_peak", &middle(p))]))
        .unwrap_or_default();
    let alt = Phrase::HistogramAlt.fill(language, &[("lung_peak", &middle(lung_peak)), ("lesion", &of_lesion)]);
    Some(Chart { title: Phrase::HistogramTitle.text(language).to_string(), alt, marks: plot.marks })
}

/// Volume of lung and of opacity in every slice, from the feet to the head; `None` if it was not measured.
pub(crate) fn profile(findings: &Findings, language: Language) -> Option<Chart> {
    let slices = &findings.lesions.slices;
    if slices.len() < 2 {
        return None;
    }
    let highest = slices.iter().map(|s| s.lung_ml.max(s.lesion_ml)).fold(0.0, f64::max);
    if highest <= 0.0 {
        return None;
    }
    let end = slices.len() as f64 - 0.5;
    let mut plot = Plot::new([-0.5, end], highest);
    let step = round_up(slices.len() as f64 / 6.0);
    let ticks: Vec<f64> = (0..).map(|i| step * f64::from(i)).take_while(|t| *t <= end).collect();
    plot.axes(language, &ticks);
    let columns = |value: fn(&hilum_findings::SliceLesions) -> f64| -> Vec<(f64, f64, f64)> {
        slices.iter().map(|s| (s.index as f64 - 0.5, s.index as f64 + 0.5, value(s))).collect()
    };
    plot.steps(&columns(|s| s.lung_ml), Ink::Lung);
    let with = slices.iter().filter(|s| s.lesion_ml > 0.0).count();
    if with > 0 {
        plot.steps(&columns(|s| s.lesion_ml), Ink::Lesion);
    }
    plot.labels(
        Phrase::ProfileVertical.text(language).to_string(),
        Phrase::ProfileAxis.text(language).to_string(),
        [(Ink::Lung, Phrase::HistogramLung.text(language)), (Ink::Lesion, Phrase::HistogramLesion.text(language))],
    );
    let most = slices.iter().max_by(|a, b| a.lesion_ml.total_cmp(&b.lesion_ml).then(b.index.cmp(&a.index)))?;
    let alt = Phrase::ProfileAlt.fill(
        language,
        &[
            ("with", &language.count(with)),
            ("slices", &language.count(slices.len())),
            ("index", &most.index.to_string()),
            ("ml", &language.millilitres(most.lesion_ml)),
        ],
    );
    Some(Chart { title: Phrase::ProfileTitle.text(language).to_string(), alt, marks: plot.marks })
}

/// Opacity in percent of the lung over time, ending with this study; `None` without dated earlier studies.
pub(crate) fn trend(findings: &Findings, language: Language) -> Option<Chart> {
    let now = findings.lesions.percent_of_lung?;
    let earlier = &findings.follow_up.as_ref()?.earlier;
    let mut points: Vec<(f64, f64)> =
        earlier.iter().filter_map(|e| Some((-(e.days_before? as f64), e.percent_of_lung?))).collect();
    points.push((0.0, now));
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let first = points[0].0;
    if first >= 0.0 {
        return None;
    }
    let highest = points.iter().map(|p| p.1).fold(0.0, f64::max);
    // Room at both ends, so that the marks are whole.
    let mut plot = Plot::new([first * 1.04, -first * 0.04], highest);
    let step = round_up(-first / 5.0);
    let ticks: Vec<f64> = (0..).map(|i| -step * f64::from(i)).take_while(|t| *t >= first).collect();
    plot.axes(language, &ticks);
    let line: Vec<[f32; 2]> = points.iter().map(|(day, percent)| plot.at(*day, *percent)).collect();
    plot.marks.push(Mark::Line { points: line.clone(), ink: Ink::Lesion, width: 1.4 });
    for [x, y] in line {
        let points = vec![[x - 3.0, y], [x, y - 3.0], [x + 3.0, y], [x, y + 3.0]];
        plot.marks.push(Mark::Area { points, ink: Ink::Lesion });
    }
    plot.text([2.0, 10.0], Anchor::Start, Phrase::TrendVertical.text(language).to_string());
    let axis = Phrase::TrendAxis.text(language).to_string();
    plot.text([(LEFT + RIGHT) / 2.0, Chart::HEIGHT - 4.0], Anchor::Middle, axis);
    let values = [("count", language.count(points.len())), ("percent", language.percent(now))];
    let alt = Phrase::TrendAlt.fill(language, &[(values[0].0, &values[0].1), (values[1].0, &values[1].1)]);
    Some(Chart { title: Phrase::TrendTitle.text(language).to_string(), alt, marks: plot.marks })
}

#[cfg(test)]
mod tests {
    use super::{Mark, histogram, profile, round_up};
    use crate::Language;
    use hilum_findings::{Findings, SliceLesions};

    #[test]
    fn axes_end_on_round_numbers() {
        for (value, expected) in [(0.0, 1.0), (0.7, 1.0), (1.0, 1.0), (13.0, 20.0), (41.0, 50.0), (0.03, 0.04)] {
            assert!((round_up(value) - expected).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn what_was_not_measured_has_no_chart() {
        assert!(histogram(&Findings::default(), Language::English).is_none());
        assert!(profile(&Findings::default(), Language::English).is_none());
    }

    #[test]
    fn a_slice_stands_as_high_as_its_share_of_the_axis() {
        let mut findings = Findings::default();
        for index in 0..4 {
            let lesion_ml = if index == 2 { 10.0 } else { 0.0 };
            findings.lesions.slices.push(SliceLesions { index, lesion_ml, probability: None, lung_ml: 20.0 });
        }
        let chart = profile(&findings, Language::English).unwrap();
        assert!(chart.alt.contains("1 of 4 slices") && chart.alt.contains("slice 2 (10.0"), "{}", chart.alt);
        let lesion = chart.marks.iter().find_map(|m| match m {
            Mark::Area { points, ink: super::Ink::Lesion } if points.len() > 4 => Some(points),
            _ => None,
        });
        let top = lesion.unwrap().iter().map(|p| p[1]).fold(f32::INFINITY, f32::min);
        assert!((top - (super::BOTTOM + super::TOP) / 2.0).abs() < 0.01, "10 of 20 ml is half way up, not {top}");
    }
}
