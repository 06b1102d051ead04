//! The elements of a DICOM data set, found without copying and without believing any length.
//!
//! Foreign files are walked here rather than by dicom-rs because dicom-rs allocates what a length field claims: a file
//! of 5 KB can ask for gigabytes. Here a length is compared with the bytes that are there before it is used, nesting
//! and number of elements are limited, and values are slices of the input. Sequences are opened only when asked for.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::Limits;
use crate::charset::Charset;
use crate::syntax::Encoding;

pub(crate) const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
pub(crate) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
pub(crate) const UNDEFINED: u32 = u32::MAX;

/// Why a data set cannot be walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// An element reaches beyond the bytes.
    #[error("the file is cut short")]
    CutShort,
    /// The bytes are not elements.
    #[error("the file is damaged")]
    Malformed,
    /// A limit was met.
    #[error("the file exceeds the limits on nesting, number or size of elements")]
    Limit,
}

/// The pixel data of a data set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PixelData<'a> {
    /// One piece with the length the element declares, which may be more than the bytes that are there.
    Native { bytes: &'a [u8], declared: u64 },
    /// Fragments with the basic offset table; `complete` if the sequence is closed.
    Fragments { offsets: &'a [u8], fragments: Vec<&'a [u8]>, complete: bool },
}

/// An element: its tag and its value, without the delimiters of a sequence.
#[derive(Clone, Copy, Debug)]
struct Element<'a> {
    tag: Tag,
    value: &'a [u8],
    encoding: Encoding,
    /// The value representation, if the element names it.
    vr: Option<[u8; 2]>,
}

/// Elements up to the pixel data.
#[derive(Clone, Debug)]
pub(crate) struct Dataset<'a> {
    elements: Vec<Element<'a>>,
    encoding: Encoding,
    /// The bytes after the header of the pixel data element, and the length it declares.
    pixels: Option<(&'a [u8], u32)>,
    /// Bytes before those.
    pixel_offset: usize,
    limits: &'a Limits,
    charset: Charset,
    depth: usize,
}

impl<'a> Dataset<'a> {
    /// Walks `bytes` up to the pixel data, or to the end if there are none.
    pub(crate) fn parse(bytes: &'a [u8], encoding: Encoding, limits: &'a Limits) -> Result<Self, Fault> {
        Self::parse_item(bytes, encoding, limits, 0, Charset::default())
    }

    /// Walks the file meta information: group 2, always Explicit VR Little Endian (PS3.10 7.1). Returns the elements and
    /// where the data set begins.
    pub(crate) fn parse_meta(bytes: &'a [u8], limits: &'a Limits) -> Result<(Self, usize), Fault> {
        let mut walk = Walk { bytes, at: 0, encoding: Encoding::EXPLICIT, limits, elements_left: 1000 };
        let mut elements = Vec::new();
        while walk.peek_group() == Some(2) {
            elements.push(walk.element(0)?);
        }
        refuse_contradictions(&elements)?;
        let (at, charset) = (walk.at, Charset::default());
        Ok((
            Self { elements, encoding: Encoding::EXPLICIT, pixels: None, pixel_offset: 0, limits, charset, depth: 0 },
            at,
        ))
    }

    fn parse_item(
        bytes: &'a [u8],
        encoding: Encoding,
        limits: &'a Limits,
        depth: usize,
        charset: Charset,
    ) -> Result<Self, Fault> {
        let mut walk = Walk { bytes, at: 0, encoding, limits, elements_left: limits.max_elements };
        let mut elements = Vec::new();
        let mut pixels = None;
        while walk.at < bytes.len() {
            let start = walk.at;
            let header = walk.header()?;
            if header.tag == tags::PIXEL_DATA && depth == 0 {
                pixels = Some((&bytes[walk.at..], header.length));
                break;
            }
            walk.at = start;
            elements.push(walk.element(depth)?);
        }
        refuse_contradictions(&elements)?;
        let pixel_offset = walk.at;
        let mut dataset = Self { elements, encoding, pixels, pixel_offset, limits, charset, depth };
        if let Some(value) = dataset.bytes(tags::SPECIFIC_CHARACTER_SET) {
            dataset.charset = Charset::of(value);
        }
        Ok(dataset)
    }

