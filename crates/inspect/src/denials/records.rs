//! Where records are: auditd's file, the journal, the kernel's log. All that are there are read, for which of them has a record
//! depends on what runs on the host: auditd takes them all, without it the kernel prints them, and the journal keeps either.

use anyhow::{bail, Context as _, Result};
use casemate_kernel::audit::{of_the_kernel, Record};
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// auditd's file, and the one before it.
const AUDITD: [&str; 2] = ["/var/log/audit/audit.log.1", "/var/log/audit/audit.log"];

/// The kernel's log (Documentation/ABI/testing/dev-kmsg).
const KMSG: &str = "/dev/kmsg";

/// Where the journal of this boot is, in memory or on disk.
const JOURNALS: [&str; 2] = ["/run/log/journal", "/var/log/journal"];

const JOURNALCTL: &str = "/usr/bin/journalctl";

/// So much of the end of a file is read, in bytes.
const TAIL: u64 = 16 << 20;

/// So many records are known to have been read.
const REMEMBERED: usize = 200_000;

/// The longest record of the kernel's log, in bytes (CONSOLE_EXT_LOG_MAX).
const LONGEST: usize = 8192;

/// What was read.
#[derive(Debug, Default)]
pub struct Taken {
    /// Lines that [`Record::parse`] reads, oldest first.
    pub lines: Vec<String>,
    /// What could not be read; a line each.
    pub problems: Vec<String>,
}

/// Reads records, and goes on where it has stopped.
#[derive(Debug)]
pub struct Reader {
    auditd: Vec<(PathBuf, u64)>,
    kmsg: Option<File>,
    journal: bool,
    /// What the sources have been, for who sees nothing.
    pub sources: Vec<String>,
    problems: Vec<String>,
    /// Time and digest of each record.
    seen: BTreeSet<(u64, u64)>,
}

impl Reader {
    /// Opens what is there.
    ///
    /// # Errors
    /// There is nothing that this caller could read.
    pub fn open() -> Result<Self> {
        let (mut sources, mut problems) = (Vec::new(), Vec::new());
        let auditd: Vec<(PathBuf, u64)> = AUDITD
            .iter()
            .map(PathBuf::from)
            .filter(|path| match File::open(path) {
                Ok(_) => true,
                Err(error) if error.kind() == ErrorKind::NotFound => false,
                Err(error) => {
                    problems.push(format!("open {}: {error}", path.display()));
                    false
                }
            })
            .map(|path| (path, 0))
            .collect();
        sources.extend(auditd.iter().map(|(path, _)| path.display().to_string()));
        let journal =
            Path::new(JOURNALCTL).exists() && JOURNALS.iter().any(|dir| Path::new(dir).exists());
        if journal {
            sources.push("the journal".to_owned());
        }
        // Without O_NONBLOCK the end of the log would be waited for.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let kmsg = match rustix::fs::open(KMSG, flags, Mode::empty()).map(File::from) {
            Ok(file) => Some(file),
            Err(error) => {
                problems.push(format!("open {KMSG}: {error}"));
                None
            }
        };
        if kmsg.is_some() {
            sources.push(KMSG.to_owned());
        }
        if sources.is_empty() {
            bail!("no records to read: {}", problems.join("; "));
        }
        Ok(Self { auditd, kmsg, journal, sources, problems, seen: BTreeSet::new() })
    }

    /// What is new since the last call; at first all that is there.
    pub fn take(&mut self) -> Taken {
        let mut lines = Vec::new();
        let mut problems = std::mem::take(&mut self.problems);
        for (path, read) in &mut self.auditd {
            match tail(path, read) {
                Ok(text) => lines.extend(text.lines().map(ToOwned::to_owned)),
                Err(error) => problems.push(format!("{error:#}")),
            }
        }
        if self.journal {
            match of_journal(&self.seen) {
                Ok(found) => lines.extend(found),
                Err(error) => problems.push(format!("{error:#}")),
            }
        }
        if let Some(kmsg) = &mut self.kmsg {
            match of_kernel(kmsg) {
                Ok(found) => lines.extend(found),
                Err(error) => problems.push(format!("{error:#}")),
            }
        }
        Taken { lines: self.only_new(lines), problems }
    }

    /// Each record once: two sources can have it.
    fn only_new(&mut self, lines: Vec<String>) -> Vec<String> {
        let mut found: Vec<(u64, u64, String)> = Vec::new();
        for line in lines {
            let Some(record) = Record::parse(&line) else { continue };
            let mut hasher = DefaultHasher::new();
            (record.serial, record.kind, record.body()).hash(&mut hasher);
            if self.seen.insert((record.time, hasher.finish())) {
                let text = line.trim_start_matches("audit: ").to_owned();
                found.push((record.time, record.serial, text));
            }
        }
        // What is that old is not read again.
        while self.seen.len() > REMEMBERED {
            self.seen.pop_first();
        }
        found.sort();
        found.into_iter().map(|(.., line)| line).collect()
    }
}

/// What a file has behind the place that was read up to; from its beginning where it is shorter than that: it was rotated.
fn tail(path: &Path, read: &mut u64) -> Result<String> {
    let about = || path.display().to_string();
    let mut file = match File::open(path) {
        // Rotated this moment.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        other => other.with_context(about)?,
    };
    let end = file.metadata().with_context(about)?.len();
    let from = if *read > end { 0 } else { *read }.max(end.saturating_sub(TAIL));
    file.seek(SeekFrom::Start(from)).with_context(about)?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).with_context(about)?;
    // A line that is just being written is read the next time.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    *read = from + whole as u64;
    Ok(String::from_utf8_lossy(&bytes[..whole]).into_owned())
}

