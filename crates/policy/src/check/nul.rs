//! NUL bytes: every string of a configuration may end up as a C string, where a NUL would cut it short
//! and make the kernel see another path, name or value than the one that was checked.

use crate::spec::SpecError;
use serde_json::Value;

/// Refuses a document with a NUL in any string or key.
///
/// In JSON a NUL can only be written as an escape, so one scan of the bytes settles nearly every
/// document; only a hit (which may still be an escaped backslash before `u0000`) costs a look at the tree.
///
/// The standard library's search is used on purpose: crates that pick an instruction set at run time ask
/// the processor first, and in a virtual machine that question alone takes longer than this scan.
pub(crate) fn nul_bytes(text: &str) -> Result<(), SpecError> {
    if !text.contains("\\u0000") {
        return Ok(());
    }
    // What is no JSON the reader of the configuration refuses.
    let Ok(document) = serde_json::from_str::<Value>(text) else { return Ok(()) };
    match find(&document, String::new()) {
        Some(path) => Err(SpecError::new(path, "contains a NUL byte")),
        None => Ok(()),
    }
}

fn find(value: &Value, path: String) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then_some(path),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(i, item)| find(item, format!("{path}[{i}]")))
        }
        Value::Object(map) => map.iter().find_map(|(key, item)| {
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            if key.contains('\0') {
                return Some(below);
            }
            find(item, below)
        }),
        _ => None,
    }
}
