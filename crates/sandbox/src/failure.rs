//! What went wrong on the container's side, in a form that crosses the process boundary without losing its cause.

use rustix::io::Errno;
use std::fmt;

/// Exit status of a child that failed before execve.
pub(crate) const FAILED: i32 = 1;

/// A failed step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The step, for programs: `mount`, `sysctl`, `identity`, ...
    pub step: String,
    /// The whole message, one line: the thing, the path, the operation and errno.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// errno, 0 when none is involved.
    pub errno: i32,
}

/// Result of a step.
pub type StepResult<T> = Result<T, Failure>;

impl Failure {
    /// A failure that no system call reported.
    pub fn new(step: &str, message: impl Into<String>) -> Self {
        Self { step: step.to_owned(), message: message.into(), hint: None, errno: 0 }
    }

    /// Name the thing that the failed operation was about.
    pub fn about(mut self, thing: impl fmt::Display) -> Self {
        self.message = format!("{thing}: {}", self.message);
        self
    }

    /// Say what to do about it.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same where errno is this one.
    pub(crate) fn with_hint_on(self, errno: Errno, hint: &str) -> Self {
        match self.errno == errno.raw_os_error() {
            true => self.with_hint(hint),
            false => self,
        }
    }
}

impl From<casemate_sys::Error> for Failure {
    fn from(e: casemate_sys::Error) -> Self {
        Self {
            step: String::new(),
            message: e.to_string(),
            hint: None,
            errno: e.errno().raw_os_error(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, " (hint: {hint})"))
    }
}

impl std::error::Error for Failure {}

/// Say which step, and what it was about, on the way up.
pub(crate) trait Step<T> {
    /// `step` for programs, `thing` (built only on failure) for people.
    fn step<D: fmt::Display>(self, step: &str, thing: impl FnOnce() -> D) -> StepResult<T>;
}

impl<T, E: Into<Failure>> Step<T> for Result<T, E> {
    fn step<D: fmt::Display>(self, step: &str, thing: impl FnOnce() -> D) -> StepResult<T> {
        self.map_err(|e| {
            let mut failure = e.into().about(thing());
            if failure.step.is_empty() {
                failure.step = step.to_owned();
            }
            failure
        })
    }
}
