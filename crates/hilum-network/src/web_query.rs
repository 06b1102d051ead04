//! QIDO-RS (PS3.18 10.6), with answers in the DICOM JSON model (PS3.18 F).

use hilum_dicom::{ListedElement, ListedValue};
use serde_json::Value;

use crate::find::{Answers, Found, Level, Query};
use crate::keys::attribute;
use crate::node::NodeLimits;
use crate::web::{Client, escaped, json, refused};
use crate::{Error, Node};

pub(crate) fn query(node: &Node, root: &str, query: &Query) -> Result<(Vec<Found>, bool), Error> {
    let client = Client::new(node, root)?;
    let value = |keyword: &str| {
        let (_, value) = query.keys.iter().find(|(a, v)| a.keyword == keyword && !v.is_empty())?;
        hilum_dicom::is_safe_uid(value).then_some(&value[..])
    };
    let (study, series) = (value("StudyInstanceUID"), value("SeriesInstanceUID"));
    // UIDs that are in the path are not searched for once more.
    let (path, in_path): (String, &[&str]) = match (query.level, study, series) {
        (Level::Patient, ..) => {
            return Err(Error::NotAccepted("searches for patients over DICOMweb, which knows studies only".into()));
        }
        (Level::Study, ..) => ("studies".into(), &[]),
        (Level::Series, Some(study), _) => (format!("studies/{study}/series"), &["StudyInstanceUID"]),
        (Level::Series, ..) => ("series".into(), &[]),
        (Level::Image, Some(study), Some(series)) => {
            (format!("studies/{study}/series/{series}/instances"), &["StudyInstanceUID", "SeriesInstanceUID"])
        }
        (Level::Image, Some(study), None) => (format!("studies/{study}/instances"), &["StudyInstanceUID"]),
        (Level::Image, ..) => ("instances".into(), &[]),
    };
    let most = query.most.min(node.limits.answers);
    let mut path = format!("{path}?limit={}", most.saturating_add(1));
    for (attribute, value) in &query.keys {
        if value.is_empty() {
            path.push_str(&format!("&includefield={:04X}{:04X}", attribute.tag.0, attribute.tag.1));
        } else if !in_path.contains(&attribute.keyword) {
            path.push_str(&format!("&{}={}", attribute.keyword, escaped(value)));
        }
    }
    let answer = client.get(&path, "application/dicom+json")?;
    match answer.status().as_u16() {
        200 => {}
        204 => return Ok((Vec::new(), false)),
        _ => return Err(refused(&answer)),
    }
    found(&client.content(answer)?, most, &node.limits)
}

/// The objects in an answer, up to `most` of them, and whether there are more.
pub(crate) fn found(answer: &[u8], most: usize, limits: &NodeLimits) -> Result<(Vec<Found>, bool), Error> {
    let mut found = Answers::new(limits);
    let objects = match json(answer)? {
        Some(Value::Array(objects)) => objects,
        Some(_) => return Err(Error::Protocol("the answer is no list".into())),
        None => Vec::new(),
    };
    for object in objects.iter().take(most) {
        // The bytes of all of them were limited before.
        found.push(elements(object), 0)?;
    }
    Ok((found.done(), objects.len() > most))
}

/// The elements of an object in JSON; sequences are left out, as no search here asks for any.
fn elements(object: &Value) -> Vec<ListedElement> {
    let mut all = Vec::new();
    for (tag, element) in object.as_object().into_iter().flatten() {
        let Some(number) = (tag.len() == 8).then(|| u32::from_str_radix(tag, 16).ok()).flatten() else { continue };
        let known = attribute(tag).ok();
        let vr = element.get("vr").and_then(Value::as_str).unwrap_or_default();
        if vr == "SQ" {
            continue;
        }
        let values = element.get("Value").and_then(Value::as_array).into_iter().flatten().map(text).collect();
        all.push(ListedElement {
            depth: 0,
            item: 0,
            tag: ((number >> 16) as u16, number as u16),
            vr: vr.to_owned(),
            keyword: known.map_or("", |a| a.keyword),
            length: None,
            value: ListedValue::Values(values),
            identifying: false,
        });
    }
    all.sort_by_key(|e| e.tag);
    all
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(name) => {
            // PN: the alphabetic, ideographic and phonetic group, as in a data set.
            let groups = ["Alphabetic", "Ideographic", "Phonetic"].map(|g| name.get(g).and_then(Value::as_str));
            let all = groups.map(Option::unwrap_or_default).join("=");
            all.trim_end_matches('=').to_owned()
        }
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_from_json() {
        let object = serde_json::json!({
            "00100010": { "vr": "PN", "Value": [{ "Alphabetic": "Hong^Gildong", "Phonetic": "홍^길동" }] },
            "00080061": { "vr": "CS", "Value": ["CT", "SEG"] },
            "00201208": { "vr": "IS", "Value": [133] },
            "00081030": { "vr": "LO" },
            "nonsense": 7,
            "00081199": { "vr": "SQ", "Value": [{}] },
        });
        let found = Found { elements: elements(&object) };
        assert_eq!(found.text("PatientName").as_deref(), Some("Hong^Gildong==홍^길동"));
        assert_eq!(found.text("ModalitiesInStudy").as_deref(), Some("CT\\SEG"));
        assert_eq!(found.text("NumberOfStudyRelatedInstances").as_deref(), Some("133"));
        assert_eq!(found.text("StudyDescription"), None);
        assert_eq!(found.elements.len(), 4);
    }
}
