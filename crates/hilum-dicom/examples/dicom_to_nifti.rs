//! Turns the largest CT series of a folder, file or ZIP into a NIfTI file in HU:
//! `cargo run -p hilum-dicom --example dicom_to_nifti -- INPUT OUT.nii.gz`
//!
//! Compared with SimpleITK and nibabel: see `tests/data/check_against_simpleitk.py`.

use std::error::Error;
use std::fs::File;
use std::path::Path;

use hilum_dicom::{Limits, Source, load, nifti, scan};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(input), Some(output)) = (arguments.next(), arguments.next()) else {
        return Err("usage: dicom_to_nifti INPUT OUT.nii.gz".into());
    };
    let scan = scan(&Source::from(Path::new(&input)), &Limits::default())?;
    for skipped in scan.skipped() {
        eprintln!("skipped {}: {}", skipped.name.display(), skipped.reason);
    }
    for series in scan.series() {
        eprintln!("{}: {} images of {}", series.series_uid, series.images, series.modality);
    }
    scan.require_one_patient()?;
    let largest = scan.series().iter().find(|s| s.modality == "CT").unwrap_or(&scan.series()[0]);
    let series = load(&scan, &largest.series_uid, &|_| ())?;
    for note in &series.notes {
        eprintln!("{} ({}): {}", note.code(), note.severity.as_str(), note.text);
    }
    eprintln!("{:?}", series.volume.geometry());
    let compression = if Path::new(&output).extension().is_some_and(|e| e == "gz") {
        nifti::Compression::Gzip
    } else {
        nifti::Compression::None
    };
    nifti::write_volume(&series.volume, File::create(&output)?, compression)?;
    Ok(())
}
