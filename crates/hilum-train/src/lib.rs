//! Training and evaluation of Hilum networks.
