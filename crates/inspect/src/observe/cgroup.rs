//! Limits of a process's cgroup, of version 2, and of version 1 where another runtime still uses it.

use super::{Limit, Limits};
use anyhow::{Context as _, Result};
use casemate_cgroup::{Cgroup, Error, Hierarchy};
use rustix::io::Errno;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The limits that hold for a process, from the text of its /proc/PID/cgroup. `None`: it sits in the root of every
/// hierarchy, or nothing is mounted.
///
/// # Errors
/// A file that is there and cannot be read: it may hold any limit, or none.
pub fn limits(text: &str) -> Result<Option<Limits>> {
    let mut limits = Limits::default();
    let mut any = false;
    if let Some((mount, inner)) = unified(text)? {
        any |= inner != Path::new("/");
        let levels: Vec<PathBuf> = inner
            .ancestors()
            .filter(|level| *level != Path::new("/"))
            .map(|level| mount.join(level.strip_prefix("/").unwrap_or(level)))
            .collect();
        limits.pids = smallest(&levels, "pids.max")?;
        limits.memory = smallest(&levels, "memory.max")?;
        limits.oom_group = oom_group(&levels)?;
        limits.cpu = levels.first().map_or(Ok(false), |own| is_weighed(own))?;
        limits.device_programs = programs(&levels)?;
    }
    for (controllers, inner) in version_1(text) {
        any |= inner != "/";
        let dir = |name: &str| PathBuf::from(format!("/sys/fs/cgroup/{name}{inner}"));
        let has = |name: &str| controllers.split(',').any(|controller| controller == name);
        if has("pids") {
            limits.pids = least(limits.pids, number(&dir("pids").join("pids.max"))?);
        }
        if has("memory") {
            let bytes = number(&dir("memory").join("memory.limit_in_bytes"))?;
            // "No limit" is the largest number of whole pages.
            limits.memory = least(limits.memory, bytes.filter(|bytes| *bytes < 1 << 62));
        }
    }
    Ok(any.then_some(limits))
}

/// The mount of version 2 and the process's place in it.
fn unified(text: &str) -> Result<Option<(PathBuf, PathBuf)>> {
    let hierarchy = match Hierarchy::discover() {
        Err(Error::CgroupV1Only | Error::NotMounted) => return Ok(None),
        other => other?,
    };
    let inner = text.lines().find_map(|line| line.strip_prefix("0::"));
    Ok(inner.map(|inner| (hierarchy.mount_point().to_owned(), PathBuf::from(inner))))
}

fn version_1(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let number = fields.next()?;
        let (controllers, inner) = (fields.next()?, fields.next()?);
        (number != "0" && !controllers.starts_with("name=")).then_some((controllers, inner))
    })
}

/// Empty when there is no such file: the controller is off there, or the cgroup is gone.
fn content(file: &Path) -> Result<String> {
    match std::fs::read_to_string(file) {
        Err(error) if is_gone(&error) => Ok(String::new()),
        other => other.with_context(|| file.display().to_string()),
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    // ENODEV: removed between open and read.
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
}

fn number(file: &Path) -> Result<Limit> {
    match content(file)?.trim() {
        "" | "max" => Ok(None),
        text => text.parse().map(Some).with_context(|| format!("{}: {text:?}", file.display())),
    }
}

fn least(a: Limit, b: Limit) -> Limit {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

/// A limit of any level above holds too.
fn smallest(levels: &[PathBuf], file: &str) -> Result<Limit> {
    let mut limits = levels.iter().map(|level| number(&level.join(file)));
    limits.try_fold(None, |least_yet, limit| Ok(least(least_yet, limit?)))
}

/// The kernel ends the uppermost cgroup that says so, below the one whose memory has run out, that one included
/// (cgroup-v2.rst, memory.oom.group).
fn oom_group(levels: &[PathBuf]) -> Result<Option<bool>> {
    let mut limited = None;
    for (index, level) in levels.iter().enumerate() {
        if number(&level.join("memory.max"))?.is_some() {
            limited = Some(index);
            break;
        }
    }
    let mut found = None;
    for level in &levels[..limited.map_or(levels.len(), |index| index + 1)] {
        if let Some(value) = number(&level.join("memory.oom.group"))? {
            found = Some(found.unwrap_or(false) | (value == 1));
        }
    }
    Ok(found)
}

fn is_weighed(dir: &Path) -> Result<bool> {
    let quota = content(&dir.join("cpu.max"))?;
    let weight = content(&dir.join("cpu.weight"))?;
    Ok((!quota.is_empty() && !quota.starts_with("max")) || !matches!(weight.trim(), "" | "100"))
}

/// Counted on the cgroup itself and above: each of them may forbid. `None`: not for this user to see, or gone.
fn programs(levels: &[PathBuf]) -> Result<Option<usize>> {
    let count = |dir: &PathBuf| match Cgroup::open(dir).and_then(|open| open.device_program_count())
    {
        Err(error) if error.is_permission() || error.is_gone() => Ok(None),
        other => Ok(Some(other?)),
    };
    let counts: Vec<Option<usize>> = levels.iter().map(count).collect::<Result<_>>()?;
    Ok(counts.into_iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_of_version_1_are_told_from_named_hierarchies() {
        let text = "7:pids:/x\n1:name=systemd:/x\n3:cpu,cpuacct:/y\n0::/z\n";
        let found: Vec<_> = version_1(text).collect();
        assert_eq!(found, [("pids", "/x"), ("cpu,cpuacct", "/y")]);
    }

    #[test]
    fn whether_all_processes_end_together_is_asked_up_to_the_first_limit() {
        let top = std::env::temp_dir().join(format!("casemate-oom-group-{}", std::process::id()));
        let levels = ["pod/own/leaf", "pod/own", "pod"].map(|level| top.join(level));
        std::fs::create_dir_all(&levels[0]).unwrap();
        let write = |level: usize, name: &str, text: &str| {
            std::fs::write(levels[level].join(name), text).unwrap();
        };
        assert_eq!(oom_group(&levels).unwrap(), None);
        for level in 0..3 {
            write(level, "memory.max", "max\n");
            write(level, "memory.oom.group", "0\n");
        }
        write(1, "memory.max", "4096\n");
        write(2, "memory.oom.group", "1\n");
        assert_eq!(oom_group(&levels).unwrap(), Some(false));
        write(1, "memory.oom.group", "1\n");
        assert_eq!(oom_group(&levels).unwrap(), Some(true));
        std::fs::remove_dir_all(&top).unwrap();
    }

    #[test]
    fn a_limit_that_cannot_be_read_is_not_the_same_as_none() {
        let dir = std::env::temp_dir().join(format!("casemate-limits-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("memory.max")).unwrap();
        std::fs::write(dir.join("pids.max"), "max\n").unwrap();
        std::fs::write(dir.join("cpu.max"), [0xff]).unwrap();
        assert_eq!(number(&dir.join("pids.max")).unwrap(), None);
        assert_eq!(number(&dir.join("hugetlb.max")).unwrap(), None);
        assert!(number(&dir.join("memory.max")).is_err());
        assert!(smallest(std::slice::from_ref(&dir), "memory.max").is_err());
        assert!(is_weighed(&dir).is_err());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn the_smaller_of_two_limits_counts_and_none_is_no_limit() {
        assert_eq!(least(Some(3), Some(2)), Some(2));
        assert_eq!(least(None, Some(2)), Some(2));
        assert_eq!(least(None, None), None);
    }
}
