//! Measurements as a structured report: Comprehensive 3D SR (PS3.3 A.35.13) after TID 1500 of PS3.16.

use std::collections::{BTreeMap, BTreeSet};

use dicom_dictionary_std::{tags, uids};

use crate::attributes::Attributes;
use crate::codes::sr;
use crate::result_file::{Kind, ResultContext, ResultFile, reference};
use crate::sr_content::{Item, Relation, unlimited_text};
use crate::{Algorithm, Code, Error, Segmentation, Tracking};

/// One segment of a segmentation that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReference {
    class: &'static str,
    instance: String,
    series: String,
    number: u16,
}

impl Segmentation {
    /// A reference to the segment that was asked for as number `index`, from 0; `None` if it has no voxel, or there is none.
    #[must_use]
    pub fn segment(&self, index: usize) -> Option<SegmentReference> {
        let number = self.numbers.get(index).copied().flatten()?;
        let file = &self.file;
        let (instance, series) = (file.sop_instance_uid.clone(), file.series_uid.clone());
        Some(SegmentReference { class: file.sop_class_uid, instance, series, number })
    }
}

/// A measured number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    concept: Code,
    value: f64,
    unit: Code,
    derivation: Option<Code>,
}

impl Measurement {
    /// `value` of `concept` in `unit` (UCUM).
    ///
    /// # Errors
    /// [`Error::Unwritable`] if the value is not finite or the unit not of UCUM.
    pub fn new(concept: Code, value: f64, unit: Code) -> Result<Self, Error> {
        if !value.is_finite() {
            return Err(Error::Unwritable("a measurement is a finite number".into()));
        }
        if unit.scheme() != "UCUM" {
            return Err(Error::Unwritable("units are those of UCUM".into()));
        }
        Ok(Self { concept, value, unit, derivation: None })
    }

    /// With how it was derived (CID 7464), such as the mean over the region.
    #[must_use]
    pub fn with_derivation(self, derivation: Code) -> Self {
        Self { derivation: Some(derivation), ..self }
    }
}

/// Measurements of one thing: a region of a segmentation (TID 1411), or without one the study as a whole (TID 1501).
#[derive(Clone, Debug, PartialEq)]
pub struct MeasurementGroup {
    tracking: Tracking,
    category: Option<Code>,
    finding: Code,
    site: Option<Code>,
    region: Option<SegmentReference>,
    algorithm: Algorithm,
    measurements: Vec<Measurement>,
}

impl MeasurementGroup {
    /// A group about `finding`, followed by `tracking`, measured by `algorithm`.
    ///
    /// # Errors
    /// [`Error::Unwritable`] if there is no measurement.
    pub fn new(
        tracking: Tracking,
        finding: Code,
        algorithm: Algorithm,
        measurements: Vec<Measurement>,
    ) -> Result<Self, Error> {
        if measurements.is_empty() {
            return Err(Error::Unwritable("a group has at least one measurement".into()));
        }
        Ok(Self { tracking, category: None, finding, site: None, region: None, algorithm, measurements })
    }

    /// Of this category (CID 7150).
    #[must_use]
    pub fn with_category(self, category: Code) -> Self {
        Self { category: Some(category), ..self }
    }

    /// Lying there.
    #[must_use]
    pub fn with_site(self, site: Code) -> Self {
        Self { site: Some(site), ..self }
    }

    /// Of the voxels of this segment.
    #[must_use]
    pub fn with_region(self, region: SegmentReference) -> Self {
        Self { region: Some(region), ..self }
    }
}

/// A private coding scheme, explained in the objects that use its codes (PS3.3 C.12.1.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodingScheme {
    designator: &'static str,
    name: &'static str,
    organization: &'static str,
}

impl CodingScheme {
    /// A scheme by its designator, its name and who answers for it.
    ///
    /// # Panics
    /// If the designator does not begin with `99` (PS3.16 chapter 8) or a text is empty; schemes are constants, so this is
    /// met when compiling.
    #[must_use]
    pub const fn new(designator: &'static str, name: &'static str, organization: &'static str) -> Self {
        let d = designator.as_bytes();
        assert!(d.len() > 2 && d.len() <= 16 && d[0] == b'9' && d[1] == b'9', "private schemes begin with 99");
        assert!(!name.is_empty() && !organization.is_empty(), "a scheme has a name and somebody who answers for it");
        Self { designator, name, organization }
    }
}

