//! Languages of the report and how each writes numbers.

/// A language the report can be written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
}

/// A no-break space: a number and its unit stay on one line.
pub(crate) const NO_BREAK: char = '\u{a0}';

impl Language {
    /// Every language, English first.
    pub const ALL: [Self; 4] = [Self::English, Self::German, Self::French, Self::Spanish];

    /// The language tag of BCP 47: `en`, `de`, `fr`, `es`.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
        }
    }

    /// The language of a tag such as `de` or `de-CH`; `None` if the report is not offered in it.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or(tag).to_ascii_lowercase();
        Self::ALL.into_iter().find(|l| l.tag() == primary)
    }

    /// A number with `decimals` digits after the decimal sign, thousands apart from 10 000 up, and a true minus sign.
    /// What is not finite is a dash.
    pub(crate) fn number(self, value: f64, decimals: usize) -> String {
        if !value.is_finite() {
            return "–".to_string();
        }
        let plain = format!("{:.decimals$}", value.abs());
        let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
        let zero = plain.bytes().all(|b| matches!(b, b'0' | b'.'));
        let mut text = String::new();
        if value < 0.0 && !zero {
            text.push('\u{2212}');
        }
        for (i, digit) in whole.chars().enumerate() {
            // Four digits are easier to read unbroken (SI brochure, 5.4.4).
            if i > 0 && whole.len() > 4 && (whole.len() - i).is_multiple_of(3) {
                text.push(NO_BREAK);
            }
            text.push(digit);
        }
        if !fraction.is_empty() {
            text.push(if self == Self::English { '.' } else { ',' });
            text.push_str(fraction);
        }
        text
    }

    /// Between parts of a list; French sets a space before it.
    pub(crate) fn semicolon(self) -> &'static str {
        if self == Self::French { "\u{a0}; " } else { "; " }
    }

    /// A whole number.
    pub(crate) fn count(self, value: usize) -> String {
        self.number(value as f64, 0)
    }

    /// A volume in millilitres to three significant digits or so, with its unit.
    pub(crate) fn millilitres(self, ml: f64) -> String {
        format!("{}{NO_BREAK}ml", self.measure(ml))
    }

    /// A percentage, with its sign apart (SI brochure, 5.4.7): one decimal below ten, none above, and never `0 %` for what is
    /// there.
    pub(crate) fn percent(self, percent: f64) -> String {
        let gap = NO_BREAK;
        if percent > 0.0 && percent < 0.1 {
            format!("<{NO_BREAK}{}{gap}%", self.number(0.1, 1))
        } else {
            let decimals = usize::from(percent < 9.95 && percent > 0.0);
            format!("{}{gap}%", self.number(percent, decimals))
        }
    }

    /// A positive measure: no decimals from 100 up, one below.
    pub(crate) fn measure(self, value: f64) -> String {
        if value > 0.0 && value < 0.1 {
            format!("<{NO_BREAK}{}", self.number(0.1, 1))
        } else {
            self.number(value, usize::from(value < 99.95 && value > 0.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Language::{self, English, French, German};

    #[test]
    fn numbers_are_written_as_the_language_does() {
        let cases = [
            (English, 1234.5, 1, "1234.5"),
            (German, 12345.0, 0, "12\u{a0}345"),
            (German, 1234.5, 1, "1234,5"),
            (French, -0.25, 2, "\u{2212}0,25"),
            (English, -0.01, 1, "0.0"), // no minus before a zero
            (English, 1_234_567.0, 0, "1\u{a0}234\u{a0}567"),
            (English, f64::NAN, 1, "–"),
        ];
        for (language, value, decimals, expected) in cases {
            assert_eq!(language.number(value, decimals), expected);
        }
    }

    #[test]
    fn a_trace_is_never_written_as_nothing() {
        assert_eq!(English.percent(0.03), "<\u{a0}0.1\u{a0}%");
        assert_eq!(English.percent(0.0), "0\u{a0}%");
        assert_eq!(English.percent(9.96), "10\u{a0}%");
        assert_eq!(German.percent(3.04), "3,0\u{a0}%");
        assert_eq!(English.millilitres(0.02), "<\u{a0}0.1\u{a0}ml");
        assert_eq!(English.millilitres(412.3), "412\u{a0}ml");
    }

    #[test]
    fn tags_lead_back_to_their_language() {
        for language in Language::ALL {
            assert_eq!(Language::from_tag(language.tag()), Some(language));
        }
        assert_eq!(Language::from_tag("de-CH"), Some(German));
        assert_eq!(Language::from_tag("tlh"), None);
    }
}
