//! Files that are either whole or absent.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::outcome::WrongUsage;

/// Writes `bytes` to `path`: first beside it, then in its place, so that a reader never meets half a file.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes).map_err(Into::into))
}

/// As [`write()`], for content that is produced while it is written.
pub(crate) fn write_with(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let context = || format!("{} could not be written", path.display());
    let mut name = path.file_name().with_context(context)?.to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut file = std::io::BufWriter::new(std::fs::File::create(&part).with_context(context)?);
    let written = fill(&mut file).and_then(|()| file.flush().map_err(Into::into));
    drop(file);
    if written.is_err() {
        // What is half written would only fill the disk further.
        let _ = std::fs::remove_file(&part);
    }
    written.with_context(context)?;
    std::fs::rename(&part, path).with_context(context)
}

/// Removes a file if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("the earlier {} could not be removed", path.display()))
        }
        _ => Ok(()),
    }
}

/// Makes a folder and those above it. Where there cannot be one, it is wrong usage.
pub(crate) fn folder(path: &Path) -> Result<()> {
    use std::io::ErrorKind::{AlreadyExists, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    std::fs::create_dir_all(path).map_err(|error| {
        let text = format!("the folder {} could not be made: {error}", path.display());
        match error.kind() {
            AlreadyExists | NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem => WrongUsage(text).into(),
            _ => anyhow::anyhow!(text),
        }
    })
}
