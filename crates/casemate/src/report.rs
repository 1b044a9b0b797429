//! How a failure is told: one record in the log, one line on standard error.
//!
//! Engines read both. containerd takes the last JSON object of the log, podman the whole log as a single
//! one, conmon and CRI-O only standard error, and all of them match on parts of the text. So nothing
//! else is written to standard error, but for the steps that `--debug` asks for without a log, and the log gets exactly one error per failure.

use crate::cause::Cause;
use crate::steps::{Details, Listener};
use anyhow::{bail, Context};
use casemate_runtime::report::bounded;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::SystemTime;

/// The options of the log.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub(crate) struct LogArgs {
    /// Append log lines to this file; it is created even if nothing is logged
    #[arg(long, value_name = "FILE", help_heading = "Logging")]
    log: Option<OsString>,

    /// Format of the log lines: text or json [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = "Logging")]
    log_format: Option<String>,

    /// Lowest level to log: error, warning, info or debug [default: warning]
    #[arg(long, value_name = "LEVEL", help_heading = "Logging")]
    log_level: Option<String>,

    /// The same as --log-level debug
    #[arg(long, help_heading = "Logging")]
    debug: bool,
}

impl LogArgs {
    /// Whether the steps are to be told.
    pub(crate) fn is_debug(&self) -> bool {
        self.debug || self.log_level.as_deref() == Some("debug")
    }
}

