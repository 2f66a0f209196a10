//! The operation whose output a task's result has: that which the task calls or, where it waits for a job,
//! that by which Step Functions asks how the job is.

use std::borrow::Cow;

use asl::program::{Pattern, ServiceResource};

use super::catalog::Spelling;

/// An operation of a service, named as `aws-sdk:` resources do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Operation<'a> {
    pub(super) service: Cow<'a, str>,
    pub(super) name: &'a str,
    pub(super) spelling: Spelling,
    /// Members of the output that are whatever they are: Step Functions reads the JSON in them.
    pub(super) open: &'static [&'static str],
}

impl<'a> Operation<'a> {
    /// None if the result is not one that a service answers.
    pub(super) fn of(resource: &'a ServiceResource) -> Option<Self> {
        let ServiceResource { service, action, pattern, .. } = resource;
        if let Some(service) = service.strip_prefix("aws-sdk:") {
            let called = Operation {
                service: sdk_service(service).into(),
                name: action,
                spelling: Spelling::Sdk,
                open: &[],
            };
            return (*pattern == Pattern::RequestResponse).then_some(called);
        }
        let name = match pattern {
            Pattern::RequestResponse => action,
            Pattern::Sync | Pattern::Sync2 => asks_for_job(service, action)?,
            // Whoever has the token gives the result.
            Pattern::WaitForTaskToken => return None,
        };
        if UNLIKE_MODELS.contains(&service.as_str()) {
            return None;
        }
        let open = open(service, action, *pattern);
        Some(Operation { service: optimized_service(service, action), name, spelling: Spelling::Model, open })
    }
}

/// Their streams are read for the task, which gets what no model describes.
const UNLIKE_MODELS: [&str; 2] = ["bedrockagentcore", "bedrock-agentcore"];

/// Events had another name once, which resources may still have.
fn sdk_service(name: &str) -> &str {
    match name {
        "cloudwatchevents" => "eventbridge",
        name => name,
    }
}

fn optimized_service<'a>(service: &'a str, action: &str) -> Cow<'a, str> {
    match (service, action) {
        ("states", _) => "sfn".into(),
        ("events", _) => "eventbridge".into(),
        ("elasticmapreduce", _) => "emr".into(),
        ("bedrock", "invokeModel") => "bedrockruntime".into(),
        (service, _) => service.replace('-', "").into(),
    }
}

fn open(service: &str, action: &str, pattern: Pattern) -> &'static [&'static str] {
    match (service, action, pattern) {
        ("lambda", "invoke", _) => &["Payload"],
        ("bedrock", "invokeModel", _) => &["Body"],
        ("states", "startExecution", Pattern::Sync2) => &["Input", "Output"],
        _ => &[],
    }
}

fn asks_for_job(service: &str, action: &str) -> Option<&'static str> {
    let of_job = |(at, actions, _): &&Job| *at == service && actions.contains(&action);
    JOBS.iter().find(of_job).map(|(_, _, asks)| *asks)
}

type Job = (&'static str, &'static [&'static str], &'static str);

/// Service, actions that begin (or end) a job, and the operation that tells how it is.
const JOBS: [Job; 25] = [
    ("states", &["startExecution"], "describeExecution"),
    ("batch", &["submitJob"], "describeJobs"),
    ("ecs", &["runTask"], "describeTasks"),
    ("glue", &["startJobRun"], "getJobRun"),
    ("databrew", &["startJobRun"], "describeJobRun"),
    ("mediaconvert", &["createJob"], "getJob"),
    ("athena", &["startQueryExecution"], "getQueryExecution"),
    ("sagemaker", &["createTrainingJob"], "describeTrainingJob"),
    ("sagemaker", &["createTransformJob"], "describeTransformJob"),
    ("sagemaker", &["createProcessingJob"], "describeProcessingJob"),
    ("sagemaker", &["createHyperParameterTuningJob"], "describeHyperParameterTuningJob"),
    ("sagemaker", &["createLabelingJob"], "describeLabelingJob"),
    ("codebuild", &["startBuild"], "batchGetBuilds"),
    ("codebuild", &["startBuildBatch", "retryBuildBatch"], "batchGetBuildBatches"),
    ("elasticmapreduce", &["createCluster", "terminateCluster"], "describeCluster"),
    ("elasticmapreduce", &["addStep"], "describeStep"),
    ("eks", &["createCluster", "deleteCluster"], "describeCluster"),
    ("eks", &["createFargateProfile", "deleteFargateProfile"], "describeFargateProfile"),
    ("eks", &["createNodegroup", "deleteNodegroup"], "describeNodegroup"),
    ("emr-containers", &["deleteVirtualCluster"], "describeVirtualCluster"),
    ("emr-containers", &["startJobRun"], "describeJobRun"),
    ("emr-serverless", &["createApplication", "startApplication"], "getApplication"),
    ("emr-serverless", &["stopApplication", "deleteApplication"], "getApplication"),
    ("emr-serverless", &["startJobRun", "cancelJobRun"], "getJobRun"),
    ("bedrock", &["createModelCustomizationJob"], "getModelCustomizationJob"),
];

#[cfg(test)]
mod tests {
    use super::super::catalog::Service;
    use super::*;

    #[test]
    fn the_operation_that_tells_of_a_job_is_in_the_model() {
        for (service, actions, asks) in JOBS {
            let name = optimized_service(service, actions[0]);
            let known = Service::unpack(&name, Spelling::Model).unwrap();
            assert!(known.output(asks).is_some(), "{service}: {asks}");
        }
    }
}
