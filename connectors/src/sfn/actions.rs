//! The actions of the API with the members of their requests, and the errors that the API names (service
//! model of Step Functions).

/// An action, with the members of its request as a task writes them.
pub(super) struct Action {
    /// `StartExecution`.
    pub(super) name: &'static str,
    /// Members that must be given.
    pub(super) required: &'static [&'static str],
    /// Members that may be.
    pub(super) optional: &'static [&'static str],
}

impl Action {
    /// By the name that a resource has for it: `startExecution`.
    pub(super) fn find(written: &str) -> Option<&'static Self> {
        ACTIONS.iter().find(|action| super::casing::camel(action.name) == written)
    }
}

/// Whether the API's model names an error: the SDK has an exception for those only.
pub(super) fn is_modelled(code: &str) -> bool {
    ERRORS.contains(&code)
}

const fn action(
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
) -> Action {
    Action { name, required, optional }
}

const ACTIONS: [Action; 37] = [
    action("CreateActivity", &["Name"], &["Tags", "EncryptionConfiguration"]),
    action(
        "CreateStateMachine",
        &["Name", "Definition", "RoleArn"],
        &[
            "Type",
            "LoggingConfiguration",
            "Tags",
            "TracingConfiguration",
            "Publish",
            "VersionDescription",
            "EncryptionConfiguration",
        ],
    ),
    action("CreateStateMachineAlias", &["Name", "RoutingConfiguration"], &["Description"]),
    action("DeleteActivity", &["ActivityArn"], &[]),
    action("DeleteStateMachine", &["StateMachineArn"], &[]),
    action("DeleteStateMachineAlias", &["StateMachineAliasArn"], &[]),
    action("DeleteStateMachineVersion", &["StateMachineVersionArn"], &[]),
    action("DescribeActivity", &["ActivityArn"], &[]),
    action("DescribeExecution", &["ExecutionArn"], &["IncludedData"]),
    action("DescribeMapRun", &["MapRunArn"], &[]),
    action("DescribeStateMachine", &["StateMachineArn"], &["IncludedData"]),
    action("DescribeStateMachineAlias", &["StateMachineAliasArn"], &[]),
    action("DescribeStateMachineForExecution", &["ExecutionArn"], &["IncludedData"]),
    action("GetActivityTask", &["ActivityArn"], &["WorkerName"]),
    action(
        "GetExecutionHistory",
        &["ExecutionArn"],
        &["MaxResults", "ReverseOrder", "NextToken", "IncludeExecutionData"],
    ),
    action("ListActivities", &[], &["MaxResults", "NextToken"]),
    action(
        "ListExecutions",
        &[],
        &["StateMachineArn", "StatusFilter", "MaxResults", "NextToken", "MapRunArn", "RedriveFilter"],
    ),
    action("ListMapRuns", &["ExecutionArn"], &["MaxResults", "NextToken"]),
    action("ListStateMachineAliases", &["StateMachineArn"], &["NextToken", "MaxResults"]),
    action("ListStateMachineVersions", &["StateMachineArn"], &["NextToken", "MaxResults"]),
    action("ListStateMachines", &[], &["MaxResults", "NextToken"]),
    action("ListTagsForResource", &["ResourceArn"], &[]),
    action("PublishStateMachineVersion", &["StateMachineArn"], &["RevisionId", "Description"]),
    action("RedriveExecution", &["ExecutionArn"], &["ClientToken"]),
    action("SendTaskFailure", &["TaskToken"], &["Error", "Cause"]),
    action("SendTaskHeartbeat", &["TaskToken"], &[]),
    action("SendTaskSuccess", &["TaskToken", "Output"], &[]),
    action("StartExecution", &["StateMachineArn"], &["Name", "Input", "TraceHeader"]),
    action("StartSyncExecution", &["StateMachineArn"], &["Name", "Input", "TraceHeader", "IncludedData"]),
    action("StopExecution", &["ExecutionArn"], &["Error", "Cause"]),
    action("TagResource", &["ResourceArn", "Tags"], &[]),
    action(
        "TestState",
        &["Definition"],
        &[
            "RoleArn",
            "Input",
            "InspectionLevel",
            "RevealSecrets",
            "Variables",
            "StateName",
            "Mock",
            "Context",
            "StateConfiguration",
        ],
    ),
    action("UntagResource", &["ResourceArn", "TagKeys"], &[]),
    action(
        "UpdateMapRun",
        &["MapRunArn"],
        &["MaxConcurrency", "ToleratedFailurePercentage", "ToleratedFailureCount"],
    ),
    action(
        "UpdateStateMachine",
        &["StateMachineArn"],
        &[
            "Definition",
            "RoleArn",
            "LoggingConfiguration",
            "TracingConfiguration",
            "Publish",
            "VersionDescription",
            "EncryptionConfiguration",
        ],
    ),
    action("UpdateStateMachineAlias", &["StateMachineAliasArn"], &["Description", "RoutingConfiguration"]),
    action("ValidateStateMachineDefinition", &["Definition"], &["Type", "Severity", "MaxResults"]),
];

const ERRORS: [&str; 33] = [
    "ActivityAlreadyExists",
    "ActivityDoesNotExist",
    "ActivityLimitExceeded",
    "ActivityWorkerLimitExceeded",
    "ConflictException",
    "ExecutionAlreadyExists",
    "ExecutionDoesNotExist",
    "ExecutionLimitExceeded",
    "ExecutionNotRedrivable",
    "InvalidArn",
    "InvalidDefinition",
    "InvalidEncryptionConfiguration",
    "InvalidExecutionInput",
    "InvalidLoggingConfiguration",
    "InvalidName",
    "InvalidOutput",
    "InvalidToken",
    "InvalidTracingConfiguration",
    "KmsAccessDeniedException",
    "KmsInvalidStateException",
    "KmsThrottlingException",
    "MissingRequiredParameter",
    "ResourceNotFound",
    "ServiceQuotaExceededException",
    "StateMachineAlreadyExists",
    "StateMachineDeleting",
    "StateMachineDoesNotExist",
    "StateMachineLimitExceeded",
    "StateMachineTypeNotSupported",
    "TaskDoesNotExist",
    "TaskTimedOut",
    "TooManyTags",
    "ValidationException",
];
