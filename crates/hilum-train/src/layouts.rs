//! How each layout lists its cases and reads one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use hilum_dicom::{Limits, SegmentInfo, SegmentationImage, Source, codes, nifti};
use hilum_volume::{AxisOrder, Geometry, LabelMap, Orientation, Volume};

use crate::TrainError;
use crate::cases::{Case, CaseFiles, Reading, Slice};
use crate::pictures::{Plane, read_jpeg, read_png};

/// Folders of COVID-19-CT-Seg: image, lung mask, lesion mask.
pub(crate) const PICTURE_KINDS: [&str; 3] = ["ct", "lungs", "covid"];

pub(crate) fn list_covid19_ct_seg(folder: &Path, reading: &Reading) -> Result<Vec<Case>, TrainError> {
    let table = folder.join("volumes.csv");
    let text = std::fs::read_to_string(&table).map_err(TrainError::file(&table))?;
    let mut volumes = BTreeMap::<(&str, &str), Vec<(usize, String)>>::new();
    for line in text.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let [slice, volume, patient] = line.split(',').map(str::trim).collect::<Vec<_>>()[..] else {
            return Err(TrainError::data(&table, format!("`{line}` is not `slice,volume,patient_group`")));
        };
        let number = slice.parse().map_err(|_| TrainError::data(&table, format!("`{slice}` is not a slice number")))?;
        volumes.entry((volume, patient)).or_default().push((number, slice.to_string()));
    }
    let case = |((volume, patient), mut names): ((&str, &str), Vec<(usize, String)>)| {
        names.sort();
        let names = names.into_iter().map(|(_, name)| name).collect();
        Case {
            patient: patient.to_string(),
            volume: volume.to_string(),
            reading: reading.clone(),
            files: CaseFiles::Pictures { folder: folder.to_path_buf(), names },
        }
    };
    Ok(volumes.into_iter().map(case).collect())
}

pub(crate) fn pictures(
    case: &Case,
    folder: &Path,
    names: &[String],
    limits: &Limits,
) -> Result<Vec<Slice>, TrainError> {
    let slice = |name: &String| {
        let read = |kind: &str| read_png(&folder.join(kind).join(format!("{name}.png")), limits);
        let [image, lungs, lesion] = PICTURE_KINDS.map(read);
        let (image, lungs, lesion) = (image?, lungs?, lesion?);
        if lungs.size() != image.size() || lesion.size() != image.size() {
            return Err(TrainError::data(folder, format!("slice {name}: masks and image differ in size")));
        }
        let labels =
            lungs.values.iter().zip(&lesion.values).map(|(lung, lesion)| bits(*lung > 127, *lesion > 127, false));
        Ok(Slice {
            patient: case.patient.clone(),
            volume: case.volume.clone(),
            index: name.parse().map_err(|_| TrainError::data(folder, format!("`{name}` is not a slice number")))?,
            width: image.width,
            height: image.height,
            labels: labels.collect(),
            image: image.values,
            known: bits(true, true, false),
            pixel: 1.0,
            whole: true,
            spacing_mm: None,
            scanner: None,
        })
    };
    names.iter().map(slice).collect()
}

pub(crate) fn list_nifti_pairs(folder: &Path, reading: &Reading) -> Result<Vec<Case>, TrainError> {
    let mut cases = Vec::new();
    for image in files(folder)? {
        let name = image.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let Some(stem) = name.strip_suffix(IMAGE) else { continue };
        let name = format!("{}{stem}", reading.prefix);
        let labels = folder.join(format!("{stem}_labels.nii.gz"));
        let files = CaseFiles::Nifti { image, labels };
        cases.push(Case { patient: name.clone(), volume: name, reading: reading.clone(), files });
    }
    Ok(cases)
}

const IMAGE: &str = "_image.nii.gz";

pub(crate) fn has_nifti_pairs(folder: &Path) -> bool {
    files(folder).is_ok_and(|files| files.iter().any(|path| path.to_string_lossy().ends_with(IMAGE)))
}

