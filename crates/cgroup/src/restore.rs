//! What a cgroup's files said before a container was put into a cgroup that somebody else had made, and saying it again.

use crate::error::{Error, Result};
use crate::files::Dir;
use crate::handle::{remove_below, Cgroup};
use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::path::Path;

/// Contents of the writable files of a cgroup, by name.
pub type Contents = BTreeMap<String, String>;

/// Settings among the files of the core; the others of those are orders or lists of processes.
const CORE: [&str; 3] = ["cgroup.freeze", "cgroup.max.depth", "cgroup.max.descendants"];
/// Writable, but no settings: an order, counters that a write sets back, a second and coarser view of cpu.weight.
const NO_SETTINGS: [&str; 4] =
    ["memory.reclaim", "memory.peak", "memory.swap.peak", "cpu.weight.nice"];

impl Cgroup {
    /// Read all settings, for [`give_back`].
    ///
    /// # Errors
    /// The directory cannot be listed, or one of its settings cannot be read.
    pub fn contents(&self) -> Result<Contents> {
        let dir = self.dir();
        let mut contents = Contents::new();
        for name in dir.names_between("", "")? {
            if is_setting(&dir, &name)? {
                let text = dir.read(&name)?;
                contents.insert(name, text);
            }
        }
        Ok(contents)
    }

    fn restore(&self, before: &Contents) -> Result<()> {
        let dir = self.dir();
        let enabled = dir.read("cgroup.subtree_control")?;
        for controller in enabled.split_whitespace() {
            dir.write("cgroup.subtree_control", &format!("-{controller}"))?;
        }
        self.restore_settings(before)
    }

    /// Give each file the content that [`Cgroup::contents`] has read.
    ///
    /// # Errors
    /// A file that takes its content in no order, or cannot be read.
    pub fn restore_settings(&self, before: &Contents) -> Result<()> {
        let dir = self.dir();
        // Some files depend on others (cpu.max.burst on cpu.max, cpu.weight on cpu.idle): what is refused while those are
        // still the container's is tried again, and that answer counts.
        for (name, text) in before {
            restore_file(&dir, name, text).ok();
        }
        before.iter().try_for_each(|(name, text)| restore_file(&dir, name, text))
    }
}

/// Give a cgroup that existed before the container back as it was: nothing below it and the settings that
/// [`Cgroup::contents`] has read. The directory stays. It may be gone already.
///
/// Not undone: the type `threaded`, which the kernel makes final, an owner set by [`Cgroup::delegate`], and the device
/// program, which the next container's replaces.
///
/// # Errors
/// Something still runs below it (EBUSY, see [`remove_below`]), a controller cannot be disabled, or
/// a file does not take its content back.
pub fn give_back(path: &Path, before: &Contents) -> Result<()> {
    remove_below(path)?;
    match Cgroup::open(path).and_then(|cgroup| cgroup.restore(before)) {
        Err(error) if error.is_gone() => Ok(()),
        other => other,
    }
}

fn is_setting(dir: &Dir<'_>, name: &str) -> Result<bool> {
    if name.starts_with("cgroup.") {
        return Ok(CORE.contains(&name));
    }
    if NO_SETTINGS.contains(&name) || name.ends_with(".pressure") {
        return Ok(false);
    }
    let stat = match rustix::fs::statat(dir.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(false),
        other => other.map_err(|errno| Error::io("stat", dir.path.join(name), errno))?,
    };
    let is_file = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file();
    let mode = Mode::from_raw_mode(stat.st_mode);
    Ok(is_file && mode.contains(Mode::RUSR | Mode::WUSR))
}

fn restore_file(dir: &Dir<'_>, name: &str, before: &str) -> Result<()> {
    let now = dir.read(name)?;
    if now == before {
        return Ok(());
    }
    for line in unsaid(name, &now, before).iter().map(String::as_str).chain(before.lines()) {
        // Files with one line per device take one line per write(2).
        dir.write(name, line)?;
    }
    // An empty list (cpuset.cpus) is written as an empty line.
    if before.trim().is_empty() && !now.trim().is_empty() {
        dir.write(name, "\n")?;
    }
    Ok(())
}

/// Lines that take back what is said now about devices of which nothing was said before.
fn unsaid(name: &str, now: &str, before: &str) -> Vec<String> {
    let default = match name {
        "io.max" => "rbps=max wbps=max riops=max wiops=max",
        "io.weight" | "io.bfq.weight" => "default",
        "io.latency" => "target=0",
        _ => return Vec::new(),
    };
    let device = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let said: Vec<String> = before.lines().map(device).collect();
    let new = now.lines().map(device).filter(|found| !said.contains(found));
    new.map(|found| format!("{found} {default}")).collect()
}

#[cfg(test)]
mod tests {
    use super::unsaid;

    #[test]
    fn limits_of_devices_that_had_none_are_taken_back() {
        let now =
            "8:0 rbps=1 wbps=max riops=max wiops=max\n8:16 rbps=2 wbps=max riops=max wiops=max\n";
        let before = "8:16 rbps=9 wbps=max riops=max wiops=max\n";
        assert_eq!(unsaid("io.max", now, before), ["8:0 rbps=max wbps=max riops=max wiops=max"]);
        assert_eq!(unsaid("io.weight", "default 100\n8:0 50\n", "default 100\n"), ["8:0 default"]);
        assert!(unsaid("pids.max", "7\n", "max\n").is_empty());
    }
}
