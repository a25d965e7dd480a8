//! Secrets in streams and texts, against a search at every place.

use std::cell::Cell;
use std::time::{Duration, Instant};

use bailiwick_core::name::SecretName;
use bailiwick_core::redact::Redactor;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::for_all;
use crate::oracle::redact::{forms, judge};

fn secrets() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[A-Za-z0-9_-]{8,24}",
        3 => "[A-Za-z0-9/+=._~-]{8,24}",
        2 => "[ -~]{3,16}",
        1 => "[ab]{4,6}",
        1 => "[\\x00-\\x7f\u{e4}\u{20ac}\u{1f511}]{4,10}",
    ]
}

/// Parts of a body: forms of the secrets, whole and cut off, between texts of all sorts.
fn cases() -> impl Strategy<Value = String> {
    let parts = vec(
        prop_oneof![
            4 => (0_usize..3, 0_usize..64).prop_map(|(secret, form)| format!("form: {secret} {form}\n")),
            2 => "[ -~]{0,8}".prop_map(|text| format!("text: {text}\n")),
            1 => "[ab]{1,8}".prop_map(|text| format!("text: {text}\n")),
            1 => Just("text: \r\u{200b}\u{e4}\n".to_owned()),
        ],
        0..8,
    );
    (vec(secrets(), 0..4), any::<bool>(), vec(0_usize..40, 0..5), parts).prop_map(
        |(mut secrets, nested, sizes, parts)| {
            // One secret within another: the short one must not hide the long one.
            if let (true, Some(first)) = (nested, secrets.first().cloned()) {
                secrets.push(format!("{first}:{first}-and-more"));
            }
            let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
            let secrets: String = secrets
                .iter()
                .map(|secret| format!("secret: {}\n", serde_json::Value::from(secret.as_str())))
                .collect();
            format!("sizes: {}\n{secrets}{}", sizes.join(" "), parts.concat())
        },
    )
}

#[test]
fn no_claimed_form_stays_and_nothing_else_goes_however_a_stream_is_cut() {
    let n_places = Cell::new(0);
    for_all(2_500, cases(), |case| n_places.set(n_places.get() + judge(case.as_bytes())));
    assert!(n_places.get() > 2_500, "{} places", n_places.get());
}

/// What the usual encoders make of a secret, embedded as they embed it, with nothing here that knows the forms.
#[test]
fn what_common_encoders_write_is_found() {
    const SECRET: &str = "sk-9f/4+c2 \u{e4}7e\"_Z=";
    let name = SecretName::parse("TOKEN").unwrap();
    let redactor = Redactor::new([(&name, SECRET)]);
    let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("key", SECRET).finish();
    let mut url = url::Url::parse("https://a.test/").unwrap();
    url.set_query(Some(&format!("key={SECRET}")));
    url.path_segments_mut().unwrap().push(SECRET);
    let in_path = url.path().to_owned();
    for text in [
        form,
        url.query().unwrap().to_owned(),
        in_path,
        serde_json::json!({ "key": SECRET }).to_string(),
        format!("{:#}", serde_json::json!([[SECRET]])),
        format!("{}", percent_encoding::utf8_percent_encode(SECRET, percent_encoding::NON_ALPHANUMERIC)),
        r#"{"key":"sk-9f\/4+c2 \u00e47e\"_Z="}"#.to_owned(),
        r#"{"key":"sk-9f/4\u002Bc2 \u00E47e\u0022_Z="}"#.to_owned(),
        "key=sk-9f%2f4%2bc2%20%c3%a47e%22_Z%3d".to_owned(),
        "key=sk-9f/4%2Bc2%20%C3%A47e%22_Z%3D".to_owned(),
        hex::encode(SECRET),
    ] {
        assert!(redactor.secrets(&text).contains("[secret TOKEN]"), "not found in {text}");
        assert!(redactor.text(&text).contains("[secret TOKEN]"), "not found in {text}");
    }
}

#[test]
fn what_stood_between_the_parts_of_a_secret_does_not_hide_it() {
    let name = SecretName::parse("TOKEN").unwrap();
    let redactor = Redactor::new([(&name, "canary-4711")]);
    assert_eq!(redactor.text("a can\rary-4711 b"), "a [secret TOKEN] b");
}

/// Time grows with the text, not with how much of it looks like a secret, nor with how small the pieces are.
#[test]
fn a_long_text_of_near_misses_takes_linear_time() {
    let names = ["A", "B", "C"].map(|name| SecretName::parse(name).unwrap());
    let key = "a".repeat(2_000);
    let secrets = [format!("{key}b"), "ab".repeat(500), "aaaaaaaaaaaaaaaa".to_owned()];
    let redactor = Redactor::new(names.iter().zip(secrets.iter().map(String::as_str)));
    assert!(forms(&secrets[0]).iter().map(Vec::len).max() >= Some(4_000));
    let body = "aaaaaaaaaaaaaaa ".repeat(1 << 16).into_bytes();
    let started = Instant::now();
    let mut stream = redactor.stream();
    let n_seen: usize = body.chunks(1).map(|piece| stream.push(piece).len()).sum();
    assert_eq!(n_seen + stream.finish().len(), body.len());
    let mut dense = vec![b'a'; 1 << 20];
    assert!(redactor.mask(&mut dense) && dense.iter().all(|byte| *byte == b'*'));
    assert!(started.elapsed() < Duration::from_secs(30), "{:?} for two mebibytes", started.elapsed());
}
