//! What can go wrong while a report is written.

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// CT and label map are not on the same grid, so that an outline would lie in the wrong place.
    #[error("the label map ({labels:?} voxels) does not lie on the grid of the CT ({ct:?} voxels)")]
    Grid {
        /// Slices, rows, columns of the CT.
        ct: [usize; 3],
        /// Slices, rows, columns of the label map.
        labels: [usize; 3],
    },
    /// The PDF could not be assembled.
    #[error("the PDF could not be assembled: {reason}")]
    Pdf {
        /// What its writer said.
        reason: String,
    },
}
