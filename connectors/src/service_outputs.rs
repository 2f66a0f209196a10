//! Whether a result that a user made up could have come from the service that the task calls.
//!
//! ```text
//! resource ─▶ operation whose output the result has ─▶ its shapes ─▶ the result, member by member
//! ```
//!
//! The shapes are those of AWS's own models, for all services (`schemas/service-outputs`). They are packed
//! service by service, so a check unpacks what it needs and keeps nothing. What no model describes is not
//! checked: activities and functions, HTTP endpoints, what comes back with a task token, and the few results
//! that Step Functions makes itself.

mod catalog;
mod operation;
mod walk;

use asl::program::{Resource, ServiceResource};
use serde::Deserialize;
use serde_json::Value;

use catalog::Service;
use operation::Operation;

/// How closely a result is held against the model (`mock.fieldValidationMode` of TestState).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum FieldValidation {
    /// What is required is there, and what is there fits.
    #[default]
    Strict,
    /// What is there fits.
    Present,
    /// Nothing is looked at.
    None,
}

/// Whether a task of this resource can have such a result; if not, the first problem in AWS's words.
///
/// Members that the model does not know are let pass, as AWS does. Takes time in proportion to the result,
/// however deep it is.
pub fn check(resource: &Resource, result: &Value, mode: FieldValidation) -> Result<(), String> {
    match (resource, mode) {
        (Resource::Activity { .. } | Resource::Function { .. }, _) | (_, FieldValidation::None) => Ok(()),
        (Resource::Service(resource), mode) => check_service(resource, result, mode),
    }
}

fn check_service(resource: &ServiceResource, result: &Value, mode: FieldValidation) -> Result<(), String> {
    let Some(operation) = Operation::of(resource) else { return Ok(()) };
    let Some(service) = Service::unpack(&operation.service, operation.spelling) else { return Ok(()) };
    let Some(output) = service.output(operation.name) else { return Ok(()) };
    walk::check(&service, output, operation.open, result, mode)
}

#[cfg(test)]
mod tests {
    use asl::program::Pattern;
    use serde_json::{Map, json};

    use super::FieldValidation::{None, Present, Strict};
    use super::*;

    /// `SERVICE:ACTION[PATTERN]`.
    fn resource(text: &str) -> Resource {
        let patterns = [Pattern::Sync2, Pattern::Sync, Pattern::WaitForTaskToken];
        let (call, pattern) = patterns
            .into_iter()
            .find_map(|pattern| Some((text.strip_suffix(&pattern.to_string())?, pattern)))
            .unwrap_or((text, Pattern::RequestResponse));
        let (service, action) = call.rsplit_once(':').unwrap();
        let (service, action) = (service.to_owned(), action.to_owned());
        Resource::Service(ServiceResource {
            arn: format!("arn:aws:states:::{text}"),
            service,
            action,
            pattern,
        })
    }

    /// What is said of a result in a mode, without the words that all begin with; empty if it passes.
    #[track_caller]
    fn said(called: &str, result: &Value, mode: FieldValidation) -> String {
        let Err(problem) = check(&resource(called), result, mode) else { return String::new() };
        problem.strip_prefix("Mock result schema validation error: ").unwrap().to_owned()
    }

    /// What is there is told alike in both modes that look.
    #[track_caller]
    fn expect(cases: &[(&str, Value, &str)]) {
        for (called, result, expected) in cases {
            for mode in [Strict, Present] {
                assert_eq!(said(called, result, mode), *expected, "{called} {mode:?}: {result}");
            }
            assert_eq!(said(called, result, None), "", "{called}: {result}");
        }
    }

