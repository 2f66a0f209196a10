//! What every store promises those who keep triggers.

use asl::data::timestamp::Timestamp;
use engine::ids::TriggerId;
use engine::ports::triggers::{KeptTrigger, Origin, Remains, Replacement};

use super::world::{Adapter, PLENTY, START};

macro_rules! promises_to {
    ($attribute:meta, $adapter:expr) => {
        $crate::contract::promises!(triggers, $attribute, $adapter,
            a_trigger_is_found_as_it_was_made
            a_trigger_name_is_taken_once
            of_two_who_replace_the_same_revision_one_is_told
            a_removed_trigger_leaves_its_name
            what_a_trigger_was_remains_until_it_is_forgotten
            a_change_may_tell_a_trigger_to_rest
            triggers_are_listed_by_name
            a_tick_is_claimed_by_one
            a_tick_that_was_never_done_is_claimed_again
            a_tick_that_is_held_is_nobody_elses
            a_tick_that_is_done_comes_with_the_next
            triggers_that_rest_do_not_tick
        );
    };
}
pub(crate) use promises_to;

fn second(second: i64) -> Timestamp {
    START.plus_seconds(second)
}

fn trigger(name: &str, next_tick: Option<i64>) -> KeptTrigger {
    KeptTrigger {
        id: TriggerId::new(),
        name: name.to_owned(),
        origin: Origin::Command,
        definition: format!("{{\"name\":\"{name}\"}}"),
        paused: false,
        revision: 1,
        created_at: START,
        next_tick: next_tick.map(second),
    }
}

fn by(definition: &str, paused: Option<bool>, next_tick: Option<Timestamp>) -> Replacement {
    Replacement { definition: definition.to_owned(), paused, next_tick }
}

fn names(triggers: &[KeptTrigger]) -> Vec<&str> {
    triggers.iter().map(|trigger| trigger.name.as_str()).collect()
}

pub async fn a_trigger_is_found_as_it_was_made(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    for made in [
        trigger("orders", None),
        KeptTrigger { origin: Origin::File, paused: true, ..trigger("nightly", Some(5)) },
        KeptTrigger { origin: Origin::Api, revision: 7, ..trigger("rule", None) },
    ] {
        assert_eq!(db.create_trigger(made.clone()).await.unwrap(), None);
        assert_eq!(db.trigger(&made.name).await.unwrap(), Some(made));
    }
    assert_eq!(db.trigger("Orders").await.unwrap(), None);
}

pub async fn a_trigger_name_is_taken_once(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (first, second) = (trigger("orders", None), trigger("orders", None));
    db.create_trigger(first.clone()).await.unwrap();
    assert_eq!(db.create_trigger(second).await.unwrap(), Some(first.clone()));
    assert_eq!(db.trigger("orders").await.unwrap(), Some(first));
}

pub async fn of_two_who_replace_the_same_revision_one_is_told(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let made = trigger("orders", None);
    db.create_trigger(made.clone()).await.unwrap();
    let by = |text, tick| by(text, None, Some(second(tick)));
    assert!(db.replace_trigger(made.id, 1, by("one", 1), START).await.unwrap());
    assert!(!db.replace_trigger(made.id, 1, by("other", 2), START).await.unwrap());
    assert!(!db.replace_trigger(TriggerId::new(), 1, by("none", 3), START).await.unwrap());
    let now = KeptTrigger { definition: "one".to_owned(), next_tick: Some(second(1)), revision: 2, ..made };
    assert_eq!(db.trigger("orders").await.unwrap(), Some(now));
}

pub async fn a_removed_trigger_leaves_its_name(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (first, second) = (trigger("orders", None), trigger("orders", None));
    db.create_trigger(first.clone()).await.unwrap();
    assert!(db.remove_trigger(first.id, START).await.unwrap());
    assert!(!db.remove_trigger(first.id, START).await.unwrap());
    assert_eq!(db.trigger("orders").await.unwrap(), None);
    assert_eq!(db.create_trigger(second.clone()).await.unwrap(), None);
    assert!(!db.pause_trigger(first.id, true, None).await.unwrap());
    assert_eq!(db.trigger("orders").await.unwrap(), Some(second));
}

