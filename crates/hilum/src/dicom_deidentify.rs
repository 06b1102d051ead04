//! `hilum dicom deidentify` and `hilum dicom reidentify`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use hilum_dicom::{
    DeidentificationKey, DeidentificationReport, Deidentified, DeidentifyOptions, Error, ProfileOption, Source,
    deidentify, reidentify,
};

use crate::outcome::{Refused, WrongUsage, must_exist};
use crate::output;
use crate::progress::Progress;

#[derive(Args)]
#[command(
    after_help = "Applies the Basic Application Level Confidentiality Profile of DICOM PS3.15 Annex E; options widen what is kept and are \
    named in each object, (0012,0064). DIR receives STUDY/SERIES/INSTANCE.dcm under new UIDs and deidentification.json, a report \
    without original values. Transfer syntaxes stay and pixels are not changed: objects with text in their pixels, and heads, \
    whose faces can be recognised, are left out unless allowed. Documents (PDF) are always left out.\n\n\
    --deface blanks the face in CT and MR series of the head with air (Clean Recognizable Visual Features Option, 113102): nose, \
    eyes, mouth and chin, found by the nose of an upright head; brain, skull, forehead and ears stay. Such images become Explicit \
    VR Little Endian, DERIVED. They are left out, with the reason, if the face is not safely found: PET, multi-frame images, \
    localisers, one slice, no regular grid, upper head or nose cut off, head bent or turned. Look at the result: no rule finds \
    every face.\n\n\
    KEY identifies patients: keep it apart from DIR. The same key gives the same pseudonyms, UIDs and date shifts again."
)]
pub(crate) struct DeidentifyArguments {
    /// A folder of DICOM files (searched recursively), one file or a ZIP; nothing is written there
    pub(crate) input: PathBuf,
    /// Where to write; made if absent, outside of the input
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The key file: made if absent, extended otherwise
    #[arg(long, value_name = "KEY")]
    pub(crate) key: PathBuf,
    /// Keep private attributes that the standard lists as safe
    #[arg(long)]
    pub(crate) retain_safe_private: bool,
    /// Keep UIDs: objects can then be found in the archive
    #[arg(long, conflicts_with = "deface")]
    pub(crate) retain_uids: bool,
    /// Keep what identifies the scanner
    #[arg(long)]
    pub(crate) retain_device_identity: bool,
    /// Keep what identifies the hospital
    #[arg(long)]
    pub(crate) retain_institution_identity: bool,
    /// Keep age, sex, size, weight and the like
    #[arg(long)]
    pub(crate) retain_patient_characteristics: bool,
    /// Keep all dates and times
    #[arg(long, conflicts_with = "retain_modified_dates")]
    pub(crate) retain_full_dates: bool,
    /// Move all dates of a patient by the same number of days; keep times
    #[arg(long)]
    pub(crate) retain_modified_dates: bool,
    /// Keep known words of protocols and anatomy in descriptions
    #[arg(long)]
    pub(crate) clean_descriptors: bool,
    /// Keep the structure of reports, with texts cleaned
    #[arg(long)]
    pub(crate) clean_structured_content: bool,
    /// Also give out objects that may have text in their pixels; nothing is done about it
    #[arg(long)]
    pub(crate) keep_burnt_in: bool,
    /// Also give out images of the head; faces are not removed
    #[arg(long, conflicts_with = "deface")]
    pub(crate) keep_faces: bool,
    /// Blank faces in CT and MR of the head, and give out the series in which that could be done
    #[arg(long)]
    pub(crate) deface: bool,
}

#[derive(Args)]
#[command(
    after_help = "Data sets come back to the byte, from the de-identified object and what the key holds. Images whose face was blanked \
    (--deface) are refused: the key does not hold pixels, so their originals are in the archive alone."
)]
pub(crate) struct ReidentifyArguments {
    /// De-identified DICOM files: a folder (searched recursively) or one file
    pub(crate) input: PathBuf,
    /// Where to write the originals; made if absent
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The key file that they were made with
    #[arg(long, value_name = "KEY")]
    pub(crate) key: PathBuf,
}

impl DeidentifyArguments {
    fn options(&self) -> DeidentifyOptions {
        let chosen = [
            (self.retain_safe_private, ProfileOption::RetainSafePrivate),
            (self.retain_uids, ProfileOption::RetainUids),
            (self.retain_device_identity, ProfileOption::RetainDeviceIdentity),
            (self.retain_institution_identity, ProfileOption::RetainInstitutionIdentity),
            (self.retain_patient_characteristics, ProfileOption::RetainPatientCharacteristics),
            (self.retain_full_dates, ProfileOption::RetainFullDates),
            (self.retain_modified_dates, ProfileOption::RetainModifiedDates),
            (self.clean_descriptors, ProfileOption::CleanDescriptors),
            (self.clean_structured_content, ProfileOption::CleanStructuredContent),
        ];
        let profile = chosen.into_iter().filter(|(yes, _)| *yes).map(|(_, option)| option).collect();
        DeidentifyOptions {
            profile,
            keep_burnt_in: self.keep_burnt_in,
            keep_faces: self.keep_faces,
            deface: self.deface,
        }
    }
}

