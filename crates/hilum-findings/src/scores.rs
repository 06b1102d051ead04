//! Scores of lobes and lungs from percentages.
//!
//! Percentages run from 0 to 100 and are not rounded beforehand. Any opacity at all, be it less than one percent, scores
//! at least 1: the publications leave the range between 0 and 1 % open, and a lobe with an opacity is not free of it.

use crate::clinical::{CT_SEVERITY_PERCENT, CTSS_MINIMAL_BELOW_PERCENT, CTSS_UP_TO_PERCENT, LSS_UP_TO_PERCENT};

/// The lobe's part of the CT severity score (CTSS), 0 to 5, from its percentage of opacity.
///
/// 0: none; 1: < 5 %; 2: 5–25 %; 3: to 50 %; 4: to 75 %; 5: above. Pan et al., Radiology 2020,
/// doi 10.1148/radiol.2020200370.
///
/// ```
/// assert_eq!(hilum_findings::ctss_of_lobe(4.9), 1);
/// assert_eq!(hilum_findings::ctss_of_lobe(5.0), 2);
/// ```
#[must_use]
pub fn ctss_of_lobe(percent: f64) -> u8 {
    if percent <= 0.0 {
        0
    } else if percent < CTSS_MINIMAL_BELOW_PERCENT {
        1
    } else {
        2 + steps_above(percent, CTSS_UP_TO_PERCENT)
    }
}

/// The lobe's part of the lung severity score, 0 to 4, from its percentage of opacity; of the lung high opacity score, from
/// its percentage of high opacity.
///
/// 0: none; 1: to 25 %; 2: to 50 %; 3: to 75 %; 4: above. Chaganti et al., Radiol Artif Intell 2020,
/// doi 10.1148/ryai.2020200048.
#[must_use]
pub fn lss_of_lobe(percent: f64) -> u8 {
    if percent <= 0.0 { 0 } else { 1 + steps_above(percent, LSS_UP_TO_PERCENT) }
}

/// CT-0 to CT-4 from the percentage of opacity of the more involved lung.
///
/// 0: none; 1: < 25 %; 2: 25–50 %; 3: to 75 %; 4: above. Morozov et al., arXiv 2005.06465.
#[must_use]
pub fn ct_severity(percent_of_more_involved_lung: f64) -> u8 {
    let percent = percent_of_more_involved_lung;
    if percent <= 0.0 {
        0
    } else if percent < CT_SEVERITY_PERCENT[0] {
        1
    } else {
        2 + steps_above(percent, [CT_SEVERITY_PERCENT[1], CT_SEVERITY_PERCENT[2]])
    }
}

/// How many of the limits lie below `percent`.
fn steps_above<const N: usize>(percent: f64, limits: [f64; N]) -> u8 {
    limits.iter().filter(|limit| percent > **limit).count() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        percent: f64,
        ctss: u8,
        lss: u8,
        ct: u8,
        why: &'static str,
    }

    /// Sources: Pan 2020 for CTSS, Chaganti 2020 for LSS and LHOS, Morozov 2020 for CT-0 to CT-4.
    const CASES: [Case; 20] = [
        Case { percent: 0.0, ctss: 0, lss: 0, ct: 0, why: "no opacity" },
        Case { percent: 1e-9, ctss: 1, lss: 1, ct: 1, why: "a trace is not none" },
        Case { percent: 0.4, ctss: 1, lss: 1, ct: 1, why: "below 1 %, which Chaganti leaves open" },
        Case { percent: 1.0, ctss: 1, lss: 1, ct: 1, why: "lower end of LSS 1" },
        Case { percent: 4.999, ctss: 1, lss: 1, ct: 1, why: "CTSS 1 is < 5 %" },
        Case { percent: 5.0, ctss: 2, lss: 1, ct: 1, why: "CTSS 2 is 5–25 %" },
        Case { percent: 24.999, ctss: 2, lss: 1, ct: 1, why: "CT-1 is < 25 %" },
        Case { percent: 25.0, ctss: 2, lss: 1, ct: 2, why: "CT-2 is 25–50 %; CTSS 2 and LSS 1 include 25 %" },
        Case { percent: 25.001, ctss: 3, lss: 2, ct: 2, why: "between 25 and 26 counts as 26" },
        Case { percent: 26.0, ctss: 3, lss: 2, ct: 2, why: "lower end of CTSS 3 and LSS 2" },
        Case { percent: 49.0, ctss: 3, lss: 2, ct: 2, why: "upper end of Pan's score 3" },
        Case { percent: 50.0, ctss: 3, lss: 2, ct: 2, why: "LSS 2 and CT-2 include 50 %; CTSS joined likewise" },
        Case { percent: 50.001, ctss: 4, lss: 3, ct: 3, why: "between 50 and 51 counts as 51" },
        Case { percent: 51.0, ctss: 4, lss: 3, ct: 3, why: "lower end of LSS 3" },
        Case { percent: 75.0, ctss: 4, lss: 3, ct: 3, why: "CTSS 5 and CT-4 are > 75 %" },
        Case { percent: 75.001, ctss: 5, lss: 4, ct: 4, why: "just above 75 %" },
        Case { percent: 76.0, ctss: 5, lss: 4, ct: 4, why: "lower end of LSS 4" },
        Case { percent: 99.999, ctss: 5, lss: 4, ct: 4, why: "nearly all" },
        Case { percent: 100.0, ctss: 5, lss: 4, ct: 4, why: "all" },
        Case { percent: 100.0 * 1.0 / 4.0, ctss: 2, lss: 1, ct: 2, why: "a quarter of a lobe is 25 exactly" },
    ];

    #[test]
    fn scores_follow_their_sources() {
        for case in CASES {
            let got = (ctss_of_lobe(case.percent), lss_of_lobe(case.percent), ct_severity(case.percent));
            assert_eq!(got, (case.ctss, case.lss, case.ct), "{} %: {}", case.percent, case.why);
        }
    }

    #[test]
    fn counted_quarters_hit_the_limits_exactly() {
        for whole in [4_u64, 12, 700_000, 33_333_332] {
            for quarters in 1..=3_u64 {
                let percent = 100.0 * (whole / 4 * quarters) as f64 / whole as f64;
                assert_eq!(lss_of_lobe(percent), quarters as u8, "{quarters} quarters of {whole} voxels");
            }
        }
    }
}
