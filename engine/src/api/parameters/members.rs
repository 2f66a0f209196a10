//! The members of each request with their constraints, from the service model (`stepfunctions`,
//! 2016-11-23). `input` and `output` have no length here: their limit is the payload's, in bytes, and
//! has errors of its own.

use super::{Member, Shape};

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    CreateStateMachine,
    UpdateStateMachine,
    DeleteStateMachine,
    DescribeStateMachine,
    ListStateMachines,
    PublishStateMachineVersion,
    DeleteStateMachineVersion,
    ListStateMachineVersions,
    CreateStateMachineAlias,
    UpdateStateMachineAlias,
    DescribeStateMachineAlias,
    DeleteStateMachineAlias,
    ListStateMachineAliases,
    TagResource,
    UntagResource,
    ListTagsForResource,
    ListMapRuns,
    DescribeMapRun,
    UpdateMapRun,
    ValidateStateMachineDefinition,
    StartExecution,
    StartSyncExecution,
    StopExecution,
    RedriveExecution,
    DescribeExecution,
    DescribeStateMachineForExecution,
    ListExecutions,
    GetExecutionHistory,
    CreateActivity,
    DeleteActivity,
    DescribeActivity,
    ListActivities,
    GetActivityTask,
    SendTaskSuccess,
    SendTaskFailure,
    SendTaskHeartbeat,
    TestState,
}

impl Action {
    /// The action that `X-Amz-Target` names after the dot.
    pub fn named(name: &str) -> Option<Self> {
        ACTIONS.iter().find(|(known, ..)| *known == name).map(|(_, action, _)| *action)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        ACTIONS.iter().map(|(_, action, _)| *action)
    }

    /// Its name, as `X-Amz-Target` has it.
    pub fn name(self) -> &'static str {
        ACTIONS.iter().find(|(_, action, _)| *action == self).map_or("unknown", |(name, ..)| name)
    }

    /// What its request may hold.
    pub fn members(self) -> &'static [Member] {
        ACTIONS.iter().find(|(_, action, _)| *action == self).map_or(&[], |(.., members)| members)
    }
}

const ACTIONS: &[(&str, Action, &[Member])] = &[
    ("CreateStateMachine", Action::CreateStateMachine, CREATE_STATE_MACHINE),
    ("UpdateStateMachine", Action::UpdateStateMachine, UPDATE_STATE_MACHINE),
    ("DeleteStateMachine", Action::DeleteStateMachine, &[STATE_MACHINE_ARN]),
    ("DescribeStateMachine", Action::DescribeStateMachine, &[STATE_MACHINE_ARN, INCLUDED_DATA]),
    ("ListStateMachines", Action::ListStateMachines, &[MAX_RESULTS, NEXT_TOKEN]),
    ("PublishStateMachineVersion", Action::PublishStateMachineVersion, PUBLISH),
    ("DeleteStateMachineVersion", Action::DeleteStateMachineVersion, &[VERSION_ARN]),
    ("ListStateMachineVersions", Action::ListStateMachineVersions, OF_STATE_MACHINE),
    ("CreateStateMachineAlias", Action::CreateStateMachineAlias, CREATE_ALIAS),
    ("UpdateStateMachineAlias", Action::UpdateStateMachineAlias, UPDATE_ALIAS),
    ("DescribeStateMachineAlias", Action::DescribeStateMachineAlias, &[ALIAS_ARN]),
    ("DeleteStateMachineAlias", Action::DeleteStateMachineAlias, &[ALIAS_ARN]),
    ("ListStateMachineAliases", Action::ListStateMachineAliases, OF_STATE_MACHINE),
    ("TagResource", Action::TagResource, &[RESOURCE_ARN, required(TAGS)]),
    ("UntagResource", Action::UntagResource, &[RESOURCE_ARN, required(TAG_KEYS)]),
    ("ListTagsForResource", Action::ListTagsForResource, &[RESOURCE_ARN]),
    ("ListMapRuns", Action::ListMapRuns, &[EXECUTION_ARN, MAX_RESULTS, NEXT_TOKEN]),
    ("DescribeMapRun", Action::DescribeMapRun, &[MAP_RUN_ARN]),
    ("UpdateMapRun", Action::UpdateMapRun, UPDATE_MAP_RUN),
    ("ValidateStateMachineDefinition", Action::ValidateStateMachineDefinition, VALIDATE),
    ("StartExecution", Action::StartExecution, START),
    ("StartSyncExecution", Action::StartSyncExecution, START_SYNC),
    ("StopExecution", Action::StopExecution, &[EXECUTION_ARN, ERROR, CAUSE]),
    ("RedriveExecution", Action::RedriveExecution, &[EXECUTION_ARN, text("clientToken", 1, 64)]),
    ("DescribeExecution", Action::DescribeExecution, &[EXECUTION_ARN, INCLUDED_DATA]),
    (
        "DescribeStateMachineForExecution",
        Action::DescribeStateMachineForExecution,
        &[EXECUTION_ARN, INCLUDED_DATA],
    ),
    ("ListExecutions", Action::ListExecutions, LIST_EXECUTIONS),
    ("GetExecutionHistory", Action::GetExecutionHistory, HISTORY),
    ("CreateActivity", Action::CreateActivity, &[required(text("name", 1, 80)), TAGS, ENCRYPTION]),
    ("DeleteActivity", Action::DeleteActivity, &[ACTIVITY_ARN]),
    ("DescribeActivity", Action::DescribeActivity, &[ACTIVITY_ARN]),
    ("ListActivities", Action::ListActivities, &[MAX_RESULTS, NEXT_TOKEN]),
    ("GetActivityTask", Action::GetActivityTask, &[ACTIVITY_ARN, text("workerName", 1, 80)]),
    ("SendTaskSuccess", Action::SendTaskSuccess, &[TASK_TOKEN, required(payload("output"))]),
    ("SendTaskFailure", Action::SendTaskFailure, &[TASK_TOKEN, ERROR, CAUSE]),
    ("SendTaskHeartbeat", Action::SendTaskHeartbeat, &[TASK_TOKEN]),
    ("TestState", Action::TestState, TEST_STATE),
];

