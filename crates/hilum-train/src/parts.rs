//! The part a data set played, in words for the card.

use std::collections::BTreeSet;

use crate::TrainError;
use crate::batches::Sampler;
use crate::cases::Case;
use crate::config::{Side, Split, TrainConfig};

/// So many patients are named; of more only their number is said.
const NAMED_MOST: usize = 12;

/// The patients of a source by their side, under the names of the split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    learned: BTreeSet<String>,
    held_out: BTreeSet<String>,
    validation: BTreeSet<String>,
}

impl Part {
    pub(crate) fn of(split: &Split, cases: &[Case]) -> Result<Self, TrainError> {
        let mut part = Self::default();
        for case in cases {
            let side = match split.side(case.patient())? {
                Side::Train => &mut part.learned,
                Side::HoldOut => &mut part.held_out,
                Side::Validation => &mut part.validation,
            };
            side.insert(split.canonical(case.patient()).to_string());
        }
        Ok(part)
    }

    /// As the card says it: "learned from 11 patients; held out: c003, c010, r40".
    fn sentence(&self) -> String {
        let patients = |n: usize| if n == 1 { "1 patient".into() } else { format!("{n} patients") };
        let names = |side: &BTreeSet<String>| match side.len() {
            n if n > NAMED_MOST => patients(n),
            _ => side.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        };
        let Self { learned, held_out, validation } = self;
        if held_out.is_empty() && validation.is_empty() {
            return format!("learned from all of it: {}", patients(learned.len()));
        }
        let mut sentence = format!("learned from {}", patients(learned.len()));
        for (what, side) in [("held out", held_out), ("decided when to stop", validation)] {
            if !side.is_empty() {
                sentence.push_str(&format!("; {what}: {}", names(side)));
            }
        }
        sentence
    }
}

/// A configuration whose card says of every data set which part it played.
pub(crate) fn with_parts(config: &TrainConfig, sampler: &Sampler) -> TrainConfig {
    let mut config = config.clone();
    for data in config.card.data.iter_mut().filter(|data| data.part.is_none()) {
        let parts = config.data.iter().zip(sampler.parts());
        let own = parts.filter(|(source, _)| Some(&source.folder) == data.folder.as_ref());
        data.part = own.map(|(_, part)| part.sentence()).next();
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_held_out_is_said_by_name_or_by_number() {
        let side = |n: usize| (0..n).map(|i| format!("p{i}")).collect();
        let part = |learned, held_out, validation| {
            Part { learned: side(learned), held_out: side(held_out), validation: side(validation) }.sentence()
        };
        assert_eq!(part(50, 0, 0), "learned from all of it: 50 patients");
        assert_eq!(part(1, 2, 0), "learned from 1 patient; held out: p0, p1");
        assert_eq!(part(30, 13, 1), "learned from 30 patients; held out: 13 patients; decided when to stop: p0");
    }
}
