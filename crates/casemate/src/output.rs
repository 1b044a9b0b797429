//! Standard output, where a reader that has gone away is not an error.

use anyhow::Context;
use std::io::{ErrorKind, Write};

/// Writes text to standard output at once.
pub(crate) fn write(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Prints text and returns exit status 0, the end of every command that answers something.
pub(crate) fn print(text: &str) -> anyhow::Result<u8> {
    match write(text) {
        // `casemate list | head -1`
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(0),
        outcome => outcome.map(|()| 0).context("write to standard output"),
    }
}

/// Prints a value as JSON, two spaces for each level, with a line break at the end.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<u8> {
    let text = serde_json::to_string_pretty(value).context("encode the answer as JSON")?;
    print(&(text + "\n"))
}