const CREATE_STATE_MACHINE: &[Member] = &[
    required(text("name", 1, 80)),
    required(DEFINITION),
    required(text("roleArn", 1, 256)),
    TYPE,
    LOGGING,
    TAGS,
    TRACING,
    flag("publish"),
    secret("versionDescription", 0, 256),
    ENCRYPTION,
];

const UPDATE_STATE_MACHINE: &[Member] = &[
    STATE_MACHINE_ARN,
    DEFINITION,
    text("roleArn", 1, 256),
    LOGGING,
    TRACING,
    flag("publish"),
    secret("versionDescription", 0, 256),
    ENCRYPTION,
];

const VALIDATE: &[Member] =
    &[required(DEFINITION), TYPE, word("severity", &["ERROR", "WARNING"]), whole("maxResults", 0, 100)];

const START: &[Member] = &[STATE_MACHINE_ARN, text("name", 1, 80), payload("input"), TRACE_HEADER];

const START_SYNC: &[Member] =
    &[STATE_MACHINE_ARN, text("name", 1, 80), payload("input"), TRACE_HEADER, INCLUDED_DATA];

const LIST_EXECUTIONS: &[Member] = &[
    text("stateMachineArn", 1, 256),
    // The order is that of AWS's messages, which is not that of the model.
    word("statusFilter", &["SUCCEEDED", "TIMED_OUT", "PENDING_REDRIVE", "ABORTED", "FAILED", "RUNNING"]),
    MAX_RESULTS,
    text("nextToken", 1, 3_096),
    text("mapRunArn", 1, 2_000),
    word("redriveFilter", &["REDRIVEN", "NOT_REDRIVEN"]),
];

const HISTORY: &[Member] =
    &[EXECUTION_ARN, MAX_RESULTS, flag("reverseOrder"), NEXT_TOKEN, flag("includeExecutionData")];

const PUBLISH: &[Member] = &[STATE_MACHINE_ARN, text("revisionId", 0, usize::MAX), DESCRIPTION];

const OF_STATE_MACHINE: &[Member] = &[STATE_MACHINE_ARN, NEXT_TOKEN, MAX_RESULTS];

const CREATE_ALIAS: &[Member] =
    &[DESCRIPTION, required(member("name", Shape::AliasName { max: 80 })), required(ROUTING)];

const UPDATE_ALIAS: &[Member] = &[ALIAS_ARN, DESCRIPTION, ROUTING];

const UPDATE_MAP_RUN: &[Member] = &[
    MAP_RUN_ARN,
    whole("maxConcurrency", 0, i64::MAX),
    member("toleratedFailurePercentage", Shape::Number { min: 0.0, max: 100.0 }),
    whole("toleratedFailureCount", 0, i64::MAX),
];

const TEST_STATE: &[Member] = &[
    required(DEFINITION),
    text("roleArn", 1, 256),
    payload("input"),
    word("inspectionLevel", &["INFO", "DEBUG", "TRACE"]),
    flag("revealSecrets"),
    secret("variables", 0, DATA_CHARACTERS_MAX),
    secret("stateName", 1, 80),
    member("mock", Shape::Structure(MOCK)),
    secret("context", 0, DATA_CHARACTERS_MAX),
    member("stateConfiguration", Shape::Structure(STATE_CONFIGURATION)),
];

