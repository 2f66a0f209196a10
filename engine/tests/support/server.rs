//! The real binary as a process that a test starts, kills and starts again.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use engine::cli::client::{CallError, Client};
use serde_json::{Value, json};

/// A start that takes longer than this has failed.
const START_WITHIN: Duration = Duration::from_secs(20);

/// `warren dev`, killed when dropped.
pub struct Server {
    child: Child,
    pub endpoint: String,
}

impl Server {
    /// Starts on any free port; `data` is kept if it is given, `settings` are environment variables.
    pub fn start(data: Option<&Path>, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warren"));
        command.args(["dev", "--port", "0"]).stdin(Stdio::null()).stderr(Stdio::piped());
        command.env("RUST_LOG", "warn");
        command.current_dir(std::env::temp_dir());
        if let Some(data) = data {
            command.arg("--data").arg(data);
        }
        command.envs(settings.iter().copied());
        let mut child = command.spawn().expect("the binary is there");
        let lines = BufReader::new(child.stderr.take().expect("it is piped"));
        let (send, endpoint) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                match line.strip_prefix("Warren serves the AWS Step Functions API on ") {
                    // The test may have given up.
                    Some(endpoint) => drop(send.send(endpoint.to_owned())),
                    None if line.starts_with("  ") || line.starts_with("Warren") => {}
                    None => eprintln!("warren: {line}"),
                }
            }
        });
        let endpoint = endpoint.recv_timeout(START_WITHIN).expect("it says where it serves");
        Server { child, endpoint }
    }

    /// SIGKILL: nothing is finished, nothing is flushed.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM, as a service manager stops it. Answers whether it ended well.
    pub fn terminate(&mut self) -> bool {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("a process id"), rustix::process::Signal::TERM)
            .expect("it can be told");
        self.child.wait().expect("it ends").success()
    }

    /// The process, for its figures under `/proc`.
    pub fn process(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.child.id()))
    }

    pub fn client(&self) -> Client {
        Client::new(&self.endpoint).expect("an endpoint")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Creates a machine and answers its ARN.
pub async fn create(client: &Client, name: &str, definition: &Value, workflow: &str) -> String {
    let request = json!({
        "name": name,
        "definition": definition.to_string(),
        "roleArn": "arn:aws:iam::000000000000:role/any",
        "type": workflow,
    });
    let created = client.call("CreateStateMachine", request).await.expect("the definition is correct");
    created["stateMachineArn"].as_str().expect("an ARN").to_owned()
}

/// Waits until an execution is closed and answers its description. Gives up after `within`.
pub async fn ended(client: &Client, arn: &str, within: Duration) -> Value {
    let began = Instant::now();
    loop {
        let described = describe(client, arn).await.expect("the execution exists");
        if described["status"] != "RUNNING" {
            return described;
        }
        assert!(began.elapsed() < within, "{arn} still runs after {within:?}");
        // A status that the API does not announce can only be asked for.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn describe(client: &Client, arn: &str) -> Result<Value, CallError> {
    client.call("DescribeExecution", json!({ "executionArn": arn })).await
}

/// The whole history of an execution.
pub async fn history(client: &Client, arn: &str) -> Vec<Value> {
    let mut events = Vec::new();
    let mut request = json!({ "executionArn": arn, "maxResults": 1000 });
    loop {
        let page = client.call("GetExecutionHistory", request.clone()).await.expect("the execution exists");
        events.extend(page["events"].as_array().expect("a list").iter().cloned());
        match page.get("nextToken") {
            Some(token) => request["nextToken"] = token.clone(),
            None => return events,
        }
    }
}
