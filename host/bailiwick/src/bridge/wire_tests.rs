//! Lines, whole and in pieces.

use super::*;
use crate::bridge::hear::Changes;
use crate::bridge::stderr::Ring;

fn wire() -> (Wire, tokio::io::DuplexStream, watch::Sender<Option<Ended>>) {
    let ear = Ear::new(&Changes::new(), &Arc::new(Ring::default()));
    let (output, there) = tokio::io::duplex(1 << 16);
    let (tell, ended) = watch::channel(None);
    (Wire::new(Box::new(tokio::io::sink()), Box::new(output), ended, &ear), there, tell)
}

/// The results among what is read of `text`, and why it ended.
async fn read(text: &[u8]) -> (Vec<String>, String) {
    let (mut wire, mut there, _tell) = wire();
    let text = text.to_vec();
    let writing = tokio::spawn(async move {
        for piece in text.chunks(7) {
            there.write_all(piece).await.unwrap();
        }
    });
    let mut seen = Vec::new();
    while let Some(message) = wire.receive().await {
        seen.push(serde_json::to_value(message).unwrap()["result"].to_string());
    }
    writing.await.unwrap();
    (seen, wire.ear.why_over().unwrap())
}

#[tokio::test]
async fn lines_come_in_pieces_batches_and_with_noise_between() {
    let text =
        b"hello\n\r\n{\"id\":1,\"result\":{\"a\":1}}\r\n[{\"id\":2,\"result\":2},{\"id\":\"3\",\"result\":3},7]\n\
        {\"id\":1.5,\"result\":0}\n{\"id\":4,\"result\":null}\n{\"id\":5,\"result\":5}";
    let (seen, why) = read(text).await;
    assert_eq!(seen, [r#"{"a":1}"#, "2", "3", "null"], "what has no end is no line");
    assert_eq!(why, "it closed its standard output");
}

#[tokio::test]
async fn a_thousand_lines_of_noise_are_too_many_unless_something_is_said_between() {
    let mut text = b"noise\n".repeat(999);
    text.extend_from_slice(b"{\"id\":1,\"result\":1}\n");
    text.extend_from_slice(&b"noise\n".repeat(999));
    let (seen, why) = read(&text).await;
    assert_eq!((seen.len(), why.as_str()), (1, "it closed its standard output"));
    let (seen, why) = read(&b"noise\n".repeat(1_000)).await;
    assert_eq!((seen.len(), why.as_str()), (0, "it wrote 1000 lines to its standard output that are no messages"));
}

#[tokio::test]
async fn how_the_child_ended_is_the_reason() {
    let (mut wire, there, tell) = wire();
    tell.send_replace(Some(Ended { code: None, signal: Some(9), over: None }));
    drop(there);
    assert!(wire.receive().await.is_none());
    assert_eq!(wire.ear.why_over().as_deref(), Some("it was ended by signal 9"));
}

#[tokio::test]
async fn a_server_that_asks_without_end_is_answered_so_much() {
    let (mut wire, mut there, _tell) = wire();
    for id in 0..1_000 {
        there.write_all(format!("{{\"id\":{id},\"method\":\"roots/list\"}}\n").as_bytes()).await.unwrap();
    }
    drop(there);
    let mut seen = 0;
    while wire.receive().await.is_some() {
        seen += 1;
    }
    assert_eq!(seen, MAX_OPEN);
}
