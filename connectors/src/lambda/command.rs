//! A function that is a command: JSON on standard input, JSON on standard output.
//!
//! | the process | the function |
//! | --- | --- |
//! | ends with 0 | answers its standard output; none is `null` |
//! | ends otherwise, its output or the last line of it an object with `errorType` or `errorMessage` | fails with that error |
//! | ends in any other way | fails with `Lambda.Unknown`: exit status and the end of standard error |
//! | takes longer than `timeout_seconds` | is killed and fails with `Sandbox.Timedout` |
//! | writes more than `output_bytes_max` | is killed and fails with `Function.ResponseSizeTooLarge` |

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use asl::data::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::answer::{Answer, too_large_payload, unknown};
use super::config::{Command, FunctionsConfig};
use super::process::{End, Run};
use super::{Call, Invocation, service_error, timed_out};

/// How much of the log Lambda shows in `LogResult`, in bytes.
const LOG_BYTES_MAX: usize = 4096;
/// How much of standard error a cause shows, in bytes.
const CAUSE_BYTES_MAX: usize = 2048;

/// Calls a function. Dropping the future kills its processes; those of an event go on, as nobody waits
/// for them, and end with the engine.
pub(super) async fn invoke(
    permits: &Arc<Semaphore>,
    command: Command,
    timeout: Duration,
    call: &Call<'_>,
    config: &FunctionsConfig,
) -> Result<Answer, Failure> {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(&call.payload) {
        let message = format!("Could not parse request body into json: {error}");
        let request_id = call.request_id.to_string();
        return Err(service_error(400, "InvalidRequestContentException", &message, &request_id));
    }
    if call.invocation == Invocation::DryRun {
        return Ok(call.local_answer(204, String::new(), None));
    }
    let run = Run {
        command,
        environment: environment(call),
        input: call.payload.clone(),
        timeout,
        output_bytes_max: config.output_bytes_max.get(),
    };
    // An event takes its place before it is accepted, so that no heap of accepted events can grow.
    let permit = Arc::clone(permits).acquire_owned().await.map_err(|error| unknown(error.to_string()))?;
    if call.invocation == Invocation::Event {
        let function = call.function.name.clone();
        tokio::spawn(async move {
            let ended = run.run().await;
            drop(permit);
            if !matches!(&ended, Ok(End::Exited { status, .. }) if status.success()) {
                tracing::warn!("the function {function}, called as an event, failed: {ended:?}");
            }
        });
        return Ok(call.local_answer(202, String::new(), None));
    }
    match run.run().await {
        Ok(End::Exited { status, stdout, stderr }) => exited(call, status, &stdout, &stderr),
        Ok(End::TimedOut) => Ok(call.error(timed_out(call, timeout))),
        Ok(End::TooLarge) => Ok(call.error(too_large_payload(run.output_bytes_max))),
        Err(error) => {
            let name = &call.function.name;
            Err(unknown(format!("The command of the function {name} could not be run: {error}")))
        }
    }
}

/// What a command can learn beside its input.
fn environment(call: &Call<'_>) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_LAMBDA_FUNCTION_NAME", call.function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", call.qualifier().unwrap_or("$LATEST").to_owned()),
        ("WARREN_REQUEST_ID", call.request_id.to_string()),
        ("WARREN_EXECUTION_ARN", call.execution_arn.to_owned()),
    ]
}

fn exited(call: &Call<'_>, status: ExitStatus, stdout: &[u8], stderr: &[u8]) -> Result<Answer, Failure> {
    let text = String::from_utf8_lossy(stdout);
    if !stderr.is_empty() {
        let said = String::from_utf8_lossy(tail(stderr, LOG_BYTES_MAX));
        tracing::debug!("the function {} wrote to standard error: {said}", call.function.name);
    }
    let log = call.log.then(|| STANDARD.encode(tail(stderr, LOG_BYTES_MAX)));
    if status.success() {
        return Ok(call.local_answer(200, text.trim().to_owned(), log));
    }
    if let Some(error) = error_json(&text) {
        return Ok(call.error(error.to_owned()));
    }
    let name = &call.function.name;
    let said = String::from_utf8_lossy(tail(stderr, CAUSE_BYTES_MAX));
    let said = match said.trim() {
        "" => "It wrote nothing to standard error.".to_owned(),
        said => format!("Its standard error ends: {said}"),
    };
    Err(unknown(format!("The command of the function {name} ended with {status}. {said}")))
}

/// The error that a failed command described, as it wrote it.
fn error_json(stdout: &str) -> Option<&str> {
    let all = stdout.trim();
    let last = all.lines().next_back()?;
    [all, last].into_iter().find(|text| {
        let parsed: Value = serde_json::from_str(text).unwrap_or_default();
        parsed["errorType"].is_string() || parsed["errorMessage"].is_string()
    })
}

fn tail(bytes: &[u8], max: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(max)..]
}
