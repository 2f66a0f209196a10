//! Functions behind a URL, on a host as small as can be.

use asl::data::Failure;
use asl::program::Pattern;
use connectors::Connector;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{HANGS, NoSubmission, connector, direct, function, invoke, request, service, without_id};

/// Reads one request: its head, and a body of the length it tells.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "the request ends early");
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return text.into_owned();
        }
    }
}

/// Answers one request; the handle ends with that request.
async fn host(answer: String) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let request = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        // The client may have had enough before all is written.
        let _ = stream.write_all(answer.as_bytes()).await;
        request
    });
    (url, request)
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

const LAMBDA: &str = "200 OK\r\nDate: Sat, 01 Jan 2022 00:00:00 GMT\r\nContent-Type: application/json\r\n\
                      Connection: keep-alive\r\nx-amzn-RequestId: r-1\r\nx-amzn-Remapped-Content-Length: 0\r\n\
                      X-Amzn-Trace-Id: root=1\r\nX-Amz-Executed-Version: $LATEST";

#[tokio::test]
async fn a_function_is_posted_its_input() {
    let (url, seen) = host(answer(LAMBDA, "{\"n\": 2}")).await;
    let connector = connector(json!({"default_url": url}));
    assert_eq!(direct(&connector, "f", json!({"n": 1})).await, Ok(json!({"n": 2})));
    let seen = seen.await.unwrap();
    let path = "/2015-03-31/functions/arn:aws:lambda:eu-west-1:111122223333:function:f/invocations";
    assert!(seen.starts_with(&format!("POST {path} HTTP/1.1\r\n")), "{seen}");
    assert!(seen.contains("\r\nx-amz-invocation-type: RequestResponse\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\n{\"n\":1}"), "{seen}");
}

#[tokio::test]
async fn invoke_sends_its_parameters_and_wraps_the_answer_as_aws_does() {
    let (url, seen) = host(answer(&format!("{LAMBDA}\r\nX-Amz-Log-Result: TE9H\r\nx-my-own: 1"), "{}")).await;
    let connector = connector(json!({"f": {"url": url}}));
    let parameters = json!({
        "FunctionName": "f", "Payload": "0.0", "Qualifier": "PROD", "LogType": "Tail", "ClientContext": "e30=",
    });
    let resource = service("invoke", Pattern::WaitForTaskToken);
    let output = connector.run(request(resource, parameters), &NoSubmission).await.unwrap();
    let expected = concat!(
        r#"{"ExecutedVersion":"$LATEST","LogResult":"TE9H","Payload":{},"SdkHttpMetadata":{"AllHttpHeaders":{"#,
        r#""X-Amz-Log-Result":["TE9H"],"X-Amz-Executed-Version":["$LATEST"],"x-amzn-Remapped-Content-Length":["0"],"#,
        r#""Connection":["keep-alive"],"x-amzn-RequestId":["r-1"],"Content-Length":["2"],"#,
        r#""Date":["Sat, 01 Jan 2022 00:00:00 GMT"],"X-Amzn-Trace-Id":["root=1"],"#,
        r#""Content-Type":["application/json"],"X-My-Own":["1"]},"#,
        r#""HttpHeaders":{"Connection":"keep-alive","Content-Length":"2","Content-Type":"application/json","#,
        r#""Date":"Sat, 01 Jan 2022 00:00:00 GMT","X-Amz-Executed-Version":"$LATEST","X-Amz-Log-Result":"TE9H","#,
        r#""x-amzn-Remapped-Content-Length":"0","x-amzn-RequestId":"r-1","X-Amzn-Trace-Id":"root=1","X-My-Own":"1"},"#,
        r#""HttpStatusCode":200},"SdkResponseMetadata":{"RequestId":"r-1"},"StatusCode":200}"#,
    );
    assert_eq!(output.to_string(), expected);
    let seen = seen.await.unwrap();
    assert!(
        seen.starts_with("POST /2015-03-31/functions/f/invocations?Qualifier=PROD HTTP/1.1\r\n"),
        "{seen}"
    );
    assert!(seen.contains("\r\nx-amz-log-type: Tail\r\n"), "{seen}");
    assert!(seen.contains("\r\nx-amz-client-context: e30=\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\n0.0"), "{seen}");
}

#[tokio::test]
async fn an_accepted_event_has_an_empty_payload() {
    let (url, seen) = host(answer("202 Accepted", "")).await;
    let connector = connector(json!({"f": {"url": url}}));
    let output = invoke(&connector, json!({"FunctionName": "f", "InvocationType": "Event"})).await.unwrap();
    assert_eq!((&output["StatusCode"], &output["Payload"]), (&json!(202), &json!("")));
    assert!(seen.await.unwrap().contains("\r\nx-amz-invocation-type: Event\r\n"));
}

