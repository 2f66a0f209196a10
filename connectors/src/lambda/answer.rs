//! From what a function answered to what its task shows.

use asl::data::Failure;
use serde_json::{Value, json};

use crate::metadata::HttpAnswer;

/// What came back from a function, wherever it ran.
#[derive(Debug)]
pub(super) struct Answer {
    /// Status, headers and request id.
    pub(super) http: HttpAnswer,
    /// Which version ran.
    pub(super) executed_version: Option<String>,
    /// The last lines of the log, where asked for; base64.
    pub(super) log_result: Option<String>,
    /// Whether the function itself failed; the payload then describes the error.
    pub(super) failed: bool,
    /// JSON.
    pub(super) payload: String,
}

impl Answer {
    /// The result of a task that names the function as its resource: the payload.
    pub(super) fn into_payload(self) -> Result<Value, Failure> {
        if self.failed {
            // The payload as it came, to the byte (recorded on AWS).
            return Err(function_error(&self.payload, self.payload.clone()));
        }
        parse(&self.payload, Value::Null)
    }

    /// The result of `lambda:invoke`: the payload in its wrapper.
    pub(super) fn into_response(self) -> Result<Value, Failure> {
        if self.failed {
            // Here AWS has parsed the payload and prints it anew.
            let printed = parse(&self.payload, Value::Null).map_or(self.payload.clone(), |it| it.to_string());
            return Err(function_error(&self.payload, printed));
        }
        let mut output = json!({});
        if let Some(version) = &self.executed_version {
            output["ExecutedVersion"] = json!(version);
        }
        if let Some(log) = &self.log_result {
            output["LogResult"] = json!(log);
        }
        output["Payload"] = parse(&self.payload, json!(""))?;
        output["SdkHttpMetadata"] = self.http.http_metadata();
        output["SdkResponseMetadata"] = self.http.response_metadata();
        output["StatusCode"] = json!(self.http.status);
        Ok(output)
    }
}

/// The payload of the error that Lambda itself reports for a function: `Sandbox.Timedout` and the like.
pub(super) fn error_payload(error_type: &str, message: &str) -> String {
    json!({"errorType": error_type, "errorMessage": message}).to_string()
}

/// The payload of the error that Lambda reports for an answer over its limit.
pub(super) fn too_large_payload(bytes_max: usize) -> String {
    let message = format!("Response payload size exceeded maximum allowed payload size ({bytes_max} bytes).");
    error_payload("Function.ResponseSizeTooLarge", &message)
}

/// Whether a payload describes an error as Lambda's runtimes do, and holds nothing else.
pub(super) fn is_error(payload: &str) -> bool {
    const MEMBERS: [&str; 4] = ["errorType", "errorMessage", "stackTrace", "trace"];
    match serde_json::from_str(payload) {
        Ok(Value::Object(members)) => {
            members.get("errorType").is_some_and(Value::is_string)
                && members.keys().all(|member| MEMBERS.contains(&member.as_str()))
        }
        Ok(_) | Err(_) => false,
    }
}

/// A function that failed without saying how.
pub(super) fn unknown(cause: impl Into<String>) -> Failure {
    Failure::new("Lambda.Unknown", cause)
}

fn function_error(payload: &str, cause: String) -> Failure {
    let parsed: Value = serde_json::from_str(payload).unwrap_or_default();
    match parsed["errorType"].as_str() {
        None | Some("") => unknown(format!(
            "The cause could not be determined because Lambda did not return an error type. \
             Returned payload: {cause}"
        )),
        Some(name) => Failure::new(name, cause),
    }
}

fn parse(payload: &str, empty: Value) -> Result<Value, Failure> {
    if payload.trim().is_empty() {
        return Ok(empty);
    }
    serde_json::from_str(payload).map_err(|error| {
        let begin: String = payload.chars().take(256).collect();
        unknown(format!("The function did not answer JSON: {error}. Its answer begins: {begin}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(failed: bool, payload: &str) -> Answer {
        let http = HttpAnswer { status: 200, headers: Vec::new(), request_id: "id".to_owned() };
        Answer { http, executed_version: None, log_result: None, failed, payload: payload.to_owned() }
    }

    fn check(payload: &str, direct: Failure, invoke: Failure) {
        assert_eq!(answer(true, payload).into_payload(), Err(direct));
        assert_eq!(answer(true, payload).into_response(), Err(invoke));
    }

    #[test]
    fn an_error_is_named_by_its_type_and_caused_by_its_payload() {
        let spaced = r#"{"errorType": "Late", "errorMessage": ""}"#;
        let compact = r#"{"errorType":"Late","errorMessage":""}"#;
        check(spaced, Failure::new("Late", spaced), Failure::new("Late", compact));
        let without = "The cause could not be determined because Lambda did not return an error type. \
                       Returned payload: ";
        for payload in [r#"{"errorMessage":"m"}"#, r#""boom""#, "not JSON", "[]"] {
            let failure = unknown(format!("{without}{payload}"));
            check(payload, failure.clone(), failure);
        }
    }

    #[test]
    fn an_answer_that_is_not_json_is_an_unknown_failure() {
        let failure = answer(false, "<html>").into_payload().unwrap_err();
        assert!(failure.is("Lambda.Unknown"));
        assert!(failure.cause.unwrap().ends_with("Its answer begins: <html>"));
    }

    #[test]
    fn only_an_object_that_is_nothing_but_an_error_is_one() {
        assert!(is_error(r#"{"errorType": "Late"}"#));
        assert!(is_error(r#"{"errorMessage": "m", "errorType": "Late", "stackTrace": []}"#));
        for output in
            ["{}", r#"{"errorMessage": "m"}"#, r#"{"errorType": 1}"#, r#"{"errorType": "x", "id": 1}"#, "[]"]
        {
            assert!(!is_error(output), "{output}");
        }
    }

    #[test]
    fn an_empty_answer_is_null_or_an_empty_payload() {
        assert_eq!(answer(false, " \n").into_payload(), Ok(Value::Null));
        assert_eq!(answer(false, "").into_response().unwrap()["Payload"], json!(""));
    }
}
