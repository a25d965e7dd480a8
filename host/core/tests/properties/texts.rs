//! JSON, records, and numbers with units.

use std::time::Duration;

use bailiwick_core::call::Selector;
use bailiwick_core::grant::limit::{Size, Span};
use bailiwick_core::grant::{parse_duration, parse_size};
use bailiwick_core::name::ToolName;
use bailiwick_core::schema::parse;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::oracle::{audit, json};
use crate::{any_of, for_all};

#[test]
fn json_is_read_as_everyone_reads_it() {
    let pieces = any_of(&[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"\\u0061\"",
        "\"b\"",
        "1",
        "-0",
        "1e400",
        "18446744073709551616",
        "null",
        "tru",
        " ",
        "\u{feff}",
        "\"\\ud800\"",
        "\u{e4}",
    ]);
    for_all(20_000, vec(pieces, 0..12), |pieces| {
        json::check(&pieces.concat());
    });
    let fields =
        vec(("[ab]{1,2}", any_of(&["1", "{\"a\":1}", "[{\"a\":1,\"a\":2}]", "{\"\\u0061\":1,\"a\":2}"])), 0..5);
    let objects = fields.prop_map(|fields| {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    });
    for_all(10_000, objects, |object| {
        json::check(&object);
    });
}

#[test]
fn json_is_as_deep_as_it_may_be_and_no_deeper() {
    for depth in [1, 100, 126, 127, 128, 129, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(parse(&text).is_ok(), depth <= 127, "{depth}");
        }
    }
}

#[test]
fn a_record_is_one_line_of_json_whatever_it_says() {
    let texts = vec(
        "[\\x00-\\x20\u{7f}-\u{a0}\u{61c}\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2066}\u{feff}\u{e0041}\u{e0101}a\"\\\\]{0,8}",
        1..5,
    );
    for_all(10_000, texts, |texts| audit::check(texts.iter().map(String::as_str)));
    for_all(5_000, vec("\\PC{0,8}", 1..4), |texts| audit::check(texts.iter().map(String::as_str)));
}

#[test]
fn a_size_and_a_time_are_read_as_they_are_printed() {
    for_all(10_000, (any::<u64>(), 0_u32..64), |(number, shift)| {
        let bytes = number >> shift;
        assert_eq!(parse_size(&Size(bytes).to_string()), Ok(bytes));
        let time = Duration::from_millis(bytes);
        assert_eq!(parse_duration(&Span(time).to_string()), Ok(time));
    });
    for_all(10_000, "[0-9]{0,22} ?(B|KiB|MiB|GiB|KB|MB|GB|ms|s|m|h|k|)", |text| {
        let number = text.trim_end_matches(|character: char| !character.is_ascii_digit());
        let unit = text[number.len()..].trim_start_matches(' ');
        let factor = match unit {
            "B" => Some(1_u128),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            "KB" => Some(1_000),
            "MB" => Some(1_000_000),
            "GB" => Some(1_000_000_000),
            _ => None,
        };
        let expected = factor.zip(number.parse::<u128>().ok()).map(|(factor, number)| factor * number);
        let expected = expected.and_then(|bytes| u64::try_from(bytes).ok());
        assert_eq!(parse_size(&text).ok(), expected, "{text:?}");
    });
}

#[test]
fn a_selection_is_what_it_names_less_what_it_excludes() {
    let entries = any_of(&["*", "read", "write", "!read", "!write", "reader", "!*", "!", ""]);
    for_all(5_000, (vec(entries, 0..5), any_of(&["read", "write", "reader"])), |(entries, tool)| {
        let selected = Selector::of(entries.iter().copied()).contains(&ToolName::parse(tool).unwrap());
        let named = entries.contains(&"*") || entries.contains(&tool);
        assert_eq!(selected, named && !entries.contains(&format!("!{tool}").as_str()), "{entries:?} {tool}");
    });
}
