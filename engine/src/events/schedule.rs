//! When a schedule is due: `rate(5 minutes)`, `cron(0 8 ? * MON-FRI *)`, `at(2026-11-21T10:00:00)`, as
//! EventBridge Scheduler reads them.
//!
//! | form | is due |
//! |---|---|
//! | `rate(n unit)` | every n minutes, hours or days after an anchor; a day is 24 hours, whatever the clocks do |
//! | `cron(minutes hours day-of-month month day-of-week year)` | whenever the clock of its time zone shows such a time |
//! | `at(yyyy-mm-ddThh:mm:ss)` | once |
//!
//! **When clocks change.** A time that is left out in spring is skipped. A time that comes twice in autumn is
//! taken once, the first time.
//!
//! **Many engines.** A schedule is a function of its text, its anchor and the time; engines that share them
//! agree on every tick. The zones are those of the IANA database that is built in.

use std::fmt;
use std::num::NonZeroU32;

use asl::data::timestamp::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

mod cron;

use cron::Cron;

/// The zone where none is named.
pub const UTC: &str = "UTC";

/// A schedule, ready to tell its next time.
///
/// ```
/// use asl::data::timestamp::Timestamp;
/// use engine::events::schedule::Schedule;
///
/// let schedule = Schedule::parse("cron(0 8 ? * MON-FRI *)", Some("Europe/Berlin"))?;
/// let friday = Timestamp::parse("2026-11-20T12:00:00Z").unwrap();
/// let next = schedule.next_after(friday, friday).unwrap();
/// assert_eq!(next.to_string(), "2026-11-23T07:00:00Z");
/// # Ok::<(), engine::events::schedule::ScheduleError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Schedule {
    expression: String,
    zone: String,
    when: When,
}

#[derive(Debug, Clone)]
enum When {
    Every { milliseconds: i64 },
    Cron { cron: Box<Cron>, zone: TimeZone },
    At(Timestamp),
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The expression; says what to write instead.
    #[error("{0}")]
    Expression(String),
    /// The time zone.
    #[error("{0} is not a time zone; write one of the IANA database, such as Europe/Berlin")]
    Zone(String),
}

impl Schedule {
    /// Reads an expression and the time zone that it is meant in; UTC if none is given.
    pub fn parse(expression: &str, zone: Option<&str>) -> Result<Schedule, ScheduleError> {
        let zone = zone.unwrap_or(UTC);
        let found =
            TimeZoneDatabase::bundled().get(zone).map_err(|_| ScheduleError::Zone(zone.to_owned()))?;
        let name = found.iana_name().unwrap_or(zone).to_owned();
        let when = When::parse(expression, found).map_err(ScheduleError::Expression)?;
        Ok(Schedule { expression: expression.to_owned(), zone: name, when })
    }

    /// The expression as written.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The name of its time zone.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The first time strictly after `after` at which it is due; none if it never is again. A rate counts
    /// from `anchor`, and is first due one period later: all engines must give the same one, such as the time
    /// at which the trigger was stored. The other forms have no use for it.
    pub fn next_after(&self, after: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        match &self.when {
            When::Every { milliseconds } => {
                let elapsed = after.milliseconds().checked_sub(anchor.milliseconds())?;
                let periods = elapsed.div_euclid(*milliseconds).checked_add(1)?.max(1);
                let due = anchor.milliseconds().checked_add(periods.checked_mul(*milliseconds)?)?;
                Some(Timestamp::from_milliseconds(due))
            }
            When::Cron { cron, zone } => cron.next_after(after, zone),
            When::At(due) => Some(*due).filter(|due| *due > after),
        }
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression && self.zone == other.zone
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.expression, self.zone)
    }
}

