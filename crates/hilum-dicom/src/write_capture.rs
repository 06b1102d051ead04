//! Grey pictures as Secondary Captures (PS3.3 A.8.1): 8 bits, no position in the patient, no Hounsfield units.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use crate::Error;
use crate::uid::uid_from_seed;

/// A grey picture and what is said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture<'a> {
    /// From this the study and series UID are made; with the number, the instance UID.
    pub seed: &'a str,
    /// Instance Number, from 1.
    pub number: u32,
    /// Modality of what was captured, such as `CT`.
    pub modality: &'a str,
    /// Patient's Name in DICOM form, `Family^Given`.
    pub patient_name: &'a str,
    /// Patient ID.
    pub patient_id: &'a str,
    /// Series Description.
    pub series_description: &'a str,
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Grey values, row by row, 0 black.
    pub grey: &'a [u8],
}

/// The bytes of a DICOM file, Explicit VR Little Endian. The same picture gives the same bytes.
///
/// # Errors
/// [`Error::Unwritable`] if a side exceeds 65 535 or the values do not fill the rows.
pub fn capture_file(capture: &Capture<'_>) -> Result<Vec<u8>, Error> {
    let [rows, columns] = capture.shape;
    if rows * columns != capture.grey.len() {
        return Err(Error::Unwritable("the picture has not as many values as rows times columns".into()));
    }
    let side =
        |n: usize| u16::try_from(n).map_err(|_| Error::Unwritable("DICOM images have at most 65 535 rows".into()));
    let instance_uid = uid_from_seed(capture.seed, &format!("capture {}", capture.number));
    let mut object = InMemDicomObject::new_empty();
    let mut put = |tag: Tag, vr: VR, value: PrimitiveValue| {
        object.put(DataElement::new(tag, vr, value));
    };
    let image_type = ["DERIVED", "SECONDARY"].map(str::to_owned);
    put(tags::IMAGE_TYPE, VR::CS, PrimitiveValue::Strs(image_type.into_iter().collect()));
    put(tags::SOP_CLASS_UID, VR::UI, uids::SECONDARY_CAPTURE_IMAGE_STORAGE.into());
    put(tags::SOP_INSTANCE_UID, VR::UI, instance_uid.as_str().into());
    put(tags::STUDY_DATE, VR::DA, "20200101".into());
    put(tags::STUDY_TIME, VR::TM, "120000".into());
    put(tags::ACCESSION_NUMBER, VR::SH, "".into());
    put(tags::MODALITY, VR::CS, capture.modality.into());
    put(tags::CONVERSION_TYPE, VR::CS, "WSD".into());
    put(tags::REFERRING_PHYSICIAN_NAME, VR::PN, "".into());
    put(tags::SERIES_DESCRIPTION, VR::LO, capture.series_description.into());
    put(tags::PATIENT_NAME, VR::PN, capture.patient_name.into());
    put(tags::PATIENT_ID, VR::LO, capture.patient_id.into());
    put(tags::PATIENT_BIRTH_DATE, VR::DA, "".into());
    put(tags::PATIENT_SEX, VR::CS, "O".into());
    put(tags::STUDY_INSTANCE_UID, VR::UI, uid_from_seed(capture.seed, "study").into());
    put(tags::SERIES_INSTANCE_UID, VR::UI, uid_from_seed(capture.seed, "captures").into());
    put(tags::STUDY_ID, VR::SH, "1".into());
    put(tags::SERIES_NUMBER, VR::IS, "1".into());
    put(tags::INSTANCE_NUMBER, VR::IS, capture.number.to_string().into());
    put(tags::SAMPLES_PER_PIXEL, VR::US, 1u16.into());
    put(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2".into());
    put(tags::ROWS, VR::US, side(rows)?.into());
    put(tags::COLUMNS, VR::US, side(columns)?.into());
    put(tags::BITS_ALLOCATED, VR::US, 8u16.into());
    put(tags::BITS_STORED, VR::US, 8u16.into());
    put(tags::HIGH_BIT, VR::US, 7u16.into());
    put(tags::PIXEL_REPRESENTATION, VR::US, 0u16.into());
    // Values have an even number of bytes (PS3.5 7.1.1).
    let mut grey = capture.grey.to_vec();
    grey.resize(grey.len().next_multiple_of(2), 0);
    put(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(grey.into_iter().collect()));

    let file = object
        .with_meta(
            FileMetaTableBuilder::new()
                .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
                .media_storage_sop_class_uid(uids::SECONDARY_CAPTURE_IMAGE_STORAGE)
                .media_storage_sop_instance_uid(instance_uid.as_str()),
        )
        .map_err(|e| Error::Unwritable(e.to_string()))?;
    let mut bytes = Vec::with_capacity(capture.grey.len() + 4096);
    file.write_all(&mut bytes).map_err(|e| Error::Unwritable(e.to_string()))?;
    Ok(bytes)
}
