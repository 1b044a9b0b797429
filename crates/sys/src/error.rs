//! The error of one system call, rendered like its strace line.

use rustix::io::Errno;
use std::fmt;

/// A system call that failed: what was called with what, and errno.
#[derive(Debug, Clone)]
pub struct Error {
    call: String,
    errno: Errno,
}

/// Result of a wrapper in this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error for `call` (already rendered with its arguments).
    pub fn new(call: impl Into<String>, errno: Errno) -> Self {
        Self { call: call.into(), errno }
    }

    /// The same for the calling thread's `errno`.
    pub fn last(call: impl Into<String>) -> Self {
        let raw = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        Self::new(call, Errno::from_raw_os_error(raw))
    }

    /// The error number, for callers that branch on it.
    pub fn errno(&self) -> Errno {
        self.errno
    }
}

/// errno as text in lower case, as Go programs print it and as engines match it.
pub fn errno_text(errno: Errno) -> String {
    let text = std::io::Error::from_raw_os_error(errno.raw_os_error()).to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    let mut text = text[..end].to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, errno_text(self.errno))
    }
}

impl std::error::Error for Error {}

/// Attach the rendered call to a bare errno; the closure runs only on failure.
pub trait Context<T> {
    /// `call` renders the failed call with its arguments.
    ///
    /// # Errors
    /// The errno of `self`, with the call.
    fn call<S: Into<String>>(self, call: impl FnOnce() -> S) -> Result<T>;
}

impl<T> Context<T> for rustix::io::Result<T> {
    fn call<S: Into<String>>(self, call: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|errno| Error::new(call(), errno))
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn call<S: Into<String>>(self, call: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|e| {
            Error::new(call(), Errno::from_raw_os_error(e.raw_os_error().unwrap_or(libc::EIO)))
        })
    }
}

/// Turn the return value of a raw system call into a result.
pub(crate) fn check(ret: libc::c_long) -> rustix::io::Result<libc::c_long> {
    if ret < 0 {
        let raw = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        Err(Errno::from_raw_os_error(raw))
    } else {
        Ok(ret)
    }
}
