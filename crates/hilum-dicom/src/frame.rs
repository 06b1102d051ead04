//! One frame of an object, from bytes to HU.

use crate::Limits;
use crate::codec::{self, FrameSize};
use crate::dataset::PixelData;
use crate::decode_workers;
use crate::image::{Frame, PixelLayout};
use crate::scan::SkipReason;
use crate::syntax::{Codec, Syntax};

/// The HU that padding becomes: nothing, outside the reconstructed circle.
pub(crate) const PADDING_HU: i16 = -1024;

/// The bytes of frame `index` of `frames`. Borrowed where a frame is one piece.
pub(crate) fn frame_bytes<'a>(
    pixels: &'a PixelData<'a>,
    layout: &PixelLayout,
    index: usize,
    frames: usize,
) -> Result<std::borrow::Cow<'a, [u8]>, SkipReason> {
    match pixels {
        PixelData::Native { bytes, declared } => {
            refuse_excess(*declared, layout, frames)?;
            let size = layout.frame_bytes();
            let start = index.checked_mul(size).ok_or(SkipReason::Damaged)?;
            Ok(bytes.get(start..start + size).ok_or(SkipReason::CutShort)?.into())
        }
        PixelData::Fragments { offsets, fragments, complete } => {
            let short = if *complete { SkipReason::Damaged } else { SkipReason::CutShort };
            if frames == 1 {
                return match fragments[..] {
                    [] => Err(short),
                    [only] => Ok(only.into()),
                    _ => Ok(fragments.concat().into()),
                };
            }
            if fragments.len() == frames {
                return Ok(fragments[index].into());
            }
            // Several fragments per frame: the basic offset table says where frames begin (PS3.5 A.4), or else the start
            // of a JPEG or JPEG 2000 stream does.
            let starts = if offsets.len() == 4 * frames {
                let mut starts = Vec::with_capacity(frames);
                let (mut at, mut fragment) = (0usize, 0usize);
                for offset in offsets.chunks_exact(4) {
                    let offset = u32::from_le_bytes([offset[0], offset[1], offset[2], offset[3]]) as usize;
                    while at < offset && fragment < fragments.len() {
                        at += 8 + fragments[fragment].len();
                        fragment += 1;
                    }
                    if at != offset {
                        return Err(SkipReason::Damaged);
                    }
                    starts.push(fragment);
                }
                starts
            } else {
                let begins = |f: &&[u8]| f.starts_with(&[0xFF, 0xD8]) || f.starts_with(&[0xFF, 0x4F]);
                fragments.iter().enumerate().filter(|(_, f)| begins(f)).map(|(n, _)| n).collect()
            };
            if starts.len() != frames {
                return Err(short);
            }
            let end = starts.get(index + 1).copied().unwrap_or(fragments.len());
            Ok(fragments.get(starts[index]..end).ok_or(SkipReason::Damaged)?.concat().into())
        }
    }
}

/// Refuses native pixels that are more than the image the header describes: a row or a column of another number would make
/// another picture of them. Less than that is padding.
pub(crate) fn refuse_excess(declared: u64, layout: &PixelLayout, frames: usize) -> Result<(), SkipReason> {
    let needed = layout.frame_bytes() as u64 * frames as u64;
    let line = layout.rows.min(layout.columns) * usize::from(layout.bits_allocated.div_ceil(8));
    // One byte of padding is always allowed (PS3.5 8.1.1).
    let padding = (line as u64).max(2);
    if declared.saturating_sub(needed) >= padding { Err(SkipReason::ExcessPixels) } else { Ok(()) }
}

/// A frame up to this size may come from any number of bytes: a slice of nothing but air packs to a few.
const SMALL_FRAME_BYTES: u64 = 8 << 20;

/// The stored numbers of a frame as the words they were unpacked to, by a worker if the limits name one.
pub(crate) fn stored(
    bytes: &[u8],
    layout: &PixelLayout,
    syntax: Syntax,
    limits: &Limits,
) -> Result<Vec<u16>, SkipReason> {
    let most = (bytes.len() as u64).saturating_mul(limits.max_unpack_ratio).max(SMALL_FRAME_BYTES);
    if 2 * layout.pixels() as u64 > most {
        return Err(SkipReason::TooLarge);
    }
    let size = FrameSize {
        rows: layout.rows,
        columns: layout.columns,
        bits_allocated: layout.bits_allocated,
        bits_stored: layout.bits_stored,
    };
    let stored = match &limits.decoders {
        Some(workers) if decode_workers::takes(syntax.codec) => workers.decode(syntax.codec, bytes, size)?,
        _ => codec::decode_guarded(syntax.codec, bytes, size, syntax.encoding.big_endian)
            .map_err(|_| SkipReason::Damaged)?,
    };
    // A codestream says itself how many bits it has; numbers beyond those of the data set contradict it.
    if syntax.codec.states_precision() && holds_more_bits(&stored, layout) {
        return Err(SkipReason::Damaged);
    }
    Ok(stored)
}