impl When {
    fn parse(expression: &str, zone: TimeZone) -> Result<When, String> {
        let form = expression.strip_suffix(')').and_then(|expression| expression.split_once('('));
        match form {
            Some(("rate", rate)) => Ok(When::Every { milliseconds: period(rate)? }),
            Some(("cron", fields)) => Ok(When::Cron { cron: Box::new(Cron::parse(fields)?), zone }),
            Some(("at", time)) => Ok(When::At(once(time, &zone)?)),
            _ => Err(format!(
                "\"{expression}\" is not a schedule; write rate(5 minutes), cron(0 8 * * ? *) or at(2026-11-21T10:00:00)"
            )),
        }
    }
}

/// Milliseconds of `5 minutes`. One is singular, more are plural, and there is one space.
fn period(rate: &str) -> Result<i64, String> {
    let (count, unit) = rate
        .split_once(' ')
        .ok_or_else(|| format!("\"{rate}\" is not a rate; write a number and a unit, such as 5 minutes"))?;
    let digits = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    let count =
        count.parse::<NonZeroU32>().ok().filter(|_| digits).ok_or_else(|| {
            format!("\"{count}\" is not a rate; write a whole number from 1 to {}", u32::MAX)
        })?;
    let singular = unit.strip_suffix('s').unwrap_or(unit);
    let minutes = match singular {
        "minute" => 1,
        "hour" => 60,
        "day" => 24 * 60,
        _ => return Err(format!("\"{unit}\" is not a unit of a rate; write minutes, hours or days")),
    };
    let right = if count.get() == 1 { singular.to_owned() } else { format!("{singular}s") };
    if unit != right {
        return Err(format!("a rate of {count} {unit} is written {count} {right}"));
    }
    Ok(i64::from(count.get()) * minutes * 60_000)
}

/// The time of `2026-11-21T10:00:00`.
fn once(time: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let not_a_time =
        || format!("\"{time}\" is not a time; write yyyy-mm-ddThh:mm:ss, such as 2026-11-21T10:00:00");
    // The form is fixed; what reads it would take others as well.
    let is_form = time.len() == 19 && time.as_bytes()[10] == b'T';
    let civil = time.parse::<DateTime>().ok().filter(|_| is_form).ok_or_else(not_a_time)?;
    instant(civil, zone).ok_or_else(|| {
        format!("at {time} the clocks of this time zone are moved forward; write a time that there is")
    })
}

