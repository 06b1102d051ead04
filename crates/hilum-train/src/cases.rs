//! Slices to learn from and to measure on, as the data sets' layouts give them.

use std::fs::File;
use std::path::{Path, PathBuf};

use hilum_dicom::{Limits, nifti};
use hilum_volume::{AxisOrder, Orientation};
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// Names of the channels a pneumonia network predicts, in the order of its outputs.
pub const CHANNELS: [&str; 3] = ["lung", "lesion", "consolidation"];

/// How a folder of images and masks is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// `ct/NNNN.png`, `lungs/NNNN.png`, `covid/NNNN.png` and `volumes.csv` with `slice,volume,patient_group`.
    Covid19CtSeg,
    /// `NAME_image.nii.gz` beside `NAME_labels.nii.gz`: 0 background, 1 lung, 2 lesion (which is also lung). Any
    /// folder of such pairs will do; the patient is `PREFIXNAME`.
    NiftiPairs,
    /// `Imgs/N.jpg`, `GT_lesion/N.png`, `GT_multiclass/N.png`: lung-cropped slices on their side.
    CovidSemiSeg,
}

/// What is known about every pixel of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The lung mask is there.
    pub lung: bool,
    /// Consolidation is told from ground-glass. Where there is no lesion, there is no consolidation either, so
    /// lesion-free pixels count as known in every set.
    pub consolidation: bool,
}

/// One labelled slice.
#[derive(Clone, Debug)]
pub struct Slice {
    /// The patient, the unit of every split.
    pub patient: String,
    /// The scan it comes from; slices of one scan follow one another.
    pub volume: String,
    /// Place in the scan.
    pub index: usize,
    /// Pixels along columns.
    pub width: usize,
    /// Pixels along rows.
    pub height: usize,
    /// Grey values, `[row, column]`.
    pub image: Vec<u8>,
    /// Bit 0 lung, bit 1 lesion, bit 2 consolidation, `[row, column]`.
    pub labels: Vec<u8>,
    /// Which channels the labels speak of.
    pub known: Known,
    /// Edge of a pixel as a multiple of the network's pixel (1 where the slice already has its resolution).
    pub pixel: f32,
    /// Whether the picture shows the whole chest, so that what lies beyond its frame is air.
    pub whole: bool,
    /// Millimetres `[slice, row, column]` where the set tells them, else `None`.
    pub spacing_mm: Option<[f64; 3]>,
}

impl Slice {
    /// Whether any pixel is lesion.
    pub fn has_lesion(&self) -> bool {
        self.labels.iter().any(|bits| bits & 2 != 0)
    }
}

/// How files are read that leave something open.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Goes before the names of patients the layout does not name itself.
    pub prefix: String,
    /// HU that become grey 0 and 255, for NIfTI files in HU (told by values below −200; others are taken as 8-bit).
    pub window_hu: [f32; 2],
    /// Edge of the network's pixel in mm, for NIfTI files in HU. 8-bit sets have their chest on about 256 pixels.
    pub pixel_mm: f64,
}

/// Reads every slice of a folder, sorted by volume and index.
///
/// # Errors
/// [`TrainError::File`] and [`TrainError::Data`] name the file that cannot be used.
pub fn read(layout: Layout, folder: &Path, reading: &Reading) -> Result<Vec<Slice>, TrainError> {
    match layout {
        Layout::Covid19CtSeg => covid19_ct_seg(folder),
        Layout::NiftiPairs => nifti_pairs(folder, reading),
        Layout::CovidSemiSeg => covid_semiseg(folder, &reading.prefix),
    }
}

