//! `Wait`.

use serde_json::Value;

use super::turn::Turn;
use super::{Effect, Waiting};
use crate::data::path::ReferencePath;
use crate::data::timestamp::Timestamp;
use crate::data::{Failure, Scope, shown};
use crate::limits::WAIT_SECONDS_MAX;
use crate::program::{Next, StateKind, Until, Wait};

impl Turn<'_> {
    /// Enters the state: sets the timer, or goes on at once when the time has passed.
    pub(super) fn wait(&mut self, wait: &Wait) -> Result<(), Failure> {
        let until = self.wait_until(wait)?;
        let ahead = until.milliseconds().saturating_sub(self.tick.now.milliseconds());
        if ahead / 1000 > WAIT_SECONDS_MAX {
            return Err(Failure::runtime("Wait state delay is too long."));
        }
        if ahead <= 0 {
            return self.leave_wait(wait.next);
        }
        self.branch.waiting = Waiting::Wait { until };
        self.effect(Effect::StartTimer { at: until });
        Ok(())
    }

    /// The timer has fired.
    pub(super) fn wait_is_over(&mut self) {
        let StateKind::Wait(wait) = &self.state().kind else { return };
        if let Err(failure) = self.leave_wait(wait.next) {
            self.fail_in_state(failure);
        }
    }

    fn leave_wait(&mut self, next: Next) -> Result<(), Failure> {
        let raw = std::mem::take(&mut self.branch.data);
        let context = self.context();
        let effective = self.effective_input(&raw, &context)?.into_owned();
        let output = self.state().flow.output_of(effective, &context)?;
        let after = self.branch.last.clone();
        self.exit(output, next, after)
    }

    fn wait_until(&self, wait: &Wait) -> Result<Timestamp, Failure> {
        let now = self.tick.now;
        let path = match &wait.until {
            Until::Seconds(seconds) => return Ok(now.plus_seconds(i64::from(*seconds))),
            Until::Timestamp(timestamp) => return Ok(timestamp.whole_second()),
            Until::SecondsPath(path) | Until::TimestampPath(path) => path,
        };
        let context = self.context();
        let effective = self.effective_input(&self.branch.data, &context)?;
        let found = Scope { input: &effective, context: &context }.read(path.path());
        match &wait.until {
            Until::TimestampPath(_) => {
                let value = found.map_err(|_| missing("TimestampPath", path))?;
                timestamp(&value, path)
            }
            Until::SecondsPath(_) | Until::Seconds(_) | Until::Timestamp(_) => {
                let value = found.map_err(|_| missing("SecondsPath", path))?;
                Ok(now.plus_seconds(seconds(&value, path)?))
            }
        }
    }
}

fn missing(field: &str, path: &ReferencePath) -> Failure {
    Failure::runtime(format!("The {field} parameter does not reference an input value: {}", path.text()))
}

fn seconds(value: &Value, path: &ReferencePath) -> Result<i64, Failure> {
    match value.as_i64() {
        Some(seconds) if seconds < 0 => Err(Failure::runtime(format!(
            "The SecondsPath parameter references a negative value: {} == {value}",
            path.text()
        ))),
        Some(seconds) => Ok(seconds),
        None => Err(Failure::runtime(format!(
            "The SecondsPath parameter cannot be parsed as a long value: {} == {}",
            path.text(),
            shown(value)
        ))),
    }
}

fn timestamp(value: &Value, path: &ReferencePath) -> Result<Timestamp, Failure> {
    value.as_str().and_then(Timestamp::parse).map(Timestamp::whole_second).ok_or_else(|| {
        Failure::runtime(format!(
            "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: {} == {}",
            path.text(),
            shown(value)
        ))
    })
}
