//! Multi-frame functional groups and dimensions of a segmentation (PS3.3 C.7.6.16, C.7.6.17).

use std::collections::BTreeMap;

use dicom_dictionary_std::tags;

use crate::attributes::Attributes;
use crate::codes;
use crate::origin::{ImageUids, SliceOrigin, step_along_normal_mm};
use crate::result_file::{ResultContext, reference};

/// A frame: a slice of the source grid, and the segment it shows unless it shows all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) slice: usize,
    pub(crate) segment: Option<u16>,
}

/// The groups of all frames.
pub(crate) struct FrameGroups<'a> {
    context: &'a ResultContext<'a>,
    frames: &'a [Frame],
}

impl<'a> FrameGroups<'a> {
    pub(crate) fn new(context: &'a ResultContext<'a>, frames: &'a [Frame]) -> Self {
        Self { context, frames }
    }

    /// Adds dimensions, functional groups and the references to the source (PS3.3 C.12.2).
    pub(crate) fn put(&self, content: &mut Attributes) {
        content.text(tags::NUMBER_OF_FRAMES, &self.frames.len().to_string());
        self.put_dimensions(content);
        content.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, self.shared());
        let ranks = self.ranks();
        content.items(
            tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
            self.frames.iter().map(|frame| self.of_frame(frame, &ranks)),
        );
        let origin = self.context.origin;
        let mut series = Attributes::default();
        series.text(tags::SERIES_INSTANCE_UID, &origin.series_uid);
        if self.frames.iter().all(|f| origin.slices[f.slice].image.is_none()) {
            // No frame can name its image, so the object as a whole names them all (PS3.3 C.12.4).
            let images = origin.images.iter().map(|i| source_image(i, None));
            content.items(tags::SOURCE_IMAGE_SEQUENCE, images);
        }
        series
            .items(tags::REFERENCED_INSTANCE_SEQUENCE, origin.images.iter().map(|i| reference(&i.class, &i.instance)));
        content.item(tags::REFERENCED_SERIES_SEQUENCE, series);
    }

    fn by_segment(&self) -> bool {
        self.frames.iter().any(|f| f.segment.is_some())
    }

    fn put_dimensions(&self, content: &mut Attributes) {
        let uid = self.context.uid(if self.by_segment() { "dimensions: segment, place" } else { "dimensions: place" });
        let mut organization = Attributes::default();
        organization.text(tags::DIMENSION_ORGANIZATION_UID, &uid);
        content.item(tags::DIMENSION_ORGANIZATION_SEQUENCE, organization);
        let dimension = |label: &str, pointer, group| {
            let mut item = Attributes::default();
            item.text(tags::DIMENSION_ORGANIZATION_UID, &uid);
            item.pointer(tags::DIMENSION_INDEX_POINTER, pointer);
            item.pointer(tags::FUNCTIONAL_GROUP_POINTER, group);
            item.text(tags::DIMENSION_DESCRIPTION_LABEL, label);
            item
        };
        let segment = dimension("Segment", tags::REFERENCED_SEGMENT_NUMBER, tags::SEGMENT_IDENTIFICATION_SEQUENCE);
        let place = dimension("Position", tags::IMAGE_POSITION_PATIENT, tags::PLANE_POSITION_SEQUENCE);
        let dimensions = if self.by_segment() { vec![segment, place] } else { vec![place] };
        content.items(tags::DIMENSION_INDEX_SEQUENCE, dimensions);
    }

    /// For each slice with a frame its place among these, from 1, along the direction row × column.
    fn ranks(&self) -> BTreeMap<usize, u32> {
        let geometry = &self.context.origin.geometry;
        let [slice, row, column] = geometry.axes();
        let along = slice.dot(column.cross(row)) > 0.0;
        let mut slices: Vec<usize> = self.frames.iter().map(|f| f.slice).collect();
        slices.sort_unstable();
        slices.dedup();
        if !along {
            slices.reverse();
        }
        slices.into_iter().zip(1..).collect()
    }

    fn shared(&self) -> Attributes {
        let origin = self.context.origin;
        let geometry = &origin.geometry;
        let [_, row, column] = geometry.axes();
        let [_, row_mm, column_mm] = geometry.spacing_mm();
        let mut measures = Attributes::default();
        measures.decimals(tags::SLICE_THICKNESS, &[origin.slice_thickness_mm]);
        measures.decimals(tags::SPACING_BETWEEN_SLICES, &[step_along_normal_mm(geometry)]);
        // PS3.3 10.7.1.3: first between rows, then between columns.
        measures.decimals(tags::PIXEL_SPACING, &[row_mm, column_mm]);
        let mut orientation = Attributes::default();
        // PS3.3 C.7.6.2.1.1: the cosines of the row (along which the column index grows), then of the column.
        orientation.decimals(tags::IMAGE_ORIENTATION_PATIENT, &[column.0, row.0].concat());
        let mut shared = Attributes::default();
        shared.item(tags::PIXEL_MEASURES_SEQUENCE, measures);
        shared.item(tags::PLANE_ORIENTATION_SEQUENCE, orientation);
        shared
    }

    fn of_frame(&self, frame: &Frame, ranks: &BTreeMap<usize, u32>) -> Attributes {
        let source = &self.context.origin.slices[frame.slice];
        let rank = ranks[&frame.slice];
        let mut groups = Attributes::default();
        let mut position = Attributes::default();
        position.decimals(tags::IMAGE_POSITION_PATIENT, &source.position.0);
        groups.item(tags::PLANE_POSITION_SEQUENCE, position);
        let mut content = Attributes::default();
        match frame.segment {
            Some(number) => content.u32s(tags::DIMENSION_INDEX_VALUES, &[u32::from(number), rank]),
            None => content.u32s(tags::DIMENSION_INDEX_VALUES, &[rank]),
        }
        groups.item(tags::FRAME_CONTENT_SEQUENCE, content);
        // Type 2: without an image that can be named the sequence is there but empty.
        groups.items(tags::DERIVATION_IMAGE_SEQUENCE, source.image.iter().map(|image| derivation(image, source)));
        if let Some(number) = frame.segment {
            let mut segment = Attributes::default();
            segment.u16s(tags::REFERENCED_SEGMENT_NUMBER, &[number]);
            groups.item(tags::SEGMENT_IDENTIFICATION_SEQUENCE, segment);
        }
        groups
    }
}

/// From which image a frame was derived (PS3.3 C.7.6.16.2.6).
fn derivation(image: &ImageUids, source: &SliceOrigin) -> Attributes {
    let mut derivation = Attributes::default();
    derivation.item(tags::DERIVATION_CODE_SEQUENCE, codes::SEGMENTATION_DERIVATION.item());
    derivation.item(tags::SOURCE_IMAGE_SEQUENCE, source_image(image, source.frame));
    derivation
}

fn source_image(image: &ImageUids, frame: Option<u32>) -> Attributes {
    let mut from = reference(&image.class, &image.instance);
    if let Some(frame) = frame {
        from.text(tags::REFERENCED_FRAME_NUMBER, &frame.to_string());
    }
    from.text(tags::SPATIAL_LOCATIONS_PRESERVED, "YES");
    from.item(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, codes::SOURCE_IMAGE_FOR_PROCESSING.item());
    from
}