/// When the clock of a zone shows this time, the first time if it does twice; none if it does not.
fn instant(civil: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    if let AmbiguousOffset::Gap { .. } = ambiguous.offset() {
        return None;
    }
    let instant = ambiguous.earlier().ok()?;
    Some(Timestamp::from_milliseconds(instant.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// The next times of a schedule, in turn.
    fn check(expression: &str, zone: &str, from: &str, expected: &[&str]) {
        let schedule = Schedule::parse(expression, Some(zone)).unwrap();
        let mut after = time(from);
        for next in expected {
            after = schedule.next_after(after, time(from)).unwrap();
            assert_eq!(after.to_string(), *next, "{schedule}");
        }
    }

    fn never(expression: &str, zone: &str, from: &str) {
        let schedule = Schedule::parse(expression, Some(zone)).unwrap();
        assert_eq!(schedule.next_after(time(from), time(from)), None, "{schedule}");
    }

    #[test]
    fn a_rate_counts_from_its_anchor() {
        let schedule = Schedule::parse("rate(5 minutes)", None).unwrap();
        let anchor = time("2026-11-21T10:01:30.250Z");
        let cases = [
            ("2020-01-01T00:00:00Z", "2026-11-21T10:06:30.250Z"),
            ("2026-11-21T10:01:30.250Z", "2026-11-21T10:06:30.250Z"),
            ("2026-11-21T10:06:30.249Z", "2026-11-21T10:06:30.250Z"),
            ("2026-11-21T10:06:30.250Z", "2026-11-21T10:11:30.250Z"),
            ("2026-11-22T10:00:00Z", "2026-11-22T10:01:30.250Z"),
        ];
        for (after, next) in cases {
            assert_eq!(schedule.next_after(time(after), anchor).unwrap().to_string(), next, "{after}");
        }
        for (unit, next) in
            [("1 minute", "10:01"), ("1 hour", "11:00"), ("2 hours", "12:00"), ("90 minutes", "11:30")]
        {
            let expected = format!("2026-11-21T{next}:00Z");
            check(&format!("rate({unit})"), UTC, "2026-11-21T10:00:00Z", &[&expected]);
        }
        // A day has 24 hours, also where clocks change.
        let days = ["2026-03-29T10:00:00Z", "2026-03-30T10:00:00Z"];
        check("rate(1 day)", "Europe/Berlin", "2026-03-28T10:00:00Z", &days);
        assert_eq!(schedule.next_after(Timestamp::from_milliseconds(i64::MAX), anchor), None);
        assert_eq!(
            schedule.next_after(time("2026-11-21T10:00:00Z"), Timestamp::from_milliseconds(i64::MIN)),
            None
        );
    }

    #[test]
    fn a_time_comes_once() {
        check("at(2026-11-21T10:00:00)", UTC, "2026-11-21T09:59:59.999Z", &["2026-11-21T10:00:00Z"]);
        check(
            "at(2026-11-21T10:00:30)",
            "America/New_York",
            "2026-01-01T00:00:00Z",
            &["2026-11-21T15:00:30Z"],
        );
        never("at(2026-11-21T10:00:00)", UTC, "2026-11-21T10:00:00Z");
        // Shown twice, it is the first.
        check("at(2026-10-25T02:30:00)", "Europe/Berlin", "2026-01-01T00:00:00Z", &["2026-10-25T00:30:00Z"]);
    }

    #[test]
    fn cron_takes_the_time_of_its_zone() {
        check(
            "cron(0 8 * * ? *)",
            UTC,
            "2026-11-21T08:00:00Z",
            &["2026-11-22T08:00:00Z", "2026-11-23T08:00:00Z"],
        );
        check("cron(0 8 * * ? *)", UTC, "2026-11-21T07:59:59.999Z", &["2026-11-21T08:00:00Z"]);
        check(
            "cron(30 9 ? * MON-FRI *)",
            "America/New_York",
            "2026-10-30T13:30:00Z",
            &["2026-11-02T14:30:00Z", "2026-11-03T14:30:00Z"],
        );
        check("cron(0 0 1 1 ? *)", "Asia/Kolkata", "2026-06-01T00:00:00Z", &["2026-12-31T18:30:00Z"]);
        check("cron(0/15 * * * ? *)", "Asia/Kathmandu", "2026-06-01T00:01:00Z", &["2026-06-01T00:15:00Z"]);
    }

    /// EventBridge Scheduler, "Daylight savings time": skipped in spring, once in autumn.
    #[test]
    fn a_time_that_is_left_out_is_skipped() {
        check(
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2026-03-27T12:00:00Z",
            &["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"],
        );
        check(
            "cron(0/30 * * * ? *)",
            "America/New_York",
            "2026-03-08T06:00:00Z",
            &["2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z"],
        );
        never("cron(30 2 29 3 ? 2026)", "Europe/Berlin", "2026-01-01T00:00:00Z");
        // A whole day was left out when the date line was crossed.
        check(
            "cron(0 12 * * ? *)",
            "Pacific/Apia",
            "2011-12-29T12:00:00Z",
            &["2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z"],
        );
        check("cron(* * * * ? *)", "Pacific/Apia", "2011-12-30T09:59:00Z", &["2011-12-30T10:00:00Z"]);
    }

    #[test]
    fn a_time_that_comes_twice_is_taken_once() {
        check(
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        );
        check(
            "cron(0/20 * * * ? *)",
            "America/New_York",
            "2026-11-01T05:20:00Z",
            &["2026-11-01T05:40:00Z", "2026-11-01T07:00:00Z"],
        );
        // Asked during the second time, too.
        check("cron(0/20 * * * ? *)", "America/New_York", "2026-11-01T06:10:00Z", &["2026-11-01T07:00:00Z"]);
        check("cron(0 3 * * ? *)", "Europe/Berlin", "2026-10-25T01:59:00Z", &["2026-10-25T02:00:00Z"]);
    }

    /// Those of rates are recorded from EventBridge as refused.
    #[test]
    fn what_is_no_schedule_is_told_with_what_to_write() {
        let cases = [
            ("rate(10 seconds)", "\"seconds\" is not a unit of a rate; write minutes, hours or days"),
            ("rate(10 years)", "\"years\" is not a unit of a rate; write minutes, hours or days"),
            ("rate(1 minutes)", "a rate of 1 minutes is written 1 minute"),
            ("rate(1 hours)", "a rate of 1 hours is written 1 hour"),
            ("rate(1 days)", "a rate of 1 days is written 1 day"),
            ("rate(10 minute)", "a rate of 10 minute is written 10 minutes"),
            ("rate(10 day)", "a rate of 10 day is written 10 days"),
            ("rate()", "\"\" is not a rate; write a number and a unit, such as 5 minutes"),
            ("rate(10)", "\"10\" is not a rate; write a number and a unit, such as 5 minutes"),
            ("rate(10 minutess)", "\"minutess\" is not a unit of a rate; write minutes, hours or days"),
            ("rate(foo minutes)", "\"foo\" is not a rate; write a whole number from 1 to 4294967295"),
            ("rate(0 minutes)", "\"0\" is not a rate; write a whole number from 1 to 4294967295"),
            ("rate(-10 minutes)", "\"-10\" is not a rate; write a whole number from 1 to 4294967295"),
            ("rate(+10 minutes)", "\"+10\" is not a rate; write a whole number from 1 to 4294967295"),
            ("rate(10 MINUTES)", "\"MINUTES\" is not a unit of a rate; write minutes, hours or days"),
            ("rate( 10 minutes )", "\"\" is not a rate; write a whole number from 1 to 4294967295"),
            ("rate(10  minutes)", "\" minutes\" is not a unit of a rate; write minutes, hours or days"),
            (
                "at(2026-11-21)",
                "\"2026-11-21\" is not a time; write yyyy-mm-ddThh:mm:ss, such as 2026-11-21T10:00:00",
            ),
            (
                "at(2026-02-30T10:00:00)",
                "\"2026-02-30T10:00:00\" is not a time; write yyyy-mm-ddThh:mm:ss, such as 2026-11-21T10:00:00",
            ),
        ];
        for (expression, told) in cases {
            let error = Schedule::parse(expression, None).unwrap_err();
            assert_eq!(error, ScheduleError::Expression(told.to_owned()), "{expression}");
        }
        for expression in [
            "",
            " rate(10 minutes)",
            "rate(5 minutes",
            "every day",
            "RATE(5 minutes)",
            "at()",
            "at(2026-11-21 10:00:00)",
            "at(2026-11-21T10:00:00Z)",
        ] {
            assert!(Schedule::parse(expression, None).is_err(), "{expression}");
        }
        let left_out = Schedule::parse("at(2026-03-29T02:30:00)", Some("Europe/Berlin")).unwrap_err();
        assert!(left_out.to_string().contains("the clocks of this time zone are moved forward"));
        let zone = Schedule::parse("rate(1 day)", Some("Mars/Phobos")).unwrap_err();
        assert_eq!(zone, ScheduleError::Zone("Mars/Phobos".to_owned()));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(rate|cron|at)\\([0-9A-Z*?/#,: -]{0,20}\\)", after in any::<i64>()) {
            if let Ok(schedule) = Schedule::parse(&text, None) {
                let after = Timestamp::from_milliseconds(after);
                prop_assert!(schedule.next_after(after, after).is_none_or(|next| next > after));
            }
        }
    }
}
