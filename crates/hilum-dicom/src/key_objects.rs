//! The images worth looking at first: Key Object Selection (PS3.3 A.35.4, TID 2010 of PS3.16).

use std::collections::{BTreeMap, BTreeSet};

use dicom_dictionary_std::{tags, uids};

use crate::attributes::Attributes;
use crate::codes::sr;
use crate::measurement_report::{evidence, observer};
use crate::result_file::{Kind, ResultContext, ResultFile};
use crate::sr_content::{Item, Relation, unlimited_text};
use crate::{Code, Error};

const KEY_OBJECTS: Kind = Kind {
    sop_class_uid: uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE,
    modality: "KO",
    series: "key objects",
    series_number: 6,
    series_description: "Key images (research use)",
};

/// Marks the images of `slices` and the results `others`, such as pictures and segmentations, as key objects under `title`
/// (CID 7010), with a description for people.
///
/// Slices that cannot name their image are passed over.
///
/// # Errors
/// [`Error::Unwritable`] if nothing is left to be marked, the description is empty, or a slice does not exist.
pub fn key_objects(
    context: &ResultContext<'_>,
    title: Code,
    description: &str,
    slices: &[usize],
    others: &[&ResultFile],
) -> Result<ResultFile, Error> {
    let origin = context.origin;
    if slices.iter().any(|s| *s >= origin.slices.len()) {
        return Err(Error::Unwritable("a key slice is not of this series".into()));
    }
    let named: Vec<_> =
        slices.iter().filter_map(|s| Some((origin.slices[*s].image.as_ref()?, origin.slices[*s].frame))).collect();
    if named.is_empty() && others.is_empty() {
        return Err(Error::Unwritable("there is no image to be marked".into()));
    }
    let mut root = Item::container(title, Some("2010"));
    root.push(Item::code(Relation::HasConceptMod, sr::LANGUAGE, sr::ENGLISH));
    observer(context, &mut root);
    root.push(Item::text(Relation::Contains, sr::KEY_OBJECT_DESCRIPTION, &unlimited_text(description)?));
    let mut by_series: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for (image, frame) in named {
        root.push(Item::frame(&image.class, &image.instance, frame));
        by_series.entry(&origin.series_uid).or_default().insert((&image.class, &image.instance));
    }
    for file in others {
        let is_image =
            [uids::SEGMENTATION_STORAGE, uids::SECONDARY_CAPTURE_IMAGE_STORAGE].contains(&file.sop_class_uid);
        root.push(if is_image {
            Item::image(None, file.sop_class_uid, &file.sop_instance_uid, None)
        } else {
            Item::composite(file.sop_class_uid, &file.sop_instance_uid)
        });
        by_series.entry(&file.series_uid).or_default().insert((file.sop_class_uid, &file.sop_instance_uid));
    }
    let mut content = Attributes::default();
    content.items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, []);
    content.item(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, evidence(&origin.study_uid, &by_series));
    content.extend(root.into_root());
    context.file(KEY_OBJECTS, 1, content)
}
