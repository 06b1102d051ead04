//! The numbers of an earlier study from its measurement report (TID 1500) alone: ours, or another's whose codes say what was
//! measured and where.
//!
//! Codes alone are believed, never names. What may be counted twice, or is of a part of the lungs only, is left out.

use std::collections::BTreeSet;

use hilum_dicom::{Code, Concept, FindingSite, Quantity, ReportDocument, ReportedGroup, codes};
use hilum_findings::EarlierStudy;

use super::own;

/// A part of the lungs: both of them, one, or a lobe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Lungs,
    Right,
    Left,
    Lobe(usize),
}

/// The places, by code. Those of SRT are what PS3.16 annex D maps to the SNOMED CT codes; older reports have them.
const PLACES: [(Code, Place); 11] = [
    (codes::LUNG, Place::Lungs),
    (Code::new("T-28000", "SRT", "Lung"), Place::Lungs),
    (codes::RIGHT_LUNG, Place::Right),
    (codes::LEFT_LUNG, Place::Left),
    (codes::RIGHT_UPPER_LOBE, Place::Lobe(0)),
    (codes::RIGHT_MIDDLE_LOBE, Place::Lobe(1)),
    (Code::new("T-28300", "SRT", "Middle lobe of right lung"), Place::Lobe(1)),
    (codes::RIGHT_LOWER_LOBE, Place::Lobe(2)),
    (codes::LEFT_UPPER_LOBE, Place::Lobe(3)),
    (Code::new("T-28600", "SRT", "Upper lobe of left lung"), Place::Lobe(3)),
    (codes::LEFT_LOWER_LOBE, Place::Lobe(4)),
];
const VOLUMES: [Code; 2] = [codes::VOLUME, Code::new("G-D705", "SRT", "Volume")];
const LOBES: usize = 5;

impl Place {
    fn of(site: &FindingSite) -> Option<Self> {
        let place = Self::named(&site.site)?;
        // A part of a lobe is none of these places.
        match (place, &site.laterality, &site.topography) {
            (place, None, None) => Some(place),
            (Self::Lungs, Some(side), None) if side.is(codes::RIGHT) => Some(Self::Right),
            (Self::Lungs, Some(side), None) if side.is(codes::LEFT) => Some(Self::Left),
            (Self::Lungs, Some(side), None) if side.is(codes::BILATERAL) => Some(Self::Lungs),
            _ => None,
        }
    }

    fn named(concept: &Concept) -> Option<Self> {
        PLACES.iter().find(|(code, _)| concept.is(*code)).map(|(_, place)| *place)
    }

    /// Whether the other one is a part of this one.
    fn holds(self, other: Self) -> bool {
        match (self, other) {
            (Self::Lungs, other) => other != Self::Lungs,
            (Self::Right, Self::Lobe(lobe)) => lobe < 3,
            (Self::Left, Self::Lobe(lobe)) => lobe >= 3,
            _ => false,
        }
    }
}

/// Millilitres of a volume; `None` in units that are no volume.
fn millilitres(quantity: &Quantity) -> Option<f64> {
    if quantity.unit.scheme != "UCUM" || quantity.value < 0.0 {
        return None;
    }
    let factor = match quantity.unit.value.as_str() {
        "mL" | "ml" | "cm3" => 1.0,
        "mm3" | "uL" | "ul" => 1e-3,
        "L" | "l" | "dm3" => 1e3,
        _ => return None,
    };
    Some(factor * quantity.value)
}

/// The volume of what the group is about; `None` if there is none, or more than one.
fn volume(group: &ReportedGroup) -> Option<f64> {
    let is_volume = |concept: &Concept| VOLUMES.iter().any(|code| concept.is(*code));
    // A mean, or the volume of a part of it, is another number.
    let mut all = group.measurements.iter().filter(|m| is_volume(&m.concept) && m.derivation.is_none());
    match (all.next(), all.next()) {
        (Some(one), None) if one.modifiers.is_empty() => millilitres(one.quantity.as_ref()?),
        _ => None,
    }
}

/// The number of `concept` in `unit`, of our own scheme.
fn ours(group: &ReportedGroup, concept: Code, unit: Code) -> Option<f64> {
    let quantity = group.measurement(concept)?.quantity.as_ref()?;
    (quantity.unit.is(unit) && quantity.value >= 0.0).then_some(quantity.value)
}

/// The groups of the report's own study: of several time points (TID 1502) the last.
fn latest(report: &ReportDocument) -> impl Iterator<Item = &ReportedGroup> {
    let order = |group: &ReportedGroup| group.circumstance(codes::TIME_POINT_ORDER).map(|order| order.value);
    let last = report.groups.iter().filter_map(order).max_by(f64::total_cmp);
    report.groups.iter().filter(move |group| order(group) == last)
}

