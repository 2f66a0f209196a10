//! The limits that Warren is told as a share of.
//!
//! | case | one unit | what it does |
//! | --- | --- | --- |
//! | raw-amqp | hop | deliver, publish the same body, wait for the confirm, acknowledge |
//! | raw-postgres | transition | move one branch row by its fence, append one row of history |
//! | skeleton-express | state | a hop that reads the JSON, changes it and writes it: an engine without an interpreter |
//! | skeleton-standard | state | the same, and what was ready is committed in one transaction before it is published |
//!
//! Fused, ten states share a hop: one message, one row with ten states' history.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::bench::Bench;
use crate::failure::{Context as _, Failure, Result};
use crate::figure::{Figure, Window};
use crate::machine::Processes;
use crate::scratch::Scratch;
use hops::{Hops, Shape};
use rows::Rows;
use work::Work;

mod hops;
mod payload;
mod rows;
mod work;

pub use payload::messages;

/// Until caches, queues and batches have settled.
pub const WARM_UP: Duration = Duration::from_secs(1);
/// States that share a hop where they are fused.
pub const FUSED: u32 = 10;
/// Connections that commit, as many as lanes of the skeletons.
const CONNECTIONS: u16 = 4;

/// Consume, publish, confirm, acknowledge: nothing else.
pub async fn amqp(bench: &Bench) -> Result<Vec<Figure>> {
    let shape = Shape { queues: 2, lanes: 1, prefetch: 500, batch: 64, in_flight: 1_000 };
    let windows = in_scratch(bench, async |scratch| {
        let bodies = payload::messages(shape.in_flight_total(), bench.args.message_bytes);
        let hops = Hops::start(&bench.servers, scratch, shape, &bodies, Work::Forward).await?;
        measure(bench, hops.count(), 1.0, hops).await
    })
    .await?;
    let note = format!("{} B, 2 quorum queues, persistent", bench.args.message_bytes);
    Ok(vec![Figure::rate("hops", "hops/s", &windows).note(note)])
}

/// An engine without an interpreter.
pub async fn skeleton(bench: &Bench, standard: bool, states: u32) -> Result<Vec<Figure>> {
    let shape = Shape { queues: 2, lanes: CONNECTIONS / 2, prefetch: 200, batch: 100, in_flight: 1_000 };
    let windows = in_scratch(bench, async |scratch| {
        let bodies = payload::messages(shape.in_flight_total(), bench.args.message_bytes);
        let work = if standard {
            Rows::prepare(&scratch.store, &bodies).await.context("make tables")?;
            Work::Commit { states, row: payload::history(states, bench.args.row_bytes) }
        } else {
            Work::Change { states }
        };
        let hops = Hops::start(&bench.servers, scratch, shape, &bodies, work).await?;
        measure(bench, hops.count(), f64::from(states), hops).await
    })
    .await?;
    let size = bench.args.row_bytes * states;
    let rows = if standard { format!(", rows of {size} B") } else { String::new() };
    let note = format!("{} B, {states} states a message{rows}", bench.args.message_bytes);
    Ok(vec![Figure::rate("states", "states/s", &windows).note(note)])
}

/// Fenced moves and their history, so many a transaction. The driver leaves Nagle's algorithm on, so that over
/// TCP a request larger than a segment waits for the peer's delayed acknowledgement; where the server is here,
/// its local socket shows what it can do without.
pub async fn postgres(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for batch in [100_u32, 20, 1] {
        figures.push(commits(bench, batch, None).await?);
    }
    if let Some(folder) = local_socket(&bench.args.store) {
        figures.push(commits(bench, 100, Some(folder)).await?);
    }
    Ok(figures)
}

async fn commits(bench: &Bench, batch: u32, socket: Option<&str>) -> Result<Figure> {
    let windows = in_scratch(bench, async |scratch| {
        let bodies = payload::messages(u32::from(CONNECTIONS) * batch.max(50) * 4, bench.args.message_bytes);
        Rows::prepare(&scratch.store, &bodies).await.context("make tables")?;
        let commits = Commits::start(bench, scratch, &bodies, batch, socket).await?;
        measure(bench, commits.count.clone(), 1.0, commits).await
    })
    .await?;
    let way = socket.map_or("", |_| ", local socket");
    let note = format!("{CONNECTIONS} connections, rows of {} B", bench.args.row_bytes);
    Ok(Figure::rate(format!("{batch} a commit{way}"), "transitions/s", &windows).note(note))
}

