//! Reads argv the way runc does and writes it down the way clap wants it.
//!
//! Engines were written against runc's parser, which differs from clap's in ways that they use: long
//! flags with one dash, `=false` after a switch, a flag given twice, values that begin with a dash,
//! flags after the positionals. This pass resolves all of that against the flags of a command and
//! yields one unambiguous `--name=value` per flag. It gives names no meaning and stops there.

use super::usage::UsageError;
use clap::ArgAction;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Where flags end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlagsEnd {
    /// At the first positional, which stays unread: the command word.
    BeforeFirst,
    /// After the first positional: what follows belongs to another program (exec, kill, ps).
    AfterFirst,
    /// At the end of argv.
    Never,
}

/// The flags of a command.
pub(crate) trait Flags {
    /// The one of this long name, or of this letter.
    fn find(&self, name: &str) -> Option<Known<'_>>;
}

/// What this pass has to know of a flag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    pub(crate) long: &'a str,
    pub(crate) takes: Takes,
}

/// The values of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// None: it is there or not.
    Nothing,
    /// One; the last counts.
    One,
    /// One each time; all count.
    Each,
}

/// A flag as it was met, with its value made explicit.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) long: String,
    pub(crate) value: Value,
    repeats: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Switch(bool),
    Text(OsString),
}

/// The outcome of one pass. It holds what was read up to an error too, so that an error can still be
/// written to the log file that was named before it.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Flags of the command itself.
    pub(crate) own: Vec<Seen>,
    /// Flags of casemate, met after the command word.
    pub(crate) inherited: Vec<Seen>,
    /// Everything else, in order.
    pub(crate) positionals: Vec<OsString>,
    /// `-h`, `--help` was met; nothing behind it has been read.
    pub(crate) help: bool,
}

/// Reads `argv` from the front up to where flags end, consuming what it reads.
pub(crate) fn scan(
    argv: &mut VecDeque<OsString>,
    own: &dyn Flags,
    inherited: Option<&dyn Flags>,
    end: FlagsEnd,
) -> (Scan, Result<(), UsageError>) {
    let mut scan = Scan::default();
    let outcome = scan.read(argv, own, inherited, end);
    (scan, outcome)
}

impl Scan {
    fn read(
        &mut self,
        argv: &mut VecDeque<OsString>,
        own: &dyn Flags,
        inherited: Option<&dyn Flags>,
        end: FlagsEnd,
    ) -> Result<(), UsageError> {
        while let Some(word) = argv.pop_front() {
            // The one `--` that ends the flags is dropped even right after exec's container id.
            if word == "--" {
                self.positionals.extend(argv.drain(..));
                return Ok(());
            }
            if end == FlagsEnd::AfterFirst && !self.positionals.is_empty() {
                self.positionals.push(word);
                self.positionals.extend(argv.drain(..));
                return Ok(());
            }
            match Token::of(&word)? {
                Token::Positional if end == FlagsEnd::BeforeFirst => {
                    argv.push_front(word);
                    return Ok(());
                }
                Token::Positional => self.positionals.push(word),
                Token::Flag { name, .. } if name == "help" || name == "h" => {
                    self.help = true;
                    return Ok(());
                }
                Token::Flag { name, value } => {
                    self.take(&word, name, value, argv, own, inherited)?
                }
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        word: &OsStr,
        name: &str,
        value: Option<OsString>,
        argv: &mut VecDeque<OsString>,
        own: &dyn Flags,
        inherited: Option<&dyn Flags>,
    ) -> Result<(), UsageError> {
        let (flag, seen) = match (own.find(name), inherited.and_then(|flags| flags.find(name))) {
            (Some(flag), _) => (flag, &mut self.own),
            // `-v` and its like are too short to mean casemate's own flag behind a command.
            (None, Some(flag)) if name.len() > 1 && name != "version" => {
                (flag, &mut self.inherited)
            }
            _ => return Err(UsageError::unknown_flag(name)),
        };
        let value = match flag.takes {
            Takes::Nothing => Value::Switch(go_bool(name, value)?),
            _ => match value.or_else(|| argv.pop_front()) {
                Some(value) => Value::Text(value),
                None => return Err(UsageError::missing_value(word)),
            },
        };
        let repeats = flag.takes == Takes::Each;
        seen.push(Seen { long: flag.long.to_owned(), value, repeats });
        Ok(())
    }
}

/// A word of argv.
enum Token<'a> {
    Positional,
    Flag { name: &'a str, value: Option<OsString> },
}

impl<'a> Token<'a> {
    fn of(word: &'a OsStr) -> Result<Self, UsageError> {
        let bytes = word.as_bytes();
        let body = match bytes {
            // A dash and no letter, as in `-9` or `-`: runc takes it for a positional.
            [b'-', b'-', body @ ..] => body,
            [b'-', first, ..] if first.is_ascii_alphabetic() => &bytes[1..],
            _ => return Ok(Token::Positional),
        };
        let (name, value) = match body.iter().position(|byte| *byte == b'=') {
            Some(at) => (&body[..at], Some(OsString::from_vec(body[at + 1..].to_vec()))),
            None => (body, None),
        };
        match std::str::from_utf8(name) {
            Ok(name) if !name.is_empty() => Ok(Token::Flag { name, value }),
            _ => Err(UsageError::unknown_flag(&String::from_utf8_lossy(name))),
        }
    }
}

/// The letter that a flag was called by: a name of one character is never a long one.
pub(crate) fn letter_of(name: &str) -> Option<char> {
    let mut letters = name.chars();
    letters.next().filter(|_| letters.next().is_none())
}

impl Flags for clap::Command {
    fn find(&self, name: &str) -> Option<Known<'_>> {
        let fits = |arg: &&clap::Arg| match letter_of(name) {
            None => arg.get_long() == Some(name),
            Some(letter) => {
                arg.get_short() == Some(letter)
                    || arg.get_all_short_aliases().is_some_and(|all| all.contains(&letter))
            }
        };
        let arg = self.get_arguments().filter(|arg| !arg.is_positional()).find(fits)?;
        let takes = match arg.get_action() {
            ArgAction::SetTrue => Takes::Nothing,
            ArgAction::Append => Takes::Each,
            _ => Takes::One,
        };
        Some(Known { long: arg.get_long().unwrap_or_default(), takes })
    }
}

/// Go's `strconv.ParseBool`; no value means true.
fn go_bool(name: &str, value: Option<OsString>) -> Result<bool, UsageError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(true) };
    parse_go_bool(&value.to_string_lossy())
        .ok_or_else(|| UsageError::bad_value(&value, name, "neither true nor false"))
}

/// The spellings of Go's `strconv.ParseBool`; `None` for any other.
pub(crate) fn parse_go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The words for clap: one `--name=value` for each flag that counts (the last of a scalar, every one of
/// a list), then `--`, then the positionals.
pub(crate) fn clap_words(seen: Vec<Seen>, positionals: Vec<OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["casemate".into()];
    for (at, flag) in seen.iter().enumerate() {
        let overridden =
            !flag.repeats && seen[at + 1..].iter().any(|later| later.long == flag.long);
        if !overridden {
            words.extend(flag.word());
        }
    }
    words.push("--".into());
    words.extend(positionals);
    words
}

impl Seen {
    fn word(&self) -> Option<OsString> {
        let mut word = OsString::from(format!("--{}", self.long));
        match &self.value {
            Value::Switch(false) => return None,
            Value::Switch(true) => {}
            Value::Text(value) => {
                word.push("=");
                word.push(value);
            }
        }
        Some(word)
    }
}
