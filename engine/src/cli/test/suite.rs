//! The cases of a file with all that they name: the definition compiled, mocks and inputs read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use asl::data::timestamp::Timestamp;
use asl::definition::check;
use asl::program::{Program, State, StateType};
use serde_json::{Value, json};

use super::expected::Expected;
use super::read::{Given, InputFrom, MocksFrom, Written, WrittenCase, read};
use crate::cli::output::visible;
use crate::cli::play::machine_name;
use crate::cli::play::mock_config::MockConfig;
use crate::cli::play::mocks::Mocks;
use crate::cli::{Error, TypeArg, source, validate};
use crate::fields::nearest;

/// When executions start unless a case says otherwise: 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp::from_milliseconds(1_767_225_600_000);

/// What a MockConfigFile does not say of its cases, from the command line.
#[derive(Debug, Default)]
pub(super) struct Choices {
    /// The definition; looked for beside the file by the names of its machines unless given.
    pub(super) definition: Option<PathBuf>,
    /// The only machine that is meant.
    pub(super) machine: Option<String>,
    /// What kind of state machine it is.
    pub(super) workflow: TypeArg,
    /// The input of all its cases.
    pub(super) input: Option<Value>,
}

/// The cases of a definition in one file.
pub(super) struct Suite {
    /// As it was named or found.
    pub(super) file: PathBuf,
    /// Its definition, if that much is known.
    pub(super) definition: Option<PathBuf>,
    /// The cases, or why there are none.
    pub(super) loaded: Result<Loaded, Vec<String>>,
}

/// Cases that can be played.
pub(super) struct Loaded {
    pub(super) program: Program,
    pub(super) workflow: TypeArg,
    /// The name of the state machine.
    pub(super) machine: String,
    pub(super) cases: Vec<Case>,
}

/// A case with all that it needs.
pub(super) struct Case {
    pub(super) name: String,
    /// Why it is not to be played.
    pub(super) skip: Option<String>,
    /// Shared, as many cases have the same.
    pub(super) input: Arc<Value>,
    pub(super) start: Timestamp,
    pub(super) mocks: Mocks,
    /// Of these, what is written in the case itself: all of it must be of use.
    pub(super) own: Mocks,
    /// Absent where any end is right.
    pub(super) expected: Option<Expected>,
}

/// Reads a test file, or a MockConfigFile, which has a suite for each of its machines.
pub(super) fn load(file: &Path, choices: &Choices) -> Vec<Suite> {
    let broken =
        |problem: String| vec![Suite { file: file.to_owned(), definition: None, loaded: Err(vec![problem]) }];
    let document = match source::document(file) {
        Ok(document) => document,
        Err(error) => return broken(error.to_string()),
    };
    if MockConfig::is_one(&document) {
        return match MockConfig::of(&document) {
            Ok(config) => of_config(file, &config, choices),
            Err(problem) => broken(problem),
        };
    }
    match read(&document) {
        Ok(written) => vec![of_file(file, written)],
        Err(problems) => {
            let problems = problems.iter().map(ToString::to_string).collect();
            vec![Suite { file: file.to_owned(), definition: None, loaded: Err(problems) }]
        }
    }
}

fn of_config(file: &Path, config: &MockConfig, choices: &Choices) -> Vec<Suite> {
    let named = choices.machine.clone().or_else(|| {
        let definition = choices.definition.as_deref().map(machine_name)?;
        // With a definition of its own, the only machine needs no name.
        let mut machines = config.machines();
        let only = machines.next().filter(|_| machines.next().is_none());
        Some(only.map_or(definition, str::to_owned))
    });
    let machines = match named {
        Some(machine) => vec![machine],
        None => config.machines().map(str::to_owned).collect(),
    };
    let suite = |machine: String| {
        // A definition of a machine that is not there need not be looked for.
        let definition = config.cases(&machine).and_then(|_| {
            choices.definition.clone().map_or_else(|| beside(file, &machine, "with --definition"), Ok)
        });
        let loaded = match &definition {
            Ok(definition) => config_cases(definition, machine, config, choices),
            Err(problem) => Err(vec![problem.clone()]),
        };
        Suite { file: file.to_owned(), definition: definition.ok(), loaded }
    };
    machines.into_iter().map(suite).collect()
}

/// Each test case of a machine; any end of it is right.
fn config_cases(
    definition: &Path,
    machine: String,
    config: &MockConfig,
    choices: &Choices,
) -> Result<Loaded, Vec<String>> {
    let names = config.cases(&machine).map_err(|problem| vec![problem])?;
    let program = compile(definition, choices.workflow).map_err(|problem| vec![problem])?;
    let input = Arc::new(choices.input.clone().unwrap_or_else(|| json!({})));
    let case = |name: &str| {
        Ok(Case {
            name: name.to_owned(),
            skip: None,
            input: Arc::clone(&input),
            start: START,
            mocks: config.choose(&machine, Some(name))?,
            own: Mocks::default(),
            expected: None,
        })
    };
    let cases = names.map(case).collect::<Result<_, String>>().map_err(|problem| vec![problem])?;
    Ok(Loaded { program, workflow: choices.workflow, machine, cases })
}

fn of_file(file: &Path, written: Written) -> Suite {
    let definition = match &written.definition {
        Some(named) => Ok(relative(file, named)),
        None => beside(file, &machine_name(file), "as definition"),
    };
    let loaded = match &definition {
        Ok(definition) => file_cases(file, definition, written),
        Err(problem) => Err(vec![problem.clone()]),
    };
    Suite { file: file.to_owned(), definition: definition.ok(), loaded }
}