/// Whether numbers need more bits than Bits Stored, other than to repeat the sign.
pub(crate) fn holds_more_bits(stored: &[u16], layout: &PixelLayout) -> bool {
    let (bits, high) = (u32::from(layout.bits_stored), u32::from(layout.high_bit));
    if bits == 0 || bits >= 16 || high >= 16 || high + 1 < bits {
        return false;
    }
    let shift = high + 1 - bits;
    let unused = !(((1u32 << bits) - 1) << shift) as u16;
    if !layout.signed || shift > 0 {
        return stored.iter().fold(0, |all, word| all | word) & unused != 0;
    }
    let repeated = |word: u16| word & unused == 0 || (word & unused == unused && word >> (bits - 1) & 1 == 1);
    !stored.iter().all(|word| repeated(*word))
}

/// Whether the syntax gives words of 16 bits whatever Bits Allocated says.
pub(crate) fn bits_fit(layout: &PixelLayout, codec: Codec) -> bool {
    let allocated = matches!(layout.bits_allocated, 8 | 16);
    let stored = layout.bits_stored >= 1 && layout.bits_stored <= layout.bits_allocated;
    // PS3.5 8.1.1: High Bit is one less than Bits Stored. Others were legal once, but only unpacked.
    let (high, lowest) = (u32::from(layout.high_bit) + 1, u32::from(layout.bits_stored));
    let placed = high == lowest || (codec == Codec::Native && high > lowest && high <= layout.bits_allocated.into());
    allocated && stored && placed && layout.sign_is_known
}

/// The way from stored words to HU: every possible word with its result.
pub(crate) struct Rescale {
    table: Vec<i16>,
    shift: u32,
    mask: u16,
}

impl Rescale {
    /// HU = slope × stored + intercept (PS3.3 C.11.1), rounded and clamped to 16 bits; padding becomes
    /// [`PADDING_HU`] (PS3.3 C.7.5.1.1.2). Bits beyond Bits Stored, where overlays used to be kept, are ignored.
    pub(crate) fn new(layout: &PixelLayout, (slope, intercept): (f64, f64)) -> Self {
        let bits = u32::from(layout.bits_stored.clamp(1, 16));
        let padding = padding_applies(layout, (slope, intercept)).then_some(layout.padding).flatten();
        let table = (0..1u32 << bits)
            .map(|word| {
                let stored = signed_value(word, bits, layout.signed);
                if padding.is_some_and(|(low, high)| (low..=high).contains(&stored)) {
                    return PADDING_HU;
                }
                let hu = slope * f64::from(stored) + intercept;
                hu.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
            })
            .collect();
        let shift = (u32::from(layout.high_bit) + 1).saturating_sub(bits).min(15);
        Self { table, shift, mask: ((1u32 << bits) - 1) as u16 }
    }

    pub(crate) fn apply(&self, stored: &[u16], hu: &mut [i16]) {
        for (hu, word) in hu.iter_mut().zip(stored) {
            *hu = self.table[usize::from(word >> self.shift & self.mask)];
        }
    }
}

/// The number that a word stands for; bits beyond Bits Stored are ignored.
pub(crate) fn stored_number(word: u16, layout: &PixelLayout) -> i32 {
    let bits = u32::from(layout.bits_stored.clamp(1, 16));
    let shift = (u32::from(layout.high_bit) + 1).saturating_sub(bits).min(15);
    signed_value(u32::from(word >> shift) & ((1 << bits) - 1), bits, layout.signed)
}

/// The word that stands for a number; unused bits above repeat its sign, those below are zero.
pub(crate) fn word_of(number: i32, layout: &PixelLayout) -> u16 {
    let bits = u32::from(layout.bits_stored.clamp(1, 16));
    let shift = (u32::from(layout.high_bit) + 1).saturating_sub(bits).min(15);
    if shift == 0 { number as u16 } else { ((number & ((1 << bits) - 1)) as u16) << shift }
}

fn signed_value(word: u32, bits: u32, signed: bool) -> i32 {
    if signed && word >> (bits - 1) & 1 == 1 { word as i32 - (1 << bits) } else { word as i32 }
}

/// Whether the padding value can be believed: some converters write 0 into images whose 0 is water. Padding that stands
/// for something from lung to metal is pixels like others.
pub(crate) fn padding_applies(layout: &PixelLayout, (slope, intercept): (f64, f64)) -> bool {
    layout.padding.is_some_and(|(low, high)| {
        let hu = |stored: i32| slope * f64::from(stored) + intercept;
        (hu(low) <= -1000.0 && hu(high) <= -1000.0) || (hu(low) >= 4000.0 && hu(high) >= 4000.0)
    })
}

/// The span of HU that the bits of a frame can tell apart.
pub(crate) fn hu_span(layout: &PixelLayout, frame: &Frame) -> f64 {
    frame.rescale.map_or(0.0, |(slope, _)| slope.abs() * f64::from((1u32 << layout.bits_stored.clamp(1, 16)) - 1))
}
