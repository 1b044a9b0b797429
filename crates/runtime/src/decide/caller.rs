//! Who calls, and what that allows: decided once.

use crate::procfs;
use anyhow::{anyhow, Context as _, Result};
use casemate_kernel::{id_map, magic};
use casemate_kernel::{HostId, InnerId};
use casemate_policy::HostFacts;
use casemate_sys::{caps, errno_text};
use rustix::fd::AsFd;
use rustix::io::Errno;

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
    ///
    /// # Errors
    /// What cannot be read: every control on user namespaces rests on it.
    pub fn probe(proc: impl AsFd) -> Result<Self> {
        let sets = caps::get()?;
        Ok(Self {
            euid: rustix::process::geteuid().as_raw(),
            egid: rustix::process::getegid().as_raw(),
            privileged: sets.effective & CAP_SYS_ADMIN != 0,
            initial_user_namespace: in_initial_user_namespace(proc)?,
            permitted: sets.permitted,
        })
    }
}

/// Only the initial user namespace maps all ids onto themselves in one line.
fn in_initial_user_namespace(proc: impl AsFd) -> Result<bool> {
    let maps = id_map::parse(&procfs::read(proc, "self/uid_map")?)?;
    Ok(maps == [id_map::IdRange { inside: InnerId(0), outside: HostId(0), count: u32::MAX }])
}

/// What the policy wants to know about the host. Only what some control looks at is read: this is on the way of every
/// create.
///
/// # Errors
/// A fact that cannot be read.
pub fn host_facts(caller: &Caller, controllers: Vec<String>) -> Result<HostFacts> {
    Ok(HostFacts {
        euid: caller.euid,
        egid: caller.egid,
        in_initial_userns: caller.initial_user_namespace,
        can_make_user_namespace: caller.privileged && caller.initial_user_namespace,
        apparmor: apparmor()?,
        selinux: selinux()?,
        kernel: kernel_release(),
        cgroup_controllers: controllers,
        ..HostFacts::default()
    })
}

/// The kernel's major and minor number.
pub fn kernel_release() -> (u32, u32) {
    // A number that is not there counts as 0, the oldest kernel: nothing is taken for supported.
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// AppArmor is on. A kernel without it has no such file.
///
/// # Errors
/// The file is there and cannot be read.
pub fn apparmor() -> Result<bool> {
    let path = "/sys/module/apparmor/parameters/enabled";
    match std::fs::read(path) {
        Ok(text) => Ok(text.starts_with(b"Y")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(anyhow!(crate::files::io_error_text(&error))).context(path),
    }
}

/// SELinux is on: its file system is mounted. A kernel without it has no such directory.
///
/// # Errors
/// The directory is there and cannot be looked at.
pub fn selinux() -> Result<bool> {
    let path = "/sys/fs/selinux";
    match rustix::fs::statfs(path) {
        Ok(fs) => Ok(magic::of_kernel(fs.f_type as u64) == Some("selinuxfs")),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(anyhow!("statfs({path}): {}", errno_text(errno))),
    }
}
