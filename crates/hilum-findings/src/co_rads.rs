//! A suggested CO-RADS grade with its reasons.
//!
//! Prokop et al., Radiology 2020, doi 10.1148/radiol.2020201473, grade by pattern and distribution as a reader sees them.
//! Of that only what can be measured from outlines and density is used here: how much, on which sides, how many foci, how
//! near the pleura, how much of it ground-glass. Patterns such as tree-in-bud, crazy paving, cavities, nodules or fibrosis
//! are not recognised, so grade 1 does not exclude non-infectious disease and grade 2 is given for lobar consolidation
//! only. Where the paper has words the cut points of [`crate::clinical`] stand, each marked there as an assumption.

use crate::clinical::{
    CONSOLIDATION_BELOW_GROUND_GLASS_SHARE, EXTENSIVE_FROM_PERCENT, HOMOGENEOUS_FROM_SHARE, ONE_LOBE_FROM_SHARE,
    PERIHILAR_BELOW_RATIO, PERIPHERAL_DEPTH_MM, PERIPHERAL_FROM_SHARE, SMALL_BELOW_PERCENT, THICK_SLICES_FROM_MM,
};
use crate::{CoRads, Reason};

/// What the grade rests on. Shares are of the lesion volume, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoRadsEvidence {
    /// Components large enough to be listed.
    pub listed_components: usize,
    /// Opacities in percent of the lungs.
    pub percent_of_lung: f64,
    /// Both lungs are involved.
    pub bilateral: bool,
    /// There are several foci.
    pub multifocal: bool,
    /// Share in the outer layer of the lung.
    pub peripheral_share: f64,
    /// Share of the lung itself in its outer layer.
    pub peripheral_share_of_lung: f64,
    /// Share behind the centre of the lung.
    pub posterior_share: f64,
    /// Share in the lower lobes.
    pub lower_lobe_share: f64,
    /// Share in the lobe that holds most.
    pub largest_lobe_share: f64,
    /// Share of ground-glass; `None` if the kinds were not told apart.
    pub ground_glass_share: Option<f64>,
    /// Distance between slices, in millimetres.
    pub slice_spacing_mm: f64,
}

/// The grade of what may or may not be COVID-19.
const EQUIVOCAL: u8 = 3;

/// The suggested grade, 1 to 5, never 6 (which stands for a positive test) and never 0 (which a reader gives to a scan that
/// is technically insufficient).
#[must_use]
pub fn suggest_co_rads(evidence: &CoRadsEvidence) -> CoRads {
    let mut reasons = Vec::new();
    let mut grade = grade(evidence, &mut reasons);
    if grade > EQUIVOCAL && evidence.slice_spacing_mm >= THICK_SLICES_FROM_MM {
        grade = EQUIVOCAL;
        let text = format!(
            "Slices {:.1} mm apart blur small structures into apparent ground-glass: the pattern is not graded higher.",
            evidence.slice_spacing_mm
        );
        reasons.push(Reason::new("thick_slices", text));
    }
    CoRads { grade: Some(grade), reasons }
}

