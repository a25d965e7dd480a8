//! Every decision Bailiwick takes, as pure functions: no I/O, no clock, no async (the dependency list proves it).
//!
//! The way of a call, top to bottom:
//!
//! 1. [`config`] reads what the operator wrote; [`grant`] holds one right per file; [`name`] what things are called.
//! 2. [`registry`] is an immutable snapshot of all tools: a name resolves to one [`registry::Tool`] or to none.
//! 3. [`policy::permit`] judges a [`call::Call`]: only it makes a [`policy::Permitted`], and running takes one.
//! 4. [`schema`] turns what a model wrote into arguments a tool can take, and the tool's schema into what a caller sees.
//! 5. [`outcome`] is the one result type; [`redact`] takes secrets and control characters out of whatever leaves.

pub mod name;

pub mod config;
pub mod grant;

pub mod call;
pub mod policy;
pub mod registry;
pub mod schema;

pub mod outcome;
pub mod redact;
