//! Whose a new user namespace is.
//!
//! What a user namespace uses up of the limits per user (inotify instances, queued signals, bytes of message queues, further
//! namespaces) the kernel counts in that namespace and once more, one level up, for the effective uid that made it
//! (`create_user_ns` in kernel/user_namespace.c, `inc_ucount` in kernel/ucount.c). If that is root, then one container can
//! use up what root and every other container have.

use crate::caps;
use crate::error::Result;
use crate::process;

const UNCHANGED: u32 = u32::MAX;

/// The caller with another effective uid and gid, and all of its capabilities. [`Maker::done`] ends it.
///
/// The real uid stays: for a real uid other than root's the kernel would hold the namespace to the caller's RLIMIT_NPROC
/// (`enforced_nproc_rlimit`), and let its other processes send us signals.
#[derive(Debug)]
#[must_use = "the caller keeps these ids until `done`"]
pub(crate) struct Maker {
    before: (u32, u32),
    securebits: u32,
}

impl Maker {
    /// Take these ids on. On an error nothing has changed.
    pub(crate) fn become_it((uid, gid): (u32, u32)) -> Result<Self> {
        let before = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let securebits = caps::securebits()?;
        // Or the new uid would cost us the effective set, CAP_SYS_ADMIN among it, which hosts ask for that do not let
        // everybody make user namespaces (kernel.unprivileged_userns_clone, AppArmor).
        caps::set_securebits(securebits | caps::SECBIT_NO_SETUID_FIXUP)?;
        let maker = Self { before, securebits };
        let taken = process::set_res_gid(UNCHANGED, gid, UNCHANGED)
            .and_then(|()| process::set_res_uid(UNCHANGED, uid, UNCHANGED));
        match taken {
            Ok(()) => Ok(maker),
            Err(error) => maker.done().and(Err(error)),
        }
    }

    /// Be who we were. After an error the process is not to do anything more.
    pub(crate) fn done(self) -> Result<()> {
        process::set_res_uid(UNCHANGED, self.before.0, UNCHANGED)?;
        process::set_res_gid(UNCHANGED, self.before.1, UNCHANGED)?;
        caps::set_securebits(self.securebits)
    }
}
