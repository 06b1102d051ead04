//! A volume written as a series of CT images, uncompressed, Explicit VR Little Endian.
//!
//! What the phantoms are written with. The attributes are those of the CT Image IOD (PS3.3 A.3); positions and
//! orientations come from the geometry as it is, so oblique, left-handed and sheared (tilted gantry) grids are written
//! truly. Slices with unequal steps or missing ones are made by not writing some.

use std::fs;
use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use hilum_volume::{Geometry, Volume};

use crate::Error;
use crate::decimal::decimal_string;
use crate::uid::uid_from_seed;

/// How HU become stored numbers (PS3.3 C.11.1: HU = slope × stored + intercept).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PixelCoding {
    /// 12 of 16 bits, unsigned: HU from −1024 to 3071 at slope 1 and intercept −1024, as most scanners write.
    #[default]
    Unsigned12,
    /// 16 bits, signed: the whole range.
    Signed16,
    /// 16 bits, unsigned.
    Unsigned16,
}

/// What a CT series says about itself. The defaults describe a chest CT of a phantom.
#[derive(Clone, Debug, PartialEq)]
pub struct CtSeriesDescription {
    /// From this every UID that is not given is made; the same seed gives the same files.
    pub seed: String,
    /// Study Instance UID, made from the seed if `None`.
    pub study_uid: Option<String>,
    /// Series Instance UID, made from the seed if `None`.
    pub series_uid: Option<String>,
    /// Modality (PS3.3 C.7.3.1.1.1): `CT`, or `MR` to make images that a reader of CT must refuse; these are written as
    /// MR Image Storage, without the attributes that belong to X-rays and to Hounsfield units.
    pub modality: String,
    /// Patient's Name in DICOM form, `Family^Given`.
    pub patient_name: String,
    /// Patient ID.
    pub patient_id: String,
    /// Series Description.
    pub series_description: String,
    /// Manufacturer.
    pub manufacturer: String,
    /// Convolution Kernel.
    pub convolution_kernel: String,
    /// Body Part Examined (PS3.16 Annex L), upper case.
    pub body_part_examined: String,
    /// Values of Image Type (PS3.3 C.8.2.1.1.1), `ORIGINAL`, `PRIMARY`, `AXIAL` for slices, `LOCALIZER` for scouts.
    pub image_type: Vec<String>,
    /// Study, series and acquisition date, `YYYYMMDD`.
    pub date: String,
    /// Series Number.
    pub series_number: u32,
    /// Slice Thickness in mm; the distance between slices along their normal if `None`.
    pub slice_thickness_mm: Option<f64>,
    /// Tube voltage in kV.
    pub kvp: f64,
    /// Rescale Slope; HU are rounded to multiples of it.
    pub rescale_slope: f64,
    /// Rescale Intercept in HU.
    pub rescale_intercept: f64,
    /// Bits and sign of the stored numbers.
    pub coding: PixelCoding,
}

impl Default for CtSeriesDescription {
    fn default() -> Self {
        Self {
            seed: "hilum".into(),
            study_uid: None,
            series_uid: None,
            modality: "CT".into(),
            patient_name: "PHANTOM^CHEST".into(),
            patient_id: "PHANTOM".into(),
            series_description: "Chest phantom".into(),
            manufacturer: "Hilum".into(),
            convolution_kernel: "PHANTOM".into(),
            body_part_examined: "CHEST".into(),
            image_type: ["DERIVED", "PRIMARY", "AXIAL"].map(str::to_owned).to_vec(),
            date: "20200101".into(),
            series_number: 1,
            slice_thickness_mm: None,
            kvp: 120.0,
            rescale_slope: 1.0,
            rescale_intercept: -1024.0,
            coding: PixelCoding::Unsigned12,
        }
    }
}

/// One CT image as the bytes of a DICOM file.
#[derive(Clone, Debug, PartialEq)]
pub struct CtImageFile {
    /// Slice of the volume.
    pub slice: usize,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// The file, preamble included.
    pub bytes: Vec<u8>,
}

/// Makes the CT images of `volume` in HU, one per slice, in slice order.
///
/// Values outside the range of the coding are clamped to it. The same volume and description give the same bytes.
///
/// # Errors
/// The iterator yields [`Error::Unwritable`] if the slope is not positive, a side exceeds 65 535, or the modality is
/// neither CT nor MR.
pub fn ct_images(
    volume: &Volume<i16>,
    description: &CtSeriesDescription,
) -> impl Iterator<Item = Result<CtImageFile, Error>> {
    (0..volume.shape()[0]).map(|slice| ct_image(volume, description, slice))
}

