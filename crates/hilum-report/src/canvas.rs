//! Text and patches of colour on pictures.

pub(crate) use hilum_imaging::picture::Picture as Canvas;

use crate::font::Face;

/// A colour, red, green and blue.
pub(crate) type Rgb = [u8; 3];

/// Fills the rectangle from `(x, y)`, `width` by `height` pixels; what would stick out is cut off.
pub(crate) fn fill(canvas: &mut Canvas, [x, y, width, height]: [i32; 4], colour: Rgb) {
    for py in y..y + height {
        for px in x..x + width {
            canvas.blend(px as isize, py as isize, colour, 1.0);
        }
    }
}

/// A line of text whose baseline starts at `(x, y)`, with a dark rim that keeps it legible on bright tissue.
pub(crate) fn text(canvas: &mut Canvas, text: &str, [x, y]: [f32; 2], size: f32, face: Face, colour: Rgb) {
    let rim = (size / 12.0).max(1.0);
    let mut put = |dx: f32, dy: f32, colour: Rgb, opacity: f32| {
        face.draw(text, x + dx, y + dy, size, |px, py, c| {
            canvas.blend(px as isize, py as isize, colour, opacity * c);
        });
    };
    for step in 0..8_u8 {
        let angle = f32::from(step) * std::f32::consts::FRAC_PI_4;
        put(rim * angle.cos(), rim * angle.sin(), [0; 3], 0.35);
    }
    put(0.0, 0.0, colour, 1.0);
}

#[cfg(test)]
mod tests {
    use super::{Canvas, fill, text};
    use crate::font::Face;

    #[test]
    fn what_lies_outside_is_ignored() {
        let mut canvas = Canvas::filled(4, 3, [7; 3]);
        text(&mut canvas, "Hilum", [-90.0, 40.0], 12.0, Face::Regular, [255; 3]);
        fill(&mut canvas, [-5, -5, 5, 20], [255; 3]);
        assert_eq!(canvas, Canvas::filled(4, 3, [7; 3]));
    }

    #[test]
    fn text_is_white_on_a_dark_rim() {
        let mut canvas = Canvas::filled(60, 40, [128; 3]);
        text(&mut canvas, "H", [20.0, 32.0], 30.0, Face::Semibold, [255; 3]);
        assert!(canvas.pixels().contains(&[255; 3]));
        assert!(canvas.pixels().iter().any(|p| p[0] < 90));
    }
}
