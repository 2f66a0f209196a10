//! Status events: each change of the status of a Standard execution, announced to all who listen, in the shape
//! that EventBridge gives it.
//!
//! ```text
//!   start ────────▶ RUNNING, confirmed ─▶ first transition           a root that has moved was announced
//!   commit ───────▶ end, with what else follows ─▶ acknowledge       the delivery comes back until it is
//!   close, token ─▶ marked in the store ─▶ end ─▶ mark taken away    the scheduler finds marks that stay
//!   redrive ──────▶ marked in the store ─▶ RUNNING ─▶ mark taken away                  as well
//! ```
//!
//! So each change is announced at least once, whoever dies on the way; a second announcement has the same ids as
//! the first. Two changes of one execution may overtake each other between two publishers: their numbers tell.

use std::sync::Arc;

use asl::branch::{Branch, Waiting};
use asl::data::Failure;
use asl::data::context::Redrive;
use asl::data::timestamp::Timestamp;
use asl::history::{EventKind, HistoryEvent};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::arn::Home;
use crate::ids::ExecutionId;
use crate::messages::{Header, Standing, decode};
use crate::ports::broker::{Address, Exchange, Health, Publication};
use crate::ports::catalog::versions::Qualifier;
use crate::ports::catalog::{Execution, WithEnds};
use crate::ports::store::changes::{Announced, change_number};
use crate::ports::store::{BranchKey, Closing, ExecutionStatus, Phase, StoredBranch};
use crate::services::{Core, Unavailable, redrivable};

/// Input and output that one event holds together, in bytes as they are escaped (AWS quota, 248 KiB).
const PAYLOAD_BYTES_MAX: usize = 253_952;
/// Executions that are read at a time; each may have half a mebibyte of payload.
const AT_ONCE: usize = 50;
const CLAIM_MAX: u32 = AT_ONCE as u32;
/// Another scheduler leaves claimed ends alone for so long.
const CLAIM_MILLISECONDS: i64 = 30_000;

/// An end that stands.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Of the execution.
    pub header: Arc<Header>,
    /// Its last redrive.
    pub redrive: Option<Redrive>,
    /// How it closed.
    pub closing: Closing,
    /// Its last history event.
    pub last: EventKind,
}

/// The change of an execution's status.
#[derive(Debug)]
struct Change<'a> {
    id: ExecutionId,
    machine_name: &'a str,
    name: &'a str,
    qualifier: Option<&'a Qualifier>,
    started_at: Timestamp,
    stopped_at: Option<Timestamp>,
    redrive: Option<Redrive>,
    status: ExecutionStatus,
    input: &'a str,
    output: Option<&'a str>,
    failure: Option<&'a Failure>,
}

/// What is announced of executions that are over.
#[derive(Default)]
struct Announcements {
    /// Of those whose begin may not have been.
    begins: Vec<Publication>,
    ends: Vec<Publication>,
    /// What is announced with these.
    changes: Vec<Announced>,
}

/// Of a body, what is recorded: its value is not read.
#[derive(Deserialize)]
struct Recorded {
    #[serde(rename = "e", default)]
    events: Vec<HistoryEvent>,
}

impl Recorded {
    fn read(body: &Bytes) -> Vec<HistoryEvent> {
        decode::<Recorded>(body).map(|recorded| recorded.events).unwrap_or_default()
    }
}

/// What the first body of an execution says that it was started with; `None` if that cannot be read.
fn input_of(first: &Bytes) -> Option<String> {
    Recorded::read(first).into_iter().find_map(|event| match event.kind {
        EventKind::ExecutionStarted { input, .. } => Some(input),
        _ => None,
    })
}

impl<'a> Change<'a> {
    fn begun(header: &'a Header, input: &'a str) -> Self {
        Change {
            id: header.id,
            machine_name: &header.machine_name,
            qualifier: header.qualifier.as_ref(),
            name: &header.name,
            started_at: header.started_at,
            stopped_at: None,
            redrive: None,
            status: ExecutionStatus::Running,
            input,
            output: None,
            failure: None,
        }
    }

