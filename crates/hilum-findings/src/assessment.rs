//! Scores, classification, quality and triage in the findings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Note;

/// Clinical scores; `definitions` tells how each is computed and where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scores {
    /// CT severity score, 0 to 25: sum over the lobes.
    #[schemars(range(max = 25))]
    pub ctss_0_25: Option<u8>,
    /// Lung severity score, 0 to 20: sum over the lobes.
    #[schemars(range(max = 20))]
    pub lss_0_20: Option<u8>,
    /// Lung high opacity score, 0 to 20: sum over the lobes.
    #[schemars(range(max = 20))]
    pub lhos_0_20: Option<u8>,
    /// CT-0 to CT-4 by the more involved lung.
    #[schemars(range(max = 4))]
    pub severity_ct_0_4: Option<u8>,
    /// Suggested CO-RADS grade.
    pub co_rads: CoRads,
}

/// A suggested CO-RADS grade. It is computed from measured distribution and density alone and is no diagnosis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CoRads {
    /// 1 very low to 5 very high suspicion of pulmonary COVID-19; never 6, which stands for a positive test.
    #[schemars(range(min = 1, max = 5))]
    pub grade: Option<u8>,
    /// What the grade rests on, the decisive one last.
    pub reasons: Vec<Reason>,
}

/// A reason with a stable name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// Stable name, such as `bilateral`.
    pub code: String,
    /// One sentence for people.
    pub text: String,
}

/// Kind of pneumonia, where a model for it is offered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Classification {
    /// Probabilities of the classes, 0 to 1; a class for which no honest training data exist is null.
    pub probabilities: Probabilities,
    /// The class decided for: `normal` by rule where no opacity of relevant size was found, other classes by a classifier alone; null
    /// where there is none or it abstains.
    pub decision: Option<Class>,
    /// Whether the probabilities were calibrated on held-out patients; null if there are none.
    pub calibrated: Option<bool>,
}

/// Probabilities of the classes, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Probabilities {
    /// No pneumonia.
    pub normal: Option<f64>,
    /// Pneumonia as in COVID-19.
    pub pneumonia_covid: Option<f64>,
    /// Other pneumonia.
    pub pneumonia_other: Option<f64>,
}

/// A class of the classification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// No opacity of relevant size, and so no pneumonia that CT shows.
    Normal,
    /// Pneumonia as in COVID-19.
    PneumoniaCovid,
    /// Other pneumonia.
    PneumoniaOther,
}

/// Whether the study could be used, and what to keep in mind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quality {
    /// False if the study was refused, or analysed with results that should not be relied on.
    pub usable: bool,
    /// How far the study lies from what the models were trained on.
    pub out_of_distribution: OutOfDistribution,
    /// Why it is not usable, or what to keep in mind, the most severe first.
    pub reasons: Vec<Note>,
}

/// How far the study lies from what the models were trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutOfDistribution {
    /// 0 like the training data, larger for farther; null if no detector was run.
    pub score: Option<f64>,
    /// Whether the score is beyond its threshold; null if no detector was run.
    pub flag: Option<bool>,
}

/// How soon a person should read the study. A rule of thumb of ours to order a worklist, not a clinical judgement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Triage {
    /// Null if the study could not be analysed.
    pub priority: Option<Priority>,
    /// Why, in one sentence.
    pub reason: Option<String>,
}

/// Place in a worklist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// In turn.
    Routine,
    /// Ahead of routine studies.
    Soon,
    /// First.
    Urgent,
}

impl Reason {
    /// A reason.
    #[must_use]
    pub fn new(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code: code.into(), text: text.into() }
    }
}