/// Where a group lies: its one site, or else what it is about.
fn place(group: &ReportedGroup) -> Option<Place> {
    match &group.sites[..] {
        [site] => Place::of(site),
        [] => Place::named(group.finding.as_ref()?),
        _ => None,
    }
}

/// The volume of both lungs: as such, or of both sides, or of all lobes, each of which must be there once.
fn lungs_ml(groups: &[&ReportedGroup]) -> Option<f64> {
    let structure = |concept: &Concept| concept.is(codes::LOBE_OF_LUNG) || Place::named(concept).is_some();
    let found: Vec<(Place, f64)> = groups
        .iter()
        .filter(|group| group.finding.as_ref().is_some_and(structure))
        .filter_map(|group| Some((place(group)?, volume(group)?)))
        .collect();
    let once = |wanted: Place| {
        let mut all = found.iter().filter(|(place, _)| *place == wanted);
        all.next().filter(|_| all.next().is_none()).map(|(_, ml)| *ml)
    };
    let sides = || Some(once(Place::Right)? + once(Place::Left)?);
    let lobes = || (0..LOBES).map(|lobe| once(Place::Lobe(lobe))).sum();
    if found.iter().any(|(place, _)| *place == Place::Lungs) { once(Place::Lungs) } else { sides().or_else(lobes) }
}

/// The volume of one kind of finding in the lungs; `None` if there is none, if one has no volume or place, or if some may be
/// parts of others.
fn findings_ml(groups: &[&ReportedGroup], finding: Code) -> Option<f64> {
    let of_kind = groups.iter().filter(|group| group.finding.as_ref().is_some_and(|f| f.is(finding)));
    let found: Option<Vec<(Place, f64)>> = of_kind.clone().map(|group| Some((place(group)?, volume(group)?))).collect();
    let found = found.filter(|found| !found.is_empty())?;
    let nested = found.iter().any(|(a, _)| found.iter().any(|(b, _)| a.holds(*b)));
    // One tracking UID twice is one finding measured twice.
    let mut seen = BTreeSet::new();
    let twice = of_kind.filter_map(|group| group.tracking_uid.as_ref()).any(|uid| !seen.insert(uid));
    (!nested && !twice).then(|| found.iter().map(|(_, ml)| ml).sum())
}

