//! The coded concepts that results use, each checked against PS3.16 or, where DICOM lists none, SNOMED CT itself.
//!
//! Names follow the tables they come from. What no public scheme has a code for (percentages of opacity, CT scores) is
//! coded by the product that measures it, in a private scheme whose name begins with `99`.

use crate::Code;

const fn sct(value: &'static str, meaning: &'static str) -> Code {
    Code::new(value, "SCT", meaning)
}

const fn dcm(value: &'static str, meaning: &'static str) -> Code {
    Code::new(value, "DCM", meaning)
}

const fn ucum(value: &'static str, meaning: &'static str) -> Code {
    Code::new(value, "UCUM", meaning)
}

// Categories of segments, CID 7150.
/// A part of the body.
pub const ANATOMICAL_STRUCTURE: Code = sct("91723000", "Anatomical Structure");
/// A part of the body that disease has changed.
pub const MORPHOLOGICALLY_ABNORMAL_STRUCTURE: Code = sct("49755003", "Morphologically Abnormal Structure");

// Places. The lung and its lobes: SNOMED CT body structures; CID 6170 has the lobes without their side.
/// Lung (CID 4).
pub const LUNG: Code = sct("39607008", "Lung");
/// Right lung.
pub const RIGHT_LUNG: Code = sct("3341006", "Right lung");
/// Left lung.
pub const LEFT_LUNG: Code = sct("44029006", "Left lung");
/// Lobe of lung (CID 7151).
pub const LOBE_OF_LUNG: Code = sct("31094006", "Lobe of lung");
/// Upper lobe of right lung.
pub const RIGHT_UPPER_LOBE: Code = sct("42400003", "Upper lobe of right lung");
/// Middle lobe of right lung (CID 6170).
pub const RIGHT_MIDDLE_LOBE: Code = sct("72481006", "Middle lobe of right lung");
/// Lower lobe of right lung.
pub const RIGHT_LOWER_LOBE: Code = sct("266005", "Lower lobe of right lung");
/// Upper lobe of left lung.
pub const LEFT_UPPER_LOBE: Code = sct("44714003", "Upper lobe of left lung");
/// Lower lobe of left lung.
pub const LEFT_LOWER_LOBE: Code = sct("41224006", "Lower lobe of left lung");
/// Chest (CID 4).
pub const CHEST: Code = sct("51185008", "Chest");

// Sides, CID 244.
/// The patient's right.
pub const RIGHT: Code = sct("24028007", "Right");
/// The patient's left.
pub const LEFT: Code = sct("7771000", "Left");
/// Both sides.
pub const BILATERAL: Code = sct("51440002", "Bilateral");

// Findings in the chest.
/// Ground glass opacity (CID 6104).
pub const GROUND_GLASS_OPACITY: Code = dcm("112120", "Ground glass opacity");
/// Lung consolidation (SNOMED CT disorder).
pub const LUNG_CONSOLIDATION: Code = sct("95436008", "Lung consolidation");
/// Opacity of any kind (CID 6102).
pub const OPACITY: Code = dcm("112001", "Opacity");

// What is measured.
/// Volume (CID 7472).
pub const VOLUME: Code = sct("118565006", "Volume");
/// Attenuation Coefficient (CID 6141); in HU.
pub const ATTENUATION_COEFFICIENT: Code = dcm("112031", "Attenuation Coefficient");
/// Number of lesions (SNOMED CT observable).
pub const NUMBER_OF_LESIONS: Code = sct("246206008", "Number of lesions");
/// Mean (CID 7464), a derivation.
pub const MEAN: Code = sct("373098007", "Mean");

