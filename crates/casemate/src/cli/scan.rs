//! Reads argv the way runc does and writes it down the way clap wants it.
//!
//! Engines were written against runc's parser, which differs from clap's in ways that they use: long
//! flags with one dash, `=false` after a switch, a flag given twice, values that begin with a dash,
//! flags after the positionals. This pass resolves all of that against the flags of a command and
//! yields one unambiguous `--name=value` per flag. It gives names no meaning and stops there.

use crate::usage::UsageError;
use clap::{Arg, ArgAction, Command};
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

/// Flags whose value may not be empty. Of any other an empty value counts as none: engines and scripts
/// pass variables that may be empty.
const NEVER_EMPTY: [&str; 5] = ["root", "cgroup-manager", "pid", "preserve-fds", "interval"];

/// A flag as it was met, with its value made explicit.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    long: String,
    value: Value,
    repeats: bool,
}

#[derive(Clone, Debug)]
enum Value {
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
    own: &Command,
    inherited: Option<&Command>,
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
        own: &Command,
        inherited: Option<&Command>,
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

    fn take<'a>(
        &mut self,
        word: &OsStr,
        name: &str,
        value: Option<OsString>,
        argv: &mut VecDeque<OsString>,
        own: &'a Command,
        inherited: Option<&'a Command>,
    ) -> Result<(), UsageError> {
        let of = |command: Option<&'a Command>| command.and_then(|command| find(command, name));
        let (flag, seen) = match (find(own, name), of(inherited)) {
            (Some(flag), _) => (flag, &mut self.own),
            // `-v` and its like are too short to mean casemate's own flag behind a command.
            (None, Some(flag)) if name.len() > 1 && name != "version" => {
                (flag, &mut self.inherited)
            }
            _ => return Err(unknown(name, own, inherited)),
        };
        let value = match flag.get_action() {
            ArgAction::SetTrue => Value::Switch(go_bool(name, value)?),
            _ => match value.or_else(|| argv.pop_front()) {
                Some(value) => Value::Text(value),
                None => return Err(UsageError::missing_value(word)),
            },
        };
        let repeats = matches!(flag.get_action(), ArgAction::Append);
        seen.push(Seen { long: flag.get_long().unwrap_or_default().to_owned(), value, repeats });
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

/// The flag of this long name or letter: a name of one character is never a long one.
fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let mut letters = name.chars();
    let letter = letters.next().filter(|_| letters.next().is_none());
    let fits = |arg: &&Arg| match letter {
        None => arg.get_long() == Some(name),
        letter => {
            arg.get_short() == letter
                || arg
                    .get_all_short_aliases()
                    .is_some_and(|all| all.iter().any(|short| Some(*short) == letter))
        }
    };
    command.get_arguments().filter(|arg| !arg.is_positional()).find(fits)
}

fn unknown(name: &str, own: &Command, inherited: Option<&Command>) -> UsageError {
    let all = [Some(own), inherited].into_iter().flatten().flat_map(Command::get_arguments);
    let known = all.filter(|arg| !arg.is_hide_set()).filter_map(Arg::get_long).chain(["help"]);
    UsageError::unknown_flag(name).suggesting(name, known, |meant| format!("--{meant}"))
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
        if !overridden && !flag.is_empty() {
            words.extend(flag.word());
        }
    }
    words.push("--".into());
    words.extend(positionals);
    words
}

impl Seen {
    /// As good as no flag.
    fn is_empty(&self) -> bool {
        let empty = matches!(&self.value, Value::Text(value) if value.is_empty());
        empty && !self.repeats && !NEVER_EMPTY.contains(&self.long.as_str())
    }

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
