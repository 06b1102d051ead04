//! De-identification after PS3.15 Annex E, and the way back for who has the key.
//!
//! Objects are rewritten element by element in the encoding they came in; pixel data pass through untouched. `profile.tsv` is
//! the table of the standard; [`rewrite`] carries it out, [`screen`] says which objects are left out.

mod clean;
mod key;
mod profile;
mod rewrite;
mod safe_private;
mod screen;

use std::collections::{BTreeMap, BTreeSet};

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::code::is_uid;
use crate::dataset::Dataset;
use crate::part10::Layout;
use crate::scan::SkipReason;
use crate::source::{self, Source};
use crate::syntax::Encoding;
use crate::{Error, Limits};

pub use key::DeidentificationKey;
pub use profile::Action;
use rewrite::{Rewriter, element, item, join};
pub use screen::LeftOut;

/// Whether the table of the profile names an attribute: it may tell who somebody is.
pub(crate) fn is_identifying(tag: Tag) -> bool {
    profile::action(tag, &[]).is_some()
}

/// An option of the Basic Application Level Confidentiality Profile (PS3.15 E.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileOption {
    /// Structured content is walked and cleaned instead of replaced by a dummy.
    CleanStructuredContent,
    /// Descriptions keep known words of protocols and anatomy; everything else is taken out.
    CleanDescriptors,
    /// All dates and times stay.
    RetainFullDates,
    /// All dates of a patient move by the same number of days; times stay.
    RetainModifiedDates,
    /// Age, sex, size, weight and the like stay.
    RetainPatientCharacteristics,
    /// What identifies the scanner stays.
    RetainDeviceIdentity,
    /// UIDs stay.
    RetainUids,
    /// Private attributes known to be safe stay.
    RetainSafePrivate,
    /// What identifies the hospital stays.
    RetainInstitutionIdentity,
}

impl ProfileOption {
    /// Code and meaning in CID 7050 (PS3.16).
    #[must_use]
    pub fn code(self) -> (&'static str, &'static str) {
        match self {
            Self::CleanStructuredContent => ("113104", "Clean Structured Content Option"),
            Self::CleanDescriptors => ("113105", "Clean Descriptors Option"),
            Self::RetainFullDates => ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
            Self::RetainModifiedDates => ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
            Self::RetainPatientCharacteristics => ("113108", "Retain Patient Characteristics Option"),
            Self::RetainDeviceIdentity => ("113109", "Retain Device Identity Option"),
            Self::RetainUids => ("113110", "Retain UIDs Option"),
            Self::RetainSafePrivate => ("113111", "Retain Safe Private Option"),
            Self::RetainInstitutionIdentity => ("113112", "Retain Institution Identity Option"),
        }
    }

    /// By the word used in `profile.tsv`.
    fn of_column(name: &str) -> Option<Self> {
        Some(match name {
            "structured" => Self::CleanStructuredContent,
            "descriptors" => Self::CleanDescriptors,
            "full" => Self::RetainFullDates,
            "modified" => Self::RetainModifiedDates,
            "patient" => Self::RetainPatientCharacteristics,
            "device" => Self::RetainDeviceIdentity,
            "uids" => Self::RetainUids,
            "safe" => Self::RetainSafePrivate,
            "institution" => Self::RetainInstitutionIdentity,
            _ => return None,
        })
    }
}

/// How to de-identify.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeidentifyOptions {
    /// Options of the profile, in any order.
    pub profile: Vec<ProfileOption>,
    /// Also give out objects that may have text in their pixels. Nothing is done about the text.
    pub keep_burnt_in: bool,
    /// Also give out CT, MR and PET of the head. Nothing is done about the face.
    pub keep_faces: bool,
}

/// A de-identified DICOM file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deidentified {
    /// New Study Instance UID; digits and dots alone, as the other two.
    pub study_uid: String,
    /// New Series Instance UID.
    pub series_uid: String,
    /// New SOP Instance UID.
    pub sop_instance_uid: String,
    /// The file, meta information included; transfer syntax and pixel data are those of the original.
    pub bytes: Vec<u8>,
}

