//! Evaluations as charts: SVG files that any browser and most word processors show.

use std::fmt::Write;

use crate::calibration::Reliability;
use crate::evaluate::Evaluation;

/// The sheet, and the plot within it.
const SHEET: [f64; 2] = [480.0, 400.0];
const LEFT: f64 = 56.0;
const RIGHT: f64 = SHEET[0] - 16.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = SHEET[1] - 52.0;

/// Colours told apart by colour-blind readers too (Okabe and Ito, https://jfly.uni-koeln.de/color/).
const COLORS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];

/// Every chart an evaluation has enough for: name of a file and its content.
///
/// `dice.svg` (a dot per patient), `roc.svg` (slices with lesion against those without), `bland-altman.svg` (lesion in percent of
/// the lungs), `reliability-CHANNEL.svg` (probabilities of voxels) and `reliability-slices.svg`.
#[must_use]
pub fn charts(evaluation: &Evaluation) -> Vec<(String, String)> {
    let mut files = vec![("dice.svg".to_string(), dice(evaluation))];
    if let Some(detection) = &evaluation.slice_detection {
        let title = format!("Slices with {}, AUC {:.3}", evaluation.target, detection.auc);
        let mut chart = Chart::new(&title, ["1 − specificity", "sensitivity"], [[0.0, 1.0]; 2]);
        chart.line(&[[0.0, 0.0], [1.0, 1.0]], "#999", true);
        chart.line(&detection.roc, COLORS[0], false);
        files.push(("roc.svg".into(), chart.svg()));
    }
    if let Some(agreement) = &evaluation.lesion_share {
        let points: Vec<[f64; 2]> = agreement.pairs.iter().map(|[p, t]| [(p + t) / 2.0, p - t]).collect();
        let largest = points.iter().map(|p| p[1].abs()).chain(agreement.limits.into_iter().flatten().map(f64::abs));
        let y = 1.1 * largest.fold(1.0, f64::max);
        let x = 1.1 * points.iter().map(|p| p[0]).fold(1.0, f64::max);
        let axes = ["mean of both, % of the lungs", "predicted − true, % of the lungs"];
        let mut chart = Chart::new("Lesion in percent of the lungs", axes, [[0.0, x], [-y, y]]);
        chart.line(&[[0.0, agreement.bias], [x, agreement.bias]], "#000", false);
        for limit in agreement.limits.into_iter().flatten() {
            chart.line(&[[0.0, limit], [x, limit]], "#000", true);
        }
        points.iter().for_each(|point| chart.dot(*point, COLORS[0]));
        files.push(("bland-altman.svg".into(), chart.svg()));
    }
    for calibration in &evaluation.calibration {
        let title = format!("Probability of {}, voxel by voxel", calibration.channel);
        let mut chart = Chart::new(&title, ["predicted probability", "share that is true"], [[0.0, 1.0]; 2]);
        chart.line(&[[0.0, 0.0], [1.0, 1.0]], "#999", true);
        let points = |of: &Reliability| of.bins.iter().map(|bin| [bin.probability, bin.share]).collect::<Vec<_>>();
        let mut drawn = vec![("as predicted".to_string(), &calibration.reliability)];
        if let (Some(temperature), Some(after)) = (calibration.temperature, &calibration.at_temperature) {
            drawn.push((format!("at temperature {temperature:.2}"), after));
        }
        for ((name, reliability), color) in drawn.into_iter().zip(COLORS) {
            let points = points(reliability);
            chart.line(&points, color, false);
            points.iter().for_each(|point| chart.dot(*point, color));
            chart.name(&format!("{name}, error {:.3}", reliability.expected_calibration_error), color);
        }
        files.push((format!("reliability-{}.svg", calibration.channel), chart.svg()));
    }
    if let Some(slices) = &evaluation.slice_probability {
        let share = format!("share of slices with {}", evaluation.target);
        let title = format!("Probability of {}, slice by slice", evaluation.target);
        let mut chart = Chart::new(&title, ["predicted probability", &share], [[0.0, 1.0]; 2]);
        chart.line(&[[0.0, 0.0], [1.0, 1.0]], "#999", true);
        let points: Vec<_> = slices.reliability.bins.iter().map(|bin| [bin.probability, bin.share]).collect();
        chart.line(&points, COLORS[0], false);
        points.iter().for_each(|point| chart.dot(*point, COLORS[0]));
        let error = slices.reliability.expected_calibration_error;
        chart.name(&format!("each patient by the others’ map, error {error:.3}"), COLORS[0]);
        files.push(("reliability-slices.svg".into(), chart.svg()));
    }
    files
}

