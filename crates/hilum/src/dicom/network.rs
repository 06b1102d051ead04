//! `hilum dicom echo`, `send`, `query` and `retrieve`: work with a PACS, over DIMSE or DICOMweb.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use hilum_dicom::{ListedElement, ListedValue, SkipReason};
use hilum_network::{
    Certificates, Credentials, Error, Folder, Found, Level, Node, Outgoing, Peer, Query, ReceiverOptions,
    RetrieveOptions, SendOptions, SentHow, Service, StatusKind, Wanted, echo, query, retrieve, send,
};

use crate::outcome::{Refused, WrongUsage, must_exist};
use crate::progress::Progress;

/// How a peer is spoken to.
#[derive(Args)]
pub(crate) struct PeerArguments {
    /// Application entity title of the peer; otherwise the one before the @ of its address, otherwise ANY-SCP
    #[arg(long, value_name = "TITLE", help_heading = "Connection")]
    called: Option<String>,
    /// Application entity title we call ourselves
    #[arg(long, value_name = "TITLE", default_value = "HILUM", help_heading = "Connection")]
    calling: String,
    /// Seconds that an answer may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600),
          help_heading = "Connection")]
    timeout: u64,
    /// Speak DICOM over TLS (web services: by https:// in their address)
    #[arg(long, help_heading = "Connection", requires = "ca")]
    tls: bool,
    /// Name in the peer's certificate, if it is not the host's
    #[arg(long, value_name = "NAME", help_heading = "Connection", requires = "tls")]
    tls_name: Option<String>,
    /// Certificate (PEM) of the authority that vouches for the peer, such as the hospital's own
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    ca: Option<PathBuf>,
    /// Our certificate (PEM), for peers that want to know us
    #[arg(long, value_name = "FILE", help_heading = "Connection", requires = "key")]
    certificate: Option<PathBuf>,
    /// The key of our certificate (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Connection", requires = "certificate")]
    key: Option<PathBuf>,
    /// User of a web service; its password is read from --password-file
    #[arg(long, value_name = "NAME", help_heading = "Connection", requires = "password_file")]
    user: Option<String>,
    /// File with the password alone: on the command line everybody who lists processes would see it
    #[arg(long, value_name = "FILE", help_heading = "Connection", requires = "user")]
    password_file: Option<PathBuf>,
    /// File with a bearer token for a web service
    #[arg(long, value_name = "FILE", help_heading = "Connection", conflicts_with = "user")]
    token_file: Option<PathBuf>,
}

const ADDRESS_HELP: &str = "PEER is HOST:PORT or TITLE@HOST:PORT for DIMSE, or the root of a DICOMweb service, such as \
    https://pacs/dicom-web. Exit codes: 0 done; 2 wrong usage; 3 the peer could not be reached, refused, or not all \
    objects arrived (each is named with the reason on standard error).";

#[derive(Args)]
#[command(after_help = format!("{ADDRESS_HELP}\n\nExample:\n  hilum dicom echo --to PACS@10.0.0.7:11112 --calling HILUM"))]
pub(crate) struct EchoArguments {
    /// The peer
    #[arg(long, value_name = "PEER")]
    to: String,
    #[command(flatten)]
    peer: PeerArguments,
}

#[derive(Args)]
#[command(after_help = format!(
    "{ADDRESS_HELP}\n\nEvery object goes in the transfer syntax of its file. Only if the peer takes none of it are pixels \
    unpacked, without loss, which is said. Over DICOMweb (STOW-RS) objects go in batches of 16 MB.\n\nExamples:\n  \
    hilum dicom send RESULT/dicom --to PACS@10.0.0.7:11112\n  \
    hilum dicom send STUDY --to https://pacs/dicom-web --token-file token --resume sent.txt"
))]
pub(crate) struct SendArguments {
    /// DICOM files and folders of them (searched recursively, any file names)
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The peer
    #[arg(long, value_name = "PEER")]
    to: String,
    /// Attempts for each object, where another may help
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    attempts: u32,
    /// Keep the UIDs of objects that arrived in this file, and send none that is in it already
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    #[command(flatten)]
    peer: PeerArguments,
}

