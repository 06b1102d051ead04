//! The findings of one study as DICOM: segmentations, measurements, outlines, key images and the report.

use hilum_dicom::{
    Algorithm, BurnedIn, Code, CodingScheme, ColourPicture, EarlierStudy, Error, LabelSet, Measurement,
    MeasurementGroup, MeasurementReport, ResultContext, ResultFile, Segment, Segmentation, SegmentationTitle, Tracking,
    binary_segmentation, codes, colour_capture, encapsulated_pdf, key_objects, label_map_segmentation,
    measurement_report, probability_segmentation,
};
use hilum_findings::{
    CONSOLIDATION_LABEL, Findings, GROUND_GLASS_LABEL, LesionComponent, LesionKind, Lobe, LobeAnatomy, LobeLesions,
    Side, UNKNOWN_OPACITY_LABEL, component_labels, is_stored_from_foot,
};
use hilum_volume::{Interpolation, LabelMap, Volume};

use crate::{Given, outlines};

mod earlier_report;
mod follow_up;

pub use earlier_report::numbers_of_report;

/// How segmentations are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SegmentationForm {
    /// One bit per voxel and segment: lungs, lobes and opacities, which overlap. What every viewer reads.
    #[default]
    Binary,
    /// As [`SegmentationForm::Binary`], and besides one number per voxel as `labelmap.dcm`: lobes, and opacities in place of
    /// the lobe beneath. Small, but few programs read it yet: reports keep to the segments of the binary form, as neither
    /// dcmtk nor dicom3tools accept references to those of a label map.
    LabelMap,
    /// As [`SegmentationForm::Binary`], and besides the network's probability of lesion, before any rule was applied, as
    /// `probability.dcm` (FRACTIONAL, PROBABILITY).
    Fractional,
}

/// What the DICOM results of a study are made from.
#[derive(Clone, Copy, Debug)]
pub struct DicomInput<'a> {
    /// The findings.
    pub findings: &'a Findings,
    /// Lobes and lesions, as [`Analysis::labels`](crate::Analysis::labels).
    pub labels: &'a LabelMap,
    /// Lobes alone, as [`Analysis::lobes`](crate::Analysis::lobes).
    pub lobes: &'a LabelMap,
    /// The network's probability of lesion on its own grid, as
    /// [`Analysis::lesion_probability`](crate::Analysis::lesion_probability); for [`SegmentationForm::Fractional`].
    pub lesion_probability: Option<&'a Volume<u8>>,
    /// Earlier studies that the findings' follow-up is about, as far as they are DICOM, in any order.
    pub earlier: &'a [EarlierStudy],
    /// What is new, persisting and resolved, as [`FollowUpMaps::change`](crate::FollowUpMaps::change).
    pub change: Option<&'a LabelMap>,
    /// What of the outlines was given, so that Hilum has measured and not found it.
    pub given: Given,
    /// How segmentations are written.
    pub form: SegmentationForm,
    /// The report, a PDF.
    pub pdf: Option<&'a [u8]>,
    /// Its first page as a picture: rows and columns, RGB.
    pub first_page: Option<([usize; 2], &'a [u8])>,
    /// Whether report and page say who the patient is.
    pub report_names_patient: bool,
    /// Key pictures in order, none of which shows who the patient is: caption, rows and columns, RGB.
    pub pictures: &'a [(String, [usize; 2], Vec<u8>)],
}

/// The DICOM results of a study.
#[derive(Clone, Debug)]
pub struct DicomResults {
    /// File names, such as `segmentation.dcm`, with the files.
    pub files: Vec<(String, ResultFile)>,
    /// What was not written, and why, one sentence each.
    pub notes: Vec<String>,
}

/// Lesions that get a segment and a measurement group of their own; the others are in the totals and in
/// `findings.json`. More would make objects of many thousand frames that no reader looks through.
const LESIONS_MOST: usize = 50;

const SCHEME: CodingScheme = CodingScheme::new("99HILUM", "Concepts measured by Hilum", "Hilum");

/// Concepts that no public scheme has; their definitions are those of `findings.json`.
mod own {
    use hilum_dicom::Code;

    const fn code(value: &'static str, meaning: &'static str) -> Code {
        Code::new(value, "99HILUM", meaning)
    }

