//! Unpacking one frame of one component. All decoders are memory-safe Rust and are given the size the header declares,
//! which was checked against the limits, so a frame cannot ask for more memory than that.

mod jpeg_lossless;
mod rle;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::syntax::Codec;

/// What a frame is expected to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameSize {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// 8 or 16; 1 in segmentations.
    pub(crate) bits_allocated: u16,
    /// How many bits of the number count.
    pub(crate) bits_stored: u16,
}

impl FrameSize {
    /// Bytes of a frame that is not packed.
    fn bytes(self) -> usize {
        (self.rows * self.columns * usize::from(self.bits_allocated)).div_ceil(8)
    }

    /// Whether a codestream of this precision can be what the data set describes: writers put either Bits Stored or Bits
    /// Allocated there.
    fn agrees_with(self, precision: u8) -> bool {
        (self.bits_stored..=self.bits_allocated).contains(&u16::from(precision))
    }
}

/// A frame that cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Undecodable;

/// The stored numbers of a frame, row by row, each in the low bits of its word; signed numbers in two's complement.
pub(crate) fn decode(codec: Codec, bytes: &[u8], size: FrameSize, big_endian: bool) -> Result<Vec<u16>, Undecodable> {
    let stored = match codec {
        Codec::Native => native(bytes, size, big_endian)?,
        // A fragment of another length is another thing than a frame; one byte may be padding.
        Codec::Encapsulated if bytes.len() - bytes.len().min(size.bytes()) > 1 => return Err(Undecodable),
        Codec::Encapsulated => native(bytes, size, big_endian)?,
        Codec::DeflatedFrames => native(&inflated(bytes, size)?, size, big_endian)?,
        Codec::Rle => rle::decode(bytes, size)?,
        Codec::JpegLossless => jpeg_lossless::decode(bytes, size)?,
        Codec::JpegLs => jpeg_ls(bytes, size)?,
        Codec::Jpeg2000 => jpeg_2000(bytes, size)?,
    };
    if stored.len() == size.rows * size.columns { Ok(stored) } else { Err(Undecodable) }
}

/// As [`decode`]; a decoder that panics makes a damaged frame, not a crash.
pub(crate) fn decode_guarded(
    codec: Codec,
    bytes: &[u8],
    size: FrameSize,
    big_endian: bool,
) -> Result<Vec<u16>, Undecodable> {
    catch_unwind(AssertUnwindSafe(|| decode(codec, bytes, size, big_endian))).unwrap_or(Err(Undecodable))
}

/// A deflated frame, of which no more is unpacked than a frame has.
fn inflated(bytes: &[u8], size: FrameSize) -> Result<Vec<u8>, Undecodable> {
    use std::io::Read;
    let needed = size.bytes();
    let mut frame = Vec::new();
    // One byte more is padding, two are another frame than the one described.
    let mut inflate = flate2::bufread::DeflateDecoder::new(bytes).take(needed as u64 + 2);
    inflate.read_to_end(&mut frame).map_err(|_| Undecodable)?;
    if (needed..=needed + 1).contains(&frame.len()) { Ok(frame) } else { Err(Undecodable) }
}

fn native(bytes: &[u8], size: FrameSize, big_endian: bool) -> Result<Vec<u16>, Undecodable> {
    let pixels = size.rows * size.columns;
    match size.bits_allocated {
        // Segmentations: eight pixels in a byte, the first in its lowest bit (PS3.5 8.1.1).
        1 => {
            let bits = bytes.get(..pixels.div_ceil(8)).ok_or(Undecodable)?;
            Ok((0..pixels).map(|n| u16::from(bits[n / 8] >> (n % 8) & 1)).collect())
        }
        8 => Ok(bytes.get(..pixels).ok_or(Undecodable)?.iter().map(|b| u16::from(*b)).collect()),
        16 => {
            let words = bytes.get(..2 * pixels).ok_or(Undecodable)?.chunks_exact(2).map(|w| [w[0], w[1]]);
            Ok(if big_endian {
                words.map(u16::from_be_bytes).collect()
            } else {
                words.map(u16::from_le_bytes).collect()
            })
        }
        _ => Err(Undecodable),
    }
}

