//! The DICOM files of a result folder.

use std::path::Path;

use anyhow::{Context, Result};
use hilum_dicom::{Device, Moment, Origin, ResultContext};
use hilum_findings::Findings;
use hilum_lung::{DicomInput, SegmentationForm, dicom_results};
use hilum_report::ReportFiles;
use hilum_volume::LabelMap;

use crate::output;

/// Writes the results as DICOM into the folder `dicom` of `out`; what could not be written is returned, with the reason.
pub(crate) fn write(
    out: &Path,
    origin: &Origin,
    findings: &Findings,
    [labels, lobes]: [&LabelMap; 2],
    report: &ReportFiles,
) -> Result<Vec<String>> {
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
    let form = SegmentationForm::Binary;
    let input = DicomInput {
        findings,
        labels,
        lobes,
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
