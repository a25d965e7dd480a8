//! The shell around `bailiwick-core`: everything that touches the world.
//!
//! Read [`host`] first; it is the spine. A call comes in at a front end ([`front`], [`cli`]), goes through
//! [`host::Host::call`] and leaves as an outcome. [`load`] makes what a call needs from the configuration, [`runtime`]
//! runs components, [`egress`] is the only way to the network and [`ambient`] the only file that opens anything.

pub mod host;

pub mod artifact;
pub mod audit;
pub mod builtin;
pub mod channel;
pub mod context;
pub mod deadline;
pub mod load;
mod record;
pub mod runtime;
mod seal;
pub mod secrets;

pub mod ambient;
pub mod egress;

pub mod cli;
pub mod front;
pub mod settings;
pub mod telemetry;
