//! Coded concepts: what a segment, a measurement or a unit is, in words that machines share.

use crate::Error;
use crate::attributes::Attributes;

/// A coded concept (PS3.3 8.8): a code, the scheme it belongs to, and its meaning for people.
///
/// A code that breaks the rules of the standard (empty, code or scheme beyond 16 characters, meaning beyond 64) cannot be
/// made; with [`Code::new`] in a constant it does not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code {
    value: &'static str,
    scheme: &'static str,
    meaning: &'static str,
}

impl Code {
    /// A concept of `scheme` (PS3.16 chapter 8: `SCT` SNOMED CT, `DCM`, `UCUM`; private ones begin with `99`).
    ///
    /// # Panics
    /// If a part is empty or too long, or not plain ASCII: codes are constants, so this is met when compiling.
    #[must_use]
    pub const fn new(value: &'static str, scheme: &'static str, meaning: &'static str) -> Self {
        assert!(!value.is_empty() && value.len() <= 16 && value.is_ascii(), "a code has 1 to 16 characters");
        assert!(!scheme.is_empty() && scheme.len() <= 16 && scheme.is_ascii(), "a scheme has 1 to 16 characters");
        assert!(!meaning.is_empty() && meaning.len() <= 64 && meaning.is_ascii(), "a meaning has 1 to 64 characters");
        Self { value, scheme, meaning }
    }

    /// Code Value.
    #[must_use]
    pub const fn value(&self) -> &'static str {
        self.value
    }

    /// Coding Scheme Designator.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Code Meaning, in English.
    #[must_use]
    pub const fn meaning(&self) -> &'static str {
        self.meaning
    }

    /// The item of a code sequence.
    pub(crate) fn item(&self) -> Attributes {
        use dicom_dictionary_std::tags;
        let mut item = Attributes::default();
        item.text(tags::CODE_VALUE, self.value);
        item.text(tags::CODING_SCHEME_DESIGNATOR, self.scheme);
        item.text(tags::CODE_MEANING, self.meaning);
        item
    }
}

/// Text for people, as a value that DICOM can hold: not empty, at most `longest` characters, no backslash and no control
/// characters.
pub(crate) fn checked_text(what: &str, text: &str, longest: usize) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > longest {
        return Err(Error::Unwritable(format!("{what} must have 1 to {longest} characters")));
    }
    if text.chars().any(|c| c == '\\' || c.is_control()) {
        return Err(Error::Unwritable(format!("{what} must not hold backslashes or control characters")));
    }
    Ok(text.to_owned())
}

/// A Code String of at most 16 characters (PS3.5 6.2).
pub(crate) fn checked_code_string(what: &str, text: &str) -> Result<String, Error> {
    let text = checked_text(what, text, 16)?;
    if text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ' || b == b'_') {
        return Ok(text);
    }
    Err(Error::Unwritable(format!("{what} has capitals, digits, blanks and underscores only")))
}

/// A UID (PS3.5 9.1).
pub(crate) fn checked_uid(what: &str, uid: &str) -> Result<String, Error> {
    if is_uid(uid) { Ok(uid.to_owned()) } else { Err(Error::Unwritable(format!("{what} is no UID"))) }
}

pub(crate) fn is_uid(uid: &str) -> bool {
    let component =
        |c: &str| !c.is_empty() && c.bytes().all(|b| b.is_ascii_digit()) && (c == "0" || !c.starts_with('0'));
    uid.len() <= 64 && uid.contains('.') && uid.split('.').all(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dicom_cannot_hold_is_turned_down() {
        assert!(checked_text("a label", "Lung", 64).is_ok());
        for bad in ["", " ", "a\\b", "a\nb", &"x".repeat(65)] {
            assert!(checked_text("a label", bad, 64).is_err(), "{bad:?}");
        }
        for (uid, good) in
            [("1.2.840.10008.1.2", true), ("2.25.0", true), ("1.02", false), ("1..2", false), ("x", false)]
        {
            assert_eq!(is_uid(uid), good, "{uid}");
        }
    }
}
