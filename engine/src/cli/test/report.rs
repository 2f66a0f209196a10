//! Tells what came of the cases: to people as they end, or as JSON in the end.

use std::time::Duration;

use serde_json::{Value, json};

use super::coverage::{Coverages, Missing};
use super::expected::Problem;
use super::played::Played;
use super::suite::{Case, Suite};
use crate::cli::output::{Output, Tone, visible};

/// Most problems that are shown of a case.
const PROBLEMS_SHOWN_MAX: usize = 20;
/// How much of a value is shown, in characters.
const VALUE_CHARACTERS_MAX: usize = 400;
/// Most of what is not covered that is shown of a definition.
const MISSING_SHOWN_MAX: usize = 30;

/// All that is known so far.
pub(super) struct Report<'a> {
    suites: &'a [Suite],
    json: bool,
    /// Those of each suite.
    cases: Vec<Vec<Told>>,
    /// The suite that was told of last.
    last: Option<usize>,
    totals: Totals,
}

/// A case and what came of it.
pub(super) struct Told {
    pub(super) name: String,
    pub(super) result: CaseResult,
    /// On the clock of this machine.
    pub(super) took: Duration,
    value: Value,
}

/// How a case went.
pub(super) enum CaseResult {
    Passed,
    Failed(Vec<String>),
    Skipped(String),
}

#[derive(Debug, Default, Clone, Copy)]
struct Totals {
    passed: usize,
    failed: usize,
    skipped: usize,
    /// Files without cases, as something is wrong with them.
    broken: usize,
}

impl<'a> Report<'a> {
    pub(super) fn new(suites: &'a [Suite], json: bool) -> Self {
        let cases = suites.iter().map(|_| Vec::new()).collect();
        Report { suites, json, cases, last: None, totals: Totals::default() }
    }

    /// Tells of the files that cannot be played.
    pub(super) fn broken(&mut self, out: &mut Output) {
        for suite in self.suites {
            let Err(problems) = &suite.loaded else { continue };
            self.totals.broken += 1;
            if !self.json {
                out.line(out.paint(Tone::Bad, suite.file.display()));
                for problem in problems {
                    out.line(format_args!("  {}", problem.replace('\n', "\n  ").trim_end()));
                }
            }
        }
    }

    /// Tells of a case; of none that was played, if it was skipped.
    pub(super) fn case(&mut self, suite: usize, case: &Case, played: Option<Played>, out: &mut Output) {
        let told = Told::of(case, played.as_ref());
        match told.result {
            CaseResult::Passed => self.totals.passed += 1,
            CaseResult::Failed(_) => self.totals.failed += 1,
            CaseResult::Skipped(_) => self.totals.skipped += 1,
        }
        if !self.json {
            if self.last.replace(suite) != Some(suite) {
                out.line(out.paint(Tone::Strong, title(&self.suites[suite])));
            }
            show(&told, played.as_ref(), out);
        }
        self.cases[suite].push(told);
    }

    /// Whether there was nothing to tell of.
    pub(super) fn is_empty(&self) -> bool {
        let Totals { passed, failed, skipped, broken } = self.totals;
        passed + failed + skipped + broken == 0
    }

    pub(super) fn is_well(&self) -> bool {
        self.totals.failed + self.totals.broken == 0 && !self.is_empty()
    }

    /// Each suite with its cases.
    pub(super) fn suites(&self) -> impl Iterator<Item = (&Suite, &[Told])> {
        self.suites.iter().zip(self.cases.iter().map(Vec::as_slice))
    }

