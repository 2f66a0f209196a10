//! Requests to the API.

use super::ANSWER_SECONDS;
use crate::metrics::metric::Label::{Action, Code};
use crate::metrics::metric::{Metric, Unit};

metrics! {
    REQUESTS = Metric::counter(
        "warren_api_requests_total",
        &[Action, Code],
        "Requests by action and by how they were answered: `OK`, AWS's error code, or `ClientGone` for a caller that \
         did not wait.",
    );

    DURATION = Metric::seconds(
        "warren_api_request_seconds",
        ANSWER_SECONDS,
        &[Action],
        "How long requests took. GetActivityTask waits for a task, and StartSyncExecution for the execution.",
    );

    IN_FLIGHT = Metric::gauge(
        "warren_api_requests_in_flight",
        Unit::Count,
        &[],
        "Requests that are being answered; long polls of activity workers are among them.",
    );
}
