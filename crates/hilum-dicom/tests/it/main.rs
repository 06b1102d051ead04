//! Through the public API only.

mod deidentification;
mod flaws;
mod foreign;
mod geometry;
mod hostile;
mod nifti;
mod real;
mod reports;
mod results;
mod sources;
mod support;
mod syntax;
mod validation;
