//! The fields of a pattern as a tree, and the one walk over an event that decides all combinations at once.
//!
//! Each node stands for a path; at it are the conditions on the field of that path, each with the
//! [`Combinations`] that ask for it. The walk goes down event and tree together. What it brings back from a
//! value is which combinations have all they ask for there, as sets: so its time is that of the part of the
//! event that the pattern names, whatever the number of combinations.
//!
//! **Arrays.** A field whose value is an array is met by any of its elements. Of an array of objects, all
//! fields of one combination must be met within one element. As each value brings back whole combinations, an
//! array simply takes the union of what its elements bring: no choice of elements is ever tried twice.
//!
//! **Absence.** `{"exists": false}` below an array of objects is judged in the element that meets the other
//! fields of the combination there; if it asks for nothing else there, no element may have the field.
//!
//! **Dots.** Names in the event may hold dots, too: `{"a.b": 1}` is the field `a.b` of the pattern. If an
//! event spells one path in both ways, either may meet the field; an array among them must then meet alone
//! all that is asked below it.

use std::collections::BTreeMap;

use asl::limits::JSON_DEPTH_MAX;
use serde_json::{Map, Value};

use super::combinations::{Combinations, WORDS_MAX};
use super::compiler::Compiled;
use super::condition::Condition;

/// A pattern, compiled; as wide as its combinations need.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    Narrow(Fields<1>),
    Wide(Box<Fields<WORDS_MAX>>),
}

/// The fields of a pattern.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fields<const WORDS: usize> {
    root: Node<WORDS>,
    /// The combinations that there are.
    all: Combinations<WORDS>,
}

/// A path in the event.
#[derive(Debug, Clone, PartialEq)]
struct Node<const WORDS: usize> {
    children: BTreeMap<String, Self>,
    /// What the field of this path must be, and who asks.
    conditions: Vec<(Condition, Combinations<WORDS>)>,
    /// Combinations that ask something of this very field.
    asking: Combinations<WORDS>,
    /// Combinations that are content if this field is absent: it may be, or they do not ask for it.
    content_without: Combinations<WORDS>,
    /// The same for all fields below this one.
    content_without_below: Combinations<WORDS>,
}

/// Which combinations have all they ask for in a part of the event.
#[derive(Clone, Copy)]
struct Met<const WORDS: usize> {
    /// At least one field by its value.
    by_value: Combinations<WORDS>,
    /// Every field by its absence; those that ask for nothing here are among them.
    by_absence: Combinations<WORDS>,
}

/// What a value meets at a node.
#[derive(Clone, Copy)]
struct Outcome<const WORDS: usize> {
    /// Of the conditions on the field itself.
    here: Met<WORDS>,
    /// Of the conditions on the fields below.
    below: Met<WORDS>,
}

/// A value on its way to a node. With a name that holds dots it may have to go further down.
#[derive(Clone, Copy)]
struct Item<'a> {
    /// What is left of the name.
    rest: Option<&'a str>,
    value: &'a Value,
}

impl Tree {
    pub(super) fn of(compiled: &Compiled) -> Tree {
        if compiled.combinations.len() <= 64 {
            Tree::Narrow(Fields::of(compiled))
        } else {
            Tree::Wide(Box::new(Fields::of(compiled)))
        }
    }

    pub(super) fn matches(&self, event: &Value) -> bool {
        match self {
            Tree::Narrow(fields) => fields.matches(event),
            Tree::Wide(fields) => fields.matches(event),
        }
    }
}

impl<const WORDS: usize> Fields<WORDS> {
    fn of(compiled: &Compiled) -> Self {
        let mut root = Node::new();
        let mut all = Combinations::NONE;
        let mut asked: BTreeMap<(&str, usize), Combinations<WORDS>> = BTreeMap::new();
        for (index, combination) in compiled.combinations.iter().enumerate() {
            all.insert(index);
            for (path, condition) in combination {
                asked.entry((path, *condition)).or_insert(Combinations::NONE).insert(index);
            }
        }
        for ((path, condition), by) in asked {
            root.descend(path).ask(&compiled.conditions[condition], by);
        }
        root.close();
        Fields { root, all }
    }

    fn matches(&self, event: &Value) -> bool {
        if !event.is_object() {
            return false;
        }
        let met = self.root.meet(&[Item { rest: None, value: event }], JSON_DEPTH_MAX).below;
        !met.by_value.or(met.by_absence).and(self.all).is_empty()
    }
}

impl<const WORDS: usize> Node<WORDS> {
    fn new() -> Self {
        Node {
            children: BTreeMap::new(),
            conditions: Vec::new(),
            asking: Combinations::NONE,
            content_without: Combinations::ALL,
            content_without_below: Combinations::ALL,
        }
    }

    /// The node of a path, made if it is not there.
    fn descend(&mut self, path: &str) -> &mut Self {
        path.split('.')
            .fold(self, |node, name| node.children.entry(name.to_owned()).or_insert_with(Node::new))
    }

