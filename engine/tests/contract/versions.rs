//! What every catalog promises of versions and aliases.

use std::sync::Arc;

use engine::ids::MachineId;
use engine::ports::catalog::versions::{
    Alias, AliasChange, Aliased, NewVersion, Published, Qualifier, Route, Routes, Version,
};
use engine::ports::catalog::{ExecutionFilter, Machine, StartedBy};
use engine::ports::store::{Change, ExecutionStatus, NewExecution};

use super::world::{Adapter, Database, PLENTY, START, World, closing, machine, revision};

macro_rules! promises_to {
    ($attribute:meta, $adapter:expr) => {
        $crate::contract::promises!(versions, $attribute, $adapter,
            a_revision_has_one_version
            a_number_is_given_once
            what_is_asked_for_at_once_is_done_once
            only_the_expected_revision_is_published
            a_machine_has_so_many_versions
            a_version_shows_its_machine_as_it_was
            versions_are_listed_newest_first
            a_version_that_an_alias_leads_to_stays
            an_alias_is_made_once
            a_machine_has_so_many_aliases
            an_alias_leads_to_versions_that_are_there
            an_update_changes_what_it_names_of_an_alias
            aliases_are_listed_in_the_order_they_were_made
            an_alias_leads_to_the_revisions_of_its_versions
            versions_and_aliases_go_with_their_machine
            an_execution_remembers_what_it_was_started_by
        );
    };
}
pub(crate) use promises_to;

fn new(revision: Option<&Machine>) -> NewVersion {
    NewVersion {
        revision: revision.map(|machine| machine.revision.id),
        description: Some("first".to_owned()),
        created_at: START,
        versions_max: 1_000,
    }
}

/// A machine with so many versions, each of a revision of its own; the last is the current one.
async fn published(db: &Arc<dyn Database>, versions: u32) -> (Machine, Vec<Version>) {
    let mut orders = machine("orders");
    db.create_machine(orders.clone(), Vec::new()).await.unwrap();
    let mut made = Vec::new();
    for number in 1..=versions {
        if number > 1 {
            let from = std::mem::replace(&mut orders.revision, revision(false)).id;
            db.update_machine(orders.id, from, orders.revision.clone()).await.unwrap();
        }
        made.push(version(db.publish(orders.id, new(None)).await.unwrap()));
    }
    (orders, made)
}

fn version(published: Published) -> Version {
    match published {
        Published::Version(version) => version,
        other => panic!("{other:?}"),
    }
}

fn alias(name: &str, routes: Routes) -> Alias {
    Alias { name: name.to_owned(), description: None, routes, created_at: START, updated_at: START }
}

fn to(version: u32) -> Routes {
    Routes { first: Route { version, weight: 100 }, other: None }
}

fn split(version: u32, weight: u8, other: u32) -> Routes {
    Routes { first: Route { version, weight }, other: Some(other) }
}

async fn names(db: &Arc<dyn Database>, machine: MachineId, version: Option<u32>) -> Vec<String> {
    let aliases = db.aliases(machine, version, 100, None).await.unwrap().items;
    aliases.into_iter().map(|alias| alias.name).collect()
}

pub async fn a_revision_has_one_version(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (orders, made) = published(&db, 1).await;
    let description = Some("first".to_owned());
    let expected = Version { number: 1, revision: orders.revision.id, description, created_at: START };
    assert_eq!(made, std::slice::from_ref(&expected));
    let again = NewVersion { description: None, created_at: START.plus_seconds(1), ..new(Some(&orders)) };
    assert_eq!(db.publish(orders.id, again).await.unwrap(), Published::Version(expected));
    assert_eq!(db.versions(orders.id, 10, None).await.unwrap().items.len(), 1);
}

