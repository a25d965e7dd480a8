//! `multipart/form-data`, as browsers write it.

use std::fmt::Write as _;

use bailiwick_sdk::Failure;

/// A body that grows part by part.
pub(crate) struct Multipart<'b> {
    boundary: &'b str,
    bytes: Vec<u8>,
}

impl<'b> Multipart<'b> {
    /// A body whose parts this separates.
    pub(crate) fn new(boundary: &'b str) -> Self {
        Self { boundary, bytes: Vec::new() }
    }

    /// Adds a part: a file if it has a file name.
    ///
    /// # Errors
    ///
    /// `tool.failed` where the content holds the boundary.
    pub(crate) fn add(
        &mut self,
        name: &str,
        file_name: Option<&str>,
        media: Option<&str>,
        content: &[u8],
    ) -> Result<(), Failure> {
        let boundary = self.boundary.as_bytes();
        if content.windows(boundary.len()).any(|window| window == boundary) {
            return Err(Failure::failed("A part of the body holds what separates the parts: try again."));
        }
        let mut head = format!("--{}\r\nContent-Disposition: form-data; name=\"{}\"", self.boundary, quoted(name));
        if let Some(file_name) = file_name {
            write!(head, "; filename=\"{}\"", quoted(base_name(file_name)))?;
        }
        if let Some(media) = media {
            write!(head, "\r\nContent-Type: {media}")?;
        }
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(b"\r\n\r\n");
        self.bytes.extend_from_slice(content);
        self.bytes.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// The whole body.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        self.bytes
    }
}

/// What stands between the quotes: the three escapes of the HTML standard, and no other control characters.
fn quoted(text: &str) -> String {
    let escaped = text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    escaped.replace(|c: char| c.is_control(), " ")
}

/// A file's name without directories: where it lay is not the service's business.
fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().filter(|name| !name.is_empty()).unwrap_or("file")
}