    pub(super) const OPACITY_VOLUME: Code = code("opacity-ml", "Volume of opacities");
    pub(super) const GROUND_GLASS_VOLUME: Code = code("ground-glass-ml", "Volume of ground glass opacity");
    pub(super) const CONSOLIDATION_VOLUME: Code = code("consolidation-ml", "Volume of consolidation");
    pub(super) const PERCENT: Code = code("po", "Percentage of opacity");
    pub(super) const PERCENT_HIGH: Code = code("pho", "Percentage of high opacity");
    pub(super) const CTSS: Code = code("ctss-0-25", "CT severity score, 0 to 25");
    pub(super) const CTSS_LOBE: Code = code("ctss-lobe-0-5", "CT severity score of the lobe, 0 to 5");
    pub(super) const LSS: Code = code("lss-0-20", "Lung severity score, 0 to 20");
    pub(super) const LSS_LOBE: Code = code("lss-lobe-0-4", "Lung severity score of the lobe, 0 to 4");
    pub(super) const LHOS: Code = code("lhos-0-20", "Lung high opacity score, 0 to 20");
    pub(super) const LHOS_LOBE: Code = code("lhos-lobe-0-4", "Lung high opacity score of the lobe, 0 to 4");
    pub(super) const OPACITY_CHANGE: Code = code("opacity-delta-ml", "Change of the volume of opacities");
    pub(super) const OPACITY_CHANGE_PERCENT: Code =
        code("opacity-delta-pc", "Change of the volume of opacities in percent");
    pub(super) const PERCENT_CHANGE: Code = code("po-change", "Change of the percentage of opacity, in points");
    pub(super) const OPACITY_TREND: Code = code("opacity-trend", "Opacity, since the earlier study");
    pub(super) const FATE: Code = code("fate", "What became of it since the earlier study");
    pub(super) const MERGED: Code = code("merged", "Several before, one now");
    pub(super) const SPLIT: Code = code("split", "One before, several now");
    pub(super) const REGROUPED: Code = code("regrouped", "Several before, several others now");
    pub(super) const NOT_COMPARABLE: Code = code("not-comparable", "Shown by one of the studies only");
    pub(super) const SEVERITY: Code = code("ct-0-4", "CT-0 to CT-4 by the more involved lung");
}

/// Makes the DICOM results of a study: `segmentation.dcm` (lungs, lobes, kinds of opacity), `lesions.dcm` (the largest
/// lesions one by one), `change.dcm` (new, persisting and resolved opacity, if there is an earlier study), `measurements.dcm` (SR), `outlines.dcm` (presentation state), `key-images.dcm`, `report.dcm`
/// (PDF), `summary.dcm` (its first page as a picture), and `picture-1.dcm` and so on.
///
/// # Errors
/// [`Error::Unwritable`] if maps and series do not fit each other.
pub fn dicom_results(context: &ResultContext<'_>, input: &DicomInput<'_>) -> Result<DicomResults, Error> {
    let writer = Writer { context, input, methods: Methods::of(input.findings, input.given)? };
    let mut results = DicomResults { files: Vec::new(), notes: Vec::new() };
    let anatomy = writer.anatomy()?;
    let lesions = writer.lesions()?;
    let report = measurement_report(context, &writer.report(&anatomy, lesions.as_ref())?)?;
    results.files.push(("segmentation.dcm".into(), anatomy.file));
    results.files.extend(lesions.map(|l| ("lesions.dcm".into(), l.file)));
    if let Some(change) = input.change {
        results.files.push(("change.dcm".into(), writer.change(change)?.file));
    }
    results.files.push(("measurements.dcm".into(), report));
    if input.form == SegmentationForm::LabelMap {
        results.files.push(("labelmap.dcm".into(), writer.label_map()?.file));
    }
    if let (SegmentationForm::Fractional, Some(probability)) = (input.form, input.lesion_probability) {
        results.files.extend(writer.probability(probability)?.map(|s| ("probability.dcm".into(), s.file)));
    }
    match outlines::presentation(context, input.lobes, input.labels)? {
        Some(file) => results.files.push(("outlines.dcm".into(), file)),
        None => results.notes.push("No outlines were written: the slices cannot name their images.".into()),
    }
    let on_report = if input.report_names_patient { BurnedIn::Identity } else { BurnedIn::Nothing };
    if let Some(pdf) = input.pdf {
        let file = encapsulated_pdf(context, "Chest CT report (research use)", pdf, on_report)?;
        results.files.push(("report.dcm".into(), file));
    }
    let first_picture = results.files.len();
    if let Some((shape, rgb)) = input.first_page {
        let caption = format!("First page of the report. {RESEARCH_USE}");
        let picture = ColourPicture { caption: &caption, shape, rgb, number: 1, burned_in: on_report };
        results.files.push(("summary.dcm".into(), colour_capture(context, &picture)?));
    }
    for (number, (caption, shape, rgb)) in (1..).zip(input.pictures) {
        let caption = format!("{caption} {RESEARCH_USE}");
        // The page comes first among the instances.
        let instance = number + 1;
        let picture =
            ColourPicture { caption: &caption, shape: *shape, rgb, number: instance, burned_in: BurnedIn::Nothing };
        results.files.push((format!("picture-{number}.dcm"), colour_capture(context, &picture)?));
    }
    let pictures: Vec<&ResultFile> = results.files[first_picture..].iter().map(|(_, file)| file).collect();
    let slices = writer.key_slices();
    if context.origin.names_some_image(&slices) || !pictures.is_empty() {
        let about = format!("Slices with most opacity, and pictures of them. {RESEARCH_USE}");
        let key = key_objects(context, codes::OF_INTEREST, &about, &slices, &pictures)?;
        results.files.push(("key-images.dcm".into(), key));
    }
    Ok(results)
}

