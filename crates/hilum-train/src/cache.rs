//! Slices on disk, ready to learn from, so that memory holds only where they are.
//!
//! Every case becomes one file: a head (JSON) and then, slice by slice, records of the same length: the slice's place in the
//! scan (4 bytes), its grey values and its labels. A file is written once and named by a hash of everything it was made from
//! (names, sizes and times of the source's files, and how they were read), so that a changed file is read anew and several
//! runs can share a folder. A slice is read by one seek. What stays in memory is about 200 bytes per case, whatever its slices.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use hilum_dicom::Limits;
use hilum_nn::sha256_hex;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::cases::{Case, Slice};
use crate::checkpoint::write_atomically;

/// Layout of the files; another number makes them anew.
const VERSION: u32 = 3;

/// The head of a file.
#[derive(Serialize, Deserialize)]
struct Head {
    patient: String,
    volume: String,
    width: usize,
    height: usize,
    slices: usize,
    known: u8,
    pixel: f32,
    whole: bool,
    spacing_mm: Option<[f64; 3]>,
    /// The slices that show what is looked for, by place in the file.
    with_lesion: Vec<u32>,
    /// SHA-256 of all records.
    content: String,
}

/// A case on disk.
#[derive(Debug)]
pub(crate) struct CachedCase {
    path: PathBuf,
    pub(crate) patient: Box<str>,
    volume: Box<str>,
    width: u32,
    height: u32,
    slices: u32,
    /// Bytes before the first record.
    offset: u32,
    known: u8,
    pixel: f32,
    whole: bool,
    spacing_mm: Option<[f64; 3]>,
    with_lesion: Lesions,
    /// SHA-256 of all records, in hexadecimal.
    pub(crate) content: Box<str>,
}

/// Which slices show a lesion, a bit each.
#[derive(Debug)]
struct Lesions(Box<[u64]>);

impl CachedCase {
    /// Number of slices.
    pub(crate) fn len(&self) -> usize {
        self.slices as usize
    }

    /// Number of slices with (or without) lesion.
    pub(crate) fn count(&self, with_lesion: bool) -> usize {
        let with: u32 = self.with_lesion.0.iter().map(|bits| bits.count_ones()).sum();
        if with_lesion { with as usize } else { (self.slices - with) as usize }
    }

    /// The place in the file of the slice that is number `nth` among those with (or without) lesion.
    pub(crate) fn nth(&self, nth: usize, with_lesion: bool) -> usize {
        let has = |slice: &usize| (self.with_lesion.0[slice / 64] >> (slice % 64) & 1 == 1) == with_lesion;
        (0..self.len()).filter(has).nth(nth).expect("fewer are asked for than there are")
    }

    /// Reads one slice.
    pub(crate) fn slice(&self, place: usize) -> Result<Slice, TrainError> {
        let pixels = self.width as usize * self.height as usize;
        let record = 4 + 2 * pixels;
        let mut bytes = vec![0; record];
        let read = |bytes: &mut [u8]| {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(u64::from(self.offset) + (place * record) as u64))?;
            file.read_exact(bytes)
        };
        read(&mut bytes).map_err(TrainError::file(&self.path))?;
        let labels = bytes.split_off(4 + pixels);
        let image = bytes.split_off(4);
        Ok(Slice {
            patient: self.patient.to_string(),
            volume: self.volume.to_string(),
            index: u32::from_le_bytes(bytes.try_into().expect("four bytes are left")) as usize,
            width: self.width as usize,
            height: self.height as usize,
            image,
            labels,
            known: self.known,
            pixel: self.pixel,
            whole: self.whole,
            spacing_mm: self.spacing_mm,
            scanner: None,
        })
    }
}

