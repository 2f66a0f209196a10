//! Plays one case.

use std::time::{Duration, Instant};

use asl::rehearsal::Rehearsal;

use super::expected::Problem;
use super::observed::Observed;
use super::suite::{Case, Loaded};
use crate::cli::output::Output;
use crate::cli::play::clock::Clock;
use crate::cli::play::narration::Narration;
use crate::cli::play::player::Player;
use crate::cli::play::{facts, seconds_max};
use crate::config::Config;

/// The id of every execution: what a case does must not depend on when and where it is played.
const EXECUTION: &str = "00000000-0000-0000-0000-000000000000";
/// Decides all randomness.
const SEED: [u8; 32] = [0; 32];

/// What came of a case.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) observed: Observed,
    /// Whether it came to its end.
    pub(super) has_ended: bool,
    /// None: it went as expected.
    pub(super) problems: Vec<Problem>,
    /// How long it took on this machine.
    pub(super) took: Duration,
}

/// Plays a case to its end, on a clock that jumps over waits.
pub(super) fn play(config: &Config, loaded: &Loaded, case: &Case) -> Played {
    let began = Instant::now();
    let mut problems = Vec::new();
    let bytes_max = config.limits.payload_bytes_max.get();
    if case.input.to_string().len() > bytes_max {
        problems.push(Problem::Told(format!("its input is longer than {bytes_max} bytes")));
        return Played { observed: Observed::default(), has_ended: false, problems, took: began.elapsed() };
    }
    let mut player = player(config, loaded, case, None);
    let ending = player.play();
    let elapsed = player.now().milliseconds().saturating_sub(case.start.milliseconds());
    let mut observed = Observed::of(player.rows(), player.calls(), elapsed);
    let has_ended = ending.is_ok();
    match ending {
        Ok(ending) => {
            observed = observed.ended(&ending);
            let expected = case.expected.as_ref();
            problems.extend(expected.into_iter().flat_map(|expected| expected.problems(&observed)));
            let unused = case.own.unused(&observed.calls);
            problems.extend(unused.into_iter().map(|mock| Problem::Told(format!("{mock} was not used"))));
            if let Some(failure) = observed.failure().filter(|_| !problems.is_empty()) {
                problems.push(Problem::Told(format!("it failed with {failure}")));
            }
        }
        Err(error) => problems.push(Problem::Told(error.to_string())),
    }
    Played { observed, has_ended, problems, took: began.elapsed() }
}

/// Plays a case again, as it was, and tells each step.
pub(super) fn retell(config: &Config, loaded: &Loaded, case: &Case, out: &mut Output) {
    let narration = Narration::new(case.start, out);
    // How it ended has been told.
    let _ = player(config, loaded, case, Some(narration)).play();
}

fn player<'a>(
    config: &Config,
    loaded: &'a Loaded,
    case: &Case,
    narration: Option<Narration<'a>>,
) -> Player<'a> {
    let facts = facts(config, &loaded.machine, EXECUTION.to_owned(), (*case.input).clone(), case.start);
    let (limits, input_text) = (config.limits.of_language(), case.input.to_string());
    let rehearsal = Rehearsal::start(&loaded.program, facts, input_text, limits, case.start, SEED);
    let clock = Clock::jumping(case.start);
    let mut player = Player::new(rehearsal, clock, Some(case.mocks.clone()), None, narration);
    player.stop_after(None, seconds_max(&loaded.program, loaded.workflow));
    player
}
