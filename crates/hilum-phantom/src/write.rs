//! A phantom as files: DICOM, and the known answers beside it.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use crate::anatomy::Anatomy;
use crate::answers::KnownAnswers;
use crate::options::{PhantomOptions, Variant};
use crate::random::Texture;
use crate::scanner::{Body, ScannerOptions, scan};
use crate::unfit::{Head, Knee, Projection, Resonance};
use hilum_dicom::{Capture, CtSeriesDescription, capture_file, ct_images, nifti};
use hilum_volume::{Geometry, PatientPoint, PatientVector, Volume};

/// Why a phantom could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A folder or file cannot be made.
    #[error("{path} cannot be written: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// An image cannot be put into its format.
    #[error(transparent)]
    Format(#[from] hilum_dicom::Error),
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The folders of DICOM files: one, or of [`Variant::TwoPatients`] two.
    pub series: Vec<PathBuf>,
    /// Number of DICOM files.
    pub files: usize,
    /// The known answers, of two patients those of the first; `None` where nothing can be measured.
    pub answers: Option<KnownAnswers>,
}

/// Writes a phantom into `folder`, which is made if need be: the images into `series/`, and beside it `answers.json`
/// ([`KnownAnswers`]) and `truth-labels.nii.gz` (1–5 lobes, 11 ground-glass, 12 consolidation, on the grid of the series,
/// slices that were not written included). The same options give the same bytes.
///
/// Unfit variants have no answers, there being nothing to measure; but [`Variant::TwoPatients`] has two whole folders,
/// `patient-1` and `patient-2`.
///
/// # Errors
/// [`Error`] if a file cannot be written.
pub fn write(folder: &Path, options: &PhantomOptions) -> Result<Written, Error> {
    let anatomy = |seed| Anatomy::new(seed, options.disease);
    let texture = Texture::new(options.seed);
    match options.variant {
        Variant::TwoPatients => {
            let mut all = write_anatomy(&folder.join("patient-1"), &anatomy(options.seed), options)?;
            let second = write_anatomy(&folder.join("patient-2"), &anatomy(options.seed + 1), options)?;
            all.series.extend(second.series);
            all.files += second.files;
            Ok(all)
        }
        Variant::Head => write_body(folder, &Head { texture }, 260.0, options),
        Variant::Knee => write_body(folder, &Knee { texture }, 200.0, options),
        _ => write_anatomy(folder, &anatomy(options.seed), options),
    }
}

/// As [`fn@write`], of a chest at hand: quicker where one chest is written in several variants. Seed and disease are the
/// anatomy's, and of [`Variant::TwoPatients`] it is the one patient.
///
/// # Errors
/// [`Error`] if a file cannot be written.
///
/// # Panics
/// If the variant is a head or a knee.
pub fn write_anatomy(folder: &Path, anatomy: &Anatomy, options: &PhantomOptions) -> Result<Written, Error> {
    let options = &PhantomOptions { seed: anatomy.seed(), disease: anatomy.disease(), ..options.clone() };
    assert!(!matches!(options.variant, Variant::Head | Variant::Knee), "a chest cannot be written as a head or a knee");
    let series = folder.join("series");
    fs::create_dir_all(&series).map_err(at(&series))?;
    let grid = options.geometry();
    let files = write_chest(&series, anatomy, &grid, &options.scanner(), &description(options), options)?;
    let measurable = options.variant.is_fit() || options.variant == Variant::TwoPatients;
    let answers = measurable.then(|| anatomy.known_answers().clone());
    if let Some(answers) = &answers {
        write_truth(folder, anatomy, &grid, answers)?;
    }
    Ok(Written { series: vec![series], files, answers })
}

fn write_body(folder: &Path, body: &dyn Body, field_mm: f64, options: &PhantomOptions) -> Result<Written, Error> {
    let series = folder.join("series");
    fs::create_dir_all(&series).map_err(at(&series))?;
    let volume = scan(body, &around_origin(&options.geometry(), field_mm), &options.scanner());
    let files = write_slices(&series, &volume, &description(options), options)?;
    Ok(Written { series: vec![series], files, answers: None })
}

fn write_chest(
    series: &Path,
    anatomy: &Anatomy,
    grid: &Geometry,
    scanner: &ScannerOptions,
    description: &CtSeriesDescription,
    options: &PhantomOptions,
) -> Result<usize, Error> {
    match options.variant {
        Variant::Localiser => {
            let axes =
                [PatientVector([0.0, 1.0, 0.0]), PatientVector([0.0, 0.0, -1.0]), PatientVector([1.0, 0.0, 0.0])];
            let grid = Geometry::new([1, 320, 380], PatientPoint([-189.5, 8.0, 152.0]), axes, [1.0, 1.0, 1.0])
                .expect("a scout view is a grid");
            let scout = ScannerOptions { noise_hu: 6.0, ..scanner.clone() };
            write_slices(series, &scan(&Projection(anatomy), &grid, &scout), description, options)
        }
        Variant::Mr => write_slices(series, &scan(&Resonance(anatomy), grid, scanner), description, options),
        Variant::SecondaryCapture => write_captures(series, &anatomy.scan(grid, scanner), description),
        _ => write_slices(series, &anatomy.scan(grid, scanner), description, options),
    }
}