    #[test]
    fn values_are_of_the_type_that_the_model_says() {
        expect(&[
            ("sns:publish", json!({"MessageId": 7}), "Field 'MessageId' must be a string"),
            ("sns:publish", json!({"MessageId": null}), "Field 'MessageId' must be a string"),
            (
                "aws-sdk:sqs:listQueues",
                json!({"QueueUrls": "https://q"}),
                "Field 'QueueUrls' must be an array",
            ),
            ("aws-sdk:sqs:listQueues", json!({"QueueUrls": ["q", 1]}), "Field 'QueueUrls' must be a string"),
            (
                "aws-sdk:sqs:getQueueAttributes",
                json!({"Attributes": []}),
                "Field 'Attributes' must be an object",
            ),
            (
                "aws-sdk:sqs:getQueueAttributes",
                json!({"Attributes": {"DelaySeconds": 0}}),
                "Field 'DelaySeconds' must be a string",
            ),
            ("ecs:runTask", json!({"Tasks": [{"Overrides": "none"}]}), "Field 'Overrides' must be an object"),
            ("ecs:runTask", json!({"Tasks": ["t"]}), "Field 'Tasks' must be an object"),
            ("ecs:runTask", json!({"Tasks": [{"Version": "3"}]}), "Field 'Version' must be a number"),
            ("dynamodb:getItem", json!({"Item": {"a": {"BOOL": "true"}}}), "Field 'BOOL' must be a boolean"),
            ("dynamodb:getItem", json!({"Item": {"a": {"BOOL": true}, "b": {"N": "1"}}}), ""),
        ]);
    }

    #[test]
    fn numbers_are_whole_or_not_and_times_and_bytes_are_text() {
        expect(&[
            ("ecs:runTask", json!({"Tasks": [{"Version": 3}]}), ""),
            ("dynamodb:updateItem", json!({"ConsumedCapacity": {"ReadCapacityUnits": 0.5}}), ""),
            ("dynamodb:updateItem", json!({"ConsumedCapacity": {"ReadCapacityUnits": 2}}), ""),
            (
                "aws-sdk:s3:headObject",
                json!({"ContentLength": true}),
                "Field 'ContentLength' must be a number",
            ),
            ("aws-sdk:s3:headObject", json!({"LastModified": "2024-02-29T08:00:00Z"}), ""),
            (
                "aws-sdk:s3:headObject",
                json!({"LastModified": 1_709_193_600}),
                "Field 'LastModified' must be a string",
            ),
            ("aws-sdk:kms:decrypt", json!({"Plaintext": "c2VjcmV0"}), ""),
            ("aws-sdk:kms:decrypt", json!({"Plaintext": {}}), "Field 'Plaintext' must be a string"),
        ]);
    }

    #[test]
    fn values_stay_in_their_bounds() {
        let memory = |megabytes| json!({"Functions": [{"MemorySize": megabytes}]});
        let listed = "aws-sdk:lambda:listFunctions";
        expect(&[
            (listed, memory(64), "Field 'MemorySize' is less than the minimum value"),
            (listed, memory(128), ""),
            (listed, memory(10_240), ""),
            (listed, memory(16_384), "Field 'MemorySize' exceeds the maximum value"),
            (listed, json!({"Functions": [{"State": "Asleep"}]}), "Field 'State' is not an expected value"),
            (listed, json!({"Functions": [{"State": 1}]}), "Field 'State' must be a string"),
            (listed, json!({"Functions": [{"State": "Active"}]}), ""),
            ("aws-sdk:kms:decrypt", json!({"KeyId": ""}), "Field 'KeyId' is smaller than the minimum length"),
            (
                "aws-sdk:kms:decrypt",
                json!({"KeyId": "k".repeat(2049)}),
                "Field 'KeyId' exceeds the maximum length",
            ),
            // In characters, not in bytes.
            ("aws-sdk:kms:decrypt", json!({"KeyId": "ü".repeat(2048)}), ""),
        ]);
    }

