//! Amazon Resource Names of what Warren keeps.
//!
//! | kind | form |
//! |---|---|
//! | state machine | `arn:aws:states:R:A:stateMachine:<name>` |
//! | its version or alias | `…:stateMachine:<name>:<qualifier>` |
//! | a Distributed Map in it | `…:stateMachine:<name>/<label>` |
//! | Standard execution | `…:execution:<machine>:<name>` |
//! | Express execution | `…:express:<machine>:<name>:<uuid>` |
//! | map run | `…:mapRun:<machine>/<label>:<uuid>` |
//! | activity | `…:activity:<name>` |

use std::fmt::Display;

use uuid::Uuid;

/// The region and account that Warren answers for; an ARN of another one names nothing here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// `us-east-1` unless configured.
    pub region: String,
    /// Twelve digits; `000000000000` unless configured.
    pub account: String,
}

impl Default for Home {
    fn default() -> Self {
        Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() }
    }
}

impl Home {
    /// Whether the ARN names something that could be here.
    pub fn is_home_of(&self, arn: &Arn<'_>) -> bool {
        arn.partition == PARTITION && arn.region == self.region && arn.account == self.account
    }

    /// The ARN of a state machine.
    pub fn state_machine(&self, name: &str) -> String {
        format!("arn:aws:states:{}:{}:stateMachine:{name}", self.region, self.account)
    }

    /// The ARN of a version or an alias of a state machine.
    pub fn qualified(&self, name: &str, qualifier: impl Display) -> String {
        format!("{}:{qualifier}", self.state_machine(name))
    }

    /// The ARN of a Standard execution.
    pub fn execution(&self, machine: &str, name: &str) -> String {
        format!("arn:aws:states:{}:{}:execution:{machine}:{name}", self.region, self.account)
    }

    /// The ARN of an Express execution.
    pub fn express(&self, machine: &str, name: &str, id: Uuid) -> String {
        format!("arn:aws:states:{}:{}:express:{machine}:{name}:{id}", self.region, self.account)
    }

    /// The ARN of an activity.
    pub fn activity(&self, name: &str) -> String {
        format!("arn:aws:states:{}:{}:activity:{name}", self.region, self.account)
    }
}

/// The number of a version; `None` for the name of an alias.
pub fn version_number(qualifier: &str) -> Option<u32> {
    qualifier.parse::<u32>().ok().filter(|number| number.to_string() == qualifier)
}

/// The only partition there is.
const PARTITION: &str = "aws";

/// An ARN taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, or one that names nothing here.
    pub partition: &'a str,
    /// The region.
    pub region: &'a str,
    /// The account.
    pub account: &'a str,
    /// What it names there.
    pub resource: Resource<'a>,
}

/// What an ARN of Step Functions names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A state machine.
    StateMachine {
        /// Its name.
        name: &'a str,
    },
    /// A version (a number) or an alias of a state machine.
    Qualified {
        /// The machine's name.
        name: &'a str,
        /// The version's number or the alias's name.
        qualifier: &'a str,
    },
    /// A Distributed Map of a state machine.
    Labelled {
        /// The machine's name.
        name: &'a str,
        /// The Map's label.
        label: &'a str,
    },
    /// A Standard execution.
    Execution {
        /// The machine's name; for a child of a Distributed Map with `/` and the label.
        machine: &'a str,
        /// Its name.
        name: &'a str,
    },
    /// An Express execution.
    Express {
        /// The machine's name.
        machine: &'a str,
        /// Its name.
        name: &'a str,
        /// Tells it from others of this name.
        id: &'a str,
    },
    /// A run of a Distributed Map.
    MapRun {
        /// The machine's name and the label, with `/` between.
        machine: &'a str,
        /// Which run.
        id: &'a str,
    },
    /// An activity.
    Activity {
        /// Its name.
        name: &'a str,
    },
}

/// Why a text is not the ARN that is asked for. Displayed as AWS puts it between quotes after
/// `Invalid Arn:`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArnError {
    /// It is no ARN of Step Functions at all.
    #[error("Invalid ARN prefix: {0}")]
    Prefix(String),
    /// It names another kind of thing.
    #[error("Resource type not valid in this context: {0}")]
    Type(&'static str),
}

impl<'a> Arn<'a> {
    /// Takes a text apart.
    pub fn parse(text: &'a str) -> Result<Self, ArnError> {
        Self::read(text).ok_or_else(|| ArnError::Prefix(text.to_owned()))
    }

    fn read(text: &'a str) -> Option<Self> {
        // No name holds one, and not every database takes them all.
        if text.chars().any(char::is_control) {
            return None;
        }
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next();
        let (prefix, partition, service) = (next()?, next()?, next()?);
        let (region, account, resource) = (next()?, next()?, next()?);
        let placed = [partition, region, account].iter().all(|part| !part.is_empty());
        if prefix != "arn" || service != "states" || !placed {
            return None;
        }
        Some(Arn { partition, region, account, resource: Resource::read(resource)? })
    }
}

