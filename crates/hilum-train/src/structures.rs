//! What a network outlines, and which of it a data set's labels speak of.

use hilum_nn::Output;
use serde::Serialize;

use crate::TrainError;
use crate::cases::CHANNELS;

/// Most outputs of a network: labels are kept as bits of a byte.
const MOST: usize = 8;

const LUNG: &str = CHANNELS[0];
const LESION: &str = CHANNELS[1];
const CONSOLIDATION: &str = CHANNELS[2];

/// What follows from lesion and consolidation: the lesion that is not consolidation.
const GROUND_GLASS: &str = "ground-glass";

/// The outputs of a network, by name and in order. A pixel's labels are bits: bit *n* is the output *n*.
///
/// Three names have a meaning of their own. `lung`: outside of the lungs, probabilities of the others are not looked at when
/// their calibration is measured. `lesion`: what is looked for; where no output is called so, it is the last. `consolidation`:
/// known where there is no lesion, for there is none either.
///
/// ```
/// use hilum_nn::Output;
/// use hilum_train::Structures;
///
/// let output = |name: &str| Output { name: name.into(), meaning: String::new(), threshold: 0.5 };
/// let structures = Structures::of(&[output("liver"), output("tumour")])?;
/// assert_eq!(structures.target(), 1, "the tumour is looked for");
/// # Ok::<(), hilum_train::TrainError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Structures {
    names: Vec<String>,
}

/// Lung, lesion, consolidation.
impl Default for Structures {
    fn default() -> Self {
        Self { names: CHANNELS.map(String::from).into() }
    }
}

impl Structures {
    /// Those of a card.
    ///
    /// # Errors
    /// [`TrainError::Config`] for none, more than eight, two of one name, or a name that is not 1 to 64 letters, digits, blanks, `-`
    /// and `_`.
    pub fn of(outputs: &[Output]) -> Result<Self, TrainError> {
        let names: Vec<String> = outputs.iter().map(|output| output.name.clone()).collect();
        if !(1..=MOST).contains(&names.len()) {
            return Err(TrainError::Config(format!("card: a network has 1 to {MOST} outputs")));
        }
        let fits = |name: &String| {
            let plain = |c: char| c.is_alphanumeric() || "-_ ".contains(c);
            (1..=64).contains(&name.chars().count()) && name.chars().all(plain)
        };
        if let Some(name) = names.iter().find(|name| !fits(name)) {
            return Err(TrainError::Config(format!(
                "card: `{name}` cannot be the name of an output: 1 to 64 letters, digits, blanks, - and _"
            )));
        }
        let taken = |(at, name): &(usize, &String)| names[..*at].contains(name) || name.as_str() == GROUND_GLASS;
        match names.iter().enumerate().find(taken) {
            Some((_, name)) if name == GROUND_GLASS => Err(TrainError::Config(format!(
                "card: {GROUND_GLASS} is what of the {LESION} is not {CONSOLIDATION}; an output cannot be called so"
            ))),
            Some((_, name)) => Err(TrainError::Config(format!("card: two outputs are called `{name}`"))),
            None => Ok(Self { names }),
        }
    }

    /// The names of the outputs.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The place of an output.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|own| own == name)
    }

    /// The place of the output that is looked for: `lesion`, otherwise the last.
    #[must_use]
    pub fn target(&self) -> usize {
        self.place(LESION).unwrap_or(self.names.len() - 1)
    }

    /// The place of the lungs, if they are among the outputs.
    pub(crate) fn lung(&self) -> Option<usize> {
        self.place(LUNG)
    }

    /// Whether the network begins with lung and lesion, as what draws lesions into lungs needs it.
    pub(crate) fn begin_with_lung_and_lesion(&self) -> bool {
        self.place(LUNG) == Some(0) && self.place(LESION) == Some(1)
    }

    /// Whether every output is one that the published sets and DICOM segmentations may tell.
    fn are_of_pneumonia(&self) -> bool {
        self.names.iter().all(|name| CHANNELS.contains(&name.as_str()))
    }

    /// Bits of lung (0), lesion (1) and consolidation (2) as those of the outputs.
    pub(crate) fn of_pneumonia(&self, bits: u8) -> u8 {
        let bit = |(at, name): (usize, &&str)| (bits >> at & 1) << self.place(name).unwrap_or(0);
        CHANNELS
            .iter()
            .enumerate()
            .filter(|(_, name)| self.place(name).is_some())
            .map(bit)
            .fold(0, |all, bit| all | bit)
    }

    /// The outputs that are known of a pixel, as bits, from those that its set tells and its own labels.
    pub(crate) fn known_of(&self, told: u8, labels: u8) -> u8 {
        match (self.place(LESION), self.place(CONSOLIDATION)) {
            (Some(lesion), Some(consolidation)) if told >> lesion & 1 == 1 && labels >> lesion & 1 == 0 => {
                told | 1 << consolidation
            }
            _ => told,
        }
    }

    /// What is measured: the outputs, and ground-glass where it follows from them.
    pub(crate) fn measured(&self) -> Vec<String> {
        let kinds = self.place(LESION).and(self.place(CONSOLIDATION)).map(|_| GROUND_GLASS.to_string());
        self.names.iter().cloned().chain(kinds).collect()
    }

    /// Whether labels show number `place` of what is [measured](Self::measured).
    pub(crate) fn shows(&self, labels: u8, place: usize) -> bool {
        let bit = |place: usize| labels >> place & 1 == 1;
        match (self.place(LESION), self.place(CONSOLIDATION)) {
            (Some(lesion), Some(consolidation)) if place == self.names.len() => bit(lesion) && !bit(consolidation),
            _ => bit(place),
        }
    }

    /// Whether number `place` of what is measured is known where the set tells `told`.
    pub(crate) fn tells(&self, told: u8, place: usize) -> bool {
        let is_told = |place: usize| told >> place & 1 == 1;
        match (self.place(LESION), self.place(CONSOLIDATION)) {
            (Some(lesion), Some(consolidation)) if place == self.names.len() => {
                is_told(lesion) && is_told(consolidation)
            }
            _ => is_told(place),
        }
    }
}

