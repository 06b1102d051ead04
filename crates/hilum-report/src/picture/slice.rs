//! One reformatted slice in grey with the outlines of lobes and lesions.

use hilum_imaging::contour::isolines;
use hilum_imaging::picture::Window;
use hilum_imaging::projection::{PlaneGeometry, plane, plane_of_labels, plane_of_occupancy};
use hilum_volume::{LabelMap, Volume};

use crate::canvas::{Canvas, Rgb};
use crate::palette;

/// The grey window of lung pictures, the usual lung window.
pub(crate) const LUNG_WINDOW: Window = Window { center: -600.0, width: 1500.0 };
/// What is shown beyond the volume.
pub(crate) const AIR_HU: f32 = -1024.0;
const LESION_LINE: f32 = 1.8;
const LOBE_LINE: f32 = 0.9;
const TINT_LINE: f32 = 1.1;

/// Least probability that is coloured.
const PROBABILITY_MIN: f32 = 0.1;
/// How far colour covers what lies beneath it.
const PROBABILITY_COVER: f32 = 0.6;

/// The slice on `geometry` with a probability, 0 to 255, laid over it in colour.
pub(crate) fn overlaid(ct: &Volume<i16>, probability: &Volume<u8>, geometry: &PlaneGeometry) -> Canvas {
    let mut canvas = Canvas::from_grey(&plane(ct, geometry, AIR_HU), LUNG_WINDOW);
    let overlay = plane(probability, geometry, 0.0);
    for (pixel, value) in canvas.pixels_mut().iter_mut().zip(&overlay.data) {
        let probability = value / 255.0;
        if probability >= PROBABILITY_MIN {
            let colour = of_probability(probability);
            *pixel = std::array::from_fn(|c| {
                let (below, above) = (f32::from(pixel[c]), f32::from(colour[c]));
                (below + PROBABILITY_COVER * (above - below)).round() as u8
            });
        }
    }
    canvas
}

/// The colour between those of .1, .5 and .9.
fn of_probability(probability: f32) -> Rgb {
    let place = ((probability - 0.1) / 0.4).clamp(0.0, 2.0);
    let below = (place as usize).min(1);
    let [from, to] = [palette::PROBABILITY[below], palette::PROBABILITY[below + 1]];
    std::array::from_fn(|c| {
        let (from, to) = (f32::from(from[c]), f32::from(to[c]));
        (from + (place - below as f32) * (to - from)).round() as u8
    })
}

/// How far a tint covers the slice: vessels beneath must stay visible.
const TINT_COVER: f32 = 0.4;

/// The slice on `geometry`, each of the labels tinted in its colour and outlined.
pub(crate) fn tinted(ct: &Volume<i16>, labels: &LabelMap, tints: &[(u8, Rgb)], geometry: &PlaneGeometry) -> Canvas {
    let mut canvas = Canvas::from_grey(&plane(ct, geometry, AIR_HU), LUNG_WINDOW);
    let mut present = [false; 256];
    for label in plane_of_labels(labels, geometry).data {
        present[usize::from(label)] = true;
    }
    for (label, colour) in tints.iter().filter(|(label, _)| present[usize::from(*label)]) {
        let share = plane_of_occupancy(labels, |l| l == *label, geometry);
        for (pixel, share) in canvas.pixels_mut().iter_mut().zip(&share.data) {
            let cover = TINT_COVER * share.clamp(0.0, 1.0);
            *pixel = std::array::from_fn(|c| {
                let (below, above) = (f32::from(pixel[c]), f32::from(colour[c]));
                (below + cover * (above - below)).round() as u8
            });
        }
        for line in isolines(&share, 0.5) {
            canvas.draw(&line, *colour, TINT_LINE);
        }
    }
    canvas
}

/// The slice on `geometry` with outlines: thin around the lobes, stronger around the lesions, each in its colour.
///
/// Outlines are the line on which the label's share, interpolated between voxel centres, is one half: on a straight edge
/// that is the face between the voxels.
pub(crate) fn outlined(ct: &Volume<i16>, labels: &LabelMap, geometry: &PlaneGeometry) -> Canvas {
    let mut canvas = Canvas::from_grey(&plane(ct, geometry, AIR_HU), LUNG_WINDOW);
    let mut present = [false; 256];
    for label in plane_of_labels(labels, geometry).data {
        present[usize::from(label)] = true;
    }
    let mut draw = |label: u8, colour: Rgb, thickness: f32| {
        if present[usize::from(label)] {
            for line in isolines(&plane_of_occupancy(labels, |l| l == label, geometry), 0.5) {
                canvas.draw(&line, colour, thickness);
            }
        }
    };
    for lobe in 1..=5 {
        draw(lobe, palette::LOBES, LOBE_LINE);
    }
    for lesion in palette::LESION_LABELS {
        draw(lesion, palette::of_label(lesion), LESION_LINE);
    }
    canvas
}
