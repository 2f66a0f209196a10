//! Our functions as the library calls them, and what all of one evaluation share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jlens_core::{Error, HostFunction};
use serde_json::Value;

use super::meter::ELEMENT_BYTES;
use super::query::Limits;
use super::{functions, rewrite};
use crate::data::random::Random;

/// The functions that are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    Partition,
    Range,
    Hash,
    Random,
    Uuid,
    Parse,
    /// Stands for `..`.
    Span,
    /// Stands for `$distinct` of many elements.
    Distinct,
    /// Looks at what `$replace` is about to make.
    Fits,
}

impl Own {
    pub(super) const ALL: [Own; 9] = [
        Own::Partition,
        Own::Range,
        Own::Hash,
        Own::Random,
        Own::Uuid,
        Own::Parse,
        Own::Span,
        Own::Distinct,
        Own::Fits,
    ];

    /// What it is called behind the `$`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Own::Partition => "partition",
            Own::Range => "range",
            Own::Hash => "hash",
            Own::Random => "random",
            Own::Uuid => "uuid",
            Own::Parse => "parse",
            Own::Span => rewrite::SPAN,
            Own::Distinct => rewrite::DISTINCT,
            Own::Fits => rewrite::FITS,
        }
    }

    fn arity(self) -> usize {
        match self {
            Own::Uuid => 0,
            Own::Random | Own::Parse | Own::Distinct => 1,
            Own::Partition | Own::Hash | Own::Span => 2,
            Own::Range | Own::Fits => 3,
        }
    }
}

/// What the functions of one evaluation have in common.
#[derive(Clone)]
pub(super) struct Shared {
    random: Arc<Mutex<Random>>,
    /// Bytes that ranges may still take.
    left: Arc<AtomicUsize>,
    elements_max: usize,
}

impl Shared {
    pub(super) fn new(random: &Random, limits: Limits) -> Self {
        Shared {
            random: Arc::new(Mutex::new(random.clone())),
            left: Arc::new(AtomicUsize::new(limits.memory_bytes_max)),
            elements_max: limits.elements_max,
        }
    }

    pub(super) fn into_random(self) -> Random {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Refuses what would be larger than all that may be made.
    fn check(&self, bytes: usize) -> Result<(), Error> {
        match bytes > self.left.load(Ordering::Relaxed) {
            true => Err(Error::new("U1001").with("message", "too long a text")),
            false => Ok(()),
        }
    }

    /// Pays for the elements of an array that one of our functions makes.
    fn pay(&self, elements: usize) -> Result<(), Error> {
        let bytes = elements.saturating_mul(ELEMENT_BYTES);
        let left = self.left.load(Ordering::Relaxed).checked_sub(bytes);
        match left {
            Some(left) => {
                self.left.store(left, Ordering::Relaxed);
                Ok(())
            }
            None => Err(Error::new("U1001").with("message", "too many elements")),
        }
    }
}

/// A function as the library calls it.
pub(super) fn host_function(own: Own, shared: Shared) -> HostFunction {
    let call = move |arguments: &[Option<Value>], _: &jlens_core::HostCall<'_>| {
        let mut random = shared.random.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match own {
            Own::Partition => functions::partition(arguments),
            Own::Range => functions::range(arguments),
            Own::Hash => functions::hash(arguments),
            Own::Random => functions::random(arguments, &mut random),
            Own::Uuid => Ok(Some(Value::String(random.uuid_v4()))),
            Own::Parse => {
                let text = arguments.first().and_then(Option::as_ref).and_then(Value::as_str);
                shared.pay(text.map_or(0, str::len))?;
                functions::parse(arguments)
            }
            Own::Fits => {
                shared.check(functions::replaced_bytes(arguments))?;
                Ok(None)
            }
            Own::Span => {
                let span = functions::Span::of(arguments, shared.elements_max)?;
                shared.pay(span.elements())?;
                return Ok(span.value());
            }
            Own::Distinct => match arguments.first() {
                Some(Some(Value::Array(elements))) => Ok(Some(Value::Array(functions::distinct(elements)))),
                Some(other) => Ok(other.clone()),
                None => Ok(None),
            },
        };
        if let (Own::Partition | Own::Range, Ok(Some(Value::Array(elements)))) = (own, &answer) {
            shared.pay(elements.len())?;
        }
        answer.map_err(|refused| Error::new("D3137").with("message", refused))
    };
    HostFunction::new(own.arity(), call).without_input()
}
