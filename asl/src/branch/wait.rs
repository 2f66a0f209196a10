//! `Wait`.

use serde_json::Value;

use super::turn::Turn;
use super::{Effect, Waiting};
use crate::data::expression::Expression;
use crate::data::path::ReferencePath;
use crate::data::timestamp::Timestamp;
use crate::data::{Failure, Problem, Scope, shown};
use crate::limits::WAIT_SECONDS_MAX;
use crate::program::{Next, StateKind, Until, Wait, Way};

impl Turn<'_> {
    /// Enters the state: sets the timer, or goes on at once when the time has passed.
    pub(super) fn wait(&mut self, wait: &Wait) -> Result<(), Problem> {
        let until = self.wait_until(wait)?;
        let ahead = until.milliseconds().saturating_sub(self.tick.now.milliseconds());
        if ahead / 1000 > WAIT_SECONDS_MAX {
            return Err(Failure::runtime("Wait state delay is too long.").into());
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
        if let Err(problem) = self.leave_wait(wait.next) {
            self.fail_in_state(problem);
        }
    }

    fn leave_wait(&mut self, next: Next) -> Result<(), Problem> {
        let raw = std::mem::take(&mut self.branch.data);
        let context = self.context();
        let effective = self.effective_input(&raw, &context)?.into_owned();
        self.exit_with_input(effective, (Way::Onward, next))
    }

    fn wait_until(&mut self, wait: &Wait) -> Result<Timestamp, Problem> {
        let now = self.tick.now;
        let context = self.context();
        let effective = self.effective_input(&self.branch.data, &context)?;
        self.run.program.state(self.branch.state).flow.note_input(&effective, &mut self.steps);
        let scope = Scope::new(&effective, &context);
        match &wait.until {
            Until::Seconds(seconds) => Ok(now.plus_seconds(i64::from(*seconds))),
            Until::Timestamp(timestamp) => Ok(timestamp.whole_second()),
            Until::SecondsPath(path) => {
                let value = scope.read(path.path()).map_err(|_| missing("SecondsPath", path))?;
                Ok(now.plus_seconds(seconds(&value, path)?))
            }
            Until::TimestampPath(path) => {
                let value = scope.read(path.path()).map_err(|_| missing("TimestampPath", path))?;
                Ok(timestamp(&value, path)?)
            }
            Until::SecondsExpression(expression) => {
                let value = expression.evaluate(scope, &mut self.random)?;
                Ok(now.plus_seconds(computed_seconds(expression, &value)?))
            }
            Until::TimestampExpression(expression) => {
                let value = expression.evaluate(scope, &mut self.random)?;
                computed_timestamp(expression, &value)
            }
        }
    }
}

fn computed_seconds(expression: &Expression, value: &Value) -> Result<i64, Problem> {
    match value.as_i64() {
        Some(seconds) if seconds >= 0 => Ok(seconds),
        Some(_) => {
            let cause = format!("The Seconds field contains a negative value: {value}");
            Err(Problem::useless(cause, expression.field()))
        }
        None if value.is_number() => {
            let cause = format!("The Seconds field cannot be parsed as a long value: {value}");
            Err(Problem::useless(cause, expression.field()))
        }
        None => Err(expression.unexpected("number", value)),
    }
}

fn computed_timestamp(expression: &Expression, value: &Value) -> Result<Timestamp, Problem> {
    let Some(text) = value.as_str() else { return Err(expression.unexpected("string", value)) };
    Timestamp::parse(text).map(Timestamp::whole_second).ok_or_else(|| {
        let cause = format!(
            "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: {text}"
        );
        Problem::useless(cause, expression.field())
    })
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
