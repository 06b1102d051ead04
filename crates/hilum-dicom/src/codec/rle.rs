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
    let mut stored = vec![0u16; pixels];
    for segment in 0..segments {
        let start = word(1 + segment) as usize;
        let end = if segment + 1 < segments { word(2 + segment) as usize } else { bytes.len() };
        let packed = bytes.get(start..end).ok_or(Undecodable)?;
        let shift = 8 * (segments - 1 - segment);
        unpack(packed, &mut stored, |pixel, byte| *pixel |= u16::from(byte) << shift)?;
    }
    Ok(stored)
}

/// Runs of PackBits until every pixel has its byte (PS3.5 G.3.2).
fn unpack(packed: &[u8], pixels: &mut [u16], put: impl Fn(&mut u16, u8)) -> Result<(), Undecodable> {
    let mut at = 0;
    let mut filled = 0;
    while filled < pixels.len() {
        let control = *packed.get(at).ok_or(Undecodable)? as i8;
        at += 1;
        // A run may reach beyond the image where an encoder padded it; what is beyond is dropped.
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
    Ok(())
}
