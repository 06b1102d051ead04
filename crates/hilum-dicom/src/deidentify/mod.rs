//! De-identification after PS3.15 Annex E, and the way back for who has the key.
//!
//! Objects are rewritten element by element in the encoding they came in; pixel data pass through untouched, unless a [face is
//! blanked](deface). `profile.tsv` is the table of the standard; [`rewrite`] carries it out, [`screen`] says which objects are
//! left out.

mod clean;
mod deface;
mod face;
mod head_grid;
mod key;
mod profile;
mod reidentify;
mod rewrite;
mod safe_private;
mod screen;

use std::collections::{BTreeMap, BTreeSet};

use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::code::is_uid;
use crate::dataset::Dataset;
use crate::instance::Uncompressed;
use crate::part10::Layout;
use crate::scan::SkipReason;
use crate::source::{self, Item, Source};
use crate::syntax::{Encoding, Syntax};
use crate::{Error, Limits};

pub use deface::Undefaceable;
use deface::{Blanking, Defacing};
pub use key::DeidentificationKey;
pub use profile::Action;
pub use reidentify::reidentify;
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
    /// Also give out CT, MR, PET and pictures of the head. Nothing is done about the face.
    pub keep_faces: bool,
    /// Blank the face in CT and MR of the head, and give out those in which it was found.
    pub deface: bool,
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
    /// The file, meta information included. Transfer syntax and pixel data are those of the original, unless the face was
    /// blanked: then it is Explicit VR Little Endian.
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
    /// Objects among them of series in which the face was blanked; they name a further option of the profile, 113102.
    pub defaced: usize,
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
/// [`Error::Refused`] if the source cannot be read, [`Error::Unwritable`] if both date options are chosen, or defacing together
/// with what contradicts it, [`Error::Write`] if `give` fails.
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
    if options.deface && (options.keep_faces || profile.contains(&ProfileOption::RetainUids)) {
        let why =
            "faces can be blanked or kept, not both; and what is blanked is another image, which needs another UID";
        return Err(Error::Unwritable(why.into()));
    }
    let options = DeidentifyOptions { profile, ..options.clone() };
    let items = source::items(source, limits)?;
    let defacing = if options.deface { Defacing::plan(&items, limits) } else { Defacing::default() };
    let mut report =
        DeidentificationReport { method: method(&options.profile), files: items.len(), ..Default::default() };
    let (mut counts, mut patients, mut studies, mut seen) =
        (rewrite::Counts::new(), BTreeSet::new(), BTreeSet::new(), Seen::default());
    let mut derived = false;
    // Files are read some at a time and in parallel; the key makes its entries one after the other.
    for group in items.chunks(16) {
        let read: Vec<_> = group.par_iter().map(|item| read_whole(item, limits)).collect();
        for bytes in read {
            let done = bytes
                .map_err(LeftOut::Unread)
                .and_then(|bytes| one(&bytes, limits, &options, &defacing, key, &mut seen));
            match done {
                Ok(done) => {
                    for (place, count) in done.counts {
                        *counts.entry(place).or_insert(0usize) += count;
                    }
                    patients.insert(done.pseudonym);
                    studies.insert(done.file.study_uid.clone());
                    derived |= done.derived;
                    report.objects += 1;
                    report.defaced += usize::from(done.defaced);
                    give(done.file).map_err(Error::Write)?;
                }
                Err(reason) => *report.left_out.entry(reason.to_string()).or_default() += 1,
            }
        }
    }
    (report.patients, report.studies) = (patients.len(), studies.len());
    report.changes = counts.into_iter().map(|((tag, action), count)| change(tag, action, count)).collect();
    report.warnings = warnings(&options, report.defaced > 0, derived);
    Ok(report)
}

/// All bytes of a file within the limits.
fn read_whole(item: &Item, limits: &Limits) -> Result<Vec<u8>, SkipReason> {
    let bytes = item.read(limits.max_file_bytes.saturating_add(1)).map_err(|_| SkipReason::Unreadable)?;
    if bytes.len() as u64 > limits.max_file_bytes { Err(SkipReason::TooLarge) } else { Ok(bytes) }
}

fn method(profile: &[ProfileOption]) -> Vec<(String, String)> {
    let basic = ("113100", "Basic Application Confidentiality Profile");
    let codes = std::iter::once(basic).chain(profile.iter().map(|option| option.code()));
    codes.map(|(code, meaning)| (code.to_owned(), meaning.to_owned())).collect()
}

fn change(tag: Tag, action: Action, count: usize) -> Change {
    let name = match (tag.0 % 2, profile::name(tag), StandardDataDictionary.by_tag(tag)) {
        (1, ..) => "Private attributes of this group".to_owned(),
        (_, Some(name), _) => name.to_owned(),
        // Names, dates and texts that the table does not list.
        (_, None, Some(known)) => spaced(known.alias()),
        (_, None, None) => "Unknown to the standard".to_owned(),
    };
    Change { tag: format!("({:04X},{:04X})", tag.0, tag.1), name, action, count }
}

