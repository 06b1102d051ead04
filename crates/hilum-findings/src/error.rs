//! Why something cannot be measured.

/// Why something cannot be measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// CT and labels are not on the same grid.
    #[error("the {what} are not on the grid of the CT")]
    Grid {
        /// `lobes` or `lesions`.
        what: &'static str,
    },
    /// There is not one probability for each slice.
    #[error("{expected} slices were given {actual} probabilities")]
    Probabilities {
        /// Slices of the CT.
        expected: usize,
        /// Probabilities given.
        actual: usize,
    },
    /// No voxel carries the label of a lobe.
    #[error("no lung was found, so there is nothing to measure")]
    NoLung,
}
