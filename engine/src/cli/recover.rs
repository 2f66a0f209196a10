//! `warren recover`: makes the messages of all running executions again, from their rows.
//!
//! For a broker that has lost what it held, and for a database that was restored to an earlier moment. What is
//! in flight after all is told apart by its fence, so that the command may be repeated, also beside engines
//! that work; but a task that was sent out and not answered is sent out again.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::composition;
use super::output::{Output, Tone};
use super::outside::Outside;
use super::{Error, Exit};
use crate::config::Config;

/// How long the broker has to answer.
const BROKER_WITHIN: Duration = Duration::from_secs(10);

/// What `warren recover` is told.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// Print `{branches}` instead.
    #[arg(long)]
    json: bool,
}

/// Makes the messages again.
pub async fn run(config: Config, args: &RecoverArgs, out: &mut Output) -> Result<Exit, Error> {
    let outside = Outside::open(&config, "recover")?;
    let found = recover(&config, &outside).await;
    outside.close().await;
    let found = found?;
    if args.json {
        out.line(json!({ "branches": found }));
        return Ok(Exit::Well);
    }
    let done =
        format!("{found} branches of running executions were looked at, and their messages made again");
    out.line(out.paint(Tone::Good, done));
    Ok(Exit::Well)
}

async fn recover(config: &Config, outside: &Outside) -> Result<u64, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Failed(error.to_string());
    outside.reach_broker(BROKER_WITHIN).await.map_err(|error| failed(&error))?;
    let parts = outside.parts(config).await.map_err(|error| failed(&error))?;
    let (core, _no_timers_here) = composition::assemble(config, parts, CancellationToken::new())
        .map_err(|error| Error::Failed(format!("failed to start: {error}")))?;
    composition::declare(&core).await.map_err(|error| failed(&error))?;
    core.recover().await.map_err(|error| failed(&error))
}
