//! Where the bytes come from: a folder, a file, a ZIP, memory.

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use zip::ZipArchive;

use crate::{Limits, Refusal};

/// What is to be searched for images.
#[derive(Clone, Debug)]
pub enum Source {
    /// A folder (searched recursively), a DICOM file or a ZIP of them.
    Path(PathBuf),
    /// Files in memory, with any names; one of them may be a ZIP.
    Memory(Vec<(String, Arc<[u8]>)>),
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

/// One file of a source: its name within it, and how to get at its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) name: PathBuf,
    place: Place,
    /// Bytes, unpacked; of ZIP entries as they declare it.
    pub(crate) bytes: u64,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Memory(Arc<[u8]>),
    Zipped { archive: ZipArchive<Archive>, entry: usize },
}

impl Item {
    /// The first `limit` bytes, or all if there are fewer.
    pub(crate) fn read(&self, limit: u64) -> io::Result<Vec<u8>> {
        let limit = limit.min(self.bytes);
        let mut bytes = Vec::new();
        match &self.place {
            Place::File(path) => File::open(path)?.take(limit).read_to_end(&mut bytes)?,
            Place::Memory(all) => all.take(limit).read_to_end(&mut bytes)?,
            Place::Zipped { archive, entry } => {
                // A clone shares the directory and has a position of its own, so entries are unpacked in parallel.
                let mut archive = archive.clone();
                // An entry that declares less than it holds is cut at what it declared and was checked for.
                archive.by_index(*entry)?.take(limit).read_to_end(&mut bytes)?
            }
        };
        Ok(bytes)
    }
}

/// The bytes of a ZIP; clones have positions of their own.
#[derive(Clone, Debug)]
enum Archive {
    Memory(Cursor<Arc<[u8]>>),
    File { file: Arc<Mutex<File>>, at: u64, length: u64 },
}

impl Read for Archive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Memory(cursor) => cursor.read(buffer),
            Self::File { file, at, .. } => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(*at))?;
                let count = file.read(buffer)?;
                *at += count as u64;
                Ok(count)
            }
        }
    }
}

impl Seek for Archive {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Memory(cursor) => cursor.seek(to),
            Self::File { at, length, .. } => {
                let place = match to {
                    SeekFrom::Start(place) => Some(place),
                    SeekFrom::End(by) => length.checked_add_signed(by),
                    SeekFrom::Current(by) => at.checked_add_signed(by),
                };
                *at = place.ok_or(io::ErrorKind::InvalidInput)?;
                Ok(*at)
            }
        }
    }
}

/// All files of a source, in the order of their names, and the names of those that were passed over.
pub(crate) fn items(source: &Source, limits: &Limits) -> Result<Vec<Item>, Refusal> {
    let mut found = Vec::new();
    match source {
        Source::Memory(files) => {
            for (name, bytes) in files {
                if bytes.starts_with(ZIP_MAGIC) {
                    let archive = Archive::Memory(Cursor::new(bytes.clone()));
                    zip_entries(archive, limits, &mut found)?;
                } else {
                    let (name, place) = (PathBuf::from(name), Place::Memory(bytes.clone()));
                    found.push(Item { name, place, bytes: bytes.len() as u64 });
                }
            }
        }
        Source::Path(path) if path.is_dir() => folder(path, limits, &mut found)?,
        Source::Path(path) => {
            let mut file = File::open(path)?;
            let length = file.metadata()?.len();
            let mut magic = [0; 4];
            let zipped = file.read_exact(&mut magic).is_ok() && magic.starts_with(ZIP_MAGIC);
            if zipped {
                zip_entries(Archive::File { file: Arc::new(Mutex::new(file)), at: 0, length }, limits, &mut found)?;
            } else {
                let name = path.file_name().map(PathBuf::from).unwrap_or_default();
                found.push(Item { name, place: Place::File(path.clone()), bytes: length });
            }
        }
    }
    if found.len() > limits.max_files {
        return Err(Refusal::TooLarge { what: "the number of files", limit: limits.max_files as u64 });
    }
    let total = found.iter().fold(0u64, |sum, item| sum.saturating_add(item.bytes));
    if total > limits.max_total_bytes {
        return Err(Refusal::TooLarge { what: "the size of all files in bytes", limit: limits.max_total_bytes });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// Files below `root`. Links are followed to files but not to folders, so that no loop can trap the search.
fn folder(root: &Path, limits: &Limits, found: &mut Vec<Item>) -> Result<(), Refusal> {
    let mut waiting = vec![(root.to_owned(), 0)];
    while let Some((path, depth)) = waiting.pop() {
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if depth == limits.max_folder_depth {
                    let limit = limits.max_folder_depth as u64;
                    return Err(Refusal::TooLarge { what: "the depth of folders", limit });
                }
                waiting.push((entry.path(), depth + 1));
                continue;
            }
            // Follows links; pipes and devices, which could block for ever, are neither files nor folders.
            let Ok(target) = fs::metadata(entry.path()) else { continue };
            if target.is_file() {
                let name = entry.path().strip_prefix(root).map(Path::to_owned).unwrap_or_default();
                found.push(Item { name, place: Place::File(entry.path()), bytes: target.len() });
                if found.len() > limits.max_files {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn zip_entries(reader: Archive, limits: &Limits, found: &mut Vec<Item>) -> Result<(), Refusal> {
    let mut archive = ZipArchive::new(reader).map_err(|_| Refusal::Zip("it is damaged or cut short"))?;
    if archive.len() > limits.max_files {
        return Err(Refusal::TooLarge { what: "the number of files", limit: limits.max_files as u64 });
    }
    for entry in 0..archive.len() {
        let (name, bytes) = {
            let file = archive.by_index_raw(entry).map_err(|_| Refusal::Zip("it is damaged or cut short"))?;
            if !file.is_file() {
                continue;
            }
            if file.encrypted() {
                return Err(Refusal::Zip("it is locked with a password"));
            }
            // Small entries may pack well without harm.
            let by_ratio = file.compressed_size().saturating_mul(limits.max_unpack_ratio).max(1 << 20);
            if file.size() > by_ratio {
                return Err(Refusal::TooLarge {
                    what: "the packing ratio of a ZIP entry",
                    limit: limits.max_unpack_ratio,
                });
            }
            // The name only labels the entry; nothing is ever written to it.
            let name = file.name().map(|name| PathBuf::from(name.as_ref())).unwrap_or_default();
            (name, file.size())
        };
        found.push(Item { name, place: Place::Zipped { archive: archive.clone(), entry }, bytes });
    }
    Ok(())
}
