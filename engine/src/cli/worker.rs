//! `warren worker`: does the tasks of an activity with a command.
//!
//! Ctrl-C ends it well: no further task is taken, those that run are finished. The second Ctrl-C kills them;
//! their tasks time out, or are tried again, as the definition says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::client::{CallError, Client};
use super::{Error, Exit};
use command::Done;

mod command;

/// What `warren worker` is told.
#[derive(Debug, Clone, Args)]
pub struct WorkerArgs {
    /// The activity; one given by its name is created if it does not exist.
    #[arg(long, value_name = "NAME|ARN")]
    activity: String,
    /// What to run for each task, with `sh -c`: the input is its standard input, the JSON it prints the
    /// output. If it fails, what it prints may say why: `{"error": …, "cause": …}`.
    #[arg(long, value_name = "COMMAND")]
    exec: String,
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8083")]
    endpoint: String,
    /// How many tasks to do at a time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// Send a heartbeat every so many seconds while a task is done.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    heartbeat: Option<u32>,
}

/// The first wait after a call that failed; doubled up to [`BACK_OFF_MAX`].
const BACK_OFF_MIN: Duration = Duration::from_millis(200);
const BACK_OFF_MAX: Duration = Duration::from_secs(10);

/// Works until it is told to stop.
pub async fn run(args: WorkerArgs) -> Result<Exit, Error> {
    let client = Client::new(&args.endpoint).map_err(|error| Error::Usage(error.to_string()))?;
    let mut worker = Worker {
        client,
        args: Arc::new(args),
        activity_arn: String::new(),
        name: format!("warren-{}", std::process::id()),
        stop: CancellationToken::new(),
        drop: CancellationToken::new(),
        away: Arc::new(AtomicBool::new(false)),
    };
    tokio::spawn(stop_on_signals(worker.stop.clone(), worker.drop.clone()));
    let Some(arn) = worker.find_activity().await? else { return Ok(Exit::Well) };
    tracing::info!("taking the tasks of {arn} from {}", worker.client.endpoint());
    worker.activity_arn = arn;
    let mut pollers = JoinSet::new();
    for _ in 0..worker.args.concurrency {
        pollers.spawn(worker.clone().take_tasks());
    }
    while let Some(ended) = pollers.join_next().await {
        ended.map_err(|error| Error::Failed(format!("failed to go on: {error}")))??;
    }
    Ok(Exit::Well)
}

async fn stop_on_signals(stop: CancellationToken, drop: CancellationToken) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let told = ["stopping; once more to drop what is being done", "dropping what is being done"];
    for (token, told) in [stop, drop].into_iter().zip(told) {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("{told}");
        token.cancel();
    }
}

#[derive(Clone)]
struct Worker {
    client: Client,
    args: Arc<WorkerArgs>,
    activity_arn: String,
    name: String,
    /// Take no more tasks.
    stop: CancellationToken,
    /// Drop what is being done.
    drop: CancellationToken,
    /// Whether the server was away at the last call.
    away: Arc<AtomicBool>,
}

struct Task {
    token: String,
    input: String,
}

impl Worker {
    /// The activity's ARN; it is created if it was given by its name. `None`: told to stop before.
    async fn find_activity(&self) -> Result<Option<String>, Error> {
        let activity = &self.args.activity;
        if activity.contains(':') {
            return Ok(Some(activity.clone()));
        }
        // Creating one that exists answers the one there is.
        let answer = self.call(&self.stop, "CreateActivity", json!({ "name": activity })).await;
        let Some(answer) = answer.map_err(|error| refused(&error))? else { return Ok(None) };
        let arn = answer["activityArn"].as_str().map(str::to_owned);
        arn.map(Some).ok_or_else(|| Error::Failed("the server answers no activityArn".to_owned()))
    }

