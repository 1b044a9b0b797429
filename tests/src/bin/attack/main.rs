//! A payload that tries everything a payload should not be able to do, and says what it could: one JSON object, group by
//! group. Every attempt is made in a process of its own, because some end theirs. Nothing is done to the host where an attempt
//! succeeds: files are opened and not written, calls get arguments that fail once they are reached.
//!
//! `casemate-attack` prints what each attempt came to; with `--locked`, what root of the container can undo of its mounts.

// Nothing of the tests runs beside it.
#![allow(clippy::disallowed_methods)]

mod calls;
mod files;
mod gains;
mod locked;
mod sockets;
mod sys;

use serde_json::{Map, Value};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::fd::FromRawFd;

/// One attempt: `Ok` when it got through.
pub type Attempt = fn() -> Result<()>;

/// Name and attempt.
pub type Entry = (&'static str, Attempt);

/// Seconds that one attempt may take.
const LIMIT: u32 = 10;

fn main() {
    let word = std::env::args().nth(1);
    match word.as_deref() {
        // Executed by an attempt, to see what an execve gave.
        Some("--gained") => gains::report(),
        Some("--locked") => println!("{}", object(locked::try_all())),
        _ => println!("{}", Value::Object(try_groups())),
    }
}

fn try_groups() -> Map<String, Value> {
    let groups: [(&str, Vec<Entry>); 7] = [
        ("namespaces", calls::namespaces()),
        ("mounts", calls::mounts()),
        ("kernel", calls::kernel()),
        ("sockets", sockets::all()),
        ("files", files::all()),
        ("devices", files::devices()),
        ("gains", gains::all()),
    ];
    let run = |(group, entries): (&str, Vec<Entry>)| {
        let results =
            entries.into_iter().map(|(name, attempt)| (name.to_owned(), isolated(attempt)));
        (group.to_owned(), object(results.collect()))
    };
    let mut all: Map<String, Value> = groups.into_iter().map(run).collect();
    all.insert("state".to_owned(), gains::state());
    all
}

fn object(results: Vec<(String, String)>) -> Value {
    Value::Object(results.into_iter().map(|(name, result)| (name, Value::String(result))).collect())
}

/// Make one attempt in a process of its own.
pub fn isolated(attempt: impl FnOnce() -> Result<()>) -> String {
    let mut ends = [0; 2];
    // SAFETY: an array of two integers.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return sys::name(&Error::last_os_error());
    }
    // SAFETY: this program has one thread.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: plain integers; the process ends here, whatever the attempt was.
            unsafe { libc::alarm(LIMIT) };
            let text = match attempt() {
                Ok(()) => "ok".to_owned(),
                Err(e) => sys::name(&e),
            };
            // SAFETY: pointer and length of one string.
            unsafe {
                libc::write(ends[1], text.as_ptr().cast(), text.len());
                libc::_exit(0)
            }
        }
        pid if pid > 0 => answer_of(pid, ends),
        _ => sys::name(&Error::last_os_error()),
    }
}

fn answer_of(pid: i32, ends: [i32; 2]) -> String {
    // SAFETY: the ends are ours; the file takes the reading one over. waitpid writes one integer.
    let (mut reader, mut status) = unsafe {
        libc::close(ends[1]);
        (std::fs::File::from_raw_fd(ends[0]), 0)
    };
    let mut text = String::new();
    if let Err(e) = reader.read_to_string(&mut text) {
        return sys::name(&e);
    }
    // SAFETY: as above.
    unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) };
    if libc::WIFSIGNALED(status) {
        return format!("killed by signal {}", libc::WTERMSIG(status));
    }
    text
}

/// The thing is not there, so nothing was shown.
pub fn absent() -> Error {
    Error::from(ErrorKind::NotFound)
}
