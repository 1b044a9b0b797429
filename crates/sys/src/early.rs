//! The protected image of [`crate::exe`], taken on before the C library starts.
//!
//! The program's entry point is here. It looks whether this is a command that has to be protected, and if so maps the program
//! once more over itself, from the read-only overlay that shows our file, and tells the kernel that this is what it runs
//! (PR_SET_MM_MAP): then nothing leads to the host's file any more, /proc/PID/exe included. The contents are the same, and
//! nothing has been written to yet, so the code goes on where it is. Executing the image does the same for a quarter of a
//! millisecond more: a second set-up and tear-down of an address space. It is what is done where the kernel refuses
//! (built without CONFIG_CHECKPOINT_RESTORE, or a filter around us), and even that is cheaper here than later: a process
//! that replaces itself does not need a C library, whose start asks the processor for its features with some seventy
//! CPUID instructions, each a trap to the hypervisor on a virtual machine (0.3 ms together). If anything at all is unusual,
//! the program goes on to the C library's own entry, and [`crate::exe::protect`] does the work the ordinary way, and reports.
//!
//! Nothing is relocated yet and there is no thread-local storage, so this code uses no library function, no table of
//! pointers, nothing that can panic, and copies bytes one by one (a loop that the compiler turned into memcpy would
//! jump through an unresolved indirect function; volatile stores forbid that).
//!
//! Only used where the build links it as the entry point (crates/casemate/build.rs): static, optimised builds.

#![allow(clippy::missing_safety_doc)]

mod limits;

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicI32, AtomicU8, Ordering};

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

#[cfg(target_arch = "x86_64")]
mod nr {
    pub(super) const WRITE: usize = 1;
    pub(super) const EXIT_GROUP: usize = 231;
    pub(super) const PRLIMIT64: usize = 302;
    pub(super) const CLOSE: usize = 3;
    pub(super) const MMAP: usize = 9;
    pub(super) const BRK: usize = 12;
    pub(super) const PRCTL: usize = 157;
    pub(super) const FSTAT: usize = 5;
    pub(super) const READLINKAT: usize = 267;
    pub(super) const STATFS: usize = 137;
    pub(super) const OPENAT: usize = 257;
    pub(super) const NEWFSTATAT: usize = 262;
    pub(super) const EXECVEAT: usize = 322;
}

#[cfg(target_arch = "aarch64")]
mod nr {
    pub(super) const WRITE: usize = 64;
    pub(super) const EXIT_GROUP: usize = 94;
    pub(super) const PRLIMIT64: usize = 261;
    pub(super) const CLOSE: usize = 57;
    pub(super) const MMAP: usize = 222;
    pub(super) const BRK: usize = 214;
    pub(super) const PRCTL: usize = 167;
    pub(super) const FSTAT: usize = 80;
    pub(super) const READLINKAT: usize = 78;
    pub(super) const STATFS: usize = 43;
    pub(super) const OPENAT: usize = 56;
    pub(super) const NEWFSTATAT: usize = 79;
    pub(super) const EXECVEAT: usize = 281;
}

const FSOPEN: usize = 430;
const FSCONFIG: usize = 431;
const FSMOUNT: usize = 432;

#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn call6(nr: usize, [a, b, c, d, e, f]: [usize; 6]) -> isize {
    let ret: isize;
    // SAFETY: the caller passes what this system call takes; the kernel preserves all but rax, rcx and r11.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") nr as isize => ret, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    ret
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn call6(nr: usize, [a, b, c, d, e, f]: [usize; 6]) -> isize {
    let ret: isize;
    // SAFETY: the caller passes what this system call takes; the kernel preserves all but x0.
    unsafe {
        core::arch::asm!("svc 0", inlateout("x0") a as isize => ret, in("x1") b, in("x2") c, in("x3") d, in("x4") e,
            in("x5") f, in("x8") nr, options(nostack));
    }
    ret
}

#[inline(always)]
unsafe fn call(nr: usize, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    // SAFETY: the caller passes what this system call takes.
    unsafe { call6(nr, [a, b, c, d, e, 0]) }
}

