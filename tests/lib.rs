//! Bailiwick from the outside.
