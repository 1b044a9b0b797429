//! `explain`: a report as JSON, or the same report as indented text.

use super::{Context, Outcome};
use crate::cli::observe::ExplainArgs;
use crate::{backend, output, request};
use serde_json::Value;

pub(crate) fn execute(args: &ExplainArgs, context: &mut Context<'_>) -> Outcome {
    let as_json = match args.format.as_str() {
        "json" => true,
        "text" | "" => false,
        _ => return Err(anyhow::anyhow!("invalid format option\nhint: one of text, json").into()),
    };
    let report = backend::explain(&context.global, &request::lifecycle::explain(args)?)?;
    if as_json {
        return Ok(output::print_json(&report)?);
    }
    let mut text = String::new();
    write_value(&mut text, &report, 0);
    Ok(output::print(&text)?)
}

/// Objects as `key: value` lines, lists as `-` lines, each level two spaces deeper.
fn write_value(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                indent(text, depth);
                text.push_str(key);
                text.push(':');
                write_below(text, value, depth);
            }
        }
        Value::Array(items) => {
            for item in items {
                indent(text, depth);
                text.push('-');
                write_item(text, item, depth);
            }
        }
        scalar => {
            indent(text, depth);
            text.push_str(&plain(scalar));
            text.push('\n');
        }
    }
}

/// The value behind `key:`, on the same line if it fits there.
fn write_below(text: &mut String, value: &Value, depth: usize) {
    if is_branch(value) {
        text.push('\n');
        write_value(text, value, depth + 1);
    } else {
        text.push(' ');
        text.push_str(&plain(value));
        text.push('\n');
    }
}

/// The value behind `-`: the first line of a branch starts right there.
fn write_item(text: &mut String, value: &Value, depth: usize) {
    if is_branch(value) {
        let mut block = String::new();
        write_value(&mut block, value, depth + 1);
        text.push(' ');
        text.push_str(block.trim_start());
    } else {
        write_below(text, value, depth);
    }
}

fn is_branch(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        // A bundle must not be able to write escape sequences to the terminal of who examines it.
        Value::String(text) if text.chars().any(char::is_control) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => "(none)".to_owned(),
        other => other.to_string(),
    }
}

fn indent(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_shows_every_value_of_the_report() {
        let report = json!({
            "bundle": "/b",
            "decisions": [
                {"rule": "process.no-new-privileges", "after": true},
                {"rule": "rlimits.core", "after": {"soft": 0}},
            ],
            "unknown": [],
            "paths": ["/a", "/b"],
        });
        let mut text = String::new();
        write_value(&mut text, &report, 0);
        let wanted = "\
bundle: /b
decisions:
  - after: true
    rule: process.no-new-privileges
  - after:
      soft: 0
    rule: rlimits.core
paths:
  - /a
  - /b
unknown: (none)
";
        assert_eq!(text, wanted);
    }

    #[test]
    fn control_characters_of_a_bundle_are_escaped() {
        let mut text = String::new();
        write_value(&mut text, &json!({"a": "x\u{1b}[2Jy"}), 0);
        assert_eq!(text, "a: \"x\\u001b[2Jy\"\n");
    }
}