/// The cases on disk in `folder`, in their order; those that are not there yet are read and written, several at once.
///
/// # Errors
/// Of reading a case, or if a file cannot be written.
pub(crate) fn open(
    cases: &[Case],
    folder: &Path,
    limits: &Limits,
    progress: &(dyn Fn(f32) + Sync),
) -> Result<Vec<CachedCase>, TrainError> {
    std::fs::create_dir_all(folder).map_err(TrainError::file(folder))?;
    let done = AtomicUsize::new(0);
    cases
        .par_iter()
        .map(|case| {
            let path = folder.join(format!("{}.slices", key(case)?));
            let cached = match head(&path)? {
                Some((head, offset)) => cached(path, head, offset),
                None => write(case, path, limits)?,
            };
            progress((done.fetch_add(1, Ordering::Relaxed) + 1) as f32 / cases.len() as f32);
            Ok(cached)
        })
        .collect()
}

/// Names what a file is made from.
fn key(case: &Case) -> Result<String, TrainError> {
    let mut text = format!("{VERSION}\n{}\n", case.description());
    for path in case.sources()? {
        let metadata = std::fs::metadata(&path).map_err(TrainError::file(&path))?;
        let modified = metadata.modified().map_err(TrainError::file(&path))?;
        text.push_str(&format!("{}\n{} {modified:?}\n", path.display(), metadata.len()));
    }
    Ok(sha256_hex(text.as_bytes()))
}

/// The head of a file and the bytes before its records; `None` if there is no such file, or not all of it.
fn head(path: &Path) -> Result<Option<(Head, u32)>, TrainError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(TrainError::file(path)(error)),
    };
    let length = file.metadata().map_err(TrainError::file(path))?.len();
    let mut size = [0; 4];
    if file.read_exact(&mut size).is_err() || u64::from(u32::from_le_bytes(size)) + 4 > length {
        return Ok(None);
    }
    let mut text = vec![0; u32::from_le_bytes(size) as usize];
    file.read_exact(&mut text).map_err(TrainError::file(path))?;
    let Ok(head) = serde_json::from_slice::<Head>(&text) else { return Ok(None) };
    let offset = 4 + text.len() as u32;
    // The sizes are whatever stands in the file; only those that fit its length are believed.
    let pixels = (head.width as u64).checked_mul(head.height as u64);
    let record = pixels.and_then(|pixels| pixels.checked_mul(2)?.checked_add(4));
    let records = record.and_then(|record| record.checked_mul(head.slices as u64));
    let end = records.and_then(|records| records.checked_add(offset.into()));
    Ok((end == Some(length)).then_some((head, offset)))
}

fn write(case: &Case, path: PathBuf, limits: &Limits) -> Result<CachedCase, TrainError> {
    let slices = case.read(limits)?;
    let Some(first) = slices.first() else {
        return Err(TrainError::data(case.folder(), format!("the case {} has no slices", case.name())));
    };
    let (width, height) = (first.width, first.height);
    if slices.iter().any(|slice| (slice.width, slice.height) != (width, height)) {
        return Err(TrainError::data(case.folder(), format!("the slices of {} differ in size", case.name())));
    }
    let mut records = Vec::with_capacity(slices.len() * (4 + 2 * width * height));
    for slice in &slices {
        records.extend_from_slice(&(slice.index as u32).to_le_bytes());
        records.extend_from_slice(&slice.image);
        records.extend_from_slice(&slice.labels);
    }
    let target = case.reading.structures.target();
    let with_lesion =
        slices.iter().enumerate().filter(|(_, s)| s.shows(target)).map(|(place, _)| place as u32).collect();
    let head = Head {
        patient: first.patient.clone(),
        volume: first.volume.clone(),
        width,
        height,
        slices: slices.len(),
        known: first.known,
        pixel: first.pixel,
        whole: first.whole,
        spacing_mm: first.spacing_mm,
        with_lesion,
        content: sha256_hex(&records),
    };
    let text = serde_json::to_vec(&head).expect("plain data serialises");
    let mut bytes = (text.len() as u32).to_le_bytes().to_vec();
    bytes.extend_from_slice(&text);
    bytes.append(&mut records);
    write_atomically(&path, &bytes)?;
    Ok(cached(path, head, 4 + text.len() as u32))
}

