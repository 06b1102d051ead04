//! The table of the profile (PS3.15 Table E.1-1) and what the chosen options make of it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use dicom_core::Tag;

use super::ProfileOption;

/// What is done with one attribute. Where the table leaves a choice (X/Z, X/D, …) it is made so that an object of any
/// class stays valid: the attribute keeps its place wherever it might be required.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// X: removed.
    Removed,
    /// Z: left without a value, or with the pseudonym.
    Emptied,
    /// D: given a value that means nothing.
    Replaced,
    /// U: given another UID, the same wherever the old one stood.
    UidMapped,
    /// C: what may identify was taken out of the value.
    Cleaned,
    /// K: kept because of an option.
    Kept,
}

struct Row {
    basic: &'static str,
    options: Vec<(ProfileOption, Action)>,
    name: &'static str,
}

static TABLE: LazyLock<BTreeMap<&'static str, Row>> =
    LazyLock::new(|| include_str!("profile.tsv").lines().filter(|line| !line.starts_with('#')).map(row).collect());

fn row(line: &'static str) -> (&'static str, Row) {
    let mut fields = line.split('\t');
    let mut field = || fields.next().expect("a row of the profile has four fields");
    let (tag, basic, options, name) = (field(), field(), field(), field());
    let options = options
        .split_whitespace()
        .filter_map(|entry| {
            let (name, action) = entry.split_once('=').expect("an option and its action");
            let action = if action == "K" { Action::Kept } else { Action::Cleaned };
            // Clean Graphics is in the table but not among what can be done.
            ProfileOption::of_column(name).map(|option| (option, action))
        })
        .collect();
    (tag, Row { basic, options, name })
}

fn find(tag: Tag) -> Option<&'static Row> {
    // Curves are 50xx, overlays 60xx (PS3.5 7.6).
    let key = match tag {
        Tag(group, _) if group & 0xFF00 == 0x5000 => "50xxxxxx".to_owned(),
        Tag(group, element @ (0x3000 | 0x4000)) if group & 0xFF00 == 0x6000 => format!("60xx{element:04x}"),
        Tag(group, element) => format!("{group:04x}{element:04x}"),
    };
    TABLE.get(&key[..])
}

/// The name of an attribute in the table.
pub(super) fn name(tag: Tag) -> Option<&'static str> {
    find(tag).map(|row| row.name)
}

/// What the table and the options say of an attribute, and what the table alone says; `None` if it is not in the table.
/// An option that keeps goes before one that cleans; without either the Basic Profile holds.
pub(super) fn action(tag: Tag, options: &[ProfileOption]) -> Option<(Action, Action)> {
    let row = find(tag)?;
    let basic = match row.basic {
        "X" => Action::Removed,
        "Z" | "X/Z" => Action::Emptied,
        "D" | "Z/D" | "X/D" | "X/Z/D" => Action::Replaced,
        "U" | "X/Z/U*" => Action::UidMapped,
        other => panic!("the profile has an unknown action {other}"),
    };
    let chosen = row.options.iter().filter(|(option, _)| options.contains(option)).map(|(_, action)| *action);
    Some((chosen.max().unwrap_or(basic), basic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_options_go_before_it() {
        assert_eq!(TABLE.len(), 655, "rows of edition 2026c without the one for private attributes");
        let birth_date = Tag(0x0010, 0x0030);
        assert_eq!(action(birth_date, &[]), Some((Action::Emptied, Action::Emptied)));
        let study_date = Tag(0x0008, 0x0020);
        assert_eq!(action(study_date, &[ProfileOption::RetainFullDates]).unwrap().0, Action::Kept);
        assert_eq!(action(study_date, &[ProfileOption::RetainModifiedDates]).unwrap().0, Action::Cleaned);
        assert_eq!(action(Tag(0x5012, 0x3000), &[]).unwrap().0, Action::Removed);
        assert_eq!(action(Tag(0x6004, 0x3000), &[]).unwrap().0, Action::Removed);
        assert_eq!(action(Tag(0x0028, 0x0010), &[]), None);
    }
}
