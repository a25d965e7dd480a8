//! What a person is shown before a call runs, and what they can answer.
//!
//! The host writes all of it: of the plugin there are only names. Nothing here waits or remembers; who is asked, and
//! whose answer counts, is the shell's business, and the rule for it is [`may_answer`].

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::Caller;
use crate::grant::{Access, Grants};
use crate::redact::{Redactor, visible, visible_json};
use crate::registry::Risk;

/// Approvals that may wait at once, of all callers.
pub const MAX_PENDING: usize = 256;
/// Approvals of one caller that may wait at once.
pub const MAX_PENDING_OF_ONE: usize = 16;
/// The longest time an answer may stand for, in minutes: a day.
pub const MAX_MINUTES: u32 = 24 * 60;
/// The longest reason that is kept.
const MAX_REASON: usize = 500;
/// Characters of arguments that are kept to be shown.
const MAX_ARGUMENTS: usize = 64 << 10;
/// Characters of arguments in a sentence.
const MAX_SPOKEN: usize = 2_000;

/// The name of one approval: a random UUID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ApprovalId(String);

impl ApprovalId {
    /// Of 128 random bits, six of which say that it is such a UUID.
    #[must_use]
    pub fn of(mut random: [u8; 16]) -> Self {
        random[6] = random[6] & 0x0f | 0x40;
        random[8] = random[8] & 0x3f | 0x80;
        let hex = hex::encode(random);
        Self([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
    }

    /// As it stands in a URL or on a command line; none where it is no UUID.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let lengths = text.split('-').map(str::len);
        let is_digit = |byte: u8| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a person decides about. Secrets of the plugin are not in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Who wants the call.
    pub caller: String,
    /// The tool that would run, whatever was asked for by another name.
    pub tool: String,
    /// Its plugin.
    pub plugin: String,
    /// How much harm it can do, in the plugin's own word.
    pub risk: Risk,
    /// Why a person is asked.
    pub why: String,
    /// What it would run with, without what the operator sets: an object, or the start of its text where it is too long.
    pub arguments: Value,
    /// Characters of the arguments that are not shown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_shown: usize,
    /// Names of arguments that the operator sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_by_operator: Vec<String>,
    /// What the tool may reach, a line for each right; empty where it reaches nothing.
    pub may: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Facts {
    /// With these arguments, as far as they can be shown.
    pub(crate) fn with_arguments(mut self, arguments: &Value, redactor: &Redactor) -> Self {
        let clean = without_secrets(arguments, redactor);
        let text = clean.to_string();
        match text.char_indices().nth(MAX_ARGUMENTS) {
            Some((end, _)) => {
                self.not_shown = text[end..].chars().count();
                self.arguments = Value::from(&text[..end]);
            }
            None => self.arguments = clean,
        }
        self
    }

    /// The arguments as text, and how many characters of them are not in it. What a terminal acts on is spelled out.
    fn spoken(&self) -> (String, usize) {
        // Where they were cut already, they are the start of a text.
        let start = self.arguments.as_str().filter(|_| self.not_shown > 0);
        let text = start.map_or_else(|| self.arguments.to_string(), str::to_owned);
        let text = visible(&visible_json(&text)).into_owned();
        match text.char_indices().nth(MAX_SPOKEN) {
            Some((end, _)) => (text[..end].to_owned(), self.not_shown + text[end..].chars().count()),
            None => (text, self.not_shown),
        }
    }

    /// What is wanted, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let (caller, tool, plugin) = (visible(&self.caller), &self.tool, &self.plugin);
        let (arguments, hidden) = self.spoken();
        let rest = match hidden {
            0 => String::new(),
            hidden => format!(" … and {hidden} more characters, which are not shown"),
        };
        format!("`{caller}` wants to run the tool `{tool}` of plugin `{plugin}` with {arguments}{rest}")
    }

    /// All of it, line by line: the sentence, why it is asked, what the tool may reach.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.sentence();
        let _ = write!(text, "\n  asked because {}", self.why);
        if !self.set_by_operator.is_empty() {
            let names: Vec<String> = self.set_by_operator.iter().map(|name| format!("`{}`", visible(name))).collect();
            let _ = write!(text, "\n  the operator sets {}", names.join(", "));
        }
        if self.may.is_empty() {
            text.push_str("\n  it reaches nothing outside of itself");
        }
        for line in &self.may {
            let _ = write!(text, "\n  it may {}", visible(line));
        }
        text
    }
}

/// Rights in words, in the order of the configuration's documentation.
pub(crate) fn in_words(grants: &Grants) -> Vec<String> {
    let net = grants.net.iter().map(|grant| match grant.text().rsplit_once(' ') {
        Some((methods, target)) => format!("send {methods} to {target}"),
        None => format!("send {} to {}", grant.methods(), grant.text()),
    });
    let fs = grants.fs.iter().map(|grant| match grant.access {
        Access::ReadOnly => format!("read {}", grant.host.display()),
        Access::ReadWrite => format!("read and change {}", grant.host.display()),
    });
    let secrets = grants.secrets.iter().map(|secret| match (&secret.binding, secret.reveal) {
        (_, true) => format!("read the secret {}", secret.name),
        (Some(binding), false) => format!("use the secret {} at {}", secret.name, binding.origin),
        (None, false) => format!("ask whether the secret {} is set", secret.name),
    });
    let variables: Vec<&str> = grants.env.keys().map(String::as_str).collect();
    let env = (!variables.is_empty()).then(|| format!("read the variables {}", variables.join(", ")));
    let tools = grants.call.entries();
    let call = (!tools.is_empty()).then(|| format!("call other tools: {}", tools.join(", ")));
    net.chain(fs).chain(call).chain(secrets).chain(env).collect()
}

/// `value` with every secret in its texts, names and numbers replaced.
fn without_secrets(value: &Value, redactor: &Redactor) -> Value {
    let text = |text: &str| {
        let clean = redactor.text(text);
        // Hidden characters stay as they are where there is no secret: whoever shows the text spells them out.
        if *clean == *visible(text) { text.to_owned() } else { clean.into_owned() }
    };
    match value {
        _ if redactor.is_empty() => value.clone(),
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(number) => {
            let written = number.to_string();
            let clean = redactor.secrets(&written);
            if *clean == *written { value.clone() } else { Value::from(clean.into_owned()) }
        }
        Value::String(written) => Value::String(text(written)),
        Value::Array(items) => items.iter().map(|item| without_secrets(item, redactor)).collect(),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| (text(name), without_secrets(value, redactor));
            Value::Object(fields.iter().map(field).collect())
        }
    }
}