    fn ended(ended: &'a Ended, input: &'a str) -> Self {
        let Ended { header, redrive, closing, last } = ended;
        let change = Change { redrive: *redrive, ..Change::begun(header, input) };
        Change { stopped_at: Some(closing.at), status: closing.status, ..change }.with_end(last)
    }

    /// As it stands, without its output or failure.
    fn of(execution: &'a Execution, input: &'a str) -> Self {
        Change {
            id: execution.id,
            machine_name: &execution.machine_name,
            qualifier: execution.qualifier.as_ref(),
            name: &execution.name,
            started_at: execution.started_at,
            stopped_at: execution.stopped_at,
            redrive: execution.redrive,
            status: execution.status,
            input,
            output: None,
            failure: None,
        }
    }

    /// A time-out shows no error, as in DescribeExecution.
    fn with_end(self, last: &'a EventKind) -> Self {
        match last {
            EventKind::ExecutionSucceeded { output } => Change { output: Some(output), ..self },
            EventKind::ExecutionFailed(failure) | EventKind::ExecutionAborted(failure) => {
                Change { failure: Some(failure), ..self }
            }
            _ => self,
        }
    }

    /// The change before it.
    fn begin(&self) -> Self {
        let status = ExecutionStatus::Running;
        Change { status, stopped_at: None, output: None, failure: None, ..*self }
    }

    fn alias(&self) -> Option<&'a str> {
        self.qualifier.and_then(|by| by.alias.as_deref())
    }

    fn number(&self) -> u32 {
        change_number(self.redrive.map_or(0, |redrive| redrive.count), self.status)
    }

    fn publication(&self, home: &Home) -> Publication {
        let key = format!("{}.{}", home.state_machine(self.machine_name), self.status.as_str());
        let id = format!("{}/{}", self.id, self.number());
        let body = Bytes::from(self.body(home, &id).to_string());
        Publication::new(Address::Exchange(Exchange::events(), key), id, body)
    }

    fn body(&self, home: &Home, id: &str) -> Value {
        let arn = home.execution(self.machine_name, self.name);
        let begun_at = self.redrive.map_or(self.started_at, |redrive| redrive.at);
        let at = self.stopped_at.unwrap_or(begun_at);
        json!({
            "version": "0",
            "id": uuid_of(id),
            "detail-type": "Step Functions Execution Status Change",
            "source": "aws.states",
            "account": home.account,
            "time": at.whole_second().to_string(),
            "region": home.region,
            "resources": [arn],
            "detail": self.detail(home, &arn),
        })
    }

    fn detail(&self, home: &Home, arn: &str) -> Value {
        let output_bytes = self.output.map_or(0, escaped_bytes);
        let has_output = output_bytes <= PAYLOAD_BYTES_MAX;
        let has_input =
            escaped_bytes(self.input) + if has_output { output_bytes } else { 0 } <= PAYLOAD_BYTES_MAX;
        let reason = redrivable::by_status(self.status);
        json!({
            "executionArn": arn,
            "stateMachineArn": home.state_machine(self.machine_name),
            "stateMachineVersionArn": self.qualifier.map(|by| home.qualified(self.machine_name, by.version)),
            "stateMachineAliasArn": self.alias().map(|alias| home.qualified(self.machine_name, alias)),
            "name": self.name,
            "status": self.status.as_str(),
            "startDate": self.started_at.milliseconds(),
            "stopDate": self.stopped_at.map(Timestamp::milliseconds),
            "redriveCount": self.redrive.map_or(0, |redrive| redrive.count),
            "redriveDate": self.redrive.map(|redrive| redrive.at.milliseconds()),
            "redriveStatus": redrivable::word(reason.as_deref()),
            "redriveStatusReason": reason,
            "input": has_input.then_some(self.input),
            "inputDetails": { "included": has_input },
            "output": self.output.filter(|_| has_output),
            "outputDetails": self.output.map(|_| json!({ "included": has_output })),
            "error": self.failure.and_then(|failure| failure.error.as_deref()),
            "cause": self.failure.and_then(|failure| failure.cause.as_deref()),
        })
    }
}

