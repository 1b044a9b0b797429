//! The machine that the driver runs on, which is its own: what of a container is there, and what is left when it is gone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The cgroups of all containers of the driver lie in this one.
const CGROUPS: &str = "/sys/fs/cgroup/casemate-faults";

fn text(path: impl AsRef<Path>) -> String {
    // What cannot be read differs from what could be read in the clean run, which is all that is asked.
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| format!("{}: {error}", path.as_ref().display()))
}

/// Nodes of the host's that are shown where none of the container's own can be made: the same devices.
const NODES: [&str; 6] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// What a mount shows, where, and with which flags; `None` for a node of the host's with all the flags that it can have.
/// The source and the options of the file system are words, which differ with the call that mounted it.
fn mount(line: &str) -> Option<String> {
    let (own, of_fs) = line.split_once(" - ").unwrap_or((line, ""));
    let fields: Vec<&str> = own.split(' ').collect();
    let (root, at, flags) = (fields[3], fields[4], fields[5]);
    let kind = of_fs.split(' ').next().unwrap_or_default();
    let harmless = ["nosuid", "noexec"].iter().all(|flag| flags.split(',').any(|f| f == *flag));
    let node = kind == "devtmpfs" && harmless && NODES.contains(&at) && at.ends_with(root);
    (!node).then(|| format!("{root} {at} {flags} {kind}"))
}

/// What holds a process: ids, capabilities, filters, namespaces, limits, mounts, cgroup.
pub(crate) fn posture(pid: i32) -> String {
    const STATUS: [&str; 12] = [
        "Umask:",
        "Uid:",
        "Gid:",
        "Groups:",
        "CapInh:",
        "CapPrm:",
        "CapEff:",
        "CapBnd:",
        "CapAmb:",
        "NoNewPrivs:",
        "Seccomp:",
        "Seccomp_filters:",
    ];
    let status = text(format!("/proc/{pid}/status"));
    let wanted = |line: &&str| STATUS.iter().any(|name| line.starts_with(name));
    let mut seen: Vec<String> = status.lines().filter(wanted).map(str::to_owned).collect();
    for kind in ["mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time"] {
        let link = |of: &str| std::fs::read_link(format!("/proc/{of}/ns/{kind}")).ok();
        seen.push(format!("own {kind} {}", link(&pid.to_string()) != link("self")));
    }
    for file in ["uid_map", "gid_map", "oom_score_adj", "limits", "cgroup"] {
        seen.push(format!("{file} {}", text(format!("/proc/{pid}/{file}"))));
    }
    let mounts = text(format!("/proc/{pid}/mountinfo"));
    seen.extend(mounts.lines().filter_map(mount).map(|line| format!("mount {line}")));
    seen.join("\n")
}

/// The first lines in which two descriptions differ.
pub(crate) fn difference(wanted: &str, seen: &str) -> Option<String> {
    let only = |a: &str, b: &str| {
        let others: BTreeSet<&str> = b.lines().collect();
        a.lines().find(|line| !others.contains(line)).map(str::to_owned)
    };
    match (only(wanted, seen), only(seen, wanted)) {
        (None, None) => None,
        (gone, new) => Some(format!(
            "has {:?} in place of {:?}",
            new.unwrap_or_default(),
            gone.unwrap_or_default()
        )),
    }
}

fn below(dir: &Path, found: &mut BTreeSet<String>) {
    // A directory that goes away meanwhile has nothing in it.
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        found.insert(entry.path().display().to_string());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), found);
        }
    }
}

/// Everything that is there: files of runtimes, the container's cgroup, mounts, processes.
pub(crate) fn inventory(state: &Path, id: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // But for the bounded notes about containers that have gone.
    for path in casemate_tests::host::left_in_root(state) {
        found.insert(path.display().to_string());
        below(&path, &mut found);
    }
    for dir in [Path::new("/run"), Path::new("/dev/shm")] {
        below(dir, &mut found);
    }
    // Not those of another run beside this one.
    found.extend(Some(cgroup(id)).filter(|dir| dir.exists()).map(|dir| dir.display().to_string()));
    found.extend(text("/proc/self/mountinfo").lines().map(|line| format!("mount {line}")));
    found.extend(processes().into_iter().map(|(pid, name)| format!("process {pid} {name}")));
    found
}

/// Processes that have not ended, of the pid namespace, which is the driver's own.
pub(crate) fn processes() -> Vec<(i32, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let status = text(format!("/proc/{pid}/status"));
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        if let (Some(name), Some(state)) = (field("Name:"), field("State:")) {
            if !state.trim().starts_with(['Z', 'X']) {
                found.push((pid, name.trim().to_owned()));
            }
        }
    }
    found
}

/// The cgroup of a container.
pub(crate) fn cgroup(id: &str) -> PathBuf {
    Path::new(CGROUPS).join(id)
}

/// Whether a process is there and has not ended.
pub(crate) fn is_alive(pid: i32) -> bool {
    processes().iter().any(|(other, _)| *other == pid)
}

/// End what a runtime did not: for the next case, after this one was found fault with.
pub(crate) fn sweep(before: &BTreeSet<String>, state: &Path, id: &str) {
    for left in inventory(state, id).difference(before) {
        let words: Vec<&str> = left.split(' ').collect();
        match words.as_slice() {
            ["process", pid, ..] => {
                // SAFETY: plain system call; the pid namespace is the driver's own.
                unsafe { libc::kill(pid.parse().expect("a pid"), libc::SIGKILL) };
            }
            ["mount", fields @ ..] => {
                let at =
                    std::ffi::CString::new(fields[4]).expect("no zero in a line of the kernel");
                // SAFETY: a constant string and a flag.
                unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) };
            }
            _ => {}
        }
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    for left in inventory(state, id).difference(before).collect::<Vec<_>>().iter().rev() {
        let path = Path::new(left.as_str());
        // Whatever is left even so is told of again by the next case.
        match path.is_dir() && !path.is_symlink() {
            true => remove_below(path),
            false => drop(std::fs::remove_file(path)),
        }
    }
}

/// A cgroup's files go with it, and so only directories are removed.
fn remove_below(dir: &Path) {
    drop(std::fs::write(dir.join("cgroup.kill"), "1"));
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_below(&entry.path());
        }
    }
    drop(std::fs::remove_dir(dir));
}
