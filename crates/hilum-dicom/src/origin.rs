//! Where results come from: patient, study and images of the series that was read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use hilum_volume::{Geometry, PatientPoint};

use crate::attributes::Attributes;
use crate::code::is_uid;
use crate::dataset::Dataset;
use crate::part10::Layout;
use crate::scan::{Member, Scan, SkipReason};
use crate::uid::uid_from_seed;
use crate::{Refusal, Series};

/// What a DICOM result says about its source: the identity of patient and study, the images that the slices came from
/// and where they lie.
///
/// The identity goes from the images into the results and nowhere else: only [`Origin::identity`] gives it out, for the head
/// of a report, and its `Debug` does not show it. A volume from NIfTI has no origin, and so no DICOM results.
#[derive(Clone)]
pub struct Origin {
    pub(crate) patient_and_study: Attributes,
    pub(crate) study_uid: String,
    pub(crate) series_uid: String,
    pub(crate) series_number: Option<i64>,
    pub(crate) body_part: Option<String>,
    pub(crate) frame_of_reference_uid: String,
    pub(crate) position_reference: String,
    /// Set if the images were ever packed with loss: ratio and method, where given.
    pub(crate) lossy: Option<Attributes>,
    pub(crate) slice_thickness_mm: f64,
    /// Rescale Slope and Intercept, if all images share them.
    pub(crate) rescale: Option<[f64; 2]>,
    pub(crate) geometry: Geometry,
    /// Slice by slice.
    pub(crate) slices: Vec<SliceOrigin>,
    /// SOP Class and Instance UID of every image, each once, in slice order.
    pub(crate) images: Vec<ImageUids>,
}

/// Whom images show and in which study, as text in the form of its representation (PS3.5, 6.2); `None` where the images do
/// not say, or not in that form. `Debug` does not show it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Patient's Name (0010,0010).
    pub patient_name: Option<String>,
    /// Patient ID (0010,0020).
    pub patient_id: Option<String>,
    /// Patient's Birth Date (0010,0030), `YYYYMMDD`.
    pub patient_birth_date: Option<String>,
    /// Patient's Sex (0010,0040): `M`, `F` or `O`.
    pub patient_sex: Option<String>,
    /// Study Date (0008,0020), `YYYYMMDD`.
    pub study_date: Option<String>,
    /// Accession Number (0008,0050).
    pub accession_number: Option<String>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

/// SOP Class and SOP Instance UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageUids {
    pub(crate) class: String,
    pub(crate) instance: String,
}

/// The image of one slice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SliceOrigin {
    /// Image Position (Patient) as the image itself has it; of interpolated slices that of the grid.
    pub(crate) position: PatientPoint,
    /// `None` if the slice was interpolated, or if several slices share one SOP Instance UID and none can be named.
    pub(crate) image: Option<ImageUids>,
    /// Frame from 1, in multi-frame images.
    pub(crate) frame: Option<u32>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("series_uid", &self.series_uid).field("images", &self.images.len()).finish()
    }
}

/// Attributes of patient and study that results must share with the images (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2), with the
/// longest text their representation holds. Those marked are present even without a value.
const COPIED: [(Tag, usize, bool); 19] = [
    (tags::STUDY_DATE, 8, true),
    (tags::STUDY_TIME, 14, true),
    (tags::ACCESSION_NUMBER, 16, true),
    (tags::REFERRING_PHYSICIAN_NAME, 194, true),
    (tags::STUDY_DESCRIPTION, 64, false),
    (tags::PATIENT_NAME, 194, true),
    (tags::PATIENT_ID, 64, true),
    (tags::ISSUER_OF_PATIENT_ID, 64, false),
    (tags::PATIENT_BIRTH_DATE, 8, true),
    (tags::PATIENT_SEX, 1, true),
    (tags::PATIENT_AGE, 4, false),
    (tags::PATIENT_SIZE, 16, false),
    (tags::PATIENT_WEIGHT, 16, false),
    (tags::PATIENT_IDENTITY_REMOVED, 3, false),
    (tags::DEIDENTIFICATION_METHOD, 64, false),
    (tags::CLINICAL_TRIAL_PROTOCOL_ID, 64, false),
    (tags::CLINICAL_TRIAL_SUBJECT_ID, 64, false),
    (tags::CLINICAL_TRIAL_SPONSOR_NAME, 64, false),
    (tags::STUDY_ID, 16, true),
];