/// What was done, without any original value.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct DeidentificationReport {
    /// The profile and its options by code and meaning.
    pub method: Vec<(String, String)>,
    /// Files looked at.
    pub files: usize,
    /// Objects given out.
    pub objects: usize,
    /// Patients among them.
    pub patients: usize,
    /// Studies among them.
    pub studies: usize,
    /// What was left out: the reason, and how many files.
    pub left_out: BTreeMap<String, usize>,
    /// What a person should still think of.
    pub warnings: Vec<String>,
    /// What was done with which attribute, by tag.
    pub changes: Vec<Change>,
}

/// One attribute in the report.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// `(gggg,eeee)`; private attributes are counted by group.
    pub tag: String,
    /// Its name in the standard.
    pub name: String,
    /// What was done.
    pub action: Action,
    /// How often, nested places included.
    pub count: usize,
}

/// De-identifies every object of a source and hands each to `give`, in the order of the file names.
///
/// Nothing is given out that was not understood to its last element. Equal input, options and secret give equal bytes.
/// `key` receives what leads back. Original values are in the key alone, never in the report or an error.
///
/// # Errors
/// [`Error::Refused`] if the source cannot be read, [`Error::Unwritable`] if both date options are chosen,
/// [`Error::Write`] if `give` fails.
pub fn deidentify(
    source: &Source,
    limits: &Limits,
    options: &DeidentifyOptions,
    key: &mut DeidentificationKey,
    give: &mut dyn FnMut(Deidentified) -> std::io::Result<()>,
) -> Result<DeidentificationReport, Error> {
    let mut profile = options.profile.clone();
    profile.sort();
    profile.dedup();
    if profile.contains(&ProfileOption::RetainFullDates) && profile.contains(&ProfileOption::RetainModifiedDates) {
        return Err(Error::Unwritable("dates can stay or be moved, not both".into()));
    }
    let options = DeidentifyOptions { profile, ..options.clone() };
    let items = source::items(source, limits)?;
    let mut report =
        DeidentificationReport { method: method(&options.profile), files: items.len(), ..Default::default() };
    let (mut counts, mut patients, mut studies, mut seen) =
        (rewrite::Counts::new(), BTreeSet::new(), BTreeSet::new(), Seen::default());
    let mut derived = false;
    // Files are read some at a time and in parallel; the key makes its entries one after the other.
    for group in items.chunks(16) {
        let read: Vec<_> = group.par_iter().map(|item| item.read(limits.max_file_bytes.saturating_add(1))).collect();
        for bytes in read {
            let done = match bytes {
                Ok(bytes) if bytes.len() as u64 <= limits.max_file_bytes => {
                    one(&bytes, limits, &options, key, &mut seen)
                }
                Ok(_) => Err(LeftOut::Unread(SkipReason::TooLarge)),
                Err(_) => Err(LeftOut::Unread(SkipReason::Unreadable)),
            };
            match done {
                Ok(done) => {
                    for (place, count) in done.counts {
                        *counts.entry(place).or_insert(0usize) += count;
                    }
                    patients.insert(done.pseudonym);
                    studies.insert(done.file.study_uid.clone());
                    derived |= done.derived;
                    report.objects += 1;
                    give(done.file).map_err(Error::Write)?;
                }
                Err(reason) => *report.left_out.entry(reason.to_string()).or_default() += 1,
            }
        }
    }
    (report.patients, report.studies) = (patients.len(), studies.len());
    report.changes = counts.into_iter().map(|((tag, action), count)| change(tag, action, count)).collect();
    report.warnings = warnings(&options, derived);
    Ok(report)
}

fn method(profile: &[ProfileOption]) -> Vec<(String, String)> {
    let basic = ("113100", "Basic Application Confidentiality Profile");
    let codes = std::iter::once(basic).chain(profile.iter().map(|option| option.code()));
    codes.map(|(code, meaning)| (code.to_owned(), meaning.to_owned())).collect()
}

