//! The follow-up in DICOM results: what was before, what changed since, and the identifiers that findings keep from study to
//! study.
//!
//! In the measurement report every group says its time point (TID 1502). Groups of earlier ones carry the tracking UID of the
//! group of today that they belong to; what changed stands in the latter. Of opacities that merged or split, the largest of
//! either study belong together, and a remark names the others.

use hilum_dicom::{
    Code, EarlierStudy, Error, LabelSet, Measurement, MeasurementGroup, Segment, Segmentation, SegmentationTitle,
    TimePoint, Tracking, binary_segmentation, codes,
};
use hilum_findings::{
    Comparison, FollowUp, LesionChange, LesionFate, Lobe, NEW_LABEL, PERSISTING_LABEL, RESOLVED_LABEL, Side, Trend,
};
use hilum_volume::LabelMap;

use super::{LESIONS_MOST, LUNG_SEGMENTS, Values, Writer, capital, own, site_of, with};

/// Segments of the change map: label, name, what distinguishes it, colour as in the report.
const CHANGES: [(u8, &str, Option<Code>, [u8; 3]); 3] = [
    (NEW_LABEL, "New opacity", Some(codes::NEW), [213, 94, 0]),
    (PERSISTING_LABEL, "Persisting opacity", None, [240, 228, 66]),
    (RESOLVED_LABEL, "Resolved opacity", Some(codes::RESOLVED), [0, 158, 115]),
];

/// What is said of numbers that another report gave.
const FROM_REPORT: &str = "From the report of the earlier study (SR), not measured again.";

/// How a lung is called in a comparison.
pub(super) fn name_of_side(side: Side) -> &'static str {
    match side {
        Side::Right => "right",
        Side::Left => "left",
    }
}

/// A group at its time point, if there are several.
pub(super) fn at(group: MeasurementGroup, time_point: Option<&TimePoint>) -> MeasurementGroup {
    match time_point {
        Some(time_point) => group.with_time_point(time_point.clone()),
        None => group,
    }
}

fn lesion_name(id: usize) -> String {
    format!("Lesion {id}")
}

/// The change of a volume in mL, sure to `uncertainty_ml`.
fn change(concept: Code, change_ml: f64, uncertainty_ml: f64) -> Result<Measurement, Error> {
    Measurement::new(concept, change_ml, codes::MILLILITRE)?.with_uncertainty(uncertainty_ml)
}

