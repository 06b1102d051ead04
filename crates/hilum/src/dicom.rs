//! `hilum dicom`: everyday work on DICOM files.

mod network;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use hilum_dicom::{Limits, Refusal, Scan, SeriesSummary, Severity, Source, load, nifti, scan};

use crate::dicom_deidentify::{DeidentifyArguments, ReidentifyArguments, deidentify_run, reidentify_run};
use crate::outcome::Refused;
use crate::output;
use crate::progress::Progress;
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
    /// List the series of a folder, file or ZIP; no patient is named
    Info {
        /// A folder of DICOM files (searched recursively), one file or a ZIP
        path: PathBuf,
    },
    /// Load every CT series as for an analysis and say what is wrong with it
    ///
    /// Localisers and other modalities are passed over. Exit code 3 if a CT series or a file is refused.
    Validate {
        /// A folder of DICOM files (searched recursively), one file or a ZIP
        path: PathBuf,
    },
    /// Write a CT series as NIfTI, in Hounsfield units
    Convert {
        /// A folder of DICOM files (searched recursively), one file or a ZIP
        input: PathBuf,
        /// The file to write, .nii.gz or .nii
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The series, by its Series Instance UID; otherwise there must be one alone
        #[arg(long, value_name = "UID")]
        series: Option<String>,
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
        DicomAction::Info { path } => info(path),
        DicomAction::Validate { path } => validate(path, progress),
        DicomAction::Convert { input, out, series } => convert(input, out, series.as_deref(), progress),
        DicomAction::Echo(a) => echo_run(a),
        DicomAction::Send(a) => send_run(a, progress),
        DicomAction::Query(a) => query_run(a),
        DicomAction::Retrieve(a) => retrieve_run(a, progress),
        DicomAction::Deidentify(a) => deidentify_run(a),
        DicomAction::Reidentify(a) => reidentify_run(a),
    }
}

fn refused(refusal: &Refusal) -> Refused {
    Refused(refusal.to_string())
}

fn look(path: &Path) -> Result<Scan> {
    Ok(scan(&Source::from(path), &Limits::default()).map_err(|r| refused(&r))?)
}

fn info(path: &Path) -> Result<()> {
    let scan = look(path)?;
    for series in scan.series() {
        describe(series);
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

fn describe(s: &SeriesSummary) {
    let mm = |value: Option<f64>| value.map_or("unknown".to_owned(), |mm| format!("{mm:.2} mm"));
    println!("series {}", s.series_uid);
    println!("  study        {}", s.study_uid);
    println!("  {} {:?}, body part {:?}, {}", s.modality, s.description, s.body_part_examined, s.image_type.join("\\"));
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

fn validate(path: &Path, progress: &Progress) -> Result<()> {
    let scan = look(path)?;
    let mut bad = 0usize;
    for summary in scan.series().iter().filter(|s| s.modality == "CT" && s.images > s.localisers) {
        println!("series {}", summary.series_uid);
        match load(&scan, &summary.series_uid, &|share| progress.report("reading", share)) {
            Ok(series) => {
                let [slices, rows, columns] = series.volume.geometry().shape();
                println!("  can be read: {slices} slices of {rows} × {columns}");
                for note in &series.notes {
                    println!("  {}: {}", note.severity.as_str(), note.text);
                }
                bad += usize::from(series.notes.iter().any(|note| note.severity == Severity::Severe));
            }
            Err(refusal) => {
                println!("  refused: {refusal}");
                bad += 1;
            }
        }
    }
    progress.finish();
    let broken = scan
        .skipped()
        .iter()
        .filter(|s| !matches!(s.reason, hilum_dicom::SkipReason::NotDicom | hilum_dicom::SkipReason::NoImage));
    for file in broken {
        println!("a file is refused: {}", file.reason);
        bad += 1;
    }
    if bad > 0 {
        return Err(Refused(format!("{bad} series or files are refused or severely flawed")).into());
    }
    Ok(())
}

fn convert(input: &Path, out: &Path, series: Option<&str>, progress: &Progress) -> Result<()> {
    let name = out.to_string_lossy();
    let compression = if name.ends_with(".nii.gz") {
        nifti::Compression::Gzip
    } else if name.ends_with(".nii") {
        nifti::Compression::None
    } else {
        return Err(crate::outcome::WrongUsage("--out ends with .nii.gz or .nii".into()).into());
    };
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
