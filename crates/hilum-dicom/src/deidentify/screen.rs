//! Which objects are not given out, whatever is done to their attributes.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::DeidentifyOptions;
use crate::dataset::Dataset;
use crate::scan::SkipReason;

/// Why an object was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeftOut {
    /// It is something else than DICOM, damaged, or packed in a way that is not known.
    #[error("{0}")]
    Unread(SkipReason),
    /// Class, study, series or instance has no valid UID.
    #[error("the object does not say validly what it is and which study and series it belongs to")]
    NoIdentity,
    /// Text in the pixels is announced or likely.
    #[error(
        "text may be burnt into the pixels (screen captures, ultrasound, secondary images): look at it, then allow it"
    )]
    BurntInText,
    /// The face could be recognised.
    #[error("a head: the face can be recognised, and it is not removed here; allow it if that is acceptable")]
    Face,
    /// A whole document, such as a PDF, which cannot be searched for names.
    #[error("the object encloses a document, which may name the patient and cannot be cleaned")]
    Document,
    /// An index of files; it would be wrong afterwards.
    #[error("a DICOMDIR: the names and values it lists are no longer true")]
    Directory,
    /// The same object is in the input twice, or another has its SOP Instance UID and UIDs are to be kept.
    #[error("the same object again, or another one under its SOP Instance UID while UIDs are to be kept")]
    Repeated,
}

const HEAD_WORDS: [&str; 19] = [
    "HEAD",
    "BRAIN",
    "SKULL",
    "FACE",
    "FACIAL",
    "CRANI",
    "NEURO",
    "ORBIT",
    "SINUS",
    "MAXILL",
    "MANDIB",
    "DENTAL",
    "JAW",
    "NASAL",
    "KOPF",
    "SCHAEDEL",
    "SCHÄDEL",
    "WHOLEBODY",
    "WHOLE BODY",
];

/// Whether the object must stay; `None` if it may go.
pub(super) fn left_out(dataset: &Dataset<'_>, options: &DeidentifyOptions) -> Option<LeftOut> {
    let text = |tag| dataset.text(tag).unwrap_or_default().to_uppercase();
    let class = text(tags::SOP_CLASS_UID);
    if class == "1.2.840.10008.1.3.10" {
        return Some(LeftOut::Directory);
    }
    if class.starts_with("1.2.840.10008.5.1.4.1.1.104.") || dataset.bytes(tags::ENCAPSULATED_DOCUMENT).is_some() {
        return Some(LeftOut::Document);
    }
    if !options.keep_burnt_in && may_hold_text(dataset, &class) {
        return Some(LeftOut::BurntInText);
    }
    let shows_faces = ["CT", "MR", "PT", "NM"].contains(&&text(tags::MODALITY)[..]) && dataset.has_pixels();
    (shows_faces && !options.keep_faces && is_head(dataset)).then_some(LeftOut::Face)
}

fn may_hold_text(dataset: &Dataset<'_>, class: &str) -> bool {
    let text = |tag| dataset.text(tag).unwrap_or_default().to_uppercase();
    match &text(tags::BURNED_IN_ANNOTATION)[..] {
        "YES" => return true,
        // Whoever made the object vouches for it.
        "NO" => return false,
        _ if !dataset.has_pixels() => return false,
        _ => {}
    }
    // Secondary capture, ultrasound, endoscopy and photographs (visible light), in single and multi-frame forms.
    let classes = [
        "1.2.840.10008.5.1.4.1.1.7",
        "1.2.840.10008.5.1.4.1.1.6",
        "1.2.840.10008.5.1.4.1.1.3",
        "1.2.840.10008.5.1.4.1.1.77",
    ];
    let by_class =
        classes.iter().any(|known| class == *known || class.strip_prefix(known).is_some_and(|r| r.starts_with('.')));
    by_class
        || ["US", "OT", "SC"].contains(&&text(tags::MODALITY)[..])
        || text(tags::IMAGE_TYPE).split('\\').nth(1).is_some_and(|value| value.trim() == "SECONDARY")
        || dataset.bytes(tags::CONVERSION_TYPE).is_some()
}

fn is_head(dataset: &Dataset<'_>) -> bool {
    let places: [Tag; 5] = [
        tags::BODY_PART_EXAMINED,
        tags::STUDY_DESCRIPTION,
        tags::SERIES_DESCRIPTION,
        tags::PROTOCOL_NAME,
        tags::REQUESTED_PROCEDURE_DESCRIPTION,
    ];
    places.iter().filter_map(|tag| dataset.text(*tag)).any(|text| {
        let text = text.to_uppercase();
        HEAD_WORDS.iter().any(|word| text.contains(word))
    })
}