fn covid19_ct_seg(folder: &Path) -> Result<Vec<Slice>, TrainError> {
    let table = folder.join("volumes.csv");
    let text = std::fs::read_to_string(&table).map_err(TrainError::file(&table))?;
    let mut slices = Vec::new();
    for line in text.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let [slice, volume, patient] = line.split(',').map(str::trim).collect::<Vec<_>>()[..] else {
            return Err(TrainError::data(&table, format!("`{line}` is not `slice,volume,patient_group`")));
        };
        let read = |kind: &str| read_png(&folder.join(kind).join(format!("{slice}.png")));
        let (image, lungs, lesion) = (read("ct")?, read("lungs")?, read("covid")?);
        if lungs.size() != image.size() || lesion.size() != image.size() {
            return Err(TrainError::data(folder, format!("slice {slice}: masks and image differ in size")));
        }
        let labels =
            lungs.values.iter().zip(&lesion.values).map(|(lung, lesion)| bits(*lung > 127, *lesion > 127, false));
        slices.push(Slice {
            patient: patient.to_string(),
            volume: volume.to_string(),
            index: slice.parse().map_err(|_| TrainError::data(&table, format!("`{slice}` is not a slice number")))?,
            width: image.width,
            height: image.height,
            labels: labels.collect(),
            image: image.values,
            known: Known { lung: true, consolidation: false },
            pixel: 1.0,
            whole: true,
            spacing_mm: None,
        });
    }
    slices.sort_by(|a, b| (&a.volume, a.index).cmp(&(&b.volume, b.index)));
    Ok(slices)
}

fn nifti_pairs(folder: &Path, reading: &Reading) -> Result<Vec<Slice>, TrainError> {
    let mut slices = Vec::new();
    for image_path in files(folder)? {
        let name = image_path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let Some(stem) = name.strip_suffix("_image.nii.gz") else { continue };
        let labels_path = folder.join(format!("{stem}_labels.nii.gz"));
        let open = |path: &Path| File::open(path).map_err(TrainError::file(path));
        let limits = Limits::default();
        let image = nifti::read_values(open(&image_path)?, &limits).map_err(|e| TrainError::data(&image_path, e))?;
        let labels = nifti::read_labels(open(&labels_path)?, &limits).map_err(|e| TrainError::data(&labels_path, e))?;
        if labels.geometry() != image.geometry() {
            return Err(TrainError::data(&labels_path, "labels and image are not on the same grid"));
        }
        let order = AxisOrder::towards(image.geometry(), Orientation::Axial);
        let (image, labels) = (image.reordered(order), labels.labels().reordered(order));
        let [count, height, width] = image.shape();
        let spacing_mm = image.geometry().spacing_mm();
        let is_hu = image.data().iter().any(|value| *value < -200.0);
        let [low, high] = if is_hu { reading.window_hu } else { [0.0, 255.0] };
        let pixel = if is_hu { ((spacing_mm[1] + spacing_mm[2]) / 2.0 / reading.pixel_mm) as f32 } else { 1.0 };
        let grey = |value: &f32| (255.0 * (value - low) / (high - low)).round().clamp(0.0, 255.0) as u8;
        let prefix = &reading.prefix;
        for index in 0..count {
            let label = labels.slice(index);
            slices.push(Slice {
                patient: format!("{prefix}{stem}"),
                volume: format!("{prefix}{stem}"),
                index,
                width,
                height,
                image: image.slice(index).iter().map(grey).collect(),
                labels: label.iter().map(|l| bits(*l > 0, *l == 2, false)).collect(),
                known: Known { lung: true, consolidation: false },
                pixel,
                whole: true,
                spacing_mm: Some(spacing_mm),
            });
        }
    }
    Ok(slices)
}

/// Millimetres of a network pixel that pictures of about 400 × 330 pixels over the two lungs amount to: they are
/// roughly twice as fine as a whole chest on 256 pixels (judged by eye on ten of them; scale is augmented anyway).
const SEMISEG_PIXEL: f32 = 0.5;

