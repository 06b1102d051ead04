//! Our reader of DICOM as a contestant: see the crate's page for the lines it answers.
//!
//! It does more than the peers: files are grouped into series, checked, sorted by position and turned into HU.

use std::collections::btree_map::{BTreeMap, Entry};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use hilum_benches::serve;
use hilum_dicom::{Limits, Source, load, scan};

fn main() -> std::io::Result<()> {
    // Kept from run to run: processor time is counted over living threads.
    let mut pools = BTreeMap::new();
    serve(|line| match line {
        ["run", folder, threads] => {
            let threads: usize = threads.parse()?;
            let pool = match pools.entry(threads) {
                Entry::Occupied(pool) => pool.into_mut(),
                Entry::Vacant(place) => place.insert(rayon::ThreadPoolBuilder::new().num_threads(threads).build()?),
            };
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