fn change(tag: Tag, action: Action, count: usize) -> Change {
    let name = if tag.0 % 2 == 1 {
        "Private attributes of this group"
    } else {
        profile::name(tag).unwrap_or("Not in the table: a name, a date, a text, or unknown")
    };
    Change { tag: format!("({:04X},{:04X})", tag.0, tag.1), name: name.into(), action, count }
}

fn warnings(options: &DeidentifyOptions, derived: bool) -> Vec<String> {
    let mut warnings = vec![
        "Faces are not removed from images. Heads that no description names as such are not noticed; thin slices of a head or \
         neck allow the face to be recognised."
            .to_owned(),
    ];
    if options.keep_faces {
        warnings.push("CT, MR and PET of heads were let through: their faces can be recognised.".into());
    }
    if options.keep_burnt_in {
        warnings.push(
            "Objects that may have text burnt into their pixels were let through: nothing was done about it.".into(),
        );
    }
    if derived {
        warnings.push(
            "Some images are derived and do not say whether text is burnt into them: look at some of them.".into(),
        );
    }
    if options.profile.contains(&ProfileOption::RetainUids) {
        warnings.push("UIDs were kept: whoever has access to the archive can find the originals by them.".into());
    }
    warnings
}

/// What was there before.
#[derive(Default)]
struct Seen {
    /// SOP Instance UIDs.
    uids: BTreeSet<String>,
    /// SHA-256 of data sets.
    contents: BTreeSet<[u8; 32]>,
}

/// One object done.
struct Done {
    file: Deidentified,
    counts: rewrite::Counts,
    pseudonym: String,
    /// Derived pixels that do not vouch for being free of text.
    derived: bool,
}

fn one(
    bytes: &[u8],
    limits: &Limits,
    options: &DeidentifyOptions,
    key: &mut DeidentificationKey,
    seen: &mut Seen,
) -> Result<Done, LeftOut> {
    let layout = Layout::of(bytes, limits).map_err(LeftOut::Unread)?;
    let content = layout.content(bytes, limits).map_err(LeftOut::Unread)?;
    let encoding = layout.syntax.encoding;
    let unread = |fault| LeftOut::Unread(SkipReason::from(fault));
    let dataset = Dataset::parse(&content, encoding, limits).map_err(unread)?;
    let uid = |dataset: &Dataset<'_>, tag| dataset.text(tag).filter(|uid| is_uid(uid)).ok_or(LeftOut::NoIdentity);
    let class = uid(&dataset, tags::SOP_CLASS_UID)?;
    if let Some(reason) = screen::left_out(&dataset, options) {
        return Err(reason);
    }
    for tag in [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID] {
        uid(&dataset, tag)?;
    }
    // Objects that share a UID which should be unique get one each, by what is in them; the first keeps the one that references
    // lead to. The same object again is left out.
    let instance = uid(&dataset, tags::SOP_INSTANCE_UID)?;
    let content_hash: [u8; 32] = Sha256::digest(&content).into();
    let keeps_uids = options.profile.contains(&ProfileOption::RetainUids);
    let is_shared = !seen.uids.insert(instance.clone());
    if !seen.contents.insert(content_hash) || (is_shared && keeps_uids) {
        return Err(LeftOut::Repeated);
    }
    // Patients are told apart by their identifier, and by the study where there is none.
    let mut patient = dataset.bytes(tags::PATIENT_ID).unwrap_or_default().trim_ascii().to_vec();
    if patient.is_empty() {
        patient = format!("study {}", uid(&dataset, tags::STUDY_INSTANCE_UID)?).into_bytes();
    }
    let derived = dataset.has_pixels()
        && dataset.bytes(tags::BURNED_IN_ANNOTATION).is_none()
        && dataset.text(tags::IMAGE_TYPE).is_some_and(|text| text.starts_with("DERIVED"));
    let (pseudonym, days) = (key.pseudonym(&patient), -key.days(&patient));
    let mut rewriter = Rewriter {
        options: &options.profile,
        limits,
        key: &mut *key,
        pseudonym: pseudonym.clone(),
        days,
        counts: rewrite::Counts::new(),
        dates: None,
        elements_left: limits.max_elements,
    };
    let mut rewritten = rewriter.rewrite(&content, encoding, 0).map_err(unread)?;
    let (counts, dates) = (std::mem::take(&mut rewriter.counts), rewriter.dates);
    declare(&mut rewritten, options, dates, encoding);
    if is_shared {
        let mut own = key.own_uid(&instance, &content_hash).into_bytes();
        if own.len() % 2 == 1 {
            own.push(0);
        }
        let own = element(tags::SOP_INSTANCE_UID, Some(*b"UI"), &own, encoding);
        let place = rewritten.elements.iter_mut().find(|(tag, _)| *tag == tags::SOP_INSTANCE_UID);
        place.expect("every object has a SOP Instance UID").1 = own;
    }
    let new = join(rewritten.elements);
    let made = Dataset::parse(&new, encoding, limits).map_err(unread)?;
    let file = Deidentified {
        study_uid: uid(&made, tags::STUDY_INSTANCE_UID)?,
        series_uid: uid(&made, tags::SERIES_INSTANCE_UID)?,
        sop_instance_uid: uid(&made, tags::SOP_INSTANCE_UID)?,
        bytes: Vec::new(),
    };
    let mut changed: Vec<&[u8]> = vec![encoding_mark(encoding)];
    changed.extend(rewritten.changed.iter().map(|element| &element[..]));
    key.note(&file.sop_instance_uid, &changed);
    let bytes = part10(&class, &file.sop_instance_uid, &layout.syntax_uid(bytes, limits), layout.syntax.deflated, &new);
    Ok(Done { file: Deidentified { bytes, ..file }, counts, pseudonym, derived })
}

