//! `wasi:http/outgoing-handler`: every request of a guest goes to egress, which judges it and sends it. The engine turns the
//! guest's resources into a request; what is here besides takes back the options of one, which the engine forgets, so that
//! a call that asks often would run out of handles.

use std::sync::Arc;

use http::uri::Scheme;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types;
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, WasiHttpView as _};

use crate::context::CallContext;
use crate::egress;
use crate::runtime::state::State;

/// The interface, under the name the engine gives it.
const HANDLER: &str = "wasi:http/outgoing-handler@0.2.12";

type Asked = (Resource<HostOutgoingRequest>, Option<Resource<types::RequestOptions>>);
type Given = Result<Resource<HostFutureIncomingResponse>, types::ErrorCode>;

/// Takes the place of the engine's function that sends.
///
/// # Errors
/// When the engine's interface has another shape.
pub(super) fn replace(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker.instance(HANDLER)?.func_wrap("handle", |mut store: StoreContextMut<'_, State>, asked: Asked| {
        let (request, options) = asked;
        let state = store.data_mut();
        let spent = options.as_ref().map(|options| Resource::<types::RequestOptions>::new_own(options.rep()));
        let given: Given = match state.http().handle(request, options) {
            Ok(response) => Ok(response),
            Err(error) => Err(error.downcast()?),
        };
        if let Some(options) = spent {
            state.table.delete(options)?;
        }
        Ok((given,))
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

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
