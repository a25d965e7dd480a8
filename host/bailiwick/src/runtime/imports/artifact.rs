//! `bailiwick:host/artifact`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::context::MAX_ARTIFACTS;
use crate::runtime::bindings::bailiwick::host::artifact;
use crate::runtime::state::State;

impl artifact::Host for State {
    async fn put(&mut self, name: String, mime_type: String, data: Vec<u8>) -> Result<String, artifact::Refusal> {
        let call = Arc::clone(&self.call);
        let size = data.len() as u64;
        let before = call.ledger.artifact_bytes.fetch_add(size, Ordering::Relaxed);
        let most = call.effective.limits.artifacts;
        let earlier = call.ledger.artifacts.fetch_add(1, Ordering::Relaxed);
        // A limit of nothing leaves no room for an empty file either.
        if before + size > most || most == 0 || earlier >= MAX_ARTIFACTS {
            return Err(artifact::Refusal::TooLarge);
        }
        call.ledger.operation("artifact put".to_owned());
        let text = mime_type.starts_with("text/") || mime_type.contains("json") || mime_type.contains("xml");
        let data = match String::from_utf8(data) {
            Ok(data) if text => call.redactor().secrets(&data).into_owned().into_bytes(),
            Ok(data) => masked(&call, data.into_bytes()),
            Err(not_text) => masked(&call, not_text.into_bytes()),
        };
        // The name becomes a file's, and stands in the link that callers see.
        let name = call.redactor().secrets(&name);
        call.artifacts.keep(&call.id, &name, data).await.map_err(|error| {
            tracing::error!(call = %call.id, %error, "an artifact could not be written");
            artifact::Refusal::Unavailable
        })
    }
}

fn masked(call: &crate::context::CallContext, mut data: Vec<u8>) -> Vec<u8> {
    call.redactor().mask(&mut data);
    data
}
