//! Which attributes the modules of a class require (PS3.3 Annexes A and C): types 1 and 2, and numbers of values.

use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::{StandardDataDictionary, tags as t};

use super::Found;
use crate::dataset::Dataset;

/// Whether an attribute must be there (PS3.5 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Type 1: with a value.
    Value,
    /// Type 2: a value may be missing.
    Place,
}
use Need::{Place as P, Value as V};

/// A module, or the part of one that is unconditional: attributes, need, and how many values there are if there are any
/// (0 for any number).
type Module = &'static [(Tag, Need, usize)];

/// A class with its modules.
#[derive(Debug)]
pub(super) struct Class {
    uid: &'static str,
    pub(super) name: &'static str,
    modules: &'static [Module],
}

pub(super) fn class_of(uid: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|c| c.uid == uid)
}

const PATIENT: Module =
    &[(t::PATIENT_NAME, P, 1), (t::PATIENT_ID, P, 1), (t::PATIENT_BIRTH_DATE, P, 1), (t::PATIENT_SEX, P, 1)];
const STUDY: Module = &[
    (t::STUDY_INSTANCE_UID, V, 1),
    (t::STUDY_DATE, P, 1),
    (t::STUDY_TIME, P, 1),
    (t::REFERRING_PHYSICIAN_NAME, P, 1),
    (t::STUDY_ID, P, 1),
    (t::ACCESSION_NUMBER, P, 1),
];
const SERIES: Module = &[(t::MODALITY, V, 1), (t::SERIES_INSTANCE_UID, V, 1), (t::SERIES_NUMBER, P, 1)];
const SOP_COMMON: Module = &[(t::SOP_CLASS_UID, V, 1), (t::SOP_INSTANCE_UID, V, 1)];
const EQUIPMENT: Module = &[(t::MANUFACTURER, P, 1)];
const ENHANCED_EQUIPMENT: Module = &[
    (t::MANUFACTURER, V, 1),
    (t::MANUFACTURER_MODEL_NAME, V, 1),
    (t::DEVICE_SERIAL_NUMBER, V, 1),
    (t::SOFTWARE_VERSIONS, V, 0),
];
const FRAME_OF_REFERENCE: Module = &[(t::FRAME_OF_REFERENCE_UID, V, 1), (t::POSITION_REFERENCE_INDICATOR, P, 1)];
const IMAGE: Module = &[(t::INSTANCE_NUMBER, P, 1)];
const IMAGE_PLANE: Module = &[
    (t::PIXEL_SPACING, V, 2),
    (t::IMAGE_ORIENTATION_PATIENT, V, 6),
    (t::IMAGE_POSITION_PATIENT, V, 3),
    (t::SLICE_THICKNESS, P, 1),
];
const PIXELS: Module = &[
    (t::SAMPLES_PER_PIXEL, V, 1),
    (t::PHOTOMETRIC_INTERPRETATION, V, 1),
    (t::ROWS, V, 1),
    (t::COLUMNS, V, 1),
    (t::BITS_ALLOCATED, V, 1),
    (t::BITS_STORED, V, 1),
    (t::HIGH_BIT, V, 1),
    (t::PIXEL_REPRESENTATION, V, 1),
];
const CT: Module = &[
    (t::IMAGE_TYPE, V, 0),
    (t::RESCALE_INTERCEPT, V, 1),
    (t::RESCALE_SLOPE, V, 1),
    (t::KVP, P, 1),
    (t::ACQUISITION_NUMBER, P, 1),
];
const MULTI_FRAME: Module = &[
    (t::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, V, 0),
    (t::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, V, 0),
    (t::INSTANCE_NUMBER, V, 1),
    (t::CONTENT_DATE, V, 1),
    (t::CONTENT_TIME, V, 1),
    (t::NUMBER_OF_FRAMES, V, 1),
    (t::DIMENSION_ORGANIZATION_SEQUENCE, V, 0),
    (t::DIMENSION_INDEX_SEQUENCE, V, 0),
];
const ENHANCED_CT: Module = &[(t::IMAGE_TYPE, V, 4), (t::CONTENT_QUALIFICATION, V, 1), (t::BURNED_IN_ANNOTATION, V, 1)];
const CONTENT: Module = &[(t::CONTENT_LABEL, V, 1), (t::CONTENT_DESCRIPTION, P, 1)];
const SEGMENTATION: Module = &[
    (t::IMAGE_TYPE, V, 0),
    (t::SEGMENTATION_TYPE, V, 1),
    (t::SEGMENT_SEQUENCE, V, 0),
    (t::LOSSY_IMAGE_COMPRESSION, V, 1),
];
const SR_SERIES: Module = &[
    (t::MODALITY, V, 1),
    (t::SERIES_INSTANCE_UID, V, 1),
    (t::SERIES_NUMBER, V, 1),
    (t::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, P, 0),
];
const SR_DOCUMENT: Module = &[
    (t::INSTANCE_NUMBER, V, 1),
    (t::COMPLETION_FLAG, V, 1),
    (t::VERIFICATION_FLAG, V, 1),
    (t::CONTENT_DATE, V, 1),
    (t::CONTENT_TIME, V, 1),
    (t::PERFORMED_PROCEDURE_CODE_SEQUENCE, P, 0),
];
const KEY_OBJECTS: Module = &[
    (t::INSTANCE_NUMBER, V, 1),
    (t::CONTENT_DATE, V, 1),
    (t::CONTENT_TIME, V, 1),
    (t::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, V, 0),
];
const SR_CONTENT: Module = &[
    (t::VALUE_TYPE, V, 1),
    (t::CONCEPT_NAME_CODE_SEQUENCE, V, 0),
    (t::CONTINUITY_OF_CONTENT, V, 1),
    (t::CONTENT_SEQUENCE, V, 0),
];
const SC: Module = &[(t::CONVERSION_TYPE, V, 1)];
const PDF: Module = &[
    (t::INSTANCE_NUMBER, V, 1),
    (t::CONTENT_DATE, P, 1),
    (t::CONTENT_TIME, P, 1),
    (t::ACQUISITION_DATE_TIME, P, 1),
    (t::BURNED_IN_ANNOTATION, V, 1),
    (t::DOCUMENT_TITLE, P, 1),
    (t::CONCEPT_NAME_CODE_SEQUENCE, P, 0),
    (t::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, V, 1),
    (t::ENCAPSULATED_DOCUMENT, V, 0),
    (t::CONVERSION_TYPE, V, 1),
];
const PRESENTATION: Module = &[
    (t::INSTANCE_NUMBER, V, 1),
    (t::CONTENT_CREATOR_NAME, P, 1),
    (t::PRESENTATION_CREATION_DATE, V, 1),
    (t::PRESENTATION_CREATION_TIME, V, 1),
    (t::REFERENCED_SERIES_SEQUENCE, V, 0),
    (t::DISPLAYED_AREA_SELECTION_SEQUENCE, V, 0),
];