/// What a measurement report says.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasurementReport {
    /// The procedure whose images were measured.
    pub procedure: Code,
    /// The groups, in the order they are read.
    pub groups: Vec<MeasurementGroup>,
    /// Remarks on the whole, one paragraph each: what the numbers rest on and are not fit for.
    pub comments: Vec<String>,
    /// The private schemes of codes in the groups.
    pub schemes: Vec<CodingScheme>,
}

const REPORT: Kind = Kind {
    sop_class_uid: uids::COMPREHENSIVE3_DSR_STORAGE,
    modality: "SR",
    series: "measurement reports",
    series_number: 3,
    series_description: "Measurements (research use)",
};

/// Writes a measurement report: complete, not verified by a person.
///
/// # Errors
/// [`Error::Unwritable`] if there is no group, two groups share a tracking UID, a text is empty, or a private code's scheme
/// is not among the report's.
pub fn measurement_report(context: &ResultContext<'_>, report: &MeasurementReport) -> Result<ResultFile, Error> {
    if report.groups.is_empty() {
        return Err(Error::Unwritable("a report has at least one measurement group".into()));
    }
    let tracked: BTreeSet<&str> = report.groups.iter().map(|g| g.tracking.uid.as_str()).collect();
    if tracked.len() < report.groups.len() {
        return Err(Error::Unwritable("every group is followed by a tracking UID of its own".into()));
    }
    let known =
        |code: &Code| !code.scheme().starts_with("99") || report.schemes.iter().any(|s| s.designator == code.scheme());
    let concepts = report.groups.iter().flat_map(|g| g.measurements.iter().map(|m| &m.concept).chain([&g.finding]));
    if !concepts.into_iter().all(known) {
        return Err(Error::Unwritable("the scheme of a private code is not explained".into()));
    }
    let root = root(context, report)?;
    let mut content = document(context, &report.groups);
    if !report.schemes.is_empty() {
        content.items(tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE, report.schemes.iter().map(scheme));
    }
    content.extend(root.into_root());
    context.file(REPORT, 1, content)
}