const RESEARCH_USE: &str = "Research use only, not a medical device.";

/// What found lungs and lobes, and what found lesions; of outlines that were given, what measured them.
struct Methods {
    anatomy: Algorithm,
    lesions: Algorithm,
    network: Algorithm,
}

impl Methods {
    fn of(findings: &Findings, given: Given) -> Result<Self, Error> {
        let own = |name| Algorithm::new(name, &findings.software.version, codes::MORPHOLOGICAL_OPERATIONS);
        let (found, measured) = (own("hilum-lung lungs and lobes")?, own("hilum-lung measurements of given outlines")?);
        let network = match findings.models.first() {
            Some(model) => Algorithm::new(&model.name, &model.version, codes::ARTIFICIAL_INTELLIGENCE)?,
            None => found.clone(),
        };
        Ok(Self {
            anatomy: if given.lobes { measured.clone() } else { found },
            lesions: if given.lesions { measured } else { network.clone() },
            network,
        })
    }
}

struct Writer<'a> {
    context: &'a ResultContext<'a>,
    input: &'a DicomInput<'a>,
    methods: Methods,
}

/// Segments of the anatomy object, in the order they are asked for: lungs, lobes, opacities.
const LUNG_SEGMENTS: [(Side, &str, Code, &[u8]); 2] =
    [(Side::Right, "Right lung", codes::RIGHT_LUNG, &[1, 2, 3]), (Side::Left, "Left lung", codes::LEFT_LUNG, &[4, 5])];
const FIRST_LOBE: usize = 2;
const FIRST_OPACITY: usize = 7;
const OPACITIES: [(u8, &str, Code); 3] = [
    (GROUND_GLASS_LABEL, "Ground glass opacity", codes::GROUND_GLASS_OPACITY),
    (CONSOLIDATION_LABEL, "Consolidation", codes::LUNG_CONSOLIDATION),
    (UNKNOWN_OPACITY_LABEL, "Opacity of unknown kind", codes::OPACITY),
];

fn site_of(lobe: Lobe) -> Code {
    match lobe {
        Lobe::RightUpper => codes::RIGHT_UPPER_LOBE,
        Lobe::RightMiddle => codes::RIGHT_MIDDLE_LOBE,
        Lobe::RightLower => codes::RIGHT_LOWER_LOBE,
        Lobe::LeftUpper => codes::LEFT_UPPER_LOBE,
        Lobe::LeftLower => codes::LEFT_LOWER_LOBE,
    }
}

fn finding_of(kind: LesionKind) -> (Code, &'static str) {
    match kind {
        LesionKind::GroundGlass => (codes::GROUND_GLASS_OPACITY, "ground glass"),
        LesionKind::Consolidation => (codes::LUNG_CONSOLIDATION, "consolidation"),
        LesionKind::Mixed => (codes::OPACITY, "mixed"),
        LesionKind::Unknown => (codes::OPACITY, "unknown kind"),
    }
}

