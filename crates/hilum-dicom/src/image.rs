//! What one DICOM object says about itself and its frames.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use sha2::{Digest, Sha256};

use crate::dataset::Dataset;
use crate::syntax::Syntax;

/// The header of one object. Absent attributes are `None` or empty; nothing is guessed.
#[derive(Clone, Debug)]
pub(crate) struct ImageHeader {
    pub(crate) syntax: Syntax,
    pub(crate) study_uid: String,
    pub(crate) series_uid: String,
    pub(crate) sop_class_uid: String,
    pub(crate) sop_instance_uid: String,
    pub(crate) modality: String,
    pub(crate) image_type: Vec<String>,
    pub(crate) description: String,
    pub(crate) manufacturer: String,
    pub(crate) convolution_kernel: String,
    pub(crate) body_part_examined: String,
    pub(crate) acquisition_date: String,
    pub(crate) study_date: String,
    pub(crate) acquisition_time: String,
    pub(crate) series_number: Option<i64>,
    pub(crate) acquisition_number: Option<i64>,
    pub(crate) instance_number: Option<i64>,
    pub(crate) contrast: bool,
    pub(crate) patient_key: String,
    pub(crate) frame_of_reference_uid: String,
    pub(crate) lossy: bool,
    pub(crate) pixels: PixelLayout,
    /// Bytes the file must have at least for its pixels to be whole, beyond the header; native pixels only.
    pub(crate) declared_pixel_bytes: Option<u64>,
    /// One for a classic image, one per frame for Enhanced CT.
    pub(crate) frames: Vec<Frame>,
}

/// How stored numbers lie in the bytes (PS3.3 C.7.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PixelLayout {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) samples: u16,
    pub(crate) bits_allocated: u16,
    pub(crate) bits_stored: u16,
    pub(crate) high_bit: u16,
    pub(crate) signed: bool,
    /// Whether Pixel Representation is one of the two that exist.
    pub(crate) sign_is_known: bool,
    /// Whether Photometric Interpretation is absent or says grey.
    pub(crate) grey: bool,
    /// Pixel Padding Value and, where a range is given, its other end (PS3.3 C.7.5.1.1.2), as stored numbers.
    pub(crate) padding: Option<(i32, i32)>,
}

/// What Rescale Type (PS3.3 C.11.1.1.2) says of CT values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// HU, or not given: it is required only if it is not HU (PS3.3 C.8.2.1).
    Hounsfield,
    /// "US", unspecified. GDCM adds it to every CT it converts.
    Unstated,
    /// Anything else, such as atomic numbers or densities.
    Other,
}

/// Place and scale of one frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    /// Image Position (Patient): LPS mm of the centre of the first voxel.
    pub(crate) position: Option<[f64; 3]>,
    /// Image Orientation (Patient): cosines of the row, then of the column.
    pub(crate) orientation: Option<[f64; 6]>,
    /// Pixel Spacing: between rows, then between columns (PS3.3 10.7.1.3).
    pub(crate) spacing_mm: Option<[f64; 2]>,
    pub(crate) thickness_mm: Option<f64>,
    /// Rescale Slope and Intercept.
    pub(crate) rescale: Option<(f64, f64)>,
    pub(crate) unit: Unit,
    pub(crate) localiser: bool,
}

