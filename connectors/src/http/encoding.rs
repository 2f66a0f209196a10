//! JSON as `name=value&…`, as queries and forms have it.

use serde_json::{Map, Value};
use url::form_urlencoded::byte_serialize;

/// How an array is written (`RequestEncodingOptions.ArrayFormat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArrayFormat {
    /// `a[0]=x&a[1]=y`.
    Indices,
    /// `a=x&a=y`.
    Repeat,
    /// `a=x,y`.
    Commas,
    /// `a[]=x&a[]=y`.
    Brackets,
}

impl ArrayFormat {
    /// By AWS's name for it.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "INDICES" => Some(ArrayFormat::Indices),
            "REPEAT" => Some(ArrayFormat::Repeat),
            "COMMAS" => Some(ArrayFormat::Commas),
            "BRACKETS" => Some(ArrayFormat::Brackets),
            _ => None,
        }
    }
}

/// A name and its value, not yet encoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// `order[items][0]`.
    pub(super) name: String,
    /// Several where commas part them.
    pub(super) values: Vec<String>,
}

impl Pair {
    /// Of one value.
    pub(super) fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Pair { name: name.into(), values: vec![value.into()] }
    }
}

/// The pairs that an object is made of, nested values as `outer[inner]`.
pub(super) fn pairs(members: &Map<String, Value>, format: ArrayFormat) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (name, value) in members {
        add(&mut pairs, name.clone(), value, format);
    }
    pairs
}

fn add(pairs: &mut Vec<Pair>, name: String, value: &Value, format: ArrayFormat) {
    match value {
        Value::Object(members) => {
            for (inner, value) in members {
                add(pairs, format!("{name}[{inner}]"), value, format);
            }
        }
        Value::Array(items) => add_array(pairs, &name, items, format),
        value => pairs.push(Pair::new(name, scalar(value))),
    }
}

fn add_array(pairs: &mut Vec<Pair>, name: &str, items: &[Value], format: ArrayFormat) {
    let simple = items.iter().all(|item| !item.is_array() && !item.is_object());
    if format == ArrayFormat::Commas && simple && !items.is_empty() {
        pairs.push(Pair { name: name.to_owned(), values: items.iter().map(scalar).collect() });
        return;
    }
    for (index, item) in items.iter().enumerate() {
        let name = match format {
            // What is more than a list of values cannot be parted by commas.
            ArrayFormat::Indices | ArrayFormat::Commas => format!("{name}[{index}]"),
            ArrayFormat::Repeat => name.to_owned(),
            ArrayFormat::Brackets => format!("{name}[]"),
        };
        add(pairs, name, item, format);
    }
}

/// A value that holds no others, as text.
pub(super) fn scalar(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// The pairs percent-encoded, with `&` between them. A comma that parts values is written as it is.
pub(super) fn encode(pairs: &[Pair]) -> String {
    let pair = |pair: &Pair| {
        let values: Vec<String> = pair.values.iter().map(|value| percent(value)).collect();
        format!("{}={}", percent(&pair.name), values.join(","))
    };
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// As AWS encodes: a space is `%20`.
fn percent(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: Value, format: ArrayFormat, encoded: &str) {
        let Value::Object(members) = &value else { panic!("an object is encoded") };
        assert_eq!(encode(&pairs(members, format)), encoded, "{value} {format:?}");
    }

    /// The first two are the examples of the user guide, "Call HTTPS APIs".
    #[test]
    fn objects_become_forms() {
        let array = || json!({"array": ["a", "b"]});
        check(array(), ArrayFormat::Indices, "array%5B0%5D=a&array%5B1%5D=b");
        check(
            json!({"description": "Monthly subscription", "metadata": {"order_details": "monthly report data"}}),
            ArrayFormat::Indices,
            "description=Monthly%20subscription&metadata%5Border_details%5D=monthly%20report%20data",
        );
        check(array(), ArrayFormat::Repeat, "array=a&array=b");
        check(array(), ArrayFormat::Commas, "array=a,b");
        check(array(), ArrayFormat::Brackets, "array%5B%5D=a&array%5B%5D=b");
        check(
            json!({"n": 1.5, "t": true, "z": null, "e": [], "o": {}, "s": "a&b=c+d,é"}),
            ArrayFormat::Commas,
            "n=1.5&t=true&z=&s=a%26b%3Dc%2Bd%2C%C3%A9",
        );
        check(
            json!({"a": [{"b": [1]}, [2]]}),
            ArrayFormat::Indices,
            "a%5B0%5D%5Bb%5D%5B0%5D=1&a%5B1%5D%5B0%5D=2",
        );
        check(json!({"a": [{"b": [1, 2]}]}), ArrayFormat::Commas, "a%5B0%5D%5Bb%5D=1,2");
        check(json!({"a": [{"b": 1}]}), ArrayFormat::Repeat, "a%5Bb%5D=1");
        check(json!({"a": [{"b": 1}]}), ArrayFormat::Brackets, "a%5B%5D%5Bb%5D=1");
    }
}
