//! Earlier studies for `hilum analyze --prior`: read again, read back from their result folders, or from their reports alone.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hilum_dicom::{EarlierStudy, Limits, Origin, ReportDocument, SegmentationImage, Source, nifti};
use hilum_findings::{Findings, Note, Severity};
use hilum_lung::{
    Analysis, AnalysisError, FollowUpMaps, FollowUpResult, LesionNetwork, Masks, ReadStudy, ReportedStudy, StudyFacts,
    analyze_with, follow_up, lobes_behind_lesions, numbers_of_report,
};

use crate::analyze::{Read, is_nifti, read_with_origin};
use crate::dicom::{reports, segmentations};
use crate::progress::Progress;
use crate::{machine, output};

/// The CT that a result folder keeps for later comparisons.
pub(crate) const KEPT_CT: &str = "ct-2mm.nii.gz";
/// The change map.
pub(crate) const CHANGE: &str = "masks/change.nii.gz";
/// The earlier opacities on this study's grid.
pub(crate) const PRIOR_LESIONS: &str = "masks/prior-lesions.nii.gz";

fn is_result(path: &Path) -> bool {
    path.join("findings.json").is_file()
}

/// Why the earlier studies are refused, if one of them names another patient.
pub(crate) fn other_patient(current: &StudyFacts, priors: &[PathBuf]) -> Option<String> {
    let patient = current.patient_key.as_ref()?;
    priors.iter().enumerate().find_map(|(index, prior)| {
        let other = |key: String| key != *patient;
        let of_reports = || reports_alone(prior).is_some_and(|all| all.into_iter().any(|r| r.patient_key != *patient));
        facts(prior).patient_key.map_or_else(of_reports, other).then(|| {
            format!(
                "Earlier study {} has another Patient ID or name than this study. If both are of the same patient all the same, \
                 say --other-patient-id.",
                index + 1
            )
        })
    })
}

/// The measurement reports (TID 1500) of an earlier study without CT images; `None` if it has images, or no such report.
fn reports_alone(prior: &Path) -> Option<Vec<ReportDocument>> {
    if is_nifti(prior) || is_result(prior) {
        return None;
    }
    let limits = machine::limits();
    if let Ok(scan) = hilum_dicom::scan(&Source::from(prior), &limits)
        && scan.series().iter().any(|series| series.modality == "CT")
    {
        return None;
    }
    let read = |file: PathBuf| ReportDocument::read(&std::fs::read(file).ok()?, &limits).ok();
    let all: Vec<ReportDocument> = reports(prior).ok()?.into_iter().filter_map(read).collect();
    (!all.is_empty()).then_some(all)
}

/// What the headers of an earlier study say; nothing if they cannot be read, which is then said where it is read.
fn facts(prior: &Path) -> StudyFacts {
    if is_nifti(prior) {
        return StudyFacts::default();
    }
    let folder = if is_result(prior) { prior.join("dicom") } else { prior.to_path_buf() };
    let Ok(scan) = hilum_dicom::scan(&Source::from(folder.as_path()), &crate::machine::limits()) else {
        return StudyFacts::default();
    };
    if is_result(prior) {
        // Pictures of the result name patient and date; how the CT was acquired they do not.
        return scan.series().first().map_or_else(StudyFacts::default, |summary| StudyFacts {
            kernel: None,
            contrast: None,
            ..StudyFacts::of(summary)
        });
    }
    let chosen = hilum_lung::choose(&scan).ok();
    let summary = chosen.and_then(|choice| scan.find(&choice.series_uid).ok().cloned());
    summary.map_or_else(StudyFacts::default, |summary| StudyFacts::of(&summary))
}

