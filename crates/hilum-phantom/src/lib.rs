//! Anthropomorphic chest CT phantoms with known answers.
//!
//! An [`Anatomy`] is a chest that is known at every point of patient space: body wall, skeleton, heart and great vessels,
//! upper abdomen, bronchial tree, pulmonary arteries and veins, two lungs with five lobes and their fissures, and lesions of
//! stated kind, lobe and volume. Its surfaces are smooth functions of the point; nothing of it is voxels. [`Anatomy::scan`]
//! lays any [`Geometry`](hilum_volume::Geometry) over it (oblique, left-handed, sheared, thick slices) and sees the same
//! body through a scanner with point spread, slice profile and noise; [`Anatomy::truth`] says lobe and lesion at each voxel;
//! [`Anatomy::known_answers`] integrates volumes, places and mean HU of the body itself, to hold measurements against.
//!
//! [`fn@write`] makes DICOM files of it in any [`Variant`], unfit ones for trying refusals among them, with the answers beside.
//!
//! Everything follows from a seed: the same options give the same bytes on the same machine.
//!
//! What it is not: no motion, no contrast medium, no pleural effusion, no emphysema; one build, supine, arms raised. The
//! outlines were drawn by hand after anatomical proportions, not taken from a patient.
//!
//! ```
//! use hilum_phantom::{Anatomy, Disease, PhantomOptions, Variant};
//!
//! let options = PhantomOptions { variant: Variant::Small, matrix: Some(48), slice_spacing_mm: Some(8.0), ..Default::default() };
//! let anatomy = Anatomy::new(options.seed, options.disease);
//! let (hu, truth) = anatomy.sample(&options.geometry(), &options.scanner());
//! let right_upper_ml = truth.lobes.volume_ml(1);
//! assert!(hu.data().contains(&-1000) && right_upper_ml > 500.0);
//! ```

mod anatomy;
mod answers;
mod cells;
mod field;
mod lesion;
mod lungs;
mod mediastinum;
mod options;
mod random;
mod scanner;
mod shape;
mod skeleton;
mod thorax;
mod tree;
mod unfit;
mod write;

pub use anatomy::Anatomy;
pub use answers::{KnownAnswers, Landmark, LesionAnswer, LobeAnswer, LungVolume};
pub use lesion::{Disease, LesionKind};
pub use lungs::Lobe;
pub use options::{PhantomOptions, Variant};
pub use scanner::{ScannerOptions, Truth};
pub use write::{Error, Written, write, write_anatomy};
