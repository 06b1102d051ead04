//! Slices to learn from and to measure on, as the data sets' layouts give them.

use std::path::{Path, PathBuf};

use hilum_dicom::Limits;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::config::matches;
use crate::layouts;
use crate::structures::{LabelBits, Structures};

/// Names of the channels a pneumonia network predicts, in the order of its outputs.
pub const CHANNELS: [&str; 3] = ["lung", "lesion", "consolidation"];

/// How a folder of images and masks is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// `ct/NNNN.png`, `lungs/NNNN.png`, `covid/NNNN.png` and `volumes.csv` with `slice,volume,patient_group`.
    Covid19CtSeg,
    /// `NAME_image.nii.gz` beside `NAME_labels.nii.gz`: 0 background, and what [`Reading::labels`] says of the other numbers.
    /// Any folder of such pairs will do; the patient is `PREFIXNAME`.
    NiftiPairs,
    /// `images/NAME.png` (or `.jpg`, `.jpeg`), 8-bit grey, beside `masks/NAME.png` with labels as in [`Layout::NiftiPairs`] (grey
    /// values or indices of a palette). The patient is `PREFIX` and what stands before the first `_` of NAME; pictures that agree
    /// up to the last `_` are the slices of one scan, in the order of the numbers behind it. Every picture shows the whole chest.
    PngPairs,
    /// `Imgs/N.jpg`, `GT_lesion/N.png`, `GT_multiclass/N.png`: lung-cropped slices on their side.
    CovidSemiSeg,
    /// A folder per patient, `PREFIXNAME`, with one CT series and the DICOM segmentations of it that hold the truth (any number,
    /// files of any name, searched recursively): segments of lungs or lobes, and of ground-glass, consolidation or
    /// opacity, by their codes. A corrected segmentation of Hilum itself will do.
    DicomSeg,
}

impl Layout {
    /// Every layout, with what a folder of it holds, in words.
    pub const ALL: [(Self, &str); 5] = [
        (Self::Covid19CtSeg, "volumes.csv, ct/, lungs/ and covid/ (COVID-19-CT-Seg)"),
        (Self::CovidSemiSeg, "Imgs/, GT_lesion/ and GT_multiclass/ (COVID-SemiSeg)"),
        (Self::NiftiPairs, "NAME_image.nii.gz and NAME_labels.nii.gz"),
        (Self::PngPairs, "images/NAME.png or .jpg and masks/NAME.png"),
        (Self::DicomSeg, "a folder per patient with a CT series and DICOM segmentations of it"),
    ];

    /// Whether the user's own numbers in masks say what a pixel is ([`Reading::labels`]).
    pub(crate) fn is_of_pairs(self) -> bool {
        matches!(self, Self::NiftiPairs | Self::PngPairs)
    }

    /// The layout of a folder, by the files in it; `None` if it has none of them, or cannot be read.
    #[must_use]
    pub fn of(folder: &Path) -> Option<Self> {
        let is_there = |(layout, _): &(Self, &str)| match layout {
            Self::Covid19CtSeg => folder.join("volumes.csv").is_file(),
            Self::CovidSemiSeg => folder.join("GT_multiclass").is_dir(),
            Self::NiftiPairs => layouts::has_nifti_pairs(folder),
            Self::PngPairs => layouts::PAIR_FOLDERS.iter().all(|name| folder.join(name).is_dir()),
            Self::DicomSeg => layouts::has_dicom_folders(folder),
        };
        Self::ALL.into_iter().find(is_there).map(|(layout, _)| layout)
    }
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
    /// Which of the [structures](Reading::structures) every pixel shows, `[row, column]`: bit *n* is the structure *n*.
    pub labels: Vec<u8>,
    /// Which structures the labels speak of, as bits. Where there is no lesion there is no consolidation either, whether the
    /// set tells it from other lesions or not.
    pub known: u8,
    /// Edge of a pixel as a multiple of the network's pixel (1 where the slice already has its resolution).
    pub pixel: f32,
    /// Whether the picture shows the whole chest, so that what lies beyond its frame is air.
    pub whole: bool,
    /// Millimetres `[slice, row, column]` where the set tells them, else `None`.
    pub spacing_mm: Option<[f64; 3]>,
    /// Manufacturer of the scanner where the set tells it; training does not keep it.
    pub scanner: Option<String>,
}

