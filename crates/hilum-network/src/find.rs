//! Searches: C-FIND (PS3.4 C.4.1), or QIDO-RS.

use hilum_dicom::{ListedElement, ListedValue, list_data_set};

use crate::association::{Association, Event, Proposal};
use crate::command::{Command, element, field};
use crate::keys::{Attribute, attribute, identifier};
use crate::node::NodeLimits;
use crate::status::{Service, Status, StatusKind};
use crate::{Error, Node, Peer, contexts, web_query};

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Patients; not over DICOMweb, which has no such level.
    Patient,
    /// Studies.
    Study,
    /// Series; over DIMSE those of one study.
    Series,
    /// Objects; over DIMSE those of one series.
    Image,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Patient => "PATIENT",
            Self::Study => "STUDY",
            Self::Series => "SERIES",
            Self::Image => "IMAGE",
        }
    }

    /// What is asked for at this level besides what is searched by.
    #[must_use]
    pub fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Patient => &["PatientID", "PatientName", "PatientBirthDate", "PatientSex"],
            Self::Study => &[
                "StudyDate",
                "StudyTime",
                "AccessionNumber",
                "ModalitiesInStudy",
                "PatientName",
                "PatientID",
                "PatientBirthDate",
                "StudyDescription",
                "NumberOfStudyRelatedSeries",
                "NumberOfStudyRelatedInstances",
                "StudyInstanceUID",
            ],
            Self::Series => &[
                "Modality",
                "SeriesNumber",
                "SeriesDescription",
                "BodyPartExamined",
                "NumberOfSeriesRelatedInstances",
                "StudyInstanceUID",
                "SeriesInstanceUID",
            ],
            Self::Image => {
                &["InstanceNumber", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
            }
        }
    }
}

/// A search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What is searched for.
    pub level: Level,
    /// Attributes with the values they must match (PS3.4 C.2.2.2: `*` and `?`, ranges of dates `A-B`), or empty ones to be
    /// returned.
    pub keys: Vec<(Attribute, String)>,
    /// Answers after which the search is stopped.
    pub most: usize,
}

