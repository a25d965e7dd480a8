//! A service with more operations than anybody wants listed: GitHub's, by its own document.

use std::path::{Path, PathBuf};

use bailiwick::search::Menu;
use serde_json::json;

use super::echo;
use crate::support::{TestHost, Upstream, told};

/// GitHub's document as its package has it; none where it is not installed, which is printed.
fn document() -> Option<PathBuf> {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("services/.documents/github.json");
    if !document.exists() {
        println!("skip   {} is not there; run `just test`", document.display());
        return None;
    }
    Some(document)
}

#[tokio::test]
async fn more_tools_than_can_be_listed_are_found_described_and_called() {
    let Some(document) = document() else { return };
    let upstream = Upstream::new(echo).await;
    let port = upstream.port;
    let text = format!(
        "[plugins.github]\nopenapi = {{ url = \"http://127.0.0.1:{port}\", spec = {document:?} }}\n\
         net = [\"GET,POST,PUT,PATCH,DELETE http://127.0.0.1:{port}\"]\napproval = \"never\"\n"
    );
    let host = TestHost::new(&text).await;
    let n_tools = host.listed().len();
    println!("measured: {n_tools} tools");
    assert!(n_tools > 1_200);
    let offered: Vec<String> =
        host.host.offer(&host.who(), Menu::default()).iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(offered, ["search_tools", "describe_tool", "call_tool"]);
    let found = told(&host.call("search_tools", json!({"query": "create an issue"})).await);
    assert!(found.contains("issues_create"), "{found}");
    let whole = told(&host.call("describe_tool", json!({"name": "issues_create"})).await);
    assert!(whole.contains("\"owner\"") && whole.contains("\"assignees\""), "{whole}");
    let call =
        json!({"name": "issues_create", "arguments": {"owner": "a", "repo": "b/c", "title": "t", "labels": ["x"]}});
    let came = told(&host.call("call_tool", call).await);
    assert!(came.contains("/repos/a/b%2Fc/issues") && came.contains("POST"), "{came}");
    let brief = host.host.list(&host.who()).iter().map(|(_, tool)| tool.listed().chars().count()).max();
    assert!(brief.is_some_and(|longest| longest <= 300), "{brief:?}");
}