/// What the numbers in a mask mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LabelBits {
    /// Bits of every number from 0, which is background.
    bits: Vec<u8>,
    /// Outputs that the set tells.
    told: u8,
    /// Whether `told` holds `consolidation` only in scans that show it.
    consolidation_if_shown: bool,
}

impl LabelBits {
    /// `labels` are the names of the outputs that 1, 2 and so on belong to. Without any: 1 lung, 2 lesion in it, 3
    /// consolidation in that, if the outputs are among these; otherwise 1 is the first output, 2 the second and so on.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a name that is no output, or too many labels.
    pub(crate) fn of(structures: &Structures, labels: &[Vec<String>]) -> Result<Self, TrainError> {
        let own = structures.names();
        if labels.is_empty() && structures.are_of_pneumonia() {
            let bits = [0b000, 0b001, 0b011, 0b111].map(|bits| structures.of_pneumonia(bits)).into();
            return Ok(Self { bits, told: structures.of_pneumonia(0b111), consolidation_if_shown: true });
        }
        let in_order: Vec<Vec<String>> = own.iter().map(|name| vec![name.clone()]).collect();
        let labels = if labels.is_empty() { &in_order } else { labels };
        if labels.len() > usize::from(u8::MAX) {
            return Err(TrainError::Config("data: a mask has at most 255 labels".into()));
        }
        let mut bits = vec![0];
        for names in labels {
            let mut of_label = 0;
            for name in names {
                let place = structures.place(name).ok_or_else(|| {
                    TrainError::Config(format!(
                        "data: labels: the network has no output `{name}`; it has {}",
                        own.join(", ")
                    ))
                })?;
                of_label |= 1 << place;
            }
            bits.push(of_label);
        }
        let told = bits.iter().fold(0, |all, bits| all | bits);
        if told == 0 {
            return Err(TrainError::Config("data: labels: none of them is an output of the network".into()));
        }
        Ok(Self { bits, told, consolidation_if_shown: false })
    }

    /// The bits of a number in a mask, or what is wrong with it.
    pub(crate) fn bits(&self, label: u8) -> Result<u8, String> {
        let of_label = self.bits.get(usize::from(label)).copied();
        of_label.ok_or_else(|| {
            let last = self.bits.len() - 1;
            format!("label {label} is not one of 0 (background) to {last}; `labels` in the configuration says what more of them mean")
        })
    }

    /// Whether the set can tell an output.
    pub(crate) fn may_tell(&self, place: usize) -> bool {
        self.told >> place & 1 == 1
    }

