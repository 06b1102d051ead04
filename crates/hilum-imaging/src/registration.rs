//! Bringing an earlier scan of the same region onto a later one: an affine map, then a deformation inside the region.
//!
//! [`register`] finds for every point of the **current** patient space the point of the **prior** patient space that shows
//! the same tissue; all maps run that way, LPS millimetres to LPS millimetres, so that a prior volume or label map is
//! brought over by looking up each current voxel ([`Registration::labels_on`], [`Registration::volume_on`]).
//!
//! Both scans are brought onto axial grids of 3 mm around their regions, where two images are compared:
//! - **surface**: the share of each voxel that lies in the region, smoothed;
//! - **texture**: the intensity within the region less its local mean, divided by its local deviation. Such an image is
//!   blind to slow changes of intensity, as air makes in a lung, and sees vessels, fissures and bronchi. Voxels that the
//!   caller marks as [`Scan::ignored`] (a lesion, which comes and goes) have none, so that growth is not taken for motion.
//!
//! The affine map minimises the squared differences of both by Levenberg and Marquardt's method from coarse to fine, from
//! several starts. The deformation is found by weighted least squares in a Gaussian window around each point (Lucas and
//! Kanade, IJCAI 1981, in three dimensions), added up and smoothed in each step with the evidence as weight, so that what
//! shows nothing follows its neighbourhood. Where it does not make the images agree clearly better than the affine map alone,
//! it is taken back: it would follow noise. Where it folds (its Jacobian determinant is not positive), it is smoothed, then
//! shrunk, until it does not.
//!
//! What only one scan shows, because the other ends before, carries no weight, and [`Quality`] says how much is common.
//! Results do not depend on the number of threads.

mod affine;
mod deform;
mod image;
mod linear;
mod quality;
mod transport;

pub use affine::AffineMap;
pub use quality::Quality;

use deform::Deformation;
use hilum_volume::{Mask, PatientPoint, Volume};
use image::Pyramid;

/// One scan of the region.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a> {
    /// Intensities on a grid of any orientation; `None` if only the outline is left: the inside then follows the surface.
    pub intensity: Option<&'a Volume<i16>>,
    /// The region, on a grid of any orientation, which need not be that of the intensities.
    pub region: &'a Mask,
    /// Voxels of the region whose intensity says nothing of where they are, on the region's grid.
    pub ignored: Option<&'a Mask>,
}

/// How the registration works. The defaults are for lungs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegistrationOptions {
    /// Voxel of the finest working grid.
    pub working_mm: f64,
    /// Intensities are cut off outside this range.
    pub intensity_range: [i16; 2],
    /// Whether to deform after the affine map.
    pub deformable: bool,
    /// Least Dice of the two regions after the affine map, within what both scans show.
    pub least_affine_dice: f64,
    /// Least share of either region that the other scan must show.
    pub least_common_share: f64,
}

impl Default for RegistrationOptions {
    fn default() -> Self {
        Self {
            working_mm: 3.0,
            intensity_range: [-1000, 0],
            deformable: true,
            // Assumptions: registered lungs of one person lie at .97 on phantoms; less than three quarters is no match.
            least_affine_dice: 0.75,
            least_common_share: 0.3,
        }
    }
}

/// Why a pair of scans was not registered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationError {
    /// A region is empty.
    #[error("one of the two studies shows no lung to compare")]
    Empty,
    /// The regions do not fit.
    #[error(
        "the outlines of the lungs in the two studies do not fit each other (overlap {dice:.2}, at least {least:.2} is \
         needed): they may be of different patients, or much of a lung may be hidden in one of them"
    )]
    Shape {
        /// Dice after the affine map.
        dice: f64,
        /// Dice needed.
        least: f64,
    },
    /// The scans have too little in common.
    #[error(
        "only {percent:.0} % of the lungs are shown in both studies, at least {least:.0} % are needed: one of them may be a \
         scan of another part of the chest"
    )]
    Overlap {
        /// Share of the region shown by both, in percent.
        percent: f64,
        /// What is needed, in percent.
        least: f64,
    },
}

/// A map from points of the current scan to points of the prior one.
#[derive(Clone, Debug)]
pub struct Registration {
    affine: AffineMap,
    deformation: Option<Deformation>,
    quality: Quality,
}

impl Registration {
    /// The map without its deformation.
    #[must_use]
    pub fn affine(&self) -> &AffineMap {
        &self.affine
    }

    /// How well the scans fit.
    #[must_use]
    pub fn quality(&self) -> &Quality {
        &self.quality
    }

    /// The point of the prior patient space that shows what `current` shows. Beyond the surroundings of the region the
    /// deformation at their edge is kept.
    #[must_use]
    pub fn prior_point(&self, current: PatientPoint) -> PatientPoint {
        let moved = self.affine.apply(current);
        match &self.deformation {
            Some(deformation) => moved.plus(deformation.at(current)),
            None => moved,
        }
    }

    /// How many times larger a small volume at `current` is in the prior scan (the Jacobian determinant of the map).
    #[must_use]
    pub fn expansion(&self, current: PatientPoint) -> f64 {
        match &self.deformation {
            Some(deformation) => deformation.determinant(&self.affine, current),
            None => self.affine.determinant(),
        }
    }
}

/// Registers the prior scan to the current one.
///
/// # Errors
/// [`RegistrationError`] if a region is empty, or the pair does not fit well enough to be compared.
pub fn register(
    current: &Scan<'_>,
    prior: &Scan<'_>,
    options: &RegistrationOptions,
) -> Result<Registration, RegistrationError> {
    let fixed = Pyramid::new(current, options).ok_or(RegistrationError::Empty)?;
    let moving = Pyramid::new(prior, options).ok_or(RegistrationError::Empty)?;
    let affine = affine::fit(&fixed, &moving);
    let (finest_fixed, finest_moving) = (fixed.finest(), moving.finest());
    let before = quality::measure(finest_fixed, finest_moving, &affine, None);
    let common = before.common_share_current.min(before.common_share_prior);
    if common < options.least_common_share {
        return Err(RegistrationError::Overlap { percent: 100.0 * common, least: 100.0 * options.least_common_share });
    }
    if before.dice < options.least_affine_dice {
        return Err(RegistrationError::Shape { dice: before.dice, least: options.least_affine_dice });
    }
    let deformed = options.deformable.then(|| deform::fit(&fixed, &moving, &affine));
    let mut quality = match &deformed {
        Some(found) => quality::measure(finest_fixed, finest_moving, &affine, Some(&found.deformation)),
        None => before.clone(),
    };
    quality.dice_affine = before.dice;
    quality.correlation_affine = before.correlation;
    if let Some(found) = &deformed {
        quality.folded_share = found.folded_share;
        quality.deformation_reduced = found.reduced;
    }
    Ok(Registration { affine, deformation: deformed.map(|found| found.deformation), quality })
}