    /// Whether there is no element at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.elements.is_empty() && self.pixels.is_none()
    }

    /// How text is to be read.
    pub(crate) fn charset(&self) -> Charset {
        self.charset.clone()
    }

    pub(crate) fn has_pixels(&self) -> bool {
        self.pixels.is_some()
    }

    /// Where the pixels begin, counted from the start of the data set.
    pub(crate) fn pixel_offset(&self) -> usize {
        self.pixel_offset
    }

    fn element(&self, tag: Tag) -> Option<&Element<'a>> {
        self.elements.iter().find(|e| e.tag == tag)
    }

    /// The value as it stands; `None` if absent.
    pub(crate) fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        self.element(tag).map(|e| e.value)
    }

    /// The text, trimmed of padding; `None` if absent or empty. Backslashes separate several values.
    pub(crate) fn text(&self, tag: Tag) -> Option<String> {
        let bytes = self.bytes(tag)?;
        let text = self.charset.decode(bytes);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The values of a Decimal or Integer String; `None` if absent, empty or not numbers.
    pub(crate) fn numbers(&self, tag: Tag) -> Option<Vec<f64>> {
        let text = self.text(tag)?;
        let numbers: Vec<f64> =
            text.split('\\').map(|v| v.trim().parse::<f64>().ok().filter(|v| v.is_finite())).collect::<Option<_>>()?;
        Some(numbers)
    }

    /// Exactly `N` numbers.
    pub(crate) fn exactly<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        self.numbers(tag)?.try_into().ok()
    }

    /// The one number of a Decimal or Integer String.
    pub(crate) fn number(&self, tag: Tag) -> Option<f64> {
        self.exactly(tag).map(|[number]| number)
    }

    /// The one 16-bit number (US, or SS as its bit pattern); `None` if absent or something else. A longer number of which two
    /// bytes were taken would be another one.
    pub(crate) fn u16(&self, tag: Tag) -> Option<u16> {
        let element = self.element(tag)?;
        if element.vr.is_some_and(|vr| ![*b"US", *b"SS", *b"UN"].contains(&vr)) {
            return None;
        }
        let value: [u8; 2] = element.value.try_into().ok()?;
        Some(if element.encoding.big_endian { u16::from_be_bytes(value) } else { u16::from_le_bytes(value) })
    }

    /// The value in words of `N` bytes, lowest byte first; empty if absent, a fault if the element says that it is
    /// something else or holds a part of a word.
    fn words<const N: usize>(&self, tag: Tag, vrs: &[[u8; 2]]) -> Result<Vec<[u8; N]>, Fault> {
        let Some(element) = self.element(tag) else { return Ok(Vec::new()) };
        if element.vr.is_some_and(|vr| vr != *b"UN" && !vrs.contains(&vr)) {
            return Err(Fault::Malformed);
        }
        let (words, []) = element.value.as_chunks::<N>() else { return Err(Fault::Malformed) };
        let mut words = words.to_vec();
        if element.encoding.big_endian {
            words.iter_mut().for_each(|word| word.reverse());
        }
        Ok(words)
    }

    /// All 16-bit numbers (US).
    pub(crate) fn u16s(&self, tag: Tag) -> Result<Vec<u16>, Fault> {
        Ok(self.words(tag, &[*b"US"])?.into_iter().map(u16::from_le_bytes).collect())
    }

    /// All numbers of single precision (FL).
    pub(crate) fn f32s(&self, tag: Tag) -> Result<Vec<f32>, Fault> {
        Ok(self.words(tag, &[*b"FL"])?.into_iter().map(f32::from_le_bytes).collect())
    }

    /// All numbers of double precision (FD).
    pub(crate) fn f64s(&self, tag: Tag) -> Result<Vec<f64>, Fault> {
        Ok(self.words(tag, &[*b"FD"])?.into_iter().map(f64::from_le_bytes).collect())
    }

    /// Whether an element is absent, or a sequence as far as it says.
    pub(crate) fn is_sequence_if_present(&self, tag: Tag) -> bool {
        self.element(tag).is_none_or(|e| e.vr.is_none_or(|vr| [*b"SQ", *b"UN"].contains(&vr)))
    }

    /// The items of a sequence; empty if absent.
    pub(crate) fn items(&self, tag: Tag) -> Result<Vec<Dataset<'a>>, Fault> {
        let Some(element) = self.element(tag) else { return Ok(Vec::new()) };
        let depth = self.depth + 1;
        if depth > self.limits.max_sequence_depth {
            return Err(Fault::Limit);
        }
        let mut walk = Walk {
            bytes: element.value,
            at: 0,
            encoding: element.encoding,
            limits: self.limits,
            elements_left: self.limits.max_elements,
        };
        let mut items = Vec::new();
        while walk.at < walk.bytes.len() {
            let content = walk.item(depth)?;
            items.push(Self::parse_item(content, element.encoding, self.limits, depth, self.charset.clone())?);
        }
        Ok(items)
    }

    /// The first item of a sequence, if there is one.
    pub(crate) fn first_item(&self, tag: Tag) -> Option<Dataset<'a>> {
        self.items(tag).ok()?.into_iter().next()
    }

    /// The pixel data, if there are any.
    pub(crate) fn pixel_data(&self) -> Result<Option<PixelData<'a>>, Fault> {
        let Some((bytes, length)) = self.pixels else { return Ok(None) };
        if length != UNDEFINED {
            let declared = u64::from(length);
            let bytes = &bytes[..bytes.len().min(length as usize)];
            return Ok(Some(PixelData::Native { bytes, declared }));
        }
        let limits = self.limits;
        let mut walk = Walk { bytes, at: 0, encoding: self.encoding, limits, elements_left: limits.max_elements };
        let mut pieces = Vec::new();
        let mut complete = false;
        while walk.at < bytes.len() {
            let Ok(header) = walk.header() else { break };
            if header.tag == SEQUENCE_END {
                complete = true;
                break;
            }
            if header.tag != ITEM || header.length == UNDEFINED {
                return Err(Fault::Malformed);
            }
            let rest = &bytes[walk.at..];
            if header.length as usize > rest.len() {
                // The last fragment is cut; what is there of it is not worth decoding.
                break;
            }
            pieces.push(&rest[..header.length as usize]);
            walk.at += header.length as usize;
        }
        if pieces.is_empty() {
            return Err(Fault::CutShort);
        }
        let offsets = pieces.remove(0);
        Ok(Some(PixelData::Fragments { offsets, fragments: pieces, complete }))
    }

    /// How many bytes the pixel data element declares, where it does.
    pub(crate) fn declared_pixel_bytes(&self) -> Option<u64> {
        self.pixels.and_then(|(_, length)| (length != UNDEFINED).then_some(u64::from(length)))
    }
}

