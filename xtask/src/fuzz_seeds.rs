//! What fuzzing starts from: test data of the crates, models, and what lies in `fuzz/seeds`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Stands between the files of one input; `fuzz/src/lib.rs` has it too.
const CUT: &[u8] = b"HILUMCUT";

/// Copies seeds into the corpora of the targets.
pub(crate) fn sow(root: &Path, targets: &[String]) -> Result<()> {
    let data = root.join("crates/hilum-dicom/tests/data");
    let corpus = |target: &str| -> Result<PathBuf> {
        let folder = root.join("fuzz/corpus").join(target);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    };
    for path in files(&data.join("syntax"), "zip")? {
        let name = path.file_stem().context("a fixture has a name")?;
        fs::copy(&path, corpus("zip")?.join(name))?;
        let series = unpacked(&path)?;
        fs::write(corpus("dicom")?.join(name), series.join(CUT))?;
        fs::write(corpus("deidentify")?.join(name), [&[0], &series[0][..]].concat())?;
        fs::write(corpus("object")?.join(name), &series[0])?;
        for (n, frame) in codestreams(&series[0]).into_iter().enumerate() {
            fs::write(corpus("codec")?.join(format!("{}-{n}", name.to_string_lossy())), frame)?;
        }
    }
    for path in files(&data.join("results"), "dcm")? {
        let name = path.file_stem().context("a fixture has a name")?;
        fs::copy(&path, corpus("results")?.join(name))?;
        fs::copy(&path, corpus("object")?.join(name))?;
        fs::write(corpus("deidentify")?.join(name), [&[31], &fs::read(&path)?[..]].concat())?;
    }
    for path in files(&data.join("nifti"), "nii")?.into_iter().chain(files(&data.join("nifti"), "gz")?) {
        fs::copy(&path, corpus("nifti")?.join(path.file_name().context("a fixture has a name")?))?;
    }
    for path in files(&root.join("models/pneumonia-ct"), "toml")? {
        let name = path.file_name().context("a file has a name")?;
        let target = if name == "card.toml" { "card" } else { "config" };
        fs::copy(&path, corpus(target)?.join(name))?;
    }
    for target in targets {
        for path in files(&root.join("fuzz/seeds").join(target), "")? {
            fs::copy(&path, corpus(target)?.join(path.file_name().context("a seed has a name")?))?;
        }
    }
    Ok(())
}

/// The compressed frames of a fixture as the target `codec` wants them: codec, Bits Stored less one, rows and columns less one,
/// codestream. None if its pixels are not compressed by a codec that works in workers.
fn codestreams(file: &[u8]) -> Vec<Vec<u8>> {
    let after = |what: &[u8]| file.windows(what.len()).position(|w| w == what).map(|at| &file[at + what.len()..]);
    let number = |element: &[u8]| after(element).map_or(0, |value| value[0]);
    // Rows, Columns, Bits Stored, each of two bytes; Pixel Data of undefined length.
    let [rows, columns, bits] =
        [b"\x28\0\x10\0US\x02\0", b"\x28\0\x11\0US\x02\0", b"\x28\0\x01\x01US\x02\0"].map(|e| number(e));
    let Some(mut items) = after(b"\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF") else { return Vec::new() };
    let mut frames = Vec::new();
    while let Some((head, rest)) = items.split_at_checked(8).filter(|(head, _)| head.starts_with(b"\xFE\xFF\0\xE0")) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let Some((fragment, rest)) = rest.split_at_checked(length) else { break };
        // The first bytes of a JPEG Lossless, JPEG-LS and JPEG 2000 stream.
        let is_ls = fragment.windows(2).any(|w| w == b"\xFF\xF7");
        let codec = match fragment {
            [0xFF, 0xD8, ..] if is_ls => Some(1),
            [0xFF, 0xD8, ..] => Some(0),
            [0xFF, 0x4F, ..] => Some(2),
            _ => None,
        };
        let head = codec.map(|codec| [codec, bits.wrapping_sub(1), rows.wrapping_sub(1), columns.wrapping_sub(1)]);
        frames.extend(head.map(|head| [&head[..], fragment].concat()));
        items = rest;
    }
    frames
}

/// The files of a folder with this extension, or all if it is empty; none if there is no folder.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| extension.is_empty() || path.extension().is_some_and(|e| e == extension));
    paths.sort();
    Ok(paths)
}

fn unpacked(path: &Path) -> Result<Vec<Vec<u8>>> {
    let mut archive = zip::ZipArchive::new(fs::File::open(path)?)?;
    (0..archive.len())
        .map(|n| {
            let mut bytes = Vec::new();
            archive.by_index(n)?.read_to_end(&mut bytes)?;
            Ok(bytes)
        })
        .collect()
}
