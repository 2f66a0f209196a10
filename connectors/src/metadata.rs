//! What an optimized integration wraps around the answer of a service: how the HTTP call went, in the
//! shape of the AWS SDK for Java.

use std::time::SystemTime;

use asl::data::Failure;
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};
use uuid::{Builder, Uuid};

/// One HTTP answer.
#[derive(Debug, Clone)]
pub(crate) struct HttpAnswer {
    /// The status code.
    pub(crate) status: u16,
    /// Spelled and ordered as `AllHttpHeaders` shows them.
    pub(crate) headers: Vec<(String, String)>,
    /// The id of the call.
    pub(crate) request_id: String,
}

impl HttpAnswer {
    /// The answer to a call that an SDK made and that went well: a body of this type and length.
    pub(crate) fn of_sdk(request_id: String, content_type: &str, bytes: usize) -> Self {
        let headers = [
            ("x-amzn-RequestId", request_id.clone()),
            ("connection", "keep-alive".to_owned()),
            ("Content-Length", bytes.to_string()),
            ("Date", http_date()),
            ("Content-Type", content_type.to_owned()),
        ];
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        HttpAnswer { status: 200, headers, request_id }
    }

    /// `SdkHttpMetadata`: `HttpHeaders` in the order of their names, without regard to case.
    pub(crate) fn http_metadata(&self) -> Value {
        let mut all = Map::new();
        for (name, value) in &self.headers {
            if let Value::Array(values) = all.entry(name.clone()).or_insert_with(|| json!([])) {
                values.push(json!(value));
            }
        }
        let mut sorted: Vec<_> = self.headers.iter().collect();
        sorted.sort_by_key(|(name, _)| name.to_ascii_lowercase());
        let last: Map<_, _> = sorted.into_iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({"AllHttpHeaders": all, "HttpHeaders": last, "HttpStatusCode": self.status})
    }

    /// `SdkResponseMetadata`.
    pub(crate) fn response_metadata(&self) -> Value {
        json!({"RequestId": self.request_id})
    }
}

/// An error that a service answered: which one, and as which kind of call.
pub(crate) struct ServiceError<'a> {
    /// `Lambda`: what error names begin with.
    pub(crate) prefix: &'a str,
    /// `AWSLambda`: what causes call the service.
    pub(crate) service: &'a str,
    /// The HTTP status of the answer.
    pub(crate) status: u16,
    /// `ResourceNotFoundException`, `StateMachineDoesNotExist`.
    pub(crate) code: &'a str,
    /// In the words of the service.
    pub(crate) message: &'a str,
    /// The id of the call.
    pub(crate) request_id: &'a str,
}

impl ServiceError<'_> {
    /// As the SDK reports it to the task, under the service's own name for it.
    pub(crate) fn failure(&self) -> Failure {
        let ServiceError { prefix, code, .. } = self;
        let suffix = if code.ends_with("Exception") { "" } else { "Exception" };
        Failure::new(format!("{prefix}.{code}{suffix}"), self.cause())
    }

    /// What the SDK says of it.
    pub(crate) fn cause(&self) -> String {
        let ServiceError { service, status, code, message, request_id, .. } = self;
        format!(
            "{message} (Service: {service}; Status Code: {status}; Error Code: {code}; \
             Request ID: {request_id}; Proxy: null)"
        )
    }
}

/// A UUID (version 5) that is always the same for the same task attempt and purpose.
pub(crate) fn derived_uuid(purpose: &str, request_id: &str) -> Uuid {
    let digest = Sha1::new().chain_update(purpose).chain_update([0]).chain_update(request_id).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_sha1_bytes(bytes).into_uuid()
}

/// Now, for a `Date` header.
pub(crate) fn http_date() -> String {
    httpdate::fmt_http_date(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_listed_and_sorted() {
        let headers = [("x-b", "1"), ("A", "2"), ("x-b", "3"), ("X-a", "4")];
        let answer = HttpAnswer {
            status: 200,
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            request_id: "id".to_owned(),
        };
        assert_eq!(
            answer.http_metadata().to_string(),
            r#"{"AllHttpHeaders":{"x-b":["1","3"],"A":["2"],"X-a":["4"]},"HttpHeaders":{"A":"2","X-a":"4","x-b":"3"},"HttpStatusCode":200}"#
        );
    }

    #[test]
    fn a_derived_uuid_is_the_same_again() {
        let id = derived_uuid("child", "7-1");
        assert_eq!(id, derived_uuid("child", "7-1"));
        assert_ne!(id, derived_uuid("child", "7-2"));
        assert_ne!(id, derived_uuid("other", "7-1"));
        assert_eq!(id.get_version_num(), 5);
    }
}