/// Says in the object that and how it was de-identified (PS3.3 C.7.1.1, C.12.1.1.11).
fn declare(rewritten: &mut rewrite::Rewritten, options: &DeidentifyOptions, dates: Option<Action>, encoding: Encoding) {
    let text = |tag, vr: &[u8; 2], text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(b' ');
        }
        element(tag, Some(*vr), &bytes, encoding)
    };
    let codes = method(&options.profile).into_iter().flat_map(|(code, meaning)| {
        let mut content = text(tags::CODE_VALUE, b"SH", &code);
        content.extend(text(tags::CODING_SCHEME_DESIGNATOR, b"SH", "DCM"));
        content.extend(text(tags::CODE_MEANING, b"LO", &meaning));
        item(&content, encoding)
    });
    let codes: Vec<u8> = codes.collect();
    let temporal = match dates {
        Some(Action::Kept) => "UNMODIFIED",
        Some(Action::Cleaned) => "MODIFIED",
        _ => "REMOVED",
    };
    let said = format!("PS3.15 Annex E 2026c by Hilum {}", env!("CARGO_PKG_VERSION"));
    let new = [
        (tags::PATIENT_IDENTITY_REMOVED, text(tags::PATIENT_IDENTITY_REMOVED, b"CS", "YES")),
        (tags::DEIDENTIFICATION_METHOD, text(tags::DEIDENTIFICATION_METHOD, b"LO", &said)),
        (
            tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE,
            element(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE, Some(*b"SQ"), &codes, encoding),
        ),
        (
            tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED,
            text(tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, b"CS", temporal),
        ),
    ];
    rewritten.elements.extend(new);
}

/// What the key notes of the encoding, so that elements never go back into a file of another.
fn encoding_mark(encoding: Encoding) -> &'static [u8] {
    match (encoding.explicit, encoding.big_endian) {
        (false, _) => b"implicit",
        (true, false) => b"explicit",
        (true, true) => b"explicit big endian",
    }
}

