//! The DICOM files of a result folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use hilum_dicom::{Device, EarlierStudy, Moment, Origin, Refusal, ResultContext, SegmentationImage};
use hilum_findings::Findings;
use hilum_lung::{DicomInput, Given, Masks, SegmentationForm, dicom_results};
use hilum_report::ReportFiles;
use hilum_volume::{Geometry, LabelMap, Volume};

use crate::output;

/// What of the results can be chosen.
#[derive(Args, Default)]
pub(crate) struct ResultArguments {
    /// A DICOM segmentation with lobes or opacities, such as ours corrected by a reader: they are measured in place of those
    /// that are found. Its pixels must be voxels of the series
    #[arg(long, value_name = "FILE.dcm")]
    masks: Option<PathBuf>,
    /// How segmentations are written
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    pub(crate) seg_form: SegForm,
}

/// How segmentations are written.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SegForm {
    /// Lungs, lobes and opacities that overlap, one bit per voxel: what every viewer reads
    #[default]
    Binary,
    /// As binary, and besides what the network said before any rule: probability.dcm (FRACTIONAL, PROBABILITY)
    Fractional,
    /// As binary, and besides lobes with opacities in their place, one number per voxel: labelmap.dcm, which few viewers read
    #[value(name = "labelmap")]
    LabelMap,
}

impl ResultArguments {
    /// The masks that were given, on the grid of the series. An image without `origin`, as NIfTI, cannot say whose they are.
    pub(crate) fn masks(&self, grid: &Geometry, origin: Option<&Origin>) -> Result<Option<Masks>, Refusal> {
        let Some(path) = &self.masks else { return Ok(None) };
        let limits = crate::machine::limits();
        let bytes = std::fs::read(path)?;
        let segmentation = SegmentationImage::read(&bytes, &limits)?;
        if origin.is_some_and(|origin| !segmentation.is_of(origin)) {
            return Err(Refusal::NotSegmentation(
                "it is of other images: it names another series, in another frame of reference",
            ));
        }
        Masks::of(&segmentation, grid).map(Some)
    }

    /// The file of masks that was given.
    pub(crate) fn masks_file(&self) -> Option<&Path> {
        self.masks.as_deref()
    }
}

/// What the DICOM results are made from besides findings and report.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) labels: &'a LabelMap,
    pub(crate) lobes: &'a LabelMap,
    pub(crate) lesion_probability: &'a Volume<u8>,
    pub(crate) earlier: &'a [EarlierStudy],
    pub(crate) change: Option<&'a LabelMap>,
    /// What of the outlines was given.
    pub(crate) given: Given,
    pub(crate) form: SegForm,
}

/// Writes the results as DICOM into the folder `dicom` of `out`; what could not be written is returned, with the reason.
pub(crate) fn write(
    out: &Path,
    sources: &Sources<'_>,
    findings: &Findings,
    report: &ReportFiles,
) -> Result<Vec<String>> {
    let Sources { origin, labels, lobes, lesion_probability, earlier, change, given, form } = *sources;
    let software = &findings.software;
    let mut versions = vec![format!("{} {}", software.name, software.version)];
    versions.extend(software.commit.iter().map(|commit| format!("commit {}", short(commit))));
    versions.extend(findings.models.iter().map(|m| format!("{} {} {}", m.name, m.version, short(&m.sha256))));
    // A program has no serial number; its version stands for it.
    let versions: Vec<String> = versions.iter().map(|v| v.chars().take(64).collect()).collect();
    let device = Device::new("Hilum", &software.name, &software.version, &versions)?;
    let now = chrono::Local::now();
    let created = Moment::new(&now.format("%Y%m%d").to_string(), &now.format("%H%M%S").to_string())?;
    let context = ResultContext { origin, device: &device, created: &created };
    let pictures = report.pictures.iter().map(|(name, png)| decoded(name, png)).collect::<Result<Vec<_>>>()?;
    let form = match form {
        SegForm::Binary => SegmentationForm::Binary,
        SegForm::Fractional => SegmentationForm::Fractional,
        SegForm::LabelMap => SegmentationForm::LabelMap,
    };
    let input = DicomInput {
        findings,
        labels,
        lobes,
        lesion_probability: Some(lesion_probability),
        earlier,
        change,
        given,
        form,
        pdf: Some(&report.pdf),
        first_page: Some((report.first_page.shape, &report.first_page.rgb)),
        report_names_patient: true,
        pictures: &pictures,
    };
    let results = dicom_results(&context, &input).context("the DICOM results could not be made")?;
    let folder = out.join("dicom");
    output::folder(&folder)?;
    for (name, file) in &results.files {
        output::write(&folder.join(name), file.bytes())?;
    }
    Ok(results.notes)
}

/// The first twelve characters of a hash, which tell versions apart.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// A PNG of the report as rows, columns and RGB, captioned by its name.
fn decoded(name: &str, png: &[u8]) -> Result<(String, [usize; 2], Vec<u8>)> {
    let broken = || format!("the picture {name} could not be read back");
    let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().with_context(broken)?;
    let mut pixels = vec![0; reader.output_buffer_size().with_context(broken)?];
    let info = reader.next_frame(&mut pixels).with_context(broken)?;
    pixels.truncate(info.buffer_size());
    let rgb = match info.color_type {
        png::ColorType::Rgb => pixels,
        png::ColorType::Rgba => pixels.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
        png::ColorType::Grayscale => pixels.iter().flat_map(|p| [*p; 3]).collect(),
        png::ColorType::GrayscaleAlpha => pixels.chunks_exact(2).flat_map(|p| [p[0]; 3]).collect(),
        png::ColorType::Indexed => anyhow::bail!("{}", broken()),
    };
    let title = name.trim_end_matches(".png").replace('-', " ");
    let caption = format!("Key picture: {title}.");
    Ok((caption, [info.height as usize, info.width as usize], rgb))
}