fn cached(path: PathBuf, head: Head, offset: u32) -> CachedCase {
    let mut bits = vec![0u64; head.slices.div_ceil(64)];
    for place in head.with_lesion.iter().map(|place| *place as usize).filter(|place| *place < head.slices) {
        bits[place / 64] |= 1 << (place % 64);
    }
    CachedCase {
        path,
        patient: head.patient.into(),
        volume: head.volume.into(),
        width: head.width as u32,
        height: head.height as u32,
        slices: head.slices as u32,
        offset,
        known: head.known,
        pixel: head.pixel,
        whole: head.whole,
        spacing_mm: head.spacing_mm,
        with_lesion: Lesions(bits.into()),
        content: head.content.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::{Layout, Reading, list};
    use hilum_dicom::nifti::{self, Compression};
    use hilum_volume::{Geometry, LabelMap, PatientPoint, Volume};

    fn write_pair(folder: &Path, lesion_in: usize) {
        let grid = Geometry::axial([70, 3, 5], PatientPoint([0.0; 3]), [1.0; 3]).unwrap();
        let image = Volume::new(grid.clone(), (0..70 * 15).map(|i| (i % 200) as i16).collect()).unwrap();
        let mut labels = Volume::filled(grid, 1_u8);
        labels[[lesion_in, 1, 2]] = 2;
        let file = |kind: &str| File::create(folder.join(format!("a_{kind}.nii.gz"))).unwrap();
        nifti::write_volume(&image, file("image"), Compression::Gzip).unwrap();
        nifti::write_labels(&LabelMap::new(labels), file("labels"), Compression::Gzip).unwrap();
    }

    fn cases(folder: &Path) -> Vec<Case> {
        let reading = Reading { prefix: "x-".into(), ..Reading::default() };
        list(Layout::NiftiPairs, folder, &reading).unwrap()
    }

    fn open_one(folder: &Path) -> CachedCase {
        open(&cases(folder), &folder.join("cache"), &Limits::default(), &|_| ()).unwrap().remove(0)
    }

    fn files(folder: &Path) -> usize {
        std::fs::read_dir(folder.join("cache")).unwrap().count()
    }

    #[test]
    fn slices_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        write_pair(folder.path(), 66);
        let expected = cases(folder.path())[0].read(&Limits::default()).unwrap();
        // Made, and then found.
        for _ in 0..2 {
            let case = open_one(folder.path());
            assert_eq!((case.len(), case.count(true), case.count(false)), (70, 1, 69));
            assert_eq!((case.nth(0, true), case.nth(66, false)), (66, 67));
            for (place, expected) in expected.iter().enumerate() {
                let found = case.slice(place).unwrap();
                assert_eq!((&found.image, &found.labels, found.index), (&expected.image, &expected.labels, place));
                assert_eq!(
                    (&found.patient, found.known, found.pixel),
                    (&expected.patient, expected.known, expected.pixel)
                );
                assert_eq!((found.width, found.height, found.spacing_mm), (5, 3, Some([1.0; 3])));
            }
            assert_eq!(files(folder.path()), 1);
        }
    }

    #[test]
    fn a_changed_source_is_read_anew_and_a_cut_file_made_again() {
        let folder = tempfile::tempdir().unwrap();
        write_pair(folder.path(), 3);
        let before = open_one(folder.path());
        std::thread::sleep(std::time::Duration::from_millis(20));
        write_pair(folder.path(), 4);
        let after = open_one(folder.path());
        assert_eq!((before.nth(0, true), after.nth(0, true), files(folder.path())), (3, 4, 2));
        assert_ne!(before.content, after.content);
        let length = std::fs::metadata(&after.path).unwrap().len();
        File::options().write(true).open(&after.path).unwrap().set_len(length - 1).unwrap();
        assert_eq!(open_one(folder.path()).slice(69).unwrap().labels, vec![1; 15]);
    }
}
