//! Tags.

use async_trait::async_trait;
use engine::ports::catalog::tags::{Tag, TagOwner, Tagged, Tags};
use engine::ports::store::Error;

use super::{MemoryStore, State};

impl State {
    /// Adds tags in order, each in the place of the one with its key.
    pub(super) fn put_tags(&mut self, owner: TagOwner, tags: &[Tag]) {
        let kept = self.tags.entry(owner).or_default();
        for tag in tags {
            match kept.iter_mut().find(|kept| kept.key == tag.key) {
                Some(kept) => kept.value.clone_from(&tag.value),
                None => kept.push(tag.clone()),
            }
        }
    }

    fn is_there(&self, owner: &TagOwner) -> bool {
        match owner {
            TagOwner::Machine(id) => self.machines.values().any(|machine| machine.id == *id),
            TagOwner::Activity(name) => self.activities.values().any(|activity| activity.name == *name),
        }
    }
}

#[async_trait]
impl Tags for MemoryStore {
    async fn add_tags(&self, owner: &TagOwner, tags: &[Tag], tags_max: u32) -> Result<Tagged, Error> {
        let mut state = self.state();
        if !state.is_there(owner) {
            return Ok(Tagged::NoOwner);
        }
        let before = state.tags.get(owner).cloned().unwrap_or_default();
        state.put_tags(owner.clone(), tags);
        if state.tags[owner].len() > tags_max as usize {
            state.tags.insert(owner.clone(), before);
            return Ok(Tagged::Full);
        }
        Ok(Tagged::Done)
    }

    async fn remove_tags(&self, owner: &TagOwner, keys: &[String]) -> Result<(), Error> {
        if let Some(kept) = self.state().tags.get_mut(owner) {
            kept.retain(|tag| !keys.contains(&tag.key));
        }
        Ok(())
    }

    async fn tags(&self, owner: &TagOwner) -> Result<Vec<Tag>, Error> {
        Ok(self.state().tags.get(owner).cloned().unwrap_or_default())
    }
}
