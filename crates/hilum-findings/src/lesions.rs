//! Opacities in the findings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Lobe;

/// Label of ground-glass opacity in a label map.
pub const GROUND_GLASS_LABEL: u8 = 11;
/// Label of consolidation in a label map.
pub const CONSOLIDATION_LABEL: u8 = 12;
/// Label of an opacity of unknown kind in a label map.
pub const UNKNOWN_OPACITY_LABEL: u8 = 13;

/// Kind of an opacity; the terms are those of the Fleischner glossary (Hansell et al., Radiology 2008,
/// doi 10.1148/radiol.2462070712).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LesionKind {
    /// Haze through which vessels remain visible.
    GroundGlass,
    /// Density that hides the vessels.
    Consolidation,
    /// Both, neither of them making up four fifths of the volume.
    Mixed,
    /// Not told apart.
    Unknown,
}

/// How ground-glass and consolidation were told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KindMethod {
    /// By a network that was taught both.
    Network,
    /// By HU within the lesion, vessels and airways left out.
    HuThreshold,
    /// By whoever made the segmentation that was given.
    Given,
    /// Not at all: every opacity is of unknown kind.
    NotToldApart,
}

/// Opacities. Volumes are in millilitres; only what lies within the lungs counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lesions {
    /// Volume of all opacities, the smallest included.
    pub total_ml: Option<f64>,
    /// Volume of ground-glass; null if the kinds were not told apart.
    pub ground_glass_ml: Option<f64>,
    /// Volume of consolidation; null if the kinds were not told apart.
    pub consolidation_ml: Option<f64>,
    /// Percentage of opacity (PO): opacities in percent of the lung volume.
    pub percent_of_lung: Option<f64>,
    /// Percentage of high opacity (PHO): opacities of −200 HU and above in percent of the lung volume.
    pub percent_high_opacity: Option<f64>,
    /// Number of components listed.
    pub count: Option<usize>,
    /// Connected opacities (touching by face, edge or corner), the largest first.
    pub components: Vec<LesionComponent>,
    /// Components too small to be listed; their volume is in the totals.
    pub small_components: SmallComponents,
    /// The five lobes, always in the order RUL, RML, RLL, LUL, LLL.
    pub lobes: Vec<LobeLesions>,
    /// Every slice of the series, from the foot end upwards.
    pub slices: Vec<SliceLesions>,
    /// How ground-glass and consolidation were told apart.
    pub kind_method: Option<KindMethod>,
    /// The same in one or two sentences, with the cut points.
    pub kind_method_text: Option<String>,
    /// Where in the lungs the opacities lie.
    pub distribution: Distribution,
    /// How far the total volume can be trusted.
    #[serde(default)]
    pub interval: LesionInterval,
}

/// Between which volumes the true volume of all opacities lies, in `coverage` of studies like those the model was measured on; null
/// where that was not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LesionInterval {
    /// The share of such studies, 0 to 1.
    pub coverage: Option<f64>,
    /// The lower volume.
    pub low_ml: Option<f64>,
    /// The higher volume.
    pub high_ml: Option<f64>,
    /// The lower volume in percent of the lung volume.
    pub low_percent: Option<f64>,
    /// The higher volume in percent of the lung volume.
    pub high_percent: Option<f64>,
}

/// One connected opacity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LesionComponent {
    /// Its number, from 1, the largest first.
    pub id: usize,
    /// Volume.
    pub volume_ml: f64,
    /// The lobe that holds most of it.
    pub lobe: Lobe,
    /// Mean HU.
    pub mean_hu: f64,
    /// Kind.
    pub kind: LesionKind,
    /// Centre of mass (every voxel weighing the same), LPS, millimetres.
    pub centroid_lps_mm: [f64; 3],
    /// First and last slice that holds a part of it, both included, counted from the foot end.
    pub slice_range: [usize; 2],
    /// Every lobe it reaches into.
    pub lobes: Vec<Lobe>,
    /// Volume of its ground-glass; null if the kinds were not told apart.
    pub ground_glass_ml: Option<f64>,
    /// Volume of its consolidation; null if the kinds were not told apart.
    pub consolidation_ml: Option<f64>,
}

/// Components too small to be listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SmallComponents {
    /// Components smaller than this are not listed.
    pub below_ml: Option<f64>,
    /// How many there are.
    pub count: Option<usize>,
    /// Their volume together.
    pub volume_ml: Option<f64>,
}

/// The opacities of one lobe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LobeLesions {
    /// Which.
    pub name: Lobe,
    /// Opacities in percent of the lobe; null if nothing of the lobe was found.
    pub percent: Option<f64>,
    /// Opacities of −200 HU and above in percent of the lobe.
    pub percent_high_opacity: Option<f64>,
    /// The lobe's part of the CT severity score (CTSS), 0 to 5.
    #[schemars(range(max = 5))]
    pub score_0_5: Option<u8>,
    /// The lobe's part of the lung severity score (LSS), 0 to 4.
    #[schemars(range(max = 4))]
    pub lss_0_4: Option<u8>,
    /// The lobe's part of the lung high opacity score (LHOS), 0 to 4.
    #[schemars(range(max = 4))]
    pub lhos_0_4: Option<u8>,
    /// Volume of its opacities.
    pub lesion_ml: Option<f64>,
    /// Volume of its ground-glass; null if the kinds were not told apart.
    pub ground_glass_ml: Option<f64>,
    /// Volume of its consolidation; null if the kinds were not told apart.
    pub consolidation_ml: Option<f64>,
}

/// The opacities of one slice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SliceLesions {
    /// Counted from 0 at the foot end.
    pub index: usize,
    /// Volume of opacities in the slice.
    pub lesion_ml: f64,
    /// Probability that the slice holds an opacity, 0 to 1, where a model gives it.
    pub probability: Option<f64>,
    /// Volume of lung in the slice.
    pub lung_ml: f64,
}

/// Where in the lungs the opacities lie. Shares are of the lesion volume, 0 to 1; null if there is no opacity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Whether both lungs hold opacities that matter.
    pub bilateral: Option<bool>,
    /// Whether there are several separate opacities that matter.
    pub multifocal: Option<bool>,
    /// Lobes that hold a listed component.
    pub lobes_involved: Option<usize>,
    /// Within `peripheral_within_mm` of the lung's outer surface.
    pub peripheral_share: Option<f64>,
    /// The same share of the lung itself: what an even distribution would give.
    pub peripheral_share_of_lung: Option<f64>,
    /// Depth of the outer layer of the lung.
    pub peripheral_within_mm: Option<f64>,
    /// Behind the centre of mass of its lung.
    pub posterior_share: Option<f64>,
    /// In the lower lobes.
    pub lower_lobe_share: Option<f64>,
    /// Ground-glass; null if the kinds were not told apart.
    pub ground_glass_share: Option<f64>,
}

/// Distribution of HU. Bin `i` holds voxels of `first_bin_hu + i × bin_width_hu` up to below the next bin; the first and
/// last bin also hold all that lies beyond.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HuHistogram {
    /// Voxels of the lungs, lesions included.
    pub lung: Vec<u64>,
    /// Voxels of the lesions.
    pub lesion: Vec<u64>,
    /// Width of a bin.
    pub bin_width_hu: Option<i32>,
    /// Lower edge of the first bin.
    pub first_bin_hu: Option<i32>,
}
