//! Executions: starting, stopping, describing, listing.

use asl::data::json;
use asl::data::timestamp::Timestamp;
use asl::definition::WorkflowType;
use asl::history::EventKind;
use serde_json::{Map, Value, json};

use super::errors::ApiError;
use super::lookup::{self, MachineArn};
use super::pages::PageRequest;
use super::parameters::Parameters;
use super::tasks::failure;
use crate::messages::{self, Body};
use crate::names;
use crate::ports::catalog::{Ends, Execution, ExecutionFilter, StartedBy};
use crate::ports::store::ExecutionStatus;
use crate::services::Core;
use crate::services::door::Startable;
use crate::services::executions::{StartError, StartRequest, SyncEnd, SyncOutcome};
use crate::services::redrivable;
use crate::services::redrive::RedriveError;

/// Express executions are billed by so many milliseconds, and at least once.
const BILLED_MILLISECONDS: i64 = 100;
/// The least memory that AWS bills, in MB; Warren bills no more.
const BILLED_MEGABYTES: u32 = 64;

/// StartExecution.
pub async fn start(core: &Core, parameters: Parameters) -> Result<Value, ApiError> {
    let arn = parameters.required("stateMachineArn").to_owned();
    let request = read_start(core, parameters, &arn).await?;
    let started = core.start_execution(request).await.map_err(|error| not_started(error, &arn))?;
    Ok(json!({"executionArn": started.arn, "startDate": started.started_at.seconds()}))
}

/// StartSyncExecution: Express only, and answered when it is over, however it ended.
pub async fn start_sync(core: &Core, parameters: Parameters) -> Result<Value, ApiError> {
    let arn = parameters.required("stateMachineArn").to_owned();
    let trace = parameters.text("traceHeader").map(str::to_owned);
    let data = includes_data(&parameters);
    let request = read_start(core, parameters, &arn).await?;
    if request.machine.workflow_type != WorkflowType::Express {
        return Err(ApiError::wrong_machine_type());
    }
    let (machine_name, input) = (request.machine.name.clone(), request.input_text.clone());
    let outcome = core.start_sync_execution(request).await.map_err(|error| not_started(error, &arn))?;
    let mut answer = Shown { answer: Map::new(), data };
    answer.put("stateMachineArn", core.home.state_machine(&machine_name));
    answer.payload("input", &input);
    if let Some(trace) = trace {
        answer.put("traceHeader", trace);
    }
    answer.outcome(outcome);
    Ok(Value::Object(answer.answer))
}

async fn read_start(core: &Core, mut parameters: Parameters, arn: &str) -> Result<StartRequest, ApiError> {
    let name = parameters.text("name").map(str::to_owned);
    if let Some(name) = &name {
        names::check(name)?;
    }
    let input_text = parameters.take_text("input").unwrap_or_else(|| "{}".to_owned());
    let input = read_input(&input_text, core.limits.payload_bytes_max)?;
    let Startable { machine, qualifier } = lookup::machine_to_start(core, arn).await?;
    Ok(StartRequest { machine, qualifier, name, input, input_text })
}

pub(super) fn read_input(text: &str, bytes_max: usize) -> Result<Value, ApiError> {
    let invalid = |why: &str| {
        let message = format!("Invalid State Machine Execution Input: '{why}'");
        ApiError::new("InvalidExecutionInput", message)
    };
    if text.trim().is_empty() {
        return Err(invalid("Invalid execution input."));
    }
    if text.len() > bytes_max {
        return Err(invalid(&format!("It has {} bytes; at most {bytes_max} are taken", text.len())));
    }
    json::parse(text).map_err(|error| invalid(error.message()))
}

fn not_started(error: StartError, machine_arn: &str) -> ApiError {
    match error {
        StartError::Name(error) => error.into(),
        StartError::AlreadyExists { arn } => {
            ApiError::new("ExecutionAlreadyExists", format!("Execution Already Exists: '{arn}'"))
        }
        StartError::NoMachine => ApiError::no_machine(machine_arn),
        StartError::Full(why) => ApiError::new("ExecutionLimitExceeded", why),
        StartError::Throttled(why) => ApiError::throttled(why),
        StartError::Unavailable(error) => error.into(),
        StartError::Definition(why) => ApiError::validation(format!(
            "The definition of this state machine cannot run here ({why}); change it with UpdateStateMachine"
        )),
    }
}

