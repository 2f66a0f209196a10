//! The binary `warren`: reads the command line and hands over to its command.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use engine::cli::Cli;
use engine::cli::output::Output;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // One provider for all that speaks TLS. It fails only where one is installed, and nothing ran before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(engine::cli::log_filter()));
    let colour = Output::stderr().colour();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colour)
        // It would be told on standard error as well, and fail there by a panic in whatever is being done.
        .log_internal_errors(false)
        .compact()
        .init();
    cli.run().into()
}
