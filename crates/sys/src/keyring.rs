//! The session keyring: keyctl(2).

use crate::error::{check, Context, Error, Result};
use rustix::io::Errno;
use std::ffi::CString;

/// Join (making it when missing) the session keyring of this name and return its serial number.
///
/// # Errors
/// EDQUOT: the user's quota of keys; EPERM: the name begins with a dot; EINVAL: a NUL in it;
/// ENOSYS: a kernel without keys, or a filter.
pub fn join_session(name: &str) -> Result<i64> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    let call = || format!("keyctl(JOIN_SESSION_KEYRING, \"{name}\")");
    let c = CString::new(name).map_err(|_| Error::new(call(), Errno::INVAL))?;
    // SAFETY: c is NUL-terminated and only read.
    check(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, c.as_ptr()) }).call(call)
}

/// Make a session keyring without a name and join it. Nobody else can: joining by name takes the right to search, which a
/// new keyring gives to its possessor only (keyrings(7)).
///
/// # Errors
/// EDQUOT: the user's quota of keys; ENOSYS: a kernel without keys, or a filter.
pub fn new_session() -> Result<i64> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    let unnamed = std::ptr::null::<libc::c_char>();
    // SAFETY: without a name nothing is read.
    check(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, unnamed) })
        .call(|| "keyctl(JOIN_SESSION_KEYRING, NULL)")
}

/// Let the possessor do everything and the owner search, so that the payload can use its own keyring.
///
/// # Errors
/// EACCES: the caller neither owns it nor has CAP_SYS_ADMIN, or may not set its attributes; ENOKEY:
/// no such key.
pub fn let_owner_search(serial: i64) -> Result<()> {
    const SETPERM: libc::c_long = 5;
    // KEY_POS_ALL | KEY_USR_ALL without setattr, as keyutils' own tools leave session keyrings.
    const PERM: libc::c_long = 0x3f1f_0000;
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_keyctl, SETPERM, serial as libc::c_long, PERM) })
        .map(drop)
        .call(|| format!("keyctl(SETPERM, {serial})"))
}