fn root(context: &ResultContext<'_>, report: &MeasurementReport) -> Result<Item, Error> {
    let mut root = Item::container(sr::IMAGING_MEASUREMENT_REPORT, Some("1500"));
    // TID 1204; the words of the report are English.
    root.push(Item::code(Relation::HasConceptMod, sr::LANGUAGE, sr::ENGLISH));
    observer(context, &mut root);
    root.push(Item::code(Relation::HasConceptMod, sr::PROCEDURE_REPORTED, report.procedure));
    root.push(image_library(context));
    let groups = report.groups.iter().map(|group| group_item(context, group)).collect::<Result<Vec<_>, _>>()?;
    root.push(Item::container(sr::IMAGING_MEASUREMENTS, None).with(groups));
    if !report.comments.is_empty() {
        let comments = report
            .comments
            .iter()
            .map(|text| Ok(Item::text(Relation::Contains, sr::COMMENT, &unlimited_text(text)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        root.push(Item::container(sr::QUALITATIVE_EVALUATIONS, None).with(comments));
    }
    Ok(root)
}

/// The device that observed (TID 1002, 1004).
pub(crate) fn observer(context: &ResultContext<'_>, root: &mut Item) {
    let device = context.device;
    let text = |name, value: &str| Item::text(Relation::HasObsContext, name, value);
    root.push(Item::code(Relation::HasObsContext, sr::OBSERVER_TYPE, sr::DEVICE));
    root.push(Item::uid(Relation::HasObsContext, sr::DEVICE_OBSERVER_UID, &context.device_uid()));
    root.push(text(sr::DEVICE_OBSERVER_NAME, &device.model_name));
    root.push(text(sr::DEVICE_OBSERVER_MANUFACTURER, &device.manufacturer));
    root.push(text(sr::DEVICE_OBSERVER_MODEL_NAME, &device.model_name));
    root.push(text(sr::DEVICE_OBSERVER_SERIAL_NUMBER, &device.serial_number));
}

/// The images that were read (TID 1600).
fn image_library(context: &ResultContext<'_>) -> Item {
    let origin = context.origin;
    let mut group = Item::container(sr::IMAGE_LIBRARY_GROUP, None);
    group.push(Item::code(Relation::HasAcqContext, sr::MODALITY, sr::CT));
    group.push(Item::uid(Relation::HasAcqContext, sr::FRAME_OF_REFERENCE_UID, &origin.frame_of_reference_uid));
    let images = origin.images.iter().map(|image| Item::image(None, &image.class, &image.instance, None));
    Item::container(sr::IMAGE_LIBRARY, Some("1600")).with([group.with(images)])
}

fn group_item(context: &ResultContext<'_>, group: &MeasurementGroup) -> Result<Item, Error> {
    let template = if group.region.is_some() { "1411" } else { "1501" };
    let mut item = Item::container(sr::MEASUREMENT_GROUP, Some(template));
    item.push(Item::text(Relation::HasObsContext, sr::TRACKING_IDENTIFIER, &group.tracking.id));
    item.push(Item::uid(Relation::HasObsContext, sr::TRACKING_UNIQUE_IDENTIFIER, &group.tracking.uid));
    if let Some(category) = group.category {
        item.push(Item::code(Relation::Contains, sr::FINDING_CATEGORY, category));
    }
    item.push(Item::code(Relation::Contains, sr::FINDING, group.finding));
    if let Some(region) = &group.region {
        item.push(Item::image(Some(sr::REFERENCED_SEGMENT), region.class, &region.instance, Some(region.number)));
        item.push(Item::uid(Relation::Contains, sr::SOURCE_SERIES_FOR_SEGMENTATION, &context.origin.series_uid));
    }
    if let Some(site) = group.site {
        item.push(Item::code(Relation::HasConceptMod, sr::FINDING_SITE, site));
    }
    // TID 4019.
    let modifier = |name, value: &str| Item::text(Relation::HasConceptMod, name, value);
    item.push(modifier(sr::ALGORITHM_NAME, &group.algorithm.name));
    item.push(modifier(sr::ALGORITHM_VERSION, &group.algorithm.version));
    item.push(Item::code(Relation::HasConceptMod, sr::ALGORITHM_FAMILY, group.algorithm.family));
    for measurement in &group.measurements {
        let mut number = Item::number(measurement.concept, measurement.value, measurement.unit)?;
        if let Some(derivation) = measurement.derivation {
            number.push(Item::code(Relation::HasConceptMod, sr::DERIVATION, derivation));
        }
        item.push(number);
    }
    Ok(item)
}

/// SR Document Series and General modules (PS3.3 C.17.1, C.17.2), with everything the document refers to as evidence.
fn document(context: &ResultContext<'_>, groups: &[MeasurementGroup]) -> Attributes {
    let origin = context.origin;
    let mut content = Attributes::default();
    content.items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, []);
    content.items(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, []);
    content.text(tags::COMPLETION_FLAG, "COMPLETE");
    content.text(tags::VERIFICATION_FLAG, "UNVERIFIED");
    let mut by_series: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for image in &origin.images {
        by_series.entry(&origin.series_uid).or_default().insert((&image.class, &image.instance));
    }
    for region in groups.iter().filter_map(|g| g.region.as_ref()) {
        by_series.entry(&region.series).or_default().insert((region.class, &region.instance));
    }
    content.item(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, evidence(&origin.study_uid, &by_series));
    content
}

/// Objects of one study, by series (PS3.3 C.17.2.1, table C.17-3).
pub(crate) fn evidence(study_uid: &str, by_series: &BTreeMap<&str, BTreeSet<(&str, &str)>>) -> Attributes {
    let series = by_series.iter().map(|(uid, objects)| {
        let mut item = Attributes::default();
        item.text(tags::SERIES_INSTANCE_UID, uid);
        item.items(tags::REFERENCED_SOP_SEQUENCE, objects.iter().map(|(class, instance)| reference(class, instance)));
        item
    });
    let mut study = Attributes::default();
    study.text(tags::STUDY_INSTANCE_UID, study_uid);
    study.items(tags::REFERENCED_SERIES_SEQUENCE, series);
    study
}

fn scheme(scheme: &CodingScheme) -> Attributes {
    let mut item = Attributes::default();
    item.text(tags::CODING_SCHEME_DESIGNATOR, scheme.designator);
    item.text(tags::CODING_SCHEME_NAME, scheme.name);
    item.text(tags::CODING_SCHEME_RESPONSIBLE_ORGANIZATION, scheme.organization);
    item
}
