//! Colours of the printed page.

use crate::canvas::Rgb;
use crate::chart;

/// Text.
pub(super) const INK: Rgb = [24, 29, 34];
/// What matters less.
pub(super) const SOFT: Rgb = [84, 94, 104];
/// Rules.
pub(super) const LINE: Rgb = [205, 211, 216];
/// Behind the impression and sums.
pub(super) const SHEET: Rgb = [243, 245, 246];
/// The bar beside the impression.
pub(super) const ACCENT: Rgb = [11, 90, 138];
/// The research notice and warnings.
pub(super) const MARK: Rgb = [128, 70, 0];
/// Behind the research notice.
pub(super) const MARK_SHEET: Rgb = [253, 243, 227];
/// Severe notes.
pub(super) const SEVERE: Rgb = [150, 40, 0];

/// The colour of a note or priority: 0 plain, 1 to be heeded, 2 severe.
pub(super) fn of_level(level: u8) -> Rgb {
    match level {
        0 => SOFT,
        1 => MARK,
        _ => SEVERE,
    }
}

/// The colour of a chart's line.
pub(super) fn of_chart(ink: chart::Ink) -> Rgb {
    match ink {
        chart::Ink::Axis => SOFT,
        chart::Ink::Grid => LINE,
        chart::Ink::Lung => [119, 130, 140],
        chart::Ink::Lesion => [201, 84, 0],
    }
}

/// How much a chart's area covers what lies below.
pub(super) fn chart_opacity(ink: chart::Ink) -> f32 {
    if ink == chart::Ink::Lesion { 0.4 } else { 0.28 }
}
