//! The key pictures: which slices, through what, and how each is drawn and named.

mod change;
mod frame;
mod rendering;
mod slice;
mod stage;

use hilum_findings::{CONSOLIDATION_LABEL, Findings, GROUND_GLASS_LABEL, UNKNOWN_OPACITY_LABEL};
use hilum_imaging::projection::{PlaneGeometry, Projection, View, slab};
use hilum_volume::{LabelMap, PatientPoint, PatientVector, Volume};
use rayon::prelude::*;

use crate::canvas::Canvas;
use crate::wording::Phrase;
use crate::{Images, Language, impression, palette};
use frame::{Annotation, framed};
use slice::{AIR_HU, LUNG_WINDOW, outlined, overlaid};
use stage::Stage;

/// Most axial pictures shown.
const AXIAL_MAX: usize = 4;
/// Axial pictures lie at least this far apart.
const AXIAL_APART_MM: f64 = 15.0;
/// Thickness of the maximum-intensity slab.
const MIP_MM: f64 = 30.0;
/// The slab is sampled this much more coarsely than the pictures: a projection over centimetres has no finer detail.
const MIP_COARSER: usize = 2;

/// What a picture is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A slice of the series, as it was acquired.
    Slice,
    /// Resampled along the patient's axes.
    Reformatted,
    /// A network's opinion, or three-dimensional.
    Rendered,
    /// Two studies beside each other.
    Comparison,
}

/// A picture of the report.
pub(crate) struct Picture {
    pub(crate) kind: Kind,
    /// File name without folder: `axial-1.png`.
    pub(crate) name: String,
    /// What it is, in a few words.
    pub(crate) title: String,
    /// What is to be seen.
    pub(crate) caption: String,
    /// For who cannot see it.
    pub(crate) alt: String,
    /// Pixels from left to right and from top to bottom.
    pub(crate) size: [usize; 2],
    /// The file.
    pub(crate) png: Vec<u8>,
    /// The same, to be drawn.
    pub(crate) image: Canvas,
}

/// Draws all pictures of a study, in the order of the report.
pub(crate) fn draw(findings: &Findings, images: &Images, language: Language) -> Vec<Picture> {
    let painter = Painter {
        findings,
        ct: images.ct,
        labels: images.labels,
        language,
        stage: Stage::around(images.labels),
        legend: present_lesions(images.labels),
    };
    let slices = painter.chosen_slices();
    let mut pictures: Vec<Picture> =
        slices.par_iter().enumerate().map(|(n, index)| painter.slice(n + 1, *index)).collect();
    let reformatted: [fn(&Painter) -> Picture; 3] =
        [|p| p.reformatted(View::Coronal), |p| p.reformatted(View::Sagittal), |p| p.mip()];
    pictures.par_extend(reformatted.par_iter().map(|draw| draw(&painter)));
    pictures.extend(images.lesion_probability.and_then(|probability| painter.probability(probability, &slices)));
    pictures.extend(painter.renderings());
    pictures.extend(images.follow_up.iter().flat_map(|follow_up| painter.changes(follow_up)));
    pictures
}

/// At most `most` of the slices, in their order, at least `distance` slices apart.
fn apart(slices: impl Iterator<Item = usize>, most: usize, distance: f64) -> Vec<usize> {
    let distance = distance.ceil() as usize;
    let mut chosen: Vec<usize> = Vec::new();
    for index in slices {
        if chosen.len() < most && chosen.iter().all(|c| c.abs_diff(index) >= distance) {
            chosen.push(index);
        }
    }
    chosen
}

const LEGEND_ORDER: [u8; 3] = [GROUND_GLASS_LABEL, CONSOLIDATION_LABEL, UNKNOWN_OPACITY_LABEL];

struct Painter<'a> {
    findings: &'a Findings,
    ct: &'a Volume<i16>,
    labels: &'a LabelMap,
    language: Language,
    stage: Stage,
    /// Lesion labels that occur.
    legend: Vec<u8>,
}

