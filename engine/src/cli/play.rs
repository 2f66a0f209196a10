//! All that is outside of an execution, played on this machine: for `warren run` and `warren test`.
//!
//! ```text
//!   definition ──▶ Rehearsal ──tasks──▶ mocks, else functions on this machine
//!                      ▲                     │
//!                      └──── answers, time ──┘
//! ```

use std::path::Path;

use asl::data::context::ExecutionFacts;
use asl::data::timestamp::Timestamp;
use asl::limits::EXPRESS_SECONDS_MAX;
use asl::program::Program;
use serde_json::Value;

use super::TypeArg;
use crate::config::Config;

pub(super) mod clock;
pub(super) mod compare;
pub(super) mod functions;
pub(super) mod mock_config;
pub(super) mod mocks;
pub(super) mod narration;
pub(super) mod player;

/// What the context object says of an execution that is played.
pub(super) fn facts(
    config: &Config,
    machine: &str,
    execution: String,
    input: Value,
    start: Timestamp,
) -> ExecutionFacts {
    let home = config.home();
    ExecutionFacts {
        id: home.execution(machine, &execution),
        name: execution,
        role_arn: format!("arn:aws:iam::{}:role/warren", home.account),
        started_at: start,
        input,
        redrive: None,
        state_machine_id: home.state_machine(machine),
        state_machine_name: machine.to_owned(),
    }
}

/// How many seconds an execution may take: what the definition says, and never more than its type allows.
pub(super) fn seconds_max(program: &Program, workflow: TypeArg) -> Option<u32> {
    match workflow {
        TypeArg::Standard => program.timeout_seconds,
        TypeArg::Express => {
            Some(program.timeout_seconds.unwrap_or(EXPRESS_SECONDS_MAX).min(EXPRESS_SECONDS_MAX))
        }
    }
}

/// The name of a state machine after its file: `order` for `order.asl.json`.
pub(super) fn machine_name(file: &Path) -> String {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.split('.').next().filter(|stem| !stem.is_empty() && *stem != "-");
    stem.unwrap_or("definition").to_owned()
}
