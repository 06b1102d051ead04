//! `hilum dicom`: everyday work on DICOM files.

mod network;
mod objects;
mod segmentation;
mod validate;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use hilum_dicom::{Refusal, Scan, SeriesSummary, Source, load, nifti, scan};

use crate::dicom_deidentify::{DeidentifyArguments, ReidentifyArguments, deidentify_run, reidentify_run};
use crate::outcome::{Refused, WrongUsage, must_exist};
use crate::output;
use crate::progress::Progress;
pub(crate) use objects::{reports, segmentations};

use network::{
    EchoArguments, QueryArguments, RetrieveArguments, SendArguments, echo_run, query_run, retrieve_run, send_run,
};

#[derive(Args)]
pub(crate) struct DicomArguments {
    #[command(subcommand)]
    action: DicomAction,
}

#[derive(Subcommand)]
enum DicomAction {
    /// List the series of a folder, file or ZIP, the segments of segmentations and the measurements of reports
    ///
    /// No patient is named.
    Info {
        /// A folder of DICOM files (searched recursively), one file or a ZIP
        path: PathBuf,
        /// Print every element instead; values that may identify somebody (PS3.15 Annex E, private ones) are not shown
        #[arg(long)]
        tags: bool,
        /// Show those values, and the descriptions of series, too
        #[arg(long)]
        identity: bool,
    },
    /// Hold objects against the standard, load every CT series as for an analysis, and say what is wrong
    ///
    /// Of CT, segmentations, reports, captures, PDF, key objects and presentation states: the attributes that their modules
    /// require, representations, numbers and ranges of values; of all objects: elements, UIDs and the file's head. Of a
    /// folder: UIDs that are there twice, series and studies that do not belong together, references that lead nowhere,
    /// segmentations that do not lie on their series. No value is printed. Exit code 3 if there is an error.
    Validate {
        /// A folder of DICOM files (searched recursively), one file or a ZIP
        path: PathBuf,
    },
    /// Write a CT series as NIfTI in Hounsfield units, or a segmentation as NIfTI labels
    ///
    /// Labels are the numbers of segments, which are printed. A segmentation is written on the grid of its images (--source),
    /// otherwise on the grid that its own frames lie on.
    Convert {
        /// A folder of DICOM files (searched recursively), one file or a ZIP
        input: PathBuf,
        /// The file to write, .nii.gz or .nii
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The series, by its Series Instance UID; otherwise there must be one alone
        #[arg(long, value_name = "UID")]
        series: Option<String>,
        /// The images that a segmentation was made from
        #[arg(long, value_name = "PATH")]
        source: Option<PathBuf>,
        /// One segment alone, by its number, as label 1
        #[arg(long, value_name = "N")]
        segment: Option<u16>,
    },
    /// Ask a PACS whether it is there (C-ECHO, or a search over DICOMweb)
    Echo(EchoArguments),
    /// Send objects to a PACS (C-STORE or STOW-RS)
    Send(SendArguments),
    /// Search a PACS for studies, series or objects (C-FIND or QIDO-RS)
    Query(QueryArguments),
    /// Bring a study or series from a PACS (C-GET, C-MOVE or WADO-RS)
    Retrieve(RetrieveArguments),
    /// Take out what identifies patients, after DICOM PS3.15 Annex E
    Deidentify(DeidentifyArguments),
    /// Bring originals back from de-identified files and their key
    Reidentify(ReidentifyArguments),
}

pub(crate) fn run(arguments: &DicomArguments, progress: &Progress) -> Result<()> {
    match &arguments.action {
        DicomAction::Info { path, tags: true, identity } => objects::tags(path, *identity),
        DicomAction::Info { path, identity, .. } => info(path, *identity),
        DicomAction::Validate { path } => validate::validate(path, progress),
        DicomAction::Convert { input, out, series, source, segment } => {
            let compression = compression(out)?;
            if let Some(folder) = out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                output::folder(folder)?;
            }
            if input.is_file() && objects::is_segmentation(input) {
                return segmentation::convert(input, source.as_deref(), *segment, out, compression, progress);
            }
            if source.is_some() || segment.is_some() {
                return Err(WrongUsage("--source and --segment are for a segmentation, one file".into()).into());
            }
            convert(input, out, compression, series.as_deref(), progress)
        }
        DicomAction::Echo(a) => echo_run(a),
        DicomAction::Send(a) => send_run(a, progress),
        DicomAction::Query(a) => query_run(a),
        DicomAction::Retrieve(a) => retrieve_run(a, progress),
        DicomAction::Deidentify(a) => deidentify_run(a, progress),
        DicomAction::Reidentify(a) => reidentify_run(a),
    }
}

