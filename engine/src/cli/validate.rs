//! `warren validate`: every problem of a definition, drawn where it is.

use std::path::PathBuf;

use asl::definition::{Diagnostic, Severity, check, locate};
use clap::Args;
use serde_json::{Value, json};

use super::output::{Output, Tone};
use super::{Error, Exit, TypeArg, source};

mod drawing;

/// What `warren validate` is told.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Definitions in JSON; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What kind of state machine they are to be.
    #[arg(long = "type", value_enum, ignore_case = true, default_value_t, value_name = "TYPE")]
    workflow: TypeArg,
    /// Print `{result, diagnostics}` instead.
    #[arg(long)]
    json: bool,
}

/// A problem and its place in the file.
pub(super) struct Finding {
    severity: Severity,
    code: &'static str,
    message: String,
    location: Option<String>,
    /// Byte offsets in the text.
    span: Option<std::ops::Range<usize>>,
    /// Line and column, from 1; the column counts characters.
    place: Option<(usize, usize)>,
}

/// All problems of a definition: errors and warnings, then what is valid and cannot run yet.
pub(super) fn findings(text: &str, workflow: TypeArg) -> Vec<Finding> {
    let checked = check(text, workflow.into());
    let unsupported = checked.unsupported.into_iter().map(|diagnostic| Diagnostic {
        severity: Severity::Warning,
        message: format!("valid, but {}", diagnostic.message),
        ..diagnostic
    });
    checked
        .diagnostics
        .into_iter()
        .chain(unsupported)
        .map(|diagnostic| Finding::of(text, diagnostic))
        .collect()
}

impl Finding {
    fn of(text: &str, diagnostic: Diagnostic) -> Self {
        let Diagnostic { severity, code, message, location } = diagnostic;
        let span = location.as_deref().and_then(|location| locate(text, location));
        let place = span.as_ref().map(|span| place(text, span.start));
        Finding { severity, code: code.as_str(), message, location, span, place }
    }

    pub(super) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    fn to_json(&self, file: &str) -> Value {
        json!({
            "severity": self.severity.as_str(),
            "code": self.code,
            "message": self.message,
            "location": self.location,
            "line": self.place.map(|place| place.0),
            "column": self.place.map(|place| place.1),
            "file": file,
        })
    }
}

/// Line and column of a byte.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |index| index + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Checks the files. It fails if one of them has an error.
pub fn run(args: &ValidateArgs, out: &mut Output) -> Result<Exit, Error> {
    let mut diagnostics = Vec::new();
    let mut failed = false;
    for path in &args.files {
        let (file, text) = source::definition(path)?;
        let findings = findings(&text, args.workflow);
        failed |= findings.iter().any(Finding::is_error);
        if args.json {
            diagnostics.extend(findings.iter().map(|finding| finding.to_json(&file)));
        } else {
            show(&file, &text, &findings, out);
        }
    }
    if args.json {
        let result = if failed { "FAIL" } else { "OK" };
        out.line(format_args!("{:#}", json!({ "result": result, "diagnostics": diagnostics })));
    }
    Ok(if failed { Exit::Failed } else { Exit::Well })
}

/// The errors of a definition that is refused, as a text without colours.
pub(super) fn told(file: &str, text: &str, workflow: TypeArg) -> String {
    let findings = findings(text, workflow);
    let drawn: Vec<String> =
        findings.iter().map(|finding| drawing::draw(file, text, finding, false)).collect();
    format!("{file} is no definition that can run:\n{}", drawn.join("\n"))
}

/// Draws the problems of one file, and says in a line how it stands.
pub(super) fn show(file: &str, text: &str, findings: &[Finding], out: &mut Output) {
    for finding in findings {
        out.text(drawing::draw(file, text, finding, out.colour()));
        out.line("");
    }
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    let warnings = findings.len() - errors;
    let verdict = match (errors, warnings) {
        (0, 0) => out.paint(Tone::Good, "valid"),
        (0, _) => out.paint(Tone::Warning, format_args!("valid, {}", counted(warnings, "warning"))),
        (_, 0) => out.paint(Tone::Bad, counted(errors, "error")),
        (..) => {
            let both = format!("{}, {}", counted(errors, "error"), counted(warnings, "warning"));
            out.paint(Tone::Bad, both)
        }
    };
    out.line(format_args!("{file}: {verdict}"));
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_counts_characters() {
        assert_eq!(place("ab\né\u{1F600}x", 0), (1, 1));
        assert_eq!(place("ab\né\u{1F600}x", 9), (2, 3));
        assert_eq!(place("", 5), (1, 1));
    }
}
