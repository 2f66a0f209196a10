//! Numbers as EventBridge compares them: exactly, in millionths, from −5·10⁹ to 5·10⁹.
//!
//! `300`, `300.0` and `3e2` are one number. Beyond these bounds, or with more than six decimals, a number has
//! no place in an order; it is still equal to itself. (event-ruler, `ComparableNumber`.)

use serde_json::Number;

/// The largest number that has a place in the order.
const NUMBER_MAX: i64 = 5_000_000_000;
const MILLION: i64 = 1_000_000;

/// A number in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Millionths(i64);

impl Millionths {
    /// The number, if it has a place in the order.
    pub(super) fn of(number: &Number) -> Option<Millionths> {
        if let Some(whole) = number.as_i64() {
            let within = (-NUMBER_MAX..=NUMBER_MAX).contains(&whole);
            return within.then_some(Millionths(whole * MILLION));
        }
        let number = number.as_f64().filter(|number| number.abs() <= NUMBER_MAX as f64)?;
        let millionths = (number * MILLION as f64).round();
        // The nearest number to one with six decimals is the one that such a text reads as.
        (millionths / MILLION as f64 == number).then_some(Millionths(millionths as i64))
    }

    /// The number, or why it has no place in the order.
    pub(super) fn required(number: &Number) -> Result<Millionths, String> {
        Millionths::of(number).ok_or_else(|| {
            let within = number.as_f64().is_some_and(|number| number.abs() <= NUMBER_MAX as f64);
            if within {
                format!("Only values upto 6 decimals are supported: {number}")
            } else {
                "Value must be between -5.0E9 and 5.0E9, inclusive".to_owned()
            }
        })
    }
}

/// Whether two numbers are the same, however they are written.
pub(super) fn same(one: &Number, other: &Number) -> bool {
    one == other || !(is_whole(one) && is_whole(other)) && one.as_f64() == other.as_f64()
}

fn is_whole(number: &Number) -> bool {
    number.is_i64() || number.is_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn one_number_has_many_spellings() {
        for (one, other) in
            [("300", "300.0"), ("300", "3e2"), ("-0", "0"), ("0.1", "1e-1"), ("0.000001", "1E-6")]
        {
            assert_eq!(
                Millionths::required(&number(one)),
                Millionths::required(&number(other)),
                "{one} {other}"
            );
            assert!(same(&number(one), &number(other)), "{one} {other}");
        }
        for (one, other) in [("1", "2"), ("0.1", "0.100001"), ("9007199254740993", "9007199254740992")] {
            assert!(!same(&number(one), &number(other)), "{one} {other}");
        }
    }

    #[test]
    fn the_order_has_bounds_and_six_decimals() {
        for text in ["5000000000", "-5000000000", "5e9", "4999999999.999999", "-0.000001", "0.3"] {
            assert!(Millionths::of(&number(text)).is_some(), "{text}");
        }
        for text in ["5000000001", "-5000000001", "5e9.1", "123456789012", "1e300", "18446744073709551615"] {
            let Ok(number) = serde_json::from_str::<Number>(text) else { continue };
            let told = Millionths::required(&number).unwrap_err();
            assert_eq!(told, "Value must be between -5.0E9 and 5.0E9, inclusive", "{text}");
        }
        for text in ["0.1234567", "1e-7", "-2.00000001"] {
            let told = Millionths::required(&number(text)).unwrap_err();
            assert!(told.starts_with("Only values upto 6 decimals are supported"), "{text}");
        }
    }

    #[test]
    fn they_stand_in_order() {
        let order =
            ["-5e9", "-1.5", "-1.499999", "0", "0.000001", "0.1", "1", "4999999999.999999", "5000000000"];
        let places: Vec<_> = order.map(|text| Millionths::of(&number(text)).unwrap()).into();
        assert!(places.is_sorted_by(|one, next| one < next));
    }
}
