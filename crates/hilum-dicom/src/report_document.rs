//! What a measurement report of anybody says, as plain data.

use crate::Code;

/// A coded concept as somebody wrote it (PS3.3 8.8); [`Code`] is one that we write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Concept {
    /// Code Value, Long Code Value or URN Code Value.
    pub value: String,
    /// Coding Scheme Designator; may be empty beside a URN.
    pub scheme: String,
    /// Code Meaning; empty where it is left out.
    pub meaning: String,
}

impl Concept {
    /// Whether it is this concept: the same code of the same scheme, whatever the words for it are.
    #[must_use]
    pub fn is(&self, code: Code) -> bool {
        self.value == code.value() && self.scheme == code.scheme()
    }
}

impl From<Code> for Concept {
    fn from(code: Code) -> Self {
        Self { value: code.value().into(), scheme: code.scheme().into(), meaning: code.meaning().into() }
    }
}

/// A structured report after TID 1500 (PS3.16): ours or another's. Texts are as they were written and may hold anything
/// that somebody typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportDocument {
    /// SOP Class UID: Enhanced, Comprehensive, Comprehensive 3D or Extensible SR.
    pub sop_class_uid: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Study Instance UID; empty if it is left out.
    pub study_uid: String,
    /// Series Instance UID; empty if it is left out.
    pub series_uid: String,
    /// Study Date `YYYYMMDD`; empty if it is left out.
    pub study_date: String,
    /// A pseudonym of the patient, as [`SeriesSummary::patient_key`](crate::SeriesSummary::patient_key). Never the name.
    pub patient_key: String,
    /// The title, such as Imaging Measurement Report.
    pub title: Concept,
    /// Whether it says that it is complete (PS3.3 C.17.2, Completion Flag).
    pub complete: bool,
    /// Whether it says that a person has verified it (Verification Flag).
    pub verified: bool,
    /// Who or what observed, in their order.
    pub observers: Vec<Observer>,
    /// The procedures whose images were measured.
    pub procedures: Vec<Concept>,
    /// Every object that the document names as evidence, with its study and series.
    pub evidence: Vec<Evidence>,
    /// Documents whose content is in this one, wholly or in part.
    pub predecessors: Vec<Evidence>,
    /// The images of its image library.
    pub image_library: Vec<ObjectReference>,
    /// The measurement groups, in their order.
    pub groups: Vec<ReportedGroup>,
    /// Judgements and remarks on the whole.
    pub evaluations: Vec<Evaluation>,
    /// How many content items it has that this reader does not know a place for. They are left out, never guessed at.
    pub unread_items: usize,
}

impl ReportDocument {
    /// The Series Instance UID of an object that the document refers to, if its evidence has it.
    #[must_use]
    pub fn series_of(&self, sop_instance_uid: &str) -> Option<&str> {
        self.evidence.iter().find(|e| e.sop_instance_uid == sop_instance_uid).map(|e| e.series_uid.as_str())
    }
}

/// Who or what observed (TID 1002).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observer {
    /// A person, by name if there is one; not the patient.
    Person {
        /// As DICOM writes names.
        name: Option<String>,
    },
    /// A device (TID 1004), with what it says of itself.
    Device {
        /// Device Observer UID.
        uid: Option<String>,
        /// Its name.
        name: Option<String>,
        /// Who makes it.
        manufacturer: Option<String>,
        /// Its model.
        model: Option<String>,
        /// Its serial number.
        serial_number: Option<String>,
    },
}

/// An object that a document rests on (PS3.3 C.17.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Study Instance UID.
    pub study_uid: String,
    /// Series Instance UID.
    pub series_uid: String,
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
}

/// An object, or segments or frames of it (PS3.3 10.8 and C.18.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectReference {
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Numbers of segments, from 1; empty for the whole object.
    pub segments: Vec<u16>,
    /// Numbers of frames, from 1; empty for all.
    pub frames: Vec<u32>,
}

/// Measurements of one thing: a region (TID 1410, 1411) or the study as a whole (TID 1501).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportedGroup {
    /// The name that it is followed by.
    pub tracking_id: Option<String>,
    /// The UID that it is followed by through objects and studies.
    pub tracking_uid: Option<String>,
    /// What kind of finding it is.
    pub category: Option<Concept>,
    /// What was found or measured.
    pub finding: Option<Concept>,
    /// Where it lies.
    pub sites: Vec<FindingSite>,
    /// Segments, or single frames of them, that were measured.
    pub segments: Vec<ObjectReference>,
    /// Regions that were drawn.
    pub regions: Vec<Region>,
    /// Images that were segmented or measured.
    pub source_images: Vec<ObjectReference>,
    /// Series Instance UIDs of what was segmented.
    pub source_series_uids: Vec<String>,
    /// How it was measured, where one method is said for the group.
    pub method: Option<Concept>,
    /// What found it.
    pub algorithm: Option<ReportedAlgorithm>,
    /// Any other modifier: its name and its value.
    pub modifiers: Vec<(Concept, Concept)>,
    /// Circumstances in words, such as session or time point: name and text.
    pub contexts: Vec<(Concept, String)>,
    /// Circumstances in numbers, such as the order of the time point or the days since the first one (TID 1502).
    pub circumstances: Vec<(Concept, Quantity)>,
    /// The measurements, in their order.
    pub measurements: Vec<ReportedMeasurement>,
    /// Judgements and remarks.
    pub evaluations: Vec<Evaluation>,
}