/// Reads the earlier studies and compares; those that are DICOM are also given as the results name them. One that cannot be read is a caution, not an error: this study has its findings.
pub(crate) fn compare(
    current: &ReadStudy,
    priors: &[PathBuf],
    network: &LesionNetwork,
    progress: &Progress,
) -> Result<(FollowUpResult, Vec<EarlierStudy>)> {
    let mut earlier = Vec::new();
    let mut reported = Vec::new();
    let mut objects = Vec::new();
    let mut remarks = Vec::new();
    for (index, prior) in priors.iter().enumerate() {
        let read = if is_result(prior) { read_back(prior) } else { read_again(prior, network, progress)? };
        match read {
            Ok(Earlier { study, object, remark }) => {
                earlier.push(study);
                objects.extend(object);
                remarks.extend(remark);
            }
            Err(reason) => match reports_alone(prior).map(|reports| numbers(&reports, current.facts.date.as_deref())) {
                None => remarks.push(unusable(index, &reason)),
                Some(Err(reason)) => remarks.push(unusable(index, &reason)),
                Some(Ok((study, object))) => {
                    reported.push(study);
                    objects.extend(object);
                    let text = format!(
                        "The numbers of earlier study {} are from its report (SR), not measured again from images; it is not \
                         compared place by place.",
                        index + 1
                    );
                    remarks.push(Note::new("earlier-from-report", Severity::Warning, text));
                }
            },
        }
    }
    for unused in remarks.iter().filter(|remark| remark.code == UNUSABLE) {
        progress.complain(&unused.text);
    }
    progress.report("comparing with the earlier study", 0.0);
    Ok((follow_up(current, earlier, remarks).with_reported(&current.facts, reported), objects))
}

/// Code of the note that an earlier study could not be used.
const UNUSABLE: &str = "earlier-unreadable";

fn unusable(index: usize, reason: &str) -> Note {
    let text = format!("earlier study {} could not be used: {reason}", index + 1);
    Note::new(UNUSABLE, Severity::Severe, text)
}

/// The numbers of a study of which there are reports alone, and how the results name it, if its report names its images.
fn numbers(
    reports: &[ReportDocument],
    current_date: Option<&str>,
) -> Result<(ReportedStudy, Option<EarlierStudy>), String> {
    let given = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
    let understood: Vec<_> = reports
        .iter()
        .filter_map(|report| {
            let date = given(&report.study_date);
            Some((report, numbers_of_report(report, date.as_deref(), current_date)?, date))
        })
        .collect();
    match <[_; 1]>::try_from(understood) {
        Ok([(report, mut numbers, date)]) => {
            let object = EarlierStudy::of_report(report, date.as_deref());
            numbers.series_uid = object.as_ref().map(|object| object.series_uid().to_owned());
            let facts = StudyFacts { patient_key: given(&report.patient_key), date, ..StudyFacts::default() };
            Ok((ReportedStudy { numbers, facts }, object))
        }
        Err(none) if none.is_empty() => {
            Err("it has no CT images, and its report holds no volume of both lungs or of opacities in \
             codes that Hilum knows"
                .into())
        }
        Err(several) => Err(format!(
            "it has no CT images, but {} reports with volumes; which one is meant is not clear",
            several.len()
        )),
    }
}

/// An earlier study.
struct Earlier {
    study: ReadStudy,
    /// How the results name it, if it is DICOM.
    object: Option<EarlierStudy>,
    /// What is to be said of how it was read.
    remark: Option<Note>,
}

/// An earlier study from its images; the inner error is a reason for people.
fn read_again(prior: &Path, network: &LesionNetwork, progress: &Progress) -> Result<Result<Earlier, String>> {
    let Read { study, origin, facts } = match read_with_origin(prior, None, progress) {
        Ok(read) => read,
        Err(refusal) => return Ok(Err(refusal.to_string())),
    };
    let (masks, remark) = match &origin {
        Some(origin) => masks_beside(prior, origin)?,
        None => (None, None),
    };
    let report = |stage: hilum_lung::Stage, fraction: f32| progress.report(stage.name(), fraction);
    match analyze_with(&study, network, machine::software(), masks.as_ref(), &report) {
        Ok(Analysis { findings, labels, lobes, .. }) => {
            let study = ReadStudy { findings, labels, lobes, ct: Some(study.volume), facts };
            Ok(Ok(Earlier { study, object: origin.as_ref().map(EarlierStudy::of), remark }))
        }
        Err(AnalysisError::Lungs(reason)) => Ok(Err(reason.to_string())),
        Err(fault) => Err(fault.into()),
    }
}

