//! Through the public API only.

mod defacing;
mod deidentification;
mod deidentified_forms;
mod flaws;
mod foreign;
mod geometry;
mod head_phantom;
mod hostile;
mod nifti;
mod real;
mod reports;
mod results;
mod sources;
mod support;
mod syntax;
mod validation;
