//! Measurement reports after TID 1500 of PS3.16 read back: our own and those of others.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use crate::code::is_uid;
use crate::codes::sr;
use crate::dataset::Dataset;
use crate::part10::Layout;
use crate::read_measurement_group::{evaluation, group};
use crate::report_document::{Evidence, Observer, ReportDocument, ReportFlaw};
use crate::scan::SkipReason;
use crate::sr_reading::{ReadItem, Reading};
use crate::{Limits, Refusal};

/// The classes that may hold TID 1500.
const CLASSES: [&str; 4] = [
    uids::ENHANCED_SR_STORAGE,
    uids::COMPREHENSIVE_SR_STORAGE,
    uids::COMPREHENSIVE3_DSR_STORAGE,
    uids::EXTENSIBLE_SR_STORAGE,
];

/// The titles of CID 7021: imaging, oncology, dynamic contrast and PET measurement reports.
const TITLES: [&str; 4] = ["126000", "126001", "126002", "126003"];

impl ReportDocument {
    /// Reads a measurement report from the bytes of a file.
    ///
    /// What the template has a place for is read; a number without name, unit or value, and a reference to nothing,
    /// refuse the document, because a half-read number is worse than none. Items of no known place are left out and
    /// counted in [`ReportDocument::unread_items`].
    ///
    /// # Errors
    /// [`Refusal::Report`] with the reason if it is something else or damaged; [`Refusal::TooLarge`] beyond the limits.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        // Every element becomes several times its bytes in memory, and a report needs few of them.
        let most = limits.max_file_bytes.min(limits.max_report_bytes);
        let limits = &Limits { max_file_bytes: most, ..limits.clone() };
        let too_large = Refusal::TooLarge { what: "the file", limit: most };
        if bytes.len() as u64 > most {
            return Err(too_large);
        }
        let reading = Reading::new(limits);
        let layout = Layout::of(bytes, limits).map_err(|_| ReportFlaw::NotDicom)?;
        let content = layout.content(bytes, limits).map_err(|reason| match reason {
            SkipReason::TooLarge => too_large,
            _ => ReportFlaw::Damaged.into(),
        })?;
        let data = Dataset::parse(&content, layout.syntax.encoding, limits).map_err(|f| reading.fault(f))?;
        let text = |tag| Ok::<_, Refusal>(reading.text(&data, tag)?.unwrap_or_default());
        let sop_class_uid = text(tags::SOP_CLASS_UID)?;
        if !CLASSES.contains(&sop_class_uid.as_str()) {
            return Err(ReportFlaw::AnotherClass.into());
        }
        let sop_instance_uid = text(tags::SOP_INSTANCE_UID)?;
        if !is_uid(&sop_instance_uid) {
            return Err(ReportFlaw::NoIdentity.into());
        }
        let mut document = Self {
            sop_class_uid,
            sop_instance_uid,
            study_uid: text(tags::STUDY_INSTANCE_UID)?,
            series_uid: text(tags::SERIES_INSTANCE_UID)?,
            study_date: text(tags::STUDY_DATE)?,
            patient_key: crate::image::patient_key(&data),
            complete: text(tags::COMPLETION_FLAG)? == "COMPLETE",
            verified: text(tags::VERIFICATION_FLAG)? == "VERIFIED",
            evidence: evidence(&data, &EVIDENCE, &reading)?,
            predecessors: evidence(&data, &[tags::PREDECESSOR_DOCUMENTS_SEQUENCE], &reading)?,
            ..Self::default()
        };
        let template = reading.sequence(&data, tags::CONTENT_TEMPLATE_SEQUENCE)?;
        let template = template.first().and_then(|t| t.text(tags::TEMPLATE_IDENTIFIER));
        let root = ReadItem::root(data, &reading)?;
        let titled = |n: &crate::Concept| n.scheme == "DCM" && TITLES.contains(&n.value.as_str());
        if template.as_deref() != Some("1500") && !root.name.as_ref().is_some_and(titled) {
            return Err(ReportFlaw::AnotherTemplate.into());
        }
        document.title = root.name.clone().ok_or_else(|| ReportFlaw::Unnamed(root.position.clone()))?;
        document.body(&root, &reading)?;
        document.unread_items = reading.unread();
        Ok(document)
    }

    /// Everything beneath the title.
    fn body(&mut self, root: &ReadItem<'_>, reading: &Reading<'_>) -> Result<(), Refusal> {
        for item in root.children(reading)? {
            match item.kind.as_str() {
                "CODE" if item.is(sr::PROCEDURE_REPORTED, "") => self.procedures.push(item.code(reading)?),
                // The codes say what is meant in any language.
                "CODE" if item.is(sr::LANGUAGE, "") => {}
                "CONTAINER" if item.is(sr::IMAGE_LIBRARY, "") => self.library(&item, reading)?,
                "CONTAINER" if item.is(sr::IMAGING_MEASUREMENTS, "") => {
                    for child in item.children(reading)? {
                        if child.kind == "CONTAINER" && child.is(sr::MEASUREMENT_GROUP, "") {
                            self.groups.push(group(&child, reading)?);
                        } else {
                            reading.pass_over();
                        }
                    }
                }
                "CONTAINER" if item.is(sr::QUALITATIVE_EVALUATIONS, "") => {
                    for child in item.children(reading)? {
                        match evaluation(&child, reading)? {
                            Some(evaluation) => self.evaluations.push(evaluation),
                            None => reading.pass_over(),
                        }
                    }
                }
                _ if item.relation == "HAS OBS CONTEXT" => self.context(&item, reading)?,
                _ => reading.pass_over(),
            }
        }
        Ok(())
    }

    /// Images of the library, which stand in groups (TID 1600) or, after older writers, by themselves. What the library
    /// says of the images is in the images.
    fn library(&mut self, library: &ReadItem<'_>, reading: &Reading<'_>) -> Result<(), Refusal> {
        for item in library.children(reading)? {
            match item.kind.as_str() {
                "IMAGE" => self.image_library.push(item.reference(reading)?),
                "CONTAINER" => self.library(&item, reading)?,
                _ if item.relation == "HAS ACQ CONTEXT" => {}
                _ => reading.pass_over(),
            }
        }
        Ok(())
    }

    /// One item about the observers: a type begins the next one (TID 1002), what follows describes it.
    fn context(&mut self, item: &ReadItem<'_>, reading: &Reading<'_>) -> Result<(), Refusal> {
        let device =
            || Observer::Device { uid: None, name: None, manufacturer: None, model: None, serial_number: None };
        if item.kind == "CODE" && item.is(sr::OBSERVER_TYPE, "") {
            let kind = item.code(reading)?;
            self.observers.push(if kind.is(sr::DEVICE) { device() } else { Observer::Person { name: None } });
            return Ok(());
        }
        // A person is the default where no type is given.
        if self.observers.is_empty() && item.is(sr::PERSON_OBSERVER_NAME, "") {
            self.observers.push(Observer::Person { name: None });
        }
        let text = |reading| item.words(tags::TEXT_VALUE, reading).map(Some);
        match (self.observers.last_mut(), item.kind.as_str()) {
            (Some(Observer::Person { name }), "PNAME") if item.is(sr::PERSON_OBSERVER_NAME, "") => {
                *name = Some(item.words(tags::PERSON_NAME, reading)?);
            }
            (Some(Observer::Device { uid, .. }), "UIDREF") if item.is(sr::DEVICE_OBSERVER_UID, "") => {
                *uid = Some(item.uid(reading)?);
            }
            (Some(Observer::Device { name, manufacturer, model, serial_number, .. }), "TEXT") => {
                let fields = [
                    (sr::DEVICE_OBSERVER_NAME, name),
                    (sr::DEVICE_OBSERVER_MANUFACTURER, manufacturer),
                    (sr::DEVICE_OBSERVER_MODEL_NAME, model),
                    (sr::DEVICE_OBSERVER_SERIAL_NUMBER, serial_number),
                ];
                match fields.into_iter().find(|(code, _)| item.is(*code, "")) {
                    Some((_, field)) => *field = text(reading)?,
                    None => reading.pass_over(),
                }
            }
            _ => reading.pass_over(),
        }
        Ok(())
    }
}

