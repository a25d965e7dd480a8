//! How far a call has come, for a caller who waits.

/// Tells the caller that `done` of `total` units of work are done. No grant is needed.
///
/// `done` must grow from one report to the next; a report that does not is dropped, as are more than 10 a second. A
/// caller who did not ask to be told hears nothing.
///
/// ```no_run
/// # let files = ["a.txt"];
/// for (n, file) in files.iter().enumerate() {
///     bailiwick_sdk::progress::report(n as f64, Some(files.len() as f64), Some(file));
/// }
/// ```
pub fn report(done: f64, total: Option<f64>, message: Option<&str>) {
    crate::bindings::bailiwick::host::progress::report(done, total, message);
}
