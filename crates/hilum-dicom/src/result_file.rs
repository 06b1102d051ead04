//! What every result has in common: whose it is, what made it and when.

use std::io::{self, Write};

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::FileMetaTableBuilder;
use sha2::{Digest, Sha256};

use crate::attributes::Attributes;
use crate::charset;
use crate::code::checked_text;
use crate::uid::uid_from_seed;
use crate::{Error, Origin};

/// The program that makes results, as PS3.3 C.7.5.2 (Enhanced General Equipment) names a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub(crate) manufacturer: String,
    pub(crate) model_name: String,
    pub(crate) serial_number: String,
    pub(crate) software_versions: Vec<String>,
}

impl Device {
    /// A program; `software_versions` says everything that decides its results: its version and those of its models.
    ///
    /// # Errors
    /// [`Error::Unwritable`] if a text is empty or has more than 64 characters, or if there is no version.
    pub fn new(
        manufacturer: &str,
        model_name: &str,
        serial_number: &str,
        software_versions: &[String],
    ) -> Result<Self, Error> {
        if software_versions.is_empty() {
            return Err(Error::Unwritable("a device has at least one software version".into()));
        }
        Ok(Self {
            manufacturer: checked_text("the manufacturer", manufacturer, 64)?,
            model_name: checked_text("the model name", model_name, 64)?,
            serial_number: checked_text("the serial number", serial_number, 64)?,
            software_versions: software_versions
                .iter()
                .map(|v| checked_text("a software version", v, 64))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// A moment in local time, as DICOM writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    date: String,
    time: String,
}

impl Moment {
    /// From a date `YYYYMMDD` and a time `HHMMSS`.
    ///
    /// # Errors
    /// [`Error::Unwritable`] if they are not written so.
    pub fn new(date: &str, time: &str) -> Result<Self, Error> {
        let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(date, 8) || !digits(time, 6) {
            return Err(Error::Unwritable("a moment is YYYYMMDD and HHMMSS".into()));
        }
        Ok(Self { date: date.into(), time: time.into() })
    }
}

/// What all results of one run share.
#[derive(Clone, Copy, Debug)]
pub struct ResultContext<'a> {
    /// The series that was read.
    pub origin: &'a Origin,
    /// What reads it.
    pub device: &'a Device,
    /// When.
    pub created: &'a Moment,
}

/// A DICOM file that was made, with what others need to refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultFile {
    pub(crate) sop_class_uid: &'static str,
    pub(crate) sop_instance_uid: String,
    pub(crate) series_uid: String,
    bytes: Vec<u8>,
}

impl ResultFile {
    /// SOP Class UID.
    #[must_use]
    pub fn sop_class_uid(&self) -> &str {
        self.sop_class_uid
    }

    /// SOP Instance UID.
    #[must_use]
    pub fn sop_instance_uid(&self) -> &str {
        &self.sop_instance_uid
    }

    /// Series Instance UID.
    #[must_use]
    pub fn series_uid(&self) -> &str {
        &self.series_uid
    }

    /// The file, preamble and meta information included; Explicit VR Little Endian, text in UTF-8.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file, to keep.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// A kind of result: its class, and the series of its own that it is filed in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) sop_class_uid: &'static str,
    pub(crate) modality: &'static str,
    /// Which of our series, such as `segmentations`.
    pub(crate) series: &'static str,
    /// Added to a hundred times the Series Number of the source, so that our series stand together behind it.
    pub(crate) series_number: i64,
    pub(crate) series_description: &'static str,
}

impl ResultContext<'_> {
    /// A UID that depends on the source series, the device with its models, and `role` alone.
    pub(crate) fn uid(&self, role: &str) -> String {
        self.uid_in(&self.origin.series_uid, role)
    }

    /// The same for any series.
    fn uid_in(&self, series_uid: &str, role: &str) -> String {
        let device = self.device;
        let mut seed = vec![series_uid, &device.manufacturer, &device.model_name];
        seed.extend(device.software_versions.iter().map(String::as_str));
        uid_from_seed(&seed.join("\n"), role)
    }

    /// The UID of the device, the same for every study.
    pub(crate) fn device_uid(&self) -> String {
        let device = self.device;
        uid_from_seed(&[&device.manufacturer[..], &device.model_name, &device.serial_number].join("\n"), "device")
    }

    /// A UID by which one and the same thing is followed through results, such as one lesion in segmentation and report.
    #[must_use]
    pub fn tracking_uid(&self, what: &str) -> String {
        self.tracking_uid_in(&self.origin.series_uid, what)
    }

    /// The same for another series that this device reads.
    pub(crate) fn tracking_uid_in(&self, series_uid: &str, what: &str) -> String {
        self.uid_in(series_uid, &format!("tracking {what}"))
    }

    /// The series UID of a kind of result.
    pub(crate) fn series_uid(&self, kind: Kind) -> String {
        self.uid(&format!("series of {}", kind.series))
    }

