//! What holds for any value: it arrives as it was meant, in its place and nowhere else, or it is refused.

use bailiwick_operation::{
    Body, Content, Field, Kind, Location, Operation, Parameter, PathValue, Piece, Source, Style,
};
use bailiwick_sdk::Failure;
use bailiwick_sdk::http::Response;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use url::Url;

use crate::answer;
use crate::request::{Call, Request, build};

fn parameter(name: &str, at: Location, style: Style, from: Source) -> Parameter {
    Parameter { from, name: name.to_owned(), at, style, explode: style == Style::Form, reserved: false }
}

fn argument(name: &str) -> Source {
    Source::Argument(name.to_owned())
}

/// One value of each place; `secret` is the operator's.
fn operation(kind: Kind, media: &str) -> Operation {
    let place = PathValue { from: argument("p"), name: "p".to_owned(), style: Style::Simple, explode: false };
    let field = |name: &str| Field { argument: name.to_owned(), name: name.to_owned(), part: None };
    Operation {
        method: "POST".to_owned(),
        path: vec![Piece::Text("/a/".to_owned()), Piece::Value(place), Piece::Text("/end".to_owned())],
        parameters: vec![
            parameter("q", Location::Query, Style::Form, argument("q")),
            parameter("o", Location::Query, Style::Form, argument("o")),
            parameter("d", Location::Query, Style::Deep, argument("d")),
            parameter("secret", Location::Query, Style::Form, Source::Injected("secret".to_owned())),
            parameter("X-H", Location::Header, Style::Simple, argument("h")),
            parameter("c", Location::Cookie, Style::Form, argument("c")),
        ],
        body: Some(Body {
            media: media.to_owned(),
            kind,
            content: Content::Fields { fields: vec![field("b")], open: false },
            required: false,
            injected: Vec::new(),
        }),
        accept: "*/*".to_owned(),
    }
}

fn request(operation: &Operation, given: &Value) -> Result<Request, Failure> {
    let base = Url::parse("https://a.example:8443/v1").expect("a base");
    let given = given.as_object().expect("arguments");
    let injected = Map::from_iter([("secret".to_owned(), json!("operator"))]);
    build(&Call { operation, base: &base, given, injected: &injected, boundary: "0123456789abcdef" })
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().expect("text").into_owned()
}

fn value(request: &Request, name: &str) -> Vec<String> {
    request.url.query_pairs().filter(|(other, _)| other == name).map(|(_, value)| value.into_owned()).collect()
}

/// Text of all kinds, and often of those that have a meaning somewhere.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[./%?#&=;,:@\\\\ \r\n\t\"'\\[\\]2eEfF]{0,12}"]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from)
    ];
    let key = prop_oneof![Just("secret".to_owned()), Just("Secret[]".to_owned()), text()];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
        ]
    })
}

proptest! {
    #[test]
    fn text_arrives_as_it_was_meant(p in text(), q in text(), h in text(), c in text(), b in text()) {
        let given = json!({ "p": p, "q": q, "h": h, "c": c, "b": b });
        let is_path = !p.is_empty() && p != "." && p != "..";
        let is_header = !h.contains(|c: char| c.is_control() && c != '\t');
        let Ok(request) = request(&operation(Kind::Form, "application/x-www-form-urlencoded"), &given) else {
            prop_assert!(!is_path || !is_header);
            return Ok(());
        };
        prop_assert!(is_path && is_header);
        let segments: Vec<String> = request.url.path_segments().expect("segments").map(decoded).collect();
        prop_assert_eq!(segments, ["v1", "a", &p, "end"]);
        prop_assert_eq!(request.url.authority(), "a.example:8443");
        prop_assert_eq!(request.url.fragment(), None);
        prop_assert_eq!(value(&request, "q"), [q]);
        prop_assert_eq!(value(&request, "secret"), ["operator"]);
        prop_assert_eq!(request.url.query_pairs().count(), 2);
        let header = |name: &str| {
            request.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
        };
        prop_assert_eq!(header("X-H"), Some(h.trim_matches([' ', '\t']).to_owned()));
        let cookie = header("Cookie").expect("a cookie");
        prop_assert!(!cookie.contains([';', ',', '"', '\\']) && !cookie.contains(char::is_control));
        prop_assert_eq!(decoded(&cookie), format!("c={c}"));
        let body = String::from_utf8(request.body.expect("a body")).expect("text");
        let pairs: Vec<_> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        prop_assert_eq!(pairs, [("b".to_owned(), b)]);
    }

    #[test]
    fn no_value_takes_the_operators_place(o in json_value(), d in json_value(), q in json_value(), b in json_value()) {
        for (kind, media) in [
            (Kind::Json, "application/json"),
            (Kind::Form, "application/x-www-form-urlencoded"),
            (Kind::Multipart, "multipart/form-data"),
        ] {
            let given = json!({ "p": "x", "o": &o, "d": &d, "q": &q, "b": &b });
            let Ok(request) = request(&operation(kind, media), &given) else { continue };
            let taken = request.url.query_pairs().filter(|(name, _)| {
                let name = name.to_lowercase();
                name == "secret" || name.starts_with("secret[")
            });
            let taken: Vec<String> = taken.map(|(_, value)| value.into_owned()).collect();
            prop_assert_eq!(taken, ["operator"]);
            if kind == Kind::Json && request.body.is_some() {
                let sent: Value = serde_json::from_slice(&request.body.expect("a body")).expect("JSON");
                prop_assert_eq!(sent, json!({ "b": &b }));
            }
        }
    }

    #[test]
    fn any_answer_is_read(
        status in 100_u16..600,
        media in prop_oneof!["(application/json|text/html|image/png)", text()],
        other in text(),
        body in prop_oneof![any::<Vec<u8>>(), "(<(script|style|p)?/?>?){0,9}".prop_map(String::into_bytes)],
        truncated: bool,
    ) {
        let names = ["content-type", "retry-after", "date", "content-disposition", "location"];
        let values = [&media, &other, &other, &other, &other];
        let headers = names.into_iter().zip(values.into_iter().map(String::as_str)).collect();
        let response = Response { status, headers, body, url: String::new(), redirected: false, truncated };
        let read = answer::read(&response, &|name, _, _| Ok(name.to_owned()));
        prop_assert!(read.is_err() || (200..300).contains(&status));
        if let Ok(structured) = read.map(|output| output.structured)
            && let Some(structured) = structured
        {
            prop_assert!(serde_json::from_str::<Value>(&structured).is_ok());
        }
    }
}