impl Writer<'_> {
    fn follow_up(&self) -> Option<&FollowUp> {
        self.input.findings.follow_up.as_ref().filter(|f| !f.earlier.is_empty())
    }

    fn comparison(&self) -> Option<&Comparison> {
        self.follow_up()?.comparison.as_ref()
    }

    /// The earlier studies of the follow-up that are DICOM, the newest first.
    pub(super) fn earlier(&self) -> impl Iterator<Item = &EarlierStudy> {
        let listed = self.follow_up().into_iter().flat_map(|f| &f.earlier);
        listed
            .filter_map(|e| self.input.earlier.iter().find(|known| Some(known.series_uid()) == e.series_uid.as_deref()))
    }

    /// The study that was compared with, or the newest if of all there are reports alone; `None` if it is not DICOM.
    fn newest(&self) -> Option<&EarlierStudy> {
        let follow_up = self.follow_up()?;
        let uid = follow_up.earlier[follow_up.compared().unwrap_or(0)].series_uid.as_deref();
        self.input.earlier.iter().find(|known| Some(known.series_uid()) == uid)
    }

    /// The identifier of what every study has, such as a lobe: that of the earlier study, if there is one.
    pub(super) fn tracking(&self, what: &str) -> Result<Tracking, Error> {
        let uid = match self.newest() {
            Some(earlier) => self.context.earlier_tracking_uid(earlier, what),
            None => self.context.tracking_uid(what),
        };
        Tracking::new(what, &uid)
    }

    /// The identifier of a lesion: the UID is that of the earlier study for what was there before, so that the two are one
    /// and the same; the name is the number in this study's findings.
    pub(super) fn lesion_tracking(&self, id: usize) -> Result<Tracking, Error> {
        let name = lesion_name(id);
        let Some(comparison) = self.comparison() else {
            return Tracking::new(&name, &self.context.tracking_uid(&name));
        };
        let family = comparison.lesions.iter().find(|change| change.ids.first() == Some(&id));
        let uid = match family.and_then(|change| change.earlier_ids.first()) {
            Some(earlier) => self.earlier_lesion_uid(*earlier),
            // A study that is compared with itself must not give two lesions one UID.
            None => self.context.tracking_uid(&format!("new lesion {id}")),
        };
        Tracking::new(&name, &uid)
    }

    fn earlier_lesion_uid(&self, id: usize) -> String {
        match self.newest() {
            Some(earlier) => self.context.earlier_tracking_uid(earlier, &lesion_name(id)),
            None => self.context.tracking_uid(&format!("earlier lesion {id}")),
        }
    }

    /// The time point of earlier study `of`, or of this one; `None` if there is no earlier study.
    pub(super) fn time_point(&self, of: Option<usize>) -> Result<Option<TimePoint>, Error> {
        let Some(follow_up) = self.follow_up() else { return Ok(None) };
        let studies = follow_up.earlier.len();
        let (label, order) = match of {
            None => ("This study".to_owned(), studies + 1),
            Some(0) if studies == 1 => ("Earlier study".to_owned(), 1),
            Some(n) => (format!("Earlier study {} of {studies}", studies - n), studies - n),
        };
        let time_point = TimePoint::new(&label, order as u32)?;
        // Days before this study: of the oldest one, and of the one in question.
        let baseline = follow_up.earlier.last().and_then(|oldest| oldest.days_before);
        let before = of.map_or(Some(0), |n| follow_up.earlier[n].days_before);
        Ok(Some(match baseline.zip(before) {
            Some((baseline, before)) => time_point.with_days_from_baseline(baseline - before),
            None => time_point,
        }))
    }

    /// The group of a lung or lobe with the change of its opacity.
    pub(super) fn region_changed(&self, group: MeasurementGroup, name: &str) -> Result<MeasurementGroup, Error> {
        let region = self.comparison().and_then(|c| c.regions.iter().find(|r| r.name == name));
        let Some(region) = region else { return Ok(group) };
        let mut values = Values(vec![change(own::OPACITY_CHANGE, region.change_ml, region.uncertainty_ml)?]);
        // A tenth of a per mille is beyond what the volumes have.
        let relative = (region.earlier_ml > 0.0).then(|| (1e6 * region.change_ml / region.earlier_ml).round() / 1e4);
        values.percent(own::OPACITY_CHANGE_PERCENT, relative)?;
        values.percent(own::PERCENT_CHANGE, region.change_points)?;
        let group = group.with_measurements(values.0);
        Ok(match region.trend {
            Some(Trend::Grown) => group.with_evaluation(own::OPACITY_TREND, codes::INCREASED),
            Some(Trend::Shrunk) => group.with_evaluation(own::OPACITY_TREND, codes::DECREASED),
            Some(Trend::Unchanged) => group.with_evaluation(own::OPACITY_TREND, codes::NO_CHANGE),
            None => group,
        })
    }

    /// The group of a lesion with what became of it. Of several that belong together, the largest has the change of all.
    pub(super) fn lesion_changed(&self, group: MeasurementGroup, id: usize) -> Result<MeasurementGroup, Error> {
        let family = self.comparison().and_then(|c| c.lesions.iter().find(|change| change.ids.contains(&id)));
        let Some(family) = family else { return Ok(group) };
        let group = judged(group, family);
        if family.ids.first() != Some(&id) {
            return Ok(group.with_comment(format!(
                "The change since the earlier study is given together with that of lesion {}.",
                family.ids[0]
            )));
        }
        if family.fate == LesionFate::NotComparable {
            return Ok(group);
        }
        let group = group.with_measurements(differences(family)?);
        if family.ids.len() < 2 && family.earlier_ids.len() < 2 {
            return Ok(group);
        }
        Ok(group.with_comment(format!(
            "The difference in size is that of {} of this study, {:.2} ml together, against {} of the earlier one, {:.2} ml.",
            named(&family.ids),
            family.ml,
            named(&family.earlier_ids),
            family.earlier_ml
        )))
    }

    /// What was there and is gone: 0 mL now.
    pub(super) fn resolved(&self) -> Result<Vec<MeasurementGroup>, Error> {
        let mut groups = Vec::new();
        for family in self.listed_changes().filter(|family| family.fate == LesionFate::Resolved) {
            let mut values = Values::default();
            values.ml(codes::VOLUME, Some(0.0))?;
            values.0.extend(differences(family)?);
            groups.extend(self.lesion_group(family, values)?.map(|group| judged(group, family)));
        }
        Ok(groups)
    }

    fn listed_changes(&self) -> impl Iterator<Item = &LesionChange> {
        self.comparison().into_iter().flat_map(|c| c.lesions.iter().take(LESIONS_MOST))
    }

    /// A group on a family of lesions, followed by the UID of its largest.
    fn lesion_group(&self, family: &LesionChange, values: Values) -> Result<Option<MeasurementGroup>, Error> {
        let tracking = match (family.ids.first(), family.earlier_ids.first()) {
            (Some(id), _) => self.lesion_tracking(*id)?,
            (None, Some(earlier)) => {
                Tracking::new(&format!("Earlier lesion {earlier}"), &self.earlier_lesion_uid(*earlier))?
            }
            (None, None) => return Ok(None),
        };
        let group = values.group(tracking, codes::OPACITY, &self.methods.lesions)?;
        let site = family.lobe.map_or(codes::LUNG, site_of);
        Ok(group.map(|g| g.with_category(codes::MORPHOLOGICALLY_ABNORMAL_STRUCTURE).with_site(site)))
    }

    /// The numbers of earlier studies: the whole of each, and of the newest lungs, lobes and lesions.
    pub(super) fn before(&self) -> Result<Vec<MeasurementGroup>, Error> {
        let mut groups = Vec::new();
        let Some(follow_up) = self.follow_up() else { return Ok(groups) };
        for (n, earlier) in follow_up.earlier.iter().enumerate() {
            let mut values = Values::default();
            values.ml(codes::VOLUME, earlier.lung_ml)?;
            values.ml(own::OPACITY_VOLUME, earlier.lesion_ml)?;
            values.ml(own::GROUND_GLASS_VOLUME, earlier.ground_glass_ml)?;
            values.ml(own::CONSOLIDATION_VOLUME, earlier.consolidation_ml)?;
            values.percent(own::PERCENT, earlier.percent_of_lung)?;
            values.count(own::CTSS, earlier.ctss_0_25.map(usize::from))?;
            let group = values.group(self.tracking("Both lungs")?, codes::LUNG, &self.methods.lesions)?;
            let time_point = self.time_point(Some(n))?;
            groups.extend(group.map(|group| {
                let group = group.with_category(codes::ANATOMICAL_STRUCTURE).with_site(codes::LUNG);
                let group = match earlier.from_report {
                    true => group.without_algorithm().with_comment(FROM_REPORT.into()),
                    false => group,
                };
                at(group, time_point.as_ref())
            }));
        }
        let (Some(comparison), Some(compared)) = (self.comparison(), follow_up.compared()) else { return Ok(groups) };
        let time_point = self.time_point(Some(compared))?;
        let segment = |what: &str| self.newest().and_then(|earlier| earlier.segment(what)).cloned();
        for region in &comparison.regions {
            let lobe = Lobe::ALL.into_iter().find(|lobe| lobe.abbreviation() == region.name);
            let side = LUNG_SEGMENTS.into_iter().find(|(side, ..)| name_of_side(*side) == region.name);
            let (what, finding, site) = match (lobe, side) {
                (Some(lobe), _) => (capital(lobe.name()), codes::LOBE_OF_LUNG, site_of(lobe)),
                (None, Some((_, name, site, _))) => (name.to_owned(), codes::LUNG, site),
                // Both lungs are above.
                (None, None) => continue,
            };
            let mut values = Values::default();
            values.ml(own::OPACITY_VOLUME, Some(region.earlier_ml))?;
            values.percent(own::PERCENT, region.earlier_percent)?;
            values.mean_hu(region.earlier_mean_hu)?;
            let group = values.group(self.tracking(&what)?, finding, &self.methods.anatomy)?;
            groups.extend(group.map(|group| {
                let group = group.with_category(codes::ANATOMICAL_STRUCTURE).with_site(site);
                at(with(group, segment(&what)), time_point.as_ref())
            }));
        }
        for family in self.listed_changes().filter(|family| !family.earlier_ids.is_empty()) {
            let mut values = Values::default();
            values.ml(codes::VOLUME, Some(family.earlier_ml))?;
            values.mean_hu(family.earlier_mean_hu)?;
            let Some(mut group) = self.lesion_group(family, values)? else { continue };
            group = match &family.earlier_ids[..] {
                [single] => with(group, segment(&lesion_name(*single))),
                several => group.with_comment(format!("Of {} of the earlier study together.", named(several))),
            };
            if family.fate == LesionFate::NotComparable {
                group = judged(group, family);
            }
            groups.push(at(group, time_point.as_ref()));
        }
        Ok(groups)
    }

    /// What is new, persists and is gone, voxel by voxel.
    pub(super) fn change(&self, map: &LabelMap) -> Result<Segmentation, Error> {
        let title = SegmentationTitle::new("CHANGE", "Opacity since the earlier study (research use)", 4)?;
        let single: [u8; 4] = std::array::from_fn(|label| label as u8);
        let mut segments = Vec::new();
        for (label, name, modifier, colour) in CHANGES {
            let (category, algorithm) = (codes::MORPHOLOGICALLY_ABNORMAL_STRUCTURE, self.methods.lesions.clone());
            let segment =
                Segment::new(name, category, codes::OPACITY, algorithm, colour)?.with_region(codes::LUNG, None);
            let segment = match modifier {
                Some(modifier) => segment.with_modifier(modifier),
                None => segment,
            };
            let label = usize::from(label);
            segments.push((segment, LabelSet { map, labels: &single[label..=label] }));
        }
        binary_segmentation(self.context, &title, &segments)
    }
}

