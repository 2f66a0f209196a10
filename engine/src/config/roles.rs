//! What one process of a deployment does.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A part of the work. Each scales alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Answers API requests.
    Api,
    /// Moves executions on, and keeps time and order in the database.
    Engine,
    /// Calls what Task states call.
    Connectors,
    /// Turns events into executions.
    Triggers,
}

/// What a process does: at least one role.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Roles(BTreeSet<Role>);

impl Role {
    const ALL: [Role; 4] = [Role::Api, Role::Engine, Role::Connectors, Role::Triggers];

    fn as_str(self) -> &'static str {
        match self {
            Role::Api => "api",
            Role::Engine => "engine",
            Role::Connectors => "connectors",
            Role::Triggers => "triggers",
        }
    }
}

impl Roles {
    /// Whether this process has the role.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }
}

impl Default for Roles {
    fn default() -> Self {
        Roles(Role::ALL.into())
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|role| role.as_str()).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Roles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |name: &str| {
            let found = Role::ALL.into_iter().find(|role| role.as_str() == name);
            found.ok_or_else(|| format!("there is no role {name:?}; the roles are {}", Roles::default()))
        };
        text.split(',').map(|name| named(name.trim())).collect::<Result<_, _>>().map(Roles)
    }
}

impl TryFrom<String> for Roles {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_with_commas_between() {
        let roles: Roles = "engine, api".parse().unwrap();
        assert!(roles.has(Role::Api) && roles.has(Role::Engine) && !roles.has(Role::Connectors));
        assert_eq!(roles.to_string(), "api,engine");
        assert_eq!(Roles::default().to_string().parse(), Ok(Roles::default()));
        for (text, name) in [("engines", "\"engines\""), ("", "\"\""), ("api,", "\"\"")] {
            let says = format!("there is no role {name}; the roles are api,engine,connectors,triggers");
            assert_eq!(text.parse::<Roles>(), Err(says));
        }
    }
}
