//! Transfer syntaxes: how elements and pixels are written (PS3.5 10 and Annex A).

/// How elements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoding {
    /// Whether each element names its value representation.
    pub(crate) explicit: bool,
    /// Byte order.
    pub(crate) big_endian: bool,
}

impl Encoding {
    pub(crate) const IMPLICIT: Self = Self { explicit: false, big_endian: false };
    pub(crate) const EXPLICIT: Self = Self { explicit: true, big_endian: false };
    pub(crate) const EXPLICIT_BIG: Self = Self { explicit: true, big_endian: true };
}

/// How pixels are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// Not packed, in one piece.
    Native,
    /// Not packed, one fragment per frame (PS3.5 A.4.11).
    Encapsulated,
    /// Every frame deflated by itself (PS3.5 A.4.13).
    DeflatedFrames,
    Rle,
    JpegLossless,
    JpegLs,
    Jpeg2000,
}

impl Codec {
    /// Whether a frame of it says by itself how many bits its numbers have.
    pub(crate) fn states_precision(self) -> bool {
        matches!(self, Self::JpegLossless | Self::JpegLs | Self::Jpeg2000)
    }
}

/// A transfer syntax that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syntax {
    pub(crate) encoding: Encoding,
    pub(crate) codec: Codec,
    /// Whether everything after the file meta information is deflated (PS3.5 A.5).
    pub(crate) deflated: bool,
    /// Whether pixels may have been changed by packing; whether they were, the image says itself.
    pub(crate) may_be_lossy: bool,
}

impl Syntax {
    pub(crate) const fn native(encoding: Encoding) -> Self {
        Self { encoding, codec: Codec::Native, deflated: false, may_be_lossy: false }
    }

    /// The syntax of a UID; `None` for those that are not read: lossy JPEG (of 8 bits in practice, so not HU), video,
    /// High-Throughput JPEG 2000, JPEG XL.
    pub(crate) fn of_uid(uid: &str) -> Option<Self> {
        let packed = |codec, may_be_lossy| Self { codec, may_be_lossy, ..Self::native(Encoding::EXPLICIT) };
        Some(match uid {
            "1.2.840.10008.1.2" => Self::native(Encoding::IMPLICIT),
            "1.2.840.10008.1.2.1" => Self::native(Encoding::EXPLICIT),
            "1.2.840.10008.1.2.1.98" => packed(Codec::Encapsulated, false),
            "1.2.840.10008.1.2.1.99" => Self { deflated: true, ..Self::native(Encoding::EXPLICIT) },
            "1.2.840.10008.1.2.2" => Self::native(Encoding::EXPLICIT_BIG),
            "1.2.840.10008.1.2.8.1" => packed(Codec::DeflatedFrames, false),
            "1.2.840.10008.1.2.5" => packed(Codec::Rle, false),
            "1.2.840.10008.1.2.4.57" | "1.2.840.10008.1.2.4.70" => packed(Codec::JpegLossless, false),
            "1.2.840.10008.1.2.4.80" => packed(Codec::JpegLs, false),
            "1.2.840.10008.1.2.4.81" => packed(Codec::JpegLs, true),
            "1.2.840.10008.1.2.4.90" => packed(Codec::Jpeg2000, false),
            "1.2.840.10008.1.2.4.91" => packed(Codec::Jpeg2000, true),
            _ => return None,
        })
    }
}
