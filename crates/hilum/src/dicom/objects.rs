//! What DICOM objects hold, for `hilum dicom info`: segments, measurements, and every element.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use hilum_dicom::{
    Concept, EvaluationValue, ListedElement, ListedValue, ReportDocument, ReportedGroup, SegmentationForm,
    SegmentationImage, codes, list_elements,
};
use hilum_network::{NodeLimits, Outgoing};

use super::network::{files, shown};
use crate::outcome::Refused;

/// Segmentation and Label Map Segmentation Storage.
const SEGMENTATIONS: [&str; 2] = ["1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"];
/// Enhanced, Comprehensive, Comprehensive 3D and Extensible SR Storage.
const REPORTS: [&str; 4] = [
    "1.2.840.10008.5.1.4.1.1.88.22",
    "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.88.34",
    "1.2.840.10008.5.1.4.1.1.88.35",
];
/// Characters of a value that are shown.
const SHOWN: usize = 96;

/// Whether a file is a segmentation.
pub(super) fn is_segmentation(path: &Path) -> bool {
    class_of(path).is_some_and(|class| SEGMENTATIONS.contains(&&class[..]))
}

/// The segmentations below a folder.
pub(crate) fn segmentations(path: &Path) -> Result<Vec<PathBuf>> {
    Ok(files(&[path.to_owned()])?.into_iter().map(|(file, _)| file).filter(|file| is_segmentation(file)).collect())
}

/// The structured reports below a folder, or the file if it is one.
pub(crate) fn reports(path: &Path) -> Result<Vec<PathBuf>> {
    let is_report = |file: &PathBuf| class_of(file).is_some_and(|class| REPORTS.contains(&&class[..]));
    Ok(files(&[path.to_owned()])?.into_iter().map(|(file, _)| file).filter(is_report).collect())
}

/// Whether there are DICOM objects at a path.
pub(super) fn are_at(path: &Path) -> bool {
    files(&[path.to_owned()]).is_ok_and(|all| all.iter().any(|(file, _)| class_of(file).is_some()))
}

fn class_of(path: &Path) -> Option<String> {
    Outgoing::of(path, &NodeLimits { data_set: crate::machine::limits(), ..NodeLimits::default() })
        .ok()
        .map(|o| o.identity().sop_class_uid.clone())
}

/// Prints segmentations and measurement reports among the files of a folder; how many there were.
pub(super) fn describe_results(path: &Path) -> Result<usize> {
    let mut count = 0;
    for (file, _) in files(&[path.to_owned()])? {
        let Some(class) = class_of(&file) else { continue };
        if SEGMENTATIONS.contains(&&class[..]) {
            count += 1;
            match SegmentationImage::read(&std::fs::read(&file)?, &crate::machine::limits()) {
                Ok(segmentation) => print(&segments(&segmentation))?,
                Err(reason) => println!("a segmentation: {reason}"),
            }
        } else if REPORTS.contains(&&class[..]) {
            count += 1;
            match ReportDocument::read(&std::fs::read(&file)?, &crate::machine::limits()) {
                Ok(report) => print(&measurements(&report))?,
                Err(reason) => println!("a structured report: {reason}"),
            }
        }
    }
    Ok(count)
}

/// Prints lines; whoever looks at the first ones only (`| head`) closes the pipe, which is no fault.
fn print(lines: &[String]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        match writeln!(out, "{}", line.trim_end()) {
            Err(reason) if reason.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            written => written?,
        }
    }
    Ok(())
}

fn segments(s: &SegmentationImage) -> Vec<String> {
    let form = match s.form {
        SegmentationForm::Binary => "binary",
        SegmentationForm::Probability => "probability",
        SegmentationForm::Occupancy => "occupancy",
        SegmentationForm::LabelMap => "label map",
    };
    let mut lines = vec![format!("segmentation {} ({form}, {} segments)", s.sop_instance_uid, s.segments.len())];
    lines.extend(s.source_series_uids.iter().map(|uid| format!("  of series    {uid}")));
    let grid = s.own_grid(&crate::machine::limits());
    for segment in &s.segments {
        let (code, scheme) = &segment.property;
        let mask = grid.as_ref().and_then(|grid| s.mask(segment.number, grid).ok());
        let voxels = mask.map(|mask| mask.data().iter().filter(|inside| **inside).count());
        let size = voxels.map_or(String::new(), |count| format!(", {count} voxels"));
        lines.push(format!("  {:>3} {} ({code} {scheme}){size}", segment.number, shown(&segment.label)));
    }
    lines
}

