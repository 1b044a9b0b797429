//! Verify, then exec: what the kernel says about the finished process is compared with the plan; more privilege than
//! planned, or a mount with fewer restrictions, ends the container before its program runs. What was seen is kept in
//! the record.

use crate::procfs;
use anyhow::{bail, Context as _, Result};
use casemate_policy::{Control, ControlId, HardenedSpec, Mode as ControlMode};
use casemate_sandbox::plan::{CapabilityPlan, ContainerPlan, MountPlan, MountSource, ProcessPlan};
use casemate_sys::mount::attr;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the process must look like, taken from the plan before the plan is handed over.
#[derive(Clone, Debug)]
pub struct Expectation {
    uid: u32,
    gid: u32,
    caps: CapabilityPlan,
    no_new_privs: bool,
    root_readonly: bool,
    mounts: Vec<(PathBuf, u64)>,
    /// The container has a whole procfs of its own on /proc.
    own_proc: bool,
    /// No mount may propagate to the host.
    no_shared: bool,
    /// SELinux labels of the process, and of the root file system where that is ours to label.
    selinux: (Option<String>, Option<String>),
    /// Recursive bind mounts below which no file system of the kernel may appear.
    volumes: Vec<PathBuf>,
}

/// What the process does look like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Posture {
    /// Effective uid in the runtime's user namespace.
    pub uid: u32,
    /// Effective gid in the runtime's user namespace.
    pub gid: u32,
    /// Inheritable capabilities, hexadecimal, as all sets.
    pub cap_inheritable: String,
    /// Permitted capabilities.
    pub cap_permitted: String,
    /// Effective capabilities.
    pub cap_effective: String,
    /// Bounding set.
    pub cap_bounding: String,
    /// Ambient set.
    pub cap_ambient: String,
    /// no_new_privs is set.
    pub no_new_privs: bool,
    /// The SELinux label that the program will have, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selinux_label: Option<String>,
    /// The SELinux label of `/`, where the container was given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selinux_root: Option<String>,
    /// SHA-256 of the hooks that run on the host's side, hexadecimal, by JSON pointer; where a list of hooks or a log asked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hook_digests: BTreeMap<String, String>,
    /// `/` is read-only; absent for exec, which makes no mounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_readonly: Option<bool>,
    /// How many mounts were compared.
    pub mounts_checked: usize,
}

/// The restrictions that are compared, with their names in mountinfo.
const RESTRICTIONS: [(u64, &str); 4] = [
    (attr::RDONLY, "ro"),
    (attr::NOSUID, "nosuid"),
    (attr::NODEV, "nodev"),
    (attr::NOEXEC, "noexec"),
];

impl Expectation {
    /// Of a process, with its ids in the runtime's user namespace.
    pub fn of_process(plan: &ProcessPlan, uid: u32, gid: u32) -> Self {
        Self {
            uid,
            gid,
            caps: plan.caps,
            no_new_privs: plan.no_new_privs,
            root_readonly: false,
            mounts: Vec::new(),
            own_proc: false,
            no_shared: false,
            selinux: (plan.selinux.clone(), None),
            volumes: Vec::new(),
        }
    }

    /// Of a container.
    pub fn of_container(plan: &ContainerPlan, uid: u32, gid: u32) -> Self {
        let mut this = Self::of_process(&plan.process, uid, gid);
        if !plan.root.own_mounts {
            // A tree that is attached nowhere is in no mountinfo.
            return this;
        }
        this.root_readonly = plan.root.readonly;
        let mounted =
            |m: &&MountPlan| !matches!(m.source, MountSource::Bind { copy_symlink: true, .. });
        let restrictions = |m: &MountPlan| (m.destination.clone(), m.set | m.recursive_set);
        this.mounts = plan.root.mounts.iter().filter(mounted).map(restrictions).collect();
        this.mounts
            .extend(plan.root.readonly_paths.iter().map(|path| (path.clone(), attr::RDONLY)));
        this.mounts.extend(plan.root.masked.iter().map(|path| (path.clone(), attr::RDONLY)));
        this.own_proc = plan.root.mounts.iter().any(is_whole_procfs);
        this
    }

