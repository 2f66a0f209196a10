//! Functions that are commands.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use asl::data::Failure;
use connectors::Connector;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{HANGS, NoSubmission, connector, direct, function, invoke, request, without_id};

/// Runs the command line as a function and compares.
async fn check(line: &str, input: Value, expected: Result<Value, Failure>) {
    let connector = connector(json!({"f": {"command": line}}));
    assert_eq!(direct(&connector, "f", input).await, expected, "{line}");
}

#[tokio::test]
async fn a_command_reads_its_input_and_writes_its_output() {
    check("cat", json!({"b": [1.0, null], "a": "é"}), Ok(json!({"b": [1.0, null], "a": "é"}))).await;
    check("true", json!({}), Ok(Value::Null)).await;
    check("echo; echo 7", json!({}), Ok(json!(7))).await;
    check("echo noise >&2; echo 7", json!({}), Ok(json!(7))).await;
    let line = r#"printf '"%s %s"' "$AWS_LAMBDA_FUNCTION_NAME" "$WARREN_EXECUTION_ARN""#;
    check(line, json!({}), Ok(json!("f arn:aws:states:us-east-1:000000000000:execution:m:e"))).await;
}

#[tokio::test]
async fn a_program_is_started_without_a_shell() {
    let connector = connector(json!({"f": {"command": ["printf", "%s", "\"$HOME\""]}}));
    assert_eq!(direct(&connector, "f", json!({})).await, Ok(json!("$HOME")));
}

#[tokio::test]
async fn large_data_passes_both_ways() {
    let large = json!("x".repeat(1_000_000));
    check("cat", large.clone(), Ok(large.clone())).await;
    check("exec 0<&-; echo 1", large.clone(), Ok(json!(1))).await;
    check("exec 0<&-; printf '\"'; head -c 300000 /dev/zero | tr '\\0' a; printf '\"'", large, {
        Ok(json!("a".repeat(300_000)))
    })
    .await;
}

#[tokio::test]
async fn a_command_that_describes_its_error_fails_with_it() {
    let error = r#"{"errorType": "Late", "errorMessage": "m"}"#;
    check(&format!("echo '{error}'; exit 1"), json!({}), Err(Failure::new("Late", error))).await;
    check(&format!("echo log; echo '{error}'; exit 1"), json!({}), Err(Failure::new("Late", error))).await;
    // Only a failed command fails.
    let ok: Value = serde_json::from_str(error).unwrap();
    check(&format!("echo '{error}'"), json!({}), Ok(ok)).await;
    let printed = r#"{"errorType":"Late","errorMessage":"m"}"#;
    let connector = connector(json!({"f": {"command": format!("echo '{error}'; exit 1")}}));
    let failure = invoke(&connector, json!({"FunctionName": "f"})).await.unwrap_err();
    assert_eq!(failure, Failure::new("Late", printed));
}

#[tokio::test]
async fn a_command_that_fails_otherwise_is_an_unknown_failure() {
    let unknown = |cause: &str| Err(Failure::new("Lambda.Unknown", cause));
    let silent =
        "The command of the function f ended with exit status: 3. It wrote nothing to standard error.";
    check("echo half; exit 3", json!({}), unknown(silent)).await;
    let said =
        "The command of the function f ended with exit status: 1. Its standard error ends: no such file";
    check("echo no such file >&2; exit 1", json!({}), unknown(said)).await;
    let killed =
        "The command of the function f ended with signal: 9 (SIGKILL). It wrote nothing to standard error.";
    check("kill -9 $$", json!({}), unknown(killed)).await;
    let prose =
        "The function did not answer JSON: expected value at line 1 column 1. Its answer begins: hello";
    check("echo hello", json!({}), unknown(prose)).await;
    let connector = connector(json!({"f": {"command": ["/no/such/program"]}}));
    let failure = direct(&connector, "f", json!({})).await.unwrap_err();
    assert_eq!(failure.error.as_deref(), Some("Lambda.Unknown"));
    assert!(
        failure.cause.unwrap().starts_with("The command of the function f could not be run: No such file")
    );
}

