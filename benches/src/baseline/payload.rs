//! Bodies of about the size and build of Warren's own.

use serde_json::{Value, json};
use uuid::Uuid;

/// Transition messages of different executions, each about so long.
pub fn messages(count: u32, bytes: u32) -> Vec<Vec<u8>> {
    let bare = message("").len();
    let filling = filling((bytes as usize).saturating_sub(bare));
    (0..count).map(|_| message(&filling)).collect()
}

fn message(filling: &str) -> Vec<u8> {
    let body = json!({
        "type": "transition.1",
        "execution": {
            "id": Uuid::now_v7(),
            "revision": "019a0000-0000-7000-8000-000000000002",
            "machine_name": "orders",
            "name": "019a0000-0000-7000-8000-000000000003",
            "started_at": 1_700_000_000_000_i64,
        },
        "path": "r",
        "seq": 0,
        "stamp": 7,
        "value": {
            "state": "Step1",
            "data": { "n": 0, "order": filling, "list": [1, 2, 3, { "gift": true }] },
            "variables": {},
            "retries": [],
        },
    });
    body.to_string().into_bytes()
}

/// The events of so many states, so many bytes each.
pub fn history(states: u32, bytes: u32) -> Vec<u8> {
    let events = (0..states).flat_map(|state| {
        let filling =
            filling((bytes as usize).saturating_sub(event("StateEntered", state, "").len() * 2) / 2);
        ["StateEntered", "StateExited"].map(|kind| event(kind, state, &filling))
    });
    events.collect::<String>().into_bytes()
}

fn event(kind: &str, state: u32, filling: &str) -> String {
    let details = json!({ "name": format!("Step{state}"), "data": filling });
    let mut event =
        json!({ "kind": kind, "at": 1_700_000_000_000_i64 + i64::from(state), "details": details });
    event["previous"] = Value::from(state);
    event.to_string()
}

/// Text that neither compresses to nothing nor needs escapes.
fn filling(bytes: usize) -> String {
    let mut state = 0x9e37_79b9_u32;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + u8::try_from((state >> 24) % 26).unwrap_or_default())
    });
    letters.take(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_the_size_that_was_asked_for() {
        assert!(messages(3, 1024).iter().all(|body| body.len() == 1024));
        for states in [1, 10] {
            let length = history(states, 600).len();
            assert!((595 * states as usize..=610 * states as usize).contains(&length), "{length}");
        }
    }
}
