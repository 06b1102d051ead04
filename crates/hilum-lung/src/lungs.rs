//! Right and left lung in a chest CT in HU.
//!
//! Everything is found on a working grid of about 1.5 mm and brought back to the scan's own grid at the end:
//!
//! 1. the **body**, without couch and clothes;
//! 2. the **airways**: a trachea near the midline, the large bronchi grown from it;
//! 3. **aerated lung**: large pockets of air in the body that have the density of parenchyma, right and left told apart
//!    by which core each part hangs on, with a cut along the junction where they touch;
//! 4. **dense lung**: vessels and small consolidations closed over, larger ones against the chest wall found by the
//!    distance from lung to rib, and, with a network, what it calls lung;
//! 5. the **border**, drawn at full resolution where HU show it.
//!
//! Pleural fluid is not counted as lung where its density tells it from consolidation; its volume is stated. A dense part
//! that touches both diaphragm or mediastinum and chest wall, with no air beyond it, cannot be told from them by density
//! alone: only a network will find it.

mod body;
mod dense;
mod refine;
mod sides;

use crate::airways;
use crate::working_grid;
use hilum_findings::Severity;
use hilum_volume::{Geometry, LabelMap, Mask, Volume, VoxelPoint};
use rayon::prelude::*;
use sides::Separation;
pub(crate) use sides::{LEFT, RIGHT};

/// Trachea and large bronchi in [`Lungs::labels`].
pub(crate) const AIRWAYS: u8 = 3;

/// A stack of fewer slices or less height is not a chest.
const MIN_HEIGHT_MM: f64 = 60.0;

/// A first or last slice with more lung than this cuts the lungs off.
const CUT_AREA_CM2: f64 = 6.0;

/// A cut of more lung than this, a third of a usual section of one lung, takes a share of the volume that matters.
const SEVERE_CUT_CM2: f64 = 40.0;

/// More dense lung than this leaves the border towards diaphragm and chest wall to guesswork.
const SEVERE_DENSE_ML: f64 = 50.0;

/// A lung below this, or below a fifth of the other, is noted: pneumonectomy, collapse, or a wholly consolidated lung.
const SMALL_LUNG_ML: f64 = 350.0;

/// How [`segment`] works.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LungOptions {
    /// Complete the lungs by dense lung (consolidation, vessels). Without it they are the aerated lung alone.
    pub include_dense: bool,
}

impl Default for LungOptions {
    fn default() -> Self {
        Self { include_dense: true }
    }
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LungError {
    /// The voxel axes do not stand at right angles: deskew the volume first.
    #[error("the slices are sheared against each other (tilted gantry); the volume must be straightened first")]
    Sheared,
    /// The scan is not tall enough to hold a chest.
    #[error("the scan covers {height_mm:.0} mm from foot to head, too little to be a chest")]
    TooShort {
        /// Height of the scan.
        height_mm: f64,
    },
    /// There is no body in the scan.
    #[error("no body found: the scan holds hardly anything denser than air")]
    NoBody,
    /// There is no lung, or next to none.
    #[error("no lungs found: {aerated_ml:.0} ml of lung-like air in the body; this does not look like a chest CT")]
    NoLungs {
        /// Lung-like air found.
        aerated_ml: f64,
    },
    /// There is lung-like matter, but neither a trachea nor a second side to it.
    #[error(
        "what has the density of lung lies on one side only, is cut off by the scan and has no trachea; this does not look like a \
         chest CT"
    )]
    NotLungs,
    /// There is lung, but only its base or tip, as in a CT of the abdomen or neck.
    #[error("only {height_mm:.0} mm of lung are in the scan; this does not look like a chest CT")]
    OnlyAPart {
        /// Height of the lungs in the scan.
        height_mm: f64,
    },
}

/// What a reader must know about the lungs that were found.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum LungNote {
    /// The lungs reach the first slice: the bases are not wholly in the scan.
    CutAtFoot {
        /// Lung area in the first slice.
        area_cm2: f64,
    },
    /// The lungs reach the last slice: the apices are not wholly in the scan.
    CutAtHead {
        /// Lung area in the last slice.
        area_cm2: f64,
    },
    /// The lungs reach the side of the picture: the field of view is too small.
    CutAtSide,
    /// Nothing was found of one lung.
    Missing {
        /// Which.
        side: Side,
    },
    /// One lung is very small in itself or against the other.
    Small {
        /// Which.
        side: Side,
        /// Its volume.
        volume_ml: f64,
    },
    /// No trachea was found, so the large bronchi may be counted as lung.
    NoTrachea,
    /// The lungs touched and were parted along their junction.
    Touching,
    /// The lungs could not be told apart and were cut at the midline.
    CutAtMidline,
    /// Dense lung against the chest wall was added by its place between lung and ribs.
    DenseAdded {
        /// Volume added on both sides.
        volume_ml: f64,
    },
    /// Something of the density of fluid lies between lung and ribs; it is not counted as lung.
    PleuralFluid {
        /// Volume on both sides, a rough estimate.
        volume_ml: f64,
    },
}

