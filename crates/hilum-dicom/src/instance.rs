//! A DICOM object as it goes over a network: its identity, its transfer syntax and its data set without the file around it.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::Limits;
use crate::dataset::{Dataset, PixelData};
use crate::frame::{frame_bytes, stored};
use crate::image::PixelLayout;
use crate::part10::Layout;
use crate::scan::SkipReason;
use crate::syntax::{Codec, Encoding, Syntax};
use crate::transcode;

/// Whether a text can stand for a UID and be part of a path: up to 64 digits, with single dots between them. Leading zeros,
/// which the standard forbids (PS3.5 9.1) and some scanners write, do no harm.
#[must_use]
pub fn is_safe_uid(text: &str) -> bool {
    let component = |c: &str| !c.is_empty() && c.bytes().all(|b| b.is_ascii_digit());
    text.len() <= 64 && text.split('.').all(component)
}

/// The identity of an object. All of them are UIDs (see [`is_safe_uid`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceIdentity {
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Study Instance UID; `None` for the few kinds of objects that belong to no study.
    pub study_uid: Option<String>,
    /// Series Instance UID; `None` as above.
    pub series_uid: Option<String>,
}

/// A whole DICOM file, seen as what a network passes on.
#[derive(Clone, Debug)]
pub struct Instance<'a> {
    identity: InstanceIdentity,
    syntax_uid: String,
    /// How its elements are written; `None` in syntaxes that we pass on without understanding their pixels.
    layout: Option<Layout>,
    bytes: &'a [u8],
    data_set: &'a [u8],
}

impl<'a> Instance<'a> {
    /// Looks at a file: with or without preamble and meta information, in any transfer syntax.
    ///
    /// # Errors
    /// [`SkipReason`] if it is no DICOM object, is damaged, or does not say what it is.
    pub fn of(bytes: &'a [u8], limits: &Limits) -> Result<Self, SkipReason> {
        let (layout, start, syntax_uid) = match Layout::of(bytes, limits) {
            Ok(layout) => (Some(layout), layout.start(), layout.syntax_uid(bytes, limits)),
            Err(SkipReason::TransferSyntax) => {
                let (start, uid) = Layout::foreign(bytes, limits).ok_or(SkipReason::TransferSyntax)?;
                (None, start, uid)
            }
            Err(reason) => return Err(reason),
        };
        if !is_safe_uid(&syntax_uid) {
            return Err(SkipReason::Damaged);
        }
        let data_set = bytes.get(start..).ok_or(SkipReason::CutShort)?;
        let identity = match layout {
            Some(layout) => identity(&Dataset::parse(&layout.content(bytes, limits)?, layout.syntax.encoding, limits)?),
            None => identity(&Dataset::parse(data_set, Encoding::EXPLICIT, limits)?),
        };
        Ok(Self { identity: identity?, syntax_uid, layout, bytes, data_set })
    }

    /// What it is and where it belongs, as its data set says.
    #[must_use]
    pub fn identity(&self) -> &InstanceIdentity {
        &self.identity
    }

    /// The UID of its transfer syntax.
    #[must_use]
    pub fn transfer_syntax_uid(&self) -> &str {
        &self.syntax_uid
    }

    /// Whether the pixels are there to their end: a file that was cut short still says what it is. Of a data set that cannot be
    /// looked into nothing is known, which is no fault of it.
    #[must_use]
    pub fn is_whole(&self, limits: &Limits) -> bool {
        let Some(layout) = self.layout else { return true };
        let Ok(content) = layout.content(self.bytes, limits) else { return false };
        let pixels = Dataset::parse(&content, layout.syntax.encoding, limits).and_then(|data| {
            Ok(match data.pixel_data()? {
                Some(PixelData::Native { bytes, declared }) => bytes.len() as u64 >= declared,
                Some(PixelData::Fragments { complete, .. }) => complete,
                None => true,
            })
        });
        pixels.unwrap_or(false)
    }

    /// The data set as it stands in the file.
    #[must_use]
    pub fn data_set(&self) -> &'a [u8] {
        self.data_set
    }

    /// The data set in Explicit or Implicit VR Little Endian, pixels unpacked. Values are the same to the bit; lengths of
    /// groups, which would be wrong, are left out.
    ///
    /// # Errors
    /// [`SkipReason::TransferSyntax`] if the pixels are packed in a way that is not read, [`SkipReason::Damaged`] if they
    /// cannot be unpacked.
    pub fn uncompressed(&self, form: Uncompressed, limits: &Limits) -> Result<Vec<u8>, SkipReason> {
        let layout = self.layout.ok_or(SkipReason::TransferSyntax)?;
        let content = layout.content(self.bytes, limits)?;
        let data = Dataset::parse(&content, layout.syntax.encoding, limits)?;
        let pixels = match data.pixel_data()? {
            Some(pixels @ PixelData::Fragments { .. }) => Some(unpacked(&data, &pixels, layout.syntax, limits)?),
            Some(PixelData::Native { .. }) | None => None,
        };
        let to = if form == Uncompressed::Explicit { Encoding::EXPLICIT } else { Encoding::IMPLICIT };
        Ok(transcode::data_set(&content, layout.syntax.encoding, to, pixels.as_deref(), limits)?)
    }
}

