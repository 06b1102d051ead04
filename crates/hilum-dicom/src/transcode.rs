//! A data set written anew in another encoding: Explicit or Implicit VR Little Endian.

use dicom_core::dictionary::{DataDictionary, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

use crate::Limits;
use crate::dataset::{Fault, ITEM, SEQUENCE_END, UNDEFINED, Walk};
use crate::syntax::Encoding;

/// Rewrites `bytes` from one encoding to another. `pixels`, if given, stand in place of those that are there;
/// encapsulated ones need them.
///
/// From an implicit encoding to an explicit one, representations come from the dictionary; attributes that it does not know
/// become UN (PS3.5 6.2.2).
pub(crate) fn data_set(
    bytes: &[u8],
    from: Encoding,
    to: Encoding,
    pixels: Option<&[u8]>,
    limits: &Limits,
) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(bytes.len() + pixels.map_or(0, <[u8]>::len));
    let mut writer = Writer { to, limits, pixels, elements_left: limits.max_elements, signed: false };
    writer.elements(bytes, from, 0, &mut out)?;
    Ok(out)
}

struct Writer<'a> {
    to: Encoding,
    limits: &'a Limits,
    pixels: Option<&'a [u8]>,
    elements_left: usize,
    /// Whether pixels are signed, which decides between US and SS.
    signed: bool,
}

