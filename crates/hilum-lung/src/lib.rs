//! The pneumonia product: lungs, lobes, lesions and findings of a chest CT.
//!
//! ```text
//! Scan ──choose──► Study ──predict──► SlicePrediction ─┐
//!                    │                                 ├─► lesions ─┐
//!                    └──► lungs ──► lobes ─────────────┘            ├─► Findings, label map
//!                                     └─────────────────────────────┘
//! ```
//!
//! [`choose()`] picks the series, [`analyze()`] does the rest, [`follow_up()`] compares with earlier studies. Anatomy and lesions are found on coarser grids over the same
//! space; what is returned and measured lies on the series' own grid. A scan without lungs is an error that says so.
//!
//! This crate reads no files and writes none, and knows no other product.

mod airways;
mod analyze;
mod choose;
mod density;
mod dicom_results;
mod familiar;
mod follow_up;
pub mod image_checks;
pub mod lesions;
mod lobe_prior;
pub mod lobes;
pub mod lungs;
mod masks;
mod outlines;
mod slices;
mod study;
mod working_grid;

pub use analyze::{Analysis, AnalysisError, LesionNetwork, NetworkError, PRODUCT, Stage, analyze, analyze_with};
pub use choose::{Choice, choose};
pub use dicom_results::{DicomInput, DicomResults, SegmentationForm, dicom_results, numbers_of_report};
pub use follow_up::{
    FollowUpMaps, FollowUpResult, ReadStudy, ReportedStudy, StudyFacts, follow_up, kept_ct, lobes_behind_lesions,
};
pub use masks::{Given, Masks};
pub use slices::{SlicePrediction, predict};
pub use study::Study;
