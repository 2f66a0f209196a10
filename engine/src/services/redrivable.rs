//! Whether an execution may be redriven, and why not, in the words of AWS.

use asl::data::timestamp::Timestamp;
use asl::limits::HISTORY_EVENTS_MAX;

use crate::ports::catalog::Execution;
use crate::ports::store::ExecutionStatus;
use crate::services::executions::STANDARD_SECONDS_MAX;
use crate::services::{Core, Unavailable};

/// How long after its end an execution may be redriven (AWS, 14 days).
const PERIOD_SECONDS: i64 = 14 * 86_400;
/// Events that there must be room for behind that of the redrive: the end of what follows.
const LAST_EVENTS: u64 = 1;
/// Why an execution that has recorded too much may not be redriven.
pub const HISTORY_FULL: &str = "Execution history event limit exceeded";

/// The word of the API, given the reason why it may not.
pub fn word(reason: Option<&str>) -> &'static str {
    if reason.is_some() { "NOT_REDRIVABLE" } else { "REDRIVABLE" }
}

/// Why an execution in this status may not.
pub fn by_status(status: ExecutionStatus) -> Option<String> {
    match status {
        ExecutionStatus::Running | ExecutionStatus::Succeeded => {
            Some(format!("Execution is {} and cannot be redriven", status.as_str()))
        }
        ExecutionStatus::Failed | ExecutionStatus::TimedOut | ExecutionStatus::Aborted => None,
    }
}

/// Why it may not by status and by the time that has passed.
fn by_time(execution: &Execution, now: Timestamp) -> Option<String> {
    let since = |at: Timestamp| now.milliseconds().saturating_sub(at.milliseconds()) / 1_000;
    if let Some(reason) = by_status(execution.status) {
        return Some(reason);
    }
    if since(execution.started_at) >= i64::from(STANDARD_SECONDS_MAX) {
        return Some("Execution has exceeded the max execution time".to_owned());
    }
    let closed_long_ago = execution.stopped_at.is_none_or(|at| since(at) > PERIOD_SECONDS);
    closed_long_ago.then(|| "Execution redrivable period exceeded".to_owned())
}

impl Core {
    /// Why an execution may not be redriven; `None` if it may.
    pub async fn not_redrivable(&self, execution: &Execution) -> Result<Option<String>, Unavailable> {
        if let Some(reason) = by_time(execution, self.clock.now()) {
            return Ok(Some(reason));
        }
        // Here a machine that is deleted is gone at once.
        let machine = self.catalog.machine(&execution.machine_name).await?;
        if machine.is_none_or(|machine| machine.id != execution.machine) {
            return Ok(Some("State machine is in DELETING status".to_owned()));
        }
        let room = self.limits.history_events_max.min(HISTORY_EVENTS_MAX).saturating_sub(LAST_EVENTS);
        let recorded = self.catalog.history_events(execution.id).await?;
        Ok((recorded >= room).then(|| HISTORY_FULL.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ExecutionId, MachineId, RevisionId};

    const DAY: i64 = 86_400_000;

    fn check(status: ExecutionStatus, stopped_at: Option<i64>, now: i64, expected: Option<&str>) {
        let id = ExecutionId::new();
        let execution = Execution {
            id,
            place: id,
            machine: MachineId::new(),
            machine_name: "m".to_owned(),
            revision: RevisionId::new(),
            qualifier: None,
            name: "x".to_owned(),
            status,
            started_at: Timestamp::from_milliseconds(0),
            stopped_at: stopped_at.map(Timestamp::from_milliseconds),
            error: None,
            redrive: None,
        };
        assert_eq!(by_time(&execution, Timestamp::from_milliseconds(now)).as_deref(), expected);
    }

    #[test]
    fn status_and_age_decide() {
        use ExecutionStatus::{Aborted, Failed, Running, Succeeded, TimedOut};
        check(Running, None, DAY, Some("Execution is RUNNING and cannot be redriven"));
        check(Succeeded, Some(1), DAY, Some("Execution is SUCCEEDED and cannot be redriven"));
        for status in [Failed, TimedOut, Aborted] {
            check(status, Some(DAY), 15 * DAY, None);
            check(status, Some(DAY), 15 * DAY + 1_000, Some("Execution redrivable period exceeded"));
            let too_old = Some("Execution has exceeded the max execution time");
            check(status, Some(364 * DAY), 365 * DAY, too_old);
        }
    }
}
