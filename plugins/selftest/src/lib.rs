//! What `bailiwick selftest` runs on an operator's own machine: one tool for each thing that no tool should get away
//! with. It is not one of the `builtin:` plugins.
//!
//! Nothing here does harm where the host does its part, and little where it does not: what is read, written and called
//! is what the self-test made for it.
#![cfg(target_family = "wasm")]
#![expect(unsafe_code, reason = "one tool reads its own memory")]
#![expect(clippy::print_stdout, reason = "one tool floods standard output")]
#![expect(clippy::disallowed_methods, reason = "a guest's std::fs reaches its preopens only")]

mod reach;

use std::hint::black_box;

use bailiwick_sdk::prelude::*;
use bailiwick_sdk::serde_json::{Value, json};

/// Left behind for the next call, if there were one to find it. Reversed, so that the program itself does not hold it.
const YRANAC: &[u8] = b"4f1c-llac-rehto-eht-yb-tfel";

/// Uses up the engine's stack: all of its frame is in locals. It is no loop in disguise, and ends at `end`.
#[inline(never)]
fn recurse(depth: u64, end: u64) -> u64 {
    if depth == end {
        return 1;
    }
    let below = recurse(depth.wrapping_add(3), end);
    below.wrapping_mul(below ^ depth).rotate_left(3)
}

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// Answers at once, as a tool should.
    #[tool]
    fn hello() -> String {
        "hello".to_owned()
    }

    /// Never ends.
    #[tool]
    fn spin() -> String {
        let mut turns = 0_u64;
        loop {
            turns = black_box(turns.wrapping_add(1));
        }
    }

    /// Calls the host without end.
    #[tool]
    fn pester() -> String {
        loop {
            black_box(wasip2::clocks::monotonic_clock::now());
        }
    }

    /// Waits for the end of time.
    #[tool]
    fn sleep() -> String {
        wasip2::clocks::monotonic_clock::subscribe_duration(u64::MAX).block();
        "woke".to_owned()
    }

    /// Takes memory, and touches all of it.
    #[tool]
    fn hoard(mebibytes: u64) -> String {
        let mut hoard = Vec::new();
        for _ in 0..mebibytes {
            hoard.push(black_box(vec![1_u8; 1 << 20]));
        }
        format!("{} MiB", hoard.len())
    }

    /// Calls itself so often.
    #[tool]
    fn dive(depth: u64) -> String {
        format!("{}", recurse(0, black_box(depth).wrapping_mul(3)) & 1)
    }

    /// Makes handles and lets go of none.
    #[tool]
    fn leak(handles: u64) -> String {
        for _ in 0..handles {
            std::mem::forget(wasip2::http::types::Fields::new());
        }
        format!("{handles} leaked")
    }

    /// Writes so many lines to standard output.
    #[tool]
    fn chatter(lines: u64) -> String {
        let line = "x".repeat(200);
        for _ in 0..lines {
            println!("{line}");
        }
        "done".to_owned()
    }

    /// Answers at length.
    #[tool]
    fn flood(bytes: u64) -> String {
        "x".repeat(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// Executes `unreachable`.
    #[tool]
    fn trap() -> String {
        core::arch::wasm32::unreachable()
    }

    /// Ends the program instead of the call.
    #[tool]
    fn exit() -> String {
        std::process::exit(0)
    }

    /// Asks for many random bytes at once.
    #[tool]
    fn dice(bytes: u64) -> String {
        wasip2::random::random::get_random_bytes(bytes).len().to_string()
    }

    /// Leaves something in memory and never takes it away.
    #[tool]
    fn litter() -> String {
        let canary: Vec<u8> = YRANAC.iter().rev().copied().collect();
        for _ in 0..4_000 {
            std::mem::forget(black_box(canary.clone()));
        }
        "left".to_owned()
    }

    /// Looks through all of its memory for what another call left there.
    #[tool]
    fn search() -> String {
        // Grown first, so that what the pool gives is looked at too.
        core::arch::wasm32::memory_grow(0, 64);
        let size = core::arch::wasm32::memory_size(0) << 16;
        let last = YRANAC.len() - 1;
        // SAFETY: the memory has `size` bytes, all of them readable.
        let byte = |at: usize| unsafe { (at as *const u8).read_volatile() };
        let is_canary = |start: &usize| (0..=last).all(|offset| byte(start + offset) == YRANAC[last - offset]);
        let found = (1..size - YRANAC.len()).filter(is_canary).count();
        format!("{found} found")
    }

    /// Reads a file.
    #[tool]
    fn read(path: String) -> Result<String, Failure> {
        std::fs::read_to_string(&path).map_err(|error| reach::refused(&error, Failure::denied_read(&*path), &path))
    }

    /// Writes a file.
    #[tool]
    fn write(path: String) -> Result<String, Failure> {
        let written = std::fs::write(&path, "written by the self-test");
        written.map_err(|error| reach::refused(&error, Failure::denied_write(&*path), &path))?;
        Ok("written".to_owned())
    }

    /// Makes a link `name` to `target` in the granted directory `directory`, then reads `file` through it.
    #[tool]
    fn follow(directory: String, target: String, name: String, file: String) -> Result<String, Failure> {
        reach::through_a_link(&directory, &target, &name, &file)
    }

    /// What it sees of its surroundings.
    #[tool]
    fn look() -> Json<Value> {
        let environment = wasip2::cli::environment::get_environment();
        let directories: Vec<String> =
            wasip2::filesystem::preopens::get_directories().into_iter().map(|(_, path)| path).collect();
        Json(json!({
            "environment": environment.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
            "arguments": wasip2::cli::environment::get_arguments(),
            "config": config::all().len(),
            "directories": directories,
            "secrets": secret::names(),
        }))
    }

    /// Asks for the value of a secret.
    #[tool]
    fn reveal(name: String) -> Result<String, Failure> {
        match secret::reveal(&name) {
            Ok(value) => Ok(format!("{} bytes: {value}", value.len())),
            Err(_) => Err(Failure::denied_secret(name)),
        }
    }

    /// Sends a request with an ordinary client, which follows redirects.
    #[tool]
    fn fetch(url: String) -> Result<String, Failure> {
        Ok(http::Request::get(url).send()?.text())
    }

    /// Sends a request to an authority as it is written: no client has a say in it.
    #[tool]
    fn fetch_raw(authority: String) -> Result<String, Failure> {
        reach::raw(&authority)
    }

    /// Opens a raw socket and looks a name up.
    #[tool]
    fn socket() -> String {
        reach::socket()
    }
}
