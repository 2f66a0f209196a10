//! What stores promise that outlive their process.

use super::world::{Adapter, At, PLENTY, World};

macro_rules! promises_to {
    ($attribute:meta, $adapter:expr) => {
        $crate::contract::promises!(durability, $attribute, $adapter,
            a_store_opened_again_has_everything
            a_second_store_on_the_same_data_sees_each_commit
        );
    };
}
pub(crate) use promises_to;

pub async fn a_store_opened_again_has_everything(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start_as(world.execution(Some("monday"))).await;
    let (_, children) = world.fork(&root, 5).await;
    let ended = world.pass_all(children.iter().map(At::ended).collect()).await;
    let parent = ended[4].parent.clone().unwrap();
    let live = world.db.live_branches(None, 100).await.unwrap();
    let history = world.history(root.key.execution).await;
    let World { machine, db } = world;
    drop(db);
    let world = World { db: adapter.open(PLENTY).await, machine };
    assert_eq!(world.db.machine("orders").await.unwrap(), Some(world.machine.clone()));
    assert_eq!(world.db.live_branches(None, 100).await.unwrap(), live);
    assert_eq!(world.history(root.key.execution).await, history);
    let joined = world.db.joined(&parent.key, parent.fence).await.unwrap().unwrap();
    assert_eq!(joined.bodies.len(), 5);
    world.pass(parent.joined()).await;
}

/// What is read through another store is what a process would find that starts when this one is killed.
pub async fn a_second_store_on_the_same_data_sees_each_commit(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let other = adapter.open(PLENTY).await;
    let mut at = world.start().await;
    for _ in 0..20 {
        at = world.pass(at.moved()).await.at;
        let seen = other.branches(std::slice::from_ref(&at.key)).await.unwrap();
        assert_eq!(seen[0].as_ref().unwrap().fence, at.fence);
    }
    other.commit(vec![at.finished()]).await.unwrap();
    assert!(world.paths(at.key.execution).await.is_empty());
}
