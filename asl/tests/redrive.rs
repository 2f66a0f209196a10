//! Where a branch goes on that failed or was cut short: definition, what happened, and what follows a redrive.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use asl::branch::{
    Answer, Branch, BranchPath, Effect, Event, EventRef, Family, Member, Remains, Role, Run, Source, Tick,
    Waiting,
};
use asl::data::Failure;
use asl::data::context::{ExecutionFacts, Redrive};
use asl::data::timestamp::Timestamp;
use asl::definition::{WorkflowType, check};
use asl::history::{EventKind, HistoryEvent};
use asl::limits::Limits;
use asl::program::{Program, StateId};
use serde_json::{Value, json};

const REDRIVE: Redrive = Redrive { count: 1, at: Timestamp::from_milliseconds(1_700_000_060_000) };

fn program(definition: &Value) -> Program {
    let checked = check(&definition.to_string(), WorkflowType::Standard);
    checked.program.unwrap_or_else(|| panic!("{:?}", checked.diagnostics))
}

fn facts(redrive: Option<Redrive>) -> ExecutionFacts {
    ExecutionFacts {
        id: "arn:aws:states:us-east-1:123456789012:execution:machine:run".to_owned(),
        name: "run".to_owned(),
        role_arn: "arn:aws:iam::123456789012:role/role".to_owned(),
        started_at: Timestamp::from_milliseconds(1_700_000_000_000),
        input: json!({}),
        redrive,
        state_machine_id: "arn:aws:states:us-east-1:123456789012:stateMachine:machine".to_owned(),
        state_machine_name: "machine".to_owned(),
    }
}

/// A root branch, with all values and events that its rows hold.
struct Root {
    program: Program,
    limits: Limits,
    now: Timestamp,
    branch: Branch,
    rows: Vec<(Option<Branch>, Vec<HistoryEvent>)>,
    effects: Vec<Effect>,
}

