//! What has to hold for one input, whatever it is.
//!
//! Each file has a model that is simpler than the code it judges, or the laws that bind the code, and an `input` that reads
//! a case from bytes and panics where code and model disagree. The property tests make cases, the fuzz targets in
//! `tests/fuzz` look for them, and both ask here. Cases are text where that is possible, so that a corpus can be read.

pub mod address;
pub mod arguments;
pub mod audit;
pub mod config;
pub mod fs;
pub mod json;
pub mod names;
pub mod net;
pub mod redact;
pub mod schema;
pub mod url;

/// A name, and what is done with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every fuzz target with what it does with an input.
pub const TARGETS: &[Target] = &[
    ("address", address::input),
    ("arguments", arguments::input),
    ("audit", audit::input),
    ("config", config::input),
    ("fs", fs::input),
    ("grants", net::input),
    ("json", json::input),
    ("names", names::input),
    ("redact", redact::input),
    ("schema", schema::input),
    ("url_decision", url::input),
];

/// The lines of an input that is text: a keyword, a colon and a space, and the rest.
pub fn lines(data: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    let text = std::str::from_utf8(data).unwrap_or_default();
    text.split('\n').filter_map(|line| line.split_once(": "))
}

/// Whether a terminal would act on some character of a text, or hide it. Written anew, so that it is a second opinion.
pub fn is_plain(text: &str) -> bool {
    text.chars().all(|character| {
        let number = u32::from(character);
        let control = number < 0x20 && number != 0x0a && number != 0x09 || (0x7f..0xa0).contains(&number);
        let bidi = matches!(number, 0x061c | 0x200e | 0x200f | 0x202a..=0x202e | 0x2066..=0x2069);
        let hidden = matches!(number, 0x200b | 0x2060..=0x2064 | 0xfeff | 0xe0000..=0xe007f | 0xe0100..=0xe01ef);
        !control && !bidi && !hidden
    })
}