const AT_FDCWD: usize = -100isize as usize;
const AT_EMPTY_PATH: usize = 0x1000;
const SELF: &[u8] = b"/proc/self/exe\0";
/// Says that this is the second time; [`crate::exe::protect`] checks and removes it. Behind it comes one digit, the
/// descriptor of the overlay's mount, and the path of the host's file.
const MARK: &[u8] = b"_CASEMATE_PROTECTED=";
/// More variables than any caller sets; who has more takes the ordinary way.
const MAX_ENV: usize = 500;
const PATH: usize = 2048;

/// The descriptor of the overlay's mount, when this process has taken on the image; 0 otherwise.
static MOUNT: AtomicI32 = AtomicI32::new(0);

/// Where the program was started from, when this process has taken on the image: a NUL ends it. Written once, before there is
/// another thread.
static PROGRAM: [AtomicU8; PATH] = [const { AtomicU8::new(0) }; PATH];

/// The path of the host's file that this process has left. `None`: it has not.
pub(crate) fn program() -> Option<Vec<u8>> {
    let bytes = PROGRAM.iter().map(|byte| byte.load(Ordering::Relaxed));
    let path: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
    (!path.is_empty()).then_some(path)
}

/// The descriptor of the mount that our image comes from, which nobody owns. `None`: there is none.
pub(crate) fn mount() -> Option<i32> {
    Some(MOUNT.load(Ordering::Relaxed)).filter(|raw| *raw > 0)
}

/// The first code of the process. `stack`: argc, argv, null, environment, null, as the kernel left them.
#[no_mangle]
unsafe extern "C" fn casemate_early(stack: *const usize) {
    // SAFETY: called once by casemate_entry with the initial stack pointer.
    unsafe {
        limits::refuse_tiny();
        if let Some(program) = Program::find(stack) {
            protect(stack, &program);
        }
    }
}

/// This program as it is mapped.
struct Program {
    /// What is to be added to the addresses in the file.
    bias: usize,
    headers: *const libc::Elf64_Phdr,
    count: usize,
    page: usize,
}

impl Program {
    /// `None`: something is unusual.
    #[inline(always)]
    unsafe fn find(stack: *const usize) -> Option<Self> {
        // SAFETY: behind the two vectors and their nulls lies the auxiliary vector, which AT_NULL ends (psABI); AT_PHDR and
        // AT_PHNUM describe the program headers of this file, mapped with its first page.
        unsafe {
            let mut word = stack.add(*stack + 2);
            while *word != 0 {
                word = word.add(1);
            }
            let mut aux = word.add(1);
            let (mut headers, mut count, mut page) = (0, 0, 0);
            while *aux != 0 {
                let value = *aux.add(1);
                match *aux as u64 {
                    libc::AT_PHDR => headers = value,
                    libc::AT_PHNUM => count = value,
                    libc::AT_PAGESZ => page = value,
                    _ => {}
                }
                aux = aux.add(2);
            }
            if headers == 0 || !page.is_power_of_two() {
                return None;
            }
            // They stand right behind the ELF header, at the beginning of the file, which the first segment maps. (There is
            // an entry for the headers themselves, PT_PHDR, but not every linker writes it.)
            let start = headers.wrapping_sub(size_of::<libc::Elf64_Ehdr>());
            let first = headers as *const libc::Elf64_Phdr;
            let mut i = 0;
            while i < count {
                let header = &*first.add(i);
                if header.p_type == libc::PT_LOAD && header.p_offset == 0 {
                    let bias = start.wrapping_sub(header.p_vaddr as usize);
                    // A number, not an array: to compare that may become a call.
                    let magic = u32::from_ne_bytes([0x7f, b'E', b'L', b'F']);
                    let fits = bias & (page - 1) == 0 && *(start as *const u32) == magic;
                    return if fits {
                        Some(Self { bias, headers: first, count, page })
                    } else {
                        None
                    };
                }
                i += 1;
            }
            None
        }
    }
}

/// Where this thread's stack lies: unknown.
///
/// Rust's start-up code asks for it, to be able to say "stack overflow" of a fault in the page below. The C library's answer for
/// the first thread is to read /proc/self/maps with sscanf(3), fifty thousand instructions for a sentence that nobody has seen yet;
/// the page below ends the program with or without it. Linked in place of the C library's where that is static.
#[cfg(not(casemate_without = "stack-unknown"))]
#[no_mangle]
extern "C" fn pthread_getattr_np(_: libc::pthread_t, _: *mut libc::pthread_attr_t) -> libc::c_int {
    libc::ENOSYS
}