    /// What the numbers mean, in words, where it is not what they mean for pneumonia.
    pub(crate) fn in_words(&self, structures: &Structures) -> Option<String> {
        let names = |bits: u8| {
            let named = structures.names().iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1);
            let named = named.map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(" and ");
            if named.is_empty() { "background".into() } else { named }
        };
        let labels = self.bits.iter().enumerate().skip(1).map(|(label, bits)| format!("{label} {}", names(*bits)));
        (!self.consolidation_if_shown).then(|| format!("In the masks: {}.", labels.collect::<Vec<_>>().join(", ")))
    }

    /// The outputs that are known of a scan, from the labels of all of its pixels.
    pub(crate) fn told<'a>(&self, structures: &Structures, mut labels: impl Iterator<Item = &'a u8>) -> u8 {
        match structures.place(CONSOLIDATION).filter(|_| self.consolidation_if_shown) {
            Some(place) if !labels.any(|bits| bits >> place & 1 == 1) => self.told & !(1 << place),
            _ => self.told,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn structures(names: &[&str]) -> Result<Structures, TrainError> {
        let output = |name: &&str| Output { name: (*name).into(), meaning: String::new(), threshold: 0.5 };
        Structures::of(&names.iter().map(output).collect::<Vec<_>>())
    }

    #[test]
    fn names_of_outputs_are_few_and_differ() {
        for (names, expected) in [
            (&[] as &[&str], "1 to 8"),
            (&["a", "b", "c", "d", "e", "f", "g", "h", "i"], "1 to 8"),
            (&["a", "b", "a"], "two outputs are called `a`"),
            (&["lesion", "ground-glass"], "cannot be called so"),
            (&["../lesion"], "cannot be the name of an output"),
            (&["a,b"], "cannot be the name of an output"),
            (&[""], "cannot be the name of an output"),
        ] {
            assert!(structures(names).unwrap_err().to_string().contains(expected), "{names:?}");
        }
    }

    #[test]
    fn labels_of_pneumonia_go_to_whatever_outputs_there_are() {
        for (names, bits, expected) in [
            (&CHANNELS[..], 0b011, 0b011),
            (&["lesion"], 0b011, 0b1),
            (&["lesion", "lung"], 0b001, 0b10),
            (&["consolidation", "lung"], 0b111, 0b11),
            (&["tumour"], 0b111, 0),
        ] {
            assert_eq!(structures(names).unwrap().of_pneumonia(bits), expected, "{names:?}");
        }
    }

    #[test]
    fn numbers_in_masks_mean_what_is_said_of_them() {
        let of = |names: &[&str], labels: &[&[&str]]| {
            let labels: Vec<Vec<String>> =
                labels.iter().map(|l| l.iter().map(|n| (*n).to_string()).collect()).collect();
            LabelBits::of(&structures(names).unwrap(), &labels)
        };
        let pneumonia = of(&CHANNELS, &[]).unwrap();
        assert_eq!([0, 1, 2, 3].map(|label| pneumonia.bits(label).unwrap()), [0, 1, 3, 7]);
        assert!(pneumonia.bits(4).unwrap_err().contains("label 4 is not one of 0 (background) to 3"));
        let default = Structures::default();
        assert_eq!(pneumonia.told(&default, [0, 1, 3].iter()), 0b011, "kinds are not told apart");
        assert_eq!(pneumonia.told(&default, [7].iter()), 0b111);

        let in_order = of(&["liver", "tumour"], &[]).unwrap();
        assert_eq!([1, 2].map(|label| in_order.bits(label).unwrap()), [0b01, 0b10]);
        let nested = of(&["liver", "tumour"], &[&["liver"], &["liver", "tumour"], &[]]).unwrap();
        assert_eq!([1, 2, 3].map(|label| nested.bits(label).unwrap()), [0b01, 0b11, 0]);
        let words = nested.in_words(&structures(&["liver", "tumour"]).unwrap());
        assert_eq!(words.unwrap(), "In the masks: 1 liver, 2 liver and tumour, 3 background.");
        let part = of(&["liver", "tumour"], &[&["liver"]]).unwrap();
        assert_eq!(
            part.told(&structures(&["liver", "tumour"]).unwrap(), [1].iter()),
            0b01,
            "of tumours nothing is said"
        );
        assert!(of(&["liver"], &[&["spleen"]]).unwrap_err().to_string().contains("no output `spleen`; it has liver"));
        assert!(of(&["liver"], &[&[]]).unwrap_err().to_string().contains("none of them"));
    }

    #[test]
    fn where_no_lesion_is_consolidation_is_known() {
        let own = Structures::default();
        assert_eq!([0b001, 0b011].map(|labels| own.known_of(0b011, labels)), [0b111, 0b011]);
        assert_eq!(own.measured(), ["lung", "lesion", "consolidation", "ground-glass"]);
        assert_eq!([0b011, 0b111, 0b001].map(|labels| own.shows(labels, 3)), [true, false, false]);
        assert_eq!([0b011, 0b101, 0b111].map(|told| own.tells(told, 3)), [false, false, true]);
        assert_eq!(own.known_of(0b001, 0b001), 0b001, "of lesions nothing is said");
        let other = structures(&["liver"]).unwrap();
        assert_eq!((other.measured(), other.known_of(1, 0), other.target()), (vec!["liver".to_string()], 1, 0));
    }
}