fn write_slices(
    folder: &Path,
    volume: &Volume<i16>,
    description: &CtSeriesDescription,
    options: &PhantomOptions,
) -> Result<usize, Error> {
    let kept = options.written_slices();
    let mut files = 0;
    for image in ct_images(volume, description) {
        let image = image?;
        if kept.contains(&image.slice) {
            let path = folder.join(format!("{:05}.dcm", image.slice + 1));
            fs::write(&path, &image.bytes).map_err(at(&path))?;
            files += 1;
        }
    }
    Ok(files)
}

/// The slices as pictures in a lung window, −600 ± 750 HU.
fn write_captures(folder: &Path, volume: &Volume<i16>, description: &CtSeriesDescription) -> Result<usize, Error> {
    let [slices, rows, columns] = volume.shape();
    for slice in 0..slices {
        let window = |hu: &i16| ((f32::from(*hu) + 1350.0) / 1500.0 * 255.0).round().clamp(0.0, 255.0) as u8;
        let grey: Vec<u8> = volume.slice(slice).iter().map(window).collect();
        let capture = Capture {
            seed: &description.seed,
            number: slice as u32 + 1,
            modality: "CT",
            patient_name: &description.patient_name,
            patient_id: &description.patient_id,
            series_description: &description.series_description,
            shape: [rows, columns],
            grey: &grey,
        };
        let path = folder.join(format!("{:05}.dcm", slice + 1));
        fs::write(&path, capture_file(&capture)?).map_err(at(&path))?;
    }
    Ok(slices)
}

fn write_truth(folder: &Path, anatomy: &Anatomy, grid: &Geometry, answers: &KnownAnswers) -> Result<(), Error> {
    let path = folder.join("answers.json");
    let json = serde_json::to_string_pretty(answers).expect("answers are plain numbers and words");
    fs::write(&path, json + "\n").map_err(at(&path))?;
    let path = folder.join("truth-labels.nii.gz");
    let file = File::create(&path).map_err(at(&path))?;
    let labels = anatomy.truth(grid).into_labels();
    nifti::write_labels(&labels, BufWriter::new(file), nifti::Compression::Gzip)?;
    Ok(())
}

fn description(options: &PhantomOptions) -> CtSeriesDescription {
    let variant = options.variant;
    let image_type: &[&str] = match variant {
        Variant::Localiser => &["ORIGINAL", "PRIMARY", "LOCALIZER"],
        Variant::Mr => &["ORIGINAL", "PRIMARY", "M"],
        _ => &["ORIGINAL", "PRIMARY", "AXIAL"],
    };
    let mr = variant == Variant::Mr;
    CtSeriesDescription {
        seed: format!("phantom {} {} {}", options.seed, options.disease.name(), variant.name()),
        modality: if mr { "MR" } else { "CT" }.into(),
        patient_name: format!("PHANTOM^{}", options.seed),
        patient_id: format!("PHANTOM-{}", options.seed),
        series_description: format!("Phantom {} {}", variant.name(), options.disease.name()),
        convolution_kernel: "STANDARD".into(),
        body_part_examined: match variant {
            Variant::Head => "HEAD",
            Variant::Knee => "KNEE",
            _ => "CHEST",
        }
        .into(),
        image_type: image_type.iter().map(|v| (*v).to_owned()).collect(),
        slice_thickness_mm: options.scanner().slice_thickness_mm,
        rescale_intercept: if mr { 0.0 } else { -1024.0 },
        ..CtSeriesDescription::default()
    }
}

/// A grid as fine as `grid` with a field of `field_mm`, its middle at the origin.
fn around_origin(grid: &Geometry, field_mm: f64) -> Geometry {
    let [_, rows, columns] = grid.shape();
    let spacing = grid.spacing_mm()[0];
    let pixel = field_mm / columns as f64;
    let slices = (field_mm * 0.75 / spacing) as usize;
    let half = |n: usize, step: f64| -0.5 * (n - 1) as f64 * step;
    let origin = PatientPoint([half(columns, pixel), half(rows, pixel), half(slices, spacing)]);
    Geometry::axial([slices, rows, columns], origin, [spacing, pixel, pixel]).expect("a field of view is a grid")
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}