impl Root {
    fn start(definition: &Value, fused_states_max: u32) -> Self {
        let program = program(definition);
        let limits = Limits { fused_states_max, ..Limits::default() };
        let (facts, path, now) = (facts(None), BranchPath::root(), REDRIVE.at.plus_seconds(-60));
        let run = Run { program: &program, execution: &facts, limits: &limits, path: &path, setting: None };
        let (branch, started) = Branch::start(&run, json!({ "x": 1 }), r#"{"x":1}"#.to_owned(), now);
        let rows = vec![(Some(branch.clone()), vec![started])];
        let mut root = Root { program, limits, now, branch, rows, effects: Vec::new() };
        root.run_on();
        root
    }

    fn tell(&mut self, event: Event) {
        let (facts, path) = (facts(self.branch.redrive), BranchPath::root());
        let run = Run {
            program: &self.program,
            execution: &facts,
            limits: &self.limits,
            path: &path,
            setting: None,
        };
        let tick = Tick { now: self.now, seed: [7; 32], task_token: String::new(), activity_missing: false };
        let transition = self.branch.apply(&run, event, &tick).expect("it waits for this");
        let value = (self.branch.waiting != Waiting::Over).then(|| self.branch.clone());
        self.rows.push((value, transition.history));
        self.effects = transition.effects;
    }

    /// As far as it goes without anything from outside.
    fn run_on(&mut self) {
        while self.branch.waiting == Waiting::Enter {
            self.tell(Event::Enter { after: None });
        }
    }

    fn fail_task(&mut self, error: &str) {
        let Waiting::Task(attempt) = &self.branch.waiting else { panic!("{:?}", self.branch.waiting) };
        let answer = Answer::Failed(Failure::new(error, "it is"));
        self.tell(Event::TaskEnded { task: attempt.task, answer, source: Source::Call });
        self.run_on();
    }

    /// What its last two rows leave; `cut_short` if nothing but the execution's end came after them.
    fn remains(&self) -> Remains {
        let (seq, (last, events)) = self.rows.iter().enumerate().next_back().unwrap();
        let reference = |offset: usize| EventRef {
            branch: BranchPath::root(),
            seq: u32::try_from(seq).unwrap(),
            offset: u16::try_from(offset).unwrap(),
        };
        if let Some(value) = last {
            return Remains { value: value.clone(), after: Vec::new(), error: None };
        }
        let value = self.rows[seq - 1].0.clone().unwrap();
        let error = events.last().and_then(|event| match &event.kind {
            EventKind::ExecutionFailed(failure) => failure.error.clone(),
            _ => None,
        });
        let after = events.iter().cloned().enumerate();
        Remains { value, after: after.map(|(offset, event)| (reference(offset), event)).collect(), error }
    }

    fn redrive(&mut self) {
        let redriven = EventRef { branch: BranchPath::root(), seq: self.branch.seq + 1, offset: 0 };
        let seq = self.branch.seq + 1;
        self.branch = self.remains().go_on(&self.program, REDRIVE, &redriven).expect("it goes on");
        self.branch.seq = seq;
        self.rows.push((Some(self.branch.clone()), Vec::new()));
    }

    fn recorded_since(&self, row: usize) -> Vec<String> {
        self.rows[row..].iter().flat_map(|(_, events)| events).map(|event| event.kind.type_name()).collect()
    }
}

/// Redrives what has happened, lets it run on, and compares what is recorded then.
fn check_redrive(definition: &Value, happens: impl Fn(&mut Root), expected: &[&str]) -> Root {
    let mut roots = [1, 20].map(|fused| {
        let mut root = Root::start(definition, fused);
        happens(&mut root);
        let row = root.rows.len();
        root.redrive();
        root.run_on();
        assert_eq!(root.recorded_since(row), expected, "fused {fused}: {definition}");
        root
    });
    roots.swap(0, 1);
    let [root, _] = roots;
    root
}

fn machine(states: Value) -> Value {
    let first = states.as_object().unwrap().keys().next().unwrap().clone();
    json!({ "StartAt": first, "States": states })
}

fn task() -> Value {
    json!({ "Type": "Task", "Resource": "arn:aws:states:::aws-sdk:x:call", "End": true })
}

#[test]
fn a_task_is_scheduled_anew_and_its_state_is_not_entered_again() {
    let definition = machine(json!({
        "A": { "Type": "Pass", "Assign": { "v": 7 }, "Next": "B" },
        "B": { "Type": "Task", "Resource": "arn:aws:states:::aws-sdk:x:call", "End": true,
               "Parameters": { "v.$": "$v", "execution.$": "$$.Execution", "r.$": "$$.State.RetryCount" },
               "Retry": [{ "ErrorEquals": ["Again"], "MaxAttempts": 1 }] },
    }));
    let scheduled = ["TaskScheduled", "TaskStarted"];
    let asked = |root: &Root| {
        let parameters = &root.effects.iter().find_map(Effect::task).unwrap().parameters;
        let execution = &parameters["execution"];
        json!([parameters["v"], parameters["r"], execution["RedriveCount"], execution["RedriveTime"]])
    };
    let expected = json!([7, 0, 1, REDRIVE.at.to_string()]);
    let failed = check_redrive(&definition, |root| root.fail_task("Broken"), &scheduled);
    assert_eq!(asked(&failed), expected);
    // Cut short while the task was out, and while it waited for its second attempt.
    assert_eq!(asked(&check_redrive(&definition, |_| (), &scheduled)), expected);
    let retried = check_redrive(&definition, |root| root.fail_task("Again"), &scheduled);
    assert_eq!(asked(&retried), expected);
    assert_eq!(retried.branch.retries, Vec::<u32>::new());
}

#[test]
fn a_state_that_failed_by_itself_is_worked_again_where_it_stands() {
    let fails = machine(json!({
        "A": { "Type": "Pass", "Next": "B" },
        "B": { "Type": "Fail", "Error": "E" },
    }));
    check_redrive(&fails, |_| (), &["ExecutionFailed"]);
    let chooses = machine(json!({
        "A": { "Type": "Pass", "Assign": { "v": 1 }, "Next": "B" },
        "B": { "Type": "Choice", "Choices": [{
            "Variable": "$$.Execution.RedriveCount", "NumericEquals": 1, "Next": "C" }] },
        "C": { "Type": "Succeed", "OutputPath": "$v" },
    }));
    let expected = ["ChoiceStateExited", "SucceedStateEntered", "SucceedStateExited", "ExecutionSucceeded"];
    let root = check_redrive(&chooses, |_| (), &expected);
    assert!(matches!(&root.effects[..], [Effect::Finish(_)]), "{:?}", root.effects);
    let evaluates = machine(json!({
        "A": { "Type": "Pass", "Parameters": { "n.$": "States.MathAdd($.none, 1)" }, "End": true },
    }));
    check_redrive(&evaluates, |_| (), &["ExecutionFailed"]);
}

#[test]
fn what_stood_between_two_states_enters_the_next() {
    let mut root = Root::start(
        &machine(json!({
            "A": { "Type": "Wait", "Seconds": 1, "Next": "B" }, "B": task(),
        })),
        1,
    );
    root.now = root.now.plus_seconds(1);
    root.tell(Event::TimerFired);
    let row = root.rows.len();
    root.redrive();
    root.run_on();
    assert_eq!(root.recorded_since(row), ["TaskStateEntered", "TaskScheduled", "TaskStarted"]);
}

#[test]
fn a_wait_keeps_its_time() {
    let definition = machine(json!({ "A": { "Type": "Wait", "Seconds": 90, "End": true } }));
    let root = check_redrive(&definition, |_| (), &[]);
    assert_eq!(root.branch.waiting, Waiting::Wait { until: REDRIVE.at.plus_seconds(30) });
}

#[test]
fn a_fork_goes_on_unless_it_was_too_large() {
    let branch = |name: &str| json!({ "StartAt": name, "States": { name: { "Type": "Pass", "End": true } } });
    let definition = machine(json!({
        "A": { "Type": "Parallel", "Branches": [branch("B"), branch("C")], "End": true },
    }));
    let fails = |error: &'static str| {
        move |root: &mut Root| {
            let last = EventRef { branch: BranchPath::root().child(1, 0), seq: 1, offset: 0 };
            let failure = Failure::new(error, "");
            root.tell(Event::BranchFailed { failure, last, aborted: Vec::new(), events: 1 });
        }
    };
    for happens in [&fails("Broken") as &dyn Fn(&mut Root), &|_: &mut Root| ()] {
        let root = check_redrive(&definition, happens, &[]);
        assert_eq!(root.branch.waiting, Waiting::Branches { fork: 1, window: u32::MAX });
        assert!(root.branch.redrive.is_some());
    }
    check_redrive(&definition, fails("States.DataLimitExceeded"), &["ParallelStateStarted"]);
}

