//! Outlines of lobes and opacities on every slice of the series, and their colours.

use hilum_dicom::{Error, Outline, OutlineLayer, Presentation, ResultContext, ResultFile, presentation_state};
use hilum_findings::{CONSOLIDATION_LABEL, GROUND_GLASS_LABEL, LesionKind, Lobe, UNKNOWN_OPACITY_LABEL};
use hilum_imaging::contour::outline;
use hilum_imaging::projection::{Plane, PlaneGeometry};
use hilum_volume::{LabelMap, PatientPoint, PatientVector};
use rayon::prelude::*;

/// Colours as in the report's pictures: Okabe and Ito (Color Universal Design, 2008) for opacities, quiet ones for anatomy.
pub(crate) const LUNG_COLOUR: [u8; 3] = [150, 205, 175];
const MIXED_COLOUR: [u8; 3] = [204, 121, 167];

pub(crate) fn colour_of_lobe(lobe: Lobe) -> [u8; 3] {
    match lobe {
        Lobe::RightUpper => [140, 170, 200],
        Lobe::RightMiddle => [225, 220, 190],
        Lobe::RightLower => [120, 165, 140],
        Lobe::LeftUpper => [165, 190, 215],
        Lobe::LeftLower => [140, 185, 155],
    }
}

pub(crate) fn colour_of_opacity(label: u8) -> [u8; 3] {
    match label {
        GROUND_GLASS_LABEL => [86, 180, 233],
        CONSOLIDATION_LABEL => [240, 160, 0],
        _ => [214, 125, 175],
    }
}

pub(crate) fn colour_of_kind(kind: LesionKind) -> [u8; 3] {
    match kind {
        LesionKind::GroundGlass => colour_of_opacity(GROUND_GLASS_LABEL),
        LesionKind::Consolidation => colour_of_opacity(CONSOLIDATION_LABEL),
        LesionKind::Unknown => colour_of_opacity(UNKNOWN_OPACITY_LABEL),
        LesionKind::Mixed => MIXED_COLOUR,
    }
}

/// The usual lung window, centre and width.
const LUNG_WINDOW_HU: [f64; 2] = [-600.0, 1500.0];

/// The outlines as a presentation state of all slices that can name their image; `None` if none can, or if the images
/// share no rescaling.
pub(crate) fn presentation(
    context: &ResultContext<'_>,
    lobes: &LabelMap,
    labels: &LabelMap,
) -> Result<Option<ResultFile>, Error> {
    let named = |slice: usize| context.origin.names_some_image(&[slice]);
    if !context.origin.has_one_rescale() || !(0..labels.geometry().shape()[0]).any(named) {
        return Ok(None);
    }
    let layer = |name, description, colour, map: &LabelMap, wanted: &[u8]| {
        let slices: Vec<usize> = (0..map.geometry().shape()[0]).filter(|s| named(*s)).collect();
        let outlines = slices
            .into_par_iter()
            .flat_map_iter(|slice| wanted.iter().flat_map(move |label| outlines_of(map, slice, *label)))
            .collect();
        OutlineLayer { name, description, colour, outlines }
    };
    let mut layers = vec![
        layer("LOBES", "Lobes of the lung", LUNG_COLOUR, lobes, &[1, 2, 3, 4, 5]),
        layer("GROUND GLASS", "Ground glass opacity", colour_of_opacity(11), labels, &[GROUND_GLASS_LABEL]),
        layer("CONSOLIDATION", "Consolidation", colour_of_opacity(12), labels, &[CONSOLIDATION_LABEL]),
        layer("OPACITY", "Opacity of unknown kind", colour_of_opacity(13), labels, &[UNKNOWN_OPACITY_LABEL]),
    ];
    layers.retain(|layer| !layer.outlines.is_empty());
    if layers.is_empty() {
        return Ok(None);
    }
    let presentation = Presentation {
        label: "OUTLINES",
        description: "Outlines of lobes and opacities (research use)",
        window_hu: LUNG_WINDOW_HU,
        layers,
    };
    presentation_state(context, &presentation).map(Some)
}

/// The outlines of one label on one slice, looked for in the box around it only.
fn outlines_of(map: &LabelMap, slice: usize, label: u8) -> Vec<Outline> {
    let [_, _, columns] = map.geometry().shape();
    let values = map.labels().slice(slice);
    let rows_with = |row: &[u8]| row.contains(&label);
    let mut rows = values.chunks_exact(columns).enumerate().filter(|(_, row)| rows_with(row)).map(|(r, _)| r);
    let Some(top) = rows.next() else { return Vec::new() };
    let bottom = rows.next_back().unwrap_or(top);
    let inside = |c: &usize| (top..=bottom).any(|r| values[r * columns + c] == label);
    let left = (0..columns).find(inside).expect("a row holds the label");
    let right = (0..columns).rfind(inside).expect("a row holds the label");
    let (width, height) = (right - left + 1, bottom - top + 1);
    let data = (top..=bottom)
        .flat_map(|r| values[r * columns + left..=r * columns + right].iter().map(|l| *l == label))
        .collect();
    // Only the pixels matter here, not where they lie in the patient.
    let geometry = PlaneGeometry {
        origin: PatientPoint([0.0; 3]),
        right: PatientVector([1.0, 0.0, 0.0]),
        down: PatientVector([0.0, 1.0, 0.0]),
        width,
        height,
        pixel_mm: 1.0,
    };
    outline(&Plane { geometry, data })
        .into_iter()
        .map(|line| {
            let points = line.points.iter().map(|p| [p[0] + left as f32, p[1] + top as f32]).collect();
            Outline { slice, points, closed: line.closed }
        })
        .collect()
}
