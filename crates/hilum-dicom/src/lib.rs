//! DICOM and NIfTI in and out: series to volumes in HU with typed notes.
//!
//! **Reading** takes two steps. [`scan`] looks at the headers of a folder, a file, a ZIP or bytes in memory and lists the
//! series it finds, with what is needed to choose among them. [`load`] turns one series into a [`Series`]: its
//! [`Volume`](hilum_volume::Volume) in HU, the images that its slices came from, and its [`Note`]s.
//!
//! Slices are ordered by their position along the normal, never by name or number; index 0 is the foot end. A flaw that
//! can be worked around becomes a note with a severity, which travels with the series into the report; one that cannot
//! is a [`Refusal`], a single sentence for the person at the console. Nothing is guessed: no default spacing, position,
//! orientation or rescaling exists.
//!
//! | transfer syntax | decoder |
//! |---|---|
//! | Implicit and Explicit Little Endian, Explicit Big Endian, Deflated, Deflated Image Frame, Encapsulated Uncompressed | here |
//! | RLE Lossless; JPEG Lossless process 14, all selection values | here |
//! | JPEG-LS, lossless and near-lossless | `pure_jpegls` |
//! | JPEG 2000, reversible and not | `hayro-jpeg2000` |
//!
//! Pixels of 8 to 16 stored bits, signed or not; classic CT images, Enhanced CT and Legacy Converted Enhanced CT; files
//! with and without preamble and meta information. Everything is memory-safe Rust and builds with cargo alone.
//!
//! **Foreign bytes** are not believed: [`Limits`] bound files, folders, ZIPs, nesting, elements and voxels, lengths are
//! compared with the bytes present before memory is taken, and a decoder that panics makes a damaged image; with
//! [`DecodeWorkers`] one that hangs, aborts or takes too much memory is a refused image too. dicom-rs
//! supplies dictionary, character sets and the writing of objects; data sets are walked by a reader of our own because
//! dicom-rs allocates what a length field claims.
//!
//! **Privacy**: no name, identifier or birth date of a patient leaves this crate, in values, notes or errors, other than
//! inside a DICOM result and in [`Origin::identity`], which is for the head of a report;
//! [`SeriesSummary::patient_key`] tells patients apart. Descriptions and file names are passed on as they are and may
//! hold anything that somebody typed.
//!
//! **Results**: an [`Origin`] carries identity and places of a series into what is made from it: segmentations
//! ([`binary_segmentation`], [`label_map_segmentation`], [`probability_segmentation`]), measurements
//! ([`measurement_report`], TID 1500), outlines ([`presentation_state`]), [`key_objects`], [`colour_capture`] and
//! [`encapsulated_pdf`]. Types and [`Code`]s are checked when they are made, so that an object which breaks the standard is
//! an error and not a file; UIDs follow from the content. `tests/peers/check.py` holds all of it against highdicom, dcmqi,
//! dcmtk and dicom3tools.
//!
//! **Results of others**: [`SegmentationImage`] reads segmentations (binary, fractional, label map; packed in any syntax
//! above) and [`ReportDocument`] measurement reports after TID 1500, ours and those of others. `tests/data/results` has
//! files of highdicom and dcmqi with their answers.
//!
//! **Writing**: [`write_ct_series`] makes CT images of any geometry, [`capture_file`] Secondary Captures, and [`nifti`] reads and writes NIfTI-1.
//!
//! **De-identification**: [`deidentify`] applies the Basic Application Level Confidentiality Profile (PS3.15 Annex E) with its
//! options, blanks faces in CT and MR of the head on request, and leaves out what it cannot make safe; a [`DeidentificationKey`]
//! gives the same pseudonyms again, and with it [`reidentify`] brings the originals back to the byte, other than blanked ones.
//!
//! ```
//! use hilum_dicom::{CtSeriesDescription, Limits, Source, load, scan, write_ct_series};
//! use hilum_volume::{Geometry, PatientPoint, Volume};
//!
//! let grid = Geometry::axial([3, 4, 5], PatientPoint([-10.0, -20.0, 30.0]), [2.0, 0.7, 0.6])?;
//! let ct = Volume::filled(grid, -850i16);
//! let folder = tempfile::tempdir()?;
//! write_ct_series(&ct, &CtSeriesDescription::default(), folder.path())?;
//!
//! let scan = scan(&Source::from(folder.path()), &Limits::default())?;
//! scan.require_one_patient()?;
//! let series = load(&scan, &scan.series()[0].series_uid, &|share| eprintln!("{:.0} %", 100.0 * share))?;
//! assert_eq!(series.volume, ct);
//! assert!(series.notes.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attributes;
mod charset;
mod code;
mod codec;
pub mod codes;
mod colour;
mod dataset;
mod decimal;
mod decode_workers;
mod deidentify;
mod earlier_study;
mod error;
mod frame;
mod image;
mod instance;
mod key_objects;
mod limits;
mod listing;
mod measurement_report;
pub mod nifti;
mod note;
mod origin;
mod part10;
mod picture_files;
mod presentation_state;
mod read_measurement_group;
mod read_measurement_report;
mod read_segmentation;
mod report_document;
mod result_file;
mod scan;
mod segment;
mod segmentation;
mod segmentation_frames;
mod segmentation_grid;
mod segmentation_values;
mod series;
mod source;
mod sr_content;
mod sr_reading;
mod stack;
mod syntax;
mod transcode;
mod uid;
mod validate;
mod write_capture;
mod write_ct;