    /// Tells what was covered, and the sums. False if that was too little.
    pub(super) fn conclude(&self, coverages: &Coverages, least: Option<u8>, out: &mut Output) -> bool {
        let enough = |percent: f64| least.is_none_or(|least| percent >= f64::from(least));
        let covered = coverages.iter().all(|(_, coverage)| enough(coverage.percent()));
        if self.json {
            out.line(format_args!("{:#}", self.to_json(coverages, covered)));
            return covered;
        }
        for (place, (definition, coverage)) in coverages.iter().enumerate() {
            let (states, edges, percent) = (coverage.states(), coverage.edges(), coverage.percent());
            let tone = match enough(percent) {
                false => Tone::Bad,
                true if percent < 100.0 => Tone::Warning,
                true => Tone::Good,
            };
            let percent = out.paint(tone, format_args!("{:.0} %", percent.floor()));
            if place == 0 {
                out.line("");
            }
            out.line(format_args!(
                "{definition}: {percent} covered, {} of {} states, {} of {} ways out of them",
                states.covered, states.of, edges.covered, edges.of
            ));
            show_missing(&coverage.missing(), out);
        }
        out.line("");
        if !covered {
            let least = least.unwrap_or_default();
            let text = format!("less than {least} % of a definition is covered (--coverage-min)");
            out.line(out.paint(Tone::Bad, text));
        }
        out.line(self.sums(out));
        covered
    }

    fn sums(&self, out: &Output) -> String {
        let Totals { passed, failed, skipped, broken } = self.totals;
        let mut sums = vec![out.paint(Tone::Good, format_args!("{passed} passed"))];
        if failed > 0 {
            sums.push(out.paint(Tone::Bad, format_args!("{failed} failed")));
        }
        if skipped > 0 {
            sums.push(out.paint(Tone::Warning, format_args!("{skipped} skipped")));
        }
        if broken > 0 {
            let files = if broken == 1 { "file" } else { "files" };
            sums.push(out.paint(Tone::Bad, format_args!("{broken} {files} that cannot be played")));
        }
        sums.join(", ")
    }

    fn to_json(&self, coverages: &Coverages, covered: bool) -> Value {
        let Totals { passed, failed, skipped, broken } = self.totals;
        let files = self.suites().map(|(suite, cases)| {
            json!({
                "file": suite.file.display().to_string(),
                "definition": suite.definition.as_ref().map(|path| path.display().to_string()),
                "problems": suite.loaded.as_ref().err().cloned().unwrap_or_default(),
                "cases": cases.iter().map(|told| told.value.clone()).collect::<Vec<_>>(),
            })
        });
        let coverage = coverages.iter().map(|(definition, coverage)| coverage.to_json(definition));
        json!({
            "result": if covered && self.is_well() { "OK" } else { "FAIL" },
            "passed": passed,
            "failed": failed,
            "skipped": skipped,
            "broken": broken,
            "files": files.collect::<Vec<_>>(),
            "coverage": coverage.collect::<Vec<_>>(),
        })
    }
}

impl Told {
    fn of(case: &Case, played: Option<&Played>) -> Self {
        let name = case.name.clone();
        let Some(played) = played else {
            let reason = case.skip.clone().unwrap_or_default();
            let value = json!({"name": name, "result": "SKIPPED", "reason": reason});
            return Told { name, result: CaseResult::Skipped(reason), took: Duration::ZERO, value };
        };
        let texts: Vec<String> = played.problems.iter().map(text).collect();
        let observed = &played.observed;
        let value = json!({
            "name": name,
            "result": if texts.is_empty() { "PASSED" } else { "FAILED" },
            "status": played.has_ended.then(|| observed.status.as_str()),
            "output": observed.output,
            "error": observed.error,
            "cause": observed.cause,
            "path": observed.path,
            "duration_seconds": observed.milliseconds as f64 / 1000.0,
            "problems": played.problems.iter().map(to_json).collect::<Vec<_>>(),
        });
        let result = if texts.is_empty() { CaseResult::Passed } else { CaseResult::Failed(texts) };
        Told { name, result, took: played.took, value }
    }
}

fn title(suite: &Suite) -> String {
    let file = suite.file.display();
    match &suite.definition {
        Some(definition) => format!("{file} ({})", definition.display()),
        None => file.to_string(),
    }
}

