//! Options that only the file system understands.

use serde::Serialize;

/// One parameter for fsconfig(2): with a value (FSCONFIG_SET_STRING) or without (FSCONFIG_SET_FLAG).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FsOption {
    /// Name.
    pub key: String,
    /// Value.
    pub value: Option<String>,
}

/// Splits one option string at its commas and appends the parts.
///
/// mount(2) takes all parameters as one comma-separated text, and engines count on that: `size=1m,mode=700`
/// in one option means two. A comma inside double quotes (an SELinux context with categories) or behind a
/// backslash (an overlay path) does not split; quotes and those backslashes are not part of the value,
/// because fsconfig(2) takes values as they are.
pub(super) fn split_into(option: &str, into: &mut Vec<FsOption>) -> Result<(), String> {
    if !option.bytes().any(|byte| matches!(byte, b'"' | b',' | b'\\')) {
        push(option, into);
        return Ok(());
    }
    let mut part = String::with_capacity(option.len());
    let mut quoted = false;
    let mut chars = option.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => push(&std::mem::take(&mut part), into),
            '\\' if chars.peek() == Some(&',') => part.extend(chars.next()),
            _ => part.push(c),
        }
    }
    if quoted {
        return Err(format!("{option:?}: a quote is not closed"));
    }
    push(&part, into);
    Ok(())
}

fn push(part: &str, into: &mut Vec<FsOption>) {
    if part.is_empty() {
        return;
    }
    into.push(match part.split_once('=') {
        Some((key, value)) => FsOption { key: key.to_owned(), value: Some(value.to_owned()) },
        None => FsOption { key: part.to_owned(), value: None },
    });
}
