//! C-GET (PS3.4 C.4.3): the peer sends objects over the association that they were asked for on.

use std::collections::BTreeSet;

use crate::association::{Association, CONTEXTS_MAX, Proposal};
use crate::command::{Command, element, field};
use crate::contexts::{EXPLICIT, IMPLICIT, TAKEN, is_storage};
use crate::find::{failed, message};
use crate::keys::{attribute, identifier};
use crate::receiver::take;
use crate::retrieve::{Keeper, Listed};
use crate::status::{Service, Status, StatusKind};
use crate::{Error, Node};

const STUDY_ROOT: &str = "1.2.840.10008.5.1.4.1.2.2.3";

/// Classes that are proposed where the peer does not say which a series holds: those of a chest CT and its results.
const USUAL: [&str; 12] = [
    "1.2.840.10008.5.1.4.1.1.2",     // CT
    "1.2.840.10008.5.1.4.1.1.2.1",   // Enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2",   // Legacy Converted Enhanced CT
    "1.2.840.10008.5.1.4.1.1.7",     // Secondary Capture
    "1.2.840.10008.5.1.4.1.1.66.4",  // Segmentation
    "1.2.840.10008.5.1.4.1.1.66.7",  // Label Map Segmentation
    "1.2.840.10008.5.1.4.1.1.88.22", // Enhanced SR
    "1.2.840.10008.5.1.4.1.1.88.33", // Comprehensive SR
    "1.2.840.10008.5.1.4.1.1.88.34", // Comprehensive 3D SR
    "1.2.840.10008.5.1.4.1.1.88.59", // Key Object Selection
    "1.2.840.10008.5.1.4.1.1.11.1",  // Grayscale Softcopy Presentation State
    "1.2.840.10008.5.1.4.1.1.104.1", // Encapsulated PDF
];

/// Each class in each syntax by itself, so that the peer can send every object as it has it; as many syntaxes as there is
/// room for, the two that everybody has always among them.
fn proposals(classes: &BTreeSet<&str>) -> Vec<Proposal> {
    let room = (CONTEXTS_MAX - 1) / classes.len().max(1);
    let packed = TAKEN.iter().filter(|s| **s != EXPLICIT && **s != IMPLICIT).take(room.saturating_sub(1));
    let packed: Vec<&str> = packed.copied().collect();
    let mut all = vec![Proposal::uncompressed(STUDY_ROOT)];
    for class in classes.iter().take(CONTEXTS_MAX - 1) {
        all.push(Proposal::uncompressed(class));
        all.extend(packed.iter().map(|s| Proposal { class: (*class).into(), syntaxes: vec![(*s).into()] }));
    }
    all
}

pub(crate) fn series(node: &Node, series: &Listed, keeper: &mut Keeper<'_>) -> Result<(), Error> {
    let mut classes: BTreeSet<&str> = series.objects.values().map(|c| &c[..]).filter(|c| is_storage(c)).collect();
    if classes.is_empty() {
        classes.extend(USUAL);
    }
    let roles: Vec<String> = classes.iter().map(|c| (*c).to_owned()).collect();
    let mut association = Association::request(node, &proposals(&classes), &roles)?;
    match get(&mut association, node, series, keeper) {
        Ok(()) => {
            association.release();
            Ok(())
        }
        Err(reason) => {
            association.abort();
            Err(reason)
        }
    }
}

fn get(association: &mut Association, node: &Node, series: &Listed, keeper: &mut Keeper<'_>) -> Result<(), Error> {
    let refused = "C-GET: name a receiver that it knows and let it move the objects there";
    let context = association.context(STUDY_ROOT).ok_or(Error::NotAccepted(refused.into()))?.clone();
    let keys = [
        (attribute("QueryRetrieveLevel")?, "SERIES".to_owned()),
        (attribute("StudyInstanceUID")?, keeper.wanted.study_uid.clone()),
        (attribute("SeriesInstanceUID")?, series.series_uid.clone()),
    ];
    let asked = association.next_message();
    let command = Command::request(field::GET, STUDY_ROOT, asked).number(element::PRIORITY, 0).with_data_set();
    association.send(context.id, &command, Some(&identifier(&keys, context.syntax == EXPLICIT)))?;
    loop {
        let message = message(association.receive("the next object")?)?;
        let (id, request) = (message.context, message.command.clone());
        match request.field() {
            field::STORE => {
                let keeping = std::cell::RefCell::new(&mut *keeper);
                let status =
                    take(association, message, &node.limits, &|object| match keeping.borrow_mut().keep(&object) {
                        Ok(()) => Status::SUCCESS,
                        Err(_) => Status::OUT_OF_RESOURCES,
                    });
                association.send(id, &Command::answer(&request, status), None)?;
            }
            kind if kind == field::GET | field::ANSWER && request.get(element::ANSWERED) == Some(asked) => {
                match request.status().map(|status| (status, status.kind())) {
                    Some((_, StatusKind::Pending)) => {}
                    Some((_, StatusKind::Success | StatusKind::Warning)) => return Ok(()),
                    status => return Err(failed(Service::Get, status.map(|(status, _)| status))),
                }
            }
            _ => return Err(Error::Protocol("something came that does not belong here".into())),
        }
    }
}
