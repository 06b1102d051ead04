//! The attributes of an object while it is put together.

use dicom_core::dictionary::{DataDictionary, VirtualVr};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use dicom_object::InMemDicomObject;

use crate::decimal::decimal_string;

/// A data set or an item; value representations come from the dictionary.
#[derive(Clone, Debug)]
pub(crate) struct Attributes(pub(crate) InMemDicomObject);

impl Default for Attributes {
    fn default() -> Self {
        Self(InMemDicomObject::new_empty())
    }
}

/// The representation the dictionary gives; attributes with a choice need [`Attributes::put`].
fn vr_of(tag: Tag) -> VR {
    let entry = StandardDataDictionary.by_tag(tag).expect("only attributes of the standard are written");
    match entry.vr {
        VirtualVr::Exact(vr) => vr,
        other => panic!("{tag} has no single value representation but {other:?}"),
    }
}

impl Attributes {
    pub(crate) fn put(&mut self, tag: Tag, vr: VR, value: PrimitiveValue) {
        self.0.put(DataElement::new(tag, vr, value));
    }

    /// One text value, empty for an attribute that is present without a value.
    pub(crate) fn text(&mut self, tag: Tag, text: &str) {
        let value = if text.is_empty() { PrimitiveValue::Empty } else { text.into() };
        self.put(tag, vr_of(tag), value);
    }

    /// The one text value of an attribute, without padding.
    pub(crate) fn text_of(&self, tag: Tag) -> Option<String> {
        let text = self.0.get(tag)?.to_str().ok()?;
        Some(text.trim_end_matches(['\0', ' ']).to_owned())
    }

    /// Several text values.
    pub(crate) fn texts<S: AsRef<str>>(&mut self, tag: Tag, values: &[S]) {
        let values = values.iter().map(|v| v.as_ref().to_owned()).collect();
        self.put(tag, vr_of(tag), PrimitiveValue::Strs(values));
    }

    /// Decimal Strings.
    pub(crate) fn decimals(&mut self, tag: Tag, values: &[f64]) {
        let values: Vec<String> = values.iter().map(|v| decimal_string(*v)).collect();
        self.texts(tag, &values);
    }

    /// 16-bit numbers.
    pub(crate) fn u16s(&mut self, tag: Tag, values: &[u16]) {
        self.put(tag, VR::US, PrimitiveValue::U16(values.iter().copied().collect()));
    }

    /// 32-bit numbers.
    pub(crate) fn u32s(&mut self, tag: Tag, values: &[u32]) {
        self.put(tag, vr_of(tag), PrimitiveValue::U32(values.iter().copied().collect()));
    }

    /// A tag that points to another attribute.
    pub(crate) fn pointer(&mut self, tag: Tag, to: Tag) {
        self.put(tag, VR::AT, PrimitiveValue::Tags([to].into_iter().collect()));
    }

    /// A sequence.
    pub(crate) fn items(&mut self, tag: Tag, items: impl IntoIterator<Item = Self>) {
        let items: Vec<InMemDicomObject> = items.into_iter().map(|i| i.0).collect();
        self.0.put(DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED)));
    }

    /// A sequence of one item.
    pub(crate) fn item(&mut self, tag: Tag, item: Self) {
        self.items(tag, [item]);
    }

    /// Bytes, padded to an even number (PS3.5 7.1.1).
    pub(crate) fn bytes(&mut self, tag: Tag, mut bytes: Vec<u8>) {
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        self.put(tag, VR::OB, PrimitiveValue::U8(bytes.into()));
    }

    /// Everything of `others`, in place of what is there.
    pub(crate) fn extend(&mut self, others: Self) {
        for element in others.0 {
            self.0.put(element);
        }
    }
}
