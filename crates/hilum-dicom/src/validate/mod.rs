//! Objects held against the standard: required attributes of their modules, representations, numbers of values, and what
//! objects of one folder say of each other.
//!
//! Tables of PS3.3 cover what a chest CT and its results consist of; other classes get the checks that hold for every
//! object. This is a check for the everyday: `dciodvfy` of dicom3tools knows more of each class, and is used in the tests of what
//! Hilum writes.

mod modules;
mod objects;
mod together;
mod values;

use std::collections::BTreeSet;

use dicom_dictionary_std::tags;

use crate::dataset::Dataset;
use crate::part10::Layout;
use crate::scan::SkipReason;
use crate::syntax::Encoding;
use crate::{InstanceIdentity, Limits, list_elements};

pub use together::check_together;

/// How much a departure from the standard matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// Programs may stumble over it, or it looks like a mistake.
    Warning,
    /// The standard forbids it.
    Error,
}

/// One departure from the standard. It holds no value of the object, only places and rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Departure {
    /// How much it matters.
    pub gravity: Gravity,
    /// The attribute, with items counted from 1: `SegmentSequence[2].SegmentNumber`; empty for the object as a whole.
    pub place: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// An object that was checked.
#[derive(Clone, Debug)]
pub struct CheckedObject {
    /// What it is.
    pub identity: InstanceIdentity,
    /// The name of its class, if the tables have it.
    pub class: Option<&'static str>,
    /// What is wrong with it by itself, in the order of its elements; no more than a thousand.
    pub departures: Vec<Departure>,
    /// Objects that it refers to: class and instance.
    pub(crate) references: BTreeSet<(String, String)>,
    pub(crate) belongs: together::Belongs,
}

/// What is listed at most of one object.
const DEPARTURES_MAX: usize = 1000;

/// Checks a file.
///
/// # Errors
/// [`SkipReason`] if it cannot be read as DICOM at all.
pub fn check_object(bytes: &[u8], limits: &Limits) -> Result<CheckedObject, SkipReason> {
    let listed = list_elements(bytes, limits)?;
    let (start, encoding, content) = match Layout::of(bytes, limits) {
        Ok(layout) => (layout.start(), layout.syntax.encoding, layout.content(bytes, limits)?),
        Err(SkipReason::TransferSyntax) => {
            let (start, _) = Layout::foreign(bytes, limits).ok_or(SkipReason::TransferSyntax)?;
            (start, Encoding::EXPLICIT, bytes[start..].into())
        }
        Err(reason) => return Err(reason),
    };
    let data = Dataset::parse(&content, encoding, limits)?;
    let instance = crate::Instance::of(bytes, limits)?;
    let identity = instance.identity().clone();
    let mut found = Found::default();
    let class = modules::class_of(&identity.sop_class_uid);
    file_head(bytes, start, &identity, limits, &mut found);
    values::check(&listed, &mut found);
    if let Some(class) = class {
        modules::check(class, &data, &mut found);
    }
    objects::check(&identity.sop_class_uid, &data, &mut found);
    let mut departures = found.0;
    departures.truncate(DEPARTURES_MAX);
    Ok(CheckedObject {
        class: class.map(|c| c.name),
        departures,
        references: together::references(&listed),
        belongs: together::Belongs::of(&data),
        identity,
    })
}

/// What was found so far.
#[derive(Default)]
struct Found(Vec<Departure>);

impl Found {
    fn add(&mut self, gravity: Gravity, place: impl Into<String>, problem: impl Into<String>) {
        // Enough to see what is the matter; a file of a million elements has no more to say.
        if self.0.len() <= DEPARTURES_MAX {
            self.0.push(Departure { gravity, place: place.into(), problem: problem.into() });
        }
    }

    fn error(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.add(Gravity::Error, place, problem);
    }

    fn warning(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.add(Gravity::Warning, place, problem);
    }
}

/// Preamble and file meta information (PS3.10 7.1).
fn file_head(bytes: &[u8], start: usize, identity: &InstanceIdentity, limits: &Limits, found: &mut Found) {
    if bytes.get(128..132) != Some(b"DICM") {
        found.error("", "the file has no preamble with DICM behind it (PS3.10 7.1)");
        return;
    }
    if bytes[..128].iter().any(|b| *b != 0) {
        let executable = bytes.starts_with(b"MZ") || bytes.starts_with(b"\x7FELF") || bytes.starts_with(b"#!");
        let what = if executable { "starts like an executable" } else { "is not empty" };
        found.warning("", format!("the preamble {what}: blank it before the file goes anywhere"));
    }
    let Ok((meta, _)) = Dataset::parse_meta(&bytes[132..start.max(132)], limits) else { return };
    for (tag, name) in [
        (tags::FILE_META_INFORMATION_VERSION, "FileMetaInformationVersion"),
        (tags::MEDIA_STORAGE_SOP_CLASS_UID, "MediaStorageSOPClassUID"),
        (tags::MEDIA_STORAGE_SOP_INSTANCE_UID, "MediaStorageSOPInstanceUID"),
        (tags::TRANSFER_SYNTAX_UID, "TransferSyntaxUID"),
        (tags::IMPLEMENTATION_CLASS_UID, "ImplementationClassUID"),
    ] {
        if meta.bytes(tag).is_none_or(<[u8]>::is_empty) {
            found.error(name, "required in file meta information (PS3.10 7.1)");
        }
    }
    for (tag, name, own) in [
        (tags::MEDIA_STORAGE_SOP_CLASS_UID, "MediaStorageSOPClassUID", &identity.sop_class_uid),
        (tags::MEDIA_STORAGE_SOP_INSTANCE_UID, "MediaStorageSOPInstanceUID", &identity.sop_instance_uid),
    ] {
        if meta.text(tag).is_some_and(|stated| stated != *own) {
            found.error(name, "differs from that of the data set");
        }
    }
}
