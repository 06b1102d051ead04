//! What the running process can learn of its machine: clock, memory, threads.

use std::sync::LazyLock;

use anyhow::{Context, Result};
use hilum_dicom::{DecodeWorkers, Limits, WorkerLimits, serve_decoding};
use hilum_findings::Software;

/// The time now, RFC 3339 in UTC.
pub(crate) fn now() -> String {
    chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Highest memory use of this process so far in megabytes (10⁶ bytes); only Linux tells.
pub(crate) fn peak_memory_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some((kib * 1.024).round() / 1000.0)
}

/// Memory of the machine in megabytes: all of it, and what is free to use; only Linux tells.
pub(crate) fn memory_mb() -> Option<[f64; 2]> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let value = |name: &str| -> Option<f64> {
        let line = info.lines().find(|l| l.starts_with(name))?;
        Some((line.split_whitespace().nth(1)?.parse::<f64>().ok()? * 1.024).round() / 1000.0)
    };
    Some([value("MemTotal:")?, value("MemAvailable:")?])
}

/// Bounds the threads of everything that follows; without a number all cores are used.
pub(crate) fn set_threads(threads: Option<usize>) -> Result<usize> {
    let threads = match threads {
        Some(0) | None => std::thread::available_parallelism().map_or(1, usize::from),
        Some(n) => n,
    };
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("the threads could not be started")?;
    Ok(threads)
}

/// Limits for foreign bytes. Compressed pixels are decoded by copies of this program, so that a decoder that goes astray takes
/// a file with it and not the run.
pub(crate) fn limits() -> Limits {
    static DECODERS: LazyLock<Option<DecodeWorkers>> = LazyLock::new(|| {
        let program = std::env::current_exe().ok()?;
        Some(DecodeWorkers::new(program, ["decode-worker"], WorkerLimits::default()))
    });
    Limits { decoders: DECODERS.clone(), ..Limits::default() }
}

/// The worker's side of [`limits`].
pub(crate) fn decode_worker() -> Result<()> {
    serve_decoding(std::io::stdin().lock(), std::io::stdout().lock()).context("the worker was not asked by Hilum")
}

/// This program, as findings name it.
pub(crate) fn software() -> Software {
    Software {
        name: "hilum".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        commit: option_env!("HILUM_COMMIT").map(str::to_owned),
    }
}