fn grade(evidence: &CoRadsEvidence, reasons: &mut Vec<Reason>) -> u8 {
    let mut say = |code: &str, text: String| reasons.push(Reason::new(code, text));
    if evidence.listed_components == 0 {
        say(
            "no_opacity",
            "No opacity of relevant size was found. Non-infectious changes such as emphysema, nodules or fibrosis were not \
             looked for."
                .into(),
        );
        return 1;
    }

    let share = |value: f64| format!("{:.0} %", 100.0 * value);
    let peripheral = evidence.peripheral_share >= PERIPHERAL_FROM_SHARE
        && evidence.peripheral_share >= evidence.peripheral_share_of_lung;
    if evidence.bilateral {
        say("bilateral", "Both lungs are involved.".into());
    } else {
        say("unilateral", "Only one lung is involved to a relevant extent.".into());
    }
    if evidence.multifocal {
        say("multifocal", "There are several separate foci.".into());
    } else {
        say("unifocal", "There is no more than one focus of relevant size.".into());
    }
    let place = format!(
        "{} of the opacities lie within {PERIPHERAL_DEPTH_MM} mm of the outer surface of the lung, which holds {} of the lung.",
        share(evidence.peripheral_share),
        share(evidence.peripheral_share_of_lung)
    );
    say(if peripheral { "peripheral" } else { "not_peripheral" }, place);
    if evidence.posterior_share >= 0.5 && evidence.lower_lobe_share >= 0.5 {
        say(
            "posterior_basal",
            format!(
                "{} lie behind the centre of the lung and {} in the lower lobes.",
                share(evidence.posterior_share),
                share(evidence.lower_lobe_share)
            ),
        );
    }
    match evidence.ground_glass_share {
        Some(ground_glass) => {
            say("ground_glass_share", format!("{} of the opacities are ground-glass.", share(ground_glass)));
        }
        None => say("kind_unknown", "Ground-glass and consolidation were not told apart.".into()),
    }

    if evidence.ground_glass_share.is_some_and(|share| share < CONSOLIDATION_BELOW_GROUND_GLASS_SHARE) {
        if !evidence.bilateral && evidence.largest_lobe_share >= ONE_LOBE_FROM_SHARE {
            say("lobar_consolidation", "Consolidation of a single lobe is typical of other infections.".into());
            return 2;
        }
        if evidence.bilateral && evidence.multifocal && peripheral {
            say(
                "multifocal_peripheral_consolidation",
                "Peripheral consolidations in both lungs without much ground-glass are suspicious but not typical."
                    .into(),
            );
            return 4;
        }
        say(
            "consolidation_without_typical_findings",
            "Consolidation without other typical findings is equivocal.".into(),
        );
        return 3;
    }
    if evidence.percent_of_lung < SMALL_BELOW_PERCENT {
        say(
            "small_extent",
            format!(
                "The opacities make up less than {SMALL_BELOW_PERCENT} % of the lungs: too little to tell a pattern."
            ),
        );
        return 3;
    }
    let homogeneous = evidence.ground_glass_share.is_none_or(|share| share >= HOMOGENEOUS_FROM_SHARE);
    if homogeneous && evidence.percent_of_lung >= EXTENSIVE_FROM_PERCENT {
        say("extensive_homogeneous", "Extensive homogeneous opacity is equivocal.".into());
        return 3;
    }
    if evidence.bilateral && evidence.multifocal && peripheral {
        if evidence.ground_glass_share.is_some() {
            say("typical", "Peripheral multifocal ground-glass in both lungs is typical.".into());
            return 5;
        }
        say("typical_distribution", "The distribution is typical, but the kind of opacity is not known.".into());
        return 4;
    }
    if peripheral {
        say("not_bilateral_multifocal", "The opacities are peripheral, but not multifocal in both lungs.".into());
        return 4;
    }
    if evidence.peripheral_share < PERIHILAR_BELOW_RATIO * evidence.peripheral_share_of_lung {
        say("perihilar", "The opacities lie around the hila, which is equivocal.".into());
        return 3;
    }
    if evidence.bilateral && evidence.multifocal {
        say(
            "no_contact_with_pleura",
            "The opacities are multifocal in both lungs, but not predominantly peripheral.".into(),
        );
        return 4;
    }
    say("no_typical_distribution", "The distribution is not typical.".into());
    3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Peripheral multifocal bilateral ground-glass: the textbook case, from which the others deviate.
    const TYPICAL: CoRadsEvidence = CoRadsEvidence {
        listed_components: 8,
        percent_of_lung: 12.0,
        bilateral: true,
        multifocal: true,
        peripheral_share: 0.8,
        peripheral_share_of_lung: 0.5,
        posterior_share: 0.7,
        lower_lobe_share: 0.6,
        largest_lobe_share: 0.4,
        ground_glass_share: Some(0.8),
        slice_spacing_mm: 1.5,
    };

    struct Case {
        evidence: CoRadsEvidence,
        grade: u8,
        decisive: &'static str,
        source: &'static str,
    }

    #[test]
    fn grades_follow_prokop() {
        let cases = [
            Case {
                evidence: CoRadsEvidence { listed_components: 0, ..TYPICAL },
                grade: 1,
                decisive: "no_opacity",
                source: "CO-RADS 1: normal",
            },
            Case {
                evidence: CoRadsEvidence { slice_spacing_mm: 8.0, ..TYPICAL },
                grade: 3,
                decisive: "thick_slices",
                source: "graded on thin sections; assumption",
            },
            Case {
                evidence: CoRadsEvidence {
                    bilateral: false,
                    ground_glass_share: Some(0.1),
                    largest_lobe_share: 0.95,
                    ..TYPICAL
                },
                grade: 2,
                decisive: "lobar_consolidation",
                source: "CO-RADS 2: lobar or segmental consolidation",
            },
            Case {
                evidence: CoRadsEvidence { bilateral: false, ground_glass_share: Some(0.1), ..TYPICAL },
                grade: 3,
                decisive: "consolidation_without_typical_findings",
                source: "CO-RADS 3: consolidation without other typical findings",
            },
            Case {
                evidence: CoRadsEvidence { ground_glass_share: Some(0.2), ..TYPICAL },
                grade: 4,
                decisive: "multifocal_peripheral_consolidation",
                source: "CO-RADS 4: multifocal consolidations without another typical finding",
            },
            Case {
                evidence: CoRadsEvidence { percent_of_lung: 0.49, ..TYPICAL },
                grade: 3,
                decisive: "small_extent",
                source: "CO-RADS 3: small ground-glass opacities",
            },
            Case {
                evidence: CoRadsEvidence { percent_of_lung: 0.5, ..TYPICAL },
                grade: 5,
                decisive: "typical",
                source: "the limit itself is not small",
            },
            Case {
                evidence: CoRadsEvidence { percent_of_lung: 70.0, ground_glass_share: Some(0.95), ..TYPICAL },
                grade: 3,
                decisive: "extensive_homogeneous",
                source: "CO-RADS 3: homogeneous extensive ground-glass",
            },
            Case {
                evidence: TYPICAL,
                grade: 5,
                decisive: "typical",
                source: "CO-RADS 5: multifocal bilateral ground-glass close to the pleura",
            },
            Case {
                evidence: CoRadsEvidence { ground_glass_share: None, ..TYPICAL },
                grade: 4,
                decisive: "typical_distribution",
                source: "ground-glass is mandatory for CO-RADS 5",
            },
            Case {
                evidence: CoRadsEvidence { bilateral: false, ..TYPICAL },
                grade: 4,
                decisive: "not_bilateral_multifocal",
                source: "CO-RADS 4: strictly unilateral",
            },
            Case {
                evidence: CoRadsEvidence { peripheral_share: 0.2, ..TYPICAL },
                grade: 3,
                decisive: "perihilar",
                source: "CO-RADS 3: perihilar ground-glass",
            },
            Case {
                evidence: CoRadsEvidence { peripheral_share: 0.4, ..TYPICAL },
                grade: 4,
                decisive: "no_contact_with_pleura",
                source: "CO-RADS 4: not in contact with the visceral pleura",
            },
            Case {
                evidence: CoRadsEvidence { peripheral_share: 0.55, peripheral_share_of_lung: 0.7, ..TYPICAL },
                grade: 4,
                decisive: "no_contact_with_pleura",
                source: "half at the surface is no predominance where the surface holds more",
            },
            Case {
                evidence: CoRadsEvidence { bilateral: false, multifocal: false, peripheral_share: 0.4, ..TYPICAL },
                grade: 3,
                decisive: "no_typical_distribution",
                source: "CO-RADS 3: opacity not close to the visceral pleura",
            },
        ];
        for case in cases {
            let got = suggest_co_rads(&case.evidence);
            let decisive = got.reasons.last().map(|reason| reason.code.as_str());
            assert_eq!((got.grade, decisive), (Some(case.grade), Some(case.decisive)), "{}", case.source);
        }
    }
}
