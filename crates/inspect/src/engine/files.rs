//! Configuration files in pieces: TOML with drop-ins, merged table by table as the engines do it.

use crate::host::Host;
use std::fmt;
use toml::{Table, Value};

/// A file that is not what it should be.
#[derive(Clone, Debug)]
pub(super) struct FileError {
    path: String,
    message: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.path, self.message)
    }
}

/// The file as TOML; an empty table when there is none.
pub(super) fn read(host: &Host, path: &str) -> Result<Option<Table>, FileError> {
    let Some(text) = host.read(path) else { return Ok(None) };
    if casemate_policy::nesting::too_many(&text).is_some() {
        let message = "more than 4000 lists and tables".to_owned();
        return Err(FileError { path: path.to_owned(), message });
    }
    text.parse::<Table>().map(Some).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let message = format!("line {line}: {}", error.message().replace('\n', " "));
        FileError { path: path.to_owned(), message }
    })
}

/// All files in order, a later one over the earlier ones. Also answers which of them exist.
pub(super) fn layered(host: &Host, paths: &[String]) -> Result<(Table, Vec<String>), FileError> {
    let mut merged = Table::new();
    let mut found = Vec::new();
    for path in paths {
        if let Some(table) = read(host, path)? {
            merge(&mut merged, table);
            found.push(path.clone());
        }
    }
    Ok((merged, found))
}

/// Tables are merged key by key; anything else is replaced, but for lists that say `{append=true}` (containers.conf(5)).
pub(super) fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (Some(Value::Array(old)), Value::Array(mut new)) if appends(&new) => {
                new.retain(|item| !item.is_table());
                old.extend(new);
            }
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn appends(list: &[Value]) -> bool {
    list.iter()
        .filter_map(Value::as_table)
        .any(|t| t.get("append").and_then(Value::as_bool) == Some(true))
}

/// The value at a path of keys.
pub(super) fn at<'a>(table: &'a Table, keys: &[&str]) -> Option<&'a Value> {
    let (first, rest) = keys.split_first()?;
    let value = table.get(*first)?;
    if rest.is_empty() {
        return Some(value);
    }
    at(value.as_table()?, rest)
}

/// A table at a path of keys.
pub(super) fn table<'a>(root: &'a Table, keys: &[&str]) -> Option<&'a Table> {
    at(root, keys)?.as_table()
}

/// A text at a path of keys.
pub(super) fn text<'a>(root: &'a Table, keys: &[&str]) -> Option<&'a str> {
    at(root, keys)?.as_str()
}

/// The texts of a list at a path of keys; empty when there is none.
pub(super) fn texts<'a>(root: &'a Table, keys: &[&str]) -> Vec<&'a str> {
    let list = at(root, keys).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_file_wins_key_by_key_and_lists_can_be_added_to() {
        let mut merged: Table = "[a]\nx = 1\nl = [\"p\"]\nm = [\"p\"]".parse().unwrap();
        merge(&mut merged, "[a]\ny = 2\nl = [\"q\", {append=true}]\nm = [\"q\"]".parse().unwrap());
        assert_eq!(at(&merged, &["a", "x"]).and_then(Value::as_integer), Some(1));
        assert_eq!(at(&merged, &["a", "y"]).and_then(Value::as_integer), Some(2));
        assert_eq!(texts(&merged, &["a", "l"]), ["p", "q"]);
        assert_eq!(texts(&merged, &["a", "m"]), ["q"]);
    }
}