/// Masks of the series in segmentations, ours or of others, that lie in the folder of its images, and what is to be said of
/// them. Among several the one that has both lobes and opacities is taken; where that leaves a choice, none is.
fn masks_beside(prior: &Path, origin: &Origin) -> Result<(Option<Masks>, Option<Note>)> {
    if !prior.is_dir() {
        return Ok((None, None));
    }
    let limits = crate::machine::limits();
    let mut found = Vec::new();
    for path in segmentations(prior)? {
        let Ok(segmentation) = SegmentationImage::read(&std::fs::read(path)?, &limits) else { continue };
        if segmentation.source_series_uids.iter().any(|uid| uid == origin.series_uid()) {
            // What has neither lobe nor opacity, or another grid, is not meant.
            found.extend(Masks::of(&segmentation, origin.geometry()));
        }
    }
    let whole = |masks: &Masks| masks.lobes.is_some() && masks.lesions.is_some();
    if found.iter().filter(|masks| whole(masks)).count() == 1 {
        found.retain(whole);
    }
    let note = |severity, text: String| Some(Note::new("earlier-masks", severity, text));
    Ok(match found.len() {
        0 => (None, None),
        1 => {
            let remark = note(Severity::Warning, format!("Of the earlier study: {}", found[0].sentence()));
            (found.pop(), remark)
        }
        several => {
            let text = format!(
                "Beside the earlier study lie {several} segmentations of it; which one is meant is not clear, so none was used."
            );
            (None, note(Severity::Warning, text))
        }
    })
}

/// An earlier study from its result folder.
fn read_back(folder: &Path) -> Result<Earlier, String> {
    let limits = crate::machine::limits();
    let text = std::fs::read_to_string(folder.join("findings.json"))
        .map_err(|_| "its findings.json cannot be read".to_owned())?;
    let findings =
        Findings::from_json(&text).map_err(|_| "its findings.json is not one of Hilum's, or of another version")?;
    if findings.anatomy.lobes.is_empty() {
        return Err("it was refused when it was analysed".into());
    }
    let open = |name: &str| File::open(folder.join(name)).map_err(|_| format!("its {name} is missing"));
    let labels =
        nifti::read_labels(open("labels.nii.gz")?, &limits).map_err(|e| format!("its labels.nii.gz is unfit: {e}"))?;
    let ct = match File::open(folder.join(KEPT_CT)) {
        Ok(file) => Some(nifti::read_hu(file, &limits).map_err(|e| format!("its {KEPT_CT} is unfit: {e}"))?),
        Err(_) => None,
    };
    let facts = facts(folder);
    let object = report_of(folder, &limits).and_then(|report| EarlierStudy::of_report(&report, facts.date.as_deref()));
    let study = ReadStudy { findings, lobes: lobes_behind_lesions(&labels), labels, ct, facts };
    Ok(Earlier { study, object, remark: None })
}

/// The measurement report of a result folder; `None` if it has none (NIfTI), or one that cannot be read: the numbers are in
/// the findings, only the references are lost.
fn report_of(folder: &Path, limits: &Limits) -> Option<ReportDocument> {
    let bytes = std::fs::read(folder.join("dicom/measurements.dcm")).ok()?;
    ReportDocument::read(&bytes, limits).ok()
}

/// Writes the maps of a follow-up into a result folder.
pub(crate) fn write_maps(out: &Path, maps: &FollowUpMaps) -> Result<()> {
    output::folder(&out.join("masks"))?;
    for (name, labels) in [(CHANGE, &maps.change), (PRIOR_LESIONS, &maps.earlier_lesions)] {
        output::write_with(&out.join(name), |file| {
            nifti::write_labels(labels, file, nifti::Compression::Gzip).context("a label map could not be packed")
        })?;
    }
    Ok(())
}