impl Painter<'_> {
    /// The slices shown, from the head down: those with the most opacity, apart from each other; without opacity, three
    /// at even steps through the lungs.
    fn chosen_slices(&self) -> Vec<usize> {
        let known = self.findings.lesions.slices.len() == self.stage.slices();
        let mut by_load: Vec<(usize, f64)> = self
            .findings
            .lesions
            .slices
            .iter()
            .filter(|s| known && s.lesion_ml > 0.0)
            .map(|s| (s.index, s.lesion_ml))
            .collect();
        by_load.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let by_load = by_load.into_iter().map(|(index, _)| index);
        let mut chosen = apart(by_load, AXIAL_MAX, AXIAL_APART_MM / self.stage.slice_spacing_mm());
        if chosen.is_empty() {
            let [first, last] = self.stage.lung_slices();
            chosen = (1..=3).map(|quarter| first + (last - first) * quarter / 4).collect();
            chosen.dedup();
        }
        chosen.sort_unstable_by(|a, b| b.cmp(a));
        chosen
    }

    fn slice(&self, number: usize, index: usize) -> Picture {
        let view = self.stage.slice_view();
        let plane = self.stage.slice(index);
        let last = (self.stage.slices() - 1).to_string();
        let slice = Phrase::SliceOf.fill(self.language, &[("index", &index.to_string()), ("last", &last)]);
        let load = self.findings.lesions.slices.iter().find(|s| s.index == index).map_or(0.0, |s| s.lesion_ml);
        let caption = if load > 0.0 {
            Phrase::CaptionHighestLoad.fill(self.language, &[("ml", &self.language.millilitres(load))])
        } else {
            self.text(Phrase::CaptionNoOpacity)
        };
        let (name, phrase) = match view {
            View::Axial => ("axial", Phrase::Axial),
            View::Coronal => ("coronal", Phrase::Coronal),
            View::Sagittal => ("sagittal", Phrase::Sagittal),
        };
        let title = format!("{}, {slice}", self.text(phrase));
        let image = outlined(self.ct, self.labels, &plane);
        let lines = vec![self.text(phrase), slice, self.position(view, &plane)];
        self.finish((Kind::Slice, &format!("{name}-{number}.png")), title, caption, &image, &plane, lines)
    }

    /// The network's opinion of the slice with most opacity; of the first one shown, if there is none.
    fn probability(&self, probability: &Volume<u8>, slices: &[usize]) -> Option<Picture> {
        let load = |index: &usize| self.findings.lesions.slices.iter().find(|s| s.index == *index).map(|s| s.lesion_ml);
        let index = *slices.iter().rev().max_by(|a, b| load(a).unwrap_or(0.0).total_cmp(&load(b).unwrap_or(0.0)))?;
        let plane = self.stage.slice(index);
        let last = (self.stage.slices() - 1).to_string();
        let slice = Phrase::SliceOf.fill(self.language, &[("index", &index.to_string()), ("last", &last)]);
        let title = self.text(Phrase::Probability);
        let lines = vec![title.clone(), slice.clone(), self.position(self.stage.slice_view(), &plane)];
        let legend = palette::PROBABILITY.into_iter().zip([10.0, 50.0, 90.0]);
        let legend = legend.map(|(colour, percent)| (colour, self.language.number(percent, 0) + "\u{a0}%")).collect();
        let annotation = Annotation { legend, ..self.annotation(lines) };
        let canvas = framed(&overlaid(self.ct, probability, &plane), &plane, &annotation);
        let caption = self.text(Phrase::CaptionProbability);
        let letters = self.alt_letters(plane.right);
        Some(self.picture((Kind::Rendered, "probability.png"), format!("{title}, {slice}"), caption, letters, &canvas))
    }

    /// A coronal or sagittal plane through the largest opacity, or the middle of the lungs.
    fn reformatted(&self, view: View) -> Picture {
        let (mut point, caption) = self.point_of_interest();
        if view == View::Sagittal && self.findings.lesions.components.is_empty() {
            // The middle of both lungs is the spine.
            point = self.stage.beside_centre();
        }
        let plane = self.stage.through(view, point);
        let (name, title) = match view {
            View::Sagittal => ("sagittal.png", self.text(Phrase::Sagittal)),
            _ => ("coronal.png", self.text(Phrase::Coronal)),
        };
        let image = outlined(self.ct, self.labels, &plane);
        let position = self.position(view, &plane);
        let lines = vec![title.clone(), position.clone()];
        self.finish((Kind::Reformatted, name), format!("{title}, {position}"), caption, &image, &plane, lines)
    }

    fn mip(&self) -> Picture {
        let (point, _) = self.point_of_interest();
        let pixel_mm = self.stage.pixel_mm() * MIP_COARSER as f64;
        let coarse = self.stage.through_with_pixel(View::Coronal, point, pixel_mm);
        let image = enlarged(&Canvas::from_grey(&slab(self.ct, &coarse, MIP_MM, Projection::Max, AIR_HU), LUNG_WINDOW));
        let fine = PlaneGeometry { pixel_mm: self.stage.pixel_mm(), ..coarse.clone() };
        let mm = self.language.number(MIP_MM, 0);
        let title = self.text(Phrase::CoronalMip);
        let thickness = Phrase::SlabThickness.fill(self.language, &[("mm", &mm)]);
        let lines = vec![title.clone(), self.position(View::Coronal, &coarse), thickness];
        let caption = Phrase::CaptionMip.fill(self.language, &[("mm", &mm)]);
        let annotation = Annotation { legend: Vec::new(), ..self.annotation(lines) };
        let canvas = framed(&image, &fine, &annotation);
        self.picture((Kind::Reformatted, "coronal-mip.png"), title, caption, self.alt_letters(fine.right), &canvas)
    }

    /// The lobes as glass with the lesions in them, from the front and from behind; none without labels.
    fn renderings(&self) -> Vec<Picture> {
        let caption = if self.legend.is_empty() { Phrase::CaptionRenderingNone } else { Phrase::CaptionRendering };
        let views = [(rendering::Side::Front, Phrase::SeenFromFront), (rendering::Side::Back, Phrase::SeenFromBack)];
        rendering::draw(self.labels, &self.legend, &views.map(|(side, _)| side))
            .into_iter()
            .zip(views)
            .map(|(image, (side, seen))| {
                let lines = vec![self.text(Phrase::VolumeRendering), self.text(seen)];
                let title = lines.join(", ");
                let mut annotation = Annotation { upper_right: Vec::new(), ..self.annotation(lines) };
                annotation.legend.pop(); // the lobes have colours of their own here
                let directions = side.directions();
                let canvas = frame::lettered(&image, directions, &annotation);
                let letters = self.alt_letters(directions[0]);
                self.picture((Kind::Rendered, side.file_name()), title, self.text(caption), letters, &canvas)
            })
            .collect()
    }

    /// The centre of the largest opacity, or of the lungs, and a sentence saying which.
    fn point_of_interest(&self) -> (PatientPoint, String) {
        match self.findings.lesions.components.first() {
            Some(c) => {
                let lobe = impression::lobe_name(c.lobe, self.language);
                (PatientPoint(c.centroid_lps_mm), Phrase::CaptionThroughLargest.fill(self.language, &[("lobe", lobe)]))
            }
            None => (self.stage.centre(), self.text(Phrase::CaptionThroughLungs)),
        }
    }

    fn finish(
        &self,
        named: (Kind, &str),
        title: String,
        caption: String,
        image: &Canvas,
        plane: &PlaneGeometry,
        upper_left: Vec<String>,
    ) -> Picture {
        let canvas = framed(image, plane, &self.annotation(upper_left));
        self.picture(named, title, caption, self.alt_letters(plane.right), &canvas)
    }

    fn picture(
        &self,
        (kind, name): (Kind, &str),
        title: String,
        caption: String,
        letters: String,
        canvas: &Canvas,
    ) -> Picture {
        let alt = format!("{title}. {caption} {letters}").trim_end().to_string();
        Picture {
            kind,
            name: name.to_string(),
            title,
            caption,
            alt,
            size: [canvas.width(), canvas.height()],
            png: canvas.png(),
            image: canvas.clone(),
        }
    }

    fn annotation(&self, upper_left: Vec<String>) -> Annotation {
        let window = Phrase::Window.fill(
            self.language,
            &[
                ("width", &self.language.number(f64::from(LUNG_WINDOW.width), 0)),
                ("centre", &self.language.number(f64::from(LUNG_WINDOW.center), 0)),
            ],
        );
        let mut legend: Vec<_> =
            self.legend.iter().map(|l| (palette::of_label(*l), self.text(legend_phrase(*l)))).collect();
        legend.push((palette::LOBES, self.text(Phrase::LegendLobes)));
        Annotation { upper_left, upper_right: vec![window], legend, notice: self.text(Phrase::DisclaimerShort) }
    }

    /// The coordinate of a plane's middle across it, in the patient system of DICOM.
    fn position(&self, view: View, plane: &PlaneGeometry) -> String {
        let middle = plane.patient_from_pixel(0.5 * (plane.width - 1) as f64, 0.5 * (plane.height - 1) as f64);
        let (axis, value) = match view {
            View::Axial => ("z", middle.0[2]),
            View::Coronal => ("y", middle.0[1]),
            View::Sagittal => ("x", middle.0[0]),
        };
        format!("{axis} {}\u{a0}mm", self.language.number(value, 1))
    }

    fn alt_letters(&self, to_right: PatientVector) -> String {
        let left = self.text(side_phrase(to_right.times(-1.0)));
        Phrase::AltLetters.fill(self.language, &[("left", &left)])
    }

    fn text(&self, phrase: Phrase) -> String {
        phrase.text(self.language).to_string()
    }
}

