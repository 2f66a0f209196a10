//! What came of the cases as JUnit XML, in the form that CI tools read.

use std::fmt::Write;

use super::report::{CaseResult, Report, Told};
use super::suite::Suite;

/// The whole document. Times are those of this machine, not those of the executions.
pub(super) fn xml(report: &Report<'_>) -> String {
    let mut suites = String::new();
    let mut all = Counts::default();
    for (suite, cases) in report.suites() {
        let counts = Counts::of(suite, cases);
        all.add(&counts);
        let file = escaped(&suite.file.display().to_string());
        // Writing to a text cannot fail.
        let _ = writeln!(suites, "  <testsuite name=\"{file}\"{}>", counts.attributes());
        if let Err(problems) = &suite.loaded {
            let text = problems.join("\n");
            let _ = writeln!(
                suites,
                "    <testcase name=\"{file}\" classname=\"{file}\" time=\"0\">\n      \
                 <error message=\"{}\">{}</error>\n    </testcase>",
                escaped(text.lines().next().unwrap_or_default()),
                escaped(&text)
            );
        }
        for told in cases {
            suites.push_str(&case(&file, told));
        }
        suites.push_str("  </testsuite>\n");
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"warren test\"{}>\n{suites}</testsuites>\n",
        all.attributes()
    )
}

fn case(file: &str, told: &Told) -> String {
    let (name, seconds) = (escaped(&told.name), told.took.as_secs_f64());
    let begin = format!("    <testcase name=\"{name}\" classname=\"{file}\" time=\"{seconds:.3}\"");
    match &told.result {
        CaseResult::Passed => format!("{begin}/>\n"),
        CaseResult::Skipped(reason) => {
            format!("{begin}>\n      <skipped message=\"{}\"/>\n    </testcase>\n", escaped(reason))
        }
        CaseResult::Failed(problems) => {
            let first = escaped(problems.first().map_or("", String::as_str));
            let all = escaped(&problems.join("\n"));
            format!("{begin}>\n      <failure message=\"{first}\">{all}</failure>\n    </testcase>\n")
        }
    }
}

#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    seconds: f64,
}

impl Counts {
    fn of(suite: &Suite, cases: &[Told]) -> Self {
        let errors = usize::from(suite.loaded.is_err());
        let count = |is: fn(&CaseResult) -> bool| cases.iter().filter(|told| is(&told.result)).count();
        Counts {
            tests: cases.len() + errors,
            failures: count(|result| matches!(result, CaseResult::Failed(_))),
            errors,
            skipped: count(|result| matches!(result, CaseResult::Skipped(_))),
            // The sum of no numbers is -0.
            seconds: cases.iter().map(|told| told.took.as_secs_f64()).fold(0.0, |sum, seconds| sum + seconds),
        }
    }

    fn add(&mut self, other: &Counts) {
        self.tests += other.tests;
        self.failures += other.failures;
        self.errors += other.errors;
        self.skipped += other.skipped;
        self.seconds += other.seconds;
    }

    fn attributes(&self) -> String {
        let Counts { tests, failures, errors, skipped, seconds } = self;
        format!(
            " tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" \
             time=\"{seconds:.3}\""
        )
    }
}

/// A text as XML 1.0 can hold it: characters that it cannot hold at all are shown as `�`.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_the_document() {
        assert_eq!(
            escaped("a<b> & \"c\"\n\u{0}\u{1b}é"),
            "a&lt;b&gt; &amp; &quot;c&quot;&#10;\u{fffd}\u{fffd}é"
        );
    }
}
