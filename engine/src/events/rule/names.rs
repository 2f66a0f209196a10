//! The names that a trigger uses.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::arn::{Arn, Resource};
use crate::names;

/// Longest name of a trigger, as of an EventBridge rule.
const TRIGGER_CHARACTERS_MAX: usize = 64;
/// Longest name or routing key on the broker (AMQP 0-9-1, short string).
const BROKER_BYTES_MAX: usize = 255;

/// A text that cannot stand for what is asked; says what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidText(pub(super) String);

macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;

            fn try_from(text: String) -> Result<Self, InvalidText> {
                $name::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }
    };
}

text!(
    /// The name of a trigger.
    TriggerName
);
text!(
    /// The name of a queue or an exchange.
    BrokerName
);
text!(
    /// A routing key, or what a queue is bound with. May be empty.
    RoutingKey
);

impl TriggerName {
    /// Letters, digits, `.`, `-` and `_`, from 1 to 64 of them (EventBridge API reference, `PutRule`).
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        let usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if text.is_empty() || text.len() > TRIGGER_CHARACTERS_MAX || !text.bytes().all(usual) {
            return Err(InvalidText(format!(
                "\"{text}\" is not a name; write 1 to {TRIGGER_CHARACTERS_MAX} letters, digits, . - and _"
            )));
        }
        Ok(TriggerName(text.to_owned()))
    }

    /// The queue for what could not be started, where none is named.
    pub(super) fn dead_letters(&self) -> BrokerName {
        BrokerName(format!("trigger-{self}.dead"))
    }
}

impl BrokerName {
    /// From 1 to 255 bytes, no control characters.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        if text.is_empty() || !fits(text) {
            return Err(InvalidText(format!(
                "\"{text}\" is not a name on the broker; write 1 to {BROKER_BYTES_MAX} bytes without control characters"
            )));
        }
        Ok(BrokerName(text.to_owned()))
    }
}

impl RoutingKey {
    /// At most 255 bytes, no control characters.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        if !fits(text) {
            return Err(InvalidText(format!(
                "\"{text}\" is not a routing key; write at most {BROKER_BYTES_MAX} bytes without control characters"
            )));
        }
        Ok(RoutingKey(text.to_owned()))
    }

    /// Every key.
    pub(super) fn any() -> Self {
        RoutingKey("#".to_owned())
    }
}

fn fits(text: &str) -> bool {
    text.len() <= BROKER_BYTES_MAX && !text.chars().any(char::is_control)
}

/// Which state machine is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Machine {
    /// By its name, in the service's own account.
    Name(String),
    /// By its ARN, or that of a version or an alias.
    Arn(String),
}

impl Machine {
    /// Reads a name or an ARN.
    pub fn parse(text: &str) -> Result<Machine, InvalidText> {
        if !text.starts_with("arn:") {
            return match names::check(text) {
                Ok(()) => Ok(Machine::Name(text.to_owned())),
                Err(_) => Err(InvalidText(format!(
                    "\"{text}\" is not the name of a state machine; write its name or its ARN"
                ))),
            };
        }
        match Arn::parse(text).map(|arn| arn.resource) {
            Ok(Resource::StateMachine { .. } | Resource::Qualified { .. }) => {
                Ok(Machine::Arn(text.to_owned()))
            }
            _ => Err(InvalidText(format!(
                "{text} is not the ARN of a state machine; write arn:aws:states:REGION:ACCOUNT:stateMachine:NAME, with :VERSION or :ALIAS behind it if you like"
            ))),
        }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        match self {
            Machine::Name(text) | Machine::Arn(text) => text,
        }
    }
}
