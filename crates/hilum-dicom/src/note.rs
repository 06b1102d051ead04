//! Flaws that were worked around: they travel with the series and reach the report.

/// How much a note should worry its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// For the record; the result is not affected.
    Info,
    /// The result may be a little off.
    Warning,
    /// The result should be checked by eye.
    Severe,
}

impl Severity {
    /// The word used in `findings.json`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Severe => "severe",
        }
    }
}

/// A flaw of the input that was worked around. Slice indices count from 0 at the start of the finished volume.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum NoteKind {
    /// Slices were missing; they were interpolated linearly between their neighbours.
    MissingSlice {
        /// The last slice that is there.
        after_index: usize,
        /// How many are missing behind it.
        count: usize,
    },
    /// Some positions were imaged more than once; the first image was kept.
    DuplicateSlice {
        /// Images left out.
        count: usize,
        /// Whether they were equal, pixel by pixel, to the ones kept.
        identical: bool,
    },
    /// The distances between slices differ a little; the mean was taken.
    UnevenSpacing {
        /// Largest deviation from the mean distance, in percent of it.
        percent: f64,
    },
    /// The slices are sheared, as a tilted gantry makes them. The geometry says so truly.
    GantryTilt {
        /// Angle between the direction of the slices' centres and their normal.
        degrees: f64,
    },
    /// Images in another orientation or of another size were set aside.
    MixedOrientation {
        /// How many.
        count: usize,
    },
    /// Localisers were set aside.
    LocaliserSkipped {
        /// How many.
        count: usize,
    },
    /// Images that are no slices in HU, such as dose reports and screenshots, were set aside.
    UnfitImageSkipped {
        /// How many.
        count: usize,
    },
    /// The rescaling to HU differs between slices; each was rescaled by its own.
    InconsistentRescale,
    /// The slices name different frames of reference, though their positions form one stack.
    InconsistentFrameOfReference {
        /// Different identifiers.
        count: usize,
    },
    /// The slices are thick: small lesions blur and volumes are less sure.
    ThickSlices {
        /// Thickness, or the distance where that is larger.
        mm: f64,
    },
    /// The slices lie apart: the lung between them was not imaged.
    Gaps {
        /// Slice thickness.
        thickness_mm: f64,
        /// Distance between slices.
        spacing_mm: f64,
    },
    /// Images could not be decoded and count as missing.
    DamagedImage {
        /// How many.
        count: usize,
    },
    /// Files beside the images could not be read; they may have been slices of this series.
    UnreadableFile {
        /// How many.
        count: usize,
    },
    /// The padding value stands for plausible tissue, so it was not taken as padding.
    PaddingIgnored,
    /// Several images share one SOP Instance UID, which should be unique: results can refer to the series only.
    RepeatedInstanceUid,
    /// The words of pixels hold more bits than Bits Stored says; what is beyond was left out, as PS3.5 8.1.1 asks for.
    UnusedBitsSet,
    /// The images say that the unit of their values is unspecified, though they are CT: HU were taken.
    UnstatedUnits,
    /// The images were packed with loss at some time.
    LossyCompression,
}

/// A typed note with its severity and a sentence for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// What was found.
    pub kind: NoteKind,
    /// How much it matters.
    pub severity: Severity,
    /// One sentence; no text of the file, no patient.
    pub text: String,
}

