//! `bailiwick`: arguments → configuration → host → exit code.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use bailiwick::cli::{self, Exit};
use bailiwick::{ambient, keeper, runtime, telemetry};

/// How long the log's last lines may take to be written.
const FAREWELL: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    // First of all, and before there are threads.
    if let Some(exit) = runtime::compile_if_child(&ambient::arguments()) {
        return exit;
    }
    if let Some(exit) = keeper::serve_if_keeper(&ambient::arguments()) {
        return exit;
    }
    let exit = run().unwrap_or_else(|error| {
        cli::complain(&format!("{error:#}"));
        Exit::Start
    });
    ExitCode::from(exit.number())
}

fn run() -> anyhow::Result<Exit> {
    ambient::give_memory_back();
    // Before there is a secret to be kept.
    ambient::keep_memory_private().context("this process cannot be kept out of core dumps")?;
    let command = match cli::parse(ambient::arguments()) {
        Ok(command) => command,
        Err(exit) => return Ok(exit),
    };
    telemetry::start(&command.logging()).context("the log cannot be set up")?;
    // Threads are started in there, once the process is confined.
    let exit = cli::run(command);
    telemetry::flush(FAREWELL);
    Ok(exit)
}
