//! Results of parts of the patients: with much and little lesion, thin and thick slices, scanner by scanner.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cases::CHANNELS;
use crate::evaluate::{ChannelSummary, PatientResult, summaries};
use crate::structures::Structures;

/// Share of the labelled lungs that is labelled lesion, in percent, from which a patient counts as one with much lesion.
/// The CT severity score has the same limit: less of a lobe scores 1, as little as can be (Pan et al. 2020,
/// doi:10.1148/radiol.2020200370).
pub const MUCH_LESION_PERCENT: f64 = 5.0;

/// Distance of slices in mm from which they count as thick. Our choice: between the thin sections of usual chest CT, 1 to 2 mm, and
/// the 5 mm and more of older ones.
pub const THICK_SLICES_MM: f64 = 3.0;

/// Results of some of the patients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subgroup {
    /// Short name: `lesion_small`, `lesion_large`, `slices_thin`, `slices_thick`, `scanner_…`.
    pub name: String,
    /// Who belongs to it, in words.
    pub meaning: String,
    /// Number of patients.
    pub patients: usize,
    /// Means over them, of every channel; without those of single slices.
    pub summary: Vec<ChannelSummary>,
}

/// Every subgroup that the data set tells of a patient to be in.
pub(crate) fn subgroups(structures: &Structures, patients: &[PatientResult], resamples: usize) -> Vec<Subgroup> {
    let mut groups = BTreeMap::<(String, String), Vec<PatientResult>>::new();
    for patient in patients {
        for group in [burden(patient), slices(patient), scanner(patient)].into_iter().flatten() {
            groups.entry(group).or_default().push(patient.clone());
        }
    }
    let subgroup = |((name, meaning), patients): ((String, String), Vec<PatientResult>)| Subgroup {
        name,
        meaning,
        patients: patients.len(),
        summary: summaries(structures, &patients, &mut std::iter::repeat_with(Vec::new), resamples),
    };
    groups.into_iter().map(subgroup).collect()
}

/// Small or large share of the lungs, where both are labelled.
fn burden(patient: &PatientResult) -> Option<(String, String)> {
    let truth = |name| patient.channels.iter().find(|c| c.channel == name).map(|c| c.overlap.truth as f64);
    let (lung, lesion) = (truth(CHANNELS[0]).filter(|lung| *lung > 0.0)?, truth(CHANNELS[1])?);
    let (size, than) = match 100.0 * lesion / lung < MUCH_LESION_PERCENT {
        true => ("small", "less than"),
        false => ("large", "at least"),
    };
    Some((format!("lesion_{size}"), format!("lesion labelled in {than} {MUCH_LESION_PERCENT} % of the labelled lungs")))
}

fn slices(patient: &PatientResult) -> Option<(String, String)> {
    let (kind, than) = match patient.slice_mm? < THICK_SLICES_MM {
        true => ("thin", "less than"),
        false => ("thick", "at least"),
    };
    Some((format!("slices_{kind}"), format!("slices {than} {THICK_SLICES_MM} mm apart")))
}

fn scanner(patient: &PatientResult) -> Option<(String, String)> {
    let manufacturer = patient.scanner.as_deref()?;
    Some((format!("scanner_{}", key(manufacturer)), format!("scanner of {manufacturer}")))
}

/// A name as a key of a card: small letters, digits and `_`.
pub(crate) fn key(name: &str) -> String {
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    plain.collect::<String>().trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::ChannelResult;
    use crate::metrics::Overlap;

    fn patient(name: &str, lesion: u64, dice: f64, slice_mm: Option<f64>, scanner: Option<&str>) -> PatientResult {
        let channel = |name: &str, truth| ChannelResult {
            channel: name.into(),
            dice,
            overlap: Overlap { both: 0, predicted: 0, truth },
            slice_dice: None,
            sensitivity: None,
            precision: None,
            volume_error: None,
            surface_dice: None,
            hd95_mm: None,
            lesions: None,
        };
        PatientResult {
            patient: name.into(),
            volumes: 1,
            slices: 1,
            slice_mm,
            scanner: scanner.map(str::to_owned),
            channels: vec![channel("lung", 1000), channel("lesion", lesion)],
        }
    }

    #[test]
    fn patients_are_told_apart_by_what_their_data_set_says() {
        let patients = [
            patient("a", 49, 0.4, Some(1.0), Some("SIEMENS")),
            patient("b", 50, 0.8, Some(5.0), Some("GE Medical, Inc.")),
            patient("c", 300, 0.6, None, None),
        ];
        let groups = subgroups(&Structures::default(), &patients, 50);
        let found: Vec<_> = groups
            .iter()
            .map(|group| (group.name.as_str(), group.patients, group.summary[1].dice.unwrap().mean))
            .collect();
        assert_eq!(
            found,
            [
                ("lesion_large", 2, (0.8 + 0.6) / 2.0),
                ("lesion_small", 1, 0.4),
                ("scanner_ge_medical__inc", 1, 0.8),
                ("scanner_siemens", 1, 0.4),
                ("slices_thick", 1, 0.8),
                ("slices_thin", 1, 0.4),
            ]
        );
        assert_eq!(groups[0].meaning, "lesion labelled in at least 5 % of the labelled lungs");
    }
}
