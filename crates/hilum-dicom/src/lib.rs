//! DICOM and NIfTI in and out: series to volumes in HU with typed notes.

mod error;
mod limits;
pub mod nifti;

pub use error::{Error, Refusal};
pub use limits::Limits;