    /// One of the pollers: takes a task, does it, takes the next.
    async fn take_tasks(self) -> Result<(), Error> {
        loop {
            let request = json!({ "activityArn": self.activity_arn, "workerName": self.name });
            let answer = self.call(&self.stop, "GetActivityTask", request).await;
            let Some(answer) = answer.map_err(|error| refused(&error))? else { return Ok(()) };
            let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
            let task = Task { token: text("taskToken"), input: text("input") };
            if !task.token.is_empty() {
                tokio::select! {
                    () = self.handle(&task) => {}
                    () = self.drop.cancelled() => return Ok(()),
                }
            }
        }
    }

    /// Does one task and says what became of it.
    async fn handle(&self, task: &Task) {
        let began = Instant::now();
        let environment =
            [("WARREN_ACTIVITY_ARN", self.activity_arn.as_str()), ("WARREN_TASK_TOKEN", task.token.as_str())];
        let done = tokio::select! {
            done = command::run(&self.args.exec, &task.input, &environment) => done,
            () = self.beat(task) => {
                tracing::warn!("the task is no longer wanted; its command was killed");
                return;
            }
        };
        let seconds = began.elapsed().as_secs_f64();
        let answered = match &done {
            Done::Succeeded(output) => self.succeed(task, output).await,
            Done::Failed { error, cause } => self.fail(task, error, cause).await,
        };
        match (answered, done) {
            (Err(error), _) => tracing::warn!("the task's answer is not wanted: {error}"),
            (Ok(()), Done::Succeeded(_)) => tracing::info!("a task succeeded after {seconds:.3} s"),
            (Ok(()), Done::Failed { error, cause }) => {
                tracing::warn!("a task failed after {seconds:.3} s: {error}: {cause}");
            }
        }
    }

    async fn succeed(&self, task: &Task, output: &str) -> Result<(), CallError> {
        let request = json!({ "taskToken": task.token, "output": output });
        match self.call(&self.drop, "SendTaskSuccess", request).await {
            // Too large, most likely: the execution must hear of it.
            Err(error) if error.is("InvalidOutput") || error.is("ValidationException") => {
                self.fail(task, "InvalidOutput", &error.to_string()).await
            }
            other => other.map(|_| ()),
        }
    }

    async fn fail(&self, task: &Task, error: &str, cause: &str) -> Result<(), CallError> {
        let request = json!({ "taskToken": task.token, "error": error, "cause": cause });
        self.call(&self.drop, "SendTaskFailure", request).await.map(|_| ())
    }

    /// Beats until the server says that nobody waits for the task any more.
    async fn beat(&self, task: &Task) {
        let Some(seconds) = self.args.heartbeat else { return std::future::pending().await };
        loop {
            sleep(Duration::from_secs(seconds.into())).await;
            let beaten = self.client.call("SendTaskHeartbeat", json!({ "taskToken": task.token })).await;
            if matches!(beaten, Err(CallError::Refused { .. })) {
                return;
            }
        }
    }

    /// Makes a call, again and again while the server is away. `None`: `until` came before the answer.
    async fn call(
        &self,
        until: &CancellationToken,
        action: &str,
        request: Value,
    ) -> Result<Option<Value>, CallError> {
        let mut back_off = BACK_OFF_MIN;
        loop {
            let answer = tokio::select! {
                answer = self.client.call(action, request.clone()) => answer,
                () = until.cancelled() => return Ok(None),
            };
            if let Err(CallError::Unavailable(reason)) = answer {
                if !self.away.swap(true, Ordering::Relaxed) {
                    tracing::warn!("{reason}; trying again until it works");
                }
                tokio::select! {
                    () = sleep(back_off) => {}
                    () = until.cancelled() => return Ok(None),
                }
                back_off = (back_off * 2).min(BACK_OFF_MAX);
                continue;
            }
            if self.away.swap(false, Ordering::Relaxed) {
                tracing::info!("{} answers again", self.client.endpoint());
            }
            return answer.map(Some);
        }
    }
}

fn refused(error: &CallError) -> Error {
    Error::Failed(error.to_string())
}
