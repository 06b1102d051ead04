//! Decoding in processes of their own: what kills, hangs or bloats a decoder is a refused frame.
//!
//! [`DecodeWorkers`] starts a program that calls [`serve_decoding`] and hands it one frame after the other over standard
//! input and output. A worker serves many frames, so that starting it costs little; each frame has a time limit, the whole
//! worker a memory limit. The numbers it gives are not believed either: there are as many as the header says, or none.
//!
//! Bytes on the way, little-endian: once `memory u64, processor seconds u64`; then for every frame
//! `codec u8, bits allocated u16, bits stored u16, rows u32, columns u32, length u64` and its bytes, answered by
//! `0` and `rows × columns` words, or by `1` if the frame cannot be unpacked.

use std::ffi::OsString;
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::codec::{self, FrameSize};
use crate::scan::SkipReason;
use crate::syntax::Codec;

/// What one worker may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerLimits {
    /// Bytes of its address space, program included. Default: 2 GiB.
    pub memory_bytes: u64,
    /// The time one frame may take. Default: 20 s; a CT slice takes some milliseconds.
    pub frame_time: Duration,
    /// The time that all frames of a series or object may take together, beside 2 µs for each pixel, added up over the
    /// workers. Default: 60 s, or three frames that hang.
    pub series_time: Duration,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        Self { memory_bytes: 2 << 30, frame_time: Duration::from_secs(20), series_time: Duration::from_secs(60) }
    }
}

/// What a pixel may take beside [`WorkerLimits::series_time`]: two hundred times what it takes in JPEG Lossless (docs/security.md), so
/// that slower codecs on a loaded machine have room.
const PIXEL_TIME: Duration = Duration::from_micros(2);

/// A worker is replaced when it has been busy for this long, so that its processor time can be limited as a whole.
const BUSY_MOST: Duration = Duration::from_secs(300);

/// A program that decodes frames for us; see [`Limits::decoders`](crate::Limits::decoders). Clones share its processes, of
/// which there are as many as threads that decode at once; they end with the last clone.
#[derive(Clone, Debug)]
pub struct DecodeWorkers {
    shared: Arc<Shared>,
    /// What is left of the time for a series, shared by the threads that decode it; without one, frames are by themselves.
    series_time: Option<Arc<Mutex<Duration>>>,
}

#[derive(Debug)]
struct Shared {
    program: PathBuf,
    arguments: Vec<OsString>,
    limits: WorkerLimits,
    idle: Mutex<Vec<Worker>>,
}

impl PartialEq for DecodeWorkers {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.shared, &other.shared);
        (&a.program, &a.arguments, a.limits) == (&b.program, &b.arguments, b.limits)
    }
}

impl DecodeWorkers {
    /// Workers that are this program with these arguments, which must call [`serve_decoding`]. None is started before
    /// there is a frame for it; it gets an empty environment.
    #[must_use]
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
        limits: WorkerLimits,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        let shared = Shared { program: program.into(), arguments, limits, idle: Mutex::default() };
        Self { shared: Arc::new(shared), series_time: None }
    }

    /// The same workers for one series or object of so many pixels, with the time that it may take.
    pub(crate) fn for_series(&self, pixels: u64) -> Self {
        let pixels = u32::try_from(pixels).unwrap_or(u32::MAX);
        let time = self.shared.limits.series_time.saturating_add(PIXEL_TIME.saturating_mul(pixels));
        Self { shared: Arc::clone(&self.shared), series_time: Some(Arc::new(Mutex::new(time))) }
    }

    /// The stored numbers of a frame.
    pub(crate) fn decode(&self, codec: Codec, bytes: &[u8], size: FrameSize) -> Result<Vec<u16>, SkipReason> {
        let left = || self.series_time.as_ref().map(|time| time.lock().unwrap_or_else(PoisonError::into_inner));
        if left().is_some_and(|left| left.is_zero()) {
            return Err(SkipReason::SeriesTimeout);
        }
        let idle = || self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle().pop();
        let mut worker = match waiting {
            Some(worker) => worker,
            None => Worker::start(&self.shared).map_err(|_| SkipReason::NoDecoder)?,
        };
        let before = worker.busy;
        let answer = worker.ask(request(codec, bytes, size), size.rows * size.columns, self.shared.limits.frame_time);
        if let Some(mut left) = left() {
            *left = left.saturating_sub(worker.busy - before);
        }
        // A worker that failed ends here, when it is dropped.
        let decoded = answer?;
        if worker.busy < BUSY_MOST {
            idle().push(worker);
        }
        decoded.ok_or(SkipReason::Damaged)
    }
}

fn request(codec: Codec, bytes: &[u8], size: FrameSize) -> Vec<u8> {
    let mut request = Vec::with_capacity(HEADER + bytes.len());
    request.push(number_of(codec));
    request.extend(size.bits_allocated.to_le_bytes());
    request.extend(size.bits_stored.to_le_bytes());
    request.extend((size.rows as u32).to_le_bytes());
    request.extend((size.columns as u32).to_le_bytes());
    request.extend((bytes.len() as u64).to_le_bytes());
    request.extend(bytes);
    request
}

const HEADER: usize = 21;

/// The codecs with a codestream. The others are loops over bytes that are there, written here and bounded by them.
pub(crate) fn takes(codec: Codec) -> bool {
    matches!(codec, Codec::JpegLossless | Codec::JpegLs | Codec::Jpeg2000)
}

