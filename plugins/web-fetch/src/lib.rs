//! The built-in tool `web_fetch`: a web page as Markdown, its links, or its text.
//!
//! [`ask`] says what is wanted, [`fetch`] goes through one fetch, [`record`] is what comes of it. Only this file knows the
//! SDK's HTTP client; the rest is plain functions and is tested natively.

mod ask;
mod charset;
mod fetch;
mod links;
mod markdown;
mod media;
mod page;
mod record;
mod search;
mod window;

#[cfg(test)]
mod cases;
