//! Artifacts as arguments: where an operation takes a file, a caller may name what one of its earlier calls left.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use bailiwick_core::openapi::{artifact_in, contents};
use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::redact::quotable;

use super::Kept;
use crate::ambient;
use crate::context::CallContext;

/// `arguments`, an object as text, with the contents of artifacts where they are named in the place of files: in the
/// arguments called `files`, of which `bailiwick_core::openapi::file_arguments` makes the list. What names none goes on as
/// it came.
///
/// # Errors
/// `tool.not-found` where no call of this caller left the artifact, `limit.http` where all of them are more than
/// `limits.http_request_body`.
pub async fn files_in<'a>(files: &[&str], arguments: &'a str, context: &CallContext) -> Result<Cow<'a, str>, Failure> {
    if files.is_empty() {
        return Ok(Cow::Borrowed(arguments));
    }
    let broken = |error: serde_json::Error| Failure::new(Code::ArgumentsInvalid, format!("not an object: {error}"));
    // The rest stays as it was written: no digit of a number is lost.
    let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(arguments).map_err(broken)?;
    let mut room = Room { context, left: context.effective.limits.http_request_body };
    let mut changed = false;
    for argument in files {
        let Some(field) = fields.get_mut(*argument) else { continue };
        let value: Value = serde_json::from_str(field.get()).map_err(broken)?;
        let Some(filled) = room.filled(argument, &value).await? else { continue };
        *field = to_raw_value(&filled).map_err(broken)?;
        changed = true;
    }
    if !changed {
        return Ok(Cow::Borrowed(arguments));
    }
    serde_json::to_string(&fields).map(Cow::Owned).map_err(broken)
}

/// What the call may still send.
struct Room<'c> {
    context: &'c CallContext,
    left: u64,
}

impl Room<'_> {
    /// A file or a list of files with contents in the place of artifacts; none where it names none.
    async fn filled(&mut self, argument: &str, value: &Value) -> Result<Option<Value>, Failure> {
        let Value::Array(items) = value else { return self.one(argument, value).await };
        let (mut filled, mut changed) = (Vec::with_capacity(items.len()), false);
        for item in items {
            let file = self.one(argument, item).await?;
            changed |= file.is_some();
            filled.push(file.unwrap_or_else(|| item.clone()));
        }
        Ok(changed.then_some(Value::Array(filled)))
    }

    async fn one(&mut self, argument: &str, value: &Value) -> Result<Option<Value>, Failure> {
        let Some(uri) = artifact_in(value) else { return Ok(None) };
        let unknown = || {
            let shown = quotable(&uri, 120);
            let message = format!("`{argument}`: no earlier call of yours left the artifact `{shown}`");
            Failure::new(Code::ToolNotFound, message)
        };
        let owner = &self.context.channel.owner;
        let Kept { path, name, mime_type } = self.context.artifacts.of(owner, &uri).ok_or_else(unknown)?;
        let left = self.left;
        let read = tokio::task::spawn_blocking(move || ambient::read(&path, left)).await;
        let bytes = match read.map_err(io::Error::other).flatten() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown()),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Err(self.too_large(argument)),
            Err(error) => {
                tracing::error!(uri, %error, "an artifact cannot be read");
                let message = format!("`{argument}`: the artifact cannot be read; the host's log says why");
                return Err(Failure::new(Code::Internal, message));
            }
        };
        self.left -= bytes.len() as u64;
        Ok(Some(contents(&name, mime_type.as_deref(), &bytes)))
    }

    fn too_large(&self, argument: &str) -> Failure {
        let CallContext { effective, tool, .. } = self.context;
        let most = effective.limits.http_request_body;
        let message = format!("`{tool}` would send files of more than {most} bytes; `{argument}` does not fit");
        let grants = &effective.grants;
        let fix = format!("raise `limits.http_request_body` under `[{}]` ({})", grants.table, grants.at);
        Failure::new(Code::LimitHttp, message).with_fix(fix)
    }
}

#[cfg(test)]
mod tests;
