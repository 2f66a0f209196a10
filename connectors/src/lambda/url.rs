//! A function behind a URL: a client of the Lambda Invoke API.

use std::error::Error as _;
use std::time::Duration;

use asl::data::Failure;
use reqwest::header::HeaderMap;
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

use super::Call;
use super::answer::{Answer, too_large_payload};
use super::config::FunctionUrl;
use crate::metadata::HttpAnswer;

/// The headers of Lambda's answers as AWS spells and orders them in `AllHttpHeaders`; HTTP libraries
/// forget the spelling.
const HEADERS: [&str; 10] = [
    "X-Amz-Log-Result",
    "X-Amz-Function-Error",
    "X-Amz-Executed-Version",
    "x-amzn-Remapped-Content-Length",
    "Connection",
    "x-amzn-RequestId",
    "Content-Length",
    "Date",
    "X-Amzn-Trace-Id",
    "Content-Type",
];
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The client that all calls share. Its own time-out is for connecting only: how long a function may take
/// is the function's. Proxies of the environment are not asked, for hosts of functions are most often near.
pub(super) fn client() -> reqwest::Result<Client> {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
}

/// Calls a function. Dropping the future closes the connection.
pub(super) async fn invoke(
    client: &Client,
    url: &FunctionUrl,
    call: &Call<'_>,
    bytes_max: usize,
) -> Result<Answer, Failure> {
    let mut target = url.invocations(&call.function.written);
    if let Some(qualifier) = &call.qualifier {
        target.query_pairs_mut().append_pair("Qualifier", qualifier);
    }
    let mut request = client
        .post(target)
        .header("Content-Type", "application/json")
        .header("X-Amz-Invocation-Type", call.invocation.as_str())
        .header("X-Amz-Log-Type", if call.log { "Tail" } else { "None" })
        .header("X-Amzn-RequestId", call.request_id.to_string());
    if let Some(context) = call.client_context {
        request = request.header("X-Amz-Client-Context", context);
    }
    let mut response = request.body(call.payload.clone()).send().await.map_err(not_sent)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(not_sent)? {
        body.extend_from_slice(&chunk);
        if body.len() > bytes_max {
            return Ok(too_large(&response, call, bytes_max));
        }
    }
    let payload = String::from_utf8_lossy(&body).into_owned();
    if response.status().is_success() {
        Ok(answered(&response, call, payload))
    } else {
        Err(refused(&response, call, &payload))
    }
}

fn not_sent(error: reqwest::Error) -> Failure {
    // The error itself names the URL; what went wrong is in its sources.
    let mut cause = format!("Unable to execute HTTP request: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        cause.push_str(&format!(": {error}"));
        source = error.source();
    }
    Failure::new("Lambda.SdkClientException", cause)
}

fn answered(response: &Response, call: &Call<'_>, payload: String) -> Answer {
    let headers = response.headers();
    Answer {
        http: http_answer(response, call),
        executed_version: text(headers, "x-amz-executed-version").map(str::to_owned),
        log_result: text(headers, "x-amz-log-result").map(str::to_owned),
        failed: headers.contains_key("x-amz-function-error"),
        payload,
    }
}

fn too_large(response: &Response, call: &Call<'_>, bytes_max: usize) -> Answer {
    Answer { failed: true, ..answered(response, call, too_large_payload(bytes_max)) }
}

fn http_answer(response: &Response, call: &Call<'_>) -> HttpAnswer {
    let headers = response.headers();
    let mut spelled: Vec<_> = headers
        .iter()
        .map(|(name, value)| (spell(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    spelled.sort_by_key(|(name, _)| HEADERS.iter().position(|known| known == name).unwrap_or(HEADERS.len()));
    let request_id = text(headers, "x-amzn-requestid").map_or(call.request_id.to_string(), str::to_owned);
    HttpAnswer { status: response.status().as_u16(), headers: spelled, request_id }
}

/// A header's name as AWS spells it; one it does not send, in capitals after each hyphen.
fn spell(name: &str) -> String {
    if let Some(known) = HEADERS.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        return (*known).to_owned();
    }
    let capital = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    name.split('-').map(capital).collect::<Vec<_>>().join("-")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// An answer that is no success, as the service's error.
fn refused(response: &Response, call: &Call<'_>, body: &str) -> Failure {
    let parsed: Value = serde_json::from_str(body).unwrap_or_default();
    let status = response.status();
    // `ResourceNotFoundException:http://…` and `com.amazonaws…#ResourceNotFoundException` are seen too.
    let code = text(response.headers(), "x-amzn-errortype").or(parsed["__type"].as_str()).map_or_else(
        || default_code(status),
        |code| code.split(':').next().and_then(|code| code.rsplit('#').next()).unwrap_or_default(),
    );
    let begin: String = body.chars().take(256).collect();
    let message = parsed["Message"].as_str().or(parsed["message"].as_str()).unwrap_or(&begin);
    let HttpAnswer { request_id, .. } = http_answer(response, call);
    super::service_error(status.as_u16(), code, message, &request_id)
}

/// The error of a host that does not name it, so that the usual Retry of a Lambda task applies.
fn default_code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequestsException",
        status if status.is_server_error() => "ServiceException",
        _ => "AWSLambdaException",
    }
}