fn show(told: &Told, played: Option<&Played>, out: &mut Output) {
    let time = played.map(|played| format!("{:.3} s", played.observed.milliseconds as f64 / 1000.0));
    let time = out.paint(Tone::Quiet, time.unwrap_or_default());
    let name = visible(&told.name);
    match &told.result {
        CaseResult::Passed => out.line(format_args!("  {}  {name}  {time}", out.paint(Tone::Good, "ok  "))),
        CaseResult::Skipped(reason) => {
            let skipped = out.paint(Tone::Warning, "skip");
            out.line(format_args!("  {skipped}  {name}  {}", out.paint(Tone::Quiet, visible(reason))));
        }
        CaseResult::Failed(_) => {
            out.line(format_args!("  {}  {name}  {time}", out.paint(Tone::Bad, "FAIL")));
            let problems = played.map_or(&[][..], |played| &played.problems);
            for problem in problems.iter().take(PROBLEMS_SHOWN_MAX) {
                show_problem(problem, out);
            }
            if let more @ 1.. = problems.len().saturating_sub(PROBLEMS_SHOWN_MAX) {
                out.line(format_args!("        … and {more} more"));
            }
        }
    }
}

fn show_problem(problem: &Problem, out: &mut Output) {
    match problem {
        Problem::Told(text) => out.line(format_args!("        {text}")),
        Problem::Differs { check, difference } => {
            let place = if difference.place == "$" { "" } else { &difference.place };
            out.line(format_args!("        {}", format!("{check} {place}").trim_end()));
            let expected = out.paint(Tone::Good, shown(difference.expected.as_ref()));
            let actual = out.paint(Tone::Bad, shown(difference.actual.as_ref()));
            out.line(format_args!("          expected  {expected}"));
            out.line(format_args!("          was       {actual}"));
        }
    }
}

fn show_missing(missing: &[Missing], out: &mut Output) {
    for Missing { state, way } in missing.iter().take(MISSING_SHOWN_MAX) {
        match way {
            None => out.line(format_args!("  not entered  {state}")),
            Some(way) => out.line(format_args!("  not taken    {state}: {way}")),
        }
    }
    if let more @ 1.. = missing.len().saturating_sub(MISSING_SHOWN_MAX) {
        out.line(format_args!("  … and {more} more (--json has all)"));
    }
}

/// A problem in one line.
fn text(problem: &Problem) -> String {
    match problem {
        Problem::Told(text) => text.clone(),
        Problem::Differs { check, difference } => {
            let place =
                if difference.place == "$" { String::new() } else { format!(" {}", difference.place) };
            let (expected, actual) = (shown(difference.expected.as_ref()), shown(difference.actual.as_ref()));
            format!("{check}{place}: expected {expected}, was {actual}")
        }
    }
}

fn to_json(problem: &Problem) -> Value {
    match problem {
        Problem::Told(text) => json!({"message": text}),
        Problem::Differs { check, difference } => json!({
            "message": self::text(problem),
            "check": check,
            "place": difference.place,
            "expected": difference.expected,
            "actual": difference.actual,
        }),
    }
}

/// A value in one line, cut where it is long; a list of names as a way.
fn shown(value: Option<&Value>) -> String {
    let text = match value {
        None => "nothing".to_owned(),
        Some(Value::Array(list)) if !list.is_empty() && list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" → ")
        }
        Some(value) => value.to_string(),
    };
    match text.char_indices().nth(VALUE_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::play::compare::{Extent, differences};

    #[test]
    fn a_problem_is_told_in_one_line() {
        let difference = differences(&json!({"a": [1]}), &json!({"a": [2]}), Extent::Whole).remove(0);
        let problem = Problem::Differs { check: "output".to_owned(), difference };
        assert_eq!(text(&problem), "output $.a[0]: expected 1, was 2");
        assert_eq!(to_json(&problem)["place"], "$.a[0]");
    }

    #[test]
    fn values_are_short() {
        assert_eq!(shown(None), "nothing");
        assert_eq!(shown(Some(&json!(["A", "B"]))), "A → B");
        assert_eq!(shown(Some(&json!([]))), "[]");
        let long = shown(Some(&json!("é".repeat(1000))));
        assert_eq!(long.chars().count(), VALUE_CHARACTERS_MAX + 1);
    }
}
