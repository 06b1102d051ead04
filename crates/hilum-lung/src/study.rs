//! What the product reads: a volume in HU with what is known of where it came from.

use hilum_dicom as dicom;
use hilum_findings::{Note, Series, Severity};
use hilum_volume::Volume;

/// One CT of the chest, ready to be analysed.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// HU on the series' own grid, of whatever orientation.
    pub volume: Volume<i16>,
    /// What the findings say about the series.
    pub series: Series,
}

impl Study {
    /// A DICOM series, chosen for the reason `because`.
    #[must_use]
    pub fn from_dicom(series: dicom::Series, because: Option<String>) -> Self {
        let summary = &series.summary;
        let described = Series {
            study_uid: Some(summary.study_uid.clone()),
            series_uid: Some(summary.series_uid.clone()),
            modality: Some(summary.modality.clone()),
            description: Some(summary.description.clone()).filter(|d| !d.is_empty()),
            chosen_because: because,
            notes: series.notes.iter().map(note).collect(),
            ..Series::on_grid(series.volume.geometry())
        };
        Self { volume: series.volume, series: described }
    }

    /// A volume without DICOM's identity, from NIfTI.
    #[must_use]
    pub fn from_nifti(volume: Volume<i16>) -> Self {
        let text = "The input is NIfTI: it carries no identity, and that it is CT in HU rests on the sender's word.";
        let series = Series {
            modality: Some("CT".into()),
            notes: vec![Note::new("nifti-input", Severity::Info, text)],
            ..Series::on_grid(volume.geometry())
        };
        Self { volume, series }
    }
}

fn note(note: &dicom::Note) -> Note {
    let severity = match note.severity {
        dicom::Severity::Info => Severity::Info,
        dicom::Severity::Warning => Severity::Warning,
        dicom::Severity::Severe => Severity::Severe,
    };
    Note::new(note.code(), severity, note.text.clone())
}
