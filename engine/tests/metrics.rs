//! The catalogue of metrics: well made, told in `docs/metrics.md` as it is, and recorded to the last.
//!
//! `BLESS=1 cargo test -p engine --test metrics` writes the document anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use asl::data::timestamp::Timestamp;
use asl::definition::WorkflowType;
use asl::program::Resource;
use engine::metrics;
use engine::metrics::catalogue::{PARTS, all};
use engine::metrics::conditions::{Outside, Standing};
use engine::metrics::executions::Ended;
use engine::metrics::messages::{Outgoing, Taken};
use engine::metrics::metric::{Counted, Kind, Metric, NAMES_MAX, Unit};
use engine::metrics::states::Batch;
use engine::metrics::store::{Asked, Operation};
use engine::metrics::timers::Cause;
use engine::ports::broker::{Delivery, DeliveryTag, Family, Publication, Published, Queue};
use engine::ports::store::Verdict;

#[test]
fn names_follow_the_conventions_of_prometheus() {
    let names: BTreeSet<&str> = all().map(|metric| metric.name).collect();
    assert_eq!(names.len(), all().count(), "a name is taken twice");
    for metric in all() {
        let Metric { name, kind, unit, labels, help, .. } = metric;
        assert!(name.starts_with("warren_") || name.starts_with("process_"), "{name}");
        assert!(name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        let base = name.trim_end_matches("_total");
        assert_eq!(base.ends_with("_seconds"), *unit == Unit::Seconds, "{name}");
        assert_eq!(base.ends_with("_bytes"), *unit == Unit::Bytes, "{name}");
        for suffix in ["_sum", "_count", "_bucket"] {
            assert!(!name.ends_with(suffix), "{name}");
        }
        let labels: BTreeSet<&str> = labels.iter().map(|label| label.name()).collect();
        assert_eq!(labels.len(), metric.labels.len(), "{name}");
        assert!(!labels.contains("le"), "{name}");
        assert!(help.ends_with('.') && !help.contains('\n') && !help.contains("  "), "{name}: {help}");
        if let Kind::Histogram(buckets) = kind {
            assert!(buckets.is_sorted() && !buckets.is_empty(), "{name}");
        }
    }
}

#[test]
fn the_document_tells_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let told = document();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &told).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == told, "docs/metrics.md is old: BLESS=1 cargo test -p engine --test metrics");
}

/// `docs/metrics.md`.
fn document() -> String {
    let mut text = format!(
        "# Metrics\n\n\
         Written from the catalogue in `engine/src/metrics/catalogue`; not to be changed by hand.\n\n\
         Every process answers `GET /metrics` on its port, whatever its roles, in the text format of Prometheus.\n\
         `metrics.enabled = false` ([configuration](guides/configuration.md)) turns recording and page off. How to\n\
         watch Warren with Prometheus and Grafana is told in [operating](guides/operating.md#metrics).\n\n\
         A label whose values users choose (`machine`, `resource`, `trigger`) has {NAMES_MAX} of them at most in one\n\
         process; what comes later is under `other`, and counted in `warren_metrics_overflown_total`.\n\n\
         ## Who counts what\n\n\
         Nothing is kept beyond a process: counters begin at 0 with it, and Prometheus knows how to read that. What\n\
         happened between the last scrape and a crash is not told. The column *counted* says the rest:\n\n",
    );
    for (counted, meaning) in [
        (
            Counted::Once,
            "by the process whose commit stands, and by no other: sums over processes are right. One that dies \
             between its commit and the next scrape leaves it out; nothing is counted twice.",
        ),
        (
            Counted::OncePerWork,
            "Standard: once, as above. Express: by the process that does it, each time it is done: after a crash, \
             or while the broker is away, what is worked again is counted again.",
        ),
        (Counted::ByProcess, "by each process for itself: add up over processes, or look at one."),
        (
            Counted::ByEach,
            "every process with the role `engine` tells the same about the whole deployment: take the maximum.",
        ),
    ] {
        text += &format!("* **{}**: {meaning}\n", word(counted));
    }
    for part in &PARTS {
        text += &format!("\n## {}\n\n{}\n\n", part.title, part.about);
        text += "| metric | labels | tells | counted | CloudWatch |\n| --- | --- | --- | --- | --- |\n";
        for metric in part.metrics {
            text += &row(metric);
        }
    }
    text
}

fn word(counted: Counted) -> &'static str {
    match counted {
        Counted::Once => "once",
        Counted::OncePerWork => "once per work",
        Counted::ByProcess => "by process",
        Counted::ByEach => "by each",
    }
}

