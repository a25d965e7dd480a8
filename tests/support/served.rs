//! The real program as an HTTP server, and requests to it as they stand on the wire.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Child;
use std::time::Duration;

use serde_json::Value;

use super::host::World;

/// A server of one's own at a free port. It is killed when it is dropped.
pub(crate) struct Served {
    /// None once it was handed on.
    world: Option<World>,
    pub(crate) address: SocketAddr,
    child: Child,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl World {
    /// Serves this configuration; `listen` under `[gateway]` is taken care of.
    pub(crate) fn serve_http(self, text: &str) -> Served {
        self.serve_http_with(text, &[])
    }

    /// The same with more arguments.
    pub(crate) fn serve_http_with(self, text: &str, arguments: &[&str]) -> Served {
        self.serve_http_at(text, "127.0.0.1:0", arguments)
    }

    /// The same at an address of one's own.
    pub(crate) fn serve_http_at(self, text: &str, listen: &str, arguments: &[&str]) -> Served {
        let mut child = self.child(text, &[&["serve", "--listen", listen], arguments].concat());
        drop(child.stdin.take());
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("it can be read");
        let Some(address) = line.trim().strip_prefix("http://").and_then(|address| address.parse().ok()) else {
            let mut said = String::new();
            let _ = child.stderr.take().expect("it is piped").read_to_string(&mut said);
            panic!("the server does not start: {line}{said}");
        };
        Served { world: Some(self), address, child }
    }
}

impl Served {
    /// The folder it runs in.
    pub(crate) fn world(&self) -> &World {
        self.world.as_ref().expect("it is handed on at the end")
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket knows this");
        stream
    }

    /// One request on a connection of its own.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        let named = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !named("host") {
            text.push_str(&format!("Host: {}\r\n", self.address));
        }
        if !body.is_empty() && !named("content-length") && !named("transfer-encoding") {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        if !body.is_empty() && !named("content-type") {
            text.push_str("Content-Type: application/json\r\n");
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        self.raw(format!("{text}\r\n{body}").as_bytes())
    }

    /// `GET`.
    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.request("GET", path, headers, "")
    }

    /// `POST` of JSON.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.request("POST", path, headers, &body.to_string())
    }

    /// These very bytes, and what comes back.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // The server may hang up before it has read all of it.
        let _ = stream.write_all(bytes);
        Answer::read(&mut BufReader::new(stream))
    }

    /// Sends a signal, as `kill` does.
    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: a signal to a child that was not waited for.
        #[expect(unsafe_code, reason = "the standard library only knows SIGKILL")]
        let sent = unsafe { libc::kill(self.child.id().cast_signed(), signal) };
        assert_eq!(sent, 0, "the server runs");
    }

    /// Ends the server in good order; gives its exit code, what it said on standard error, and its folder.
    pub(crate) fn end(self) -> (i32, String, World) {
        self.signal(libc::SIGTERM);
        self.ended()
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> (i32, String, World) {
        let mut said = String::new();
        let _ = self.child.stderr.take().expect("it is piped").read_to_string(&mut said);
        let status = self.child.wait().expect("it ends");
        let world = self.world.take().expect("it is handed on once");
        (status.code().unwrap_or(-1), said, world)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    /// Reads one answer; status 0 for a connection that ended without.
    pub(crate) fn read(stream: &mut impl std::io::BufRead) -> Self {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return Self { status: 0, headers: Vec::new(), body: String::new() };
        }
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        let mut headers = Vec::new();
        loop {
            line.clear();
            stream.read_line(&mut line).expect("it goes on");
            let Some((name, value)) = line.trim().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Self { status, headers, body: String::new() };
        let mut body = Vec::new();
        if answer.header("transfer-encoding") == Some("chunked") {
            read_chunks(stream, &mut body);
        } else if let Some(length) = answer.header("content-length").and_then(|length| length.parse().ok()) {
            body.resize(length, 0);
            stream.read_exact(&mut body).expect("as long as it says");
        } else if status >= 200 && status != 204 && status != 304 {
            let _ = stream.read_to_end(&mut body);
        }
        answer.body = String::from_utf8(body).expect("the server writes UTF-8");
        answer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Status and JSON.
    pub(crate) fn told(&self) -> (u16, Value) {
        (self.status, self.json())
    }
}

fn read_chunks(stream: &mut impl std::io::BufRead, body: &mut Vec<u8>) {
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let size =
            usize::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16).expect("a chunk's size");
        let begin = body.len();
        body.resize(begin + size + 2, 0);
        stream.read_exact(&mut body[begin..]).expect("a whole chunk");
        body.truncate(begin + size);
        if size == 0 {
            return;
        }
    }
}
