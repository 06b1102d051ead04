//! One data set rewritten, element by element, in the encoding that it came in.

use std::collections::BTreeMap;

use dicom_core::dictionary::{DataDictionary, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

use super::profile::{self, Action};
use super::{DeidentificationKey, ProfileOption, clean, safe_private};
use crate::Limits;
use crate::dataset::{Fault, ITEM, SEQUENCE_END, UNDEFINED, Walk};
use crate::syntax::Encoding;

/// How often what was done with which attribute.
pub(super) type Counts = BTreeMap<(Tag, Action), usize>;

/// An element with its header, as bytes.
pub(super) type RawElement = (Tag, Vec<u8>);

/// What a de-identified object says of itself; written anew.
pub(super) const DECLARED: [Tag; 4] = [
    tags::PATIENT_IDENTITY_REMOVED,
    tags::DEIDENTIFICATION_METHOD,
    tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE,
    tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED,
];

pub(super) struct Rewriter<'a> {
    pub(super) options: &'a [ProfileOption],
    pub(super) limits: &'a Limits,
    pub(super) key: &'a mut DeidentificationKey,
    pub(super) pseudonym: String,
    /// Days by which dates move.
    pub(super) days: i64,
    pub(super) counts: Counts,
    /// Whether dates of the object were moved or dropped rather than kept.
    pub(super) dates: Option<Action>,
    pub(super) elements_left: usize,
    /// What the class of the object requires though the table removes it: it gets a dummy (PS3.15 E.1.1).
    pub(super) required: &'static [Tag],
}

/// What a class of objects requires with a value (PS3.3 C.11.10) and the table removes.
pub(super) fn required_by(class: &str) -> &'static [Tag] {
    let is_presentation_state = class.starts_with("1.2.840.10008.5.1.4.1.1.11.");
    if is_presentation_state { &[tags::PRESENTATION_CREATION_DATE, tags::PRESENTATION_CREATION_TIME] } else { &[] }
}

/// A data set split into its elements at the top level: what stands there, and what goes into the new object.
pub(super) struct Rewritten {
    pub(super) elements: Vec<RawElement>,
    /// Elements as they were, where they changed.
    pub(super) changed: Vec<Vec<u8>>,
}

/// An element as found: tag, representation if it names one, value, and the whole of it.
type Found<'a> = (Tag, Option<[u8; 2]>, Value<'a>, &'a [u8]);

/// The elements of a data set, whole; pixel data included. Nothing may be missing or left over.
pub(super) fn split<'a>(
    bytes: &'a [u8],
    encoding: Encoding,
    limits: &'a Limits,
    elements_left: &mut usize,
) -> Result<Vec<Found<'a>>, Fault> {
    let mut walk = Walk { bytes, at: 0, encoding, limits, elements_left: *elements_left };
    let mut elements = Vec::new();
    while walk.at < bytes.len() {
        *elements_left = elements_left.checked_sub(1).ok_or(Fault::Limit)?;
        let start = walk.at;
        let header = walk.header()?;
        if header.tag.0 == 0xFFFE {
            return Err(Fault::Malformed);
        }
        let value = if header.tag == tags::PIXEL_DATA {
            pixels(&mut walk, header.length)?;
            Value::Plain(&[])
        } else if header.length == UNDEFINED {
            walk.encoding = if header.vr == Some(*b"UN") { Encoding::IMPLICIT } else { encoding };
            let inner = walk.encoding;
            let value = walk.sequence(1);
            walk.encoding = encoding;
            Value::Items(value?, inner)
        } else {
            Value::Plain(walk.defined(header.length)?)
        };
        elements.push((header.tag, header.vr, value, &bytes[start..walk.at]));
    }
    Ok(elements)
}

/// What an element holds.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// Bytes; items of a sequence if the representation says so.
    Plain(&'a [u8]),
    /// Items of a sequence of undefined length, and their encoding.
    Items(&'a [u8], Encoding),
}

/// Passes over pixel data, which have to be there in full.
fn pixels(walk: &mut Walk<'_>, length: u32) -> Result<(), Fault> {
    let skip = |walk: &mut Walk<'_>, length: u32| {
        let end = walk.at.checked_add(length as usize).filter(|end| *end <= walk.bytes.len()).ok_or(Fault::CutShort)?;
        walk.at = end;
        Ok(())
    };
    if length != UNDEFINED {
        return skip(walk, length);
    }
    loop {
        let header = walk.header()?;
        match header.tag {
            SEQUENCE_END => return Ok(()),
            ITEM if header.length != UNDEFINED => skip(walk, header.length)?,
            _ => return Err(Fault::Malformed),
        }
    }
}