#[test]
fn a_history_that_does_not_say_where_a_branch_stood_is_not_gone_on_with() {
    let root = Root::start(&machine(json!({ "A": task() })), 1);
    let exited = HistoryEvent {
        at: REDRIVE.at,
        previous: None,
        kind: EventKind::StateExited {
            state: asl::program::StateType::Task,
            name: "A".to_owned(),
            output: "{}".to_owned(),
            assigned: serde_json::Map::new(),
        },
    };
    let name = EventRef { branch: BranchPath::root(), seq: 2, offset: 0 };
    let remains = Remains { after: vec![(name.clone(), exited)], ..root.remains() };
    assert_eq!(remains.go_on(&root.program, REDRIVE, &name), None);
}

/// Children as letters: `e` ended well, `b` has begun, `q` has not.
fn check_family(children: &str, window: u32, members: &str, launched: u32) {
    let root = Root::start(&machine(json!({ "A": task() })), 1);
    let branch = |role| Branch { role, ..root.branch.clone() };
    let (begun, queued) = (branch(Role::Iteration(StateId(0))), branch(Role::Queued(StateId(0))));
    let child = |letter| match letter {
        'e' => None,
        'b' => Some(&begun),
        _ => Some(&queued),
    };
    let family = Family::of(children.chars().map(child), window);
    let shown = family.members.iter().map(|member| match member {
        Member::Ended => 'e',
        Member::Runs => 'r',
        Member::Queued => 'q',
    });
    assert_eq!(
        (shown.collect::<String>().as_str(), family.launched),
        (members, launched),
        "{children} {window}"
    );
    let open = children.chars().filter(|letter| *letter != 'e').count();
    assert_eq!(family.open as usize, open);
}

#[test]
fn children_go_on_and_others_begin_where_there_is_room() {
    check_family("ebb", u32::MAX, "err", 3);
    check_family("eee", 2, "eee", 3);
    check_family("ebbqq", 2, "errqq", 3);
    check_family("ebqqq", 3, "errrq", 4);
    check_family("eeqqq", 2, "eerrq", 4);
    check_family("eqbqq", 1, "errqq", 3);
    check_family("qqqq", 2, "rrqq", 2);
}
