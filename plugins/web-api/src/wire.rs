//! The web as the host lets it be reached, and the host's clocks.

use std::time::{Duration, Instant, SystemTime};

use bailiwick_sdk::http;

use crate::exchange::{MAX_BODY, Reply, Request, Trouble, Web};

/// Runs `call` on the web; its time begins now.
///
/// No redirect is followed: a service has one address, and what it redirects to was granted to nobody. Nothing packed is
/// asked for, because the host looks for the key in what comes back.
pub fn on_the_web<T>(call: impl FnOnce(&mut Web<'_>) -> T) -> T {
    let began = Instant::now();
    let since_1970 = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    call(&mut Web {
        send: &mut send,
        elapsed: &|| began.elapsed(),
        now: &since_1970,
        wait: &mut |pause| std::thread::sleep(pause),
    })
}

fn send(request: &Request, time: Duration) -> Result<Reply, Trouble> {
    let sent = match &request.body {
        None => http::Request::get(request.url.as_str()),
        Some(body) => http::Request::post(request.url.as_str()).json(body),
    };
    let agent = concat!("bailiwick/", env!("CARGO_PKG_VERSION"));
    let sent = sent.header("accept", "application/json").header("user-agent", agent);
    let response = sent.timeout(time).max_body(MAX_BODY).redirects(0).send().map_err(trouble)?;
    let headers = response.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(Reply { status: response.status, headers, body: response.body, is_cut: response.truncated })
}

fn trouble(error: http::Error) -> Trouble {
    match error {
        http::Error::Denied { method, url } => Trouble::Denied { method, url },
        http::Error::Timeout => Trouble::Timeout,
        other @ (http::Error::Dns(_)
        | http::Error::Connect(_)
        | http::Error::Tls(_)
        | http::Error::TooManyRedirects
        | http::Error::BodyTooLarge
        | http::Error::Protocol(_)
        | http::Error::InvalidUrl(_)) => Trouble::Failed(other.to_string()),
    }
}