impl ReportedGroup {
    /// The first measurement of `concept`.
    #[must_use]
    pub fn measurement(&self, concept: Code) -> Option<&ReportedMeasurement> {
        self.measurements.iter().find(|m| m.concept.is(concept))
    }

    /// The circumstance of that name.
    #[must_use]
    pub fn circumstance(&self, concept: Code) -> Option<&Quantity> {
        self.circumstances.iter().find(|(name, _)| name.is(concept)).map(|(_, quantity)| quantity)
    }
}

/// A place in the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingSite {
    /// The place.
    pub site: Concept,
    /// Its side.
    pub laterality: Option<Concept>,
    /// Which part of it.
    pub topography: Option<Concept>,
}

/// An algorithm (TID 4019), as far as it is described.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportedAlgorithm {
    /// Its name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its family.
    pub family: Option<Concept>,
}

/// A region drawn on an image or in space (PS3.3 C.18.6, C.18.9).
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// Graphic Type: `POINT`, `POLYLINE`, `POLYGON`, `CIRCLE` and so on.
    pub graphic: String,
    /// Its points.
    pub points: RegionPoints,
}

/// Points of a [`Region`].
#[derive(Clone, Debug, PartialEq)]
pub enum RegionPoints {
    /// On an image: column and row, counted from the upper left corner of the upper left pixel, which has its centre at
    /// 0.5, 0.5 (PS3.3 C.18.6.1.2).
    OnImage {
        /// The image, if the region names it.
        image: Option<ObjectReference>,
        /// Column and row.
        points: Vec<[f32; 2]>,
    },
    /// In patient space: LPS mm.
    InSpace {
        /// Frame of Reference UID.
        frame_of_reference_uid: String,
        /// x, y and z.
        points: Vec<[f32; 3]>,
    },
}

/// A number with its unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity {
    /// Finite.
    pub value: f64,
    /// Its unit, mostly of UCUM.
    pub unit: Concept,
}

/// A measurement (TID 300, 1419).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportedMeasurement {
    /// What was measured.
    pub concept: Concept,
    /// The number; `None` if there is none for the reason that `qualifier` gives.
    pub quantity: Option<Quantity>,
    /// Why there is no number, or what is special about it (CID 42).
    pub qualifier: Option<Concept>,
    /// How it was derived, such as Mean.
    pub derivation: Option<Concept>,
    /// How it was measured.
    pub method: Option<Concept>,
    /// Where, if it is said for this measurement.
    pub sites: Vec<FindingSite>,
    /// What measured, if it is said for this measurement.
    pub algorithm: Option<ReportedAlgorithm>,
    /// Any other modifier: its name and its value.
    pub modifiers: Vec<(Concept, Concept)>,
    /// How far it may be off downwards and upwards, if that is said (TID 310).
    pub uncertainty: [Option<Quantity>; 2],
}

/// A judgement in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// What is judged.
    pub concept: Concept,
    /// The judgement.
    pub value: EvaluationValue,
}

/// What an [`Evaluation`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvaluationValue {
    /// As a code.
    Code(Concept),
    /// As text, of several lines perhaps.
    Text(String),
}

/// Why a measurement report cannot be used. Items are named by their position in the document, counted from 1 on each
/// level as dcmtk's `dsrdump` does, such as `1.5.2`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportFlaw {
    /// Not DICOM, or in a transfer syntax that is not read.
    #[error("it is no DICOM file that can be read")]
    NotDicom,
    /// The bytes end too early.
    #[error("it is cut short")]
    CutShort,
    /// The bytes are not elements.
    #[error("it is damaged")]
    Damaged,
    /// Another SOP class.
    #[error("it is another kind of DICOM object")]
    AnotherClass,
    /// A structured report of another template than TID 1500.
    #[error("it is a structured report, but no imaging measurement report (TID 1500)")]
    AnotherTemplate,
    /// No SOP Instance UID, or one that is none.
    #[error("it has no identity")]
    NoIdentity,
    /// A number or a group without the name of what it is.
    #[error("content item {0} does not say what it is")]
    Unnamed(String),
    /// A code, text, UID or number that is left empty.
    #[error("content item {0} has no value")]
    NoValue(String),
    /// A number that is not one finite number.
    #[error("content item {0} does not hold one finite number")]
    NotANumber(String),
    /// A number that is given twice, differently.
    #[error("content item {0} gives two different numbers")]
    TwoNumbers(String),
    /// A number without a unit.
    #[error("content item {0} has no unit")]
    NoUnit(String),
    /// A reference that names no object, segment or frame.
    #[error("content item {0} refers to nothing that can be found")]
    BadReference(String),
    /// A region whose points do not fit its kind.
    #[error("content item {0} has coordinates that are no points")]
    BadRegion(String),
}
