//! One command for one task: JSON in, JSON out.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use asl::limits::{CAUSE_CHARACTERS_MAX, ERROR_CHARACTERS_MAX};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// How a task was done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// With this output: JSON text.
    Succeeded(String),
    /// With this error.
    Failed {
        /// Its name.
        error: String,
        /// What is known about it.
        cause: String,
    },
}

/// How much is read of what a command prints, in bytes; far over what a task may answer.
const OUTPUT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How much of the end of standard error is told, in characters.
const STDERR_CHARACTERS_MAX: usize = 2_000;
/// How long what an ended command has printed is read for.
const DRAIN: Duration = Duration::from_secs(1);

/// Runs the command to its end. Dropping the future kills it and all it started.
pub(super) async fn run(line: &str, input: &str, environment: &[(&str, &str)]) -> Done {
    let mut command = Command::new("sh");
    command.args(["-c", line]).envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // In a group of its own, so that Ctrl-C reaches the worker alone and a kill reaches all.
    let child = command.process_group(0).kill_on_drop(true).spawn();
    let exchanged = match child {
        Ok(child) => exchange(child, input).await,
        Err(error) => Err(error),
    };
    match exchanged {
        Ok((status, stdout, stderr)) => judge(status, &stdout, &stderr),
        Err(error) => failed("CommandFailed", &format!("failed to run the command: {error}")),
    }
}

async fn exchange(mut child: Child, input: &str) -> std::io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut printed, mut complained) = (Vec::new(), Vec::new());
    let talk = async {
        tokio::join!(write(stdin, input), read(stdout, &mut printed), read(stderr, &mut complained));
    };
    let status = converse(&mut child, group, talk).await?;
    Ok((status, printed, complained))
}

/// Waits for the command, and beside that for its pipes.
async fn converse(
    child: &mut Child,
    group: Group,
    talk: impl Future<Output = ()>,
) -> std::io::Result<ExitStatus> {
    tokio::pin!(talk);
    tokio::select! {
        status = child.wait() => {
            // What it left in the background may hold the pipes open for ever.
            drop(group);
            let _ = timeout(DRAIN, talk).await;
            status
        }
        () = &mut talk => child.wait().await,
    }
}

/// Writes all and closes. A command that does not want its input is no failure.
async fn write(pipe: Option<ChildStdin>, input: &str) {
    if let Some(mut pipe) = pipe {
        let _ = pipe.write_all(input.as_bytes()).await;
    }
}

/// Reads to the end and keeps the beginning: a full pipe would stop the command.
async fn read(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    if let Some(mut pipe) = pipe {
        let _ = (&mut pipe).take(OUTPUT_BYTES_MAX).read_to_end(kept).await;
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
}

fn judge(status: ExitStatus, stdout: &[u8], stderr: &[u8]) -> Done {
    let printed = String::from_utf8_lossy(stdout);
    let printed = printed.trim();
    let value = serde_json::from_str::<Value>(printed);
    match (status.success(), value) {
        (true, Ok(_)) => Done::Succeeded(printed.to_owned()),
        (true, Err(_)) if printed.is_empty() => Done::Succeeded("null".to_owned()),
        (true, Err(error)) => failed("InvalidOutput", &format!("the command printed no JSON: {error}")),
        (false, value) => {
            let told = value.ok().and_then(|value| told(&value));
            told.unwrap_or_else(|| failed("CommandFailed", format!("{status}\n{}", tail(stderr)).trim()))
        }
    }
}

/// The failure as the command itself puts it: our words, or those of a Lambda function.
fn told(value: &Value) -> Option<Done> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let error = text("error").or_else(|| text("errorType"))?;
    let cause = text("cause").or_else(|| text("errorMessage")).unwrap_or_default();
    Some(failed(error, cause))
}

fn failed(error: &str, cause: &str) -> Done {
    let bounded = |text: &str, characters| text.chars().take(characters).collect();
    Done::Failed { error: bounded(error, ERROR_CHARACTERS_MAX), cause: bounded(cause, CAUSE_CHARACTERS_MAX) }
}

fn tail(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let text = text.trim();
    let skipped = text.chars().count().saturating_sub(STDERR_CHARACTERS_MAX);
    text.chars().skip(skipped).collect()
}

/// The processes of one command; dropped, they are killed.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // An error says that no process is left.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(line: &str, expected: Result<&str, (&str, &str)>) {
        let done = match run(line, r#"{"a":1}"#, &[("WORD", "x")]).await {
            Done::Succeeded(output) => Ok(output),
            Done::Failed { error, cause } => Err((error, cause)),
        };
        let expected =
            expected.map(str::to_owned).map_err(|(error, cause)| (error.to_owned(), cause.to_owned()));
        assert_eq!(done, expected, "{line}");
    }

    #[tokio::test]
    async fn what_a_command_prints_and_how_it_ends_is_its_answer() {
        check("cat", Ok(r#"{"a":1}"#)).await;
        check("echo \"[\\\"$WORD\\\"]\"", Ok(r#"["x"]"#)).await;
        check("true", Ok("null")).await;
        check("sleep 60 & echo 1", Ok("1")).await;
        check(
            "echo no",
            Err(("InvalidOutput", "the command printed no JSON: expected ident at line 1 column 2")),
        )
        .await;
        check("echo why >&2; exit 3", Err(("CommandFailed", "exit status: 3\nwhy"))).await;
        check(r#"echo '{"error": "E", "cause": "c"}'; exit 1"#, Err(("E", "c"))).await;
        check(r#"echo '{"errorType": "T", "errorMessage": "m"}'; exit 1"#, Err(("T", "m"))).await;
        check("kill -9 $$", Err(("CommandFailed", "signal: 9 (SIGKILL)"))).await;
    }
}