/// The numbers of the study that a report is about. Dates are `YYYYMMDD`.
///
/// A group on both lungs with our own codes (`99HILUM`) gives them as they are. Otherwise they are put together from volumes
/// (SCT 118565006): of lungs or lobes, and of opacities (DCM 112001, DCM 112120, SCT 95436008) whose site is a lung or lobe.
/// The total is that of opacities of any kind, or of ground glass and consolidation where both are there; a report that has
/// all three leaves open whether one is the sum of the others. `None` if nothing can be told.
#[must_use]
pub fn numbers_of_report(
    report: &ReportDocument,
    date: Option<&str>,
    current_date: Option<&str>,
) -> Option<EarlierStudy> {
    let groups: Vec<&ReportedGroup> = latest(report).collect();
    let reported = EarlierStudy {
        study_uid: Some(report.study_uid.clone()).filter(|uid| !uid.is_empty()),
        ..EarlierStudy::reported(date, current_date)
    };
    let mut whole = groups
        .iter()
        .filter(|g| place(g) == Some(Place::Lungs) && ours(g, own::OPACITY_VOLUME, codes::MILLILITRE).is_some());
    let numbers = match (whole.next(), whole.next()) {
        (Some(group), None) => EarlierStudy {
            lung_ml: volume(group),
            lesion_ml: ours(group, own::OPACITY_VOLUME, codes::MILLILITRE),
            ground_glass_ml: ours(group, own::GROUND_GLASS_VOLUME, codes::MILLILITRE),
            consolidation_ml: ours(group, own::CONSOLIDATION_VOLUME, codes::MILLILITRE),
            percent_of_lung: ours(group, own::PERCENT, codes::PERCENT).filter(|percent| *percent <= 100.0),
            ctss_0_25: ours(group, own::CTSS, codes::NO_UNITS)
                .filter(|score| score.fract() == 0.0 && *score <= 25.0)
                .map(|score| score as u8),
            ..reported
        },
        _ => {
            let lung_ml = lungs_ml(&groups);
            let ml = |finding| findings_ml(&groups, finding);
            let is_there = |code| groups.iter().any(|g| g.finding.as_ref().is_some_and(|f| f.is(code)));
            let (ground_glass_ml, consolidation_ml) = (ml(codes::GROUND_GLASS_OPACITY), ml(codes::LUNG_CONSOLIDATION));
            let kinds = is_there(codes::GROUND_GLASS_OPACITY) || is_there(codes::LUNG_CONSOLIDATION);
            let lesion_ml = match (is_there(codes::OPACITY), kinds) {
                (true, false) => ml(codes::OPACITY),
                (false, _) => ground_glass_ml.zip(consolidation_ml).map(|(a, b)| a + b),
                (true, true) => None,
            };
            let percent_of_lung = lesion_ml
                .zip(lung_ml)
                .filter(|(lesion, lung)| *lung > 0.0 && lesion <= lung)
                .map(|(lesion, lung)| 100.0 * lesion / lung);
            EarlierStudy { lung_ml, lesion_ml, ground_glass_ml, consolidation_ml, percent_of_lung, ..reported }
        }
    };
    let known = [numbers.lung_ml, numbers.lesion_ml, numbers.ground_glass_ml, numbers.consolidation_ml];
    known.iter().any(Option::is_some).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use hilum_dicom::ReportedMeasurement;

    use super::*;

    fn group(finding: Code, site: Option<Code>, side: Option<Code>, ml: f64) -> ReportedGroup {
        let quantity = Some(Quantity { value: ml, unit: codes::MILLILITRE.into() });
        let volume = ReportedMeasurement { concept: codes::VOLUME.into(), quantity, ..ReportedMeasurement::default() };
        let site = site.map(|s| FindingSite { site: s.into(), laterality: side.map(Into::into), topography: None });
        ReportedGroup {
            finding: Some(finding.into()),
            sites: site.into_iter().collect(),
            measurements: vec![volume],
            ..ReportedGroup::default()
        }
    }

    fn read(groups: Vec<ReportedGroup>) -> Option<EarlierStudy> {
        let report = ReportDocument { groups, study_uid: "1.2".into(), ..ReportDocument::default() };
        numbers_of_report(&report, Some("20260901"), Some("20260911"))
    }

    const LUNG: Code = codes::LUNG;
    const OPACITY: Code = codes::OPACITY;

    #[test]
    fn volumes_of_another_report_are_put_together_by_their_codes() {
        let lungs =
            || [(codes::RIGHT, 2500.0), (codes::LEFT, 1500.0)].map(|(s, ml)| group(LUNG, Some(LUNG), Some(s), ml));
        let lesions = [(codes::RIGHT_LOWER_LOBE, 30.0), (codes::RIGHT_LOWER_LOBE, 8.0), (codes::LEFT_LUNG, 2.0)];
        let lesions = || lesions.map(|(site, ml)| group(OPACITY, Some(site), None, ml));
        let both = read([&lungs()[..], &lesions()[..]].concat()).unwrap();
        assert_eq!((both.lung_ml, both.lesion_ml, both.percent_of_lung), (Some(4000.0), Some(40.0), Some(1.0)));
        assert_eq!((both.days_before, both.from_report, both.ctss_0_25), (Some(10), true, None));

        let kinds = [(codes::GROUND_GLASS_OPACITY, 5.0), (codes::LUNG_CONSOLIDATION, 7.0)];
        let kinds = || kinds.map(|(finding, ml)| group(finding, Some(LUNG), None, ml));
        let total = |groups: &[ReportedGroup]| read(groups.to_vec()).map(|n| n.lesion_ml);
        assert_eq!(total(&kinds()), Some(Some(12.0)));
        assert_eq!(total(&kinds()[..1]), Some(None), "of consolidation nothing is said");
        assert_eq!(total(&[&kinds()[..], &lesions()[..]].concat()), Some(None), "sum or third kind");
    }

    #[test]
    fn what_is_a_part_may_be_counted_twice_or_is_something_else_gives_no_number() {
        let in_lung = group(OPACITY, Some(LUNG), None, 30.0);
        let in_lobe = group(OPACITY, Some(codes::LEFT_UPPER_LOBE), None, 9.0);
        let tracked = ReportedGroup { tracking_uid: Some("1.9".into()), ..in_lobe.clone() };
        let mut litres = in_lung.clone();
        litres.measurements[0].quantity.as_mut().unwrap().unit =
            Concept { value: "mm".into(), ..codes::MILLILITRE.into() };
        let mut mean = in_lung.clone();
        mean.measurements[0].derivation = Some(codes::MEAN.into());
        for (groups, why) in [
            (vec![group(LUNG, Some(LUNG), Some(codes::RIGHT), 2500.0)], "one lung"),
            (vec![group(LUNG, Some(LUNG), None, 2000.0); 2], "the same twice"),
            (vec![in_lung, in_lobe], "one within the other"),
            (vec![tracked; 2], "one finding measured twice"),
            (vec![group(Code::new("4147007", "SCT", "Mass"), Some(LUNG), None, 9.0)], "no opacity"),
            (vec![group(OPACITY, Some(codes::CHEST), None, 9.0)], "not in the lungs"),
            (vec![litres], "a length"),
            (vec![mean], "a mean"),
        ] {
            assert_eq!(read(groups), None, "{why}");
        }
    }
}
