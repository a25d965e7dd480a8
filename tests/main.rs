//! Bailiwick from the outside: real hosts, real guests, a fake world.
//!
//! Read in this order. `twins` are the refusals, each beside the same call with the line that allows it; `limits` what a
//! plugin can use up; `secrets` what it never learns; `gate` what stands before every call. `wall` is what holds when all
//! of that is got around, and `escape` the proof; `hostile` is everything that was tried against others before.
#![expect(clippy::disallowed_methods, reason = "tests build the world the host is judged in")]
#![expect(clippy::print_stdout, reason = "what was measured and what was skipped is told")]

mod support;

mod approvals;
mod asking;
mod audit;
mod builtins;
mod calls;
mod chat;
mod cli;
mod clients;
mod code;
mod code_mode;
mod code_tools;
mod compile;
mod conformance;
mod context;
mod crowd;
mod documents;
mod escape;
mod explain;
mod features;
mod foreign;
mod fs_twins;
mod gate;
mod generators;
mod hostile;
mod http_presets;
mod http_tools;
mod javascript;
mod keeper;
mod keys;
mod killed;
mod limits;
mod loading;
mod manage;
mod memory;
mod native;
mod net_spellings;
mod net_twins;
mod python;
mod registrations;
mod review;
mod sdk_readme;
mod search;
mod secrets;
mod servers;
mod services;
mod shell;
mod std_tools;
mod telemetry;
mod tidy;
mod typed;
mod typescript;
mod wall;
mod web;
mod web_mcp;
mod web_search;

include!(concat!(env!("OUT_DIR"), "/guests.rs"));