/// Where the server of this URL listens besides its port, if it is the one on this machine.
fn local_socket(store: &str) -> Option<&'static str> {
    const FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];
    let options: PgConnectOptions = store.parse().ok()?;
    let here = ["127.0.0.1", "localhost", "::1"].contains(&options.get_host());
    let socket = format!(".s.PGSQL.{}", options.get_port());
    FOLDERS.into_iter().find(|folder| here && Path::new(folder).join(&socket).exists())
}

/// Tasks that work until they are told to stop.
trait Running {
    fn tasks(&mut self) -> &mut JoinSet<Result<()>>;
    async fn stop(self);
}

impl Running for Hops {
    fn tasks(&mut self) -> &mut JoinSet<Result<()>> {
        &mut self.tasks
    }
    async fn stop(self) {
        self.close().await;
    }
}

/// Connections that commit, one batch after another.
struct Commits {
    count: Arc<AtomicU64>,
    tasks: JoinSet<Result<()>>,
}

impl Commits {
    /// Each connection has branches of its own and goes through them in turns.
    async fn start(
        bench: &Bench,
        scratch: &Scratch,
        bodies: &[Vec<u8>],
        batch: u32,
        socket: Option<&str>,
    ) -> Result<Self> {
        let (count, mut tasks) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
        let row = payload::history(1, bench.args.row_bytes);
        for share in bodies.chunks(bodies.len() / usize::from(CONNECTIONS)) {
            let mut rows = Rows::connect(&scratch.store, socket).await?;
            let mut moves = share.iter().map(|body| work::read(body)).collect::<Result<Vec<_>>>()?;
            let (count, row, batch) = (Arc::clone(&count), row.clone(), batch as usize);
            tasks.spawn(async move {
                loop {
                    for part in moves.chunks_mut(batch) {
                        rows.commit(part, &row).await?;
                        count.fetch_add(part.len() as u64, Ordering::Relaxed);
                        part.iter_mut().for_each(work::Move::advance);
                    }
                }
            });
        }
        Ok(Commits { count, tasks })
    }
}

impl Running for Commits {
    fn tasks(&mut self) -> &mut JoinSet<Result<()>> {
        &mut self.tasks
    }
    async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Runs with a prefix and a database, and removes both.
async fn in_scratch<T>(bench: &Bench, run: impl AsyncFnOnce(&Scratch) -> Result<T>) -> Result<T> {
    let scratch = bench.servers.scratch().await?;
    let result = run(&scratch).await;
    bench.servers.remove(&scratch).await?;
    result
}

/// Measures while tasks run; the first that fails ends it.
async fn measure(
    bench: &Bench,
    count: Arc<AtomicU64>,
    weight: f64,
    mut running: impl Running,
) -> Result<Vec<Window>> {
    let windows = tokio::select! {
        windows = count_windows(bench, &bench.processes, &count, weight) => Ok(windows),
        Some(ended) = running.tasks().join_next() => match ended {
            Ok(Ok(())) => Err(Failure::new("a consumer ended")),
            Ok(Err(failure)) => Err(failure),
            Err(error) => Err(error.into()),
        },
    };
    running.stop().await;
    let windows = windows?;
    if windows.iter().any(|window| window.units < 1.0) {
        return Err(Failure::new("nothing moved; is the server overloaded, or blocked by an alarm?"));
    }
    Ok(windows)
}

/// Watches a counter: a warm-up, then one window after another.
pub async fn count_windows(
    bench: &Bench,
    processes: &Processes,
    count: &AtomicU64,
    weight: f64,
) -> Vec<Window> {
    sleep(WARM_UP).await;
    let mut windows = Vec::new();
    for _ in 0..bench.args.repetitions {
        let (units, usage) = (count.load(Ordering::Relaxed), processes.usage());
        sleep(bench.args.window()).await;
        let (now, spent) = (count.load(Ordering::Relaxed), processes.usage().since(usage));
        windows.push(Window { units: (now - units) as f64 * weight, seconds: spent.elapsed, spent });
    }
    windows
}
