//! `warren queue receive`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::{failed, path};
use crate::cli::client::{Client, Method};
use crate::cli::output::Output;
use crate::cli::{Error, Exit};

/// What `warren queue receive` is told.
#[derive(Debug, Args)]
pub struct ReceiveArgs {
    /// The queue.
    name: String,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    max: u32,
    /// How long to wait for the first.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=60))]
    wait: u32,
    /// Print each message whole, as JSON.
    #[arg(long)]
    json: bool,
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8083")]
    endpoint: String,
}

/// Takes what is there. They are gone from the queue when they are printed.
pub(super) async fn run(args: ReceiveArgs, out: &mut Output) -> Result<Exit, Error> {
    let client = Client::new(&args.endpoint).map_err(|error| Error::Usage(error.to_string()))?;
    let request = json!({ "max": args.max, "wait_seconds": args.wait });
    let answer =
        client.console(Method::Post, &path(&args.name, "receive"), Some(request)).await.map_err(failed)?;
    let messages = answer["messages"].as_array().map_or(&[][..], Vec::as_slice);
    if messages.is_empty() {
        let waited = Duration::from_secs(args.wait.into());
        return Err(Error::TimedOut(format!("no message came to {} within {waited:?}", args.name)));
    }
    for message in messages {
        if args.json { out.line(message) } else { out.line(body(message)) }
    }
    Ok(Exit::Well)
}

/// Of a message that is no text, the base64 of it.
fn body(message: &Value) -> &str {
    let body = message["body"].as_str().or_else(|| message["body_base64"].as_str());
    body.unwrap_or_default()
}
