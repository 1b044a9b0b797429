//! Limits of a process's cgroup, of version 2, and of version 1 where another runtime still uses it.

use super::{Limit, Limits};
use casemate_cgroup::{Cgroup, Hierarchy};
use std::path::{Path, PathBuf};

/// The limits that hold for a process, from the text of its /proc/PID/cgroup. `None`: it sits in the root of every
/// hierarchy, or nothing is mounted.
pub fn limits(text: &str) -> Option<Limits> {
    let mut limits = Limits::default();
    let mut any = false;
    if let Some((mount, inner)) = unified(text) {
        any |= inner != Path::new("/");
        let levels: Vec<PathBuf> = inner
            .ancestors()
            .filter(|level| *level != Path::new("/"))
            .map(|level| mount.join(level.strip_prefix("/").unwrap_or(level)))
            .collect();
        limits.pids = smallest(&levels, "pids.max");
        limits.memory = smallest(&levels, "memory.max");
        limits.oom_group = oom_group(&levels);
        limits.cpu = levels.first().is_some_and(|own| is_weighed(own));
        limits.device_programs = programs(&levels);
    }
    for (controllers, inner) in version_1(text) {
        any |= inner != "/";
        let dir = |name: &str| PathBuf::from(format!("/sys/fs/cgroup/{name}{inner}"));
        let has = |name: &str| controllers.split(',').any(|controller| controller == name);
        if has("pids") {
            limits.pids = least(limits.pids, number(&dir("pids").join("pids.max")));
        }
        if has("memory") {
            let bytes = number(&dir("memory").join("memory.limit_in_bytes"));
            // "No limit" is the largest number of whole pages.
            limits.memory = least(limits.memory, bytes.filter(|bytes| *bytes < 1 << 62));
        }
    }
    any.then_some(limits)
}

/// The mount of version 2 and the process's place in it.
fn unified(text: &str) -> Option<(PathBuf, PathBuf)> {
    let hierarchy = Hierarchy::discover().ok()?;
    let inner = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some((hierarchy.mount_point().to_owned(), PathBuf::from(inner)))
}

fn version_1(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let number = fields.next()?;
        let (controllers, inner) = (fields.next()?, fields.next()?);
        (number != "0" && !controllers.starts_with("name=")).then_some((controllers, inner))
    })
}

fn number(file: &Path) -> Limit {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn least(a: Limit, b: Limit) -> Limit {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

/// A limit of any level above holds too.
fn smallest(levels: &[PathBuf], file: &str) -> Limit {
    levels.iter().fold(None, |least_yet, level| least(least_yet, number(&level.join(file))))
}

/// The kernel ends the uppermost cgroup that says so, below the one whose memory has run out, that one included
/// (cgroup-v2.rst, memory.oom.group).
fn oom_group(levels: &[PathBuf]) -> Option<bool> {
    let limited = levels.iter().position(|level| number(&level.join("memory.max")).is_some());
    let domain = &levels[..limited.map_or(levels.len(), |index| index + 1)];
    let of = |level: &PathBuf| number(&level.join("memory.oom.group")).map(|value| value == 1);
    domain.iter().filter_map(of).reduce(|any, one| any | one)
}

fn is_weighed(dir: &Path) -> bool {
    let text = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
    let quota = text("cpu.max");
    let weight = text("cpu.weight");
    (!quota.is_empty() && !quota.starts_with("max")) || !matches!(weight.trim(), "" | "100")
}

/// Counted on the cgroup itself and above: each of them may forbid.
fn programs(levels: &[PathBuf]) -> Option<usize> {
    let count = |dir: &PathBuf| Cgroup::open(dir).ok()?.device_program_count().ok();
    let counts: Vec<usize> = levels.iter().map(count).collect::<Option<_>>()?;
    Some(counts.iter().sum())
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
        let top = std::env::temp_dir().join(format!("casemate-oom-{}", std::process::id()));
        let levels = ["pod/own/leaf", "pod/own", "pod"].map(|level| top.join(level));
        std::fs::create_dir_all(&levels[0]).unwrap();
        let write = |level: usize, name: &str, text: &str| {
            std::fs::write(levels[level].join(name), text).unwrap();
        };
        assert_eq!(oom_group(&levels), None);
        for level in 0..3 {
            write(level, "memory.max", "max\n");
            write(level, "memory.oom.group", "0\n");
        }
        write(1, "memory.max", "4096\n");
        write(2, "memory.oom.group", "1\n");
        assert_eq!(oom_group(&levels), Some(false));
        write(1, "memory.oom.group", "1\n");
        assert_eq!(oom_group(&levels), Some(true));
        std::fs::remove_dir_all(&top).unwrap();
    }

    #[test]
    fn the_smaller_of_two_limits_counts_and_none_is_no_limit() {
        assert_eq!(least(Some(3), Some(2)), Some(2));
        assert_eq!(least(None, Some(2)), Some(2));
        assert_eq!(least(None, None), None);
    }
}