/// Have this process run from the protected image: `Some` when it does, `None` if nothing was done.
unsafe fn protect(stack: *const usize, program: &Program) -> Option<()> {
    // SAFETY: the layout of the initial stack is the psABI's; both vectors end with a null.
    unsafe {
        let argc = *stack;
        let argv = stack.add(1);
        if !enters_a_container(argv, argc) {
            return None;
        }
        let mut fs = MaybeUninit::<[usize; 16]>::uninit();
        let fs = fs.as_mut_ptr().cast::<usize>();
        ok(call(nr::STATFS, SELF.as_ptr() as usize, fs as usize, 0, 0, 0))?;
        // f_flags, ST_RDONLY: nobody can write it anyway.
        if fs.add(10).read() & 1 != 0 {
            return None;
        }
        let mut path = MaybeUninit::<[u8; PATH]>::uninit();
        let path = path.as_mut_ptr().cast::<u8>();
        let length =
            ok(call(nr::READLINKAT, AT_FDCWD, SELF.as_ptr() as usize, path as usize, PATH, 0))?;
        let (image, mount) = overlay_image()?;
        let taken = if cfg!(casemate_without = "mapped-image") {
            None
        } else {
            program.map_again(image).and_then(|code| run_from(image, code, stack))
        };
        if taken.is_none() {
            execute((image, mount), stack, (path, length));
            call(nr::CLOSE, mount, 0, 0, 0, 0);
        } else {
            MOUNT.store(mount as i32, Ordering::Relaxed);
            let mut i = 0;
            // A path that fills the buffer was not split, so there is no image.
            while i < length {
                PROGRAM.as_ptr().add(i).as_ref()?.store(path.add(i).read(), Ordering::Relaxed);
                i += 1;
            }
        }
        call(nr::CLOSE, image, 0, 0, 0, 0);
        taken
    }
}

/// Where the kernel counts code and data to be.
struct Extent {
    code: [usize; 2],
    data: [usize; 2],
}

impl Program {
    /// Map every segment from the image, where it is now. The contents are the same and nothing was written to them yet, so
    /// nobody notices, and a refusal half-way does no harm. (When the kernel runs out of memory just then, the program ends.)
    #[inline(always)]
    unsafe fn map_again(&self, image: usize) -> Option<Extent> {
        let mut extent = Extent { code: [usize::MAX, 0], data: [0, 0] };
        let mut i = 0;
        while i < self.count {
            // SAFETY: there are that many headers.
            let header = unsafe { &*self.headers.add(i) };
            i += 1;
            if header.p_type != libc::PT_LOAD || header.p_filesz == 0 {
                continue;
            }
            let start = self.bias.wrapping_add(header.p_vaddr as usize);
            let end = start.wrapping_add(header.p_filesz as usize);
            let first = start & !(self.page - 1);
            let offset = (header.p_offset as usize).wrapping_sub(start - first);
            // SAFETY: the addresses are those of this program's segments, as the kernel has mapped them.
            unsafe {
                // PF_X, PF_W, PF_R are 1, 2, 4, and PROT_READ, PROT_WRITE, PROT_EXEC as well.
                let flags = header.p_flags as usize;
                let access = flags >> 2 & 1 | flags & 2 | (flags & 1) << 2;
                let kind = (libc::MAP_PRIVATE | libc::MAP_FIXED) as usize;
                let got = call6(nr::MMAP, [first, end - first, access, kind, image, offset]);
                if got as usize != first {
                    return None;
                }
                if header.p_flags & libc::PF_W != 0 && header.p_memsz > header.p_filesz {
                    self.clear_to_page_end(end);
                }
            }
            // As the kernel counts them (binfmt_elf).
            if header.p_flags & libc::PF_X != 0 {
                extent.code = [extent.code[0].min(start), extent.code[1].max(end)];
            }
            extent.data = [extent.data[0].max(start), extent.data[1].max(end)];
        }
        (extent.code[0] < extent.code[1]).then_some(extent)
    }

