//! `hilum dicom validate`: objects against the standard, and series as an analysis would read them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use hilum_dicom::{
    CheckedObject, Departure, Gravity, SegmentationImage, Severity, SkipReason, check_object, check_together, load,
};
use hilum_volume::Geometry;

use super::network::{files, shown};
use super::{look, objects};
use crate::outcome::Refused;
use crate::progress::Progress;

/// What is printed of departures that are the same but for the object.
type Kinds = BTreeMap<(Gravity, Option<&'static str>, String, String), (usize, String)>;

pub(super) fn validate(path: &Path, progress: &Progress) -> Result<()> {
    let mut bad = series(path, progress)?;
    // What is inside of a ZIP was looked at as series alone.
    let mut checked: Vec<CheckedObject> = Vec::new();
    let mut kinds = Kinds::new();
    let all = files(&[path.to_owned()])?;
    for (n, (file, is_named)) in all.iter().enumerate() {
        progress.report("checking objects", n as f32 / all.len() as f32);
        if std::fs::metadata(file)?.len() > crate::machine::limits().max_file_bytes {
            println!("{}: exceeds the limits for foreign files", shown(&file.display().to_string()));
            bad += 1;
            continue;
        }
        let bytes = std::fs::read(file)?;
        match check_object(&bytes, &crate::machine::limits()) {
            Ok(object) => {
                for d in &object.departures {
                    // The same in every slice is said once.
                    let key = (d.gravity, object.class, d.place.clone(), d.problem.clone());
                    let first = kinds.entry(key).or_insert((0, object.identity.sop_instance_uid.clone()));
                    first.0 += 1;
                }
                checked.push(object);
            }
            Err(SkipReason::NotDicom) if all.len() > 1 || !is_named => {}
            Err(SkipReason::NotDicom) if bytes.starts_with(b"PK") => {}
            Err(reason) => {
                println!("{}: {reason}", shown(&file.display().to_string()));
                bad += 1;
            }
        }
    }
    progress.finish();
    let mut classes = BTreeMap::<&str, usize>::new();
    for object in &checked {
        *classes.entry(object.class.unwrap_or("other classes, by general rules")).or_default() += 1;
    }
    for (class, count) in classes {
        println!("checked, {count}: {class}");
    }
    for ((gravity, class, place, problem), (count, example)) in kinds.iter().rev() {
        let times = if *count > 1 { format!("{count} objects, first ") } else { String::new() };
        let class = class.map_or(String::new(), |c| format!("{c}: "));
        println!("  {}: {class}{place} {problem} [{times}{example}]", word(*gravity));
    }
    let together = check_together(&checked);
    for Departure { gravity, place, problem } in &together {
        println!("  {}: {place} {problem}", word(*gravity));
    }
    let is_error = |gravity: &Gravity| *gravity == Gravity::Error;
    bad += kinds.keys().filter(|k| is_error(&k.0)).count() + together.iter().filter(|d| is_error(&d.gravity)).count();
    if bad > 0 {
        return Err(Refused(format!("{bad} kinds of errors were found; they are listed above")).into());
    }
    Ok(())
}

fn word(gravity: Gravity) -> &'static str {
    match gravity {
        Gravity::Error => "error",
        Gravity::Warning => "warning",
    }
}

/// Loads every CT series, and holds segmentations that lie beside it against its grid. Returns how many are bad.
fn series(path: &Path, progress: &Progress) -> Result<usize> {
    let mut bad = 0;
    let scan = match look(path) {
        Ok(scan) => scan,
        // Reports have no images; whether they are sound is seen object by object.
        Err(_) if objects::are_at(path) => return Ok(0),
        Err(reason) => return Err(reason),
    };
    let mut grids: BTreeMap<String, Geometry> = BTreeMap::new();
    for summary in scan.series().iter().filter(|s| s.modality == "CT" && s.images > s.localisers) {
        println!("series {}", summary.series_uid);
        match load(&scan, &summary.series_uid, &|share| progress.report("reading", share)) {
            Ok(series) => {
                let [slices, rows, columns] = series.volume.geometry().shape();
                println!("  can be read: {slices} slices of {rows} × {columns}");
                for note in &series.notes {
                    println!("  {}: {}", note.severity.as_str(), note.text);
                }
                bad += usize::from(series.notes.iter().any(|note| note.severity == Severity::Severe));
                grids.insert(summary.series_uid.clone(), series.volume.geometry().clone());
            }
            Err(refusal) => {
                println!("  refused: {refusal}");
                bad += 1;
            }
        }
    }
    if !path.is_file() && !grids.is_empty() {
        for file in objects::segmentations(path)? {
            let read = SegmentationImage::read(&std::fs::read(file)?, &crate::machine::limits());
            let problem = match &read {
                Ok(image) => image.source_series_uids.iter().find_map(|uid| grids.get(uid)).and_then(|grid| {
                    let segment = image.segments.first()?;
                    image.mask(segment.number, grid).err()
                }),
                Err(_) => None,
            };
            match (read, problem) {
                (Ok(image), Some(reason)) => {
                    println!("  error: segmentation {}: {reason}", image.sop_instance_uid);
                    bad += 1;
                }
                (Err(reason), _) => {
                    println!("  error: {reason}");
                    bad += 1;
                }
                _ => {}
            }
        }
    }
    let broken = scan.skipped().iter().filter(|s| !matches!(s.reason, SkipReason::NotDicom | SkipReason::NoImage));
    for file in broken {
        println!("a file is refused: {}", file.reason);
        bad += 1;
    }
    Ok(bad)
}
