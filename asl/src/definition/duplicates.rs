//! States of one machine that have the same name. To who reads JSON the last of them is all there is, so they are
//! looked for in the text.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The location and the name of each state that was there already. The text is JSON.
pub(super) fn state_names(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut place = String::new();
    let walk = Walk { what: What::Machine, place: &mut place, found: &mut found };
    // What is not JSON has been told of.
    let _ = walk.deserialize(&mut serde_json::Deserializer::from_str(text));
    found
}

/// What stands at a place of a definition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Machine,
    States,
    State,
    Branches,
    /// Nothing with states in it.
    Other,
}

impl What {
    /// What a member of this is.
    fn member(self, name: &str) -> What {
        match (self, name) {
            (What::Machine, "States") => What::States,
            (What::States, _) => What::State,
            (What::State, "ItemProcessor" | "Iterator") => What::Machine,
            (What::State, "Branches") => What::Branches,
            (What::Machine | What::State | What::Branches | What::Other, _) => What::Other,
        }
    }
}

struct Walk<'w> {
    what: What,
    place: &'w mut String,
    found: &'w mut Vec<(String, String)>,
}

impl Walk<'_> {
    /// The same for something further down.
    fn below(&mut self, what: What, step: &str) -> Walk<'_> {
        self.place.push_str(step);
        Walk { what, place: self.place, found: self.found }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.what {
            What::Other => deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ()),
            What::Machine | What::States | What::State | What::Branches => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of a definition")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let (what, length) = (self.what, self.place.len());
        let mut names = BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            let step = format!("/{name}");
            members.next_value_seed(self.below(what.member(&name), &step))?;
            if what == What::States && names.contains(&name) {
                self.found.push((self.place.clone(), name.clone()));
            }
            self.place.truncate(length);
            names.insert(name);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let what = if self.what == What::Branches { What::Machine } else { What::Other };
        let length = self.place.len();
        let mut index = 0;
        while elements.next_element_seed(self.below(what, &format!("[{index}]")))?.is_some() {
            self.place.truncate(length);
            index += 1;
        }
        self.place.truncate(length);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_states_are_looked_at() {
        let text = r#"{"Comment": 1, "Comment": 2, "States": {
            "A": {"Type": "Parallel", "Branches": [{}, {"States": {"B": {}, "B": 1}}, 7]},
            "C": {"Parameters": {"States": {"D": 1, "D": 2}}, "Type": "Map", "Type": "Map",
                  "ItemProcessor": {"States": {"E": null, "F": [], "E": {}}}},
            "A": "again"
        }}"#;
        let found = state_names(text);
        let places: Vec<&str> = found.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(
            places,
            ["/States/A/Branches[1]/States/B", "/States/C/ItemProcessor/States/E", "/States/A"]
        );
        assert_eq!(found[2].1, "A");
        for text in ["", "[]", "1", "{\"States\": 1}", "{\"States\": {\"A\": "] {
            assert_eq!(state_names(text), []);
        }
    }
}