/// With a capital at the start.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

impl Writer<'_> {
    /// A segment of lungs or lobes.
    fn anatomy_segment(&self, name: &str, property: Code, colour: [u8; 3]) -> Result<Segment, Error> {
        let algorithm = self.methods.anatomy.clone();
        let segment = Segment::new(name, codes::ANATOMICAL_STRUCTURE, property, algorithm, colour)?;
        Ok(if self.input.given.lobes { segment.by_hand() } else { segment })
    }

    /// A segment of opacity.
    fn lesion_segment(&self, name: &str, property: Code, colour: [u8; 3]) -> Result<Segment, Error> {
        let (category, algorithm) = (codes::MORPHOLOGICALLY_ABNORMAL_STRUCTURE, self.methods.lesions.clone());
        let segment = Segment::new(name, category, property, algorithm, colour)?;
        Ok(if self.input.given.lesions { segment.by_hand() } else { segment })
    }

    fn lobe_segment(&self, lobe: Lobe) -> Result<Segment, Error> {
        let name = capital(lobe.name());
        let segment = self.anatomy_segment(&name, site_of(lobe), outlines::colour_of_lobe(lobe))?;
        Ok(segment.with_tracking(self.tracking(&name)?))
    }

    fn opacity_segment(&self, (label, name, property): (u8, &str, Code)) -> Result<Segment, Error> {
        let segment = self.lesion_segment(name, property, outlines::colour_of_opacity(label))?;
        Ok(segment.with_region(codes::LUNG, None).with_tracking(self.tracking(name)?))
    }

    /// Lungs, lobes and kinds of opacity.
    fn anatomy(&self) -> Result<Segmentation, Error> {
        let DicomInput { labels, lobes, .. } = *self.input;
        let title = SegmentationTitle::new("LUNGS", "Lungs, lobes and opacities (research use)", 1)?;
        let single: [u8; 14] = std::array::from_fn(|l| l as u8);
        let mut segments = Vec::new();
        for (side, name, _, members) in LUNG_SEGMENTS {
            let modifier = if side == Side::Right { codes::RIGHT } else { codes::LEFT };
            let segment = self.anatomy_segment(name, codes::LUNG, outlines::LUNG_COLOUR)?;
            let segment = segment.with_modifier(modifier).with_tracking(self.tracking(name)?);
            segments.push((segment, LabelSet { map: lobes, labels: members }));
        }
        for lobe in Lobe::ALL {
            let label = usize::from(lobe.label());
            segments.push((self.lobe_segment(lobe)?, LabelSet { map: lobes, labels: &single[label..=label] }));
        }
        for opacity in OPACITIES {
            let label = usize::from(opacity.0);
            segments.push((self.opacity_segment(opacity)?, LabelSet { map: labels, labels: &single[label..=label] }));
        }
        binary_segmentation(self.context, &title, &segments)
    }

    /// Lobes, and opacities in their place.
    fn label_map(&self) -> Result<Segmentation, Error> {
        let title = SegmentationTitle::new("LABELS", "Lobes and opacities, a label map (research use)", 3)?;
        let mut described = Vec::new();
        for lobe in Lobe::ALL {
            described.push((lobe.label(), self.lobe_segment(lobe)?));
        }
        for opacity in OPACITIES {
            described.push((opacity.0, self.opacity_segment(opacity)?));
        }
        label_map_segmentation(self.context, &title, self.input.labels, &described)
    }

    /// What the network said, on the grid of the series; `None` if it saw no lesion anywhere.
    fn probability(&self, coarse: &Volume<u8>) -> Result<Option<Segmentation>, Error> {
        let title = SegmentationTitle::new("PROBABILITY", "Probability of opacity (research use)", 3)?;
        let (category, algorithm) = (codes::MORPHOLOGICALLY_ABNORMAL_STRUCTURE, self.methods.network.clone());
        let colour = outlines::colour_of_opacity(UNKNOWN_OPACITY_LABEL);
        let segment = Segment::new("Opacity, by the network", category, codes::OPACITY, algorithm, colour)?;
        let grid = self.input.labels.geometry();
        // Interpolated as probabilities; beyond the network's grid nothing was seen.
        let fine = coarse.map(|p| f32::from(*p) / 255.0).resample(grid, Interpolation::Linear, 0.0);
        let fine = fine.map(|p| p.clamp(0.0, 1.0));
        if fine.data().iter().all(|p| (p * 255.0).round() == 0.0) {
            return Ok(None);
        }
        probability_segmentation(self.context, &title, &[(segment.with_region(codes::LUNG, None), &fine)]).map(Some)
    }

    fn listed(&self) -> &[LesionComponent] {
        let all = &self.input.findings.lesions.components;
        &all[..all.len().min(LESIONS_MOST)]
    }

    /// The largest lesions one by one; `None` if there is none.
    fn lesions(&self) -> Result<Option<Segmentation>, Error> {
        let listed = self.listed();
        if listed.is_empty() {
            return Ok(None);
        }
        let lesions = self.input.labels.labels().map(|l| if *l >= GROUND_GLASS_LABEL { *l } else { 0 });
        let map = component_labels(self.input.lobes, &LabelMap::new(lesions), listed.len());
        let title = SegmentationTitle::new("LESIONS", "Lesions one by one (research use)", 2)?;
        let mut described = Vec::new();
        for lesion in listed {
            let (property, kind) = finding_of(lesion.kind);
            let label = format!("Lesion {} ({}, {kind})", lesion.id, lesion.lobe.abbreviation());
            let segment = self
                .lesion_segment(&label, property, outlines::colour_of_kind(lesion.kind))?
                .with_region(site_of(lesion.lobe), None)
                .with_tracking(self.lesion_tracking(lesion.id)?);
            described.push((lesion.id as u8, segment));
        }
        let ids: Vec<[u8; 1]> = described.iter().map(|(id, _)| [*id]).collect();
        let sets = described.into_iter().zip(&ids).map(|((_, s), id)| (s, LabelSet { map: &map, labels: id }));
        binary_segmentation(self.context, &title, &sets.collect::<Vec<_>>()).map(Some)
    }

    fn report(&self, anatomy: &Segmentation, lesions: Option<&Segmentation>) -> Result<MeasurementReport, Error> {
        let findings = self.input.findings;
        let mut groups = vec![self.whole()?];
        let region = |n: usize| anatomy.segment(n);
        let volumes = findings.anatomy.lung_volume_ml;
        for (n, (side, name, site, _)) in LUNG_SEGMENTS.into_iter().enumerate() {
            let volume = if side == Side::Right { volumes.right } else { volumes.left };
            let of_side = findings.lesions.lobes.iter().filter(|l| l.name.side() == side);
            let opacity: Option<f64> = of_side.map(|l| l.lesion_ml).sum();
            let mut values = Values::default();
            values.ml(codes::VOLUME, volume)?;
            values.ml(own::OPACITY_VOLUME, opacity)?;
            let group = values.group(self.tracking(name)?, codes::LUNG, &self.methods.anatomy)?;
            let group = group.map(|g| with(g.with_category(codes::ANATOMICAL_STRUCTURE).with_site(site), region(n)));
            groups.extend(group.map(|g| self.region_changed(g, follow_up::name_of_side(side))).transpose()?);
        }
        for (n, (lobe, lesions)) in findings.anatomy.lobes.iter().zip(&findings.lesions.lobes).enumerate() {
            let group = self.lobe(lobe, lesions, region(FIRST_LOBE + n))?;
            groups.extend(group.map(|g| self.region_changed(g, lobe.name.abbreviation())).transpose()?);
        }
        let kinds = [findings.lesions.ground_glass_ml, findings.lesions.consolidation_ml];
        for (n, ((_, name, property), ml)) in OPACITIES.into_iter().zip(kinds).enumerate() {
            // Of a kind that is nowhere there is no region to measure.
            let Some(region) = region(FIRST_OPACITY + n) else { continue };
            let mut values = Values::default();
            values.ml(codes::VOLUME, ml)?;
            let group = values.group(self.tracking(name)?, property, &self.methods.lesions)?;
            groups.extend(group.map(|g| {
                g.with_category(codes::MORPHOLOGICALLY_ABNORMAL_STRUCTURE).with_site(codes::LUNG).with_region(region)
            }));
        }
        for (n, lesion) in self.listed().iter().enumerate() {
            let group = self.lesion(lesion, lesions.and_then(|l| l.segment(n)))?;
            groups.extend(group.map(|group| self.lesion_changed(group, lesion.id)).transpose()?);
        }
        groups.extend(self.resolved()?);
        let now = self.time_point(None)?;
        let mut groups: Vec<_> = groups.into_iter().map(|group| follow_up::at(group, now.as_ref())).collect();
        groups.extend(self.before()?);
        Ok(MeasurementReport {
            procedure: codes::CT_OF_CHEST,
            groups,
            comments: self.comments(),
            schemes: vec![SCHEME],
            earlier: self.earlier().cloned().collect(),
        })
    }

    /// Both lungs together, and the scores.
    fn whole(&self) -> Result<MeasurementGroup, Error> {
        let Findings { anatomy, lesions, scores, .. } = self.input.findings;
        let mut values = Values::default();
        values.ml(codes::VOLUME, anatomy.lung_volume_ml.total)?;
        values.ml(own::OPACITY_VOLUME, lesions.total_ml)?;
        values.ml(own::GROUND_GLASS_VOLUME, lesions.ground_glass_ml)?;
        values.ml(own::CONSOLIDATION_VOLUME, lesions.consolidation_ml)?;
        values.percent(own::PERCENT, lesions.percent_of_lung)?;
        values.percent(own::PERCENT_HIGH, lesions.percent_high_opacity)?;
        values.count(codes::NUMBER_OF_LESIONS, lesions.count)?;
        values.count(own::CTSS, scores.ctss_0_25.map(usize::from))?;
        values.count(own::LSS, scores.lss_0_20.map(usize::from))?;
        values.count(own::LHOS, scores.lhos_0_20.map(usize::from))?;
        values.count(own::SEVERITY, scores.severity_ct_0_4.map(usize::from))?;
        let group = values.group(self.tracking("Both lungs")?, codes::LUNG, &self.methods.lesions)?;
        let group = group.ok_or_else(|| Error::Unwritable("nothing was measured".into()))?;
        self.region_changed(group.with_category(codes::ANATOMICAL_STRUCTURE).with_site(codes::LUNG), "lungs")
    }

    fn lobe(
        &self,
        anatomy: &LobeAnatomy,
        lesions: &LobeLesions,
        region: Option<hilum_dicom::SegmentReference>,
    ) -> Result<Option<MeasurementGroup>, Error> {
        let mut values = Values::default();
        values.ml(codes::VOLUME, anatomy.volume_ml)?;
        values.mean_hu(anatomy.mean_hu)?;
        values.ml(own::OPACITY_VOLUME, lesions.lesion_ml)?;
        values.ml(own::GROUND_GLASS_VOLUME, lesions.ground_glass_ml)?;
        values.ml(own::CONSOLIDATION_VOLUME, lesions.consolidation_ml)?;
        values.percent(own::PERCENT, lesions.percent)?;
        values.percent(own::PERCENT_HIGH, lesions.percent_high_opacity)?;
        values.count(own::CTSS_LOBE, lesions.score_0_5.map(usize::from))?;
        values.count(own::LSS_LOBE, lesions.lss_0_4.map(usize::from))?;
        values.count(own::LHOS_LOBE, lesions.lhos_0_4.map(usize::from))?;
        let tracking = self.tracking(&capital(anatomy.name.name()))?;
        let group = values.group(tracking, codes::LOBE_OF_LUNG, &self.methods.anatomy)?;
        Ok(group.map(|g| with(g.with_category(codes::ANATOMICAL_STRUCTURE).with_site(site_of(anatomy.name)), region)))
    }

    fn lesion(
        &self,
        lesion: &LesionComponent,
        region: Option<hilum_dicom::SegmentReference>,
    ) -> Result<Option<MeasurementGroup>, Error> {
        let mut values = Values::default();
        values.ml(codes::VOLUME, Some(lesion.volume_ml))?;
        values.mean_hu(Some(lesion.mean_hu))?;
        values.ml(own::GROUND_GLASS_VOLUME, lesion.ground_glass_ml)?;
        values.ml(own::CONSOLIDATION_VOLUME, lesion.consolidation_ml)?;
        let group = values.group(self.lesion_tracking(lesion.id)?, finding_of(lesion.kind).0, &self.methods.lesions)?;
        let category = codes::MORPHOLOGICALLY_ABNORMAL_STRUCTURE;
        Ok(group.map(|g| with(g.with_category(category).with_site(site_of(lesion.lobe)), region)))
    }

    fn comments(&self) -> Vec<String> {
        let findings = self.input.findings;
        let found = match self.input.given {
            Given { lobes: false, lesions: false } => {
                "Found by a program without anybody's help; not verified by a physician."
            }
            Given { lobes: false, .. } => {
                "Opacities were outlined in a segmentation that was given; a program measured them."
            }
            Given { lesions: false, .. } => {
                "Lobes were outlined in a segmentation that was given; a program measured them."
            }
            _ => "Lobes and opacities were outlined in a segmentation that was given; a program measured them.",
        };
        let mut comments = vec![format!("{RESEARCH_USE} {found}")];
        comments.extend(findings.lesions.kind_method_text.clone());
        let co_rads = &findings.scores.co_rads;
        if let Some(grade) = co_rads.grade {
            let reasons: Vec<&str> = co_rads.reasons.iter().map(|r| r.text.as_str()).collect();
            comments.push(format!(
                "CO-RADS {grade} is suggested by distribution and density alone; it is no diagnosis. {}",
                reasons.join(" ")
            ));
        }
        let (all, listed) = (findings.lesions.components.len(), self.listed().len());
        if all > listed {
            comments.push(format!("The {listed} largest of {all} lesions are given one by one, all in the totals."));
        }
        comments.extend(findings.quality.reasons.iter().map(|note| note.text.clone()));
        comments.extend(findings.follow_up.iter().flat_map(|f| &f.cautions).map(|note| note.text.clone()));
        comments.retain(|text| !text.trim().is_empty());
        comments
    }

    /// Slices with most opacity, in stored order, at most four and 15 mm apart, as in the report.
    fn key_slices(&self) -> Vec<usize> {
        let geometry = self.input.labels.geometry();
        let count = geometry.shape()[0];
        let apart = (15.0 / geometry.spacing_mm()[0]).ceil() as usize;
        let mut by_load: Vec<(usize, f64)> =
            self.input.findings.lesions.slices.iter().map(|s| (s.index, s.lesion_ml)).collect();
        by_load.retain(|(index, ml)| *ml > 0.0 && *index < count);
        by_load.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut chosen: Vec<usize> = Vec::new();
        for (index, _) in by_load {
            if chosen.len() < 4 && chosen.iter().all(|c| c.abs_diff(index) >= apart) {
                chosen.push(index);
            }
        }
        let from_foot = is_stored_from_foot(geometry);
        chosen.into_iter().map(|index| if from_foot { index } else { count - 1 - index }).collect()
    }
}

