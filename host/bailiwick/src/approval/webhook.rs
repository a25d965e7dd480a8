//! Tells a service of an operator's that somebody is asked: one POST for each approval, tried three times. It says where
//! to answer; its own answer means nothing, so whoever controls that service cannot approve without a key that may.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, USER_AGENT};
use serde_json::{Value, json};

use bailiwick_core::config::Webhook;
use bailiwick_core::redact::visible_json;

use super::Entry;
use crate::egress::Egress;

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before the second and the third try.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];
/// What is read of an answer.
const MAX_ANSWER: usize = 64 << 10;

/// Tells it aside; nobody waits for that.
pub(super) fn tell(egress: &Arc<Egress>, webhook: &Webhook, entry: &Entry) {
    let (egress, url, id) = (Arc::clone(egress), webhook.url.clone(), entry.id.clone());
    let body = visible_json(&message(entry).to_string()).into_owned();
    tokio::spawn(async move {
        let mut pauses = PAUSES.into_iter();
        loop {
            let reason = match send(&egress, url.as_str(), &body).await {
                Ok(()) => return,
                Err(reason) => reason,
            };
            let Some(pause) = pauses.next() else {
                // The URL's path may be what proves who posts: only the host is named.
                let host = url.host_str().unwrap_or_default();
                tracing::warn!(approval = id, host, reason, "the webhook was not told");
                return;
            };
            tokio::time::sleep(pause).await;
        }
    });
}

fn message(entry: &Entry) -> Value {
    let id = &entry.id;
    json!({
        "event": "approval.pending",
        "approval": entry,
        "answer": {
            "http": format!("POST /api/v1/approvals/{id}"),
            "command": format!("bailiwick approvals approve {id}"),
        },
    })
}

async fn send(egress: &Egress, url: &str, body: &str) -> Result<(), String> {
    let request = Request::post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("bailiwick/", env!("CARGO_PKG_VERSION")))
        .body(Bytes::copy_from_slice(body.as_bytes()));
    let request = request.map_err(|error| error.to_string())?;
    let answer = egress.send_own(request, PATIENCE, MAX_ANSWER).await.map_err(|error| error.to_string())?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("it answered {}", answer.status().as_u16())) }
}
