//! `bailiwick codes`: the stable names of everything that can go wrong in a call.

use serde_json::{Value, json};

use bailiwick_core::outcome::Code;

use super::Exit;
use super::terminal::{BOLD, Terminal, Trouble};

pub(super) fn run(terminal: &Terminal) -> Result<Exit, Trouble> {
    if terminal.json {
        let code =
            |code: &Code| json!({"code": code, "meaning": code.meaning().trim(), "exit": Exit::of(*code).number()});
        terminal.print_json(&Code::ALL.iter().map(code).collect::<Value>())?;
        return Ok(Exit::Done);
    }
    let wide = Code::ALL.iter().map(|code| code.as_str().len()).max().unwrap_or(0);
    let line =
        |code: &Code| format!("{:<wide$}  {:>4}  {}\n", code.as_str(), Exit::of(*code).number(), code.meaning().trim());
    let head = format!("{BOLD}{:<wide$}  EXIT  MEANING{BOLD:#}\n", "CODE");
    terminal.print(&(head + &Code::ALL.iter().map(line).collect::<String>()))?;
    Ok(Exit::Done)
}