/// StopExecution.
pub async fn stop(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let arn = parameters.required("executionArn");
    let execution = lookup::execution(core, arn).await?;
    let stopped = core.stop_execution(execution.id, failure(parameters)).await?;
    let stopped_at = stopped.ok_or_else(|| ApiError::no_execution(arn))?;
    Ok(json!({"stopDate": stopped_at.seconds()}))
}

/// RedriveExecution.
pub async fn redrive(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let arn = parameters.required("executionArn");
    let execution = lookup::execution(core, arn).await?;
    let redriven = core.redrive_execution(execution.id, parameters.text("clientToken")).await;
    let redriven_at = redriven.map_err(|error| match error {
        RedriveError::NotRedrivable(why) => ApiError::new("ExecutionNotRedrivable", why),
        RedriveError::Gone => ApiError::no_execution(arn),
        RedriveError::NotAdmitted(StartError::Definition(why)) => ApiError::validation(format!(
            "The definition of this execution cannot run here ({why}), and a redrive keeps it: start a new execution"
        )),
        RedriveError::NotAdmitted(error) => not_started(error, arn),
    })?;
    Ok(json!({"redriveDate": redriven_at.seconds()}))
}

/// DescribeExecution.
pub async fn describe(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let arn = parameters.required("executionArn");
    let execution = lookup::execution(core, arn).await?;
    let ends = core.catalog.ends(execution.id).await?.ok_or_else(|| ApiError::no_execution(arn))?;
    let mut answer = Shown { answer: item(core, &execution), data: includes_data(parameters) };
    answer.ends(execution.status, &ends)?;
    answer.redrive(core.not_redrivable(&execution).await?);
    Ok(Value::Object(answer.answer))
}

/// ListExecutions.
pub async fn list(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let arn = match (parameters.text("stateMachineArn"), parameters.text("mapRunArn")) {
        (Some(arn), None) => arn,
        (None, Some(map_run)) => return Err(ApiError::not_found(map_run)),
        (None, None) => return Err(ApiError::missing("Give either 'stateMachineArn' or 'mapRunArn'")),
        (Some(_), Some(_)) => {
            return Err(ApiError::validation("Give either 'stateMachineArn' or 'mapRunArn', not both"));
        }
    };
    let status_word = parameters.text("statusFilter");
    if status_word == Some("PENDING_REDRIVE") || parameters.has("redriveFilter") {
        return Err(ApiError::validation(
            "The status PENDING_REDRIVE and 'redriveFilter' select children of a map run: give 'mapRunArn'",
        ));
    }
    let (name, started_by) = match lookup::machine_arn(core, arn)? {
        MachineArn::Version { name, number } => (Some(name), StartedBy::Version(number)),
        MachineArn::Alias { name, alias } => (Some(name), StartedBy::Alias(alias.to_owned())),
        MachineArn::Machine(name) => (Some(name), StartedBy::Any),
        MachineArn::Labelled => return Err(ApiError::labelled(arn)),
        MachineArn::Elsewhere => (None, StartedBy::Any),
    };
    let machine = match name {
        Some(name) => core.catalog.machine(name).await?,
        None => None,
    };
    let machine = machine.ok_or_else(|| ApiError::no_machine(arn))?;
    if machine.workflow_type == WorkflowType::Express {
        return Err(ApiError::wrong_machine_type());
    }
    let list = format!("executions of {} {started_by:?} {}", machine.id, status_word.unwrap_or_default());
    let request = PageRequest::read(&core.tokens, list, parameters)?;
    let filter = ExecutionFilter { machine: machine.id, started_by, status: status_word.and_then(status) };
    let page = core.catalog.executions(&filter, request.limit, request.from.as_deref()).await?;
    let items = page.items.iter().map(|execution| Value::Object(item(core, execution)));
    Ok(request.answer("executions", items.collect(), page.next.as_deref()))
}

fn status(word: &str) -> Option<ExecutionStatus> {
    ExecutionStatus::ALL.into_iter().find(|status| status.as_str() == word)
}