/// Writes the CT images of `volume` into `folder` as `CT00001.dcm` and so on, and returns their paths in slice order.
/// The folder is made if need be.
///
/// # Errors
/// As [`ct_images`], and [`Error::Write`] if a file cannot be written.
pub fn write_ct_series(
    volume: &Volume<i16>,
    description: &CtSeriesDescription,
    folder: &Path,
) -> Result<Vec<PathBuf>, Error> {
    fs::create_dir_all(folder).map_err(Error::Write)?;
    ct_images(volume, description)
        .map(|image| {
            let image = image?;
            let path = folder.join(format!("CT{:05}.dcm", image.slice + 1));
            fs::write(&path, &image.bytes).map_err(Error::Write)?;
            Ok(path)
        })
        .collect()
}

fn ct_image(volume: &Volume<i16>, d: &CtSeriesDescription, slice: usize) -> Result<CtImageFile, Error> {
    let geometry = volume.geometry();
    let [slices, rows, columns] = geometry.shape();
    let side =
        |n: usize| u16::try_from(n).map_err(|_| Error::Unwritable("DICOM images have at most 65 535 rows".into()));
    if !(d.rescale_slope.is_finite() && d.rescale_slope > 0.0 && d.rescale_intercept.is_finite()) {
        return Err(Error::Unwritable("the rescale slope must be positive".into()));
    }
    let sop_class = match d.modality.as_str() {
        "CT" => uids::CT_IMAGE_STORAGE,
        "MR" => uids::MR_IMAGE_STORAGE,
        _ => return Err(Error::Unwritable("only CT and MR images can be written".into())),
    };
    let is_ct = d.modality == "CT";
    let uid = |given: &Option<String>, role: &str| given.clone().unwrap_or_else(|| uid_from_seed(&d.seed, role));
    let sop_instance_uid = uid_from_seed(&d.seed, &format!("instance {slice} of {}", uid(&d.series_uid, "series")));
    let [_, row_axis, column_axis] = geometry.axes();
    let [_, row_mm, column_mm] = geometry.spacing_mm();
    let numbers = |values: &[f64]| PrimitiveValue::Strs(values.iter().map(|v| decimal_string(*v)).collect());
    let (bits, signed) = match d.coding {
        PixelCoding::Unsigned12 => (12u16, false),
        PixelCoding::Unsigned16 => (16, false),
        PixelCoding::Signed16 => (16, true),
    };

    let mut object = InMemDicomObject::new_empty();
    let mut put = |tag: Tag, vr: VR, value: PrimitiveValue| {
        object.put(DataElement::new(tag, vr, value));
    };
    put(tags::IMAGE_TYPE, VR::CS, PrimitiveValue::Strs(d.image_type.iter().cloned().collect()));
    put(tags::SOP_CLASS_UID, VR::UI, sop_class.into());
    put(tags::SOP_INSTANCE_UID, VR::UI, sop_instance_uid.as_str().into());
    for tag in [tags::STUDY_DATE, tags::SERIES_DATE, tags::ACQUISITION_DATE, tags::CONTENT_DATE] {
        put(tag, VR::DA, d.date.as_str().into());
    }
    for tag in [tags::STUDY_TIME, tags::CONTENT_TIME] {
        put(tag, VR::TM, "120000".into());
    }
    put(tags::ACCESSION_NUMBER, VR::SH, "".into());
    put(tags::MODALITY, VR::CS, d.modality.as_str().into());
    put(tags::MANUFACTURER, VR::LO, d.manufacturer.as_str().into());
    put(tags::REFERRING_PHYSICIAN_NAME, VR::PN, "".into());
    put(tags::SERIES_DESCRIPTION, VR::LO, d.series_description.as_str().into());
    put(tags::PATIENT_NAME, VR::PN, d.patient_name.as_str().into());
    put(tags::PATIENT_ID, VR::LO, d.patient_id.as_str().into());
    put(tags::PATIENT_BIRTH_DATE, VR::DA, "".into());
    put(tags::PATIENT_SEX, VR::CS, "O".into());
    put(tags::BODY_PART_EXAMINED, VR::CS, d.body_part_examined.as_str().into());
    put(tags::SLICE_THICKNESS, VR::DS, numbers(&[d.slice_thickness_mm.unwrap_or_else(|| step_along_normal(geometry))]));
    if is_ct {
        put(tags::KVP, VR::DS, numbers(&[d.kvp]));
        put(tags::GANTRY_DETECTOR_TILT, VR::DS, numbers(&[gantry_tilt_degrees(geometry)]));
        put(tags::CONVOLUTION_KERNEL, VR::SH, d.convolution_kernel.as_str().into());
    }
    put(tags::PATIENT_POSITION, VR::CS, "HFS".into());
    put(tags::STUDY_INSTANCE_UID, VR::UI, uid(&d.study_uid, "study").into());
    put(tags::SERIES_INSTANCE_UID, VR::UI, uid(&d.series_uid, "series").into());
    put(tags::STUDY_ID, VR::SH, "1".into());
    put(tags::SERIES_NUMBER, VR::IS, d.series_number.to_string().into());
    put(tags::ACQUISITION_NUMBER, VR::IS, "1".into());
    // Counted from the last slice: whoever sorts by Instance Number meets the slices upside down.
    put(tags::INSTANCE_NUMBER, VR::IS, (slices - slice).to_string().into());
    // PS3.3 C.7.6.2.1.1: the centre of the first voxel; the cosines of the row (along which the column index grows),
    // then of the column.
    put(tags::IMAGE_POSITION_PATIENT, VR::DS, numbers(&geometry.centre_of([slice, 0, 0]).0));
    let cosines = [column_axis.0, row_axis.0].concat();
    put(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, numbers(&cosines));
    put(tags::FRAME_OF_REFERENCE_UID, VR::UI, uid_from_seed(&d.seed, "frame of reference").into());
    put(tags::POSITION_REFERENCE_INDICATOR, VR::LO, "".into());
    put(tags::SAMPLES_PER_PIXEL, VR::US, 1u16.into());
    put(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2".into());
    put(tags::ROWS, VR::US, side(rows)?.into());
    put(tags::COLUMNS, VR::US, side(columns)?.into());
    // PS3.3 10.7.1.3: first between rows, then between columns.
    put(tags::PIXEL_SPACING, VR::DS, numbers(&[row_mm, column_mm]));
    put(tags::BITS_ALLOCATED, VR::US, 16u16.into());
    put(tags::BITS_STORED, VR::US, bits.into());
    put(tags::HIGH_BIT, VR::US, (bits - 1).into());
    put(tags::PIXEL_REPRESENTATION, VR::US, u16::from(signed).into());
    if is_ct {
        put(tags::WINDOW_CENTER, VR::DS, numbers(&[-600.0]));
        put(tags::WINDOW_WIDTH, VR::DS, numbers(&[1500.0]));
        put(tags::RESCALE_INTERCEPT, VR::DS, numbers(&[d.rescale_intercept]));
        put(tags::RESCALE_SLOPE, VR::DS, numbers(&[d.rescale_slope]));
        put(tags::RESCALE_TYPE, VR::LO, "HU".into());
    }
    let (low, high) = if signed { (-32768.0, 32767.0) } else { (0.0, f64::from((1u32 << bits) - 1)) };
    // The bit pattern of a signed number is what its two's complement says (PS3.5 8.1.1).
    let stored = volume.slice(slice).iter().map(|hu| {
        let value = ((f64::from(*hu) - d.rescale_intercept) / d.rescale_slope).round().clamp(low, high);
        value as i32 as u16
    });
    put(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(stored.collect()));

    let file = object
        .with_meta(
            FileMetaTableBuilder::new()
                .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
                .media_storage_sop_class_uid(sop_class)
                .media_storage_sop_instance_uid(sop_instance_uid.as_str()),
        )
        .map_err(|e| Error::Unwritable(e.to_string()))?;
    let mut bytes = Vec::with_capacity(2 * rows * columns + 4096);
    file.write_all(&mut bytes).map_err(|e| Error::Unwritable(e.to_string()))?;
    Ok(CtImageFile { slice, sop_instance_uid, bytes })
}

/// Distance between neighbouring slice planes, at right angles to them.
fn step_along_normal(geometry: &Geometry) -> f64 {
    let [slice, row, column] = geometry.axes();
    let normal = column.cross(row);
    (slice.dot(normal) / normal.length_mm()).abs() * geometry.spacing_mm()[0]
}

/// Gantry/Detector Tilt (0018,1120): how far the slices lean along their rows, in degrees; 0 for an orthogonal grid.
fn gantry_tilt_degrees(geometry: &Geometry) -> f64 {
    let [slice, row, column] = geometry.axes();
    let along = slice.dot(column.cross(row)).abs();
    let degrees = slice.dot(row).atan2(along).to_degrees();
    if degrees.abs() < 0.005 { 0.0 } else { (degrees * 1e4).round() / 1e4 }
}