const SR: &[Module] = &[PATIENT, STUDY, SR_SERIES, EQUIPMENT, SR_DOCUMENT, SR_CONTENT, SOP_COMMON];
const SEG: &[Module] = &[
    PATIENT,
    STUDY,
    SERIES,
    FRAME_OF_REFERENCE,
    ENHANCED_EQUIPMENT,
    PIXELS,
    MULTI_FRAME,
    CONTENT,
    SEGMENTATION,
    SOP_COMMON,
];

#[rustfmt::skip]
const CLASSES: [Class; 13] = [
    Class { uid: "1.2.840.10008.5.1.4.1.1.2", name: "CT Image",
        modules: &[PATIENT, STUDY, SERIES, FRAME_OF_REFERENCE, EQUIPMENT, IMAGE, IMAGE_PLANE, PIXELS, CT, SOP_COMMON] },
    Class { uid: "1.2.840.10008.5.1.4.1.1.2.1", name: "Enhanced CT Image",
        modules: &[PATIENT, STUDY, SERIES, FRAME_OF_REFERENCE, ENHANCED_EQUIPMENT, PIXELS, MULTI_FRAME, ENHANCED_CT, SOP_COMMON] },
    Class { uid: "1.2.840.10008.5.1.4.1.1.66.4", name: "Segmentation", modules: SEG },
    Class { uid: "1.2.840.10008.5.1.4.1.1.66.7", name: "Label Map Segmentation", modules: SEG },
    Class { uid: "1.2.840.10008.5.1.4.1.1.88.22", name: "Enhanced SR", modules: SR },
    Class { uid: "1.2.840.10008.5.1.4.1.1.88.33", name: "Comprehensive SR", modules: SR },
    Class { uid: "1.2.840.10008.5.1.4.1.1.88.34", name: "Comprehensive 3D SR", modules: SR },
    Class { uid: "1.2.840.10008.5.1.4.1.1.88.35", name: "Extensible SR", modules: SR },
    Class { uid: "1.2.840.10008.5.1.4.1.1.88.59", name: "Key Object Selection",
        modules: &[PATIENT, STUDY, SR_SERIES, EQUIPMENT, KEY_OBJECTS, SR_CONTENT, SOP_COMMON] },
    Class { uid: "1.2.840.10008.5.1.4.1.1.7", name: "Secondary Capture Image",
        modules: &[PATIENT, STUDY, SERIES, SC, IMAGE, PIXELS, SOP_COMMON] },
    Class { uid: "1.2.840.10008.5.1.4.1.1.104.1", name: "Encapsulated PDF",
        modules: &[PATIENT, STUDY, SERIES, EQUIPMENT, PDF, SOP_COMMON] },
    Class { uid: "1.2.840.10008.5.1.4.1.1.11.1", name: "Grayscale Softcopy Presentation State",
        modules: &[PATIENT, STUDY, SERIES, EQUIPMENT, CONTENT, PRESENTATION, SOP_COMMON] },
    Class { uid: "1.2.840.10008.5.1.4.1.1.11.2", name: "Color Softcopy Presentation State",
        modules: &[PATIENT, STUDY, SERIES, EQUIPMENT, CONTENT, PRESENTATION, SOP_COMMON] },
];

