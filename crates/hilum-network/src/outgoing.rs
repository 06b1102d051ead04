//! Objects to be sent.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use hilum_dicom::{Instance, InstanceIdentity, SkipReason, Uncompressed};

use crate::node::NodeLimits;

/// What is read of a file to learn what it is; more only if its header is longer.
const HEADER_BYTES: u64 = 64 << 10;

/// A file to be sent, known by its header.
#[derive(Clone, Debug)]
pub struct Outgoing {
    path: PathBuf,
    pub(crate) identity: InstanceIdentity,
    pub(crate) syntax_uid: String,
}

/// In which form an object went over the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentHow {
    /// In the transfer syntax of its file.
    AsItIs,
    /// With its elements written anew or its pixels unpacked, without loss, because the peer does not take it otherwise.
    Uncompressed(Uncompressed),
}

impl Outgoing {
    /// Looks at the header of a file.
    ///
    /// # Errors
    /// [`SkipReason`] if it is no DICOM object, is damaged, or belongs to no study.
    pub fn of(path: &Path, limits: &NodeLimits) -> Result<Self, SkipReason> {
        let mut head = Vec::new();
        let mut file = File::open(path).map_err(|_| SkipReason::Unreadable)?;
        file.by_ref().take(HEADER_BYTES).read_to_end(&mut head).map_err(|_| SkipReason::Unreadable)?;
        let all = (head.len() as u64) < HEADER_BYTES;
        let mut seen = Instance::of(&head, &limits.data_set).map(known);
        if seen.is_err() && !all {
            // The header may be longer, as those of segmentations are.
            seen = Instance::of(&bytes(path, limits)?, &limits.data_set).map(known);
        }
        let (identity, syntax_uid) = seen?;
        if identity.study_uid.is_none() || identity.sop_class_uid == "1.2.840.10008.1.3.10" {
            return Err(SkipReason::NoIdentity); // a directory of media
        }
        Ok(Self { path: path.to_owned(), identity, syntax_uid })
    }

    /// The file it lies in.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    #[must_use]
    pub fn identity(&self) -> &InstanceIdentity {
        &self.identity
    }

    /// The transfer syntax of the file.
    #[must_use]
    pub fn transfer_syntax_uid(&self) -> &str {
        &self.syntax_uid
    }

    /// The whole file; one whose pixels were cut short is refused here, as a peer could only break the association off over it.
    pub(crate) fn read(&self, limits: &NodeLimits) -> Result<Vec<u8>, SkipReason> {
        let bytes = bytes(&self.path, limits)?;
        let is_whole = Instance::of(&bytes, &limits.data_set)?.is_whole(&limits.data_set);
        if is_whole { Ok(bytes) } else { Err(SkipReason::CutShort) }
    }
}

fn known(instance: Instance<'_>) -> (InstanceIdentity, String) {
    (instance.identity().clone(), instance.transfer_syntax_uid().to_owned())
}

fn bytes(path: &Path, limits: &NodeLimits) -> Result<Vec<u8>, SkipReason> {
    let file = File::open(path).map_err(|_| SkipReason::Unreadable)?;
    let length = file.metadata().map_err(|_| SkipReason::Unreadable)?.len();
    if length > limits.object_bytes {
        return Err(SkipReason::TooLarge);
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(limits.object_bytes + 1).read_to_end(&mut bytes).map_err(|_| SkipReason::Unreadable)?;
    if bytes.len() as u64 > limits.object_bytes { Err(SkipReason::TooLarge) } else { Ok(bytes) }
}
