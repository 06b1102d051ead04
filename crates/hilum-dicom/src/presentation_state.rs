//! Outlines drawn over the original images: Grayscale Softcopy Presentation State (PS3.3 A.33.1).

use std::collections::BTreeMap;

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};

use crate::Error;
use crate::attributes::Attributes;
use crate::code::{checked_code_string, checked_text};
use crate::colour::cie_lab_of;
use crate::origin::ImageUids;
use crate::result_file::{Kind, ResultContext, ResultFile, reference};

const PRESENTATION: Kind = Kind {
    sop_class_uid: uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE,
    modality: "PR",
    series: "presentation states",
    series_number: 7,
    series_description: "Outlines (research use)",
};

/// Points of one polyline: 16-bit lengths hold 8191 pairs of 32-bit numbers.
const MOST_POINTS: usize = 8000;

/// A line on one slice.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    /// Slice of the series' grid, from 0.
    pub slice: usize,
    /// Points `[x, y]` in pixels: integers are pixel centres, x along the row (growing with the column index), y down it.
    pub points: Vec<[f32; 2]>,
    /// Whether the last point joins the first.
    pub closed: bool,
}

/// Lines of one kind, which a viewer shows and hides together.
#[derive(Clone, Debug, PartialEq)]
pub struct OutlineLayer<'a> {
    /// Name in capitals, at most 16 characters; layers are told apart by it.
    pub name: &'a str,
    /// Description for people.
    pub description: &'a str,
    /// Colour, sRGB.
    pub colour: [u8; 3],
    /// The lines.
    pub outlines: Vec<Outline>,
}

/// What a presentation state shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Presentation<'a> {
    /// Name in capitals, at most 16 characters.
    pub label: &'a str,
    /// Description for people.
    pub description: &'a str,
    /// Centre and width of the grey window in HU.
    pub window_hu: [f64; 2],
    /// The layers, the lowest first.
    pub layers: Vec<OutlineLayer<'a>>,
}

/// Writes the outlines as a presentation state of all images they lie on. It holds no pixels: a viewer draws the lines over
/// the original images.
///
/// # Errors
/// [`Error::Unwritable`] if there is no line, a slice cannot name its image (as with repeated SOP Instance UIDs), the images
/// differ in their rescaling to HU, a line has less than two points or leaves the image, or a name is not valid.
pub fn presentation_state(context: &ResultContext<'_>, presentation: &Presentation<'_>) -> Result<ResultFile, Error> {
    let origin = context.origin;
    let [_, rows, columns] = origin.geometry.shape();
    let [slope, intercept] = origin.rescale.ok_or_else(|| {
        Error::Unwritable("the images differ in their rescaling to HU: one presentation cannot show them all".into())
    })?;
    let mut names: Vec<&str> = presentation.layers.iter().map(|l| l.name).collect();
    names.sort_unstable();
    names.dedup();
    let [center, width] = presentation.window_hu;
    if names.len() < presentation.layers.len() || !(center.is_finite() && width.is_finite() && width >= 1.0) {
        return Err(Error::Unwritable("layers need names of their own, and a window a width".into()));
    }
    let (mut annotations, mut layers, mut images) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (order, layer) in (1..).zip(&presentation.layers) {
        let name = checked_code_string("the name of a layer", layer.name)?;
        layers.push(graphic_layer(&name, layer, order)?);
        let mut by_slice: BTreeMap<usize, Vec<&Outline>> = BTreeMap::new();
        layer.outlines.iter().for_each(|o| by_slice.entry(o.slice).or_default().push(o));
        for (slice, outlines) in by_slice {
            let (image, frame) = named_image(context, slice)?;
            images.entry(&image.instance).or_insert((image, Vec::new())).1.extend(frame);
            let mut annotation = Attributes::default();
            annotation.item(tags::REFERENCED_IMAGE_SEQUENCE, image_item(image, frame.as_slice()));
            annotation.text(tags::GRAPHIC_LAYER, &name);
            let objects = outlines.iter().map(|o| polylines(o, [rows, columns])).collect::<Result<Vec<_>, _>>()?;
            annotation.items(tags::GRAPHIC_OBJECT_SEQUENCE, objects.into_iter().flatten());
            annotations.push(annotation);
        }
    }
    if annotations.is_empty() {
        return Err(Error::Unwritable("there is no line to be shown".into()));
    }
    let mut content = Attributes::default();
    content.text(tags::CONTENT_LABEL, &checked_code_string("the label", presentation.label)?);
    content.text(tags::CONTENT_DESCRIPTION, &checked_text("the description", presentation.description, 64)?);
    content.text(tags::CONTENT_CREATOR_NAME, "");
    context.body_part(&mut content);
    context.moment(&mut content, tags::PRESENTATION_CREATION_DATE, tags::PRESENTATION_CREATION_TIME);
    let mut series = Attributes::default();
    series.text(tags::SERIES_INSTANCE_UID, &origin.series_uid);
    series.items(
        tags::REFERENCED_IMAGE_SEQUENCE,
        images.into_values().map(|(image, mut frames)| {
            frames.sort_unstable();
            frames.dedup();
            image_item(image, &frames)
        }),
    );
    content.item(tags::REFERENCED_SERIES_SEQUENCE, series);
    content.item(tags::DISPLAYED_AREA_SELECTION_SEQUENCE, displayed_area(context, [rows, columns]));
    content.decimals(tags::RESCALE_INTERCEPT, &[intercept]);
    content.decimals(tags::RESCALE_SLOPE, &[slope]);
    content.text(tags::RESCALE_TYPE, "HU");
    let mut window = Attributes::default();
    window.decimals(tags::WINDOW_CENTER, &[center]);
    window.decimals(tags::WINDOW_WIDTH, &[width]);
    content.item(tags::SOFTCOPY_VOILUT_SEQUENCE, window);
    content.text(tags::PRESENTATION_LUT_SHAPE, "IDENTITY");
    content.items(tags::GRAPHIC_ANNOTATION_SEQUENCE, annotations);
    content.items(tags::GRAPHIC_LAYER_SEQUENCE, layers);
    context.file(PRESENTATION, 1, content)
}

