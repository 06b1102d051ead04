//! Whom a report is about.

use std::fmt;

use crate::Language;
use crate::font::printable;
use crate::wording::Phrase;

/// The patient and the study a report is about, as the images name them, in the text form of DICOM (PS3.5, 6.2): it stands
/// at the head of the report and at the foot of every page of the PDF, so that no page is taken for another patient's.
///
/// Reports stay in the hospital; nothing of this is in `findings.json`, and `Debug` does not show it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Patient's Name, `Family^Given^Middle^Prefix^Suffix`, groups of other scripts after `=`.
    pub patient_name: Option<String>,
    /// Patient ID.
    pub patient_id: Option<String>,
    /// Patient's Birth Date, `YYYYMMDD`.
    pub birth_date: Option<String>,
    /// Patient's Sex, `M`, `F` or `O`.
    pub sex: Option<String>,
    /// Study Date, `YYYYMMDD`.
    pub study_date: Option<String>,
    /// Accession Number.
    pub accession_number: Option<String>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(…)")
    }
}

impl Subject {
    /// Everything in one line; `None` if nothing is known. Where the line is `for_print`, a name in scripts that the embedded
    /// fonts lack is left out if it is also there in one they have.
    pub(crate) fn line(&self, language: Language, for_print: bool) -> Option<String> {
        let fill = |phrase: Phrase, value: Option<String>| value.map(|v| phrase.fill(language, &[("value", &v)]));
        let given =
            |value: &Option<String>| value.as_deref().map(str::trim).filter(|v| !v.is_empty()).map(str::to_owned);
        let parts = [
            given(&self.patient_name).and_then(|name| readable_name(&name, for_print)),
            fill(Phrase::SubjectId, given(&self.patient_id)),
            fill(Phrase::SubjectBorn, given(&self.birth_date).map(|date| readable_date(&date))),
            given(&self.sex),
            fill(Phrase::SubjectStudy, given(&self.study_date).map(|date| readable_date(&date))),
            fill(Phrase::SubjectAccession, given(&self.accession_number)),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" · "))
    }
}

/// `Kim^Minjun=金^民俊` as `Kim, Minjun / 金, 民俊`.
fn readable_name(name: &str, for_print: bool) -> Option<String> {
    let group = |group: &str| {
        let parts: Vec<&str> = group.split('^').map(str::trim).filter(|part| !part.is_empty()).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    };
    let mut groups: Vec<String> = name.split('=').filter_map(group).collect();
    let is_printable = |group: &String| printable(group) == *group;
    if for_print && groups.iter().any(is_printable) {
        groups.retain(is_printable);
    }
    (!groups.is_empty()).then(|| groups.join(" / "))
}

/// `20261120` as `2026-11-20`; anything else as it is.
fn readable_date(date: &str) -> String {
    if date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()) {
        format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..])
    } else {
        date.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_reads_in_one_line() {
        let subject = Subject {
            patient_name: Some("Kim^Minjun=金^民俊".into()),
            patient_id: Some(" 0815 ".into()),
            birth_date: Some("19700102".into()),
            sex: Some("M".into()),
            study_date: Some("20261120".into()),
            accession_number: Some(String::new()),
        };
        let line = |language, for_print| subject.line(language, for_print).unwrap();
        assert_eq!(
            line(Language::English, false),
            "Kim, Minjun / 金, 民俊 · ID 0815 · born 1970-01-02 · M · study of 2026-11-20"
        );
        assert!(line(Language::German, true).starts_with("Kim, Minjun · ID 0815 · geb. 1970-01-02"));
        assert_eq!(Subject::default().line(Language::English, false), None);
        assert_eq!(format!("{subject:?}"), "Subject(…)");
    }

    #[test]
    fn a_name_in_one_script_is_kept_even_if_it_cannot_be_printed() {
        assert_eq!(readable_name("金^民俊", true).as_deref(), Some("金, 民俊"));
        assert_eq!(readable_name("^^", true), None);
    }
}
