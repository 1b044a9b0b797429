//! The protected image of [`crate::image`], taken on before the C library starts.
//!
//! The program's entry point is here. It looks whether this is a command that has to be protected, and if so executes the image:
//! our file, as a read-only overlay shows it. To do that before the C library starts is cheaper: a process that replaces
//! itself does not need one, whose start asks the processor for its features with some seventy CPUID instructions, each a trap
//! to the hypervisor on a virtual machine (0.3 ms together). If anything at all is unusual, the program goes on to the C
//! library's own entry, and [`crate::image::protect`] does the work the ordinary way, and reports.
//!
//! Nothing is relocated yet and there is no thread-local storage, so this code uses no library function, no table of
//! pointers, nothing that can panic, and copies bytes one by one (a loop that the compiler turned into memcpy would
//! jump through an unresolved indirect function; volatile stores forbid that).
//!
//! Gains 11 % of a run and 22 % of an exec (docs/TUNING.md). Switch: `--cfg casemate_without="early"`.
//!
//! Only used where the build links it as the entry point (link.rs): static, optimised builds.

#![allow(clippy::missing_safety_doc)]

mod call;
mod limits;

use crate::argv::{enters_a_container, starts_with};
use call::{call, ok};
use core::mem::MaybeUninit;

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".pushsection .text.casemate_entry,\"ax\",@progbits",
    ".globl casemate_entry",
    ".type casemate_entry,@function",
    "casemate_entry:",
    "mov rdi, rsp",
    // rdx holds what the C library's entry wants (psABI "Process Initialization"); two pushes keep the stack aligned.
    "push rdx",
    "push rdx",
    "call casemate_early",
    "pop rdx",
    "pop rdx",
    "jmp _start",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".pushsection .text.casemate_entry,\"ax\",%progbits",
    ".globl casemate_entry",
    ".type casemate_entry,%function",
    "casemate_entry:",
    "mov x19, x0",
    "mov x0, sp",
    "bl casemate_early",
    "mov x0, x19",
    "b _start",
    ".popsection",
);

const AT_FDCWD: usize = -100isize as usize;
const AT_EMPTY_PATH: usize = 0x1000;
const SELF: &[u8] = b"/proc/self/exe\0";
/// Says that this is the second time; [`crate::image::protect`] checks and removes it. Behind it comes the path of the host's file.
const MARK: &[u8] = b"_CASEMATE_PROTECTED=";
/// What the program was called by: [`crate::image::called_as`].
const CALLED: &[u8] = b"_CASEMATE_CALLED_AS=";
/// More variables than any caller sets; who has more takes the ordinary way.
const MAX_ENV: usize = 500;
const PATH: usize = 2048;

/// The first code of the process. `stack`: argc, argv, null, environment, null, as the kernel left them.
#[no_mangle]
unsafe extern "C" fn casemate_early(stack: *const usize) {
    // SAFETY: called once by casemate_entry with the initial stack pointer.
    unsafe {
        limits::refuse_tiny();
        protect(stack);
    }
}

/// Have this process execute the protected image. Returns only if that is not needed, or does not work.
unsafe fn protect(stack: *const usize) -> Option<()> {
    // SAFETY: the layout of the initial stack is the psABI's; both vectors end with a null.
    unsafe {
        if !enters_a_container(stack.add(1).cast()) {
            return None;
        }
        let mut fs = MaybeUninit::<[usize; 16]>::uninit();
        let fs = fs.as_mut_ptr().cast::<usize>();
        ok(call(libc::SYS_statfs, SELF.as_ptr() as usize, fs as usize, 0, 0, 0))?;
        // f_flags, ST_RDONLY: nobody can write it anyway.
        if fs.add(10).read() & 1 != 0 {
            return None;
        }
        let mut path = MaybeUninit::<[u8; PATH]>::uninit();
        let path = path.as_mut_ptr().cast::<u8>();
        let length = ok(call(
            libc::SYS_readlinkat,
            AT_FDCWD,
            SELF.as_ptr() as usize,
            path as usize,
            PATH,
            0,
        ))?;
        let image = overlay_image()?;
        execute(image, stack, (path, length));
        call(libc::SYS_close, image, 0, 0, 0, 0);
    }
    None
}