fn named_image<'a>(context: &'a ResultContext<'_>, slice: usize) -> Result<(&'a ImageUids, Option<u32>), Error> {
    let slice = context.origin.slices.get(slice);
    let slice = slice.ok_or_else(|| Error::Unwritable("an outline lies beyond the last slice".into()))?;
    let image = slice.image.as_ref();
    let image = image.ok_or_else(|| Error::Unwritable("a slice with an outline cannot name its image".into()))?;
    Ok((image, slice.frame))
}

fn image_item(image: &ImageUids, frames: &[u32]) -> Attributes {
    let mut item = reference(&image.class, &image.instance);
    if !frames.is_empty() {
        let frames: Vec<String> = frames.iter().map(u32::to_string).collect();
        item.texts(tags::REFERENCED_FRAME_NUMBER, &frames);
    }
    item
}

fn graphic_layer(name: &str, layer: &OutlineLayer<'_>, order: u32) -> Result<Attributes, Error> {
    let mut item = Attributes::default();
    item.text(tags::GRAPHIC_LAYER, name);
    item.text(tags::GRAPHIC_LAYER_ORDER, &order.to_string());
    item.text(tags::GRAPHIC_LAYER_DESCRIPTION, &checked_text("the description of a layer", layer.description, 64)?);
    item.u16s(tags::GRAPHIC_LAYER_RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &cie_lab_of(layer.colour));
    Ok(item)
}

/// One line as one graphic object, or as several that follow each other if it is very long.
fn polylines(outline: &Outline, [rows, columns]: [usize; 2]) -> Result<Vec<Attributes>, Error> {
    let inside =
        |p: &[f32; 2]| (-0.5..=columns as f32 - 0.5).contains(&p[0]) && (-0.5..=rows as f32 - 0.5).contains(&p[1]);
    if outline.points.len() < 2 || !outline.points.iter().all(inside) {
        return Err(Error::Unwritable("an outline has two points at least, all within its image".into()));
    }
    // PS3.3 C.10.5.1.2: the outer corner of the first pixel is 0, 0, so its centre is 0.5, 0.5.
    let mut points: Vec<[f32; 2]> = outline.points.iter().map(|p| p.map(|v| v + 0.5)).collect();
    if outline.closed {
        points.push(points[0]);
    }
    let mut objects = Vec::new();
    let mut start = 0;
    while start + 1 < points.len() {
        let end = points.len().min(start + MOST_POINTS);
        let part = &points[start..end];
        let mut object = Attributes::default();
        object.text(tags::GRAPHIC_ANNOTATION_UNITS, "PIXEL");
        object.u16s(tags::GRAPHIC_DIMENSIONS, &[2]);
        object.u16s(tags::NUMBER_OF_GRAPHIC_POINTS, &[part.len() as u16]);
        object.put(tags::GRAPHIC_DATA, VR::FL, PrimitiveValue::F32(part.iter().flatten().copied().collect()));
        object.text(tags::GRAPHIC_TYPE, "POLYLINE");
        if outline.closed && part.len() == points.len() {
            object.text(tags::GRAPHIC_FILLED, "N");
        }
        objects.push(object);
        start = end - 1;
    }
    Ok(objects)
}

/// Everything, fitted into the window (PS3.3 C.10.4).
fn displayed_area(context: &ResultContext<'_>, [rows, columns]: [usize; 2]) -> Attributes {
    let [_, row_mm, column_mm] = context.origin.geometry.spacing_mm();
    let corner = |x: usize, y: usize| PrimitiveValue::I32([x as i32, y as i32].into_iter().collect());
    let mut area = Attributes::default();
    area.put(tags::DISPLAYED_AREA_TOP_LEFT_HAND_CORNER, VR::SL, corner(1, 1));
    area.put(tags::DISPLAYED_AREA_BOTTOM_RIGHT_HAND_CORNER, VR::SL, corner(columns, rows));
    area.text(tags::PRESENTATION_SIZE_MODE, "SCALE TO FIT");
    area.decimals(tags::PRESENTATION_PIXEL_SPACING, &[row_mm, column_mm]);
    area
}
