//! `hilum analyze`: from input to the files of the contract.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use hilum_dicom::{Origin, Refusal, Source, nifti};
use hilum_findings::{Findings, RefusalInput, Series};
use hilum_lung::{
    Analysis, AnalysisError, FollowUpMaps, LesionNetwork, Masks, PRODUCT, ReadStudy, Study, StudyFacts, analyze_with,
    kept_ct,
};
use hilum_report::{FollowUpImages, Images, Language, ReportInput, Subject, write_report};
use hilum_volume::{LabelMap, Volume};

use crate::arguments::AnalyzeArguments;
use crate::dicom_results::ResultArguments;
use crate::outcome::{Refused, WrongUsage, must_exist};
use crate::progress::Progress;
use crate::{device, dicom_results, machine, models, output, prior};

pub(crate) fn run(arguments: &AnalyzeArguments, progress: &Progress) -> Result<()> {
    let language = Language::from_tag(&arguments.language).ok_or_else(|| {
        let tags = Language::ALL.map(Language::tag).join(", ");
        WrongUsage(format!("there are no reports in `{}`; there are: {tags}", arguments.language))
    })?;
    must_exist(&arguments.input)?;
    arguments.prior.iter().try_for_each(|prior| must_exist(prior))?;
    arguments.results.masks_file().map_or(Ok(()), must_exist)?;
    let threads = machine::set_threads(arguments.threads)?;
    let model = models::load_and_say(arguments.model.as_deref(), progress)?;
    let network = LesionNetwork::on(device::open(&model, &arguments.device, threads)?, model, threads)?;
    let job = Job {
        input: &arguments.input,
        series_uid: arguments.series.as_deref(),
        priors: &arguments.prior,
        other_patient_id: arguments.other_patient_id,
        out: &arguments.out,
        language,
        results: &arguments.results,
    };
    let findings = read_and_write(&job, &network, progress)?;
    progress.say(&summary(&findings, &arguments.out));
    Ok(())
}

/// What is to be read, compared and written.
pub(crate) struct Job<'a> {
    pub(crate) input: &'a Path,
    /// The series to read; otherwise the most suitable one.
    pub(crate) series_uid: Option<&'a str>,
    /// Earlier studies.
    pub(crate) priors: &'a [PathBuf],
    /// Whether they may have other Patient IDs.
    pub(crate) other_patient_id: bool,
    pub(crate) out: &'a Path,
    pub(crate) language: Language,
    /// A reader's masks, and the form of the DICOM results.
    pub(crate) results: &'a ResultArguments,
}

/// Reads a study, analyses it, compares it with earlier ones and writes every file into `out`. A refused study gets its
/// files too, and its reason is the error.
pub(crate) fn read_and_write(job: &Job<'_>, network: &LesionNetwork, progress: &Progress) -> Result<Findings> {
    let Job { input, series_uid, out, language, results, .. } = *job;
    let started = Instant::now();
    output::folder(out)?;
    remove_earlier_result(out)?;
    let refuse = |series: Option<Series>, code: &str, reason: String| -> Result<Findings> {
        let mut findings = Findings::refused(RefusalInput {
            product: PRODUCT.into(),
            software: machine::software(),
            series,
            code: code.into(),
            reason,
        });
        let sentence = findings.quality.reasons[0].text.clone();
        write_files(out, &mut findings, None, || Ok(()), language, started)?;
        progress.finish();
        Err(Refused(sentence).into())
    };
    let Read { study, origin, facts } = match read_with_origin(input, series_uid, progress) {
        Ok(read) => read,
        Err(refusal) => return refuse(None, refusal.code(), refusal.to_string()),
    };
    if let Some(reason) = prior::other_patient(&facts, job.priors).filter(|_| !job.other_patient_id) {
        return refuse(Some(study.series), "other-patient-id", reason);
    }
    let load_s = started.elapsed().as_secs_f64();
    let masks = match results.masks(study.volume.geometry(), origin.as_ref()) {
        Ok(masks) => masks,
        Err(reason) => return refuse(Some(study.series), "masks", reason.to_string()),
    };
    let report = |stage: hilum_lung::Stage, fraction: f32| progress.report(stage.name(), fraction);
    let analysis = analyze_with(&study, network, machine::software(), masks.as_ref(), &report);
    let Analysis { mut findings, mut labels, mut lobes, lesion_probability } = match analysis {
        Ok(analysis) => analysis,
        Err(AnalysisError::Lungs(reason)) => return refuse(Some(study.series), "no-chest", reason.to_string()),
        Err(fault) => return Err(fault.into()),
    };
    findings.timings_s.load = Some(load_s);

    let mut study = study;
    let (findings, maps, earlier) = if job.priors.is_empty() {
        (findings, None, Vec::new())
    } else {
        let current = ReadStudy { findings, labels, lobes, ct: Some(study.volume), facts };
        let (result, earlier) = prior::compare(&current, job.priors, network, progress)?;
        let ReadStudy { findings: read, labels: read_labels, lobes: read_lobes, ct, .. } = current;
        (labels, lobes) = (read_labels, read_lobes);
        study.volume = ct.expect("it was put there above");
        (read.with_follow_up(result.follow_up), result.maps, earlier)
    };
    let mut findings = findings;

    progress.report("drawing and writing the report", 0.0);
    let follow_up =
        maps.as_ref().map(|maps| FollowUpImages { change: &maps.change, earlier_ct: maps.earlier_ct.as_ref() });
    let images =
        Images { ct: &study.volume, labels: &labels, lesion_probability: Some(&lesion_probability), follow_up };
    let dicom = origin.as_ref().map(|origin| dicom_results::Sources {
        origin,
        labels: &labels,
        lobes: &lobes,
        lesion_probability: &lesion_probability,
        earlier: &earlier,
        change: maps.as_ref().map(|maps| &maps.change),
        given: masks.as_ref().map(Masks::given).unwrap_or_default(),
        form: results.seg_form,
    });
    let volumes = || write_volumes(out, &study.volume, &lobes, &labels, maps.as_ref());
    for note in write_files(out, &mut findings, Some((images, dicom)), volumes, language, started)? {
        progress.say(&note);
    }
    progress.finish();
    Ok(findings)
}