impl Origin {
    /// Patient and study in words, for what people read. It must not reach a log or leave the hospital.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let text = |tag| self.patient_and_study.text_of(tag).filter(|text| !text.is_empty());
        Identity {
            patient_name: text(tags::PATIENT_NAME),
            patient_id: text(tags::PATIENT_ID),
            patient_birth_date: text(tags::PATIENT_BIRTH_DATE),
            patient_sex: text(tags::PATIENT_SEX),
            study_date: text(tags::STUDY_DATE),
            accession_number: text(tags::ACCESSION_NUMBER),
        }
    }

    /// Reads what results need from one image of `series`, which must have been loaded from `scan`.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSeries`] if the series is not of this scan, [`Refusal::Unreadable`] or [`Refusal::Damaged`] if the
    /// file has changed since it was loaded.
    pub fn of(scan: &Scan, series: &Series) -> Result<Self, Refusal> {
        let members = scan.members.get(&series.summary.series_uid).ok_or(Refusal::NoSuchSeries)?;
        let first = series.instances.first().ok_or(Refusal::NoSuchSeries)?;
        let member = members
            .iter()
            .find(|m| m.header.sop_instance_uid == first.sop_instance_uid)
            .ok_or(Refusal::NoSuchSeries)?;
        let damaged = |reason: SkipReason| Refusal::Damaged { damaged: 1, images: members.len(), reason };
        let bytes = member.item.read(scan.limits.max_file_bytes)?;
        let layout = Layout::of(&bytes, &scan.limits).map_err(damaged)?;
        let content = layout.content(&bytes, &scan.limits).map_err(damaged)?;
        let dataset =
            Dataset::parse(&content, layout.syntax.encoding, &scan.limits).map_err(|fault| damaged(fault.into()))?;

        let geometry = series.volume.geometry().clone();
        let summary = &series.summary;
        let seed = |role| uid_from_seed(&summary.series_uid, role);
        let reference = Some(member.header.frame_of_reference_uid.clone()).filter(|uid| is_uid(uid));
        let slices = slices(series, members, &geometry);
        let mut seen = BTreeSet::new();
        let images = series
            .instances
            .iter()
            .filter(|i| is_uid(&i.sop_instance_uid) && is_uid(&i.sop_class_uid))
            .filter(|i| seen.insert(&i.sop_instance_uid))
            .map(|i| ImageUids { class: i.sop_class_uid.clone(), instance: i.sop_instance_uid.clone() })
            .collect();
        Ok(Self {
            patient_and_study: patient_and_study(&dataset),
            study_uid: summary.study_uid.clone(),
            series_uid: summary.series_uid.clone(),
            series_number: summary.series_number,
            body_part: valid_code_string(&summary.body_part_examined),
            // Images of one stack that name no frame of reference share one all the same.
            frame_of_reference_uid: reference.unwrap_or_else(|| seed("frame of reference")),
            position_reference: text(&dataset, tags::POSITION_REFERENCE_INDICATOR, 64).unwrap_or_default(),
            lossy: member.header.lossy.then(|| lossy(&dataset)),
            slice_thickness_mm: summary.slice_thickness_mm.unwrap_or_else(|| step_along_normal_mm(&geometry)),
            rescale: common_rescale(members),
            geometry,
            slices,
            images,
        })
    }

    /// The grid of the series, on which every result lies.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Series Instance UID of the series.
    #[must_use]
    pub fn series_uid(&self) -> &str {
        &self.series_uid
    }

    /// Study Instance UID.
    #[must_use]
    pub fn study_uid(&self) -> &str {
        &self.study_uid
    }

    /// Whether one of these slices can name the image it came from; slices that do not exist cannot.
    #[must_use]
    pub fn names_some_image(&self, slices: &[usize]) -> bool {
        slices.iter().any(|s| self.slices.get(*s).is_some_and(|s| s.image.is_some()))
    }

    /// Whether all images share one rescaling to HU, as a presentation state of them needs.
    #[must_use]
    pub fn has_one_rescale(&self) -> bool {
        self.rescale.is_some()
    }

    /// Whether every slice can name the image it came from: not so if images share a SOP Instance UID, or if slices were
    /// interpolated.
    #[must_use]
    pub fn names_every_image(&self) -> bool {
        self.slices.iter().all(|s| s.image.is_some())
    }
}

/// Distance between neighbouring slices at right angles to them, in mm.
pub(crate) fn step_along_normal_mm(geometry: &Geometry) -> f64 {
    let [slice, row, column] = geometry.axes();
    let normal = column.cross(row);
    (slice.dot(normal) / normal.length_mm()).abs() * geometry.spacing_mm()[0]
}

fn common_rescale(members: &[Member]) -> Option<[f64; 2]> {
    let mut all = members.iter().flat_map(|m| &m.header.frames).filter(|f| !f.localiser).map(|f| f.rescale);
    let (slope, intercept) = all.next()??;
    all.all(|other| other == Some((slope, intercept))).then_some([slope, intercept])
}

