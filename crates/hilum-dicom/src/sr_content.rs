//! Content items of structured reports (PS3.3 C.17.3): a tree of coded names with values.

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;

use crate::attributes::Attributes;
use crate::decimal::decimal_string;
use crate::result_file::reference;
use crate::{Code, Error};

/// How an item relates to the one that holds it (PS3.3 C.17.3.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Contains,
    HasConceptMod,
    HasObsContext,
    HasAcqContext,
    HasProperties,
}

impl Relation {
    fn name(self) -> &'static str {
        match self {
            Self::Contains => "CONTAINS",
            Self::HasConceptMod => "HAS CONCEPT MOD",
            Self::HasObsContext => "HAS OBS CONTEXT",
            Self::HasAcqContext => "HAS ACQ CONTEXT",
            Self::HasProperties => "HAS PROPERTIES",
        }
    }
}

/// A content item with those beneath it.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    attributes: Attributes,
    children: Vec<Item>,
}

impl Item {
    fn new(relation: Relation, value_type: &str, name: Option<Code>) -> Self {
        let mut attributes = Attributes::default();
        attributes.text(tags::RELATIONSHIP_TYPE, relation.name());
        attributes.text(tags::VALUE_TYPE, value_type);
        if let Some(name) = name {
            attributes.item(tags::CONCEPT_NAME_CODE_SEQUENCE, name.item());
        }
        Self { attributes, children: Vec::new() }
    }

    /// A heading, after a template of PS3.16 where `template` names one.
    pub(crate) fn container(name: Code, template: Option<&str>) -> Self {
        let mut item = Self::new(Relation::Contains, "CONTAINER", Some(name));
        item.attributes.text(tags::CONTINUITY_OF_CONTENT, "SEPARATE");
        if let Some(template) = template {
            let mut from = Attributes::default();
            from.text(tags::MAPPING_RESOURCE, "DCMR");
            from.text(tags::TEMPLATE_IDENTIFIER, template);
            item.attributes.item(tags::CONTENT_TEMPLATE_SEQUENCE, from);
        }
        item
    }

    pub(crate) fn code(relation: Relation, name: Code, value: Code) -> Self {
        let mut item = Self::new(relation, "CODE", Some(name));
        item.attributes.item(tags::CONCEPT_CODE_SEQUENCE, value.item());
        item
    }

    pub(crate) fn text(relation: Relation, name: Code, value: &str) -> Self {
        let mut item = Self::new(relation, "TEXT", Some(name));
        item.attributes.text(tags::TEXT_VALUE, value);
        item
    }

    /// A day, `YYYYMMDD`.
    pub(crate) fn date(relation: Relation, name: Code, value: &str) -> Self {
        let mut item = Self::new(relation, "DATE", Some(name));
        item.attributes.text(tags::DATE, value);
        item
    }

    pub(crate) fn uid(relation: Relation, name: Code, value: &str) -> Self {
        let mut item = Self::new(relation, "UIDREF", Some(name));
        item.attributes.text(tags::UID, value);
        item
    }

    /// A number with its unit. Where 16 characters do not hold it exactly, the number itself stands beside its text.
    pub(crate) fn number(name: Code, value: f64, unit: Code) -> Result<Self, Error> {
        if !value.is_finite() {
            return Err(Error::Unwritable("a measurement is a finite number".into()));
        }
        let mut measured = Attributes::default();
        let text = decimal_string(value);
        if text.parse() != Ok(value) {
            measured.put(tags::FLOATING_POINT_VALUE, VR::FD, PrimitiveValue::from(value));
        }
        measured.text(tags::NUMERIC_VALUE, &text);
        measured.item(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, unit.item());
        let mut item = Self::new(Relation::Contains, "NUM", Some(name));
        item.attributes.item(tags::MEASURED_VALUE_SEQUENCE, measured);
        Ok(item)
    }

    /// The item, relating otherwise to the one that holds it.
    pub(crate) fn related(mut self, relation: Relation) -> Self {
        self.attributes.text(tags::RELATIONSHIP_TYPE, relation.name());
        self
    }

    /// An image, or one segment of a segmentation.
    pub(crate) fn image(name: Option<Code>, class: &str, instance: &str, segment: Option<u16>) -> Self {
        let mut item = Self::new(Relation::Contains, "IMAGE", name);
        let mut referenced = reference(class, instance);
        if let Some(segment) = segment {
            referenced.u16s(tags::REFERENCED_SEGMENT_NUMBER, &[segment]);
        }
        item.attributes.item(tags::REFERENCED_SOP_SEQUENCE, referenced);
        item
    }

    /// An image, or one frame of a multi-frame image.
    pub(crate) fn frame(class: &str, instance: &str, frame: Option<u32>) -> Self {
        let mut item = Self::new(Relation::Contains, "IMAGE", None);
        let mut referenced = reference(class, instance);
        if let Some(frame) = frame {
            referenced.text(tags::REFERENCED_FRAME_NUMBER, &frame.to_string());
        }
        item.attributes.item(tags::REFERENCED_SOP_SEQUENCE, referenced);
        item
    }

    /// An object that is no image.
    pub(crate) fn composite(class: &str, instance: &str) -> Self {
        let mut item = Self::new(Relation::Contains, "COMPOSITE", None);
        item.attributes.item(tags::REFERENCED_SOP_SEQUENCE, reference(class, instance));
        item
    }

    pub(crate) fn push(&mut self, child: Self) {
        self.children.push(child);
    }

    pub(crate) fn with(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    /// The item as it stands in a Content Sequence.
    pub(crate) fn into_attributes(self) -> Attributes {
        let mut attributes = self.attributes;
        if !self.children.is_empty() {
            attributes.items(tags::CONTENT_SEQUENCE, self.children.into_iter().map(Self::into_attributes));
        }
        attributes
    }

    /// The item as the root of a document, which relates to nothing.
    pub(crate) fn into_root(self) -> Attributes {
        let mut attributes = self.into_attributes();
        attributes.0.remove_element(tags::RELATIONSHIP_TYPE);
        attributes
    }
}

/// Text of several lines for a Text Value: lines end with CR LF (PS3.5 6.1.2.6); other control characters are dropped.
pub(crate) fn unlimited_text(text: &str) -> Result<String, Error> {
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>().trim_end().to_owned())
        .collect();
    let joined = lines.join("\r\n");
    if joined.trim().is_empty() {
        return Err(Error::Unwritable("a text must not be empty".into()));
    }
    Ok(joined)
}
