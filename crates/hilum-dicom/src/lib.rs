//! DICOM and NIfTI in and out: series to volumes in HU with typed notes.

mod codec;
mod dataset;
mod error;
mod frame;
mod image;
mod limits;
pub mod nifti;
mod note;
mod part10;
mod scan;
mod series;
mod source;
mod stack;
mod syntax;
mod uid;
mod write_ct;

pub use error::{Error, Refusal};
pub use limits::Limits;
pub use note::{Note, NoteKind, Severity};
pub use scan::{PlaneOrientation, Scan, SeriesSummary, SkipReason, Skipped, scan};
pub use series::{Series, SourceInstance, load};
pub use source::Source;
pub use uid::uid_from_seed;
pub use write_ct::{CtImageFile, CtSeriesDescription, PixelCoding, ct_images, write_ct_series};