    /// Variables without a value begin in the page in which those with one end; the file has something else there.
    #[inline(always)]
    unsafe fn clear_to_page_end(&self, from: usize) {
        let mut at = from;
        while at & (self.page - 1) != 0 {
            // SAFETY: inside the page whose beginning is ours.
            unsafe { (at as *mut u8).write_volatile(0) };
            at += 1;
        }
    }
}

/// `struct prctl_mm_map` of prctl(2), PR_SET_MM_MAP: every field is that of the process as it is, but for the program's file.
#[repr(C)]
struct MemoryMap {
    code: [usize; 2],
    data: [usize; 2],
    heap: [usize; 2],
    stack: usize,
    arguments: [usize; 2],
    environment: [usize; 2],
    auxv: usize,
    auxv_size: u32,
    exe_fd: u32,
}

/// Tell the kernel that `image` is what this process runs. It believes that only if nothing is mapped from the old file.
#[inline(always)]
unsafe fn run_from(image: usize, extent: Extent, stack: *const usize) -> Option<()> {
    const PR_SET_MM: usize = 35;
    const PR_SET_MM_MAP: usize = 14;
    // SAFETY: the layout of the initial stack is the psABI's. Arguments and environment lie one behind the other, each a
    // NUL-terminated string; there is an argument, because one of them named a command.
    unsafe {
        let argc = *stack;
        let argv = stack.add(1);
        let mut last = argv.add(argc - 1);
        let arguments_end = end_of_text(*last);
        let mut environment_end = arguments_end;
        last = argv.add(argc + 1);
        while *last != 0 {
            environment_end = end_of_text(*last);
            last = last.add(1);
        }
        let heap = ok(call(nr::BRK, 0, 0, 0, 0, 0))?;
        let map = MemoryMap {
            code: extent.code,
            data: extent.data,
            heap: [heap, heap],
            stack: stack as usize,
            arguments: [*argv, arguments_end],
            environment: [arguments_end, environment_end],
            auxv: 0,
            auxv_size: 0,
            exe_fd: image as u32,
        };
        let size = size_of::<MemoryMap>();
        ok(call(nr::PRCTL, PR_SET_MM, PR_SET_MM_MAP, &raw const map as usize, size, 0)).map(|_| ())
    }
}

/// One behind the NUL.
#[inline(always)]
unsafe fn end_of_text(text: usize) -> usize {
    let mut at = text;
    // SAFETY: the caller passes the address of a NUL-terminated string.
    while unsafe { (at as *const u8).read_volatile() } != 0 {
        at += 1;
    }
    at + 1
}

/// Execute the image. Returns only if that does not work.
#[inline(always)]
unsafe fn execute(
    (image, mount): (usize, usize),
    stack: *const usize,
    (path, length): (*const u8, usize),
) -> Option<()> {
    // SAFETY: the layout of the initial stack is the psABI's; both vectors end with a null.
    unsafe {
        let argv = stack.add(1);
        let envp = argv.add(*stack + 1);
        let mut environment = MaybeUninit::<[usize; MAX_ENV + 2]>::uninit();
        let mut mark = MaybeUninit::<[u8; MARK.len() + PATH + 2]>::uninit();
        let mark = mark.as_mut_ptr().cast::<u8>();
        copy_environment(envp, environment.as_mut_ptr().cast(), mark)?;
        write_mark(mark, mount, (path, length));
        call(
            nr::EXECVEAT,
            image,
            c"".as_ptr() as usize,
            argv as usize,
            environment.as_ptr() as usize,
            AT_EMPTY_PATH,
        );
    }
    None
}

/// The mark with the number of the mount's descriptor, which is below ten, and the path.
unsafe fn write_mark(to: *mut u8, mount: usize, (path, length): (*const u8, usize)) {
    let mut i = 0;
    // SAFETY: to has room for MARK, a digit, PATH and a NUL; path has length bytes, at most PATH.
    unsafe {
        while i < MARK.len() {
            to.add(i).write_volatile(*MARK.as_ptr().add(i));
            i += 1;
        }
        to.add(i).write_volatile(b'0' + mount as u8);
        i += 1;
        let mut at = 0;
        while at < length {
            to.add(i + at).write_volatile(path.add(at).read_volatile());
            at += 1;
        }
        to.add(i + at).write_volatile(0);
    }
}