fn announced(execution: ExecutionId, redrive: Option<Redrive>, status: ExecutionStatus) -> Announced {
    Announced { execution, number: change_number(redrive.map_or(0, |redrive| redrive.count), status) }
}

impl Ended {
    /// Its announcement.
    pub(super) fn announced(&self) -> Announced {
        announced(self.header.id, self.redrive, self.closing.status)
    }
}

/// The same for the same text: an event that is announced again is the same event.
fn uuid_of(text: &str) -> Uuid {
    let digest = Sha256::digest(text);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// What a text takes within a JSON text.
fn escaped_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

impl Core {
    /// Announces an execution that begins. Returns when the broker has it: only then may it move.
    pub async fn announce_begin(&self, header: &Header, input: &str) -> Result<(), Unavailable> {
        if !self.announces.status_changes {
            return Ok(());
        }
        self.publish(vec![Change::begun(header, input).publication(&self.home)]).await
    }

    /// The same for those of these rows that are roots and have not moved: whoever started them may not have
    /// come to it. To be called before what moves them leaves.
    pub async fn announce_begun(&self, rows: &[StoredBranch]) -> Result<(), Unavailable> {
        let has_not_moved = |row: &&StoredBranch| {
            row.key.branch.is_root() && row.fence.seq == 0 && row.state.phase == Phase::Runnable
        };
        if !self.announces.status_changes {
            return Ok(());
        }
        let begun: Vec<ExecutionId> =
            rows.iter().filter(has_not_moved).map(|row| row.key.execution).collect();
        for begun in begun.chunks(AT_ONCE) {
            let found = self.catalog.executions_with_ends(begun).await?;
            let begin = |WithEnds { execution, ends, .. }: WithEnds| {
                let input = input_of(&ends.first)?;
                Some(Change::of(&execution, &input).begin().publication(&self.home))
            };
            self.publish(found.into_iter().flatten().filter_map(begin).collect()).await?;
        }
        Ok(())
    }

    /// The announcements of ends, with one question to the store for all of them.
    pub(super) async fn end_events(&self, ended: &[Ended]) -> Result<Vec<Publication>, Unavailable> {
        if ended.is_empty() || !self.announces.status_changes {
            return Ok(Vec::new());
        }
        let ids: Vec<ExecutionId> = ended.iter().map(|ended| ended.header.id).collect();
        let bodies = self.store.first_bodies(&ids).await?;
        let event = |(ended, first): (&Ended, Option<Bytes>)| {
            let Some(input) = first.as_ref().and_then(input_of) else {
                tracing::error!(execution = %ended.header.id, "an input cannot be read; the end is not announced");
                return Vec::new();
            };
            let end = Change::ended(ended, &input);
            // One mark tells of a redrive and of the end after it: whoever takes it away answers for both.
            let begin = (ended.closing.unannounced && ended.redrive.is_some()).then(|| end.begin());
            begin.iter().chain([&end]).map(|change| change.publication(&self.home)).collect()
        };
        Ok(ended.iter().zip(bodies).flat_map(event).collect())
    }

    /// After a redelivered message whose commit, under this `seq`, is not the last of its branch: if it ended the
    /// execution, then the announcement may have been lost. If the branch was taken away, there is nothing to
    /// announce.
    pub(super) async fn announce_if_ended_by(
        &self,
        key: &BranchKey,
        seq: u32,
    ) -> Result<Vec<Publication>, Unavailable> {
        // Only a root ends its execution.
        if !self.announces.status_changes || !key.branch.is_root() {
            return Ok(Vec::new());
        }
        let Some(body) = self.store.body(key, seq).await? else { return Ok(Vec::new()) };
        self.end_in(key, seq, &body).await
    }

    /// The same after the redelivered answer of a task, which does not say what it was committed under: the first
    /// transition after which the task was not out any more.
    pub(super) async fn announce_if_ended_after(
        &self,
        key: &BranchKey,
        task: u32,
    ) -> Result<Vec<Publication>, Unavailable> {
        if !self.announces.status_changes || !key.branch.is_root() {
            return Ok(Vec::new());
        }
        for seq in task.saturating_add(1).. {
            let Some(body) = self.store.body(key, seq).await? else { break };
            match decode::<Standing>(&body).ok().and_then(|standing| standing.value) {
                Some(Branch { waiting: Waiting::Task(attempt), .. }) if attempt.task == task => {}
                Some(_) => break,
                None => return self.end_in(key, seq, &body).await,
            }
        }
        Ok(Vec::new())
    }

    /// The announcement of the end that a root recorded under this `seq`, if it came to it by itself. Since then
    /// the execution may have been redriven.
    async fn end_in(&self, key: &BranchKey, seq: u32, body: &Bytes) -> Result<Vec<Publication>, Unavailable> {
        let Some(HistoryEvent { at, kind: last, .. }) = Recorded::read(body).pop() else {
            return Ok(Vec::new());
        };
        let status = match last {
            EventKind::ExecutionSucceeded { .. } => ExecutionStatus::Succeeded,
            EventKind::ExecutionFailed(_) => ExecutionStatus::Failed,
            _ => return Ok(Vec::new()),
        };
        let before = self.store.body(key, seq.saturating_sub(1)).await?;
        let before = before.and_then(|before| decode::<Standing>(&before).ok()?.value);
        let first = self.store.first_bodies(&[key.execution]).await?.pop().flatten();
        let execution = self.catalog.execution_by_id(key.execution).await?;
        let (Some(before), Some(execution), Some(input)) =
            (before, execution, first.as_ref().and_then(input_of))
        else {
            return Ok(Vec::new());
        };
        let change = Change::of(&execution, &input);
        let ended = Change { status, stopped_at: Some(at), redrive: before.redrive, ..change };
        Ok(vec![ended.with_end(&last).publication(&self.home)])
    }

    /// The announcements of these, as far as they are closed, from what is recorded of them.
    async fn recorded(&self, ids: &[ExecutionId]) -> Result<Announcements, Unavailable> {
        let mut announcements = Announcements::default();
        for found in self.catalog.executions_with_ends(ids).await?.into_iter().flatten() {
            let WithEnds { execution, ends, last_seq } = found;
            announcements.changes.push(announced(execution.id, execution.redrive, execution.status));
            let Some(last) = &ends.last else {
                // A start is announced by whoever moves it; a redrive that nobody came to announce is marked.
                let input = input_of(&ends.first).filter(|_| execution.redrive.is_some());
                let begin = input.map(|input| Change::of(&execution, &input).begin().publication(&self.home));
                announcements.begins.extend(begin);
                continue;
            };
            let last = Recorded::read(last).pop().map(|event| event.kind);
            let (Some(input), Some(last)) = (input_of(&ends.first), last) else {
                tracing::error!(execution = %execution.id, "an end cannot be read, and is not announced");
                continue;
            };
            let end = Change::of(&execution, &input).with_end(&last);
            // It had not moved, or was redriven: it may have been closed before somebody came to announce that.
            if last_seq <= 1 || execution.redrive.is_some() {
                announcements.begins.push(end.begin().publication(&self.home));
            }
            announcements.ends.push(end.publication(&self.home));
        }
        Ok(announcements)
    }

    /// Announces ends that no delivery stands behind. They stand, and are marked: what is not announced now, the
    /// scheduler finds.
    pub async fn announce(&self, closed: &[ExecutionId]) {
        if closed.is_empty() || !self.announces.status_changes || self.broker.health() != Health::Good {
            return;
        }
        if let Err(error) = self.announce_marked(closed).await {
            tracing::warn!(%error, "ends of executions are announced late");
        }
    }

    /// Announces what is marked. To be marked is enough: what is not to be told is only not marked any more.
    pub(super) async fn announce_marked(&self, closed: &[ExecutionId]) -> Result<(), Unavailable> {
        let Announcements { begins, ends, changes } = self.recorded(closed).await?;
        if self.announces.status_changes {
            self.publish(begins.into_iter().chain(ends).collect()).await?;
        }
        crate::crash_point!("announced");
        self.store.announced(&changes).await?;
        Ok(())
    }

    /// Announces the ends whose closers did not come to it.
    pub async fn announce_forgotten(&self) -> Result<(), Unavailable> {
        // What is claimed and not announced waits for the end of the claim.
        while self.announces.status_changes && self.broker.health() == Health::Good {
            let now = self.clock.now();
            let forgotten = self.store.claim_unannounced(now, CLAIM_MILLISECONDS, CLAIM_MAX).await?;
            if !forgotten.is_empty() {
                self.announce_marked(&forgotten).await?;
            }
            if forgotten.len() < AT_ONCE {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RevisionId;

    fn header() -> Header {
        Header {
            id: "019a0000-0000-7000-8000-000000000001".parse().unwrap(),
            revision: RevisionId::new(),
            qualifier: None,
            machine_name: "orders".to_owned(),
            name: "first".to_owned(),
            started_at: Timestamp::from_milliseconds(1_700_000_000_123),
            input: None,
        }
    }

    fn ended(status: ExecutionStatus, last: EventKind) -> Ended {
        let at = Timestamp::from_milliseconds(1_700_000_009_456);
        let closing = Closing { status, at, error: None, unannounced: false };
        Ended { header: Arc::new(header()), redrive: None, closing, last }
    }

    fn event(change: &Change<'_>) -> (String, Value) {
        let publication = change.publication(&Home::default());
        (publication.id, serde_json::from_slice(&publication.body).unwrap())
    }

    #[test]
    fn what_an_execution_was_started_by_is_named() {
        let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:orders";
        let told = |version, alias: Option<&str>| {
            let qualifier = Some(Qualifier { version, alias: alias.map(str::to_owned) });
            let header = Header { qualifier, ..header() };
            let (_, event) = event(&Change::begun(&header, "{}"));
            let detail = &event["detail"];
            assert_eq!(detail["stateMachineArn"], machine);
            (detail["stateMachineVersionArn"].clone(), detail["stateMachineAliasArn"].clone())
        };
        assert_eq!(told(3, None), (json!(format!("{machine}:3")), Value::Null));
        assert_eq!(told(3, Some("live")), (json!(format!("{machine}:3")), json!(format!("{machine}:live"))));
    }

    #[test]
    fn a_begin_is_told_as_eventbridge_tells_it() {
        let (header, input) = (header(), r#"{"n": 1}"#);
        let change = Change::begun(&header, input);
        let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:orders";
        let arn = "arn:aws:states:us-east-1:000000000000:execution:orders:first";
        let to = Address::Exchange(Exchange::events(), format!("{machine}.RUNNING"));
        assert_eq!(change.publication(&Home::default()).to, to);
        let (id, event) = event(&change);
        assert_eq!(id, "019a0000-0000-7000-8000-000000000001/1");
        let expected = json!({
            "version": "0",
            "id": event["id"],
            "detail-type": "Step Functions Execution Status Change",
            "source": "aws.states",
            "account": "000000000000",
            "time": "2023-11-14T22:13:20Z",
            "region": "us-east-1",
            "resources": [arn],
            "detail": {
                "executionArn": arn,
                "stateMachineArn": machine,
                "stateMachineVersionArn": null,
                "stateMachineAliasArn": null,
                "name": "first",
                "status": "RUNNING",
                "startDate": 1_700_000_000_123_i64,
                "stopDate": null,
                "redriveCount": 0,
                "redriveDate": null,
                "redriveStatus": "NOT_REDRIVABLE",
                "redriveStatusReason": "Execution is RUNNING and cannot be redriven",
                "input": input,
                "inputDetails": { "included": true },
                "output": null,
                "outputDetails": null,
                "error": null,
                "cause": null,
            },
        });
        assert_eq!(event, expected);
    }

    fn check(status: ExecutionStatus, last: EventKind, expected: Value) {
        let ended = ended(status, last);
        let (id, event) = event(&Change::ended(&ended, "{}"));
        assert_eq!(id, "019a0000-0000-7000-8000-000000000001/2");
        assert_eq!(
            (&event["time"], &event["detail"]["status"]),
            (&json!("2023-11-14T22:13:29Z"), &json!(status.as_str()))
        );
        assert_eq!(event["detail"]["stopDate"], 1_700_000_009_456_i64);
        for (member, value) in expected.as_object().unwrap() {
            assert_eq!(event["detail"][member], *value, "{status:?} {member}");
        }
    }

    #[test]
    fn an_end_tells_its_output_or_its_error() {
        let failure = || Failure { error: Some("Sour".to_owned()), cause: Some("Milk".to_owned()) };
        let (none, redrivable) = (json!(null), json!("REDRIVABLE"));
        let output = EventKind::ExecutionSucceeded { output: "[1]".to_owned() };
        let expected =
            json!({ "output": "[1]", "outputDetails": { "included": true }, "error": none, "cause": none });
        check(ExecutionStatus::Succeeded, output, expected);
        let failed = json!({ "output": none, "outputDetails": none, "error": "Sour", "cause": "Milk", "redriveStatus": redrivable });
        check(ExecutionStatus::Failed, EventKind::ExecutionFailed(failure()), failed.clone());
        check(ExecutionStatus::Aborted, EventKind::ExecutionAborted(failure()), failed);
        let timed_out = json!({ "error": none, "cause": none, "redriveStatusReason": none });
        check(ExecutionStatus::TimedOut, EventKind::ExecutionTimedOut(failure()), timed_out);
    }

    #[test]
    fn an_announcement_made_again_is_the_same_event_and_each_change_another() {
        let (header, ended) = (header(), ended(ExecutionStatus::Aborted, EventKind::TaskStateAborted));
        let begin = event(&Change::begun(&header, "{}"));
        let end = Change::ended(&ended, "{}");
        assert_eq!(begin, event(&Change::begun(&header, "{}")));
        assert_eq!(begin, event(&end.begin()));
        let id = |event: &Value| event["id"].as_str().unwrap().parse::<Uuid>().unwrap();
        assert_ne!(id(&begin.1), id(&event(&end).1));
    }

    #[test]
    fn what_is_too_much_is_left_out_the_input_first() {
        let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes.saturating_sub(2)));
        // Quotes take two bytes within JSON.
        let most = PAYLOAD_BYTES_MAX - 2;
        for (input, output, has_input, has_output) in [
            (most, None, true, None),
            (most + 1, None, false, None),
            (most - 10, Some(6), true, Some(true)),
            (most - 9, Some(8), false, Some(true)),
            (1_000, Some(most), false, Some(true)),
            (1_000, Some(most + 1), true, Some(false)),
            (most + 1, Some(most + 1), false, Some(false)),
        ] {
            let (input, output) = (text(input), output.map(text));
            let last = match &output {
                Some(output) => EventKind::ExecutionSucceeded { output: output.clone() },
                None => EventKind::TaskStateAborted,
            };
            let ended = ended(ExecutionStatus::Succeeded, last);
            let detail = event(&Change::ended(&ended, &input)).1["detail"].clone();
            let told = (detail["input"].as_str(), detail["output"].as_str());
            let expected =
                (has_input.then_some(input.as_str()), output.as_deref().filter(|_| has_output == Some(true)));
            assert!(told == expected, "{} {:?}", input.len(), output.map(|output| output.len()));
            assert_eq!(detail["inputDetails"]["included"], has_input);
            assert_eq!(detail["outputDetails"]["included"].as_bool(), has_output);
        }
    }

    #[test]
    fn a_text_is_as_long_as_it_is_when_it_is_escaped() {
        for text in ["", "plain é 日本", "\"quoted\" \\ \n\r\t", "\u{1}\u{8}\u{c}\u{1f}\u{7f}"] {
            assert_eq!(escaped_bytes(text) + 2, serde_json::to_string(text).unwrap().len(), "{text:?}");
        }
    }
}
