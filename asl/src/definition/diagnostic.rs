//! Problems of a definition, as `ValidateStateMachineDefinition` reports them.

use std::fmt;

use super::place::Place;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the definition is refused because of it.
    pub severity: Severity,
    /// Which rule is broken.
    pub code: Code,
    /// What is wrong, in AWS's words where they are known.
    pub message: String,
    /// Where: `/States/Pick/Choices[0]/Variable`, or for broken JSON
    /// `[Source: (String)"…"; line: 1, column: 4]`. Absent when it is about the whole definition.
    pub location: Option<String>,
}

/// How grave a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The definition is refused.
    Error,
    /// The definition is accepted, but probably does not do what was meant.
    Warning,
}

impl Severity {
    /// AWS's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
        }
    }
}

/// The rule that is broken (AWS API reference, `ValidateStateMachineDefinitionDiagnostic`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// The text is not JSON.
    InvalidJsonDescription,
    /// A field is missing, unknown, of the wrong type or out of range.
    SchemaValidationFailed,
    /// A transition leads nowhere, or a state cannot be reached.
    MissingTransitionTarget,
    /// No state ends the workflow.
    MissingEndState,
    /// Two states have the same name.
    DuplicateStateName,
    /// A state's name is empty or too long.
    InvalidStateName,
    /// Two Distributed Maps have the same label.
    DuplicateLabelName,
    /// A label is too long or has a forbidden character.
    InvalidLabelName,
    /// States are nested too deeply.
    TooDeeplyNested,
    /// `Assign` to `$states`.
    ReservedVariableName,
    /// `Assign` to something that is not a name, or is one of an outer scope.
    InvalidVariableName,
    /// A JSONata expression that cannot be read.
    InvalidJsonataExpression,
    /// A JSONata expression that reads what there is not where it stands.
    UnsupportedJsonataExpression,
    /// Looks like a path, but the name of the field does not end in `.$`.
    NoDollar,
    /// Looks like a path, but the name of the field does not end in `Path`.
    NoPath,
    /// A path in `Result`, which is taken as it is.
    PassResultIsStatic,
    /// Correct, but this engine cannot run it yet. Not a code of AWS.
    NotYetSupported,
}

impl Code {
    /// The code as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::InvalidJsonDescription => "INVALID_JSON_DESCRIPTION",
            Code::SchemaValidationFailed => "SCHEMA_VALIDATION_FAILED",
            Code::MissingTransitionTarget => "MISSING_TRANSITION_TARGET",
            Code::MissingEndState => "MISSING_END_STATE",
            Code::DuplicateStateName => "DUPLICATE_STATE_NAME",
            Code::InvalidStateName => "INVALID_STATE_NAME",
            Code::DuplicateLabelName => "DUPLICATE_LABEL_NAME",
            Code::InvalidLabelName => "INVALID_LABEL_NAME",
            Code::TooDeeplyNested => "TOO_DEEPLY_NESTED",
            Code::ReservedVariableName => "RESERVED_VARIABLE_NAME",
            Code::InvalidVariableName => "INVALID_VARIABLE_NAME",
            Code::InvalidJsonataExpression => "INVALID_JSONATA_EXPRESSION",
            Code::UnsupportedJsonataExpression => "UNSUPPORTED_JSONATA_EXPRESSION",
            Code::NoDollar => "NO_DOLLAR",
            Code::NoPath => "NO_PATH",
            Code::PassResultIsStatic => "PASS_RESULT_IS_STATIC",
            Code::NotYetSupported => "NOT_YET_SUPPORTED",
        }
    }

    /// Whether the definition is wrong, and not merely odd or not yet supported.
    fn is_error(self) -> bool {
        self.severity() == Severity::Error && self != Code::NotYetSupported
    }

    /// The codes that AWS lists as warnings; all others are errors.
    fn severity(self) -> Severity {
        match self {
            Code::NoDollar | Code::NoPath | Code::PassResultIsStatic => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for Diagnostic {
    /// `CODE: message at location`, as inside the message of `InvalidDefinition`. AWS writes `null`
    /// where there is no location; the message about broken JSON holds its location already.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)?;
        match &self.location {
            Some(location) if self.message.ends_with(location) => Ok(()),
            Some(location) => write!(f, " at {location}"),
            None => f.write_str(" at null"),
        }
    }
}

/// Most errors that are kept of one definition.
const ERRORS_MAX: usize = 1_000;
/// Most warnings, and most unsupported things, that are kept: they must not crowd out the errors.
const OTHERS_MAX: usize = 100;
/// Most bytes of messages and locations that are kept of each kind: names can be long, and every location
/// repeats them.
const BYTES_MAX: usize = 524_288;

/// Collects the problems of one definition, within bounds.
#[derive(Debug, Default)]
pub(super) struct Report {
    diagnostics: Vec<Diagnostic>,
    unsupported: Vec<Diagnostic>,
    errors: Kept,
    others: Kept,
    /// Errors and unsupported things, those not kept included.
    refusals: usize,
}

/// How much is kept of one kind.
#[derive(Debug, Default)]
struct Kept {
    count: usize,
    bytes: usize,
}

impl Report {
    /// A `SCHEMA_VALIDATION_FAILED`, the commonest problem.
    pub(super) fn error(&mut self, place: &Place<'_>, message: impl Into<String>) {
        self.push_at(Code::SchemaValidationFailed, place, message);
    }

    /// A problem at a place.
    pub(super) fn push_at(&mut self, code: Code, place: &Place<'_>, message: impl Into<String>) {
        if self.counts(code) {
            self.keep(code, Some(place.to_string()), message.into());
        }
    }

    /// A problem with its location as text, or with none.
    pub(super) fn push(&mut self, code: Code, location: Option<String>, message: String) {
        if self.counts(code) {
            self.keep(code, location, message);
        }
    }

    /// Something correct that cannot run here yet; `what` is a noun.
    pub(super) fn unsupported(&mut self, place: &Place<'_>, what: &str) {
        let message = format!("Warren cannot run {what} yet");
        self.push_at(Code::NotYetSupported, place, message);
    }

    /// Whether nothing speaks against the definition.
    pub(super) fn is_clean(&self) -> bool {
        self.refusals == 0
    }

    /// Whether something is wrong.
    pub(super) fn has_errors(&self) -> bool {
        self.errors.count > 0
    }

    /// The problems, and what is correct but cannot run yet.
    pub(super) fn into_parts(self) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        (self.diagnostics, self.unsupported)
    }

    /// Takes note of a problem; true if there is room to keep it.
    fn counts(&mut self, code: Code) -> bool {
        if code.severity() == Severity::Error {
            self.refusals += 1;
        }
        let maximum = if code.is_error() { ERRORS_MAX } else { OTHERS_MAX };
        let kept = self.kept(code);
        kept.count < maximum && kept.bytes < BYTES_MAX
    }

    fn keep(&mut self, code: Code, location: Option<String>, message: String) {
        let kept = self.kept(code);
        kept.count += 1;
        kept.bytes += message.len() + location.as_ref().map_or(0, String::len);
        let list = match code {
            Code::NotYetSupported => &mut self.unsupported,
            _ => &mut self.diagnostics,
        };
        list.push(Diagnostic { severity: code.severity(), code, message, location });
    }

    fn kept(&mut self, code: Code) -> &mut Kept {
        if code.is_error() { &mut self.errors } else { &mut self.others }
    }
}
