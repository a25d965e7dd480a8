//! The shell around `bailiwick-core`: everything that touches the world.
//!
//! Read [`host`] first; it is the spine. A call comes in at a front end ([`front`], [`cli`]), goes through
//! [`host::Host::call`] and leaves as an outcome. [`load`] makes what a call needs from the configuration, [`runtime`]
//! runs components, [`egress`] is the only way to the network and [`ambient`] the only file that opens anything.
//! [`confine`] leaves the process itself with what all of that needs, and [`broker`] does for it what it then cannot do.
//!
//! Plugins that are programs of their own are started by [`keeper`], a process outside of that, each in a cage; `bridge`
//! speaks to MCP servers, and `fleet` keeps those of a host. `service` makes plugins of HTTP services.

#[cfg(not(target_os = "linux"))]
compile_error!("Bailiwick runs on Linux: what is granted is held by openat2, /proc and Landlock");

pub mod host;

pub mod approval;
pub mod artifact;
pub mod audit;
pub mod bridge;
pub mod builtin;
pub mod channel;
mod code;
mod code_mode;
pub mod context;
pub mod contexts;
pub mod deadline;
pub mod examine;
mod inner;
pub mod keys;
mod lanes;
pub mod load;
mod manage;
mod meters;
pub mod observe;
mod record;
pub mod registrations;
pub mod remote;
pub mod resolver;
pub mod runtime;
mod seal;
pub mod search;
pub mod secrets;
pub mod store;
mod streams;
pub mod surface;

pub mod ambient;
pub mod broker;
pub mod confine;
pub mod egress;
pub mod keeper;

mod fleet;
mod process;
mod service;

pub mod cli;
pub mod front;
pub mod selftest;
pub mod settings;
pub mod telemetry;
