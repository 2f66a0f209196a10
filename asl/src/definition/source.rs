//! Finds in the text of a definition what a location names.

use std::ops::Range;

/// See [`super::locate`]. One pass, without recursion.
pub(super) fn locate(text: &str, location: &str) -> Option<Range<usize>> {
    if location.starts_with("[Source: ") {
        return line_and_column(text, location);
    }
    let mut reader = Reader { text, offset: 0 };
    reader.blanks();
    let mut rest = if location == "/" { "" } else { location };
    let mut found: Option<Range<usize>> = None;
    while !rest.is_empty() {
        let step = if rest.starts_with('[') { reader.element(rest)? } else { reader.member(rest)? };
        rest = step.rest;
        found = step.key;
        reader.offset = step.value;
    }
    let start = reader.offset;
    match (reader.peek()?, found) {
        (b'{' | b'[', Some(key)) => Some(key),
        (b'{' | b'[', None) => Some(start..start + 1),
        _ => {
            reader.value()?;
            Some(start..reader.offset)
        }
    }
}

/// The character before the place, as Jackson's places point behind what is wrong.
fn line_and_column(text: &str, location: &str) -> Option<Range<usize>> {
    let (_, place) = location.rsplit_once("; line: ")?;
    let (line, column) = place.strip_suffix(']')?.split_once(", column: ")?;
    let (line, column): (usize, usize) = (line.parse().ok()?, column.parse().ok()?);
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let mut units = 0;
    let mut last = start..start;
    for (index, character) in text[start..].char_indices() {
        units += character.len_utf16();
        if units >= column {
            break;
        }
        last = start + index..start + index + character.len_utf8();
    }
    Some(last)
}

/// What one step of a location leads to.
struct Step<'l> {
    /// Where the value begins.
    value: usize,
    /// The key of the value, with its quotes.
    key: Option<Range<usize>>,
    /// What remains of the location.
    rest: &'l str,
}

struct Reader<'t> {
    text: &'t str,
    offset: usize,
}

impl Reader<'_> {
    /// `/name…`. Names may hold any character, so the longest that fits is taken; of equal ones the last,
    /// as when JSON is read.
    fn member<'l>(&mut self, location: &'l str) -> Option<Step<'l>> {
        let location = location.strip_prefix('/')?;
        self.expect(b'{')?;
        let mut best: Option<Step<'l>> = None;
        self.blanks();
        while self.peek()? == b'"' {
            let start = self.offset;
            self.string()?;
            let key = start..self.offset;
            let name: String = serde_json::from_str(&self.text[key.clone()]).ok()?;
            self.blanks();
            self.expect(b':')?;
            self.blanks();
            let value = self.offset;
            if let Some(rest) = location.strip_prefix(name.as_str())
                && (rest.is_empty() || rest.starts_with(['/', '[']))
                && best.as_ref().is_none_or(|best| rest.len() <= best.rest.len())
            {
                best = Some(Step { value, key: Some(key), rest });
            }
            self.value()?;
            self.comma();
        }
        best
    }

    /// `[0]…`.
    fn element<'l>(&mut self, location: &'l str) -> Option<Step<'l>> {
        let (index, rest) = location.strip_prefix('[')?.split_once(']')?;
        let index: usize = index.parse().ok()?;
        self.expect(b'[')?;
        self.blanks();
        for _ in 0..index {
            if self.peek()? == b']' {
                return None;
            }
            self.value()?;
            self.comma();
        }
        (self.peek()? != b']').then_some(Step { value: self.offset, key: None, rest })
    }

    /// Passes over a value of any kind.
    fn value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.offset += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.offset += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => self.offset += 1,
                _ => {
                    let rest = &self.text.as_bytes()[self.offset..];
                    let end = rest.iter().position(|byte| b",:]}\" \t\n\r".contains(byte));
                    self.offset += end.unwrap_or(rest.len());
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Passes over a string.
    fn string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.offset += 2,
                _ => self.offset += 1,
            }
        }
        self.expect(b'"')
    }

    fn comma(&mut self) {
        self.blanks();
        if self.peek() == Some(b',') {
            self.offset += 1;
            self.blanks();
        }
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.offset += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.offset += 1)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.offset).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_leads_to_its_value_or_key() {
        let text = r#" {"StartAt": "A", "States": {"A/B": 1, "A": {"Type": "Pass", "Choices": [{}, {"Next": "x\"y"}]}, "é": [1, [2, 3]]}}"#;
        let cases = [
            ("/", Some("{")),
            ("/StartAt", Some("\"A\"")),
            ("/States", Some("\"States\"")),
            ("/States/A", Some("\"A\"")),
            ("/States/A/B", Some("1")),
            ("/States/A/Type", Some("\"Pass\"")),
            ("/States/A/Choices", Some("\"Choices\"")),
            ("/States/A/Choices[1]", Some("{")),
            ("/States/A/Choices[1]/Next", Some(r#""x\"y""#)),
            ("/States/é[1][1]", Some("3")),
            ("/States/é[2]", None),
            ("/States/Z", None),
            ("/StartAt/x", None),
            ("nonsense", None),
            ("", Some("{")),
        ];
        for (location, expected) in cases {
            assert_eq!(locate(text, location).map(|span| &text[span]), expected, "{location}");
        }
    }

    #[test]
    fn a_line_and_column_lead_to_the_character_before_them() {
        let text = "{\n  \"é\": tru\n}";
        let place =
            |line: usize, column: usize| format!("[Source: (String)\"…\"; line: {line}, column: {column}]");
        let cases = [(1, 2, "{"), (2, 11, "u"), (2, 5, "é"), (3, 2, "}"), (1, 1, "")];
        for (line, column, expected) in cases {
            assert_eq!(
                locate(text, &place(line, column)).map(|span| &text[span]),
                Some(expected),
                "{line}:{column}"
            );
        }
        assert_eq!(locate(text, "[Source: nothing]"), None);
    }

    #[test]
    fn a_text_that_is_not_json_is_no_danger() {
        for text in
            ["", "{", "{\"a\"", "{\"a\":", "[", "\"\\", "{\"a\": \"\\", "}", "{\"a\":}", "{\"\\u12\":1}"]
        {
            for location in [
                "/",
                "/a",
                "[0]",
                "/a[1]/b",
                "[Source: ; line: 9, column: 9]",
                "[Source: ; line: 0, column: 0]",
            ] {
                let _ = locate(text, location);
            }
        }
    }
}
