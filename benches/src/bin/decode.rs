//! Our reader of DICOM as a contestant: see the crate's page for the lines it answers.
//!
//! It does more than the peers: files are grouped into series, checked, sorted by position and turned into HU.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use hilum_benches::serve;
use hilum_dicom::{Limits, Source, load, scan};

fn main() -> std::io::Result<()> {
    serve(|line| match line {
        ["run", folder, threads] => {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build()?;
            pool.install(|| run(Path::new(folder)))
        }
        _ => bail!("not understood: {}", line.join(" ")),
    })
}

fn run(folder: &Path) -> Result<String> {
    let started = Instant::now();
    let scan = scan(&Source::from(folder), &Limits::default())?;
    let uid = scan.series().first().context("there is no series")?.series_uid.clone();
    let series = load(&scan, &uid, &|_| {})?;
    let seconds = started.elapsed().as_secs_f64();
    let sum: i64 = series.volume.data().iter().map(|hu| i64::from(*hu)).sum();
    Ok(format!("{seconds} {} {sum}", series.volume.shape()[0]))
}
