//! What changed since earlier studies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::assemble::rounded;
use crate::{Findings, Lobe, Note};

/// The study beside earlier ones of the same patient.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FollowUp {
    /// Date of this study, `YYYY-MM-DD`.
    pub study_date: Option<String>,
    /// Earlier studies, the newest first. Compared with is the first that is not known from its report alone.
    pub earlier: Vec<EarlierStudy>,
    /// Change since the newest earlier study, lobe by lobe and opacity by opacity; null if the two could not be brought
    /// onto each other.
    pub comparison: Option<Comparison>,
    /// What makes the comparison less sure.
    pub cautions: Vec<Note>,
}

/// The numbers of an earlier study, as they were measured on its own grid, or as its report gives them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EarlierStudy {
    /// Its date, `YYYY-MM-DD`.
    pub study_date: Option<String>,
    /// Days from it to this study.
    pub days_before: Option<i64>,
    /// Its Study Instance UID.
    pub study_uid: Option<String>,
    /// Its Series Instance UID.
    pub series_uid: Option<String>,
    /// Volume of both lungs.
    pub lung_ml: Option<f64>,
    /// Volume of all opacities.
    pub lesion_ml: Option<f64>,
    /// Volume of ground-glass.
    pub ground_glass_ml: Option<f64>,
    /// Volume of consolidation.
    pub consolidation_ml: Option<f64>,
    /// Percentage of opacity.
    pub percent_of_lung: Option<f64>,
    /// CT severity score.
    pub ctss_0_25: Option<u8>,
    /// Whether the numbers are those of its report (DICOM SR), not measured again from images.
    #[serde(default)]
    pub from_report: bool,
}

/// Change since one earlier study.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// How well the two scans lie on each other.
    pub registration: RegistrationFit,
    /// Both lungs, the right and the left one, then the five lobes.
    pub regions: Vec<RegionChange>,
    /// Opacities, those of both studies that belong together in one entry; the largest first.
    pub lesions: Vec<LesionChange>,
    /// Opacity where the earlier study had none, on this study's grid.
    pub new_ml: f64,
    /// Opacity in both studies.
    pub persisting_ml: f64,
    /// Opacity of the earlier study where there is none now.
    pub resolved_ml: f64,
}

/// How well two scans lie on each other after registration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationFit {
    /// Dice of the lungs, 0 to 1.
    pub lung_dice: f64,
    /// Mean distance between the surfaces of the lungs, mm.
    pub surface_mm: f64,
    /// Correlation of vessels and fissures within the lungs, −1 to 1; null if the earlier result holds no image.
    pub texture_correlation: Option<f64>,
    /// Mean length of the deformation on top of the affine map, mm.
    pub deformation_mm: f64,
    /// Share of this study's lungs that the earlier one shows, in percent.
    pub common_percent: f64,
    /// Share of lung voxels, in percent, where the deformation folded; it was then reduced until it did not.
    pub folded_percent: f64,
}

/// Which way something went, beyond what the measurement leaves uncertain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    /// More than before.
    Grown,
    /// Less than before.
    Shrunk,
    /// No change beyond the uncertainty.
    Unchanged,
}

/// Opacity of a lobe or lung then and now. Percentages are of the region's own volume in its own study, which takes much
/// of a different breath out of the comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegionChange {
    /// `lungs`, `right`, `left`, or the abbreviation of a lobe.
    pub name: String,
    /// Opacity then.
    pub earlier_ml: f64,
    /// Opacity now.
    pub ml: f64,
    /// Now less then.
    pub change_ml: f64,
    /// What the volumes leave uncertain, see the definitions.
    pub uncertainty_ml: f64,
    /// Opacity then in percent of the region; null if it was not found.
    pub earlier_percent: Option<f64>,
    /// Opacity now in percent of the region; null if it was not found.
    pub percent: Option<f64>,
    /// Now less then, in percentage points.
    pub change_points: Option<f64>,
    /// Mean HU of the region then.
    pub earlier_mean_hu: Option<f64>,
    /// Mean HU of the region now.
    pub mean_hu: Option<f64>,
    /// Which way it went; null if the region was not found in both.
    pub trend: Option<Trend>,
}

/// What became of an opacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LesionFate {
    /// Not there before.
    New,
    /// There before and now.
    Persisting,
    /// There before, gone now.
    Resolved,
    /// Several before, one now.
    Merged,
    /// One before, several now.
    Split,
    /// Several before and several others now.
    Regrouped,
    /// In a part of the chest that only one of the studies shows.
    NotComparable,
}

