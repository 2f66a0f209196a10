//! The dialect, against 165 paths of which Jayway 3.0.0 was asked. Where AWS is known to answer
//! differently (`Nothing` below) AWS's answer stands.

use asl::data::path::{Path, PathError};
use serde_json::{Value, json};

/// Whether a path names one place.
#[derive(Debug, PartialEq)]
enum Kind {
    One,
    Many,
    /// It is no path.
    Neither,
}
use Kind::{Many, Neither, One};

/// What becomes of a path.
#[derive(Debug)]
enum Outcome {
    /// This value, as JSON.
    Gives(&'static str),
    /// What lies at this JSON pointer.
    Place(&'static str),
    /// The values of the object at this JSON pointer.
    Members(&'static str),
    /// The children of the document, of its first child, of that one's first child, and so on.
    Descendants,
    /// An empty array, where Jayway says "Missing property in path $['missing']".
    Nothing,
    /// A failure with this text.
    Fails(&'static str),
    /// A name, asked of what is no object: name, path and class in the text.
    NotAnObject(&'static str, &'static str, &'static str),
    /// An index or slice, asked of what is no array: it and the beginning of the context in the text.
    NotAnArray(&'static str, &'static str),
    Refused,
}
use Outcome::{Descendants, Fails, Gives, Members, NotAnArray, NotAnObject, Nothing, Place, Refused};

#[rustfmt::skip]
const CASES: &[(&str, Kind, Outcome)] = &[
    ("$", One, Place("")),
    ("$.a", One, Place("/a")),
    ("$.a.b", One, Gives("[10,20,30]")),
    ("$.a.b[0]", One, Gives("10")),
    ("$.a.b[-1]", One, Gives("30")),
    ("$.a.n", One, Gives("null")),
    ("$.null", One, Gives("null")),
    ("$.true", One, Gives("true")),
    ("$['a']", One, Place("/a")),
    (r#"$["a"]"#, One, Place("/a")),
    ("$['a b']", One, Gives("1")),
    ("$['a']['b'][1]", One, Gives("20")),
    ("$.a['c'].d", One, Gives(r#""x""#)),
    ("$[ 'a' ]", One, Place("/a")),
    ("$['7']", One, Gives("4")),
    ("$.é", One, Gives("5")),
    ("$.日本", One, Gives("6")),
    ("$['日本']", One, Gives("6")),
    ("$.a_b", One, Gives("11")),
    ("$['a.b']", One, Gives("7")),
    (r#"$['it\'s']"#, One, Gives("8")),
    (r#"$["it's"]"#, One, Gives("8")),
    (r#"$['q"q']"#, One, Gives("9")),
    (r#"$["q\"q"]"#, One, Gives("9")),
    ("$['']", One, Gives("13")),
    (r#"$['b\\s']"#, One, Gives("15")),
    ("$.*", Many, Members("")),
    ("$[*]", Many, Members("")),
    ("$.a.*", Many, Gives(r#"[[10,20,30],{"d":"x"},null,[{"b":1},{"b":2},{"x":3}]]"#)),
    ("$.a.b[*]", Many, Gives("[10,20,30]")),
    ("$.a.b.*", Many, Gives("[10,20,30]")),
    ("$.items[*].x", Many, Gives(r#"[1,2,3,"2"]"#)),
    ("$.items.*.x", Many, Gives(r#"[1,2,3,"2"]"#)),
    ("$.items[*].missing", Many, Gives("[]")),
    ("$..b", Many, Gives("[[10,20,30],1,2]")),
    ("$..x", Many, Gives(r#"[3,1,2,3,"2"]"#)),
    ("$..*", Many, Descendants),
    ("$..items[0].x", Many, Gives("[1]")),
    ("$..[0]", Many, Gives(r#"[10,{"b":1},{"x":1,"y":"a","p":5.5,"t":["S","M"],"n":null},"S","L",[1,2],1,3]"#)),
    ("$..['b']", Many, Gives("[[10,20,30],1,2]")),
    ("$.items..x", Many, Gives(r#"[1,2,3,"2"]"#)),
    ("$.a.b[0:2]", Many, Gives("[10,20]")),
    ("$.a.b[1:]", Many, Gives("[20,30]")),
    ("$.a.b[:2]", Many, Gives("[10,20]")),
    ("$.a.b[:-1]", Many, Gives("[10,20]")),
    ("$.a.b[-2:]", Many, Gives("[20,30]")),
    ("$.a.b[5:]", Many, Gives("[]")),
    ("$['a','str']", One, Gives(r#"{"a":{"b":[10,20,30],"c":{"d":"x"},"n":null,"b2":[{"b":1},{"b":2},{"x":3}]},"str":"hello"}"#)),
    ("$.a.b[0,1]", Many, Gives("[10,20]")),
    ("$.a.b[0,10]", Many, Gives("[10]")),
    ("$.a.b[0, 2]", Many, Gives("[10,30]")),
    ("$.items[?(@.x==1)]", Many, Gives(r#"[{"x":1,"y":"a","p":5.5,"t":["S","M"],"n":null}]"#)),
    ("$.items[?(@.x>1)]", Many, Gives(r#"[{"x":2,"y":"b","p":15,"t":["L"]},{"x":3,"y":"ab","t":[]}]"#)),
    ("$.items[?(@.x > 1 && @.y == 'b')]", Many, Gives(r#"[{"x":2,"y":"b","p":15,"t":["L"]}]"#)),
    ("$.items[?(@.x == 1 || @.x == 3)].y", Many, Gives(r#"["a","ab"]"#)),
    ("$.items[?(@.p)]", Many, Gives(r#"[{"x":1,"y":"a","p":5.5,"t":["S","M"],"n":null},{"x":2,"y":"b","p":15,"t":["L"]}]"#)),
    ("$.items[?(!@.p)]", Many, Gives(r#"[{"x":3,"y":"ab","t":[]},{"y":"c","x":"2"}]"#)),
    ("$.items[?(@.n == null)]", Many, Gives(r#"[{"x":1,"y":"a","p":5.5,"t":["S","M"],"n":null}]"#)),
    (r#"$.items[?(@.y == "a")].x"#, Many, Gives("[1]")),
    ("$.items[?(@.y != 'a')].x", Many, Gives(r#"[2,3,"2"]"#)),
    ("$.items[?(@['x'] == 1)].y", Many, Gives(r#"["a"]"#)),
    ("$.items[?('a' == @.y)].x", Many, Gives("[1]")),
    ("$.items[?(@.p < $['num'])].x", Many, Gives("[]")),
    ("$.items[?(@.t[0]=='S')].x", Many, Gives("[1]")),
    ("$.items[?(@.x==1)][0]", Many, Gives("[]")),
    ("$.nested[?(@[0]==1)]", Many, Gives("[[1,2]]")),
    ("$.a.b[?(@ > 15)]", Many, Gives("[20,30]")),
    ("$.a.b[?(@>15)]", Many, Gives("[20,30]")),
    ("$.items[?(@.x==-1)]", Many, Gives("[]")),
    ("$.items[?(@.p==5.5)].y", Many, Gives(r#"["a"]"#)),
    ("$.items[?(@.true==true)]", Many, Gives("[]")),
    ("$.length", One, Gives("99")),
    ("$. a", Neither, Refused),
    (" $.a ", Neither, Refused),
    ("$.a.", Neither, Refused),
    ("$..", Neither, Refused),
    ("$a", Neither, Refused),
    ("$.a['b", Neither, Refused),
    ("$.a[b]", Neither, Refused),
    ("$.items[?(@.x > 1 and @.x < 3)]", Neither, Refused),
    ("$.items[(@.length-1)].y", Neither, Refused),
    ("", Neither, Refused),
    ("$.a.b[10]", One, Fails("No results for path: $['a']['b'][10]")),
    ("$.a.missing", One, Fails("No results for path: $['a']['missing']")),
    ("$.missing.x", One, Fails("Missing property in path $['missing']")),
    ("$.str.x", One, NotAnObject("['x']", "$['str']", "java.lang.String")),
    ("$.a-b", One, Gives("2")),
    ("$.1abc", One, Gives("3")),
    ("$.7", One, Gives("4")),
    ("$.a:b", One, Gives("10")),
    ("$.$x", One, Gives("12")),
    ("$.a@b", One, Gives("14")),
    ("$.a b", Neither, Refused),
    ("a.b", One, Gives("[10,20,30]")),
    ("$.a[", One, Place("/a")),
    ("$.a.b[01]", One, Gives("20")),
    ("$.a.b[0:3:2]", Many, Gives("[10,20,30]")),
    ("$.a.b[::-1]", Neither, Refused),
    ("$.a.b[:]", Neither, Refused),
    ("$.missing[*]", Many, Nothing),
    ("$.missing[1:]", Many, Nothing),
    ("$['str','num']", One, Gives(r#"{"str":"hello","num":5}"#)),
    ("$['str','missing']", One, Gives(r#"{"str":"hello"}"#)),
    ("$.a['b','n']", One, Gives(r#"{"b":[10,20,30],"n":null}"#)),
    ("$.items['x']", One, NotAnObject("['x']", "$['items']", "net.minidev.json.JSONArray")),
    ("$.items[?(@.x == 2)].y", Many, Gives(r#"["b","c"]"#)),
    ("$.items[?(@.x == $.limit)].y", Many, Gives(r#"["b","c"]"#)),
    ("$.items[?@.x==1].y", Neither, Refused),
    ("$.items[?(@.x=='2')].y", Many, Gives(r#"["b","c"]"#)),
    ("$.items[?(@.x===1)]", Many, Gives(r#"[{"x":1,"y":"a","p":5.5,"t":["S","M"],"n":null}]"#)),
    ("$.items[?(@.x in [1,3])].y", Many, Gives(r#"["a","ab"]"#)),
    ("$.items[?(@.y nin ['a'])].y", Many, Gives(r#"["b","ab","c"]"#)),
    ("$.items[?(@.y =~ /a.*/)].y", Many, Gives(r#"["a","ab"]"#)),
    ("$.items[?(@.y =~ /A.*/i)].y", Many, Gives(r#"["a","ab"]"#)),
    ("$.items[?(@.t size 2)].x", Many, Gives("[1]")),
    ("$.items[?(@.t empty true)].x", Many, Gives("[3]")),
    ("$.items[?(@.t anyof ['L','S'])].x", Many, Gives("[1,2]")),
    ("$.items[?(@.t subsetof ['S','M'])].x", Many, Gives("[1,3]")),
    ("$.items[?(@.t.length() > 1)].x", Many, Gives("[1]")),
    ("$.[?(@.d)]", Many, Gives("[]")),
    ("$.items.[0].x", One, Gives("1")),
    ("$.a.b.length()", One, Gives("3")),
    ("$.items.length()", One, Gives("4")),
    ("$.str.length()", One, Gives("null")),
    ("$.a.b.min()", One, Gives("10.0")),
    ("$.a.b.max()", One, Gives("30.0")),
    ("$.a.b.sum()", One, Gives("60.0")),
    ("$.a.b.avg()", One, Gives("20.0")),
    ("$.a.keys()", One, Gives(r#"["b","c","n","b2"]"#)),
    ("$.a.b.first()", One, Gives("10")),
    ("$.a.b.last()", One, Gives("30")),
    ("$.a.b.concat()", One, Gives(r#""""#)),
    ("length($.a.b)", One, Gives("27")),
    ("$.items[*].x.length()", Many, Gives("[null,null,null,null]")),
    ("$.a..", Neither, Refused),
    ("$.a.b[", One, Gives("[10,20,30]")),
    ("$.items[?(@.x >= 2 && (@.y == 'b' || @.y == 'ab'))].y", Many, Gives(r#"["b","ab"]"#)),
    ("$.items[?(@.missing == null)].y", Many, Gives("[]")),
    ("$.items[?(@.y in ['a','c'])].x", Many, Gives(r#"[1,"2"]"#)),
    ("$.items[0,1].y", Many, Gives(r#"["a","b"]"#)),
    ("$.items[-2:].y", Many, Gives(r#"["ab","c"]"#)),
    ("$['a']['b','n']", One, Gives(r#"{"b":[10,20,30],"n":null}"#)),
    ("$['items'][*]['x','y']", Many, Gives(r#"[{"x":1,"y":"a"},{"x":2,"y":"b"},{"x":3,"y":"ab"},{"x":"2","y":"c"}]"#)),
    ("$.a.b[?(@ == 20)]", Many, Gives("[20]")),
    ("$.items[?(@.x < '2')].y", Many, Gives("[]")),
    ("$.items[?(@.x > 1)].length()", Many, Gives("[4,3]")),
    ("$.items[*].length()", Many, Gives("[5,4,3,2]")),
    ("$..x.length()", One, Gives("0")),
    ("$..b.sum()", One, Gives("3.0")),
    ("$.str[0]", One, NotAnArray("[0]", "hello")),
    ("$.a[0]", One, NotAnArray("[0]", "{b=[10, 20, 30], c={d=x}, n=null, ")),
    ("$.a.b.x", One, NotAnObject("['x']", "$['a']['b']", "net.minidev.json.JSONArray")),
    ("$.n1.n2", One, Fails("Missing property in path $['n1']")),
    ("$.a.n.x", One, NotAnObject("['x']", "$['a']['n']", "null")),
    ("$.items[?(@.y)].y", Many, Gives(r#"["a","b","ab","c"]"#)),
    ("$.items[?(@.eo)]", Many, Gives("[]")),
    ("$.items[?(1==1)].y", Many, Gives(r#"["a","b","ab","c"]"#)),
    ("$.items[?(true)].y", Neither, Refused),
    ("$.items[?(@.x == 1)].z", Many, Gives("[]")),
    (r#"$.b\s"#, One, Gives("15")),
    ("$.it's", One, Gives("8")),
    ("$['a' , 'str']", One, Gives(r#"{"a":{"b":[10,20,30],"c":{"d":"x"},"n":null,"b2":[{"b":1},{"b":2},{"x":3}]},"str":"hello"}"#)),
    ("$[0]", One, NotAnArray("[0]", "{a={b=[10, 20, 30], ")),
    ("$[1:5]", Many, NotAnArray("[1:5]", "{a={b=[10, 20, 30], ")),
    ("$[1:]", Many, NotAnArray("[1:]", "{a={b=[10, 20, 30], ")),
];

fn document() -> Value {
    json!({
        "a": {"b": [10, 20, 30], "c": {"d": "x"}, "n": null, "b2": [{"b": 1}, {"b": 2}, {"x": 3}]},
        "a b": 1, "a-b": 2, "1abc": 3, "7": 4, "é": 5, "日本": 6, "a.b": 7, "it's": 8, "q\"q": 9,
        "a:b": 10, "a_b": 11, "$x": 12, "": 13, "a@b": 14, "A": "upper", "b\\s": 15,
        "items": [
            {"x": 1, "y": "a", "p": 5.5, "t": ["S", "M"], "n": null},
            {"x": 2, "y": "b", "p": 15, "t": ["L"]},
            {"x": 3, "y": "ab", "t": []},
            {"y": "c", "x": "2"},
        ],
        "empty": [], "eo": {}, "nested": [[1, 2], [3, 4]], "str": "hello", "num": 5, "limit": 2,
        "null": null, "true": true, "length": 99,
    })
}

#[test]
fn every_path_does_what_jayway_does() {
    let document = document();
    for (path, kind, outcome) in CASES {
        check(&document, path, kind, outcome);
    }
}

fn check(document: &Value, text: &str, kind: &Kind, outcome: &Outcome) {
    let path = match Path::parse_jayway(text) {
        Ok(path) => path,
        Err(_) if *kind == Neither && matches!(outcome, Refused) => return,
        Err(error) => panic!("{text}: {error}"),
    };
    assert_ne!(*kind, Neither, "{text} is accepted");
    assert_eq!(path.is_definite(), *kind == One, "{text}");
    let result = path.evaluate(document);
    if let Some(expected) = expected_value(document, outcome) {
        assert_eq!(result.as_deref(), Ok(&expected), "{text}");
    } else {
        let error = result.expect_err(text);
        assert!(error.is_not_found(), "{text}");
        check_error(text, &error, outcome);
    }
}

fn expected_value(document: &Value, outcome: &Outcome) -> Option<Value> {
    let at = |pointer: &str| document.pointer(pointer).expect("the place exists");
    match outcome {
        Gives(value) => Some(serde_json::from_str(value).expect("the table holds JSON")),
        Place(pointer) => Some(at(pointer).clone()),
        Members(pointer) => Some(children(at(pointer)).cloned().collect()),
        Descendants => {
            let mut all = Vec::new();
            add_descendants(document, &mut all);
            Some(all.into())
        }
        Nothing => Some(json!([])),
        Fails(_) | NotAnObject(..) | NotAnArray(..) | Refused => None,
    }
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(members) => Box::new(members.values()),
        _ => Box::new(std::iter::empty()),
    }
}

fn add_descendants(value: &Value, all: &mut Vec<Value>) {
    all.extend(children(value).cloned());
    children(value).for_each(|child| add_descendants(child, all));
}

fn check_error(text: &str, error: &PathError, outcome: &Outcome) {
    let printed = error.to_string();
    match outcome {
        Fails(message) => assert_eq!(printed, *message, "{text}"),
        NotAnObject(property, path, found) => assert_eq!(
            printed,
            format!(
                "Expected to find an object with property {property} in path {path} but found '{found}'. \
                 This is not a json object according to the JsonProvider: \
                 'com.jayway.jsonpath.spi.json.JsonSmartJsonProvider'."
            ),
            "{text}"
        ),
        NotAnArray(filter, context) => {
            let beginning =
                format!("Filter: {filter} can only be applied to arrays. Current context is: {context}");
            assert!(printed.starts_with(&beginning), "{text}: {printed}");
        }
        other => panic!("{text}: expected {other:?}, found {printed}"),
    }
}
