//! Points in time, to the millisecond, as AWS reads and prints them.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp {
    milliseconds: i64,
}

impl Timestamp {
    /// From milliseconds since the epoch.
    pub const fn from_milliseconds(milliseconds: i64) -> Self {
        Timestamp { milliseconds }
    }

    /// Milliseconds since the epoch.
    pub const fn milliseconds(self) -> i64 {
        self.milliseconds
    }

    /// Seconds since the epoch with a fraction, as the API prints times.
    pub fn seconds(self) -> f64 {
        self.milliseconds as f64 / 1000.0
    }

    /// Later by so many milliseconds; stays at the end of time instead of overflowing.
    pub const fn plus_milliseconds(self, milliseconds: i64) -> Self {
        Timestamp { milliseconds: self.milliseconds.saturating_add(milliseconds) }
    }

    /// Later by so many seconds; stays at the end of time instead of overflowing.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        self.plus_milliseconds(seconds.saturating_mul(1000))
    }

    /// The same second without its fraction.
    pub const fn whole_second(self) -> Self {
        Timestamp { milliseconds: self.milliseconds - self.milliseconds.rem_euclid(1000) }
    }

    /// Reads what AWS accepts: RFC 3339 with an upper-case `T`, and `Z` or a numeric offset.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let upper_case = bytes.get(10) == Some(&b'T') && !bytes.contains(&b'z');
        if !upper_case {
            return None;
        }
        let parsed = DateTime::parse_from_rfc3339(text).ok()?;
        Some(Timestamp { milliseconds: parsed.timestamp_millis() })
    }
}

impl fmt::Display for Timestamp {
    /// ISO 8601 in UTC; the fraction has three digits and is left out at a whole second, as in
    /// `$$.Execution.StartTime`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(time) = DateTime::<Utc>::from_timestamp_millis(self.milliseconds) else {
            return write!(f, "{}ms", self.milliseconds);
        };
        let format = if self.milliseconds % 1000 == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
        f.write_str(&time.to_rfc3339_opts(format, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_aws_accepts_and_nothing_else() {
        let cases: [(&str, Option<i64>); 10] = [
            ("2016-03-14T01:59:00Z", Some(1_457_920_740_000)),
            ("2016-03-14T01:59:00.123456Z", Some(1_457_920_740_123)),
            ("2016-03-14T02:59:00+01:00", Some(1_457_920_740_000)),
            ("2016-03-14t01:59:00Z", None),
            ("2016-03-14T01:59:00z", None),
            ("2016-03-14 01:59:00Z", None),
            ("2016-03-14T01:59:00", None),
            ("2016-13-14T01:59:00Z", None),
            ("2016-03-14T25:59:00Z", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Timestamp::parse(text).map(Timestamp::milliseconds), expected, "{text}");
        }
    }

    #[test]
    fn prints_no_fraction_at_a_whole_second() {
        assert_eq!(Timestamp::from_milliseconds(1_457_920_740_000).to_string(), "2016-03-14T01:59:00Z");
        assert_eq!(Timestamp::from_milliseconds(1_457_920_740_120).to_string(), "2016-03-14T01:59:00.120Z");
    }
}
