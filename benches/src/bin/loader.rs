//! Cases made up and read for training: how much memory they take and how fast examples come.
//!
//! `loader FOLDER CASES SLICES PIXELS` writes so many NIfTI pairs of so many square slices below FOLDER and prints, tab
//! separated: cases, slices, edge in pixels, seconds to prepare, examples per second, and the process's memory in MB before,
//! after preparing and after the batches.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use hilum_dicom::nifti::{self, Compression};
use hilum_train::{RunOptions, TrainConfig, rehearse};
use hilum_volume::{Geometry, LabelMap, PatientPoint, Volume};
use rayon::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCHES: u64 = 60;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, numbers @ ..] = &arguments[..] else { bail!("loader FOLDER CASES SLICES PIXELS") };
    let numbers: Vec<usize> = numbers.iter().map(|n| n.parse()).collect::<Result<_, _>>()?;
    let &[cases, slices, pixels] = &numbers[..] else { bail!("loader FOLDER CASES SLICES PIXELS") };
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder.join("made-up"))?;
    (0..cases).into_par_iter().try_for_each(|case| write(&folder.join("made-up"), case, slices, pixels))?;
    let before = memory_mb()?;
    let run = folder.join("run");
    let prepared = rehearse(&config()?, folder, &run, &RunOptions::default(), 0)?;
    let after = memory_mb()?;
    let found = rehearse(&config()?, folder, &run, &RunOptions::default(), BATCHES)?;
    println!(
        "{cases}\t{slices}\t{pixels}\t{:.1}\t{:.0}\t{before:.0}\t{after:.0}\t{:.0}",
        prepared.preparing_s,
        found.examples_per_s,
        memory_mb()?
    );
    Ok(())
}

/// A chest of two lungs, one with a lesion, as little as it takes.
fn write(folder: &Path, case: usize, slices: usize, pixels: usize) -> Result<()> {
    let grid = Geometry::axial([slices, pixels, pixels], PatientPoint([0.0; 3]), [1.0, 1.4, 1.4])?;
    let mut image = Volume::filled(grid.clone(), 40_i16);
    let mut labels = Volume::filled(grid, 0_u8);
    for slice in 0..slices {
        for row in pixels / 4..pixels - pixels / 4 {
            for column in pixels / 8..pixels - pixels / 8 {
                let lesion = slice % 3 == case % 3 && column < pixels / 3 && row > pixels / 2;
                image[[slice, row, column]] = if lesion { -500 } else { -850 };
                labels[[slice, row, column]] = 1 + u8::from(lesion);
            }
        }
    }
    let file = |kind: &str| File::create(folder.join(format!("c{case}_{kind}.nii.gz"))).context("no file");
    nifti::write_volume(&image, file("image")?, Compression::Gzip)?;
    nifti::write_labels(&LabelMap::new(labels), file("labels")?, Compression::Gzip)?;
    Ok(())
}

fn config() -> Result<TrainConfig> {
    let committed = include_str!("../../../models/pneumonia-ct/train.toml");
    let mut config = TrainConfig::from_toml(committed)?;
    config.data.retain(|source| source.folder == Path::new("medseg-9"));
    config.data[0].folder = "made-up".into();
    config.split.train = vec!["medseg-c*".into()];
    config.split.hold_out.clear();
    config.split.same_patient.clear();
    Ok(config)
}

/// Resident memory of this process (`VmRSS`).
fn memory_mb() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1000.0)
}
