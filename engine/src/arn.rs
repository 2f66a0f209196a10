//! Amazon Resource Names of what Warren keeps.

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
    /// The ARN of a state machine.
    pub fn state_machine(&self, name: &str) -> String {
        format!("arn:aws:states:{}:{}:stateMachine:{name}", self.region, self.account)
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
