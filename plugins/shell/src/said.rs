//! What a command said, in the form in which agents know it.

/// How much of the end of what was said a failure repeats.
const END: usize = 2_000;

/// What has been said so far.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    stdout: String,
    stderr: String,
}

impl Streams {
    /// Adds what came now. Only the end counts.
    pub(crate) fn add(&mut self, stdout: &str, stderr: &str) {
        for (kept, new) in [(&mut self.stdout, stdout), (&mut self.stderr, stderr)] {
            kept.push_str(new);
            if kept.len() > 4 * END {
                *kept = end(kept).to_owned();
            }
        }
    }

    /// The end of it, as the end of a failure's text.
    pub(crate) fn end(&self) -> String {
        let parts: String =
            streams(end(&self.stdout), end(&self.stderr)).iter().map(|part| format!("\n{part}")).collect();
        parts.trim_end().to_owned()
    }
}

fn end(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(END))..]
}

/// Standard output, then standard error under its name.
fn streams(stdout: &str, stderr: &str) -> Vec<String> {
    let mut parts = Vec::new();
    if !stdout.is_empty() {
        parts.push(stdout.to_owned());
    }
    if !stderr.is_empty() {
        parts.push(format!("[stderr]\n{stderr}"));
    }
    parts
}

/// All that it said; a command that failed has run all the same.
pub(crate) fn text(stdout: &str, stderr: &str, code: i32) -> String {
    let mut parts = streams(stdout, stderr);
    if code != 0 {
        parts.push(format!("[exit code: {code}]"));
    }
    if parts.is_empty() { "(no output)".to_owned() } else { parts.join("\n") }
}
