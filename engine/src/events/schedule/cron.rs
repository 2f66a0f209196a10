//! `cron(minutes hours day-of-month month day-of-week year)`.
//!
//! Which text is one is decided here, by AWS's rules (EventBridge user guide, "Cron expressions reference");
//! which times it names is left to `croner`. It is asked for times of the clock alone, so that what happens
//! when clocks change is decided here, too (docs/decisions/0009).

use asl::data::timestamp::Timestamp;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp as Moment;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::instant;

/// Years that an expression can name.
const YEAR_MIN: u16 = 1970;
/// See [`YEAR_MIN`].
const YEAR_MAX: u16 = 2199;
/// Times in a row that may fail to be: more minutes than clocks were ever moved by.
const SKIPPED_MAX: usize = 2_000;

/// A cron expression.
#[derive(Debug, Clone)]
pub(super) struct Cron(croner::Cron);

impl Cron {
    /// Reads the six fields; says of the first one that is wrong what to write.
    pub(super) fn parse(fields: &str) -> Result<Cron, String> {
        let fields: Vec<String> = fields.split_whitespace().map(str::to_ascii_uppercase).collect();
        let [minutes, hours, day, month, weekday, year] = &fields[..] else {
            let count = fields.len();
            return Err(format!(
                "cron takes six fields: minutes, hours, day of month, month, day of week and year; here are {count}"
            ));
        };
        let (day, weekday) = days(day, weekday)?;
        let (minutes, hours) = (MINUTES.read(minutes)?, HOURS.read(hours)?);
        let (month, year) = (MONTH.read(month)?, YEAR.read(year)?);
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Required)
            .alternative_weekdays(true)
            .build();
        parser
            .parse(&format!("0 {minutes} {hours} {day} {month} {weekday} {year}"))
            .map(Cron)
            .map_err(|error| format!("the fields are not understood: {error}"))
    }

    /// The first time strictly after this one, in a zone.
    pub(super) fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        // From a time of the clock that comes twice, this begins too early; never too late.
        let mut clock: DateTime = zone.to_datetime(Moment::from_millisecond(after.milliseconds()).ok()?);
        for _ in 0..SKIPPED_MAX {
            clock = self.0.find_next_occurrence(&clock, false).ok()?;
            if let Some(next) = instant(clock, zone)
                && next > after
            {
                return Some(next);
            }
        }
        None
    }
}

/// What a field may hold.
struct Field {
    name: &'static str,
    range: std::ops::RangeInclusive<u16>,
    /// Words for the values, from the first on.
    names: &'static [&'static str],
}

