//! Findings: measurements, clinical scores and their definitions.

mod anatomy;
mod assessment;
mod findings;
mod lesions;
mod note;
mod schema;

pub use anatomy::{Aeration, Anatomy, Fissure, FissureConfidence, Lobe, LobeAnatomy, LungVolume, Side};
pub use assessment::{
    Class, Classification, CoRads, OutOfDistribution, Priority, Probabilities, Quality, Reason, Scores, Triage,
};
pub use findings::{Findings, Grid, Model, SCHEMA_VERSION, Series, Software, Timings};
pub use lesions::{
    CONSOLIDATION_LABEL, Distribution, GROUND_GLASS_LABEL, HuHistogram, KindMethod, LesionComponent, LesionKind,
    Lesions, LobeLesions, SliceLesions, SmallComponents, UNKNOWN_OPACITY_LABEL,
};
pub use note::{Definition, NotKnown, Note, Severity};
pub use schema::schema;
