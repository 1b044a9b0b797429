//! Socket families: each is a part of the kernel, and most services need four of them.

use crate::sys::check;
use crate::Entry;
use std::io::{Error, Result};

fn socket(family: i32, kind: i32, protocol: i32) -> Result<()> {
    // SAFETY: touches no memory.
    check(unsafe { libc::socket(family, kind, protocol) }.into()).map(drop)
}

/// socket(2) through the 32-bit entry: its own number, or through socketcall, where a filter cannot see the family.
#[cfg(target_arch = "x86_64")]
fn socket32(nr: i64, first: i64, second: i64) -> Result<()> {
    let result: i64;
    // SAFETY: int 0x80 with three integers; the registers that it may change are named.
    unsafe {
        std::arch::asm!(
            "push rbx", "mov rbx, {first}", "int 0x80", "pop rbx",
            first = in(reg) first,
            inlateout("rax") nr => result,
            in("rcx") second,
            in("rdx") 0i64,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    if result < 0 {
        return Err(Error::from_raw_os_error(-(result as i32)));
    }
    Ok(())
}

#[cfg(not(target_arch = "x86_64"))]
fn socket32(_nr: i64, _first: i64, _second: i64) -> Result<()> {
    Err(Error::from_raw_os_error(libc::ENOSYS))
}

/// socketcall(SYS_SOCKET) wants its arguments in memory that 32 bits can name.
#[cfg(target_arch = "x86_64")]
fn socketcall() -> Result<()> {
    // SAFETY: a new page; its address is checked before it is used.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            4096,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return Err(Error::last_os_error());
    }
    // SAFETY: the page is ours and large enough for three integers.
    unsafe { page.cast::<[i32; 3]>().write([libc::AF_ALG, libc::SOCK_SEQPACKET, 0]) };
    socket32(102, 1, page as i64)
}

#[cfg(not(target_arch = "x86_64"))]
fn socketcall() -> Result<()> {
    socket32(102, 1, 0)
}

/// Families and protocols.
pub fn all() -> Vec<Entry> {
    vec![
        ("unix", || socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)),
        ("inet", || socket(libc::AF_INET, libc::SOCK_STREAM, 0)),
        ("inet6", || socket(libc::AF_INET6, libc::SOCK_STREAM, 0)),
        ("netlink route", || socket(libc::AF_NETLINK, libc::SOCK_RAW, 0)),
        ("netlink audit", || socket(libc::AF_NETLINK, libc::SOCK_RAW, 9)),
        ("netlink xfrm", || socket(libc::AF_NETLINK, libc::SOCK_RAW, 6)),
        ("netlink netfilter", || socket(libc::AF_NETLINK, libc::SOCK_RAW, 12)),
        ("netlink crypto", || socket(libc::AF_NETLINK, libc::SOCK_RAW, 21)),
        ("raw inet", || socket(libc::AF_INET, libc::SOCK_RAW, 1)),
        ("packet", || socket(libc::AF_PACKET, libc::SOCK_RAW, 0x0300)),
        ("alg", || socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)),
        ("alg by the 32-bit entry", || socket32(359, libc::AF_ALG.into(), 5)),
        ("alg by socketcall", socketcall),
        ("vsock", || socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)),
        ("bluetooth", || socket(libc::AF_BLUETOOTH, libc::SOCK_RAW, 1)),
        ("can", || socket(libc::AF_CAN, libc::SOCK_RAW, 1)),
        ("tipc", || socket(libc::AF_TIPC, libc::SOCK_SEQPACKET, 0)),
        ("xdp", || socket(libc::AF_XDP, libc::SOCK_RAW, 0)),
        ("key", || socket(libc::AF_KEY, libc::SOCK_RAW, 2)),
        ("rds", || socket(libc::AF_RDS, libc::SOCK_SEQPACKET, 0)),
        ("smc", || socket(43, libc::SOCK_STREAM, 0)),
        ("qipcrtr", || socket(42, libc::SOCK_DGRAM, 0)),
        ("nfc", || socket(libc::AF_NFC, libc::SOCK_SEQPACKET, 0)),
        ("x25", || socket(libc::AF_X25, libc::SOCK_SEQPACKET, 0)),
        ("ax25", || socket(libc::AF_AX25, libc::SOCK_SEQPACKET, 0)),
        ("appletalk", || socket(libc::AF_APPLETALK, libc::SOCK_DGRAM, 0)),
        ("llc", || socket(libc::AF_LLC, libc::SOCK_DGRAM, 0)),
        ("kcm", || socket(41, libc::SOCK_DGRAM, 0)),
        ("pppox", || socket(libc::AF_PPPOX, libc::SOCK_DGRAM, 0)),
    ]
}
