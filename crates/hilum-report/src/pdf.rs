//! The report as PDF: a few A4 pages of real text, tagged for screen readers, fit for the archive (PDF/A-2a).

mod flow;
mod ink;
mod paper;
mod raster;
mod table;
mod tags;

use krilla::configure::{Archival, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::geom::{PathBuilder, Point, Rect, Size, Transform};
use krilla::image::Image;
use krilla::metadata::{DateTime, Metadata, TextDirection as Direction};
use krilla::num::NormalizedF32;
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;
use krilla::text::{Font, TextDirection};
use krilla::{Document as Pdf, SerializeSettings};

use crate::ReportError;
use crate::canvas::{Canvas, Rgb};
use crate::document::Document;
use crate::font::Face;
use paper::{Op, PAGE};

/// The file, and its first page as a picture.
pub(crate) fn file(document: &Document) -> Result<(Vec<u8>, Canvas), ReportError> {
    let pages = flow::laid_out(document);
    let first_page = raster::drawn(&pages[0], &flow::pictures(document).collect::<Vec<_>>());
    Ok((written(document, &pages)?, first_page))
}

fn written(document: &Document, pages: &[paper::Page]) -> Result<Vec<u8>, ReportError> {
    let fail = |reason: String| ReportError::Pdf { reason };
    let created = document.created.as_deref().and_then(date);
    let mut configuration = ConfigurationBuilder::new();
    if created.is_some() {
        // PDF/A asks for a date (ISO 19005-2, 6.6.2.3); without one the file is an ordinary tagged PDF.
        configuration = configuration.with_archival_validator(Archival::A2_A);
    }
    let configuration = configuration.finish().map_err(|e| fail(format!("{e:?}")))?;
    let mut pdf = Pdf::new_with(SerializeSettings { configuration, ..SerializeSettings::default() });
    let fonts = Fonts::new();
    let images = images(document).map_err(fail)?;
    let mut tree = tags::Tree::new(document.language.tag());
    for page in pages {
        let settings = PageSettings::from_wh(PAGE[0], PAGE[1]).expect("A4 has a size");
        let mut sheet = pdf.start_page_with(settings);
        let mut surface = sheet.surface();
        for piece in &page.pieces {
            let tag = piece.role.content_tag();
            let identifier = surface.start_tagged(tag);
            for op in &piece.ops {
                draw(&mut surface, op, &fonts, &images);
            }
            surface.end_tagged();
            tree.push(&piece.role, identifier);
        }
        surface.finish();
        sheet.finish();
    }
    pdf.set_tag_tree(tree.finish());
    pdf.set_outline(outline(pages));
    pdf.set_metadata(metadata(document, created));
    pdf.finish().map_err(|e| fail(format!("{e:?}")))
}

/// Both faces, as the PDF writer wants them.
struct Fonts {
    regular: Font,
    semibold: Font,
}

impl Fonts {
    fn new() -> Self {
        let load = |face: Face| Font::new(face.bytes().to_vec().into(), 0).expect("the embedded font is sound");
        Self { regular: load(Face::Regular), semibold: load(Face::Semibold) }
    }

    fn of(&self, face: Face) -> Font {
        match face {
            Face::Regular => self.regular.clone(),
            Face::Semibold => self.semibold.clone(),
        }
    }
}

/// All pictures, in the order the layout numbers them.
fn images(document: &Document) -> Result<Vec<Image>, String> {
    flow::pictures(document).map(|p| Image::from_png(p.png.clone().into(), false)).collect()
}

fn colour([r, g, b]: Rgb) -> krilla::color::rgb::Color {
    krilla::color::rgb::Color::new(r, g, b)
}

fn opacity(value: f32) -> NormalizedF32 {
    NormalizedF32::new(value).unwrap_or(NormalizedF32::ONE)
}

fn draw(surface: &mut Surface, op: &Op, fonts: &Fonts, images: &[Image]) {
    match op {
        Op::Text { at: [x, y], size, face, ink, text } => {
            surface.set_stroke(None);
            surface.set_fill(Some(Fill { paint: colour(*ink).into(), ..Fill::default() }));
            surface.draw_text(Point::from_xy(*x, *y), fonts.of(*face), *size, text, false, TextDirection::LeftToRight);
        }
        Op::Box { area: [x, y, width, height], ink } => {
            let Some(rect) = Rect::from_xywh(*x, *y, *width, *height) else { return };
            let mut path = PathBuilder::new();
            path.push_rect(rect);
            fill(surface, path, *ink, 1.0);
        }
        Op::Shape { points, ink, opacity } => {
            let mut path = polyline(points);
            path.close();
            fill(surface, path, *ink, *opacity);
        }
        Op::Line { points, ink, width } => {
            let Some(path) = polyline(points).finish() else { return };
            surface.set_fill(None);
            surface.set_stroke(Some(Stroke { paint: colour(*ink).into(), width: *width, ..Stroke::default() }));
            surface.draw_path(&path);
        }
        Op::Image { area: [x, y, width, height], index } => {
            let (Some(size), Some(image)) = (Size::from_wh(*width, *height), images.get(*index)) else { return };
            surface.push_transform(&Transform::from_translate(*x, *y));
            surface.draw_image(image.clone(), size);
            surface.pop();
        }
    }
}

fn fill(surface: &mut Surface, path: PathBuilder, ink: Rgb, alpha: f32) {
    let Some(path) = path.finish() else { return };
    surface.set_stroke(None);
    surface.set_fill(Some(Fill { paint: colour(ink).into(), opacity: opacity(alpha), ..Fill::default() }));
    surface.draw_path(&path);
}

fn polyline(points: &[[f32; 2]]) -> PathBuilder {
    let mut path = PathBuilder::new();
    for (i, [x, y]) in points.iter().enumerate() {
        if i == 0 { path.move_to(*x, *y) } else { path.line_to(*x, *y) }
    }
    path
}

/// One bookmark per section.
fn outline(pages: &[paper::Page]) -> Outline {
    let mut outline = Outline::new();
    for (number, page) in pages.iter().enumerate() {
        for (title, y) in &page.bookmarks {
            outline.push_child(OutlineNode::new(title.clone(), XyzDestination::new(number, Point::from_xy(0.0, *y))));
        }
    }
    outline
}

/// Title and dates; nothing that names a patient.
fn metadata(document: &Document, created: Option<DateTime>) -> Metadata {
    let metadata = Metadata::new()
        .title(document.title.clone())
        .language(document.language.tag().to_string())
        .creator(document.software.clone())
        .producer(document.software.clone())
        .description(document.disclaimer.clone())
        .text_direction(Direction::LeftToRight);
    match created {
        Some(date) => metadata.creation_date(date),
        None => metadata,
    }
}

/// `2026-11-23T03:06:59Z`, with or without fractions of a second; `None` for anything else.
fn date(rfc3339: &str) -> Option<DateTime> {
    let field = |from: usize, to: usize| rfc3339.get(from..to)?.parse::<u16>().ok();
    let small = |from: usize, to: usize| u8::try_from(field(from, to)?).ok();
    if !rfc3339.ends_with('Z') {
        return None;
    }
    Some(
        DateTime::new(field(0, 4)?)
            .month(small(5, 7)?)
            .day(small(8, 10)?)
            .hour(small(11, 13)?)
            .minute(small(14, 16)?)
            .second(small(17, 19)?)
            .utc_offset_hour(0)
            .utc_offset_minute(0),
    )
}
