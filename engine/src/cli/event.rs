//! `warren event`: what happens, as it happens; and events of one's own.

use clap::{Args, Subcommand};

use super::output::Output;
use super::{Error, Exit};

mod publish;
mod stream;
mod tail;

/// What `warren event` is told.
#[derive(Debug, Args)]
pub struct EventArgs {
    #[command(subcommand)]
    command: EventCommand,
}

#[derive(Debug, Subcommand)]
enum EventCommand {
    /// Show status changes of executions as they happen, a line each, until Ctrl-C.
    Tail(tail::TailArgs),
    /// Publish an event to the bus: PutEvents of EventBridge.
    Publish(publish::PublishArgs),
}

/// Does it.
pub async fn run(args: EventArgs, out: &mut Output) -> Result<Exit, Error> {
    match args.command {
        EventCommand::Tail(args) => tail::run(args, out).await,
        EventCommand::Publish(args) => publish::run(args, out).await,
    }
}
