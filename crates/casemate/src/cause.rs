//! Takes an error apart for the reader: one line, a hint, and what a program may want to know.
//!
//! This is the only place that knows which error types carry more than text: a hint, an error number, a
//! step.

use crate::usage::UsageError;
use casemate_runtime::hinted::parts;
use casemate_runtime::report::{bounded, InitFailure};
use serde_json::Value;
use std::io;

/// An error, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cause {
    /// The whole chain in one line, the outermost first.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// Name of the error number at the root of it, such as ENOENT.
    pub(crate) errno: Option<&'static str>,
    /// The step of creating a container at which it happened.
    pub(crate) step: Option<String>,
}

impl Cause {
    /// Takes `error` apart.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let mut cause = Cause::default();
        for link in error.chain() {
            let (text, hint) = match link.downcast_ref::<UsageError>() {
                Some(UsageError { message, hint }) => (message.clone(), hint.clone()),
                None => parts(link).unwrap_or_else(|| (text_of(link), None)),
            };
            cause.append(&text);
            cause.hint = cause.hint.take().or(hint);
            if let Some(failure) = link.downcast_ref::<InitFailure>() {
                cause.step = Some(failure.step.clone()).filter(|step| !step.is_empty());
            }
            cause.errno = errno_of(link).and_then(errno_name).or(cause.errno);
        }
        cause.message = bounded(cause.message);
        cause.hint = cause.hint.map(bounded);
        cause
    }

    /// Some errors repeat their source in their own text; it is said once.
    fn append(&mut self, text: &str) {
        let text = one_line(text.trim_end());
        if self.message.is_empty() {
            self.message = text;
        } else if !self.message.ends_with(&text) {
            self.message.push_str(": ");
            self.message.push_str(&text);
        }
    }

    /// The message with its hint, for readers who get to see one line.
    pub(crate) fn line(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!(" (hint: {hint})"));
        format!("{}{}", self.message, hint.unwrap_or_default())
    }

    /// What a log record carries besides the line, by key.
    pub(crate) fn details(&self) -> impl Iterator<Item = (&'static str, Value)> + '_ {
        [("errno", self.errno), ("step", self.step.as_deref())]
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?.into())))
    }
}

