//! Lines on the standard error stream while a run goes on.

use std::io::{IsTerminal as _, Write as _, stderr};

/// One line. A stream that is closed is no reason to stop.
pub fn line(text: &str) {
    writeln!(stderr().lock(), "{text}").ok();
}

/// A case begins.
pub fn case(number: usize, of: usize, name: &str) {
    let (strong, plain) = if stderr().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    line(&format!("[{number}/{of}] {strong}{name}{plain}"));
}