/// What a list shows of an execution, and a description too.
fn item(core: &Core, execution: &Execution) -> Map<String, Value> {
    let mut item = Map::new();
    let arn = core.home.execution(&execution.machine_name, &execution.name);
    item.insert("executionArn".into(), arn.into());
    item.insert("stateMachineArn".into(), core.home.state_machine(&execution.machine_name).into());
    show_qualifier(core, execution, &mut item);
    item.insert("name".into(), execution.name.clone().into());
    item.insert("status".into(), execution.status.as_str().into());
    item.insert("startDate".into(), execution.started_at.seconds().into());
    if let Some(stopped_at) = execution.stopped_at {
        item.insert("stopDate".into(), stopped_at.seconds().into());
    }
    item.insert("redriveCount".into(), execution.redrive.map_or(0, |redrive| redrive.count).into());
    if let Some(redrive) = execution.redrive {
        item.insert("redriveDate".into(), redrive.at.seconds().into());
    }
    item
}

/// Adds the ARNs of the version and the alias that an execution was started by.
pub fn show_qualifier(core: &Core, execution: &Execution, shown: &mut Map<String, Value>) {
    let Some(by) = &execution.qualifier else { return };
    let arn = |qualifier: &str| core.home.qualified(&execution.machine_name, qualifier);
    shown.insert("stateMachineVersionArn".into(), arn(&by.version.to_string()).into());
    if let Some(alias) = &by.alias {
        shown.insert("stateMachineAliasArn".into(), arn(alias).into());
    }
}

/// Whether inputs and outputs are asked for.
fn includes_data(parameters: &Parameters) -> bool {
    parameters.text("includedData") != Some("METADATA_ONLY")
}

/// A description in the making.
struct Shown {
    answer: Map<String, Value>,
    /// Whether it shows inputs and outputs.
    data: bool,
}

