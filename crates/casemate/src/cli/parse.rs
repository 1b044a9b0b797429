//! From argv to an [`Invocation`]: casemate's own flags, the command word, the command's flags.

use super::globals::GlobalArgs;
use super::scan::{clap_words, scan, FlagsEnd, Scan, Seen};
use super::verb::{Arity, Verb};
use crate::usage::UsageError;
use casemate_runtime::request::Invalid;
use clap::error::{ContextKind, ContextValue};
use clap::{ArgMatches, Args, FromArgMatches};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};

/// What engines call it, and what it is called here.
const ELSEWHERE: [(&str, &str); 5] = [
    ("inspect", "state, explain or audit"),
    ("ls", "list"),
    ("rm", "delete"),
    ("stop", "kill"),
    ("version", "--version"),
];

/// A command line that has been read.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// The global options as far as they could be read: they hold the log file, which must exist even
    /// if the rest is wrong.
    pub(crate) globals: GlobalArgs,
    /// What to do, or what is wrong.
    pub(crate) wanted: Result<Wanted, Mistake>,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// Print the release.
    Version,
    /// Print the help of casemate (`None`) or of a command.
    Help(Option<&'static Verb>),
    /// Execute a command with its flags.
    Command(&'static Verb, Box<ArgMatches>),
}

/// What is wrong.
#[derive(Debug)]
pub(crate) enum Mistake {
    /// With the command line.
    Usage(UsageError),
    /// The number of arguments: the help of the command is printed too, as runc does.
    Count(&'static Verb, UsageError),
    /// A value, of which the command says what is wrong with it.
    Value(&'static Verb, UsageError),
}

impl From<UsageError> for Mistake {
    fn from(error: UsageError) -> Self {
        Mistake::Usage(error)
    }
}

/// The clap definition of the global options.
pub(crate) fn global_command() -> clap::Command {
    GlobalArgs::augment_args(clap::Command::new("casemate"))
}

/// Reads a whole argv, `argv[0]` included, for the commands `verbs`.
pub(crate) fn parse(argv: Vec<OsString>, verbs: &'static [Verb]) -> Invocation {
    let mut argv: VecDeque<OsString> = argv.into();
    let program = argv.pop_front().unwrap_or_else(|| "casemate".into());
    // Help is found by the scan.
    let global_command = global_command().disable_help_flag(true);
    let (front, outcome) = scan(&mut argv, &global_command, None, FlagsEnd::BeforeFirst);
    let Scan { own: mut seen, positionals, help, .. } = front;
    // Whatever stood behind a `--` is the command and its words.
    argv.extend(positionals);
    let wanted = match outcome {
        Err(error) => Err(error.with_hint("see 'casemate help'").into()),
        Ok(()) if help => Ok(Wanted::Help(None)),
        Ok(()) => Reader { program: &program, verbs, globals: &global_command, seen: &mut seen }
            .read(argv),
    };
    match read_globals(global_command, seen) {
        Ok(globals) if globals.version => Invocation { globals, wanted: Ok(Wanted::Version) },
        Ok(globals) => Invocation { globals, wanted },
        Err(error) => Invocation { globals: GlobalArgs::default(), wanted: Err(error.into()) },
    }
}

/// Reads from the command word on.
struct Reader<'a> {
    program: &'a OsStr,
    verbs: &'static [Verb],
    globals: &'a clap::Command,
    /// The global options met so far.
    seen: &'a mut Vec<Seen>,
}

impl Reader<'_> {
    fn read(&mut self, mut argv: VecDeque<OsString>) -> Result<Wanted, Mistake> {
        let Some(name) = argv.pop_front() else { return Ok(Wanted::Help(None)) };
        if name == "help" || name == "h" {
            return Ok(self.topic(argv.pop_front())?);
        }
        let asks_help = |word: &OsString| ["-h", "-help", "--help"].iter().any(|flag| word == flag);
        let verb = match self.named(&name) {
            Err(error) if argv.iter().any(asks_help) => return Err(no_topic(&name, error).into()),
            found => found?,
        };
        let command = verb.command().disable_help_flag(true);
        let (found, outcome) = scan(&mut argv, &command, Some(self.globals), verb.flags_end);
        self.seen.extend(found.inherited);
        outcome.map_err(|error| error.with_hint(format!("see 'casemate {} --help'", verb.name)))?;
        if found.help {
            return Ok(Wanted::Help(Some(verb)));
        }
        self.check_count(verb, found.positionals.len())?;
        let matches = command
            .try_get_matches_from(clap_words(found.own, found.positionals))
            .map_err(|error| match invalid(&error) {
                Some(Invalid { message, hint }) => {
                    let (message, hint) = (message.clone(), hint.clone());
                    Mistake::Value(verb, UsageError { message, hint })
                }
                None => translate(&error).into(),
            })?;
        Ok(Wanted::Command(verb, Box::new(matches)))
    }

    fn topic(&self, topic: Option<OsString>) -> Result<Wanted, UsageError> {
        match topic {
            None => Ok(Wanted::Help(None)),
            Some(name) if name == "help" || name == "h" => Ok(Wanted::Help(None)),
            Some(name) => match self.named(&name) {
                Ok(verb) => Ok(Wanted::Help(Some(verb))),
                Err(error) => Err(no_topic(&name, error)),
            },
        }
    }

    fn named(&self, name: &OsStr) -> Result<&'static Verb, UsageError> {
        let found = self.verbs.iter().find(|verb| name == verb.name);
        found.ok_or_else(|| self.unknown(&name.to_string_lossy()))
    }

    /// The text must not look like a missing value: podman takes that for support of checkpoints.
    fn unknown(&self, name: &str) -> UsageError {
        let names = self.verbs.iter().map(|verb| verb.name);
        let error = UsageError::new(format!("unknown command {name:?}"));
        let error = match ELSEWHERE.iter().find(|(word, _)| *word == name) {
            Some((_, ours)) => error.with_hint(format!("did you mean {ours}?")),
            None => error.suggesting(name, names, str::to_owned),
        };
        error.with_hint("'casemate help' lists the commands")
    }

    /// runc's words, with its way of naming the program.
    fn check_count(&self, verb: &'static Verb, count: usize) -> Result<(), Mistake> {
        if verb.arity.takes(count) {
            return Ok(());
        }
        let wrong = match verb.arity {
            Arity::Exactly(wanted) => format!("exactly {wanted}"),
            Arity::Between(_, most) if count > most => format!("a maximum of {most}"),
            Arity::AtLeast(least) | Arity::Between(least, _) => format!("a minimum of {least}"),
        };
        let (program, name) = (self.program.to_string_lossy(), verb.name);
        let message = format!("{program}: {name:?} requires {wrong} argument(s)");
        Err(Mistake::Count(verb, UsageError::new(message)))
    }
}

/// In the words of runc.
fn no_topic(name: &OsStr, unknown: UsageError) -> UsageError {
    let message = format!("No help topic for '{}': {unknown}", name.to_string_lossy());
    UsageError { message, ..unknown }
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

/// What a reader of values says in a whole sentence.
fn invalid(error: &clap::Error) -> Option<&Invalid> {
    std::error::Error::source(error)?.downcast_ref()
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
