//! What is written around a reformatted slice: letters of orientation, scale bar, position, legend.

use hilum_imaging::projection::PlaneGeometry;
use hilum_volume::PatientVector;

use crate::canvas::{Canvas, Rgb, fill, text};
use crate::font::Face;
use crate::palette;

/// Height of the strip below a picture that holds the legend and the research notice.
pub(crate) const FOOTER: usize = 52;
const TEXT: f32 = 18.0;
const SMALL: f32 = 14.5;
const MARGIN: f32 = 10.0;
const SCALE_BAR_MM: f64 = 50.0;
/// Pixels between panels.
const PANEL_GAP: usize = 6;
const GAP_COLOUR: Rgb = [70; 3];
/// Direction cosine from which a second letter is worth naming (an axis turned by 20° or more).
const OBLIQUE: f64 = 0.34;

/// What is written on a picture.
pub(crate) struct Annotation {
    /// Upper left, line by line.
    pub(crate) upper_left: Vec<String>,
    /// Upper right, line by line.
    pub(crate) upper_right: Vec<String>,
    /// Colours and what they stand for.
    pub(crate) legend: Vec<(Rgb, String)>,
    /// The notice below the legend.
    pub(crate) notice: String,
}

/// Letters of the patient direction a vector points to, the strongest first, as in PS3.3 C.7.6.1.1.1: R, L, A, P, H, F.
pub(crate) fn letters(direction: PatientVector) -> String {
    let [x, y, z] = direction.0;
    let mut named = [
        (x.abs(), if x > 0.0 { 'L' } else { 'R' }),
        (y.abs(), if y > 0.0 { 'P' } else { 'A' }),
        (z.abs(), if z > 0.0 { 'H' } else { 'F' }),
    ];
    named.sort_by(|a, b| b.0.total_cmp(&a.0));
    named
        .iter()
        .enumerate()
        .filter(|(i, (cosine, _))| *i == 0 || *cosine > OBLIQUE)
        .map(|(_, (_, letter))| *letter)
        .collect()
}

/// A reformatted slice with its annotation and a strip below.
pub(crate) fn framed(image: &Canvas, plane: &PlaneGeometry, annotation: &Annotation) -> Canvas {
    let mut canvas = lettered(image, [plane.right, plane.down], annotation);
    scale_bar(&mut canvas, image, plane.pixel_mm);
    canvas
}

/// A picture with letters at its edges, given its directions to the right and down, with its annotation and a strip below.
pub(crate) fn lettered(image: &Canvas, [to_right, to_below]: [PatientVector; 2], annotation: &Annotation) -> Canvas {
    let mut canvas = with_footer(image, annotation);
    letter(&mut canvas, image, [to_right, to_below]);
    canvas
}

/// A slice with letters, scale bar and lines of text in its upper left corner, to stand beside another one.
pub(crate) fn panel(image: &Canvas, plane: &PlaneGeometry, lines: &[String]) -> Canvas {
    let mut canvas = image.clone();
    corner(&mut canvas, lines);
    letter(&mut canvas, image, [plane.right, plane.down]);
    scale_bar(&mut canvas, image, plane.pixel_mm);
    canvas
}

/// Panels of one height beside each other, with one strip below.
pub(crate) fn beside(panels: &[Canvas], annotation: &Annotation) -> Canvas {
    let gaps = PANEL_GAP * panels.len().saturating_sub(1);
    let width = panels.iter().map(Canvas::width).sum::<usize>() + gaps;
    let height = panels.iter().map(Canvas::height).max().unwrap_or(0);
    let mut joined = Canvas::filled(width, height, GAP_COLOUR);
    let mut x = 0;
    for panel in panels {
        joined.place(panel, x, 0);
        x += panel.width() + PANEL_GAP;
    }
    with_footer(&joined, annotation)
}

/// Letters at the edges of a picture that lies in the upper left of the canvas.
fn letter(canvas: &mut Canvas, image: &Canvas, [to_right, to_below]: [PatientVector; 2]) {
    let (width, height) = (image.width() as f32, image.height() as f32);
    let colour = palette::ANNOTATION;
    let size = TEXT * 1.15;
    let middle = height / 2.0 + size * 0.36;
    let length = |name: &str| Face::Semibold.width(name, size);
    let (left, right) = (letters(to_right.times(-1.0)), letters(to_right));
    let (above, below) = (letters(to_below.times(-1.0)), letters(to_below));
    let places = [
        (&left, [MARGIN, middle]),
        (&right, [width - MARGIN - length(&right), middle]),
        (&above, [(width - length(&above)) / 2.0, MARGIN + size * 0.75]),
        (&below, [(width - length(&below)) / 2.0, height - MARGIN]),
    ];
    for (name, at) in places {
        text(canvas, name, at, size, Face::Semibold, colour);
    }
}