pub(crate) fn nifti_pair(
    case: &Case,
    image_path: &Path,
    labels_path: &Path,
    limits: &Limits,
) -> Result<Vec<Slice>, TrainError> {
    let open = |path: &Path| File::open(path).map_err(TrainError::file(path));
    let image = nifti::read_values(open(image_path)?, limits).map_err(|e| TrainError::data(image_path, e))?;
    let labels = nifti::read_labels(open(labels_path)?, limits).map_err(|e| TrainError::data(labels_path, e))?;
    if labels.geometry() != image.geometry() {
        return Err(TrainError::data(labels_path, "labels and image are not on the same grid"));
    }
    let is_hu = image.data().iter().any(|value| !(0.0..=255.0).contains(value));
    let label_bits = case.reading.label_bits()?;
    let bits = labels.labels().data().iter().map(|label| label_bits.bits(*label)).collect::<Result<Vec<u8>, _>>();
    let bits = bits.map_err(|reason| TrainError::data(labels_path, reason))?;
    let told = label_bits.told(&case.reading.structures, bits.iter());
    let labels = Volume::new(labels.geometry().clone(), bits).expect("a value for every voxel");
    Ok(volume_slices(case, &image, &labels, is_hu, told))
}

/// Folders of image and mask pictures.
pub(crate) const PAIR_FOLDERS: [&str; 2] = ["images", "masks"];

/// Pixels of the network that a whole chest lies on.
const CHEST_PIXELS: f32 = 256.0;

pub(crate) fn list_png_pairs(folder: &Path, reading: &Reading) -> Result<Vec<Case>, TrainError> {
    let mut scans = BTreeMap::<String, Vec<(Option<u64>, String)>>::new();
    for path in files(&folder.join(PAIR_FOLDERS[0]))? {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let (Some(name), Some(stem)) = (path.file_name().and_then(|n| n.to_str()), path.file_stem()) else { continue };
        if !["png", "jpg", "jpeg"].contains(&extension.as_str()) || name.starts_with('.') {
            continue;
        }
        let stem = stem.to_string_lossy();
        let (scan, place) = stem.rsplit_once('_').unwrap_or((&stem, ""));
        scans.entry(scan.to_string()).or_default().push((place.parse().ok(), name.to_string()));
    }
    let case = |(scan, mut names): (String, Vec<(Option<u64>, String)>)| {
        names.sort();
        let patient = scan.split('_').next().unwrap_or_default();
        Case {
            patient: format!("{}{patient}", reading.prefix),
            volume: format!("{}{scan}", reading.prefix),
            reading: reading.clone(),
            files: CaseFiles::PicturePairs {
                folder: folder.to_path_buf(),
                names: names.into_iter().map(|(_, name)| name).collect(),
            },
        }
    };
    Ok(scans.into_iter().map(case).collect())
}

/// An image and its mask.
pub(crate) fn picture_pair_files(folder: &Path, name: &str) -> [PathBuf; 2] {
    let [images, masks] = PAIR_FOLDERS.map(|kind| folder.join(kind).join(name));
    [images, masks.with_extension("png")]
}

