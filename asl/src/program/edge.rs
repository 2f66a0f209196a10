//! The ways out of states, for whoever asks which of them were taken.

use super::{Next, Program, StateId, StateKind};

/// One way out of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The state that is left.
    pub from: StateId,
    /// Which of its ways.
    pub way: Way,
}

/// How a state is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// By `Next` or `End`, or because it is a `Succeed` state.
    Onward,
    /// By the rule of a `Choice` in this place, from 0.
    Rule(usize),
    /// By `Default`.
    Default,
    /// By the catcher in this place, from 0.
    Catcher(usize),
}

impl Program {
    /// All ways that the definition writes down, with where they lead, in its order. A `Succeed` and a `Fail`
    /// state have none.
    ///
    /// ```
    /// use asl::definition::{WorkflowType, check};
    /// use asl::program::{Next, Way};
    ///
    /// let text = r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}"#;
    /// let program = check(text, WorkflowType::Standard).program.expect("it is right");
    /// let edges = program.edges();
    /// assert_eq!((edges.len(), edges[0].0.way, edges[0].1), (1, Way::Onward, Next::End));
    /// ```
    pub fn edges(&self) -> Vec<(Edge, Next)> {
        let mut edges = Vec::new();
        for (number, state) in (0..).zip(&self.states) {
            let mut add = |way, next| edges.push((Edge { from: StateId(number), way }, next));
            let handling = match &state.kind {
                StateKind::Pass(pass) => {
                    add(Way::Onward, pass.next);
                    None
                }
                StateKind::Wait(wait) => {
                    add(Way::Onward, wait.next);
                    None
                }
                StateKind::Choice(choice) => {
                    for (place, rule) in choice.rules.iter().enumerate() {
                        add(Way::Rule(place), Next::State(rule.next));
                    }
                    if let Some(default) = choice.default {
                        add(Way::Default, Next::State(default));
                    }
                    None
                }
                StateKind::Task(task) => {
                    add(Way::Onward, task.next);
                    Some(&task.handling)
                }
                StateKind::Parallel(parallel) => {
                    add(Way::Onward, parallel.next);
                    Some(&parallel.handling)
                }
                StateKind::Map(map) => {
                    add(Way::Onward, map.next);
                    Some(&map.handling)
                }
                StateKind::Succeed | StateKind::Fail(_) => None,
            };
            for (place, catcher) in handling.iter().flat_map(|handling| &handling.catchers).enumerate() {
                add(Way::Catcher(place), Next::State(catcher.next));
            }
        }
        edges
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::branch::Answer;
    use crate::data::Failure;
    use crate::data::context::ExecutionFacts;
    use crate::data::timestamp::Timestamp;
    use crate::definition::{WorkflowType, check};
    use crate::limits::Limits;
    use crate::rehearsal::Rehearsal;

    /// Two rules that lead to one state; a task with two catchers; a Map around a task.
    fn program() -> Program {
        let task = json!({
            "Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:f", "End": true,
            "Catch": [{"ErrorEquals": ["X"], "Next": "D"}, {"ErrorEquals": ["States.ALL"], "Next": "D"}],
        });
        let definition = json!({"StartAt": "C", "States": {
            "C": {
                "Type": "Choice", "Default": "M",
                "Choices": [
                    {"Variable": "$", "NumericEquals": 1, "Next": "M"},
                    {"Variable": "$", "NumericEquals": 2, "Next": "M"},
                ],
            },
            "M": {
                "Type": "Map", "Next": "S", "ItemProcessor": {
                    "StartAt": "T", "States": {"T": task, "D": {"Type": "Pass", "End": true}},
                },
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "S"}],
            },
            "S": {"Type": "Succeed"},
        }});
        let text = definition.to_string();
        check(&text, WorkflowType::Standard).program.unwrap()
    }

    fn named(program: &Program, edge: Edge) -> String {
        format!("{} {:?}", program.state(edge.from).name, edge.way)
    }

    fn taken(program: &Program, input: Value) -> Vec<String> {
        let start = Timestamp::from_milliseconds(0);
        let facts = ExecutionFacts {
            id: String::new(),
            name: String::new(),
            role_arn: String::new(),
            started_at: start,
            input: input.clone(),
            redrive: None,
            state_machine_id: String::new(),
            state_machine_name: String::new(),
        };
        let mut rehearsal =
            Rehearsal::start(program, facts, input.to_string(), Limits::default(), start, [0; 32]);
        while rehearsal.outcome().is_none() {
            while rehearsal.step() {}
            let Some(task) = rehearsal.next_task() else { break };
            rehearsal.answer(&task, Answer::Failed(Failure::new("E", "c"))).unwrap();
        }
        let ways = rehearsal.rows().iter().flat_map(|row| &row.ways);
        ways.map(|edge| named(program, *edge)).collect()
    }

    #[test]
    fn every_way_out_is_listed_once() {
        let program = program();
        let listed: Vec<String> = program.edges().iter().map(|(edge, _)| named(&program, *edge)).collect();
        let expected = [
            "C Rule(0)",
            "C Rule(1)",
            "C Default",
            "M Onward",
            "M Catcher(0)",
            "D Onward",
            "T Onward",
            "T Catcher(0)",
            "T Catcher(1)",
        ];
        let mut sorted = (listed, expected.map(str::to_owned).to_vec());
        sorted.0.sort();
        sorted.1.sort();
        assert_eq!(sorted.0, sorted.1);
    }

    #[test]
    fn a_rehearsal_tells_which_ways_were_taken() {
        let program = program();
        assert_eq!(
            taken(&program, json!([7])),
            ["C Default", "T Catcher(1)", "D Onward", "M Onward", "S Onward"]
        );
        // Of two rules that lead to one state, the one that held; what is no list then fails for good.
        assert_eq!(taken(&program, json!(2)), ["C Rule(1)"]);
    }
}
