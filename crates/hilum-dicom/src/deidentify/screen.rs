//! Which objects are not given out, whatever is done to their attributes.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::DeidentifyOptions;
use super::deface::Undefaceable;
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
    #[error("a head: the face can be recognised; have it blanked (CT and MR), or allow it if that is acceptable")]
    Face,
    /// The face should have been blanked, and could not be.
    #[error("a head, and its face cannot be blanked: {0}")]
    FaceStays(Undefaceable),
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
    // With defacing, heads are looked at as series.
    let faces_may_go = options.keep_faces || options.deface;
    (!faces_may_go && shows_faces(dataset) && is_head(dataset)).then_some(LeftOut::Face)
}

/// Whether the object is of a kind in which faces can be recognised: slices, and pictures made of them or of the patient.
pub(super) fn shows_faces(dataset: &Dataset<'_>) -> bool {
    let modality = dataset.text(tags::MODALITY).unwrap_or_default().to_uppercase();
    ["CT", "MR", "PT", "NM", "OT", "SC", "XC"].contains(&&modality[..]) && has_any_pixels(dataset)
}

/// Whether there are pixels, of floating numbers too.
fn has_any_pixels(dataset: &Dataset<'_>) -> bool {
    let floating = [tags::FLOAT_PIXEL_DATA, tags::DOUBLE_FLOAT_PIXEL_DATA];
    dataset.has_pixels() || floating.iter().any(|tag| dataset.bytes(*tag).is_some())
}

fn may_hold_text(dataset: &Dataset<'_>, class: &str) -> bool {
    let text = |tag| dataset.text(tag).unwrap_or_default().to_uppercase();
    match &text(tags::BURNED_IN_ANNOTATION)[..] {
        "YES" => return true,
        // Whoever made the object vouches for it.
        "NO" => return false,
        _ if !has_any_pixels(dataset) => return false,
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

/// Whether a description names a head, or the object says itself that somebody can be recognised in it.
pub(super) fn is_head(dataset: &Dataset<'_>) -> bool {
    if dataset.text(tags::RECOGNIZABLE_VISUAL_FEATURES).is_some_and(|said| said.eq_ignore_ascii_case("YES")) {
        return true;
    }
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
