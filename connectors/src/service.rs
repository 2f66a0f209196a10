//! How a service of AWS tells a task that a call went well or not.
//!
//! An optimized integration (`sqs:sendMessage`) speaks as the AWS SDK for Java 1 does, one of the kind
//! `aws-sdk:sqs:sendMessage` as version 2 does: other names of errors, other causes, and no wrapper around
//! the answer.

use std::fmt::Display;

use asl::data::Failure;
use asl::program::{Pattern, Resource, ServiceResource};
use serde_json::Value;
use uuid::Uuid;

use crate::Request;
use crate::metadata::{HttpAnswer, ServiceError, derived_uuid};

/// A service by its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// What errors of the optimized integration begin with: `SQS`.
    pub prefix: &'static str,
    /// What causes of the optimized integration call it: `AmazonSQS`.
    pub label: &'static str,
    /// What `aws-sdk` errors begin with, and what their causes call it: `Sqs`.
    pub sdk: &'static str,
}

/// What a service refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The service's code: `MissingParameter`.
    pub code: &'static str,
    /// The class of the exception in the SDK, where it has one of its own.
    pub exception: Option<&'static str>,
    /// In the words of the service.
    pub message: String,
}

impl Refusal {
    /// A bad request, of no exception of its own.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Refusal { status: 400, code, exception: None, message: message.into() }
    }
}

/// Which of the two speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Optimized,
    AwsSdk,
}

/// One call of a service, as the task that made it hears of it.
///
/// ```
/// use asl::program::{Pattern, Resource, ServiceResource};
/// use connectors::service::{Call, Refusal, Service};
///
/// const QUEUES: Service = Service { prefix: "SQS", label: "AmazonSQS", sdk: "Sqs" };
/// let request = connectors::Request {
///     id: "attempt-1".to_owned(),
///     resource: Resource::Service(ServiceResource {
///         arn: "arn:aws:states:::aws-sdk:sqs:sendMessage".to_owned(),
///         service: "aws-sdk:sqs".to_owned(),
///         action: "sendMessage".to_owned(),
///         pattern: Pattern::RequestResponse,
///     }),
///     parameters: serde_json::json!({}),
///     execution_arn: "arn:aws:states:us-east-1:000000000000:execution:m:e".to_owned(),
///     timeout: None,
///     again: false,
/// };
/// let call = Call::of(QUEUES, &request);
/// let failure = call.refused(&Refusal::bad_request("InvalidParameterValue", "Too long."));
/// assert_eq!(failure.error.as_deref(), Some("Sqs.SqsException"));
/// ```
#[derive(Debug, Clone)]
pub struct Call {
    service: Service,
    dialect: Dialect,
    request_id: Uuid,
}

impl Call {
    /// The call that a request makes. Its id is the same when the request is made again.
    pub fn of(service: Service, request: &Request) -> Self {
        let sdk = matches!(&request.resource, Resource::Service(resource)
            if resource.service.starts_with("aws-sdk:"));
        let dialect = if sdk { Dialect::AwsSdk } else { Dialect::Optimized };
        Call { service, dialect, request_id: derived_uuid(service.prefix, &request.id) }
    }

    /// Whether it is one of the kind `aws-sdk:…`.
    pub fn is_sdk(&self) -> bool {
        self.dialect == Dialect::AwsSdk
    }

    /// The failure of a task whose call the service refused.
    pub fn refused(&self, refusal: &Refusal) -> Failure {
        let Service { prefix, label, sdk } = self.service;
        let Refusal { status, code, exception, message } = refusal;
        let request_id = self.request_id.to_string();
        match self.dialect {
            Dialect::Optimized => {
                let cause = ServiceError {
                    prefix,
                    service: label,
                    status: *status,
                    code,
                    message,
                    request_id: &request_id,
                }
                .cause();
                let own = exception.map_or_else(|| format!("{label}Exception"), str::to_owned);
                Failure::new(format!("{prefix}.{own}"), cause)
            }
            Dialect::AwsSdk => {
                let own = exception.map_or_else(|| format!("{sdk}Exception"), str::to_owned);
                sdk_failure(sdk, &own, *status, message, &request_id)
            }
        }
    }

    /// The failure of a task whose service could not be asked, or did not say what it did.
    pub fn unreachable(&self, reason: impl Display) -> Failure {
        let Service { prefix, sdk, .. } = self.service;
        let prefix = if self.is_sdk() { sdk } else { prefix };
        Failure::new(
            format!("{prefix}.SdkClientException"),
            format!("Unable to execute HTTP request: {reason}"),
        )
    }

    /// The answer of a call of a service that speaks JSON.
    pub fn answered(&self, members: Vec<(&str, Value)>) -> Value {
        let bytes = object(&members).to_string().len();
        self.answered_in(members, "application/x-amz-json-1.0", bytes)
    }

    /// The answer of a call: its members, and for an optimized integration how the HTTP call went, which
    /// had a body of this type and length.
    pub fn answered_in(&self, mut members: Vec<(&str, Value)>, content_type: &str, bytes: usize) -> Value {
        if !self.is_sdk() {
            let http = HttpAnswer::of_sdk(self.request_id.to_string(), content_type, bytes);
            members.push(("SdkHttpMetadata", http.http_metadata()));
            members.push(("SdkResponseMetadata", http.response_metadata()));
        }
        members.sort_by_key(|(name, _)| *name);
        object(&members)
    }
}

/// An object of these members, in their order.
pub(crate) fn object(members: &[(&str, Value)]) -> Value {
    Value::Object(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

/// What the AWS SDK for Java 2 reports of an answer that is an error.
pub(crate) fn sdk_failure(
    service: &str,
    exception: &str,
    status: u16,
    message: &str,
    request_id: &str,
) -> Failure {
    Failure::new(
        format!("{service}.{exception}"),
        format!(
            "{message} (Service: {service}, Status Code: {status}, Request ID: {request_id}) \
             (SDK Attempt Count: 1)"
        ),
    )
}

/// The action of a resource of one of these services, where its task ends with the call or by a token.
pub fn action<'a>(resource: &'a Resource, services: &[&str]) -> Option<&'a str> {
    match resource {
        Resource::Service(ServiceResource { service, action, pattern, .. })
            if services.contains(&service.as_str())
                && matches!(pattern, Pattern::RequestResponse | Pattern::WaitForTaskToken) =>
        {
            Some(action)
        }
        Resource::Service(_) | Resource::Function { .. } | Resource::Activity { .. } => None,
    }
}
