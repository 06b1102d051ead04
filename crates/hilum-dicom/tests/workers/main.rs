//! Decoding in worker processes: the same pixels, and workers that die, hang, bloat or lie cost a file and nothing else.
//!
//! The test is its own worker: `workers serve [FAULT MARKER]` serves frames; with a fault it goes wrong at its first frame
//! unless the marker file is there, which it makes.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hilum_dicom::{DecodeWorkers, Limits, Refusal, SkipReason, Source, WorkerLimits, load, scan, serve_decoding};
use hilum_volume::Volume;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => serve_decoding(io::stdin().lock(), io::stdout().lock()).expect("asked by this test"),
        ["serve", fault, marker] => serve_badly(fault, Path::new(marker)),
        ["measure", folder] => measure(Path::new(folder)),
        _ => {
            every_codec_gives_the_same_pixels();
            a_worker_that_fails_is_a_damaged_image_and_the_next_one_is_read();
            workers_that_always_fail_are_a_refusal_with_the_reason();
            a_series_whose_every_frame_hangs_is_given_up();
            what_is_not_in_a_codestream_needs_no_worker();
            println!("workers: 5 tests passed");
        }
    }
}

/// Passes bytes on; the second read, which is that of the first frame, comes when the limits of the process are set.
struct GoingWrong<'a>(io::StdinLock<'a>, &'a str, usize);

impl Read for GoingWrong<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.2 += 1;
        if self.2 == 2 {
            match self.1 {
                "panic" => panic!("a decoder that panics where nothing catches it"),
                "abort" => std::process::abort(),
                "hang" => std::thread::sleep(Duration::from_secs(3600)),
                "spin" => loop {
                    std::hint::spin_loop();
                },
                "eat" => {
                    let mut eaten = Vec::new();
                    loop {
                        eaten.push(vec![1u8; 16 << 20]);
                        assert!(eaten.len() < 256, "4 GiB were given");
                    }
                }
                "lie" => io::stdout().write_all(&[7; 64]).and_then(|()| io::stdout().flush())?,
                "half" => {
                    io::stdout().write_all(&[0; 9]).and_then(|()| io::stdout().flush())?;
                    std::process::exit(0);
                }
                other => panic!("no such fault: {other}"),
            }
        }
        self.0.read(buffer)
    }
}

fn serve_badly(fault: &str, marker: &Path) {
    let first = std::fs::OpenOptions::new().write(true).create_new(true).open(marker).is_ok();
    let fault = if first || marker.ends_with("always") { fault } else { "" };
    if fault.is_empty() {
        return serve_decoding(io::stdin().lock(), io::stdout().lock()).expect("asked by this test");
    }
    // Its input is not from us any more when it goes on after a fault.
    let _ = serve_decoding(GoingWrong(io::stdin().lock(), fault, 0), io::stdout().lock());
}

fn workers(arguments: &[&str]) -> DecodeWorkers {
    let frame_time = Duration::from_secs(2);
    workers_with(WorkerLimits { memory_bytes: 512 << 20, frame_time, ..WorkerLimits::default() }, arguments)
}

fn workers_with(limits: WorkerLimits, arguments: &[&str]) -> DecodeWorkers {
    DecodeWorkers::new(std::env::current_exe().expect("a test has a path"), arguments, limits)
}

fn read(source: &Source, decoders: Option<DecodeWorkers>) -> Result<(Volume<i16>, Vec<String>), Refusal> {
    let scan = scan(source, &Limits { decoders, ..Limits::default() })?;
    let series = load(&scan, &scan.series()[0].series_uid, &|_| ())?;
    Ok((series.volume, series.notes.iter().map(|note| format!("{:?}", note.kind)).collect()))
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/syntax")
}

fn fixture(name: &str) -> Source {
    Source::Memory(vec![("fixture".into(), Arc::from(std::fs::read(fixtures().join(name)).expect("a fixture")))])
}

fn every_codec_gives_the_same_pixels() {
    let shared = workers(&["serve"]);
    let mut compared = 0;
    for entry in std::fs::read_dir(fixtures()).expect("the fixtures") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|e| e == "zip") {
            let source = Source::Path(path.clone());
            let here = read(&source, None).expect("it is read");
            assert_eq!(read(&source, Some(shared.clone())).expect("it is read"), here, "{}", path.display());
            compared += 1;
        }
    }
    assert_eq!(compared, 34);
}

const PACKED: [&str; 3] = ["jpeg-sv1-longcodes-u12.zip", "jpeg-ls-u12.zip", "jpeg-2000-u12.zip"];
#[cfg(unix)]
const FAULTS: [&str; 7] = ["panic", "abort", "hang", "spin", "eat", "lie", "half"];
// Only Unix limits the memory.
#[cfg(not(unix))]
const FAULTS: [&str; 6] = ["panic", "abort", "hang", "spin", "lie", "half"];

fn a_worker_that_fails_is_a_damaged_image_and_the_next_one_is_read() {
    for (n, fault) in FAULTS.into_iter().enumerate() {
        let folder = tempfile::tempdir().expect("a folder");
        let marker = folder.path().join("once");
        let decoders = workers(&["serve", fault, marker.to_str().expect("UTF-8")]);
        // One series of three images, of which whichever comes first meets the worker that fails. The series goes on without
        // it if it can, and reads whole the next time.
        let source = fixture(PACKED[n % PACKED.len()]);
        let first = read(&source, Some(decoders.clone()));
        assert!(marker.exists(), "{fault}: no worker was started");
        if let Ok((_, notes)) = &first {
            assert!(notes.iter().any(|note| note.contains("Damaged")), "{fault}: {notes:?}");
        }
        let (here, there) = (read(&source, None), read(&source, Some(decoders)));
        assert_eq!(there.expect("a new worker"), here.expect("in this process"), "{fault}");
    }
}

