//! Where records go: a file that is only appended to, the journal.

use super::way::{self, Trusted};
use crate::files::io_error_text;
use crate::hinted::hinted;
use anyhow::{bail, Context as _, Result};
use casemate_policy::AuditPolicy;
use casemate_sys::errno_text;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::{Map, Value};
use std::path::Path;

/// The journal's datagram socket (systemd.journal-fields(7), "native protocol").
const JOURNAL: &str = "/run/systemd/journal/socket";

/// The open ones.
#[derive(Debug)]
pub(super) struct Sinks {
    file: Option<(OwnedFd, String)>,
    trusted: Trusted,
    journal: Option<OwnedFd>,
}

impl Sinks {
    /// Opens what the policy names.
    pub(super) fn open(policy: &AuditPolicy, trusted: Trusted) -> Result<Self> {
        let opened = |path: &String| Ok::<_, anyhow::Error>((open(path, trusted)?, path.clone()));
        let file = policy.file.as_ref().map(opened);
        let journal = (policy.journald == Some(true)).then(connect);
        Ok(Self { file: file.transpose()?, trusted, journal: journal.transpose()? })
    }

    /// Writes a record to each; the first that cannot take it is the error.
    pub(super) fn write(&self, record: &Map<String, Value>) -> Result<()> {
        let line = serde_json::to_string(record)?;
        let to_file = self.file.as_ref().map(|(fd, path)| {
            add_line(fd, path, &line, self.trusted).with_context(|| format!("write {path}"))
        });
        let to_journal = self.journal.as_ref().map(|socket| send(socket, record, &line));
        to_file.into_iter().chain(to_journal).collect()
    }
}

/// Opens the log, making it if it is not there. It must be a plain file that nobody but its owner can write, and so must be what
/// leads to it: what others could change proves nothing.
fn open(path: &str, trusted: Trusted) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let (dir, name) = way::open_dir(Path::new(path), trusted)?;
    let fd = match rustix::fs::openat(&dir, &name, flags, Mode::from_raw_mode(0o600)) {
        Err(Errno::LOOP) => bail!("open {path}: is a symbolic link"),
        other => other.map_err(|e| anyhow::anyhow!("open {path}: {}", errno_text(e)))?,
    };
    let stat = rustix::fs::fstat(&fd).with_context(|| format!("stat {path}"))?;
    let euid = rustix::process::geteuid().as_raw();
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink > 1 {
        bail!("{path}: must be a regular file with one name");
    }
    if (stat.st_uid != 0 && stat.st_uid != euid) || stat.st_mode & 0o022 != 0 {
        return Err(hinted(
            format!("{path}: must belong to root and be writable by nobody else"),
            format!("chown root:root {path} && chmod 0600 {path}"),
        ));
    }
    Ok(fd)
}

/// Writes to the file that has the name now: a command may take as long as the hooks of a container do, and what was opened
/// at its beginning may have been renamed, compressed and removed by then.
fn add_line(fd: &OwnedFd, path: &str, line: &str, trusted: Trusted) -> Result<()> {
    let opened = rustix::fs::fstat(fd)?;
    match rustix::fs::lstat(path) {
        Ok(now) if (now.st_dev, now.st_ino) == (opened.st_dev, opened.st_ino) => append(fd, line),
        _ => append(&open(path, trusted)?, line),
    }
}

/// One write: with O_APPEND lines of several commands do not mix.
fn append(fd: &OwnedFd, line: &str) -> Result<()> {
    let line = format!("{line}\n");
    let written = rustix::io::retry_on_intr(|| rustix::io::write(fd, line.as_bytes()))
        .map_err(|e| io_error_text(&e.into()))?;
    if written < line.len() {
        // The disk is full. What is there is no record; the next one should not stand on the same line.
        rustix::io::write(fd, b"\n").ok();
        bail!("only {written} of {} bytes", line.len());
    }
    Ok(())
}

fn connect() -> Result<OwnedFd> {
    let about = || format!("connect to the journal at {JOURNAL}");
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .with_context(about)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(JOURNAL)?)
        .map_err(|e| anyhow::anyhow!(errno_text(e)))
        .with_context(about)?;
    Ok(socket)
}

/// The fields that people filter by, and the whole record as the message.
fn send(socket: &OwnedFd, record: &Map<String, Value>, line: &str) -> Result<()> {
    let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default();
    let priority = if text("evt.res") == "SUCCESS" { "5" } else { "4" };
    let fields = [
        ("MESSAGE", line),
        ("PRIORITY", priority),
        ("SYSLOG_IDENTIFIER", "casemate"),
        ("CASEMATE_EVENT", text("evt.type")),
        ("CASEMATE_OUTCOME", text("evt.res")),
        ("CASEMATE_PROFILE", text("casemate.profile")),
        ("CONTAINER_ID_FULL", text("container.id")),
        ("CONTAINER_NAME", text("container.name")),
    ];
    let mut datagram = Vec::with_capacity(line.len() + 256);
    for (key, value) in fields {
        add(&mut datagram, key, value);
    }
    rustix::io::retry_on_intr(|| rustix::net::send(socket, &datagram, SendFlags::NOSIGNAL))
        .map(drop)
        .map_err(|e| anyhow::anyhow!("send to the journal: {}", errno_text(e)))
}

/// `KEY=VALUE`, or, for a value of several lines, the key, its length in eight bytes, and the value.
fn add(datagram: &mut Vec<u8>, key: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    datagram.extend(key.as_bytes());
    if value.contains('\n') {
        datagram.push(b'\n');
        datagram.extend((value.len() as u64).to_le_bytes());
    } else {
        datagram.push(b'=');
    }
    datagram.extend(value.as_bytes());
    datagram.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journal_fields_of_several_lines_carry_their_length() {
        let mut datagram = Vec::new();
        add(&mut datagram, "A", "x");
        add(&mut datagram, "B", "y\nz");
        add(&mut datagram, "C", "");
        assert_eq!(datagram, b"A=x\nB\n\x03\0\0\0\0\0\0\0y\nz\n");
    }
}