    fn ask(&mut self, condition: &Condition, by: Combinations<WORDS>) {
        self.asking = self.asking.or(by);
        if !condition.allows_absence {
            self.content_without = self.content_without.without(by);
        }
        self.conditions.push((condition.clone(), by));
    }

    /// Sums up what lies below each node, once nothing is added any more.
    fn close(&mut self) {
        for child in self.children.values_mut() {
            child.close();
            let content = child.content_without.and(child.content_without_below);
            self.content_without_below = self.content_without_below.and(content);
        }
    }

    /// What the values that lie at this path meet.
    fn meet(&self, items: &[Item<'_>], levels: usize) -> Outcome<WORDS> {
        let mut outcome = self.nothing();
        let objects: Vec<Item<'_>> =
            items.iter().copied().filter(|item| item.rest.is_some() || item.value.is_object()).collect();
        if !objects.is_empty() && !self.children.is_empty() && levels > 0 {
            outcome.below = self.meet_below(&objects, levels - 1);
        }
        for item in items.iter().filter(|item| item.rest.is_none()) {
            match item.value {
                Value::Object(_) => {}
                Value::Array(elements) => outcome.join(self.meet_array(elements, levels)),
                scalar => outcome.here.join(self.meet_scalar(scalar)),
            }
        }
        outcome
    }

    /// What is met where there is nothing.
    fn nothing(&self) -> Outcome<WORDS> {
        Outcome {
            here: Met { by_value: Combinations::NONE, by_absence: self.content_without },
            below: Met { by_value: Combinations::NONE, by_absence: self.content_without_below },
        }
    }

    fn meet_scalar(&self, scalar: &Value) -> Met<WORDS> {
        let met = self.conditions.iter().filter(|(condition, _)| condition.is_met_by(scalar));
        let by_value = met.fold(Combinations::NONE, |met, (_, by)| met.or(*by));
        Met { by_value, by_absence: Combinations::ALL.without(self.asking) }
    }

    fn meet_array(&self, elements: &[Value], levels: usize) -> Outcome<WORDS> {
        let mut outcome = self.nothing();
        let Some(levels) = levels.checked_sub(1) else { return outcome };
        for element in elements {
            outcome.join(self.meet(&[Item { rest: None, value: element }], levels));
        }
        outcome
    }

    /// All that is asked below, of objects that lie at this path.
    fn meet_below(&self, objects: &[Item<'_>], levels: usize) -> Met<WORDS> {
        let mut met = Met { by_value: Combinations::ALL, by_absence: Combinations::ALL };
        let mut some_value = Combinations::NONE;
        for (name, child) in &self.children {
            let outcome = child.meet(&below(objects, name), levels);
            let (here, below) = (outcome.here, outcome.below);
            met.by_value = met.by_value.and(here.any()).and(below.any());
            met.by_absence = met.by_absence.and(here.by_absence).and(below.by_absence);
            some_value = some_value.or(here.by_value).or(below.by_value);
        }
        Met { by_value: met.by_value.and(some_value), by_absence: met.by_absence }
    }
}

impl<const WORDS: usize> Met<WORDS> {
    fn any(self) -> Combinations<WORDS> {
        self.by_value.or(self.by_absence)
    }

    /// The same with another value at the same path, either of which may meet what is asked.
    fn join(&mut self, other: Self) {
        self.by_value = self.by_value.or(other.by_value);
        self.by_absence = self.by_absence.and(other.by_absence);
    }
}

impl<const WORDS: usize> Outcome<WORDS> {
    fn join(&mut self, other: Self) {
        self.here.join(other.here);
        self.below.join(other.below);
    }
}

/// The values that objects have under a name.
fn below<'a>(objects: &[Item<'a>], name: &str) -> Vec<Item<'a>> {
    let mut items = Vec::new();
    for object in objects {
        match (object.rest, object.value) {
            (Some(rest), value) => items.extend(further(rest, name, value)),
            (None, Value::Object(members)) => of_object(members, name, &mut items),
            (None, _) => {}
        }
    }
    items
}

fn of_object<'a>(members: &'a Map<String, Value>, name: &str, items: &mut Vec<Item<'a>>) {
    items.extend(members.get(name).map(|value| Item { rest: None, value }));
    let dotted = members.iter().filter(|(member, _)| member.contains('.'));
    items.extend(dotted.filter_map(|(member, value)| further(member, name, value)));
}

/// A member whose name begins with this one and a dot goes on with the rest of its name.
fn further<'a>(member: &'a str, name: &str, value: &'a Value) -> Option<Item<'a>> {
    let rest = member.strip_prefix(name)?;
    if rest.is_empty() {
        return Some(Item { rest: None, value });
    }
    Some(Item { rest: Some(rest.strip_prefix('.')?), value })
}
