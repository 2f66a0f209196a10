//! `Retry` and `Catch`: what an error leads to.

use super::turn::Turn;
use super::{BranchFailure, Effect, Waiting};
use crate::data::failure::names;
use crate::data::{DataFlow, Failure, Problem};
use crate::history::EventKind;
use crate::program::{Catcher, ErrorHandling, Jitter, Next, Retrier, StateKind, Way};

impl<'a> Turn<'a> {
    /// Retries, catches, or fails the branch.
    pub(super) fn handle(&mut self, failed: BranchFailure) {
        let error = failed.failure.error.clone().unwrap_or_default();
        self.handle_as(failed, &error);
    }

    /// The same for a task that took too long: `error` tells a missed heartbeat, which is reported as
    /// `States.Timeout` but can be named by itself.
    pub(super) fn handle_timeout(&mut self, error: &str) {
        self.handle_as(BranchFailure { failure: Failure::timeout(), state: None }, error);
    }

    fn handle_as(&mut self, failed: BranchFailure, error: &str) {
        if self.steps.are_kept() {
            self.handled.failure = Some(failed.failure.clone());
        }
        let handling = self.handling();
        if handling.is_some_and(|handling| self.retry(handling, error)) {
            return;
        }
        self.record_fork_failed();
        let Some((place, catcher)) = handling.and_then(|handling| catcher(handling, error)) else {
            return self.end_failed(failed);
        };
        self.handled.catcher = Some(place);
        if let Err(problem) = self.catch(place, catcher, failed) {
            let failed = self.told(problem);
            if self.steps.are_kept() {
                self.handled.failure = Some(failed.failure.clone());
            }
            self.end_failed(failed);
        }
    }

    pub(super) fn handling(&self) -> Option<&'a ErrorHandling> {
        match &self.state().kind {
            StateKind::Task(task) => Some(&task.handling),
            StateKind::Parallel(parallel) => Some(&parallel.handling),
            StateKind::Map(map) => Some(&map.handling),
            StateKind::Pass(_)
            | StateKind::Choice(_)
            | StateKind::Wait(_)
            | StateKind::Succeed
            | StateKind::Fail(_) => None,
        }
    }

    /// The first retrier that matches decides; true if it grants another attempt.
    fn retry(&mut self, handling: &ErrorHandling, error: &str) -> bool {
        let matching = |retrier: &Retrier| matches(&retrier.error_equals, error);
        let Some(index) = handling.retriers.iter().position(matching) else { return false };
        self.handled.retrier = Some(index);
        let retrier = &handling.retriers[index];
        self.branch.retries.resize(handling.retriers.len(), 0);
        let used = self.branch.retries[index];
        if used >= retrier.max_attempts {
            return false;
        }
        self.branch.retries[index] = used + 1;
        let delay = delay_milliseconds(retrier, used, self.random.unit_f64());
        let at = self.tick.now.plus_milliseconds(delay);
        self.branch.waiting = Waiting::Retry { at };
        self.effect(Effect::StartTimer { at });
        true
    }

    /// A Parallel or Map that is not tried again says that it failed; a Task has said so before.
    fn record_fork_failed(&mut self) {
        match (&self.state().kind, &self.branch.waiting) {
            (StateKind::Parallel(_), waiting) if self.fork_has_failed(waiting) => {
                self.record(EventKind::ParallelStateFailed);
            }
            (StateKind::Map(_), waiting) if self.fork_has_failed(waiting) => {
                self.record(EventKind::MapStateFailed);
            }
            (_, _) => {}
        }
    }

    /// Makes the output that the catcher wants and goes on with its state.
    fn catch(&mut self, place: usize, catcher: &Catcher, failed: BranchFailure) -> Result<(), Problem> {
        // The cause may name an event of this branch, whose id is certain in the root only.
        let entered_id = self.branch.visit.as_ref().map(|visit| visit.entered_id);
        let error = failed.resolve(|_| entered_id).error_output();
        let raw = std::mem::take(&mut self.branch.data);
        let context = self.context();
        let flow = &self.state().flow;
        let scope = flow.catch_scope(&raw, &error, &context);
        let assigned = self.assigned(catcher.assign.as_ref(), scope)?;
        let output = match (&catcher.output, flow) {
            (Some(output), _) => output.evaluate(scope, &mut self.random)?,
            (None, DataFlow::Jsonata(_)) => error,
            (None, DataFlow::JsonPath(_)) => catcher.result_path.merge(raw, error)?,
        };
        let after = self.branch.last.clone();
        self.exit(output, assigned, (Way::Catcher(place), Next::State(catcher.next)), after)
    }
}

