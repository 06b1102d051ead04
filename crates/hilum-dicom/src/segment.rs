//! One segment: what it is, how it was found, how it should be shown.

use dicom_dictionary_std::tags;

use crate::attributes::Attributes;
use crate::code::{checked_text, checked_uid};
use crate::colour::cie_lab_of;
use crate::{Code, Error};

/// An algorithm that found something (PS3.3 10.16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algorithm {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) family: Code,
}

impl Algorithm {
    /// An algorithm of `family` (CID 7162) by name and version.
    ///
    /// # Errors
    /// [`Error::Unwritable`] if a text is empty or has more than 64 characters.
    pub fn new(name: &str, version: &str, family: Code) -> Result<Self, Error> {
        let name = checked_text("the name of the algorithm", name, 64)?;
        Ok(Self { name, version: checked_text("the version of the algorithm", version, 64)?, family })
    }

    fn item(&self) -> Attributes {
        let mut item = Attributes::default();
        item.item(tags::ALGORITHM_FAMILY_CODE_SEQUENCE, self.family.item());
        item.text(tags::ALGORITHM_NAME, &self.name);
        item.text(tags::ALGORITHM_VERSION, &self.version);
        item
    }
}

/// A name for people and a UID by which a thing is followed through objects and studies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracking {
    pub(crate) id: String,
    pub(crate) uid: String,
}

impl Tracking {
    /// A tracking identifier.
    ///
    /// # Errors
    /// [`Error::Unwritable`] if the name is empty or has more than 64 characters, or the UID is none.
    pub fn new(id: &str, uid: &str) -> Result<Self, Error> {
        let id = checked_text("the tracking identifier", id, 64)?;
        Ok(Self { id, uid: checked_uid("the tracking UID", uid)? })
    }

    /// The name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The UID.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }
}

/// Description of one segment (PS3.3 C.8.20.4), found without a person's help unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    label: String,
    category: Code,
    property: Code,
    property_modifier: Option<Code>,
    region: Option<(Code, Option<Code>)>,
    /// `None` for what a person outlined.
    algorithm: Option<Algorithm>,
    colour: [u8; 3],
    tracking: Option<Tracking>,
}

impl Segment {
    /// A segment shown as `label` in `colour` (sRGB), being `property` (CID 7151) of `category` (CID 7150).
    ///
    /// # Errors
    /// [`Error::Unwritable`] if the label is empty or has more than 64 characters.
    pub fn new(
        label: &str,
        category: Code,
        property: Code,
        algorithm: Algorithm,
        colour: [u8; 3],
    ) -> Result<Self, Error> {
        let label = checked_text("the label of a segment", label, 64)?;
        let (property_modifier, region, tracking, algorithm) = (None, None, None, Some(algorithm));
        Ok(Self { label, category, property, property_modifier, region, algorithm, colour, tracking })
    }

    /// Outlined by a person, so that no algorithm is named: Segment Algorithm Type MANUAL.
    #[must_use]
    pub fn by_hand(self) -> Self {
        Self { algorithm: None, ..self }
    }

    /// With a modifier of the property, such as its side (CID 244).
    #[must_use]
    pub fn with_modifier(self, modifier: Code) -> Self {
        Self { property_modifier: Some(modifier), ..self }
    }

    /// Lying in `region` (CID 4), of the side `modifier`.
    #[must_use]
    pub fn with_region(self, region: Code, modifier: Option<Code>) -> Self {
        Self { region: Some((region, modifier)), ..self }
    }

    /// Followed by this identifier.
    #[must_use]
    pub fn with_tracking(self, tracking: Tracking) -> Self {
        Self { tracking: Some(tracking), ..self }
    }

    /// The name it is shown by.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The item of the Segment Sequence.
    pub(crate) fn item(&self, number: u16) -> Attributes {
        let mut item = Attributes::default();
        item.u16s(tags::SEGMENT_NUMBER, &[number]);
        item.text(tags::SEGMENT_LABEL, &self.label);
        match &self.algorithm {
            Some(algorithm) => {
                item.text(tags::SEGMENT_ALGORITHM_TYPE, "AUTOMATIC");
                item.text(tags::SEGMENT_ALGORITHM_NAME, &algorithm.name);
                item.item(tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE, algorithm.item());
            }
            None => item.text(tags::SEGMENT_ALGORITHM_TYPE, "MANUAL"),
        }
        item.item(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, self.category.item());
        let mut property = self.property.item();
        if let Some(modifier) = self.property_modifier {
            property.item(tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE, modifier.item());
        }
        item.item(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, property);
        if let Some((region, modifier)) = self.region {
            let mut region = region.item();
            if let Some(modifier) = modifier {
                region.item(tags::ANATOMIC_REGION_MODIFIER_SEQUENCE, modifier.item());
            }
            item.item(tags::ANATOMIC_REGION_SEQUENCE, region);
        }
        item.u16s(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &cie_lab_of(self.colour));
        if let Some(tracking) = &self.tracking {
            item.text(tags::TRACKING_ID, &tracking.id);
            item.text(tags::TRACKING_UID, &tracking.uid);
        }
        item
    }
}