fn covid_semiseg(folder: &Path, prefix: &str) -> Result<Vec<Slice>, TrainError> {
    let mut slices = Vec::new();
    for path in files(&folder.join("Imgs"))? {
        let stem = path.file_stem().and_then(|n| n.to_str()).unwrap_or_default().to_string();
        let index = stem.parse().map_err(|_| TrainError::data(&path, "the name is not a number"))?;
        let image = read_jpeg(&path)?;
        let lesion_path = folder.join("GT_lesion").join(format!("{stem}.png"));
        let kinds_path = folder.join("GT_multiclass").join(format!("{stem}.png"));
        let (lesion, kinds) = (read_png(&lesion_path)?, read_png(&kinds_path)?);
        if lesion.size() != image.size() || kinds.size() != image.size() {
            return Err(TrainError::data(&path, "masks and image differ in size"));
        }
        let labels = lesion.values.iter().zip(&kinds.values).map(|(l, k)| bits(false, *l > 127 || *k > 0, *k == 2));
        let labels = Plane { values: labels.collect(), ..image };
        let (image, labels) = (image.upright(), labels.upright());
        slices.push(Slice {
            patient: format!("{prefix}{stem}"),
            volume: format!("{prefix}{stem}"),
            index,
            width: image.width,
            height: image.height,
            image: image.values,
            labels: labels.values,
            known: Known { lung: false, consolidation: true },
            pixel: SEMISEG_PIXEL,
            whole: false,
            spacing_mm: None,
        });
    }
    slices.sort_by_key(|slice| slice.index);
    Ok(slices)
}

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

/// An 8-bit picture.
struct Plane {
    width: usize,
    height: usize,
    values: Vec<u8>,
}

impl Plane {
    fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Turned a quarter clockwise: these pictures have the front of the chest at their left edge.
    fn upright(&self) -> Self {
        let (width, height) = (self.height, self.width);
        let values = (0..height).flat_map(|row| (0..width).map(move |column| (row, column)));
        let values = values.map(|(row, column)| self.values[(self.height - 1 - column) * self.width + row]).collect();
        Self { width, height, values }
    }
}

/// The grey values of an 8-bit picture; of a palette picture, its indices.
fn read_png(path: &Path) -> Result<Plane, TrainError> {
    let file = File::open(path).map_err(TrainError::file(path))?;
    let mut decoder = png::Decoder::new(std::io::BufReader::new(file));
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(|e| TrainError::data(path, e))?;
    let info = reader.info();
    let (width, height, color, depth) = (info.width as usize, info.height as usize, info.color_type, info.bit_depth);
    let samples = color.samples();
    let size = reader.output_buffer_size().ok_or_else(|| TrainError::data(path, "the picture is too large"))?;
    let mut buffer = vec![0; size];
    let frame = reader.next_frame(&mut buffer).map_err(|e| TrainError::data(path, e))?;
    let line = frame.line_size;
    let per_byte = match depth {
        png::BitDepth::Eight => 1,
        png::BitDepth::Four if samples == 1 => 2,
        png::BitDepth::Two if samples == 1 => 4,
        png::BitDepth::One if samples == 1 => 8,
        _ => return Err(TrainError::data(path, "only pictures of up to 8 bits are read")),
    };
    // A one-bit mask means black and white; smaller palettes are indices and stay what they are.
    let scale = if color == png::ColorType::Grayscale { 255 / ((1u16 << (8 / per_byte)) - 1) } else { 1 };
    let values = (0..height).flat_map(|row| (0..width).map(move |column| (row, column))).map(|(row, column)| {
        if per_byte == 1 {
            return buffer[row * line + column * samples];
        }
        let bits = 8 / per_byte;
        let byte = buffer[row * line + column / per_byte];
        let shift = 8 - bits * (column % per_byte + 1);
        ((u16::from(byte >> shift) & ((1 << bits) - 1)) * scale) as u8
    });
    Ok(Plane { width, height, values: values.collect() })
}

fn read_jpeg(path: &Path) -> Result<Plane, TrainError> {
    let file = File::open(path).map_err(TrainError::file(path))?;
    let mut decoder = jpeg_decoder::Decoder::new(std::io::BufReader::new(file));
    let pixels = decoder.decode().map_err(|e| TrainError::data(path, e))?;
    let info = decoder.info().ok_or_else(|| TrainError::data(path, "no picture in the file"))?;
    let values = match info.pixel_format {
        jpeg_decoder::PixelFormat::L8 => pixels,
        jpeg_decoder::PixelFormat::RGB24 => pixels.chunks_exact(3).map(|rgb| rgb[1]).collect(),
        _ => return Err(TrainError::data(path, "only grey and RGB pictures are read")),
    };
    Ok(Plane { width: info.width.into(), height: info.height.into(), values })
}