fn workers_that_always_fail_are_a_refusal_with_the_reason() {
    for fault in FAULTS {
        let folder = tempfile::tempdir().expect("a folder");
        let marker = folder.path().join("always");
        // Taking half a gigabyte may last on a loaded machine, and is to end by the limit of memory.
        let frame_time = Duration::from_secs(if fault == "eat" { 20 } else { 2 });
        let limits = WorkerLimits { memory_bytes: 512 << 20, frame_time, ..WorkerLimits::default() };
        let decoders = workers_with(limits, &["serve", fault, marker.to_str().expect("UTF-8")]);
        let start = Instant::now();
        let refusal = read(&fixture(PACKED[0]), Some(decoders)).expect_err("nothing decodes");
        assert!(start.elapsed() < 10 * frame_time, "{fault} took {:?}", start.elapsed());
        let expected = match fault {
            "hang" | "spin" => SkipReason::DecoderTimeout,
            _ => SkipReason::DecoderDied,
        };
        let reason = |r: &Refusal| matches!(r, Refusal::Damaged { reason, .. } if *reason == expected);
        assert!(reason(&refusal), "{fault}: {refusal}");
    }
    let none = DecodeWorkers::new("/nowhere/hilum", ["decode-worker"], WorkerLimits::default());
    let refusal = read(&fixture(PACKED[0]), Some(none)).expect_err("there is no decoder");
    assert!(refusal.to_string().contains("could not be started"), "{refusal}");
}

/// A JPEG-LS series of `count` slices, up to 35: the first of a fixture, 2 mm apart.
fn long_series(count: usize) -> Source {
    let mut zip =
        zip::ZipArchive::new(std::fs::File::open(fixtures().join(PACKED[1])).expect("a fixture")).expect("a ZIP");
    let mut file = Vec::new();
    zip.by_index(0).expect("a file").read_to_end(&mut file).expect("it unpacks");
    let place =
        |what: &[u8]| file.windows(what.len()).position(|w| w == what).expect("it is in the fixture") + what.len();
    let (position, uid) = (place(b"-10.0\\-20.0\\"), place(&[8, 0, 0x18, 0, b'U', b'I', 64, 0]));
    let slice = |n: usize| {
        let mut file = file.clone();
        file[position..position + 2].copy_from_slice(format!("{}", 30 + 2 * n).as_bytes());
        file[uid + 62..uid + 64].copy_from_slice(format!("{:02}", n + 10).as_bytes());
        (n.to_string(), Arc::from(file))
    };
    Source::Memory((0..count).map(slice).collect())
}

fn a_series_whose_every_frame_hangs_is_given_up() {
    let source = long_series(35);
    let whole = read(&source, Some(workers(&["serve"]))).expect("it is a series");
    assert_eq!(whole.0.shape()[0], 35);
    let folder = tempfile::tempdir().expect("a folder");
    let slow = Duration::from_millis(500);
    let limits = WorkerLimits { frame_time: slow, series_time: 3 * slow, ..WorkerLimits::default() };
    let marker = folder.path().join("always");
    let decoders = workers_with(limits, &["serve", "hang", marker.to_str().expect("UTF-8")]);
    let two_threads = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    let start = Instant::now();
    let refusal = two_threads.install(|| read(&source, Some(decoders))).expect_err("nothing decodes");
    // Each frame takes half a second of one of the threads: all of them would take nine seconds.
    let most = 3 * slow + slow + Duration::from_secs(1);
    assert!(start.elapsed() < most, "{:?} for a series of 35 frames that hang", start.elapsed());
    let given_up = |r: &Refusal| matches!(r, Refusal::Damaged { reason: SkipReason::SeriesTimeout, .. });
    assert!(given_up(&refusal), "{refusal}");
    // Frames that hang one in a series spoil neither it nor the next.
    let marker = folder.path().join("once");
    let decoders = workers_with(limits, &["serve", "hang", marker.to_str().expect("UTF-8")]);
    let (_, notes) = read(&source, Some(decoders.clone())).expect("one slice is missing");
    assert!(notes.iter().any(|note| note.contains("Damaged")), "{notes:?}");
    assert_eq!(read(&source, Some(decoders)).expect("a new series has its own time"), whole);
}

fn what_is_not_in_a_codestream_needs_no_worker() {
    let none = DecodeWorkers::new("/nowhere/hilum", ["decode-worker"], WorkerLimits::default());
    for name in ["explicit-u12.zip", "deflated-u12.zip", "rle-u12.zip", "big-endian-u12.zip"] {
        assert!(read(&fixture(name), Some(none.clone())).is_ok(), "{name}");
    }
}

/// `workers measure FOLDER`: a series of FOLDER decoded here and by workers in turn, seconds of each.
fn measure(folder: &Path) {
    let source = Source::from(folder);
    let shared = workers(&["serve"]);
    for round in 0..7 {
        for (name, decoders) in [("here", None), ("workers", Some(shared.clone()))] {
            let start = Instant::now();
            let (volume, _) = read(&source, decoders).expect("it is read");
            println!("{round} {name} {} slices {:.3} s", volume.shape()[0], start.elapsed().as_secs_f64());
        }
    }
}