impl Shown {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.answer.insert(name.to_owned(), value.into());
    }

    /// An input or an output, with its details.
    fn payload(&mut self, name: &str, text: &str) {
        if self.data {
            self.put(name, text);
        }
        self.put(&format!("{name}Details"), json!({"included": self.data}));
    }

    fn failure(&mut self, failure: asl::data::Failure) {
        if let Some(error) = failure.error {
            self.put("error", error);
        }
        if let Some(cause) = failure.cause {
            self.put("cause", cause);
        }
    }

    /// Input, and output or failure, of a Standard execution. A time-out shows no error, as on AWS.
    ///
    /// `status` is the row's and decides: the execution may close between its two readings.
    fn ends(&mut self, status: ExecutionStatus, ends: &Ends) -> Result<(), ApiError> {
        let first: Body = messages::decode(&ends.first)?;
        for event in first.events {
            if let EventKind::ExecutionStarted { input, .. } = event.kind {
                self.payload("input", &input);
            }
        }
        let Some(last) = ends.last.as_ref().filter(|_| status != ExecutionStatus::Running) else {
            return Ok(());
        };
        let last: Body = messages::decode(last)?;
        for event in last.events {
            match event.kind {
                EventKind::ExecutionSucceeded { output } => self.payload("output", &output),
                EventKind::ExecutionFailed(failure) | EventKind::ExecutionAborted(failure) => {
                    self.failure(failure)
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether it may be redriven, or why not.
    fn redrive(&mut self, reason: Option<String>) {
        self.put("redriveStatus", redrivable::word(reason.as_deref()));
        if let Some(reason) = reason {
            self.put("redriveStatusReason", reason);
        }
    }

    /// A synchronous execution that is over.
    fn outcome(&mut self, outcome: SyncOutcome) {
        let SyncOutcome { arn, name, started_at, stopped_at, end } = outcome;
        self.put("executionArn", arn);
        self.put("name", name);
        self.put("startDate", started_at.seconds());
        self.put("stopDate", stopped_at.seconds());
        let status = match end {
            SyncEnd::Succeeded(output) => {
                self.payload("output", &output);
                ExecutionStatus::Succeeded
            }
            SyncEnd::Failed(failure) => {
                self.failure(failure);
                ExecutionStatus::Failed
            }
            SyncEnd::TimedOut => ExecutionStatus::TimedOut,
        };
        self.put("status", status.as_str());
        let billed = json!({
            "billedDurationInMilliseconds": billed_milliseconds(started_at, stopped_at),
            "billedMemoryUsedInMB": BILLED_MEGABYTES,
        });
        self.put("billingDetails", billed);
    }
}

fn billed_milliseconds(from: Timestamp, to: Timestamp) -> i64 {
    let milliseconds = to.milliseconds().saturating_sub(from.milliseconds()).max(1);
    milliseconds.saturating_add(BILLED_MILLISECONDS - 1) / BILLED_MILLISECONDS * BILLED_MILLISECONDS
}

#[cfg(test)]
mod tests {
    use asl::data::Failure;
    use asl::history::HistoryEvent;

    use super::*;

    fn body(kind: EventKind) -> axum::body::Bytes {
        let at = Timestamp::from_milliseconds(0);
        let event = HistoryEvent { at, previous: None, kind };
        messages::encode(&Body { events: vec![event], value: None, request: None, end: None })
    }

    fn check(status: ExecutionStatus, last: Option<EventKind>, data: bool, expected: Value) {
        let started = EventKind::ExecutionStarted { input: "[1]".to_owned(), role_arn: "r".to_owned() };
        let ends = Ends { first: body(started), last: last.map(body) };
        let mut shown = Shown { answer: Map::new(), data };
        shown.ends(status, &ends).unwrap();
        shown.redrive(redrivable::by_status(status));
        assert_eq!(Value::Object(shown.answer), expected);
    }

    #[test]
    fn a_description_shows_how_it_began_and_ended() {
        use ExecutionStatus::{Failed, Running, Succeeded, TimedOut};
        let succeeded = EventKind::ExecutionSucceeded { output: "2".to_owned() };
        let included = json!({"included": true});
        check(
            Succeeded,
            Some(succeeded.clone()),
            true,
            json!({
                "input": "[1]", "inputDetails": included, "output": "2", "outputDetails": included,
                "redriveStatus": "NOT_REDRIVABLE",
                "redriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
            }),
        );
        check(
            Running,
            Some(succeeded.clone()),
            true,
            json!({
                "input": "[1]", "inputDetails": included,
                "redriveStatus": "NOT_REDRIVABLE",
                "redriveStatusReason": "Execution is RUNNING and cannot be redriven",
            }),
        );
        let closed = |more: Value| {
            let mut shown = json!({"input": "[1]", "inputDetails": included, "redriveStatus": "REDRIVABLE"});
            shown.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            shown
        };
        let failed = EventKind::ExecutionFailed(Failure::new("E", "c"));
        check(Failed, Some(failed), true, closed(json!({"error": "E", "cause": "c"})));
        let aborted = EventKind::ExecutionAborted(Failure { error: None, cause: None });
        check(ExecutionStatus::Aborted, Some(aborted), true, closed(json!({})));
        let timed_out = EventKind::ExecutionTimedOut(Failure::timeout());
        check(TimedOut, Some(timed_out), true, closed(json!({})));
    }

    #[test]
    fn metadata_alone_has_neither_input_nor_output() {
        let succeeded = EventKind::ExecutionSucceeded { output: "2".to_owned() };
        let left_out = json!({"included": false});
        check(
            ExecutionStatus::Succeeded,
            Some(succeeded),
            false,
            json!({
                "inputDetails": left_out, "outputDetails": left_out,
                "redriveStatus": "NOT_REDRIVABLE",
                "redriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
            }),
        );
    }

    #[test]
    fn an_input_is_json_within_the_limit() {
        let refused = |text: &str, bytes_max| {
            let error = read_input(text, bytes_max).unwrap_err();
            assert_eq!(error.code(), "InvalidExecutionInput");
            error.to_json()["message"].as_str().unwrap().to_owned()
        };
        for (text, value) in [("2", json!(2)), ("\"some text\"", json!("some text")), ("null", Value::Null)] {
            assert_eq!(read_input(text, 100), Ok(value));
        }
        let empty = "Invalid State Machine Execution Input: 'Invalid execution input.'";
        assert_eq!(refused("", 100), empty);
        assert_eq!(
            refused("not some json", 100),
            "Invalid State Machine Execution Input: 'Unrecognized token 'not': was expecting (JSON String, \
             Number, Array, Object or token 'null', 'true' or 'false')'"
        );
        assert_eq!(
            refused("[1]", 2),
            "Invalid State Machine Execution Input: 'It has 3 bytes; at most 2 are taken'"
        );
    }

    #[test]
    fn a_duration_is_billed_by_hundred_milliseconds() {
        for (milliseconds, billed) in
            [(0, 100), (1, 100), (100, 100), (101, 200), (-5, 100), (59_999, 60_000)]
        {
            let (from, to) =
                (Timestamp::from_milliseconds(1_000), Timestamp::from_milliseconds(1_000 + milliseconds));
            assert_eq!(billed_milliseconds(from, to), billed, "{milliseconds}");
        }
    }
}
