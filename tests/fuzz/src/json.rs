//! Changes of a document that leave it one: a value in place of another, a list that is long, a name that is new.

use casemate_tests::generate::Rng;
use serde_json::{json, Value};

fn odd(rng: &mut Rng) -> Value {
    match rng.below(14) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(u64::MAX),
        4 => json!(i64::MIN),
        5 => json!(1.5e300),
        6 => json!(""),
        7 => json!("/"),
        8 => json!("../../proc/self/root"),
        9 => json!("x".repeat(1 << rng.below(16))),
        10 => json!("a\u{0}b"),
        11 => json!([]),
        12 => json!({}),
        _ => (0..rng.below(200)).fold(json!(1), |inner, _| json!([inner])),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// The value with this number, counted from the outside in.
fn nth<'a>(value: &'a mut Value, number: &mut usize) -> Option<&'a mut Value> {
    if *number == 0 {
        return Some(value);
    }
    *number -= 1;
    match value {
        Value::Array(list) => list.iter_mut().find_map(|item| nth(item, number)),
        Value::Object(map) => map.values_mut().find_map(|item| nth(item, number)),
        _ => None,
    }
}

fn some(rng: &mut Rng, document: &Value) -> Value {
    let mut copy = document.clone();
    let mut number = rng.below(count(document));
    nth(&mut copy, &mut number).map_or(Value::Null, |value| value.take())
}

fn once(rng: &mut Rng, document: &mut Value, other: &Value) {
    let mut number = rng.below(count(document));
    let with = if rng.chance(50) { some(rng, other) } else { odd(rng) };
    let times = 1 << rng.below(8);
    let Some(value) = nth(document, &mut number) else { return };
    match (rng.below(4), value) {
        (0, Value::Array(list)) => {
            let item = if rng.chance(50) { list.first().cloned().unwrap_or(with) } else { with };
            list.extend(std::iter::repeat_n(item, times));
        }
        (0, Value::Object(map)) => {
            let name = map.keys().nth(rng.below(map.len() + 1)).cloned();
            drop(map.insert(name.unwrap_or_else(|| "new".to_owned()), with));
        }
        (1, Value::Array(list)) => drop(list.pop()),
        (1, Value::Object(map)) => {
            if let Some(name) = map.keys().nth(rng.below(map.len() + 1)).cloned() {
                drop(map.remove(&name));
            }
        }
        (2, Value::String(text)) => text.extend(std::iter::repeat_n(text.clone(), times.min(16))),
        (_, value) => *value = with,
    }
}

/// A few changes of the document in `bytes`, if it is one; `other` is another good one.
pub fn change(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes);
    let (Ok(mut document), Ok(other)) = (read(bytes), read(other)) else { return };
    for _ in 0..1 + rng.below(4) {
        once(rng, &mut document, &other);
    }
    *bytes = document.to_string().into_bytes();
}
