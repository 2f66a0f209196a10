//! The command line: one file per command.
//!
//! Every command ends with the same four codes: 0 it went well, 1 it failed (an execution, a check),
//! 2 it was used wrongly, its configuration included, 3 it took too long.

use std::path::PathBuf;
use std::process::ExitCode;

use asl::definition::WorkflowType;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self, Config, Flag};
use output::Output;

pub mod output;

pub mod client;

pub mod validate;

pub mod run;

pub mod test;

pub mod composition;

pub mod dev;

pub mod serve;

pub mod migrate;

pub mod doctor;

pub mod recover;

pub mod config_command;

pub mod connection_command;

pub mod worker;

pub mod trigger;

pub mod event;

pub mod queue;

pub mod demo;

pub mod replay;

pub mod completions;

mod outside;

mod play;

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
    /// Serve on RabbitMQ and Postgres: as many processes as wanted, wherever they run.
    Serve(serve::ServeArgs),
    /// Bring the tables of the database up to date.
    Migrate(migrate::MigrateArgs),
    /// Make the messages of all running executions again, for a broker that has lost them.
    Recover(recover::RecoverArgs),
    /// Check the broker and the database, and tell how to mend what is wrong.
    Doctor(doctor::DoctorArgs),
    /// Show the settings and where each comes from.
    Config(config_command::ConfigArgs),
    /// Seal the secrets of connections.
    Connection(connection_command::ConnectionArgs),
    /// Watch an order go through: in parallel, with a failure that is retried.
    Demo(demo::DemoArgs),
    /// Run a definition in memory, without a server.
    Run(run::RunArgs),
    /// Play the test cases of definitions in memory, and tell what was not as expected.
    Test(test::TestArgs),
    /// Check definitions and show every problem where it is.
    Validate(validate::ValidateArgs),
    /// Do the tasks of an activity with a command.
    Worker(worker::WorkerArgs),
    /// Make, show and steer what starts executions by itself: events, queues, schedules.
    Trigger(trigger::TriggerArgs),
    /// Watch what happens, and publish events.
    Event(event::EventArgs),
    /// Feed and read queues by hand.
    Queue(queue::QueueArgs),
    /// Step through what engines did, as a failed simulation recorded it.
    Replay(replay::ReplayArgs),
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArgs),
}

/// What `warren dev` is told.
#[derive(Debug, Default, Args)]
pub struct DevArgs {
    /// The address to listen on; 127.0.0.1 unless configured.
    #[arg(long, alias = "host", value_name = "ADDR")]
    pub listen: Option<String>,
    /// The port to listen on; 8083 unless configured, 0 takes any that is free.
    #[arg(long)]
    pub port: Option<u16>,
    /// Where to keep state; unless given or configured, it is kept in memory and ends with the process.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl DevArgs {
    /// The settings that these flags give.
    pub fn flags(&self) -> Vec<Flag> {
        let directory = self.data.as_ref().map(|directory| directory.to_string_lossy().into_owned());
        let flags = [
            self.listen.clone().map(|host| Flag { key: "server.host", value: host.into(), name: "--listen" }),
            self.port.map(|port| Flag { key: "server.port", value: port.into(), name: "--port" }),
            directory.map(|directory| Flag {
                key: "data.directory",
                value: directory.into(),
                name: "--data",
            }),
        ];
        flags.into_iter().flatten().collect()
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

/// What is logged unless `RUST_LOG` says otherwise.
pub fn log_filter() -> String {
    format!("warn,engine=info,{}", crate::adapters::amqp::DRIVER_LOG)
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
        let file = self.config.as_deref();
        let config = |flags: &[Flag]| Config::load(file, flags);
        match self.command {
            Command::Dev(args) => block_on(dev::run(Config::load_for(&dev::granted(), file, &args.flags())?)),
            Command::Serve(args) => block_on(serve::run(config(&args.flags())?)),
            Command::Migrate(args) => block_on(migrate::run(config(&[])?, &args, out)),
            Command::Recover(args) => block_on(recover::run(config(&[])?, &args, out)),
            Command::Doctor(args) => block_on(doctor::run(config(&[])?, &args, out)),
            Command::Config(args) => config_command::run(file, &args, out),
            Command::Connection(args) => connection_command::run(&config(&[])?, &args, out),
            Command::Demo(args) => block_on(demo::run(config(&[])?, args, out)),
            Command::Run(args) => run::run(&config(&[])?, &args, out),
            Command::Test(args) => test::run(&config(&[])?, &args, out),
            Command::Validate(args) => validate::run(&args, out),
            Command::Worker(args) => block_on(worker::run(args)),
            Command::Trigger(args) => block_on(trigger::run(args, out)),
            Command::Event(args) => block_on(event::run(args, out)),
            Command::Queue(args) => block_on(queue::run(args, out)),
            Command::Replay(args) => replay::run(&args, out),
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
