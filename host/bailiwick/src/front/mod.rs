//! The front ends: each turns what it reads into calls, and what came of them into its own wire shape, in one place.
//! None of them decides anything, and all of them use only [`Host::list`](crate::host::Host::list),
//! [`Host::call`](crate::host::Host::call) and [`Host::watch`](crate::host::Host::watch).

pub mod http;
pub mod mcp;

pub(crate) mod life;

pub use mcp::serve_stdio;