impl Slice {
    /// Whether any pixel shows a structure, by its number.
    pub fn shows(&self, structure: usize) -> bool {
        self.labels.iter().any(|bits| bits >> structure & 1 == 1)
    }

    fn reverse_rows(&mut self) {
        for plane in [&mut self.image, &mut self.labels] {
            *plane = plane.chunks_exact(self.width).rev().flatten().copied().collect();
        }
    }
}

/// How files are read that leave something open.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// Goes before the names of patients the layout does not name itself.
    pub prefix: String,
    /// HU that become grey 0 and 255, for NIfTI files in HU (told by a value below 0 or above 255; others are taken as 8-bit).
    pub window_hu: [f32; 2],
    /// Edge of the network's pixel in mm, for NIfTI files in HU. 8-bit sets have their chest on about 256 pixels.
    pub pixel_mm: f64,
    /// Scans that are stored with the patient's back up: their rows are read from the last to the first. An entry that ends in
    /// `*` stands for all that begin so.
    pub upside_down: Vec<String>,
    /// What the bits of [`Slice::labels`] are.
    pub structures: Structures,
    /// For pairs of images and masks, the structures that the numbers 1, 2 and so on of the masks stand for. Without any: 1
    /// lung, 2 lesion (which is lung, too), 3 consolidation (which is lesion, too), as far as the structures are these, and a
    /// scan without a 3 tells no consolidation from other lesions; otherwise 1 is the first structure, 2 the second.
    pub labels: Vec<Vec<String>>,
}

impl Default for Reading {
    /// HU from −1250 to 250 on pixels of 1.4 mm, for lung, lesion and consolidation.
    fn default() -> Self {
        Self {
            prefix: String::new(),
            window_hu: [-1250.0, 250.0],
            pixel_mm: 1.4,
            upside_down: Vec::new(),
            structures: Structures::default(),
            labels: Vec::new(),
        }
    }
}

impl Reading {
    /// What the numbers in masks mean.
    pub(crate) fn label_bits(&self) -> Result<LabelBits, TrainError> {
        LabelBits::of(&self.structures, &self.labels)
    }
}

/// One scan of a data set that has not been read yet.
#[derive(Clone, Debug)]
pub struct Case {
    pub(crate) patient: String,
    pub(crate) volume: String,
    pub(crate) reading: Reading,
    pub(crate) files: CaseFiles,
}

/// Where a case is.
#[derive(Clone, Debug, Serialize)]
pub(crate) enum CaseFiles {
    /// Slices `ct/NAME.png` and their masks.
    Pictures { folder: PathBuf, names: Vec<String> },
    /// Slices `images/NAME` with an extension, and their masks.
    PicturePairs { folder: PathBuf, names: Vec<String> },
    /// An image and its labels.
    Nifti { image: PathBuf, labels: PathBuf },
    /// `Imgs/NAME.jpg` and its masks.
    SinglePicture { folder: PathBuf, name: String },
    /// A series and its segmentations.
    Dicom { folder: PathBuf },
}

impl CaseFiles {
    /// Whether what is read from them has the bits of lung, lesion and consolidation, whatever the network outlines.
    fn are_of_pneumonia(&self) -> bool {
        match self {
            Self::Pictures { .. } | Self::SinglePicture { .. } | Self::Dicom { .. } => true,
            Self::PicturePairs { .. } | Self::Nifti { .. } => false,
        }
    }
}

impl Case {
    /// The patient, the unit of every split.
    #[must_use]
    pub fn patient(&self) -> &str {
        &self.patient
    }