/// Whether this caller may answer when a person is asked for a call, its own too.
#[must_use]
pub fn may_answer(caller: &Caller) -> bool {
    caller.may.approve
}

/// An answer, as a person gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Yes or no.
    pub decision: Decision,
    /// Why, in their words.
    pub reason: Option<String>,
}

/// Yes or no.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The call runs.
    Approve {
        /// With these arguments instead of the caller's, as JSON text.
        arguments: Option<String>,
        /// The same caller is not asked for the same tool with the same arguments for so many minutes.
        minutes: Option<u32>,
    },
    /// It does not.
    Reject,
}

impl Reply {
    /// Yes, to what was asked.
    pub const YES: Self = Self { decision: Decision::Approve { arguments: None, minutes: None }, reason: None };
    /// No.
    pub const NO: Self = Self { decision: Decision::Reject, reason: None };

    /// Reads `{"decision": "approve" | "reject", "arguments"?, "minutes"?, "reason"?}`.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn read(value: &Value) -> Result<Self, String> {
        let fields = value.as_object().ok_or("the answer must be a JSON object")?;
        for name in fields.keys() {
            if !["decision", "arguments", "minutes", "reason"].contains(&name.as_str()) {
                let name = crate::redact::quotable(name, 40);
                return Err(format!("`{name}` is unknown; there are `decision`, `arguments`, `minutes`, `reason`"));
            }
        }
        let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
        let decision = match given("decision").and_then(Value::as_str) {
            Some("approve") => Decision::approve(given("arguments"), given("minutes"))?,
            Some("reject") => match ["arguments", "minutes"].into_iter().find(|name| given(name).is_some()) {
                Some(name) => return Err(format!("`{name}` goes with `\"decision\": \"approve\"` only")),
                None => Decision::Reject,
            },
            Some(_) | None => return Err("`decision` must be `approve` or `reject`".to_owned()),
        };
        let reason = given("reason").map(|reason| reason.as_str().ok_or("`reason` must be text")).transpose()?;
        let reason = reason.map(|reason| reason.trim().chars().take(MAX_REASON).collect::<String>());
        Ok(Self { decision, reason: reason.filter(|reason| !reason.is_empty()) })
    }

    /// Yes, with what a form may hold beside that: `arguments` and `minutes`. What else is in it means nothing.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn accepted(form: &Value) -> Result<Self, String> {
        let decision = Decision::approve(form.get("arguments"), form.get("minutes"))?;
        Ok(Self { decision, reason: None })
    }

    /// The answer in the audit's words, given by `whom`.
    #[must_use]
    pub fn in_words(&self, whom: &str) -> String {
        match &self.decision {
            Decision::Reject => format!("rejected by {whom}"),
            Decision::Approve { arguments, minutes } => {
                let edited = if arguments.is_some() { " with other arguments" } else { "" };
                let stands = minutes.map(|minutes| format!(" for {minutes} min")).unwrap_or_default();
                format!("approved by {whom}{edited}{stands}")
            }
        }
    }

    /// The answer as [`Reply::read`] reads it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        match &self.decision {
            Decision::Approve { arguments, minutes } => {
                fields.insert("decision".to_owned(), "approve".into());
                if let Some(arguments) = arguments {
                    let value = crate::schema::parse(arguments).unwrap_or_else(|_| Value::from(arguments.as_str()));
                    fields.insert("arguments".to_owned(), value);
                }
                fields.extend(minutes.map(|minutes| ("minutes".to_owned(), minutes.into())));
            }
            Decision::Reject => drop(fields.insert("decision".to_owned(), "reject".into())),
        }
        fields.extend(self.reason.as_ref().map(|reason| ("reason".to_owned(), reason.as_str().into())));
        Value::Object(fields)
    }
}

impl Decision {
    fn approve(arguments: Option<&Value>, minutes: Option<&Value>) -> Result<Self, String> {
        let minutes = minutes
            .map(|minutes| {
                let whole = minutes.as_u64().and_then(|minutes| u32::try_from(minutes).ok());
                whole.filter(|minutes| (1..=MAX_MINUTES).contains(minutes))
            })
            .map(|minutes| minutes.ok_or_else(|| format!("`minutes` must be a whole number from 1 to {MAX_MINUTES}")))
            .transpose()?;
        if arguments.is_some_and(|arguments| !arguments.is_object()) {
            return Err("`arguments` must be a JSON object".to_owned());
        }
        Ok(Self::Approve { arguments: arguments.map(Value::to_string), minutes })
    }
}

/// How it stands with an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has answered.
    Pending,
    /// Somebody said yes.
    Approved,
    /// Somebody said no.
    Rejected,
    /// Nobody answered in time.
    Expired,
    /// Its caller gave up, or its host ended.
    Cancelled,
}

impl State {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Approved, Self::Rejected, Self::Expired, Self::Cancelled];

    /// As it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

#[cfg(test)]
#[path = "approval_tests.rs"]
mod tests;
