//! Every element of an object, listed for people.

use std::fmt::Write;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use crate::Limits;
use crate::charset::Charset;
use crate::dataset::{Dataset, Fault, ITEM, SEQUENCE_END, UNDEFINED, Walk};
use crate::deidentify::is_identifying;
use crate::part10::Layout;
use crate::scan::SkipReason;
use crate::syntax::{Encoding, Syntax};

/// One element of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedElement {
    /// How many sequences it lies in.
    pub depth: usize,
    /// The number of its item in the innermost sequence, from 1; 0 at the top.
    pub item: usize,
    /// Group and element number.
    pub tag: (u16, u16),
    /// Value representation, as the object or else the dictionary names it.
    pub vr: String,
    /// Its keyword in the standard, empty for private and unknown attributes.
    pub keyword: &'static str,
    /// Bytes of the value; `None` for sequences and encapsulated pixels.
    pub length: Option<usize>,
    /// What it holds.
    pub value: ListedValue,
    /// Whether PS3.15 Annex E counts it among what can identify a person, or it is private and nobody can say.
    pub identifying: bool,
}

/// What an element holds.
#[derive(Clone, Debug, PartialEq)]
pub enum ListedValue {
    /// Values of text or numbers, as text.
    Values(ListedValues),
    /// Bytes that mean nothing to people.
    Bytes,
    /// A sequence of so many items, whose elements follow.
    Sequence(usize),
    /// Encapsulated pixels in so many fragments.
    Fragments(usize),
}

/// The values of an element, as text without padding. They lie in one piece: contours have millions of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedValues {
    text: String,
    count: usize,
}

impl ListedValues {
    /// One after the other. A text that cannot have several values may hold backslashes.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.text.splitn(self.count, '\\')
    }

    /// How many there are, empty ones too; none in an element without a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the element has no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them, with backslashes between.
    #[must_use]
    pub fn joined(&self) -> &str {
        &self.text
    }

    fn push(&mut self, value: impl std::fmt::Display) {
        let parted = if self.count > 0 { "\\" } else { "" };
        let _ = write!(self.text, "{parted}{value}"); // into memory, which cannot fail
        self.count += 1;
    }
}

impl<T: std::fmt::Display> FromIterator<T> for ListedValues {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut all = Self::default();
        values.into_iter().for_each(|value| all.push(value));
        all
    }
}

/// Lists the elements of a file, file meta information first.
///
/// # Errors
/// [`SkipReason`] if it is no DICOM file, is damaged, or exceeds the limits.
pub fn list_elements(bytes: &[u8], limits: &Limits) -> Result<Vec<ListedElement>, SkipReason> {
    let mut listed = Vec::new();
    let (start, syntax) = match Layout::of(bytes, limits) {
        Ok(layout) => (layout.start(), layout.syntax),
        Err(SkipReason::TransferSyntax) => {
            let (start, _) = Layout::foreign(bytes, limits).ok_or(SkipReason::TransferSyntax)?;
            (start, Syntax::native(Encoding::EXPLICIT))
        }
        Err(reason) => return Err(reason),
    };
    let meta_start = [132, 4, 0].into_iter().find(|at| *at < start && bytes[*at..].starts_with(&[2, 0]));
    let mut lister = Lister::new(limits, &mut listed);
    if let Some(at) = meta_start {
        lister.elements(&bytes[at..start], Encoding::EXPLICIT, 0, 0, &Charset::default())?;
    }
    let content = Layout::of_data_set(syntax).content(&bytes[start..], limits)?;
    let charset = Dataset::parse(&content, syntax.encoding, limits)?.charset();
    lister.elements(&content, syntax.encoding, 0, 0, &charset)?;
    Ok(listed)
}

