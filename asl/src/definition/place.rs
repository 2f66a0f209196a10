//! Where in a definition a value stands, written down only when a diagnostic needs it.

use std::fmt;

/// A value's place: a chain of steps that lives on the stack of the functions that walk down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'p> {
    parent: Option<&'p Place<'p>>,
    step: Step<'p>,
}

/// One step down.
#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Root,
    Field(&'p str),
    Element(usize),
    /// Several steps at once, already written.
    Written(&'p str),
}

impl<'p> Place<'p> {
    /// The definition itself.
    pub(super) fn root() -> Place<'static> {
        Place { parent: None, step: Step::Root }
    }

    /// A member of the object here.
    pub(super) fn field<'s>(&'s self, name: &'s str) -> Place<'s> {
        Place { parent: Some(self), step: Step::Field(name) }
    }

    /// An element of the array here.
    pub(super) fn element(&self, index: usize) -> Place<'_> {
        Place { parent: Some(self), step: Step::Element(index) }
    }

    /// Something further down, named as in a location; empty for the place itself.
    pub(super) fn below<'s>(&'s self, written: &'s str) -> Place<'s> {
        Place { parent: Some(self), step: Step::Written(written) }
    }
}

impl fmt::Display for Place<'_> {
    /// `/States/Pick/Choices[0]/Variable`; the definition itself is `/`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent
            && !matches!(parent.step, Step::Root)
        {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => f.write_str("/"),
            Step::Field(name) => write!(f, "/{name}"),
            Step::Element(index) => write!(f, "[{index}]"),
            Step::Written(written) => f.write_str(written),
        }
    }
}