fn slices(series: &Series, members: &[Member], geometry: &Geometry) -> Vec<SliceOrigin> {
    let mut uses: BTreeMap<(&str, Option<u32>), usize> = BTreeMap::new();
    for instance in &series.instances {
        *uses.entry((&instance.sop_instance_uid, instance.frame)).or_default() += 1;
    }
    let mut slices: Vec<SliceOrigin> = (0..geometry.shape()[0])
        .map(|s| SliceOrigin { position: geometry.centre_of([s, 0, 0]), image: None, frame: None })
        .collect();
    let mut by_uid: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
    for member in members {
        by_uid.entry(&member.header.sop_instance_uid).or_default().push(member);
    }
    for instance in &series.instances {
        let uid = instance.sop_instance_uid.as_str();
        let on_grid = slices[instance.slice_index].position;
        let own = by_uid
            .get(uid)
            .into_iter()
            .flatten()
            .filter_map(|m| m.header.frames.get(instance.frame.unwrap_or(1) as usize - 1)?.position)
            .map(PatientPoint)
            .min_by(|a, b| a.distance_mm(on_grid).total_cmp(&b.distance_mm(on_grid)));
        let slice = &mut slices[instance.slice_index];
        if let Some(own) = own.filter(|own| own.distance_mm(on_grid) < 0.5 * geometry.spacing_mm()[0]) {
            slice.position = own;
        }
        if uses[&(uid, instance.frame)] == 1 && is_uid(uid) && is_uid(&instance.sop_class_uid) {
            slice.image = Some(ImageUids { class: instance.sop_class_uid.clone(), instance: uid.to_owned() });
            slice.frame = instance.frame;
        }
    }
    slices
}

fn patient_and_study(dataset: &Dataset<'_>) -> Attributes {
    let mut copied = Attributes::default();
    for (tag, longest, always) in COPIED {
        let value = text(dataset, tag, longest).filter(|value| is_well_formed(tag, value));
        match value {
            Some(value) => copied.text(tag, &value),
            None if always => copied.text(tag, ""),
            None => (),
        }
    }
    // De-identified images say how (PS3.3 C.7.1.1, type 1C); the codes are copied as they are.
    let codes = dataset.items(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE).unwrap_or_default();
    let codes: Vec<Attributes> = codes
        .iter()
        .filter_map(|code| {
            let mut item = Attributes::default();
            for (tag, longest) in
                [(tags::CODE_VALUE, 16), (tags::CODING_SCHEME_DESIGNATOR, 16), (tags::CODE_MEANING, 64)]
            {
                item.text(tag, &text(code, tag, longest)?);
            }
            Some(item)
        })
        .collect();
    if !codes.is_empty() {
        copied.items(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE, codes);
    }
    copied
}

/// The first value, without control characters, cut to what its representation holds.
fn text(dataset: &Dataset<'_>, tag: Tag, longest: usize) -> Option<String> {
    let all = dataset.text(tag)?;
    let first = all.split('\\').next().unwrap_or_default();
    let clean: String = first.chars().filter(|c| !c.is_control()).take(longest).collect();
    let clean = clean.trim().to_owned();
    (!clean.is_empty()).then_some(clean)
}

/// Whether a value keeps to its representation; what does not is left out rather than passed on.
fn is_well_formed(tag: Tag, value: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    match tag {
        tags::STUDY_DATE | tags::PATIENT_BIRTH_DATE => value.len() == 8 && digits(value),
        tags::STUDY_TIME => {
            let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
            matches!(whole.len(), 2 | 4 | 6) && digits(whole) && fraction.len() <= 6 && digits(fraction)
        }
        tags::PATIENT_SEX => ["M", "F", "O"].contains(&value),
        tags::PATIENT_AGE => value.len() == 4 && digits(&value[..3]) && value.ends_with(['D', 'W', 'M', 'Y']),
        tags::PATIENT_SIZE | tags::PATIENT_WEIGHT => value.parse::<f64>().is_ok_and(f64::is_finite),
        tags::PATIENT_IDENTITY_REMOVED => ["YES", "NO"].contains(&value),
        _ => true,
    }
}

fn valid_code_string(text: &str) -> Option<String> {
    let good = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ' || b == b'_';
    (!text.is_empty() && text.len() <= 16 && text.bytes().all(good)).then(|| text.to_owned())
}

/// Ratio and method of a lossy compression, where the images give them (PS3.3 C.7.6.1.1.5).
fn lossy(dataset: &Dataset<'_>) -> Attributes {
    let mut lossy = Attributes::default();
    if let Some(ratios) = dataset.numbers(tags::LOSSY_IMAGE_COMPRESSION_RATIO) {
        lossy.decimals(tags::LOSSY_IMAGE_COMPRESSION_RATIO, &ratios);
    }
    let methods: Vec<String> = dataset
        .text(tags::LOSSY_IMAGE_COMPRESSION_METHOD)
        .iter()
        .flat_map(|m| m.split('\\'))
        .filter_map(|m| valid_code_string(m.trim()))
        .collect();
    if !methods.is_empty() {
        lossy.texts(tags::LOSSY_IMAGE_COMPRESSION_METHOD, &methods);
    }
    lossy
}
