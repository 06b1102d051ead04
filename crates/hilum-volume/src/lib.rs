//! Patient space and sampled volumes.
//!
//! Every point is in the DICOM patient coordinate system (LPS: x grows to the patient's left, y to the back, z to the
//! head; PS3.3 C.7.6.2.1.1) in millimetres. Every array is ordered `[slice, row, column]`, the column running fastest.
//! Nothing in this crate knows files, Hounsfield rules or networks.
//!
//! ```
//! use hilum_volume::{AxisOrder, Geometry, Interpolation, Orientation, PatientPoint, Volume};
//!
//! let grid = Geometry::axial([12, 64, 64], PatientPoint([-180.0, -180.0, 0.0]), [3.0, 0.7, 0.7])?;
//! let ct = Volume::filled(grid, -1000_i16);
//! // Into axial memory order: exact, nothing is interpolated.
//! let order = AxisOrder::towards(ct.geometry(), Orientation::Axial);
//! let axial = ct.reordered(order);
//! // Onto nearly cubic voxels of 1.5 mm, each the mean of what it covers.
//! let work = axial.resample(&axial.geometry().isotropic_working_grid(1.5), Interpolation::Area, -1024);
//! assert_eq!(work.shape(), [24, 30, 30]);
//! // A mask found there goes back by the same road.
//! let mask = work.map(|hu| *hu < -500);
//! let mask = mask.resample_smooth(axial.geometry()).reordered(order.inverse());
//! assert!(mask.geometry().coincides_with(ct.geometry()));
//! # Ok::<(), hilum_volume::GeometryError>(())
//! ```

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