/// Execute the image. Returns only if that does not work.
#[inline(always)]
unsafe fn execute(
    image: usize,
    stack: *const usize,
    (path, length): (*const u8, usize),
) -> Option<()> {
    // SAFETY: the layout of the initial stack is the psABI's; both vectors end with a null.
    unsafe {
        let argv = stack.add(1);
        let envp = argv.add(*stack + 1);
        let mut environment = MaybeUninit::<[usize; MAX_ENV + 3]>::uninit();
        let mut mark = MaybeUninit::<[u8; MARK.len() + PATH + 1]>::uninit();
        let mark = mark.as_mut_ptr().cast::<u8>();
        let mut called = MaybeUninit::<[u8; CALLED.len() + PATH]>::uninit();
        let called = called.as_mut_ptr().cast::<u8>();
        copy_environment(envp, environment.as_mut_ptr().cast(), [mark, called])?;
        copy(mark, MARK.as_ptr(), MARK.len());
        copy(mark.add(MARK.len()), path, length);
        mark.add(MARK.len() + length).write_volatile(0);
        copy(called, CALLED.as_ptr(), CALLED.len());
        copy_text(called.add(CALLED.len()), called_as(envp))?;
        call(
            libc::SYS_execveat,
            image,
            c"".as_ptr() as usize,
            argv as usize,
            environment.as_ptr() as usize,
            AT_EMPTY_PATH,
        );
    }
    None
}

/// The path that execve(2) was told, which the image does not get: its own AT_EXECFN is the descriptor.
unsafe fn called_as(envp: *const usize) -> *const u8 {
    // SAFETY: behind the environment and its null lies the auxiliary vector, which AT_NULL ends (psABI).
    unsafe {
        let mut word = envp;
        while *word != 0 {
            word = word.add(1);
        }
        let mut aux = word.add(1);
        while *aux != 0 && *aux as u64 != libc::AT_EXECFN {
            aux = aux.add(2);
        }
        // No entry: an empty text. The vector's end has a value, too.
        if *aux == 0 {
            c"".as_ptr().cast()
        } else {
            *aux.add(1) as *const u8
        }
    }
}

unsafe fn copy(to: *mut u8, from: *const u8, length: usize) {
    let mut i = 0;
    while i < length {
        // SAFETY: the caller says that both have that many bytes.
        unsafe { to.add(i).write_volatile(from.add(i).read_volatile()) };
        i += 1;
    }
}

/// A text with its NUL, of less than PATH bytes. `None`: it is longer.
unsafe fn copy_text(to: *mut u8, from: *const u8) -> Option<()> {
    let mut i = 0;
    while i < PATH {
        // SAFETY: `to` has room for PATH bytes, and `from` ends with a NUL.
        let byte = unsafe { from.add(i).read_volatile() };
        // SAFETY: as above.
        unsafe { to.add(i).write_volatile(byte) };
        if byte == 0 {
            return Some(());
        }
        i += 1;
    }
    None
}

/// The environment with the mark behind it. `None`: it has the mark already, or it is too large.
unsafe fn copy_environment(
    from: *const usize,
    to: *mut usize,
    [mark, called]: [*const u8; 2],
) -> Option<()> {
    let mut i = 0;
    // SAFETY: from ends with a null; to has room for MAX_ENV entries, two more and a null.
    unsafe {
        while *from.add(i) != 0 {
            if i == MAX_ENV || starts_with(*from.add(i) as *const u8, MARK) {
                return None;
            }
            to.add(i).write_volatile(*from.add(i));
            i += 1;
        }
        to.add(i).write_volatile(mark as usize);
        to.add(i + 1).write_volatile(called as usize);
        to.add(i + 2).write_volatile(0);
    }
    Some(())
}