/// All of the log that was not read yet: one record at each read.
fn of_kernel(kmsg: &mut File) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut buffer = [0u8; LONGEST];
    loop {
        match kmsg.read(&mut buffer) {
            Ok(0) => return Ok(lines),
            Ok(read) => {
                let line = String::from_utf8_lossy(&buffer[..read]);
                lines.extend(of_the_kernel(&line).map(ToOwned::to_owned));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(lines),
            // What was next has been written over: the read after it goes on behind.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::PIPE.raw_os_error()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context(KMSG),
        }
    }
}

/// The journal's records of the kernel and of the audit system, since the last that was seen.
fn of_journal(seen: &BTreeSet<(u64, u64)>) -> Result<Vec<String>> {
    let mut command = Command::new(JOURNALCTL);
    command.args(["--boot", "--quiet", "--no-pager", "--output=json"]);
    command
        .arg("--output-fields=MESSAGE,_TRANSPORT,_AUDIT_TYPE,_AUDIT_ID,_SOURCE_REALTIME_TIMESTAMP,SYSLOG_FACILITY");
    match seen.last() {
        // A second earlier: what came late is no lost record.
        Some((time, _)) => command.arg(format!("--since=@{}", (time / 1000).saturating_sub(1))),
        None => command.arg("--lines=20000"),
    };
    command.args(["_TRANSPORT=audit", "+", "_TRANSPORT=kernel"]);
    command.env_clear().stdin(Stdio::null()).stderr(Stdio::piped());
    let output = command.output().with_context(|| format!("execute {JOURNALCTL}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{JOURNALCTL}: {}", said.lines().next().unwrap_or("failed without a word"));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(of_entry).collect())
}

/// An entry of the journal, as a line of auditd's.
fn of_entry(line: &str) -> Option<String> {
    let entry: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| entry[key].as_str();
    let message = text("MESSAGE")?;
    if text("_TRANSPORT")? == "kernel" {
        // What others have written into the kernel's log has another facility.
        return (text("SYSLOG_FACILITY") == Some("0")).then(|| message.to_owned());
    }
    let micros = text("_SOURCE_REALTIME_TIMESTAMP")?.parse::<u64>().ok()?;
    let (kind, serial) = (text("_AUDIT_TYPE")?, text("_AUDIT_ID")?);
    // The journal puts the record's name in front.
    let (_, body) = message.split_once(' ')?;
    let (seconds, millis) = (micros / 1_000_000, micros / 1000 % 1000);
    Some(format!("type={kind} msg=audit({seconds}.{millis:03}:{serial}): {body}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_on_from_where_it_ended_and_anew_when_it_was_rotated() {
        let path = std::env::temp_dir().join(format!("casemate-denials-{}", std::process::id()));
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        let mut read = 0;
        assert_eq!(tail(&path, &mut read).unwrap(), "one\ntwo\n");
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail(&path, &mut read).unwrap(), "three\n");
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(tail(&path, &mut read).unwrap(), "new\n");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(tail(&path, &mut read).unwrap(), "");
    }

    #[test]
    fn the_journals_entry_is_the_record_that_auditd_writes() {
        let entry = r#"{"_TRANSPORT":"audit","_AUDIT_TYPE":"1326","_AUDIT_ID":"21","MESSAGE":"SECCOMP auid=1 uid=7 syscall=110","_SOURCE_REALTIME_TIMESTAMP":"1795881239378000"}"#;
        let line = of_entry(entry).unwrap();
        let record = Record::parse(&line).unwrap();
        assert_eq!(
            (record.time, record.serial, record.number("uid")),
            (1_795_881_239_378, 21, Some(7))
        );
        let entry = r#"{"_TRANSPORT":"kernel","SYSLOG_FACILITY":"0","MESSAGE":"audit: type=1326 audit(1.000:2): uid=7"}"#;
        assert!(Record::parse(&of_entry(entry).unwrap()).is_some());
        let of_others = entry.replace("FACILITY\":\"0", "FACILITY\":\"1");
        assert_eq!(of_entry(&of_others), None);
        // A message that is not text is a list of bytes.
        assert_eq!(of_entry(r#"{"_TRANSPORT":"kernel","MESSAGE":[1,2]}"#), None);
    }

    #[test]
    fn a_record_that_two_sources_have_is_one() {
        let mut reader = Reader {
            auditd: Vec::new(),
            kmsg: None,
            journal: false,
            sources: Vec::new(),
            problems: Vec::new(),
            seen: BTreeSet::new(),
        };
        let lines = || {
            vec![
                "type=SECCOMP msg=audit(1.000:2): uid=7".to_owned(),
                "audit: type=1326 audit(1.000:2): uid=7".to_owned(),
                "type=LANDLOCK_ACCESS msg=audit(1.000:2): domain=1".to_owned(),
                "type=LANDLOCK_ACCESS msg=audit(1.000:2): domain=1 path=\"/other\"".to_owned(),
                "audit: type=1326 audit(1.000:1): uid=7".to_owned(),
                // A second source has all of it, behind the first.
                "audit: type=1326 audit(1.000:2): uid=7".to_owned(),
            ]
        };
        assert_eq!(reader.only_new(lines()).len(), 4);
        assert!(reader.only_new(lines()).is_empty());
    }
}
