//! Places in the text of a policy file, and what is wrong with it there.

use crate::error::PolicyError;
use toml::de::{DeTable, DeValue};
use toml::Spanned;

/// Where in which file.
pub(super) struct Places<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Places<'_> {
    pub(super) fn at(&self, offset: usize) -> String {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{}:{line}", self.file)
    }

    pub(super) fn of<T>(&self, value: &Spanned<T>) -> String {
        self.at(value.span().start)
    }
}

/// Nothing that would end the reader of TOML.
pub(super) fn shallow(file: &str, text: &str) -> Result<(), PolicyError> {
    match crate::nesting::too_many(text) {
        None => Ok(()),
        Some(at) => {
            Err(PolicyError::new("more than 4000 lists and tables")
                .at(Places { file, text }.at(at)))
        }
    }
}

/// What the reader of TOML says, with the place.
pub(super) fn syntax(file: &str, text: &str, error: &toml::de::Error) -> PolicyError {
    let at = error.span().map_or(0, |span| span.start);
    let other = || PolicyError::new(without_types(&error.message().replace('\n', " ")));
    twice(text, at).unwrap_or_else(other).at(Places { file, text }.at(at))
}

/// Who writes a file has tables, and no types of Rust's.
fn without_types(message: &str) -> String {
    let Some((before, rest)) = message.split_once("expected struct ") else {
        return message.to_owned();
    };
    let behind = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    format!("{before}expected a table{behind}")
}

/// What is wrong where a key stands a second time: which, and where it stood first; `None`:
/// something else is wrong there.
fn twice(text: &str, at: usize) -> Option<PolicyError> {
    let (before, rest) = text.split_at_checked(at)?;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let earlier = before.get(..start)?;
    let line = format!("{}{}", &before[start..], rest.lines().next().unwrap_or_default());
    let line = line.trim();
    let (key, first) = if line.starts_with('[') {
        let header = line.split('#').next().unwrap_or_default().trim();
        (header.to_owned(), earlier.lines().position(|other| other.trim().starts_with(header))?)
    } else {
        first_of(earlier, line)?
    };
    let first = first + 1;
    let error = PolicyError::new(format!("{key} stands here a second time, first at line {first}"));
    Some(error.with_hint("put the two together, or use a file of its own in policy.d"))
}

/// Help for a message: what cannot be parsed has none. The key of an assignment, if the table that `earlier` ends in has it already, and on which line,
/// counted from 0.
fn first_of(earlier: &str, assignment: &str) -> Option<(String, usize)> {
    const HERE: &str = "\"where it ends\"";
    let name = |text: &str| {
        let table = DeTable::parse(text).ok()?.into_inner();
        table.keys().next().map(|key| key.get_ref().to_string())
    };
    let key = name(&format!("{} = 0", assignment.split('=').next()?.trim()))?;
    let marked = format!("{earlier}\n{HERE} = 0\n");
    let root = DeTable::parse(&marked).ok()?.into_inner();
    let mut tables = vec![&root];
    while let Some(table) = tables.pop() {
        if table.keys().any(|key| key.get_ref() == HERE.trim_matches('"')) {
            let (found, _) = table.iter().find(|(other, _)| *other.get_ref() == key)?;
            let line = earlier.get(..found.span().start)?.matches('\n').count();
            return Some((key, line));
        }
        for value in table.values() {
            match value.get_ref() {
                DeValue::Table(inner) => tables.push(inner),
                DeValue::Array(list) => {
                    tables.extend(list.iter().filter_map(|one| match one.get_ref() {
                        DeValue::Table(inner) => Some(inner),
                        _ => None,
                    }));
                }
                _ => {}
            }
        }
    }
    None
}
