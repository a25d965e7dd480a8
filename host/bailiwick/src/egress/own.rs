//! The host's own requests: to URLs an operator wrote into the configuration. No guest and no caller has a say in where
//! they go, so there is no grant to judge them by; the wall around the process holds their ports all the same.
//!
//! Redirects are not followed and no proxy is used; an answer has a length and a time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connect::{MAX_HEAD, dial};
use super::target::{Place, Target};
use super::{CONNECT, Egress};

/// Why a request of the host's own has no answer. Says nothing of what was sent.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// The URL leads nowhere.
    #[error("its URL cannot be read: {0}")]
    Url(String),
    /// Its name does not resolve.
    #[error("its name does not resolve: {0}")]
    Name(io::Error),
    /// No address answers.
    #[error("no connection: {0}")]
    Connect(String),
    /// It cannot prove who it is.
    #[error("no TLS connection: {0}")]
    Tls(io::Error),
    /// What came was no answer, or too much of one.
    #[error("no answer: {0}")]
    Answer(String),
    /// It took too long.
    #[error("no answer in time")]
    Time,
}

impl Egress {
    /// Sends a request of the host's own and reads its answer, of at most `most` bytes, within `patience` for all of it.
    /// `request` has an absolute URL; `Host` and the length of the body are set here.
    ///
    /// # Ambient authority
    /// Resolves the host of the URL and connects to one of its addresses, whichever they are: the operator named it.
    ///
    /// # Errors
    /// There is no answer, or it is too long. An answer with any status is an answer.
    pub async fn send_own(
        &self,
        request: Request<Bytes>,
        patience: Duration,
        most: usize,
    ) -> Result<Response<Bytes>, OwnError> {
        tokio::time::timeout(patience, self.exchange(request, most)).await.map_err(|_| OwnError::Time)?
    }

    async fn exchange(&self, request: Request<Bytes>, most: usize) -> Result<Response<Bytes>, OwnError> {
        let target = Target::read(request.uri()).map_err(|unreadable| OwnError::Url(unreadable.reason))?;
        let found = match &target.place {
            Place::Address(address) => vec![*address],
            Place::Name(name) => self.resolver.resolve_own(name).await.map_err(OwnError::Name)?,
        };
        let port = target.origin.port;
        let addresses: Vec<SocketAddr> =
            found.iter().map(|address| SocketAddr::new(address.to_canonical(), port)).collect();
        let dialled = dial(&addresses, CONNECT).await;
        let (stream, _) = dialled.map_err(|error| OwnError::Connect(error.to_string()))?;
        let request = outgoing(&target, request)?;
        if !target.is_secure() {
            return talk(stream, request, most).await;
        }
        let name = match &target.place {
            Place::Address(address) => ServerName::IpAddress((*address).into()),
            Place::Name(name) => {
                ServerName::try_from(name.clone()).map_err(|error| OwnError::Url(error.to_string()))?
            }
        };
        let stream = self.tls.connect(name, stream).await.map_err(OwnError::Tls)?;
        talk(stream, request, most).await
    }
}

/// The request as it is written on the connection, which serves no other.
fn outgoing(target: &Target, request: Request<Bytes>) -> Result<Request<Full<Bytes>>, OwnError> {
    let wrong = |error: &dyn std::fmt::Display| OwnError::Url(error.to_string());
    let (mut parts, body) = request.into_parts();
    parts.uri = Target::request_line(&target.url).map_err(|error| wrong(&error))?;
    parts.headers.insert(HOST, HeaderValue::from_str(target.host_header()).map_err(|error| wrong(&error))?);
    parts.headers.insert(CONTENT_LENGTH, body.len().into());
    parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(Request::from_parts(parts, Full::new(body)))
}

/// Sends the request and reads its answer to the end.
async fn talk<S>(stream: S, request: Request<Full<Bytes>>, most: usize) -> Result<Response<Bytes>, OwnError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| OwnError::Answer(error.to_string());
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .max_header_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let exchange = async {
        let (parts, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        let body = Limited::new(body, most).collect().await;
        let body = body.map_err(|error| OwnError::Answer(error.to_string()))?.to_bytes();
        Ok(Response::from_parts(parts, body))
    };
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection may end with the last byte of the answer, before that is taken.
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(broken(error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::ambient;
    use crate::resolver::Resolver;

    /// What a server got, and what came of its answer.
    async fn exchanged(answer: &'static [u8], most: usize) -> (String, Result<String, String>) {
        let listener = ambient::listen_on_loopback().await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut got = vec![0; 4096];
            let mut n_got = 0;
            while !got[..n_got].ends_with(b"body") {
                n_got += stream.read(&mut got[n_got..]).await.unwrap();
            }
            stream.write_all(answer).await.unwrap();
            String::from_utf8(got[..n_got].to_vec()).unwrap()
        });
        let egress = Egress::new(Resolver::System, &[]).unwrap();
        let request = Request::post(format!("http://127.0.0.1:{port}/v1/x?y=z")).body(Bytes::from_static(b"body"));
        let answered = egress.send_own(request.unwrap(), Duration::from_secs(5), most).await;
        let told =
            answered.map(|answer| format!("{} {}", answer.status().as_u16(), String::from_utf8_lossy(answer.body())));
        (served.await.unwrap().replace(&port.to_string(), "PORT"), told.map_err(|error| error.to_string()))
    }

    #[tokio::test]
    async fn a_request_goes_where_its_url_says_and_its_answer_has_a_length() {
        let sent =
            "POST /v1/x?y=z HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody";
        let found: &[u8] = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 2\r\n\r\nno";
        assert_eq!(exchanged(found, 2).await, (sent.to_owned(), Ok("302 no".to_owned())));
        let (_, told) = exchanged(found, 1).await;
        assert_eq!(told, Err("no answer: length limit exceeded".to_owned()));
        let open: &[u8] = b"HTTP/1.1 200 OK\r\n\r\nuntil the end";
        assert_eq!(exchanged(open, 99).await.1, Ok("200 until the end".to_owned()));
        let (_, told) = exchanged(b"SSH-2.0-x\r\n", 99).await;
        assert!(told.unwrap_err().starts_with("no answer: "));
    }

    #[tokio::test]
    async fn what_leads_nowhere_is_said() {
        let egress = Egress::new(Resolver::System, &[]).unwrap();
        let told = async |url: &str| {
            let request = Request::get(url).body(Bytes::new()).unwrap();
            egress.send_own(request, Duration::from_secs(5), 1).await.unwrap_err().to_string()
        };
        assert_eq!(told("http://127.0.0.1:1/").await, "no connection: connection refused");
        assert_eq!(told("ftp://127.0.0.1/").await, "its URL cannot be read: only `http` and `https` can be granted");
    }
}