/// Opacities of both studies that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LesionChange {
    /// What became of it.
    pub fate: LesionFate,
    /// Which way its volume went; null for what is only in one study.
    pub trend: Option<Trend>,
    /// Numbers of its components in this study, as in `lesions.components`; those too small to be listed have higher ones.
    pub ids: Vec<usize>,
    /// Numbers of its components in the earlier study's findings.
    pub earlier_ids: Vec<usize>,
    /// The lobe that holds most of it now, or held most of it.
    pub lobe: Option<Lobe>,
    /// Volume then.
    pub earlier_ml: f64,
    /// Volume now.
    pub ml: f64,
    /// Now less then.
    pub change_ml: f64,
    /// The same in percent of the earlier volume; null for what is new.
    pub change_percent: Option<f64>,
    /// What the volumes leave uncertain, see the definitions.
    pub uncertainty_ml: f64,
    /// Mean HU then.
    pub earlier_mean_hu: Option<f64>,
    /// Mean HU now.
    pub mean_hu: Option<f64>,
}

impl FollowUp {
    /// Which of the earlier studies is the one compared with; `None` if of all of them there are reports alone.
    #[must_use]
    pub fn compared(&self) -> Option<usize> {
        self.earlier.iter().position(|study| !study.from_report)
    }

    /// With as many decimals as the other findings have: 3 of millilitres, 4 of percentages and 1 of HU.
    pub(crate) fn rounded(mut self) -> Self {
        let Some(comparison) = &mut self.comparison else { return self };
        let ml = |values: &mut [&mut f64]| values.iter_mut().for_each(|v| **v = rounded(**v, 3));
        let some = |values: &mut [&mut Option<f64>], decimals| {
            values.iter_mut().for_each(|v| **v = v.map(|v| rounded(v, decimals)));
        };
        ml(&mut [&mut comparison.new_ml, &mut comparison.persisting_ml, &mut comparison.resolved_ml]);
        for r in &mut comparison.regions {
            ml(&mut [&mut r.earlier_ml, &mut r.ml, &mut r.change_ml, &mut r.uncertainty_ml]);
            some(&mut [&mut r.earlier_percent, &mut r.percent, &mut r.change_points], 4);
            some(&mut [&mut r.earlier_mean_hu, &mut r.mean_hu], 1);
        }
        for l in &mut comparison.lesions {
            ml(&mut [&mut l.earlier_ml, &mut l.ml, &mut l.change_ml, &mut l.uncertainty_ml]);
            some(&mut [&mut l.change_percent], 4);
            some(&mut [&mut l.earlier_mean_hu, &mut l.mean_hu], 1);
        }
        self
    }
}

impl EarlierStudy {
    /// The numbers of an earlier study's findings. Dates are `YYYYMMDD`, as in DICOM.
    #[must_use]
    pub fn of(findings: &Findings, date: Option<&str>, current_date: Option<&str>) -> Self {
        let days = date.and_then(day_number).zip(current_date.and_then(day_number));
        Self {
            study_date: date.and_then(iso_date),
            days_before: days.map(|(then, now)| now - then),
            study_uid: findings.series.study_uid.clone(),
            series_uid: findings.series.series_uid.clone(),
            lung_ml: findings.anatomy.lung_volume_ml.total,
            lesion_ml: findings.lesions.total_ml,
            ground_glass_ml: findings.lesions.ground_glass_ml,
            consolidation_ml: findings.lesions.consolidation_ml,
            percent_of_lung: findings.lesions.percent_of_lung,
            ctss_0_25: findings.scores.ctss_0_25,
            from_report: false,
        }
    }

    /// A study of `date` that its report alone tells of, without numbers yet. Dates are `YYYYMMDD`, as in DICOM.
    #[must_use]
    pub fn reported(date: Option<&str>, current_date: Option<&str>) -> Self {
        Self { from_report: true, ..Self::of(&Findings::default(), date, current_date) }
    }
}

/// `20261124` as `2026-11-24`; `None` if it is no date.
#[must_use]
pub fn iso_date(date: &str) -> Option<String> {
    day_number(date)?;
    Some(format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..8]))
}

/// Days since 1970-01-01 of a date `YYYYMMDD` (Howard Hinnant's days_from_civil).
fn day_number(date: &str) -> Option<i64> {
    if date.len() != 8 || !date.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let [year, month, day]: [i64; 3] = [date[..4].parse().ok()?, date[4..6].parse().ok()?, date[6..].parse().ok()?];
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_over_leap_years() {
        let between = |a: &str, b: &str| day_number(b).unwrap() - day_number(a).unwrap();
        assert_eq!(day_number("19700101"), Some(0));
        assert_eq!(between("20240228", "20240301"), 2);
        assert_eq!(between("20230228", "20230301"), 1);
        assert_eq!(between("20251124", "20261124"), 365);
        assert_eq!((day_number("2026112"), day_number("20261324"), iso_date("")), (None, None, None));
    }
}