pub(crate) fn deidentify_run(a: &DeidentifyArguments, progress: &Progress) -> Result<()> {
    must_exist(&a.input)?;
    let is_new = !a.out.exists();
    output::folder(&a.out)?;
    let (out, input) = (fs::canonicalize(&a.out)?, fs::canonicalize(&a.input).map_err(|e| unreadable(&e))?);
    if out.starts_with(&input) || input.starts_with(&out) {
        if is_new {
            fs::remove_dir(&out).ok();
        }
        return Err(WrongUsage("--out and the input must not lie in one another".into()).into());
    }
    let place = a.key.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    must_exist(place)?;
    let place = fs::canonicalize(place).context("the folder of the key file cannot be read")?;
    if place.starts_with(&out) || place.starts_with(&input) {
        return Err(
            WrongUsage("the key identifies patients: it belongs neither into --out nor into the input".into()).into()
        );
    }
    let was_there = a.key.exists();
    let mut key = if was_there { read_key(&a.key)? } else { new_key()? };
    let mut given = 0usize;
    let report =
        deidentify(&Source::from(a.input.as_path()), &crate::machine::limits(), &a.options(), &mut key, &mut |file| {
            given += 1;
            give(&out, &file, &file.sop_instance_uid)
        });
    // Whatever was given out is in the key, even if the run broke off; a new key of nothing is none.
    if was_there || given > 0 {
        write_key(&a.key, &key)?;
    } else if report.is_err() && is_new {
        fs::remove_dir(&out).ok();
    }
    let report = report.map_err(refused)?;
    output::write(&out.join("deidentification.json"), serde_json::to_string_pretty(&report)?.as_bytes())?;
    if !progress.is_silent() {
        print(&report);
    }
    for warning in &report.warnings {
        eprintln!("Mind: {warning}");
    }
    if report.objects == 0 {
        return Err(Refused("nothing could be given out; the reasons are above".into()).into());
    }
    Ok(())
}

pub(crate) fn reidentify_run(a: &ReidentifyArguments) -> Result<()> {
    must_exist(&a.input)?;
    must_exist(&a.key)?;
    let key = read_key(&a.key)?;
    let mut back = 0usize;
    // By reason: how many, and the first of them.
    let mut left = BTreeMap::<String, (usize, PathBuf)>::new();
    let mut given = BTreeMap::<String, usize>::new();
    let mut waiting = vec![a.input.clone()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        } else if path.extension().is_some_and(|e| e == "dcm") || path == a.input {
            match reidentify(&fs::read(&path).map_err(|e| unreadable(&e))?, &key, &crate::machine::limits()) {
                Ok(file) => {
                    // Originals may share a UID that should be unique.
                    let before = given.entry(file.sop_instance_uid.clone()).or_default();
                    *before += 1;
                    let name = match *before {
                        1 => file.sop_instance_uid.clone(),
                        n => format!("{}-{n}", file.sop_instance_uid),
                    };
                    give(&a.out, &file, &name)?;
                    back += 1;
                }
                Err(reason) => {
                    left.entry(reason.to_string()).or_insert((0, path.clone())).0 += 1;
                }
            }
        }
    }
    println!("{back} originals brought back to {}", a.out.display());
    for (reason, (count, first)) in &left {
        eprintln!("not brought back, {count}, {} the first: {reason}", first.display());
    }
    if back == 0 || !left.is_empty() {
        let count: usize = left.values().map(|(count, _)| count).sum();
        return Err(Refused(format!("{count} files could not be brought back")).into());
    }
    Ok(())
}

/// Names are made from UIDs that were checked to be digits and dots.
fn give(out: &Path, file: &Deidentified, name: &str) -> std::io::Result<()> {
    let folder = out.join(&file.study_uid).join(&file.series_uid);
    fs::create_dir_all(&folder)?;
    output::write(&folder.join(format!("{name}.dcm")), &file.bytes).map_err(std::io::Error::other)
}

fn refused(error: Error) -> anyhow::Error {
    match error {
        Error::Refused(refusal) => Refused(refusal.to_string()).into(),
        other => other.into(),
    }
}

fn unreadable(error: &std::io::Error) -> anyhow::Error {
    Refused(format!("the input cannot be read: {error}")).into()
}

fn new_key() -> Result<DeidentificationKey> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|e| anyhow!("the system gives no random numbers: {e}"))?;
    Ok(DeidentificationKey::new(secret))
}

fn read_key(path: &Path) -> Result<DeidentificationKey> {
    let text = fs::read_to_string(path).map_err(|e| Refused(format!("the key file cannot be read: {e}")))?;
    Ok(DeidentificationKey::from_json(&text).map_err(|e| Refused(e.to_string()))?)
}

/// First beside it, then in its place; readable by its owner alone where the system knows that.
fn write_key(path: &Path, key: &DeidentificationKey) -> Result<()> {
    let part = path.with_extension("part");
    let mut how = fs::OpenOptions::new();
    how.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    let written = how.open(&part).and_then(|mut file| file.write_all(key.to_json().as_bytes()));
    written.and_then(|()| fs::rename(&part, path)).context("the key file could not be written")
}

fn print(report: &DeidentificationReport) {
    println!("{:<12} {:<52} {:<10} TIMES", "TAG", "ATTRIBUTE", "DONE");
    for change in &report.changes {
        let done = format!("{:?}", change.action);
        println!("{:<12} {:<52} {:<10} {}", change.tag, change.name, done, change.count);
    }
    for (code, meaning) in &report.method {
        println!("{code} {meaning}");
    }
    println!(
        "{} of {} files given out: {} patients, {} studies",
        report.objects, report.files, report.patients, report.studies
    );
    if report.defaced > 0 {
        println!("{} of them with the face blanked: 113102 Clean Recognizable Visual Features Option", report.defaced);
    }
    for (reason, count) in &report.left_out {
        println!("left out, {count}: {reason}");
    }
}