/// Writes what lies on the grid of the series, for later studies and other programs.
fn write_volumes(
    out: &Path,
    ct: &Volume<i16>,
    lobes: &LabelMap,
    labels: &LabelMap,
    maps: Option<&FollowUpMaps>,
) -> Result<()> {
    if let Some(ct) = kept_ct(ct, lobes) {
        output::write_with(&out.join(prior::KEPT_CT), |file| {
            nifti::write_volume(&ct, file, nifti::Compression::Gzip).map_err(Into::into)
        })?;
    }
    if let Some(maps) = maps {
        prior::write_maps(out, maps)?;
    }
    output::write_with(&out.join("labels.nii.gz"), |file| {
        nifti::write_labels(labels, file, nifti::Compression::Gzip).map_err(Into::into)
    })
}

/// Removes the files of an earlier result in `out`, `findings.json` first because it says that all is there: those of two
/// studies must never lie side by side. A run that was interrupted has left a report but no findings. Files of other names
/// stay, whatever they are.
fn remove_earlier_result(out: &Path) -> Result<()> {
    // Whatever an interrupted run may have left first.
    let names = [
        "findings.json",
        "report.html",
        "report.pdf",
        "labels.nii.gz",
        prior::KEPT_CT,
        prior::CHANGE,
        prior::PRIOR_LESIONS,
    ];
    if !names.iter().any(|name| out.join(name).is_file()) {
        return Ok(());
    }
    for name in names {
        output::remove(&out.join(name))?;
    }
    for folder in ["pictures", "dicom"] {
        let Ok(files) = std::fs::read_dir(out.join(folder)) else { continue };
        for file in files {
            let path = file?.path();
            if path.file_name().and_then(|name| name.to_str()).is_some_and(is_ours) {
                output::remove(&path)?;
            }
        }
    }
    Ok(())
}

/// Whether a picture or DICOM result is called like this.
fn is_ours(name: &str) -> bool {
    let Some((stem, "png" | "dcm")) = name.rsplit_once('.') else { return false };
    let stem = stem.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-');
    let pictures = [
        "axial",
        "coronal",
        "coronal-mip",
        "sagittal",
        "rendering-front",
        "rendering-back",
        "change-axial",
        "change-coronal",
        "change-sagittal",
    ];
    let dicom = [
        "segmentation",
        "lesions",
        "change",
        "measurements",
        "probability",
        "labelmap",
        "outlines",
        "key-images",
        "report",
        "summary",
        "picture",
    ];
    pictures.contains(&stem) || dicom.contains(&stem)
}

/// The study at `input`: NIfTI by its name, everything else by its content.
pub(crate) fn read(input: &Path, series_uid: Option<&str>, progress: &Progress) -> Result<Study, Refusal> {
    let limits = crate::machine::limits();
    if is_nifti(input) {
        progress.report("reading", 0.0);
        return Ok(Study::from_nifti(nifti::read_hu(File::open(input)?, &limits)?));
    }
    read_dicom(input, series_uid, progress).map(|read| read.study)
}

/// A study with what DICOM results and a follow-up need to know of it; NIfTI has nothing of the kind.
pub(crate) struct Read {
    pub(crate) study: Study,
    pub(crate) origin: Option<Origin>,
    pub(crate) facts: StudyFacts,
}

