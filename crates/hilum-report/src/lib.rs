//! `Findings` to HTML, PDF and key pictures.
//!
//! [`write_report`] takes the findings of one study, the CT and its label map, and returns bytes: a self-contained HTML
//! page (no script, no network, pictures as data URIs), a PDF of a few A4 pages (PDF/A-2b, real text) and the key pictures
//! as PNG. It computes no finding and opens no file; the same input gives the same bytes. A refused study gets a report
//! too, which says why and nothing else.
//!
//! ```text
//! Findings ──► impression ─┐
//! CT, labels ──► picture ──┼──► document ──► html, pdf
//! Findings ──► chart ──────┘
//! ```
//!
//! Both formats are written from one `Document` (sections of text, tables, charts and pictures), so that they say the
//! same. All words live in one table, `wording`, for every [`Language`].
//!
//! Sentences that `Findings` itself carries (notes, reasons, definitions, limits of models) are English. `sentences` has those of
//! notes and reasons in every language; what it lacks is shown as it is, marked as English where the report is not.

mod canvas;
mod chart;
mod content;
mod document;
mod error;
mod font;
mod html;
mod impression;
mod language;
mod palette;
mod pdf;
mod picture;
mod report;
mod sentences;
mod subject;
mod wording;

pub use error::ReportError;
pub use language::Language;
pub use report::{FollowUpImages, Images, PagePicture, ReportFiles, ReportInput, write_report};
pub use subject::Subject;