    #[test]
    fn required_members_may_be_absent_unless_strict() {
        let cases = [
            ("sagemaker:createModel", json!({}), "ModelArn"),
            ("aws-sdk:sfn:describeActivity", json!({"ActivityArn": "a", "Name": "n"}), "CreationDate"),
            ("aws-sdk:sfn:describeActivity", json!({"activityArn": "a"}), "ActivityArn"),
            ("aws-sdk:sfn:listActivities", json!({"Activities": [{"ActivityArn": "a"}]}), "Name"),
        ];
        for (called, result, name) in cases {
            assert_eq!(
                said(called, &result, Strict),
                format!("Required field '{name}' is missing"),
                "{called}"
            );
            assert_eq!(said(called, &result, Present), "", "{called}");
            assert_eq!(said(called, &result, None), "", "{called}");
        }
    }

    #[test]
    fn the_first_problem_is_told() {
        let both = json!({"Activities": [{"Name": 1}], "NextToken": 1});
        assert_eq!(said("aws-sdk:sfn:listActivities", &both, Present), "Field 'Name' must be a string");
        assert_eq!(
            said("aws-sdk:sfn:listActivities", &both, Strict),
            "Required field 'ActivityArn' is missing"
        );
        let turned = json!({"NextToken": 1, "Activities": [{"Name": 1}]});
        assert_eq!(said("aws-sdk:sfn:listActivities", &turned, Strict), "Field 'NextToken' must be a string");
    }

    #[test]
    fn what_the_model_does_not_know_passes() {
        let http = json!({"SdkHttpMetadata": {"HttpStatusCode": "ok"}, "nextToken": 1});
        expect(&[
            ("sqs:sendMessage", http.clone(), ""),
            ("aws-sdk:sqs:noSuchAction", http.clone(), ""),
            ("aws-sdk:nosuchservice:get", http, ""),
            // Answers nothing.
            ("aws-sdk:sqs:deleteQueue", json!("anything"), ""),
        ]);
    }

    #[test]
    fn a_task_that_waits_for_a_job_answers_how_the_job_is() {
        let ended = |status, output| json!({"ExecutionArn": "e", "StateMachineArn": "m", "StartDate": "d", "Status": status, "Output": output});
        let nested = "states:startExecution.sync";
        expect(&[
            (nested, ended("SUCCEEDED", json!("{}")), ""),
            (nested, ended("DONE", json!("{}")), "Field 'Status' is not an expected value"),
            (nested, ended("SUCCEEDED", json!({"total": 3})), "Field 'Output' must be a string"),
            ("states:startExecution.sync:2", ended("SUCCEEDED", json!({"total": 3})), ""),
            (
                "states:startExecution.sync:2",
                ended("DONE", json!(1)),
                "Field 'Status' is not an expected value",
            ),
            // What the call itself answers has no status.
            ("states:startExecution", ended("DONE", json!(1)), ""),
            ("batch:submitJob.sync", json!({"Jobs": {}}), "Field 'Jobs' must be an array"),
            (
                "glue:startJobRun.sync",
                json!({"JobRun": {"Attempt": "1"}}),
                "Field 'Attempt' must be a number",
            ),
            ("elasticmapreduce:addStep.sync", json!({"Step": []}), "Field 'Step' must be an object"),
            ("eks:runJob.sync", json!({"Logs": 1}), ""),
        ]);
        assert_eq!(said(nested, &json!({}), Strict), "Required field 'ExecutionArn' is missing");
    }

    #[test]
    fn results_that_no_service_answers_are_let_be() {
        let odd = json!({"Payload": {"n": 1}, "MessageId": 1, "Body": {"text": "hi"}, "ContentType": "json"});
        expect(&[
            ("sns:publish.waitForTaskToken", odd.clone(), ""),
            ("lambda:invoke", odd.clone(), ""),
            ("aws-sdk:lambda:invoke", odd.clone(), "Field 'Payload' must be a string"),
            ("bedrock:invokeModel", odd.clone(), ""),
            ("http:invoke", odd.clone(), ""),
            ("apigateway:invoke", odd.clone(), ""),
            ("eks:call", odd.clone(), ""),
            ("elasticmapreduce:createCluster", json!({"ClusterId": 1, "ClusterArn": 1}), ""),
            ("bedrockagentcore:invokeAgentRuntime", odd.clone(), ""),
        ]);
        for resource in [
            Resource::Activity { arn: "arn:aws:states:eu-west-1:1:activity:a".to_owned() },
            Resource::Function { arn: "arn:aws:lambda:eu-west-1:1:function:f".to_owned() },
        ] {
            assert_eq!(check(&resource, &odd, Strict), Ok(()));
        }
    }

