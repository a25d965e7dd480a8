//! Where a request stands in a trace: what `traceparent` and `tracestate` say (W3C Trace Context, level 1).
//!
//! What cannot be read says nothing, and is passed on to nobody. Baggage is not read at all: it is what callers tell
//! each other, and none of it is for those whom tools ask.

use std::fmt;

/// The longest `tracestate` that is passed on; the standard asks for no more.
const LONGEST_STATE: usize = 512;
/// The most entries of a `tracestate`.
const MOST_ENTRIES: usize = 32;

/// The span that a request is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: [u8; 16],
    /// The span.
    pub span: [u8; 8],
    /// Whether whoever began the trace keeps it.
    pub sampled: bool,
    /// What tracing systems on the way have to remember, as it came; none where there is nothing.
    pub state: Option<String>,
}

impl TraceContext {
    /// Reads the two headers; none where `parent` does not say what it should.
    #[must_use]
    pub fn read(parent: &str, state: Option<&str>) -> Option<Self> {
        let mut parts = parent.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = bytes(version)?;
        // Later versions may say more after the flags; this one says nothing.
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let (trace, span, [flags]) = (bytes::<16>(trace)?, bytes::<8>(span)?, bytes(flags)?);
        if trace == [0; 16] || span == [0; 8] {
            return None;
        }
        let state = state.map(str::trim).filter(|state| is_state(state)).map(str::to_owned);
        Some(Self { trace, span, sampled: flags & 1 == 1, state })
    }

    /// The trace, as it is written.
    #[must_use]
    pub fn trace_id(&self) -> String {
        hex::encode(self.trace)
    }
}

impl fmt::Display for TraceContext {
    /// As `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, sampled, .. } = self;
        write!(f, "00-{}-{}-{:02x}", hex::encode(trace), hex::encode(span), u8::from(*sampled))
    }
}

/// Exactly `N` bytes in lower case.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

/// Whether this is a list of `key=value` that can stand in a header. Nobody but its owners knows what it means.
fn is_state(text: &str) -> bool {
    let key = |key: &str| {
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || b"0123456789_-*/@".contains(&byte))
    };
    let value = |value: &str| value.bytes().all(|byte| (0x20..=0x7e).contains(&byte) && byte != b'=');
    let entry = |entry: &str| {
        let entry = entry.trim();
        entry.is_empty() || entry.split_once('=').is_some_and(|(name, said)| key(name) && value(said))
    };
    !text.is_empty() && text.len() <= LONGEST_STATE && {
        let mut entries = text.split(',');
        entries.by_ref().take(MOST_ENTRIES).all(entry) && entries.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_read_is_written_the_same() {
        let read = TraceContext::read(PARENT, Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")).unwrap();
        assert_eq!(read.to_string(), PARENT);
        assert_eq!(read.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(read.state.as_deref(), Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
        assert!(read.sampled);
        // Other flags are those of versions to come; of them nothing is passed on.
        let later = TraceContext::read("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-fe-what", None).unwrap();
        assert_eq!(later.to_string(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
    }

    #[test]
    fn what_is_not_a_parent_says_nothing() {
        for parent in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nx: y",
            "00-0af7651916cd43dd8448eb211c8031é-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::read(parent, None), None, "{parent:?}");
        }
    }

    #[test]
    fn a_state_that_is_none_is_left_out_and_its_parent_stands() {
        let state = |state: &str| TraceContext::read(PARENT, Some(state)).unwrap().state;
        let (long, many) = (format!("a={}", "b".repeat(511)), "a=b,".repeat(33));
        for wrong in ["", "a", "A=b", "a=b=c", "a=b\u{7}", "a=\r\nx: y", "=b", "a=é", &long, &many] {
            assert_eq!(state(wrong), None, "{wrong:?}");
        }
        assert_eq!(state(" a=b , tenant@system=c ").as_deref(), Some("a=b , tenant@system=c"));
    }
}
