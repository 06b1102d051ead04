//! What to keep in mind about a study, by rule.

use crate::clinical::{PLAUSIBLE_LUNG_ML, SMALL_LUNG_BELOW_SHARE, THICK_SLICES_FROM_MM};
use crate::{Lobe, Measurements, Note, OutOfDistribution, Quality, Severity, Side};

/// The quality of an analysed study: what the series' own notes, the product and the measurements say, the most severe
/// first. The study stays usable; only [`FindingsInput::partial_lungs`](crate::FindingsInput::partial_lungs), or a product that knows
/// why no number can be relied on, says otherwise.
#[must_use]
pub fn assess_quality(
    series_notes: &[Note],
    product_notes: &[Note],
    measured: &Measurements,
    slice_spacing_mm: f64,
    out_of_distribution: OutOfDistribution,
) -> Quality {
    let mut reasons: Vec<Note> = series_notes.iter().filter(|note| note.severity > Severity::Info).cloned().collect();
    reasons.extend(product_notes.iter().cloned());
    reasons.extend(notes_on(measured));
    if slice_spacing_mm >= THICK_SLICES_FROM_MM && !reasons.iter().any(|note| note.code == "thick-slices") {
        reasons.push(Note::new(
            "thick-slices",
            Severity::Warning,
            format!("The slices lie {slice_spacing_mm:.1} mm apart: small opacities may be missed and volumes are less exact."),
        ));
    }
    if out_of_distribution.flag == Some(true) {
        reasons.push(Note::new(
            "out-of-distribution",
            Severity::Severe,
            "The images differ from those the models were trained on: check every outline.",
        ));
    }
    reasons.sort_by_key(|note| std::cmp::Reverse(note.severity));
    Quality { usable: true, out_of_distribution, reasons }
}

fn notes_on(measured: &Measurements) -> Vec<Note> {
    let mut notes = Vec::new();
    let lung_ml = measured.lung_ml();
    let litres = lung_ml / 1000.0;
    if lung_ml < PLAUSIBLE_LUNG_ML[0] {
        notes.push(Note::new(
            "small-lung-volume",
            Severity::Warning,
            format!(
                "The lungs measure {litres:.1} l, less than expected of an adult: scanned in expiration, not imaged \
                 completely, a child, or not found completely."
            ),
        ));
    } else if lung_ml > PLAUSIBLE_LUNG_ML[1] {
        notes.push(Note::new(
            "large-lung-volume",
            Severity::Warning,
            format!("The lungs measure {litres:.1} l, more than expected of an adult: check their outline."),
        ));
    }
    for side in [Side::Right, Side::Left] {
        let name = if side == Side::Right { "right" } else { "left" };
        let side_ml = measured.side_ml(side);
        if side_ml == 0.0 {
            notes.push(Note::new(
                "lung-not-found",
                Severity::Severe,
                format!("The {name} lung was not found: missing, opaque throughout, or not imaged."),
            ));
        } else if side_ml < SMALL_LUNG_BELOW_SHARE * lung_ml {
            notes.push(Note::new(
                "small-lung",
                Severity::Warning,
                format!("The {name} lung makes up {:.0} % of both: check its outline.", 100.0 * side_ml / lung_ml),
            ));
        }
    }
    for lobe in Lobe::ALL {
        if measured.lobes[lobe as usize].voxels == 0 && measured.side_ml(lobe.side()) > 0.0 {
            notes.push(Note::new("lobe-not-found", Severity::Warning, format!("The {} was not found.", lobe.name())));
        }
    }
    notes
}
