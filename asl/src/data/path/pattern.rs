//! Regular expressions between slashes, as `=~` takes them.

use regex::Regex;

use super::SyntaxError;

/// The most memory one compiled regular expression may take, in bytes.
const COMPILED_BYTES_MAX: usize = 256 * 1024;

/// How deep groups in a regular expression nest.
const GROUPS_MAX: u32 = 50;

/// A regular expression that is known to compile. It is not kept compiled: a definition may hold
/// thousands, and some letters can stand for a hundred kilobytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// What to compile: the whole text must match.
    source: String,
    flags: String,
}

impl Pattern {
    /// Checks `source` with Java's flag letters; those without a counterpart change nothing.
    pub(super) fn new(source: &str, flags: &str, offset: usize) -> Result<Pattern, SyntaxError> {
        let source = with_java_classes(source);
        let end_of_comment = if flags.contains('x') { "\n" } else { "" };
        let whole = format!(r"\A(?:{source}{end_of_comment})\z");
        // Also alone: otherwise `a)|(?:b` would pass, by closing the group around it.
        let alone = Pattern { source, flags: flags.to_owned() };
        let pattern = Pattern { source: whole, flags: flags.to_owned() };
        match alone.compile().and_then(|_| pattern.compile()) {
            Ok(_) => Ok(pattern),
            Err(error) => Err(SyntaxError {
                message: format!("The regular expression is not supported: {error}"),
                offset,
            }),
        }
    }

    pub(super) fn compile(&self) -> Result<Regex, regex::Error> {
        regex::RegexBuilder::new(&self.source)
            .case_insensitive(self.flags.contains('i'))
            .multi_line(self.flags.contains('m'))
            .dot_matches_new_line(self.flags.contains('s'))
            .ignore_whitespace(self.flags.contains('x'))
            .nest_limit(GROUPS_MAX)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .build()
    }
}

/// `\w`, `\d` and `\s` mean ASCII in Java, all of Unicode in the regex crate.
fn with_java_classes(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut letters = source.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('w') => out.push_str("[0-9A-Za-z_]"),
            Some('W') => out.push_str("[^0-9A-Za-z_]"),
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('s') => out.push_str(r"[\x20\t\n\x0B\f\r]"),
            Some('S') => out.push_str(r"[^\x20\t\n\x0B\f\r]"),
            other => {
                out.push('\\');
                out.extend(other);
            }
        }
    }
    out
}
