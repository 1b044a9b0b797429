//! The report of `explain` for people: first what hardening changed and why, then what it left alone, what is
//! worth knowing, and the whole configuration as it would run.
//!
//! Nothing of the report is dropped: a key that this module does not know is printed as it is. All text
//! comes from a bundle that may be hostile, so control characters never reach the terminal.

use serde_json::{Map, Value};

/// Renders the report; the keys are those that `casemate_runtime::ops::explain` documents.
pub(in super::super) fn render(report: &Value) -> String {
    let Value::Object(report) = report else { return generic(report) };
    let mut rest = report.clone();
    let mut take = |key: &str| rest.remove(key).unwrap_or(Value::Null);
    let mut text = format!(
        "Container {} from {}, profile {}\n",
        word(&take("id")),
        word(&take("bundle")),
        word(&take("profile"))
    );
    decisions(&mut text, &take("decisions"));
    listed(&mut text, "Worth knowing:", &take("warnings"));
    listed(
        &mut text,
        "Ignored, since the specification does not know it:",
        &take("unknownProperties"),
    );
    let spec = take("spec");
    for (key, value) in &rest {
        text.push_str(&format!("\n{key}:\n"));
        write_value(&mut text, value, 1);
    }
    if !spec.is_null() {
        text.push_str("\nThe configuration as it would run:\n");
        write_value(&mut text, &spec, 1);
    }
    text
}

fn generic(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value, 0);
    text
}

fn decisions(text: &mut String, decisions: &Value) {
    let decisions: Vec<&Map<String, Value>> =
        decisions.as_array().into_iter().flatten().filter_map(Value::as_object).collect();
    let kept = |decision: &Map<String, Value>| verdict(decision) == "kept";
    text.push_str("\nWhat hardening does:\n");
    let mut changes = decisions.iter().filter(|decision| !kept(decision)).peekable();
    if changes.peek().is_none() {
        text.push_str("  nothing\n");
    }
    for decision in changes {
        change(text, decision);
    }
    let mut unchanged = decisions.iter().filter(|decision| kept(decision)).peekable();
    if unchanged.peek().is_some() {
        text.push_str("\nFine as it is:\n");
    }
    for decision in unchanged {
        let field = |key: &str| decision.get(key).map_or_else(String::new, word);
        text.push_str(&format!("  {:<26} {}\n", field("rule"), field("reason")));
    }
}

fn verdict(decision: &Map<String, Value>) -> &str {
    decision.get("verdict").and_then(Value::as_str).unwrap_or_default()
}

/// One decision: a head line, why, and each other field on a line of its own.
fn change(text: &mut String, decision: &Map<String, Value>) {
    let field = |key: &str| decision.get(key).map_or_else(String::new, word);
    let (verdict, rule, pointer) = (field("verdict"), field("rule"), field("pointer"));
    text.push_str(&format!("  {verdict:<9} {rule:<26} {pointer}\n"));
    let reason = field("reason");
    if !reason.is_empty() {
        text.push_str(&format!("            why: {reason}\n"));
    }
    if let Some(by) = decision.get("source").and_then(decided_by) {
        text.push_str(&format!("            by: {by}\n"));
    }
    let before_then_after =
        ["before", "after"].into_iter().filter_map(|key| Some((key, decision.get(key)?)));
    let shown = ["verdict", "rule", "pointer", "reason", "source", "before", "after"];
    let others = decision
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .filter(|(key, _)| !shown.contains(key));
    for (key, value) in before_then_after.chain(others) {
        text.push_str(&format!("            {key}: {}\n", in_line(value)));
    }
}

/// Who decided, unless it was the profile, as everywhere where nothing is said.
fn decided_by(source: &Value) -> Option<String> {
    if source == "profile" {
        return None;
    }
    if source == "commandLine" {
        return Some("the command line".to_owned());
    }
    let of = |key: &str| source.get(key).map(word);
    let annotation = of("annotation").map(|by| format!("an annotation, permitted by {by}"));
    Some(annotation.or_else(|| of("policy")).unwrap_or_else(|| in_line(source)))
}