impl Rewriter<'_> {
    /// Rewrites a data set or an item. `depth` counts sequences.
    pub(super) fn rewrite(&mut self, bytes: &[u8], encoding: Encoding, depth: usize) -> Result<Rewritten, Fault> {
        if depth > self.limits.max_sequence_depth {
            return Err(Fault::Limit);
        }
        let found = split(bytes, encoding, self.limits, &mut self.elements_left)?;
        let creators = safe_private::creators(found.iter().filter_map(|(tag, _, value, _)| match value {
            Value::Plain(bytes) => Some((*tag, *bytes)),
            Value::Items(..) => None,
        }));
        let (mut elements, mut changed) = (Vec::with_capacity(found.len()), Vec::new());
        for (tag, vr, value, raw) in found {
            let new = if depth == 0 && DECLARED.contains(&tag) {
                None
            } else if tag == tags::PIXEL_DATA && depth == 0 {
                Some(raw.to_vec())
            } else if tag.0 % 2 == 1 {
                let safe = self.options.contains(&ProfileOption::RetainSafePrivate)
                    && safe_private::is_safe(tag, &creators)
                    && vr != Some(*b"SQ")
                    && matches!(value, Value::Plain(_));
                self.count(tag, if safe { Action::Kept } else { Action::Removed });
                safe.then(|| raw.to_vec())
            } else {
                self.public(tag, vr, value, raw, encoding, depth)?
            };
            if new.as_deref() != Some(raw) {
                changed.push(raw.to_vec());
            }
            elements.extend(new.map(|bytes| (tag, bytes)));
        }
        Ok(Rewritten { elements, changed })
    }

    fn count(&mut self, tag: Tag, action: Action) {
        // One line for all private attributes of a group, one for all curves and overlays.
        let tag = if tag.0 % 2 == 1 { Tag(tag.0, 0) } else { tag };
        *self.counts.entry((tag, action)).or_default() += 1;
    }

    /// An attribute of the standard: what stands in its place, or nothing.
    fn public(
        &mut self,
        tag: Tag,
        vr: Option<[u8; 2]>,
        value: Value<'_>,
        raw: &[u8],
        encoding: Encoding,
        depth: usize,
    ) -> Result<Option<Vec<u8>>, Fault> {
        // Group lengths would be wrong; groups below 8 belong to messages and file headers.
        if tag.1 == 0 || tag.0 < 8 || tag == tags::PIXEL_DATA {
            return Ok(None);
        }
        let known = StandardDataDictionary.by_tag(tag).map(|entry| match entry.vr {
            VirtualVr::Exact(vr) => vr,
            VirtualVr::Xs | VirtualVr::Lt => VR::US,
            _ => VR::OW,
        });
        let Some(known) = known else {
            // Not of the standard, so nobody can say what it holds.
            self.count(tag, Action::Removed);
            return Ok(None);
        };
        let stated = vr.filter(|vr| vr != b"UN").and_then(VR::from_binary);
        let vr_of = stated.unwrap_or(known);
        let is_sequence = vr_of == VR::SQ || matches!(value, Value::Items(..));
        if is_sequence != (known == VR::SQ) {
            self.count(tag, Action::Removed);
            return Ok(None);
        }
        let (action, basic) = match profile::action(tag, self.options) {
            Some(both) => both,
            None => match self.unlisted(tag, vr_of) {
                Some(both) => both,
                None if is_sequence => return self.items(tag, vr, value, raw, encoding, depth).map(Some),
                None => return Ok(Some(raw.to_vec())),
            },
        };
        let or_dummy = |action| match action {
            Action::Removed if depth == 0 && self.required.contains(&tag) => Action::Replaced,
            action => action,
        };
        let (action, basic) = (or_dummy(action), or_dummy(basic));
        let mut done = action;
        if matches!(vr_of, VR::DA | VR::DT) {
            self.dates = self.dates.max(Some(action));
        }
        let new = if is_sequence {
            let structured =
                [tags::CONTENT_SEQUENCE, tags::ACQUISITION_CONTEXT_SEQUENCE, tags::SPECIMEN_PREPARATION_SEQUENCE];
            let walked = match action {
                Action::Kept | Action::UidMapped => true,
                Action::Cleaned => structured.contains(&tag),
                _ => false,
            };
            if walked {
                Some(self.items(tag, vr, value, raw, encoding, depth)?)
            } else {
                done = if action == Action::Cleaned { basic } else { action };
                self.sequence_without_content(tag, vr, done, value, encoding)
            }
        } else {
            let Value::Plain(bytes) = value else { return Err(Fault::Malformed) };
            let text = || String::from_utf8_lossy(bytes).trim_matches([' ', '\0']).to_owned();
            let cleaned = (action == Action::Cleaned).then(|| match vr_of {
                VR::DA | VR::DT => clean::shifted(&text(), self.days),
                // Days are moved as wholes, so the time of day stays.
                VR::TM => Some(text()),
                VR::LO | VR::SH | VR::ST | VR::LT | VR::UT | VR::UC => clean::description(&text()),
                _ => None,
            });
            if let Some(None) = cleaned {
                done = basic;
            }
            let of = |text: String| padded(text, vr_of);
            match (done, cleaned.flatten()) {
                (Action::Kept, _) => Some(raw.to_vec()),
                (Action::Cleaned, text) => Some(element(tag, vr, &of(text.unwrap_or_default()), encoding)),
                (Action::Removed, _) => None,
                (Action::UidMapped, _) => Some(element(tag, vr, &of(self.uids(&text())), encoding)),
                (Action::Emptied | Action::Replaced, _) if [tags::PATIENT_ID, tags::PATIENT_NAME].contains(&tag) => {
                    Some(element(tag, vr, &of(self.pseudonym.clone()), encoding))
                }
                (Action::Emptied, _) => Some(element(tag, vr, &[], encoding)),
                (Action::Replaced, _) if vr_of == VR::UI => Some(element(tag, vr, &of(self.uids(&text())), encoding)),
                (Action::Replaced, _) => Some(element(tag, vr, &dummy(vr_of), encoding)),
            }
        };
        self.count(tag, done);
        Ok(new)
    }

    /// Attributes that the table does not name but whose kind does: names and dates, and the free text of reports, which the
    /// table covers only through Content Sequence; Tracking ID of segments is the same text as in a report.
    fn unlisted(&self, tag: Tag, vr: VR) -> Option<(Action, Action)> {
        let has = |option| self.options.contains(&option);
        match vr {
            _ if [tags::TEXT_VALUE, tags::TRACKING_ID].contains(&tag) => {
                let clean = has(ProfileOption::CleanStructuredContent);
                Some((if clean { Action::Cleaned } else { Action::Replaced }, Action::Replaced))
            }
            VR::PN => Some((Action::Emptied, Action::Emptied)),
            VR::DA | VR::DT | VR::TM => {
                let action = if has(ProfileOption::RetainFullDates) {
                    Action::Kept
                } else if has(ProfileOption::RetainModifiedDates) {
                    Action::Cleaned
                } else {
                    Action::Emptied
                };
                Some((action, Action::Emptied))
            }
            _ => None,
        }
    }

    /// UIDs replaced one by one; those of the standard itself stay.
    fn uids(&mut self, value: &str) -> String {
        let new = value.split('\\').map(|uid| uid.trim_matches([' ', '\0'])).map(|uid| {
            if uid.is_empty() || uid.starts_with("1.2.840.10008.") { uid.to_owned() } else { self.key.new_uid(uid) }
        });
        new.collect::<Vec<_>>().join("\\")
    }

    /// A sequence whose items are rewritten in turn; the bytes stay as they are if nothing in them changes.
    fn items(
        &mut self,
        tag: Tag,
        vr: Option<[u8; 2]>,
        value: Value<'_>,
        raw: &[u8],
        encoding: Encoding,
        depth: usize,
    ) -> Result<Vec<u8>, Fault> {
        let (bytes, inner) = match value {
            Value::Items(bytes, inner) => (bytes, inner),
            Value::Plain(bytes) => (bytes, if vr == Some(*b"UN") { Encoding::IMPLICIT } else { encoding }),
        };
        let mut walk = Walk { bytes, at: 0, encoding: inner, limits: self.limits, elements_left: self.elements_left };
        let (mut content, mut same) = (Vec::new(), true);
        while walk.at < bytes.len() {
            let old = walk.item(depth + 1)?;
            let new = self.rewrite(old, inner, depth + 1)?;
            same &= new.changed.is_empty();
            let new = join(new.elements);
            if new.len() as u64 > self.limits.max_element_bytes {
                return Err(Fault::Limit);
            }
            content.extend(item(&new, inner));
        }
        Ok(if same { raw.to_vec() } else { element(tag, vr, &content, encoding) })
    }

    /// What is left of a sequence that is not walked: nothing, no item, or one item that means nothing.
    fn sequence_without_content(
        &self,
        tag: Tag,
        vr: Option<[u8; 2]>,
        done: Action,
        value: Value<'_>,
        encoding: Encoding,
    ) -> Option<Vec<u8>> {
        let inner = if vr == Some(*b"UN") { Encoding::IMPLICIT } else { encoding };
        match done {
            Action::Removed => None,
            Action::Emptied => Some(element(tag, vr, &[], encoding)),
            _ if tag == tags::GRAPHIC_ANNOTATION_SEQUENCE => {
                let dummy = dummy_annotation(&self.first_layer(value, inner), inner);
                Some(element(tag, vr, &item(&dummy, inner), encoding))
            }
            _ => Some(element(tag, vr, &item(&dummy_item(tag, inner), inner), encoding)),
        }
    }

    /// The layer of the first annotation. Layers have a sequence of their own, which stays.
    fn first_layer(&self, value: Value<'_>, encoding: Encoding) -> Vec<u8> {
        let (Value::Plain(bytes) | Value::Items(bytes, _)) = value;
        let mut walk = Walk { bytes, at: 0, encoding, limits: self.limits, elements_left: self.elements_left };
        let first = walk.item(1).and_then(|item| split(item, encoding, self.limits, &mut self.elements_left.clone()));
        let layer = first.unwrap_or_default().into_iter().find_map(|(tag, _, value, _)| match value {
            Value::Plain(layer) if tag == tags::GRAPHIC_LAYER && !layer.is_empty() => Some(layer.to_vec()),
            _ => None,
        });
        layer.unwrap_or_else(|| b"REMOVED ".to_vec())
    }
}