/// A side of the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The patient's right.
    Right,
    /// The patient's left.
    Left,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Right => "right",
            Self::Left => "left",
        })
    }
}

impl LungNote {
    /// A short name for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::CutAtFoot { .. } => "lungs-cut-at-foot",
            Self::CutAtHead { .. } => "lungs-cut-at-head",
            Self::CutAtSide => "lungs-cut-at-side",
            Self::Missing { .. } => "lung-missing",
            Self::Small { .. } => "lung-small",
            Self::NoTrachea => "no-trachea",
            Self::Touching => "lungs-touching",
            Self::CutAtMidline => "lungs-cut-at-midline",
            Self::DenseAdded { .. } => "dense-lung-added",
            Self::PleuralFluid { .. } => "pleural-fluid",
        }
    }

    /// How much volumes and percentages may suffer from it.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::CutAtFoot { area_cm2 } | Self::CutAtHead { area_cm2 } if *area_cm2 < SEVERE_CUT_CM2 => {
                Severity::Warning
            }
            Self::CutAtFoot { .. } | Self::CutAtHead { .. } | Self::CutAtSide => Severity::Severe,
            Self::Missing { .. } | Self::Small { .. } | Self::CutAtMidline => Severity::Severe,
            Self::DenseAdded { volume_ml } if *volume_ml >= SEVERE_DENSE_ML => Severity::Severe,
            Self::DenseAdded { .. } | Self::PleuralFluid { .. } => Severity::Warning,
            Self::NoTrachea | Self::Touching => Severity::Info,
        }
    }

    /// Whether so much of the lungs lies outside the scan that what is known of whole lungs does not hold.
    pub(crate) fn is_a_large_cut(&self) -> bool {
        matches!(self, Self::CutAtFoot { area_cm2 } | Self::CutAtHead { area_cm2 } if *area_cm2 >= SEVERE_CUT_CM2)
    }
}

impl std::fmt::Display for LungNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::CutAtFoot { area_cm2 } => {
                write!(f, "the lung bases are cut off by the scan ({area_cm2:.0} cm² of lung in the lowest slice)")
            }
            Self::CutAtHead { area_cm2 } => {
                write!(f, "the lung apices are cut off by the scan ({area_cm2:.0} cm² of lung in the highest slice)")
            }
            Self::CutAtSide => f.write_str("the lungs reach the edge of the picture: part of them is not in the scan"),
            Self::Missing { side } => write!(f, "no {side} lung was found"),
            Self::Small { side, volume_ml } => write!(f, "the {side} lung is very small ({volume_ml:.0} ml)"),
            Self::NoTrachea => f.write_str("no trachea was found; large bronchi may be counted as lung"),
            Self::Touching => f.write_str("the lungs touch and were parted along their junction"),
            Self::CutAtMidline => f.write_str("the lungs could not be told apart and were cut at the midline"),
            Self::DenseAdded { volume_ml } => {
                write!(
                    f,
                    "{volume_ml:.0} ml of dense lung against the chest wall were added by their place inside the ribs; dense lung \
                     against the diaphragm may be missing, and opacity be more than stated"
                )
            }
            Self::PleuralFluid { volume_ml } => {
                write!(
                    f,
                    "about {volume_ml:.0} ml between lung and ribs have the density of fluid, or of dense lung without air, and are \
                     not counted as lung"
                )
            }
        }
    }
}

/// The lungs of one scan.
#[derive(Clone, Debug)]
pub struct Lungs {
    labels: LabelMap,
    pub(crate) working_ct: Volume<i16>,
    pub(crate) working_labels: Volume<u8>,
    pub(crate) working_body: Mask,
    notes: Vec<LungNote>,
}

impl Lungs {
    /// On the grid of the scan: 1 right lung, 2 left lung, 3 trachea and large bronchi, 0 elsewhere.
    #[must_use]
    pub fn labels(&self) -> &LabelMap {
        &self.labels
    }

    /// The right lung on the grid of the scan.
    #[must_use]
    pub fn right(&self) -> Mask {
        self.labels.mask_of(RIGHT)
    }

    /// The left lung on the grid of the scan.
    #[must_use]
    pub fn left(&self) -> Mask {
        self.labels.mask_of(LEFT)
    }

    /// Both lungs on the grid of the scan.
    #[must_use]
    pub fn both(&self) -> Mask {
        self.labels.labels().map(|l| matches!(*l, RIGHT | LEFT))
    }

