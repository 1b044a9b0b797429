//! A kernel that answers otherwise: a filter around a command and all that it makes, or a tracer that changes single answers.

use crate::command::Cmd;
use std::os::unix::process::CommandExt;
use std::path::Path;

/// Have system call `number` do nothing and answer `errno`; 0 is success.
pub fn answer(mut command: Cmd, number: libc::c_long, errno: i32) -> Cmd {
    let install = move || {
        let step = |code: u32, k: u32, jf| libc::sock_filter { code: code as u16, jt: 0, jf, k };
        let mut steps = [
            // struct seccomp_data: the number is first.
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
            step(libc::BPF_JMP | libc::BPF_JEQ, number as u32, 1),
            step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32, 0),
            step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0),
        ];
        let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
        // SAFETY: the program outlives the call.
        match unsafe {
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
        } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: one bare system call between fork and exec.
    unsafe { command.inner.pre_exec(install) };
    command
}

/// Have strace(1) change answers of the command: `rule` as behind its `-e inject=`. Needs the program.
pub fn inject(command: Cmd, rule: &str) -> Cmd {
    command.through("strace", ["-f", "-o", "/dev/null", "-e", &format!("inject={rule}")])
}

/// The same where a call is about this path.
pub fn inject_at(command: Cmd, path: &Path, rule: &str) -> Cmd {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a path of a test's own");
    let (path, rule) = (path.to_str().expect("as its name"), format!("inject={rule}"));
    // By its name as well, which is looked for in a directory.
    let paths = ["-P", path, "-P", name];
    command.through("strace", [&["-f", "-o", "/dev/null"], &paths[..], &["-e", &rule]].concat())
}