pub(crate) fn picture_pairs(
    case: &Case,
    folder: &Path,
    names: &[String],
    limits: &Limits,
) -> Result<Vec<Slice>, TrainError> {
    let label_bits = case.reading.label_bits()?;
    let slice = |(index, name): (usize, &String)| {
        let [image_path, mask_path] = picture_pair_files(folder, name);
        let is_png = image_path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
        let image = if is_png { read_png(&image_path, limits) } else { read_jpeg(&image_path, limits) }?;
        let mask = read_png(&mask_path, limits)?;
        if mask.size() != image.size() {
            return Err(TrainError::data(&mask_path, "mask and image differ in size"));
        }
        let labels = mask.values.iter().map(|label| label_bits.bits(*label)).collect::<Result<_, _>>();
        Ok(Slice {
            patient: case.patient.clone(),
            volume: case.volume.clone(),
            index,
            width: image.width,
            height: image.height,
            labels: labels.map_err(|reason| TrainError::data(&mask_path, reason))?,
            pixel: CHEST_PIXELS / image.width.max(image.height) as f32,
            image: image.values,
            known: 0,
            whole: true,
            spacing_mm: None,
            scanner: None,
        })
    };
    let mut slices = names.iter().enumerate().map(slice).collect::<Result<Vec<_>, _>>()?;
    if let Some(odd) = slices.iter().find(|s| (s.width, s.height) != (slices[0].width, slices[0].height)) {
        let path = &picture_pair_files(folder, &names[odd.index])[0];
        return Err(TrainError::data(path, "the picture differs in size from the first of its scan"));
    }
    let told = label_bits.told(&case.reading.structures, slices.iter().flat_map(|slice| &slice.labels));
    slices.iter_mut().for_each(|slice| slice.known = told);
    Ok(slices)
}

/// The axial slices of a volume and of its label bits. Grey values are HU, or 0 to 255.
fn volume_slices(case: &Case, image: &Volume<f32>, labels: &Volume<u8>, is_hu: bool, known: u8) -> Vec<Slice> {
    let order = AxisOrder::towards(image.geometry(), Orientation::Axial);
    let (image, labels) = (image.reordered(order), labels.reordered(order));
    let [count, height, width] = image.shape();
    let spacing_mm = image.geometry().spacing_mm();
    let reading = &case.reading;
    let [low, high] = if is_hu { reading.window_hu } else { [0.0, 255.0] };
    let pixel = if is_hu { ((spacing_mm[1] + spacing_mm[2]) / 2.0 / reading.pixel_mm) as f32 } else { 1.0 };
    let grey = |value: &f32| (255.0 * (value - low) / (high - low)).round().clamp(0.0, 255.0) as u8;
    let slice = |index| Slice {
        patient: case.patient.clone(),
        volume: case.volume.clone(),
        index,
        width,
        height,
        image: image.slice(index).iter().map(grey).collect(),
        labels: labels.slice(index).to_vec(),
        known,
        pixel,
        whole: true,
        spacing_mm: Some(spacing_mm),
        scanner: None,
    };
    (0..count).map(slice).collect()
}

/// Millimetres of a network pixel that pictures of about 400 × 330 pixels over the two lungs amount to: they are
/// roughly twice as fine as a whole chest on 256 pixels (judged by eye on ten of them; scale is augmented anyway).
const SEMISEG_PIXEL: f32 = 0.5;

pub(crate) fn list_covid_semiseg(folder: &Path, reading: &Reading) -> Result<Vec<Case>, TrainError> {
    let mut cases = Vec::new();
    for path in files(&folder.join("Imgs"))? {
        let stem = path.file_stem().and_then(|n| n.to_str()).unwrap_or_default().to_string();
        if stem.parse::<usize>().is_err() {
            return Err(TrainError::data(&path, "the name is not a number"));
        }
        let name = format!("{}{stem}", reading.prefix);
        let files = CaseFiles::SinglePicture { folder: folder.to_path_buf(), name: stem };
        cases.push(Case { patient: name.clone(), volume: name, reading: reading.clone(), files });
    }
    Ok(cases)
}

/// Image, lesion mask and kinds of a picture of COVID-SemiSeg.
pub(crate) fn single_picture_files(folder: &Path, name: &str) -> [PathBuf; 3] {
    [("Imgs", "jpg"), ("GT_lesion", "png"), ("GT_multiclass", "png")]
        .map(|(kind, extension)| folder.join(kind).join(format!("{name}.{extension}")))
}

