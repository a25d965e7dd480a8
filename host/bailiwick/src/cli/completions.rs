//! `bailiwick completions`: a script for a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::terminal::{Terminal, Trouble};
use super::{Cli, Exit};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick completions bash > ~/.local/share/bash-completion/completions/bailiwick
  bailiwick completions zsh > ~/.zfunc/_bailiwick
  bailiwick completions fish > ~/.config/fish/completions/bailiwick.fish";

pub(super) fn run(terminal: &Terminal, shell: Shell) -> Result<Exit, Trouble> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "bailiwick", &mut script);
    terminal.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
