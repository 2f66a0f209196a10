//! `warren event` and `warren queue`, as processes.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::StreamExt;
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::deployment::PATIENCE;
use super::server::{Server, create};
use super::{one, start};

/// Runs a command to its end.
fn run(endpoint: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warren"));
    command.args(arguments).args(["--endpoint", endpoint]).current_dir(std::env::temp_dir());
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What a command printed, if it ended with this code.
async fn printed(endpoint: &str, arguments: &[&str], input: &str, code: i32) -> String {
    let output = tokio::task::spawn_blocking({
        let (endpoint, input) = (endpoint.to_owned(), input.to_owned());
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        move || run(&endpoint, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), &input)
    });
    let output = output.await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
    if code == 0 { text(&output.stdout) } else { text(&output.stderr) }
}

/// A queue is fed and read, whatever the broker.
pub async fn feed_and_read(endpoint: &str, name: &str) {
    let none = printed(endpoint, &["queue", "send", name, "--existing"], "", 1).await;
    assert!(none.contains(&format!("there is no queue '{name}'")), "{none}");
    let sent =
        printed(endpoint, &["queue", "send", name, "--body", "-", "--header", "from=me"], "{\"n\": 1}", 0)
            .await;
    assert_eq!(sent, format!("sent 1 to {name}\n"));
    printed(endpoint, &["queue", "send", name, "--existing", "--body", "plain", "--count", "3"], "", 0).await;
    let first = printed(endpoint, &["queue", "receive", name, "--json", "--wait", "10"], "", 0).await;
    let first: Value = serde_json::from_str(&first).unwrap();
    let shown = (&first["body"], &first["headers"], &first["routing_key"], &first["redeliveries"]);
    assert_eq!(shown, (&json!("{\"n\": 1}"), &json!({ "from": "me" }), &json!(name), &json!(0)));
    let rest = printed(endpoint, &["queue", "receive", name, "--max", "10"], "", 0).await;
    assert_eq!(rest, "plain\nplain\nplain\n");
    let empty = printed(endpoint, &["queue", "receive", name], "", 3).await;
    assert!(empty.contains(&format!("no message came to {name}")), "{empty}");
}

#[tokio::test]
async fn a_queue_of_dev_is_fed_and_read() {
    let server = Server::start(None, &[]);
    feed_and_read(&server.endpoint, "orders/of the day.ü").await;
}

