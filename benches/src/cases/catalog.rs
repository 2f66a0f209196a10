//! The list: names, what they are held to, what they are shares of.

use super::latency::Latency;
use super::maps::Maps;
use super::metrics_cost::MetricsCost;
use super::throughput::Throughput;
use super::workload::Workload;
use super::{Case, Kind};
use crate::baseline::FUSED;
use crate::target::Target::{self, AtLeast, EitherAtLeast, ShareAtLeast};

const RAW_AMQP: &str = "raw-amqp";
const EXPRESS: &str = "skeleton-express";
const EXPRESS_FUSED: &str = "skeleton-express-fused";
const STANDARD: &str = "skeleton-standard";
const STANDARD_FUSED: &str = "skeleton-standard-fused";
const CHAIN: Workload = Workload::Chain(10);
const TASKS: Workload = Workload::Tasks(5);
const MAP: Workload = Workload::Map(100);

/// All cases, in the order they run.
pub const CATALOG: &[Case] = &[
    plain(RAW_AMQP, "deliver, publish, confirm, acknowledge", Kind::RawAmqp),
    plain("raw-postgres", "fenced moves and history rows, by size of commit", Kind::RawPostgres),
    plain(EXPRESS, "an Express engine without an interpreter", skeleton(false, 1)),
    plain(EXPRESS_FUSED, "the same, ten states a message", skeleton(false, FUSED)),
    plain(STANDARD, "a Standard engine without an interpreter", skeleton(true, 1)),
    plain(STANDARD_FUSED, "the same, ten states a message", skeleton(true, FUSED)),
    load("chain10-express", "ten Pass states", EXPRESS, express(CHAIN), Some(ShareAtLeast(0.6))),
    load(
        "chain10-express-fused",
        "ten Pass states in one hop",
        EXPRESS_FUSED,
        express(CHAIN).fused(),
        Some(EitherAtLeast(100_000.0, 0.35)),
    ),
    load("chain10-standard", "ten Pass states", STANDARD, standard(CHAIN, 1_500), Some(ShareAtLeast(0.5))),
    load(
        "chain10-standard-fused",
        "ten Pass states in one hop",
        STANDARD_FUSED,
        standard(CHAIN, 5_000).fused(),
        Some(ShareAtLeast(0.35)),
    ),
    load("chain10-express-2", "two engines", EXPRESS, express(CHAIN).by(2), None),
    load("chain10-express-4", "four engines", EXPRESS, express(CHAIN).by(4), None),
    load("chain10-standard-2", "two engines", STANDARD, standard(CHAIN, 1_500).by(2), None),
    load("chain10-standard-4", "four engines", STANDARD, standard(CHAIN, 1_500).by(4), None),
    Case {
        name: "trigger-express",
        about: "from a message to the end of an Express execution of one Pass",
        ceiling: Some(RAW_AMQP),
        kind: Kind::Triggered,
    },
    load("task5-express", "five function tasks", EXPRESS, express(TASKS), Some(AtLeast(5_000.0))),
    load("task5-standard", "five function tasks", STANDARD, standard(TASKS, 1_000), Some(AtLeast(4_000.0))),
    load("map100-express", "a Map of 100 Pass", EXPRESS, express(MAP), None),
    load(
        "map100-express-fused",
        "the same, fused",
        EXPRESS_FUSED,
        express(MAP).fused(),
        Some(AtLeast(250.0)),
    ),
    load("map100-standard", "a Map of 100 Pass", STANDARD, standard(MAP, 100), None),
    load(
        "map100-standard-fused",
        "the same, fused",
        STANDARD_FUSED,
        standard(MAP, 200).fused(),
        Some(AtLeast(150.0)),
    ),
    maps("map10000-express", true, false),
    maps("map10000-express-fused", true, true),
    maps("map10000-standard", false, false),
    maps("map10000-standard-fused", false, true),
    latency("latency-express", Latency { express: true, fuse: false, p50_ms_max: 6.0 }),
    latency("latency-express-fused", Latency { express: true, fuse: true, p50_ms_max: 1.5 }),
    latency("latency-standard", Latency { express: false, fuse: false, p50_ms_max: 11.0 }),
    latency("latency-standard-fused", Latency { express: false, fuse: true, p50_ms_max: 3.0 }),
    metrics_cost("metrics-cost-express", true, false),
    metrics_cost("metrics-cost-express-fused", true, true),
    metrics_cost("metrics-cost-standard", false, false),
    metrics_cost("metrics-cost-standard-fused", false, true),
    plain("sleeping", "memory that executions in a Wait take", Kind::Sleeping),
    plain("timers", "how late many timers fire that are due at once", Kind::Timers),
    plain("start", "an engine until it is ready, and its memory idle", Kind::Start),
];

const fn plain(name: &'static str, about: &'static str, kind: Kind) -> Case {
    Case { name, about, ceiling: None, kind }
}

const fn skeleton(standard: bool, states: u32) -> Kind {
    Kind::Skeleton { standard, states }
}

const fn load(
    name: &'static str,
    about: &'static str,
    ceiling: &'static str,
    throughput: Throughput,
    target: Option<Target>,
) -> Case {
    let throughput = Throughput { target, ..throughput };
    Case { name, about, ceiling: Some(ceiling), kind: Kind::Throughput(throughput) }
}

const fn maps(name: &'static str, express: bool, fuse: bool) -> Case {
    plain(name, "an item of a Map of 10,000 beside one of 100", Kind::Maps(Maps { express, fuse }))
}

const fn latency(name: &'static str, latency: Latency) -> Case {
    plain(name, "ten Pass states one at a time: idle, and at half load", Kind::Latency(latency))
}

const fn metrics_cost(name: &'static str, express: bool, fuse: bool) -> Case {
    let kind = Kind::MetricsCost(MetricsCost { express, fuse });
    plain(name, "ten Pass states on an engine that records metrics, and on one that does not", kind)
}

const fn express(workload: Workload) -> Throughput {
    Throughput { workload, express: true, fuse: false, processes: 1, backlog_per_second: 0, target: None }
}

/// `backlog_per_second`: about as many as an engine on two cores ends in a second, so that the starts end
/// well before the work.
const fn standard(workload: Workload, backlog_per_second: u32) -> Throughput {
    Throughput { workload, express: false, fuse: false, processes: 1, backlog_per_second, target: None }
}
