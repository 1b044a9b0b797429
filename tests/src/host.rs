//! The host's side: what no container may change, and what none may leave behind.

use crate::scratch::Dir;
use std::cell::Cell;
use std::collections::hash_map::DefaultHasher;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Whether the tests run as root.
pub fn is_root() -> bool {
    // SAFETY: cannot fail, touches no memory.
    unsafe { libc::geteuid() == 0 }
}

/// A program of this host.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Give the calling thread, and every command that it starts, a mount namespace of its own with shared propagation, as
/// a host that systemd has booted. So a container that leaks a mount is seen by the test and not by the host. Without
/// the right to do that nothing happens.
pub fn isolate() {
    thread_local!(static DONE: Cell<bool> = const { Cell::new(false) });
    if DONE.replace(true) || !is_root() {
        return;
    }
    // SAFETY: system calls with constant strings; a thread may leave its process's mount namespace once it does not
    // share its working directory any more, which unshare(CLONE_NEWNS) sees to.
    let result = unsafe {
        let set = |flags| {
            libc::mount(std::ptr::null(), c"/".as_ptr(), std::ptr::null(), flags, std::ptr::null())
        };
        libc::unshare(libc::CLONE_NEWNS)
            | set(libc::MS_REC | libc::MS_PRIVATE)
            | set(libc::MS_REC | libc::MS_SHARED)
    };
    assert_eq!(
        result,
        0,
        "a mount namespace of the test's own: {}",
        std::io::Error::last_os_error()
    );
}

/// The binary under test: a copy, so that a build that goes on meanwhile does not change it under the tests.
///
/// # Panics
/// If it cannot be copied.
pub fn runtime() -> &'static Path {
    static COPY: OnceLock<PathBuf> = OnceLock::new();
    COPY.get_or_init(|| {
        let dir = crate::scratch::base().join("bin");
        crate::scratch::make(&dir);
        let copy = dir.join("casemate");
        crate::programs::copy(&crate::cli::binary(), &copy);
        copy
    })
}

/// Mounts of the calling test.
pub fn mounts() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/thread-self/mountinfo").expect("mountinfo");
    text.lines().map(str::to_owned).collect()
}

/// The cgroup2 hierarchy.
pub fn cgroup_mount() -> Option<PathBuf> {
    let candidates = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
    candidates.into_iter().find(|dir| dir.join("cgroup.controllers").exists())
}

/// Cgroups, of every hierarchy that is mounted below /sys/fs/cgroup, with `part` in their name.
pub fn cgroups_named(part: &str) -> Vec<String> {
    fn walk(dir: &Path, part: &str, depth: usize, found: &mut Vec<String>) {
        let Ok(entries) = std::fs::read_dir(dir) else { return };
        for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
            if entry.file_name().to_string_lossy().contains(part) {
                found.push(entry.path().display().to_string());
            }
            if depth > 0 {
                walk(&entry.path(), part, depth - 1, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), part, 6, &mut found);
    found
}

/// Processes whose command line names `path`, or whose root it is.
pub fn processes_of(rootfs: &Path) -> Vec<String> {
    let wanted = std::fs::metadata(rootfs).map(|m| (m.dev(), m.ino())).ok();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else {
            continue;
        };
        let root = std::fs::metadata(entry.path().join("root")).map(|m| (m.dev(), m.ino())).ok();
        if wanted.is_some() && root == wanted {
            let comm = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            found.push(format!("process {pid} {}", comm.trim()));
        }
    }
    found
}

/// What containers have left in their state root: everything but the bounded notes about those that have gone, which are plain
/// files of a known size.
pub fn left_in_root(root: &Path) -> Vec<PathBuf> {
    let children = |dir: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let is_note = |path: &PathBuf| {
        path.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.len() < 80 << 10)
    };
    let past = root.join("@past");
    let notes = children(&past);
    let (few, others) = (notes.len() <= 288, notes.into_iter().filter(|path| !is_note(path)));
    let mut left: Vec<PathBuf> = others.collect();
    left.extend(children(root).into_iter().filter(|path| !(few && *path == past)));
    left
}

/// Open descriptors of a process.
pub fn descriptors(pid: i32) -> Vec<(u32, PathBuf)> {
    let mut list = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
        let number = entry.file_name().to_str().and_then(|n| n.parse().ok());
        if let (Some(number), Ok(target)) = (number, std::fs::read_link(entry.path())) {
            list.push((number, target));
        }
    }
    list.sort();
    list
}