/// A keyword of the data dictionary in words: `TrackingID` as Tracking ID.
fn spaced(keyword: &str) -> String {
    let letters: Vec<char> = keyword.chars().collect();
    let mut words = String::new();
    for (n, letter) in letters.iter().enumerate() {
        let begins = letter.is_uppercase()
            && n > 0
            && (letters[n - 1].is_lowercase() || letters.get(n + 1).is_some_and(|next| next.is_lowercase()));
        if begins {
            words.push(' ');
        }
        words.push(*letter);
    }
    words
}

fn warnings(options: &DeidentifyOptions, defaced: bool, derived: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if defaced {
        warnings.push(
            "Faces were blanked by a rule that finds the nose: look at each series before you pass it on. Ears, forehead and \
             the skull stay."
                .to_owned(),
        );
    }
    warnings.push(if options.deface {
        "Heads that no description names as such are not noticed, and their faces are not blanked; thin slices of a head or neck \
         allow the face to be recognised."
            .to_owned()
    } else {
        "Faces are not removed from images. Heads that no description names as such are not noticed; thin slices of a head or \
         neck allow the face to be recognised."
            .to_owned()
    });
    if options.keep_faces {
        warnings.push("Images of heads were let through: their faces can be recognised.".into());
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
    /// Of a series in which the face was blanked.
    defaced: bool,
}

fn one(
    bytes: &[u8],
    limits: &Limits,
    options: &DeidentifyOptions,
    defacing: &Defacing,
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
    uid(&dataset, tags::STUDY_INSTANCE_UID)?;
    let series = uid(&dataset, tags::SERIES_INSTANCE_UID)?;
    let blanking = if options.deface && screen::shows_faces(&dataset) {
        blanking(&dataset, layout.syntax, defacing.of(&series))?
    } else {
        None
    };
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
        required: rewrite::required_by(&class),
    };
    // A defaced image leaves its transfer syntax, all else keeps it.
    let source_syntax = layout.syntax;
    let (syntax_uid, deflated) = match blanking {
        Some(_) => (Uncompressed::Explicit.uid().to_owned(), false),
        None => (layout.syntax_uid(bytes, limits), source_syntax.deflated),
    };
    let defaced = blanking
        .map(|blanking| deface::blanked(&content, &dataset, source_syntax, blanking, limits))
        .transpose()
        .map_err(LeftOut::FaceStays)?;
    let encoding = if defaced.is_some() { Encoding::EXPLICIT } else { encoding };
    let mut rewritten = rewriter.rewrite(defaced.as_deref().unwrap_or(&content), encoding, 0).map_err(unread)?;
    let (counts, dates) = (std::mem::take(&mut rewriter.counts), rewriter.dates);
    let further = defaced.is_some().then_some(deface::METHOD);
    declare(&mut rewritten, options, further, dates, encoding);
    if defaced.is_some() {
        deface::declare(&mut rewritten.elements, &dataset, source_syntax);
    }
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
    if defaced.is_some() {
        changed = vec![deface::KEY_MARK];
    }
    key.note(&file.sop_instance_uid, &changed);
    let bytes = part10(&class, &file.sop_instance_uid, &syntax_uid, deflated, &new);
    Ok(Done { file: Deidentified { bytes, ..file }, counts, pseudonym, derived, defaced: defaced.is_some() })
}

/// How the face of an object is blanked; `None` if its series shows no head.
fn blanking<'a>(
    dataset: &Dataset<'_>,
    syntax: Syntax,
    of_series: Option<&'a Result<Blanking, Undefaceable>>,
) -> Result<Option<&'a Blanking>, LeftOut> {
    match of_series {
        Some(found) => {
            // What is wrong with the object itself says more than what is wrong with its series.
            deface::check(dataset, syntax).map_err(LeftOut::FaceStays)?;
            found.as_ref().map(Some).map_err(|reason| LeftOut::FaceStays(*reason))
        }
        None if screen::is_head(dataset) => Err(LeftOut::Face),
        None => Ok(None),
    }
}

/// Says in the object that and how it was de-identified (PS3.3 C.7.1.1, C.12.1.1.11).
fn declare(
    rewritten: &mut rewrite::Rewritten,
    options: &DeidentifyOptions,
    further: Option<(&str, &str)>,
    dates: Option<Action>,
    encoding: Encoding,
) {
    let text = |tag, vr: &[u8; 2], text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(b' ');
        }
        element(tag, Some(*vr), &bytes, encoding)
    };
    let further = further.map(|(code, meaning)| (code.to_owned(), meaning.to_owned()));
    let codes = method(&options.profile).into_iter().chain(further).flat_map(|(code, meaning)| {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_called_by_the_name_of_its_attribute() {
        for (tag, name) in [
            (Tag(0x0062, 0x0020), "Tracking ID"),
            (Tag(0x0008, 0x0018), "SOP Instance UID"),
            (Tag(0x0010, 0x0030), "Patient's Birth Date"),
            (Tag(0x0029, 0x1010), "Private attributes of this group"),
            (Tag(0x0010, 0xFFFE), "Unknown to the standard"),
        ] {
            assert_eq!(change(tag, Action::Removed, 1).name, name, "{tag}");
        }
    }
}