#[tokio::test]
async fn only_the_end_of_standard_error_is_kept() {
    let connector = connector(json!({"f": {"command": "yes | head -c 1000000 >&2; echo end >&2; exit 1"}}));
    let cause = direct(&connector, "f", json!({})).await.unwrap_err().cause.unwrap();
    assert!(cause.ends_with("y\ny\nend"));
    assert!(cause.len() < 3000);
}

#[tokio::test]
async fn an_answer_over_the_limit_is_an_error_and_ends_the_command() {
    let connector = connector(json!({"output_bytes_max": 100_000, "f": {"command": "yes"}}));
    let payload = r#"{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (100000 bytes)."}"#;
    let failure = direct(&connector, "f", json!({})).await.unwrap_err();
    assert_eq!(failure, Failure::new("Function.ResponseSizeTooLarge", payload));
}

/// A named pipe. Its readers wait until every writer is gone, so the end of it tells that those died.
struct Fifo {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Fifo {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Fifo { path, _directory: directory }
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Tells when the first byte was written, and ends with all that was written when all writers ended.
    fn read(&self) -> (oneshot::Receiver<()>, JoinHandle<String>) {
        let path = self.path.clone();
        let (tell, begun) = oneshot::channel();
        let read = spawn_blocking(move || {
            let mut file = File::open(path).unwrap();
            let mut first = [0];
            file.read_exact(&mut first).unwrap();
            let mut text = char::from(first[0]).to_string();
            let _ = tell.send(());
            file.read_to_string(&mut text).unwrap();
            text
        });
        (begun, read)
    }
}

/// All that was written, once every writer is gone.
async fn ends(fifo: &Fifo, writers: JoinHandle<String>) -> String {
    // Opened both ways a pipe never blocks; so a reader whose writer never came ends too, and fails.
    drop(File::options().read(true).write(true).open(&fifo.path).unwrap());
    tokio::time::timeout(HANGS, writers).await.expect("a process lives on").unwrap()
}

/// A command line that starts a process which would live long, and lives long itself.
fn two_sleepers(fifo: &Fifo) -> String {
    format!("exec 3>{}; sleep 1000 & echo started >&3; sleep 1000", fifo.path())
}

#[tokio::test]
async fn a_command_over_its_time_is_killed_with_all_it_started() {
    let fifo = Fifo::new();
    let (_, writers) = fifo.read();
    let connector = connector(json!({"f": {"command": two_sleepers(&fifo), "timeout_seconds": 1}}));
    let failure = direct(&connector, "f", json!({})).await.unwrap_err();
    let (error, cause) = without_id(failure);
    assert_eq!(error, "Sandbox.Timedout");
    let payload = r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: <id> Error: Task timed out after 1.00 seconds"}"#;
    assert_eq!(cause, payload);
    assert_eq!(ends(&fifo, writers).await, "started\n");
}

#[tokio::test]
async fn a_dropped_call_kills_the_command_with_all_it_started() {
    let fifo = Fifo::new();
    let (begun, writers) = fifo.read();
    let connector = connector(json!({"f": {"command": two_sleepers(&fifo)}}));
    let run = connector.run(request(function("f"), json!({})), &NoSubmission);
    tokio::select! {
        ended = run => panic!("the command sleeps: {ended:?}"),
        begun = begun => begun.unwrap(),
    }
    assert_eq!(ends(&fifo, writers).await, "started\n");
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_killed_when_it_ends() {
    let fifo = Fifo::new();
    let (_, writers) = fifo.read();
    let line = format!("exec 3>{}; echo started >&3; sleep 1000 & echo 1", fifo.path());
    check(&line, json!({}), Ok(json!(1))).await;
    assert_eq!(ends(&fifo, writers).await, "started\n");
}

#[tokio::test]
async fn a_process_that_left_the_group_does_not_hold_up_the_answer() {
    let (left, fifo) = (Fifo::new(), Fifo::new());
    // It says when it has left, and holds standard output open until the test opens its pipe.
    let stray = format!("setsid sh -c 'echo left >{}; read line <{}'", left.path(), fifo.path());
    let line = format!("{stray} & read line <{}; echo 1", left.path());
    check(&line, json!({}), Ok(json!(1))).await;
    release(&fifo.path).await;
}

async fn release(fifo: &Path) {
    let path = fifo.to_owned();
    let open =
        spawn_blocking(move || File::options().write(true).open(path).unwrap().write_all(b"go\n").unwrap());
    tokio::time::timeout(HANGS, open).await.unwrap().unwrap();
}

#[tokio::test]
async fn no_more_commands_run_at_a_time_than_configured() {
    let directory = tempfile::tempdir().unwrap();
    let lock = directory.path().join("lock");
    let line = format!("mkdir {0} || exit 9; cat; rmdir {0}", lock.display());
    let connector = connector(json!({"commands_max": 1, "f": {"command": line}}));
    let calls = [1, 2, 3, 4].map(|n| direct(&connector, "f", json!(n)));
    let [a, b, c, d] = calls;
    let answers = tokio::join!(a, b, c, d);
    assert_eq!(answers, (Ok(json!(1)), Ok(json!(2)), Ok(json!(3)), Ok(json!(4))));
}

#[tokio::test]
async fn invoke_wraps_the_answer_as_aws_does() {
    let connector = connector(json!({"f": {"command": "echo log >&2; cat"}}));
    let parameters = json!({"FunctionName": "f", "Payload": {"n": 1}, "LogType": "Tail", "Qualifier": "7"});
    let mut output = invoke(&connector, parameters).await.unwrap();
    let metadata = output["SdkHttpMetadata"].take();
    let id = metadata["HttpHeaders"]["x-amzn-RequestId"].as_str().unwrap();
    let expected = format!(
        r#"{{"ExecutedVersion":"7","LogResult":"bG9nCg==","Payload":{{"n":1}},"SdkHttpMetadata":null,"SdkResponseMetadata":{{"RequestId":"{id}"}},"StatusCode":200}}"#
    );
    assert_eq!(output.to_string(), expected);
    assert_eq!(metadata["HttpStatusCode"], 200);
    let keys =
        |member: &str| metadata[member].as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        keys("AllHttpHeaders"),
        "X-Amz-Log-Result X-Amz-Executed-Version x-amzn-Remapped-Content-Length Connection x-amzn-RequestId \
         Content-Length Date X-Amzn-Trace-Id Content-Type"
    );
    assert_eq!(
        keys("HttpHeaders"),
        "Connection Content-Length Content-Type Date X-Amz-Executed-Version X-Amz-Log-Result \
         x-amzn-Remapped-Content-Length x-amzn-RequestId X-Amzn-Trace-Id"
    );
    assert_eq!(metadata["HttpHeaders"]["Content-Length"], "7");
}

#[tokio::test]
async fn a_payload_is_sent_as_aws_sends_it() {
    let connector = connector(json!({"f": {"command": "cat"}}));
    let check = async |parameters: Value, payload: Value| {
        assert_eq!(invoke(&connector, parameters).await.unwrap()["Payload"], payload);
    };
    check(json!({"FunctionName": "f"}), json!({})).await;
    check(json!({"FunctionName": "f", "Payload": null}), json!({})).await;
    check(json!({"FunctionName": "f", "Payload": "0.0"}), json!(0.0)).await;
    check(json!({"FunctionName": "f", "Payload": "\"text\""}), json!("text")).await;
    check(json!({"FunctionName": "f", "Payload": [1]}), json!([1])).await;
}

#[tokio::test]
async fn an_event_is_accepted_and_runs_on() {
    let fifo = Fifo::new();
    let (begun, writers) = fifo.read();
    let connector = connector(json!({"f": {"command": format!("cat >{}", fifo.path())}}));
    let parameters = json!({"FunctionName": "f", "Payload": 7, "InvocationType": "Event"});
    let output = invoke(&connector, parameters).await.unwrap();
    assert_eq!((&output["StatusCode"], &output["Payload"]), (&json!(202), &json!("")));
    assert_eq!(output.get("ExecutedVersion"), None);
    begun.await.unwrap();
    assert_eq!(ends(&fifo, writers).await, "7");
}

#[tokio::test]
async fn a_dry_run_runs_nothing() {
    let connector = connector(json!({"f": {"command": "exit 1"}}));
    let output = invoke(&connector, json!({"FunctionName": "f", "InvocationType": "DryRun"})).await.unwrap();
    assert_eq!((&output["StatusCode"], &output["Payload"]), (&json!(204), &json!("")));
}