#[tokio::test]
async fn who_is_gone_takes_no_message() {
    let server = Server::start(None, &[]);
    printed(&server.endpoint, &["queue", "send", "q", "--body", "kept"], "", 0).await;
    let kept = printed(&server.endpoint, &["queue", "receive", "q"], "", 0).await;
    assert_eq!(kept, "kept\n");
    // Gone while it waits.
    let impatient = reqwest::Client::builder().timeout(Duration::from_millis(200)).build().unwrap();
    let url = format!("{}/console/api/queues/q/receive", server.endpoint);
    assert!(impatient.post(url).body(r#"{"wait_seconds": 60}"#).send().await.is_err());
    printed(&server.endpoint, &["queue", "send", "q", "--body", "late"], "", 0).await;
    let late = printed(&server.endpoint, &["queue", "receive", "q", "--wait", "10"], "", 0).await;
    assert_eq!(late, "late\n", "nobody has taken it who is gone");
}

/// `warren event tail`, killed when dropped.
struct Tail {
    child: Child,
    printed: mpsc::UnboundedReceiver<String>,
    told: mpsc::UnboundedReceiver<String>,
}

impl Tail {
    fn begin(endpoint: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warren"));
        command.args(["event", "tail", "--endpoint", endpoint]).args(arguments).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (printed, told) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Tail { child, printed, told }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn line(lines: &mut mpsc::UnboundedReceiver<String>) -> String {
    timeout(PATIENCE, lines.recv()).await.expect("a line").expect("it goes on")
}

#[tokio::test]
async fn tail_prints_a_line_for_each_change() {
    let server = Server::start(None, &[]);
    let mut tail = Tail::begin(&server.endpoint, &["--machine", "orders", "--transitions"]);
    let definition = one(json!({ "Type": "Fail", "Error": "Sour" }));
    let machine = create(&server.client(), "orders", &definition, "STANDARD").await;
    // It looks on when it prints something.
    for number in 0.. {
        start(&server, &machine, &format!("run-{number}"), "{}").await;
        if timeout(Duration::from_secs(1), tail.printed.recv()).await.is_ok() {
            break;
        }
    }
    start(&server, &machine, "known", "{}").await;
    let mut known = Vec::new();
    while known.len() < 4 {
        let (_, line) = line(&mut tail.printed)
            .await
            .split_once("  ")
            .map(|(at, line)| (at.to_owned(), line.to_owned()))
            .unwrap();
        known.extend(Some(line).filter(|line| line.contains("  known")));
    }
    known.sort();
    let expected = [
        "           orders  known  r/0  ExecutionStarted",
        "FAILED     orders  known  Sour",
        "Fail Only  orders  known  r/1  FailStateEntered, ExecutionFailed",
        "RUNNING    orders  known",
    ];
    assert_eq!(known, expected);
}

/// Answers an event at a time: the first connection ends after it, the next ones stay.
async fn tell_events(State(connections): State<Arc<AtomicU32>>) -> Response {
    let number = connections.fetch_add(1, Ordering::Relaxed);
    let event = |kind: &str, data: &Value| Event::default().event(kind).data(data.to_string());
    let detail = json!({ "stateMachineArn": ":stateMachine:m", "name": format!("run-{number}"), "status": "RUNNING", "startDate": 0 });
    let status = event("status", &json!({ "detail": detail }));
    let missed = event("lagged", &json!({ "missed": if number == 1 { json!(7) } else { Value::Null } }));
    let first = stream::iter([status, missed].map(Ok::<_, Infallible>));
    if number == 0 {
        Sse::new(first).into_response()
    } else {
        Sse::new(first.chain(stream::pending())).into_response()
    }
}

#[tokio::test]
async fn tail_connects_again_and_says_so_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/console/api/events", get(tell_events)).with_state(Arc::default());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut tail = Tail::begin(&endpoint, &[]);
    for number in 0..2 {
        assert_eq!(
            line(&mut tail.printed).await,
            format!("1970-01-01T00:00:00Z  RUNNING    m  run-{number}")
        );
    }
    let missed = |count: &str| {
        format!("{count} events are not shown: they came faster than they were read, or were lost")
    };
    assert_eq!(line(&mut tail.told).await, missed("some"));
    assert_eq!(line(&mut tail.told).await, format!("{endpoint} has stopped; trying again until it works"));
    assert_eq!(
        line(&mut tail.told).await,
        format!("{endpoint} answers again; what happened meanwhile is not shown")
    );
    assert_eq!(line(&mut tail.told).await, missed("7"));
    server.abort();
}

/// The lines of a pipe, as they come.
fn lines(pipe: impl std::io::Read + Send + 'static) -> mpsc::UnboundedReceiver<String> {
    let (send, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // The test may be over.
            let _ = send.send(line);
        }
    });
    lines
}

/// What a server was asked.
type Asked = mpsc::UnboundedSender<(HeaderMap, Value)>;

async fn put_events(State(asked): State<Asked>, headers: HeaderMap, body: String) -> String {
    let request: Value = serde_json::from_str(&body).unwrap();
    let refused = request["Entries"][0]["Source"] == "aws.states";
    asked.send((headers, request)).unwrap();
    let entry = if refused {
        json!({ "ErrorCode": "NotAuthorizedForSource", "ErrorMessage": "Not yours." })
    } else {
        json!({ "EventId": "e-1" })
    };
    json!({ "FailedEntryCount": u8::from(refused), "Entries": [entry] }).to_string()
}

#[tokio::test]
async fn publish_calls_put_events() {
    let (send, mut asked) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(put_events)).with_state(send);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let publish =
        ["event", "publish", "--source", "my.shop", "--detail-type", "Order Placed", "--detail", "-"];
    let id = printed(&endpoint, &publish, "{\"order\": 1.50}", 0).await;
    assert_eq!(id, "published e-1\n");
    let (headers, request) = asked.recv().await.unwrap();
    assert_eq!(headers["x-amz-target"], "AWSEvents.PutEvents");
    assert_eq!(headers["content-type"], "application/x-amz-json-1.1");
    let entry = json!({ "Source": "my.shop", "DetailType": "Order Placed", "Detail": "{\"order\": 1.50}" });
    assert_eq!(request, json!({ "Entries": [entry] }));
    let foreign = ["event", "publish", "--source", "aws.states", "--detail-type", "t"];
    let refused = printed(&endpoint, &foreign, "", 1).await;
    assert!(refused.contains("NotAuthorizedForSource: Not yours."), "{refused}");
    for (detail, says) in [("[1]", "--detail is a JSON object"), ("{", "--detail is not JSON")] {
        let wrong = ["event", "publish", "--source", "s", "--detail-type", "t", "--detail", detail];
        let said = printed(&endpoint, &wrong, "", 2).await;
        assert!(said.contains(says), "{said}");
    }
    server.abort();
}
