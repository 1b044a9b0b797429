//! Which properties of a configuration nobody reads: a list for `explain`, never an error.

use super::{Spec, SpecError};

/// JSON paths of all properties that this runtime ignores, in the order of the document.
///
/// # Errors
/// A document that [`Spec::parse`] could not read either.
pub fn unknown_properties(bytes: &[u8]) -> Result<Vec<String>, SpecError> {
    let mut paths = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read: Result<Spec, _> = serde_ignored::deserialize(&mut reader, |path| {
        paths.push(render(&path));
    });
    read.map_err(|error| SpecError::new("", error.to_string()))?;
    Ok(paths)
}

/// Writes a path the way errors do: `linux.namespaces[0].inode`.
fn render(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", render(parent)),
        Path::Map { parent, key } => match render(parent) {
            parent if parent.is_empty() => key.clone(),
            parent => format!("{parent}.{key}"),
        },
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => render(parent),
    }
}
