//! What every catalog promises of tags.

use engine::ids::MachineId;
use engine::ports::catalog::Activity;
use engine::ports::catalog::tags::{Tag, TagOwner, Tagged};

use super::world::{Adapter, PLENTY, START, machine};

macro_rules! promises_to {
    ($attribute:meta, $adapter:expr) => {
        $crate::contract::promises!(tags, $attribute, $adapter,
            what_is_made_with_tags_has_them
            a_tag_takes_the_place_of_the_one_with_its_key
            an_owner_has_so_many_tags
            tags_are_removed_by_their_keys
            tags_go_with_their_owner
        );
    };
}
pub(crate) use promises_to;

fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.to_owned(), value: value.to_owned() }
}

fn paint() -> (Activity, TagOwner) {
    (Activity { name: "paint".to_owned(), created_at: START }, TagOwner::Activity("paint".to_owned()))
}

pub async fn what_is_made_with_tags_has_them(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let tags = vec![tag("team", "shop"), tag("cost", ""), tag("état", "\"1\" \\ '2'")];
    let (orders, (activity, paint)) = (machine("orders"), paint());
    db.create_machine(orders.clone(), tags.clone()).await.unwrap();
    db.create_activity(activity.clone(), tags.clone()).await.unwrap();
    for owner in [TagOwner::Machine(orders.id), paint.clone()] {
        assert_eq!(db.tags(&owner).await.unwrap(), tags);
    }
    db.create_machine(machine("orders"), vec![tag("other", "1")]).await.unwrap();
    db.create_activity(activity, vec![tag("other", "1")]).await.unwrap();
    assert_eq!(db.tags(&TagOwner::Machine(orders.id)).await.unwrap(), tags, "it was there");
    assert_eq!(db.tags(&paint).await.unwrap(), tags, "it was there");
}

pub async fn a_tag_takes_the_place_of_the_one_with_its_key(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (activity, paint) = paint();
    db.create_activity(activity, vec![tag("a", "1"), tag("b", "1")]).await.unwrap();
    let added = [tag("c", "2"), tag("a", "2"), tag("c", "3")];
    assert_eq!(db.add_tags(&paint, &added, 50).await.unwrap(), Tagged::Done);
    let mut tags = db.tags(&paint).await.unwrap();
    assert_eq!(tags[..2], [tag("a", "2"), tag("b", "1")]);
    assert_eq!(tags.split_off(2), [tag("c", "3")]);
    assert_eq!(db.add_tags(&paint, &[], 50).await.unwrap(), Tagged::Done);
    let nobody = [TagOwner::Machine(MachineId::new()), TagOwner::Activity("dry".to_owned())];
    for owner in nobody {
        assert_eq!(db.add_tags(&owner, &added, 50).await.unwrap(), Tagged::NoOwner);
        assert_eq!(db.tags(&owner).await.unwrap(), []);
    }
}

pub async fn an_owner_has_so_many_tags(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let orders = machine("orders");
    db.create_machine(orders.clone(), vec![tag("a", "1"), tag("b", "1")]).await.unwrap();
    let owner = TagOwner::Machine(orders.id);
    let more = [tag("a", "2"), tag("c", "2"), tag("d", "2")];
    assert_eq!(db.add_tags(&owner, &more, 3).await.unwrap(), Tagged::Full);
    assert_eq!(db.tags(&owner).await.unwrap(), [tag("a", "1"), tag("b", "1")]);
    assert_eq!(db.add_tags(&owner, &more[..2], 3).await.unwrap(), Tagged::Done);
}

pub async fn tags_are_removed_by_their_keys(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (activity, paint) = paint();
    db.create_activity(activity, vec![tag("a", "1"), tag("b", "1"), tag("c", "1")]).await.unwrap();
    let remove = async |keys: &[&str]| {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        db.remove_tags(&paint, &keys).await.unwrap();
        db.tags(&paint).await.unwrap().into_iter().map(|tag| tag.key).collect::<Vec<_>>()
    };
    assert_eq!(remove(&[]).await, ["a", "b", "c"]);
    assert_eq!(remove(&["b", "b", "x"]).await, ["a", "c"]);
    assert_eq!(remove(&["a", "c"]).await, Vec::<String>::new());
}

pub async fn tags_go_with_their_owner(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (orders, (activity, paint)) = (machine("orders"), paint());
    let tags = vec![tag("a", "1")];
    db.create_machine(orders.clone(), tags.clone()).await.unwrap();
    db.create_activity(activity.clone(), tags).await.unwrap();
    db.delete_machine(orders.id).await.unwrap();
    db.delete_activity("paint").await.unwrap();
    db.create_activity(activity, Vec::new()).await.unwrap();
    assert_eq!(db.tags(&TagOwner::Machine(orders.id)).await.unwrap(), []);
    assert_eq!(db.tags(&paint).await.unwrap(), []);
}
