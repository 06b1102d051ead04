//! What Hilum found out about a study, as plain data: the types of `findings.json`, the counting behind them, and the
//! clinical scores with their definitions.
//!
//! The road through this crate:
//!
//! 1. [`measure`] counts voxels of lobes and opacities on the series' own grid, of whatever orientation, and returns
//!    [`Measurements`]: integer counts, so that neither threads nor axis order can change a digit.
//! 2. [`Findings::analysed`] turns them into volumes, percentages, scores ([`ctss_of_lobe`], [`lss_of_lobe`],
//!    [`ct_severity`]), a suggested CO-RADS grade with reasons ([`suggest_co_rads`]), quality ([`assess_quality`]) and a
//!    place in the worklist ([`triage`]). [`Findings::refused`] is its twin for a study that could not be read.
//! 3. [`Findings::to_json`] writes `findings.json`; [`schema`] is its JSON Schema.
//!
//! Every constant stands in [`clinical`] beside its source, and every number in the findings is explained in their
//! `definitions`; what rests on an assumption of ours says so. A value that cannot be known is null, and
//! `not_known` says why: [`Findings::unexplained_nulls`] is empty for all that is written.
//!
//! Units: millilitres, millimetres (LPS), HU, percent from 0 to 100, shares from 0 to 1. Slices count from 0 at the foot
//! end.
//!
//! This crate reads no files, draws no pictures and makes no diagnosis.

mod anatomy;
mod assemble;
mod assessment;
pub mod clinical;
mod co_rads;
mod compare;
mod components;
mod definitions;
mod error;
mod findings;
mod follow_up;
mod lesions;
mod measure;
mod note;
mod nulls;
mod periphery;
mod quality;
mod schema;
mod scores;
mod triage;

pub use anatomy::{Aeration, Anatomy, Fissure, FissureConfidence, Lobe, LobeAnatomy, LungVolume, Side};
pub use assemble::{FindingsInput, RefusalInput, VolumeInterval};
pub use assessment::{
    Class, Classification, CoRads, OutOfDistribution, Priority, Probabilities, Quality, Reason, Scores, Triage,
};
pub use co_rads::{CoRadsEvidence, suggest_co_rads};
pub use compare::{MeasuredStudy, NEW_LABEL, PERSISTING_LABEL, RESOLVED_LABEL, compare};
pub use components::{ComponentCounts, component_labels};
pub use definitions::definitions;
pub use error::MeasureError;
pub use findings::{Findings, Grid, Model, SCHEMA_VERSION, Series, Software, Timings};
pub use follow_up::{
    Comparison, EarlierStudy, FollowUp, LesionChange, LesionFate, RegionChange, RegistrationFit, Trend, iso_date,
};
pub use lesions::{
    CONSOLIDATION_LABEL, Distribution, GROUND_GLASS_LABEL, HuHistogram, KindMethod, LesionComponent, LesionInterval,
    LesionKind, Lesions, LobeLesions, SliceLesions, SmallComponents, UNKNOWN_OPACITY_LABEL,
};
pub use measure::{LobeCounts, Measurements, SliceCounts, is_stored_from_foot, measure};
pub use note::{Definition, NotKnown, Note, Severity};
pub use periphery::Placement;
pub use quality::assess_quality;
pub use schema::schema;
pub use scores::{ct_severity, ctss_of_lobe, lss_of_lobe};
pub use triage::triage;
