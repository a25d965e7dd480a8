//! What came of a call, in our words.

use super::*;

#[track_caller]
fn check(result: Value, expected: &[Content]) {
    assert_eq!(super::result(result).unwrap().content, expected);
}

fn told(text: &str) -> Content {
    Content::Text(text.to_owned())
}

#[test]
fn every_kind_of_content_is_kept() {
    let media = |mime: &str| Media { data: vec![0, 1], mime_type: mime.to_owned() };
    let document =
        |body| Content::Resource(EmbeddedResource { uri: "a:b".to_owned(), mime_type: Some("t/x".to_owned()), body });
    let link = ResourceLink {
        uri: "file:///etc/passwd".to_owned(),
        name: "n".to_owned(),
        size: Some(3),
        ..ResourceLink::default()
    };
    check(
        json!({"content": [
            {"type": "text", "text": "t", "annotations": {"audience": ["user"]}},
            {"type": "image", "data": "AAE=", "mimeType": "image/png"},
            {"type": "image", "data": "AAE", "mimeType": "image/png"},
            {"type": "audio", "data": "AA\nE=", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "a:b", "mimeType": "t/x", "text": "r"}},
            {"type": "resource", "resource": {"uri": "a:b", "mimeType": "t/x", "blob": "AAE="}},
            {"type": "resource_link", "uri": "file:///etc/passwd", "name": "n", "size": 3},
        ]}),
        &[
            told("t"),
            Content::Image(media("image/png")),
            Content::Image(media("image/png")),
            Content::Audio(media("audio/wav")),
            document(ResourceBody::Text("r".to_owned())),
            document(ResourceBody::Blob(vec![0, 1])),
            Content::Link(link),
        ],
    );
}

#[test]
fn what_is_of_no_kind_is_its_own_text() {
    check(
        json!({"content": [{"type": "video", "x": 1}, {"type": "image", "data": "?", "mimeType": "i/p"}, "loose", {"type": "text"}]}),
        &[
            told(r#"{"type":"video","x":1}"#),
            told(r#"{"type":"image","data":"?","mimeType":"i/p"}"#),
            told(r#""loose""#),
            told(r#"{"type":"text"}"#),
        ],
    );
    let long = format!("{}!", "A".repeat(1_000));
    check(json!({"content": [{"type": "image", "data": long}]}), &[told(r#"{"type":"image","data":"[not base64]"}"#)]);
}

#[test]
fn structured_content_of_any_type_is_kept() {
    for structured in [json!({"a": 1}), json!([1]), json!(null), json!("x")] {
        let output = result(json!({"structuredContent": structured})).unwrap();
        assert_eq!(output, Output { structured: Some(structured), ..Output::default() });
    }
}

#[test]
fn a_failure_says_all_it_said() {
    let failed = |result: Value| super::result(result).unwrap_err().message;
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(failed(json!({"isError": true, "content": [text("a"), text("b")]})), "a\nb");
    let image = json!({"type": "image", "data": "", "mimeType": "i/p"});
    assert_eq!(failed(json!({"isError": true, "content": [text("a"), image]})), "a [and a piece that is no text]");
    assert_eq!(failed(json!({"isError": true, "structuredContent": {"a": 1}})), r#"{"a":1}"#);
    assert_eq!(failed(json!({"isError": true})), "the tool failed and did not say why");
}

#[test]
fn what_is_no_result_is_refused() {
    for odd in [json!({}), json!([]), json!("x"), json!(null), json!({"content": "text"}), json!({"toolResult": 1})] {
        assert_eq!(result(odd.clone()).unwrap_err().code, Code::PluginInvalid, "{odd}");
    }
}
