//! What can go wrong, in words for a technician.

/// Why reading or writing failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input is not something we can stand behind a number for.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Writing failed.
    #[error("writing failed: {0}")]
    Write(#[source] std::io::Error),
    /// A value cannot be written in the format asked for.
    #[error("cannot be written: {0}")]
    Unwritable(String),
}

/// Why an input was refused. The message is one sentence that says what to do or what is wrong; it never holds text
/// from the file, which might name a patient.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The operating system could not give us the bytes.
    #[error("the input cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// A limit against hostile or damaged input was met.
    #[error("the input is too large: {what} exceeds the limit of {limit}")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The file is not the NIfTI it claims to be, or holds something we do not read.
    #[error("the NIfTI file cannot be used: {0}")]
    Nifti(&'static str),
    /// The numbers are not Hounsfield units.
    #[error("the images are not in Hounsfield units: {0}")]
    NotHounsfield(&'static str),
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::Unreadable(error.kind())
    }
}
