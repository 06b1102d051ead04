//! Findings: measurements, clinical scores and their definitions.