/// The study at `input` with where it comes from.
pub(crate) fn read_with_origin(input: &Path, series_uid: Option<&str>, progress: &Progress) -> Result<Read, Refusal> {
    if is_nifti(input) {
        let study = read(input, series_uid, progress)?;
        return Ok(Read { study, origin: None, facts: StudyFacts::default() });
    }
    read_dicom(input, series_uid, progress)
}

pub(crate) fn is_nifti(input: &Path) -> bool {
    let name = input.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    name.ends_with(".nii") || name.ends_with(".nii.gz")
}

fn read_dicom(input: &Path, series_uid: Option<&str>, progress: &Progress) -> Result<Read, Refusal> {
    progress.report("looking for series", 0.0);
    let scan = hilum_dicom::scan(&Source::from(input), &crate::machine::limits())?;
    if series_uid.is_none() && scan.patients() > 1 {
        for series in scan.series() {
            progress.say(&format!("series {}: {} images, {}", series.series_uid, series.images, series.modality));
        }
    }
    let (uid, because) = match series_uid {
        Some(uid) => (uid.to_owned(), "It was asked for by its UID.".to_owned()),
        None => {
            let choice = hilum_lung::choose(&scan)?;
            (choice.series_uid, choice.because)
        }
    };
    let series = hilum_dicom::load(&scan, &uid, &|fraction| progress.report("decoding", fraction))?;
    let origin = Origin::of(&scan, &series)?;
    let facts = StudyFacts::of(&series.summary);
    Ok(Read { study: Study::from_dicom(series, Some(because)), origin: Some(origin), facts })
}

/// Report, pictures, DICOM results where the input has an origin and, last because it says that all is there,
/// `findings.json`. Returns what could not be written, and why.
fn write_files(
    out: &Path,
    findings: &mut Findings,
    images_and_dicom: Option<(Images<'_>, Option<dicom_results::Sources<'_>>)>,
    write_volumes: impl FnOnce() -> Result<()> + Send,
    language: Language,
    started: Instant,
) -> Result<Vec<String>> {
    findings.created = Some(machine::now());
    findings.peak_memory_mb = machine::peak_memory_mb();
    let reporting = Instant::now();
    // Packing keeps one core busy, and so do parts of the report.
    let (volumes, notes) =
        rayon::join(write_volumes, || write_report_and_dicom(out, findings, images_and_dicom, language));
    volumes?;
    let notes = notes?;
    findings.timings_s.report = Some(reporting.elapsed().as_secs_f64());
    findings.timings_s.total = Some(started.elapsed().as_secs_f64());
    findings.peak_memory_mb = machine::peak_memory_mb();
    output::write(&out.join("findings.json"), findings.to_json().as_bytes())?;
    Ok(notes)
}

fn write_report_and_dicom(
    out: &Path,
    findings: &Findings,
    images_and_dicom: Option<(Images<'_>, Option<dicom_results::Sources<'_>>)>,
    language: Language,
) -> Result<Vec<String>> {
    let images = images_and_dicom.map(|(images, _)| images);
    let subject = images_and_dicom.and_then(|(_, dicom)| dicom).map(|sources| subject(sources.origin));
    let input = ReportInput { findings, subject: subject.as_ref(), images, language };
    let report = write_report(&input).context("the report could not be made")?;
    output::write(&out.join("report.html"), report.html.as_bytes())?;
    output::write(&out.join("report.pdf"), &report.pdf)?;
    let pictures = out.join("pictures");
    if !report.pictures.is_empty() {
        output::folder(&pictures)?;
    }
    for (name, png) in &report.pictures {
        output::write(&pictures.join(name), png)?;
    }
    match images_and_dicom {
        Some((_, Some(sources))) => dicom_results::write(out, &sources, findings, &report),
        Some((_, None)) => Ok(vec!["No DICOM results were written: the input is NIfTI and names no patient.".into()]),
        None => Ok(Vec::new()),
    }
}

/// Whom the report is about.
fn subject(origin: &Origin) -> Subject {
    let identity = origin.identity();
    Subject {
        patient_name: identity.patient_name,
        patient_id: identity.patient_id,
        birth_date: identity.patient_birth_date,
        sex: identity.patient_sex,
        study_date: identity.study_date,
        accession_number: identity.accession_number,
    }
}

/// What to tell the person at the terminal.
pub(crate) fn summary(findings: &Findings, out: &Path) -> String {
    let number = |value: Option<f64>| value.map_or("?".into(), |v| format!("{v:.1}"));
    format!(
        "opacity {} % of the lung ({} ml), CTSS {} of 25, in {} s\nreport: {}",
        number(findings.lesions.percent_of_lung),
        number(findings.lesions.total_ml),
        findings.scores.ctss_0_25.map_or("?".into(), |s| s.to_string()),
        number(findings.timings_s.total),
        out.join("report.html").display()
    )
}