#[derive(Clone, Copy, ValueEnum)]
enum LevelChoice {
    /// Patients (DIMSE only)
    Patient,
    /// Studies
    Study,
    /// Series of a study: needs --match StudyInstanceUID=UID over DIMSE
    Series,
    /// Objects of a series: needs SeriesInstanceUID too over DIMSE
    Image,
}

#[derive(Args)]
#[command(after_help = format!(
    "{ADDRESS_HELP}\n\nMatches name attributes by keyword or tag. * and ? stand for any text and any character, A-B for \
    a range of dates or times (PS3.4 C.2.2.2). An attribute without a value is returned.\n\nExamples:\n  \
    hilum dicom query --from PACS@10.0.0.7:11112 --match PatientID=4711 StudyDate=20260101-20261231\n  \
    hilum dicom query --from https://pacs/dicom-web --level series --match StudyInstanceUID=1.2.3 Modality=CT --json"
))]
pub(crate) struct QueryArguments {
    /// The peer
    #[arg(long, value_name = "PEER")]
    from: String,
    /// What is searched for
    #[arg(long, value_enum, default_value_t = LevelChoice::Study)]
    level: LevelChoice,
    /// What it must match
    #[arg(long = "match", value_name = "KEYWORD=VALUE", num_args = 1..)]
    matches: Vec<String>,
    /// Answers after which to stop
    #[arg(long, value_name = "N", default_value_t = 1000)]
    most: usize,
    /// Print the DICOM JSON model (PS3.18 F) instead of lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    peer: PeerArguments,
}

#[derive(Args)]
#[command(after_help = format!(
    "{ADDRESS_HELP}\n\nDIR receives STUDY/SERIES/INSTANCE.dcm, named by UIDs; what is there already stays and is not \
    fetched again where a series is complete. Objects are counted against what the peer lists.\n\nOver DIMSE objects come by \
    C-GET. A peer without it moves them (C-MOVE) to a title that it knows at our address: --move-to and --listen.\n\nExamples:\n  \
    hilum dicom retrieve --from PACS@10.0.0.7:11112 --study 1.2.3 --out STUDY\n  \
    hilum dicom retrieve --from PACS@10.0.0.7:11112 --study 1.2.3 --move-to HILUM --listen 0.0.0.0:11113 --out STUDY"
))]
pub(crate) struct RetrieveArguments {
    /// The peer
    #[arg(long, value_name = "PEER")]
    from: String,
    /// Study Instance UID
    #[arg(long, value_name = "UID")]
    study: String,
    /// Series Instance UID; otherwise all series of the study
    #[arg(long, value_name = "UID")]
    series: Option<String>,
    /// Where to write; made if absent
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Ask for C-MOVE to this title of ours, which the peer has to know
    #[arg(long, value_name = "TITLE", requires = "listen")]
    move_to: Option<String>,
    /// Where to listen for what is moved
    #[arg(long, value_name = "ADDRESS:PORT", requires = "move_to")]
    listen: Option<SocketAddr>,
    /// Attempts for each series, where another may help
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    attempts: u32,
    #[command(flatten)]
    peer: PeerArguments,
}

fn failed(error: Error) -> anyhow::Error {
    match error {
        Error::Address(text) => WrongUsage(text).into(),
        other => Refused(other.to_string()).into(),
    }
}

