//! What a command prints, one line at a time.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// Where a command prints. A reader that goes away early (`warren … | head`) ends the printing and nothing else;
/// any other failure to write is reported once, by [`finish`](Output::finish).
pub struct Output {
    stream: Box<dyn Write>,
    colour: bool,
    ended: Option<io::Error>,
}

/// How a text is meant, for terminals with colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something went well.
    Good,
    /// Something went wrong and will be mended, or looks wrong.
    Warning,
    /// Something went wrong.
    Bad,
    /// What matters most.
    Strong,
    /// What matters least.
    Quiet,
}

/// A text from a file, with its control characters escaped: printed as they are, they would steer the terminal.
pub fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            control if control.is_control() => visible.extend(control.escape_default()),
            other => visible.push(other),
        }
    }
    visible
}

impl Output {
    /// Standard output of this process; with colours only on a terminal and without `NO_COLOR`.
    pub fn stdout() -> Self {
        Output::of(io::stdout())
    }

    /// Standard error, for what is no result of the command.
    pub fn stderr() -> Self {
        Output::of(io::stderr())
    }

    /// For texts alone: nothing that is printed is seen, and there are no colours.
    #[cfg(test)]
    pub fn plain() -> Self {
        Output { stream: Box::new(io::sink()), colour: false, ended: None }
    }

    fn of(stream: impl Write + IsTerminal + 'static) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Output { colour: stream.is_terminal() && !unwanted, stream: Box::new(stream), ended: None }
    }

    /// Whether nobody reads what is printed any more.
    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether colours are wanted.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Prints a line.
    pub fn line(&mut self, text: impl Display) {
        self.write(format_args!("{text}\n"));
    }

    /// Prints a text that holds its own line ends.
    pub fn text(&mut self, text: impl Display) {
        self.write(format_args!("{text}"));
    }

    /// A text in the colour of its tone.
    pub fn paint(&self, tone: Tone, text: impl Display) -> String {
        let code = match tone {
            Tone::Good => 32,
            Tone::Warning => 33,
            Tone::Bad => 31,
            Tone::Strong => 1,
            Tone::Quiet => 2,
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }

    /// Ends the printing. Fails if something could not be written to a reader that was there.
    pub fn finish(mut self) -> io::Result<()> {
        let flushed = self.stream.flush();
        let ended = self.ended.map_or(flushed, Err);
        ended.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        if self.ended.is_none() {
            self.ended = self.stream.write_fmt(text).err();
        }
    }
}