    /// What the container's controls demand of its mounts beyond the plan.
    pub fn demand(&mut self, plan: &ContainerPlan, spec: &HardenedSpec) {
        let enforced = |rule| plan.root.own_mounts && spec.mode(rule) == ControlMode::Enforce;
        let granted = |name: &str| spec.overrides().allows(name).is_some();
        self.no_shared = enforced(ControlId::SharedPropagation) && !granted("mounts.shared");
        if spec.extras().auto_label.is_some() {
            self.selinux.1.clone_from(&spec.linux.mount_label);
        }
        // Who was granted a place of the host was granted what is mounted in it.
        let places =
            Control::find(ControlId::MountSources.as_str()).map_or(&[][..], |row| row.allow);
        if enforced(ControlId::MountSources) && !places.iter().any(|name| granted(name)) {
            let recursive =
                |m: &&MountPlan| matches!(m.source, MountSource::Bind { recursive: true, .. });
            let bound = plan.root.mounts.iter().filter(recursive);
            self.volumes = bound.map(|m| m.destination.clone()).collect();
        }
    }

    /// Read back process `pid` and compare.
    pub fn verify(&self, proc: &OwnedFd, pid: i32) -> Result<Posture> {
        let mut posture = read_status(proc, pid)?;
        self.compare(&posture).context("verification before exec")?;
        self.verify_labels(proc, pid, &mut posture).context("verification before exec")?;
        if !self.mounts.is_empty() || self.root_readonly || self.no_shared {
            self.verify_mounts(proc, pid, &mut posture).context("verification before exec")?;
        }
        Ok(posture)
    }

    fn compare(&self, seen: &Posture) -> Result<()> {
        if (seen.uid, seen.gid) != (self.uid, self.gid) {
            bail!("ids are {}:{}, planned {}:{}", seen.uid, seen.gid, self.uid, self.gid);
        }
        if self.no_new_privs && !seen.no_new_privs {
            bail!("no_new_privs is not set");
        }
        let sets = [
            ("inheritable", &seen.cap_inheritable, self.caps.inheritable),
            ("permitted", &seen.cap_permitted, self.caps.permitted),
            ("effective", &seen.cap_effective, self.caps.effective),
            ("bounding", &seen.cap_bounding, self.caps.bounding),
            ("ambient", &seen.cap_ambient, self.caps.ambient),
        ];
        for (name, text, planned) in sets {
            let have = u64::from_str_radix(text, 16)
                .with_context(|| format!("{name} capabilities {text:?}"))?;
            if have & !planned != 0 {
                bail!("{name} capabilities are {have:#x}, planned {planned:#x}");
            }
        }
        Ok(())
    }

    /// The label is what execve will change to. Of files of a type that containers may read anyway only the categories are
    /// looked at, when the container was made.
    fn verify_labels(&self, proc: &OwnedFd, pid: i32, posture: &mut Posture) -> Result<()> {
        let (Some(label), root) = &self.selinux else { return Ok(()) };
        let asked = procfs::read(proc, &format!("{pid}/attr/exec"))?;
        let asked = asked.trim_end_matches(['\n', '\0']);
        if asked != label {
            bail!("the SELinux label for the program is {asked:?}, planned {label:?}");
        }
        posture.selinux_label = Some(asked.to_owned());
        if let Some(planned) = root {
            let path = format!("/proc/{pid}/root/.");
            let found = crate::selinux::label_of(Path::new(&path));
            let found = found.map_err(|e| anyhow::anyhow!("SELinux label of /: {e}"))?;
            if !crate::selinux::opens(&found, planned) {
                bail!("the SELinux label of / is {found}, planned {planned}");
            }
            posture.selinux_root = Some(found);
        }
        Ok(())
    }

