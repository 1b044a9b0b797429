//! System calls for code that must not use a library. None of them takes more than five arguments.

#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn call5(nr: libc::c_long, [a, b, c, d, e]: [usize; 5]) -> isize {
    let ret: isize;
    // SAFETY: the caller passes what this system call takes; the kernel preserves all but rax, rcx and r11.
    unsafe {
        core::arch::asm!(
            "syscall", inlateout("rax") nr as isize => ret, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, in("r8") e, lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    ret
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn call5(nr: libc::c_long, [a, b, c, d, e]: [usize; 5]) -> isize {
    let ret: isize;
    // SAFETY: the caller passes what this system call takes; the kernel preserves all but x0.
    unsafe {
        core::arch::asm!(
            "svc 0", inlateout("x0") a as isize => ret, in("x1") b, in("x2") c, in("x3") d,
            in("x4") e, in("x8") nr as usize, options(nostack),
        );
    }
    ret
}

#[inline(always)]
pub(super) unsafe fn call(
    nr: libc::c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
) -> isize {
    // SAFETY: the caller passes what this system call takes.
    unsafe { call5(nr, [a, b, c, d, e]) }
}

/// What the kernel answered. `None`: an error.
pub(super) fn ok(ret: isize) -> Option<usize> {
    if ret < 0 {
        None
    } else {
        Some(ret as usize)
    }
}