// Change since an earlier study.
/// Difference in size compared to the previous examination (CID 6133); in mL, or in percent of the earlier size.
pub const DIFFERENCE_IN_SIZE: Code = sct("442714003", "Difference in size");
/// Qualitative Difference since an earlier study (TID 4102), its values being those of CID 6134 and the two below.
pub const QUALITATIVE_DIFFERENCE: Code = dcm("111049", "Qualitative Difference");
/// Increase in size (CID 6134).
pub const INCREASE_IN_SIZE: Code = sct("15454001", "Increase in size");
/// Decrease in size (CID 6134).
pub const DECREASE_IN_SIZE: Code = sct("19776001", "Decrease in size");
/// No significant changes (CID 6134).
pub const NO_SIGNIFICANT_CHANGE: Code = sct("129723006", "No significant changes in the finding");
/// New (SNOMED CT qualifier).
pub const NEW: Code = sct("7147002", "New");
/// Resolved (SNOMED CT qualifier).
pub const RESOLVED: Code = sct("723506003", "Resolved");
/// Increased (SNOMED CT qualifier).
pub const INCREASED: Code = sct("35105006", "Increased");
/// Decreased (SNOMED CT qualifier, CID 3642).
pub const DECREASED: Code = sct("1250004", "Decreased");
/// No change (CID 3235).
pub const NO_CHANGE: Code = sct("260388006", "No change");
/// Time Point (TID 1502), a text.
pub const TIME_POINT: Code = Code::new("C2348792", "UMLS", "Time Point");
/// Time Point Order (TID 1502): 1 for the oldest of several studies.
pub const TIME_POINT_ORDER: Code = dcm("126073", "Time Point Order");

// Units (CID 7181 and 7462, which may be extended; UCUM).
/// Millilitre.
pub const MILLILITRE: Code = ucum("mL", "milliliter");
/// Hounsfield unit.
pub const HOUNSFIELD_UNIT: Code = ucum("[hnsf'U]", "Hounsfield unit");
/// Percent.
pub const PERCENT: Code = ucum("%", "Percent");
/// Day (CID 7456).
pub const DAY: Code = ucum("d", "day");
/// No unit.
pub const NO_UNITS: Code = ucum("1", "no units");
/// Millimetre.
pub const MILLIMETRE: Code = ucum("mm", "mm");

// Algorithm families, CID 7162.
/// Networks and the like.
pub const ARTIFICIAL_INTELLIGENCE: Code = dcm("123110", "Artificial Intelligence");
/// Morphology.
pub const MORPHOLOGICAL_OPERATIONS: Code = dcm("123104", "Morphological Operations");

// Procedures.
/// Computed tomography of chest (CID 4052 has its parts; SNOMED CT procedure).
pub const CT_OF_CHEST: Code = sct("169069000", "Computed tomography of chest");

// Titles of key object selections, CID 7010.
/// Of Interest.
pub const OF_INTEREST: Code = dcm("113000", "Of Interest");

pub(crate) const DIAGNOSTIC_IMAGING_REPORT: Code = Code::new("18748-4", "LN", "Diagnostic imaging study");
pub(crate) const BACKGROUND: Code = dcm("125040", "Background");
pub(crate) const SEGMENTATION_DERIVATION: Code = dcm("113076", "Segmentation");
pub(crate) const SOURCE_IMAGE_FOR_PROCESSING: Code = dcm("121322", "Source image for image processing operation");

/// Concepts that give structured reports their form (PS3.16, TID 1500 and those it includes).
pub(crate) mod sr {
    use super::{Code, dcm, sct};