fn file_cases(file: &Path, definition: &Path, written: Written) -> Result<Loaded, Vec<String>> {
    let one = |problem: String| vec![problem];
    let program = compile(definition, written.workflow).map_err(one)?;
    let machine = machine_name(definition);
    let config = written.mock_config.as_deref().map(|named| read_config(&relative(file, named)));
    let config = config.transpose().map_err(one)?;
    let Given { input, mocks, start } = &written.defaults;
    let defaults = |problem: String| vec![format!("defaults: {problem}")];
    let maker = Maker {
        file,
        program: &program,
        config: config.as_ref(),
        config_machine: written.machine.as_deref().unwrap_or(&machine),
        input: input_of(file, input.as_ref()).map_err(defaults)?.unwrap_or_else(|| Arc::new(json!({}))),
        mocks: mocks_of(file, mocks.as_ref()).map_err(defaults)?,
        start: start.unwrap_or(START),
    };
    maker.mocks.check(&program).map_err(defaults)?;
    let (mut cases, mut problems) = (Vec::new(), Vec::new());
    for written in written.cases {
        let name = written.name.clone();
        match maker.case(written) {
            Ok(case) => cases.push(case),
            Err(problem) => problems.push(format!("{}: {problem}", visible(&name))),
        }
    }
    let loaded = Loaded { program, workflow: written.workflow, machine, cases };
    if problems.is_empty() { Ok(loaded) } else { Err(problems) }
}

fn read_config(path: &Path) -> Result<MockConfig, String> {
    let document = source::document(path).map_err(|error| error.to_string())?;
    MockConfig::of(&document).map_err(|problem| format!("{}: {problem}", path.display()))
}

/// Makes the cases of one file.
struct Maker<'a> {
    file: &'a Path,
    program: &'a Program,
    config: Option<&'a MockConfig>,
    config_machine: &'a str,
    /// What cases begin with that say nothing else.
    input: Arc<Value>,
    mocks: Mocks,
    start: Timestamp,
}

impl Maker<'_> {
    fn case(&self, written: WrittenCase) -> Result<Case, String> {
        let WrittenCase { name, skip, given, mock_case, expected } = written;
        self.check_states(&expected)?;
        let (own, shared) = match &given.mocks {
            Some(MocksFrom::Here(mocks)) => (mocks.clone(), Mocks::default()),
            other => (Mocks::default(), mocks_of(self.file, other.as_ref())?),
        };
        let of_case = match (self.config, &mock_case) {
            (Some(config), Some(case)) => config.choose(self.config_machine, Some(case))?,
            (_, _) => Mocks::default(),
        };
        own.check(self.program)?;
        shared.check(self.program)?;
        let mocks = own.clone().or(&shared).or(&of_case).or(&self.mocks);
        let input = input_of(self.file, given.input.as_ref())?.unwrap_or_else(|| Arc::clone(&self.input));
        let start = given.start.unwrap_or(self.start);
        Ok(Case { name, skip, input, start, mocks, own, expected: Some(expected) })
    }

    /// A name that is misspelt would be as expected whenever nothing is expected of it.
    fn check_states(&self, expected: &Expected) -> Result<(), String> {
        for state in expected.states() {
            if self.program.state_named(state).is_none() {
                let known = self.program.states.iter().map(|known| &*known.name);
                let meant = nearest(state, known).map(|meant| format!("; did you mean '{meant}'?"));
                return Err(format!(
                    "expects something of '{state}', a state that the definition does not have{}",
                    meant.unwrap_or_default()
                ));
            }
        }
        for name in expected.callers() {
            let state = self.program.state_named(name).map(State::state_type);
            if let Some(other) = state.filter(|state| *state != StateType::Task) {
                return Err(format!(
                    "expects calls of '{name}', which is a {} state: only Task states call",
                    other.name()
                ));
            }
        }
        Ok(())
    }
}

/// Mocks that a file gives.
fn mocks_of(file: &Path, from: Option<&MocksFrom>) -> Result<Mocks, String> {
    match from {
        None => Ok(Mocks::default()),
        Some(MocksFrom::Here(mocks)) => Ok(mocks.clone()),
        Some(MocksFrom::File(named)) => {
            let path = relative(file, named);
            let document = source::document(&path).map_err(|error| error.to_string())?;
            if MockConfig::is_one(&document) {
                return Err(format!(
                    "{} is a MockConfigFile: name it as mock_config at the top, and its test case as mock_case",
                    path.display()
                ));
            }
            Mocks::of(&document).map_err(|problem| format!("{}: {problem}", path.display()))
        }
    }
}

/// The input that a file gives; none if it says nothing of it.
fn input_of(file: &Path, from: Option<&InputFrom>) -> Result<Option<Arc<Value>>, String> {
    match from {
        None => Ok(None),
        Some(InputFrom::Here(value)) => Ok(Some(Arc::new(value.clone()))),
        Some(InputFrom::File(named)) => {
            let document = source::document(&relative(file, named)).map_err(|error| error.to_string())?;
            Ok(Some(Arc::new(document)))
        }
    }
}

/// A file that another names.
fn relative(file: &Path, named: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(named)
}

/// The definition of this name beside a file. `how` tells how to name another.
fn beside(file: &Path, name: &str, how: &str) -> Result<PathBuf, String> {
    let candidates = [format!("{name}.asl.json"), format!("{name}.json")];
    let found = candidates.iter().map(|candidate| relative(file, candidate)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let wanted = candidates.join(" or ");
        format!("there is no definition {wanted} beside it; name one {how}")
    })
}

/// The program, or its problems drawn.
fn compile(definition: &Path, workflow: TypeArg) -> Result<Program, String> {
    let (file, text) = source::definition(definition).map_err(|error: Error| error.to_string())?;
    check(&text, workflow.into()).program.ok_or_else(|| validate::told(&file, &text, workflow))
}
