//! `warren replay`: steps through a recording of what engines did, as a failed simulation leaves one.
//!
//! After every step that moves an execution its branches are drawn, as the store has them then.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use clap::Args;

use super::output::{Output, Tone};
use super::{Error, Exit, source};
use branches::Branches;
use recording::{Heading, Recording, Step, What};

mod branches;
pub mod recording;

/// What `warren replay` is told.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The recording; `-` is standard input.
    file: PathBuf,
    /// Only what concerns this execution (its id, or how the id begins), and what befell engines.
    #[arg(long, value_name = "ID")]
    execution: Option<String>,
    /// Print the steps as they are in the recording, a line each.
    #[arg(long)]
    json: bool,
}

/// Shows the recording: on a terminal a step with each Enter, else all at once.
pub fn run(args: &ReplayArgs, out: &mut Output) -> Result<Exit, Error> {
    let text = source::read(&args.file)?;
    let recording = Recording::parse(&text)
        .map_err(|error| Error::Usage(format!("failed to read {}: {error}", args.file.display())))?;
    let steps: Vec<&Step> = recording.steps.iter().filter(|step| concerns(step, args)).collect();
    if let Some(id) = &args.execution
        && !steps.iter().any(|step| step.what.execution().is_some())
    {
        return Err(Error::Usage(format!("the recording has no execution that begins with {id}")));
    }
    if args.json {
        for step in steps {
            let line = serde_json::to_string(step);
            out.line(line.map_err(|error| Error::Failed(format!("failed to write a step: {error}")))?);
        }
        return Ok(Exit::Well);
    }
    introduce(&recording.heading, steps.len(), out);
    let interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut branches = Branches::default();
    for (number, step) in (1..).zip(&steps) {
        if interactive && !asked_for_more() {
            return Ok(Exit::Well);
        }
        let moved = branches.follow(&step.what);
        out.line(describe(number, step, out));
        if moved && let Some(execution) = step.what.execution() {
            branches.draw(execution, out);
        }
    }
    out.line(format_args!("{} {}", out.paint(Tone::Bad, "then:"), recording.heading.rule));
    Ok(Exit::Well)
}

fn concerns(step: &Step, args: &ReplayArgs) -> bool {
    let Some(wanted) = &args.execution else { return true };
    step.what.execution().is_none_or(|execution| execution.starts_with(wanted))
}

/// Waits for Enter. `q` and the end of the input end the replay.
fn asked_for_more() -> bool {
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(length) => length > 0 && line.trim() != "q",
        Err(_) => false,
    }
}

fn introduce(heading: &Heading, steps: usize, out: &mut Output) {
    out.line(format_args!("seed {}, {steps} steps", heading.seed));
    out.line(format_args!("{} {}", out.paint(Tone::Bad, "violated:"), heading.rule));
    for workflow in &heading.workflows {
        let recording::Workflow { name, workflow_type, definition, input } = workflow;
        out.line(format_args!("{} {workflow_type}", out.paint(Tone::Strong, name)));
        out.line(format_args!("  definition {definition}"));
        out.line(format_args!("  input      {input}"));
    }
}

/// One line: when, who, what.
fn describe(number: usize, step: &Step, out: &Output) -> String {
    let seconds = step.at_milliseconds / 1_000;
    let milliseconds = step.at_milliseconds % 1_000;
    let engine = if step.engine.is_empty() { "everybody" } else { &step.engine };
    let tone = match &step.what {
        What::Fault { .. } => Tone::Warning,
        What::Crashed => Tone::Bad,
        What::Committed(transition) if !transition.stands() => Tone::Warning,
        What::Committed(_) | What::Closed { .. } | What::Redriven { .. } | What::Started { .. } => {
            Tone::Strong
        }
        What::Delivered { .. }
        | What::Settled { .. }
        | What::Published { .. }
        | What::Claimed { .. }
        | What::Began => Tone::Quiet,
    };
    let text = out.paint(tone, sentence(&step.what));
    format!("{number:>5} {seconds:>4}.{milliseconds:03} {engine:<10} {text}")
}

fn sentence(what: &What) -> String {
    match what {
        What::Started { execution, name, outcome } => format!("start     {execution} as {name}: {outcome}"),
        What::Delivered { queue, id, redeliveries: 0 } => format!("delivery  {queue} {id}"),
        What::Delivered { queue, id, redeliveries } => {
            format!("delivery  {queue} {id} (came {redeliveries} times before)")
        }
        What::Settled { queue, id, how } => format!("settle    {queue} {id}: {how}"),
        What::Published { queue, id, delay_milliseconds: None, outcome } => {
            format!("publish   {queue} {id}: {outcome}")
        }
        What::Published { queue, id, delay_milliseconds: Some(delay), outcome } => {
            format!("publish   {queue} {id} after {delay} ms: {outcome}")
        }
        What::Committed(transition) => commit(transition),
        What::Claimed { execution, branch, seq, phase } => {
            format!("due       {execution}/{branch}/{seq} {phase}")
        }
        What::Closed { execution, status } => format!("close     {execution}: {status}"),
        What::Redriven { execution, count } => format!("redrive   {execution}: {count}"),
        What::Fault { what } => format!("fault     {what}"),
        What::Crashed => "crash".to_owned(),
        What::Began => "begin".to_owned(),
    }
}

fn commit(transition: &recording::Transition) -> String {
    let recording::Transition { execution, branch, seq, verdict, phase, events, .. } = transition;
    let recorded = if events.is_empty() { String::new() } else { format!(" [{}]", events.join(", ")) };
    format!("commit    {execution}/{branch}/{seq} {phase}: {verdict}{recorded}")
}
