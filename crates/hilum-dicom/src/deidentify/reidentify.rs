//! The way back for who has the key.

use std::collections::BTreeSet;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::rewrite::{self, join};
use super::{DeidentificationKey, Deidentified, deface, encoding_mark, part10};
use crate::code::is_uid;
use crate::dataset::Dataset;
use crate::part10::Layout;
use crate::scan::SkipReason;
use crate::{Error, Limits};

/// Brings back the original of a de-identified file: its data set to the byte, with new meta information.
///
/// # Errors
/// [`Error::Key`] if the file is no DICOM file, did not come from this key, was packed anew into another encoding since,
/// or was defaced: its pixels are gone, and the original's attributes around other pixels would be no original.
pub fn reidentify(bytes: &[u8], key: &DeidentificationKey, limits: &Limits) -> Result<Deidentified, Error> {
    let wrong = |why: &str| Error::Key(why.to_owned());
    let unread = |reason: SkipReason| Error::Key(reason.to_string());
    let layout = Layout::of(bytes, limits).map_err(unread)?;
    let content = layout.content(bytes, limits).map_err(unread)?;
    let encoding = layout.syntax.encoding;
    let text = |bytes: &[u8], tag| Dataset::parse(bytes, encoding, limits).ok()?.text(tag).filter(|uid| is_uid(uid));
    let instance = text(&content, tags::SOP_INSTANCE_UID).ok_or_else(|| wrong("the object has no valid UID"))?;
    let mut originals = key.originals(&instance).ok_or_else(|| wrong("the object is not known to this key"))?;
    // The object says it too: the same key may have given it out with its face in another run.
    let says_so = Dataset::parse(&content, encoding, limits).is_ok_and(|dataset| deface::is_defaced(&dataset));
    if says_so || originals.first().is_some_and(|mark| mark == deface::KEY_MARK) {
        return Err(wrong(
            "the face was blanked in this image, and the key does not hold its pixels: the original is in the archive alone",
        ));
    }
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
