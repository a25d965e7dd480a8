//! A FastAPI application, served by uvicorn, as others write it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{plugin, refused};
use crate::support::TestHost;

/// The application under way; it ends with this value.
struct App {
    child: Child,
    port: u16,
}

impl Drop for App {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("services/fastapi")
}

impl App {
    /// Serves `file`; none where what it takes is not installed, which is printed.
    fn serve(file: &str) -> Option<Self> {
        let python = folder().join(".venv/bin/python");
        if !python.exists() {
            println!("skip   {} is not there; run `just test`", python.display());
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let child = Command::new(python)
            .current_dir(folder())
            .args([
                "-B",
                "-m",
                "uvicorn",
                &format!("{file}:app"),
                "--port",
                &port.to_string(),
                "--log-level",
                "warning",
            ])
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let app = Self { child, port };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(app)
    }
}

#[tokio::test]
async fn what_fastapi_describes_is_what_it_takes() {
    let Some(app) = App::serve("shop") else { return };
    let host = TestHost::new(&plugin("shop", app.port, "", "inject = { tenant = \"acme\" }")).await;
    assert_eq!(host.listed(), ["add_item", "forbidden", "get_item", "search_items", "upload_file"]);
    let added = host.value("add_item", json!({"name": "lamp", "price": 2.5, "tags": ["a", "b"]})).await;
    assert_eq!(added, json!({"name": "lamp", "price": 2.5, "tags": ["a", "b"], "tenant": "acme"}));
    let found = host.value("search_items", json!({"q": ["x", "y & z"], "limit": 3})).await;
    assert_eq!(found, json!({"q": ["x", "y & z"], "limit": 3, "tenant": "acme"}));
    let item = host.value("get_item", json!({"item_id": "a b%2f"})).await;
    assert_eq!(item["item_id"], "a b%2f");
    let sent = host.value("upload_file", json!({"file": "data:text/plain;base64,aGVsbG8=", "title": "t"})).await;
    assert_eq!(
        (&sent["type"], &sent["size"], &sent["title"]),
        (&json!("application/octet-stream"), &json!(5), &json!("t"))
    );
    // What it would refuse is not sent.
    refused(&host, "add_item", json!({"name": 5}), "arguments.invalid").await;
    refused(&host, "forbidden", json!({}), "upstream.auth").await;
}
