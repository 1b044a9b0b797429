//! Scheduling and placement of the calling process: policy, io priority, affinity, memory policy, personality.

use crate::error::{check, Context, Result};

/// `struct sched_attr` (sched_setattr(2)), first published size plus the fields that the kernel ignores when short.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct SchedAttr {
    size: u32,
    /// SCHED_* number.
    pub policy: u32,
    /// SCHED_FLAG_* bits.
    pub flags: u64,
    /// Nice value for SCHED_OTHER and SCHED_BATCH.
    pub nice: i32,
    /// Static priority for SCHED_FIFO and SCHED_RR.
    pub priority: u32,
    /// SCHED_DEADLINE, nanoseconds.
    pub runtime: u64,
    /// SCHED_DEADLINE, nanoseconds.
    pub deadline: u64,
    /// SCHED_DEADLINE, nanoseconds.
    pub period: u64,
}

/// Set the scheduling policy of the calling thread.
///
/// # Errors
/// EPERM: more than RLIMIT_NICE and RLIMIT_RTPRIO allow, without CAP_SYS_NICE; EINVAL: no such
/// policy, or values out of its range; EBUSY: no room for this SCHED_DEADLINE.
pub fn set_scheduler(attr: SchedAttr) -> Result<()> {
    let attr = SchedAttr { size: std::mem::size_of::<SchedAttr>() as u32, ..attr };
    // SAFETY: attr states its own size and is only read.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) })
        .map(drop)
        .call(|| format!("sched_setattr({attr:?})"))
}

/// Set the io priority of the calling process group: class 1 to 3, level 0 to 7 (ioprio_set(2)).
///
/// # Errors
/// EPERM: the realtime class (1) without CAP_SYS_ADMIN or CAP_SYS_NICE; EINVAL: no such class or
/// level.
pub fn set_io_priority(class: u32, level: u32) -> Result<()> {
    const IOPRIO_WHO_PGRP: libc::c_int = 2;
    let value = (class << 13) | level;
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PGRP, 0, value) })
        .map(drop)
        .call(|| format!("ioprio_set(PGRP, class {class}, level {level})"))
}

/// Pin the thread `pid` (0: the caller) to these CPUs, one bit each, lowest word first.
///
/// # Errors
/// EINVAL: none of these CPUs is there and in the thread's cpuset; ESRCH: no such thread; EPERM:
/// another user's, without CAP_SYS_NICE.
pub fn set_affinity(pid: i32, mask: &[u64]) -> Result<()> {
    // SAFETY: the kernel reads exactly the given number of bytes.
    check(unsafe {
        libc::syscall(libc::SYS_sched_setaffinity, pid, std::mem::size_of_val(mask), mask.as_ptr())
    })
    .map(drop)
    .call(|| format!("sched_setaffinity({pid}, {mask:x?})"))
}

/// Set the default NUMA policy of the calling thread: MPOL_* mode with flags, node mask (set_mempolicy(2)).
///
/// # Errors
/// EINVAL: no such mode or flag, nodes for a mode that takes none, or none of them is there and
/// allowed; ENOSYS: a kernel without NUMA.
pub fn set_mempolicy(mode: u32, nodes: &[u64]) -> Result<()> {
    let (ptr, bits) = if nodes.is_empty() {
        (std::ptr::null(), 0)
    } else {
        // The kernel wants one more than the number of bits that it reads.
        (nodes.as_ptr(), nodes.len() * 64 + 1)
    };
    // SAFETY: the kernel reads at most bits - 1 bits from nodes.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode as libc::c_int, ptr, bits) })
        .map(drop)
        .call(|| format!("set_mempolicy({mode:#x}, {nodes:x?})"))
}

/// Set the execution domain (personality(2)).
///
/// # Errors
/// None of today's kernels; a seccomp filter may forbid personality(2).
pub fn set_personality(persona: u64) -> Result<()> {
    // SAFETY: plain integer.
    check(libc::c_long::from(unsafe { libc::personality(persona as libc::c_ulong) }))
        .map(drop)
        .call(|| format!("personality({persona:#x})"))
}
