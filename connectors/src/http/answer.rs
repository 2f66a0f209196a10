//! From what a host answered to what a task shows.

use std::collections::BTreeMap;

use asl::data::Failure;
use asl::data::failure::names;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::client::Incoming;

/// The result of a task, or its failure where the status is none of success.
pub(super) fn shown(incoming: Incoming) -> Result<Value, Failure> {
    let Incoming { status, headers, body } = incoming;
    if !status.is_success() {
        let cause = String::from_utf8_lossy(&body).into_owned();
        return Err(Failure::new(format!("States.Http.StatusCode.{}", status.as_u16()), cause));
    }
    let media_type = media_type(&headers);
    if is_binary(&media_type) {
        return Err(Failure::runtime(format!(
            "The response has the content type '{media_type}', which is not supported"
        )));
    }
    let text = String::from_utf8(body)
        .map_err(|_| Failure::runtime("The response could not be read as a string"))?;
    Ok(json!({
        "Headers": listed(&headers),
        "ResponseBody": body_of(text, &media_type),
        "StatusCode": status.as_u16(),
        "StatusText": status.canonical_reason().unwrap_or_default(),
    }))
}

/// A result that is larger than results may be, in the words of any task.
pub(super) fn too_large() -> Failure {
    Failure::new(
        names::DATA_LIMIT_EXCEEDED,
        "The state/task 'http' returned a result with a size exceeding the maximum number of bytes service \
         limit.",
    )
}

/// Type and subtype in lower case, without parameters.
fn media_type(headers: &HeaderMap) -> String {
    let written = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What a task cannot hold (user guide, "Unsupported HTTP Task responses").
fn is_binary(media_type: &str) -> bool {
    media_type == "application/octet-stream"
        || ["image/", "video/", "audio/"].iter().any(|prefix| media_type.starts_with(prefix))
}

/// JSON that says so is parsed; anything else is text.
fn body_of(text: String, media_type: &str) -> Value {
    let is_json = media_type == "application/json" || media_type.ends_with("+json");
    match is_json.then(|| serde_json::from_str(&text)) {
        Some(Ok(value)) => value,
        Some(Err(_)) | None => Value::String(text),
    }
}

/// Each header on a line of its own, in their order.
pub(super) fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    headers.iter().map(line).collect()
}

fn listed(headers: &HeaderMap) -> BTreeMap<&str, Vec<String>> {
    let values = |name| {
        let values = headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    };
    headers.keys().map(|name| (name.as_str(), values(name))).collect()
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    fn answer(status: u16, content_type: &'static str, body: &[u8]) -> Result<Value, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.append("x-two", HeaderValue::from_static("1"));
        headers.append("x-two", HeaderValue::from_static("2"));
        shown(Incoming { status: StatusCode::from_u16(status).unwrap(), headers, body: body.to_vec() })
    }

    #[test]
    fn an_answer_is_shown_as_aws_shows_it() {
        assert_eq!(
            answer(201, "application/json; charset=utf-8", br#"{"id": 7}"#),
            Ok(json!({
                "Headers": {"content-type": ["application/json; charset=utf-8"], "x-two": ["1", "2"]},
                "ResponseBody": {"id": 7},
                "StatusCode": 201,
                "StatusText": "Created",
            }))
        );
    }

    #[test]
    fn only_json_is_parsed() {
        let body = |content_type, body: &str| {
            answer(200, content_type, body.as_bytes()).unwrap()["ResponseBody"].clone()
        };
        assert_eq!(body("application/problem+json", "[1]"), json!([1]));
        assert_eq!(body("Application/JSON", "1"), json!(1));
        assert_eq!(body("application/json", "{broken"), json!("{broken"));
        assert_eq!(body("application/json", ""), json!(""));
        assert_eq!(body("text/plain", "[1]"), json!("[1]"));
        let deep = "[".repeat(100_000);
        assert_eq!(body("application/json", &deep), json!(deep));
    }

    #[test]
    fn what_is_no_success_is_a_failure_with_the_body_as_its_cause() {
        for status in [304, 404, 500] {
            let failure = answer(status, "text/html", b"<p>no\xff").unwrap_err();
            assert_eq!(failure, Failure::new(format!("States.Http.StatusCode.{status}"), "<p>no\u{fffd}"));
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for content_type in ["application/octet-stream", "image/png", "video/mp4", "Audio/ogg; x=y"] {
            assert!(answer(200, content_type, b"x").unwrap_err().is(names::RUNTIME), "{content_type}");
        }
        assert!(answer(200, "text/plain", b"\xff\xfe").unwrap_err().is(names::RUNTIME));
    }
}