pub(super) fn keyword(tag: Tag) -> &'static str {
    StandardDataDictionary.by_tag(tag).map_or("", |entry| entry.alias())
}

pub(super) fn check(class: &Class, data: &Dataset<'_>, found: &mut Found) {
    let mut seen = std::collections::BTreeSet::new();
    for (tag, need, values) in class.modules.iter().flat_map(|module| module.iter()) {
        let value = data.bytes(*tag);
        match (value, need) {
            (None, Need::Value) if seen.insert(*tag) => {
                found.error(keyword(*tag), format!("is missing; {} requires it with a value (type 1)", class.name));
            }
            (None, Need::Place) if seen.insert(*tag) => {
                found.error(
                    keyword(*tag),
                    format!("is missing; {} requires it, if without a value (type 2)", class.name),
                );
            }
            (Some(bytes), Need::Value) if bytes.iter().all(|b| matches!(b, 0 | b' ')) && is_text(*tag) => {
                found.error(keyword(*tag), format!("has no value; {} requires one (type 1)", class.name));
            }
            (Some(_), _) if *values > 0 && is_text(*tag) => {
                let count = data.text(*tag).map_or(0, |text| text.split('\\').count());
                if count > 0 && count != *values {
                    found.error(keyword(*tag), format!("has {count} values, not {values}"));
                }
            }
            _ => {}
        }
    }
}

/// Whether an attribute's values are text with backslashes between them.
fn is_text(tag: Tag) -> bool {
    use dicom_core::VR;
    let vr = StandardDataDictionary.by_tag(tag).and_then(|entry| entry.vr.exact());
    vr.is_some_and(|vr| {
        matches!(
            vr,
            VR::AE | VR::AS | VR::CS | VR::DA | VR::DS | VR::DT | VR::IS | VR::LO | VR::PN | VR::SH | VR::TM | VR::UI
        )
    })
}
