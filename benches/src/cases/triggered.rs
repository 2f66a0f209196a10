//! From a message to the end of the execution that it starts.
//!
//! A trigger takes messages of a queue that is kept filled and starts an Express execution of one Pass for each.
//! As in `raw-amqp`, a unit has one publication with its confirm, one delivery and one acknowledgement; the first
//! is the driver's here. Executions are counted by the engine's own metrics, at both ends of a window.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use super::deployed;
use super::workload::Workload;
use crate::baseline::{WARM_UP, messages};
use crate::bench::Bench;
use crate::deployment::{Deployment, Setup};
use crate::driver::api::Api;
use crate::driver::feed::Feed;
use crate::driver::http::{Answer, Http};
use crate::failure::{Failure, Result};
use crate::figure::{Ceiling, Figure, Window};
use crate::target::Target;

/// The trigger, and the queue that it listens to.
const NAME: &str = "bench";
/// How long the first execution may take to end.
const BEGIN_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const SHARE_MIN: f64 = 0.6;

/// Measures it.
pub async fn run(bench: &Bench, ceiling: Option<&'static str>) -> Result<Vec<Figure>> {
    let windows = deployed(bench, Setup::new(false), async |deployment| {
        let prefix = deployment.prefix.as_ref();
        let prefix = prefix.ok_or_else(|| Failure::new("--prefix tells what its queue is called"))?;
        let queue = format!("{prefix}{NAME}");
        let bodies = messages(100, bench.args.message_bytes);
        let feed = Feed::start(&bench.servers, &queue, bodies).await?;
        let mut http = Http::new(&deployment.addresses[0]);
        create_trigger(&mut http, deployment, &queue).await?;
        let windows = count(bench, deployment, &mut http).await;
        http.call(&format!("DELETE /console/api/triggers/{NAME}"), "", &[]).await?;
        feed.stop().await?;
        windows
    })
    .await?;
    let note =
        format!("{} B; a pattern that matches, a part of the event as input", bench.args.message_bytes);
    let figure = Figure::rate("executions", "executions/s", &windows).note(note);
    let ceiling = ceiling.map(|case| Ceiling { case, weight: 1.0 });
    Ok(vec![figure.share_of(ceiling).held_to(Some(Target::ShareAtLeast(SHARE_MIN)))])
}

async fn create_trigger(http: &mut Http, deployment: &Deployment, queue: &str) -> Result<()> {
    let mut api = Api::new(&deployment.addresses[0]);
    let machine = api.create_machine("triggered", true, &Workload::Chain(1).definition()).await?;
    let trigger = json!({
        "name": NAME,
        "machine": machine,
        "from": { "queue": queue },
        "pattern": { "type": ["transition.1"] },
        "input": { "path": "$.value" },
    });
    let answer = http.call("POST /console/api/triggers", "", trigger.to_string().as_bytes()).await?;
    if answer.status == 201 { Ok(()) } else { Err(refused("make the trigger", &answer)) }
}

async fn count(bench: &Bench, deployment: &Deployment, http: &mut Http) -> Result<Vec<Window>> {
    let began = Instant::now();
    while succeeded(http).await? < 1.0 {
        if began.elapsed() > BEGIN_MAX {
            return Err(Failure::new("the trigger started nothing"));
        }
        sleep(LOOK_EVERY).await;
    }
    sleep(WARM_UP).await;
    let mut windows = Vec::new();
    for _ in 0..bench.args.repetitions {
        let (before, usage) = (succeeded(http).await?, deployment.processes.usage());
        sleep(bench.args.window()).await;
        let (after, spent) = (succeeded(http).await?, deployment.processes.usage().since(usage));
        windows.push(Window { units: after - before, seconds: spent.elapsed, spent });
    }
    Ok(windows)
}

/// Executions that the engine has seen succeed.
async fn succeeded(http: &mut Http) -> Result<f64> {
    let answer = http.call("GET /metrics", "", &[]).await?;
    if answer.status != 200 {
        return Err(refused("read the metrics", &answer));
    }
    let text = String::from_utf8_lossy(&answer.body);
    let counters = text.lines().filter(|line| line.starts_with("warren_executions_succeeded_total{"));
    Ok(counters.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

fn refused(what: &str, answer: &Answer) -> Failure {
    let Answer { status, body } = answer;
    Failure::new(format!("failed to {what}: {status} {}", String::from_utf8_lossy(body)))
}