/// The change of a family of lesions.
fn differences(family: &LesionChange) -> Result<Vec<Measurement>, Error> {
    let mut values = Values(vec![change(codes::DIFFERENCE_IN_SIZE, family.change_ml, family.uncertainty_ml)?]);
    values.percent(codes::DIFFERENCE_IN_SIZE, family.change_percent)?;
    Ok(values.0)
}

/// With what became of it and which way it went.
fn judged(group: MeasurementGroup, family: &LesionChange) -> MeasurementGroup {
    let fate = match family.fate {
        LesionFate::New => return group.with_evaluation(codes::QUALITATIVE_DIFFERENCE, codes::NEW),
        LesionFate::Resolved => return group.with_evaluation(codes::QUALITATIVE_DIFFERENCE, codes::RESOLVED),
        LesionFate::NotComparable => return group.with_evaluation(own::FATE, own::NOT_COMPARABLE),
        LesionFate::Persisting => None,
        LesionFate::Merged => Some(own::MERGED),
        LesionFate::Split => Some(own::SPLIT),
        LesionFate::Regrouped => Some(own::REGROUPED),
    };
    let group = match family.trend {
        Some(Trend::Grown) => group.with_evaluation(codes::QUALITATIVE_DIFFERENCE, codes::INCREASE_IN_SIZE),
        Some(Trend::Shrunk) => group.with_evaluation(codes::QUALITATIVE_DIFFERENCE, codes::DECREASE_IN_SIZE),
        Some(Trend::Unchanged) => group.with_evaluation(codes::QUALITATIVE_DIFFERENCE, codes::NO_SIGNIFICANT_CHANGE),
        None => group,
    };
    match fate {
        Some(fate) => group.with_evaluation(own::FATE, fate),
        None => group,
    }
}

/// `lesion 3`, or `lesions 1, 4`.
fn named(ids: &[usize]) -> String {
    let list = ids.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    if ids.len() == 1 { format!("lesion {list}") } else { format!("lesions {list}") }
}
