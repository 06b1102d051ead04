//! Content items of structured reports as they are read (PS3.3 C.17.3). Foreign documents: what is counted is limited,
//! and only what a caller asks for is opened.

use std::cell::Cell;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::code::is_uid;
use crate::dataset::{Dataset, Fault};
use crate::report_document::{Concept, ObjectReference, ReportFlaw};
use crate::{Code, Limits, Refusal};

/// What all items of one document share: the limits, and how much of them is used up.
pub(crate) struct Reading<'l> {
    limits: &'l Limits,
    items: Cell<usize>,
    unread: Cell<usize>,
}

impl<'l> Reading<'l> {
    pub(crate) fn new(limits: &'l Limits) -> Self {
        Self { limits, items: Cell::new(0), unread: Cell::new(0) }
    }

    /// How many items were passed over.
    pub(crate) fn unread(&self) -> usize {
        self.unread.get()
    }

    /// Notes that an item has no place in what is read.
    pub(crate) fn pass_over(&self) {
        self.unread.set(self.unread.get() + 1);
    }

    /// Counts items, references or evidence against the limit.
    pub(crate) fn count(&self, more: usize) -> Result<(), Refusal> {
        let limit = self.limits.max_content_items;
        let items = self.items.get().saturating_add(more);
        if items > limit {
            return Err(Refusal::TooLarge { what: "the number of content items", limit: limit as u64 });
        }
        self.items.set(items);
        Ok(())
    }

    pub(crate) fn fault(&self, fault: Fault) -> Refusal {
        match fault {
            Fault::Limit => {
                Refusal::TooLarge { what: "the nesting of sequences", limit: self.limits.max_sequence_depth as u64 }
            }
            Fault::CutShort => ReportFlaw::CutShort.into(),
            Fault::Malformed => ReportFlaw::Damaged.into(),
        }
    }

    pub(crate) fn sequence<'a>(&self, of: &Dataset<'a>, tag: Tag) -> Result<Vec<Dataset<'a>>, Refusal> {
        if !of.is_sequence_if_present(tag) {
            return Err(ReportFlaw::Damaged.into());
        }
        of.items(tag).map_err(|f| self.fault(f))
    }

    /// A text, of no more bytes than the limit; `None` if absent or empty.
    pub(crate) fn text(&self, of: &Dataset<'_>, tag: Tag) -> Result<Option<String>, Refusal> {
        let limit = self.limits.max_text_bytes;
        if of.bytes(tag).is_some_and(|bytes| bytes.len() > limit) {
            return Err(Refusal::TooLarge { what: "the length of a text", limit: limit as u64 });
        }
        Ok(of.text(tag))
    }

    /// The concept of a code sequence; `None` if there is no item, or it holds no code.
    pub(crate) fn concept(&self, of: &Dataset<'_>, tag: Tag) -> Result<Option<Concept>, Refusal> {
        let Some(item) = self.sequence(of, tag)?.into_iter().next() else { return Ok(None) };
        let urn = self.text(&item, tags::URN_CODE_VALUE)?;
        let value = match self.text(&item, tags::CODE_VALUE)? {
            Some(value) => Some(value),
            None => self.text(&item, tags::LONG_CODE_VALUE)?,
        };
        let scheme = self.text(&item, tags::CODING_SCHEME_DESIGNATOR)?;
        let (value, scheme) = match (value, scheme, urn) {
            (Some(value), Some(scheme), _) => (value, scheme),
            (None, scheme, Some(urn)) => (urn, scheme.unwrap_or_default()),
            _ => return Ok(None),
        };
        let meaning = self.text(&item, tags::CODE_MEANING)?.unwrap_or_default();
        Ok(Some(Concept { value, scheme, meaning }))
    }
}

/// A content item: what it is, and its data set for the rest.
pub(crate) struct ReadItem<'a> {
    pub(crate) data: Dataset<'a>,
    /// `CONTAINER`, `CODE`, `NUM` and so on.
    pub(crate) kind: String,
    /// `CONTAINS`, `HAS CONCEPT MOD` and so on; empty for the root.
    pub(crate) relation: String,
    pub(crate) name: Option<Concept>,
    /// As [`ReportFlaw`] names items.
    pub(crate) position: String,
}