fn jpeg_ls(bytes: &[u8], size: FrameSize) -> Result<Vec<u16>, Undecodable> {
    let (columns, rows) = (size.columns as u32, size.rows as u32);
    // SOF55 (ISO/IEC 14495-1 C.2.2): marker, length, precision.
    let frame_header = bytes.windows(5).find(|w| w[..2] == [0xFF, 0xF7]).ok_or(Undecodable)?;
    if !size.agrees_with(frame_header[4]) {
        return Err(Undecodable);
    }
    // The decoder refuses a stream whose frame header names another size.
    let (stored, width, height) = jpegls::decode(bytes, columns, rows).map_err(|_| Undecodable)?;
    if (width, height) == (columns, rows) { Ok(stored) } else { Err(Undecodable) }
}

/// JPEG 2000, by a decoder that knows unsigned components only. A signed one is declared unsigned for it: then the
/// decoder adds half the range, as it must to unsigned components (ISO/IEC 15444-1 G.1.2), which is taken off again.
fn jpeg_2000(bytes: &[u8], size: FrameSize) -> Result<Vec<u16>, Undecodable> {
    use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};
    let (precision, signed) = component(bytes)?;
    // Some vendors pack fewer bits than Bits Stored says; CT with fewer than ten does not exist.
    let least = size.bits_stored.min(10);
    if u16::from(precision) < least || u16::from(precision) > size.bits_allocated.max(8) || !is_whole(bytes) {
        return Err(Undecodable);
    }
    let mut unsigned = std::borrow::Cow::Borrowed(bytes);
    if signed {
        unsigned.to_mut()[COMPONENT_BYTE] &= 0x7F;
    }
    let image = Image::new(&unsigned, &DecodeSettings::default()).map_err(|_| Undecodable)?;
    if (image.width() as usize, image.height() as usize) != (size.columns, size.rows) {
        return Err(Undecodable);
    }
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(|_| Undecodable)?;
    let [component] = decoded.components() else { return Err(Undecodable) };
    let half = if signed { 1 << (precision - 1) } else { 0 };
    // Whole numbers of up to 16 bits are exact in single precision.
    Ok(component.samples().iter().map(|value| (value.round() as i32 - half) as u16).collect())
}

/// Whether every tile-part is there to the last byte. The decoder fills what is missing with something, which is meant for
/// pictures on the web.
fn is_whole(bytes: &[u8]) -> bool {
    let word = |at: usize| bytes.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]]));
    let long = |at: usize| bytes.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    let mut at = 2;
    let mut parts = 0;
    loop {
        match word(at) {
            // SOT (ISO/IEC 15444-1 A.4.2): marker, length, tile, length of the tile-part from the marker on.
            Some(0xFF90) => match long(at + 6) {
                // The last tile-part may go on to the end, which is then marked.
                Some(0) => return without_padding(bytes).ends_with(&[0xFF, 0xD9]),
                Some(length) if length >= 14 && length as usize <= bytes.len() - at => {
                    (at, parts) = (at + length as usize, parts + 1);
                }
                _ => return false,
            },
            // EOC; its absence alone loses nothing.
            Some(0xFFD9) | None => return parts > 0,
            Some(marker) if marker >= 0xFF4F && parts == 0 => match word(at + 2) {
                Some(length) if length >= 2 => at += 2 + usize::from(length),
                _ => return false,
            },
            // Padding behind the last tile-part.
            Some(0) => return parts > 0,
            _ => return false,
        }
    }
}

/// The bytes up to the last that is not zero.
fn without_padding(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// Where precision and sign of the first component stand in a codestream: SIZ comes right after SOC (ISO/IEC 15444-1
/// A.5.1).
const COMPONENT_BYTE: usize = 42;

/// Precision and sign of the only component. DICOM holds bare codestreams, not JP2 files (PS3.5 A.4.4).
fn component(bytes: &[u8]) -> Result<(u8, bool), Undecodable> {
    let one_component = bytes.get(40..42) == Some(&[0, 1]);
    if !bytes.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]) || !one_component {
        return Err(Undecodable);
    }
    let byte = *bytes.get(COMPONENT_BYTE).ok_or(Undecodable)?;
    let precision = (byte & 0x7F) + 1;
    if precision > 16 { Err(Undecodable) } else { Ok((precision, byte & 0x80 != 0)) }
}
