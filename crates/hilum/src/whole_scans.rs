//! Whole scans with labels by slice, analysed and held against them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use hilum_findings::{GROUND_GLASS_LABEL, Lobe};
use hilum_lung::{Analysis, LesionNetwork, analyze};

use crate::machine;
use crate::outcome::Refused;
use crate::progress::Progress;

/// Labels of whole scans, slice by slice: `case,slice_index_from_foot_end,infected`, and a column for each lobe.
pub(crate) const SLICE_LABELS: &str = "slice_labels.csv";

/// A lobe is involved in a slice from so large an area of opacity on: 5 mm × 5 mm.
const INVOLVED_MM2: f64 = 25.0;

/// What the labels of a slice say: whether it is infected, and each of [`LOBE_COLUMNS`].
struct SliceLabel {
    infected: bool,
    lobes: [bool; 5],
}

/// The columns of `slice_labels.csv` behind `infected`, with the lobes they are of.
const LOBE_COLUMNS: [(&str, Lobe); 5] = [
    ("LLL", Lobe::LeftLower),
    ("LUL", Lobe::LeftUpper),
    ("RLL", Lobe::RightLower),
    ("RML", Lobe::RightMiddle),
    ("RUL", Lobe::RightUpper),
];

fn slice_labels(folder: &Path) -> Result<BTreeMap<String, Vec<SliceLabel>>> {
    let text = std::fs::read_to_string(folder.join(SLICE_LABELS))?;
    let mut lines = text.lines();
    let head = ["case", "slice_index_from_foot_end", "infected"].into_iter();
    let head: Vec<&str> = head.chain(LOBE_COLUMNS.map(|(name, _)| name)).collect();
    let found: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    ensure!(found == head, "{SLICE_LABELS} has the columns {}, not {}", found.join(","), head.join(","));
    let mut cases = BTreeMap::<String, Vec<SliceLabel>>::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        ensure!(fields.len() == head.len(), "{SLICE_LABELS}: a line has {} fields", fields.len());
        let slices = cases.entry(fields[0].to_owned()).or_default();
        ensure!(fields[1].parse() == Ok(slices.len()), "{SLICE_LABELS}: slices of {} are not in order", fields[0]);
        let lobes = std::array::from_fn(|n| fields[3 + n] == "1");
        slices.push(SliceLabel { infected: fields[2] == "1", lobes });
    }
    Ok(cases)
}

/// Which lobes are involved in each slice, the foot end first, in the order of [`LOBE_COLUMNS`].
fn involved(analysis: &Analysis) -> Vec<[bool; 5]> {
    let geometry = analysis.lobes.geometry();
    let [_, row_mm, column_mm] = geometry.spacing_mm();
    let least = INVOLVED_MM2 / (row_mm * column_mm);
    let of_slice = |slice: usize| {
        let mut voxels = [0u32; 5];
        for (label, lobe) in analysis.labels.labels().slice(slice).iter().zip(analysis.lobes.labels().slice(slice)) {
            if *label >= GROUND_GLASS_LABEL
                && let Some(n) = LOBE_COLUMNS.iter().position(|(_, known)| known.label() == *lobe)
            {
                voxels[n] += 1;
            }
        }
        voxels.map(|count| f64::from(count) >= least)
    };
    let mut slices: Vec<_> = (0..geometry.shape()[0]).map(of_slice).collect();
    if geometry.axes()[0].0[2] < 0.0 {
        slices.reverse();
    }
    slices
}

