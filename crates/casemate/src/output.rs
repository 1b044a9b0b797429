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
    print(&(visible(&text) + "\n"))
}

/// JSON in which nothing moves a terminal: what is outside of ASCII is escaped where it is not to be seen, as JSON escapes the rest
/// by itself (RFC 8259, section 7).
fn visible(json: &str) -> String {
    if !json.chars().any(|c| !c.is_ascii() && is_unseen(c)) {
        return json.to_owned();
    }
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() || !is_unseen(c) {
            text.push(c);
            continue;
        }
        let mut units = [0; 2];
        c.encode_utf16(&mut units).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
    }
    text
}

/// Control characters, and the format characters and separators of Unicode: directions, joiners, lines and paragraphs, tags.
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_shows_what_cannot_be_seen_and_stays_the_same_json() {
        let value = serde_json::json!({"exe": "/a\u{202e}b\u{9b}c\u{e0001}", "name": "größe"});
        let shown = visible(&serde_json::to_string(&value).unwrap());
        assert!(shown.chars().all(|c| c.is_ascii() || !is_unseen(c)), "{shown}");
        assert!(shown.contains("größe"));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