    /// Nothing propagates to the host, and no volume brings a file system of the kernel along: a recursive bind mount shows
    /// what was mounted below its source, whatever the source itself is.
    fn verify_kinds(&self, text: &str) -> Result<()> {
        let kinds: Vec<Kind<'_>> = text.lines().filter_map(parse_kind).collect();
        if let Some(mount) = kinds.iter().find(|mount| self.no_shared && mount.shared) {
            bail!("mount {} propagates to the host (rule mounts.shared-propagation)", mount.point);
        }
        let of_kernel = |mount: &&Kind<'_>| KERNEL_FILE_SYSTEMS.contains(&mount.fstype);
        for volume in self.volumes.iter().map(|path| escaped(path)) {
            if kinds.iter().filter(of_kernel).any(|mount| mount.point == volume) {
                // Judged by the rules, as its own source is one.
                continue;
            }
            let below =
                |point: &str| point.strip_prefix(&volume).is_some_and(|r| r.starts_with('/'));
            let planned = |point: &str| self.mounts.iter().any(|(path, _)| escaped(path) == point);
            let found =
                kinds.iter().filter(of_kernel).find(|m| below(m.point) && !planned(m.point));
            if let Some(Kind { point, fstype, .. }) = found {
                bail!(
                    "the bind mount {volume} brings the host's {fstype} along at {point} (rule mounts.sources); \
                     bind it without what is mounted below (option bind), or allow mounts.kernel-fs"
                );
            }
        }
        Ok(())
    }

    fn verify_mounts(&self, proc: &OwnedFd, pid: i32, posture: &mut Posture) -> Result<()> {
        let text = procfs::read(proc, &format!("{pid}/mountinfo"))?;
        self.verify_kinds(&text)?;
        let seen: Vec<(&str, &str)> = text.lines().filter_map(parse_line).collect();
        // A later line covers an earlier one of the same place.
        let find = |path: &Path| {
            let path = escaped(path);
            seen.iter().rev().find(|(point, _)| *point == path).map(|(_, options)| *options)
        };
        let root = find(Path::new("/")).unwrap_or_default();
        let root_readonly = has(root, "ro");
        if self.root_readonly && !root_readonly {
            bail!("the root file system is not read-only ({root})");
        }
        posture.root_readonly = Some(root_readonly);
        // A destination that was reached through a link of the image stands under another name; masks of what the
        // kernel does not have are not there.
        for (path, planned) in &self.mounts {
            let Some(options) = find(path) else {
                if self.own_proc && is_kernel_file(proc, path) {
                    bail!("{} is not covered", path.display());
                }
                continue;
            };
            posture.mounts_checked += 1;
            for (bit, name) in RESTRICTIONS {
                if planned & bit != 0 && !has(options, name) {
                    bail!("mount {} is not {name} ({options})", path.display());
                }
            }
        }
        Ok(())
    }
}

/// File systems through which the kernel shows or changes the host.
const KERNEL_FILE_SYSTEMS: [&str; 17] = [
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "devtmpfs",
    "devpts",
    "mqueue",
    "debugfs",
    "tracefs",
    "bpf",
    "securityfs",
    "configfs",
    "selinuxfs",
    "pstore",
    "efivarfs",
    "binfmt_misc",
    "fusectl",
];

/// What one line of mountinfo says about a mount's surroundings (proc_pid_mountinfo(5)).
struct Kind<'a> {
    point: &'a str,
    shared: bool,
    fstype: &'a str,
}

fn parse_kind(line: &str) -> Option<Kind<'_>> {
    let (front, back) = line.split_once(" - ")?;
    let mut fields = front.split(' ').skip(4);
    let point = fields.next()?;
    let shared = fields.skip(1).any(|field| field.starts_with("shared:"));
    Some(Kind { point, shared, fstype: back.split(' ').next()? })
}

/// A procfs with everything in it, mounted on /proc.
fn is_whole_procfs(mount: &MountPlan) -> bool {
    let MountSource::Filesystem { fstype, options, .. } = &mount.source else { return false };
    let partial = options.iter().any(|(key, _)| key == "subset");
    mount.destination == Path::new("/proc") && fstype == "proc" && !partial
}

/// Whether every whole procfs of this kernel has this path: true for what lies directly in /proc and is no process and no
/// link. What is covered here, in our own /proc, cannot be told.
fn is_kernel_file(proc: &OwnedFd, path: &Path) -> bool {
    let Ok(name) = path.strip_prefix("/proc") else { return false };
    let text = name.to_string_lossy();
    if text.is_empty() || text.contains('/') || text.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::openat2(proc, name, flags, Mode::empty(), resolve).is_ok()
}

/// Mount point and per-mount options of a mountinfo line (proc_pid_mountinfo(5)).
fn parse_line(line: &str) -> Option<(&str, &str)> {
    let mut fields = line.split(' ').skip(4);
    Some((fields.next()?, fields.next()?))
}

