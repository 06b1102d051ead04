//! Measurements as a structured report: Comprehensive 3D SR (PS3.3 A.35.13) after TID 1500 of PS3.16.

use std::collections::{BTreeMap, BTreeSet};

use dicom_dictionary_std::{tags, uids};

use crate::attributes::Attributes;
use crate::codes::sr;
use crate::result_file::{Kind, ResultContext, ResultFile, reference};
use crate::sr_content::{Item, Relation, unlimited_text};
use crate::{Algorithm, Code, EarlierStudy, Error, ObjectReference, Segmentation, TimePoint, Tracking};

/// One segment of a segmentation that was written, now or with an earlier study.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReference {
    class: &'static str,
    instance: String,
    series: String,
    number: u16,
    /// Study, and series that was segmented; `None` for those of the report.
    of: Option<[String; 2]>,
}

impl SegmentReference {
    /// The segment that an earlier report refers to, in `series` of the study whose `source` was segmented; `None` if it is
    /// not one whole segment.
    pub(crate) fn of_earlier(object: &ObjectReference, series: &str, study: &str, source: &str) -> Option<Self> {
        let classes = [uids::SEGMENTATION_STORAGE, uids::LABEL_MAP_SEGMENTATION_STORAGE];
        let class = classes.into_iter().find(|class| *class == object.sop_class_uid)?;
        let ([number], true) = (&object.segments[..], object.frames.is_empty()) else { return None };
        let (instance, series) = (object.sop_instance_uid.clone(), series.to_owned());
        Some(Self { class, instance, series, number: *number, of: Some([study.to_owned(), source.to_owned()]) })
    }
}

impl Segmentation {
    /// A reference to the segment that was asked for as number `index`, from 0; `None` if it has no voxel, or there is none.
    #[must_use]
    pub fn segment(&self, index: usize) -> Option<SegmentReference> {
        let number = self.numbers.get(index).copied().flatten()?;
        let file = &self.file;
        let (instance, series) = (file.sop_instance_uid.clone(), file.series_uid.clone());
        Some(SegmentReference { class: file.sop_class_uid, instance, series, number, of: None })
    }
}

