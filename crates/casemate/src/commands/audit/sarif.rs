//! The report as SARIF 2.1.0 (OASIS, March 2020), for tools that collect findings.

use super::line;
use crate::version;
use casemate_inspect::report::{ControlReport, Finding, Level, Report};
use casemate_runtime::files::read_capped;
use serde_json::{json, Value};
use std::path::Path;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The whole log, with one run.
pub(super) fn document(report: &Report) -> Value {
    let rules = Rules::of(report);
    let config = report.subject.config.as_deref().and_then(text);
    let results: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| result(finding, &rules, report, config.as_deref()))
        .collect();
    let rules: Vec<Value> = rules.0.iter().map(|(_, rule)| rule.clone()).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "casemate",
                "version": version::RELEASE,
                "semanticVersion": version::RELEASE,
                "rules": rules,
            }},
            "columnKind": "utf16CodeUnits",
            "results": results,
            "properties": {
                "subject": report.subject,
                "profile": report.profile,
                "verdict": report.verdict,
                "standards": report.standards,
            },
        }],
    })
}

/// The rules in their order, by id: results refer to them by number.
struct Rules(Vec<(String, Value)>);

impl Rules {
    fn of(report: &Report) -> Self {
        let mut rules: Vec<(String, Value)> =
            report.controls.iter().map(|control| (control.id.clone(), rule(control))).collect();
        for finding in &report.findings {
            if !rules.iter().any(|(id, _)| *id == finding.control) {
                let text = "a difference between what was recorded and what is";
                let described = described(&finding.control, text, finding.level);
                rules.push((finding.control.clone(), described));
            }
        }
        Self(rules)
    }

    fn number(&self, id: &str) -> Option<usize> {
        self.0.iter().position(|(known, _)| known == id)
    }
}

fn rule(control: &ControlReport) -> Value {
    let mut rule = described(&control.id, control.summary, control.severity);
    if !control.allow.is_empty() {
        let text = format!("{}; overrides: {}", control.summary, control.allow.join(", "));
        rule["help"] = json!({ "text": text });
    }
    rule
}

fn described(id: &str, text: &str, level: Level) -> Value {
    json!({
        "id": id,
        "shortDescription": {"text": text},
        "defaultConfiguration": {"level": level_of(level)},
        "properties": {"tags": ["security"], "security-severity": score(level)},
    })
}

fn result(finding: &Finding, rules: &Rules, report: &Report, config: Option<&str>) -> Value {
    let mut result = json!({
        "ruleId": finding.control,
        "level": level_of(finding.level),
        "message": {"text": finding.message},
        "locations": [location(finding, report, config)],
    });
    if let Some(number) = rules.number(&finding.control) {
        result["ruleIndex"] = json!(number);
    }
    result
}

/// The configuration as it is now, for the lines: what stands in the report was read before. A bundle whose container
/// runs may be gone; then findings have no lines.
fn text(config: &str) -> Option<String> {
    let path = Path::new(config);
    let bytes = path.is_file().then(|| read_capped(path).ok()).flatten()?;
    String::from_utf8(bytes).ok()
}

/// The file with the line, and the JSON pointer in it; of a process, its number.
fn location(finding: &Finding, report: &Report, config: Option<&str>) -> Value {
    let subject = &report.subject;
    // Entries that are added to a list have the list's place.
    let pointer = finding.pointer.trim_end_matches("/-");
    let mut location = json!({});
    if let Some(path) = &subject.config {
        location["physicalLocation"] = json!({"artifactLocation": {"uri": file_uri(path)}});
        if let Some(config) = config {
            let line = line::of_pointer(config, pointer);
            location["physicalLocation"]["region"] = json!({ "startLine": line });
        }
    }
    let name = match (pointer, subject.pid) {
        ("", Some(pid)) => {
            json!({"fullyQualifiedName": format!("process {pid}"), "kind": "resource"})
        }
        ("", None) => return location,
        _ => json!({"fullyQualifiedName": pointer, "kind": "member"}),
    };
    location["logicalLocations"] = json!([name]);
    location
}

/// RFC 8089, with everything escaped that is no plain path character.
fn file_uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~+".contains(&byte);
    let escaped: String = path
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    format!("file://{escaped}")
}

fn level_of(level: Level) -> &'static str {
    match level {
        Level::High => "error",
        Level::Medium => "warning",
        Level::Low | Level::Note => "note",
    }
}

/// Tools sort by this number, in the bands of CVSS.
fn score(level: Level) -> &'static str {
    match level {
        Level::High => "8.0",
        Level::Medium => "5.5",
        Level::Low => "3.0",
        Level::Note => "0.5",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris_without_blanks() {
        assert_eq!(file_uri("/a b/config.json"), "file:///a%20b/config.json");
    }
}