/// A path as mountinfo shows it (mangle_path in the kernel's fs/seq_file.c).
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for c in path.to_string_lossy().chars() {
        match c {
            ' ' | '\t' | '\n' | '\\' => text.push_str(&format!("\\{:03o}", c as u32)),
            other => text.push(other),
        }
    }
    text
}

fn has(options: &str, name: &str) -> bool {
    options.split(',').any(|option| option == name)
}

/// /proc/PID/status, the lines that matter here.
fn read_status(proc: impl AsFd, pid: i32) -> Result<Posture> {
    let text = procfs::read(proc, &format!("{pid}/status"))?;
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))
            .unwrap_or_default()
            .to_owned()
    };
    let effective_id = |name: &str| field(name).split('\t').nth(1).and_then(|n| n.parse().ok());
    let (Some(uid), Some(gid)) = (effective_id("Uid"), effective_id("Gid")) else {
        bail!("/proc/{pid}/status has no ids: the process ended");
    };
    Ok(Posture {
        uid,
        gid,
        cap_inheritable: field("CapInh"),
        cap_permitted: field("CapPrm"),
        cap_effective: field("CapEff"),
        cap_bounding: field("CapBnd"),
        cap_ambient: field("CapAmb"),
        no_new_privs: field("NoNewPrivs") == "1",
        selinux_label: None,
        selinux_root: None,
        hook_digests: BTreeMap::new(),
        root_readonly: None,
        mounts_checked: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expectation() -> Expectation {
        let proc = procfs::open().unwrap();
        let me = read_status(&proc, std::process::id() as i32).unwrap();
        let all = CapabilityPlan {
            bounding: !0,
            effective: !0,
            permitted: !0,
            inheritable: !0,
            ambient: !0,
        };
        Expectation {
            uid: me.uid,
            gid: me.gid,
            caps: all,
            no_new_privs: false,
            root_readonly: false,
            mounts: Vec::new(),
            own_proc: false,
            no_shared: false,
            selinux: (None, None),
            volumes: Vec::new(),
        }
    }

    #[test]
    fn a_process_as_planned_passes_and_one_with_more_does_not() {
        let proc = procfs::open().unwrap();
        let pid = std::process::id() as i32;
        assert!(expectation().verify(&proc, pid).is_ok());
        let more = Expectation {
            caps: CapabilityPlan { bounding: 0, ..expectation().caps },
            ..expectation()
        };
        let text = format!("{:#}", more.verify(&proc, pid).unwrap_err());
        assert!(text.contains("bounding capabilities are"), "{text}");
        let nnp = Expectation { no_new_privs: true, ..expectation() };
        assert!(nnp.verify(&proc, pid).is_err());
        let other = Expectation { uid: 4711, ..expectation() };
        assert!(other.verify(&proc, pid).is_err());
    }

    #[test]
    fn a_mount_without_its_restriction_is_found() {
        let proc = procfs::open().unwrap();
        let lax =
            Expectation { mounts: vec![(PathBuf::from("/proc"), attr::RDONLY)], ..expectation() };
        let text = format!("{:#}", lax.verify(&proc, std::process::id() as i32).unwrap_err());
        assert!(text.contains("mount /proc is not ro"), "{text}");
    }

    #[test]
    fn paths_are_compared_as_the_kernel_shows_them() {
        assert_eq!(escaped(Path::new("/a b\\c\td")), "/a\\040b\\134c\\011d");
    }

    #[test]
    fn a_mask_that_is_missing_is_found() {
        let proc = procfs::open().unwrap();
        let pid = std::process::id() as i32;
        let masked = |path: &str, own_proc: bool| {
            let mounts = vec![(PathBuf::from(path), attr::RDONLY)];
            Expectation { mounts, own_proc, ..expectation() }.verify(&proc, pid)
        };
        let text = format!("{:#}", masked("/proc/version", true).unwrap_err());
        assert!(text.contains("/proc/version is not covered"), "{text}");
        // Not there, a process, a link, below a directory, or a procfs that need not have it.
        for path in ["/proc/absent", "/proc/1", "/proc/self", "/proc/sys/kernel", "/sys/firmware"] {
            assert!(masked(path, true).is_ok(), "{path}");
        }
        assert!(masked("/proc/version", false).is_ok());
    }
}