/// A list under a heading; no heading without a list.
fn listed(text: &mut String, heading: &str, items: &Value) {
    let Some(items) = items.as_array().filter(|items| !items.is_empty()) else { return };
    text.push_str(&format!("\n{heading}\n"));
    for item in items {
        let line = match (item.get("path"), item.get("message")) {
            (Some(path), Some(message)) => format!("{}: {}", word(path), word(message)),
            _ => in_line(item),
        };
        text.push_str(&format!("  {line}\n"));
    }
}

/// Any value in one line: a list of words as words, an object as `key=value` pairs.
fn in_line(value: &Value) -> String {
    match value {
        Value::Array(items) if !items.is_empty() => {
            items.iter().map(in_line).collect::<Vec<_>>().join(" ")
        }
        Value::Object(fields) if !fields.is_empty() => {
            let pair = |(key, value): (&String, &Value)| {
                format!("{}={}", word(&Value::from(key.as_str())), in_line(value))
            };
            fields.iter().map(pair).collect::<Vec<_>>().join(" ")
        }
        other => word(other),
    }
}

/// Objects as `key: value` lines, lists as `-` lines, each level two spaces deeper.
fn write_value(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                indent(text, depth);
                text.push_str(&word(&Value::from(key.as_str())));
                text.push(':');
                write_below(text, value, depth);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                indent(text, depth);
                text.push('-');
                write_item(text, item, depth);
            }
        }
        scalar => {
            indent(text, depth);
            text.push_str(&word(scalar));
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
        text.push_str(&word(value));
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

/// A scalar as it stands; a string with control characters as JSON.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) if text.chars().any(char::is_control) => escaped(text),
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => "(none)".to_owned(),
        other => other.to_string(),
    }
}

/// JSON leaves the C1 controls alone, which some terminals obey; `escape_debug` does not.
fn escaped(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

fn indent(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn changes_come_first_with_reason_before_and_after() {
        let report = json!({
            "id": "web", "bundle": "/b", "profile": "hardened",
            "decisions": [
                {"rule": "namespaces.mount", "verdict": "kept", "pointer": "/linux/namespaces",
                 "reason": "has one"},
                {"rule": "rlimits.core", "verdict": "added", "pointer": "/process/rlimits/-",
                 "reason": "secrets", "after": {"hard": 0, "soft": 0}},
                {"rule": "capabilities.ceiling", "verdict": "tightened", "pointer": "/p",
                 "reason": "ceiling", "before": ["A", "B"], "after": ["A"]},
            ],
            "warnings": [{"path": "mounts[0]", "message": "relative"}], "unknownProperties": ["linux.colour"],
            "spec": {"hostname": "x", "mounts": [{"destination": "/proc", "options": ["ro"]}]},
            "new": 1,
        });
        let wanted = "\
Container web from /b, profile hardened

What hardening does:
  added     rlimits.core               /process/rlimits/-
            why: secrets
            after: hard=0 soft=0
  tightened capabilities.ceiling       /p
            why: ceiling
            before: A B
            after: A

Fine as it is:
  namespaces.mount           has one

Worth knowing:
  mounts[0]: relative

Ignored, since the specification does not know it:
  linux.colour

new:
  1

The configuration as it would run:
  hostname: x
  mounts:
    - destination: /proc
      options:
        - ro
";
        assert_eq!(render(&report), wanted);
    }

    #[test]
    fn control_characters_of_a_bundle_are_escaped_everywhere() {
        let evil = "x\u{1b}[2J\u{9b}y\n";
        let report = json!({
            "id": evil, "bundle": evil, "profile": evil, "warnings": [evil, {"a": evil}],
            "decisions": [{"rule": evil, "verdict": evil, "reason": evil, "after": {evil: evil}}],
            "spec": {evil: evil, "list": [evil]},
        });
        let text = render(&report);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}