pub use code::Code;
pub use decode_workers::{DecodeWorkers, WorkerLimits, serve_decoding};
pub use deidentify::{
    Action, Change, DeidentificationKey, DeidentificationReport, Deidentified, DeidentifyOptions, LeftOut,
    ProfileOption, Undefaceable, deidentify, reidentify,
};
pub use earlier_study::{EarlierStudy, TimePoint};
pub use error::{Error, Refusal};
pub use instance::{Instance, InstanceIdentity, Uncompressed, identity_of_data_set, is_safe_uid};
pub use key_objects::key_objects;
pub use limits::Limits;
pub use listing::{ListedElement, ListedValue, ListedValues, list_data_set, list_elements};
pub use measurement_report::{
    CodingScheme, Measurement, MeasurementGroup, MeasurementReport, SegmentReference, measurement_report,
};
pub use note::{Note, NoteKind, Severity};
pub use origin::{Identity, Origin};
pub use picture_files::{BurnedIn, ColourPicture, colour_capture, encapsulated_pdf};
pub use presentation_state::{Outline, OutlineLayer, Presentation, presentation_state};
pub use read_segmentation::{AnatomicRegion, SegmentInfo, SegmentationForm, SegmentationImage};
pub use report_document::{
    Concept, Evaluation, EvaluationValue, Evidence, FindingSite, ObjectReference, Observer, Quantity, Region,
    RegionPoints, ReportDocument, ReportFlaw, ReportedAlgorithm, ReportedGroup, ReportedMeasurement,
};
pub use result_file::{Device, Moment, ResultContext, ResultFile};
pub use scan::{PlaneOrientation, Scan, SeriesSummary, SkipReason, Skipped, scan};
pub use segment::{Algorithm, Segment, Tracking};
pub use segmentation::{
    LabelSet, Segmentation, SegmentationTitle, binary_segmentation, label_map_segmentation, probability_segmentation,
};
pub use series::{Series, SourceInstance, load};
pub use source::Source;
pub use uid::uid_from_seed;
pub use validate::{CheckedObject, Departure, Gravity, check_object, check_together};
pub use write_capture::{Capture, capture_file};
pub use write_ct::{CtImageFile, CtSeriesDescription, PixelCoding, ct_images, write_ct_series};
