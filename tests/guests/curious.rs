//! Asks for many things in one call and goes on when it is refused; claims what it is told to claim.

use bailiwick_sdk::prelude::*;

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// Sends all of these requests, whatever becomes of each; how many were answered.
    #[tool]
    fn roam(urls: Vec<String>) -> String {
        let answered = urls.iter().filter(|url| http::Request::get(url.as_str()).send().is_ok()).count();
        format!("{answered} answered")
    }

    /// Reads a setting.
    #[tool]
    fn setting(name: String) -> String {
        config::get(&name).unwrap_or_else(|| "not set".to_owned())
    }

    /// Says that it was refused something.
    #[tool]
    fn claim(what: String, name: String) -> Result<String, Failure> {
        Err(match what.as_str() {
            "read" => Failure::denied_read(name),
            "write" => Failure::denied_write(name),
            "secret" => Failure::denied_secret(name),
            _ => Failure::denied_request("GET", name),
        })
    }
}
