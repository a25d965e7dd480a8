//! Everything that was tried against hosts like this one, tried against this one. `cases/catalogue.toml` says which test
//! covers which case, or why none does; [`index`] holds it to that.

mod all;
mod config;
mod files;
pub(crate) mod index;
mod network;
mod records;
mod resources;
mod secrets;
mod selftest;
mod services;
mod shapes;
mod three_ways;

/// A plugin of a guest that is written as text, under its own name.
fn raw_plugin(name: &str, lines: &str) -> String {
    format!("[plugins.{name}]\ncomponent = \"{name}.wasm\"\n{lines}\n")
}
