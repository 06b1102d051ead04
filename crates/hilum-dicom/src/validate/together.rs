//! What objects of one folder say of each other.

use std::collections::{BTreeMap, BTreeSet};

use dicom_dictionary_std::tags;
use sha2::{Digest, Sha256};

use super::{CheckedObject, Departure, Gravity};
use crate::dataset::Dataset;
use crate::listing::{ListedElement, ListedValue};

/// Where an object belongs: patient, study, series and frame of reference, as far as it says so. The patient is a hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Belongs {
    patient: [u8; 32],
    modality: Option<String>,
    frame_of_reference: Option<String>,
    instance_number: Option<i64>,
    referenced_series: BTreeSet<String>,
}

impl Belongs {
    pub(super) fn of(data: &Dataset<'_>) -> Self {
        let mut hash = Sha256::new();
        for tag in [tags::PATIENT_ID, tags::PATIENT_NAME, tags::PATIENT_BIRTH_DATE, tags::PATIENT_SEX] {
            hash.update(data.text(tag).unwrap_or_default());
            hash.update([0]);
        }
        let series = data.items(tags::REFERENCED_SERIES_SEQUENCE).unwrap_or_default();
        Self {
            patient: hash.finalize().into(),
            modality: data.text(tags::MODALITY),
            frame_of_reference: data.text(tags::FRAME_OF_REFERENCE_UID),
            instance_number: data.number(tags::INSTANCE_NUMBER).map(|n| n as i64),
            referenced_series: series.iter().filter_map(|s| s.text(tags::SERIES_INSTANCE_UID)).collect(),
        }
    }
}

/// Class and instance of everything that an object refers to.
pub(super) fn references(listed: &[ListedElement]) -> BTreeSet<(String, String)> {
    let text = |e: &ListedElement| match &e.value {
        ListedValue::Values(values) => values.iter().next().unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    let mut all = BTreeSet::new();
    let mut class = String::new();
    for element in listed {
        match element.keyword {
            "ReferencedSOPClassUID" => class = text(element),
            "ReferencedSOPInstanceUID" => {
                all.insert((std::mem::take(&mut class), text(element)));
            }
            _ => {}
        }
    }
    all
}

/// Checks objects against each other: identities that are not unique, series and studies that were put together wrongly,
/// references that lead nowhere or to something else. What is not among the objects is not missed unless others of its
/// series are.
#[must_use]
pub fn check_together(objects: &[CheckedObject]) -> Vec<Departure> {
    let mut found = Vec::new();
    let mut add = |gravity, place: String, problem: String| found.push(Departure { gravity, place, problem });
    let mut by_uid: BTreeMap<&str, Vec<&CheckedObject>> = BTreeMap::new();
    let mut by_series: BTreeMap<&str, Vec<&CheckedObject>> = BTreeMap::new();
    let mut by_study: BTreeMap<&str, Vec<&CheckedObject>> = BTreeMap::new();
    for object in objects {
        by_uid.entry(&object.identity.sop_instance_uid).or_default().push(object);
        if let Some(series) = &object.identity.series_uid {
            by_series.entry(series).or_default().push(object);
        }
        if let Some(study) = &object.identity.study_uid {
            by_study.entry(study).or_default().push(object);
        }
    }
    for (uid, same) in by_uid.iter().filter(|(_, same)| same.len() > 1) {
        let problem = format!("{} objects have this SOP Instance UID, which belongs to one alone", same.len());
        add(Gravity::Error, format!("object {uid}"), problem);
    }
    for (uid, members) in &by_series {
        let place = format!("series {uid}");
        let several = |differ: bool, what: &str| differ.then(|| format!("its objects are of several {what}"));
        let first = members[0];
        let any = |f: &dyn Fn(&CheckedObject) -> bool| members.iter().any(|m| f(m));
        let problems = [
            several(any(&|m| m.identity.study_uid != first.identity.study_uid), "studies"),
            several(any(&|m| m.belongs.modality != first.belongs.modality), "modalities"),
        ];
        problems.into_iter().flatten().for_each(|problem| add(Gravity::Error, place.clone(), problem));
        let is_image = |m: &CheckedObject| m.identity.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2";
        let frames: BTreeSet<_> =
            members.iter().filter(|m| is_image(m)).map(|m| &m.belongs.frame_of_reference).collect();
        if frames.len() > 1 {
            let problem = format!(
                "its images name {} frames of reference: nothing says how they lie to each other",
                frames.len()
            );
            add(Gravity::Error, place.clone(), problem);
        }
        let mut numbers: Vec<_> = members.iter().filter_map(|m| m.belongs.instance_number).collect();
        numbers.sort_unstable();
        let twice = numbers.windows(2).filter(|w| w[0] == w[1]).count();
        if twice > 0 {
            add(Gravity::Warning, place, format!("{twice} Instance Numbers are there more than once"));
        }
    }
    for (uid, members) in &by_study {
        let patients: BTreeSet<_> = members.iter().map(|m| m.belongs.patient).collect();
        if patients.len() > 1 {
            let problem =
                format!("its objects name the patient in {} ways (ID, name, birth date, sex)", patients.len());
            add(Gravity::Error, format!("study {uid}"), problem);
        }
    }
    for object in objects {
        let place = || format!("object {}", object.identity.sop_instance_uid);
        let (mut missing, mut wrong) = (0usize, 0usize);
        // Only where something of the series it refers to is here can one say that something is missing.
        let series_here = object.belongs.referenced_series.iter().any(|s| by_series.contains_key(&s[..]));
        for (class, instance) in &object.references {
            match by_uid.get(&instance[..]) {
                Some(targets) => wrong += usize::from(targets.iter().all(|t| t.identity.sop_class_uid != *class)),
                None => missing += usize::from(series_here),
            }
        }
        if wrong > 0 {
            add(Gravity::Error, place(), format!("refers to {wrong} objects by another class than theirs"));
        }
        if missing > 0 {
            add(
                Gravity::Warning,
                place(),
                format!("refers to {missing} objects that are not here, though its series is"),
            );
        }
        let target = object.belongs.referenced_series.iter().find_map(|s| by_series.get(&s[..]));
        if let (Some(target), Some(own)) = (target, &object.belongs.frame_of_reference)
            && target.iter().all(|t| t.belongs.frame_of_reference.as_ref().is_some_and(|theirs| theirs != own))
        {
            add(Gravity::Error, place(), "lies in another frame of reference than the images it was made from".into());
        }
    }
    found
}