    /// The scan.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.volume
    }

    /// Every slice of the scan in order, all of one size. `limits` are those of its files, with the workers that unpack DICOM.
    ///
    /// # Errors
    /// [`TrainError::File`] and [`TrainError::Data`] name the file that cannot be used.
    pub fn read(&self, limits: &Limits) -> Result<Vec<Slice>, TrainError> {
        let mut slices = match &self.files {
            CaseFiles::Pictures { folder, names } => layouts::pictures(self, folder, names, limits),
            CaseFiles::PicturePairs { folder, names } => layouts::picture_pairs(self, folder, names, limits),
            CaseFiles::Nifti { image, labels } => layouts::nifti_pair(self, image, labels, limits),
            CaseFiles::SinglePicture { folder, name } => layouts::single_picture(self, folder, name, limits),
            CaseFiles::Dicom { folder } => layouts::dicom(self, folder, limits),
        }?;
        if self.files.are_of_pneumonia() {
            let structures = &self.reading.structures;
            let bits: [u8; 256] = std::array::from_fn(|bits| structures.of_pneumonia(bits as u8));
            for slice in &mut slices {
                slice.known = bits[usize::from(slice.known)];
                slice.labels.iter_mut().for_each(|labels| *labels = bits[usize::from(*labels)]);
            }
        }
        if self.reading.upside_down.iter().any(|entry| matches(entry, &self.volume)) {
            slices.iter_mut().for_each(Slice::reverse_rows);
        }
        Ok(slices)
    }

    /// The folder it is in.
    pub(crate) fn folder(&self) -> &Path {
        match &self.files {
            CaseFiles::Pictures { folder, .. }
            | CaseFiles::PicturePairs { folder, .. }
            | CaseFiles::SinglePicture { folder, .. }
            | CaseFiles::Dicom { folder } => folder,
            CaseFiles::Nifti { image, .. } => image.parent().unwrap_or(image),
        }
    }

    /// Every file it is read from.
    pub(crate) fn sources(&self) -> Result<Vec<PathBuf>, TrainError> {
        Ok(match &self.files {
            CaseFiles::Pictures { folder, names } => layouts::PICTURE_KINDS
                .iter()
                .flat_map(|kind| names.iter().map(move |name| folder.join(kind).join(format!("{name}.png"))))
                .collect(),
            CaseFiles::PicturePairs { folder, names } => {
                names.iter().flat_map(|name| layouts::picture_pair_files(folder, name)).collect()
            }
            CaseFiles::Nifti { image, labels } => vec![image.clone(), labels.clone()],
            CaseFiles::SinglePicture { folder, name } => layouts::single_picture_files(folder, name).into(),
            CaseFiles::Dicom { folder } => layouts::files_below(folder)?,
        })
    }

    /// Everything but the content of its files that decides what is read.
    pub(crate) fn description(&self) -> String {
        let parts = (&self.patient, &self.volume, &self.reading, &self.files);
        serde_json::to_string(&parts).expect("plain data serialises")
    }
}

/// The cases of a folder, sorted by name; nothing of the images is read yet.
///
/// # Errors
/// [`TrainError::File`] and [`TrainError::Data`] name the file that cannot be used.
pub fn list(layout: Layout, folder: &Path, reading: &Reading) -> Result<Vec<Case>, TrainError> {
    let mut cases = match layout {
        Layout::Covid19CtSeg => layouts::list_covid19_ct_seg(folder, reading),
        Layout::NiftiPairs => layouts::list_nifti_pairs(folder, reading),
        Layout::PngPairs => layouts::list_png_pairs(folder, reading),
        Layout::CovidSemiSeg => layouts::list_covid_semiseg(folder, reading),
        Layout::DicomSeg => layouts::list_dicom(folder, reading),
    }?;
    cases.sort_by(|a, b| a.volume.cmp(&b.volume));
    Ok(cases)
}

/// Reads every slice of a folder at once, sorted by volume and index: for small sets.
///
/// # Errors
/// [`TrainError::File`] and [`TrainError::Data`] name the file that cannot be used.
pub fn read(layout: Layout, folder: &Path, reading: &Reading, limits: &Limits) -> Result<Vec<Slice>, TrainError> {
    let mut slices = Vec::new();
    for case in list(layout, folder, reading)? {
        slices.extend(case.read(limits)?);
    }
    Ok(slices)
}