pub(crate) fn single_picture(
    case: &Case,
    folder: &Path,
    name: &str,
    limits: &Limits,
) -> Result<Vec<Slice>, TrainError> {
    let [image_path, lesion_path, kinds_path] = single_picture_files(folder, name);
    let image = read_jpeg(&image_path, limits)?;
    let (lesion, kinds) = (read_png(&lesion_path, limits)?, read_png(&kinds_path, limits)?);
    if lesion.size() != image.size() || kinds.size() != image.size() {
        return Err(TrainError::data(&image_path, "masks and image differ in size"));
    }
    let labels = lesion.values.iter().zip(&kinds.values).map(|(l, k)| bits(false, *l > 127 || *k > 0, *k == 2));
    let labels = Plane { values: labels.collect(), ..image };
    let (image, labels) = (image.upright(), labels.upright());
    Ok(vec![Slice {
        patient: case.patient.clone(),
        volume: case.volume.clone(),
        index: name.parse().map_err(|_| TrainError::data(&image_path, "the name is not a number"))?,
        width: image.width,
        height: image.height,
        image: image.values,
        labels: labels.values,
        known: bits(false, true, true),
        pixel: SEMISEG_PIXEL,
        whole: false,
        spacing_mm: None,
        scanner: None,
    }])
}

pub(crate) fn list_dicom(folder: &Path, reading: &Reading) -> Result<Vec<Case>, TrainError> {
    let mut cases = Vec::new();
    for path in files(folder)?.into_iter().filter(|path| path.is_dir()) {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let name = format!("{}{name}", reading.prefix);
        let files = CaseFiles::Dicom { folder: path };
        cases.push(Case { patient: name.clone(), volume: name, reading: reading.clone(), files });
    }
    Ok(cases)
}

/// Files looked at before a folder counts as one without DICOM.
const FILES_LOOKED_AT: usize = 1000;

/// Whether a folder within this one holds a DICOM file, however deep.
pub(crate) fn has_dicom_folders(folder: &Path) -> bool {
    let folders = |paths: Vec<PathBuf>| paths.into_iter().filter(|path| path.is_dir() && !path.is_symlink());
    let mut open: Vec<PathBuf> = files(folder).map(|paths| folders(paths).collect()).unwrap_or_default();
    let mut seen = 0;
    while let Some(folder) = open.pop() {
        let Ok(paths) = files(&folder) else { continue };
        for path in paths.iter().filter(|path| path.is_file()) {
            seen += 1;
            if is_dicom(path) {
                return true;
            }
            if seen == FILES_LOOKED_AT {
                return false;
            }
        }
        open.extend(folders(paths));
    }
    false
}

/// By the name, or by the letters behind the preamble.
fn is_dicom(path: &Path) -> bool {
    let mut head = [0; 132];
    let is_read = File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok();
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("dcm")) || (is_read && head.ends_with(b"DICM"))
}

/// Diseases that outlines of opacity are named by: pneumonia, COVID-19.
const DISEASES: [(&str, &str); 2] = [("233604007", "SCT"), ("840539006", "SCT")];

pub(crate) fn dicom(case: &Case, folder: &Path, limits: &Limits) -> Result<Vec<Slice>, TrainError> {
    let fail = |reason: String| TrainError::data(folder, reason);
    let scan = hilum_dicom::scan(&Source::from(folder), limits).map_err(|e| fail(e.to_string()))?;
    let mut segmentations = Vec::new();
    for path in files_below(folder)? {
        let bytes = std::fs::read(&path).map_err(TrainError::file(&path))?;
        // What is no segmentation is an image of the series, or nothing to us.
        segmentations.extend(SegmentationImage::read(&bytes, limits).ok());
    }
    let ct: Vec<_> = scan.series().iter().filter(|series| series.modality == "CT").collect();
    let named = |uid: &String| segmentations.iter().any(|s| s.source_series_uids.contains(uid));
    let series = match ct.iter().filter(|series| named(&series.series_uid)).collect::<Vec<_>>()[..] {
        [one] => *one,
        [] if ct.len() == 1 => ct[0],
        [] => return Err(fail(format!("{} CT series, and no segmentation names one of them", ct.len()))),
        _ => return Err(fail("the segmentations are of more than one CT series".into())),
    };
    let series = hilum_dicom::load(&scan, &series.series_uid, &|_| ()).map_err(|e| fail(e.to_string()))?;
    let (labels, known) = truth(&segmentations, series.volume.geometry()).map_err(fail)?;
    let image = series.volume.map(|hu| f32::from(*hu));
    let mut slices = volume_slices(case, &image, &labels, true, known);
    let manufacturer = series.summary.manufacturer.trim();
    if !manufacturer.is_empty() {
        slices.iter_mut().for_each(|slice| slice.scanner = Some(manufacturer.to_string()));
    }
    Ok(slices)
}

