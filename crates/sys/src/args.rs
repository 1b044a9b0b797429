//! The arguments and the environment that /proc/PID/cmdline and /proc/PID/environ show of this process.
//!
//! A copy of this process that enters a container is seen by the processes in there, with what the caller wrote behind
//! `exec --env`. The kernel shows the strings where it has put them itself, at the top of the first stack, whatever became of
//! them since (proc(5)). Nothing of this program reads them there after its start.

use crate::error::{Error, Result};
use rustix::io::Errno;
use std::ffi::{c_char, c_int, CStr};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// The first of these bytes, and how many there are.
static START: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// glibc calls what stands there as it calls `main`, which is how the standard library comes by its arguments, too.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[used]
#[link_section = ".init_array"]
static REMEMBER: extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) = remember;

/// Before anybody takes a variable out of the vector, whose string would stay.
extern "C" fn remember(_: c_int, argv: *mut *mut c_char, envp: *mut *mut c_char) {
    // SAFETY: both vectors end with a null, and what they point to with a zero (psABI, "Process Initialization").
    unsafe {
        let start: *mut u8 = (*argv).cast();
        let mut end = start;
        for mut next in [argv, envp] {
            while !(*next).is_null() {
                if (*next).cast() != end {
                    // Somebody has put them elsewhere, or there are none.
                    return;
                }
                end = end.add(CStr::from_ptr(*next).to_bytes_with_nul().len());
                next = next.add(1);
            }
        }
        LENGTH.store(end as usize - start as usize, Ordering::Relaxed);
        START.store(start, Ordering::Relaxed);
    }
}

/// The strings are zeros as long as this lives.
#[derive(Debug)]
pub struct Hidden {
    start: *mut u8,
    bytes: Vec<u8>,
}

/// Overwrite the strings. In a process that is made meanwhile they stay so, if it forgets ([`Hidden::for_good`]) its copy of what
/// this answers. Until then nobody must ask for the environment: the process has to be single-threaded.
///
/// # Errors
/// Where the strings lie is not known: a C library that does not tell.
pub fn hide() -> Result<Hidden> {
    let (start, length) = (START.load(Ordering::Relaxed), LENGTH.load(Ordering::Relaxed));
    if start.is_null() {
        return Err(Error::new("find the arguments of this process", Errno::NOSYS));
    }
    // SAFETY: the range that `remember` has seen, which is the kernel's for this process. All zeros are empty strings, too.
    unsafe {
        let bytes = std::slice::from_raw_parts(start, length).to_vec();
        start.write_bytes(0, length);
        Ok(Hidden { start, bytes })
    }
}

impl Hidden {
    /// Leave them overwritten.
    pub fn for_good(self) {
        std::mem::forget(self);
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // SAFETY: where the bytes came from.
        unsafe { self.start.copy_from_nonoverlapping(self.bytes.as_ptr(), self.bytes.len()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a process of its own, which has one thread.
    #[test]
    fn the_strings_are_hidden_and_come_back() {
        let shown = || {
            let read = |file| std::fs::read(format!("/proc/self/{file}")).unwrap();
            (read("cmdline"), read("environ"))
        };
        // Other tests of this process read the environment.
        let ours = std::env::args_os().any(|arg| arg == "--exact");
        if !ours {
            let test = "args::tests::the_strings_are_hidden_and_come_back";
            let mut again = std::process::Command::new(std::env::current_exe().unwrap());
            let again = again.args([test, "--exact", "--test-threads=1"]).env("SECRET", "s3cret");
            assert!(again.status().unwrap().success());
            return;
        }
        let before = shown();
        assert!(!before.0.iter().all(|byte| *byte == 0));
        let hidden = hide().unwrap();
        let (arguments, environment) = shown();
        assert!(arguments.iter().all(|byte| *byte == 0), "{arguments:?}");
        assert!(environment.iter().all(|byte| *byte == 0), "{environment:?}");
        drop(hidden);
        assert_eq!(shown(), before);
        hide().unwrap().for_good();
        assert_ne!(shown(), before);
    }
}
