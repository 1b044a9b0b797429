//! System calls by number, and the names of errors.

use std::ffi::CString;
use std::io::{Error, ErrorKind, Result};

/// The name of an error; `absent` when there was nothing to try on.
pub fn name(error: &Error) -> String {
    const NAMES: [(i32, &str); 20] = [
        (libc::EPERM, "EPERM"),
        (libc::EACCES, "EACCES"),
        (libc::ENOSYS, "ENOSYS"),
        (libc::EROFS, "EROFS"),
        (libc::EINVAL, "EINVAL"),
        (libc::EAFNOSUPPORT, "EAFNOSUPPORT"),
        (libc::EPROTONOSUPPORT, "EPROTONOSUPPORT"),
        (libc::ESOCKTNOSUPPORT, "ESOCKTNOSUPPORT"),
        (libc::ENOSPC, "ENOSPC"),
        (libc::ESRCH, "ESRCH"),
        (libc::EBUSY, "EBUSY"),
        (libc::EAGAIN, "EAGAIN"),
        (libc::ENOTTY, "ENOTTY"),
        (libc::EIO, "EIO"),
        (libc::EXDEV, "EXDEV"),
        (libc::ELOOP, "ELOOP"),
        (libc::ECONNREFUSED, "ECONNREFUSED"),
        (libc::EOPNOTSUPP, "EOPNOTSUPP"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::EUSERS, "EUSERS"),
    ];
    let raw = error.raw_os_error().unwrap_or(0);
    if error.kind() == ErrorKind::NotFound
        || [libc::ENXIO, libc::ENODEV, libc::ENOTDIR].contains(&raw)
    {
        return "absent".to_owned();
    }
    let known = NAMES.iter().find(|(n, _)| *n == raw);
    known.map_or_else(|| error.to_string(), |(_, name)| (*name).to_owned())
}

/// -1 is an error.
pub fn check(result: i64) -> Result<i64> {
    if result < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// A system call that has to succeed.
pub fn call(nr: i64, args: [i64; 5]) -> Result<i64> {
    // SAFETY: callers pass integers, null, or pointers that live through the call.
    check(unsafe { libc::syscall(nr, args[0], args[1], args[2], args[3], args[4], 0) })
}

/// A system call with arguments that the kernel refuses once it looks at them: got through unless the answer is that of a
/// filter or of a missing privilege.
pub fn reach(nr: i64, args: [i64; 5]) -> Result<()> {
    match call(nr, args) {
        Ok(_) => Ok(()),
        Err(e) => match e.raw_os_error() {
            Some(libc::EPERM | libc::EACCES | libc::ENOSYS) => Err(e),
            _ => Ok(()),
        },
    }
}

/// A C string.
pub fn c(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

/// A failure of the attempt itself.
pub fn failed(what: &str) -> Error {
    Error::other(what.to_owned())
}
