//! DICOM and NIfTI in and out: series to volumes in HU with typed notes.

mod error;
mod limits;
pub mod nifti;
mod uid;
mod write_ct;

pub use error::{Error, Refusal};
pub use limits::Limits;
pub use uid::uid_from_seed;
pub use write_ct::{CtImageFile, CtSeriesDescription, PixelCoding, ct_images, write_ct_series};
