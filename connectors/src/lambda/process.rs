//! One process: text in, text out, and nothing left behind.
//!
//! It has a process group of its own, so that what it started ends with it. The group is killed when the
//! process has ended, when its time is over, when it has written too much and when the run is dropped:
//! nothing goes on that nobody counts.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command as Process};
use tokio::time::timeout;

use super::config::Command;

/// How much of the end of standard error is kept, in bytes.
const ERROR_BYTES_MAX: usize = 64 * 1024;
/// How long what an ended process has written is read for. A process that left the group may hold the pipe
/// open for ever; what the function wrote is in the pipe already.
const DRAIN: Duration = Duration::from_secs(1);

/// A process to run.
pub(super) struct Run {
    /// What to start.
    pub(super) command: Command,
    /// Beside the environment of the engine.
    pub(super) environment: Vec<(&'static str, String)>,
    /// What to write to standard input.
    pub(super) input: String,
    /// How long it may take.
    pub(super) timeout: Duration,
    /// How much it may write to standard output.
    pub(super) output_bytes_max: usize,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    /// The process ended by itself.
    Exited {
        /// How.
        status: ExitStatus,
        /// All of it.
        stdout: Vec<u8>,
        /// The end of it.
        stderr: Vec<u8>,
    },
    /// It took too long.
    TimedOut,
    /// It wrote too much.
    TooLarge,
}

impl Run {
    /// Runs it to its end. Dropping the future kills the process and all it started.
    ///
    /// Fails if the process cannot be started or waited for.
    pub(super) async fn run(&self) -> io::Result<End> {
        let mut child = self.start()?;
        let group = Group::of(&child);
        let mut stdout = Vec::new();
        let mut stderr = Vec::new();
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let talk = async {
            let (input, output, errors) = pipes;
            tokio::try_join!(
                write(input, self.input.as_bytes()),
                read(output, &mut stdout, self.output_bytes_max),
                read_tail(errors, &mut stderr),
            )
        };
        let status = match timeout(self.timeout, converse(&mut child, group, talk)).await {
            Ok(Ok(status)) => status?,
            Ok(Err(TooLarge)) => return Ok(End::TooLarge),
            Err(_) => return Ok(End::TimedOut),
        };
        stderr.drain(..stderr.len().saturating_sub(ERROR_BYTES_MAX));
        Ok(End::Exited { status, stdout, stderr })
    }

    fn start(&self) -> io::Result<Child> {
        let mut process = match &self.command {
            Command::Shell(line) => {
                let mut shell = Process::new("sh");
                shell.args(["-c", line]);
                shell
            }
            Command::Program(words) => {
                let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
                let mut process = Process::new(program);
                process.args(arguments);
                process
            }
        };
        // The engine's own settings hold passwords, which are no function's business.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
            process.env_remove(name);
        }
        process.envs(self.environment.iter().map(|(name, value)| (name, value)));
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        process.process_group(0).kill_on_drop(true).spawn()
    }
}

fn is_ours(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("WARREN__")
}

/// The answer is over its limit.
struct TooLarge;

/// Waits for the process, and beside that for its pipes; kills its group once it has ended.
async fn converse<T>(
    child: &mut Child,
    group: Group,
    talk: impl Future<Output = Result<T, TooLarge>>,
) -> Result<io::Result<ExitStatus>, TooLarge> {
    tokio::pin!(talk);
    let status = tokio::select! {
        status = child.wait() => {
            drop(group);
            if let Ok(Err(too_large)) = timeout(DRAIN, talk).await {
                return Err(too_large);
            }
            status
        }
        talked = &mut talk => {
            talked?;
            // Nothing is left to read, but the process may go on.
            let status = child.wait().await;
            drop(group);
            status
        }
    };
    Ok(status)
}

/// Writes all and closes. A process that does not want its input is no failure.
async fn write(stdin: Option<ChildStdin>, input: &[u8]) -> Result<(), TooLarge> {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input).await;
    }
    Ok(())
}

async fn read(
    stdout: Option<impl AsyncRead + Unpin>,
    kept: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), TooLarge> {
    let Some(mut stdout) = stdout else { return Ok(()) };
    while let Ok(1..) = stdout.read_buf(kept).await {
        if kept.len() > bytes_max {
            return Err(TooLarge);
        }
    }
    Ok(())
}

async fn read_tail(stderr: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) -> Result<(), TooLarge> {
    let Some(mut stderr) = stderr else { return Ok(()) };
    while let Ok(1..) = stderr.read_buf(kept).await {
        // Twice the limit, so that not every read moves what is kept.
        if kept.len() > 2 * ERROR_BYTES_MAX {
            kept.drain(..kept.len() - ERROR_BYTES_MAX);
        }
    }
    Ok(())
}

/// The processes of one run; dropped, they are killed.
struct Group(Option<Pid>);

impl Group {
    fn of(leader: &Child) -> Self {
        Group(leader.id().and_then(|id| Pid::from_raw(id.cast_signed())))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // An error says that no process is left.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}