/// The lesion labels that occur, the commonest kinds first.
fn present_lesions(labels: &LabelMap) -> Vec<u8> {
    let mut present = [false; 256];
    for label in labels.labels().data() {
        present[usize::from(*label)] = true;
    }
    LEGEND_ORDER.into_iter().filter(|l| present[usize::from(*l)]).collect()
}

fn legend_phrase(label: u8) -> Phrase {
    match label {
        GROUND_GLASS_LABEL => Phrase::LegendGroundGlass,
        CONSOLIDATION_LABEL => Phrase::LegendConsolidation,
        _ => Phrase::LegendUnknown,
    }
}

/// The name of the patient direction a vector mostly points to.
fn side_phrase(direction: PatientVector) -> Phrase {
    match frame::letters(direction).chars().next() {
        Some('R') => Phrase::PatientRight,
        Some('L') => Phrase::PatientLeft,
        Some('A') => Phrase::PatientFront,
        Some('P') => Phrase::PatientBack,
        Some('H') => Phrase::PatientHead,
        _ => Phrase::PatientFeet,
    }
}

/// The picture at twice its size, by linear interpolation.
fn enlarged(small: &Canvas) -> Canvas {
    let (width, height) = (small.width(), small.height());
    let mut large = Canvas::filled(width * MIP_COARSER, height * MIP_COARSER, [0; 3]);
    let place = |i: usize, n: usize| {
        let at = ((i as f32 + 0.5) / MIP_COARSER as f32 - 0.5).clamp(0.0, (n - 1) as f32);
        (at as usize, (at as usize + 1).min(n - 1), at.fract())
    };
    let value = |x: usize, y: usize| f32::from(small.pixels()[y * width + x][0]);
    let mix = |a: f32, b: f32, t: f32| a + t * (b - a);
    for (y, row) in large.pixels_mut().chunks_exact_mut(width * MIP_COARSER).enumerate() {
        let (top, bottom, down) = place(y, height);
        for (x, pixel) in row.iter_mut().enumerate() {
            let (left, right, across) = place(x, width);
            let above = mix(value(left, top), value(right, top), across);
            let below = mix(value(left, bottom), value(right, bottom), across);
            *pixel = [mix(above, below, down).round() as u8; 3];
        }
    }
    large
}

impl Picture {
    /// Width over height.
    pub(crate) fn aspect(&self) -> f32 {
        self.size[0] as f32 / self.size[1] as f32
    }
}

/// The pictures in rows of one kind: slices of the series in pairs, large enough to read; comparisons, which are two
/// pictures, one by one; the rest three abreast.
pub(crate) fn rows(pictures: &[Picture]) -> Vec<&[Picture]> {
    let mut rows = Vec::new();
    let mut rest = pictures;
    while let Some(first) = rest.first() {
        let same = rest.iter().take_while(|p| p.kind == first.kind).count();
        let abreast = match first.kind {
            Kind::Comparison => 1,
            Kind::Reformatted => 3,
            _ if same == 3 => 3,
            _ => 2,
        };
        rows.extend(rest[..same].chunks(abreast));
        rest = &rest[same..];
    }
    rows
}
