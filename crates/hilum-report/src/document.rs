//! The report before it takes a format: sections of text, tables, charts and pictures. HTML and PDF are both written
//! from this, so that they say the same.

use crate::Language;
use crate::canvas::Rgb;
use crate::chart::Chart;
use crate::picture::Picture;
use crate::sentences;

/// The whole report.
pub(crate) struct Document<'a> {
    pub(crate) language: Language,
    pub(crate) title: String,
    /// The patient and the study in one line, on the page and on paper; `None` if the input names none.
    pub(crate) subject: Option<Printed>,
    /// The series and the time of analysis, in one line.
    pub(crate) subtitle: String,
    /// When it was made, RFC 3339.
    pub(crate) created: Option<String>,
    /// The research notice at the top.
    pub(crate) disclaimer: String,
    /// The research notice on every page.
    pub(crate) disclaimer_short: String,
    /// The name and version of the program.
    pub(crate) software: String,
    pub(crate) sections: Vec<Section<'a>>,
}

/// A line that may hold letters which the fonts of pictures and PDF lack.
pub(crate) struct Printed {
    /// For HTML, whose reader has more fonts.
    pub(crate) on_screen: String,
    /// For PDF.
    pub(crate) on_paper: String,
}

/// A part of the report under a heading.
pub(crate) struct Section<'a> {
    /// Stable name, the anchor in HTML.
    pub(crate) id: &'static str,
    pub(crate) title: String,
    pub(crate) blocks: Vec<Block<'a>>,
}

/// What a section is made of.
pub(crate) enum Block<'a> {
    /// The impression: sentences, the first being the one to read.
    Lead(Vec<Text>),
    /// How soon to read the study.
    Triage(Triage),
    /// The numbers to take away.
    Figures(Vec<Figure>),
    Paragraph(Text),
    /// Names and values.
    Facts(Vec<(String, Text)>),
    /// A titled list of sentences.
    List {
        title: String,
        items: Vec<Text>,
    },
    Notes(Vec<NoteLine>),
    Table(Table),
    Charts(Vec<Chart>),
    /// Pictures, and a line that holds for all of them.
    Gallery {
        pictures: &'a [Picture],
        note: String,
        legend: Vec<(Rgb, String)>,
    },
}

/// A sentence, and whether it is English in a report that is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) is_foreign: bool,
}

/// How soon to read the study.
pub(crate) struct Triage {
    pub(crate) label: String,
    pub(crate) priority: String,
    /// 0 routine, 1 soon, 2 urgent.
    pub(crate) level: u8,
    pub(crate) reason: Option<Text>,
}

/// One number to take away.
pub(crate) struct Figure {
    pub(crate) label: String,
    pub(crate) value: String,
    /// What it is out of, if anything.
    pub(crate) detail: String,
}

/// A remark with its severity.
pub(crate) struct NoteLine {
    /// 0 info, 1 warning, 2 severe.
    pub(crate) level: u8,
    pub(crate) severity: String,
    pub(crate) text: Text,
}

/// A table; its first column names the rows.
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    /// Lines below it.
    pub(crate) notes: Vec<String>,
}

/// A column of a table.
pub(crate) struct Column {
    pub(crate) title: String,
    pub(crate) kind: ColumnKind,
    /// Width relative to the other columns.
    pub(crate) weight: f32,
}

/// How a column is set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    /// To the left, broken into lines.
    Words,
    /// To the right.
    Number,
    /// To the left, in small letters, broken anywhere.
    Code,
}

/// A row of a table.
pub(crate) struct Row {
    pub(crate) cells: Vec<Cell>,
    /// Whether it sums up others.
    pub(crate) is_total: bool,
}

/// One cell.
pub(crate) struct Cell {
    pub(crate) text: Text,
    /// A patch of colour before the text: the colour of its outlines.
    pub(crate) swatch: Option<Rgb>,
}

impl Text {
    /// A sentence that `Findings` carries, which is English: translated if there is a translation.
    pub(crate) fn english(text: impl Into<String>, language: Language) -> Self {
        let text = text.into();
        match language {
            Language::English => text.into(),
            _ => match sentences::translated(&text, language) {
                Some(translated) => translated.into(),
                None => Self { text, is_foreign: true },
            },
        }
    }

    /// Several of them, one after the other.
    pub(crate) fn of_sentences<'a>(all: impl IntoIterator<Item = &'a str>, language: Language) -> Self {
        let all: Vec<Self> = all.into_iter().map(|text| Self::english(text, language)).collect();
        let is_foreign = all.iter().any(|text| text.is_foreign);
        Self { text: all.iter().map(|text| text.text.as_str()).collect::<Vec<_>>().join(" "), is_foreign }
    }
}

impl<S: Into<String>> From<S> for Text {
    fn from(text: S) -> Self {
        Self { text: text.into(), is_foreign: false }
    }
}

impl<T: Into<Text>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), swatch: None }
    }
}

impl Column {
    /// A column of words.
    pub(crate) fn words(title: impl Into<String>, weight: f32) -> Self {
        Self { title: title.into(), kind: ColumnKind::Words, weight }
    }

    /// A column of numbers.
    pub(crate) fn number(title: impl Into<String>, weight: f32) -> Self {
        Self { title: title.into(), kind: ColumnKind::Number, weight }
    }

    /// A column of codes and hashes.
    pub(crate) fn code(title: impl Into<String>, weight: f32) -> Self {
        Self { title: title.into(), kind: ColumnKind::Code, weight }
    }
}