impl ImageHeader {
    /// Gathers the header; `None` if the object has no identity.
    pub(crate) fn of(dataset: &Dataset<'_>, syntax: Syntax) -> Option<Self> {
        let text = |tag| dataset.text(tag).map(|text| shortened(text, MOST_TEXT)).unwrap_or_default();
        let integer = |tag| dataset.number(tag).map(|n| n as i64);
        let uid = |tag| dataset.text(tag).filter(|uid| is_harmless_uid(uid));
        let sop_class_uid = uid(tags::SOP_CLASS_UID)?;
        let pixels = PixelLayout::of(dataset);
        let image_type = values(dataset, tags::IMAGE_TYPE);
        let enhanced = [uids::ENHANCED_CT_IMAGE_STORAGE, uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE]
            .contains(&sop_class_uid.as_str());
        let frames = if enhanced {
            enhanced_frames(dataset, &image_type)
        } else {
            // Several frames without a place of their own (multi-frame secondary captures) are no volume.
            let count = dataset.number(tags::NUMBER_OF_FRAMES).unwrap_or(1.0);
            if count > 1.0 { Vec::new() } else { vec![Frame::of(&[dataset], &image_type)] }
        };
        let shared = dataset.first_item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let kernel = dataset
            .text(tags::CONVOLUTION_KERNEL)
            .or_else(|| shared?.first_item(tags::CT_RECONSTRUCTION_SEQUENCE)?.text(tags::CONVOLUTION_KERNEL));
        Some(Self {
            syntax,
            study_uid: uid(tags::STUDY_INSTANCE_UID)?,
            series_uid: uid(tags::SERIES_INSTANCE_UID)?,
            sop_class_uid,
            sop_instance_uid: uid(tags::SOP_INSTANCE_UID)?,
            modality: text(tags::MODALITY),
            image_type,
            description: text(tags::SERIES_DESCRIPTION),
            manufacturer: text(tags::MANUFACTURER),
            convolution_kernel: kernel.unwrap_or_default(),
            body_part_examined: text(tags::BODY_PART_EXAMINED),
            study_date: text(tags::STUDY_DATE),
            acquisition_date: [
                tags::ACQUISITION_DATE,
                tags::ACQUISITION_DATE_TIME,
                tags::SERIES_DATE,
                tags::STUDY_DATE,
            ]
            .into_iter()
            .find_map(|tag| dataset.text(tag))
            .map(|date| date.chars().take(8).collect())
            .unwrap_or_default(),
            acquisition_time: text(tags::ACQUISITION_TIME),
            series_number: integer(tags::SERIES_NUMBER),
            acquisition_number: integer(tags::ACQUISITION_NUMBER),
            instance_number: integer(tags::INSTANCE_NUMBER),
            contrast: dataset.text(tags::CONTRAST_BOLUS_AGENT).is_some()
                || dataset.first_item(tags::CONTRAST_BOLUS_AGENT_SEQUENCE).is_some(),
            patient_key: patient_key(dataset),
            frame_of_reference_uid: text(tags::FRAME_OF_REFERENCE_UID),
            lossy: text(tags::LOSSY_IMAGE_COMPRESSION) == "01",
            pixels,
            declared_pixel_bytes: dataset.declared_pixel_bytes(),
            frames,
        })
    }
}

/// Characters of a header text that are kept: PS3.5 6.2 allows 64 in most, and nobody reads more.
const MOST_TEXT: usize = 1024;

