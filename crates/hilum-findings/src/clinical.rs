//! Every clinical constant in one place, with who chose it.
//!
//! "Assumption" marks a number that no publication we know of supports; findings that rest on one say so in
//! `definitions`.

/// Lesion voxels of this density and above are high opacity: Chaganti et al., Radiol Artif Intell 2020,
/// doi 10.1148/ryai.2020200048 (PMC7392373).
pub const HIGH_OPACITY_FROM_HU: i16 = -200;

/// Upper bounds, included, of lobe scores 1, 2 and 3 of LSS and LHOS in percent; above 0 is 1, above the last is 4.
///
/// Chaganti et al. 2020 (as above) give 1–25 %, 26–50 %, 51–75 % and 76–100 % in whole percent. Measured percentages are
/// continuous, so the ranges are joined: what lies above 25 counts as 26.
pub const LSS_UP_TO_PERCENT: [f64; 3] = [25.0, 50.0, 75.0];

/// Below this a lobe scores 1 in the CTSS (if it holds any opacity): Pan et al., Radiology 2020,
/// doi 10.1148/radiol.2020200370.
pub const CTSS_MINIMAL_BELOW_PERCENT: f64 = 5.0;

/// Upper bounds, included, of lobe scores 2, 3 and 4 of the CTSS in percent; above the last is 5. Pan et al. 2020 (as
/// above): 5–25 %, then 26–49 %, 50–75 % and over 75 %. Ours are joined like those of the LSS, which puts exactly 50 % into
/// score 3 where Pan has 4.
pub const CTSS_UP_TO_PERCENT: [f64; 3] = [25.0, 50.0, 75.0];

/// CT-1 lies below the first of these, CT-2 up to the second, CT-3 up to the third, CT-4 above, in percent of the more
/// involved lung: Morozov et al., MosMedData, arXiv 2005.06465, who give < 25, 25–50, 50–75 and > 75 %.
pub const CT_SEVERITY_PERCENT: [f64; 3] = [25.0, 50.0, 75.0];

/// Density limits of hyperinflated, normally, poorly and non-aerated lung, each being the lower, included, end of the next
/// compartment: Gattinoni et al., Am J Respir Crit Care Med 2001;164:1701, doi 10.1164/ajrccm.164.9.2103121.
pub const AERATION_LIMITS_HU: [i16; 3] = [-900, -500, -100];

/// Low attenuation area: below this lung is taken for emphysema. Gevenois et al., Am J Respir Crit Care Med
/// 1995;152:653, doi 10.1164/ajrccm.152.2.7633722, on thin sections of 63 patients in inspiration.
pub const EMPHYSEMA_BELOW_HU: i16 = -950;

/// Well-aerated lung, from (included) and below: Colombi et al., Radiology 2020, doi 10.1148/radiol.2020201433, where
/// less than 73 % of it went with intensive care or death in 236 patients with COVID-19.
pub const WELL_AERATED_HU: [i16; 2] = [-950, -700];

/// Components smaller than this are counted in the totals but not listed. Assumption: a ball of 5.8 mm, below which
/// neither a reader's outline nor a 5 mm slice is dependable.
pub const LISTED_FROM_ML: f64 = 0.1;

/// Components of at least this volume are foci. Assumption: a ball of 1 cm.
pub const FOCUS_FROM_ML: f64 = 0.5;

/// A component is of one kind if this share of its volume is. Assumption.
pub const KIND_SHARE: f64 = 0.8;

/// Both lungs are involved if the less involved one holds at least this share of the lesion volume, and a listed
/// component. Assumption: keeps a single false component from making a disease bilateral.
pub const BILATERAL_FROM_SHARE: f64 = 0.05;

/// Depth of the outer layer of the lung in which an opacity is peripheral. Assumption: readers mean the outer third of the
/// way from chest wall to hilum, which in adults is 45 to 60 mm.
pub const PERIPHERAL_DEPTH_MM: f64 = 15.0;

