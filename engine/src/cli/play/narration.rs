//! Tells an execution as it happens: a line for each history event.

use asl::branch::BranchPath;
use asl::data::Failure;
use asl::data::timestamp::Timestamp;
use asl::history::EventKind;
use asl::rehearsal::Row;

use crate::cli::output::{Output, Tone};

/// How much of a cause is shown, in characters.
const CAUSE_CHARACTERS_MAX: usize = 160;

pub(in crate::cli) struct Narration<'a> {
    start: Timestamp,
    out: &'a mut Output,
    told: usize,
}

impl<'a> Narration<'a> {
    pub(in crate::cli) fn new(start: Timestamp, out: &'a mut Output) -> Self {
        Narration { start, out, told: 0 }
    }

    /// Prints what was recorded since the last time.
    pub(in crate::cli) fn tell(&mut self, rows: &[Row]) {
        for row in rows.get(self.told..).unwrap_or_default() {
            let inset = inset(&row.path);
            for event in &row.events {
                let seconds = event.at.seconds() - self.start.seconds();
                let time = self.out.paint(Tone::Quiet, format_args!("{seconds:>9.3} s"));
                let name = event.kind.type_name();
                let name = match tone(&event.kind) {
                    Some(tone) => self.out.paint(tone, name),
                    None => name,
                };
                let line = format!("{time}  {inset}{name}  {}", words(&event.kind));
                self.out.line(line.trim_end());
            }
        }
        self.told = rows.len();
    }
}

/// Which branch it is: `[2]` for child 2 of a fork, further in for each fork.
fn inset(path: &BranchPath) -> String {
    let mut indices = Vec::new();
    let mut place = path.place();
    while let Some(inner) = place {
        indices.push(format!("[{}]", inner.index));
        place = inner.parent.place();
    }
    let depth = indices.len();
    indices.reverse();
    if depth == 0 { String::new() } else { format!("{}{} ", "  ".repeat(depth), indices.concat()) }
}

/// What an event says beside its type.
fn words(kind: &EventKind) -> String {
    match kind {
        EventKind::StateEntered { name, .. } | EventKind::StateExited { name, .. } => name.clone(),
        EventKind::TaskScheduled(scheduled) => {
            format!("{}:{}", scheduled.task.resource_type, scheduled.task.resource)
        }
        EventKind::LambdaFunctionScheduled { resource, .. }
        | EventKind::ActivityScheduled { resource, .. } => {
            resource.rsplit(':').next().unwrap_or(resource).to_owned()
        }
        EventKind::MapStateStarted { length: 1 } => "1 item".to_owned(),
        EventKind::MapStateStarted { length } => format!("{length} items"),
        EventKind::MapIterationStarted(iteration)
        | EventKind::MapIterationSucceeded(iteration)
        | EventKind::MapIterationFailed(iteration)
        | EventKind::MapIterationAborted(iteration) => format!("{} [{}]", iteration.name, iteration.index),
        other => failure_of(other).map(failure).unwrap_or_default(),
    }
}

fn failure_of(kind: &EventKind) -> Option<&Failure> {
    match kind {
        EventKind::ExecutionFailed(failure)
        | EventKind::ExecutionAborted(failure)
        | EventKind::ExecutionTimedOut(failure)
        | EventKind::TaskFailed { failure, .. }
        | EventKind::TaskTimedOut { failure, .. }
        | EventKind::LambdaFunctionFailed(failure)
        | EventKind::LambdaFunctionTimedOut(failure)
        | EventKind::ActivityFailed(failure)
        | EventKind::ActivityTimedOut(failure) => Some(failure),
        _ => None,
    }
}

fn tone(kind: &EventKind) -> Option<Tone> {
    match kind {
        EventKind::ExecutionSucceeded { .. } => Some(Tone::Good),
        EventKind::ExecutionFailed(_) => Some(Tone::Bad),
        other => failure_of(other).map(|_| Tone::Warning),
    }
}

/// An error and its cause in one line.
pub(in crate::cli) fn failure(failure: &Failure) -> String {
    let error = failure.error.as_deref().unwrap_or("(no error name)");
    match failure.cause.as_deref().map(str::trim).filter(|cause| !cause.is_empty()) {
        None => error.to_owned(),
        Some(cause) => {
            let words = cause.split_whitespace().collect::<Vec<_>>().join(" ");
            let shown: String = words.chars().take(CAUSE_CHARACTERS_MAX).collect();
            let more = if shown.len() < words.len() { "…" } else { "" };
            format!("{error}: {shown}{more}")
        }
    }
}