/// Lists the elements of a data set in Explicit or Implicit VR Little Endian, such as the answer to a query.
///
/// # Errors
/// As [`list_elements`].
pub fn list_data_set(bytes: &[u8], explicit: bool, limits: &Limits) -> Result<Vec<ListedElement>, SkipReason> {
    let encoding = if explicit { Encoding::EXPLICIT } else { Encoding::IMPLICIT };
    let mut listed = Vec::new();
    let charset = Dataset::parse(bytes, encoding, limits)?.charset();
    let mut lister = Lister::new(limits, &mut listed);
    lister.elements(bytes, encoding, 0, 0, &charset)?;
    Ok(listed)
}

struct Lister<'a> {
    limits: &'a Limits,
    elements_left: usize,
    /// Bytes that the text of values may still take.
    text_left: usize,
    listed: &'a mut Vec<ListedElement>,
    /// Whether pixels are signed, which decides between US and SS.
    signed: bool,
}

impl<'a> Lister<'a> {
    fn new(limits: &'a Limits, listed: &'a mut Vec<ListedElement>) -> Self {
        let (elements_left, text_left) = (limits.max_elements, limits.max_listed_bytes);
        Self { limits, elements_left, text_left, listed, signed: false }
    }

    fn elements(
        &mut self,
        bytes: &[u8],
        encoding: Encoding,
        depth: usize,
        item: usize,
        charset: &Charset,
    ) -> Result<(), Fault> {
        if depth > self.limits.max_sequence_depth {
            return Err(Fault::Limit);
        }
        let mut walk = Walk { bytes, at: 0, encoding, limits: self.limits, elements_left: self.elements_left };
        while walk.at < bytes.len() {
            self.elements_left = self.elements_left.checked_sub(1).ok_or(Fault::Limit)?;
            walk.elements_left = self.elements_left;
            let header = walk.header()?;
            if header.tag.0 == 0xFFFE {
                return Err(Fault::Malformed);
            }
            let tag = header.tag;
            let (known, keyword) = self.known(tag);
            let vr = header.vr.filter(|vr| vr != b"UN").unwrap_or(known);
            let one = |length, value| ListedElement {
                depth,
                item,
                tag: (tag.0, tag.1),
                vr: String::from_utf8_lossy(&vr).into_owned(),
                keyword,
                length,
                value,
                identifying: tag.0 % 2 == 1 || is_identifying(tag),
            };
            let is_pixels = tag == dicom_dictionary_std::tags::PIXEL_DATA;
            if header.length == UNDEFINED && is_pixels {
                let fragments = fragments(&mut walk)?;
                self.listed.push(one(None, ListedValue::Fragments(fragments)));
            } else if header.length == UNDEFINED || vr == *b"SQ" {
                let inner = if header.vr == Some(*b"UN") { Encoding::IMPLICIT } else { encoding };
                let items = if header.length == UNDEFINED {
                    walk.encoding = inner;
                    let items = walk.sequence(depth + 1);
                    walk.encoding = encoding;
                    items?
                } else {
                    walk.defined(header.length)?
                };
                let place = self.listed.len();
                self.listed.push(one(None, ListedValue::Sequence(0)));
                let mut walk = Walk {
                    bytes: items,
                    at: 0,
                    encoding: inner,
                    limits: self.limits,
                    elements_left: self.elements_left,
                };
                let mut count = 0;
                while walk.at < items.len() {
                    let content = walk.item(depth + 1)?;
                    count += 1;
                    self.elements(content, inner, depth + 1, count, charset)?;
                }
                self.listed[place].value = ListedValue::Sequence(count);
            } else if is_pixels {
                let left = bytes.len() - walk.at;
                let length = (header.length as usize).min(left);
                walk.at += length;
                self.listed.push(one(Some(length), ListedValue::Bytes));
            } else {
                let value = walk.defined(header.length)?;
                if tag == dicom_dictionary_std::tags::PIXEL_REPRESENTATION {
                    self.signed = value.first() == Some(&1);
                }
                let listed = match values(value, vr, encoding, charset, self.text_left)? {
                    Some(values) => {
                        self.text_left = self.text_left.checked_sub(values.text.len()).ok_or(Fault::Limit)?;
                        ListedValue::Values(values)
                    }
                    None => ListedValue::Bytes,
                };
                self.listed.push(one(Some(value.len()), listed));
            }
        }
        Ok(())
    }

