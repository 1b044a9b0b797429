//! Writing programs while other tests start some. A file that somebody has open for writing cannot be executed (ETXTBSY),
//! and a process that another thread is just starting has, until its own execve, a copy of every descriptor of ours. So
//! a program, or a hook, is written only while nothing is being started. Every test that writes a file to be executed does
//! it with [`write`] or [`copy`], and every test that starts a process does it with [`start`] or what is built on it.

use std::io::Result;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{PoisonError, RwLock};

/// Held shared by whoever starts a process, alone by whoever writes a program.
static STARTING: RwLock<()> = RwLock::new(());

/// Start a process; it executes its program already when this returns.
///
/// # Errors
/// Whatever `Command::spawn` says.
#[allow(clippy::disallowed_methods)] // The place that all others are sent to.
pub fn start(command: &mut Command) -> Result<Child> {
    let _shared = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

/// `Command::output`.
///
/// # Errors
/// If it cannot be started.
pub fn output(command: &mut Command) -> Result<Output> {
    start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?.wait_with_output()
}

/// `Command::status`.
///
/// # Errors
/// If it cannot be started.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    start(command)?.wait()
}

/// Write a file, which may be one that is to be executed.
///
/// # Panics
/// If it cannot be written.
pub fn write(path: &Path, text: impl AsRef<[u8]>) {
    alone(|| std::fs::write(path, text))
        .unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
}

/// Copy a file that is to be executed, with its mode.
///
/// # Panics
/// If it cannot be copied.
pub fn copy(from: &Path, to: &Path) {
    alone(|| std::fs::copy(from, to))
        .unwrap_or_else(|e| panic!("copy {} to {}: {e}", from.display(), to.display()));
}

fn alone<T>(write: impl FnOnce() -> T) -> T {
    let _alone = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    write()
}