/// An annotation that is valid and shows nothing: a point in the corner (PS3.3 C.10.5).
fn dummy_annotation(layer: &[u8], encoding: Encoding) -> Vec<u8> {
    let code = |tag, text: &str| element(tag, Some(*b"CS"), &padded(text.into(), VR::CS), encoding);
    let number = |tag, number: u16| {
        let mut value = Vec::new();
        put_u16(&mut value, number, encoding);
        element(tag, Some(*b"US"), &value, encoding)
    };
    let mut point = code(tags::GRAPHIC_ANNOTATION_UNITS, "DISPLAY");
    point.extend(number(tags::GRAPHIC_DIMENSIONS, 2));
    point.extend(number(tags::NUMBER_OF_GRAPHIC_POINTS, 1));
    point.extend(element(tags::GRAPHIC_DATA, Some(*b"FL"), &[0; 8], encoding));
    point.extend(code(tags::GRAPHIC_TYPE, "POINT"));
    let mut annotation = element(tags::GRAPHIC_LAYER, Some(*b"CS"), layer, encoding);
    annotation.extend(element(tags::GRAPHIC_OBJECT_SEQUENCE, Some(*b"SQ"), &item(&point, encoding), encoding));
    annotation
}

fn dummy_item(tag: Tag, encoding: Encoding) -> Vec<u8> {
    let short = |tag, vr: &[u8; 2], text: &str| element(tag, Some(*vr), &padded(text.into(), VR::LO), encoding);
    let code = |value, scheme, meaning| {
        let mut bytes = short(tags::CODE_VALUE, b"SH", value);
        bytes.extend(short(tags::CODING_SCHEME_DESIGNATOR, b"SH", scheme));
        bytes.extend(short(tags::CODE_MEANING, b"LO", meaning));
        bytes
    };
    if tag == tags::CONTENT_SEQUENCE {
        let mut bytes = short(tags::RELATIONSHIP_TYPE, b"CS", "CONTAINS");
        bytes.extend(short(tags::VALUE_TYPE, b"CS", "TEXT"));
        let concept = item(&code("121106", "DCM", "Comment"), encoding);
        bytes.extend(element(tags::CONCEPT_NAME_CODE_SEQUENCE, Some(*b"SQ"), &concept, encoding));
        bytes.extend(element(tags::TEXT_VALUE, Some(*b"UT"), b"removed ", encoding));
        return bytes;
    }
    let is_code = profile::name(tag).is_some_and(|name| name.contains("Code Sequence"));
    if is_code { code("REMOVED", "99HILUM", "Removed") } else { Vec::new() }
}

