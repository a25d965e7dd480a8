//! Programs that callers send, and tools that are programs.

pub mod typescript;