/// A field of /proc/PID/status.
pub fn status(pid: i32, field: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(":\t")?.to_owned()))
}

/// The names of the capabilities that this process has in its bounding set.
pub fn own_capabilities() -> Vec<String> {
    const NAMES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
        NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE \
        SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE \
        AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF \
        CHECKPOINT_RESTORE";
    let mask = status(std::process::id() as i32, "CapBnd")
        .and_then(|text| u64::from_str_radix(&text, 16).ok());
    let mask = mask.expect("CapBnd");
    let names = NAMES.split_whitespace().enumerate();
    names.filter(|(bit, _)| mask & (1 << bit) != 0).map(|(_, name)| format!("CAP_{name}")).collect()
}

/// What a container must not change, as it was when the value was made.
#[derive(Debug)]
pub struct Canary {
    dir: Dir,
    before: BTreeMap<String, String>,
}

impl Default for Canary {
    fn default() -> Self {
        Self::new()
    }
}

impl Canary {
    /// Put a directory with known files on the host and note everything.
    ///
    /// # Panics
    /// If the directory cannot be made.
    pub fn new() -> Self {
        isolate();
        let dir = Dir::new("canary");
        for name in
            ["secret", "null", "ptmx", "console", "proc/self/attr/exec", "dev/null", "sub/dir/file"]
        {
            let path = dir.path().join(name);
            crate::scratch::make(path.parent().expect("a directory"));
            crate::bundle::write(&path, format!("canary {name}\n"));
        }
        let before = look(dir.path());
        Self { dir, before }
    }

    /// The directory on the host.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What has changed since.
    pub fn changes(&self) -> Vec<String> {
        let after = look(self.dir.path());
        let keys: std::collections::BTreeSet<_> = self.before.keys().chain(after.keys()).collect();
        let changed = keys.into_iter().filter(|key| self.before.get(*key) != after.get(*key));
        changed
            .map(|key| format!("{key}: {:?} -> {:?}", self.before.get(key), after.get(key)))
            .collect()
    }

    /// Nothing has changed.
    ///
    /// # Panics
    /// If something has.
    pub fn check(&self) {
        let changes = self.changes();
        assert!(changes.is_empty(), "the host was changed:\n{}", changes.join("\n"));
    }
}

/// Everything that is watched, by name.
fn look(dir: &Path) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    tree(dir, &mut seen);
    for (number, line) in mounts().into_iter().enumerate() {
        seen.insert(format!("mount {number:03}"), line);
    }
    let files = [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/domainname",
        "/proc/sys/kernel/sysrq",
        "/proc/sys/kernel/shm_rmid_forced",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/vm/overcommit_memory",
    ];
    for file in files {
        let text = std::fs::read_to_string(file).unwrap_or_else(|e| e.to_string());
        seen.insert(file.to_owned(), text);
    }
    for node in ["/dev/null", "/dev/zero", "/dev/ptmx", "/dev/console", "/dev/tty"] {
        let text = std::fs::symlink_metadata(node).map_or_else(
            |e| e.to_string(),
            |m| format!("{} {:o} {}:{} {}", m.rdev(), m.mode(), m.uid(), m.gid(), m.ino()),
        );
        seen.insert(node.to_owned(), text);
    }
    let text = std::fs::metadata(runtime()).map_or_else(
        |e| e.to_string(),
        |m| format!("{} {} {}.{}", m.ino(), m.size(), m.mtime(), m.mtime_nsec()),
    );
    seen.insert("runtime binary".to_owned(), text);
    seen
}

fn tree(path: &Path, seen: &mut BTreeMap<String, String>) {
    seen.insert(path.display().to_string(), describe(path));
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).expect("the canary can be read").flatten() {
            tree(&entry.path(), seen);
        }
    }
}

/// Inode, mode, owner and content.
fn describe(path: &Path) -> String {
    let Ok(m) = std::fs::symlink_metadata(path) else { return "missing".to_owned() };
    let mut hasher = DefaultHasher::new();
    if m.is_file() {
        std::fs::read(path).ok().hash(&mut hasher);
    }
    format!("{:o} {}:{} ino {} {:x}", m.mode(), m.uid(), m.gid(), m.ino(), hasher.finish())
}
