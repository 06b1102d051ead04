//! The two faces of Open Sans (Apache-2.0, see `fonts/`) that pictures and PDF are set in, and how wide text runs in them.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, ScaleFont};

/// A face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// For text.
    Regular,
    /// For headings and emphasis.
    Semibold,
}

static REGULAR: LazyLock<FontRef<'static>> = LazyLock::new(|| parse(Face::Regular));
static SEMIBOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| parse(Face::Semibold));

fn parse(face: Face) -> FontRef<'static> {
    FontRef::try_from_slice(face.bytes()).expect("the embedded font is sound")
}

impl Face {
    /// The font file.
    pub(crate) fn bytes(self) -> &'static [u8] {
        match self {
            Self::Regular => include_bytes!("../fonts/OpenSans-Regular.ttf"),
            Self::Semibold => include_bytes!("../fonts/OpenSans-Semibold.ttf"),
        }
    }

    fn font(self) -> &'static FontRef<'static> {
        match self {
            Self::Regular => &REGULAR,
            Self::Semibold => &SEMIBOLD,
        }
    }

    /// Advance width of one line of text set at `size` (units per em square), kerning left out.
    pub(crate) fn width(self, text: &str, size: f32) -> f32 {
        let font = self.font();
        let units = font.units_per_em().expect("an outline font has an em");
        text.chars().map(|c| font.h_advance_unscaled(font.glyph_id(c))).sum::<f32>() * size / units
    }

    /// Calls `pixel(x, y, coverage)` for every pixel a line of text touches when its baseline starts at `(x, y)`.
    pub(crate) fn draw(self, text: &str, x: f32, y: f32, size: f32, mut pixel: impl FnMut(i32, i32, f32)) {
        let font = self.font();
        let units = font.units_per_em().expect("an outline font has an em");
        // `PxScale` measures from ascent to descent; ours is the em, as in CSS and PDF.
        let scale = size * font.height_unscaled() / units;
        let scaled = font.as_scaled(scale);
        let mut pen = x;
        for letter in text.chars() {
            let id = font.glyph_id(letter);
            let glyph = id.with_scale_and_position(scale, ab_glyph::point(pen, y));
            pen += scaled.h_advance(id);
            if let Some(outline) = font.outline_glyph(glyph) {
                let corner = outline.px_bounds().min;
                outline.draw(|dx, dy, c| pixel(corner.x as i32 + dx as i32, corner.y as i32 + dy as i32, c));
            }
        }
    }
}

/// Whether both faces can show a letter.
pub(crate) fn has_glyph(letter: char) -> bool {
    [Face::Regular, Face::Semibold].iter().all(|f| f.font().glyph_id(letter).0 != 0)
}

/// The text with every letter the faces lack replaced by a question mark; line breaks and tabs become spaces.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_whitespace() && c != '\u{a0}' { ' ' } else { c })
        .map(|c| if has_glyph(c) { c } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Face, printable};

    #[test]
    fn digits_are_of_one_width_so_that_columns_align() {
        let width = Face::Regular.width("0", 10.0);
        for digit in "123456789".chars() {
            assert!((Face::Regular.width(&digit.to_string(), 10.0) - width).abs() < 1e-4);
        }
    }

    #[test]
    fn text_is_drawn_where_it_is_measured() {
        let width = Face::Semibold.width("HHH", 40.0);
        let (mut left, mut right, mut top) = (i32::MAX, i32::MIN, i32::MAX);
        Face::Semibold.draw("HHH", 100.0, 200.0, 40.0, |x, y, c| {
            if c > 0.5 {
                (left, right, top) = (left.min(x), right.max(x), top.min(y));
            }
        });
        assert!(left >= 100 && right as f32 <= 100.0 + width && right as f32 > 95.0 + width - 4.0);
        // Open Sans' capitals are 0.714 em high.
        assert!((200 - top - 29).abs() <= 1, "top at {top}");
    }

    #[test]
    fn a_letter_the_fonts_lack_is_shown_as_missing() {
        assert_eq!(printable("Thorax 胸\n1"), "Thorax ? 1");
    }
}