fn catcher<'a>(handling: &'a ErrorHandling, error: &str) -> Option<(usize, &'a Catcher)> {
    handling.catchers.iter().enumerate().find(|(_, catcher)| matches(&catcher.error_equals, error))
}

/// Whether a list of error names matches an error. `States.Runtime` is never matched. A payload limit is,
/// by its own name and, as recorded on AWS against its documentation, by `States.ALL`.
fn matches(error_equals: &[String], error: &str) -> bool {
    if error == names::RUNTIME {
        return false;
    }
    // A missed heartbeat is reported as States.Timeout, and told apart by this name until it is handled.
    let heartbeat = error == names::HEARTBEAT_TIMEOUT;
    let timeout = heartbeat || error == names::TIMEOUT;
    error_equals.iter().any(|name| match name.as_str() {
        names::ALL => true,
        names::TASK_FAILED => !timeout && error != names::DATA_LIMIT_EXCEEDED,
        names::TIMEOUT => timeout,
        name => name == error,
    })
}

/// The delay before retry number `used + 1` of a retrier. `share` is uniform in `0..1`.
fn delay_milliseconds(retrier: &Retrier, used: u32, share: f64) -> i64 {
    let exponent = i32::try_from(used).unwrap_or(i32::MAX);
    let seconds = f64::from(retrier.interval_seconds) * retrier.backoff_rate.powi(exponent);
    let bound = f64::from(retrier.max_delay_seconds.unwrap_or(crate::limits::TIMEOUT_SECONDS_MAX));
    let seconds = seconds.min(bound);
    let spread = match retrier.jitter {
        Jitter::None => 1.0,
        Jitter::Full => share,
    };
    // Bounded above by TIMEOUT_SECONDS_MAX, so the conversion is exact enough.
    (seconds * spread * 1000.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_the_reference_says() {
        let cases = [
            ("States.ALL", "Custom", true),
            ("States.ALL", "States.Timeout", true),
            ("States.ALL", "States.Runtime", false),
            ("States.ALL", "States.DataLimitExceeded", true),
            ("States.DataLimitExceeded", "States.DataLimitExceeded", true),
            ("States.Runtime", "States.Runtime", false),
            ("States.TaskFailed", "Custom", true),
            ("States.TaskFailed", "States.Timeout", false),
            ("States.TaskFailed", "States.HeartbeatTimeout", false),
            ("States.Timeout", "States.HeartbeatTimeout", true),
            ("States.HeartbeatTimeout", "States.HeartbeatTimeout", true),
            ("States.HeartbeatTimeout", "States.Timeout", false),
            ("Custom", "custom", false),
        ];
        for (name, error, expected) in cases {
            assert_eq!(matches(&[name.to_owned()], error), expected, "{name} {error}");
        }
    }

    #[test]
    fn delays_grow_up_to_their_bound() {
        let retrier = |max_delay_seconds, jitter| Retrier {
            error_equals: vec![names::ALL.to_owned()],
            interval_seconds: 2,
            max_attempts: 99,
            backoff_rate: 3.0,
            max_delay_seconds,
            jitter,
        };
        let delays = |retrier: &Retrier| -> Vec<i64> {
            (0..4).map(|used| delay_milliseconds(retrier, used, 0.5)).collect()
        };
        assert_eq!(delays(&retrier(None, Jitter::None)), [2_000, 6_000, 18_000, 54_000]);
        assert_eq!(delays(&retrier(Some(10), Jitter::None)), [2_000, 6_000, 10_000, 10_000]);
        assert_eq!(delays(&retrier(Some(10), Jitter::Full)), [1_000, 3_000, 5_000, 5_000]);
        assert_eq!(delay_milliseconds(&retrier(None, Jitter::None), u32::MAX, 0.5), 99_999_999_000);
    }
}