/// A value that fits its representation and says nothing.
fn dummy(vr: VR) -> Vec<u8> {
    match vr {
        VR::AS => b"000Y".to_vec(),
        VR::DA => b"19000101".to_vec(),
        VR::DT => b"19000101000000".to_vec(),
        VR::TM => b"000000".to_vec(),
        VR::DS | VR::IS => b"0 ".to_vec(),
        VR::AE | VR::CS => b"REMOVED ".to_vec(),
        VR::LO | VR::LT | VR::PN | VR::SH | VR::ST | VR::UC | VR::UR | VR::UT => b"removed ".to_vec(),
        VR::FD | VR::SV | VR::UV | VR::OD | VR::OV => vec![0; 8],
        VR::FL | VR::SL | VR::UL | VR::AT | VR::OF | VR::OL => vec![0; 4],
        _ => vec![0; 2],
    }
}

fn padded(text: String, vr: VR) -> Vec<u8> {
    let mut bytes = text.into_bytes();
    if bytes.len() % 2 == 1 {
        bytes.push(if vr == VR::UI { 0 } else { b' ' });
    }
    bytes
}

fn put_u16(out: &mut Vec<u8>, number: u16, encoding: Encoding) {
    out.extend(if encoding.big_endian { number.to_be_bytes() } else { number.to_le_bytes() });
}

