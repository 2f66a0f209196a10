//! Server-sent events (WHATWG HTML, "Server-sent events"), as they come in pieces.

/// The longest event that is taken, in bytes.
const EVENT_BYTES_MAX: usize = 8 * 1_048_576;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) event: String,
    pub(super) data: String,
}

/// An event longer than any that Warren sends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {EVENT_BYTES_MAX} bytes; is it Warren?")]
pub(super) struct TooLong;

/// Puts the pieces together.
#[derive(Debug, Default)]
pub(super) struct Stream {
    line: Vec<u8>,
    event: String,
    data: Option<String>,
}

impl Stream {
    /// The events that a piece completes.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<Vec<Message>, TooLong> {
        let mut messages = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > EVENT_BYTES_MAX {
                return Err(TooLong);
            }
            if self.line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(&line);
                messages.extend(self.read(line.trim_end_matches(['\r', '\n'])));
            }
        }
        Ok(messages)
    }

    /// An empty line ends an event; one without data is none.
    fn read(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return self.data.take().map(|data| Message { event, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // Comments begin with a colon; ids and pauses are of no use here.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(event: &str, data: &str) -> Message {
        Message { event: event.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = "event: status\nid: 1\ndata: {\"a\": \"é: x\"}\n\n: alive\n\ndata:one\r\ndata: two\r\n\r\n\
                    event: no data\n\nretry: 5\ndata\n\n";
        let expected = [message("status", "{\"a\": \"é: x\"}"), message("", "one\ntwo"), message("", "")];
        for size in [1, 2, 3, 7, 1_000] {
            let mut stream = Stream::default();
            let mut read = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                read.extend(stream.take(piece).unwrap());
            }
            assert_eq!(read, expected, "{size}");
        }
    }

    #[test]
    fn what_has_no_end_is_given_up() {
        let (mut stream, piece) = (Stream::default(), vec![b'x'; 1_048_576]);
        let ended = (0..10).find_map(|_| stream.take(&piece).err());
        assert_eq!(ended, Some(TooLong));
    }
}
