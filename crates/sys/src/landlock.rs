//! Landlock: restrictions that a process puts on itself (landlock(7), linux/landlock.h). The three calls and their
//! numbers; what is to be allowed is the caller's decision.

use crate::error::{check, Context, Error, Result};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

/// Rights on files, LANDLOCK_ACCESS_FS_*. Those that are not named here (reading, executing) are never handled.
pub mod access {
    /// Open a file for writing.
    pub const WRITE_FILE: u64 = 1 << 1;
    /// Remove a directory, or rename it.
    pub const REMOVE_DIR: u64 = 1 << 4;
    /// Remove anything else, or rename it.
    pub const REMOVE_FILE: u64 = 1 << 5;
    /// Make, rename or link a character device.
    pub const MAKE_CHAR: u64 = 1 << 6;
    /// Make a directory.
    pub const MAKE_DIR: u64 = 1 << 7;
    /// Make a regular file.
    pub const MAKE_REG: u64 = 1 << 8;
    /// Make a socket.
    pub const MAKE_SOCK: u64 = 1 << 9;
    /// Make a named pipe.
    pub const MAKE_FIFO: u64 = 1 << 10;
    /// Make a block device.
    pub const MAKE_BLOCK: u64 = 1 << 11;
    /// Make a symbolic link.
    pub const MAKE_SYM: u64 = 1 << 12;
    /// Rename or link from one directory to another (ABI 2). Without it denied whatever the rules say.
    pub const REFER: u64 = 1 << 13;
    /// Truncate (ABI 3).
    pub const TRUNCATE: u64 = 1 << 14;
    /// ioctl(2) on device files opened later (ABI 5).
    pub const IOCTL_DEV: u64 = 1 << 15;

    /// Which of the above a kernel with this ABI version knows.
    #[must_use]
    pub fn known(abi: u32) -> u64 {
        let remove = REMOVE_DIR | REMOVE_FILE;
        let make = MAKE_CHAR | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_BLOCK | MAKE_SYM;
        let later = [(2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)];
        let later = later.iter().filter(|(since, _)| abi >= *since);
        later.fold(WRITE_FILE | remove | make, |all, (_, bit)| all | bit)
    }
}

/// Rights on TCP ports, LANDLOCK_ACCESS_NET_* (ABI 4).
pub mod net {
    /// bind(2).
    pub const BIND_TCP: u64 = 1;
    /// connect(2).
    pub const CONNECT_TCP: u64 = 2;
}

/// What reaches outside of the domain is denied, LANDLOCK_SCOPE_* (ABI 6).
pub mod scope {
    /// Connecting to an abstract unix socket.
    pub const ABSTRACT_UNIX_SOCKET: u64 = 1;
    /// Sending a signal.
    pub const SIGNAL: u64 = 2;
}

const VERSION: u32 = 1;
const PATH_BENEATH: u32 = 1;
const NET_PORT: u32 = 2;
/// Log denials of programs executed later, too (ABI 7): without it the payload's are not logged.
const LOG_NEW_EXEC: u32 = 2;

/// The version of the interface; 0 when the kernel has none, or has it switched off at boot.
#[must_use]
pub fn abi() -> u32 {
    // SAFETY: with VERSION the kernel wants no structure and reads none.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0, VERSION)
    };
    u32::try_from(version).unwrap_or(0)
}

/// struct landlock_ruleset_attr of ABI 6. Older kernels take it as long as what they do not know is zero.
#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// struct landlock_path_beneath_attr.
#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// struct landlock_net_port_attr.
#[repr(C)]
struct NetPort {
    allowed_access: u64,
    port: u64,
}

/// A set of rules that is not yet in force.
#[derive(Debug)]
pub struct Ruleset {
    fd: OwnedFd,
    abi: u32,
}

impl Ruleset {
    /// A set that denies `handled` (bits of [`access`]) and `ports` (bits of [`net`]) but for what rules allow, and
    /// `scoped` (bits of [`scope`]).
    ///
    /// # Errors
    /// Bits that a kernel with this ABI does not know; no Landlock.
    pub fn new(abi: u32, handled: u64, ports: u64, scoped: u64) -> Result<Self> {
        let attr = RulesetAttr { handled_access_fs: handled, handled_access_net: ports, scoped };
        let size = std::mem::size_of::<RulesetAttr>();
        // SAFETY: the structure lives through the call and the size is its own.
        let fd = check(unsafe {
            libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attr, size, 0)
        })
        .call(|| format!("landlock_create_ruleset({handled:#x}, {ports:#x}, {scoped:#x})"))?;
        // SAFETY: a new descriptor that is ours; it is close-on-exec.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd as i32) }, abi })
    }

    /// Allow `allowed` on this file, or on this directory and all that is below it, other mounts included.
    ///
    /// # Errors
    /// Rights that were not handled, rights of directories on a file, a file of no mount of the process.
    pub fn allow_beneath(&self, file: impl AsFd, allowed: u64) -> Result<()> {
        let parent_fd = file.as_fd().as_raw_fd();
        let rule = PathBeneath { allowed_access: allowed, parent_fd };
        // SAFETY: the structure lives through the call and has the layout of the rule's type.
        check(unsafe {
            libc::syscall(
                libc::SYS_landlock_add_rule,
                self.fd.as_raw_fd(),
                PATH_BENEATH,
                &raw const rule,
                0,
            )
        })
        .map(drop)
        .call(|| format!("landlock_add_rule({parent_fd}, {allowed:#x})"))
    }

    /// Allow `allowed` (bits of [`net`]) on this TCP port; 0 with bind(2) is the kernel's choice of a port.
    ///
    /// # Errors
    /// Rights that were not handled.
    pub fn allow_port(&self, port: u16, allowed: u64) -> Result<()> {
        let rule = NetPort { allowed_access: allowed, port: port.into() };
        // SAFETY: the structure lives through the call and has the layout of the rule's type.
        check(unsafe {
            libc::syscall(
                libc::SYS_landlock_add_rule,
                self.fd.as_raw_fd(),
                NET_PORT,
                &raw const rule,
                0,
            )
        })
        .map(drop)
        .call(|| format!("landlock_add_rule(port {port}, {allowed:#x})"))
    }

    /// Put the rules in force for this process and what it will start. There is no way back. Needs no_new_privs, or
    /// CAP_SYS_ADMIN in the own user namespace.
    ///
    /// # Errors
    /// Neither of the two; 16 layers in force already.
    pub fn restrict(self) -> Result<()> {
        let flags = if self.abi >= 7 { LOG_NEW_EXEC } else { 0 };
        // SAFETY: touches no memory.
        match check(unsafe {
            libc::syscall(libc::SYS_landlock_restrict_self, self.fd.as_raw_fd(), flags)
        }) {
            // EINVAL: a kernel that promises the flag and does not have it; the rules matter, the log does not.
            Err(Errno::INVAL) if flags != 0 => self.restrict_silently(),
            other => other.map(drop).call(|| format!("landlock_restrict_self({flags})")),
        }
    }

    fn restrict_silently(&self) -> Result<()> {
        // SAFETY: touches no memory.
        check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.fd.as_raw_fd(), 0) })
            .map(drop)
            .call(|| "landlock_restrict_self(0)")
    }
}

/// Whether adding a rule failed because the file lies on none of the process's mounts (a pipe, a socket, a namespace):
/// such files need no rule.
#[must_use]
pub fn is_unmounted(error: &Error) -> bool {
    error.errno() == Errno::BADFD
}
