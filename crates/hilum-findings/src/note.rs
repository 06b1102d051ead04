//! Remarks that travel with the findings: notes, definitions, reasons for what is not known.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much a note should worry its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For the record; the result is not affected.
    Info,
    /// The result may be a little off.
    Warning,
    /// The result should be checked by eye.
    Severe,
}

/// A remark on the series or on the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// Stable name, such as `thick-slices`.
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// One sentence for people.
    pub text: String,
}

/// Why a value is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotKnown {
    /// Path of the field from the root, joined by dots, `[]` standing for every element of a list:
    /// `lesions.slices[].probability`. The name of a group stands for all that is null within it.
    pub field: String,
    /// One sentence for people.
    pub reason: String,
}

/// What a number means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Definition {
    /// Path of the field it explains, written as in `not_known`.
    pub field: String,
    /// Its name for people.
    pub name: String,
    /// How it is computed, cut points included.
    pub text: String,
    /// Publication it is taken from.
    pub source: Option<String>,
    /// Whether a part of the definition is an assumption of ours that no publication supports.
    pub assumption: bool,
}

impl Note {
    /// A note. Its text becomes a sentence: a capital at the start, a stop at the end.
    #[must_use]
    pub fn new(code: impl Into<String>, severity: Severity, text: impl AsRef<str>) -> Self {
        Self { code: code.into(), severity, text: sentence(text.as_ref()) }
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.trim().chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let stop = if text.trim_end().ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

impl NotKnown {
    /// The reason why `field` is null.
    #[must_use]
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn sentences_begin_and_end_as_such() {
        for (text, expected) in [
            ("no lungs found: 0 ml", "No lungs found: 0 ml."),
            ("It is one already.", "It is one already."),
            ("ärger", "Ärger."),
            (" 5 mm slices", "5 mm slices."),
        ] {
            assert_eq!(sentence(text), expected);
        }
    }
}
