//! Hooks: what is run, and what is asked of a program right before it runs.

use crate::trust::Owners;
use rustix::fd::OwnedFd;
use std::ffi::CString;
use std::path::PathBuf;

/// One hook.
#[derive(Clone, Debug)]
pub struct Hook {
    /// `createContainer hook #0`, as runc counts them: for messages.
    pub label: String,
    /// Absolute path.
    pub path: PathBuf,
    /// Full argv.
    pub args: Vec<CString>,
    /// Environment.
    pub env: Vec<CString>,
    /// Working directory, if it is there, else `/`; `None`: that of the process it runs beside.
    pub dir: Option<PathBuf>,
    /// The bundle names none: startContainer hooks get a HOME beside it, as the program does.
    pub home: bool,
    /// Seconds; 0: none given.
    pub timeout: u64,
    /// What its program has to be when it runs.
    pub guard: HookGuard,
}

/// The state JSON that hooks read, cut at the places that only the container's side knows.
#[derive(Clone, Debug, Default)]
pub struct HookState {
    /// The bundle that it names.
    pub bundle: PathBuf,
    /// Up to the status.
    pub before_status: String,
    /// From behind the status up to the pid.
    pub before_pid: String,
    /// From behind the pid.
    pub after_pid: String,
}

impl HookState {
    /// The JSON for this status and pid.
    pub fn render(&self, status: &str, pid: i32) -> String {
        format!("{}{status}{}{pid}{}", self.before_status, self.before_pid, self.after_pid)
    }
}

/// What is asked of a hook's program once more, right before it runs: between the decision about it and then lies the life of a
/// container.
#[derive(Clone, Debug, Default)]
pub struct HookGuard {
    /// Whose files it and what leads to it may be; `None`: anybody's.
    pub owners: Option<Owners>,
    /// What it has to hold; `None`: anything.
    pub pin: Option<Pin>,
}

/// The digest of a program.
#[derive(Clone, Debug)]
pub struct Pin {
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// How it is taken of an open file, or why it cannot be: no such function is in this crate.
    pub take: fn(&OwnedFd) -> Result<String, String>,
}