/// Label bits of all segments on a grid, and which of them are known.
fn truth(segmentations: &[SegmentationImage], grid: &Geometry) -> Result<(Volume<u8>, u8), String> {
    let mut all = Volume::filled(grid.clone(), 0_u8);
    let (mut lung, mut lesion, mut kinds) = (false, false, false);
    for segmentation in segmentations {
        for segment in &segmentation.segments {
            let Some(meaning) = meaning(segment) else { continue };
            lung |= meaning & 2 == 0;
            lesion |= meaning & 2 != 0;
            kinds |= is(segment, &codes::GROUND_GLASS_OPACITY) || is(segment, &codes::LUNG_CONSOLIDATION);
            let mask = segmentation.label_map(grid, |other| (other.number == segment.number).then_some(1));
            let mask: LabelMap = mask.map_err(|e| e.to_string())?;
            for (bits, inside) in all.data_mut().iter_mut().zip(mask.labels().data()) {
                *bits |= meaning * inside;
            }
        }
    }
    if !lung && !lesion {
        return Err("no segmentation has a segment of lungs, lobes, ground-glass, consolidation or opacity".into());
    }
    Ok((all, bits(lung, lesion, kinds)))
}

fn is(segment: &SegmentInfo, code: &hilum_dicom::Code) -> bool {
    segment.property.0 == code.value() && segment.property.1 == code.scheme()
}

/// The label bits of a segment, by its coded property; `None` for what is not learned. A lesion is lung, too.
fn meaning(segment: &SegmentInfo) -> Option<u8> {
    const LUNGS: [hilum_dicom::Code; 9] = [
        codes::LUNG,
        codes::RIGHT_LUNG,
        codes::LEFT_LUNG,
        codes::LOBE_OF_LUNG,
        codes::RIGHT_UPPER_LOBE,
        codes::RIGHT_MIDDLE_LOBE,
        codes::RIGHT_LOWER_LOBE,
        codes::LEFT_UPPER_LOBE,
        codes::LEFT_LOWER_LOBE,
    ];
    let (value, scheme) = &segment.property;
    match () {
        () if LUNGS.iter().any(|code| is(segment, code)) => Some(bits(true, false, false)),
        () if is(segment, &codes::LUNG_CONSOLIDATION) => Some(bits(true, true, true)),
        () if is(segment, &codes::GROUND_GLASS_OPACITY) => Some(bits(true, true, false)),
        () if is(segment, &codes::OPACITY) => Some(bits(true, true, false)),
        () if DISEASES.contains(&(value.as_str(), scheme.as_str())) => Some(bits(true, true, false)),
        () => None,
    }
}

/// Bits of pneumonia: [`Case::read`] makes those of the network's outputs of them.
fn bits(lung: bool, lesion: bool, consolidation: bool) -> u8 {
    u8::from(lung) | u8::from(lesion) << 1 | u8::from(consolidation) << 2
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let entries = std::fs::read_dir(folder).map_err(TrainError::file(folder))?;
    let mut paths: Vec<PathBuf> =
        entries.collect::<Result<Vec<_>, _>>().map_err(TrainError::file(folder))?.iter().map(|e| e.path()).collect();
    paths.sort();
    Ok(paths)
}

/// Every file of a folder and the folders in it.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let mut found = Vec::new();
    for path in files(folder)? {
        match path.is_dir() && !path.is_symlink() {
            true => found.extend(files_below(&path)?),
            false => found.push(path),
        }
    }
    Ok(found)
}
