//! The world the tests build: real hosts, real servers, a captured log.

pub(crate) mod bombs;
pub(crate) mod contract;
pub(crate) mod host;
pub(crate) mod log;
pub(crate) mod machine;
pub(crate) mod program;
pub(crate) mod raw;
pub(crate) mod remedy;
pub(crate) mod served;
pub(crate) mod server;
pub(crate) mod upstream;

pub(crate) use host::{TestHost, told};
pub(crate) use upstream::{Reply, Upstream};
