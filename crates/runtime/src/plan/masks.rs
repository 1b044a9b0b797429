//! Masked paths whose names depend on the host.

use anyhow::{Context as _, Result};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Temperature events of each processor: a side channel, and one directory per processor. As profiles and some engines
/// write it.
const PER_CPU: &str = "/sys/devices/system/cpu/cpu*/thermal_throttle";
const CPUS: &str = "/sys/devices/system/cpu";

/// The paths of a configuration, the pattern above replaced by what this host has. No other pattern is known to the
/// specification, and a `*` elsewhere is a character like any other.
///
/// # Errors
/// What this host has cannot be read: then nobody knows what is to be hidden.
pub(super) fn expand(list: &[String], plain: impl Fn(&String) -> PathBuf) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = list.iter().filter(|path| *path != PER_CPU).map(plain).collect();
    if paths.len() != list.len() {
        let listed = per_cpu(Path::new(CPUS)).context(CPUS)?;
        paths.extend(listed.into_iter().filter(|path| !list.iter().any(|l| Path::new(l) == path)));
    }
    Ok(paths)
}

/// A host without the directory has nothing to hide in it.
fn per_cpu(cpus: &Path) -> std::io::Result<Vec<PathBuf>> {
    // The kernel's driver makes it for every processor that runs, or for none (all but Intel's, and virtual ones): the first one
    // tells, unless it is switched off, and the list need not be read.
    let first = cpus.join("cpu0");
    let is_off = || match std::fs::read(first.join("online")) {
        // The first one cannot be switched off on most machines, and has no such file there.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        other => other.map(|text| text.starts_with(b"0")),
    };
    if !is_directory(&first.join("thermal_throttle"))? && !is_off()? {
        return Ok(Vec::new());
    }
    let entries = match std::fs::read_dir(cpus) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let is_cpu = |name: &str| {
        name.strip_prefix("cpu")
            .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()) && !n.is_empty())
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let path = entry.path().join("thermal_throttle");
        if entry.file_name().to_str().is_some_and(is_cpu) && is_directory(&path)? {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn is_directory(path: &Path) -> std::io::Result<bool> {
    match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        other => other.map(|found| found.is_dir()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_becomes_the_directories_that_exist() {
        let dir = std::env::temp_dir().join(format!("casemate-cpus-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        for name in ["cpu0", "cpu11", "cpufreq", "cpu"] {
            std::fs::create_dir_all(dir.join(name).join("thermal_throttle")).unwrap();
        }
        std::fs::create_dir_all(dir.join("cpu2")).unwrap();
        let found = per_cpu(&dir).unwrap();
        std::fs::remove_dir(dir.join("cpu0/thermal_throttle")).unwrap();
        std::fs::write(dir.join("cpu0/online"), "0\n").unwrap();
        assert_eq!(per_cpu(&dir).unwrap(), [dir.join("cpu11/thermal_throttle")]);
        // A link to itself: it cannot be told whether a directory is there.
        std::os::unix::fs::symlink("thermal_throttle", dir.join("cpu2/thermal_throttle")).unwrap();
        assert!(per_cpu(&dir).is_err());
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(found, [dir.join("cpu0/thermal_throttle"), dir.join("cpu11/thermal_throttle")]);
        assert!(per_cpu(&dir).unwrap().is_empty());
    }

    #[test]
    fn other_paths_stay_as_they_are() {
        let list = ["/proc/kcore".to_owned(), PER_CPU.to_owned(), "/a*b".to_owned()];
        let paths = expand(&list, |path| PathBuf::from(path)).unwrap();
        assert_eq!(paths[..2], [PathBuf::from("/proc/kcore"), PathBuf::from("/a*b")]);
        assert!(paths.iter().all(|path| path != Path::new(PER_CPU)));
    }
}
