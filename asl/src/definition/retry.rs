//! `Retry` and `Catch`.

use serde_json::Value;

use super::Checker;
use super::fields::Object;
use super::machine::Surroundings;
use crate::data::expression::Uses;
use crate::limits::TIMEOUT_SECONDS_MAX;
use crate::program::{Catcher, ErrorHandling, Jitter, Retrier};

/// The name that stands for nearly all errors.
const ALL: &str = "States.ALL";
/// What AWS takes when `IntervalSeconds`, `MaxAttempts` or `BackoffRate` is absent.
const INTERVAL_SECONDS_DEFAULT: u32 = 1;
const MAX_ATTEMPTS_DEFAULT: u32 = 3;
const BACKOFF_RATE_DEFAULT: f64 = 2.0;
/// Longest `MaxDelaySeconds`: 366 days.
const MAX_DELAY_SECONDS_MAX: u32 = 31_622_400;

impl<'a> Checker<'a> {
    /// `Retry` and `Catch` of a state.
    pub(super) fn error_handling(
        &mut self,
        object: Object<'a, '_>,
        around: &Surroundings<'a, '_>,
    ) -> ErrorHandling {
        let retriers =
            self.entries(object, "Retry", |checker, entry, is_last| checker.retrier(entry, is_last));
        let catchers =
            self.entries(object, "Catch", |checker, entry, is_last| checker.catcher(entry, is_last, around));
        ErrorHandling { retriers, catchers }
    }

    /// The objects of a list, which may be empty.
    fn entries<T>(
        &mut self,
        object: Object<'a, '_>,
        name: &str,
        mut read: impl FnMut(&mut Self, Object<'a, '_>, bool) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = object.get(name) else { return Vec::new() };
        let place = object.place.field(name);
        let Some(entries) = value.as_array() else {
            self.report.error(&place, "Expected value of type [ARRAY]");
            return Vec::new();
        };
        let mut read_entries = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let place = place.element(index);
            let Some(fields) = entry.as_object() else {
                self.report.error(&place, "Expected value of type [OBJECT]");
                continue;
            };
            let entry = Object { fields, place: &place, language: object.language };
            read_entries.extend(read(self, entry, index + 1 == entries.len()));
        }
        read_entries
    }

    fn retrier(&mut self, entry: Object<'a, '_>, is_last: bool) -> Option<Retrier> {
        const FIELDS: &[&str] = &[
            "ErrorEquals",
            "IntervalSeconds",
            "MaxAttempts",
            "BackoffRate",
            "MaxDelaySeconds",
            "JitterStrategy",
        ];
        self.required(entry, &["ErrorEquals"]);
        self.only(entry, FIELDS);
        let error_equals = self.error_equals(entry, is_last);
        let interval = self.whole(entry, "IntervalSeconds", 0, TIMEOUT_SECONDS_MAX);
        let max_attempts = self.whole(entry, "MaxAttempts", 0, TIMEOUT_SECONDS_MAX);
        let backoff_rate = self.number(entry, "BackoffRate", 1, None).and_then(serde_json::Number::as_f64);
        let max_delay_seconds = self.whole(entry, "MaxDelaySeconds", 1, MAX_DELAY_SECONDS_MAX);
        if let (Some(interval), Some(max_delay)) = (interval, max_delay_seconds)
            && max_delay <= interval
        {
            let message = "MaxDelaySeconds must be greater than IntervalSeconds";
            self.report.error(&entry.place.field("MaxDelaySeconds"), message);
        }
        let jitter = match self.one_of(entry, "JitterStrategy", &["NONE", "FULL"]) {
            Some("FULL") => Jitter::Full,
            _ => Jitter::None,
        };
        Some(Retrier {
            error_equals: error_equals?,
            interval_seconds: interval.unwrap_or(INTERVAL_SECONDS_DEFAULT),
            max_attempts: max_attempts.unwrap_or(MAX_ATTEMPTS_DEFAULT),
            backoff_rate: backoff_rate.unwrap_or(BACKOFF_RATE_DEFAULT),
            max_delay_seconds,
            jitter,
        })
    }

    fn catcher(
        &mut self,
        entry: Object<'a, '_>,
        is_last: bool,
        around: &Surroundings<'a, '_>,
    ) -> Option<Catcher> {
        self.required(entry, &["ErrorEquals", "Next"]);
        self.only_in(entry, &["ErrorEquals", "Next", "Assign"], &["ResultPath"], &["Output"]);
        let assign = self.assign(entry, Uses::Error);
        let output = if entry.is_jsonata() { self.payload(entry, "Output", Uses::Error) } else { None };
        let error_equals = self.error_equals(entry, is_last);
        let next = self.target(entry, "Next", around.machine);
        let result_path = self.result_path(entry);
        Some(Catcher { error_equals: error_equals?, next: next?, result_path, output, assign })
    }

    fn error_equals(&mut self, entry: Object<'a, '_>, is_last: bool) -> Option<Vec<String>> {
        let names = self.list(entry, "ErrorEquals")?;
        let place = entry.place.field("ErrorEquals");
        for (index, _) in names.iter().enumerate().filter(|(_, name)| !name.is_string()) {
            self.report.error(&place.element(index), "Expected value of type [STRING]");
        }
        let all = |index: usize| names.get(index).and_then(Value::as_str) == Some(ALL);
        let is_alone_and_last = names.len() == 1 && is_last;
        for index in (0..names.len()).filter(|index| all(*index) && !is_alone_and_last) {
            self.report.error(&place.element(index), "States.ALL must appear alone and at end of list");
        }
        Some(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }
}