/// Opacities are predominantly peripheral if at least this share of their volume is (and more than an even distribution
/// would give). Assumption.
pub const PERIPHERAL_FROM_SHARE: f64 = 0.5;

/// Below this share of ground-glass the opacities are predominantly consolidation. Assumption.
pub const CONSOLIDATION_BELOW_GROUND_GLASS_SHARE: f64 = 0.25;

/// A consolidation is lobar if at least this share of it lies in one lobe. Assumption.
pub const ONE_LOBE_FROM_SHARE: f64 = 0.9;

/// Below this percentage of the lung the opacities are small. Assumption: of the size of false alarms in normal chests.
pub const SMALL_BELOW_PERCENT: f64 = 0.5;

/// From this percentage of the lung on, opacities of at least [`HOMOGENEOUS_FROM_SHARE`] ground-glass are homogeneous and
/// extensive. Assumption.
pub const EXTENSIVE_FROM_PERCENT: f64 = 60.0;

/// See [`EXTENSIVE_FROM_PERCENT`]. Assumption.
pub const HOMOGENEOUS_FROM_SHARE: f64 = 0.9;

/// Opacities are perihilar if their peripheral share is below this part of what an even distribution would give.
/// Assumption.
pub const PERIHILAR_BELOW_RATIO: f64 = 0.5;

/// CTSS from which a study is urgent: Francone et al., Eur Radiol 2020;30:6808, doi 10.1007/s00330-020-07033-y, found 18 and
/// more to go with death. That it should order a worklist is an assumption.
pub const URGENT_FROM_CTSS: u8 = 18;

/// Percentage of opacity from which a study is urgent. Assumption.
pub const URGENT_FROM_PERCENT: f64 = 50.0;

/// Plausible lung volumes of adults in millilitres. Upper: upper limit of normal total lung capacity of a man of 2 m, 11 l
/// (Hall et al., Eur Respir J 2021;57:2000289, doi 10.1183/13993003.00289-2020). Lower: residual volume of a woman of
/// 1.50 m, .9 l (same), and .6 l of tissue and blood (assumption).
pub const PLAUSIBLE_LUNG_ML: [f64; 2] = [1500.0, 11_000.0];

/// A lung that makes up less than this share of both is remarked upon: collapsed, removed or not found. The right lung is
/// ordinarily .52 to .56 of both. Assumption.
pub const SMALL_LUNG_BELOW_SHARE: f64 = 0.25;

/// From this distance between slices on, volumes and small opacities are less sure, and CO-RADS is not graded above 3.
/// Assumption: the smallest listed component fits into one such slice.
pub const THICK_SLICES_FROM_MM: f64 = 5.0;

/// Least relative change of an opacity's volume that is called growth or shrinkage. NELSON, van Klaveren et al., N Engl J Med
/// 2009;361:2221, doi 10.1056/NEJMoa0906085, for solid nodules of 50 to 500 mm³; that it holds for opacities of pneumonia,
/// whose borders are softer, is an assumption.
pub const GROWTH_FROM_SHARE: f64 = 0.25;

/// Opacities of two studies belong together from this overlap on, as a share of the smaller one. Assumption.
pub const MATCH_FROM_SHARE: f64 = 0.1;

/// Opacities without a partner belong together if they come this near after registration. Assumption: a working voxel of the
/// registration.
pub const MATCH_WITHIN_MM: f64 = 3.0;

/// Lung volumes that differ by more than this share were taken in different breaths, and densities cannot be compared.
/// Assumption.
pub const OTHER_BREATH_FROM_SHARE: f64 = 0.15;

/// Lower edge of the first bin of HU histograms. Chosen so that every cut point in this file is the edge of a bin.
pub const HISTOGRAM_FROM_HU: i16 = -1050;

/// Width of a bin of HU histograms.
pub const HISTOGRAM_BIN_HU: i16 = 10;

/// Number of bins of HU histograms: up to 250 HU.
pub const HISTOGRAM_BINS: usize = 130;