fn with(group: MeasurementGroup, region: Option<hilum_dicom::SegmentReference>) -> MeasurementGroup {
    match region {
        Some(region) => group.with_region(region),
        None => group,
    }
}

/// The measurements of a group, those that are not known left out.
#[derive(Default)]
struct Values(Vec<Measurement>);

impl Values {
    fn ml(&mut self, concept: Code, value: Option<f64>) -> Result<(), Error> {
        self.push(concept, value, codes::MILLILITRE)
    }

    fn percent(&mut self, concept: Code, value: Option<f64>) -> Result<(), Error> {
        self.push(concept, value, codes::PERCENT)
    }

    fn count(&mut self, concept: Code, value: Option<usize>) -> Result<(), Error> {
        self.push(concept, value.map(|n| n as f64), codes::NO_UNITS)
    }

    fn mean_hu(&mut self, value: Option<f64>) -> Result<(), Error> {
        let Some(value) = value else { return Ok(()) };
        let mean = Measurement::new(codes::ATTENUATION_COEFFICIENT, value, codes::HOUNSFIELD_UNIT)?;
        self.0.push(mean.with_derivation(codes::MEAN));
        Ok(())
    }

    fn push(&mut self, concept: Code, value: Option<f64>, unit: Code) -> Result<(), Error> {
        if let Some(value) = value {
            self.0.push(Measurement::new(concept, value, unit)?);
        }
        Ok(())
    }

    /// `None` if nothing is known.
    fn group(self, tracking: Tracking, finding: Code, by: &Algorithm) -> Result<Option<MeasurementGroup>, Error> {
        if self.0.is_empty() {
            return Ok(None);
        }
        MeasurementGroup::new(tracking, finding, by.clone(), self.0).map(Some)
    }
}

#[cfg(test)]
mod tests;
