//! Who calls, and what that allows: decided once.

use crate::procfs;
use casemate_policy::HostFacts;
use casemate_sys::caps;
use rustix::fd::AsFd;

const CAP_SYS_ADMIN: u64 = 1 << 21;

/// The caller's privilege.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Effective uid.
    pub euid: u32,
    /// Effective gid.
    pub egid: u32,
    /// Has CAP_SYS_ADMIN in its own user namespace: may mount, and builds the tree before it enters the container's.
    pub privileged: bool,
    /// In the initial user namespace.
    pub initial_user_namespace: bool,
    /// The permitted capabilities.
    pub permitted: u64,
}

impl Caller {
    /// Ask the kernel.
    pub fn probe(proc: impl AsFd) -> anyhow::Result<Self> {
        let sets = caps::get()?;
        Ok(Self {
            euid: rustix::process::geteuid().as_raw(),
            egid: rustix::process::getegid().as_raw(),
            privileged: sets.effective & CAP_SYS_ADMIN != 0,
            initial_user_namespace: in_initial_user_namespace(proc),
            permitted: sets.permitted,
        })
    }
}

/// Only the initial user namespace maps all ids onto themselves in one line.
fn in_initial_user_namespace(proc: impl AsFd) -> bool {
    procfs::read(proc, "self/uid_map")
        .is_ok_and(|text| text.split_whitespace().eq(["0", "0", "4294967295"]))
}

/// What the policy wants to know about the host. Only what some rule looks at is read: this is on the way of every
/// create.
pub fn host_facts(caller: &Caller, controllers: Vec<String>) -> HostFacts {
    HostFacts {
        euid: caller.euid,
        in_initial_userns: caller.initial_user_namespace,
        can_make_user_namespace: caller.privileged && caller.initial_user_namespace,
        apparmor: apparmor_enabled(),
        selinux: selinux_enabled(),
        kernel: kernel_release(),
        cgroup_controllers: controllers,
        ..HostFacts::default()
    }
}

/// The kernel's major and minor number.
pub fn kernel_release() -> (u32, u32) {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// AppArmor is on.
pub fn apparmor_enabled() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled")
        .is_ok_and(|text| text.starts_with(b"Y"))
}

/// SELinux is on: its file system is mounted.
pub fn selinux_enabled() -> bool {
    const SELINUX_MAGIC: u64 = 0xf97c_ff8c;
    rustix::fs::statfs("/sys/fs/selinux").is_ok_and(|fs| fs.f_type as u64 == SELINUX_MAGIC)
}
