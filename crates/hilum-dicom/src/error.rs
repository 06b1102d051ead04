//! What can go wrong, in words for a technician.

use crate::report_document::ReportFlaw;
use crate::scan::SkipReason;

/// Why reading or writing failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input is not something we can stand behind a number for.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Writing failed.
    #[error("writing failed")]
    Write(#[source] std::io::Error),
    /// A value cannot be written in the format asked for.
    #[error("cannot be written: {0}")]
    Unwritable(String),
    /// A key is none, or an object and a key do not belong together.
    #[error("{0}")]
    Key(String),
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
    /// The ZIP cannot be opened.
    #[error("the ZIP cannot be opened: {0}")]
    Zip(&'static str),
    /// There is no file.
    #[error("there are no files in the input")]
    Empty,
    /// No file is a DICOM image.
    #[error("there are no DICOM images in the input: {reason}")]
    NoImages {
        /// What is the matter with the files.
        reason: SkipReason,
    },
    /// The series asked for is not there.
    #[error("there is no series with this Series Instance UID in the input")]
    NoSuchSeries,
    /// More than one patient.
    #[error("the input holds images of {patients} patients: choose one series with --series")]
    SeveralPatients {
        /// How many.
        patients: usize,
    },
    /// Another modality.
    #[error("the series itself holds images of {patients} patients: it was put together wrongly and cannot be trusted")]
    PatientsInSeries {
        /// Different identities.
        patients: usize,
    },
    /// The series is of another modality.
    #[error("the series is not CT but {modality}")]
    NotCt {
        /// The modality code (PS3.3 C.7.3.1.1.1), or "of unknown modality".
        modality: String,
    },
    /// Nothing but localisers.
    #[error("the series holds only localisers (scout views), no slices")]
    LocaliserOnly,
    /// Less than two slices.
    #[error("the series has only one slice: a volume needs at least two")]
    OneSlice,
    /// Attributes without which slices cannot be placed are missing.
    #[error("the images do not say {0}")]
    Missing(&'static str),
    /// Slices of several orientations or sizes, none of which prevails.
    #[error("the series mixes images of different orientation or size ({kept} and {others})")]
    MixedOrientation {
        /// Images of the most frequent kind.
        kept: usize,
        /// The others.
        others: usize,
    },
    /// Too many slices are missing.
    #[error("{} of the slices are missing ({missing} of {expected})", share(*missing, *expected))]
    MissingSlices {
        /// Slices that are missing.
        missing: usize,
        /// Slices of the complete series.
        expected: usize,
    },
    /// A hole too wide to be filled.
    #[error("{missing} neighbouring slices are missing, a gap of {gap_mm:.0} mm")]
    LongGap {
        /// Slices that are missing in a row.
        missing: usize,
        /// Distance of the slices on both sides.
        gap_mm: f64,
    },
    /// Distances between slices that fit no regular grid.
    #[error("the distances between slices are uneven: from {least_mm:.2} to {most_mm:.2} mm")]
    UnevenSpacing {
        /// Smallest.
        least_mm: f64,
        /// Largest.
        most_mm: f64,
    },
    /// The slices are shifted against each other.
    #[error("the slices are not in one line: they are shifted sideways by up to {shift_mm:.1} mm")]
    NotInLine {
        /// Largest distance of a slice's corner from the common line.
        shift_mm: f64,
    },
    /// Several passes over the same positions.
    #[error("{positions} positions were imaged more than once with different pixels: the series holds several passes")]
    SeveralPasses {
        /// Positions concerned.
        positions: usize,
    },
    /// So many images are damaged that the rest is no series.
    #[error("{damaged} of {images} images cannot be decoded: {reason}")]
    Damaged {
        /// Images that failed.
        damaged: usize,
        /// All images.
        images: usize,
        /// Why the first of them failed.
        reason: SkipReason,
    },
    /// A segmentation cannot be used here.
    #[error("the segmentation cannot be used: {0}")]
    NotSegmentation(&'static str),
    /// A measurement report cannot be used.
    #[error("the measurement report cannot be used: {0}")]
    Report(ReportFlaw),
    /// The numbers are not Hounsfield units.
    #[error("the images are not in Hounsfield units: {0}")]
    NotHounsfield(&'static str),
}

impl Refusal {
    /// A short name for machines, as in `quality.reasons[].code` of the findings.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::TooLarge { .. } => "too-large",
            Self::Nifti(_) => "nifti",
            Self::Zip(_) => "zip",
            Self::Empty => "empty",
            Self::NoImages { .. } => "no-images",
            Self::NoSuchSeries => "no-such-series",
            Self::SeveralPatients { .. } => "several-patients",
            Self::PatientsInSeries { .. } => "patients-in-series",
            Self::NotCt { .. } => "not-ct",
            Self::LocaliserOnly => "localiser-only",
            Self::OneSlice => "one-slice",
            Self::Missing(_) => "missing",
            Self::MixedOrientation { .. } => "mixed-orientation",
            Self::MissingSlices { .. } => "missing-slices",
            Self::LongGap { .. } => "long-gap",
            Self::UnevenSpacing { .. } => "uneven-spacing",
            Self::NotInLine { .. } => "not-in-line",
            Self::SeveralPasses { .. } => "several-passes",
            Self::Damaged { .. } => "damaged",
            Self::NotSegmentation(_) => "not-segmentation",
            Self::Report(_) => "report",
            Self::NotHounsfield(_) => "not-hounsfield",
        }
    }
}

/// A fraction in words where a word fits.
fn share(part: usize, whole: usize) -> String {
    match part as f64 / whole as f64 {
        f if (0.31..0.36).contains(&f) => "a third".into(),
        f if (0.48..0.52).contains(&f) => "half".into(),
        f => format!("{:.0} %", 100.0 * f),
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::Unreadable(error.kind())
    }
}