    fn known(&self, tag: Tag) -> ([u8; 2], &'static str) {
        let Some(entry) = StandardDataDictionary.by_tag(tag) else {
            return (if tag.1 == 0 { *b"UL" } else { *b"UN" }, "");
        };
        let vr = match entry.vr {
            VirtualVr::Exact(vr) => vr,
            VirtualVr::Xs if self.signed => VR::SS,
            VirtualVr::Xs => VR::US,
            _ => VR::OW,
        };
        let text = vr.to_bytes();
        ([text[0], text[1]], entry.alias())
    }
}

fn fragments(walk: &mut Walk<'_>) -> Result<usize, Fault> {
    let mut count = 0usize;
    loop {
        let header = walk.header()?;
        match header.tag {
            SEQUENCE_END => return Ok(count.saturating_sub(1)), // the offset table is none
            ITEM if header.length != UNDEFINED => {
                let end = walk.at.checked_add(header.length as usize).filter(|end| *end <= walk.bytes.len());
                walk.at = end.ok_or(Fault::CutShort)?;
                count += 1;
            }
            _ => return Err(Fault::Malformed),
        }
    }
}

/// The values of an element as text of hardly more than `limit` bytes; none of bytes that mean nothing to people.
fn values(
    value: &[u8],
    vr: [u8; 2],
    encoding: Encoding,
    charset: &Charset,
    limit: usize,
) -> Result<Option<ListedValues>, Fault> {
    let big = encoding.big_endian;
    let words = |values| words_as_text(values, limit);
    let all = match &vr {
        b"US" => words(&mut each(value, big).map(|w| u16::from_le_bytes(w).to_string()))?,
        b"SS" => words(&mut each(value, big).map(|w| i16::from_le_bytes(w).to_string()))?,
        b"UL" => words(&mut each(value, big).map(|w| u32::from_le_bytes(w).to_string()))?,
        b"SL" => words(&mut each(value, big).map(|w| i32::from_le_bytes(w).to_string()))?,
        b"FL" => words(&mut each(value, big).map(|w| f32::from_le_bytes(w).to_string()))?,
        b"FD" => words(&mut each(value, big).map(|w| f64::from_le_bytes(w).to_string()))?,
        b"UV" => words(&mut each(value, big).map(|w| u64::from_le_bytes(w).to_string()))?,
        b"SV" => words(&mut each(value, big).map(|w| i64::from_le_bytes(w).to_string()))?,
        b"AT" => {
            let half = |a, b| if big { u16::from_be_bytes([a, b]) } else { u16::from_le_bytes([a, b]) };
            let pair = |w: &[u8; 4]| format!("({:04X},{:04X})", half(w[0], w[1]), half(w[2], w[3]));
            words(&mut value.as_chunks::<4>().0.iter().map(pair))?
        }
        b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"UN" => return Ok(None),
        _ if value.len() > limit => return Err(Fault::Limit),
        _ => {
            let text = charset.decode(value);
            let trimmed = |v: &str| v.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned();
            match &vr {
                _ if text.is_empty() => ListedValues::default(),
                b"LT" | b"ST" | b"UT" | b"UR" => std::iter::once(trimmed(&text)).collect(),
                _ => text.split('\\').map(trimmed).collect(),
            }
        }
    };
    Ok(Some(all))
}

/// Words of so many bytes, least significant byte first.
fn each<const N: usize>(value: &[u8], big_endian: bool) -> impl Iterator<Item = [u8; N]> {
    value.as_chunks::<N>().0.iter().map(move |word| {
        let mut word = *word;
        if big_endian {
            word.reverse();
        }
        word
    })
}

fn words_as_text(words: &mut dyn Iterator<Item = String>, limit: usize) -> Result<ListedValues, Fault> {
    let mut all = ListedValues::default();
    for word in words {
        all.push(word);
        if all.text.len() > limit {
            return Err(Fault::Limit);
        }
    }
    Ok(all)
}