impl<'a> Resource<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return None;
        }
        match parts[..] {
            ["stateMachine", name] => Some(match name.split_once('/') {
                Some((name, label)) => Resource::Labelled { name, label },
                None => Resource::StateMachine { name },
            }),
            ["stateMachine", name, qualifier] => Some(Resource::Qualified { name, qualifier }),
            ["execution", machine, name] => Some(Resource::Execution { machine, name }),
            ["express", machine, name, id] => Some(Resource::Express { machine, name, id }),
            ["mapRun", machine, id] => Some(Resource::MapRun { machine, id }),
            ["activity", name] => Some(Resource::Activity { name }),
            _ => None,
        }
    }

    /// The error for an ARN of this kind where another is asked for.
    pub fn out_of_place(&self) -> ArnError {
        ArnError::Type(match self {
            Resource::StateMachine { .. } | Resource::Qualified { .. } | Resource::Labelled { .. } => {
                "stateMachine"
            }
            Resource::Execution { .. } => "execution",
            Resource::Express { .. } => "express",
            Resource::MapRun { .. } => "mapRun",
            Resource::Activity { .. } => "activity",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "arn:aws:states:us-east-1:000000000000:";

    fn check(resource: &str, expected: Resource<'_>) {
        let text = format!("{PLACE}{resource}");
        let arn = Arn::parse(&text).unwrap();
        assert_eq!(arn.resource, expected, "{text}");
        assert!(Home::default().is_home_of(&arn));
    }

    #[test]
    fn each_form_names_its_thing() {
        check("stateMachine:m", Resource::StateMachine { name: "m" });
        check("stateMachine:a.b_c-d", Resource::StateMachine { name: "a.b_c-d" });
        check("stateMachine:m:3", Resource::Qualified { name: "m", qualifier: "3" });
        check("stateMachine:m:live", Resource::Qualified { name: "m", qualifier: "live" });
        check("stateMachine:m/map", Resource::Labelled { name: "m", label: "map" });
        check("execution:m:e", Resource::Execution { machine: "m", name: "e" });
        check("execution:m/map:e", Resource::Execution { machine: "m/map", name: "e" });
        check("express:m:e:1", Resource::Express { machine: "m", name: "e", id: "1" });
        check("mapRun:m/map:1", Resource::MapRun { machine: "m/map", id: "1" });
        check("activity:a", Resource::Activity { name: "a" });
    }

    #[test]
    fn what_is_no_arn_is_told_with_its_text() {
        let place = |rest: &str| format!("{PLACE}{rest}");
        let bad = [
            String::new(),
            "no_an_arn".to_owned(),
            "arn:aws:states:us-east-1".to_owned(),
            "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned(),
            "arn::states:us-east-1:000000000000:activity:a".to_owned(),
            place("stateMachine:"),
            place("stateMachine"),
            place("execution:m"),
            place("execution:m:"),
            place("express:m:e"),
            place("stateMachine:m:1:2"),
            place("unknown:m"),
            place("stateMachine:m\0"),
            place("stateMachine:m:li\nve"),
        ];
        for text in bad {
            let error = Arn::parse(&text).unwrap_err();
            assert_eq!(error.to_string(), format!("Invalid ARN prefix: {text}"));
        }
    }

    #[test]
    fn an_arn_of_another_kind_is_told_with_its_type() {
        let text = format!("{PLACE}express:m:e:1");
        let error = Arn::parse(&text).unwrap().resource.out_of_place();
        assert_eq!(error.to_string(), "Resource type not valid in this context: express");
    }

    #[test]
    fn another_region_account_or_partition_is_not_home() {
        let home = Home::default();
        for place in ["arn:aws:states:eu-west-1:000000000000:", "arn:aws:states:us-east-1:111111111111:"] {
            let text = format!("{place}activity:a");
            assert!(!home.is_home_of(&Arn::parse(&text).unwrap()), "{text}");
        }
        assert!(
            !home.is_home_of(&Arn::parse("arn:aws-cn:states:us-east-1:000000000000:activity:a").unwrap())
        );
    }

    #[test]
    fn a_version_is_a_number_as_it_is_written() {
        for (qualifier, number) in
            [("1", Some(1)), ("10", Some(10)), ("01", None), ("+1", None), ("v1", None)]
        {
            assert_eq!(version_number(qualifier), number, "{qualifier}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let home = Home::default();
        let id = Uuid::nil();
        let written = [
            home.state_machine("m"),
            home.qualified("m", 3),
            home.execution("m", "e"),
            home.express("m", "e", id),
            home.activity("a"),
        ];
        for text in written {
            assert!(Arn::parse(&text).is_ok_and(|arn| home.is_home_of(&arn)), "{text}");
        }
    }
}
