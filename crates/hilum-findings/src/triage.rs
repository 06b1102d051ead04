//! Place in a worklist, by rules of our own.

use crate::clinical::{URGENT_FROM_CTSS, URGENT_FROM_PERCENT};
use crate::{Priority, Scores, Triage};

/// The place of a study in the worklist. The rules are an assumption, stated in the definitions:
/// - urgent: CT-3 or CT-4, a CTSS of 18 or more, or at least half of the lung volume opaque;
/// - soon: CT-2, or a suggested CO-RADS grade of 4 or 5 (a patient who may have to be isolated);
/// - routine: everything else.
///
/// A study that shows a part of the lungs only is never routine.
#[must_use]
pub fn triage(scores: &Scores, percent_of_lung: f64) -> Triage {
    let severity = scores.severity_ct_0_4.unwrap_or(0);
    let co_rads = scores.co_rads.grade.unwrap_or(0);
    let (priority, reason) = if severity >= 3 {
        (Priority::Urgent, format!("More than half of a lung is opaque (CT-{severity})."))
    } else if percent_of_lung >= URGENT_FROM_PERCENT {
        (Priority::Urgent, format!("{percent_of_lung:.0} % of the lung volume are opaque."))
    } else if let Some(ctss) = scores.ctss_0_25.filter(|score| *score >= URGENT_FROM_CTSS) {
        (Priority::Urgent, format!("The CT severity score is {ctss} of 25."))
    } else if severity == 2 {
        (Priority::Soon, "A quarter to a half of a lung is opaque (CT-2).".to_owned())
    } else if co_rads >= 4 {
        (Priority::Soon, format!("The pattern suggests CO-RADS {co_rads}: the patient may have to be isolated."))
    } else if severity == 1 {
        (Priority::Routine, "Less than a quarter of either lung is opaque (CT-1).".to_owned())
    } else {
        (Priority::Routine, "No opacity was found.".to_owned())
    };
    Triage { priority: Some(priority), reason: Some(reason) }
}

impl Triage {
    /// The place of a study that shows a part of the lungs only: what is seen may make it urgent, what is not seen keeps it
    /// from being routine.
    pub(crate) fn of_partial_lungs(self, reason: &str) -> Self {
        match self.priority {
            Some(Priority::Urgent) => self,
            _ => Self { priority: Some(Priority::Soon), reason: Some(reason.to_owned()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CoRads;

    #[test]
    fn the_first_rule_that_holds_decides() {
        // CT-0 to CT-4, CTSS, percent of lung, CO-RADS, expected priority, what it adds.
        let cases = [
            (0, Some(0), 0.0, 1, Priority::Routine, "no opacity"),
            (1, Some(5), 3.0, 3, Priority::Routine, "little, equivocal"),
            (1, Some(5), 3.0, 4, Priority::Soon, "little, but suspicious"),
            (2, Some(9), 20.0, 3, Priority::Soon, "CT-2"),
            (2, Some(17), 40.0, 5, Priority::Soon, "just below the CTSS limit"),
            (2, Some(18), 40.0, 3, Priority::Urgent, "CTSS limit (Francone 2020)"),
            (2, None, 50.0, 3, Priority::Urgent, "half of the lung, a lobe missing"),
            (3, Some(12), 30.0, 3, Priority::Urgent, "CT-3 in one lung"),
            (4, None, 40.0, 2, Priority::Urgent, "CT-4"),
        ];
        for (severity, ctss, percent, co_rads, priority, why) in cases {
            let scores = Scores {
                ctss_0_25: ctss,
                severity_ct_0_4: Some(severity),
                co_rads: CoRads { grade: Some(co_rads), reasons: vec![] },
                ..Scores::default()
            };
            assert_eq!(triage(&scores, percent).priority, Some(priority), "{why}");
        }
    }
}
