//! Looking up the program that is to run, before the parent has stopped listening.

use crate::environment::lookup;
use crate::{Failure, StepResult};
use casemate_sys::{errno_text, process};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};

/// args[0] to a path: as it is when it has a slash, else through the container's PATH. The messages are matched by
/// engines (exit status 126 or 127).
pub(crate) fn find_program(args: &[CString], env: &[CString]) -> StepResult<CString> {
    let Some(name) = args.first() else {
        return Err(Failure::new("exec", "process.args: nothing to execute"));
    };
    let shown = name.to_string_lossy().into_owned();
    let fail = |errno: Option<Errno>, reason: String| {
        let message = format!("exec: {shown:?}: {reason}");
        Err(Failure {
            step: "exec".into(),
            message,
            hint: None,
            errno: errno.map_or(0, Errno::raw_os_error),
        })
    };
    if name.as_bytes().contains(&b'/') {
        return match executable(name) {
            Ok(()) => Ok(name.clone()),
            Err(e @ (Errno::NOENT | Errno::NOTDIR)) => {
                fail(Some(e), format!("stat {shown}: {}", errno_text(e)))
            }
            // The same errno for a magic link and for links in a circle; only the first can be opened without the flag.
            Err(Errno::LOOP) if rustix::fs::stat(name.as_c_str()).is_ok() => {
                fail(Some(Errno::LOOP), "leads through a magic link of /proc (refused)".to_owned())
            }
            Err(e) => fail(Some(e), errno_text(e)),
        };
    }
    let mut denied = None;
    for dir in lookup(env, "PATH").unwrap_or_default().split(|b| *b == b':') {
        let dir = if dir.is_empty() { b".".as_slice() } else { dir };
        // All parts came as C strings.
        let Ok(path) = CString::new([dir, b"/", name.as_bytes()].concat()) else { continue };
        match executable(&path) {
            Ok(()) => return Ok(path),
            Err(Errno::ACCESS) => denied = Some(Errno::ACCESS),
            // As a shell does: a directory that is none, or cannot be searched, has no programs.
            Err(_) => {}
        }
    }
    match denied {
        Some(e) => fail(Some(e), errno_text(e)),
        None => fail(Some(Errno::NOENT), "executable file not found in $PATH".to_owned()),
    }
}

/// Whether this process may execute the file. No magic link on the way: /proc/self/exe is the runtime, and
/// /proc/self/fd/N whatever somebody left open (CVE-2019-5736, CVE-2024-21626).
fn executable(path: &CStr) -> rustix::io::Result<()> {
    use rustix::fs::ResolveFlags;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file = match rustix::fs::openat2(
        rustix::fs::CWD,
        path,
        flags,
        Mode::empty(),
        ResolveFlags::NO_MAGICLINKS,
    ) {
        Ok(file) => file,
        Err(Errno::AGAIN) => rustix::fs::openat2(
            rustix::fs::CWD,
            path,
            flags,
            Mode::empty(),
            ResolveFlags::NO_MAGICLINKS,
        )?,
        Err(e) => return Err(e),
    };
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::Directory => return Err(Errno::ISDIR),
        FileType::RegularFile => {}
        _ => return Err(Errno::ACCESS),
    }
    process::may_execute(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_slash_is_found_through_the_given_path_only() {
        let env = |path: &str| vec![CString::new(format!("PATH={path}")).unwrap()];
        let args = vec![CString::new("sh").unwrap()];
        assert_eq!(find_program(&args, &env("/nowhere:/bin")).unwrap().as_bytes(), b"/bin/sh");
        let missing = find_program(&args, &env("/nowhere")).unwrap_err();
        assert_eq!(missing.message, "exec: \"sh\": executable file not found in $PATH");
    }

    #[test]
    fn messages_of_a_missing_program_are_the_ones_engines_match() {
        let find =
            |name: &str| find_program(&[CString::new(name).unwrap()], &[]).unwrap_err().message;
        assert_eq!(
            find("/no/such"),
            "exec: \"/no/such\": stat /no/such: no such file or directory"
        );
        assert_eq!(find("/etc"), "exec: \"/etc\": is a directory");
        assert_eq!(find("/etc/passwd"), "exec: \"/etc/passwd\": permission denied");
    }

    #[test]
    fn cve_2019_5736_a_magic_link_is_not_executed() {
        let e = find_program(&[CString::new("/proc/self/exe").unwrap()], &[]).unwrap_err();
        assert!(e.message.contains("magic link"), "{}", e.message);
    }
}
