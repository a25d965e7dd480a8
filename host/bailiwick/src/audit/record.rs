//! What is written of one call. Never a value.

use std::collections::BTreeMap;
use std::fmt::Display;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use bailiwick_core::call::CallId;
use bailiwick_core::name::PluginName;

use crate::runtime::ComponentDigest;

/// The outcome of a call that is about to run: of one whose risk is high, that much is written down before.
pub const BEGUN: &str = "begun";
/// The outcome of a record that stands for others, which could not be written.
pub const LOST: &str = "lost";

/// One call, at its end or, where its risk is high, also before its beginning.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// When the call came in, RFC 3339 in UTC with milliseconds.
    #[serde(serialize_with = "milliseconds")]
    pub time: Timestamp,
    /// The call.
    #[serde(serialize_with = "text")]
    pub call: CallId,
    /// Who made it.
    pub caller: String,
    /// The name the caller wrote, control characters made visible.
    pub tool: String,
    /// The plugin, when there is such a tool.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text_if_any")]
    pub plugin: Option<PluginName>,
    /// `sha256:…` of the component that ran.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text_if_any")]
    pub component: Option<ComponentDigest>,
    /// `sha256:…` of the rights it ran with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<String>,
    /// Names and kinds of the arguments, for example `{path:string}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// `ok`, or the code of the failure; [`BEGUN`] before it runs.
    pub outcome: &'static str,
    /// How an approval went, when one was needed, and who answered: `approved by key:ci`, `rejected by cli`, `standing approval by cli`, `timed-out`,
    /// `unaskable`, `unanswered`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// The number of the record that was written before it ran, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<i64>,
    /// Each distinct refusal on the way, up to 32: its code and sentence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub denials: Vec<Denial>,
    /// How many refusals there were in all, where that is more than `denials` shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
    /// What the host did for the guest, and how often.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub operations: BTreeMap<String, u32>,
    /// Microseconds from start to end, waiting for a person included.
    pub micros: u64,
    /// The most linear memory the guest had, in bytes.
    pub memory: u64,
    /// The size of the result in bytes.
    pub output: u64,
}

/// A refusal.
#[derive(Debug, Clone, Serialize)]
pub struct Denial {
    /// Its code.
    pub code: &'static str,
    /// What was refused, and which line would allow it.
    pub message: String,
}

fn milliseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

fn text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn text_if_any<S: Serializer>(value: &Option<impl Display>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// Records that are lost.
#[derive(Debug, Serialize)]
pub(super) struct Lost {
    #[serde(serialize_with = "milliseconds")]
    pub(super) time: Timestamp,
    /// As the host itself.
    pub(super) caller: &'static str,
    pub(super) outcome: &'static str,
    /// How many.
    pub(super) records: u64,
}

impl Lost {
    pub(super) fn new(records: u64) -> Self {
        Self { time: Timestamp::now(), caller: "bailiwick", outcome: LOST, records }
    }
}