fn node(address: &str, a: &PeerArguments) -> Result<Node> {
    let peer: Peer = address.parse().map_err(failed)?;
    let mut node = Node::new(peer).with_titles(a.called.as_deref(), Some(&a.calling)).map_err(failed)?;
    node.limits.data_set = crate::machine::limits();
    node.answer = Duration::from_secs(a.timeout);
    node.connect = node.connect.min(node.answer);
    node.tls = a.tls.then(|| a.tls_name.clone().unwrap_or_default());
    let read = |path: &PathBuf| {
        must_exist(path)?;
        fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
    };
    let secret = |path: &PathBuf| Ok::<_, anyhow::Error>(String::from_utf8(read(path)?)?.trim_end().to_owned());
    let own = match (&a.certificate, &a.key) {
        (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
        _ => None,
    };
    node.certificates = Certificates { authorities: a.ca.as_ref().map(read).transpose()?, own };
    node.credentials = match (&a.user, &a.password_file, &a.token_file) {
        (Some(user), Some(file), _) => Some(Credentials::Password { user: user.clone(), password: secret(file)? }),
        (_, _, Some(file)) => Some(Credentials::Token(secret(file)?)),
        _ => None,
    };
    if node.credentials.is_some() && address.starts_with("http://") {
        eprintln!("warning: over http:// everybody on the way can read the password; https:// keeps it");
    }
    Ok(node)
}

pub(crate) fn echo_run(a: &EchoArguments) -> Result<()> {
    let started = Instant::now();
    echo(&node(&a.to, &a.peer)?).map_err(failed)?;
    println!("{} answers, in {:.0} ms", a.to, 1e3 * started.elapsed().as_secs_f64());
    Ok(())
}

/// Files below the paths, in the order of their names.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<(PathBuf, bool)>> {
    const FILES_MAX: usize = 1_000_000;
    let mut found = Vec::new();
    let mut waiting: Vec<(PathBuf, bool, usize)> = paths.iter().rev().map(|p| (p.clone(), true, 0)).collect();
    while let Some((path, is_named, depth)) = waiting.pop() {
        if is_named {
            must_exist(&path)?;
        }
        let kind = fs::metadata(&path).map_err(|e| Refused(format!("{} cannot be read: {e}", path.display())))?;
        if kind.is_dir() && depth < 32 {
            let entries: Result<Vec<_>, _> = fs::read_dir(&path)?.map(|entry| entry.map(|e| e.path())).collect();
            let mut entries = entries?;
            entries.sort();
            waiting.extend(entries.into_iter().rev().map(|p| (p, false, depth + 1)));
        } else if kind.is_file() {
            found.push((path, is_named));
        }
        if found.len() + waiting.len() > FILES_MAX {
            return Err(Refused(format!("there are more than {FILES_MAX} files")).into());
        }
    }
    Ok(found)
}