/// Control characters escaped: readers expect one line, and names from a bundle must not be able to send
/// commands to the terminal that shows them.
fn one_line(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    let escape =
        |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// Engines match on errno texts as Go prints them: `no such file or directory`, all lower case, without
/// Rust's `(os error 2)`.
fn text_of(link: &(dyn std::error::Error + 'static)) -> String {
    let io = link.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    let bare = link.downcast_ref::<rustix::io::Errno>().map(|errno| errno.raw_os_error());
    match io.or(bare) {
        Some(number) => casemate_sys::errno_text(rustix::io::Errno::from_raw_os_error(number)),
        None => link.to_string(),
    }
}

fn errno_of(link: &(dyn std::error::Error + 'static)) -> Option<i32> {
    if let Some(error) = link.downcast_ref::<io::Error>() {
        return error.raw_os_error();
    }
    if let Some(error) = link.downcast_ref::<casemate_sys::Error>() {
        return Some(error.errno().raw_os_error());
    }
    if let Some(failure) = link.downcast_ref::<InitFailure>() {
        return Some(failure.errno);
    }
    link.downcast_ref::<rustix::io::Errno>().map(|errno| errno.raw_os_error())
}

/// The error numbers that setting up a container meets; others are still told by the message.
fn errno_name(number: i32) -> Option<&'static str> {
    use rustix::io::Errno;
    // 0: no system call was involved. The number may come from the container's side, and rustix aborts on an impossible one.
    if !(1..4096).contains(&number) {
        return None;
    }
    Some(match Errno::from_raw_os_error(number) {
        Errno::PERM => "EPERM",
        Errno::NOENT => "ENOENT",
        Errno::SRCH => "ESRCH",
        Errno::INTR => "EINTR",
        Errno::IO => "EIO",
        Errno::NXIO => "ENXIO",
        Errno::TOOBIG => "E2BIG",
        Errno::NOEXEC => "ENOEXEC",
        Errno::BADF => "EBADF",
        Errno::CHILD => "ECHILD",
        Errno::AGAIN => "EAGAIN",
        Errno::NOMEM => "ENOMEM",
        Errno::ACCESS => "EACCES",
        Errno::FAULT => "EFAULT",
        Errno::BUSY => "EBUSY",
        Errno::EXIST => "EEXIST",
        Errno::XDEV => "EXDEV",
        Errno::NODEV => "ENODEV",
        Errno::NOTDIR => "ENOTDIR",
        Errno::ISDIR => "EISDIR",
        Errno::INVAL => "EINVAL",
        Errno::NFILE => "ENFILE",
        Errno::MFILE => "EMFILE",
        Errno::NOTTY => "ENOTTY",
        Errno::TXTBSY => "ETXTBSY",
        Errno::NOSPC => "ENOSPC",
        Errno::ROFS => "EROFS",
        Errno::PIPE => "EPIPE",
        Errno::RANGE => "ERANGE",
        Errno::NAMETOOLONG => "ENAMETOOLONG",
        Errno::NOSYS => "ENOSYS",
        Errno::NOTEMPTY => "ENOTEMPTY",
        Errno::LOOP => "ELOOP",
        Errno::OVERFLOW => "EOVERFLOW",
        Errno::NOTSUP => "EOPNOTSUPP",
        Errno::CONNREFUSED => "ECONNREFUSED",
        Errno::TIMEDOUT => "ETIMEDOUT",
        Errno::DQUOT => "EDQUOT",
        Errno::NOKEY => "ENOKEY",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_runtime::hinted::{hinted, Hinted};

    #[test]
    fn chain_becomes_one_line_with_errno_and_hint() {
        let io = io::Error::from_raw_os_error(2);
        let error = Hinted::new("open /x", "make it").because(io);
        let error = anyhow::Error::new(error).context("casemate create failed");
        let cause = Cause::of(&error);
        assert_eq!(cause.message, "casemate create failed: open /x: no such file or directory");
        assert_eq!(cause.hint.as_deref(), Some("make it"));
        assert_eq!(cause.errno, Some("ENOENT"));
    }

    #[test]
    fn a_hint_ends_the_line_wherever_it_stands() {
        let cause = Cause::of(&hinted("too big", "shrink it").context("weigh"));
        assert_eq!(cause.message, "weigh: too big");
        assert_eq!(cause.hint.as_deref(), Some("shrink it"));
        assert_eq!(cause.line(), "weigh: too big (hint: shrink it)");
        let outer = Hinted::new("weigh", "use another one").because(hinted("too big", "shrink it"));
        assert_eq!(Cause::of(&outer.into()).line(), "weigh: too big (hint: use another one)");
        // What only looks like one is text.
        let text = Cause::of(&anyhow::anyhow!("the name is \"x\nhint: y\""));
        assert_eq!((text.line().as_str(), text.hint), ("the name is \"x\\nhint: y\"", None));
    }

    #[test]
    fn message_is_one_line_without_control_characters() {
        let cause = Cause::of(&anyhow::anyhow!("mount \"/a\nb\u{1b}[2J\" failed\n"));
        assert_eq!(cause.message, "mount \"/a\\nb\\u{1b}[2J\" failed");
    }

    #[test]
    fn a_long_message_is_cut_in_the_middle_with_its_length() {
        let error = hinted("is not absolute", "h".repeat(9000));
        let cause = Cause::of(&error.context("ä".repeat(35_000)));
        assert!(cause.message.starts_with('ä') && cause.message.ends_with("is not absolute"));
        assert!(cause.message.contains(" (70017 bytes in all) "), "{}", cause.message);
        assert!(cause.line().len() < 8200);
        let short = "x".repeat(4000);
        assert_eq!(bounded(short.clone()), short);
    }

    #[test]
    fn errno_is_found_behind_a_failed_system_call() {
        let call = casemate_sys::Error::new("openat(...)", rustix::io::Errno::LOOP);
        assert_eq!(Cause::of(&anyhow::Error::new(call)).errno, Some("ELOOP"));
    }

    #[test]
    fn source_that_is_part_of_its_error_is_said_once() {
        let error = anyhow::anyhow!("permission denied").context("start: permission denied");
        assert_eq!(Cause::of(&error).message, "start: permission denied");
    }

    #[test]
    fn hint_of_a_usage_error_is_kept() {
        let usage = UsageError::unknown_flag("x").with_hint("look");
        let cause = Cause::of(&anyhow::Error::new(usage));
        assert_eq!(cause.message, "flag provided but not defined: -x");
        assert_eq!(cause.hint.as_deref(), Some("look"));
    }
}
