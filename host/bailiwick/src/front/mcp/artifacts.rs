//! Results that were too big for an answer, as MCP resources of the connection whose calls made them.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, Resource};
use serde_json::json;

use bailiwick_core::call::CallId;
use bailiwick_core::outcome::{Content, Output, ResourceBody, ResourceLink};

use super::wire;
use crate::ambient;
use crate::artifact::Artifacts;

/// Artifacts one connection can read; after that the oldest fall out.
const MAX_KEPT: usize = 500;
/// The largest artifact that goes into one answer.
const MAX_READ: u64 = 16 << 20;

/// The artifacts that results of this connection linked to, oldest first.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<VecDeque<ResourceLink>>);

impl Kept {
    /// Remembers the artifacts `call` made. A link to those of another call stays a mere link: the plugin wrote it, and
    /// must not be able to open what another caller was given.
    pub(super) fn note(&self, call: &CallId, output: &Output) {
        let own = format!("artifact://{call}/");
        for piece in &output.content {
            if let Content::Link(link) = piece
                && link.uri.starts_with(&own)
            {
                let mut kept = self.lock();
                kept.retain(|known| known.uri != link.uri);
                if kept.len() >= MAX_KEPT {
                    kept.pop_front();
                }
                kept.push_back(link.clone());
            }
        }
    }

    /// All of them, newest first.
    pub(super) fn list(&self) -> Vec<Resource> {
        self.lock().iter().rev().cloned().map(wire::resource).collect()
    }

    /// The content of one of them.
    ///
    /// # Errors
    /// When it is none of them, or cannot be read.
    pub(super) async fn read(&self, artifacts: &Artifacts, uri: &str) -> Result<ReadResourceResult, ErrorData> {
        let unknown = || {
            ErrorData::resource_not_found("no call of this connection made such an artifact", Some(json!({"uri": uri})))
        };
        let link = self.lock().iter().find(|link| link.uri == uri).cloned().ok_or_else(unknown)?;
        let path = artifacts.path(uri).ok_or_else(unknown)?;
        let read = tokio::task::spawn_blocking(move || ambient::read(&path, MAX_READ)).await;
        let bytes = match read.map_err(io::Error::other).flatten() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown()),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                let message = format!("the artifact is larger than {} MiB; ask the tool for less", MAX_READ >> 20);
                return Err(ErrorData::invalid_params(message, Some(json!({"uri": uri}))));
            }
            Err(error) => {
                tracing::error!(uri, %error, "an artifact cannot be read");
                return Err(ErrorData::internal_error("the artifact cannot be read; the host's log says why", None));
            }
        };
        let body = body(bytes, link.mime_type.as_deref());
        let contents = wire::contents(link.uri, link.mime_type, body);
        Ok(ReadResourceResult::new(vec![contents]))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<ResourceLink>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Text where both the media type and the bytes say so.
fn body(bytes: Vec<u8>, mime_type: Option<&str>) -> ResourceBody {
    let textual = mime_type.is_none_or(|mime| {
        mime.starts_with("text/")
            || ["json", "xml", "yaml", "toml", "javascript"].iter().any(|kind| mime.contains(kind))
    });
    match String::from_utf8(bytes) {
        Ok(text) if textual => ResourceBody::Text(text),
        Ok(text) => ResourceBody::Blob(text.into_bytes()),
        Err(not_text) => ResourceBody::Blob(not_text.into_bytes()),
    }
}