/// A file (PS3.10 7.1): an empty preamble, meta information, the data set.
fn part10(class: &str, instance: &str, syntax: &str, deflated: bool, dataset: &[u8]) -> Vec<u8> {
    let uid = |tag, uid: &str| {
        let mut bytes = uid.as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        element(tag, Some(*b"UI"), &bytes, Encoding::EXPLICIT)
    };
    let mut meta = element(tags::FILE_META_INFORMATION_VERSION, Some(*b"OB"), &[0, 1], Encoding::EXPLICIT);
    meta.extend(uid(tags::MEDIA_STORAGE_SOP_CLASS_UID, class));
    meta.extend(uid(tags::MEDIA_STORAGE_SOP_INSTANCE_UID, instance));
    meta.extend(uid(tags::TRANSFER_SYNTAX_UID, syntax));
    meta.extend(uid(tags::IMPLEMENTATION_CLASS_UID, &crate::uid_from_seed("hilum", "deidentify")));
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    let length = u32::try_from(meta.len()).expect("meta information is short").to_le_bytes();
    bytes.extend(element(tags::FILE_META_INFORMATION_GROUP_LENGTH, Some(*b"UL"), &length, Encoding::EXPLICIT));
    bytes.extend(meta);
    if deflated {
        use std::io::Write;
        let mut packed = flate2::write::DeflateEncoder::new(bytes, flate2::Compression::default());
        packed.write_all(dataset).and_then(|()| packed.finish()).expect("memory can be written to")
    } else {
        bytes.extend(dataset);
        bytes
    }
}

/// Brings back the original of a de-identified file: its data set to the byte, with new meta information.
///
/// # Errors
/// [`Error::Unwritable`] if the file is no DICOM file, did not come from this key, or was packed anew into another
/// encoding since.
pub fn reidentify(bytes: &[u8], key: &DeidentificationKey, limits: &Limits) -> Result<Deidentified, Error> {
    let wrong = |why: &str| Error::Unwritable(why.to_owned());
    let unread = |reason: SkipReason| Error::Unwritable(reason.to_string());
    let layout = Layout::of(bytes, limits).map_err(unread)?;
    let content = layout.content(bytes, limits).map_err(unread)?;
    let encoding = layout.syntax.encoding;
    let text = |bytes: &[u8], tag| Dataset::parse(bytes, encoding, limits).ok()?.text(tag).filter(|uid| is_uid(uid));
    let instance = text(&content, tags::SOP_INSTANCE_UID).ok_or_else(|| wrong("the object has no valid UID"))?;
    let mut originals = key.originals(&instance).ok_or_else(|| wrong("the object is not known to this key"))?;
    if originals.is_empty() || originals.remove(0) != encoding_mark(encoding) {
        return Err(wrong("the object was converted to another encoding since it was de-identified"));
    }
    let tag_of = |element: &[u8]| {
        let word = |at: usize| {
            let pair = [element[at], element[at + 1]];
            if encoding.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        };
        (element.len() >= 8).then(|| Tag(word(0), word(2)))
    };
    let originals: Option<Vec<_>> = originals.into_iter().map(|element| Some((tag_of(&element)?, element))).collect();
    let originals = originals.ok_or_else(|| wrong("the key file is damaged"))?;
    let mut replaced: BTreeSet<Tag> = originals.iter().map(|(tag, _)| *tag).collect();
    replaced.extend(rewrite::DECLARED);
    let mut left = limits.max_elements;
    let found = rewrite::split(&content, encoding, limits, &mut left).map_err(|fault| unread(fault.into()))?;
    let mut elements: Vec<_> = found
        .into_iter()
        .filter(|(tag, ..)| !replaced.contains(tag))
        .map(|(tag, _, _, raw)| (tag, raw.to_vec()))
        .collect();
    elements.extend(originals);
    let new = join(elements);
    let uid = |tag| text(&new, tag).ok_or_else(|| wrong("the key file is damaged"));
    let (class, sop_instance_uid) = (uid(tags::SOP_CLASS_UID)?, uid(tags::SOP_INSTANCE_UID)?);
    let (study_uid, series_uid) = (uid(tags::STUDY_INSTANCE_UID)?, uid(tags::SERIES_INSTANCE_UID)?);
    let bytes = part10(&class, &sop_instance_uid, &layout.syntax_uid(bytes, limits), layout.syntax.deflated, &new);
    Ok(Deidentified { study_uid, series_uid, sop_instance_uid, bytes })
}
