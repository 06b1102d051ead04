//! Lungs and lobes in the findings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A lobe of the lung. Its label in a label map is its place in this list, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Lobe {
    /// Right upper lobe, label 1.
    #[serde(rename = "RUL")]
    RightUpper,
    /// Right middle lobe, label 2.
    #[serde(rename = "RML")]
    RightMiddle,
    /// Right lower lobe, label 3.
    #[serde(rename = "RLL")]
    RightLower,
    /// Left upper lobe, label 4.
    #[serde(rename = "LUL")]
    LeftUpper,
    /// Left lower lobe, label 5.
    #[serde(rename = "LLL")]
    LeftLower,
}

/// A side of the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The patient's right.
    Right,
    /// The patient's left.
    Left,
}

/// Lungs and lobes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Anatomy {
    /// Volumes of the lungs.
    pub lung_volume_ml: LungVolume,
    /// The five lobes, always in the order RUL, RML, RLL, LUL, LLL; empty if the study was refused.
    pub lobes: Vec<LobeAnatomy>,
    /// The three fissures and how surely they were found; empty if that was not assessed.
    pub fissures: Vec<FissureConfidence>,
    /// How much of the lung holds how much air.
    pub aeration: Aeration,
}

/// Volumes of the lungs in millilitres, vessels and lesions within them included, the trachea and main bronchi not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LungVolume {
    /// Both lungs.
    pub total: Option<f64>,
    /// The patient's right lung.
    pub right: Option<f64>,
    /// The patient's left lung.
    pub left: Option<f64>,
}

/// One lobe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LobeAnatomy {
    /// Which.
    pub name: Lobe,
    /// Volume in millilitres; 0 if nothing of the lobe was found.
    pub volume_ml: Option<f64>,
    /// Mean HU; null if nothing of the lobe was found.
    pub mean_hu: Option<f64>,
}

/// A fissure between lobes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fissure {
    /// Between the right lower lobe and the two others.
    RightOblique,
    /// Between the right upper and middle lobe.
    RightHorizontal,
    /// Between the left lobes.
    LeftOblique,
}

/// How surely a fissure was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FissureConfidence {
    /// Which.
    pub name: Fissure,
    /// 0: placed by the average chest alone; 1: seen along all of its course.
    pub confidence: Option<f64>,
    /// What that means for the lobes beside it, in one sentence.
    pub text: Option<String>,
}

/// How much of the lung holds how much air, in percent of the lung volume. `hyperinflated`, `normal`, `poor` and `none`
/// add up to 100; `emphysema_laa_950` lies within the first two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Aeration {
    /// Below −900 HU.
    pub hyperinflated_percent: Option<f64>,
    /// −900 to below −500 HU.
    pub normal_percent: Option<f64>,
    /// −500 to below −100 HU.
    pub poor_percent: Option<f64>,
    /// −100 HU and above.
    pub none_percent: Option<f64>,
    /// Low attenuation area below −950 HU, taken for emphysema on thin slices in full inspiration.
    pub emphysema_laa_950_percent: Option<f64>,
    /// Well-aerated lung, −950 to −700 HU.
    pub well_aerated_percent: Option<f64>,
}

impl Lobe {
    /// All five, in the order of their labels 1 to 5.
    pub const ALL: [Self; 5] =
        [Self::RightUpper, Self::RightMiddle, Self::RightLower, Self::LeftUpper, Self::LeftLower];

    /// The label of the lobe in a label map, 1 to 5.
    #[must_use]
    pub fn label(self) -> u8 {
        self as u8 + 1
    }

    /// The lobe of a label; `None` unless it is 1 to 5.
    #[must_use]
    pub fn from_label(label: u8) -> Option<Self> {
        Self::ALL.get(usize::from(label).checked_sub(1)?).copied()
    }

    /// The lung it belongs to.
    #[must_use]
    pub fn side(self) -> Side {
        match self {
            Self::RightUpper | Self::RightMiddle | Self::RightLower => Side::Right,
            Self::LeftUpper | Self::LeftLower => Side::Left,
        }
    }

    /// The abbreviation used in `findings.json`: RUL, RML, RLL, LUL, LLL.
    #[must_use]
    pub fn abbreviation(self) -> &'static str {
        ["RUL", "RML", "RLL", "LUL", "LLL"][self as usize]
    }

    /// The name in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["right upper lobe", "right middle lobe", "right lower lobe", "left upper lobe", "left lower lobe"]
            [self as usize]
    }
}