fn refused(refusal: &Refusal) -> Refused {
    Refused(refusal.to_string())
}

fn look(path: &Path) -> Result<Scan> {
    must_exist(path)?;
    Ok(scan(&Source::from(path), &crate::machine::limits()).map_err(|r| refused(&r))?)
}

fn info(path: &Path, identity: bool) -> Result<()> {
    let results = objects::describe_results(path)?;
    let scan = match look(path) {
        Ok(scan) => scan,
        // A report alone has no images, and there is nothing wrong with that.
        Err(_) if results > 0 => return Ok(()),
        Err(reason) => return Err(reason),
    };
    for series in scan.series().iter().filter(|s| s.modality != "SEG") {
        describe(series, identity);
    }
    let mut reasons = std::collections::BTreeMap::new();
    for skipped in scan.skipped() {
        *reasons.entry(skipped.reason.to_string()).or_insert(0usize) += 1;
    }
    for (reason, count) in reasons {
        println!("passed over, {count}: {reason}");
    }
    Ok(())
}

fn describe(s: &SeriesSummary, identity: bool) {
    let mm = |value: Option<f64>| value.map_or("unknown".to_owned(), |mm| format!("{mm:.2} mm"));
    println!("series {}", s.series_uid);
    println!("  study        {}", s.study_uid);
    // Free text may name a patient.
    let description = if identity { format!(" {:?}", s.description) } else { String::new() };
    println!("  {}{description}, body part {:?}, {}", s.modality, s.body_part_examined, s.image_type.join("\\"));
    println!("  {} images of {} × {}, {} localisers", s.images, s.rows_columns[0], s.rows_columns[1], s.localisers);
    let pixel =
        s.pixel_spacing_mm.map_or("unknown".to_owned(), |[rows, columns]| format!("{rows:.3} × {columns:.3} mm"));
    println!(
        "  pixels {pixel}, slices {} thick, {} apart, {:.0} mm in all",
        mm(s.slice_thickness_mm),
        mm(s.slice_spacing_mm),
        s.coverage_mm
    );
    let plane = s.orientation.map_or("unknown".to_owned(), |o| format!("{o:?}").to_lowercase());
    println!(
        "  plane {plane}, kernel {:?}, contrast {}",
        s.convolution_kernel,
        if s.contrast { "named" } else { "not named" }
    );
}

fn compression(out: &Path) -> Result<nifti::Compression> {
    match out.to_string_lossy() {
        name if name.ends_with(".nii.gz") => Ok(nifti::Compression::Gzip),
        name if name.ends_with(".nii") => Ok(nifti::Compression::None),
        _ => Err(WrongUsage("--out ends with .nii.gz or .nii".into()).into()),
    }
}

fn convert(
    input: &Path,
    out: &Path,
    compression: nifti::Compression,
    series: Option<&str>,
    progress: &Progress,
) -> Result<()> {
    let scan = look(input)?;
    let uid = match (series, scan.series()) {
        (Some(uid), _) => uid,
        (None, [only]) => &only.series_uid,
        (None, several) => {
            let text =
                format!("there are {} series: choose one with --series (hilum dicom info lists them)", several.len());
            return Err(Refused(text).into());
        }
    };
    let series = load(&scan, uid, &|share| progress.report("reading", share)).map_err(|r| refused(&r))?;
    progress.finish();
    output::write_with(out, |file| Ok(nifti::write_volume(&series.volume, file, compression)?))?;
    for note in &series.notes {
        eprintln!("{}: {}", note.severity.as_str(), note.text);
    }
    println!("{}", out.display());
    Ok(())
}