    /// Lumen of trachea and large bronchi on the grid of the scan.
    #[must_use]
    pub fn airways(&self) -> Mask {
        self.labels.mask_of(AIRWAYS)
    }

    /// Volume of the right lung, ml.
    #[must_use]
    pub fn right_ml(&self) -> f64 {
        self.labels.volume_ml(RIGHT)
    }

    /// Volume of the left lung, ml.
    #[must_use]
    pub fn left_ml(&self) -> f64 {
        self.labels.volume_ml(LEFT)
    }

    /// The scan averaged to the coarser grid on which anatomy was found (about 1.5 mm; same outer faces).
    #[must_use]
    pub fn working_ct(&self) -> &Volume<i16> {
        &self.working_ct
    }

    /// [`Lungs::labels`] on the coarser grid of [`Lungs::working_ct`].
    #[must_use]
    pub fn working_labels(&self) -> &Volume<u8> {
        &self.working_labels
    }

    /// What a reader must know.
    #[must_use]
    pub fn notes(&self) -> &[LungNote] {
        &self.notes
    }
}

/// Finds right and left lung.
///
/// `ct` is in HU, in axial orientation (`[slice, row, column]` growing to head, back and left), with orthogonal axes.
/// `network_lung` is a network's probability of lung on any grid that covers the patient, if there is one; outside it the
/// probability counts as 0. The result is on the grid of `ct` and does not depend on the number of threads.
///
/// # Errors
/// [`LungError`] if the grid is sheared, or the scan does not show a chest.
pub fn segment(
    ct: &Volume<i16>,
    network_lung: Option<&Volume<f32>>,
    options: &LungOptions,
) -> Result<Lungs, LungError> {
    let geometry = ct.geometry();
    if !geometry.is_orthogonal() {
        return Err(LungError::Sheared);
    }
    let height_mm = geometry.spacing_mm()[0] * geometry.shape()[0] as f64;
    if height_mm < MIN_HEIGHT_MM || geometry.shape()[0] < 3 {
        return Err(LungError::TooShort { height_mm });
    }
    let working_ct = working_grid::average(ct, &working_grid::geometry_for(geometry));
    let network = network_lung.map(|n| sample(n, working_ct.geometry()));
    let mut notes = Vec::new();

    let body = body::body(&working_ct);
    if body.volume_ml() < 500.0 {
        return Err(LungError::NoBody);
    }
    let midline = body::midline(&working_ct, &body);
    let airways = airways::find(&working_ct, &body, midline);
    if airways.is_none() {
        notes.push(LungNote::NoTrachea);
    }
    let midline = airways.as_ref().map_or(midline, |a| 0.5 * (midline + a.column));
    // Walls and all: the ring of half-air voxels around a bronchus is no lung either.
    let excluded = airways.as_ref().map(|a| hilum_imaging::morphology::dilate(&a.lumen, 2.3));
    let found = sides::aerated_lungs(&working_ct, &body, excluded.as_ref(), network.as_ref(), midline)?;
    match found.separation {
        Separation::Apart => {}
        Separation::Junction => notes.push(LungNote::Touching),
        Separation::Midline => notes.push(LungNote::CutAtMidline),
    }
    let mut labels = found.labels;
    check_height(&labels)?;
    if options.include_dense {
        let added = dense::complete(&working_ct, &body, excluded.as_ref(), network.as_ref(), midline, &mut labels);
        let [dense_ml, fluid_ml] = [added.consolidated_ml, added.fluid_ml].map(|v| v[0] + v[1]);
        if dense_ml > 10.0 {
            notes.push(LungNote::DenseAdded { volume_ml: dense_ml });
        }
        if fluid_ml > 40.0 {
            notes.push(LungNote::PleuralFluid { volume_ml: fluid_ml });
        }
    }
    if let Some(airways) = &airways {
        for (label, lumen) in labels.data_mut().iter_mut().zip(airways.lumen.data()) {
            if *lumen {
                *label = AIRWAYS;
            }
        }
    }
    note_cuts(&labels, &mut notes);
    note_sizes(&labels, &mut notes);
    check_chest(&notes)?;
    let labels_of_scan = refine::to_scan(ct, &working_ct, &labels);
    Ok(Lungs { labels: labels_of_scan, working_ct, working_labels: labels, working_body: body, notes })
}

/// Refuses scans that show only the base or tip of the lungs.
fn check_height(labels: &Volume<u8>) -> Result<(), LungError> {
    let slice_mm = labels.geometry().spacing_mm()[0];
    let area_mm2 = labels.geometry().spacing_mm()[1] * labels.geometry().spacing_mm()[2];
    let tall = |s: &usize| labels.slice(*s).iter().filter(|l| **l > 0).count() as f64 * area_mm2 > 300.0;
    let height_mm = (0..labels.shape()[0]).filter(tall).count() as f64 * slice_mm;
    if height_mm < MIN_HEIGHT_MM { Err(LungError::OnlyAPart { height_mm }) } else { Ok(()) }
}