    #[test]
    fn services_have_the_names_that_resources_have_for_them() {
        for (called, member) in [
            ("aws-sdk:cloudwatchlogs:describeLogGroups", "LogGroups"),
            ("aws-sdk:elasticloadbalancingv2:describeRules", "Rules"),
            ("aws-sdk:apigateway:getRestApis", "Items"),
            ("aws-sdk:config:describeConfigRules", "ConfigRules"),
            ("aws-sdk:eventbridge:listRules", "Rules"),
            ("aws-sdk:cloudwatchevents:listRules", "Rules"),
            ("aws-sdk:cognitoidentityprovider:listUsers", "Users"),
            ("aws-sdk:applicationautoscaling:describeScalingPolicies", "ScalingPolicies"),
            ("aws-sdk:databasemigration:describeEvents", "Events"),
            ("aws-sdk:sfn:listExecutions", "Executions"),
            ("states:startExecution.sync", "ExecutionArn"),
            ("events:putEvents", "Entries"),
            ("elasticmapreduce:createCluster.sync", "Cluster"),
            ("emr-containers:startJobRun.sync", "JobRun"),
            ("emr-serverless:startJobRun", "JobRunId"),
        ] {
            let problem = said(called, &json!({member: false}), Present);
            assert!(problem.starts_with(&format!("Field '{member}' must be a")), "{called}: {problem}");
        }
    }

    #[test]
    fn members_that_begin_with_an_acronym_are_known_in_both_spellings() {
        let clusters = "aws-sdk:rds:describeDBClusters";
        expect(&[
            (clusters, json!({"DbClusters": 1}), "Field 'DbClusters' must be an array"),
            (clusters, json!({"DBClusters": 1}), "Field 'DBClusters' must be an array"),
            ("aws-sdk:dynamodb:scan", json!({"Items": [{"a": {"Ss": "x"}}]}), "Field 'Ss' must be an array"),
            ("aws-sdk:dynamodb:scan", json!({"Items": [{"a": {"SS": "x"}}]}), "Field 'SS' must be an array"),
            ("aws-sdk:s3:headObject", json!({"SSEKMSKeyId": 1}), "Field 'SSEKMSKeyId' must be a string"),
            ("aws-sdk:s3:headObject", json!({"SsekmsKeyId": 1}), "Field 'SsekmsKeyId' must be a string"),
        ]);
    }

    #[test]
    fn a_result_is_an_object() {
        for result in [json!("text"), json!([1]), Value::Null] {
            let problem = check(&resource("sns:publish"), &result, Present);
            assert_eq!(problem, Err("Mocked result must be a JSON object.".to_owned()));
        }
    }

    #[test]
    fn a_deep_result_is_looked_at_to_its_end() {
        let mut item = json!({"S": 1});
        for _ in 0..2_000 {
            item = Value::Object(Map::from_iter([("L".to_owned(), Value::Array(vec![item]))]));
        }
        let mut result = json!({"Item": {"a": null}});
        result["Item"]["a"] = item;
        assert_eq!(said("dynamodb:getItem", &result, Strict), "Field 'S' must be a string");
    }

    #[test]
    fn the_mode_is_written_as_in_the_api() {
        let read = |text: &str| serde_json::from_value::<FieldValidation>(json!(text)).ok();
        assert_eq!(read("PRESENT"), Some(Present));
        assert_eq!((read("STRICT"), read("NONE")), (Some(Strict), Some(None)));
        assert_eq!(read("strict"), Option::None);
        assert_eq!(FieldValidation::default(), Strict);
    }
}
