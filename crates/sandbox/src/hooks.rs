//! Hooks: programs of the bundle's author that run beside the container's process, one after the other.
//!
//! A hook gets its own environment and nothing of ours: no descriptors but its standard streams, the working directory of
//! the plan (`/` unless a configuration is used as written, CVE-2025-23266: a hook that starts in the rootfs can be made to
//! load the container's libraries), the state JSON on standard input. Its output is kept and shown only when it fails.

use crate::failure::Step;
use crate::guard::Program;
use crate::plan::Hook;
use crate::{Failure, StepResult};
use casemate_sys::process::{self, clone_process, exit_now, Cloned, ExecVectors, Exit};
use casemate_sys::{fd, signals, Context};
use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, SeekFrom};
use rustix::io::Errno;
use std::path::Path;
use std::time::Duration;

/// How much of a failing hook's output goes into the message.
const OUTPUT_SHOWN: usize = 2048;

/// Run all in order; the first failure ends it.
///
/// # Errors
/// As [`run`], for the first hook that fails.
pub fn run_all(hooks: &[Hook], state: &str) -> StepResult<()> {
    run_all_confined(hooks, state, &|| Ok(()))
}

/// The same, and `confine` is the last that happens in each hook's process before its program.
pub(crate) fn run_all_confined(
    hooks: &[Hook],
    state: &str,
    confine: Confine<'_>,
) -> StepResult<()> {
    hooks.iter().try_for_each(|hook| run_confined(hook, state, confine))
}

/// What a process does to itself before a program takes its place.
type Confine<'a> = &'a dyn Fn() -> StepResult<()>;

/// Run one hook to its end.
///
/// # Errors
/// It is not trusted or cannot be started, ends with another status than 0 or by a signal, or takes
/// longer than its timeout and was killed. The message has the beginning of its output.
pub fn run(hook: &Hook, state: &str) -> StepResult<()> {
    run_confined(hook, state, &|| Ok(()))
}

fn run_confined(hook: &Hook, state: &str, confine: Confine<'_>) -> StepResult<()> {
    let about = || format!("error running {}: {}", hook.label, hook.path.display());
    let program = Program::admit(hook).map_err(|failure| failure.about(about()))?;
    // Memory files rather than pipes: a hook that reads nothing cannot block us, and one that leaves a daemon behind
    // cannot keep us waiting for the end of its output.
    let input = memory("hook-state", state.as_bytes()).step("hook", about)?;
    let output = memory("hook-output", b"").step("hook", about)?;
    let (pid, pidfd) = match clone_process(0, None).step("hook", about)? {
        Cloned::Child => become_hook(hook, &program, (&input, &output), confine),
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
    };
    let ended = wait_ended(&pidfd, hook.timeout).step("hook", about)?;
    if !ended {
        process::pidfd_signal(&pidfd, 9).step("hook", about)?;
    }
    let exit = process::wait(pid, true).step("hook", about)?;
    let outcome = match exit {
        _ if !ended => format!("timed out after {} s and was killed", hook.timeout),
        Some(Exit::Code(0)) | None => return Ok(()),
        Some(Exit::Code(code)) => format!("exit status {code}"),
        Some(Exit::Signal(signal)) => format!("killed by {}", process::signal_text(signal)),
    };
    Err(Failure::new("hook", format!("{}: {outcome}{}", about(), shown(&output))))
}

fn memory(name: &str, content: &[u8]) -> casemate_sys::Result<OwnedFd> {
    let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)
        .call(|| format!("memfd_create({name})"))?;
    let mut rest = content;
    while !rest.is_empty() {
        let n = rustix::io::write(&file, rest).call(|| format!("write({name})"))?;
        rest = &rest[n..];
    }
    rustix::fs::seek(&file, SeekFrom::Start(0)).call(|| format!("lseek({name})"))?;
    Ok(file)
}

/// True when the process ended by itself. No timeout: wait for ever, as the specification says.
fn wait_ended(pidfd: &OwnedFd, timeout: u64) -> casemate_sys::Result<bool> {
    let limit = if timeout > 0 { Duration::from_secs(timeout) } else { Duration::MAX };
    fd::readable(pidfd, limit)
}

fn shown(output: &OwnedFd) -> String {
    let mut buf = vec![0u8; OUTPUT_SHOWN];
    // An ornament of an error that is told anyway.
    let n = rustix::io::pread(output, &mut buf, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(&buf[..n]).trim().replace('\n', "; ");
    if text.is_empty() {
        String::new()
    } else {
        format!(", output: {text}")
    }
}

/// A bundle that is gone by the time of a poststop hook has none to be entered.
fn enter(dir: &Path) -> casemate_sys::Result<()> {
    match rustix::process::chdir(dir) {
        Err(Errno::NOENT) => rustix::process::chdir("/").call(|| "chdir(\"/\")"),
        other => other.call(|| format!("chdir({dir:?})")),
    }
}

/// The child's side of a hook.
fn become_hook(
    hook: &Hook,
    program: &Program<'_>,
    (input, output): (&OwnedFd, &OwnedFd),
    confine: Confine<'_>,
) -> ! {
    let setup = || -> StepResult<()> {
        fd::place(input, 0)?;
        fd::place(output, 1)?;
        fd::place(output, 2)?;
        fd::cloexec_from(3)?;
        if let Some(dir) = &hook.dir {
            enter(dir)?;
        }
        signals::reset()?;
        Ok(())
    };
    let vectors = ExecVectors::new(hook.args.clone(), hook.env.clone());
    let reason = match setup().and_then(|()| confine()) {
        Err(failure) => failure.message,
        Ok(()) => program.exec(&vectors),
    };
    // The parent prints what is in there; when even this write fails, the exit status still tells.
    rustix::io::write(output, reason.as_bytes()).ok();
    exit_now(127)
}
