//! Triggers.

use asl::data::timestamp::Timestamp;
use async_trait::async_trait;
use engine::ids::TriggerId;
use engine::ports::store::Error;
use engine::ports::triggers::{KeptTrigger, Remains, Replacement, Triggers};

use super::MemoryStore;

/// A trigger, and until when its tick is somebody's.
pub(super) struct Kept {
    trigger: KeptTrigger,
    claimed_until: Option<Timestamp>,
}

impl MemoryStore {
    fn change(&self, id: TriggerId, change: impl FnOnce(&mut Kept) -> bool) -> bool {
        let mut state = self.state();
        state.triggers.values_mut().find(|kept| kept.trigger.id == id).is_some_and(change)
    }

    fn remain(&self, was: Option<KeptTrigger>, since: Timestamp) {
        self.state().trigger_remains.extend(was.map(|trigger| Remains { trigger, since }));
    }
}

#[async_trait]
impl Triggers for MemoryStore {
    async fn create_trigger(&self, trigger: KeptTrigger) -> Result<Option<KeptTrigger>, Error> {
        let triggers = &mut self.state().triggers;
        if let Some(taken) = triggers.get(&trigger.name) {
            return Ok(Some(taken.trigger.clone()));
        }
        triggers.insert(trigger.name.clone(), Kept { trigger, claimed_until: None });
        Ok(None)
    }

    async fn replace_trigger(
        &self,
        id: TriggerId,
        revision: i64,
        by: Replacement,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let mut was = None;
        let stands = self.change(id, |kept| {
            let stands = kept.trigger.revision == revision;
            if stands {
                was = Some(kept.trigger.clone());
                kept.trigger.definition = by.definition;
                kept.trigger.next_tick = by.next_tick;
                kept.trigger.paused = by.paused.unwrap_or(kept.trigger.paused);
                kept.trigger.revision += 1;
                kept.claimed_until = None;
            }
            stands
        });
        self.remain(was, now);
        Ok(stands)
    }

    async fn pause_trigger(
        &self,
        id: TriggerId,
        paused: bool,
        next_tick: Option<Timestamp>,
    ) -> Result<bool, Error> {
        Ok(self.change(id, |kept| {
            kept.trigger.paused = paused;
            kept.trigger.next_tick = next_tick;
            kept.trigger.revision += 1;
            kept.claimed_until = None;
            true
        }))
    }

    async fn remove_trigger(&self, id: TriggerId, now: Timestamp) -> Result<bool, Error> {
        let mut was = None;
        self.change(id, |kept| {
            was = Some(kept.trigger.clone());
            true
        });
        self.state().triggers.retain(|_, kept| kept.trigger.id != id);
        let is_removed = was.is_some();
        self.remain(was, now);
        Ok(is_removed)
    }

    async fn remains(&self, limit: u32) -> Result<Vec<Remains>, Error> {
        Ok(self.state().trigger_remains.iter().take(limit as usize).cloned().collect())
    }

    async fn forget_remains(&self, id: TriggerId, revision: i64) -> Result<(), Error> {
        let is_meant = |remains: &Remains| remains.trigger.id == id && remains.trigger.revision == revision;
        self.state().trigger_remains.retain(|remains| !is_meant(remains));
        Ok(())
    }

    async fn trigger(&self, name: &str) -> Result<Option<KeptTrigger>, Error> {
        Ok(self.state().triggers.get(name).map(|kept| kept.trigger.clone()))
    }

    async fn triggers(&self) -> Result<Vec<KeptTrigger>, Error> {
        Ok(self.state().triggers.values().map(|kept| kept.trigger.clone()).collect())
    }

    async fn claim_ticks(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<KeptTrigger>, Error> {
        let mut state = self.state();
        let mut due: Vec<&mut Kept> = state
            .triggers
            .values_mut()
            .filter(|kept| !kept.trigger.paused && kept.trigger.next_tick.is_some_and(|tick| tick <= now))
            .filter(|kept| kept.claimed_until.is_none_or(|until| until <= now))
            .collect();
        due.sort_by_key(|kept| kept.trigger.next_tick);
        let claimed = due.into_iter().take(limit as usize).map(|kept| {
            kept.claimed_until = Some(until);
            kept.trigger.clone()
        });
        Ok(claimed.collect())
    }

    async fn hold_tick(&self, id: TriggerId, tick: Timestamp, until: Timestamp) -> Result<bool, Error> {
        Ok(self.change(id, |kept| {
            let stands = kept.trigger.next_tick == Some(tick) && !kept.trigger.paused;
            if stands {
                kept.claimed_until = Some(until);
            }
            stands
        }))
    }

    async fn ticked(&self, id: TriggerId, tick: Timestamp, next: Option<Timestamp>) -> Result<(), Error> {
        self.change(id, |kept| {
            if kept.trigger.next_tick == Some(tick) {
                kept.trigger.next_tick = next;
                kept.claimed_until = None;
            }
            true
        });
        Ok(())
    }
}