/// The two transfer syntaxes that everybody understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncompressed {
    /// Explicit VR Little Endian.
    Explicit,
    /// Implicit VR Little Endian, the default of DICOM, which every peer has to take (PS3.5 10.1).
    Implicit,
}

impl Uncompressed {
    /// The UID of the transfer syntax.
    #[must_use]
    pub fn uid(self) -> &'static str {
        match self {
            Self::Explicit => "1.2.840.10008.1.2.1",
            Self::Implicit => "1.2.840.10008.1.2",
        }
    }
}

/// The identity that a data set in a transfer syntax states, such as one that came over a network.
///
/// # Errors
/// [`SkipReason`] if the data set is damaged or does not say what it is.
pub fn identity_of_data_set(
    data_set: &[u8],
    transfer_syntax_uid: &str,
    limits: &Limits,
) -> Result<InstanceIdentity, SkipReason> {
    let syntax = Syntax::of_uid(transfer_syntax_uid).unwrap_or(Syntax::native(Encoding::EXPLICIT));
    let content = Layout::of_data_set(syntax).content(data_set, limits)?;
    identity(&Dataset::parse(&content, syntax.encoding, limits)?)
}

fn identity(data: &Dataset<'_>) -> Result<InstanceIdentity, SkipReason> {
    let uid = |tag: Tag| match data.text(tag) {
        Some(text) if is_safe_uid(&text) => Ok(Some(text)),
        Some(_) => Err(SkipReason::Damaged),
        None => Ok(None),
    };
    Ok(InstanceIdentity {
        sop_class_uid: uid(tags::SOP_CLASS_UID)?.ok_or(SkipReason::NoIdentity)?,
        sop_instance_uid: uid(tags::SOP_INSTANCE_UID)?.ok_or(SkipReason::NoIdentity)?,
        study_uid: uid(tags::STUDY_INSTANCE_UID)?,
        series_uid: uid(tags::SERIES_INSTANCE_UID)?,
    })
}

/// All frames in one piece, lowest byte first.
fn unpacked(
    data: &Dataset<'_>,
    pixels: &PixelData<'_>,
    syntax: Syntax,
    limits: &Limits,
) -> Result<Vec<u8>, SkipReason> {
    let layout = PixelLayout::of(data);
    let frames = data.number(tags::NUMBER_OF_FRAMES).unwrap_or(1.0);
    let whole = frames.fract() == 0.0 && (1.0..=1e6).contains(&frames);
    let one_sample = layout.samples == 1 && matches!(layout.bits_allocated, 1 | 8 | 16);
    // Frames of single bits are strung together without gaps, which encapsulated frames are not.
    if !whole || !one_sample || (layout.bits_allocated == 1 && syntax.codec != Codec::DeflatedFrames) {
        return Err(SkipReason::TransferSyntax);
    }
    let frames = frames as usize;
    let fits = layout.rows.max(layout.columns) <= limits.max_side;
    let voxels = layout.pixels().checked_mul(frames).filter(|n| fits && *n <= limits.max_voxels && *n > 0);
    let voxels = voxels.ok_or(SkipReason::TooLarge)?;
    let limits = limits.for_series(voxels as u64);
    let mut all = Vec::new();
    let mut bit = 0usize;
    for frame in 0..frames {
        let words = stored(&frame_bytes(pixels, &layout, frame, frames)?, &layout, syntax, &limits)?;
        match layout.bits_allocated {
            16 => all.extend(words.iter().flat_map(|w| w.to_le_bytes())),
            8 => all.extend(words.iter().map(|w| *w as u8)),
            _ => {
                all.resize(voxels.min(bit + words.len()).div_ceil(8), 0);
                for word in words {
                    all[bit / 8] |= u8::from(word != 0) << (bit % 8);
                    bit += 1;
                }
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_and_dots_are_uids() {
        for good in ["1.2.840.10008.1.2", "2.25.0", "1.02"] {
            assert!(is_safe_uid(good), "{good}");
        }
        let long = format!("1.{}", "2".repeat(63));
        for bad in ["", "1..2", ".1", "1.", "1.2/../../etc", "1.2\\3", "1.2 ", "1.2a", "..", &long] {
            assert!(!is_safe_uid(bad), "{bad}");
        }
    }
}
