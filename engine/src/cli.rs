//! The command line: one file per command.
//!
//! Every command ends with the same four codes: 0 it went well, 1 it failed (an execution, a check),
//! 2 it was used wrongly, its configuration included, 3 it took too long.

use std::path::PathBuf;
use std::process::ExitCode;

use asl::definition::WorkflowType;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self, Config};
use output::Output;

pub mod output;

pub mod client;

pub mod validate;

pub mod run;

pub mod dev;

pub mod worker;

pub mod demo;

pub mod completions;

mod source;

/// Runs AWS Step Functions state machines on this machine.
#[derive(Debug, Parser)]
#[command(name = "warren", version, propagate_version = false)]
#[command(after_help = "Exit codes: 0 well, 1 failed, 2 wrong usage or configuration, 3 timed out.")]
pub struct Cli {
    /// The configuration; `warren.toml` in the working directory unless given.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the Step Functions API on this machine, everything in one process.
    Dev(DevArgs),
    /// Watch an order go through: in parallel, with a failure that is retried.
    Demo(demo::DemoArgs),
    /// Run a definition in memory, without a server.
    Run(run::RunArgs),
    /// Check definitions and show every problem where it is.
    Validate(validate::ValidateArgs),
    /// Do the tasks of an activity with a command.
    Worker(worker::WorkerArgs),
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArgs),
}

/// What `warren dev` is told.
#[derive(Debug, Default, Args)]
pub struct DevArgs {
    /// Where to listen; 127.0.0.1 unless configured.
    #[arg(long)]
    pub host: Option<String>,
    /// The port to listen on; 8083 unless configured, 0 takes any that is free.
    #[arg(long)]
    pub port: Option<u16>,
    /// Where to keep state; unless given or configured, it is kept in memory and ends with the process.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl DevArgs {
    /// The configuration with these flags over it.
    pub fn over(self, mut config: Config) -> Config {
        config.server.host = self.host.unwrap_or(config.server.host);
        config.server.port = self.port.unwrap_or(config.server.port);
        config.data.directory = self.data.or(config.data.directory);
        config
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It went well: 0.
    Well,
    /// What it was to do failed: 1.
    Failed,
    /// It was used wrongly: 2.
    Usage,
    /// It took too long: 3.
    TimedOut,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Well => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::TimedOut => 3,
        })
    }
}

/// Why a command gave up. The text is for the user.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was used wrongly.
    #[error("{0}")]
    Usage(String),
    /// It could not do its work.
    #[error("{0}")]
    Failed(String),
    /// It took too long.
    #[error("{0}")]
    TimedOut(String),
}

impl From<config::Error> for Error {
    fn from(error: config::Error) -> Self {
        Error::Usage(error.to_string())
    }
}

impl Cli {
    /// Runs the command. What went wrong is on standard error when it returns.
    pub fn run(self) -> Exit {
        let mut out = Output::stdout();
        let exit = match self.dispatch(&mut out) {
            Ok(exit) => exit,
            Err(error) => {
                Output::stderr().line(format_args!("error: {error}"));
                match error {
                    Error::Usage(_) => Exit::Usage,
                    Error::Failed(_) => Exit::Failed,
                    Error::TimedOut(_) => Exit::TimedOut,
                }
            }
        };
        match out.finish() {
            Ok(()) => exit,
            Err(error) => {
                Output::stderr().line(format_args!("error: failed to write the output: {error}"));
                Exit::Failed
            }
        }
    }

    fn dispatch(self, out: &mut Output) -> Result<Exit, Error> {
        let config = || Config::load(self.config.as_deref());
        match self.command {
            Command::Dev(args) => block_on(dev::run(config()?, args)),
            Command::Demo(args) => block_on(demo::run(config()?, args, out)),
            Command::Run(args) => run::run(&config()?, &args, out),
            Command::Validate(args) => validate::run(&args, out),
            Command::Worker(args) => block_on(worker::run(args)),
            Command::Completions(args) => {
                completions::run(&args, out);
                Ok(Exit::Well)
            }
        }
    }
}

fn block_on(command: impl Future<Output = Result<Exit, Error>>) -> Result<Exit, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Failed(format!("failed to start: {error}")))?;
    let ended = runtime.block_on(command);
    // Whatever still runs has been told to stop, or does not matter any more.
    runtime.shutdown_background();
    ended
}

/// `--type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum TypeArg {
    /// Durable, every step recorded.
    #[default]
    #[value(name = "STANDARD", alias = "standard")]
    Standard,
    /// Short and many.
    #[value(name = "EXPRESS", alias = "express")]
    Express,
}

impl From<TypeArg> for WorkflowType {
    fn from(argument: TypeArg) -> Self {
        match argument {
            TypeArg::Standard => WorkflowType::Standard,
            TypeArg::Express => WorkflowType::Express,
        }
    }
}
