//! Executions and the states that they enter.

use super::{LATE_SECONDS, WORK_SECONDS};
use crate::metrics::metric::Counted::{ByEach, OncePerWork};
use crate::metrics::metric::Label::{Machine, State, Type};
use crate::metrics::metric::{Metric, Unit};

metrics! {
    STARTED = Metric::counter(
        "warren_executions_started_total",
        &[Machine, Type],
        "Executions that were started. What starts and does not end runs: see warren_open_executions.",
    )
    .counted(OncePerWork)
    .cloudwatch("ExecutionsStarted");

    SUCCEEDED = Metric::counter(
        "warren_executions_succeeded_total",
        &[Machine, Type],
        "Executions that succeeded.",
    )
    .counted(OncePerWork)
    .cloudwatch("ExecutionsSucceeded");

    FAILED = Metric::counter(
        "warren_executions_failed_total",
        &[Machine, Type],
        "Executions that failed, by a state or because they could not go on; their history tells why.",
    )
    .counted(OncePerWork)
    .cloudwatch("ExecutionsFailed");

    TIMED_OUT = Metric::counter(
        "warren_executions_timed_out_total",
        &[Machine, Type],
        "Executions that took longer than their TimeoutSeconds, or than the limit of their type.",
    )
    .counted(OncePerWork)
    .cloudwatch("ExecutionsTimedOut");

    ABORTED = Metric::counter(
        "warren_executions_aborted_total",
        &[Machine, Type],
        "Executions that were stopped from outside.",
    )
    .counted(OncePerWork)
    .cloudwatch("ExecutionsAborted");

    THROTTLED = Metric::counter(
        "warren_executions_throttled_total",
        &[Machine, Type],
        "Starts that were refused with ThrottlingException or ExecutionLimitExceeded: too much is open or waits, or the broker takes no \
         messages. Callers try again.",
    )
    .cloudwatch("ExecutionThrottled");

    REDRIVEN = Metric::counter(
        "warren_executions_redriven_total",
        &[Machine, Type],
        "Executions that had failed, were stopped or timed out and were set going again by RedriveExecution.",
    )
    .counted(OncePerWork)
    .cloudwatch("ExecutionsRedriven");

    DURATION = Metric::seconds(
        "warren_execution_duration_seconds",
        WORK_SECONDS,
        &[Machine, Type],
        "How long executions took from their start to their end, whatever that was.",
    )
    .counted(OncePerWork)
    .cloudwatch("ExecutionTime");

    START_DELAY = Metric::seconds(
        "warren_execution_start_delay_seconds",
        LATE_SECONDS,
        &[Type],
        "How long executions waited from StartExecution to their first transition: grows when engines do not keep up.",
    )
    .counted(OncePerWork);

    OPEN = Metric::gauge(
        "warren_open_executions",
        Unit::Count,
        &[],
        "Standard executions that run, of the whole deployment. At limits.open_executions_max starts are refused.",
    )
    .counted(ByEach);

    OLDEST_OPEN = Metric::gauge(
        "warren_oldest_open_execution_seconds",
        Unit::Seconds,
        &[],
        "Age of the oldest Standard execution that runs, 0 if none does. One that waits for a callback which never \
         comes shows here, and nowhere else.",
    )
    .counted(ByEach);

    TRANSITIONS = Metric::counter(
        "warren_transitions_total",
        &[Type],
        "Transitions of branches: the engine's work. Of Standard those that were committed, of Express those that \
         were made. Where states are fused, one transition enters several.",
    )
    .counted(OncePerWork);

    STATES_ENTERED = Metric::counter(
        "warren_states_entered_total",
        &[Type, State],
        "States that executions entered, by the state's type: about what AWS bills as state transitions.",
    )
    .counted(OncePerWork);
}