/// The task fails like this when the host answers like that.
async fn check(head: &str, body: &str, error: &str, cause: &str) {
    let (url, _) = host(answer(head, body)).await;
    let connector = connector(json!({"default_url": url, "output_bytes_max": 1000}));
    let failure = direct(&connector, "f", Value::Null).await.unwrap_err();
    assert_eq!(without_id(failure), (error.to_owned(), cause.to_owned()));
}

#[tokio::test]
async fn what_a_host_refuses_is_a_failure_in_the_words_of_the_sdk() {
    let cause = |message: &str, status: u16, code: &str| {
        format!(
            "{message} (Service: AWSLambda; Status Code: {status}; Error Code: {code}; Request ID: <id>; \
             Proxy: null)"
        )
    };
    check(
        "404 Not Found\r\nx-amzn-ErrorType: ResourceNotFoundException:http://internal",
        r#"{"Message": "Function not found: f", "Type": "User"}"#,
        "Lambda.ResourceNotFoundException",
        &cause("Function not found: f", 404, "ResourceNotFoundException"),
    )
    .await;
    let busy = cause("Rate Exceeded.", 429, "TooManyRequestsException");
    check("429 Too Many", r#"{"message": "Rate Exceeded."}"#, "Lambda.TooManyRequestsException", &busy).await;
    let down = cause("down", 503, "ServiceException");
    check("503 Unavailable", "down", "Lambda.ServiceException", &down).await;
    let moved = cause("", 302, "AWSLambdaException");
    check("302 Found\r\nLocation: /elsewhere", "", "Lambda.AWSLambdaException", &moved).await;
}

#[tokio::test]
async fn what_a_function_reports_is_a_failure_of_its_type() {
    let error = r#"{"errorMessage": "no", "errorType": "Custom", "stackTrace": []}"#;
    check("200 OK\r\nX-Amz-Function-Error: Unhandled", error, "Custom", error).await;
    let unknown = "The function did not answer JSON: EOF while parsing an object at line 1 column 1. \
                   Its answer begins: {";
    check("200 OK", "{", "Lambda.Unknown", unknown).await;
    let payload = r#"{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (1000 bytes)."}"#;
    check("200 OK", &"1".repeat(1001), "Function.ResponseSizeTooLarge", payload).await;
}

#[tokio::test]
async fn a_host_that_is_not_there_is_a_client_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let connector = connector(json!({"default_url": url}));
    let Failure { error, cause } = direct(&connector, "f", json!({})).await.unwrap_err();
    assert_eq!(error.as_deref(), Some("Lambda.SdkClientException"));
    let cause = cause.unwrap();
    assert!(cause.starts_with("Unable to execute HTTP request: ") && cause.contains("refused"), "{cause}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_client_failure() {
    let (url, _) = host("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{".to_owned()).await;
    let connector = connector(json!({"default_url": url}));
    let failure = direct(&connector, "f", json!({})).await.unwrap_err();
    assert!(failure.is("Lambda.SdkClientException"), "{failure:?}");
}

/// Takes one request and never answers; tells when it is there, and ends when the client is gone.
async fn silent_host() -> (String, oneshot::Receiver<()>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, begun) = oneshot::channel();
    let gone = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        let _ = tell.send(());
        let _ = stream.read(&mut [0]).await;
    });
    (url, begun, gone)
}

#[tokio::test]
async fn a_function_over_its_time_fails_as_on_aws() {
    let (url, _begun, gone) = silent_host().await;
    let connector = connector(json!({"f": {"url": url, "timeout_seconds": 1}}));
    let (error, cause) = without_id(direct(&connector, "f", json!({})).await.unwrap_err());
    assert_eq!(error, "Sandbox.Timedout");
    assert!(cause.contains("RequestId: <id> Error: Task timed out after 1.00 seconds"), "{cause}");
    tokio::time::timeout(HANGS, gone).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dropped_call_closes_its_connection() {
    let (url, begun, gone) = silent_host().await;
    let connector = connector(json!({"default_url": url}));
    tokio::select! {
        ended = connector.run(request(function("f"), json!({})), &NoSubmission) => panic!("{ended:?}"),
        begun = begun => begun.unwrap(),
    }
    tokio::time::timeout(HANGS, gone).await.unwrap().unwrap();
}