/// A measured number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    concept: Code,
    value: f64,
    unit: Code,
    derivation: Option<Code>,
    uncertainty: Option<f64>,
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
        Ok(Self { concept, value, unit, derivation: None, uncertainty: None })
    }

    /// With how it was derived (CID 7464), such as the mean over the region.
    #[must_use]
    pub fn with_derivation(self, derivation: Code) -> Self {
        Self { derivation: Some(derivation), ..self }
    }

    /// With how far it may be off either way, in its own unit (TID 310).
    ///
    /// # Errors
    /// [`Error::Unwritable`] if that is not finite.
    pub fn with_uncertainty(self, uncertainty: f64) -> Result<Self, Error> {
        if !uncertainty.is_finite() {
            return Err(Error::Unwritable("an uncertainty is a finite number".into()));
        }
        Ok(Self { uncertainty: Some(uncertainty.abs()), ..self })
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
    algorithm: Option<Algorithm>,
    measurements: Vec<Measurement>,
    time_point: Option<TimePoint>,
    evaluations: Vec<(Code, Code)>,
    comment: Option<String>,
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
        Ok(Self {
            tracking,
            category: None,
            finding,
            site: None,
            region: None,
            algorithm: Some(algorithm),
            measurements,
            time_point: None,
            evaluations: Vec::new(),
            comment: None,
        })
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

    /// Measured then (TID 1502).
    #[must_use]
    pub fn with_time_point(self, time_point: TimePoint) -> Self {
        Self { time_point: Some(time_point), ..self }
    }

    /// With a judgement: what is judged, and how.
    #[must_use]
    pub fn with_evaluation(mut self, concept: Code, value: Code) -> Self {
        self.evaluations.push((concept, value));
        self
    }

    /// Measured by something else, which is not named.
    #[must_use]
    pub fn without_algorithm(self) -> Self {
        Self { algorithm: None, ..self }
    }

    /// With a remark.
    #[must_use]
    pub fn with_comment(self, comment: String) -> Self {
        Self { comment: Some(comment), ..self }
    }

    /// More measurements of the same thing.
    #[must_use]
    pub fn with_measurements(mut self, more: Vec<Measurement>) -> Self {
        self.measurements.extend(more);
        self
    }

    fn order(&self) -> Option<u32> {
        self.time_point.as_ref().map(TimePoint::order)
    }

    fn codes(&self) -> impl Iterator<Item = &Code> {
        let judged = self.evaluations.iter().flat_map(|(concept, value)| [concept, value]);
        self.measurements.iter().map(|m| &m.concept).chain([&self.finding]).chain(judged)
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
    /// Studies that groups of earlier time points are about.
    pub earlier: Vec<EarlierStudy>,
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
/// [`Error::Unwritable`] if there is no group, two groups of one time point share a tracking UID, a text is empty, or a private code's scheme
/// is not among the report's.
pub fn measurement_report(context: &ResultContext<'_>, report: &MeasurementReport) -> Result<ResultFile, Error> {
    if report.groups.is_empty() {
        return Err(Error::Unwritable("a report has at least one measurement group".into()));
    }
    let tracked: BTreeSet<_> = report.groups.iter().map(|g| (g.tracking.uid.as_str(), g.order())).collect();
    if tracked.len() < report.groups.len() {
        return Err(Error::Unwritable("every group of a time point is followed by a tracking UID of its own".into()));
    }
    let known =
        |code: &Code| !code.scheme().starts_with("99") || report.schemes.iter().any(|s| s.designator == code.scheme());
    if !report.groups.iter().flat_map(MeasurementGroup::codes).all(known) {
        return Err(Error::Unwritable("the scheme of a private code is not explained".into()));
    }
    let root = root(context, report)?;
    let mut content = document(context, report);
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
    root.push(image_library(context, &report.earlier));
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

/// The images that were read, then those of earlier studies (TID 1600).
fn image_library(context: &ResultContext<'_>, earlier: &[EarlierStudy]) -> Item {
    let origin = context.origin;
    let mut group = Item::container(sr::IMAGE_LIBRARY_GROUP, None);
    group.push(Item::code(Relation::HasAcqContext, sr::MODALITY, sr::CT));
    if let Some(date) = origin.identity().study_date {
        group.push(Item::date(Relation::HasAcqContext, sr::STUDY_DATE, &date));
    }
    group.push(Item::uid(Relation::HasAcqContext, sr::FRAME_OF_REFERENCE_UID, &origin.frame_of_reference_uid));
    let images = origin.images.iter().map(|image| Item::image(None, &image.class, &image.instance, None));
    let before = earlier.iter().filter(|e| !e.images.is_empty()).map(EarlierStudy::library_group);
    Item::container(sr::IMAGE_LIBRARY, Some("1600")).with([group.with(images)]).with(before)
}

fn group_item(context: &ResultContext<'_>, group: &MeasurementGroup) -> Result<Item, Error> {
    let template = if group.region.is_some() { "1411" } else { "1501" };
    let mut item = Item::container(sr::MEASUREMENT_GROUP, Some(template));
    item.push(Item::text(Relation::HasObsContext, sr::TRACKING_IDENTIFIER, &group.tracking.id));
    item.push(Item::uid(Relation::HasObsContext, sr::TRACKING_UNIQUE_IDENTIFIER, &group.tracking.uid));
    if let Some(time_point) = &group.time_point {
        item = item.with(time_point.items()?);
    }
    if let Some(category) = group.category {
        item.push(Item::code(Relation::Contains, sr::FINDING_CATEGORY, category));
    }
    item.push(Item::code(Relation::Contains, sr::FINDING, group.finding));
    if let Some(region) = &group.region {
        item.push(Item::image(Some(sr::REFERENCED_SEGMENT), region.class, &region.instance, Some(region.number)));
        let source = region.of.as_ref().map_or(&context.origin.series_uid, |[_, source]| source);
        item.push(Item::uid(Relation::Contains, sr::SOURCE_SERIES_FOR_SEGMENTATION, source));
    }
    if let Some(site) = group.site {
        item.push(Item::code(Relation::HasConceptMod, sr::FINDING_SITE, site));
    }
    // TID 4019.
    let modifier = |name, value: &str| Item::text(Relation::HasConceptMod, name, value);
    if let Some(algorithm) = &group.algorithm {
        item.push(modifier(sr::ALGORITHM_NAME, &algorithm.name));
        item.push(modifier(sr::ALGORITHM_VERSION, &algorithm.version));
        item.push(Item::code(Relation::HasConceptMod, sr::ALGORITHM_FAMILY, algorithm.family));
    }
    for measurement in &group.measurements {
        let mut number = Item::number(measurement.concept, measurement.value, measurement.unit)?;
        if let Some(derivation) = measurement.derivation {
            number.push(Item::code(Relation::HasConceptMod, sr::DERIVATION, derivation));
        }
        if let Some(uncertainty) = measurement.uncertainty {
            for bound in [sr::UPPER_UNCERTAINTY, sr::LOWER_UNCERTAINTY] {
                number.push(Item::number(bound, uncertainty, measurement.unit)?.related(Relation::HasProperties));
            }
        }
        item.push(number);
    }
    for (concept, value) in &group.evaluations {
        item.push(Item::code(Relation::Contains, *concept, *value));
    }
    if let Some(comment) = &group.comment {
        item.push(Item::text(Relation::Contains, sr::COMMENT, &unlimited_text(comment)?));
    }
    Ok(item)
}

/// Objects by study and series: class and instance.
type Objects<'a> = BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<(&'a str, &'a str)>>>;

/// SR Document Series and General modules (PS3.3 C.17.1, C.17.2), with everything the document refers to as evidence.
fn document(context: &ResultContext<'_>, report: &MeasurementReport) -> Attributes {
    let origin = context.origin;
    let mut content = Attributes::default();
    content.items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, []);
    content.items(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, []);
    content.text(tags::COMPLETION_FLAG, "COMPLETE");
    content.text(tags::VERIFICATION_FLAG, "UNVERIFIED");
    let mut studies = Objects::new();
    let mut add = |study, series, class, instance| {
        studies.entry(study).or_default().entry(series).or_default().insert((class, instance));
    };
    for image in &origin.images {
        add(&origin.study_uid[..], &origin.series_uid[..], &image.class[..], &image.instance[..]);
    }
    for earlier in &report.earlier {
        earlier.images.iter().for_each(|i| add(&earlier.study_uid, &earlier.series_uid, &i.class, &i.instance));
    }
    for region in report.groups.iter().filter_map(|g| g.region.as_ref()) {
        let study = region.of.as_ref().map_or(&origin.study_uid, |[study, _]| study);
        add(study, &region.series, region.class, &region.instance);
    }
    let own = studies.remove(&origin.study_uid[..]).unwrap_or_default();
    content.item(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, evidence(&origin.study_uid, &own));
    if !studies.is_empty() {
        let others = studies.iter().map(|(study, objects)| evidence(study, objects));
        content.items(tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE, others);
    }
    let predecessors: Vec<_> = report.earlier.iter().filter_map(EarlierStudy::predecessor).collect();
    if !predecessors.is_empty() {
        content.items(tags::PREDECESSOR_DOCUMENTS_SEQUENCE, predecessors);
    }
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