pub(crate) fn send_run(a: &SendArguments, progress: &Progress) -> Result<()> {
    let node = node(&a.to, &a.peer)?;
    let arrived: BTreeSet<String> = match &a.resume {
        Some(path) if path.exists() => fs::read_to_string(path)?.lines().map(|l| l.trim().to_owned()).collect(),
        _ => BTreeSet::new(),
    };
    let (mut objects, mut failures, mut others, mut before) = (Vec::new(), 0usize, 0usize, 0usize);
    let found = files(&a.paths)?;
    for (n, (path, is_named)) in found.iter().enumerate() {
        progress.report("looking at files", n as f32 / found.len() as f32);
        match Outgoing::of(path, &node.limits) {
            Ok(object) => objects.push(object),
            // Whatever else lies in a folder is passed over, but not what was asked for by name.
            Err(SkipReason::NotDicom) if !is_named => others += 1,
            Err(reason) => {
                progress.complain(&format!("{}: not sent: {reason}", path.display()));
                failures += 1;
            }
        }
    }
    if objects.is_empty() {
        return Err(Refused("there is nothing to send: no DICOM objects were found".into()).into());
    }
    let mut of_uid = BTreeMap::<String, usize>::new();
    for object in &objects {
        *of_uid.entry(object.identity().sop_instance_uid.clone()).or_default() += 1;
    }
    // What shares its UID with others is not known to have arrived when one of them has.
    objects.retain(|object| {
        let uid = &object.identity().sop_instance_uid;
        let is_there = of_uid[uid] == 1 && arrived.contains(uid);
        before += usize::from(is_there);
        !is_there
    });
    let all: usize = of_uid.values().sum();
    if of_uid.len() < all {
        progress.complain(&format!(
            "warning: {all} objects have {} SOP Instance UIDs between them: an archive keeps one object of each",
            of_uid.len()
        ));
    }
    let mut journal = match &a.resume {
        Some(path) => {
            let file = fs::OpenOptions::new().create(true).append(true).open(path);
            Some(file.with_context(|| format!("{} cannot be written", path.display()))?)
        }
        None => None,
    };
    let started = Instant::now();
    let (mut sent, mut bytes, mut done) = (0usize, 0u64, 0usize);
    let mut unpacked = BTreeMap::<String, usize>::new();
    let mut fault = None;
    let options = SendOptions { attempts: a.attempts, ..SendOptions::default() };
    send(&node, &objects, &options, &mut |outcome| {
        done += 1;
        let object = &objects[outcome.index];
        match outcome.result {
            Ok((how, status)) => {
                sent += 1;
                bytes += fs::metadata(object.path()).map_or(0, |m| m.len());
                if let SentHow::Uncompressed(form) = how {
                    let what = format!("{} as {}", object.transfer_syntax_uid(), form.uid());
                    *unpacked.entry(what).or_default() += 1;
                }
                if status.kind() == StatusKind::Warning {
                    progress.say(&format!("{}: {}", object.path().display(), status.explain(Service::Store)));
                }
                if let Some(Err(e)) =
                    journal.as_mut().map(|file| writeln!(file, "{}", object.identity().sop_instance_uid))
                {
                    fault.get_or_insert(e);
                }
            }
            Err(reason) => {
                failures += 1;
                let tried =
                    if outcome.attempts > 1 { format!(", {} attempts", outcome.attempts) } else { String::new() };
                progress.complain(&format!("{}: not sent: {reason}{tried}", object.path().display()));
            }
        }
        progress.report("sending", done as f32 / objects.len() as f32);
    });
    progress.finish();
    if let Some(fault) = fault {
        return Err(fault).context("what arrived could not be written into the file of --resume");
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{sent} objects sent to {}, {:.1} MB in {seconds:.2} s", a.to, bytes as f64 / 1e6);
    for (what, count) in unpacked {
        println!("{count} of them unpacked without loss, as the peer does not take transfer syntax {what}");
    }
    if before + others > 0 {
        println!("passed over: {before} sent before, {others} files that are not DICOM");
    }
    if failures > 0 {
        return Err(Refused(format!("{failures} objects were not sent; the reasons are above")).into());
    }
    Ok(())
}

pub(crate) fn query_run(a: &QueryArguments) -> Result<()> {
    let node = node(&a.from, &a.peer)?;
    let level = match a.level {
        LevelChoice::Patient => Level::Patient,
        LevelChoice::Study => Level::Study,
        LevelChoice::Series => Level::Series,
        LevelChoice::Image => Level::Image,
    };
    let matches: Vec<(&str, &str)> = a.matches.iter().map(|m| m.split_once('=').unwrap_or((m, ""))).collect();
    let has = |name: &str| matches.iter().any(|(k, v)| *k == name && !v.is_empty());
    let needed: &[&str] = match level {
        Level::Series => &["StudyInstanceUID"],
        Level::Image => &["StudyInstanceUID", "SeriesInstanceUID"],
        _ => &[],
    };
    if matches!(node.peer, Peer::Node { .. })
        && let Some(missing) = needed.iter().find(|name| !has(name))
    {
        let text = format!("over DIMSE a search at this level is within one {missing}: add --match {missing}=UID");
        return Err(WrongUsage(text).into());
    }
    if matches!(node.peer, Peer::Web(_)) && matches!(level, Level::Patient) {
        return Err(
            WrongUsage("over DICOMweb there are studies, series and objects to search, no patients".into()).into()
        );
    }
    let mut asked = Query::new(level, &matches).map_err(|e| WrongUsage(e.to_string()))?;
    asked.most = a.most;
    let (found, more) = query(&node, &asked).map_err(failed)?;
    if a.json {
        println!("{}", serde_json::to_string_pretty(&found.iter().map(json).collect::<Vec<_>>())?);
    } else {
        let mut keywords: Vec<&str> = matches.iter().map(|(k, _)| *k).collect();
        keywords.extend(level.usual().iter().filter(|k| !matches.iter().any(|(m, _)| m == *k)));
        for answer in &found {
            for keyword in &keywords {
                if let Some(text) = answer.text(keyword) {
                    println!("{keyword:30} {}", shown(&text));
                }
            }
            println!();
        }
        println!("{} found", found.len());
    }
    if more {
        eprintln!("there are more: raise --most, or match more narrowly");
    }
    Ok(())
}

/// Text of a peer as a terminal may show it.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

/// An answer in the DICOM JSON model.
fn json(found: &Found) -> serde_json::Value {
    let one = |e: &ListedElement| {
        let ListedValue::Values(values) = &e.value else { return None };
        let value = |v: &str| match &e.vr[..] {
            "PN" => {
                let groups = ["Alphabetic", "Ideographic", "Phonetic"];
                let named = groups.iter().zip(v.split('=')).filter(|(_, text)| !text.is_empty());
                named.map(|(group, text)| ((*group).to_owned(), text.into())).collect::<serde_json::Map<_, _>>().into()
            }
            "IS" | "DS" | "US" | "SS" | "UL" | "SL" | "FL" | "FD" => {
                v.parse::<serde_json::Number>().map_or_else(|_| v.into(), serde_json::Value::Number)
            }
            _ => v.into(),
        };
        let values: Vec<_> = values.iter().filter(|v| !v.is_empty()).map(value).collect();
        let mut element = serde_json::json!({ "vr": e.vr });
        if !values.is_empty() {
            element["Value"] = values.into();
        }
        Some((format!("{:04X}{:04X}", e.tag.0, e.tag.1), element))
    };
    found.elements.iter().filter(|e| e.depth == 0).filter_map(one).collect::<serde_json::Map<_, _>>().into()
}

pub(crate) fn retrieve_run(a: &RetrieveArguments, progress: &Progress) -> Result<()> {
    let node = node(&a.from, &a.peer)?;
    for uid in [Some(&a.study), a.series.as_ref()].into_iter().flatten() {
        if !hilum_dicom::is_safe_uid(uid) {
            return Err(WrongUsage("--study and --series are UIDs: digits and dots".into()).into());
        }
    }
    let wanted = Wanted { study_uid: a.study.clone(), series_uid: a.series.clone() };
    let receiver = match (&a.move_to, a.listen) {
        (Some(title), Some(address)) => Some(ReceiverOptions::new(address, title)),
        _ => None,
    };
    let options = RetrieveOptions { receiver, attempts: a.attempts, ..RetrieveOptions::default() };
    let started = Instant::now();
    let count = |came: usize, of: Option<usize>| {
        progress.report("retrieving", came as f32 / of.unwrap_or(came).max(1) as f32);
    };
    let came = retrieve(&node, &wanted, &Folder::new(&a.out), &options, &count).map_err(failed)?;
    progress.finish();
    for (uid, reason) in &came.missing {
        eprintln!("object {uid} is missing: {reason}");
    }
    let before = if came.already_there > 0 { format!(", {} were there", came.already_there) } else { String::new() };
    let seconds = started.elapsed().as_secs_f64();
    println!("{} objects retrieved to {}{before}, in {seconds:.2} s", came.written, a.out.display());
    if !came.missing.is_empty() {
        return Err(Refused(format!("{} objects did not come; the reasons are above", came.missing.len())).into());
    }
    Ok(())
}