/// Lines in the upper left corner, the first one strong.
fn corner(canvas: &mut Canvas, lines: &[String]) {
    for (line, words) in lines.iter().enumerate() {
        let face = if line == 0 { Face::Semibold } else { Face::Regular };
        text(canvas, words, [MARGIN, MARGIN + TEXT * (0.8 + 1.25 * line as f32)], TEXT, face, palette::ANNOTATION);
    }
}

/// The picture with the written annotation and the strip.
fn with_footer(image: &Canvas, annotation: &Annotation) -> Canvas {
    let mut canvas = Canvas::filled(image.width(), image.height() + FOOTER, [0; 3]);
    canvas.place(image, 0, 0);
    let width = image.width() as f32;
    corner(&mut canvas, &annotation.upper_left);
    for (line, words) in annotation.upper_right.iter().enumerate() {
        let x = width - MARGIN - Face::Regular.width(words, TEXT);
        text(
            &mut canvas,
            words,
            [x, MARGIN + TEXT * (0.8 + 1.25 * line as f32)],
            TEXT,
            Face::Regular,
            palette::ANNOTATION,
        );
    }
    footer(&mut canvas, image.height() as f32, annotation);
    canvas
}

fn footer(canvas: &mut Canvas, top: f32, annotation: &Annotation) {
    let room = canvas.width() as f32 - 2.0 * MARGIN;
    let length = |size: f32| {
        annotation.legend.iter().map(|(_, name)| 1.5 * size + Face::Regular.width(name, size) + size).sum::<f32>()
    };
    let size = SMALL * (room / length(SMALL).max(1.0)).min(1.0);
    let mut x = MARGIN;
    for (colour, name) in &annotation.legend {
        let side = (size * 0.8).round() as i32;
        fill(canvas, [x.round() as i32, (top + 20.0 - size * 0.8).round() as i32, side, side], *colour);
        text(canvas, name, [x + 1.5 * size, top + 20.0], size, Face::Regular, palette::ANNOTATION);
        x += 1.5 * size + Face::Regular.width(name, size) + size;
    }
    let notice = &annotation.notice;
    let size = SMALL * (room / Face::Regular.width(notice, SMALL).max(1.0)).min(1.0);
    text(canvas, notice, [MARGIN, top + 42.0], size, Face::Regular, [185, 185, 180]);
}

/// A bar of 5 cm with a tick every centimetre, at the lower right.
fn scale_bar(canvas: &mut Canvas, image: &Canvas, pixel_mm: f64) {
    let length = (SCALE_BAR_MM / pixel_mm).round() as i32;
    if length < 20 || length > image.width() as i32 / 2 {
        return;
    }
    let right = image.width() as i32 - MARGIN as i32;
    let y = image.height() as i32 - MARGIN as i32 - 3;
    let left = right - length;
    fill(canvas, [left - 1, y - 1, length + 2, 4], [0, 0, 0]);
    for tick in 0..=5 {
        let x = left + (f64::from(length) * f64::from(tick) / 5.0).round() as i32;
        let height = if tick % 5 == 0 { 9 } else { 6 };
        fill(canvas, [x.min(right - 2), y - height, 2, height], palette::ANNOTATION);
    }
    fill(canvas, [left, y, length, 2], palette::ANNOTATION);
    let name = "5\u{a0}cm";
    let x = right as f32 - (length as f32 + Face::Regular.width(name, SMALL)) / 2.0;
    text(canvas, name, [x, y as f32 - 13.0], SMALL, Face::Regular, palette::ANNOTATION);
}

#[cfg(test)]
mod tests {
    use super::letters;
    use hilum_volume::PatientVector;

    #[test]
    fn directions_are_named_as_dicom_does() {
        let cases = [
            ([1.0, 0.0, 0.0], "L"),
            ([-1.0, 0.0, 0.0], "R"),
            ([0.0, 1.0, 0.0], "P"),
            ([0.0, -1.0, 0.0], "A"),
            ([0.0, 0.0, 1.0], "H"),
            ([0.0, 0.0, -1.0], "F"),
            ([0.8, 0.6, 0.0], "LP"),
            ([0.98, 0.2, 0.0], "L"), // a few degrees are not worth a letter
        ];
        for (direction, expected) in cases {
            assert_eq!(letters(PatientVector(direction)), expected);
        }
    }
}
