//! Protection of the runtime's own binary (CVE-2019-5736).
//!
//! A payload can reach the binary of the process that executes it, through /proc/self/exe as interpreter or
//! /proc/PID/exe, and overwrite the host's file. So a command that will have a process inside a container first
//! goes over to a place whose inode is not the host's file: a read-only overlay that shows only our
//! file, made of descriptors and attached nowhere, or, without the privilege to mount, a sealed memory copy. In a static,
//! optimised build `entry` has done so by the time that anything here runs; otherwise the image is executed.

use casemate_sys::mount::{attr, FsContext};
use casemate_sys::{Context, Error, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::sync::OnceLock;

/// How this process's own binary is kept from payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// It runs from a read-only mount: the overlay, or a host whose /usr is read-only.
    ReadOnlyMount,
    /// It runs from a sealed memory file.
    SealedMemory,
}

/// What protects the running binary, if anything does. What cannot be told protects nothing: then an image is made that does.
pub fn protection() -> Option<Protection> {
    let vfs = rustix::fs::statvfs("/proc/self/exe").ok()?;
    if vfs.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Some(Protection::ReadOnlyMount);
    }
    let exe =
        rustix::fs::open("/proc/self/exe", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let seals = rustix::fs::fcntl_get_seals(exe).ok()?;
    seals.contains(SealFlags::WRITE | SealFlags::SEAL).then_some(Protection::SealedMemory)
}

/// Set for the protected image, so that it cannot come to a circle: the path of the host's file.
const MARK: &str = "_CASEMATE_PROTECTED";

/// The host's file that was started, once this process has left it.
static LEFT: OnceLock<PathBuf> = OnceLock::new();

/// The path of the host's file that this program was started from, which /proc/self/exe of a protected process does not tell.
///
/// # Errors
/// /proc/self/exe cannot be read.
pub fn on_host() -> Result<PathBuf> {
    match LEFT.get() {
        Some(path) => Ok(path.clone()),
        None => std::env::current_exe().call(|| "readlink(\"/proc/self/exe\")"),
    }
}

/// What the image is told of the path that execve(2) was told: its own AT_EXECFN is a descriptor's.
const CALLED: &str = "_CASEMATE_CALLED_AS";

/// That path, once this process has left the host's file.
static CALLED_AS: OnceLock<OsString> = OnceLock::new();

/// The path that execve(2) was told (getauxval(3), AT_EXECFN).
fn executed_as() -> Option<OsString> {
    // SAFETY: the kernel's auxiliary vector; the string lies above the stack for as long as the process lives.
    let name = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const libc::c_char;
    // SAFETY: as above, and it ends with a NUL byte.
    let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) });
    name.map(|name| OsStr::from_bytes(name.to_bytes()).to_owned())
}

/// The absolute paths that this program was called by, as execve(2) was told and as argv[0] says: of an engine that calls a link,
/// that link.
pub fn called_as() -> Vec<PathBuf> {
    let told = CALLED_AS.get().cloned().or_else(executed_as);
    let called = told.into_iter().chain(std::env::args_os().next()).map(PathBuf::from);
    called.filter(|path| path.is_absolute()).collect()
}

/// Return if the running binary is protected, else execute a protected image of it with the same arguments and
/// environment. Comes back only protected, or with an error.
pub(crate) fn protect(arguments: Vec<CString>) -> Result<()> {
    let mark = std::env::var_os(MARK);
    std::env::remove_var(MARK);
    if let Some(called) = std::env::var_os(CALLED) {
        std::env::remove_var(CALLED);
        if mark.is_some() {
            CALLED_AS.get_or_init(|| called);
        }
    }
    if let Some(path) = mark.as_ref().map(PathBuf::from).filter(|path| path.is_absolute()) {
        LEFT.get_or_init(|| path);
    }
    if protection().is_some() {
        casemate_sys::process::set_name(c"casemate");
        return Ok(());
    }
    if mark.is_some() {
        let message = "protect /proc/self/exe: the protected image is not seen as one";
        return Err(Error::new(message, Errno::PERM));
    }
    let mut value = OsString::from(format!("{MARK}="));
    value.push(on_host()?);
    let mut called = OsString::from(format!("{CALLED}="));
    called.push(executed_as().unwrap_or_default());
    let image = overlay_image().or_else(|_| memory_image())?;
    let env = std::env::vars_os()
        .map(|(mut k, v)| {
            k.push("=");
            k.push(v);
            into_c(k)
        })
        .chain([value, called].map(into_c))
        .collect();
    let errno = casemate_sys::process::reexec_fd(&image, arguments, env);
    Err(Error::new("execveat(protected image of /proc/self/exe)", errno))
}

fn into_c(s: std::ffi::OsString) -> CString {
    // It came as a C string.
    CString::new(s.into_vec()).unwrap_or_default()
}

/// Our file seen through a read-only overlay that is attached nowhere: another superblock, another inode, no copy.
fn overlay_image() -> Result<OwnedFd> {
    let exe = std::env::current_exe().call(|| "readlink(\"/proc/self/exe\")")?;
    let (Some(dir), Some(name)) = (exe.parent(), exe.file_name()) else {
        return Err(Error::new("split /proc/self/exe", Errno::INVAL));
    };
    let fs = FsContext::open("overlay")?;
    // Two lower layers are the least that overlayfs takes without an upper one. The second only has to be a directory
    // that does not lie above or below ours, on a file system that can be stacked (procfs and sysfs cannot).
    let other = if dir.starts_with("/etc") { "/var" } else { "/etc" };
    let dir = dir.to_string_lossy();
    fs.set("lowerdir", &format!("{}:{other}", dir.replace('\\', "\\\\").replace(':', "\\:")))?;
    let mount = fs.mount(attr::RDONLY | attr::NOSUID | attr::NODEV)?;
    let image = rustix::fs::openat(
        &mount,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .call(|| format!("openat(overlay, {name:?})"))?;
    same_content_identity(&image)?;
    Ok(image)
}

/// The path of /proc/self/exe may by now name another file: compare size and modification time with what runs.
fn same_content_identity(image: impl AsFd) -> Result<()> {
    let running = rustix::fs::stat("/proc/self/exe").call(|| "stat(\"/proc/self/exe\")")?;
    let seen = rustix::fs::fstat(&image).call(|| "fstat(image)")?;
    let key = |s: &rustix::fs::Stat| (s.st_size, s.st_mtime, s.st_mtime_nsec, s.st_ino);
    if key(&running) == key(&seen) {
        Ok(())
    } else {
        Err(Error::new(
            "protect /proc/self/exe: the file was replaced while starting",
            Errno::STALE,
        ))
    }
}

/// A copy in memory that nobody can change any more: memfd_create(2) with every seal.
fn memory_image() -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = rustix::fs::memfd_create("casemate", flags | MemfdFlags::from_bits_retain(0x10))
        // MFD_EXEC (0x10) is unknown before Linux 6.3.
        .or_else(|_| rustix::fs::memfd_create("casemate", flags))
        .call(|| "memfd_create(\"casemate\")")?;
    let exe = rustix::fs::open("/proc/self/exe", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .call(|| "open(\"/proc/self/exe\")")?;
    loop {
        match rustix::fs::sendfile(&memory, &exe, None, 1 << 30).call(|| "sendfile(memfd)")? {
            0 => break,
            _ => continue,
        }
    }
    rustix::fs::fcntl_add_seals(
        &memory,
        SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )
    .call(|| "fcntl(memfd, F_ADD_SEALS)")?;
    Ok(memory)
}
