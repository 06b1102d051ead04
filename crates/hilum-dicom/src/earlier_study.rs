//! Earlier studies of the same patient, as a measurement report names them: when, which images, and by which identifiers
//! their findings are followed.

use std::collections::BTreeMap;

use crate::attributes::Attributes;
use crate::code::{checked_text, is_uid};
use crate::codes::sr;
use crate::measurement_report::SegmentReference;
use crate::origin::ImageUids;
use crate::sr_content::{Item, Relation};
use crate::{Error, Origin, ReportDocument, ReportedGroup, ResultContext, codes};

/// When a group was measured, among the studies of one patient (PS3.16 TID 1502).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimePoint {
    label: String,
    order: u32,
    days_from_baseline: Option<i64>,
}

impl TimePoint {
    /// Number `order` among the studies, the oldest being 1, called `label`.
    ///
    /// # Errors
    /// [`Error::Unwritable`] if the label is empty or has more than 64 characters.
    pub fn new(label: &str, order: u32) -> Result<Self, Error> {
        Ok(Self { label: checked_text("the time point", label, 64)?, order, days_from_baseline: None })
    }

    /// So many days after the oldest of the studies.
    #[must_use]
    pub fn with_days_from_baseline(self, days: i64) -> Self {
        Self { days_from_baseline: Some(days), ..self }
    }

    pub(crate) fn order(&self) -> u32 {
        self.order
    }

    pub(crate) fn items(&self) -> Result<Vec<Item>, Error> {
        let context = Relation::HasObsContext;
        let order = Item::number(codes::TIME_POINT_ORDER, f64::from(self.order), codes::NO_UNITS)?;
        let mut items = vec![Item::text(context, codes::TIME_POINT, &self.label), order.related(context)];
        if let Some(days) = self.days_from_baseline {
            let mut offset = Item::number(sr::TEMPORAL_OFFSET, days as f64, codes::DAY)?.related(context);
            offset.push(Item::code(Relation::HasConceptMod, sr::TEMPORAL_EVENT, sr::BASELINE));
            items.push(offset);
        }
        Ok(items)
    }
}

/// An earlier study that a report compares with, and the objects its numbers come from.
///
/// It holds UIDs and a date, nothing that says who the patient is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierStudy {
    pub(crate) study_uid: String,
    pub(crate) series_uid: String,
    /// `YYYYMMDD`.
    date: Option<String>,
    frame_of_reference_uid: Option<String>,
    pub(crate) images: Vec<ImageUids>,
    /// Its own measurement report: series, class and instance.
    report: Option<[String; 3]>,
    /// By tracking identifier: the UID, and the segment that was measured.
    tracked: BTreeMap<String, (String, Option<SegmentReference>)>,
}

impl EarlierStudy {
    /// A series that was read.
    #[must_use]
    pub fn of(origin: &Origin) -> Self {
        Self {
            study_uid: origin.study_uid.clone(),
            series_uid: origin.series_uid.clone(),
            date: origin.identity().study_date,
            frame_of_reference_uid: Some(origin.frame_of_reference_uid.clone()),
            images: origin.images.clone(),
            report: None,
            tracked: BTreeMap::new(),
        }
    }

