//! Everything a plugin should not do to its host, one tool for each.
#![expect(unsafe_code, reason = "it reads its own memory")]
#![expect(clippy::print_stdout, reason = "that is the point")]

use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

use bailiwick_sdk::prelude::*;

thread_local! {
    static COUNTER: Cell<u32> = const { Cell::new(0) };
}

/// Left behind for the next call, if there were one to find it. Reversed, so that the program itself does not hold it.
const YRANAC: &[u8] = b"87d2-drib-wolley-yranac";

/// Uses up the engine's stack: all of its frame is in locals. It is no loop in disguise, and ends at `end`.
#[inline(never)]
fn recurse(depth: u64, end: u64) -> u64 {
    if depth == end {
        return 1;
    }
    let below = recurse(depth.wrapping_add(3), end);
    below.wrapping_mul(below ^ depth).rotate_left(3)
}

/// Uses up the stack that the program keeps in its own memory.
fn recurse_in_memory(depth: u64, end: u64) -> u64 {
    if depth == end {
        return 1;
    }
    let frame = black_box([depth; 64]);
    recurse_in_memory(frame[63].wrapping_add(3), end) ^ frame[0]
}

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// Never ends.
    #[tool]
    fn spin() -> String {
        let mut turns = 0_u64;
        loop {
            turns = black_box(turns.wrapping_add(1));
        }
    }

    /// Waits, once it has said that it does.
    #[tool]
    fn sleep(milliseconds: u64) -> String {
        progress::report(0.0, None, None);
        std::thread::sleep(Duration::from_millis(milliseconds));
        "slept".to_owned()
    }

    /// Waits for the end of time.
    #[tool]
    fn sleep_for_ever() -> String {
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

    /// Grows its memory by `pages` and says what came of it.
    #[tool]
    fn grow(pages: u32) -> String {
        match core::arch::wasm32::memory_grow(0, pages as usize) {
            usize::MAX => "refused".to_owned(),
            _ => "grown".to_owned(),
        }
    }

    /// Calls itself without end.
    #[tool]
    fn recurse_for_ever() -> String {
        recurse(0, black_box(u64::MAX - 1)).to_string()
    }

    /// Calls itself without end, with much to remember.
    #[tool]
    fn recurse_with_luggage() -> String {
        recurse_in_memory(0, black_box(u64::MAX - 1)).to_string()
    }

    /// Calls itself a few times.
    #[tool]
    fn recurse_a_little() -> String {
        recurse(0, black_box(3_000)).to_string()
    }

    /// Executes `unreachable`.
    #[tool]
    fn trap() -> String {
        core::arch::wasm32::unreachable()
    }

    /// Panics with a message.
    #[tool]
    fn panic(message: String) -> String {
        panic!("{message}")
    }

    /// Ends the program instead of the call.
    #[tool]
    fn exit(status: u8) -> String {
        std::process::exit(i32::from(status))
    }

    /// Answers at length.
    #[tool]
    fn flood(bytes: usize) -> String {
        let line = "0123456789abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ\n";
        let mut text = line.repeat(bytes / line.len() + 1);
        text.truncate(bytes);
        text
    }

    /// Writes `lines` lines to the log, to standard output and to standard error each.
    #[tool]
    fn chatter(lines: u32, length: usize) -> String {
        let line = "x".repeat(length);
        for _ in 0..lines {
            log::info(&line);
            println!("{line}");
            eprintln!("{line}");
        }
        "done".to_owned()
    }

    /// Writes one line to the log, one to standard output and one to standard error.
    #[tool]
    fn say(text: String) -> String {
        log::info(format!("log: {text}"));
        println!("out: {text}");
        eprintln!("err: {text}");
        "said".to_owned()
    }

    /// Makes handles and lets go of none.
    #[tool]
    fn leak(handles: u32) -> String {
        for _ in 0..handles {
            std::mem::forget(wasip2::http::types::Fields::new());
        }
        format!("{handles} leaked")
    }

    /// Counts its calls.
    #[tool]
    fn count() -> String {
        COUNTER.with(|counter| {
            counter.set(counter.get() + 1);
            counter.get().to_string()
        })
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
        let mut found = 0_u32;
        for start in 1..size - YRANAC.len() {
            // SAFETY: the memory has `size` bytes, all of them readable.
            let byte = |at: usize| unsafe { (at as *const u8).read_volatile() };
            let last = YRANAC.len() - 1;
            if (0..YRANAC.len()).all(|offset| byte(start + offset) == YRANAC[last - offset]) {
                found += 1;
            }
        }
        format!("{found} found in {} MiB", size >> 20)
    }

    /// Random bytes, as a number.
    #[tool]
    fn random() -> String {
        wasip2::random::random::get_random_u64().to_string()
    }

    /// Asks for many random bytes at once.
    #[tool]
    fn random_bytes(bytes: u64) -> String {
        wasip2::random::random::get_random_bytes(bytes).len().to_string()
    }

    /// Calls the clock again and again.
    #[tool]
    fn pester(times: u64) -> String {
        for _ in 0..times {
            black_box(wasip2::clocks::monotonic_clock::now());
        }
        "done".to_owned()
    }

    /// Waits for a line of standard input.
    #[tool]
    fn listen() -> String {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line).unwrap_or(usize::MAX);
        format!("{read} bytes")
    }

    /// Keeps something as an artifact.
    #[tool]
    fn keep(name: String, bytes: usize) -> Result<String, Failure> {
        Ok(artifact::put(&name, "application/octet-stream", vec![b'k'; bytes])?)
    }

    /// Answers with something that is no JSON where JSON belongs.
    #[tool]
    fn garble(structured: String) -> Output {
        Output { content: Vec::new(), structured: Some(structured) }
    }

    /// Answers with characters that a terminal or a reader could be fooled by.
    #[tool]
    fn forge() -> Output {
        Output::text("a\u{1b}[2Jb\u{202e}c\r\nd").with(Content::text("\u{9b}31m"))
    }

    /// An answer with a piece of every kind.
    #[tool]
    fn mixed(bytes: usize) -> Output {
        Output::text("a text").with(Content::image(vec![7_u8; bytes], "image/png")).with(Content::resource(
            "memo://1",
            "text/plain",
            "r".repeat(bytes),
        ))
    }
}
