//! Whether the process can work, and what keeps it from that.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ::metrics::{Counter, Gauge};

use super::catalogue::{deployment as catalogue, process};
use super::on;
use super::registry::Registry;

/// What work is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// The store is away.
    Store,
    /// The broker is away.
    Broker,
}

impl Outside {
    /// Both, in the order of their handles.
    const ALL: [Outside; 2] = [Outside::Store, Outside::Broker];

    fn name(self) -> &'static str {
        match self {
            Outside::Store => "store",
            Outside::Broker => "broker",
        }
    }
}

/// How broker and store are, and what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The broker is reached.
    pub broker_up: bool,
    /// It takes no messages.
    pub broker_blocked: bool,
    /// The store is reached.
    pub store_up: bool,
    /// What `/readyz` lists.
    pub missing: Vec<&'static str>,
}

/// Handles of all these.
pub(super) struct Conditions {
    ready: Gauge,
    broker_up: Gauge,
    broker_blocked: Gauge,
    store_up: Gauge,
    /// What has been missing so far.
    missing: Mutex<BTreeMap<&'static str, Gauge>>,
    outages: [Counter; Outside::ALL.len()],
    holding: [Gauge; Outside::ALL.len()],
}

impl Conditions {
    pub(super) fn new(registry: &Registry) -> Self {
        let gauge = |metric| registry.gauge(metric, &[]);
        Conditions {
            ready: gauge(&catalogue::READY),
            broker_up: gauge(&catalogue::BROKER_UP),
            broker_blocked: gauge(&catalogue::BROKER_BLOCKED),
            store_up: gauge(&catalogue::STORE_UP),
            missing: Mutex::default(),
            outages: Outside::ALL.map(|outside| registry.counter(&catalogue::OUTAGES, &[outside.name()])),
            holding: Outside::ALL.map(|outside| registry.gauge(&catalogue::HOLDING, &[outside.name()])),
        }
    }
}

/// The release, and what this process does.
pub fn process_is(version: &str, roles: &str) {
    if let Some(on) = on() {
        on.registry.gauge(&process::BUILD, &[version, roles]).set(1.0);
    }
}

/// How things stand at this moment.
pub fn stand(standing: &Standing) {
    let Some(on) = on() else { return };
    let conditions = &on.conditions;
    conditions.ready.set(flag(standing.missing.is_empty()));
    conditions.broker_up.set(flag(standing.broker_up));
    conditions.broker_blocked.set(flag(standing.broker_blocked));
    conditions.store_up.set(flag(standing.store_up));
    let mut gauges = conditions.missing.lock().unwrap_or_else(PoisonError::into_inner);
    for what in &standing.missing {
        gauges.entry(what).or_insert_with(|| on.registry.gauge(&catalogue::MISSING, &[what]));
    }
    for (what, gauge) in gauges.iter() {
        gauge.set(flag(standing.missing.contains(what)));
    }
}

/// Work is held from now on.
pub fn holding(outside: Outside) {
    if let Some(on) = on() {
        on.conditions.outages[outside as usize].increment(1);
        on.conditions.holding[outside as usize].set(1.0);
    }
}

/// Work goes on.
pub fn going_on(outside: Outside) {
    if let Some(on) = on() {
        on.conditions.holding[outside as usize].set(0.0);
    }
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}
