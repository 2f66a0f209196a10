//! `warren completions`: a completion script.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::output::Output;

/// What `warren completions` is told.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell that is to complete.
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &CompletionsArgs, out: &mut Output) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "warren", &mut script);
    out.text(String::from_utf8_lossy(&script));
}
