//! The colours of pictures and charts, told apart by readers with any colour vision.
//!
//! After Okabe and Ito's palette (K. Ito and M. Okabe, Color Universal Design, 2008), which stays distinct under
//! protanopia, deuteranopia and tritanopia.

use hilum_findings::{CONSOLIDATION_LABEL, GROUND_GLASS_LABEL, LesionKind, UNKNOWN_OPACITY_LABEL};

use crate::canvas::Rgb;

/// Ground-glass: sky blue.
pub(crate) const GROUND_GLASS: Rgb = [86, 180, 233];
/// Consolidation: orange.
pub(crate) const CONSOLIDATION: Rgb = [240, 160, 0];
/// Opacity of unknown kind: reddish purple.
pub(crate) const UNKNOWN: Rgb = [214, 125, 175];
/// Outlines of the lobes: pale green, thin.
pub(crate) const LOBES: Rgb = [150, 205, 175];
/// Opacity that was not there before: vermilion.
pub(crate) const NEW: Rgb = [213, 94, 0];
/// Opacity then and now: yellow.
pub(crate) const PERSISTING: Rgb = [240, 228, 66];
/// Opacity that is gone: bluish green.
pub(crate) const RESOLVED: Rgb = [0, 158, 115];
/// Letters and the scale bar on pictures.
pub(crate) const ANNOTATION: Rgb = [240, 240, 235];

/// Colours of a probability of .1, .5 and .9: lighter is more, whatever the eye makes of the hue (part of "inferno", S. van der Walt and
/// N. Smith, 2015).
pub(crate) const PROBABILITY: [Rgb; 3] = [[120, 28, 109], [237, 105, 37], [252, 235, 120]];

/// Labels of lesions, in the order they are drawn.
pub(crate) const LESION_LABELS: [u8; 3] = [UNKNOWN_OPACITY_LABEL, GROUND_GLASS_LABEL, CONSOLIDATION_LABEL];

/// The colour of a lesion label.
pub(crate) fn of_label(label: u8) -> Rgb {
    match label {
        GROUND_GLASS_LABEL => GROUND_GLASS,
        CONSOLIDATION_LABEL => CONSOLIDATION,
        _ => UNKNOWN,
    }
}

/// The colour of the lobe with label 1 to 5 in the volume rendering: neighbours differ in lightness too.
pub(crate) fn of_lobe(label: u8) -> Rgb {
    match label {
        1 => [140, 170, 200],
        2 => [225, 220, 190],
        3 => [120, 165, 140],
        4 => [165, 190, 215],
        _ => [140, 185, 155],
    }
}

/// The colour of a component's kind; `None` if it is mixed.
pub(crate) fn of_kind(kind: LesionKind) -> Option<Rgb> {
    match kind {
        LesionKind::GroundGlass => Some(GROUND_GLASS),
        LesionKind::Consolidation => Some(CONSOLIDATION),
        LesionKind::Unknown => Some(UNKNOWN),
        LesionKind::Mixed => None,
    }
}