/// Importance of a log line, most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Error,
    Warning,
    Info,
    Debug,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Level::Error, Level::Warning, Level::Info, Level::Debug]
            .into_iter()
            .find(|level| level.name() == name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

/// Where failures and log lines go.
#[derive(Debug)]
pub(crate) struct Reporter {
    log: Option<File>,
    format: Format,
    most: Level,
    /// Neither a log file nor a format was asked for.
    plain: bool,
}

impl Reporter {
    /// Opens the log as the options say. This comes first of all: containerd reports a missing log file
    /// in place of the error that it should have held. On failure the reporter still works, without
    /// the part that failed.
    pub(crate) fn open(options: &LogArgs) -> (Self, anyhow::Result<()>) {
        let (log, log_outcome) = match options.log.as_deref() {
            None => (None, Ok(())),
            Some(name) => split(open_log(name)),
        };
        let (format, format_outcome) = split(format_of(options.log_format.as_deref()));
        let (most, level_outcome) = split(level_of(options));
        let plain = options.log.is_none() && options.log_format.is_none();
        let reporter = Self {
            log,
            format: format.unwrap_or(Format::Text),
            most: most.unwrap_or(Level::Warning),
            plain,
        };
        (reporter, log_outcome.and(format_outcome).and(level_outcome))
    }

    /// Tells of a failure.
    pub(crate) fn failure(&mut self, error: &anyhow::Error) {
        let cause = Cause::of(error);
        let record = self.format.record(Level::Error, &cause, &[]);
        let stderr = match &mut self.log {
            Some(log) => {
                let logged = log.write_all(record.as_bytes());
                // A full disk must not hide the error itself.
                let unlogged = logged.err().map(|error| format!(" (not logged: {error})"));
                format!("{}{}\n", cause.line(), unlogged.unwrap_or_default())
            }
            // Only a person reads a terminal; engines always attach pipes or files.
            None if self.plain && std::io::stderr().is_terminal() => for_people(&cause),
            None => record,
        };
        // Nobody is left to be told if this fails.
        let _unwritable = std::io::stderr().write_all(stderr.as_bytes());
    }

    /// Adds a line to the log file; without one nothing is written, since standard error belongs to the
    /// container.
    pub(crate) fn note(&mut self, level: Level, message: &str) {
        if level > self.most {
            return;
        }
        let cause = Cause { message: bounded(message.to_owned()), ..Cause::default() };
        let record = self.format.record(level, &cause, &[]);
        if let Some(log) = &mut self.log {
            // A note is never worth failing for.
            let _unwritable = log.write_all(record.as_bytes());
        }
    }

    /// Writes the steps of a command down where they were asked for: in the log file, or without one on standard error. Who
    /// asks for them there wants them among the container's words.
    pub(crate) fn debug_listener(&self) -> anyhow::Result<Option<Listener>> {
        if self.most < Level::Debug {
            return Ok(None);
        }
        let log = self.log.as_ref().map(File::try_clone).transpose().context("log file")?;
        let format = self.format;
        Ok(Some(Box::new(move |step, details| {
            let cause = Cause { message: bounded(step.to_owned()), ..Cause::default() };
            let record = format.record(Level::Debug, &cause, details);
            // A note is never worth failing for.
            let _unwritable = match &log {
                Some(log) => (&*log).write_all(record.as_bytes()),
                None => std::io::stderr().write_all(record.as_bytes()),
            };
        })))
    }
}

impl Format {
    fn record(self, level: Level, cause: &Cause, more: &Details) -> String {
        let time = humantime::format_rfc3339_nanos(SystemTime::now()).to_string();
        match self {
            Format::Text => text_record(level, cause, more, &time),
            Format::Json => json_record(level, cause, more, &time),
        }
    }
}

fn split<T>(outcome: anyhow::Result<T>) -> (Option<T>, anyhow::Result<()>) {
    match outcome {
        Ok(value) => (Some(value), Ok(())),
        Err(error) => (None, Err(error)),
    }
}

/// Appends, so that the log of a container's whole life can be one file; synchronous, so that a line
/// survives the host's crash that it may announce.
fn open_log(name: &OsStr) -> anyhow::Result<File> {
    let name = match name.as_bytes().strip_prefix(b"file:") {
        Some(path) => OsStr::from_bytes(path),
        None => name,
    };
    for prefix in ["journald:", "syslog:"] {
        if name.as_bytes().starts_with(prefix.as_bytes()) {
            bail!("option --log {}: only files can be logged to", name.to_string_lossy());
        }
    }
    let path = PathBuf::from(name);
    // The bit fits.
    let synchronous = i32::try_from(rustix::fs::OFlags::SYNC.bits()).unwrap_or_default();
    File::options()
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags(synchronous)
        .open(&path)
        .with_context(|| format!("open log file {}", path.display()))
}

fn format_of(name: Option<&str>) -> anyhow::Result<Format> {
    match name {
        None | Some("text") => Ok(Format::Text),
        Some("json") => Ok(Format::Json),
        Some(other) => bail!("invalid log-format: {other}"),
    }
}

fn level_of(options: &LogArgs) -> anyhow::Result<Level> {
    match options.log_level.as_deref() {
        _ if options.debug => Ok(Level::Debug),
        None => Ok(Level::Warning),
        Some(name) => Level::named(name).with_context(|| format!("invalid log-level: {name}")),
    }
}

fn for_people(cause: &Cause) -> String {
    let hint = cause.hint.as_ref().map(|hint| format!("\n  hint: {hint}"));
    format!("casemate: {}{}\n", cause.message, hint.unwrap_or_default())
}

/// The form of logrus, which runc's readers know.
fn text_record(level: Level, cause: &Cause, more: &Details, time: &str) -> String {
    let mut line = format!("time={time:?} level={} msg={}", level.name(), quoted(&cause.line()));
    for (key, value) in cause.details().chain(more.iter().cloned()) {
        let word = value.as_str().map_or_else(|| value.to_string(), quoted);
        line.push_str(&format!(" {key}={word}"));
    }
    line.push('\n');
    line
}

/// A word stands as it is, anything else between quotes.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}

/// `level`, `msg` and `time` as runc writes them, then what we know beyond that.
fn json_record(level: Level, cause: &Cause, more: &Details, time: &str) -> String {
    let mut record = serde_json::Map::new();
    record.insert("level".to_owned(), level.name().into());
    record.insert("msg".to_owned(), cause.line().into());
    record.insert("time".to_owned(), time.into());
    for (key, value) in cause.details().chain(more.iter().cloned()) {
        record.insert(key.to_owned(), value);
    }
    format!("{}\n", serde_json::Value::Object(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause() -> Cause {
        Cause {
            message: "exec: \"a\nb\": not found".to_owned(),
            hint: Some("look".to_owned()),
            errno: Some("ENOENT"),
            step: None,
        }
    }

    #[test]
    fn json_record_is_one_line_with_the_keys_of_runc() {
        let line = json_record(Level::Error, &cause(), &[], "2026-01-02T03:04:05.000000006Z");
        assert_eq!(line.matches('\n').count(), 1);
        let record: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(record["level"], "error");
        assert_eq!(record["msg"], "exec: \"a\nb\": not found (hint: look)");
        assert_eq!(record["time"], "2026-01-02T03:04:05.000000006Z");
        assert_eq!(record["errno"], "ENOENT");
        assert!(record.get("step").is_none());
    }

    #[test]
    fn text_record_quotes_what_is_not_a_word() {
        let line = text_record(Level::Warning, &cause(), &[("took_ms", 1.5.into())], "T");
        assert_eq!(
            line,
            "time=\"T\" level=warning msg=\"exec: \\\"a\\nb\\\": not found (hint: look)\" errno=ENOENT took_ms=1.5\n"
        );
    }

    #[test]
    fn levels_are_those_of_the_option() {
        let level = |name: &str| {
            level_of(&LogArgs { log_level: Some(name.to_owned()), ..LogArgs::default() })
        };
        assert_eq!(level("debug").unwrap(), Level::Debug);
        assert_eq!(level("error").unwrap(), Level::Error);
        assert!(level("loud").is_err());
        assert!(Level::Debug > Level::Warning);
    }
}