impl Query {
    /// A search with matches `(keyword, value)`; what is usual at the level is returned with them.
    ///
    /// # Errors
    /// [`Error::Local`] if a keyword is none.
    pub fn new(level: Level, matches: &[(&str, &str)]) -> Result<Self, Error> {
        let mut keys = Vec::new();
        for (name, value) in matches {
            keys.push((attribute(name)?, (*value).to_owned()));
        }
        for name in level.usual() {
            let usual = attribute(name)?;
            if keys.iter().all(|(known, _)| *known != usual) {
                keys.push((usual, String::new()));
            }
        }
        Ok(Self { level, keys, most: 10_000 })
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its elements, in the order of their tags.
    pub elements: Vec<ListedElement>,
}

impl Found {
    /// The values of an attribute, with backslashes between several; `None` if absent or empty.
    #[must_use]
    pub fn text(&self, keyword: &str) -> Option<String> {
        let element = self.elements.iter().find(|e| e.depth == 0 && e.keyword == keyword)?;
        match &element.value {
            ListedValue::Values(values) => Some(values.joined().to_owned()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }
}

/// Bytes of all answers to one search together. An answer has some hundred.
const ANSWERS_BYTES: u64 = 64 << 20;

/// The answers to a search, as they come in: together they may have as many values as one object may have elements, and
/// [`ANSWERS_BYTES`].
pub(crate) struct Answers {
    found: Vec<Found>,
    values_left: usize,
    bytes: u64,
}

impl Answers {
    pub(crate) fn new(limits: &NodeLimits) -> Self {
        Self { found: Vec::new(), values_left: limits.data_set.max_elements, bytes: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    pub(crate) fn push(&mut self, elements: Vec<ListedElement>, bytes: usize) -> Result<(), Error> {
        self.bytes += bytes as u64;
        if self.bytes > ANSWERS_BYTES {
            return Err(Error::TooLarge { what: "answers", bytes: self.bytes, limit: ANSWERS_BYTES });
        }
        let values = |e: &ListedElement| if let ListedValue::Values(all) = &e.value { all.len() } else { 0 };
        let count: usize = elements.iter().map(|e| 1 + values(e)).sum();
        self.values_left = self.values_left.checked_sub(count).ok_or_else(too_many_values)?;
        self.found.push(Found { elements });
        Ok(())
    }

    pub(crate) fn done(self) -> Vec<Found> {
        self.found
    }
}

pub(crate) fn too_many_values() -> Error {
    Error::Protocol("the answers have more values than are taken".into())
}

const PATIENT_ROOT: &str = "1.2.840.10008.5.1.4.1.2.1.1";
const STUDY_ROOT: &str = "1.2.840.10008.5.1.4.1.2.2.1";

/// Searches. Answers come in the peer's order; the second value says whether there were more than were asked for.
///
/// # Errors
/// Why there is no answer.
pub fn query(node: &Node, query: &Query) -> Result<(Vec<Found>, bool), Error> {
    if let Peer::Web(root) = &node.peer {
        return web_query::query(node, root, query);
    }
    search(Association::request(node, &[Proposal::uncompressed(class(query.level))], &[])?, node, query)
}

/// The model in which a level is searched.
pub(crate) fn class(level: Level) -> &'static str {
    if level == Level::Patient { PATIENT_ROOT } else { STUDY_ROOT }
}

/// Searches on an association, which then ends.
pub(crate) fn search(mut association: Association, node: &Node, query: &Query) -> Result<(Vec<Found>, bool), Error> {
    match find(&mut association, node, class(query.level), query) {
        Ok(found) => {
            association.release();
            Ok(found)
        }
        Err(reason) => {
            association.abort();
            Err(reason)
        }
    }
}

fn find(association: &mut Association, node: &Node, class: &str, query: &Query) -> Result<(Vec<Found>, bool), Error> {
    let context = association.context(class).ok_or(Error::NotAccepted("queries (C-FIND)".into()))?.clone();
    let explicit = context.syntax == contexts::EXPLICIT;
    let mut keys = query.keys.clone();
    keys.push((attribute("QueryRetrieveLevel")?, query.level.name().into()));
    let message = association.next_message();
    let command = Command::request(field::FIND, class, message).number(element::PRIORITY, 0).with_data_set();
    association.send(context.id, &command, Some(&identifier(&keys, explicit)))?;
    let most = query.most.min(node.limits.answers);
    let (mut found, mut more) = (Answers::new(&node.limits), false);
    loop {
        let answer = association.answer(field::FIND, message, "an answer to C-FIND")?;
        let status = answer.command.status().ok_or(Error::Protocol("an answer has no status".into()))?;
        match status.kind() {
            StatusKind::Pending if found.len() < most => {
                let bytes = answer.data_set.ok_or(Error::Protocol("an answer is empty".into()))?;
                let elements = list_data_set(&bytes, explicit, &node.limits.data_set)
                    .map_err(|_| Error::Protocol("an answer cannot be read".into()))?;
                found.push(elements, bytes.len())?;
            }
            StatusKind::Pending if !more => {
                // What is under way may still come; the end is a status of its own (PS3.7 9.3.2.3).
                more = true;
                let cancel = Command::cancel(message);
                association.send(context.id, &cancel, None)?;
            }
            StatusKind::Pending => {}
            StatusKind::Success | StatusKind::Warning => return Ok((found.done(), more)),
            StatusKind::Cancel if more => return Ok((found.done(), true)),
            _ => return Err(Error::Status { service: Service::Find, status }),
        }
    }
}

/// What may come while an operation with many answers goes on.
pub(crate) fn message(event: Event) -> Result<crate::association::Message, Error> {
    match event {
        Event::Message(message) => Ok(message),
        Event::Released => Err(Error::Closed),
    }
}

pub(crate) fn failed(service: Service, status: Option<Status>) -> Error {
    match status {
        Some(status) => Error::Status { service, status },
        None => Error::Protocol("an answer has no status".into()),
    }
}
