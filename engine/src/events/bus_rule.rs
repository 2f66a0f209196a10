//! A rule as the EventBridge API gives it: one pattern or schedule, and up to five targets (EventBridge API
//! reference, `PutRule` and `PutTargets`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::input::{Input, Template};
use super::rule::{EventPattern, Trigger};
use super::schedule::Schedule;

/// Most targets of one rule.
pub const TARGETS_MAX: usize = 5;

/// A rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BusRule {
    /// Unique.
    pub name: String,
    /// As given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The pattern's text; this or a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_pattern: Option<String>,
    /// `rate(…)` or `cron(…)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_expression: Option<String>,
    /// As given; nothing is made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// Whether it starts anything.
    pub enabled: bool,
    /// By id.
    #[serde(default)]
    pub targets: BTreeMap<String, Target>,
}

/// What a rule starts, as given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Target {
    /// Unique in its rule.
    pub id: String,
    /// A state machine, or a version or alias of it.
    pub arn: String,
    /// As given; nothing is made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// JSON that the execution gets instead of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The part of the event that it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_path: Option<String>,
    /// What is made of the event for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_transformer: Option<InputTransformer>,
    /// Where goes what cannot be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_config: Option<DeadLetterConfig>,
    /// How often a start is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
}

/// `InputTransformer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InputTransformer {
    /// Paths by the names that the template uses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub input_paths_map: BTreeMap<String, String>,
    /// Text with `<name>` in it.
    pub input_template: String,
}

/// `DeadLetterConfig`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeadLetterConfig {
    /// Of a queue; its last part is the queue's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
}

/// `RetryPolicy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RetryPolicy {
    /// 0 to 185.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_retry_attempts: Option<u32>,
    /// As given; a message of Warren's has no age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_event_age_in_seconds: Option<u32>,
}

impl BusRule {
    /// When it is due, if by the clock.
    pub fn schedule(&self) -> Option<Schedule> {
        Schedule::parse(self.schedule_expression.as_deref()?, None).ok()
    }

    /// One trigger for each target, with the target's id; a rule with a pattern and a schedule has both.
    pub fn triggers(&self) -> Result<Vec<(String, Trigger)>, Vec<String>> {
        let mut sources = Vec::new();
        if let Some(pattern) = &self.event_pattern {
            let pattern = EventPattern::parse(pattern).map_err(|error| vec![error])?;
            sources.push(("", json!({"exchange": "warren.triggers"}), Some(pattern)));
        }
        if let Some(schedule) = &self.schedule_expression {
            sources.push((".schedule", json!({"schedule": schedule}), None));
        }
        let mut triggers = Vec::new();
        for target in self.targets.values() {
            for (part, from, pattern) in &sources {
                let trigger = self.trigger(target, from, pattern.clone())?;
                triggers.push((format!("{}{part}", target.id), trigger));
            }
        }
        Ok(triggers)
    }

    fn trigger(
        &self,
        target: &Target,
        from: &Value,
        pattern: Option<EventPattern>,
    ) -> Result<Trigger, Vec<String>> {
        let mut trigger = json!({
            "name": self.name,
            "machine": target.arn,
            "from": from,
            "enabled": self.enabled,
        });
        if let Some(queue) = target.dead_letters() {
            trigger["dead_letters"] = json!(queue);
        }
        if let Some(attempts) = target.retry_policy.as_ref().and_then(|policy| policy.maximum_retry_attempts)
        {
            trigger["retry"] = json!({"attempts": attempts});
        }
        let problems = |error: super::rule::InvalidTrigger| -> Vec<String> {
            error.problems.iter().map(ToString::to_string).collect()
        };
        let mut trigger = Trigger::from_value(&trigger).map_err(problems)?;
        trigger.pattern = pattern;
        trigger.input = target.reading().map_err(|problem| vec![problem])?;
        Ok(trigger)
    }
}

impl Target {
    /// What its execution gets.
    pub fn reading(&self) -> Result<Input, String> {
        if let Some(text) = &self.input {
            let constant = serde_json::from_str(text).map_err(|_| not_json("Input", &self.id))?;
            return Ok(Input::Constant(constant));
        }
        if let Some(path) = &self.input_path {
            return Input::path(path);
        }
        let Some(transformer) = &self.input_transformer else { return Ok(Input::Whole) };
        let paths: Vec<(String, String)> =
            transformer.input_paths_map.iter().map(|(name, path)| (name.clone(), path.clone())).collect();
        let template = Template::text(&transformer.input_template, &paths).map_err(|problems| {
            let problems: Vec<String> = problems
                .into_iter()
                .map(|problem| format!("{}: {}", problem.place, problem.message))
                .collect();
            format!("Invalid InputTemplate for target {} : [{}].", self.id, problems.join("; "))
        })?;
        Ok(Input::Template(Box::new(template)))
    }

    /// The queue for what cannot be started, by the last part of its ARN.
    fn dead_letters(&self) -> Option<&str> {
        self.dead_letter_config.as_ref()?.arn.as_deref()?.rsplit(':').next()
    }

    /// The state machine's name; `None` if the target is something else.
    pub fn machine(&self) -> Option<&str> {
        let (_, rest) = self.arn.split_once(":stateMachine:")?;
        let is_ours = self.arn.starts_with("arn:aws:states:");
        is_ours.then(|| rest.split(':').next().unwrap_or_default()).filter(|name| !name.is_empty())
    }
}

fn not_json(what: &str, id: &str) -> String {
    format!("{what} for target {id} is not JSON.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_members_of_one_name_both_are_asked_for() {
        let rule: BusRule = serde_json::from_value(json!({
            "name": "both",
            "event_pattern": r#"{"detail": {"a": [1]}, "detail": {"b": [2]}}"#,
            "enabled": true,
            "targets": {"t": {"Id": "t", "Arn": "arn:aws:states:us-east-1:000000000000:stateMachine:m"}},
        }))
        .unwrap();
        let triggers = rule.triggers().unwrap();
        let pattern = triggers[0].1.pattern.as_ref().unwrap();
        assert!(pattern.matches(&json!({"detail": {"a": 1, "b": 2}})));
        assert!(!pattern.matches(&json!({"detail": {"b": 2}})));
    }
}
