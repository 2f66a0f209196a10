//! Calls out of Task states.

use super::WORK_SECONDS;
use crate::metrics::metric::Counted::OncePerWork;
use crate::metrics::metric::Label::{Kind, Resource};
use crate::metrics::metric::Metric;

metrics! {
    SCHEDULED = Metric::counter(
        "warren_tasks_scheduled_total",
        &[Kind, Resource],
        "Task attempts that were sent out; each try of a Retry is one.",
    )
    .counted(OncePerWork)
    .cloudwatch("ActivitiesScheduled, LambdaFunctionsScheduled, ServiceIntegrationsScheduled");

    STARTED = Metric::counter(
        "warren_tasks_started_total",
        &[Kind, Resource],
        "Task attempts that began: an activity when a worker took it, anything else when it was sent.",
    )
    .counted(OncePerWork)
    .cloudwatch("ActivitiesStarted, LambdaFunctionsStarted, ServiceIntegrationsStarted");

    SUCCEEDED = Metric::counter(
        "warren_tasks_succeeded_total",
        &[Kind, Resource],
        "Task attempts that ended well.",
    )
    .counted(OncePerWork)
    .cloudwatch("ActivitiesSucceeded, LambdaFunctionsSucceeded, ServiceIntegrationsSucceeded");

    FAILED = Metric::counter(
        "warren_tasks_failed_total",
        &[Kind, Resource],
        "Task attempts that ended with an error. Retry or Catch may have dealt with it.",
    )
    .counted(OncePerWork)
    .cloudwatch("ActivitiesFailed, LambdaFunctionsFailed, ServiceIntegrationsFailed");

    TIMED_OUT = Metric::counter(
        "warren_tasks_timed_out_total",
        &[Kind, Resource],
        "Task attempts that took longer than their TimeoutSeconds: nobody answers, or too late.",
    )
    .counted(OncePerWork)
    .cloudwatch("ActivitiesTimedOut, LambdaFunctionsTimedOut, ServiceIntegrationsTimedOut");

    HEARTBEAT_TIMED_OUT = Metric::counter(
        "warren_tasks_heartbeat_timed_out_total",
        &[Kind, Resource],
        "Task attempts without a sign of life for their HeartbeatSeconds: the worker is gone.",
    )
    .counted(OncePerWork)
    .cloudwatch("ActivitiesHeartbeatTimedOut");

    SCHEDULE = Metric::seconds(
        "warren_task_schedule_seconds",
        WORK_SECONDS,
        &[Kind, Resource],
        "How long attempts waited for somebody to take them: an activity for a worker, a call for a connector. Grows \
         when there are too few. What AMQP workers take from their queue they do not tell: there it is part of \
         warren_task_run_seconds.",
    )
    .counted(OncePerWork)
    .cloudwatch("ActivityScheduleTime, LambdaFunctionScheduleTime, ServiceIntegrationScheduleTime");

    RUN = Metric::seconds(
        "warren_task_run_seconds",
        WORK_SECONDS,
        &[Kind, Resource],
        "How long attempts took from their start to their end, whatever that was.",
    )
    .counted(OncePerWork)
    .cloudwatch("ActivityRunTime, LambdaFunctionRunTime, ServiceIntegrationRunTime");

    DURATION = Metric::seconds(
        "warren_task_duration_seconds",
        WORK_SECONDS,
        &[Kind, Resource],
        "How long attempts took from when they were scheduled to their end, whatever that was.",
    )
    .counted(OncePerWork)
    .cloudwatch("ActivityTime, LambdaFunctionTime, ServiceIntegrationTime");
}
