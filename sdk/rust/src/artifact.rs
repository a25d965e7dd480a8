//! Results too big for an answer: the host keeps them and the caller gets a link.

pub use crate::bindings::bailiwick::host::artifact::Refusal;

/// Keeps `bytes` under the file name `name` and gives back the URI, `artifact://CALL/NAME`, for a resource link.
///
/// No grant is needed. Characters of `name` other than `A-Z a-z 0-9 . _ -` are replaced.
///
/// # Errors
///
/// [`Refusal::TooLarge`] beyond `limits.artifacts`, [`Refusal::Unavailable`] when the host could not write it.
///
/// ```no_run
/// use bailiwick_sdk::{Content, Failure, Output, artifact};
///
/// fn report(csv: Vec<u8>) -> Result<Output, Failure> {
///     let uri = artifact::put("report.csv", "text/csv", &csv)?;
///     Ok(Output::text("The report is attached.").with(Content::link(uri, "report.csv")))
/// }
/// ```
pub fn put(name: &str, mime_type: &str, bytes: impl AsRef<[u8]>) -> Result<String, Refusal> {
    crate::bindings::bailiwick::host::artifact::put(name, mime_type, bytes.as_ref())
}
