//! A problem, drawn under the line it is in.

use std::ops::Range;

use asl::definition::Severity;
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents,
};

use super::Finding;

/// A line longer than this, in bytes, is shown in part only: definitions are often one long line.
const LINE_BYTES_MAX: usize = 160;
/// How much of such a line is shown on each side of the place.
const BESIDE_BYTES: usize = 50;
/// How wide a drawing is, in columns.
const COLUMNS: usize = 110;

/// The drawing, with a line end.
pub(super) fn draw(file: &str, text: &str, finding: &Finding, colour: bool) -> String {
    let severity = match finding.severity {
        Severity::Error => miette::Severity::Error,
        Severity::Warning => miette::Severity::Warning,
    };
    // A message about broken JSON quotes the whole text behind it, which is what is drawn.
    let message = finding.message.split("\n at [Source: ").next().unwrap_or_default();
    let diagnostic = MietteDiagnostic::new(message).with_code(finding.code).with_severity(severity);
    let report = match &finding.span {
        None => miette::Report::new(diagnostic),
        Some(span) => {
            let excerpt = Excerpt::of(file, text, span.clone(), finding.place.unwrap_or((1, 1)));
            let label = finding.location.clone().filter(|location| location.starts_with('/'));
            let length = excerpt.span.len().max(1);
            let label = LabeledSpan::new(label.or(Some("here".to_owned())), excerpt.span.start, length);
            miette::Report::new(diagnostic.with_label(label)).with_source_code(excerpt)
        }
    };
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(COLUMNS)
        .with_links(false)
        .without_primary_span_start();
    let mut drawing = String::new();
    match handler.render_report(&mut drawing, report.as_ref()) {
        Ok(()) => drawing,
        Err(_) => format!("{}: {}\n", finding.code, finding.message),
    }
}

/// The part of a file that is drawn, with its true place in it.
#[derive(Debug)]
struct Excerpt {
    file: String,
    text: String,
    /// The place, within the text.
    span: Range<usize>,
    /// Lines of the file before the text.
    lines_before: usize,
    /// Line and column to show.
    place: (usize, usize),
}

impl Excerpt {
    fn of(file: &str, text: &str, span: Range<usize>, place: (usize, usize)) -> Self {
        let start = text[..span.start].rfind('\n').map_or(0, |index| index + 1);
        let end = text[span.end..].find('\n').map_or(text.len(), |index| span.end + index);
        let (from, to, lines_before) = if end - start <= LINE_BYTES_MAX {
            (0, text.len(), 0)
        } else {
            let from = text.floor_char_boundary(span.start.saturating_sub(BESIDE_BYTES).max(start));
            let shown = span.end.min(span.start + BESIDE_BYTES) + BESIDE_BYTES;
            (from, text.ceil_char_boundary(shown.min(end)), place.0 - 1)
        };
        let span = span.start - from..span.end.min(to) - from;
        Excerpt { file: file.to_owned(), text: text[from..to].to_owned(), span, lines_before, place }
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let contents = self.text.read_span(span, lines_before, lines_after)?;
        let name = format!("{}:{}:{}", self.file, self.place.0, self.place.1);
        let line = contents.line() + self.lines_before;
        let (data, span, column) = (contents.data(), *contents.span(), contents.column());
        Ok(Box::new(MietteSpanContents::new_named(name, data, span, line, column, contents.line_count())))
    }
}
