//! Every case, by name, and the order they run in: ceilings first.

use std::time::Duration;

use tokio::time::timeout;

use crate::baseline;
use crate::bench::Bench;
use crate::deployment::{self, Deployment, Setup};
use crate::failure::{Failure, Result};
use crate::figure::{Figure, Outcome};
use crate::report::progress;
use catalog::CATALOG;
use latency::Latency;
use maps::Maps;
use metrics_cost::MetricsCost;
use throughput::Throughput;

mod catalog;
mod latency;
mod maps;
mod metrics_cost;
mod start;
mod throughput;
mod triggered;
mod waiting;
mod workload;

/// Something that is measured on its own.
#[derive(Debug)]
pub struct Case {
    /// How it is chosen.
    pub name: &'static str,
    /// What it measures.
    pub about: &'static str,
    /// A case that its figures are shares of.
    ceiling: Option<&'static str>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    RawAmqp,
    RawPostgres,
    Skeleton { standard: bool, states: u32 },
    Throughput(Throughput),
    Triggered,
    Maps(Maps),
    Latency(Latency),
    MetricsCost(MetricsCost),
    Sleeping,
    Timers,
    Start,
}

impl Kind {
    fn is_baseline(&self) -> bool {
        match self {
            Kind::RawAmqp | Kind::RawPostgres | Kind::Skeleton { .. } => true,
            Kind::Throughput(_)
            | Kind::Triggered
            | Kind::Maps(_)
            | Kind::Latency(_)
            | Kind::MetricsCost(_)
            | Kind::Sleeping
            | Kind::Timers
            | Kind::Start => false,
        }
    }

    fn starts_processes(&self) -> bool {
        match self {
            Kind::MetricsCost(_) | Kind::Sleeping | Kind::Start => true,
            Kind::Throughput(throughput) => throughput.processes > 1,
            Kind::RawAmqp
            | Kind::RawPostgres
            | Kind::Skeleton { .. }
            | Kind::Triggered
            | Kind::Maps(_)
            | Kind::Latency(_)
            | Kind::Timers => false,
        }
    }
}

/// The cases of these names, or that begin so, with their ceilings; all, if there are none.
pub fn choose(names: &[String]) -> Result<Vec<&'static Case>> {
    let mut chosen = Vec::new();
    for name in names {
        let exact: Vec<_> = CATALOG.iter().filter(|case| case.name == name).collect();
        let begin = || CATALOG.iter().filter(|case| case.name.starts_with(name.as_str())).collect();
        let found: Vec<_> = if exact.is_empty() { begin() } else { exact };
        if found.is_empty() {
            return Err(Failure::new(format!("there is no case {name}; `warren-bench --list` shows all")));
        }
        chosen.extend(found.iter().flat_map(|case| [Some(case.name), case.ceiling]).flatten());
    }
    Ok(CATALOG.iter().filter(|case| names.is_empty() || chosen.contains(&case.name)).collect())
}

