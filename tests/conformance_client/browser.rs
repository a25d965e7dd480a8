//! A browser whose person agrees to everything: it follows where it is sent.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// The suite's servers send a browser on once, to the program's own address.
const MOST_HOPS: usize = 5;

/// Visits an address and all that it leads to.
pub(crate) fn visit(address: &str) {
    let mut next = Some(address.to_owned());
    for _ in 0..MOST_HOPS {
        let Some(address) = next else { return };
        next = hop(&address);
    }
}

/// Asks for one page; where it sends the browser on to.
fn hop(address: &str) -> Option<String> {
    let (authority, target) = match address.strip_prefix("http://")?.split_once('/') {
        Some((authority, target)) => (authority, format!("/{target}")),
        None => (address.strip_prefix("http://")?, "/".to_owned()),
    };
    let stream = TcpStream::connect(authority).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    (&stream).write_all(request.as_bytes()).ok()?;
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let headers = lines.skip(1).take_while(|line| !line.is_empty());
    let location = headers.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    });
    location.last()
}
