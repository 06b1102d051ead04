//! Results for people's eyes: a PDF in a DICOM coat (PS3.3 A.45.1) and colour pictures as Secondary Captures (A.8.1).
//!
//! Neither has a place in the patient; they say which images they were made from.

use dicom_dictionary_std::{tags, uids};

use crate::Error;
use crate::attributes::Attributes;
use crate::code::checked_text;
use crate::codes;
use crate::result_file::{Kind, ResultContext, ResultFile, reference};

/// Whether a page or picture itself shows who the patient is (Burned In Annotation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BurnedIn {
    /// Nobody can be recognised by what is written on it.
    Nothing,
    /// It shows a name, a number or a date.
    Identity,
}

impl BurnedIn {
    fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "NO",
            Self::Identity => "YES",
        }
    }
}

const DOCUMENT: Kind = Kind {
    sop_class_uid: uids::ENCAPSULATED_PDF_STORAGE,
    modality: "DOC",
    series: "documents",
    series_number: 4,
    series_description: "Report (research use)",
};

const PICTURE: Kind = Kind {
    sop_class_uid: uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
    modality: "OT",
    series: "pictures",
    series_number: 5,
    series_description: "Key pictures (research use)",
};

/// Files a PDF with the study.
///
/// # Errors
/// [`Error::Unwritable`] if the bytes are no PDF or the title is empty or longer than 64 characters.
pub fn encapsulated_pdf(
    context: &ResultContext<'_>,
    title: &str,
    pdf: &[u8],
    burned_in: BurnedIn,
) -> Result<ResultFile, Error> {
    if !pdf.starts_with(b"%PDF-") {
        return Err(Error::Unwritable("the document is no PDF".into()));
    }
    let length = u32::try_from(pdf.len()).map_err(|_| Error::Unwritable("the document exceeds 4 GiB".into()))?;
    let mut content = Attributes::default();
    content.text(tags::CONVERSION_TYPE, "WSD");
    content.text(tags::ACQUISITION_DATE_TIME, "");
    content.text(tags::BURNED_IN_ANNOTATION, burned_in.as_str());
    content.text(tags::DOCUMENT_TITLE, &checked_text("the title of the document", title, 64)?);
    content.item(tags::CONCEPT_NAME_CODE_SEQUENCE, codes::DIAGNOSTIC_IMAGING_REPORT.item());
    content.text(tags::VERIFICATION_FLAG, "UNVERIFIED");
    content.text(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, "application/pdf");
    let images = context.origin.images.iter().map(|i| reference(&i.class, &i.instance));
    content.items(tags::SOURCE_INSTANCE_SEQUENCE, images);
    content.u32s(tags::ENCAPSULATED_DOCUMENT_LENGTH, &[length]);
    content.bytes(tags::ENCAPSULATED_DOCUMENT, pdf.to_vec());
    context.file(DOCUMENT, 1, content)
}

/// A colour picture.
#[derive(Clone, Copy, Debug)]
pub struct ColourPicture<'a> {
    /// What it shows, for people, at most 1024 characters.
    pub caption: &'a str,
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Red, green and blue, row by row.
    pub rgb: &'a [u8],
    /// Instance Number, from 1: the order of the pictures.
    pub number: u32,
    /// Whether it shows who the patient is.
    pub burned_in: BurnedIn,
}

/// Files a picture with the study. It is not for measuring: it has no pixel spacing and no Hounsfield units.
///
/// # Errors
/// [`Error::Unwritable`] if a side is 0 or exceeds 65 535, the values do not fill the rows, or the caption is empty or too
/// long.
pub fn colour_capture(context: &ResultContext<'_>, picture: &ColourPicture<'_>) -> Result<ResultFile, Error> {
    let [rows, columns] = picture.shape;
    let side = |n: usize| {
        let side = u16::try_from(n).ok().filter(|n| *n > 0);
        side.ok_or_else(|| Error::Unwritable("pictures have 1 to 65 535 rows and columns".into()))
    };
    if picture.rgb.len() != rows * columns * 3 {
        return Err(Error::Unwritable("the picture has not three values for each pixel".into()));
    }
    let mut content = Attributes::default();
    content.text(tags::CONVERSION_TYPE, "WSD");
    content.texts(tags::IMAGE_TYPE, &["DERIVED", "SECONDARY"]);
    content.texts::<&str>(tags::PATIENT_ORIENTATION, &[]);
    content.text(tags::DERIVATION_DESCRIPTION, &checked_text("the caption", picture.caption, 1024)?);
    content.text(tags::BURNED_IN_ANNOTATION, picture.burned_in.as_str());
    context.body_part(&mut content);
    context.lossy(&mut content);
    content.u16s(tags::SAMPLES_PER_PIXEL, &[3]);
    content.text(tags::PHOTOMETRIC_INTERPRETATION, "RGB");
    content.u16s(tags::PLANAR_CONFIGURATION, &[0]);
    content.u16s(tags::ROWS, &[side(rows)?]);
    content.u16s(tags::COLUMNS, &[side(columns)?]);
    content.u16s(tags::BITS_ALLOCATED, &[8]);
    content.u16s(tags::BITS_STORED, &[8]);
    content.u16s(tags::HIGH_BIT, &[7]);
    content.u16s(tags::PIXEL_REPRESENTATION, &[0]);
    content.bytes(tags::PIXEL_DATA, picture.rgb.to_vec());
    context.file(PICTURE, picture.number, content)
}
