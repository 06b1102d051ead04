//! The one function of this crate: findings and volumes in, files out.

use hilum_findings::Findings;
use hilum_volume::{LabelMap, Volume};

use crate::{Language, ReportError, Subject, content, html, pdf, picture};

/// What a report is written from.
#[derive(Clone, Copy, Debug)]
pub struct ReportInput<'a> {
    /// The findings.
    pub findings: &'a Findings,
    /// The patient and the study, if the input names them.
    pub subject: Option<&'a Subject>,
    /// The volumes the findings were measured on; `None` for a study that was refused: the report then has no pictures.
    pub images: Option<Images<'a>>,
    /// The language to write in.
    pub language: Language,
}

/// The volumes the findings were measured on, on the grid of the series.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    /// HU.
    pub ct: &'a Volume<i16>,
    /// 1 to 5 lobes, 11 ground-glass, 12 consolidation, 13 opacity of unknown kind.
    pub labels: &'a LabelMap,
    /// How probable the network holds opacity to be, 0 (0 %) to 255 (100 %), on any grid; `None` if that was not kept.
    pub lesion_probability: Option<&'a Volume<u8>>,
    /// The earlier study that the findings' follow-up compares with; `None` if there is none.
    pub follow_up: Option<FollowUpImages<'a>>,
}

/// What changed since an earlier study, on the grid of the series.
#[derive(Clone, Copy, Debug)]
pub struct FollowUpImages<'a> {
    /// 1 new, 2 persisting, 3 resolved.
    pub change: &'a LabelMap,
    /// The earlier CT brought onto this grid, HU; `None` if it was not kept.
    pub earlier_ct: Option<&'a Volume<i16>>,
}

/// The files of a report, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFiles {
    /// `report.html`: self-contained, no scripts.
    pub html: String,
    /// `report.pdf`.
    pub pdf: Vec<u8>,
    /// The first page of the PDF, for viewers that show pictures but no documents.
    pub first_page: PagePicture,
    /// Key pictures as PNG, with their file names (`axial-1.png`), in the order of the report.
    pub pictures: Vec<(String, Vec<u8>)>,
}

/// A page as a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagePicture {
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Red, green and blue, row by row.
    pub rgb: Vec<u8>,
}

/// Writes the report of one study.
///
/// The same input gives the same bytes: the PDF carries the time in `findings.created`, and nothing is taken from a
/// clock. If `findings.quality.usable` is false and nothing was measured, the report says why the study was refused.
///
/// # Errors
/// [`ReportError::Grid`] if CT, labels and follow-up are not on the same grid; [`ReportError::Pdf`] if the PDF
/// cannot be assembled.
///
/// ```
/// use hilum_findings::{Findings, Note, Severity};
/// use hilum_report::{Language, ReportInput, write_report};
///
/// let mut findings = Findings::default();
/// findings.quality.reasons.push(Note::new("no-lungs", Severity::Severe, "No lungs were found in this series."));
/// let input = ReportInput { findings: &findings, subject: None, images: None, language: Language::English };
/// let report = write_report(&input)?;
/// assert!(report.html.contains("No lungs were found in this series."));
/// assert!(report.pdf.starts_with(b"%PDF-"));
/// # Ok::<(), hilum_report::ReportError>(())
/// ```
pub fn write_report(input: &ReportInput) -> Result<ReportFiles, ReportError> {
    if let Some(images) = &input.images {
        let ct = images.ct.geometry();
        let follow_up = images.follow_up.iter();
        let others = follow_up.flat_map(|f| [Some(f.change.geometry()), f.earlier_ct.map(Volume::geometry)]).flatten();
        for labels in others.chain([images.labels.geometry()]) {
            if ct != labels {
                return Err(ReportError::Grid { ct: ct.shape(), labels: labels.shape() });
            }
        }
    }
    let pictures = match &input.images {
        Some(images) => picture::draw(input.findings, images, input.language),
        None => Vec::new(),
    };
    let document = content::document(input.findings, input.subject, &pictures, input.language);
    let (pdf, page) = pdf::file(&document)?;
    let first_page = PagePicture { shape: [page.height(), page.width()], rgb: page.pixels().concat() };
    Ok(ReportFiles {
        html: html::page(&document),
        pdf,
        first_page,
        pictures: pictures.into_iter().map(|p| (p.name, p.png)).collect(),
    })
}
