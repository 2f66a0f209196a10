//! Making, changing and removing triggers: the row, and what it needs of the broker.
//!
//! The row comes first, then what it needs of the broker, then the answer: an event that is published once a
//! caller was told waits in the trigger's queue. If a process dies in between, whoever works the trigger makes what
//! is missing. What a trigger was remains in the store until its queues and bindings are gone, whoever dies.

use asl::data::timestamp::Timestamp;

use super::compiled::{Compiled, Definition, From, Sample, Verdict};
use crate::ids::TriggerId;
use crate::ports::triggers::{KeptTrigger, Origin, Remains, Replacement};
use crate::services::{Core, Unavailable};

/// What remains of triggers is cleared away in portions.
const REMAINS_MAX: u32 = 1_000;
/// By then every process has seen a change.
const SEEN_EVERYWHERE_MILLISECONDS: i64 = 60_000;

/// Why a trigger was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// The name is taken.
    #[error("failed to make the trigger '{}': there is one of that name", .0.name)]
    Taken(Box<KeptTrigger>),
    /// It says what cannot be done; every problem with its place.
    #[error("failed to read the trigger: {}", .0.join("; "))]
    Invalid(Vec<String>),
    /// Somebody else changed it meanwhile.
    #[error("failed to change the trigger '{0}': somebody else has just changed it; look at it again")]
    Changed(String),
    /// Something is away.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Core {
    /// Makes a trigger.
    pub async fn make_trigger(
        &self,
        origin: Origin,
        definition: &Definition,
    ) -> Result<KeptTrigger, TriggerError> {
        let created_at = self.clock.now();
        let kept = KeptTrigger {
            id: TriggerId::new(),
            name: definition.name().to_owned(),
            origin,
            definition: definition.to_json(),
            paused: !definition.is_enabled(),
            revision: 1,
            created_at,
            next_tick: definition.next_tick(created_at, created_at),
        };
        let parts = self.compiled(&kept)?;
        let made = self.triggers.create_trigger(kept.clone()).await.map_err(Unavailable::from)?;
        if let Some(taken) = made {
            return Err(TriggerError::Taken(Box::new(taken)));
        }
        if let Err(error) = self.lay_out(&parts).await {
            // It was not made, and is not there.
            self.remove_trigger(&kept).await?;
            return Err(error.into());
        }
        Ok(kept)
    }

    /// Changes a trigger as it was read. Whether it rests stays as it is, unless that is what changes.
    pub async fn change_trigger(
        &self,
        kept: &KeptTrigger,
        definition: &Definition,
    ) -> Result<KeptTrigger, TriggerError> {
        let now = self.clock.now();
        let next_tick = definition.next_tick(kept.created_at, now);
        let is_enabled = definition.is_enabled();
        let was_enabled = Definition::from_json(&kept.definition).map_or(is_enabled, |was| was.is_enabled());
        let paused = (was_enabled != is_enabled).then_some(!is_enabled);
        let changed = KeptTrigger {
            definition: definition.to_json(),
            next_tick,
            paused: paused.unwrap_or(kept.paused),
            revision: kept.revision + 1,
            ..kept.clone()
        };
        let parts = self.compiled(&changed)?;
        let by = Replacement { definition: changed.definition.clone(), paused, next_tick };
        let replaced = self.triggers.replace_trigger(kept.id, kept.revision, by, now).await;
        if !replaced.map_err(Unavailable::from)? {
            return Err(TriggerError::Changed(kept.name.clone()));
        }
        self.lay_out(&parts).await?;
        self.take_down_soon(kept, &parts).await;
        Ok(changed)
    }

    /// Tells a trigger to rest or to go on. What its schedule has missed meanwhile is not made up for.
    pub async fn rest_trigger(&self, kept: &KeptTrigger, paused: bool) -> Result<KeptTrigger, TriggerError> {
        let next_tick = Definition::from_json(&kept.definition)
            .ok()
            .and_then(|definition| definition.next_tick(kept.created_at, self.clock.now()));
        let told = self.triggers.pause_trigger(kept.id, paused, next_tick).await;
        if !told.map_err(Unavailable::from)? {
            return Err(TriggerError::Changed(kept.name.clone()));
        }
        Ok(KeptTrigger { paused, next_tick, revision: kept.revision + 1, ..kept.clone() })
    }

    /// Removes a trigger, and its queue with what waits there. False if it is gone.
    pub async fn remove_trigger(&self, kept: &KeptTrigger) -> Result<bool, TriggerError> {
        let now = self.clock.now();
        let removed = self.triggers.remove_trigger(kept.id, now).await.map_err(Unavailable::from)?;
        self.take_down_soon(kept, &[]).await;
        Ok(removed)
    }

    /// Removes what only the trigger as it was needs: now, or when the broker is there again.
    async fn take_down_soon(&self, was: &KeptTrigger, but: &[Compiled]) {
        if let Ok(parts) = self.compiled(was)
            && let Err(error) = self.take_down(&parts, but).await
        {
            tracing::debug!(trigger = %was.name, %error, "queues of a trigger that is no more are removed later");
        }
    }

    /// Removes the queues and bindings of triggers as they were. For a while it does so again and again: a process
    /// that has not seen the change yet may make them again.
    pub(super) async fn clear_remains(&self) -> Result<(), Unavailable> {
        let remains = self.triggers.remains(REMAINS_MAX).await?;
        if remains.is_empty() {
            return Ok(());
        }
        let triggers = self.triggers.triggers().await?;
        for Remains { trigger: was, since } in remains {
            let now = triggers.iter().find(|kept| kept.id == was.id);
            // What cannot be read here, a process of another release clears away.
            let Ok(but) = now.map_or(Ok(Vec::new()), |kept| self.compiled(kept)) else { continue };
            let Ok(parts) = self.compiled(&was) else { continue };
            self.take_down(&parts, &but).await?;
            let age = self.clock.now().milliseconds() - since.milliseconds();
            if age >= SEEN_EVERYWHERE_MILLISECONDS {
                self.triggers.forget_remains(was.id, was.revision).await?;
            }
        }
        Ok(())
    }

    /// Makes the triggers of files what the files say: those that are new are made, those that differ replaced,
    /// those whose file is gone removed. One that cannot be holds up no other.
    pub async fn follow_files(&self, definitions: Vec<Definition>) -> Result<(), TriggerError> {
        let mut followed = Ok(());
        for definition in &definitions {
            let one = self.follow_file(definition).await;
            followed = followed.and(one);
        }
        for kept in self.triggers.triggers().await.map_err(Unavailable::from)? {
            let is_there = definitions.iter().any(|definition| definition.name() == kept.name);
            if kept.origin == Origin::File && !is_there {
                self.remove_trigger(&kept).await?;
            }
        }
        followed
    }

    async fn follow_file(&self, definition: &Definition) -> Result<(), TriggerError> {
        match self.triggers.trigger(definition.name()).await.map_err(Unavailable::from)? {
            None => self.make_trigger(Origin::File, definition).await.map(drop),
            Some(kept) if kept.origin != Origin::File => Err(TriggerError::Taken(Box::new(kept))),
            Some(kept) if kept.definition != definition.to_json() => {
                self.change_trigger(&kept, definition).await.map(drop)
            }
            Some(_) => Ok(()),
        }
    }

    fn compiled(&self, kept: &KeptTrigger) -> Result<Vec<Compiled>, TriggerError> {
        let parts = Compiled::all(kept, &self.home).map_err(TriggerError::Invalid)?;
        match parts.iter().find_map(|part| self.own_queue(part)) {
            Some(problem) => Err(TriggerError::Invalid(vec![problem])),
            None => Ok(parts),
        }
    }

    /// What it would take from executions, or give them.
    fn own_queue(&self, part: &Compiled) -> Option<String> {
        let taken = part.queue.as_ref().filter(|queue| !queue.is_ours() && self.prefix.is_of(queue.as_str()));
        let given = Some(&part.dead_letters).filter(|queue| self.prefix.is_of(queue.as_str()));
        let place = if taken.is_some() { "/from/queue" } else { "/dead_letters" };
        let queue = taken.or(given)?;
        Some(format!("{place}: the queue {queue} is Warren's own; name one of yours"))
    }

    /// Makes sure of queues and bindings.
    pub(super) async fn lay_out(&self, parts: &[Compiled]) -> Result<(), Unavailable> {
        for part in parts {
            let mut queues = vec![part.dead_letters.clone()];
            match &part.from {
                From::Exchange { .. } => queues.extend(part.queue.clone()),
                From::Queue if self.declares_queues => queues.extend(part.queue.clone()),
                From::Queue | From::Schedule(_) => {}
            }
            self.broker.declare(&queues).await?;
            if let (From::Exchange { exchange, binding }, Some(queue)) = (&part.from, &part.queue) {
                if self.declares_queues && !exchange.is_ours() {
                    self.broker.declare_exchange(exchange).await?;
                }
                self.broker.bind(queue, exchange, binding).await?;
            }
        }
        Ok(())
    }

    /// Makes sure of the queues and bindings of all triggers.
    pub async fn lay_out_triggers(&self) -> Result<(), Unavailable> {
        for kept in self.triggers.triggers().await? {
            // What cannot be worked is told when it is to be worked.
            let parts = Compiled::all(&kept, &self.home).unwrap_or_default();
            self.lay_out(&parts).await?;
        }
        Ok(())
    }

    /// Undoes what only these need.
    async fn take_down(&self, parts: &[Compiled], but: &[Compiled]) -> Result<(), Unavailable> {
        for part in parts {
            let (From::Exchange { exchange, binding }, Some(queue)) = (&part.from, &part.queue) else {
                continue;
            };
            let others: Vec<_> = but.iter().filter(|other| other.queue == part.queue).collect();
            if others.is_empty() {
                self.broker.delete(queue).await?;
            } else if others.iter().all(|other| other.from != part.from) {
                self.broker.unbind(queue, exchange, binding).await?;
            }
        }
        Ok(())
    }

    /// What would become of an event.
    pub fn try_trigger(
        &self,
        definition: &Definition,
        sample: &Sample,
    ) -> Result<Vec<Verdict>, TriggerError> {
        let now = self.clock.now();
        let kept = KeptTrigger {
            id: TriggerId::new(),
            name: definition.name().to_owned(),
            origin: Origin::Command,
            definition: definition.to_json(),
            paused: false,
            revision: 1,
            created_at: now,
            next_tick: None,
        };
        Ok(self.compiled(&kept)?.iter().map(|part| part.verdict(sample, now)).collect())
    }

    /// Triggers as the operator sees them: how many messages wait, and how many are dead letters.
    pub async fn trigger_backlog(&self, kept: &KeptTrigger) -> Result<Backlog, Unavailable> {
        let waiting = self.events_waiting(kept).await?.unwrap_or_default();
        let mut backlog = Backlog { waiting, dead_letters: 0 };
        for part in Compiled::all(kept, &self.home).unwrap_or_default() {
            backlog.dead_letters += self.broker.ready(&part.dead_letters).await?;
        }
        Ok(backlog)
    }

    /// How many events wait for a trigger; `None` for one without a queue, as a schedule is.
    pub(crate) async fn events_waiting(&self, kept: &KeptTrigger) -> Result<Option<u64>, Unavailable> {
        let mut waiting = None;
        for part in Compiled::all(kept, &self.home).unwrap_or_default() {
            if let Some(queue) = &part.queue {
                waiting = Some(waiting.unwrap_or(0) + self.broker.ready(queue).await?);
            }
        }
        Ok(waiting)
    }
}

/// What waits for a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Messages for it.
    pub waiting: u64,
    /// Messages that it could not work.
    pub dead_letters: u64,
}

/// The first tick after a time, for what ticks.
pub(super) fn next_tick(from: &From, anchor: Timestamp, after: Timestamp) -> Option<Timestamp> {
    match from {
        From::Schedule(schedule) => schedule.next_after(after, anchor),
        From::Exchange { .. } | From::Queue => None,
    }
}
