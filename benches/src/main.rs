//! What this machine allows, and what Warren makes of it, in one run: `make bench`.
//!
//! ```text
//!   args ─▶ bench ─▶ cases ─┬─▶ baseline     broker and database alone, and both under an engine without an
//!                           │                interpreter: the ceiling
//!                           └─▶ deployment   processes of `warren serve`, on queues and a database of their own,
//!                               driver       loaded through the public API
//!                    figure ─▶ report        a table, and JSON
//! ```
//!
//! Whatever a run makes on the broker and in the database has a random name, is written down before it is
//! made (`scratch`), and goes away at the end: also when a case fails, and on Ctrl-C.

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use args::Args;
use bench::Bench;
use failure::Result;
use figure::Outcome;

mod args;
mod baseline;
mod bench;
mod cases;
mod deployment;
mod driver;
mod failure;
mod figure;
mod machine;
mod report;
mod scratch;
mod target;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            report::progress::line(&format!("warren-bench: {failure}"));
            ExitCode::FAILURE
        }
    }
}

/// True if every case that was chosen has figures.
async fn run(args: Args) -> Result<bool> {
    let chosen = cases::choose(&args.cases)?;
    if args.list {
        report::table::catalog(&chosen)?;
        return Ok(true);
    }
    let bench = Bench::new(args).await?;
    let mut outcomes = Vec::new();
    let stopped = tokio::select! {
        () = cases::run_all(&bench, &chosen, &mut outcomes) => false,
        stopped = stop_signal() => { stopped?; true }
    };
    bench.clean().await;
    report::table::print(&outcomes)?;
    if let Some(file) = &bench.args.json {
        report::json::write(file, &bench, &outcomes)?;
    }
    let failed = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed { .. }));
    Ok(!stopped && !failed)
}

async fn stop_signal() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    report::progress::line("stopping: removing queues and databases");
    Ok(())
}
