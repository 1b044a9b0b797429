//! Security labels: AppArmor and SELinux attributes of the calling process, through the runtime's own procfs.

use crate::failure::Step;
use crate::StepResult;
use casemate_sys::Context;
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Ask AppArmor to change to `profile` at execve, and read the request back.
pub(crate) fn apparmor_on_exec(host_proc: impl AsFd, profile: &str) -> StepResult<()> {
    let about = || format!("process.apparmorProfile {profile:?}");
    // The AppArmor directory exists since Linux 5.8 and is not shared with another module that is stacked.
    let of_its_own = exists(&host_proc, "self/attr/apparmor/exec").step("apparmor", about)?;
    let dir = if of_its_own { "apparmor/" } else { "" };
    write_attr(&host_proc, &format!("{dir}exec"), &format!("exec {profile}"))
        .step("apparmor", about)?;
    verify(&host_proc, &format!("{dir}exec"), profile).step("apparmor", about)
}

/// Ask SELinux to change to `label` at execve, and read the request back.
pub(crate) fn selinux_on_exec(host_proc: impl AsFd, label: &str) -> StepResult<()> {
    let about = || format!("process.selinuxLabel {label:?}");
    write_attr(&host_proc, "exec", label).step("selinux", about)?;
    verify(&host_proc, "exec", label).step("selinux", about)
}

/// Label the keys that this process makes from now on.
pub(crate) fn selinux_on_key_creation(host_proc: impl AsFd, label: &str) -> StepResult<()> {
    write_attr(&host_proc, "keycreate", label).step("selinux", || "session keyring label")
}

fn open_attr(
    host_proc: impl AsFd,
    name: &str,
    flags: OFlags,
) -> casemate_sys::Result<rustix::fd::OwnedFd> {
    let path = format!("thread-self/attr/{name}");
    // thread-self is a link inside procfs; NO_XDEV keeps a mount over it from redirecting the write (CVE-2019-16884,
    // CVE-2025-52881).
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(host_proc, &path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
        .call(|| format!("openat2(/proc, \"{path}\")"))
}

fn exists(host_proc: impl AsFd, path: &str) -> casemate_sys::Result<bool> {
    match rustix::fs::statat(host_proc, path, AtFlags::empty()) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error).call(|| format!("statat(/proc, \"{path}\")")),
    }
}

fn write_attr(host_proc: impl AsFd, name: &str, value: &str) -> casemate_sys::Result<()> {
    let file = open_attr(host_proc, name, OFlags::WRONLY)?;
    rustix::io::write(&file, value.as_bytes())
        .map(drop)
        .call(|| format!("write(`/proc/thread-self/attr/{name}`, {value:?})"))
}

fn verify(host_proc: impl AsFd, name: &str, want: &str) -> casemate_sys::Result<()> {
    let file = open_attr(host_proc, name, OFlags::RDONLY)?;
    let mut buf = [0u8; 512];
    let n = rustix::io::read(&file, &mut buf)
        .call(|| format!("read(/proc/thread-self/attr/{name})"))?;
    let got = String::from_utf8_lossy(&buf[..n]);
    let got = got.trim_end_matches(['\n', '\0']);
    // AppArmor appends the mode: "profile (enforce)".
    if got == want || got.strip_prefix(want).is_some_and(|rest| rest.starts_with(" (")) {
        Ok(())
    } else {
        Err(casemate_sys::Error::new(
            format!("/proc/thread-self/attr/{name} reads back {got:?}"),
            Errno::PERM,
        ))
    }
}
