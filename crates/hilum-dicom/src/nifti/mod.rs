//! NIfTI-1 in and out, placed where the DICOM is.
//!
//! NIfTI counts voxels `(i, j, k)` with `i` fastest and places them in RAS millimetres; this program counts
//! `[slice, row, column]` with the column fastest and places them in LPS. So `i` is the column, `j` the row and `k` the
//! slice: the voxels are written in the order they have in memory, nothing is flipped, and only the affine changes sign
//! in its first two rows ([`to_nifti_ras`]). Reference: NIfTI-1.1 header, nifti1.h, <https://nifti.nimh.nih.gov>.
//!
//! Single files (`.nii`, `.nii.gz`; magic `n+1`) of either byte order are read. Header pairs, NIfTI-2, colour and
//! complex numbers are refused.

mod affine;
mod header;
mod read;
mod write;

pub use affine::{from_nifti_ras, to_nifti_ras};
pub use read::{read_hu, read_labels, read_values};
pub use write::{Compression, write_labels, write_volume};
