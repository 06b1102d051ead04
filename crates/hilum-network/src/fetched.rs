//! Objects that came in, and the folder they are kept in.

use std::io::Write;
use std::path::{Path, PathBuf};

use hilum_dicom::{Instance, InstanceIdentity, Limits, SkipReason, identity_of_data_set, is_safe_uid};

use crate::association::{IMPLEMENTATION_UID, IMPLEMENTATION_VERSION};

/// An object as it came.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// What it says it is.
    pub identity: InstanceIdentity,
    /// How its data set is written.
    pub transfer_syntax_uid: String,
    data_set: Vec<u8>,
}

impl Fetched {
    /// Looks at a data set that came in a transfer syntax.
    ///
    /// # Errors
    /// [`SkipReason`] if it is damaged, exceeds the limits or does not say what it is.
    pub fn of(data_set: Vec<u8>, transfer_syntax_uid: &str, limits: &Limits) -> Result<Self, SkipReason> {
        if !is_safe_uid(transfer_syntax_uid) {
            return Err(SkipReason::Damaged);
        }
        let identity = identity_of_data_set(&data_set, transfer_syntax_uid, limits)?;
        Ok(Self { identity, transfer_syntax_uid: transfer_syntax_uid.to_owned(), data_set })
    }

    /// Takes a file apart that came, leaving behind its preamble and meta information.
    ///
    /// # Errors
    /// As [`Fetched::of`].
    pub fn of_file(mut file: Vec<u8>, limits: &Limits) -> Result<Self, SkipReason> {
        let instance = Instance::of(&file, limits)?;
        let identity = instance.identity().clone();
        let transfer_syntax_uid = instance.transfer_syntax_uid().to_owned();
        let head = file.len() - instance.data_set().len();
        file.drain(..head);
        Ok(Self { identity, transfer_syntax_uid, data_set: file })
    }

    /// What a file of it begins with: a preamble of zeros and file meta information (PS3.10 7.1). Nothing of what a peer put
    /// there is kept: an executable fits into 128 bytes.
    #[must_use]
    pub fn file_head(&self) -> Vec<u8> {
        let mut meta = Vec::new();
        let mut put = |element: u16, vr: &[u8; 2], value: &[u8]| {
            let mut value = value.to_vec();
            if value.len() % 2 == 1 {
                value.push(if vr == b"UI" { 0 } else { b' ' });
            }
            meta.extend([2, 0]);
            meta.extend(element.to_le_bytes());
            meta.extend(vr);
            if vr == b"OB" {
                meta.extend([0, 0]);
                meta.extend((value.len() as u32).to_le_bytes());
            } else {
                meta.extend((value.len() as u16).to_le_bytes());
            }
            meta.extend(value);
        };
        put(0x0001, b"OB", &[0, 1]);
        put(0x0002, b"UI", self.identity.sop_class_uid.as_bytes());
        put(0x0003, b"UI", self.identity.sop_instance_uid.as_bytes());
        put(0x0010, b"UI", self.transfer_syntax_uid.as_bytes());
        put(0x0012, b"UI", IMPLEMENTATION_UID.as_bytes());
        put(0x0013, b"SH", IMPLEMENTATION_VERSION.as_bytes());
        let mut head = vec![0; 128];
        head.extend(b"DICM");
        head.extend([2, 0, 0, 0, b'U', b'L', 4, 0]);
        head.extend((meta.len() as u32).to_le_bytes());
        head.extend(meta);
        head
    }

    /// Its data set.
    #[must_use]
    pub fn data_set(&self) -> &[u8] {
        &self.data_set
    }
}

/// What was done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Written.
    Written,
    /// A file of that study, series and instance was there already and stays.
    AlreadyThere,
}

/// A folder of files `STUDY/SERIES/INSTANCE.dcm`, named by UIDs that are digits and dots.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Files will lie below `root`, which is made when the first of them comes.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The file of an object.
    #[must_use]
    pub fn place(&self, study_uid: Option<&str>, series_uid: Option<&str>, sop_instance_uid: &str) -> PathBuf {
        let part = |uid: Option<&str>| match uid {
            Some(uid) if is_safe_uid(uid) => uid.to_owned(),
            _ => "without-uid".to_owned(),
        };
        let name = format!("{}.dcm", part(Some(sop_instance_uid)));
        self.root.join(part(study_uid)).join(part(series_uid)).join(name)
    }

    /// Writes an object: first beside its place, then into it, so that no half file lies there. A file of its length that is there
    /// stays.
    ///
    /// # Errors
    /// What the system says.
    pub fn keep(&self, object: &Fetched) -> std::io::Result<Kept> {
        let identity = &object.identity;
        let path =
            self.place(identity.study_uid.as_deref(), identity.series_uid.as_deref(), &identity.sop_instance_uid);
        let head = object.file_head();
        let length = (head.len() + object.data_set.len()) as u64;
        if std::fs::metadata(&path).is_ok_and(|there| there.len() == length) {
            return Ok(Kept::AlreadyThere);
        }
        let folder = path.parent().expect("a file lies in a folder");
        std::fs::create_dir_all(folder)?;
        let part = path.with_extension("part");
        let mut file = std::fs::File::create(&part)?;
        file.write_all(&head).and_then(|()| file.write_all(&object.data_set))?;
        drop(file);
        std::fs::rename(&part, &path)?;
        Ok(Kept::Written)
    }
}
