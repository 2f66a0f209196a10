//! What is done with a batch between delivery and publish.

use serde_json::Value;
use uuid::Uuid;

use super::rows::Rows;
use crate::failure::{Failure, Result};

/// What is done.
#[derive(Debug, Clone)]
pub enum Work {
    /// Nothing: the body goes on as it is.
    Forward,
    /// The JSON is read, changed once for each state, and written.
    Change {
        /// States in a message.
        states: u32,
    },
    /// The same, and committed before it goes on.
    Commit {
        /// States in a message.
        states: u32,
        /// The history that they leave.
        row: Vec<u8>,
    },
}

/// One transition of one branch.
#[derive(Debug, Clone)]
pub struct Move {
    /// The execution.
    pub execution: Uuid,
    /// The fence.
    pub seq: i32,
    /// Its other half.
    pub stamp: i32,
    /// The stamp after it.
    pub next: i32,
}

impl Move {
    /// The one after.
    pub fn advance(&mut self) {
        self.seq += 1;
        self.stamp = self.next;
        self.next = after(self.next);
    }
}

/// The next stamp: any other will do.
fn after(stamp: i32) -> i32 {
    stamp.wrapping_mul(1_103_515_245).wrapping_add(12_345)
}

impl Work {
    /// The bodies to publish for those delivered. `rows` is there if they are to be committed.
    pub async fn run(&self, bodies: Vec<Vec<u8>>, rows: Option<&mut Rows>) -> Result<Vec<Vec<u8>>> {
        let (states, row) = match self {
            Work::Forward => return Ok(bodies),
            Work::Change { states } => (*states, None),
            Work::Commit { states, row } => (*states, Some(row)),
        };
        let mut moves = Vec::with_capacity(bodies.len());
        let mut next = Vec::with_capacity(bodies.len());
        for body in &bodies {
            let mut message: Value = serde_json::from_slice(body)?;
            let step = fence(&message)?;
            change(&mut message, &step, states);
            next.push(serde_json::to_vec(&message)?);
            moves.push(step);
        }
        if let (Some(rows), Some(row)) = (rows, row) {
            rows.commit(&moves, row).await?;
        }
        Ok(next)
    }
}

/// The transition that a message asks for.
pub fn read(body: &[u8]) -> Result<Move> {
    fence(&serde_json::from_slice(body)?)
}

fn fence(message: &Value) -> Result<Move> {
    let number = |key: &str| message[key].as_i64().and_then(|number| i32::try_from(number).ok());
    let execution = message["execution"]["id"].as_str().and_then(|id| Uuid::parse_str(id).ok());
    let fields = (execution, number("seq"), number("stamp"));
    let (Some(execution), Some(seq), Some(stamp)) = fields else {
        return Err(Failure::new("a message that is not of this bench"));
    };
    Ok(Move { execution, seq, stamp, next: after(stamp) })
}

/// Each state changes its data and says where the branch is now; a hop has one fence, however many states.
fn change(message: &mut Value, step: &Move, states: u32) {
    for state in 0..states {
        message["value"]["data"]["n"] = Value::from(i64::from(step.seq) + i64::from(state));
        message["value"]["state"] = Value::from(format!("Step{}", state % 10));
    }
    message["seq"] = Value::from(step.seq + 1);
    message["stamp"] = Value::from(step.next);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_carries_the_fence_of_the_move_after_its_own() {
        let body = super::super::payload::messages(1, 512).remove(0);
        let mut step = read(&body).unwrap();
        let next = Work::Change { states: 3 }.run(vec![body], None).await.unwrap();
        step.advance();
        let read = read(&next[0]).unwrap();
        assert_eq!((read.execution, read.seq, read.stamp), (step.execution, step.seq, step.stamp));
    }
}
