//! The root of `findings.json` and what describes the study, the software and the run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::definitions::follow_up_definitions;
use crate::{
    Anatomy, Classification, Definition, FollowUp, HuHistogram, Lesions, NotKnown, Note, Priority, Quality, Scores,
    Triage,
};

/// Version of the layout of `findings.json`. The first number changes when a reader of the older layout would
/// misunderstand the newer one, the second when fields are added.
pub const SCHEMA_VERSION: &str = "1.3";

/// Everything Hilum found out about one study: the content of `findings.json`.
///
/// Every field is always present. A value that could not be determined is null, and `not_known` says why.
/// Slice indices count from 0 at the foot end upwards. Points are in the DICOM patient coordinate system (LPS,
/// millimetres). Percentages run from 0 to 100.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Findings {
    /// Version of this layout, `major.minor`.
    pub schema_version: String,
    /// The product that read the study, such as `hilum-lung`.
    pub product: String,
    /// When the analysis was finished, RFC 3339 in UTC.
    pub created: Option<String>,
    /// The program.
    pub software: Software,
    /// The models that were run, in the order of use.
    pub models: Vec<Model>,
    /// The series that was read.
    pub series: Series,
    /// Lungs and lobes.
    pub anatomy: Anatomy,
    /// Opacities.
    pub lesions: Lesions,
    /// Clinical scores.
    pub scores: Scores,
    /// Kind of pneumonia, where a model for it is offered.
    pub classification: Classification,
    /// Distribution of HU in the lungs and in the lesions.
    pub hu_histogram: HuHistogram,
    /// Whether the study could be used, and what to keep in mind.
    pub quality: Quality,
    /// How soon a person should read the study.
    pub triage: Triage,
    /// Change since earlier studies; null if none was given.
    pub follow_up: Option<FollowUp>,
    /// Where the time went, in seconds.
    pub timings_s: Timings,
    /// Highest memory use of the process, in megabytes (10⁶ bytes).
    pub peak_memory_mb: Option<f64>,
    /// What every number means, with its source.
    pub definitions: Vec<Definition>,
    /// Why a value is null: one entry per field, or per group of fields.
    pub not_known: Vec<NotKnown>,
}

/// The program that made the findings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Software {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The revision of its source code it was built from.
    pub commit: Option<String>,
}

/// A model that was run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its weights, in lower-case hexadecimal.
    pub sha256: String,
    /// File name of its card, which tells of its training, its performance and its intended use.
    pub card: String,
    /// What computed it, and with which numbers; other processors and numbers may move a result in its last digits.
    pub computed_by: Option<String>,
    /// What it was used for in this study.
    pub purpose: Option<String>,
    /// Licence of its weights.
    pub licence: Option<String>,
    /// What it cannot do, in sentences.
    pub limits: Vec<String>,
}

/// The series that was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// Study Instance UID.
    pub study_uid: Option<String>,
    /// Series Instance UID.
    pub series_uid: Option<String>,
    /// Modality, `CT`.
    pub modality: Option<String>,
    /// Series description, if it was kept.
    pub description: Option<String>,
    /// Number of slices.
    pub slices: Option<usize>,
    /// Distance between voxel centres along slices, rows and columns, in millimetres.
    pub spacing_mm: Option<[f64; 3]>,
    /// `axial`, `coronal`, `sagittal` or `oblique`: how the slices lie in the patient.
    pub orientation: Option<String>,
    /// Where the voxels lie.
    pub grid: Option<Grid>,
    /// Why this series was chosen of those offered.
    pub chosen_because: Option<String>,
    /// Flaws of the series that were worked around.
    pub notes: Vec<Note>,
}

/// The grid of the series, as its label map has it. Index 0 of the slices is the first one stored, which need not be the
/// foot end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Grid {
    /// Slices, rows, columns.
    pub shape: [usize; 3],
    /// Centre of the first voxel, LPS, millimetres.
    pub origin_lps_mm: [f64; 3],
    /// Unit vectors in LPS along which the slice, row and column index grow.
    pub axes_lps: [[f64; 3]; 3],
}

/// Where the time went, in seconds of wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timings {
    /// Reading and decoding the files.
    pub load: Option<f64>,
    /// Finding the lungs.
    pub lungs: Option<f64>,
    /// Finding the lobes.
    pub lobes: Option<f64>,
    /// Finding the lesions.
    pub lesions: Option<f64>,
    /// Classifying.
    pub classify: Option<f64>,
    /// Measuring and scoring.
    pub measure: Option<f64>,
    /// Writing the report and pictures.
    pub report: Option<f64>,
    /// Everything, from start to end.
    pub total: Option<f64>,
}

impl Findings {
    /// The findings as indented JSON, ending in a line feed, every null explained in `not_known`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(&self.with_nulls_explained())
            .expect("findings hold only strings, numbers and lists");
        text.push('\n');
        text
    }

    /// Findings read back from JSON.
    ///
    /// # Errors
    /// If the text is not JSON of this layout.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The same findings without what differs from run to run (`created`, `timings_s`, `peak_memory_mb`): equal for the
    /// same input.
    #[must_use]
    pub fn without_run(&self) -> Self {
        Self { created: None, timings_s: Timings::default(), peak_memory_mb: None, ..self.clone() }
    }

    /// The findings with a follow-up and what its numbers mean.
    #[must_use]
    pub fn with_follow_up(mut self, follow_up: FollowUp) -> Self {
        self.definitions.extend(follow_up_definitions());
        if follow_up.compared().is_none() && !follow_up.earlier.is_empty() {
            let reason = "Of earlier studies there are reports alone: numbers, and no images to compare with.";
            self.not_known.push(NotKnown::new("follow_up.comparison", reason));
        }
        self.follow_up = Some(follow_up.rounded());
        self
    }

    /// Whether a person should look before the others in the list: triage is urgent.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.triage.priority == Some(Priority::Urgent)
    }
}