const MOCK: &[Member] = &[
    secret("result", 0, DATA_CHARACTERS_MAX),
    member("errorOutput", Shape::Structure(&[ERROR, CAUSE])),
    word("fieldValidationMode", &["STRICT", "PRESENT", "NONE"]),
];

const STATE_CONFIGURATION: &[Member] = &[
    whole("retrierRetryCount", 0, i64::MAX),
    secret("errorCausedByState", 1, 80),
    whole("mapIterationFailureCount", 0, i64::MAX),
    secret("mapItemReaderData", 0, DATA_CHARACTERS_MAX),
];

/// The longest text that the model calls data.
const DATA_CHARACTERS_MAX: usize = 262_144;

const VERSION_ARN: Member = required(text("stateMachineVersionArn", 1, 2_000));
const ALIAS_ARN: Member = required(text("stateMachineAliasArn", 1, 256));
const RESOURCE_ARN: Member = required(text("resourceArn", 1, 256));
const MAP_RUN_ARN: Member = required(text("mapRunArn", 1, 2_000));
const DESCRIPTION: Member = secret("description", 0, 256);
const STATE_MACHINE_ARN: Member = required(text("stateMachineArn", 1, 256));
const EXECUTION_ARN: Member = required(text("executionArn", 1, 256));
const ACTIVITY_ARN: Member = required(text("activityArn", 1, 256));
const TASK_TOKEN: Member = required(text("taskToken", 1, 2_048));
const DEFINITION: Member = secret("definition", 1, asl::limits::DEFINITION_BYTES_MAX);
const ERROR: Member = secret("error", 0, asl::limits::ERROR_CHARACTERS_MAX);
const CAUSE: Member = secret("cause", 0, asl::limits::CAUSE_CHARACTERS_MAX);
const TYPE: Member = word("type", &["STANDARD", "EXPRESS"]);
const INCLUDED_DATA: Member = word("includedData", &["ALL_DATA", "METADATA_ONLY"]);
const TRACE_HEADER: Member = member("traceHeader", Shape::Ascii { max: 256 });
const MAX_RESULTS: Member = whole("maxResults", 0, 1_000);
const NEXT_TOKEN: Member = text("nextToken", 1, 1_024);

const TAGS: Member =
    member("tags", Shape::List(&Shape::Structure(&[text("key", 1, 128), text("value", 0, 256)])));

const TAG_KEYS: Member = member("tagKeys", Shape::List(&Shape::Text { min: 1, max: 128, secret: false }));

/// How many items there are is checked with what they say.
const ROUTING: Member = member(
    "routingConfiguration",
    Shape::List(&Shape::Structure(&[
        required(text("stateMachineVersionArn", 1, 256)),
        required(whole("weight", 0, 100)),
    ])),
);

const LOGGING: Member = member(
    "loggingConfiguration",
    Shape::Structure(&[
        word("level", &["ALL", "ERROR", "FATAL", "OFF"]),
        flag("includeExecutionData"),
        member("destinations", Shape::List(&LOG_DESTINATION)),
    ]),
);

const LOG_DESTINATION: Shape =
    Shape::Structure(&[member("cloudWatchLogsLogGroup", Shape::Structure(&[text("logGroupArn", 1, 256)]))]);

const TRACING: Member = member("tracingConfiguration", Shape::Structure(&[flag("enabled")]));

const ENCRYPTION: Member = member(
    "encryptionConfiguration",
    Shape::Structure(&[
        text("kmsKeyId", 1, 2_048),
        whole("kmsDataKeyReusePeriodSeconds", 60, 900),
        required(word("type", &["AWS_OWNED_KEY", "CUSTOMER_MANAGED_KMS_KEY"])),
    ]),
);

const fn member(name: &'static str, shape: Shape) -> Member {
    Member { name, required: false, shape }
}

const fn required(member: Member) -> Member {
    Member { required: true, ..member }
}

const fn text(name: &'static str, min: usize, max: usize) -> Member {
    member(name, Shape::Text { min, max, secret: false })
}

const fn secret(name: &'static str, min: usize, max: usize) -> Member {
    member(name, Shape::Text { min, max, secret: true })
}

const fn payload(name: &'static str) -> Member {
    secret(name, 0, usize::MAX)
}

const fn word(name: &'static str, words: &'static [&'static str]) -> Member {
    member(name, Shape::Word(words))
}

const fn whole(name: &'static str, min: i64, max: i64) -> Member {
    member(name, Shape::Whole { min, max })
}

const fn flag(name: &'static str) -> Member {
    member(name, Shape::Flag)
}
