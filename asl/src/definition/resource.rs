//! Which resources a Task can name.

use crate::program::{Pattern, Resource, ServiceResource};

/// Why a text is not a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResourceError {
    /// Not of the form of an ARN.
    NotAnArn,
    /// An ARN of something that a Task cannot call.
    NotRecognized,
}

/// Reads the `Resource` of a Task.
pub(super) fn parse(text: &str) -> Result<Resource, ResourceError> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [prefix, partition, service, region, account, rest] = parts[..] else {
        return Err(ResourceError::NotAnArn);
    };
    if prefix != "arn" || partition.is_empty() {
        return Err(ResourceError::NotAnArn);
    }
    let arn = text.to_owned();
    let owned = !region.is_empty() && !account.is_empty();
    let named = |kind: &str| rest.strip_prefix(kind).is_some_and(|name| !name.is_empty());
    match service {
        "states" if owned && named("activity:") => Ok(Resource::Activity { arn }),
        "lambda" if owned && named("function:") => Ok(Resource::Function { arn }),
        // How an engine that spoke AMQP before this one named functions: it has no account and a region of its own.
        "rpcmessage" if named("function:") => Ok(Resource::Function { arn }),
        // AWS needs neither region nor account here, but takes them: its console writes them into what it exports.
        "states" => {
            let (service, action, pattern) = integration(rest).ok_or(ResourceError::NotRecognized)?;
            let (service, action) = (service.to_owned(), action.to_owned());
            Ok(Resource::Service(ServiceResource { arn, service, action, pattern }))
        }
        _ => Err(ResourceError::NotRecognized),
    }
}

/// `SERVICE:ACTION[PATTERN]` of an integration that exists.
fn integration(rest: &str) -> Option<(&str, &str, Pattern)> {
    let (rest, pattern) = split_pattern(rest);
    let (service, action) = rest.rsplit_once(':')?;
    let known = match service.strip_prefix("aws-sdk:") {
        Some(name) => {
            let callable = is_word(name) && is_word(action);
            callable && matches!(pattern, Pattern::RequestResponse | Pattern::WaitForTaskToken)
        }
        None if ANY_ACTION.contains(&service) => is_word(action) && pattern == Pattern::RequestResponse,
        None => offers(service, action, pattern),
    };
    known.then_some((service, action, pattern))
}

fn split_pattern(text: &str) -> (&str, Pattern) {
    [(".sync:2", Pattern::Sync2), (".sync", Pattern::Sync), (".waitForTaskToken", Pattern::WaitForTaskToken)]
        .into_iter()
        .find_map(|(suffix, pattern)| Some((text.strip_suffix(suffix)?, pattern)))
        .unwrap_or((text, Pattern::RequestResponse))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn offers(service: &str, action: &str, pattern: Pattern) -> bool {
    INTEGRATIONS.iter().any(|(name, actions, patterns)| {
        *name == service
            && actions.contains(&action)
            && (pattern == Pattern::RequestResponse || patterns.contains(&pattern))
    })
}

/// Services whose actions are not listed here.
const ANY_ACTION: &[&str] = &["bedrockagentcore", "bedrock-agentcore"];

const PLAIN: &[Pattern] = &[];
const SYNC: &[Pattern] = &[Pattern::Sync];
const TOKEN: &[Pattern] = &[Pattern::WaitForTaskToken];
const SYNC_OR_TOKEN: &[Pattern] = &[Pattern::Sync, Pattern::WaitForTaskToken];

/// The optimized integrations of AWS: service, actions, and the patterns beside request response.
const INTEGRATIONS: &[(&str, &[&str], &[Pattern])] = &[
    ("lambda", &["invoke"], TOKEN),
    ("sns", &["publish"], TOKEN),
    ("sqs", &["sendMessage"], TOKEN),
    ("dynamodb", &["getItem", "putItem", "updateItem", "deleteItem"], PLAIN),
    ("events", &["putEvents"], TOKEN),
    ("http", &["invoke"], PLAIN),
    ("apigateway", &["invoke"], TOKEN),
    ("states", &["startExecution"], &[Pattern::Sync, Pattern::Sync2, Pattern::WaitForTaskToken]),
    ("batch", &["submitJob"], SYNC),
    ("ecs", &["runTask"], SYNC_OR_TOKEN),
    ("glue", &["startJobRun"], SYNC),
    ("databrew", &["startJobRun"], SYNC),
    ("mediaconvert", &["createJob"], SYNC),
    ("athena", &["startQueryExecution"], SYNC),
    ("athena", &["stopQueryExecution", "getQueryExecution", "getQueryResults"], PLAIN),
    ("sagemaker", &["createEndpoint", "createEndpointConfig", "createModel", "updateEndpoint"], PLAIN),
    (
        "sagemaker",
        &[
            "createTrainingJob",
            "createTransformJob",
            "createProcessingJob",
            "createHyperParameterTuningJob",
            "createLabelingJob",
        ],
        SYNC,
    ),
    ("codebuild", &["startBuild", "startBuildBatch", "retryBuildBatch"], SYNC),
    (
        "codebuild",
        &["stopBuild", "batchDeleteBuilds", "batchGetReports", "stopBuildBatch", "deleteBuildBatch"],
        PLAIN,
    ),
    ("elasticmapreduce", &["createCluster", "addStep", "terminateCluster"], SYNC),
    (
        "elasticmapreduce",
        &[
            "cancelStep",
            "setClusterTerminationProtection",
            "modifyInstanceFleetByName",
            "modifyInstanceGroupByName",
        ],
        PLAIN,
    ),
    (
        "eks",
        &[
            "createCluster",
            "deleteCluster",
            "createFargateProfile",
            "deleteFargateProfile",
            "createNodegroup",
            "deleteNodegroup",
            "runJob",
        ],
        SYNC,
    ),
    ("eks", &["call"], TOKEN),
    ("emr-containers", &["createVirtualCluster"], PLAIN),
    ("emr-containers", &["deleteVirtualCluster", "startJobRun"], SYNC),
    (
        "emr-serverless",
        &[
            "createApplication",
            "startApplication",
            "stopApplication",
            "deleteApplication",
            "startJobRun",
            "cancelJobRun",
        ],
        SYNC,
    ),
    ("bedrock", &["invokeModel"], TOKEN),
    ("bedrock", &["createModelCustomizationJob"], SYNC),
];