/// Where the objects of this and other procedures stand.
const EVIDENCE: [Tag; 2] =
    [tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE];

/// Objects in sequences by study and series (PS3.3 C.17.2, table C.17-3). What has no UID is no evidence.
fn evidence(data: &Dataset<'_>, sequences: &[Tag], reading: &Reading<'_>) -> Result<Vec<Evidence>, Refusal> {
    let mut all = Vec::new();
    for kind in sequences {
        for study in reading.sequence(data, *kind)? {
            let study_uid = reading.text(&study, tags::STUDY_INSTANCE_UID)?.unwrap_or_default();
            for series in reading.sequence(&study, tags::REFERENCED_SERIES_SEQUENCE)? {
                let series_uid = reading.text(&series, tags::SERIES_INSTANCE_UID)?.unwrap_or_default();
                let objects = reading.sequence(&series, tags::REFERENCED_SOP_SEQUENCE)?;
                reading.count(objects.len())?;
                for object in objects {
                    let Some(sop_instance_uid) = reading.text(&object, tags::REFERENCED_SOP_INSTANCE_UID)? else {
                        continue;
                    };
                    let sop_class_uid = reading.text(&object, tags::REFERENCED_SOP_CLASS_UID)?.unwrap_or_default();
                    let (study_uid, series_uid) = (study_uid.clone(), series_uid.clone());
                    all.push(Evidence { study_uid, series_uid, sop_class_uid, sop_instance_uid });
                }
            }
        }
    }
    Ok(all)
}