impl<'a> ReadItem<'a> {
    /// The root of a document.
    pub(crate) fn root(data: Dataset<'a>, reading: &Reading<'_>) -> Result<Self, Refusal> {
        Self::of(data, "1".into(), reading)
    }

    fn of(data: Dataset<'a>, position: String, reading: &Reading<'_>) -> Result<Self, Refusal> {
        let kind = reading.text(&data, tags::VALUE_TYPE)?.unwrap_or_default();
        let relation = reading.text(&data, tags::RELATIONSHIP_TYPE)?.unwrap_or_default();
        let name = reading.concept(&data, tags::CONCEPT_NAME_CODE_SEQUENCE)?;
        Ok(Self { data, kind, relation, name, position })
    }

    /// The items beneath it.
    pub(crate) fn children(&self, reading: &Reading<'_>) -> Result<Vec<Self>, Refusal> {
        let items = reading.sequence(&self.data, tags::CONTENT_SEQUENCE)?;
        reading.count(items.len())?;
        let place = |n: usize| format!("{}.{}", self.position, n + 1);
        items.into_iter().enumerate().map(|(n, data)| Self::of(data, place(n), reading)).collect()
    }

    /// Whether its name is this concept, by today's code or by the SNOMED-RT code `retired` that older writers use
    /// (PS3.16 8.1.1); an empty `retired` is none.
    pub(crate) fn is(&self, code: Code, retired: &str) -> bool {
        self.name
            .as_ref()
            .is_some_and(|name| name.is(code) || (!retired.is_empty() && name.value == retired && name.scheme == "SRT"))
    }

    /// The value of a `CODE`.
    pub(crate) fn code(&self, reading: &Reading<'_>) -> Result<Concept, Refusal> {
        let code = reading.concept(&self.data, tags::CONCEPT_CODE_SEQUENCE)?;
        Ok(code.ok_or_else(|| ReportFlaw::NoValue(self.position.clone()))?)
    }

    /// The value of a `TEXT`, `PNAME` or whatever else is kept as text in `tag`.
    pub(crate) fn words(&self, tag: Tag, reading: &Reading<'_>) -> Result<String, Refusal> {
        let text = reading.text(&self.data, tag)?;
        Ok(text.ok_or_else(|| ReportFlaw::NoValue(self.position.clone()))?)
    }

    /// The value of a `UIDREF`.
    pub(crate) fn uid(&self, reading: &Reading<'_>) -> Result<String, Refusal> {
        let uid = self.words(tags::UID, reading)?;
        if is_uid(&uid) { Ok(uid) } else { Err(ReportFlaw::BadReference(self.position.clone()).into()) }
    }

    /// The value of an `IMAGE` or `COMPOSITE`.
    pub(crate) fn reference(&self, reading: &Reading<'_>) -> Result<ObjectReference, Refusal> {
        let bad = || Refusal::from(ReportFlaw::BadReference(self.position.clone()));
        let items = reading.sequence(&self.data, tags::REFERENCED_SOP_SEQUENCE)?;
        let [object] = &items[..] else { return Err(bad()) };
        let uid = |tag| reading.text(object, tag)?.filter(|uid| is_uid(uid)).ok_or_else(bad);
        let segments = object.u16s(tags::REFERENCED_SEGMENT_NUMBER).map_err(|_| bad())?;
        let frames = reading.text(object, tags::REFERENCED_FRAME_NUMBER)?;
        let frames =
            frames.map(|text| text.split('\\').map(|n| n.trim().parse::<u32>()).collect::<Result<Vec<_>, _>>());
        let frames = frames.transpose().map_err(|_| bad())?.unwrap_or_default();
        reading.count(segments.len() + frames.len())?;
        // Both are counted from 1.
        if segments.contains(&0) || frames.contains(&0) {
            return Err(bad());
        }
        let sop_class_uid = uid(tags::REFERENCED_SOP_CLASS_UID)?;
        Ok(ObjectReference {
            sop_class_uid,
            sop_instance_uid: uid(tags::REFERENCED_SOP_INSTANCE_UID)?,
            segments,
            frames,
        })
    }
}

impl From<ReportFlaw> for Refusal {
    fn from(flaw: ReportFlaw) -> Self {
        Self::Report(flaw)
    }
}