    pub(crate) const IMAGING_MEASUREMENT_REPORT: Code = dcm("126000", "Imaging Measurement Report");
    pub(crate) const LANGUAGE: Code = dcm("121049", "Language of Content Item and Descendants");
    pub(crate) const ENGLISH: Code = Code::new("en-US", "RFC5646", "English (United States)");
    pub(crate) const OBSERVER_TYPE: Code = dcm("121005", "Observer Type");
    pub(crate) const DEVICE: Code = dcm("121007", "Device");
    pub(crate) const PERSON_OBSERVER_NAME: Code = dcm("121008", "Person Observer Name");
    pub(crate) const DEVICE_OBSERVER_UID: Code = dcm("121012", "Device Observer UID");
    pub(crate) const DEVICE_OBSERVER_NAME: Code = dcm("121013", "Device Observer Name");
    pub(crate) const DEVICE_OBSERVER_MANUFACTURER: Code = dcm("121014", "Device Observer Manufacturer");
    pub(crate) const DEVICE_OBSERVER_MODEL_NAME: Code = dcm("121015", "Device Observer Model Name");
    pub(crate) const DEVICE_OBSERVER_SERIAL_NUMBER: Code = dcm("121016", "Device Observer Serial Number");
    pub(crate) const PROCEDURE_REPORTED: Code = dcm("121058", "Procedure reported");
    pub(crate) const IMAGE_LIBRARY: Code = dcm("111028", "Image Library");
    pub(crate) const IMAGE_LIBRARY_GROUP: Code = dcm("126200", "Image Library Group");
    pub(crate) const MODALITY: Code = dcm("121139", "Modality");
    pub(crate) const CT: Code = dcm("CT", "Computed Tomography");
    pub(crate) const FRAME_OF_REFERENCE_UID: Code = dcm("112227", "Frame of Reference UID");
    pub(crate) const IMAGING_MEASUREMENTS: Code = dcm("126010", "Imaging Measurements");
    pub(crate) const MEASUREMENT_GROUP: Code = dcm("125007", "Measurement Group");
    pub(crate) const TRACKING_IDENTIFIER: Code = dcm("112039", "Tracking Identifier");
    pub(crate) const TRACKING_UNIQUE_IDENTIFIER: Code = dcm("112040", "Tracking Unique Identifier");
    pub(crate) const FINDING_CATEGORY: Code = sct("276214006", "Finding category");
    pub(crate) const FINDING: Code = dcm("121071", "Finding");
    pub(crate) const FINDING_SITE: Code = sct("363698007", "Finding Site");
    pub(crate) const LATERALITY: Code = sct("272741003", "Laterality");
    pub(crate) const TOPOGRAPHICAL_MODIFIER: Code = sct("106233006", "Topographical modifier");
    pub(crate) const MEASUREMENT_METHOD: Code = sct("370129005", "Measurement Method");
    pub(crate) const REFERENCED_SEGMENT: Code = dcm("121191", "Referenced Segment");
    pub(crate) const REFERENCED_SEGMENTATION_FRAME: Code = dcm("121214", "Referenced Segmentation Frame");
    pub(crate) const SOURCE_IMAGE_FOR_SEGMENTATION: Code = dcm("121233", "Source image for segmentation");
    pub(crate) const SOURCE_OF_MEASUREMENT: Code = dcm("121112", "Source of Measurement");
    pub(crate) const SOURCE_SERIES_FOR_SEGMENTATION: Code = dcm("121232", "Source series for segmentation");
    pub(crate) const ALGORITHM_NAME: Code = dcm("111001", "Algorithm Name");
    pub(crate) const ALGORITHM_VERSION: Code = dcm("111003", "Algorithm Version");
    pub(crate) const ALGORITHM_FAMILY: Code = dcm("111000", "Algorithm Family");
    pub(crate) const DERIVATION: Code = dcm("121401", "Derivation");
    pub(crate) const QUALITATIVE_EVALUATIONS: Code = Code::new("C0034375", "UMLS", "Qualitative Evaluations");
    pub(crate) const KEY_OBJECT_DESCRIPTION: Code = dcm("113012", "Key Object Description");
    pub(crate) const TEMPORAL_OFFSET: Code = dcm("128740", "Longitudinal Temporal Offset from Event");
    pub(crate) const TEMPORAL_EVENT: Code = dcm("128741", "Longitudinal Temporal Event Type");
    pub(crate) const BASELINE: Code = dcm("121079", "Baseline");
    pub(crate) const STUDY_DATE: Code = dcm("111060", "Study Date");
    pub(crate) const UPPER_UNCERTAINTY: Code = sct("371886008", "+, range of upper measurement uncertainty");
    pub(crate) const LOWER_UNCERTAINTY: Code = sct("371885007", "-, range of lower measurement uncertainty");
    pub(crate) const COMMENT: Code = dcm("121106", "Comment");
}
