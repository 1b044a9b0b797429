//! bpf(2) for cgroup device programs: load, attach, replace, detach, query.
//!
//! Only what the device controller of cgroup v2 needs; instructions arrive as plain numbers and are built by
//! the crate that knows what they mean. Needs CAP_BPF or CAP_SYS_ADMIN in the initial user namespace, as does
//! every load of a non-socket program.

use crate::error::{check, Context};
use crate::{fd::label, Error, Result};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_DETACH: libc::c_int = 9;
const BPF_PROG_GET_FD_BY_ID: libc::c_int = 13;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_PROG_QUERY: libc::c_int = 16;

const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 1 << 1;
const BPF_F_REPLACE: u32 = 1 << 2;

/// The kernel's cap on programs in one cgroup (BPF_CGROUP_MAX_PROGS).
const MAX_PROGRAMS: usize = 64;
const LOG_SIZE: usize = 64 * 1024;
/// What programs loaded here are called, so that they can be told from other owners' (`bpftool prog`).
const NAME: [u8; 16] = *b"casemate_dev\0\0\0\0";
const LICENSE: &[u8] = b"Apache-2.0\0";

#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

#[repr(C)]
#[derive(Default)]
struct QueryAttr {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
}

#[repr(C)]
#[derive(Default)]
struct IdAttr {
    prog_id: u32,
    next_id: u32,
    open_flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct InfoAttr {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// `struct bpf_prog_info` up to the name; the kernel fills as much as it is told there is room for.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_prog_len: u32,
    xlated_prog_len: u32,
    jited_prog_insns: u64,
    xlated_prog_insns: u64,
    load_time: u64,
    created_by_uid: u32,
    nr_map_ids: u32,
    map_ids: u64,
    name: [u8; 16],
}

fn bpf<T>(command: libc::c_int, attr: &mut T) -> rustix::io::Result<libc::c_long> {
    // SAFETY: attr is a live, fully initialised #[repr(C)] prefix of union bpf_attr and its true size goes with
    // it; every pointer inside was made by the caller from a buffer that outlives this call.
    check(unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), std::mem::size_of::<T>())
    })
}

fn owned(raw: libc::c_long) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for us (close-on-exec, as bpf(2) always does) and
    // nothing else knows its number.
    unsafe { OwnedFd::from_raw_fd(raw as libc::c_int) }
}

/// Load a program of type BPF_PROG_TYPE_CGROUP_DEVICE (Linux 4.15). Each instruction is the 64-bit word that
/// `struct bpf_insn` occupies, in host byte order.
///
/// When the verifier refuses it, its last words are part of the error.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN (or CAP_BPF with CAP_NET_ADMIN) in the initial user namespace;
/// EINVAL or EACCES from the verifier; E2BIG: no instructions or too many.
pub fn load_device_program(instructions: &[u64]) -> Result<OwnedFd> {
    match load(instructions, None) {
        Ok(fd) => Ok(fd),
        Err(errno @ (rustix::io::Errno::INVAL | rustix::io::Errno::ACCESS)) => {
            let mut log = vec![0u8; LOG_SIZE];
            // The second load is for its log only; should it succeed, its program is as good as the first.
            match load(instructions, Some(&mut log)) {
                Ok(fd) => Ok(fd),
                Err(_) => Err(Error::new(load_call(instructions, &verifier_verdict(&log)), errno)),
            }
        }
        Err(errno) => Err(Error::new(load_call(instructions, ""), errno)),
    }
}

fn load_call(instructions: &[u64], verdict: &str) -> String {
    let count = instructions.len();
    format!("bpf(BPF_PROG_LOAD, CGROUP_DEVICE, {count} instructions){verdict}")
}

fn verifier_verdict(log: &[u8]) -> String {
    let text =
        String::from_utf8_lossy(log.split(|b| *b == 0).next().unwrap_or_default()).into_owned();
    let last = text.lines().rfind(|l| !l.starts_with("processed"));
    last.map(|line| format!(" [verifier: {line}]")).unwrap_or_default()
}

fn load(instructions: &[u64], log: Option<&mut Vec<u8>>) -> rustix::io::Result<OwnedFd> {
    let mut attr = LoadAttr {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: instructions.len() as u32,
        insns: instructions.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        prog_name: NAME,
        ..LoadAttr::default()
    };
    if let Some(log) = log {
        attr.log_level = 1;
        attr.log_size = log.len() as u32;
        attr.log_buf = log.as_mut_ptr() as u64;
    }
    bpf(BPF_PROG_LOAD, &mut attr).map(owned)
}

