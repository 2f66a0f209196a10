//! A history, told in plain words while it grows.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cli::output::{Output, Tone};

/// What is known of the order so far.
pub(super) struct Story {
    order: Value,
    /// When it began, in seconds.
    began: f64,
    /// Events told.
    told: u64,
    /// Where each event stands, by its id.
    places: BTreeMap<u64, Place>,
}

/// Where the execution is at an event.
#[derive(Debug, Clone, Default)]
struct Place {
    /// The item, from 0, within the Map.
    item: Option<usize>,
    state: String,
    /// Attempts at the state's task so far.
    attempts: u32,
    /// When the attempt began.
    since: f64,
}

/// One line of the story.
pub(super) struct Line {
    seconds: f64,
    id: u64,
    who: String,
    tone: Option<Tone>,
    text: String,
}

impl Line {
    /// The line as it is printed.
    pub(super) fn paint(&self, out: &Output) -> String {
        let Line { seconds, id, who, tone, text } = self;
        let head = out.paint(Tone::Quiet, format_args!("{seconds:>7.2} s {:>4}", format!("#{id}")));
        let text = tone.map_or_else(|| text.clone(), |tone| out.paint(tone, text));
        format!("{head}  {who:<28}{text}")
    }
}

impl Story {
    /// Of this order: JSON text.
    pub(super) fn new(order: &str) -> Self {
        let order = serde_json::from_str(order).unwrap_or_default();
        Story { order, began: 0.0, told: 0, places: BTreeMap::new() }
    }

    /// Tells what is new in the history.
    pub(super) fn go_on(&mut self, history: &[Value]) -> Vec<Line> {
        let told = self.told;
        let new = history.iter().filter(|event| event["id"].as_u64() > Some(told));
        let lines: Vec<Line> = new.filter_map(|event| self.tell(event)).collect();
        self.told = history.iter().filter_map(|event| event["id"].as_u64()).max().unwrap_or(self.told);
        lines
    }

    fn tell(&mut self, event: &Value) -> Option<Line> {
        let id = event["id"].as_u64()?;
        let kind = event["type"].as_str()?;
        let at = event["timestamp"].as_f64().unwrap_or_default();
        if id == 1 {
            self.began = at;
        }
        let previous = event["previousEventId"].as_u64().unwrap_or(0);
        let mut place = self.places.get(&previous).cloned().unwrap_or_default();
        let (tone, text) = place.go_to(kind, event, at).unzip();
        let who = match place.item {
            None => format!("Order {}", self.order["orderId"].as_str().unwrap_or_default()),
            Some(item) => {
                let name = self.order["detail"]["items"][item]["productName"].as_str();
                name.map_or_else(|| format!("Item {}", item + 1), str::to_owned)
            }
        };
        self.places.insert(id, place);
        Some(Line { seconds: at - self.began, id, who, tone: tone.flatten(), text: text? })
    }
}

impl Place {
    /// Moves on to an event, and says it if it is worth a line.
    fn go_to(&mut self, kind: &str, event: &Value, at: f64) -> Option<(Option<Tone>, String)> {
        let state = self.state.clone();
        match kind {
            "ExecutionStarted" => Some((None, "is received".to_owned())),
            "ExecutionSucceeded" => Some((Some(Tone::Good), "is through".to_owned())),
            "ExecutionFailed" | "ExecutionTimedOut" | "ExecutionAborted" => {
                Some((Some(Tone::Bad), format!("ends: {}", failure(event))))
            }
            "MapStateStarted" => {
                let length = &event["mapStateStartedEventDetails"]["length"];
                Some((None, format!("{state}: {length} items, up to three at a time")))
            }
            "MapIterationStarted" => {
                let index = event["mapIterationStartedEventDetails"]["index"].as_u64();
                *self =
                    Place { item: index.and_then(|index| usize::try_from(index).ok()), ..Place::default() };
                None
            }
            "MapIterationSucceeded" => Some((Some(Tone::Good), "is on its way".to_owned())),
            // Each follows an event of one of the items.
            "MapStateSucceeded" | "MapStateFailed" | "MapStateExited" => {
                self.item = None;
                None
            }
            "ActivityStarted" => {
                self.attempts += 1;
                self.since = at;
                let again =
                    if self.attempts > 1 { format!(", attempt {}", self.attempts) } else { String::new() };
                Some((None, format!("{state}{again} …")))
            }
            "ActivitySucceeded" => {
                Some((Some(Tone::Good), format!("{state}: done in {:.2} s", at - self.since)))
            }
            "ActivityFailed" | "ActivityTimedOut" => {
                Some((Some(Tone::Warning), format!("{state}: failed ({})", failure(event))))
            }
            entered if entered.ends_with("StateEntered") => {
                let name = event["stateEnteredEventDetails"]["name"].as_str().unwrap_or_default();
                *self = Place { item: self.item, state: name.to_owned(), ..Place::default() };
                None
            }
            _ => None,
        }
    }
}

/// The error and cause in an event's details.
fn failure(event: &Value) -> String {
    let members = event.as_object().into_iter().flatten();
    let details =
        members.filter(|(name, _)| name.ends_with("EventDetails")).map(|(_, details)| details).next();
    let text = |name: &str| details.and_then(|details| details[name].as_str()).unwrap_or_default();
    match (text("error"), text("cause")) {
        ("", "") => "without an error name".to_owned(),
        (error, "") => error.to_owned(),
        (error, cause) => format!("{error}: {cause}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_told_once_each_where_it_belongs() {
        let order = r#"{"orderId": "7", "detail": {"items": [{"productName": "A"}, {"productName": "B"}]}}"#;
        let event = |id: u64, previous: u64, kind: &str, details: Value| {
            json!({"id": id, "previousEventId": previous, "timestamp": id as f64, "type": kind, "xEventDetails": details,
                   "stateEnteredEventDetails": {"name": "Look"}, "mapIterationStartedEventDetails": {"index": id % 2}})
        };
        let history = [
            event(1, 0, "ExecutionStarted", json!({})),
            event(2, 1, "MapIterationStarted", json!({})),
            event(3, 1, "MapIterationStarted", json!({})),
            event(4, 3, "TaskStateEntered", json!({})),
            event(5, 4, "ActivityStarted", json!({})),
            event(6, 5, "ActivityFailed", json!({})),
            event(7, 6, "ActivityScheduled", json!({})),
            event(8, 7, "ActivityStarted", json!({})),
        ];
        let mut story = Story::new(order);
        let mut told = Vec::new();
        for seen in 1..=history.len() {
            told.extend(
                story.go_on(&history[..seen]).into_iter().map(|line| format!("{} {}", line.who, line.text)),
            );
        }
        let expected = [
            "Order 7 is received",
            "B Look …",
            "B Look: failed (without an error name)",
            "B Look, attempt 2 …",
        ];
        assert_eq!(told, expected);
    }
}
