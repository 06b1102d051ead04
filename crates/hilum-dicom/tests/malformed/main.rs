//! Malformed DICOM files: each is refused with its reason or read rightly, never decoded to other pixels; no panic, no hang, and
//! no more memory than a file of its size is worth.
//!
//! `HILUM_MALFORMED=long cargo test -p hilum-dicom --test malformed` runs the long form, with random damage on top.

mod cases;
mod known_classes;
mod object;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hilum_dicom::{Limits, Refusal, Series, Source, load, scan};
use peak_alloc::PeakAlloc;

use cases::{Case, Expect};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What a file may take beyond a multiple of its own size.
const MEMORY_CAP: usize = 64 << 20;
/// Times the bytes of the files: read, inflated, decoded.
const MEMORY_PER_BYTE: usize = 6;
/// Far more than any takes, on a loaded machine too.
const TIME_CAP: Duration = Duration::from_secs(20);

/// Memory is counted for the whole process, so tests run one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static RUNNING: Mutex<()> = Mutex::new(());
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(files: &[Vec<u8>]) -> Result<Series, Refusal> {
    let files = files.iter().enumerate().map(|(n, file)| (n.to_string(), Arc::from(&file[..]))).collect();
    let scan = scan(&Source::Memory(files), &Limits::default())?;
    scan.require_one_patient()?;
    load(&scan, &scan.series()[0].series_uid, &|_| ())
}

/// What something returns, how long it took, and how much more memory than before was held at once meanwhile.
fn measured<T>(what: impl FnOnce() -> T) -> (T, Duration, usize) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let started = Instant::now();
    let outcome = what();
    (outcome, started.elapsed(), MEMORY.peak_usage().saturating_sub(before))
}

/// What is wrong about how a case was dealt with, if anything.
fn judge(case: &Case, right: &Series) -> Result<(), String> {
    let (outcome, took, peak) = measured(|| catch_unwind(AssertUnwindSafe(|| read(&case.files))));
    let outcome = outcome.map_err(|_| "it panicked".to_owned())?;
    let bytes: usize = case.files.iter().map(Vec::len).sum();
    if peak > MEMORY_CAP + MEMORY_PER_BYTE * bytes {
        return Err(format!("{} MB taken for a file of {bytes} bytes", peak >> 20));
    }
    if took > TIME_CAP {
        return Err(format!("took {took:?}"));
    }
    let reason_is = |refusal: &Refusal, parts: &[&str]| {
        let text = refusal.to_string();
        if parts.iter().any(|part| text.contains(part)) { Ok(()) } else { Err(format!("refused because {text:?}")) }
    };
    match (&outcome, case.expect) {
        (Err(refusal), Expect::Refused(parts) | Expect::RefusedOrRight(parts)) => reason_is(refusal, parts),
        (Err(refusal), Expect::Right) => Err(format!("refused: {refusal}")),
        (Ok(series), Expect::Refused(_)) if series.volume == right.volume => Err("read rightly, not refused".into()),
        (Ok(series), Expect::Noted(code)) if series.notes.iter().any(|note| note.code() == code) => Ok(()),
        (outcome, Expect::Noted(code)) => Err(format!("no note {code:?}: {:?}", outcome.as_ref().err())),
        (Ok(series), _) if series.volume != right.volume => Err("other voxels or another place".into()),
        (Ok(_), _) => Ok(()),
    }
}

/// Memory that is given back at once counts, and that of other threads, or the cap would hold nothing.
#[test]
fn memory_is_counted() {
    let _alone = alone();
    let taken = || drop(std::hint::black_box(vec![0u8; MEMORY_CAP + 1]));
    let (_, _, here) = measured(taken);
    let (_, _, elsewhere) = measured(|| std::thread::spawn(taken).join().unwrap());
    let (_, _, nothing) = measured(|| ());
    assert!(here > MEMORY_CAP && elsewhere > MEMORY_CAP && nothing < 1 << 20, "{here}, {elsewhere}, {nothing}");
}

#[test]
fn malformed_series_are_refused_or_read_rightly() {
    let _alone = alone();
    let long = std::env::var("HILUM_MALFORMED").is_ok_and(|form| form == "long");
    let cases = cases::all(long);
    let files: usize = cases.iter().map(|case| case.files.len()).sum();
    assert!(cases.len() >= 500, "only {} malformed series", cases.len());
    // Decoders that panic are caught; the message of each would drown what failed here.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let mut right: BTreeMap<&str, Series> = BTreeMap::new();
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let right = right.entry(case.base).or_insert_with(|| read(&object::fixture(case.base)).unwrap());
            judge(case, right).err().map(|what| format!("{}: {what}", case.name))
        })
        .collect();
    std::panic::set_hook(hook);
    println!("{} malformed series, {files} files", cases.len());
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}