/// Refuses lung-like matter on one side only, without a trachea, that the scan cuts off: stool and gas in a colon look so. A
/// chest of which one lung is gone still has its trachea.
fn check_chest(notes: &[LungNote]) -> Result<(), LungError> {
    let has = |wanted: fn(&LungNote) -> bool| notes.iter().any(wanted);
    let one_side = has(|note| matches!(note, LungNote::Missing { .. }));
    let is_cut = has(|note| matches!(note, LungNote::CutAtFoot { .. } | LungNote::CutAtHead { .. }));
    let no_trachea = has(|note| matches!(note, LungNote::NoTrachea));
    if one_side && is_cut && no_trachea { Err(LungError::NotLungs) } else { Ok(()) }
}

/// Notes where the border of the scan cuts the lungs.
fn note_cuts(labels: &Volume<u8>, notes: &mut Vec<LungNote>) {
    let [slices, rows, columns] = labels.shape();
    let spacing = labels.geometry().spacing_mm();
    let is_lung = |l: u8| matches!(l, RIGHT | LEFT);
    let area =
        |s: usize| labels.slice(s).iter().filter(|l| is_lung(**l)).count() as f64 * spacing[1] * spacing[2] / 100.0;
    let (foot, head) = (area(0), area(slices - 1));
    if foot > CUT_AREA_CM2 {
        notes.push(LungNote::CutAtFoot { area_cm2: foot });
    }
    if head > CUT_AREA_CM2 {
        notes.push(LungNote::CutAtHead { area_cm2: head });
    }
    let mut at_side = 0;
    for s in 0..slices {
        let plane = labels.slice(s);
        let ends = (0..columns).flat_map(|c| [c, (rows - 1) * columns + c]);
        let sides = (0..rows).flat_map(|r| [r * columns, r * columns + columns - 1]);
        at_side += ends.chain(sides).filter(|i| is_lung(plane[*i])).count();
    }
    if at_side as f64 * spacing[0] * spacing[1] > 300.0 {
        notes.push(LungNote::CutAtSide);
    }
}

/// Notes a lung that is missing or very small.
fn note_sizes(labels: &Volume<u8>, notes: &mut Vec<LungNote>) {
    let ml = |side: u8| {
        labels.data().iter().filter(|l| **l == side).count() as f64 * labels.geometry().voxel_volume_mm3() / 1000.0
    };
    let (right, left) = (ml(RIGHT), ml(LEFT));
    for (side, own, other) in [(Side::Right, right, left), (Side::Left, left, right)] {
        if own < 20.0 {
            notes.push(LungNote::Missing { side });
        } else if own < other && (own < SMALL_LUNG_ML.min(0.5 * other) || own < 0.2 * other) {
            notes.push(LungNote::Small { side, volume_ml: own });
        }
    }
}

/// A volume interpolated at the voxel centres of another grid; 0 outside.
fn sample(volume: &Volume<f32>, onto: &Geometry) -> Volume<f32> {
    let [_, rows, columns] = onto.shape();
    let from = volume.shape();
    let mut data = vec![0f32; onto.len()];
    data.par_chunks_mut(columns).enumerate().for_each(|(line, out)| {
        let place = |column: usize| {
            let at = onto.centre_of([line / rows, line % rows, column]);
            volume.geometry().voxel_from_patient(at)
        };
        let (VoxelPoint(first), VoxelPoint(last)) = (place(0), place(columns - 1));
        for (c, value) in out.iter_mut().enumerate() {
            let t = if columns > 1 { c as f64 / (columns - 1) as f64 } else { 0.0 };
            let at: [f64; 3] = std::array::from_fn(|a| first[a] + t * (last[a] - first[a]));
            if (0..3).any(|a| at[a] < -0.5 || at[a] > from[a] as f64 - 0.5) {
                continue;
            }
            let held: [f64; 3] = std::array::from_fn(|a| at[a].clamp(0.0, (from[a] - 1) as f64));
            let low = held.map(|v| v.floor() as usize);
            let mut sum = 0.0;
            for k in 0..8usize {
                let mut weight = 1.0;
                let index: [usize; 3] = std::array::from_fn(|a| {
                    let part = held[a] - low[a] as f64;
                    let up = k >> a & 1;
                    weight *= if up == 1 { part } else { 1.0 - part };
                    (low[a] + up).min(from[a] - 1)
                });
                sum += weight * f64::from(volume[index]);
            }
            *value = sum as f32;
        }
    });
    Volume::new(onto.clone(), data).expect("one value per voxel")
}

#[cfg(test)]
mod tests;
