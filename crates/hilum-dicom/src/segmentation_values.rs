//! The pixels of a segmentation that is read, as small as its file keeps them.

use dicom_dictionary_std::tags;
use rayon::prelude::*;

use crate::dataset::{Dataset, PixelData};
use crate::frame::{frame_bytes, stored};
use crate::image::PixelLayout;
use crate::scan::SkipReason;
use crate::syntax::{Codec, Syntax};
use crate::{Limits, Refusal};

/// Pixels of all frames, one after another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    /// One bit each, the first in the lowest bit of its byte; frames follow each other without a gap (PS3.5 8.1.1).
    Bits {
        /// Padded to whole bytes.
        bits: Vec<u8>,
        /// How many bits count.
        count: usize,
    },
    /// One byte each; in fractional segmentations `most` stands for all of a pixel.
    Bytes {
        /// The pixels.
        values: Vec<u8>,
        /// Maximum Fractional Value.
        most: Option<u8>,
    },
    /// Two bytes each.
    Words(Vec<u16>),
}

impl Values {
    /// Unpacks `frames` frames, whose size has been held against the limits.
    pub(crate) fn of(
        data: &Dataset<'_>,
        layout: &PixelLayout,
        syntax: Syntax,
        frames: usize,
        fractional: bool,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        let no = |why: &'static str| Refusal::NotSegmentation(why);
        if layout.samples != 1 {
            return Err(no("its pixels are coloured"));
        }
        let bits = layout.bits_allocated;
        if ![1, 8, 16].contains(&bits) {
            return Err(no("its pixels have neither 1, 8 nor 16 bits"));
        }
        let most = data.u16(tags::MAXIMUM_FRACTIONAL_VALUE).and_then(|m| u8::try_from(m).ok()).filter(|m| *m > 0);
        let most = match (fractional, most) {
            (true, None) => return Err(no("it does not say which number stands for the whole of a pixel")),
            (true, most) if bits == 8 => most,
            (true, _) => return Err(no("its fractions are not of 8 bits")),
            (false, _) => None,
        };
        let pixels = data.pixel_data().map_err(|_| no("it is damaged"))?.ok_or(no("it has no pixels"))?;
        let count = frames * layout.pixels();
        let values = match (syntax.codec, &pixels) {
            // More than padding to whole words is another image than the one described.
            (Codec::Native, PixelData::Native { declared, .. })
                if *declared > (count as u64 * u64::from(bits)).div_ceil(8) + 3 =>
            {
                return Err(no("its pixels are more than its frames"));
            }
            (Codec::Native, PixelData::Native { bytes, .. }) => Self::native(bytes, bits, count, most),
            (Codec::Native, _) | (_, PixelData::Native { .. }) => {
                return Err(no("its pixels are not packed as it says"));
            }
            _ => Self::packed(&pixels, layout, syntax, frames, most, limits)?,
        };
        let values = values.ok_or(no("it is cut short"))?;
        if let Self::Bytes { values, most: Some(most) } = &values
            && values.iter().any(|v| v > most)
        {
            return Err(no("a fraction exceeds the number that stands for the whole of a pixel"));
        }
        Ok(values)
    }

    /// Pixels in one piece; `None` if there are too few.
    fn native(bytes: &[u8], bits: u16, count: usize, most: Option<u8>) -> Option<Self> {
        Some(match bits {
            1 => Self::Bits { bits: bytes.get(..count.div_ceil(8))?.to_vec(), count },
            8 => Self::Bytes { values: bytes.get(..count)?.to_vec(), most },
            _ => {
                let words = bytes.get(..2 * count)?.chunks_exact(2);
                Self::Words(words.map(|b| u16::from_le_bytes([b[0], b[1]])).collect())
            }
        })
    }

    /// Pixels packed frame by frame.
    fn packed(
        pixels: &PixelData<'_>,
        layout: &PixelLayout,
        syntax: Syntax,
        frames: usize,
        most: Option<u8>,
        limits: &Limits,
    ) -> Result<Option<Self>, Refusal> {
        // Before memory is taken for the frames, there is a fragment for each of them.
        if matches!(pixels, PixelData::Fragments { fragments, .. } if fragments.len() < frames) {
            return Ok(None);
        }
        let limits = limits.for_series(layout.pixels() as u64 * frames as u64);
        let frame = |n: usize| stored(&frame_bytes(pixels, layout, n, frames)?, layout, syntax, &limits);
        let size = layout.pixels();
        let unreadable = |reason: SkipReason| match reason {
            SkipReason::CutShort => Refusal::NotSegmentation("it is cut short"),
            _ => Refusal::NotSegmentation("a frame cannot be unpacked"),
        };
        if layout.bits_allocated == 16 {
            let mut values = vec![0u16; frames * size];
            let done = values.par_chunks_mut(size).enumerate().try_for_each(|(n, to)| {
                to.copy_from_slice(&frame(n)?);
                Ok(())
            });
            return done.map(|()| Some(Self::Words(values))).map_err(unreadable);
        }
        let mut values = vec![0u8; frames * size];
        let done = values.par_chunks_mut(size).enumerate().try_for_each(|(n, to)| {
            for (to, value) in to.iter_mut().zip(frame(n)?) {
                *to = u8::try_from(value).map_err(|_| SkipReason::Damaged)?;
            }
            Ok(())
        });
        done.map(|()| Some(Self::Bytes { values, most })).map_err(unreadable)
    }

    /// How many pixels there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bits { count, .. } => *count,
            Self::Bytes { values, .. } => values.len(),
            Self::Words(values) => values.len(),
        }
    }

    /// The number that stands for all of a pixel, in fractional segmentations.
    pub(crate) fn most(&self) -> Option<u8> {
        if let Self::Bytes { most, .. } = self { *most } else { None }
    }

    /// One pixel.
    pub(crate) fn at(&self, index: usize) -> u16 {
        match self {
            Self::Bits { bits, .. } => u16::from(bits[index / 8] >> (index % 8) & 1),
            Self::Bytes { values, .. } => u16::from(values[index]),
            Self::Words(values) => values[index],
        }
    }
}
