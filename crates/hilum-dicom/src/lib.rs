//! DICOM and NIfTI in and out: series to volumes in HU with typed notes.