fn measurements(r: &ReportDocument) -> Vec<String> {
    let state = if r.complete { "complete" } else { "partial" };
    let verified = if r.verified { "verified" } else { "not verified" };
    let uid = &r.sop_instance_uid;
    let mut lines = vec![format!("measurements {uid} ({state}, {verified}, {} groups)", r.groups.len())];
    for group in &r.groups {
        lines.push(format!("  {}", title(group)));
        for m in &group.measurements {
            let derivation = m.derivation.as_ref().map_or(String::new(), |d| format!("{} ", words(d)));
            let mut value = match &m.quantity {
                Some(q) => format!("{} {}", q.value, unit(&q.unit)),
                None => "no number".into(),
            };
            if let [Some(lower), Some(upper)] = &m.uncertainty {
                value = match lower.value == upper.value {
                    true => format!("{value} (± {})", upper.value),
                    false => format!("{value} (- {}, + {})", lower.value, upper.value),
                };
            }
            lines.push(format!("      {derivation}{}: {value}", words(&m.concept)));
        }
        lines.extend(group.evaluations.iter().map(|e| match &e.value {
            EvaluationValue::Code(code) => format!("      {}: {}", words(&e.concept), words(code)),
            EvaluationValue::Text(text) => format!("      {}: {}", words(&e.concept), shown(text)),
        }));
    }
    lines.extend(r.predecessors.iter().map(|p| format!("  takes in parts of {}", p.sop_instance_uid)));
    if r.unread_items > 0 {
        lines.push(format!("  {} content items are of other kinds", r.unread_items));
    }
    lines
}

fn title(group: &ReportedGroup) -> String {
    let mut parts: Vec<String> = group.tracking_id.iter().map(|id| shown(id)).collect();
    parts.extend(group.finding.as_ref().map(words));
    parts.extend(group.sites.iter().map(|s| words(&s.site)));
    let time_point = group.contexts.iter().filter(|(name, _)| name.is(codes::TIME_POINT));
    parts.extend(time_point.map(|(_, text)| shown(text)));
    if parts.is_empty() { "a group without a name".into() } else { parts.join(", ") }
}

fn words(concept: &Concept) -> String {
    shown(if concept.meaning.is_empty() { &concept.value } else { &concept.meaning })
}

fn unit(concept: &Concept) -> String {
    if concept.value == "1" { String::new() } else { shown(&concept.value) }
}

/// Prints every element of every file; values that may tell who somebody is only if `identity`.
pub(super) fn tags(path: &Path, identity: bool) -> Result<()> {
    let (mut listed, mut refused) = (0usize, None);
    let all: Vec<(PathBuf, bool)> = files(&[path.to_owned()])?;
    for (file, _) in &all {
        let length = std::fs::metadata(file)?.len();
        if length > crate::machine::limits().max_file_bytes {
            refused = Some("the file exceeds the limits for foreign files".to_owned());
            continue;
        }
        match list_elements(&std::fs::read(file)?, &crate::machine::limits()) {
            Ok(elements) => {
                if all.len() > 1 {
                    print(&[format!("# {}", shown(&file.display().to_string()))])?;
                }
                print(&elements.iter().map(|e| line(e, identity)).collect::<Vec<_>>())?;
                listed += 1;
            }
            Err(reason) => refused = Some(reason.to_string()),
        }
    }
    match refused {
        Some(reason) if listed == 0 => Err(Refused(reason).into()),
        _ => Ok(()),
    }
}

fn line(e: &ListedElement, identity: bool) -> String {
    let value = match &e.value {
        ListedValue::Sequence(1) => "1 item".to_owned(),
        ListedValue::Sequence(items) => format!("{items} items"),
        ListedValue::Fragments(count) => format!("{count} fragments"),
        ListedValue::Bytes => format!("{} bytes", e.length.unwrap_or(0)),
        ListedValue::Values(values) if values.iter().all(str::is_empty) => "(no value)".to_owned(),
        // UIDs are what one looks for; they say nothing by themselves.
        ListedValue::Values(_) if e.identifying && !identity && e.vr != "UI" => {
            "(not shown: may identify; --identity shows it)".to_owned()
        }
        ListedValue::Values(values) => {
            let text = shown(values.joined());
            match text.char_indices().nth(SHOWN) {
                Some((cut, _)) => {
                    format!("{}… ({} values, {} bytes)", &text[..cut], values.len(), e.length.unwrap_or(0))
                }
                None => text,
            }
        }
    };
    let item = if e.depth > 0 { format!("{}. ", e.item) } else { String::new() };
    let keyword = if e.keyword.is_empty() { "(unknown)" } else { e.keyword };
    format!("{}{item}({:04X},{:04X}) {} {keyword}: {value}", "    ".repeat(e.depth), e.tag.0, e.tag.1, e.vr)
}
