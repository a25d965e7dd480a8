//! `wasi:http/outgoing-handler`: every request of a guest goes to egress, which judges it and sends it.

use std::sync::Arc;

use http::uri::Scheme;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::context::CallContext;
use crate::egress;

/// The way out for one call.
pub(in crate::runtime) struct Outgoing(pub(in crate::runtime) Arc<CallContext>);

type Sent = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for Outgoing {
    fn default_scheme(&mut self) -> Option<Scheme> {
        Some(Scheme::HTTPS)
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let call = Arc::clone(&self.0);
        Box::new(async move {
            let response = egress::send_for_guest(&call, request, options).await?;
            let finished: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(async { Ok(()) });
            Ok((response, finished))
        })
    }
}
