//! What a guest can call: one file per interface, each a thin step from the guest's words to the call's rights.

pub(super) mod artifact;
pub(crate) mod ask;
#[expect(unreachable_pub, reason = "the generated bindings re-export a resource of it")]
pub mod call;
pub(super) mod config;
pub(super) mod files;
pub(super) mod http;
pub(super) mod log;
pub(super) mod progress;
pub(super) mod secret;

use wasmtime::component::{HasSelf, Linker};

use super::state::State;

/// Adds everything the host offers. All of it is linked for every component: what is not granted answers with a denial,
/// because toolchains import more than a tool uses.
///
/// # Errors
/// Two interfaces of one name, which would be a mistake in this program.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    super::bindings::bailiwick::host::log::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    super::bindings::bailiwick::host::progress::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    super::bindings::bailiwick::host::ask::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    super::bindings::bailiwick::host::secret::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    super::bindings::bailiwick::host::artifact::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    super::bindings::bailiwick::host::call::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    super::bindings::wasi::config::store::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    http::replace(linker)?;
    files::replace(linker)
}
