//! The pneumonia product: lungs, lobes, lesions and findings of a chest CT.
