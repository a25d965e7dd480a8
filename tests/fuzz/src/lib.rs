//! What the fuzz targets share: the models and laws of the property tests.

#[path = "../../../host/core/tests/oracle/mod.rs"]
pub mod oracle;