pub async fn a_number_is_given_once(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (orders, made) = published(&db, 2).await;
    assert_eq!(made.iter().map(|version| version.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(db.delete_version(orders.id, 2).await.unwrap(), Vec::<String>::new());
    assert_eq!(db.delete_version(orders.id, 2).await.unwrap(), Vec::<String>::new());
    assert_eq!(db.version("orders", 2).await.unwrap(), None);
    assert_eq!(version(db.publish(orders.id, new(None)).await.unwrap()).number, 3);
}

pub async fn what_is_asked_for_at_once_is_done_once(adapter: &dyn Adapter) {
    const AT_ONCE: usize = 8;
    let db = adapter.open(PLENTY).await;
    let orders = machine("orders");
    db.create_machine(orders.clone(), Vec::new()).await.unwrap();
    let publications = (0..AT_ONCE).map(|_| db.publish(orders.id, new(None)));
    let published = futures::future::join_all(publications).await;
    assert!(published.into_iter().all(|published| version(published.unwrap()).number == 1));
    let creations = (0..AT_ONCE).map(|_| db.create_alias(orders.id, alias("live", to(1)), 1));
    let created = futures::future::join_all(creations).await;
    let done = created.iter().filter(|created| matches!(created, Ok(Aliased::Done))).count();
    let there = created.iter().filter(|created| matches!(created, Ok(Aliased::Exists(_)))).count();
    assert_eq!((done, there), (1, AT_ONCE - 1));
    let names: Vec<String> = (0..AT_ONCE).map(|number| format!("a{number}")).collect();
    let creations = names.iter().map(|name| db.create_alias(orders.id, alias(name, to(1)), 4));
    let created = futures::future::join_all(creations).await;
    let full = created.iter().filter(|created| matches!(created, Ok(Aliased::Full))).count();
    assert_eq!(full, AT_ONCE - 3, "one was there");
}

pub async fn only_the_expected_revision_is_published(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let before = machine("orders");
    db.create_machine(before.clone(), Vec::new()).await.unwrap();
    let after = Machine { revision: revision(false), ..before.clone() };
    db.update_machine(before.id, before.revision.id, after.revision.clone()).await.unwrap();
    assert_eq!(db.publish(before.id, new(Some(&before))).await.unwrap(), Published::OtherRevision);
    assert_eq!(version(db.publish(before.id, new(Some(&after))).await.unwrap()).number, 1);
    assert_eq!(db.publish(MachineId::new(), new(None)).await.unwrap(), Published::NoMachine);
}

pub async fn a_machine_has_so_many_versions(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (orders, _) = published(&db, 2).await;
    let one_more = || NewVersion { versions_max: 2, ..new(None) };
    assert_eq!(version(db.publish(orders.id, one_more()).await.unwrap()).number, 2, "it is there");
    db.update_machine(orders.id, orders.revision.id, revision(false)).await.unwrap();
    assert_eq!(db.publish(orders.id, one_more()).await.unwrap(), Published::Full);
    db.delete_version(orders.id, 1).await.unwrap();
    assert_eq!(version(db.publish(orders.id, one_more()).await.unwrap()).number, 3);
}

pub async fn a_version_shows_its_machine_as_it_was(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let first = machine("orders");
    db.create_machine(first.clone(), Vec::new()).await.unwrap();
    let one = version(db.publish(first.id, new(None)).await.unwrap());
    db.update_machine(first.id, first.revision.id, revision(false)).await.unwrap();
    assert_eq!(db.version("orders", 1).await.unwrap(), Some((first, one)));
    assert_eq!(db.version("orders", 2).await.unwrap(), None);
    assert_eq!(db.version("orders", u32::MAX).await.unwrap(), None);
    assert_eq!(db.version("returns", 1).await.unwrap(), None);
}

pub async fn versions_are_listed_newest_first(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (orders, made) = published(&db, 5).await;
    let first = db.versions(orders.id, 2, None).await.unwrap();
    assert_eq!(first.items, [made[4].clone(), made[3].clone()]);
    db.update_machine(orders.id, orders.revision.id, revision(false)).await.unwrap();
    db.publish(orders.id, new(None)).await.unwrap();
    let second = db.versions(orders.id, 2, first.next.as_deref()).await.unwrap();
    assert_eq!(second.items, [made[2].clone(), made[1].clone()], "a later one shifts nothing");
    let last = db.versions(orders.id, 2, second.next.as_deref()).await.unwrap();
    assert_eq!((last.items.as_slice(), last.next), (&made[..1], None));
}

pub async fn a_version_that_an_alias_leads_to_stays(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (orders, _) = published(&db, 2).await;
    for alias in [alias("live", split(1, 90, 2)), alias("next", to(2))] {
        assert_eq!(db.create_alias(orders.id, alias, 100).await.unwrap(), Aliased::Done);
    }
    assert_eq!(db.delete_version(orders.id, 2).await.unwrap(), ["live", "next"]);
    assert!(db.version("orders", 2).await.unwrap().is_some());
    assert!(db.delete_alias(orders.id, "next").await.unwrap());
    assert!(!db.delete_alias(orders.id, "next").await.unwrap());
    let change = AliasChange { description: None, routes: Some(to(1)), updated_at: START };
    assert_eq!(db.update_alias(orders.id, "live", change).await.unwrap(), Aliased::Done);
    assert_eq!(db.delete_version(orders.id, 2).await.unwrap(), Vec::<String>::new());
    assert!(db.version("orders", 2).await.unwrap().is_none());
}

pub async fn an_alias_is_made_once(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (orders, _) = published(&db, 2).await;
    let live = Alias { description: Some("goes out".to_owned()), ..alias("live", split(1, 30, 2)) };
    assert_eq!(db.create_alias(orders.id, live.clone(), 100).await.unwrap(), Aliased::Done);
    let again = db.create_alias(orders.id, alias("live", to(1)), 100).await.unwrap();
    assert_eq!(again, Aliased::Exists(live.clone()));
    assert_eq!(db.alias("orders", "live").await.unwrap(), Some(live));
    assert_eq!(db.alias("orders", "Live").await.unwrap(), None);
    assert_eq!(db.alias("returns", "live").await.unwrap(), None);
    let nobody = db.create_alias(MachineId::new(), alias("live", to(1)), 100).await.unwrap();
    assert_eq!(nobody, Aliased::NoAlias);
}

pub async fn a_machine_has_so_many_aliases(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (orders, _) = published(&db, 1).await;
    let live = alias("live", to(1));
    assert_eq!(db.create_alias(orders.id, live.clone(), 1).await.unwrap(), Aliased::Done);
    assert_eq!(db.create_alias(orders.id, alias("next", to(1)), 1).await.unwrap(), Aliased::Full);
    assert_eq!(db.create_alias(orders.id, live.clone(), 1).await.unwrap(), Aliased::Exists(live));
}

pub async fn an_alias_leads_to_versions_that_are_there(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (orders, _) = published(&db, 1).await;
    for routes in [to(2), split(1, 50, 2), split(2, 50, 1)] {
        assert_eq!(db.create_alias(orders.id, alias("live", routes), 9).await.unwrap(), Aliased::NoVersion);
    }
    db.create_alias(orders.id, alias("live", to(1)), 9).await.unwrap();
    let change = AliasChange { description: None, routes: Some(to(2)), updated_at: START };
    assert_eq!(db.update_alias(orders.id, "live", change.clone()).await.unwrap(), Aliased::NoVersion);
    assert_eq!(db.update_alias(orders.id, "none", change).await.unwrap(), Aliased::NoAlias);
    assert_eq!(db.alias("orders", "live").await.unwrap().unwrap().routes, to(1));
}

pub async fn an_update_changes_what_it_names_of_an_alias(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (orders, _) = published(&db, 2).await;
    let live = alias("live", to(1));
    db.create_alias(orders.id, live.clone(), 9).await.unwrap();
    let later = START.plus_seconds(5);
    let described = Some("goes out".to_owned());
    let change = AliasChange { description: described.clone(), routes: None, updated_at: later };
    db.update_alias(orders.id, "live", change).await.unwrap();
    let expected = Alias { description: described, updated_at: later, ..live };
    assert_eq!(db.alias("orders", "live").await.unwrap(), Some(expected.clone()));
    let change = AliasChange { description: None, routes: Some(split(2, 1, 1)), updated_at: later };
    db.update_alias(orders.id, "live", change).await.unwrap();
    let expected = Alias { routes: split(2, 1, 1), ..expected };
    assert_eq!(db.alias("orders", "live").await.unwrap(), Some(expected));
}

pub async fn aliases_are_listed_in_the_order_they_were_made(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (orders, _) = published(&db, 2).await;
    for (name, routes) in [("c", to(1)), ("a", to(2)), ("b", split(1, 50, 2))] {
        db.create_alias(orders.id, alias(name, routes), 9).await.unwrap();
    }
    assert_eq!(names(&db, orders.id, None).await, ["c", "a", "b"]);
    assert_eq!(names(&db, orders.id, Some(1)).await, ["c", "b"]);
    assert_eq!(names(&db, orders.id, Some(2)).await, ["a", "b"]);
    assert_eq!(names(&db, MachineId::new(), None).await, Vec::<String>::new());
    let first = db.aliases(orders.id, None, 2, None).await.unwrap();
    assert_eq!(first.items.len(), 2);
    let last = db.aliases(orders.id, None, 2, first.next.as_deref()).await.unwrap();
    assert_eq!((last.items[0].name.as_str(), last.items.len(), last.next), ("b", 1, None));
}

pub async fn an_alias_leads_to_the_revisions_of_its_versions(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (orders, made) = published(&db, 3).await;
    db.create_alias(orders.id, alias("live", split(3, 20, 1)), 9).await.unwrap();
    let routes = db.routes("orders", "live").await.unwrap();
    let told: Vec<_> =
        routes.iter().map(|(route, machine)| (route.version, route.weight, machine.revision.id)).collect();
    assert_eq!(told, [(3, 20, made[2].revision), (1, 80, made[0].revision)]);
    assert!(routes.iter().all(|(_, machine)| machine.id == orders.id));
    assert_eq!(db.routes("orders", "next").await.unwrap(), []);
    assert_eq!(db.routes("returns", "live").await.unwrap(), []);
}

pub async fn versions_and_aliases_go_with_their_machine(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (orders, made) = published(&db, 1).await;
    db.create_alias(orders.id, alias("live", to(1)), 9).await.unwrap();
    db.delete_machine(orders.id).await.unwrap();
    assert_eq!(db.versions(orders.id, 9, None).await.unwrap().items, []);
    assert_eq!(names(&db, orders.id, None).await, Vec::<String>::new());
    assert!(db.revision(made[0].revision).await.unwrap().is_some(), "an execution may run it");
    let (_, again) = published(&db, 1).await;
    assert_eq!(again[0].number, 1);
    assert_eq!(db.alias("orders", "live").await.unwrap(), None);
}

pub async fn an_execution_remembers_what_it_was_started_by(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let live = Some("live".to_owned());
    let qualifiers = [
        None,
        Some(Qualifier { version: 1, alias: None }),
        Some(Qualifier { version: 1, alias: live.clone() }),
        Some(Qualifier { version: 2, alias: live }),
    ];
    let mut roots = Vec::new();
    for qualifier in qualifiers.clone() {
        roots.push(world.start_as(NewExecution { qualifier, ..world.execution(None) }).await);
    }
    world.pass(roots[2].commit(Change::Finish(closing(ExecutionStatus::Failed)))).await;
    for (root, qualifier) in roots.iter().zip(qualifiers) {
        let found = world.db.execution_by_id(root.key.execution).await.unwrap().unwrap();
        assert_eq!(found.qualifier, qualifier);
    }
    let listed = async |started_by: StartedBy, status| {
        let filter = ExecutionFilter { machine: world.machine.id, started_by, status };
        let (mut places, mut from) = (Vec::new(), None);
        loop {
            let page = world.db.executions(&filter, 1, from.as_deref()).await.unwrap();
            let place = |id| roots.iter().position(|root| root.key.execution == id).unwrap();
            places.extend(page.items.iter().map(|execution| place(execution.id)));
            from = page.next;
            if from.is_none() {
                return places;
            }
        }
    };
    let failed = Some(ExecutionStatus::Failed);
    assert_eq!(listed(StartedBy::Any, None).await, [3, 2, 1, 0]);
    assert_eq!(listed(StartedBy::Version(1), None).await, [2, 1]);
    assert_eq!(listed(StartedBy::Version(1), failed).await, [2]);
    assert_eq!(listed(StartedBy::Alias("live".to_owned()), None).await, [3, 2]);
    assert_eq!(listed(StartedBy::Alias("live".to_owned()), failed).await, [2]);
    assert_eq!(listed(StartedBy::Alias("next".to_owned()), None).await, Vec::<usize>::new());
}
