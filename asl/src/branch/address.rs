//! Names of branches and of their events.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names a branch of an execution: `r` is the root, `r.5.17` child 17 of the fork that transition 5 of
/// `r` made. Unique without a counter, the same when the fork is done again, and all descendants of a
/// branch are one range of keys ([`BranchPath::descendants`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchPath(Arc<str>);

/// Where a child branch stands: its parent, the parent's transition that forked it, its index there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The branch that forked.
    pub parent: BranchPath,
    /// `seq` of the parent's transition that forked.
    pub fork: u32,
    /// Index among the children of that fork.
    pub index: u32,
}

/// A text that is no branch path, or no event reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError(String);

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' names no branch", self.0)
    }
}

impl std::error::Error for AddressError {}

impl BranchPath {
    /// The root branch.
    pub fn root() -> Self {
        BranchPath(Arc::from("r"))
    }

    /// A child of this branch.
    pub fn child(&self, fork: u32, index: u32) -> Self {
        BranchPath(Arc::from(format!("{}.{fork}.{index}", self.0)))
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        &*self.0 == "r"
    }

    /// Where this branch hangs; `None` for the root.
    pub fn place(&self) -> Option<Place> {
        let (rest, index) = self.0.rsplit_once('.')?;
        let (parent, fork) = rest.rsplit_once('.')?;
        Some(Place {
            parent: BranchPath(Arc::from(parent)),
            fork: fork.parse().ok()?,
            index: index.parse().ok()?,
        })
    }

    /// The key range of all descendants: from the first (inclusive) to the second (exclusive), compared
    /// byte by byte.
    pub fn descendants(&self) -> (String, String) {
        (format!("{}.", self.0), format!("{}/", self.0))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BranchPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BranchPath {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut parts = text.split('.');
        let numbers = |part: &str| part.parse::<u32>().is_ok_and(|number| number.to_string() == part);
        let valid = parts.next() == Some("r") && text.split('.').count() % 2 == 1 && parts.all(numbers);
        if valid { Ok(BranchPath(Arc::from(text))) } else { Err(AddressError(text.to_owned())) }
    }
}

impl Serialize for BranchPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BranchPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Names a history event before ids are known: the event at `offset` of transition `seq` of a branch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventRef {
    /// The branch.
    pub branch: BranchPath,
    /// Its transition.
    pub seq: u32,
    /// Which of the transition's events, from 0.
    pub offset: u16,
}

impl fmt::Display for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.branch, self.seq, self.offset)
    }
}

impl FromStr for EventRef {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.to_owned());
        let (rest, offset) = text.rsplit_once('/').ok_or_else(error)?;
        let (branch, seq) = rest.rsplit_once('/').ok_or_else(error)?;
        Ok(EventRef {
            branch: branch.parse()?,
            seq: seq.parse().map_err(|_| error())?,
            offset: offset.parse().map_err(|_| error())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_knows_its_place() {
        let child = BranchPath::root().child(5, 17);
        assert_eq!(child.as_str(), "r.5.17");
        assert_eq!(child.place(), Some(Place { parent: BranchPath::root(), fork: 5, index: 17 }));
        assert_eq!(BranchPath::root().place(), None);
    }

    #[test]
    fn descendants_are_one_key_range() {
        let (from, to) = BranchPath::root().child(5, 1).descendants();
        let inside = |path: &str| path >= from.as_str() && path < to.as_str();
        assert!(inside("r.5.1.2.0"));
        assert!(!inside("r.5.1") && !inside("r.5.10") && !inside("r.5.10.2.0"));
    }

    #[test]
    fn only_paths_are_read_as_paths() {
        for good in ["r", "r.0.0", "r.5.17.2.3"] {
            assert_eq!(good.parse::<BranchPath>().map(|path| path.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "x", "r.", "r.1", "r.1.a", "r.01.2", "r.-1.2", "r.1.2.3"] {
            assert!(bad.parse::<BranchPath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_event_reference_survives_text() {
        let reference = EventRef { branch: BranchPath::root().child(5, 17), seq: 3, offset: 1 };
        assert_eq!(reference.to_string().parse(), Ok(reference));
    }
}