/// Runs one after the other. A case that fails does not keep the others from running.
pub async fn run_all(bench: &Bench, cases: &[&'static Case], outcomes: &mut Vec<Outcome>) {
    for (index, case) in cases.iter().enumerate() {
        progress::case(index + 1, cases.len(), case.name);
        let outcome = run(bench, case).await;
        match &outcome {
            Outcome::Measured { figures, .. } => figures.iter().for_each(say),
            Outcome::Skipped { why, .. } => progress::line(&format!("    left out: {why}")),
            Outcome::Failed { why, .. } => progress::line(&format!("    failed: {why}")),
        }
        outcomes.push(outcome);
    }
}

fn say(figure: &Figure) {
    progress::line(&format!("    {}: {:.2} {}", figure.name, figure.median(), figure.unit));
}

async fn run(bench: &Bench, case: &'static Case) -> Outcome {
    let name = case.name;
    if let Some(why) = obstacle(bench, case) {
        let asked = bench.args.cases.iter().any(|asked| asked == name);
        return if asked {
            Outcome::Failed { case: name, why }
        } else {
            Outcome::Skipped { case: name, why }
        };
    }
    let limit = longest(bench);
    match timeout(limit, measure(bench, case)).await {
        Ok(Ok(figures)) => Outcome::Measured { case: name, figures },
        Ok(Err(failure)) => Outcome::Failed { case: name, why: failure.to_string() },
        Err(_) => {
            let why = format!("it was not over after {} s", limit.as_secs());
            Outcome::Failed { case: name, why }
        }
    }
}

/// Generous: only what hangs takes so long.
fn longest(bench: &Bench) -> Duration {
    let args = &bench.args;
    let measuring = args.seconds * f64::from(args.repetitions) * 20.0;
    Duration::from_secs_f64(180.0 + measuring + f64::from(args.timers + args.sleepers) / 200.0)
}

/// Why a case cannot run here, if it cannot.
fn obstacle(bench: &Bench, case: &Case) -> Option<String> {
    if case.kind.is_baseline() {
        return None;
    }
    if bench.args.endpoint.is_none() {
        return deployment::binary(bench).err().map(|failure| failure.to_string());
    }
    let tasks = matches!(&case.kind, Kind::Throughput(throughput) if throughput.needs_worker());
    if case.kind.starts_processes() {
        Some("it starts processes; --endpoint names a server that runs".to_owned())
    } else if tasks && bench.args.prefix.is_none() {
        Some("its worker needs --prefix, what the server's queues begin with".to_owned())
    } else {
        None
    }
}

async fn measure(bench: &Bench, case: &Case) -> Result<Vec<Figure>> {
    match &case.kind {
        Kind::RawAmqp => baseline::amqp(bench).await,
        Kind::RawPostgres => baseline::postgres(bench).await,
        Kind::Skeleton { standard, states } => baseline::skeleton(bench, *standard, *states).await,
        Kind::Throughput(throughput) => throughput.run(bench, case.ceiling).await,
        Kind::Triggered => triggered::run(bench, case.ceiling).await,
        Kind::Maps(maps) => maps.run(bench).await,
        Kind::Latency(latency) => latency.run(bench).await,
        Kind::MetricsCost(metrics_cost) => metrics_cost.run(bench).await,
        Kind::Sleeping => waiting::sleeping(bench).await,
        Kind::Timers => waiting::timers(bench).await,
        Kind::Start => start::run(bench).await,
    }
}

/// Runs against engines, and removes them and what they used; a failure has their last words.
async fn deployed<T>(
    bench: &Bench,
    setup: Setup,
    run: impl AsyncFnOnce(&mut Deployment) -> Result<T>,
) -> Result<T> {
    let mut deployment = Deployment::start(bench, setup).await?;
    let result = run(&mut deployment).await;
    let words = if result.is_err() { deployment.tail() } else { String::new() };
    deployment.remove(bench).await?;
    result.map_err(|failure| Failure::new(format!("{failure}\n{words}").trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(asked: &[&str]) -> Vec<&'static str> {
        let asked: Vec<String> = asked.iter().map(|&name| name.to_owned()).collect();
        choose(&asked).unwrap().iter().map(|case| case.name).collect()
    }

    #[test]
    fn a_case_brings_its_ceiling_along() {
        assert_eq!(names(&["chain10-express"]), ["skeleton-express", "chain10-express"]);
        assert_eq!(names(&["start"]), ["start"]);
        assert!(names(&["map100"]).contains(&"map10000-express"));
        assert_eq!(names(&[]).len(), CATALOG.len());
        assert!(choose(&["nothing".to_owned()]).is_err());
    }

    #[test]
    fn every_ceiling_is_a_case_that_runs_before() {
        for (index, case) in CATALOG.iter().enumerate() {
            let Some(ceiling) = case.ceiling else { continue };
            assert!(CATALOG[..index].iter().any(|earlier| earlier.name == ceiling), "{}", case.name);
        }
    }
}