/// Refuses a data set in which an attribute of the standard is there twice with different values: which one counts is nowhere
/// said, and readers differ in it. Elements in another order than that of their tags are let pass.
fn refuse_contradictions(elements: &[Element<'_>]) -> Result<(), Fault> {
    if elements.is_sorted_by(|a, b| a.tag < b.tag) {
        return Ok(());
    }
    let mut sorted: Vec<&Element<'_>> = elements.iter().filter(|e| e.tag.0 % 2 == 0).collect();
    sorted.sort_by_key(|e| e.tag);
    let contradiction = sorted.windows(2).any(|w| w[0].tag == w[1].tag && w[0].value != w[1].value);
    if contradiction { Err(Fault::Malformed) } else { Ok(()) }
}

pub(crate) struct Header {
    pub(crate) tag: Tag,
    pub(crate) vr: Option<[u8; 2]>,
    pub(crate) length: u32,
}

/// A position in bytes that are walked element by element.
pub(crate) struct Walk<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
    pub(crate) encoding: Encoding,
    pub(crate) limits: &'a Limits,
    pub(crate) elements_left: usize,
}

impl<'a> Walk<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let field = self.bytes.get(self.at..self.at + N).ok_or(Fault::CutShort)?;
        self.at += N;
        Ok(field.try_into().expect("the slice has N bytes"))
    }

    fn u16(&mut self) -> Result<u16, Fault> {
        let field = self.take()?;
        Ok(if self.encoding.big_endian { u16::from_be_bytes(field) } else { u16::from_le_bytes(field) })
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        let field = self.take()?;
        Ok(if self.encoding.big_endian { u32::from_be_bytes(field) } else { u32::from_le_bytes(field) })
    }

    fn peek_group(&self) -> Option<u16> {
        let field = self.bytes.get(self.at..self.at + 2)?;
        Some(u16::from_le_bytes([field[0], field[1]]))
    }

    /// Tag, value representation and length (PS3.5 7.1). Delimiters and items have no value representation.
    pub(crate) fn header(&mut self) -> Result<Header, Fault> {
        let tag = Tag(self.u16()?, self.u16()?);
        if !self.encoding.explicit || tag.0 == 0xFFFE {
            return Ok(Header { tag, vr: None, length: self.u32()? });
        }
        let vr = self.take::<2>()?;
        let length = match &vr {
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV" => {
                self.take::<2>()?;
                self.u32()?
            }
            b"AE" | b"AS" | b"AT" | b"CS" | b"DA" | b"DS" | b"DT" | b"FD" | b"FL" | b"IS" | b"LO" | b"LT" | b"PN"
            | b"SH" | b"SL" | b"SS" | b"ST" | b"TM" | b"UI" | b"UL" | b"US" => u32::from(self.u16()?),
            // An unknown representation could have either kind of length; guessing would misread all that follows.
            _ => return Err(Fault::Malformed),
        };
        Ok(Header { tag, vr: Some(vr), length })
    }

    /// One whole element, sequences with all they hold.
    fn element(&mut self, depth: usize) -> Result<Element<'a>, Fault> {
        self.elements_left = self.elements_left.checked_sub(1).ok_or(Fault::Limit)?;
        let outer = self.encoding;
        let header = self.header()?;
        if header.tag.0 == 0xFFFE {
            return Err(Fault::Malformed);
        }
        // A sequence of unknown representation is written implicitly (PS3.5 6.2.2, note 4).
        let inner = if header.vr == Some(*b"UN") { Encoding::IMPLICIT } else { outer };
        let value = if header.length == UNDEFINED {
            self.encoding = inner;
            let value = self.sequence(depth + 1);
            self.encoding = outer;
            value?
        } else {
            self.defined(header.length)?
        };
        Ok(Element { tag: header.tag, value, encoding: inner, vr: header.vr })
    }

    pub(crate) fn defined(&mut self, length: u32) -> Result<&'a [u8], Fault> {
        if u64::from(length) > self.limits.max_element_bytes {
            return Err(Fault::Limit);
        }
        let end = self.at.checked_add(length as usize).ok_or(Fault::Limit)?;
        let value = self.bytes.get(self.at..end).ok_or(Fault::CutShort)?;
        self.at = end;
        Ok(value)
    }

    /// The items of a sequence of undefined length, delimiter passed but not returned.
    pub(crate) fn sequence(&mut self, depth: usize) -> Result<&'a [u8], Fault> {
        if depth > self.limits.max_sequence_depth {
            return Err(Fault::Limit);
        }
        let start = self.at;
        loop {
            let end = self.at;
            let header = self.header()?;
            if header.tag == SEQUENCE_END {
                return Ok(&self.bytes[start..end]);
            }
            self.at = end;
            self.item(depth)?;
        }
    }

    /// One item with its header; returns its content.
    pub(crate) fn item(&mut self, depth: usize) -> Result<&'a [u8], Fault> {
        self.elements_left = self.elements_left.checked_sub(1).ok_or(Fault::Limit)?;
        let header = self.header()?;
        if header.tag != ITEM {
            return Err(Fault::Malformed);
        }
        if header.length != UNDEFINED {
            return self.defined(header.length);
        }
        let start = self.at;
        loop {
            let end = self.at;
            let header = self.header()?;
            if header.tag == ITEM_END {
                return Ok(&self.bytes[start..end]);
            }
            self.at = end;
            self.element(depth)?;
        }
    }
}