const MINUTES: Field = Field { name: "minutes", range: 0..=59, names: &[] };
const HOURS: Field = Field { name: "hours", range: 0..=23, names: &[] };
const DAY: Field = Field { name: "day of month", range: 1..=31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    range: 1..=12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
const WEEKDAY: Field =
    Field { name: "day of week", range: 1..=7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };
const YEAR: Field = Field { name: "year", range: YEAR_MIN..=YEAR_MAX, names: &[] };

impl Field {
    /// A list of `*`, `a`, `a-b`, each perhaps with `/step`; as ranges of numbers, which is what all readers
    /// of cron understand alike.
    fn read(&self, text: &str) -> Result<String, String> {
        let items: Result<Vec<String>, String> = text.split(',').map(|item| self.item(item)).collect();
        items.map(|items| items.join(",")).map_err(|problem| {
            let (name, first, last) = (self.name, self.range.start(), self.range.end());
            let words = match self.names {
                [first, .., last] => format!(" or {first} to {last}"),
                _ => String::new(),
            };
            format!(
                "the {name} \"{text}\" {problem}; write * or numbers from {first} to {last}{words}, with , - and /"
            )
        })
    }

    fn item(&self, item: &str) -> Result<String, String> {
        let (values, step) = match item.split_once('/') {
            Some((values, step)) => (values, Some(self.step(step)?)),
            None => (item, None),
        };
        let (from, to) = match values.split_once('-') {
            _ if values == "*" => (*self.range.start(), *self.range.end()),
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            None if step.is_some() => (self.value(values)?, *self.range.end()),
            None => (self.value(values)?, self.value(values)?),
        };
        if from > to {
            return Err(format!("has the range {values}, which ends before it begins"));
        }
        Ok(format!("{from}-{to}{}", step.map_or_else(String::new, |step| format!("/{step}"))))
    }

    fn step(&self, text: &str) -> Result<u16, String> {
        let known = 1..=*self.range.end();
        number(text).filter(|step| known.contains(step)).ok_or_else(|| "has a step that is none".to_owned())
    }

    fn value(&self, text: &str) -> Result<u16, String> {
        let named = || {
            let place = self.names.iter().position(|name| *name == text)?;
            u16::try_from(place).ok().map(|place| self.range.start() + place)
        };
        number(text)
            .or_else(named)
            .filter(|value| self.range.contains(value))
            .ok_or_else(|| format!("has \"{text}\" in it"))
    }
}

/// A number of digits alone.
fn number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// The two fields for days, one of which must be `?`.
fn days(day: &str, weekday: &str) -> Result<(String, String), String> {
    match (day, weekday) {
        ("?", "?") => {
            Err("day of month and day of week are both ?; one of them must say something".to_owned())
        }
        ("?", weekday) => Ok(("*".to_owned(), read_weekday(weekday)?)),
        (day, "?") => Ok((read_day(day)?, "*".to_owned())),
        _ => Err("day of month and day of week both say something; one of them must be ?".to_owned()),
    }
}

/// Also `L` (the last day), `LW` (the last weekday) and `15W` (the weekday nearest to the 15th).
fn read_day(day: &str) -> Result<String, String> {
    if matches!(day, "L" | "LW") {
        return Ok(day.to_owned());
    }
    match day.strip_suffix('W').map(|nearest| DAY.value(nearest)) {
        Some(Ok(nearest)) => Ok(format!("{nearest}W")),
        _ => DAY.read(day),
    }
}

/// Also `L` (Saturday), `6L` (the last Friday of the month) and `6#3` (its third Friday).
fn read_weekday(weekday: &str) -> Result<String, String> {
    if weekday == "L" {
        return Ok(WEEKDAY.range.end().to_string());
    }
    if let Some((day, nth)) = weekday.split_once('#') {
        return match (WEEKDAY.value(day), number(nth)) {
            (Ok(day), Some(nth @ 1..=5)) => Ok(format!("{day}#{nth}")),
            _ => Err(format!(
                "the day of week \"{weekday}\" is not understood; # stands between one day and a number from 1 to 5, as in 6#3"
            )),
        };
    }
    match weekday.strip_suffix('L').map(|last| WEEKDAY.value(last)) {
        Some(Ok(last)) => Ok(format!("{last}L")),
        _ => WEEKDAY.read(weekday),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::civil::Date;
    use proptest::prelude::*;

    use super::*;

    /// The next times in UTC, without their seconds.
    fn times(fields: &str, from: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(fields).unwrap_or_else(|error| panic!("{fields}: {error}"));
        let mut after = Timestamp::parse(&format!("{from}:00Z")).unwrap();
        let mut times = Vec::new();
        while let Some(next) = cron.next_after(after, &TimeZone::UTC).filter(|_| times.len() < count) {
            times.push(next.to_string().replace(":00Z", ""));
            after = next;
        }
        times
    }

    fn check(fields: &str, expected: &[&str]) {
        assert_eq!(times(fields, "2026-11-21T10:07", expected.len()), expected, "{fields}");
    }

    /// 2026-11-21 is a Saturday.
    #[test]
    fn the_examples_of_aws_are_due_when_it_says() {
        check("0 12 * * ? *", &["2026-11-21T12:00", "2026-11-22T12:00"]);
        check("5,35 14 * * ? *", &["2026-11-21T14:05", "2026-11-21T14:35", "2026-11-22T14:05"]);
        check("0 2 ? * SAT *", &["2026-11-28T02:00", "2026-12-05T02:00"]);
        check("0 2 ? * SAT#3 *", &["2026-12-19T02:00", "2027-01-16T02:00"]);
        check("* * ? * SAT#3 *", &["2026-11-21T10:08", "2026-11-21T10:09"]);
        check("15 10 ? * 6L 2027-2028", &["2027-01-29T10:15", "2027-02-26T10:15"]);
        check("0/5 5 ? JAN 1-5 2027", &["2027-01-03T05:00", "2027-01-03T05:05"]);
        check("0 18 ? * MON-FRI *", &["2026-11-23T18:00", "2026-11-24T18:00"]);
        check("0 8 1 * ? *", &["2026-12-01T08:00", "2027-01-01T08:00"]);
        check("0/15 * * * ? *", &["2026-11-21T10:15", "2026-11-21T10:30"]);
        check("1/10 * * * ? *", &["2026-11-21T10:11", "2026-11-21T10:21"]);
        check("0/10 * ? * MON-FRI *", &["2026-11-23T00:00", "2026-11-23T00:10"]);
        check("0/30 20-23 ? * MON-FRI *", &["2026-11-23T20:00", "2026-11-23T20:30", "2026-11-23T21:00"]);
    }

    #[test]
    fn days_are_found_by_letters() {
        check(
            "0 0 L * ? *",
            &["2026-11-30T00:00", "2026-12-31T00:00", "2027-01-31T00:00", "2027-02-28T00:00"],
        );
        check("0 0 LW * ? *", &["2026-11-30T00:00", "2026-12-31T00:00", "2027-01-29T00:00"]);
        // The 13th is a Sunday, the 15th a Friday, the 16th of January a Saturday.
        check("0 0 13W * ? *", &["2026-12-14T00:00", "2027-01-13T00:00"]);
        check("0 0 16W JAN ? 2027", &["2027-01-15T00:00"]);
        // Never into another month.
        check("0 0 1W AUG ? 2026-2027", &["2027-08-02T00:00"]);
        check("0 0 31W JAN ? 2027", &["2027-01-29T00:00"]);
        check("0 0 ? * L *", &["2026-11-28T00:00", "2026-12-05T00:00"]);
        check("0 0 ? * FRIL *", &["2026-11-27T00:00", "2026-12-25T00:00"]);
        check("0 0 ? * 1 *", &["2026-11-22T00:00"]);
        check("0 0 ? * 7 *", &["2026-11-28T00:00"]);
        check("0 0 ? * 2#5 *", &["2026-11-30T00:00", "2027-03-29T00:00"]);
        check("0 0 ? * sun,wed *", &["2026-11-22T00:00", "2026-11-25T00:00"]);
        check("0 0 ? * 2/2 *", &["2026-11-23T00:00", "2026-11-25T00:00", "2026-11-27T00:00"]);
    }

    #[test]
    fn years_are_named_or_any() {
        check("0 0 1 1 ? 2030/2", &["2030-01-01T00:00", "2032-01-01T00:00"]);
        check("0 0 1 1 ? */10", &["2030-01-01T00:00", "2040-01-01T00:00"]);
        check("0 0 29 2 ? *", &["2028-02-29T00:00", "2032-02-29T00:00"]);
        assert_eq!(times("0 0 1 1 ? *", "2198-06-01T00:00", 3), ["2199-01-01T00:00"]);
    }

    #[test]
    fn what_never_comes_is_not_searched_for_long() {
        for fields in ["15 10 ? * 6L 2002-2005", "0 0 30 2 ? *", "0 0 31 4,6,9,11 ? *", "* * ? 2 1#5 2027"] {
            assert_eq!(times(fields, "2026-11-21T10:07", 1), [""; 0], "{fields}");
        }
    }

    #[test]
    fn what_is_no_expression_is_told_with_what_to_write() {
        let cases = [
            ("", "cron takes six fields"),
            ("0 2 * * ?", "here are 5"),
            ("0 0 2 ? * SAT *", "here are 7"),
            ("INVALID", "here are 1"),
            ("0 1 * * * *", "both say something; one of them must be ?"),
            ("0 1 1 * MON *", "both say something; one of them must be ?"),
            ("0 1 ? * ? *", "are both ?"),
            (
                "71 8 1 * ? *",
                "the minutes \"71\" has \"71\" in it; write * or numbers from 0 to 59, with , - and /",
            ),
            ("0 24 1 * ? *", "the hours \"24\""),
            ("0 dummy ? * MON-FRI *", "the hours \"DUMMY\""),
            ("0 0 0 * ? *", "the day of month \"0\""),
            ("0 0 32 * ? *", "the day of month \"32\""),
            (
                "0 0 1 13 ? *",
                "the month \"13\" has \"13\" in it; write * or numbers from 1 to 12 or JAN to DEC",
            ),
            ("0 0 ? * 0 *", "the day of week \"0\""),
            ("0 0 ? * 8 *", "the day of week \"8\""),
            ("7 20 ? * NOT *", "the day of week \"NOT\" has \"NOT\" in it"),
            ("0 0 1 1 ? 1969", "the year \"1969\""),
            ("0 0 1 1 ? 2200", "the year \"2200\""),
            ("0/0 0 1 1 ? *", "the minutes \"0/0\" has a step that is none"),
            ("0/61 0 1 1 ? *", "has a step that is none"),
            ("0/x 0 1 1 ? *", "has a step that is none"),
            ("0 22-2 * * ? *", "has the range 22-2, which ends before it begins"),
            ("0 0 ? * FRI-MON *", "has the range FRI-MON, which ends before it begins"),
            ("0, 0 * * ? *", "the minutes \"0,\" has \"\" in it"),
            ("+5 0 * * ? *", "the minutes \"+5\""),
            ("? 0 * * ? *", "the minutes \"?\""),
            ("0 0 1,L * ? *", "the day of month \"1,L\""),
            ("0 0 L-3 * ? *", "the day of month \"L-3\""),
            ("0 0 W * ? *", "the day of month \"W\""),
            ("0 0 32W * ? *", "the day of month \"32W\""),
            ("0 0 ? * MON#6 *", "the day of week \"MON#6\" is not understood"),
            ("0 0 ? * 3#1,6#3 *", "the day of week \"3#1,6#3\" is not understood"),
            ("0 0 ? * MON-FRI#2 *", "is not understood"),
            ("0 0 ? * +MON *", "the day of week \"+MON\""),
            ("0 0 ? * MON,FRIL *", "has \"FRIL\" in it"),
            ("@daily", "here are 1"),
        ];
        for (fields, told) in cases {
            let error = Cron::parse(fields).expect_err(fields);
            assert!(error.contains(told), "{fields}: {error}");
        }
    }

    /// The values of one field, worked out by hand.
    fn values(text: &str, range: std::ops::RangeInclusive<u16>) -> BTreeSet<u16> {
        let (first, last) = (*range.start(), *range.end());
        let mut values = BTreeSet::new();
        for item in text.split(',') {
            let (span, step) = item.split_once('/').map_or((item, None), |(span, step)| (span, Some(step)));
            let (from, to) = match span.split_once('-') {
                _ if span == "*" => (first, last),
                Some((from, to)) => (from.parse().unwrap(), to.parse().unwrap()),
                None if step.is_some() => (span.parse().unwrap(), last),
                None => (span.parse().unwrap(), span.parse().unwrap()),
            };
            values.extend((from..=to).step_by(step.map_or(1, |step| step.parse().unwrap())));
        }
        values
    }

    fn field(range: std::ops::RangeInclusive<u16>) -> impl Strategy<Value = String> {
        let value = move || range.clone();
        let step = prop::option::of(1_u16..7);
        let item = (value(), value(), 0..4, step).prop_map(|(a, b, kind, step)| {
            let span = match kind {
                0 => "*".to_owned(),
                1 => format!("{}-{}", a.min(b), a.max(b)),
                _ => a.to_string(),
            };
            step.map_or_else(|| span.clone(), |step| format!("{span}/{step}"))
        });
        prop::collection::vec(item, 1..3).prop_map(|items| items.join(","))
    }

    proptest! {
        #[test]
        fn it_is_due_when_trying_every_day_finds_it(
            minutes in field(0..=59), hours in field(0..=23), day in field(1..=31), month in field(1..=12),
            weekday in field(1..=7), by_day in any::<bool>(), start in 0_i32..1_000,
        ) {
            let days = if by_day { format!("{day} {month} ?") } else { format!("? {month} {weekday}") };
            let cron = Cron::parse(&format!("{minutes} {hours} {days} *")).unwrap();
            let begin = Date::constant(2026, 1, 1).checked_add(jiff::Span::new().days(start)).unwrap();
            let fits = |date: &Date| {
                let of_day = if by_day {
                    values(&day, 1..=31).contains(&(date.day() as u16))
                } else {
                    values(&weekday, 1..=7).contains(&(date.weekday().to_sunday_one_offset() as u16))
                };
                of_day && values(&month, 1..=12).contains(&(date.month() as u16))
            };
            // The begin itself is left out, as it is strictly after that the next one is asked for.
            let noon = begin.at(12, 30, 0, 0);
            let times = begin.series(jiff::Span::new().days(1)).take(3_000).filter(fits).flat_map(|date| {
                let minutes = values(&minutes, 0..=59);
                values(&hours, 0..=23).into_iter().flat_map(move |hour| {
                    minutes.clone().into_iter().map(move |minute| date.at(hour as i8, minute as i8, 0, 0))
                })
            });
            let expected = times.into_iter().find(|time| *time > noon);
            let found = cron.0.find_next_occurrence(&noon, false).ok();
            if let Some(expected) = expected {
                prop_assert_eq!(found, Some(expected));
            }
        }
    }
}
