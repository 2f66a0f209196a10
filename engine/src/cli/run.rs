//! `warren run`: a whole execution in memory, told as it happens.
//!
//! ```text
//!   definition ──▶ Rehearsal ──tasks──▶ mocks, else functions on this machine
//!                      ▲                     │
//!                      └──── answers, time ──┘
//! ```
//!
//! With mocks the clock stands still but for waits, which it jumps over. Without, time is real.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use asl::branch::Outcome;
use asl::data::Failure;
use asl::data::context::ExecutionFacts;
use asl::data::timestamp::Timestamp;
use asl::definition::check;
use asl::program::Program;
use asl::rehearsal::Rehearsal;
use clap::Args;
use serde_json::{Value, json};
use uuid::Uuid;

use super::output::{Output, Tone};
use super::{Error, Exit, TypeArg, source, validate};
use crate::config::Config;
use clock::Clock;
use functions::Functions;
use mocks::Mocks;
use narration::Narration;
use player::{Ending, Player};

mod clock;
mod functions;
mod mocks;
mod narration;
mod player;

/// What `warren run` is told.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The definition in JSON; `-` is standard input.
    file: PathBuf,
    /// The input: JSON, @FILE, or `-` for standard input.
    #[arg(long, default_value = "{}", value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    input: String,
    /// Results of tasks by state and attempt: `{"STATE": {"0": {"Return": …}, "1-2": {"Throw": {"Error": …}}}}`.
    #[arg(long, value_name = "FILE")]
    mock: Option<PathBuf>,
    /// What kind of state machine it is.
    #[arg(long = "type", value_enum, ignore_case = true, default_value_t, value_name = "TYPE")]
    workflow: TypeArg,
    /// Give up after so many seconds of the execution's time.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
    /// Print the history instead, as GetExecutionHistory does.
    #[arg(long)]
    json: bool,
}

/// Runs the definition to its end.
pub fn run(config: &Config, args: &RunArgs, out: &mut Output) -> Result<Exit, Error> {
    let Some(program) = compile(args)? else { return Ok(Exit::Failed) };
    let mocks = args.mock.as_deref().map(|path| Mocks::read(path, &program)).transpose()?;
    let (input, input_text) = source::value("--input", &args.input)?;
    let bytes_max = config.limits.payload_bytes_max.get();
    if input_text.len() > bytes_max {
        return Err(Error::Usage(format!("--input is longer than {bytes_max} bytes")));
    }
    let start = now();
    let facts = facts(config, args, input, start);
    let clock = if mocks.is_some() { Clock::jumping(start) } else { Clock::real(start) };
    let functions = Functions::new(config.functions.clone(), facts.id.clone());
    let limits = config.limits.of_language();
    let seed = seed();
    let rehearsal = Rehearsal::start(&program, facts, input_text, limits, start, seed);
    let narration = if args.json { None } else { Some(Narration::new(start, out)) };
    let mut player = Player::new(rehearsal, clock, mocks, functions, narration);
    player.stop_after(args.timeout, program.timeout_seconds);
    let ending = player.play();
    let (history, elapsed) = (player.history(), player.now().seconds() - start.seconds());
    let ending = match ending {
        Ok(ending) => ending,
        Err(error) => {
            // What happened so far helps to see what is missing.
            if args.json {
                out.line(format_args!("{:#}", Value::Array(history)));
            }
            return Err(error);
        }
    };
    if args.json {
        let history = with_time_out(history, &ending, start.plus_milliseconds((elapsed * 1000.0) as i64));
        out.line(format_args!("{:#}", Value::Array(history)));
    }
    conclude(&ending, elapsed, args, out)
}

/// The program, or its problems on standard error.
fn compile(args: &RunArgs) -> Result<Option<Program>, Error> {
    let (file, text) = source::definition(&args.file)?;
    let checked = check(&text, args.workflow.into());
    if checked.program.is_none() {
        let findings = validate::findings(&text, args.workflow);
        validate::show(&file, &text, &findings, &mut Output::stderr());
    }
    Ok(checked.program)
}

fn facts(config: &Config, args: &RunArgs, input: Value, start: Timestamp) -> ExecutionFacts {
    let stem = args.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = stem.split('.').next().filter(|name| !name.is_empty() && *name != "-").unwrap_or("definition");
    let home = config.home();
    let execution = Uuid::new_v4().to_string();
    ExecutionFacts {
        id: home.execution(name, &execution),
        name: execution,
        role_arn: format!("arn:aws:iam::{}:role/warren", home.account),
        started_at: start,
        input,
        redrive: None,
        state_machine_id: home.state_machine(name),
        state_machine_name: name.to_owned(),
    }
}

fn conclude(ending: &Ending, elapsed: f64, args: &RunArgs, out: &mut Output) -> Result<Exit, Error> {
    let (tone, status, exit) = match ending {
        Ending::Over(Outcome::Succeeded(_)) => (Tone::Good, "SUCCEEDED", Exit::Well),
        Ending::Over(Outcome::Failed(_)) => (Tone::Bad, "FAILED", Exit::Failed),
        Ending::TimedOut => (Tone::Bad, "TIMED_OUT", Exit::TimedOut),
        Ending::Overdue => {
            let seconds = args.timeout.unwrap_or_default();
            return Err(Error::TimedOut(format!("the execution still runs after {seconds} s (--timeout)")));
        }
    };
    if args.json {
        return Ok(exit);
    }
    out.line(format_args!("{} after {elapsed:.3} s", out.paint(tone, status)));
    match ending {
        Ending::Over(Outcome::Succeeded(output)) => out.line(output),
        Ending::Over(Outcome::Failed(failure)) => out.line(narration::failure(failure)),
        Ending::TimedOut | Ending::Overdue => out.line(narration::failure(&Failure::timeout())),
    }
    Ok(exit)
}

/// The time limit of a whole execution is the service's business: a rehearsal does not record it.
fn with_time_out(mut history: Vec<Value>, ending: &Ending, at: Timestamp) -> Vec<Value> {
    if matches!(ending, Ending::TimedOut) {
        let last = history.len();
        history.push(json!({
            "timestamp": at.seconds(),
            "type": "ExecutionTimedOut",
            "id": last + 1,
            "previousEventId": last,
            "executionTimedOutEventDetails": {},
        }));
    }
    history
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_milliseconds(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    seed[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    seed
}