impl NoteKind {
    /// The stable name used in `findings.json`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingSlice { .. } => "missing-slice",
            Self::DuplicateSlice { .. } => "duplicate-slice",
            Self::UnevenSpacing { .. } => "uneven-spacing",
            Self::GantryTilt { .. } => "gantry-tilt",
            Self::MixedOrientation { .. } => "mixed-orientation",
            Self::LocaliserSkipped { .. } => "localiser-skipped",
            Self::UnfitImageSkipped { .. } => "unfit-image-skipped",
            Self::InconsistentRescale => "inconsistent-rescale",
            Self::InconsistentFrameOfReference { .. } => "inconsistent-frame-of-reference",
            Self::ThickSlices { .. } => "thick-slices",
            Self::Gaps { .. } => "gaps-between-slices",
            Self::DamagedImage { .. } => "damaged-image",
            Self::UnreadableFile { .. } => "unreadable-file",
            Self::PaddingIgnored => "padding-ignored",
            Self::RepeatedInstanceUid => "repeated-instance-uid",
            Self::UnusedBitsSet => "unused-bits-set",
            Self::UnstatedUnits => "unstated-units",
            Self::LossyCompression => "lossy-compression",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::InconsistentFrameOfReference { .. }
            | Self::LocaliserSkipped { .. }
            | Self::UnfitImageSkipped { .. }
            | Self::DuplicateSlice { identical: true, .. }
            | Self::InconsistentRescale
            | Self::UnstatedUnits
            | Self::GantryTilt { .. } => Severity::Info,
            Self::UnevenSpacing { percent } if *percent <= 2.0 => Severity::Info,
            Self::ThickSlices { mm } if *mm <= 5.0 => Severity::Info,
            Self::DuplicateSlice { identical: false, .. } | Self::DamagedImage { .. } => Severity::Severe,
            Self::MissingSlice { count, .. } if *count > 1 => Severity::Severe,
            _ => Severity::Warning,
        }
    }

    fn text(&self) -> String {
        let some = |count: usize, one: &str, many: &str| {
            if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
        };
        match self {
            Self::MissingSlice { after_index, count } => format!(
                "{} missing after slice {after_index}: filled by interpolation between the neighbours.",
                some(*count, "slice is", "slices are")
            ),
            Self::DuplicateSlice { count, identical: true } => {
                format!(
                    "{} twice with the same pixels: used once.",
                    some(*count, "slice is present", "slices are present")
                )
            }
            Self::DuplicateSlice { count, identical: false } => format!(
                "{} more than once with different pixels: the first image was used.",
                some(*count, "position was imaged", "positions were imaged")
            ),
            Self::UnevenSpacing { percent } => {
                format!("The distances between slices differ by up to {percent:.1} %: their mean was taken.")
            }
            Self::GantryTilt { degrees } => {
                format!("The gantry was tilted by {degrees:.1}°: the shear of the slices is taken into account.")
            }
            Self::MixedOrientation { count } => {
                format!("{} of another orientation or size set aside.", some(*count, "image was", "images were"))
            }
            Self::LocaliserSkipped { count } => {
                format!("{} among the slices set aside.", some(*count, "localiser was", "localisers were"))
            }
            Self::UnfitImageSkipped { count } => {
                format!("{} among the slices set aside.", some(*count, "image without HU was", "images without HU were"))
            }
            Self::InconsistentRescale => {
                "The rescaling to HU differs between slices: each slice was rescaled by its own.".to_owned()
            }
            Self::InconsistentFrameOfReference { count } => format!(
                "The slices name {count} frames of reference though their positions form one stack: taken as one."
            ),
            Self::ThickSlices { mm } => {
                format!("The slices are {mm:.1} mm thick: small lesions may be missed and volumes are less exact.")
            }
            Self::Gaps { thickness_mm, spacing_mm } => format!(
                "Slices of {thickness_mm:.1} mm stand {spacing_mm:.1} mm apart: what lies between was not imaged."
            ),
            Self::DamagedImage { count } => {
                format!("{} as missing.", some(*count, "image could not be decoded and counts", "images could not be decoded and count"))
            }
            Self::UnreadableFile { count } => format!(
                "{} cut short, damaged or packed in a way that is not read: slices may be missing.",
                some(*count, "file is", "files are")
            ),
            Self::PaddingIgnored => {
                "The padding value stands for plausible tissue: those pixels were kept as they are.".to_owned()
            }
            Self::RepeatedInstanceUid => {
                "Several slices share one SOP Instance UID, which should be unique: results cannot refer to single slices."
                    .to_owned()
            }
            Self::UnusedBitsSet => {
                "Pixels hold more bits than the images say they do: bits beyond those stored were left out.".to_owned()
            }
            Self::UnstatedUnits => {
                "The images leave the unit of their values open: Hounsfield units were taken, as for CT.".to_owned()
            }
            Self::LossyCompression => "The images were compressed with loss: HU are not exact.".to_owned(),
        }
    }
}

impl Note {
    /// The note for a finding.
    #[must_use]
    pub fn new(kind: NoteKind) -> Self {
        Self { severity: kind.severity(), text: kind.text(), kind }
    }

    /// The stable name used in `findings.json`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}