/// Our file through a detached, read-only overlay: what `image::overlay_image` does, with the same reasons.
unsafe fn overlay_image() -> Option<usize> {
    let mut options = MaybeUninit::<[u8; PATH + 8]>::uninit();
    let options = options.as_mut_ptr().cast::<u8>();
    let mut name = MaybeUninit::<[u8; 256]>::uninit();
    let name = name.as_mut_ptr().cast::<u8>();
    // SAFETY: buffers have the sizes that are passed on; strings are NUL-terminated.
    unsafe {
        let exe = SELF.as_ptr() as usize;
        let length = ok(call(libc::SYS_readlinkat, AT_FDCWD, exe, options as usize, PATH, 0))?;
        split_path(options, length, name)?;
        let fs = ok(call(libc::SYS_fsopen, c"overlay".as_ptr() as usize, 1, 0, 0, 0))?;
        call(libc::SYS_fsconfig, fs, 1, c"lowerdir".as_ptr() as usize, options as usize, 0);
        call(libc::SYS_fsconfig, fs, 6, 0, 0, 0);
        // FSMOUNT_CLOEXEC; MOUNT_ATTR_RDONLY | NOSUID | NODEV. What is executed keeps the mount.
        let mount = call(libc::SYS_fsmount, fs, 1, 0x7, 0, 0);
        call(libc::SYS_close, fs, 0, 0, 0, 0);
        let mount = ok(mount)?;
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let image = ok(call(libc::SYS_openat, mount, name as usize, flags as usize, 0, 0));
        let image = match image {
            Some(image) if !is_running_file(image) => {
                call(libc::SYS_close, image, 0, 0, 0, 0);
                None
            }
            other => other,
        };
        if image.is_none() {
            call(libc::SYS_close, mount, 0, 0, 0, 0);
        }
        image
    }
}

/// From `/dir/name` in `path` to `/dir:/etc` in `path` and `name` in `name`.
unsafe fn split_path(path: *mut u8, length: usize, name: *mut u8) -> Option<()> {
    if length >= PATH {
        return None;
    }
    let mut slash = 0;
    let mut i = 0;
    // SAFETY: path holds length bytes and has room for eight more; name has 256, checked below.
    unsafe {
        while i < length {
            match path.add(i).read() {
                b'/' => slash = i,
                // Would need escaping: the ordinary way does that.
                b':' | b'\\' | b',' => return None,
                _ => {}
            }
            i += 1;
        }
        if slash == 0 || length - slash > 255 || starts_with(path, b"/etc") {
            return None;
        }
        i = slash + 1;
        while i < length {
            name.add(i - slash - 1).write_volatile(path.add(i).read_volatile());
            i += 1;
        }
        name.add(length - slash - 1).write_volatile(0);
        let other = b":/etc\0";
        i = 0;
        while i < other.len() {
            path.add(slash + i).write_volatile(*other.as_ptr().add(i));
            i += 1;
        }
    }
    Some(())
}

/// The path may name another file by now.
unsafe fn is_running_file(image: usize) -> bool {
    let mut seen = MaybeUninit::<[usize; 24]>::uninit();
    let mut running = MaybeUninit::<[usize; 24]>::uninit();
    let (seen, running) = (seen.as_mut_ptr().cast::<usize>(), running.as_mut_ptr().cast::<usize>());
    // SAFETY: struct stat has 144 or 128 bytes, less than 24 words.
    unsafe {
        let exe = SELF.as_ptr() as usize;
        if call(libc::SYS_fstat, image, seen as usize, 0, 0, 0) < 0
            || call(libc::SYS_newfstatat, AT_FDCWD, exe, running as usize, 0, 0) < 0
        {
            return false;
        }
        // st_ino, st_size, st_mtime, st_mtime_nsec: the same words on both architectures.
        let same = |word: usize| seen.add(word).read() == running.add(word).read();
        same(1) && same(6) && same(11) && same(12)
    }
}
