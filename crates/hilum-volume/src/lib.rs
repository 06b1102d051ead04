//! Patient space and sampled volumes.
//!
//! Every point is in the DICOM patient coordinate system (LPS: x grows to the patient's left, y to the back, z to the
//! head; PS3.3 C.7.6.2.1.1) in millimetres. Every array is ordered `[slice, row, column]`, the column running fastest.
//! Nothing in this crate knows files, Hounsfield rules or networks.

mod geometry;
mod orientation;
mod point;
mod resample;
mod volume;

pub use geometry::{Geometry, GeometryError};
pub use orientation::{AxisOrder, Orientation};
pub use point::{PatientPoint, PatientVector, VoxelIndex, VoxelPoint};
pub use resample::{Intensity, Interpolation};
pub use volume::{LabelMap, Mask, Volume, VolumeError};
