//! DICOM files: preamble, file meta information, data set (PS3.10 7), and the bare data sets that some archives keep.

use std::borrow::Cow;
use std::io::Read;

use dicom_dictionary_std::tags;

use crate::Limits;
use crate::dataset::{Dataset, Fault};
use crate::scan::SkipReason;
use crate::syntax::{Encoding, Syntax};

/// Where the data set of a file lies and how it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) syntax: Syntax,
    /// First byte of the data set.
    start: usize,
}

impl Layout {
    /// Reads preamble and meta information from the first bytes of a file. Files without them are recognised by a first
    /// element of group 8 that makes sense.
    pub(crate) fn of(bytes: &[u8], limits: &Limits) -> Result<Self, SkipReason> {
        let meta_start = if bytes.get(128..132) == Some(b"DICM") {
            132
        } else if bytes.get(..4) == Some(b"DICM") {
            4
        } else if bytes.get(..4) == Some(&[2, 0, 0, 0]) || bytes.get(..4) == Some(&[2, 0, 1, 0]) {
            0
        } else {
            return Self::bare(bytes).ok_or(SkipReason::NotDicom);
        };
        let (meta, length) = Dataset::parse_meta(&bytes[meta_start..], limits)?;
        let start = meta_start + length;
        match meta.text(tags::TRANSFER_SYNTAX_UID) {
            Some(uid) => {
                let syntax = Syntax::of_uid(&uid).ok_or(SkipReason::TransferSyntax)?;
                Ok(Self { syntax, start })
            }
            None => {
                let bare = bytes.get(start..).and_then(Self::bare).ok_or(SkipReason::Damaged)?;
                Ok(Self { start, ..bare })
            }
        }
    }

    /// A data set that starts right away: explicit if the first element names a representation.
    fn bare(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; 8] = bytes.get(..8)?.try_into().ok()?;
        let names_vr = head[4].is_ascii_uppercase() && head[5].is_ascii_uppercase();
        let encoding = match (&head[..2], names_vr) {
            ([8, 0], true) => Encoding::EXPLICIT,
            ([0, 8], true) => Encoding::EXPLICIT_BIG,
            ([8, 0], false) => Encoding::IMPLICIT,
            _ => return None,
        };
        Some(Self { syntax: Syntax::native(encoding), start: 0 })
    }

    /// That of a data set without a file around it.
    pub(crate) fn of_data_set(syntax: Syntax) -> Self {
        Self { syntax, start: 0 }
    }

    /// First byte of the data set.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// Where the data set of a file begins whose transfer syntax is not read, and the UID of that syntax.
    pub(crate) fn foreign(bytes: &[u8], limits: &Limits) -> Option<(usize, String)> {
        let start = if bytes.get(128..132) == Some(b"DICM") {
            132
        } else if bytes.get(..4) == Some(b"DICM") {
            4
        } else {
            0
        };
        let (meta, length) = Dataset::parse_meta(bytes.get(start..)?, limits).ok()?;
        Some((start + length, meta.text(tags::TRANSFER_SYNTAX_UID)?))
    }

    /// The UID of the transfer syntax, as the file gives it or as its first element shows.
    pub(crate) fn syntax_uid(&self, bytes: &[u8], limits: &Limits) -> String {
        let meta = [132, 4, 0]
            .into_iter()
            .filter(|start| *start < self.start)
            .find_map(|start| Dataset::parse_meta(&bytes[start..], limits).ok()?.0.text(tags::TRANSFER_SYNTAX_UID));
        let by_encoding = match self.syntax.encoding {
            Encoding { explicit: false, .. } => "1.2.840.10008.1.2",
            Encoding { big_endian: true, .. } => "1.2.840.10008.1.2.2",
            Encoding { .. } => "1.2.840.10008.1.2.1",
        };
        meta.unwrap_or_else(|| by_encoding.to_owned())
    }

    /// Whether the file has neither preamble nor meta information.
    pub(crate) fn is_bare(&self) -> bool {
        self.start == 0
    }

    /// The bytes of the data set, inflated if need be within the limits.
    pub(crate) fn content<'a>(&self, bytes: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, SkipReason> {
        let rest = bytes.get(self.start..).ok_or(SkipReason::CutShort)?;
        if !self.syntax.deflated {
            return Ok(Cow::Borrowed(rest));
        }
        let by_ratio = (rest.len() as u64).saturating_mul(limits.max_unpack_ratio).max(1 << 20);
        let limit = by_ratio.min(limits.max_file_bytes);
        let mut inflated = Vec::new();
        let mut inflate = flate2::bufread::DeflateDecoder::new(rest).take(limit + 1);
        // What could be inflated is used; the walk notices if the end is missing.
        let _ = inflate.read_to_end(&mut inflated);
        if inflated.len() as u64 > limit { Err(SkipReason::TooLarge) } else { Ok(Cow::Owned(inflated)) }
    }
}

impl From<Fault> for SkipReason {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::CutShort => Self::CutShort,
            Fault::Malformed => Self::Damaged,
            Fault::Limit => Self::TooLarge,
        }
    }
}