fn put_u32(out: &mut Vec<u8>, number: u32, encoding: Encoding) {
    out.extend(if encoding.big_endian { number.to_be_bytes() } else { number.to_le_bytes() });
}

/// An element with its header (PS3.5 7.1); `vr` where the encoding is explicit.
pub(super) fn element(tag: Tag, vr: Option<[u8; 2]>, value: &[u8], encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 12);
    put_u16(&mut out, tag.0, encoding);
    put_u16(&mut out, tag.1, encoding);
    let length = u32::try_from(value.len()).expect("values are limited to less than 4 GiB");
    if !encoding.explicit {
        put_u32(&mut out, length, encoding);
    } else {
        let vr = vr.expect("explicit elements have a representation");
        let long =
            [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"].contains(&&vr);
        match u16::try_from(length) {
            Ok(short) if !long => {
                out.extend(vr);
                put_u16(&mut out, short, encoding);
            }
            _ => {
                // A value that has grown too long for its representation is written as UN (PS3.5 6.2.2, note 8).
                out.extend(if long { vr } else { *b"UN" });
                out.extend([0, 0]);
                put_u32(&mut out, length, encoding);
            }
        }
    }
    out.extend(value);
    out
}

/// An item of a sequence with its header.
pub(super) fn item(content: &[u8], encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 8);
    put_u16(&mut out, ITEM.0, encoding);
    put_u16(&mut out, ITEM.1, encoding);
    put_u32(&mut out, u32::try_from(content.len()).expect("items are limited"), encoding);
    out.extend(content);
    out
}

/// The elements one after the other, in the order of their tags.
pub(super) fn join(mut elements: Vec<RawElement>) -> Vec<u8> {
    elements.sort_by_key(|(tag, _)| *tag);
    let bytes: Vec<Vec<u8>> = elements.into_iter().map(|(_, bytes)| bytes).collect();
    bytes.concat()
}
