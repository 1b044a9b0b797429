//! `--format`: the forms of an answer.

use casemate_runtime::request::Invalid;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Text or a table, for people.
    Text,
    Json,
    Sarif,
}

/// How clap reads `--format` of a command that answers with text.
pub(super) fn text_or_json(name: &str) -> Result<Format, Invalid> {
    one_of(name, &[("text", Format::Text), ("json", Format::Json)])
}

/// The same of a command that answers with a table.
pub(super) fn table_or_json(name: &str) -> Result<Format, Invalid> {
    one_of(name, &[("table", Format::Text), ("json", Format::Json)])
}

/// The same of a command that answers with findings.
pub(super) fn text_json_or_sarif(name: &str) -> Result<Format, Invalid> {
    one_of(name, &[("text", Format::Text), ("json", Format::Json), ("sarif", Format::Sarif)])
}

fn one_of(name: &str, known: &[(&str, Format)]) -> Result<Format, Invalid> {
    let found = known.iter().find(|(known, _)| *known == name).map(|(_, format)| *format);
    found.ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        Invalid::new("invalid format option").with_hint(format!("one of {}", names.join(", ")))
    })
}