fn row(metric: &Metric) -> String {
    let kind = match metric.kind {
        Kind::Counter => "counter".to_owned(),
        Kind::Gauge => "gauge".to_owned(),
        Kind::Histogram(buckets) => {
            let buckets: Vec<String> = buckets.iter().map(f64::to_string).collect();
            format!("histogram: {}", buckets.join(" "))
        }
    };
    let unit = match metric.unit {
        Unit::Flag => ", 1 or 0",
        Unit::Count | Unit::Seconds | Unit::Bytes => "",
    };
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{}`", label.name())).collect();
    format!(
        "| `{}`<br>{kind}{unit} | {} | {} | {} | {} |\n",
        metric.name,
        labels.join(", "),
        metric.help,
        word(metric.counted),
        metric.cloudwatch.unwrap_or_default(),
    )
}

#[test]
fn every_metric_is_recorded_under_its_name_and_labels() {
    metrics::install().unwrap();
    record_everything();
    let text = metrics::render().unwrap();
    for metric in all() {
        let name = metric.name;
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} is not recorded");
        assert!(text.contains(&format!("# HELP {name} {}\n", metric.help)), "{name} has no help");
        let suffix = if matches!(metric.kind, Kind::Histogram(_)) { "_count" } else { "" };
        let first = format!("{name}{suffix}{}", if metric.labels.is_empty() { " " } else { "{" });
        let line = text.lines().find(|line| line.starts_with(&first)).unwrap_or_else(|| panic!("{name}"));
        for label in metric.labels {
            assert!(line.contains(&format!("{}=\"", label.name())), "{line}");
        }
    }
    for line in [
        "warren_executions_succeeded_total{machine=\"m\",type=\"standard\"} 1",
        "warren_executions_failed_total{machine=\"m\",type=\"standard\"} 0",
        "warren_tasks_heartbeat_timed_out_total{kind=\"activity\",resource=\"sort\"} 1",
        "warren_messages_published_total{queue=\"functions\",outcome=\"returned\"} 1",
        "warren_messages_redelivered_total{queue=\"calls\"} 1",
        "warren_messages_dead_lettered_total{queue=\"calls\",reason=\"unreadable\"} 1",
        // The consumer is gone, and what it had not settled with it.
        "warren_deliveries_in_flight{queue=\"calls\"} 0",
        "warren_commits_total{verdict=\"stale\"} 1",
        "warren_broker_blocked 1",
        "warren_missing{what=\"broker\"} 1",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} is not in\n{text}");
    }
}

/// Every function that records, once.
fn record_everything() {
    record_executions();
    record_messages();
    record_deployment();
    metrics::triggers::received("t", 2);
    metrics::triggers::matched("t", 1);
    metrics::triggers::started("t", 1);
    metrics::triggers::retried("t");
    metrics::triggers::dead_lettered("t", 1);
    metrics::triggers::paused("t", true);
    metrics::triggers::lag("t", 1_500);
    metrics::triggers::waiting("t", 7);
    metrics::conditions::process_is("0", "api");
    metrics::api::Request::begin(Some("StartExecution")).answered(None);
    drop(metrics::api::Request::begin(None));
    // A name beyond those that have a place.
    for number in 0..=NAMES_MAX {
        metrics::triggers::paused(&number.to_string(), false);
    }
}

fn record_executions() {
    use metrics::{executions, states, tasks};
    let standard = WorkflowType::Standard;
    let now = Timestamp::from_milliseconds(20_000);
    executions::started("m", standard);
    executions::begun(standard, 20);
    executions::ended("m", standard, Ended::Succeeded, 1_000);
    executions::throttled("m", standard);
    executions::redriven("m", standard);
    executions::open(1, Some(Timestamp::from_milliseconds(10_000)), now);
    states::transition(standard, &[]);
    let batch = Batch::begin(standard, 3);
    batch.end();
    let activity =
        Resource::Activity { arn: "arn:aws:states:us-east-1:000000000000:activity:sort".to_owned() };
    tasks::scheduled(&activity);
    tasks::started(&activity);
    tasks::taken(&activity, 10);
    let took = tasks::Took { run: Some(5), all: Some(15) };
    tasks::ended(&activity, tasks::Ended::HeartbeatTimedOut, took);
}

fn record_messages() {
    use metrics::messages;
    let publication = Publication::new(Queue::function("f"), "id".to_owned(), "{}".into());
    Outgoing::of(&[publication]).published(&[Published::Returned], Duration::from_millis(3));
    let taken = Taken::from(&Queue::of(Family::Calls, 0));
    let delivery = Delivery {
        tag: DeliveryTag(1),
        id: String::new(),
        body: "{}".into(),
        reply_to: None,
        correlation_id: None,
        headers: std::collections::BTreeMap::default(),
        redeliveries: 1,
        routing_key: String::new(),
    };
    taken.delivered(&[delivery]);
    taken.dead_lettered("failed to read a message: it ends too early");
    drop(taken);
    messages::ready(Family::Standard, 5);
    messages::waiting(&Queue::dead(), 1);
    messages::lag(250);
}

fn record_deployment() {
    use metrics::{conditions, store, timers};
    Asked::now(Operation::Commit).answered(&Ok(()));
    store::committed(&[Verdict::Stale]);
    timers::fired_from_memory(1);
    timers::fired_from_rows(1);
    timers::late_by(-3);
    timers::made_again(Cause::Sweep, 1);
    timers::swept(1);
    conditions::holding(Outside::Broker);
    conditions::going_on(Outside::Broker);
    conditions::stand(&Standing {
        broker_up: true,
        broker_blocked: true,
        store_up: true,
        missing: vec!["broker"],
    });
}

/// Metrics are named in the catalogue and nowhere else.
#[test]
fn what_is_recorded_goes_through_the_catalogue() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let own: PathBuf = source.join("metrics");
    let mut folders = vec![source];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path != own {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for word in
                    ["::metrics::", "metrics_exporter_prometheus", "counter!(", "gauge!(", "histogram!("]
                {
                    let bare = text.replace("crate::metrics::", "").replace("engine::metrics::", "");
                    assert!(!bare.contains(word), "{} names {word}", path.display());
                }
            }
        }
    }
}