pub async fn what_a_trigger_was_remains_until_it_is_forgotten(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let made = trigger("orders", Some(1));
    db.create_trigger(made.clone()).await.unwrap();
    assert_eq!(db.remains(10).await.unwrap(), []);
    assert!(db.replace_trigger(made.id, 1, by("changed", None, None), second(1)).await.unwrap());
    assert!(!db.replace_trigger(made.id, 1, by("too late", None, None), second(2)).await.unwrap());
    assert!(db.remove_trigger(made.id, second(3)).await.unwrap());
    assert!(!db.remove_trigger(made.id, second(4)).await.unwrap());
    let changed =
        KeptTrigger { definition: "changed".to_owned(), next_tick: None, revision: 2, ..made.clone() };
    let [first, last] =
        [Remains { trigger: made.clone(), since: second(1) }, Remains { trigger: changed, since: second(3) }];
    assert_eq!(db.remains(1).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(db.remains(10).await.unwrap(), [first, last.clone()]);
    db.forget_remains(made.id, 1).await.unwrap();
    db.forget_remains(made.id, 1).await.unwrap();
    assert_eq!(db.remains(10).await.unwrap(), [last]);
}

pub async fn a_change_may_tell_a_trigger_to_rest(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let made = trigger("orders", None);
    db.create_trigger(made.clone()).await.unwrap();
    for (revision, paused, rests) in [(1, Some(true), true), (2, None, true), (3, Some(false), false)] {
        assert!(db.replace_trigger(made.id, revision, by("{}", paused, None), START).await.unwrap());
        let found = db.trigger("orders").await.unwrap().unwrap();
        assert_eq!((found.revision, found.paused), (revision + 1, rests));
    }
}

pub async fn triggers_are_listed_by_name(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    for name in ["b", "a", "C"] {
        db.create_trigger(trigger(name, None)).await.unwrap();
    }
    assert_eq!(names(&db.triggers().await.unwrap()), ["C", "a", "b"]);
}

pub async fn a_tick_is_claimed_by_one(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    for (name, tick) in [("late", Some(9)), ("second", Some(2)), ("first", Some(1)), ("never", None)] {
        db.create_trigger(trigger(name, tick)).await.unwrap();
    }
    assert_eq!(names(&db.claim_ticks(second(0), second(30), 10).await.unwrap()), [""; 0]);
    assert_eq!(names(&db.claim_ticks(second(2), second(30), 1).await.unwrap()), ["first"]);
    assert_eq!(names(&db.claim_ticks(second(2), second(30), 10).await.unwrap()), ["second"]);
    assert_eq!(names(&db.claim_ticks(second(2), second(30), 10).await.unwrap()), [""; 0]);
}

pub async fn a_tick_that_was_never_done_is_claimed_again(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    db.create_trigger(trigger("nightly", Some(1))).await.unwrap();
    let claimed = db.claim_ticks(second(1), second(30), 10).await.unwrap();
    assert_eq!(db.claim_ticks(second(29), second(60), 10).await.unwrap(), []);
    assert_eq!(db.claim_ticks(second(30), second(60), 10).await.unwrap(), claimed);
}

pub async fn a_tick_that_is_held_is_nobody_elses(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let made = trigger("nightly", Some(1));
    db.create_trigger(made.clone()).await.unwrap();
    db.claim_ticks(second(1), second(30), 10).await.unwrap();
    assert!(db.hold_tick(made.id, second(1), second(50)).await.unwrap());
    assert!(!db.hold_tick(made.id, second(2), second(99)).await.unwrap());
    assert_eq!(db.claim_ticks(second(49), second(99), 10).await.unwrap(), []);
    assert_eq!(names(&db.claim_ticks(second(50), second(99), 10).await.unwrap()), ["nightly"]);
    assert!(db.pause_trigger(made.id, true, made.next_tick).await.unwrap());
    assert!(!db.hold_tick(made.id, second(1), second(99)).await.unwrap());
}

pub async fn a_tick_that_is_done_comes_with_the_next(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let made = trigger("nightly", Some(1));
    db.create_trigger(made.clone()).await.unwrap();
    db.claim_ticks(second(1), second(30), 10).await.unwrap();
    db.ticked(made.id, second(1), Some(second(5))).await.unwrap();
    // Somebody who was slow says it once more.
    db.ticked(made.id, second(1), Some(second(3))).await.unwrap();
    assert_eq!(db.claim_ticks(second(4), second(30), 10).await.unwrap(), []);
    let next = db.claim_ticks(second(5), second(30), 10).await.unwrap();
    assert_eq!(next.first().and_then(|trigger| trigger.next_tick), Some(second(5)));
    db.ticked(made.id, second(5), None).await.unwrap();
    assert_eq!(db.claim_ticks(second(90), second(99), 10).await.unwrap(), []);
}

pub async fn triggers_that_rest_do_not_tick(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let made = trigger("nightly", Some(1));
    db.create_trigger(made.clone()).await.unwrap();
    assert!(db.pause_trigger(made.id, true, made.next_tick).await.unwrap());
    assert_eq!(db.claim_ticks(second(2), second(30), 10).await.unwrap(), []);
    assert!(db.pause_trigger(made.id, false, Some(second(3))).await.unwrap());
    let claimed = db.claim_ticks(second(3), second(30), 10).await.unwrap();
    assert_eq!(claimed.first().map(|trigger| (trigger.paused, trigger.revision)), Some((false, 3)));
}
