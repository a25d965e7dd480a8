//! What several test programs share: requests and files as WASI knows them, without the manners of an SDK.
#![cfg(target_family = "wasm")]

pub mod files;
pub mod request;
