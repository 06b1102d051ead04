//! Pages before they are written: what is drawn where, in points from the upper left corner, and what each piece is.

use krilla::tagging::{Artifact, ArtifactType, ContentTag, SpanTag};

use crate::canvas::Rgb;
use crate::font::{Face, printable};

/// Width and height of A4 (ISO 216) in points.
pub(super) const PAGE: [f32; 2] = [595.28, 841.89];
/// Left and right margin.
pub(super) const MARGIN: f32 = 42.0;
/// Where content starts, below the notice on every page.
pub(super) const TOP: f32 = 54.0;
/// Where content ends, above the page number.
pub(super) const BOTTOM: f32 = PAGE[1] - 46.0;
/// Width of the content.
pub(super) const WIDTH: f32 = PAGE[0] - 2.0 * MARGIN;

/// One page.
#[derive(Default)]
pub(super) struct Page {
    pub(super) pieces: Vec<Piece>,
    /// Headings with their height on the page.
    pub(super) bookmarks: Vec<(String, f32)>,
}

/// Drawing that belongs together, and its part in the structure of the document.
pub(super) struct Piece {
    pub(super) role: Role,
    pub(super) ops: Vec<Op>,
}

/// What a piece is to a reader who cannot see the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing: rules, backgrounds.
    Layout,
    /// The notice and page number repeated on every page.
    Running,
    /// A heading of this level and text.
    Heading(u16, String),
    /// Text; `is_foreign` if it is English in a report that is not.
    Paragraph { is_foreign: bool },
    /// A picture or chart with its description.
    Figure(String),
    /// A cell of a table, by table, row and column.
    Cell { table: usize, row: usize, column: usize, is_head: bool, is_foreign: bool },
}

/// One stroke of drawing.
pub(super) enum Op {
    /// A line of text whose baseline starts at `at`.
    Text { at: [f32; 2], size: f32, face: Face, ink: Rgb, text: String },
    /// A filled rectangle: x, y, width, height.
    Box { area: [f32; 4], ink: Rgb },
    /// A filled polygon.
    Shape { points: Vec<[f32; 2]>, ink: Rgb, opacity: f32 },
    /// An open line.
    Line { points: Vec<[f32; 2]>, ink: Rgb, width: f32 },
    /// A picture by its number: x, y, width, height.
    Image { area: [f32; 4], index: usize },
}

/// How text is set.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) size: f32,
    pub(super) face: Face,
    pub(super) ink: Rgb,
    /// From one baseline to the next, in sizes.
    pub(super) leading: f32,
}

impl Style {
    /// Regular text.
    pub(super) const fn regular(size: f32, ink: Rgb) -> Self {
        Self { size, face: Face::Regular, ink, leading: 1.36 }
    }

    /// Emphasised text.
    pub(super) const fn semibold(size: f32, ink: Rgb) -> Self {
        Self { size, face: Face::Semibold, ink, leading: 1.3 }
    }

    /// From one baseline to the next.
    pub(super) fn line(self) -> f32 {
        self.size * self.leading
    }

    /// How wide a line of text runs.
    pub(super) fn width(self, text: &str) -> f32 {
        self.face.width(text, self.size)
    }

    /// The text broken into lines no wider than `width`, at spaces; words that are too long are broken anywhere, as is
    /// everything if `is_code`.
    pub(super) fn lines(self, text: &str, width: f32, is_code: bool) -> Vec<String> {
        let text = printable(text);
        let mut lines: Vec<String> = Vec::new();
        let mut line = String::new();
        for word in text.split(' ').filter(|w| !w.is_empty()) {
            let joined = if line.is_empty() { word.to_string() } else { format!("{line} {word}") };
            if self.width(&joined) <= width {
                line = joined;
                continue;
            }
            if !line.is_empty() && !is_code {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            for letter in word.chars() {
                if !line.is_empty() && self.width(&format!("{line}{letter}")) > width {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(letter);
            }
        }
        if !line.is_empty() || lines.is_empty() {
            lines.push(line);
        }
        lines
    }

    /// Lines of text one below the other, the first line's box starting at `y`.
    pub(super) fn set(self, lines: &[String], x: f32, y: f32) -> Vec<Op> {
        lines
            .iter()
            .enumerate()
            .map(|(i, text)| self.at([x, y + self.size + i as f32 * self.line()], text.clone()))
            .collect()
    }

    /// One line of text with its baseline at `at`.
    pub(super) fn at(self, at: [f32; 2], text: String) -> Op {
        Op::Text { at, size: self.size, face: self.face, ink: self.ink, text }
    }
}

impl Role {
    /// How the drawing is marked in the page's content.
    pub(super) fn content_tag(&self) -> ContentTag<'_> {
        match self {
            Self::Layout => ContentTag::Artifact(Artifact::with_kind(ArtifactType::Layout)),
            Self::Running => ContentTag::Artifact(Artifact::with_kind(ArtifactType::PaginationOther)),
            Self::Figure(_) => ContentTag::Other,
            Self::Heading(..) | Self::Paragraph { .. } | Self::Cell { .. } => ContentTag::Span(SpanTag::empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Style;

    #[test]
    fn lines_fit_their_width() {
        let style = Style::regular(9.0, [0; 3]);
        let text = "Pulmonary opacities, 412 ml, 9.3% of the lung: bilateral, multifocal, predominantly ground-glass.";
        let lines = style.lines(text, 120.0, false);
        assert!(lines.len() > 3 && lines.iter().all(|l| style.width(l) <= 120.0));
        assert_eq!(lines.join(" "), text);
    }

    #[test]
    fn a_hash_is_broken_rather_than_sticking_out() {
        let style = Style::regular(7.0, [0; 3]);
        let hash = "0123456789abcdef".repeat(4);
        let lines = style.lines(&hash, 90.0, true);
        assert!(lines.len() > 1 && lines.iter().all(|l| style.width(l) <= 90.0));
        assert_eq!(lines.concat(), hash);
    }
}
