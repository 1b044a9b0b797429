//! Text for people: colours where a terminal shows them, columns, and no control characters of anybody else.

use crate::output::is_unseen;
use std::io::IsTerminal;

/// What a word says, and so its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Note,
    Warn,
    Bad,
    Strong,
    Dim,
}

/// Whether to colour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    colour: bool,
}

impl Style {
    /// For standard output: coloured only on a terminal, and not where the user says no (no-color.org).
    pub(crate) fn of_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { colour: std::io::stdout().is_terminal() && !unwanted }
    }

    /// Without colour.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self { colour: false }
    }

    /// The text in the colour of its tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Note => "36",
            Tone::Warn => "33",
            Tone::Bad => "31;1",
            Tone::Strong => "1",
            Tone::Dim => "2",
        };
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// The same, followed by blanks up to `width`, which the colour does not count towards.
    pub(crate) fn padded(self, tone: Tone, text: &str, width: usize) -> String {
        let blanks = width.saturating_sub(text.chars().count());
        format!("{}{}", self.paint(tone, text), " ".repeat(blanks))
    }
}

/// Control characters escaped, and what changes the order or the lines of what is shown: names and paths come from bundles and
/// containers.
pub(crate) fn clean(text: &str) -> String {
    if !text.chars().any(is_unseen) {
        return text.to_owned();
    }
    let escape = |c: char| match is_unseen(c) {
        true if c.is_control() => c.escape_debug().to_string(),
        true => c.escape_unicode().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// The text in lines of at most `width` characters, broken at blanks.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else if let Some(last) = lines.last_mut() {
            if line > 0 {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// How wide the terminal is; 120 where nobody can say.
pub(crate) fn width() -> usize {
    // No terminal, no width.
    let columns = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| size.ws_col);
    if columns < 60 {
        120
    } else {
        usize::from(columns).min(160)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_blanks_and_long_words_stay_whole() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("incomprehensible", 4), ["incomprehensible"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn padding_counts_what_is_seen() {
        let coloured = Style { colour: true }.padded(Tone::Good, "ok", 4);
        assert_eq!(coloured, "\u{1b}[32mok\u{1b}[0m  ");
        assert_eq!(Style::plain().padded(Tone::Bad, "é", 3), "é  ");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }
}