    /// The study that a measurement report of ours is about; `None` if it does not name its images. `date` is that of the
    /// study, `YYYYMMDD`.
    #[must_use]
    pub fn of_report(report: &ReportDocument, date: Option<&str>) -> Option<Self> {
        let named = |uid: &str| report.evidence.iter().find(|e| e.sop_instance_uid == uid);
        // The library begins with the images that were read; what follows may be those of a study earlier still.
        let first = named(&report.image_library.first()?.sop_instance_uid)?;
        let (study_uid, series_uid) = (first.study_uid.clone(), first.series_uid.clone());
        if !is_uid(&study_uid) || !is_uid(&series_uid) {
            return None;
        }
        let is_own = |uid: &str| named(uid).is_some_and(|e| e.study_uid == study_uid && e.series_uid == series_uid);
        let images = report.image_library.iter().filter(|image| is_own(&image.sop_instance_uid));
        let images = images
            .map(|i| ImageUids { class: i.sop_class_uid.clone(), instance: i.sop_instance_uid.clone() })
            .collect();
        let latest = report.groups.iter().filter_map(order).max_by(f64::total_cmp);
        let tracked = report
            .groups
            .iter()
            .filter(|group| order(group) == latest)
            .filter_map(|group| {
                let id = group.tracking_id.clone()?;
                let uid = group.tracking_uid.clone()?;
                let segment = group.segments.first().and_then(|object| {
                    let series = &named(&object.sop_instance_uid)?.series_uid;
                    SegmentReference::of_earlier(object, series, &study_uid, &series_uid)
                });
                Some((id, (uid, segment)))
            })
            .collect();
        let own = [&report.series_uid, &report.sop_class_uid, &report.sop_instance_uid].map(Clone::clone);
        let is_date = |date: &&str| date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit());
        Some(Self {
            study_uid,
            series_uid,
            date: date.filter(is_date).map(str::to_owned),
            frame_of_reference_uid: None,
            images,
            report: Some(own).filter(|[series, ..]| is_uid(series)),
            tracked,
        })
    }

    /// Series Instance UID of the images.
    #[must_use]
    pub fn series_uid(&self) -> &str {
        &self.series_uid
    }

    /// The UID by which the earlier report follows `what`; `None` if there is no such report, or it does not follow it.
    #[must_use]
    pub fn tracking_uid(&self, what: &str) -> Option<&str> {
        self.tracked.get(what).map(|(uid, _)| uid.as_str())
    }

    /// The segment that the earlier report measured for `what`.
    #[must_use]
    pub fn segment(&self, what: &str) -> Option<&SegmentReference> {
        self.tracked.get(what)?.1.as_ref()
    }

    /// Its images as a group of the image library.
    pub(crate) fn library_group(&self) -> Item {
        let mut group = Item::container(sr::IMAGE_LIBRARY_GROUP, None);
        group.push(Item::code(Relation::HasAcqContext, sr::MODALITY, sr::CT));
        if let Some(date) = &self.date {
            group.push(Item::date(Relation::HasAcqContext, sr::STUDY_DATE, date));
        }
        if let Some(uid) = &self.frame_of_reference_uid {
            group.push(Item::uid(Relation::HasAcqContext, sr::FRAME_OF_REFERENCE_UID, uid));
        }
        group.with(self.images.iter().map(|image| Item::image(None, &image.class, &image.instance, None)))
    }

    /// Its report as a predecessor, whose content is in this one in part (PS3.3 C.17.2).
    pub(crate) fn predecessor(&self) -> Option<Attributes> {
        let [series, class, instance] = self.report.as_ref()?;
        let objects = BTreeMap::from([(series.as_str(), [(class.as_str(), instance.as_str())].into())]);
        Some(crate::measurement_report::evidence(&self.study_uid, &objects))
    }
}

/// The number of a group's time point.
fn order(group: &ReportedGroup) -> Option<f64> {
    group.circumstance(codes::TIME_POINT_ORDER).map(|order| order.value)
}

impl ResultContext<'_> {
    /// The UID by which an earlier study's report follows `what`: the one it has, or without a report the one that this
    /// program gives it.
    #[must_use]
    pub fn earlier_tracking_uid(&self, earlier: &EarlierStudy, what: &str) -> String {
        earlier.tracking_uid(what).map_or_else(|| self.tracking_uid_in(&earlier.series_uid, what), str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_point_has_a_name() {
        assert!(TimePoint::new("", 1).is_err());
        assert_eq!(TimePoint::new("This study", 2).unwrap().with_days_from_baseline(3).items().unwrap().len(), 3);
    }
}