impl Writer<'_> {
    fn elements(&mut self, bytes: &[u8], from: Encoding, depth: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        if depth > self.limits.max_sequence_depth {
            return Err(Fault::Limit);
        }
        let mut walk = Walk { bytes, at: 0, encoding: from, limits: self.limits, elements_left: self.elements_left };
        let mut bits_allocated = 16;
        while walk.at < bytes.len() {
            self.elements_left = self.elements_left.checked_sub(1).ok_or(Fault::Limit)?;
            walk.elements_left = self.elements_left;
            let header = walk.header()?;
            if header.tag.0 == 0xFFFE {
                return Err(Fault::Malformed);
            }
            let vr = header.vr.unwrap_or_else(|| self.known(header.tag, bits_allocated));
            if header.tag == tags::PIXEL_DATA && depth == 0 {
                self.pixel_data(&mut walk, header.length, vr, bits_allocated, from, out)?;
                continue;
            }
            if header.length == UNDEFINED {
                let inner = if header.vr == Some(*b"UN") { Encoding::IMPLICIT } else { from };
                walk.encoding = inner;
                let items = walk.sequence(depth + 1);
                walk.encoding = from;
                self.sequence(header.tag, items?, inner, depth, out)?;
                continue;
            }
            let value = walk.defined(header.length)?;
            if header.tag.1 == 0 {
                continue; // The length of a group would be another one now.
            }
            match header.tag {
                tags::BITS_ALLOCATED if depth == 0 => bits_allocated = first_u16(value, from).unwrap_or(16),
                tags::PIXEL_REPRESENTATION if depth == 0 => self.signed = first_u16(value, from) == Some(1),
                _ => {}
            }
            if vr == *b"SQ" {
                self.sequence(header.tag, value, from, depth, out)?;
            } else {
                let length = u32::try_from(value.len()).map_err(|_| Fault::Limit)?;
                self.header(header.tag, vr, length, out)?;
                push_value(value, vr, from, out);
            }
        }
        Ok(())
    }

    fn sequence(
        &mut self,
        tag: Tag,
        items: &[u8],
        from: Encoding,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        self.header(tag, *b"SQ", UNDEFINED, out)?;
        let mut walk =
            Walk { bytes: items, at: 0, encoding: from, limits: self.limits, elements_left: self.elements_left };
        while walk.at < items.len() {
            let content = walk.item(depth + 1)?;
            delimiter(ITEM, UNDEFINED, out);
            self.elements(content, from, depth + 1, out)?;
            delimiter(Tag(0xFFFE, 0xE00D), 0, out);
        }
        delimiter(SEQUENCE_END, 0, out);
        Ok(())
    }

    fn pixel_data(
        &mut self,
        walk: &mut Walk<'_>,
        length: u32,
        vr: [u8; 2],
        bits_allocated: u16,
        from: Encoding,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if let Some(pixels) = self.pixels {
            let vr = if bits_allocated > 8 { *b"OW" } else { *b"OB" };
            let even = pixels.len() + pixels.len() % 2;
            self.header(tags::PIXEL_DATA, vr, u32::try_from(even).map_err(|_| Fault::Limit)?, out)?;
            out.extend(pixels);
            out.resize(out.len() + even - pixels.len(), 0);
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
        if length == UNDEFINED {
            return Err(Fault::Malformed);
        }
        let start = walk.at;
        skip(walk, length)?;
        self.header(tags::PIXEL_DATA, vr, length, out)?;
        // Words of pixels are swapped as words; those of 8 bits in OW of big-endian files lie swapped too (PS3.5 A.3).
        push_value(&walk.bytes[start..walk.at], vr, from, out);
        Ok(())
    }

    fn header(&self, tag: Tag, vr: [u8; 2], length: u32, out: &mut Vec<u8>) -> Result<(), Fault> {
        out.extend(tag.0.to_le_bytes());
        out.extend(tag.1.to_le_bytes());
        if !self.to.explicit {
            out.extend(length.to_le_bytes());
            return Ok(());
        }
        let long =
            [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"].contains(&&vr);
        match u16::try_from(length) {
            Ok(short) if !long => {
                out.extend(vr);
                out.extend(short.to_le_bytes());
            }
            _ => {
                // A value too long for its representation is written as UN (PS3.5 6.2.2, note 8).
                out.extend(if long { vr } else { *b"UN" });
                out.extend([0, 0]);
                out.extend(length.to_le_bytes());
            }
        }
        Ok(())
    }

    /// The representation that the dictionary gives.
    fn known(&self, tag: Tag, bits_allocated: u16) -> [u8; 2] {
        let Some(entry) = StandardDataDictionary.by_tag(tag) else {
            return if tag.0 % 2 == 1 && (0x10..=0xFF).contains(&tag.1) { *b"LO" } else { *b"UN" };
        };
        let vr = match entry.vr {
            VirtualVr::Exact(vr) => vr,
            VirtualVr::Xs => {
                if self.signed {
                    VR::SS
                } else {
                    VR::US
                }
            }
            VirtualVr::Px if bits_allocated <= 8 => VR::OB,
            _ => VR::OW,
        };
        let text = vr.to_bytes();
        [text[0], text[1]]
    }
}

fn skip(walk: &mut Walk<'_>, length: u32) -> Result<(), Fault> {
    let end = walk.at.checked_add(length as usize).filter(|end| *end <= walk.bytes.len()).ok_or(Fault::CutShort)?;
    walk.at = end;
    Ok(())
}

fn first_u16(value: &[u8], from: Encoding) -> Option<u16> {
    let word = [*value.first()?, *value.get(1)?];
    Some(if from.big_endian { u16::from_be_bytes(word) } else { u16::from_le_bytes(word) })
}

fn delimiter(tag: Tag, length: u32, out: &mut Vec<u8>) {
    out.extend(tag.0.to_le_bytes());
    out.extend(tag.1.to_le_bytes());
    out.extend(length.to_le_bytes());
}

/// The value lowest byte first.
fn push_value(value: &[u8], vr: [u8; 2], from: Encoding, out: &mut Vec<u8>) {
    let word = match &vr {
        b"US" | b"SS" | b"AT" | b"OW" => 2,
        b"UL" | b"SL" | b"FL" | b"OF" | b"OL" => 4,
        b"FD" | b"OD" | b"SV" | b"UV" | b"OV" => 8,
        _ => 1,
    };
    if !from.big_endian || word == 1 {
        out.extend(value);
        return;
    }
    for piece in value.chunks(word) {
        out.extend(piece.iter().rev());
    }
}
