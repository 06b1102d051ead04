//! DICOM files taken apart and put together byte by byte, so that any of it can be wrong. It shares no code with the reader.

use std::io::{Read, Write};
use std::path::PathBuf;

/// How elements are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Form {
    pub(crate) explicit: bool,
    pub(crate) big_endian: bool,
}

pub(crate) const EXPLICIT: Form = Form { explicit: true, big_endian: false };

pub(crate) const UNDEFINED: u32 = u32::MAX;
pub(crate) const PIXEL_DATA: u32 = 0x7FE0_0010;

/// An element whose length field may say anything.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    /// Group and element as one number.
    pub(crate) tag: u32,
    pub(crate) vr: [u8; 2],
    pub(crate) value: Vec<u8>,
    /// What the length field says, if not the truth.
    pub(crate) declared: Option<u32>,
}

/// A file in parts.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) preamble: Vec<u8>,
    pub(crate) meta: Vec<Element>,
    pub(crate) form: Form,
    pub(crate) deflated: bool,
    pub(crate) elements: Vec<Element>,
}

fn is_long(vr: [u8; 2]) -> bool {
    [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"].contains(&&vr)
}

impl Form {
    pub(crate) fn u16(self, n: u16) -> [u8; 2] {
        if self.big_endian { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    pub(crate) fn u32(self, n: u32) -> [u8; 4] {
        if self.big_endian { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    fn read_u32(self, bytes: &[u8]) -> u32 {
        let b = bytes[..4].try_into().unwrap();
        if self.big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) }
    }

    fn read_u16(self, bytes: &[u8]) -> u16 {
        let b = bytes[..2].try_into().unwrap();
        if self.big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) }
    }

    pub(crate) fn tag(self, tag: u32) -> Vec<u8> {
        [self.u16((tag >> 16) as u16), self.u16(tag as u16)].concat()
    }

    /// Tag and length of an item or a delimiter.
    pub(crate) fn item(self, tag: u32, length: u32) -> Vec<u8> {
        [self.tag(tag), self.u32(length).to_vec()].concat()
    }

    pub(crate) fn header(self, tag: u32, vr: [u8; 2], length: u32) -> Vec<u8> {
        let mut out = self.tag(tag);
        if !self.explicit {
            out.extend(self.u32(length));
        } else if is_long(vr) {
            out.extend(vr);
            out.extend([0, 0]);
            out.extend(self.u32(length));
        } else {
            out.extend(vr);
            out.extend(self.u16(length as u16));
        }
        out
    }

    /// Elements of a well-formed fixture. Sequences there have a defined length, encapsulated pixels are kept with their items.
    fn split(self, mut bytes: &[u8], while_group: impl Fn(u16) -> bool) -> (Vec<Element>, usize) {
        let all = bytes.len();
        let mut elements = Vec::new();
        while bytes.len() >= 8 && while_group(self.read_u16(bytes)) {
            let tag = u32::from(self.read_u16(bytes)) << 16 | u32::from(self.read_u16(&bytes[2..]));
            let vr = if self.explicit { [bytes[4], bytes[5]] } else { *b"  " };
            let (length, header) = match (self.explicit, is_long(vr)) {
                (false, _) => (self.read_u32(&bytes[4..]), 8),
                (true, true) => (self.read_u32(&bytes[8..]), 12),
                (true, false) => (u32::from(self.read_u16(&bytes[6..])), 8),
            };
            let (count, declared) = if length == UNDEFINED {
                assert_eq!(tag, PIXEL_DATA, "fixtures have defined lengths");
                (bytes.len() - header, Some(UNDEFINED))
            } else {
                (length as usize, None)
            };
            elements.push(Element { tag, vr, value: bytes[header..header + count].to_vec(), declared });
            bytes = &bytes[header + count..];
        }
        (elements, all - bytes.len())
    }
}

impl Element {
    pub(crate) fn write(&self, form: Form) -> Vec<u8> {
        let mut out = form.header(self.tag, self.vr, self.declared.unwrap_or(self.value.len() as u32));
        out.extend(&self.value);
        out
    }
}

impl Object {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let preamble = bytes[..128].to_vec();
        assert_eq!(&bytes[128..132], b"DICM");
        let (meta, length) = EXPLICIT.split(&bytes[132..], |group| group == 2);
        let rest = &bytes[132 + length..];
        let mut object = Self { preamble, meta, form: EXPLICIT, deflated: false, elements: Vec::new() };
        match &object.syntax()[..] {
            "1.2.840.10008.1.2" => object.form.explicit = false,
            "1.2.840.10008.1.2.2" => object.form.big_endian = true,
            "1.2.840.10008.1.2.1.99" => object.deflated = true,
            _ => {}
        }
        let mut content = rest.to_vec();
        if object.deflated {
            content.clear();
            flate2::read::DeflateDecoder::new(rest).read_to_end(&mut content).unwrap();
        }
        object.elements = object.form.split(&content, |_| true).0;
        object
    }

    pub(crate) fn syntax(&self) -> String {
        let value = &self.meta.iter().find(|e| e.tag == 0x0002_0010).unwrap().value;
        String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()
    }

    /// Says another transfer syntax than the one it is written in.
    pub(crate) fn claim(&mut self, uid: &str) {
        let place = self.meta.iter_mut().find(|e| e.tag == 0x0002_0010).unwrap();
        place.value = uid.as_bytes().to_vec();
        if place.value.len() % 2 == 1 {
            place.value.push(0);
        }
    }

    /// Preamble, magic and meta information with its true group length.
    pub(crate) fn head(&self) -> Vec<u8> {
        let meta: Vec<u8> = self.meta.iter().filter(|e| e.tag != 0x0002_0000).flat_map(|e| e.write(EXPLICIT)).collect();
        let length =
            Element { tag: 0x0002_0000, vr: *b"UL", value: (meta.len() as u32).to_le_bytes().to_vec(), declared: None };
        [&self.preamble[..], b"DICM", &length.write(EXPLICIT), &meta].concat()
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        self.elements.iter().flat_map(|e| e.write(self.form)).collect()
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        self.with_content(&self.content())
    }

    /// The file with other bytes for a data set, deflated where it says so.
    pub(crate) fn with_content(&self, content: &[u8]) -> Vec<u8> {
        let mut out = self.head();
        if self.deflated {
            let mut packed = flate2::write::DeflateEncoder::new(out, flate2::Compression::best());
            packed.write_all(content).unwrap();
            return packed.finish().unwrap();
        }
        out.extend(content);
        out
    }

    pub(crate) fn element(&mut self, tag: u32) -> &mut Element {
        self.elements.iter_mut().find(|e| e.tag == tag).unwrap_or_else(|| panic!("no {tag:08X}"))
    }

    pub(crate) fn value(&self, tag: u32) -> &[u8] {
        &self.elements.iter().find(|e| e.tag == tag).unwrap().value
    }

    /// Sets or adds an element, at its place in the order of tags; text gets its padding.
    pub(crate) fn set(&mut self, tag: u32, vr: &[u8; 2], value: &[u8]) {
        let mut value = value.to_vec();
        if value.len() % 2 == 1 {
            value.push(if vr == b"UI" { 0 } else { b' ' });
        }
        let new = Element { tag, vr: *vr, value, declared: None };
        match self.elements.binary_search_by_key(&tag, |e| e.tag) {
            Ok(at) => self.elements[at] = new,
            Err(at) => self.elements.insert(at, new),
        }
    }

    pub(crate) fn set_u16(&mut self, tag: u32, number: u16) {
        let value = self.form.u16(number);
        self.set(tag, b"US", &value);
    }

    pub(crate) fn remove(&mut self, tag: u32) {
        self.elements.retain(|e| e.tag != tag);
    }

    /// The fragments of encapsulated pixel data, the offset table first.
    pub(crate) fn fragments(&self) -> Vec<Vec<u8>> {
        let mut rest = self.value(PIXEL_DATA);
        let mut found = Vec::new();
        while rest[..4] == [0xFE, 0xFF, 0x00, 0xE0] {
            let length = EXPLICIT.read_u32(&rest[4..]) as usize;
            found.push(rest[8..8 + length].to_vec());
            rest = &rest[8 + length..];
        }
        found
    }

    /// Replaces the pixel data by these fragments, the offset table first.
    pub(crate) fn encapsulate(&mut self, fragments: &[Vec<u8>]) {
        let mut value = Vec::new();
        for fragment in fragments {
            value.extend(EXPLICIT.item(0xFFFE_E000, fragment.len() as u32));
            value.extend(fragment);
        }
        value.extend(EXPLICIT.item(0xFFFE_E0DD, 0));
        self.raw_pixels(value);
    }

    /// Encapsulated pixel data as these bytes, items and delimiter included.
    pub(crate) fn raw_pixels(&mut self, value: Vec<u8>) {
        self.remove(PIXEL_DATA);
        self.elements.push(Element { tag: PIXEL_DATA, vr: *b"OB", value, declared: Some(UNDEFINED) });
    }
}

/// The files of a fixture of `tests/data/syntax`, by name.
pub(crate) fn fixture(name: &str) -> Vec<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/syntax/{name}.zip"));
    let mut zip = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    (0..zip.len())
        .map(|n| {
            let mut bytes = Vec::new();
            zip.by_index(n).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        })
        .collect()
}
