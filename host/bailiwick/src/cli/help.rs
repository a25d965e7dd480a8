//! `bailiwick help`: commands, and topics that are no command.

use clap::CommandFactory as _;

use super::terminal::{Terminal, Trouble};
use super::{Cli, Exit, exit};

/// What stands in bailiwick.toml, briefly.
const CONFIG: &str = include_str!("config.txt");

pub(super) fn run(terminal: &Terminal, topic: Option<&str>) -> Result<Exit, Trouble> {
    let mut program = Cli::command();
    program.build();
    let text = match topic {
        None => program.render_long_help().ansi().to_string(),
        Some("config") => CONFIG.to_owned(),
        Some("exit-codes") => format!("{}\n", exit::HELP),
        Some(name) => match program.find_subcommand_mut(name) {
            Some(command) => command.render_long_help().ansi().to_string(),
            None => return Err(unknown(&program, name)),
        },
    };
    terminal.print(&text)?;
    Ok(Exit::Done)
}

fn unknown(program: &clap::Command, name: &str) -> Trouble {
    let commands = program.get_subcommands().map(clap::Command::get_name);
    let names: Vec<String> = commands.chain(["config", "exit-codes"]).map(|name| format!("`{name}`")).collect();
    Trouble::new(Exit::Usage, "usage.topic", &format!("there is no help on `{name}`"))
        .with("fix", &format!("there is help on {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_configuration() {
        use bailiwick_core::config::{Source, read, render};
        let source = Source { name: "bailiwick.toml".into(), text: CONFIG.into(), base: "/etc/bailiwick".into() };
        let env = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
        if let Err(mistakes) = read(&source, &env) {
            panic!("{}", render(&source, &mistakes));
        }
    }
}
