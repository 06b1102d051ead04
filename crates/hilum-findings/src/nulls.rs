//! No null without a reason.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{Findings, NotKnown};

/// Why a field is null if nobody gave a better reason. The first entry that covers the field counts.
const GENERAL_REASONS: &[(&str, &str)] = &[
    ("created", "The time of the analysis was not recorded."),
    ("software.commit", "The program was built outside of its repository."),
    ("models[].purpose", "The card of the model does not say."),
    ("models[].licence", "The card of the model does not say."),
    ("series.study_uid", "The input does not carry identifiers, as NIfTI files do not."),
    ("series.series_uid", "The input does not carry identifiers, as NIfTI files do not."),
    ("series.description", "The series carries no description."),
    ("series.modality", "The input does not name its modality."),
    ("series.chosen_because", "There was no choice to make, or the series was named by the user."),
    ("series", "The input does not say."),
    ("anatomy.fissures[]", "How surely this fissure was found was not assessed."),
    (
        "lesions.slices[].probability",
        "No model that judges whole slices is offered; slices are ranked by lesion volume.",
    ),
    ("lesions.interval", "The card of the model does not say how far its volumes can be trusted."),
    ("classification", "No classifier is offered: classes without honest training data are not offered."),
    ("quality.out_of_distribution", "No detector of unusual images was run."),
    ("follow_up.study_date", "The study carries no date."),
    ("follow_up.earlier[]", "The earlier study does not say."),
    ("follow_up.comparison.registration", "The earlier result holds no image of the inside of the lungs."),
    ("follow_up.comparison.regions[]", "The lobe or lung was not found in one of the studies."),
    ("follow_up.comparison.lesions[]", "The opacity is in one study alone, or too small to be listed there."),
    ("follow_up.comparison", "The two studies could not be brought onto each other."),
    ("follow_up", "No earlier study was given."),
    ("timings_s.classify", "No classifier was run."),
    ("timings_s", "This step was not timed."),
    ("peak_memory_mb", "Memory use was not measured."),
    ("definitions[].source", "The definition is an assumption of Hilum, without a publication."),
];

impl Findings {
    /// Paths of all null values, in the form of [`NotKnown::field`], that no entry of `not_known` covers.
    #[must_use]
    pub fn unexplained_nulls(&self) -> Vec<String> {
        self.nulls().into_iter().filter(|path| !self.not_known.iter().any(|entry| covers(&entry.field, path))).collect()
    }

    /// The reasons that were given for values which are null: those for what is known after all, or given twice, are left out.
    #[must_use]
    pub fn reasons_for_nulls(&self) -> Vec<NotKnown> {
        let nulls = self.nulls();
        let mut seen = BTreeSet::new();
        let mut reasons = self.not_known.clone();
        reasons.retain(|entry| {
            let is_null = nulls.iter().any(|path| covers(&entry.field, path));
            is_null && seen.insert((entry.field.clone(), entry.reason.clone()))
        });
        reasons
    }

    /// The findings with a reason for every null value: general reasons are added where none was given, and reasons for
    /// what is known after all, or given twice, are dropped.
    ///
    /// Called by [`Findings::to_json`], so that times and the like may be filled in until the end.
    #[must_use]
    pub fn with_nulls_explained(&self) -> Self {
        let mut findings = self.clone();
        findings.not_known = self.reasons_for_nulls();
        for path in findings.unexplained_nulls() {
            let general = GENERAL_REASONS.iter().find(|(field, _)| covers(field, &path));
            let (field, reason) = general.copied().unwrap_or((&path, "It was not determined."));
            // One entry for a group: the same reason is not said eight times.
            let entry = NotKnown::new(field, reason);
            if !findings.not_known.contains(&entry) {
                findings.not_known.push(entry);
            }
        }
        findings
    }

    fn nulls(&self) -> BTreeSet<String> {
        let value = serde_json::to_value(self).expect("findings hold only strings, numbers and lists");
        let mut paths = BTreeSet::new();
        collect(&value, "", &mut paths);
        paths
    }
}

/// Whether the entry for `field` speaks of `path`: the same, or a part of it.
fn covers(field: &str, path: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with("[]"))
}

fn collect(value: &Value, path: &str, nulls: &mut BTreeSet<String>) {
    match value {
        Value::Null => {
            nulls.insert(path.to_owned());
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, &format!("{path}[]"), nulls)),
        Value::Object(fields) => {
            for (name, item) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                collect(item, &format!("{path}{dot}{name}"), nulls);
            }
        }
        _ => {}
    }
}
