//! Capabilities: capset(2), the bounding and ambient sets, securebits. Sets are masks, bit N = capability N.

use crate::error::{check, Context, Result};

/// Highest capability this kernel may know; larger numbers are asked for by probing.
const LAST_EVER: u32 = 63;
/// `_LINUX_CAPABILITY_VERSION_3`.
const VERSION_3: u32 = 0x2008_0522;
/// SECBIT_NO_SETUID_FIXUP: changing the uid leaves capabilities alone (capabilities(7)).
pub const SECBIT_NO_SETUID_FIXUP: u32 = 1 << 2;
/// SECBIT_KEEP_CAPS: giving up uid 0 keeps the permitted set (capabilities(7)).
pub const SECBIT_KEEP_CAPS: u32 = 1 << 4;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The three sets of capset(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// What checks look at.
    pub effective: u64,
    /// What may be made effective.
    pub permitted: u64,
    /// What execve may pass on together with a file's inheritable set.
    pub inheritable: u64,
}

/// Set the calling thread's sets.
///
/// # Errors
/// EPERM: more permitted than now, more effective than permitted, or something added to the
/// inheritable set that the bounding set has not or, without CAP_SETPCAP, is not permitted.
pub fn set(sets: Sets) -> Result<()> {
    let header = Header { version: VERSION_3, pid: 0 };
    let half = |shift: u32| Data {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: version 3 takes two data elements; both structures are only read.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })
        .map(drop)
        .call(|| format!("capset({sets:x?})"))
}

/// The calling thread's sets.
///
/// # Errors
/// None of the kernel's; a seccomp filter may forbid capget(2).
pub fn get() -> Result<Sets> {
    let header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 fills two data elements.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) })
        .call(|| "capget()")?;
    let join = |pick: fn(&Data) -> u32| u64::from(pick(&data[0])) | u64::from(pick(&data[1])) << 32;
    Ok(Sets {
        effective: join(|d| d.effective),
        permitted: join(|d| d.permitted),
        inheritable: join(|d| d.inheritable),
    })
}

fn prctl(
    option: libc::c_int,
    a: libc::c_ulong,
    b: libc::c_ulong,
) -> rustix::io::Result<libc::c_long> {
    // SAFETY: the options used here take plain integers.
    check(libc::c_long::from(unsafe { libc::prctl(option, a, b, 0, 0) }))
}

/// The capabilities that this kernel knows, as a mask.
pub fn known() -> u64 {
    // PR_CAPBSET_READ fails with EINVAL behind the last one. Most kernels end at 40: start there. Where a filter answers in the
    // kernel's place too few are known, and what was not removed is seen when the process is verified.
    let mut last = 40;
    while last < LAST_EVER && prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(last + 1), 0).is_ok()
    {
        last += 1;
    }
    while last > 0 && prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(last), 0).is_err() {
        last -= 1;
    }
    if last >= 63 {
        u64::MAX
    } else {
        (1 << (last + 1)) - 1
    }
}

/// Remove everything but `keep` from the bounding set. Needs CAP_SETPCAP for what is removed.
///
/// # Errors
/// EPERM without CAP_SETPCAP in the own user namespace, when something is left to be removed. What
/// came before it is removed then.
pub fn limit_bounding(keep: u64, known: u64) -> Result<()> {
    for cap in (0..64u32).filter(|c| known & !keep & (1 << c) != 0) {
        match prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(cap), 0) {
            // Dropping what is already absent needs the privilege too.
            Err(_)
                if prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(cap), 0)
                    .is_ok_and(|v| v == 0) => {}
            other => drop(other.call(|| format!("prctl(PR_CAPBSET_DROP, {cap})"))?),
        }
    }
    Ok(())
}

/// Make the ambient set exactly `want`; each must be permitted and inheritable.
///
/// # Errors
/// EPERM: one is not permitted and inheritable, or SECBIT_NO_CAP_AMBIENT_RAISE is set; EINVAL: one
/// that the kernel does not know. The set is empty then, or has some of them.
pub fn set_ambient(want: u64) -> Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0)
        .call(|| "prctl(PR_CAP_AMBIENT_CLEAR_ALL)")?;
    for cap in (0..64u32).filter(|c| want & (1 << c) != 0) {
        prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong,
            libc::c_ulong::from(cap),
        )
        .call(|| format!("prctl(PR_CAP_AMBIENT_RAISE, {cap})"))?;
    }
    Ok(())
}

/// Set the securebits.
///
/// # Errors
/// EPERM without CAP_SETPCAP in the own user namespace, or for a bit that is locked or unknown.
pub fn set_securebits(bits: u32) -> Result<()> {
    prctl(libc::PR_SET_SECUREBITS, libc::c_ulong::from(bits), 0)
        .map(drop)
        .call(|| format!("prctl(PR_SET_SECUREBITS, {bits:#x})"))
}

/// The securebits.
///
/// # Errors
/// None of the kernel's; a seccomp filter may forbid prctl(2).
pub fn securebits() -> Result<u32> {
    prctl(libc::PR_GET_SECUREBITS, 0, 0).map(|bits| bits as u32).call(|| "prctl(PR_GET_SECUREBITS)")
}

/// Keep the permitted set when uid 0 is given up, until the next execve.
///
/// # Errors
/// EPERM: SECBIT_KEEP_CAPS_LOCKED is set.
pub fn keep_permitted() -> Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, 1, 0).map(drop).call(|| "prctl(PR_SET_KEEPCAPS, 1)")
}

/// No new privileges through execve, for ever (prctl(2)).
///
/// # Errors
/// None of the kernel's; a seccomp filter may forbid prctl(2).
pub fn set_no_new_privs() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(drop).call(|| "prctl(PR_SET_NO_NEW_PRIVS, 1)")
}
