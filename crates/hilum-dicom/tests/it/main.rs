//! Through the public API only.

mod nifti;
