//! `bailiwick list`: the tools, one on each line.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use bailiwick_core::call::Caller;
use bailiwick_core::confine::Life;
use bailiwick_core::name::ToolName;
use bailiwick_core::registry::Tool;

use super::show::{asks, risk};
use super::start::Ground;
use super::terminal::{BOLD, Terminal, Trouble, YELLOW, clipped, width};
use super::{Exit, Global, start};

pub(super) const EXAMPLES: &str = "\
The columns:
  RISK    how much harm a call with wrong arguments can do: low, medium or high
  MARKS   what a call does at worst (reads, writes or destroys), whether it reaches the network
          (net), and whether it runs only after a person agreed (asks)

`--json` adds the JSON Schemas, and what could not be loaded.";

type Named = (ToolName, Arc<Tool>);

pub(super) fn run(terminal: &Terminal, global: &Global) -> Result<Exit, Trouble> {
    let ground = start::ground(terminal, global, Life::Once, None)?;
    start::with_threads(listed(terminal, &ground))
}

async fn listed(terminal: &Terminal, ground: &Ground) -> Result<Exit, Trouble> {
    let host = start::host(terminal, ground).await?;
    let tools = host.list(&Caller::operator("cli"));
    if terminal.json {
        let problems = start::problems_json(&host.snapshot().problems);
        let tools: Vec<Value> = tools.iter().map(tool_json).collect();
        terminal.print_json(&json!({"tools": tools, "problems": problems}))?;
        return Ok(Exit::Done);
    }
    start::warn_of_problems(terminal, &host);
    if tools.is_empty() {
        terminal.hint(&format!("{} gives no tools", ground.settings.path.display()));
        return Ok(Exit::Done);
    }
    terminal.print(&table(&tools, width()))?;
    Ok(Exit::Done)
}

fn table(tools: &[Named], width: Option<usize>) -> String {
    let head = ["TOOL", "RISK", "MARKS", "PLUGIN"].map(str::to_owned);
    let rows: Vec<[String; 4]> = tools
        .iter()
        .map(|(name, tool)| {
            [name.to_string(), risk(tool.definition.risk).to_owned(), marks(tool), tool.plugin.to_string()]
        })
        .collect();
    let columns: [usize; 4] =
        std::array::from_fn(|at| rows.iter().chain([&head]).map(|row| row[at].chars().count()).max().unwrap_or(0));
    let used = columns.iter().sum::<usize>() + 2 * columns.len();
    let left = width.map_or(usize::MAX, |width| width.saturating_sub(used).max(20));
    let line = |row: &[String; 4]| {
        let cells = row.iter().zip(columns).map(|(cell, wide)| format!("{cell:<wide$}  "));
        cells.collect::<String>()
    };
    let mut text = format!("{BOLD}{}DESCRIPTION{BOLD:#}\n", line(&head));
    for (row, (name, tool)) in rows.iter().zip(tools) {
        let _ = writeln!(text, "{}{}", line(row), description(name, tool, left));
    }
    text
}

fn description(name: &ToolName, tool: &Tool, most: usize) -> String {
    let first = clipped(tool.listed(), most);
    if tool.not_configured.is_some() {
        return format!("{YELLOW}[NOT CONFIGURED]{YELLOW:#} {}", clipped(&first, most.saturating_sub(17)));
    }
    if *name == tool.name { first } else { clipped(&format!("(`{}`) {first}", tool.name), most) }
}

/// What a call does at worst, in a few words.
pub(super) fn marks(tool: &Tool) -> String {
    let hints = tool.annotations;
    let mut marks = vec![match (hints.read_only, hints.destructive) {
        (Some(true), _) => "reads",
        (_, Some(false)) => "writes",
        (_, _) => "destroys",
    }];
    marks.extend((hints.open_world != Some(false)).then_some("net"));
    marks.extend(asks(tool).then_some("asks"));
    marks.join(",")
}

fn tool_json((name, tool): &Named) -> Value {
    let mut json = json!({
        "name": name.to_string(),
        "plugin": tool.plugin.to_string(),
        "title": tool.definition.title,
        "description": tool.description(),
        "risk": tool.definition.risk,
        "asks": asks(tool),
        "annotations": tool.annotations,
        "configured": tool.not_configured.is_none(),
        "inputSchema": tool.arguments.visible(),
    });
    if let Some(schema) = tool.output_schema() {
        json["outputSchema"] = schema.clone();
    }
    json
}
