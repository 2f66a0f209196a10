//! Transitions, shown to whoever looks on: what has just happened in each branch, so that a live view can draw it.
//!
//! They are emitted and forgotten: none is waited for, none is kept, and any may be lost. Where nobody is told of
//! them, nothing is made. The shape is that of `schemas/events/transition.json`.

use std::sync::Arc;

use asl::branch::{Branch, BranchPath};
use asl::data::timestamp::Timestamp;
use asl::history::HistoryEvent;
use asl::program::StateType;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::ids::ExecutionId;
use crate::messages::{Body, Express, Header, decode};
use crate::ports::broker::{Address, Exchange, Publication};
use crate::ports::store::HistoryRow;
use crate::services::Core;
use crate::services::programs::Compiled;

/// A transition that would be larger, in bytes, is shown without inputs and outputs: what is on its way to
/// onlookers takes memory in brokers and engines.
const SHOWN_BYTES_MAX: usize = 32_768;

/// The state that a branch stood before, or in, when it moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InState {
    name: Arc<str>,
    kind: StateType,
}

impl InState {
    /// Where a branch is.
    pub fn of(compiled: &Compiled, value: &Branch) -> Option<Self> {
        let program = &compiled.program;
        program.has_state(value.state).then(|| {
            let state = program.state(value.state);
            InState { name: state.name.clone(), kind: state.state_type() }
        })
    }
}

/// A transition that stands.
struct Shown<'a> {
    arn: &'a str,
    kind: &'static str,
    header: &'a Header,
    path: &'a BranchPath,
    seq: u32,
    at: Timestamp,
    state: Option<&'a InState>,
    events: &'a [HistoryEvent],
}

impl Shown<'_> {
    fn body(&self, machine_arn: &str) -> Bytes {
        let whole = self.text(machine_arn, true);
        let fits = whole.len() <= SHOWN_BYTES_MAX;
        Bytes::from(if fits { whole } else { self.text(machine_arn, false) })
    }

    fn text(&self, machine_arn: &str, data: bool) -> String {
        let shown = json!({
            "executionArn": self.arn,
            "stateMachineArn": machine_arn,
            "name": self.header.name,
            "type": self.kind,
            "branch": self.path,
            "seq": self.seq,
            "time": self.at.to_string(),
            "state": self.state.map(|state| json!({ "name": &*state.name, "type": state.kind.name() })),
            "events": self.events.iter().map(|event| without_ids(event, data)).collect::<Vec<_>>(),
            "dataIncluded": data,
        });
        shown.to_string()
    }
}

/// As GetExecutionHistory shows it, but for the ids, which are known when it is read.
fn without_ids(event: &HistoryEvent, data: bool) -> Value {
    let mut shown = event.to_json(0, 0, data);
    if let Some(members) = shown.as_object_mut() {
        members.shift_remove("id");
        members.shift_remove("previousEventId");
    }
    shown
}

impl Core {
    /// A transition of a Standard execution.
    pub(super) fn show_standard(
        &self,
        header: &Header,
        path: &BranchPath,
        seq: u32,
        state: Option<&InState>,
        events: &[HistoryEvent],
    ) {
        let arn = self.home.execution(&header.machine_name, &header.name);
        self.show(&Shown {
            arn: &arn,
            kind: "STANDARD",
            header,
            path,
            seq,
            at: self.clock.now(),
            state,
            events,
        });
    }

    /// The start of a Standard execution.
    pub(super) fn show_start(&self, header: &Header, events: &[HistoryEvent]) {
        if self.announces.transitions {
            self.show_standard(header, &BranchPath::root(), 0, None, events);
        }
    }

    /// What the close of a Standard execution appended.
    pub(super) async fn show_close(&self, id: ExecutionId, rows: &[(BranchPath, u32, HistoryRow)]) {
        if !self.announces.transitions {
            return;
        }
        // Whoever looks on may miss it.
        let Ok(Some(header)) = self.header(id).await else { return };
        for (path, seq, row) in rows {
            let events = decode::<Body>(&row.body).map(|body| body.events).unwrap_or_default();
            self.show_standard(&header, path, *seq, None, &events);
        }
    }

    /// A transition of an Express execution, `message` being after it.
    pub(super) fn show_express(&self, message: &Express, state: Option<&InState>, events: &[HistoryEvent]) {
        let (path, seq) = (&message.path, message.value.seq);
        self.show_express_child(message, path, seq, state, events);
    }

    /// The same of a branch that runs within the hop of another.
    pub(super) fn show_express_child(
        &self,
        message: &Express,
        path: &BranchPath,
        seq: u32,
        state: Option<&InState>,
        events: &[HistoryEvent],
    ) {
        let (arn, header) = (message.arn.as_str(), &message.execution);
        self.show(&Shown { arn, kind: "EXPRESS", header, path, seq, at: self.clock.now(), state, events });
    }

    fn show(&self, shown: &Shown<'_>) {
        let machine_arn = self.home.state_machine(&shown.header.machine_name);
        let key = format!("{machine_arn}.{}", shown.header.name);
        let id = format!("{}/{}/{}", shown.header.id, shown.path, shown.seq);
        let to = Address::Exchange(Exchange::transitions(), key);
        self.broker.emit(Publication::new(to, id, shown.body(&machine_arn)));
    }
}
