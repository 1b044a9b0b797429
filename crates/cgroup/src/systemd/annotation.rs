//! Unit properties from annotations `org.systemd.property.NAME`, whose values are GVariant text.
//!
//! Understood: true/false, numbers with an optional type word, quoted strings, lists of strings. Such an
//! annotation can set anything that the unit can have: whether one is honoured is the caller's policy.

use super::wire::{Property, Value};
use crate::error::{Error, Result};

const PREFIX: &str = "org.systemd.property.";

/// The property that an annotation stands for; `None` when its key is another one. As in runc, a name
/// ending in `Sec` is given in seconds and set as `USec`.
///
/// # Errors
/// [`Error::BadLimit`]: a name that is not only letters, three at least; a value that is not
/// understood, or is no number of seconds where one is wanted.
pub fn parse_annotation(key: &str, value: &str) -> Result<Option<Property>> {
    let Some(name) = key.strip_prefix(PREFIX) else {
        return Ok(None);
    };
    let bad =
        |why: &str| Error::BadLimit { limit: format!("annotation {key}"), why: why.to_owned() };
    if name.len() < 3 || !name.chars().all(|c| c.is_ascii_alphabetic()) {
        return Err(bad("a property name has only letters, three at least"));
    }
    let value = parse_value(value).ok_or_else(|| bad("the value is not understood"))?;
    match name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U')) {
        None => Ok(Some((name.to_owned(), value))),
        Some(stem) => {
            let microseconds = microseconds(&value).ok_or_else(|| bad("expected seconds"))?;
            Ok(Some((format!("{stem}USec"), Value::U64(microseconds))))
        }
    }
}

fn microseconds(value: &Value) -> Option<u64> {
    const MILLION: u64 = 1_000_000;
    match value {
        Value::U32(n) => Some(u64::from(*n) * MILLION),
        Value::U64(n) => n.checked_mul(MILLION),
        Value::I32(n) => Some(u64::try_from(*n).ok()? * MILLION),
        Value::I64(n) => u64::try_from(*n).ok()?.checked_mul(MILLION),
        Value::F64(n) if *n >= 0.0 => Some((n * 1e6) as u64),
        _ => None,
    }
}

/// Read GVariant text (glib, "GVariant Text Format"), the simple part of it.
pub fn parse_value(text: &str) -> Option<Value> {
    let text = text.trim();
    match text {
        "true" => return Some(Value::Bool(true)),
        "false" => return Some(Value::Bool(false)),
        _ => {}
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return strings(inner).map(Value::Strings);
    }
    if text.starts_with(['\'', '"']) {
        let (string, rest) = quoted(text)?;
        return rest.trim().is_empty().then_some(Value::Str(string));
    }
    number(text)
}

/// `None`: no number of that kind, which the caller names with the whole text.
fn number(text: &str) -> Option<Value> {
    match text.split_once(char::is_whitespace).map(|(kind, rest)| (kind, rest.trim())) {
        Some(("int32", n)) => n.parse().ok().map(Value::I32),
        Some(("uint32", n)) => n.parse().ok().map(Value::U32),
        Some(("int64", n)) => n.parse().ok().map(Value::I64),
        Some(("uint64", n)) => n.parse().ok().map(Value::U64),
        Some(("double", n)) => finite(n),
        Some(_) => None,
        None => text.parse().ok().map(Value::I32).or_else(|| finite(text)),
    }
}

/// A fraction; Rust would take "inf" and "nan" as well.
fn finite(text: &str) -> Option<Value> {
    text.parse().ok().filter(|n: &f64| n.is_finite()).map(Value::F64)
}

fn strings(mut text: &str) -> Option<Vec<String>> {
    let mut list = Vec::new();
    text = text.trim();
    while !text.is_empty() {
        let (string, rest) = quoted(text)?;
        list.push(string);
        text = rest.trim();
        if text.is_empty() {
            break;
        }
        text = text.strip_prefix(',')?.trim();
    }
    Some(list)
}

/// A quoted string at the start of `text`, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut string = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => string.push(match characters.next()?.1 {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            c if c == quote => return Some((string, &text[at + 1..])),
            c => string.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_type_that_they_are_written_with() {
        assert_eq!(parse_value("true"), Some(Value::Bool(true)));
        assert_eq!(parse_value("7"), Some(Value::I32(7)));
        assert_eq!(parse_value("uint64 7"), Some(Value::U64(7)));
        assert_eq!(parse_value("'it\\'s'"), Some(Value::Str("it's".into())));
        let list = Value::Strings(vec!["a".into(), "b,c".into()]);
        assert_eq!(parse_value("['a', \"b,c\"]"), Some(list));
        for bad in ["", "maybe", "'open", "['a' 'b']", "byte 7", "inf", "'a' 'b'", "uint32 -1"] {
            assert_eq!(parse_value(bad), None, "{bad}");
        }
    }

    #[test]
    fn seconds_are_set_as_microseconds() {
        let parse = |key: &str, value: &str| parse_annotation(key, value).unwrap();
        let key = "org.systemd.property.TimeoutStopSec";
        let expected = Some(("TimeoutStopUSec".to_owned(), Value::U64(2_500_000)));
        assert_eq!(parse(key, "2.5"), expected);
        let direct = parse("org.systemd.property.TimeoutStopUSec", "uint64 5");
        assert_eq!(direct, Some(("TimeoutStopUSec".to_owned(), Value::U64(5))));
    }

    #[test]
    fn other_annotations_are_left_and_bad_names_refused() {
        assert_eq!(parse_annotation("org.example", "x").unwrap(), None);
        assert!(parse_annotation("org.systemd.property.A-B", "1").is_err());
        assert!(parse_annotation("org.systemd.property.", "1").is_err());
        assert!(parse_annotation("org.systemd.property.TimeoutStopSec", "'x'").is_err());
    }
}
