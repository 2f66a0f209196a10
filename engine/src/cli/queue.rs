//! `warren queue`: queues of the broker, fed and read by hand. Where the broker is in the server (`warren dev`), this
//! is how to reach it.

use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::client::CallError;
use super::output::Output;
use super::{Error, Exit};

mod receive;
mod send;

/// What `warren queue` is told.
#[derive(Debug, Args)]
pub struct QueueArgs {
    #[command(subcommand)]
    command: QueueCommand,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// Send a message to a queue, or several that are alike.
    Send(send::SendArgs),
    /// Take messages from a queue, and print their bodies, a line each.
    Receive(receive::ReceiveArgs),
}

/// Does it.
pub async fn run(args: QueueArgs, out: &mut Output) -> Result<Exit, Error> {
    match args.command {
        QueueCommand::Send(args) => send::run(args, out).await,
        QueueCommand::Receive(args) => receive::run(args, out).await,
    }
}

fn path(queue: &str, action: &str) -> String {
    format!("queues/{}/{action}", utf8_percent_encode(queue, NON_ALPHANUMERIC))
}

fn failed(error: CallError) -> Error {
    match error {
        // The code is a number of HTTP, and tells nothing more.
        CallError::Refused { message, .. } => Error::Failed(message),
        other => Error::Failed(other.to_string()),
    }
}