/// Attach `program` to the cgroup directory, beside whatever is attached there and above it: all must allow an
/// access (BPF_F_ALLOW_MULTI, Linux 4.15).
///
/// # Errors
/// EPERM without the capabilities that loading takes, or where a program of this cgroup or above
/// lets no other stand beside it; EBADF: no directory of cgroup v2; E2BIG: 64 programs are
/// attached; EINVAL: this very program is.
pub fn attach_device_program(cgroup: impl AsFd, program: impl AsFd) -> Result<()> {
    attach(cgroup.as_fd().as_raw_fd(), program.as_fd().as_raw_fd(), None).call(|| {
        format!("bpf(BPF_PROG_ATTACH, {}, CGROUP_DEVICE, ALLOW_MULTI)", label(cgroup.as_fd()))
    })
}

/// Put `program` in the place of `old` without a moment in which neither is in force (BPF_F_REPLACE, Linux 5.6).
///
/// # Errors
/// As [`attach_device_program`]; ENOENT: `old` is not attached to this cgroup; EINVAL before Linux
/// 5.6.
pub fn replace_device_program(cgroup: impl AsFd, program: impl AsFd, old: impl AsFd) -> Result<()> {
    let old = Some(old.as_fd().as_raw_fd());
    attach(cgroup.as_fd().as_raw_fd(), program.as_fd().as_raw_fd(), old).call(|| {
        format!(
            "bpf(BPF_PROG_ATTACH, {}, CGROUP_DEVICE, ALLOW_MULTI|REPLACE)",
            label(cgroup.as_fd())
        )
    })
}

fn attach(cgroup: i32, program: i32, old: Option<i32>) -> rustix::io::Result<()> {
    let mut attr = AttachAttr {
        target_fd: cgroup as u32,
        attach_bpf_fd: program as u32,
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI,
        replace_bpf_fd: 0,
    };
    if let Some(old) = old {
        attr.attach_flags |= BPF_F_REPLACE;
        attr.replace_bpf_fd = old as u32;
    }
    bpf(BPF_PROG_ATTACH, &mut attr).map(drop)
}

/// Detach `program` from the cgroup directory.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN in the initial user namespace; ENOENT: it is not attached to this
/// cgroup; EBADF: no directory of cgroup v2.
pub fn detach_device_program(cgroup: impl AsFd, program: impl AsFd) -> Result<()> {
    let mut attr = AttachAttr {
        target_fd: cgroup.as_fd().as_raw_fd() as u32,
        attach_bpf_fd: program.as_fd().as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        ..AttachAttr::default()
    };
    bpf(BPF_PROG_DETACH, &mut attr)
        .map(drop)
        .call(|| format!("bpf(BPF_PROG_DETACH, {}, CGROUP_DEVICE)", label(cgroup.as_fd())))
}

/// The ids of the device programs attached to this very cgroup, oldest first (Linux 4.15).
///
/// # Errors
/// EPERM without CAP_NET_ADMIN in the initial user namespace; EBADF: no directory of cgroup v2.
pub fn query_device_programs(cgroup: impl AsFd) -> Result<Vec<u32>> {
    let mut ids = vec![0u32; MAX_PROGRAMS];
    let mut attr = QueryAttr {
        target_fd: cgroup.as_fd().as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: ids.len() as u32,
        ..QueryAttr::default()
    };
    bpf(BPF_PROG_QUERY, &mut attr)
        .call(|| format!("bpf(BPF_PROG_QUERY, {}, CGROUP_DEVICE)", label(cgroup.as_fd())))?;
    ids.truncate(attr.prog_cnt as usize);
    Ok(ids)
}

/// A descriptor for the loaded program with this id (Linux 4.13; needs CAP_SYS_ADMIN).
///
/// # Errors
/// ENOENT: it is gone; EPERM without CAP_SYS_ADMIN in the initial user namespace.
pub fn program_by_id(id: u32) -> Result<OwnedFd> {
    let mut attr = IdAttr { prog_id: id, ..IdAttr::default() };
    bpf(BPF_PROG_GET_FD_BY_ID, &mut attr)
        .map(owned)
        .call(|| format!("bpf(BPF_PROG_GET_FD_BY_ID, {id})"))
}

/// Whether the program was loaded by [`load_device_program`] of this or another process, by its name (Linux 4.15).
///
/// # Errors
/// EINVAL: no descriptor of a BPF program; EPERM where unprivileged bpf(2) is off, on older
/// kernels.
pub fn is_own_program(program: impl AsFd) -> Result<bool> {
    Ok(info(program)?.name == NAME)
}

/// The number under which [`query_device_programs`] lists the program (Linux 4.13).
///
/// # Errors
/// As [`is_own_program`].
pub fn program_id(program: impl AsFd) -> Result<u32> {
    Ok(info(program)?.id)
}

fn info(program: impl AsFd) -> Result<ProgramInfo> {
    let mut info = ProgramInfo::default();
    let mut attr = InfoAttr {
        bpf_fd: program.as_fd().as_raw_fd() as u32,
        info_len: std::mem::size_of::<ProgramInfo>() as u32,
        info: std::ptr::from_mut(&mut info) as u64,
    };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attr)
        .call(|| format!("bpf(BPF_OBJ_GET_INFO_BY_FD, {})", label(program.as_fd())))?;
    Ok(info)
}