    /// Adds to `content` the modules that every result has (patient, study, series, equipment, SOP common) and writes the
    /// file. The SOP Instance UID is made from everything the object says but its dates: the same result has the same UID.
    pub(crate) fn file(&self, kind: Kind, instance_number: u32, content: Attributes) -> Result<ResultFile, Error> {
        let series_uid = self.series_uid(kind);
        let mut all = self.origin.patient_and_study.clone();
        all.text(tags::SPECIFIC_CHARACTER_SET, charset::WRITTEN);
        all.text(tags::SOP_CLASS_UID, kind.sop_class_uid);
        all.text(tags::STUDY_INSTANCE_UID, &self.origin.study_uid);
        all.text(tags::SERIES_INSTANCE_UID, &series_uid);
        all.text(tags::MODALITY, kind.modality);
        let number = self.origin.series_number.filter(|n| (0..=9_999_999).contains(n)).unwrap_or(90);
        all.text(tags::SERIES_NUMBER, &(number * 100 + kind.series_number).to_string());
        all.text(tags::SERIES_DESCRIPTION, kind.series_description);
        all.text(tags::INSTANCE_NUMBER, &instance_number.to_string());
        all.text(tags::MANUFACTURER, &self.device.manufacturer);
        all.text(tags::MANUFACTURER_MODEL_NAME, &self.device.model_name);
        all.text(tags::DEVICE_SERIAL_NUMBER, &self.device.serial_number);
        all.texts(tags::SOFTWARE_VERSIONS, &self.device.software_versions);
        all.extend(content);

        let mut hash = Hashing(Sha256::new());
        let mut all = write(&mut hash, all, kind.sop_class_uid, "2.25.0")?;
        let digest: String = hash.0.finalize().iter().map(|b| format!("{b:02x}")).collect();
        let sop_instance_uid = uid_from_seed(&digest, kind.series);

        all.text(tags::SOP_INSTANCE_UID, &sop_instance_uid);
        self.moment(&mut all, tags::INSTANCE_CREATION_DATE, tags::INSTANCE_CREATION_TIME);
        self.moment(&mut all, tags::SERIES_DATE, tags::SERIES_TIME);
        if kind.sop_class_uid != uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE {
            // Presentation states have a creation date of their own instead.
            self.moment(&mut all, tags::CONTENT_DATE, tags::CONTENT_TIME);
        }
        let mut bytes = Vec::new();
        write(&mut bytes, all, kind.sop_class_uid, &sop_instance_uid)?;
        Ok(ResultFile { sop_class_uid: kind.sop_class_uid, sop_instance_uid, series_uid, bytes })
    }

    pub(crate) fn moment(&self, all: &mut Attributes, date: Tag, time: Tag) {
        all.text(date, &self.created.date);
        all.text(time, &self.created.time);
    }

    /// The grid that the result lies on, for results in patient space (PS3.3 C.7.4.1).
    pub(crate) fn frame_of_reference(&self, content: &mut Attributes) {
        content.text(tags::FRAME_OF_REFERENCE_UID, &self.origin.frame_of_reference_uid);
        content.text(tags::POSITION_REFERENCE_INDICATOR, &self.origin.position_reference);
    }

    /// Body part, or where that is not known an unknown side, which a body part that comes in pairs would need
    /// (PS3.3 C.7.3.1).
    pub(crate) fn body_part(&self, content: &mut Attributes) {
        match &self.origin.body_part {
            Some(part) => content.text(tags::BODY_PART_EXAMINED, part),
            None => content.text(tags::LATERALITY, ""),
        }
    }

    /// Whether the pixels that the result rests on were ever packed with loss (PS3.3 C.7.6.1.1.5).
    pub(crate) fn lossy(&self, content: &mut Attributes) {
        match &self.origin.lossy {
            Some(lossy) => {
                content.text(tags::LOSSY_IMAGE_COMPRESSION, "01");
                content.extend(lossy.clone());
            }
            None => content.text(tags::LOSSY_IMAGE_COMPRESSION, "00"),
        }
    }
}

/// An image by class and instance (PS3.3 10.8).
pub(crate) fn reference(class: &str, instance: &str) -> Attributes {
    let mut item = Attributes::default();
    item.text(tags::REFERENCED_SOP_CLASS_UID, class);
    item.text(tags::REFERENCED_SOP_INSTANCE_UID, instance);
    item
}

/// Writes a file and gives the attributes back.
fn write(to: impl Write, all: Attributes, class: &str, instance: &str) -> Result<Attributes, Error> {
    let unwritable = |e: &dyn std::error::Error| Error::Unwritable(e.to_string());
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .media_storage_sop_class_uid(class)
        .media_storage_sop_instance_uid(instance);
    let file = all.0.with_meta(meta).map_err(|e| unwritable(&e))?;
    file.write_all(to).map_err(|e| unwritable(&e))?;
    Ok(Attributes(file.into_inner()))
}

/// A hash that is written to like a file.
struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
