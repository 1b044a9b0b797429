//! From argv to an [`Invocation`]: casemate's own flags, the command word, the command's flags.

use super::globals::GlobalArgs;
use super::quick;
use super::scan::{clap_words, scan, Flags, FlagsEnd, Scan, Seen};
use super::usage::UsageError;
use super::verbs::{Arity, Asked, Verb};
use clap::error::{ContextKind, ContextValue};
use clap::{Args, FromArgMatches};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};

/// A command line that has been read.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// The global options as far as they could be read: they hold the log file, which must exist even
    /// if the rest is wrong.
    pub(crate) globals: GlobalArgs,
    /// What to do, or what is wrong.
    pub(crate) wanted: Result<Wanted, UsageError>,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// Print the release.
    Version,
    /// Print the help of casemate (`None`) or of a command.
    Help(Option<&'static Verb>),
    /// Execute a command.
    Command(Box<Asked>),
}

/// The clap definition of the global options.
pub(crate) fn global_command() -> clap::Command {
    GlobalArgs::augment_args(clap::Command::new("casemate"))
}

/// Reads a whole argv, `argv[0]` included.
pub(crate) fn parse(argv: Vec<OsString>) -> Invocation {
    quick::parse(&argv).unwrap_or_else(|| thorough(argv))
}

/// What is read with clap: all commands, and all mistakes. Not inline: its objects are large, and what comes next uses the same
/// pages of the stack again.
#[inline(never)]
pub(super) fn thorough(argv: Vec<OsString>) -> Invocation {
    let mut argv: VecDeque<OsString> = argv.into();
    let program = argv.pop_front().unwrap_or_else(|| "casemate".into());
    let global_command = global_command();
    let (front, outcome) = scan(&mut argv, &global_command, None, FlagsEnd::BeforeFirst);
    let Scan { own: mut seen, positionals, help, .. } = front;
    // Whatever stood behind a `--` is the command and its words.
    argv.extend(positionals);
    let wanted = match outcome {
        Err(error) => Err(error.with_hint("see 'casemate help'")),
        Ok(()) if help => Ok(Wanted::Help(None)),
        Ok(()) => read_command(&program, &mut argv, &global_command, &mut seen),
    };
    match read_globals(global_command, seen) {
        Ok(globals) if globals.version => Invocation { globals, wanted: Ok(Wanted::Version) },
        Ok(globals) => Invocation { globals, wanted },
        Err(error) => Invocation { globals: GlobalArgs::default(), wanted: Err(error) },
    }
}

fn read_command(
    program: &OsStr,
    argv: &mut VecDeque<OsString>,
    global_command: &clap::Command,
    globals_seen: &mut Vec<Seen>,
) -> Result<Wanted, UsageError> {
    let Some(name) = argv.pop_front() else { return Ok(Wanted::Help(None)) };
    if name == "help" || name == "h" {
        return help_topic(argv.pop_front());
    }
    let asks_help = |word: &OsString| ["-h", "-help", "--help"].iter().any(|flag| word == flag);
    let verb = match find_verb(&name) {
        Err(_) if argv.iter().any(asks_help) => return Err(UsageError::unknown_topic(&name)),
        found => found?,
    };
    let command = verb.command();
    let (found, outcome) = scan(argv, &command, Some(global_command as &dyn Flags), verb.flags_end);
    globals_seen.extend(found.inherited);
    outcome.map_err(|error| error.with_hint(format!("see 'casemate {} --help'", verb.name)))?;
    if found.help {
        return Ok(Wanted::Help(Some(verb)));
    }
    check_count(program, verb, found.positionals.len())?;
    let matches = command
        .try_get_matches_from(clap_words(found.own, found.positionals))
        .map_err(|error| translate(&error))?;
    let asked = verb.read(&matches).map_err(|error| translate(&error))?;
    Ok(Wanted::Command(Box::new(asked)))
}

fn help_topic(topic: Option<OsString>) -> Result<Wanted, UsageError> {
    match topic {
        None => Ok(Wanted::Help(None)),
        Some(name) if name == "help" || name == "h" => Ok(Wanted::Help(None)),
        Some(name) => match find_verb(&name) {
            Ok(verb) => Ok(Wanted::Help(Some(verb))),
            Err(_) => Err(UsageError::unknown_topic(&name)),
        },
    }
}

fn find_verb(name: &OsStr) -> Result<&'static Verb, UsageError> {
    name.to_str().and_then(Verb::named).ok_or_else(|| UsageError::unknown_command(name))
}

fn read_globals(command: clap::Command, seen: Vec<Seen>) -> Result<GlobalArgs, UsageError> {
    if seen.is_empty() {
        return Ok(GlobalArgs::default());
    }
    let matches = command
        .try_get_matches_from(clap_words(seen, Vec::new()))
        .map_err(|error| translate(&error))?;
    GlobalArgs::from_arg_matches(&matches).map_err(|error| translate(&error))
}

/// runc's words, with its way of naming the program.
fn check_count(program: &OsStr, verb: &'static Verb, count: usize) -> Result<(), UsageError> {
    if verb.arity.takes(count) {
        return Ok(());
    }
    let wrong = match verb.arity {
        Arity::Exactly(wanted) => format!("exactly {wanted}"),
        Arity::Between(_, most) if count > most => format!("a maximum of {most}"),
        Arity::AtLeast(least) | Arity::Between(least, _) => format!("a minimum of {least}"),
    };
    let (program, name) = (program.to_string_lossy(), verb.name);
    let message = format!("{program}: {name:?} requires {wrong} argument(s)");
    Err(UsageError { message, hint: None, help_of: Some(verb) })
}

/// What clap still finds wrong after the scan are values of the wrong type, and text that is not UTF-8.
fn translate(error: &clap::Error) -> UsageError {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue)) {
        (Some(arg), Some(value)) => {
            let flag = arg.split_whitespace().next().unwrap_or(arg).trim_start_matches('-');
            let reason = std::error::Error::source(error).map(ToString::to_string);
            UsageError::bad_value(value.as_ref(), flag, reason.as_deref().unwrap_or("not allowed"))
        }
        _ if error.kind() == clap::error::ErrorKind::InvalidUtf8 => {
            UsageError::new("an argument is not valid UTF-8".to_owned())
        }
        _ => UsageError::new(error.to_string().trim().replace('\n', " ")),
    }
}
