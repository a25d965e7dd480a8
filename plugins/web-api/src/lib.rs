//! What the plugins that ask a search service share: the settings of the service, one request for JSON, and what to say
//! when nothing comes of it.
//!
//! The key of a service is the secret `KEY`, which the host puts into requests to the service's origin; nothing here ever
//! has it. `wire` alone knows the SDK's HTTP client and the clock; the rest is plain functions and is tested natively.

mod clean;
mod exchange;
mod moment;
mod pause;
mod service;
mod wire;

pub use clean::{line, paragraphs};
pub use exchange::{Reply, Request, Trouble, Web, ask};
pub use moment::day;
pub use service::{KEY, Key, Service, base_url, not_configured, unknown_setting};
pub use wire::on_the_web;
