//! Tries to reach what it is told to, and says what came of it.
#![expect(clippy::disallowed_methods, reason = "a guest's std::fs reaches its preopens only")]

use std::collections::BTreeMap;
use std::fs;
use std::io;

use bailiwick_guests::files;
use bailiwick_guests::request::{self, Written};
use bailiwick_sdk::prelude::*;
use bailiwick_sdk::serde_json::json;

/// Not permitted, outside of every granted directory, or on a read-only one.
fn is_refusal(error: &io::Error) -> bool {
    // 76: ENOTCAPABLE.
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
        || error.raw_os_error() == Some(76)
}

/// Whether the path names something below a directory that is there at all. To a C library what is nowhere does not exist.
fn is_somewhere(path: &str) -> bool {
    let directories = wasip2::filesystem::preopens::get_directories();
    directories.iter().any(|(_, directory)| std::path::Path::new(path).starts_with(directory))
}

fn reading(path: &str, error: &io::Error) -> Failure {
    if is_refusal(error) || !is_somewhere(path) {
        Failure::denied_read(path)
    } else {
        Failure::failed(error.to_string())
    }
}

fn writing(path: &str, error: &io::Error) -> Failure {
    if is_refusal(error) || !is_somewhere(path) {
        Failure::denied_write(path)
    } else {
        Failure::failed(error.to_string())
    }
}

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// Sends a request with the SDK's client.
    #[tool]
    fn get(
        url: String,
        method: Option<String>,
        headers: Option<BTreeMap<String, String>>,
        body: Option<String>,
        /// How many redirects to follow; left out: five.
        redirects: Option<u32>,
        /// How long to wait for an answer.
        milliseconds: Option<u64>,
    ) -> Result<Json<bailiwick_sdk::serde_json::Value>, Failure> {
        let mut request = http::Request::new(method.as_deref().unwrap_or("GET"), url);
        for (name, value) in headers.unwrap_or_default() {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        if let Some(redirects) = redirects {
            request = request.redirects(redirects);
        }
        if let Some(milliseconds) = milliseconds {
            request = request.timeout(std::time::Duration::from_millis(milliseconds));
        }
        let response = request.send()?;
        let headers: BTreeMap<&str, &str> = response.headers.iter().collect();
        Ok(Json(json!({ "status": response.status, "url": response.url, "headers": headers, "body": response.text() })))
    }

    /// Sends a request as it is written.
    #[tool]
    fn raw(
        method: Option<String>,
        scheme: Option<String>,
        authority: String,
        path: Option<String>,
    ) -> Result<String, Failure> {
        let written = Written {
            method: method.as_deref().unwrap_or("GET"),
            scheme: scheme.as_deref().unwrap_or("http"),
            authority: &authority,
            path: path.as_deref().unwrap_or("/"),
        };
        let answer = request::send(&written)?;
        Ok(format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)))
    }

    /// Asks its caller, then sends a request.
    #[tool]
    fn get_after_question(url: String) -> Result<String, Failure> {
        let _ = ask::input("go on?", r#"{"type":"object","properties":{}}"#);
        Ok(http::Request::get(url).send()?.text())
    }

    /// Sends many requests one after the other; how many were answered before the first that was not.
    #[tool]
    fn hammer(url: String, times: u32) -> Result<String, Failure> {
        for answered in 0..times {
            if let Err(error) = http::Request::get(&*url).send() {
                return Ok(format!("{answered} answered, then: {error}"));
            }
        }
        Ok(format!("{times} answered"))
    }

    /// Opens many requests at once and waits for none of them.
    #[tool]
    fn crowd(authority: String, times: u32) -> Result<String, Failure> {
        let written = Written { method: "GET", scheme: "http", authority: &authority, path: "/" };
        let mut open = Vec::new();
        for _ in 0..times {
            open.push(request::start(&written)?);
        }
        for answer in &open {
            answer.subscribe().block();
        }
        let refused = open.iter().filter(|answer| matches!(answer.get(), Some(Ok(Err(_))))).count();
        Ok(format!("{} answered, {refused} refused", open.len() - refused))
    }

    /// Reads a file.
    #[tool]
    fn read(path: String) -> Result<String, Failure> {
        fs::read_to_string(&path).map_err(|error| reading(&path, &error))
    }

    /// Writes a file.
    #[tool]
    fn write(path: String, text: String) -> Result<String, Failure> {
        fs::write(&path, text).map(|()| "written".to_owned()).map_err(|error| writing(&path, &error))
    }

    /// Lists a directory.
    #[tool]
    fn list(path: String) -> Result<String, Failure> {
        let entries = fs::read_dir(&path).map_err(|error| reading(&path, &error))?;
        let mut names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names.join(" "))
    }

    /// Does one thing to a path below a granted directory, as it is written.
    #[tool]
    fn file(directory: String, operation: String, path: String, to: Option<String>) -> Result<String, Failure> {
        let opened = files::directory(&directory).ok_or_else(|| Failure::failed("no such directory is granted"))?;
        Ok(files::run(&opened, &operation, &path, to.as_deref().unwrap_or_default()).unwrap_or_else(|code| code))
    }

    /// What the plugin sees of its surroundings.
    #[tool]
    fn surroundings() -> Json<bailiwick_sdk::serde_json::Value> {
        let environment: BTreeMap<String, String> = wasip2::cli::environment::get_environment().into_iter().collect();
        let settings: BTreeMap<String, String> = config::all().into_iter().collect();
        let directories: Vec<String> =
            wasip2::filesystem::preopens::get_directories().into_iter().map(|(_, path)| path).collect();
        Json(json!({
            "environment": environment,
            "arguments": wasip2::cli::environment::get_arguments(),
            "working directory": wasip2::cli::environment::initial_cwd(),
            "config": settings,
            "directories": directories,
            "secrets": secret::names(),
        }))
    }

    /// Tries to open a raw socket and to look a name up.
    #[tool]
    fn socket() -> String {
        use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
        let network = wasip2::sockets::instance_network::instance_network();
        let lookup = match wasip2::sockets::ip_name_lookup::resolve_addresses(&network, "localhost") {
            Err(code) => code.name().to_owned(),
            Ok(stream) => {
                stream.subscribe().block();
                match stream.resolve_next_address() {
                    Ok(found) => format!("{found:?}"),
                    Err(code) => code.name().to_owned(),
                }
            }
        };
        let address = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 80, address: (127, 0, 0, 1) });
        let connect = match wasip2::sockets::tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4) {
            Err(code) => code.name().to_owned(),
            Ok(socket) => socket
                .start_connect(&network, address)
                .map_or_else(|code| code.name().to_owned(), |()| "connecting".to_owned()),
        };
        format!("look-up: {lookup}, connect: {connect}")
    }
}
