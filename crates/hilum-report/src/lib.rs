//! Findings to HTML, PDF and key pictures.
