//! What was measured, as a table for a terminal.

use std::fmt::Write;

use crate::agreement::Agreement;
use crate::calibration::Reliability;
use crate::cases::CHANNELS;
use crate::evaluate::{ChannelSummary, Evaluation, PatientResult, VolumeInterval};
use crate::lesionwise::LesionCounts;
use crate::metrics::MeanSd;

impl Evaluation {
    /// The results as a table for a terminal.
    pub fn table(&self) -> String {
        let mut text = format!("{} {} on {}\n\n", self.model, self.version, self.data_set);
        let columns = ["Dice", "slice", "sens", "prec", "vol err", "surface", "HD95 mm"];
        let line = |text: &mut String, name: &str, channel: &str, cells: [String; 7]| {
            write!(text, "{name:<20} {channel:<14}").expect("strings grow");
            cells.iter().for_each(|cell| write!(text, " {cell:>12}").expect("strings grow"));
            text.push('\n');
        };
        line(&mut text, "patient", "channel", columns.map(str::to_string));
        let cell = |value: Option<f64>| value.map_or_else(|| "-".to_string(), |v| format!("{v:.3}"));
        for patient in &self.patients {
            for r in &patient.channels {
                let values =
                    [Some(r.dice), r.slice_dice, r.sensitivity, r.precision, r.volume_error, r.surface_dice, r.hd95_mm];
                line(&mut text, &patient.patient, &r.channel, values.map(cell));
            }
        }
        let cell = |value: Option<MeanSd>| value.map_or_else(|| "-".to_string(), |v| v.in_words());
        for s in &self.summary {
            let values = [s.dice, s.slice_dice, s.sensitivity, s.precision, s.volume_error, s.surface_dice, s.hd95_mm];
            line(&mut text, "mean ± sd", &s.channel, values.map(cell));
        }
        // Evaluations of earlier versions do not say what was looked for.
        let target = if self.target.is_empty() { CHANNELS[1] } else { &self.target };
        let has_lungs = target == CHANNELS[1] || self.summary.iter().any(|s| s.channel == CHANNELS[0]);
        let within = if has_lungs { " within the lungs" } else { "" };
        let range = |interval: Option<[f64; 2]>| {
            interval.map_or_else(String::new, |[low, high]| format!(" (95 % interval {low:.3} to {high:.3})"))
        };
        let counted = |p: &PatientResult| p.channels.iter().find_map(|c| c.lesions);
        for (patient, lesions) in self.patients.iter().filter_map(|p| Some((&p.patient, counted(p)?))) {
            let LesionCounts { scans, truth, found, false_alarms } = lesions;
            writeln!(
                text,
                "{target} of {patient}: {found} of {truth} parts found, {false_alarms} false alarms in {scans} scan(s)"
            )
            .expect("strings grow");
        }
        for s in &self.summary {
            if let Some([low, high]) = s.dice_95 {
                writeln!(
                    text,
                    "mean Dice of {}: 95 % interval {low:.3} to {high:.3} (bootstrap over patients)",
                    s.channel
                )
                .expect("strings grow");
            }
        }
        for group in &self.subgroups {
            let dice = |s: &ChannelSummary| s.dice.map(|d| format!("{} {}", s.channel, d.in_words()));
            let channels = group.summary.iter().filter_map(dice).collect::<Vec<_>>().join(", ");
            let (n, meaning) = (group.patients, &group.meaning);
            writeln!(text, "mean Dice of {n} patient(s) with {meaning}: {channels}").expect("strings grow");
        }
        if let Some(choice) = &self.lesion_threshold {
            writeln!(
                text,
                "mean Dice of {target}{within}, each patient at the threshold that is best for the others: {:.3}±{:.3}; best for \
                 all: {:.3}",
                choice.mean.mean, choice.mean.sd, choice.probability
            )
            .expect("strings grow");
        }
        if let Some(d) = &self.slice_detection {
            let range = range(d.auc_95);
            let (positive, negative) = (d.positive, d.negative);
            writeln!(text, "\nslices with {target} {positive}, without {negative}: AUC {:.3}{range}", d.auc)
                .expect("strings grow");
            for [specificity, sensitivity] in &d.sensitivity_at {
                writeln!(text, "  sensitivity at specificity {specificity:.2}: {sensitivity:.3}")
                    .expect("strings grow");
            }
        }
        for c in &self.calibration {
            let error = |r: &Reliability| format!("{:.4} (Brier {:.4})", r.expected_calibration_error, r.brier);
            write!(text, "calibration error of {} by voxels: {}", c.channel, error(&c.reliability))
                .expect("strings grow");
            if let (Some(temperature), Some(after)) = (c.temperature, &c.at_temperature) {
                write!(text, "; at temperature {temperature:.2}: {}", error(after)).expect("strings grow");
            }
            text.push('\n');
        }
        if let Some(p) = &self.slice_probability {
            let (error, brier) = (p.reliability.expected_calibration_error, p.reliability.brier);
            writeln!(text, "probability of {target} by slices, each patient by the others' map: calibration error {error:.3}, Brier {brier:.3}")
                .expect("strings grow");
            if let Some(called) = p.called {
                let (accuracy, f1) = (called.decision.accuracy, called.decision.f1);
                let (of_accuracy, of_f1) = (range(called.accuracy_95), range(called.f1_95));
                writeln!(text, "  called from 0.5 on: accuracy {accuracy:.3}{of_accuracy}, F1 {f1:.3}{of_f1}")
                    .expect("strings grow");
            }
        }
        if let Some(VolumeInterval { offset_logits, coverage, patients }) = self.lesion_interval {
            writeln!(
                text,
                "the volume of {target} lies between thresholds {offset_logits:.1} logits above and below in {:.0} % of unseen patients \
                 (conformal, {patients} patients)",
                100.0 * coverage
            )
            .expect("strings grow");
        }
        if let Some(Agreement { bias, limits: Some([low, high]), .. }) = &self.lesion_share {
            writeln!(
                text,
                "lesion in percent of the lungs: bias {bias:+.1}, limits of agreement {low:+.1} to {high:+.1}"
            )
            .expect("strings grow");
        }
        text.push('\n');
        self.protocol.iter().for_each(|sentence| writeln!(text, "- {sentence}").expect("strings grow"));
        text
    }
}
