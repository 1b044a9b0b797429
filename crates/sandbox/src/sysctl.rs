//! Kernel parameters: written through the runtime's own verified procfs, before any mount of the container exists.

use crate::plan::Sysctl;
use crate::{Failure, StepResult};
use casemate_sys::companion::{write_parameter, NotWritten};
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::ffi::CString;

/// Write all, in order. Which keys may be here was decided by the spec's check.
pub(crate) fn write_all(host_proc: impl AsFd, sysctls: &[Sysctl]) -> StepResult<()> {
    for sysctl in sysctls {
        let (path, value) = as_write(sysctl)?;
        write_parameter(host_proc.as_fd(), &path, &value).map_err(|not| match not {
            NotWritten::Opened(errno) => open_failed(sysctl, errno),
            NotWritten::Accepted(errno) => write_failed(sysctl, errno),
            NotWritten::Kept => kept(sysctl),
        })?;
    }
    Ok(())
}

/// Path below a procfs, and value.
pub(crate) fn as_write(sysctl: &Sysctl) -> StepResult<(CString, Vec<u8>)> {
    let path = CString::new(format!("sys/{}", sysctl.path)).map_err(|_| {
        Failure::new("sysctl", format!("linux.sysctl {:?}: has a NUL", sysctl.path))
    })?;
    Ok((path, sysctl.value.as_bytes().to_vec()))
}

/// A parameter that could not be opened.
pub(crate) fn open_failed(sysctl: &Sysctl, errno: Errno) -> Failure {
    failed(sysctl, format!("openat2(/proc, \"sys/{}\", O_WRONLY)", sysctl.path), errno)
}

/// A value that was not accepted.
pub(crate) fn write_failed(sysctl: &Sysctl, errno: Errno) -> Failure {
    failed(sysctl, format!("write(/proc/sys/{}, {:?})", sysctl.path, sysctl.value), errno)
}

/// A value that was accepted and is not there.
pub(crate) fn kept(Sysctl { path, value }: &Sysctl) -> Failure {
    let message = format!(
        "linux.sysctl {path}={value}: the kernel says it is written and shows another value"
    );
    Failure::new("sysctl", message)
}

fn failed(Sysctl { path, value }: &Sysctl, call: String, errno: Errno) -> Failure {
    let mut failure = Failure::from(casemate_sys::Error::new(call, errno))
        .about(format_args!("linux.sysctl {path}={value}"));
    failure.step = "sysctl".to_owned();
    explained(failure, path)
}

/// In a container, /proc/sys is read-only, or covered; the one parameter that nobody asked for then needs a word.
fn explained(failure: Failure, path: &str) -> Failure {
    let covered = [Errno::XDEV, Errno::ROFS, Errno::ACCESS, Errno::NOENT];
    let errno = covered.iter().any(|errno| errno.raw_os_error() == failure.errno);
    match errno && path == NO_NESTING {
        true => failure.with_hint(
            "/proc/sys is closed here; without this: --allow userns.nested. In a container of casemate's, that takes paths.writable",
        ),
        false => failure,
    }
}

/// Also written where the configuration does not ask for it.
const NO_NESTING: &str = "user/max_user_namespaces";
