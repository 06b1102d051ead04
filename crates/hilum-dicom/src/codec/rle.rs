//! RLE Lossless (PS3.5 Annex G): one PackBits segment per byte of a pixel, the high byte first.

use super::{FrameSize, Undecodable};

pub(super) fn decode(bytes: &[u8], size: FrameSize) -> Result<Vec<u16>, Undecodable> {
    let header = bytes.get(..64).ok_or(Undecodable)?;
    let word = |n: usize| u32::from_le_bytes([header[4 * n], header[4 * n + 1], header[4 * n + 2], header[4 * n + 3]]);
    let segments = word(0) as usize;
    if segments != usize::from(size.bits_allocated.div_ceil(8)) || segments == 0 {
        return Err(Undecodable);
    }
    let pixels = size.rows * size.columns;
    // Segments come one after the other, right behind the header (G.5).
    let starts: Vec<usize> = (0..segments).map(|n| word(1 + n) as usize).collect();
    if starts[0] != 64 || !starts.is_sorted() {
        return Err(Undecodable);
    }
    let mut stored = vec![0u16; pixels];
    for segment in 0..segments {
        let end = starts.get(segment + 1).copied().unwrap_or(bytes.len());
        let packed = bytes.get(starts[segment]..end).ok_or(Undecodable)?;
        let shift = 8 * (segments - 1 - segment);
        unpack(packed, &mut stored, |pixel, byte| *pixel |= u16::from(byte) << shift)?;
    }
    Ok(stored)
}

/// Bytes of padding that a segment may have behind its runs: one makes it even (PS3.5 G.3.1), some writers align to four.
const PADDING: usize = 3;

/// Runs of PackBits until every pixel has its byte (PS3.5 G.3.2). Bytes that are left over are those of a larger image.
fn unpack(packed: &[u8], pixels: &mut [u16], put: impl Fn(&mut u16, u8)) -> Result<(), Undecodable> {
    let mut at = 0;
    let mut filled = 0;
    while filled < pixels.len() {
        let control = *packed.get(at).ok_or(Undecodable)? as i8;
        at += 1;
        let rest = &mut pixels[filled..];
        match control {
            -128 => {}
            0.. => {
                let count = control as usize + 1;
                let literal = packed.get(at..at + count).ok_or(Undecodable)?;
                rest.iter_mut().zip(literal).for_each(|(pixel, byte)| put(pixel, *byte));
                at += count;
                filled += count;
            }
            _ => {
                let count = 1 - isize::from(control);
                let byte = *packed.get(at).ok_or(Undecodable)?;
                rest.iter_mut().take(count as usize).for_each(|pixel| put(pixel, byte));
                at += 1;
                filled += count as usize;
            }
        }
    }
    // A last run may be one longer where an encoder made the number of bytes even.
    let left = &packed[at..];
    if filled > pixels.len() + 1 || left.len() > PADDING || left.iter().any(|b| *b != 0) {
        return Err(Undecodable);
    }
    Ok(())
}
