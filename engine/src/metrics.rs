//! What Warren counts and times, for Prometheus: `GET /metrics`.
//!
//! ```text
//!   services, api ─▶ typed functions ─▶ handles, resolved once ─▶ registry ─▶ text
//!                       (one file each       (Instruments)
//!                        below this one)             catalogue: every metric, with what it tells
//! ```
//!
//! The catalogue is the one place where a metric is named; `docs/metrics.md` is written from it. What is recorded
//! goes through the functions of the files below, whose arguments are the engine's own types. They cost an atomic
//! load where metrics are off, and an addition or two where they are on: handles of fixed labels are in arrays,
//! those of names that users choose in maps that hold so many names and no more (`names`).
//!
//! A process has one registry, and nothing of it outlives the process: Prometheus knows a counter that starts
//! again. What two processes may see of the same thing is recorded by one of them; the catalogue says by which
//! ([`metric::Counted`]).

use std::sync::OnceLock;

pub mod catalogue;
pub mod metric;

pub mod api;
pub mod conditions;
pub mod executions;
pub mod messages;
pub mod process;
pub mod states;
pub mod store;
pub mod tasks;
pub mod timers;
pub mod triggers;

mod names;
mod registry;

pub use registry::Error;
use registry::Registry;

/// The handles of this process; empty where metrics are off.
static INSTRUMENTS: OnceLock<Instruments> = OnceLock::new();

/// Every handle, by what it is about.
struct Instruments {
    registry: Registry,
    executions: executions::Executions,
    states: states::States,
    tasks: tasks::Tasks,
    messages: messages::Messages,
    store: store::Stores,
    timers: timers::Timers,
    api: api::Requests,
    triggers: triggers::Triggers,
    conditions: conditions::Conditions,
}

impl Instruments {
    fn new() -> Result<Self, Error> {
        let registry = Registry::new()?;
        Ok(Instruments {
            executions: executions::Executions::new(&registry),
            states: states::States::new(&registry),
            tasks: tasks::Tasks::default(),
            messages: messages::Messages::new(&registry),
            store: store::Stores::new(&registry),
            timers: timers::Timers::new(&registry),
            api: api::Requests::new(&registry),
            triggers: triggers::Triggers::default(),
            conditions: conditions::Conditions::new(&registry),
            registry,
        })
    }
}

/// Turns metrics on in this process, before anything is recorded. To do it again changes nothing.
pub fn install() -> Result<(), Error> {
    if INSTRUMENTS.get().is_none() {
        // Somebody else's may have come first; it serves as well.
        let _ = INSTRUMENTS.set(Instruments::new()?);
    }
    Ok(())
}

/// Whether anything is recorded.
pub fn are_on() -> bool {
    INSTRUMENTS.get().is_some()
}

fn on() -> Option<&'static Instruments> {
    INSTRUMENTS.get()
}

/// All metrics as Prometheus reads them; `None` where they are off.
pub fn render() -> Option<String> {
    let on = on()?;
    let mut text = on.registry.render();
    process::write(&mut text);
    Some(text)
}

/// Adds up what was timed since it was done last: to be done every few seconds, as each time is kept until then.
pub fn tidy_up() {
    if let Some(on) = on() {
        on.registry.tidy_up();
    }
}