/// A dot per patient and channel.
fn dice(evaluation: &Evaluation) -> String {
    let count = evaluation.patients.len();
    let axes = ["patients, in the order of their names", "Dice"];
    let mut chart = Chart::new("Dice, patient by patient", axes, [[0.0, count as f64 + 1.0], [0.0, 1.0]]);
    for (summary, color) in evaluation.summary.iter().zip(COLORS) {
        for (at, patient) in evaluation.patients.iter().enumerate() {
            let of = patient.channels.iter().find(|c| c.channel == summary.channel);
            of.into_iter().for_each(|c| chart.dot([at as f64 + 1.0, c.dice], color));
        }
        let mean = summary.dice.map_or_else(String::new, |dice| format!(", mean {:.3}", dice.mean));
        chart.name(&format!("{}{mean}", summary.channel), color);
    }
    chart.svg()
}

/// A chart being drawn, in the units of its axes.
struct Chart {
    text: String,
    range: [[f64; 2]; 2],
    names: usize,
}

impl Chart {
    fn new(title: &str, axes: [&str; 2], range: [[f64; 2]; 2]) -> Self {
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"14\">{title}</text>\n",
            SHEET[0], SHEET[1]
        );
        let mut chart = Self { text, range, names: 0 };
        for axis in 0..2 {
            let [low, high] = range[axis];
            for tick in ticks(low, high) {
                let mut ends = [[tick; 2]; 2];
                (ends[0][1 - axis], ends[1][1 - axis]) = (range[1 - axis][0], range[1 - axis][1]);
                chart.line(&ends, if tick == 0.0 { "#888" } else { "#ddd" }, false);
                let [x, y] = chart.place(ends[0]);
                let (x, y, anchor) = if axis == 0 { (x, y + 16.0, "middle") } else { (x - 6.0, y + 4.0, "end") };
                let tick = format!("{tick:.3}").trim_end_matches('0').trim_end_matches('.').replace('-', "−");
                writeln!(chart.text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{tick}</text>")
                    .expect("strings grow");
            }
        }
        let (x, y) = ((LEFT + RIGHT) / 2.0, (TOP + BOTTOM) / 2.0);
        writeln!(
            chart.text,
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(14 {y}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            SHEET[1] - 14.0,
            axes[0],
            axes[1]
        )
        .expect("strings grow");
        chart
    }

    fn place(&self, point: [f64; 2]) -> [f64; 2] {
        let share = |axis: usize| {
            let [low, high] = self.range[axis];
            ((point[axis] - low) / (high - low)).clamp(0.0, 1.0)
        };
        [LEFT + share(0) * (RIGHT - LEFT), BOTTOM - share(1) * (BOTTOM - TOP)]
    }

    fn line(&mut self, points: &[[f64; 2]], color: &str, dashed: bool) {
        let path: Vec<String> = points.iter().map(|p| self.place(*p)).map(|[x, y]| format!("{x:.1} {y:.1}")).collect();
        let dash = if dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        writeln!(
            self.text,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"{dash}/>",
            path.join("L")
        )
        .expect("strings grow");
    }

    fn dot(&mut self, point: [f64; 2], color: &str) {
        let [x, y] = self.place(point);
        writeln!(self.text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{color}\"/>").expect("strings grow");
    }

    /// Says what a colour stands for, at the right of the plot's foot.
    fn name(&mut self, name: &str, color: &str) {
        let y = BOTTOM - 10.0 - 16.0 * self.names as f64;
        self.names += 1;
        writeln!(self.text, "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\" fill=\"{color}\">{name}</text>", RIGHT - 8.0)
            .expect("strings grow");
    }

    fn svg(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

/// Four to ten round numbers within a range.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let power = 10.0_f64.powf(((high - low) / 4.0).log10().floor());
    let step = [5.0, 2.0, 1.0].map(|m| m * power).into_iter().find(|step| (high - low) / step >= 4.0).unwrap_or(power);
    let first = (low / step - 1e-9).ceil() as i64;
    (first..).map(|i| i as f64 * step).take_while(|tick| *tick <= high + 1e-9 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(ticks(0.0, 1.0).len(), 6);
        assert_eq!(ticks(-11.0, 11.0), [-10.0, -5.0, 0.0, 5.0, 10.0]);
        for (low, high) in [(0.0, 37.2), (-0.3, 0.9), (0.0, 15.0), (0.0, 1e6)] {
            let ticks = ticks(low, high);
            assert!((4..=11).contains(&ticks.len()), "{low} to {high}: {ticks:?}");
            assert!(ticks.iter().all(|t| *t >= low - 1e-9 && *t <= high + 1e-9));
        }
    }

    #[test]
    fn values_beyond_the_axes_stay_on_the_sheet() {
        let mut chart = Chart::new("title", ["x", "y"], [[0.0, 1.0]; 2]);
        chart.dot([2.0, -1.0], "#000");
        assert!(chart.svg().contains(&format!("cx=\"{RIGHT:.1}\" cy=\"{BOTTOM:.1}\"")));
    }
}
