//! `bailiwick`: arguments → configuration → host → exit code.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use bailiwick::cli::{self, Exit};
use bailiwick::{ambient, telemetry};

/// How long what is still under way may take to end, once the answer is written.
const FAREWELL: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let exit = run().unwrap_or_else(|error| {
        cli::complain(&format!("{error:#}"));
        Exit::Start
    });
    ExitCode::from(exit.number())
}

fn run() -> anyhow::Result<Exit> {
    let command = match cli::parse(ambient::arguments()) {
        Ok(command) => command,
        Err(exit) => return Ok(exit),
    };
    telemetry::start(&command.logging()).context("the log cannot be set up")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("this machine gives no threads to run on")?;
    let exit = runtime.block_on(cli::run(command));
    // A question nobody answered may still wait for a line of the terminal.
    runtime.shutdown_timeout(FAREWELL);
    Ok(exit)
}
