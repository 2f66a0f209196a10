//! A broker and a database of the test's own, which it may kill.
//!
//! `.ci/services` knows how to start them. Each keeps its data and its port through kills and restarts, and is
//! removed when it is dropped, or by a guard when the process of the test is gone.

use std::path::Path;
use std::process::{Command, Output};

use rustix::process::{Pid, Signal};
use serde_json::Value;
use tempfile::TempDir;

/// A server in a directory of its own.
pub struct Private {
    kind: &'static str,
    directory: TempDir,
    /// Where it answers, also after a restart.
    pub url: String,
    process: Pid,
}

impl Private {
    /// RabbitMQ.
    pub fn rabbitmq() -> Self {
        Private::start("rabbitmq")
    }

    /// Postgres; the user `postgres` needs no password.
    pub fn postgres() -> Self {
        Private::start("postgres")
    }

    fn start(kind: &'static str) -> Self {
        let directory = tempfile::Builder::new().prefix("warren-faults-").tempdir().unwrap();
        let (url, process) = up(kind, directory.path());
        Private { kind, directory, url, process }
    }

    /// SIGKILL: what it had not written is lost.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// SIGQUIT: Postgres' immediate shutdown, with recovery at the next start.
    pub fn quit(&self) {
        self.signal(Signal::QUIT);
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.process, signal).expect("it runs");
    }

    /// Starts it again on its data and at its address, and answers when it takes connections.
    pub fn restart(&mut self) {
        (self.url, self.process) = up(self.kind, self.directory.path());
    }

    /// `rabbitmqctl`.
    pub fn control(&self, arguments: &[&str]) -> String {
        let mut command = services();
        command.arg("ctl").arg(self.directory.path()).args(arguments);
        let output = command.output().expect("it can be run");
        assert!(output.status.success(), "rabbitmqctl {arguments:?}: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Best effort: the guard comes after.
        let _ = services().arg("down").arg(self.directory.path()).output();
    }
}

fn up(kind: &str, directory: &Path) -> (String, Pid) {
    let mut command = services();
    command.args(["up", kind]).arg(directory).args(["--for", &std::process::id().to_string()]);
    let output = command.output().expect("python3 is there");
    assert!(output.status.success(), "failed to start {kind}: {}", text(&output));
    let told: Value = serde_json::from_slice(&output.stdout).expect("it tells where it is");
    let process = told["pid"].as_i64().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
    (told["url"].as_str().expect("an address").to_owned(), process.expect("a process id"))
}

fn services() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/services"))
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}
