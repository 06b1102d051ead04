//! Anthropomorphic chest CT phantoms with known answers.
