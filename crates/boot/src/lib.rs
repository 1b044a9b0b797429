//! From execve(2) to `main`: what has to be done before the command line is read.
//!
//! A static, optimised build starts in `entry`, which executes a protected image of the program where the command needs one
//! (`argv`, `image`). Everywhere else `main` calls [`protect`], which does the same with the C library. How the program is
//! linked for that is in `link.rs`, which the binary's build script includes.
//!
//! Beside `casemate-sys` the only crate with `unsafe` code. It may know argv, and nothing of containers.

#![warn(clippy::missing_errors_doc)]

mod argv;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod entry;
pub mod image;
#[cfg(target_feature = "crt-static")]
mod stack;

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt as _;

/// Keeps a container from overwriting the binary through /proc/self/exe (CVE-2019-5736). To be called first, while nothing that
/// a bundle controls has been read. Does nothing for commands that put no process into a container.
///
/// # Errors
/// There is no protected image. Where it has to be executed and can be, this does not come back.
pub fn protect() -> casemate_sys::Result<()> {
    let arguments: Vec<CString> = std::env::args_os()
        // They came as C strings.
        .map(|argument| CString::new(argument.into_vec()).unwrap_or_default())
        .collect();
    let mut argv: Vec<*const u8> = arguments.iter().map(|text| text.as_ptr().cast()).collect();
    argv.push(std::ptr::null());
    // SAFETY: a vector of C strings with a null behind them.
    if unsafe { argv::enters_a_container(argv.as_ptr()) } {
        image::protect(arguments)?;
    }
    Ok(())
}
