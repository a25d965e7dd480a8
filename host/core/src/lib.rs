//! Every decision Bailiwick takes, as pure functions: no I/O, no clock, no async (the dependency list proves it).
//!
//! The way of a call, top to bottom:
//!
//! 1. [`config`] reads what the operator wrote; [`grant`] holds one right per file; [`name`] what things are called.
//! 2. [`registry`] is an immutable snapshot of all tools: a name resolves to one [`registry::Tool`] or to none.
//!    [`aggregate`] is one tool in the place of a server's many.
//!    [`context`] is what plugins give beside tools: prompts and resources.
//! 3. [`policy::permit`] judges a [`call::Call`]: only it makes a [`policy::Permitted`], and running takes one. [`key`] is
//!    what callers prove themselves with, [`bucket`] what they had of late.
//!    [`approval`] is what a person is shown before that, where one has to agree, and what they can answer.
//! 4. [`schema`] turns what a model wrote into arguments a tool can take, and the tool's schema into what a caller sees.
//!    [`typed`] does the same for components that export plain functions.
//! 5. [`lock`] is what was pinned and what became of it, [`review`] what a reviewer is told of all this, [`capability`]
//!    what a component's imports mean.
//! 6. [`dialect`] is the shape of tools, calls and answers for each model provider; [`render`] writes tools into a text.
//!    [`code`] is what programs are told of the tools that they call.
//! 7. [`outcome`] is the one result type; [`redact`] takes secrets and control characters out of whatever leaves.
//!
//! Of plugins that are services with an OpenAPI document, [`openapi`] makes the tools. [`registration`] is a plugin that is
//! kept beside those of the configuration.
//!
//! Of plugins that are programs of their own, [`launcher`] knows which commands would install one, and [`deny`] which
//! are not run by the look of them.
//!
//! Beside it, for operators: [`explain`] says what would be decided and by which line; [`observation`] keeps what was
//! refused, of which [`suggest`] makes the lines that would allow it. And once, before the first call: [`confine`] says
//! what the host's own process has to be able to reach at all.

pub mod name;

pub mod config;
pub mod grant;

pub mod capability;
pub mod confine;
pub mod deny;
pub mod launcher;
pub mod lock;
pub mod review;

pub mod aggregate;
pub mod approval;
pub mod bucket;
pub mod call;
pub mod chain;
pub mod context;
pub mod key;
pub mod policy;
pub mod registry;
pub mod schema;
pub mod trace;
pub mod typed;

pub mod code;
pub mod dialect;
pub mod render;

pub mod outcome;
pub mod redact;

pub mod explain;
pub mod import;
pub mod observation;
pub mod openapi;
pub mod registration;
pub mod suggest;