fn ok(ret: isize) -> Option<usize> {
    if ret < 0 {
        None
    } else {
        Some(ret as usize)
    }
}

/// `create`, `run` or `exec` among the arguments.
unsafe fn enters_a_container(argv: *const usize, argc: usize) -> bool {
    let mut i = 1;
    while i < argc {
        // SAFETY: argv has argc entries, each a NUL-terminated string.
        let hit = unsafe {
            let arg = *argv.add(i) as *const u8;
            starts_with(arg, b"create\0")
                || starts_with(arg, b"run\0")
                || starts_with(arg, b"exec\0")
        };
        if hit {
            return true;
        }
        i += 1;
    }
    false
}

unsafe fn starts_with(text: *const u8, prefix: &[u8]) -> bool {
    let mut i = 0;
    while i < prefix.len() {
        // SAFETY: the comparison ends at the first difference, so not behind text's NUL; i is inside prefix.
        if unsafe { *text.add(i) != *prefix.as_ptr().add(i) } {
            return false;
        }
        i += 1;
    }
    true
}

/// The environment with the mark behind it. `None`: it has the mark already, or it is too large.
unsafe fn copy_environment(from: *const usize, to: *mut usize, mark: *const u8) -> Option<()> {
    let mut i = 0;
    // SAFETY: from ends with a null; to has room for MAX_ENV entries, the mark and a null.
    unsafe {
        while *from.add(i) != 0 {
            if i == MAX_ENV || starts_with(*from.add(i) as *const u8, MARK) {
                return None;
            }
            to.add(i).write_volatile(*from.add(i));
            i += 1;
        }
        to.add(i).write_volatile(mark as usize);
        to.add(i + 1).write_volatile(0);
    }
    Some(())
}

/// Our file through a detached, read-only overlay: what `exe::overlay_image` does, with the same reasons. The file, and the
/// mount, whose descriptor stays open over execve: closing it dissolves the mount, which waits for all processors, and
/// `exe::release_mount` does that when there is time.
unsafe fn overlay_image() -> Option<(usize, usize)> {
    let mut options = MaybeUninit::<[u8; PATH + 8]>::uninit();
    let options = options.as_mut_ptr().cast::<u8>();
    let mut name = MaybeUninit::<[u8; 256]>::uninit();
    let name = name.as_mut_ptr().cast::<u8>();
    // SAFETY: buffers have the sizes that are passed on; strings are NUL-terminated.
    unsafe {
        let exe = SELF.as_ptr() as usize;
        let length = ok(call(nr::READLINKAT, AT_FDCWD, exe, options as usize, PATH, 0))?;
        split_path(options, length, name)?;
        let fs = ok(call(FSOPEN, c"overlay".as_ptr() as usize, 1, 0, 0, 0))?;
        call(FSCONFIG, fs, 1, c"lowerdir".as_ptr() as usize, options as usize, 0);
        call(FSCONFIG, fs, 6, 0, 0, 0);
        // MOUNT_ATTR_RDONLY | NOSUID | NODEV; not close-on-exec.
        let mount = call(FSMOUNT, fs, 0, 0x7, 0, 0);
        call(nr::CLOSE, fs, 0, 0, 0, 0);
        let mount = ok(mount)?;
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let image = call(nr::OPENAT, mount, name as usize, flags as usize, 0, 0);
        match ok(image) {
            // Above the standard streams, of which some may be closed: it must not become one of the container's.
            Some(image) if mount > 2 && mount < 10 && is_running_file(image) => {
                Some((image, mount))
            }
            Some(image) => {
                call(nr::CLOSE, image, 0, 0, 0, 0);
                call(nr::CLOSE, mount, 0, 0, 0, 0);
                None
            }
            None => {
                call(nr::CLOSE, mount, 0, 0, 0, 0);
                None
            }
        }
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
        if call(nr::FSTAT, image, seen as usize, 0, 0, 0) < 0
            || call(nr::NEWFSTATAT, AT_FDCWD, exe, running as usize, 0, 0) < 0
        {
            return false;
        }
        // st_ino, st_size, st_mtime, st_mtime_nsec: the same words on both architectures.
        let same = |word: usize| seen.add(word).read() == running.add(word).read();
        same(1) && same(6) && same(11) && same(12)
    }
}