/// Runs the whole analysis on every scan, ranks its slices by lesion volume, and holds the lobes involved in each slice against
/// the labels.
pub(crate) fn whole_scans(
    folder: &Path,
    network: &LesionNetwork,
    progress: &Progress,
) -> Result<(String, serde_json::Value)> {
    let cases = slice_labels(folder)?;
    let mut table = format!(
        "{:<14} {:>7} {:>9} {:>9} {:>12} {:>15} {:>12} {:>12} {:>9} {:>8}\n",
        "scan",
        "slices",
        "infected",
        "opacity %",
        "AUC volume",
        "lobes accuracy",
        "sensitivity",
        "specificity",
        "decision",
        "seconds"
    );
    let mut rows = Vec::new();
    for (name, path) in scans(folder)? {
        let study = crate::analyze::read(&path, None, progress).map_err(|r| Refused(format!("{name}: {r}")))?;
        let started = std::time::Instant::now();
        let report = |stage: hilum_lung::Stage, fraction: f32| progress.report_within(&name, stage.name(), fraction);
        let analysis = analyze(&study, network, machine::software(), &report)?;
        let seconds = started.elapsed().as_secs_f64();
        let findings = &analysis.findings;
        let truth = cases.get(&name).filter(|t| t.len() == findings.lesions.slices.len());
        let volumes: Vec<f64> = findings.lesions.slices.iter().map(|s| s.lesion_ml).collect();
        let infection = truth.map(|truth| truth.iter().map(|slice| slice.infected).collect::<Vec<_>>());
        let auc = infection.as_ref().and_then(|truth| hilum_train::auc(&volumes, truth));
        let infected = infection.map(|t| t.iter().filter(|i| **i).count());
        let lobes = truth.map(|truth| LobeCounts::of(&involved(&analysis), truth));
        let percent = findings.lesions.percent_of_lung;
        let decision = findings.classification.decision;
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        let share = |value: Option<f64>| shown(value.map(|v| format!("{v:.3}")));
        let of_lobes = |share: fn(&LobeCounts) -> Option<f64>| lobes.as_ref().and_then(share);
        let [accuracy, sensitivity, specificity] =
            [LobeCounts::accuracy, LobeCounts::sensitivity, LobeCounts::specificity].map(of_lobes);
        writeln!(
            table,
            "{name:<14} {:>7} {:>9} {:>9} {:>12} {:>15} {:>12} {:>12} {:>9} {seconds:>8.1}",
            volumes.len(),
            shown(infected.map(|n| n.to_string())),
            shown(percent.map(|p| format!("{p:.2}"))),
            share(auc),
            share(accuracy),
            share(sensitivity),
            share(specificity),
            shown(decision.map(|d| format!("{d:?}").to_lowercase())),
        )?;
        rows.push(serde_json::json!({
            "scan": name, "slices": volumes.len(), "infected": infected, "percent_of_lung": percent,
            "auc_by_lesion_volume": auc, "lobes_accuracy": accuracy, "lobes_sensitivity": sensitivity,
            "lobes_specificity": specificity, "decision": decision, "seconds": seconds,
        }));
    }
    writeln!(
        table,
        "\n- A lobe is involved in a slice from {INVOLVED_MM2} mm² of opacity on; accuracy is over all five lobes of all slices of a scan."
    )?;
    Ok((table, serde_json::json!({ "involved_mm2": INVOLVED_MM2, "scans": rows })))
}

/// Lobes of slices: called involved or not, and involved or not by the labels.
#[derive(Default)]
struct LobeCounts {
    /// `[called][labelled]`.
    counts: [[u32; 2]; 2],
}

impl LobeCounts {
    fn of(called: &[[bool; 5]], labelled: &[SliceLabel]) -> Self {
        let mut counts = [[0; 2]; 2];
        for (called, labelled) in called.iter().zip(labelled) {
            for (called, labelled) in called.iter().zip(labelled.lobes) {
                counts[usize::from(*called)][usize::from(labelled)] += 1;
            }
        }
        Self { counts }
    }

    fn share(part: u32, whole: u32) -> Option<f64> {
        (whole > 0).then(|| f64::from(part) / f64::from(whole))
    }

    fn accuracy(&self) -> Option<f64> {
        let [[no, missed], [wrong, yes]] = self.counts;
        Self::share(no + yes, no + missed + wrong + yes)
    }

    fn sensitivity(&self) -> Option<f64> {
        let [[_, missed], [_, yes]] = self.counts;
        Self::share(yes, missed + yes)
    }

    fn specificity(&self) -> Option<f64> {
        let [[no, _], [wrong, _]] = self.counts;
        Self::share(no, no + wrong)
    }
}

/// Folders of DICOM and NIfTI files in a data set, in the order of their names. A case `covid-P002` may lie in a folder of
/// that name.
fn scans(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            found.push((name, path));
        } else if let Some(name) = name.strip_suffix(".nii.gz") {
            found.push((name.to_owned(), path));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lobes_are_counted_by_what_was_called_and_labelled() {
        let label = |lobes| SliceLabel { infected: true, lobes };
        let called = [[true, false, false, true, false], [false; 5]];
        let labelled = [label([true, true, false, false, false]), label([false, false, false, false, true])];
        let counts = LobeCounts::of(&called, &labelled);
        assert_eq!(counts.counts, [[6, 2], [1, 1]]);
        assert_eq!(counts.accuracy(), Some(0.7));
        assert_eq!((counts.sensitivity(), counts.specificity()), (Some(1.0 / 3.0), Some(6.0 / 7.0)));
        assert_eq!(LobeCounts::default().accuracy(), None);
    }

    #[test]
    fn labels_of_slices_are_read_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let write = |lines: &str| {
            let head = "case,slice_index_from_foot_end,infected,LLL,LUL,RLL,RML,RUL\n";
            std::fs::write(folder.path().join(SLICE_LABELS), format!("{head}{lines}")).unwrap();
            slice_labels(folder.path())
        };
        let read = write("a,0,0,0,0,0,0,0\na,1,1,1,0,0,0,1\nb,0,1,0,1,0,0,0\n").unwrap();
        assert_eq!(read["a"].len(), 2);
        assert_eq!((read["a"][1].infected, read["a"][1].lobes), (true, [true, false, false, false, true]));
        assert_eq!(read["b"][0].lobes, [false, true, false, false, false]);
        assert!(write("a,1,0,0,0,0,0,0\n").is_err(), "a slice is missing");
        assert!(write("a,0,0,0,0\n").is_err(), "lobes are missing");
    }
}
