//! `bailiwick selftest`: does this machine hold what the program promises?

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::runtime::Compiler;
use crate::selftest::{self, Report, Row};

use super::terminal::{BOLD, DIM, GREEN, RED, Terminal, Trouble};
use super::{Exit, start};

pub(super) const EXAMPLES: &str = "\
Runs a hostile plugin, which is part of this program, on this machine: it loops, floods, leaks, and reaches for files,
servers and secrets. Each attempt has to end as it should, and where a right would allow it, the same attempt with that
right has to succeed (marked `granted`).

Needs no configuration. Makes a temporary folder and listens on two ports of 127.0.0.1; both are gone afterwards. Nothing
outside of them is read, written or called.

Ends with 0 when everything holds and with 1 when something does not.";

pub(super) fn run(terminal: &Terminal) -> Result<Exit, Trouble> {
    start::with_threads(tried(terminal))
}

async fn tried(terminal: &Terminal) -> Result<Exit, Trouble> {
    terminal.hint("preparing a private world …");
    let report = selftest::run(Compiler::own_program(), |row| {
        if !row.holds {
            terminal.hint(&format!("{} does not hold", row.name));
        }
    });
    let report = report.await.map_err(|error| Trouble::new(Exit::Start, "host.selftest", &error.to_string()))?;
    if terminal.json {
        terminal.print_json(&json(&report))?;
    } else {
        terminal.print(&table(&report))?;
    }
    Ok(if report.holds() { Exit::Done } else { Exit::Failed })
}

fn table(report: &Report) -> String {
    let wide = |text: fn(&Row) -> &str| report.rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0);
    let (name, tried) = (wide(|row| row.name), wide(|row| row.tried));
    let expected = wide(|row| &row.expected).min(24);
    let mut text = format!(
        "{BOLD}      {:<name$}  {:<tried$}  {:>7}  {:<expected$}  HAPPENED{BOLD:#}\n",
        "CASE", "TRIED", "MS", "EXPECTED"
    );
    for row in &report.rows {
        let verdict = if row.holds { format!("{GREEN}ok{GREEN:#}  ") } else { format!("{RED}FAIL{RED:#}") };
        let mark = if row.granted { "granted: " } else { "" };
        let happened: String =
            format!("{mark}{}", row.happened).chars().take(if row.holds { 60 } else { 200 }).collect();
        let shown: String = row.expected.chars().take(24).collect();
        let ms = row.took.as_millis();
        let _ = writeln!(
            text,
            "{verdict}  {:<name$}  {:<tried$}  {ms:>7}  {shown:<expected$}  {DIM}{happened}{DIM:#}",
            row.name, row.tried
        );
    }
    for finding in &report.findings {
        let _ = writeln!(text, "{RED}FAIL{RED:#}  {finding}");
    }
    let held = report.rows.iter().filter(|row| row.holds).count();
    let _ = writeln!(
        text,
        "\n{held} of {} cases hold, {} with the right granted; {} in {:.1} s",
        report.rows.len(),
        report.rows.iter().filter(|row| row.granted).count(),
        if report.findings.is_empty() { "nothing leaked, every call is on record" } else { "there is more to look at" },
        report.took.as_secs_f64(),
    );
    text
}

fn json(report: &Report) -> Value {
    let row = |row: &Row| {
        json!({
            "name": row.name,
            "tried": row.tried,
            "granted": row.granted,
            "expected": row.expected,
            "happened": row.happened,
            "ok": row.holds,
            "ms": u64::try_from(row.took.as_millis()).unwrap_or(u64::MAX),
        })
    };
    json!({
        "ok": report.holds(),
        "cases": report.rows.iter().map(row).collect::<Value>(),
        "findings": report.findings,
        "ms": u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
    })
}