fn number_of(codec: Codec) -> u8 {
    match codec {
        Codec::JpegLossless => 1,
        Codec::JpegLs => 2,
        Codec::Jpeg2000 => 3,
        _ => 0,
    }
}

fn codec_of(number: u8) -> io::Result<Codec> {
    [Codec::JpegLossless, Codec::JpegLs, Codec::Jpeg2000]
        .into_iter()
        .find(|codec| number_of(*codec) == number)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// A request and how many words its answer has.
type Question = (Vec<u8>, usize);
/// The words, or `None` for a frame that cannot be unpacked.
type Answer = io::Result<Option<Vec<u16>>>;

/// A running process. A thread of its own talks to it, so that whoever waits can stop waiting.
#[derive(Debug)]
struct Worker {
    child: Child,
    questions: Sender<Question>,
    answers: Receiver<Answer>,
    busy: Duration,
}

impl Worker {
    fn start(shared: &Shared) -> io::Result<Self> {
        let mut command = Command::new(&shared.program);
        command.args(&shared.arguments).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (questions, asked) = channel();
        let (given, answers) = channel();
        // From here on the process ends with the worker, whatever fails.
        let worker = Self { child, questions, answers, busy: Duration::ZERO };
        let (stdin, stdout) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
        let seconds = (BUSY_MOST + shared.limits.frame_time).as_secs() + 1;
        let hello = [shared.limits.memory_bytes.to_le_bytes(), seconds.to_le_bytes()].concat();
        std::thread::Builder::new()
            .name("decode-worker".into())
            .spawn(move || talk(stdin, stdout, &hello, &asked, &given))?;
        Ok(worker)
    }

    fn ask(&mut self, request: Vec<u8>, words: usize, time: Duration) -> Result<Option<Vec<u16>>, SkipReason> {
        let start = Instant::now();
        self.questions.send((request, words)).map_err(|_| SkipReason::DecoderDied)?;
        let answer = self.answers.recv_timeout(time);
        self.busy += start.elapsed();
        match answer {
            Ok(Ok(decoded)) => Ok(decoded),
            Err(RecvTimeoutError::Timeout) => Err(SkipReason::DecoderTimeout),
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => Err(SkipReason::DecoderDied),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Carries questions to a worker and answers back until either side goes.
fn talk(
    mut stdin: ChildStdin,
    mut stdout: ChildStdout,
    hello: &[u8],
    asked: &Receiver<Question>,
    given: &Sender<Answer>,
) {
    let mut failed = stdin.write_all(hello).err();
    for (request, words) in asked {
        let answer = match failed.take() {
            Some(error) => Err(error),
            None => stdin.write_all(&request).and_then(|()| answer(&mut stdout, words)),
        };
        let end = answer.is_err();
        if given.send(answer).is_err() || end {
            return;
        }
    }
}

fn answer(stdout: &mut impl Read, words: usize) -> Answer {
    let mut status = [0];
    stdout.read_exact(&mut status)?;
    match status[0] {
        0 => {
            let mut bytes = vec![0; 2 * words];
            stdout.read_exact(&mut bytes)?;
            Ok(Some(bytes.chunks_exact(2).map(|word| u16::from_le_bytes([word[0], word[1]])).collect()))
        }
        1 => Ok(None),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The side of the worker: limits its own process as it is told, then decodes frames until the input ends. Nothing else may
/// be written to `output`.
///
/// The memory and processor time of the process are limited on Unix only; elsewhere the time of each frame still is, by
/// [`DecodeWorkers`].
///
/// # Errors
/// Whatever reading, writing or limiting fails with, and an input that is not from [`DecodeWorkers`].
pub fn serve_decoding(mut input: impl Read, output: impl Write) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    let mut hello = [0; 16];
    input.read_exact(&mut hello)?;
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| hello[at + n]));
    limit_process(number(0), number(8))?;
    loop {
        let mut header = [0; HEADER];
        match input.read_exact(&mut header) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            done => done?,
        }
        let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let long = |at: usize| u32::from_le_bytes(std::array::from_fn(|n| header[at + n]));
        let codec = codec_of(header[0])?;
        let size = FrameSize {
            rows: long(5) as usize,
            columns: long(9) as usize,
            bits_allocated: short(1),
            bits_stored: short(3),
        };
        let length = u64::from_le_bytes(std::array::from_fn(|n| header[13 + n]));
        let mut bytes = Vec::new();
        if io::copy(&mut input.by_ref().take(length), &mut bytes)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match codec::decode_guarded(codec, &bytes, size, false) {
            Ok(stored) => {
                output.write_all(&[0])?;
                let words: Vec<u8> = stored.iter().flat_map(|word| word.to_le_bytes()).collect();
                output.write_all(&words)?;
            }
            Err(codec::Undecodable) => output.write_all(&[1])?,
        }
        output.flush()?;
    }
}

#[cfg(unix)]
fn limit_process(memory_bytes: u64, seconds: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    for (resource, most) in [(Resource::As, memory_bytes), (Resource::Cpu, seconds), (Resource::Core, 0)] {
        // What the system already forbids stays forbidden.
        let most = getrlimit(resource).maximum.map_or(most, |present| present.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn limit_process(_: u64, _: u64) -> io::Result<()> {
    Ok(())
}