fn shortened(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

/// Whether a UID is one or comes close. Archives hold UIDs with letters or leading zeros; what could leave a folder, end a line
/// or mean something to a shell is refused.
fn is_harmless_uid(uid: &str) -> bool {
    uid.len() <= 64
        && uid.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        && uid.bytes().any(|b| b.is_ascii_alphanumeric())
}

/// A pseudonym of the patient: the same for the same identity, useless for reading the name. It is no anonymisation, as
/// a guessed identity can be checked against it. Scanners spell names differently, so the name counts only where there
/// is no Patient ID.
pub(crate) fn patient_key(dataset: &Dataset<'_>) -> String {
    let text = |tag| dataset.text(tag).unwrap_or_default();
    let id = dataset.text(tags::PATIENT_ID).unwrap_or_else(|| text(tags::PATIENT_NAME));
    let mut hash = Sha256::new();
    for part in [id, text(tags::ISSUER_OF_PATIENT_ID), text(tags::PATIENT_BIRTH_DATE)] {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn values(dataset: &Dataset<'_>, tag: Tag) -> Vec<String> {
    let text = dataset.text(tag).unwrap_or_default();
    text.split('\\').map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()).collect()
}

impl PixelLayout {
    pub(crate) fn of(dataset: &Dataset<'_>) -> Self {
        let number = |tag| dataset.u16(tag).unwrap_or(0);
        let bits_stored = number(tags::BITS_STORED);
        let representation = number(tags::PIXEL_REPRESENTATION);
        let signed = representation == 1;
        let photometric = dataset.text(tags::PHOTOMETRIC_INTERPRETATION);
        let stored = |value: u16| if signed { i32::from(value as i16) } else { i32::from(value) };
        let padding = dataset.u16(tags::PIXEL_PADDING_VALUE).map(stored).map(|value| {
            let other = dataset.u16(tags::PIXEL_PADDING_RANGE_LIMIT).map_or(value, stored);
            (value.min(other), value.max(other))
        });
        Self {
            rows: number(tags::ROWS).into(),
            columns: number(tags::COLUMNS).into(),
            samples: dataset.u16(tags::SAMPLES_PER_PIXEL).unwrap_or(1),
            bits_allocated: number(tags::BITS_ALLOCATED),
            bits_stored,
            high_bit: dataset.u16(tags::HIGH_BIT).unwrap_or(bits_stored.saturating_sub(1)),
            signed,
            sign_is_known: representation <= 1,
            grey: photometric.is_none_or(|p| ["MONOCHROME1", "MONOCHROME2"].contains(&p.as_str())),
            padding,
        }
    }

    /// Pixels of one frame.
    pub(crate) fn pixels(&self) -> usize {
        self.rows * self.columns
    }

    /// Bytes of one frame, not packed. Single bits, as segmentations have them, stand eight to a byte (PS3.5 8.1.1).
    pub(crate) fn frame_bytes(&self) -> usize {
        let samples = self.pixels() * usize::from(self.samples);
        if self.bits_allocated == 1 {
            samples.div_ceil(8)
        } else {
            samples * usize::from(self.bits_allocated.div_ceil(8))
        }
    }
}

impl Frame {
    /// Reads what is known from several data sets, the first that has an attribute deciding.
    fn of(places: &[&Dataset<'_>], image_type: &[String]) -> Self {
        let first = |tag: Tag| places.iter().find_map(|d| d.number(tag));
        let rescale_type = places.iter().find_map(|d| d.text(tags::RESCALE_TYPE));
        Self {
            position: places.iter().find_map(|d| d.exactly(tags::IMAGE_POSITION_PATIENT)),
            orientation: places.iter().find_map(|d| d.exactly(tags::IMAGE_ORIENTATION_PATIENT)),
            spacing_mm: places.iter().find_map(|d| d.exactly(tags::PIXEL_SPACING)),
            thickness_mm: first(tags::SLICE_THICKNESS).filter(|mm| *mm > 0.0),
            rescale: first(tags::RESCALE_SLOPE).zip(first(tags::RESCALE_INTERCEPT)),
            unit: match rescale_type.as_deref() {
                None | Some("HU" | "HU_MOD") => Unit::Hounsfield,
                Some("US") => Unit::Unstated,
                Some(_) => Unit::Other,
            },
            localiser: image_type.iter().any(|v| v == "LOCALIZER"),
        }
    }
}

/// The frames of Enhanced CT: each attribute from the frame's own functional groups or else from the shared ones
/// (PS3.3 C.7.6.16).
fn enhanced_frames(dataset: &Dataset<'_>, image_type: &[String]) -> Vec<Frame> {
    const GROUPS: [Tag; 5] = [
        tags::PLANE_POSITION_SEQUENCE,
        tags::PLANE_ORIENTATION_SEQUENCE,
        tags::PIXEL_MEASURES_SEQUENCE,
        tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
        tags::CT_IMAGE_FRAME_TYPE_SEQUENCE,
    ];
    fn of<'a>(item: &Dataset<'a>) -> [Option<Dataset<'a>>; 5] {
        GROUPS.map(|tag| item.first_item(tag))
    }
    let shared = dataset.first_item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let shared = shared.as_ref().map(of);
    let frames = dataset.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).unwrap_or_default();
    let declared = dataset.number(tags::NUMBER_OF_FRAMES).unwrap_or(0.0);
    if declared != frames.len() as f64 {
        return Vec::new();
    }
    frames
        .iter()
        .map(|frame| {
            let own = of(frame);
            let places: Vec<&Dataset<'_>> = own.iter().chain(shared.iter().flatten()).flatten().collect();
            let frame_type = places.iter().map(|d| values(d, tags::FRAME_TYPE)).find(|v| !v.is_empty());
            Frame::of(&places, frame_type.as_deref().unwrap_or(image_type))
        })
        .collect()
}
