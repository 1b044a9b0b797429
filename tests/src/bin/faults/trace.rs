//! A command run under ptrace(2): each system call of it and of what it makes is counted, and one of them fails, or is
//! the last thing that its process does. It stops short of judging: what came of it is written down for the driver.
//!
//! strace(1) can do the same, but counts for each process apart, so that "the third openat" is one in each of them, and
//! follows the container's program as well. Here a call has the number of its process, in the order in which they were
//! made, and of the call in it. A process that executes a program other than the runtime is let go: it is the payload's.

use super::registers::{self, Stop};
use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt::Write as _;
use std::io::{Error, Result};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What happens at one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not made, and answers this errno.
    Errno(i32),
    /// Its process is killed in front of it.
    Kill,
}

/// Where: the process in the order of making, the call in it, both from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) process: usize,
    pub(crate) call: usize,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Request {
    /// The fault, or none: then all calls are written down.
    pub(crate) at: Option<(Place, Fault)>,
    /// A process that is there already and is traced, too, as number 1 on.
    pub(crate) also: Option<i32>,
    /// Go on when the command has ended, until nothing is traced any more.
    pub(crate) follow: bool,
    /// The file for what was seen: `root PID`, `call PROCESS NUMBER`, `hit NUMBER FIRST-ARGUMENT`, `answered ERRNO`, `status WAIT-STATUS`.
    pub(crate) report: PathBuf,
}

const OPTIONS: libc::c_int = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC;

/// ptrace(2) with numbers; a process that was killed meanwhile (ESRCH) is seen as such by the next wait.
fn ptrace(request: libc::c_uint, pid: i32, address: usize, data: usize) -> Result<()> {
    // SAFETY: the requests used here take numbers only.
    let done = unsafe { libc::ptrace(request, pid, address as *mut c_void, data as *mut c_void) };
    match done {
        -1 => match Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            error => Err(error),
        },
        _ => Ok(()),
    }
}

/// What is known of one traced thread.
#[derive(Debug)]
struct Thread {
    process: usize,
    pending: Option<i32>,
}

struct Tracer {
    request: Request,
    program: String,
    root: i32,
    threads: HashMap<i32, Thread>,
    processes: HashMap<i32, usize>,
    calls: Vec<usize>,
    seen: String,
    done: bool,
}

/// Run it; the answer is the wait status of the command itself.
///
/// # Errors
/// Where it cannot be started or traced.
pub(crate) fn run(request: Request, program: &Path, args: &[String]) -> Result<i32> {
    let root = start(program, args)?;
    let mut tracer = Tracer {
        program: program.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        request,
        root,
        threads: HashMap::new(),
        processes: HashMap::new(),
        calls: Vec::new(),
        seen: format!("root {root}\n"),
        done: false,
    };
    tracer.save()?;
    tracer.first()?;
    let status = tracer.watch()?;
    writeln!(tracer.seen, "status {status}").map_err(Error::other)?;
    tracer.save()?;
    Ok(status)
}

/// Start the command and attach to it: it waits until that is done. PTRACE_SEIZE and not PTRACE_TRACEME, because the children
/// of a process that is traced in the old way begin with a SIGSTOP, which stays in force if the tracer ends first.
fn start(program: &Path, args: &[String]) -> Result<i32> {
    let mut ends = [0; 2];
    // SAFETY: writes two integers.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: this process has one thread, so the child may do whatever it could have done.
    let pid = match unsafe { libc::fork() } {
        -1 => return Err(Error::last_os_error()),
        0 => {
            // SAFETY: descriptors of our own, and one byte that never comes: the end is what is waited for.
            unsafe {
                libc::close(ends[1]);
                libc::read(ends[0], (&raw mut ends[1]).cast(), 1);
            }
            let error = Command::new(program).args(args).exec();
            panic!("{}: {error}", program.display());
        }
        pid => pid,
    };
    ptrace(libc::PTRACE_SEIZE, pid, 0, OPTIONS as usize)?;
    // SAFETY: descriptors of our own.
    unsafe {
        libc::close(ends[0]);
        libc::close(ends[1]);
    }
    Ok(pid)
}

fn wait(pid: i32) -> Result<(i32, i32)> {
    let mut status = 0;
    // SAFETY: writes one integer.
    match unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) } {
        -1 => Err(Error::last_os_error()),
        pid => Ok((pid, status)),
    }
}

/// The process that a thread is of.
fn group_of(tid: i32) -> i32 {
    let text = std::fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Tgid:"));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(tid)
}

impl Tracer {
    fn save(&self) -> Result<()> {
        std::fs::write(&self.request.report, &self.seen)
    }

    /// The stop of the first execve, and the other process.
    fn first(&mut self) -> Result<()> {
        wait(self.root)?;
        self.number_of(self.root);
        if let Some(pid) = self.request.also {
            self.number_of(pid);
            ptrace(libc::PTRACE_SEIZE, pid, 0, OPTIONS as usize)?;
            ptrace(libc::PTRACE_INTERRUPT, pid, 0, 0)?;
        }
        ptrace(libc::PTRACE_SYSCALL, self.root, 0, 0)
    }

    /// The number of a thread's process, which is a new one if nobody has seen it before.
    fn number_of(&mut self, tid: i32) -> usize {
        if let Some(thread) = self.threads.get(&tid) {
            return thread.process;
        }
        let next = self.calls.len();
        let process = *self.processes.entry(group_of(tid)).or_insert(next);
        if process == next {
            self.calls.push(0);
        }
        self.threads.insert(tid, Thread { process, pending: None });
        process
    }

    fn watch(&mut self) -> Result<i32> {
        let mut result = None;
        loop {
            let (tid, status) = match wait(-1) {
                Ok(seen) => seen,
                // Nobody is left.
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => break,
                Err(error) => return Err(error),
            };
            if libc::WIFSTOPPED(status) {
                self.stopped(tid, status)?;
                continue;
            }
            self.threads.remove(&tid);
            if tid == self.root {
                result = Some(status);
            }
            // After a failure a container that was there before waits on, and nothing will end that.
            let over = result.is_some_and(|status| !self.request.follow || status != 0);
            if over || result.is_some() && self.threads.is_empty() {
                break;
            }
        }
        result.ok_or_else(|| Error::other("the command is gone without a status"))
    }

    fn stopped(&mut self, tid: i32, status: i32) -> Result<()> {
        self.number_of(tid);
        let signal = libc::WSTOPSIG(status);
        let event = status >> 16;
        let mut deliver = 0;
        match (signal, event) {
            (signal, 0) if signal == libc::SIGTRAP | 0x80 => {
                if self.call(tid)? {
                    return Ok(());
                }
            }
            (libc::SIGTRAP, libc::PTRACE_EVENT_EXEC) => {
                if !self.is_runtime(tid) {
                    self.threads.remove(&tid);
                    return ptrace(libc::PTRACE_DETACH, tid, 0, 0);
                }
            }
            (signal, libc::PTRACE_EVENT_STOP) if signal != libc::SIGTRAP => {
                return ptrace(libc::PTRACE_LISTEN, tid, 0, 0);
            }
            (_, 1..) => {}
            (signal, _) => deliver = signal as usize,
        }
        ptrace(libc::PTRACE_SYSCALL, tid, 0, deliver)
    }

    /// The command itself may execute what it likes: a program that finds libraries for another one.
    fn is_runtime(&self, tid: i32) -> bool {
        if tid == self.root {
            return true;
        }
        let program = std::fs::read_link(format!("/proc/{tid}/exe")).unwrap_or_default();
        program.to_string_lossy().contains(&self.program)
    }

    /// One stop at a system call; true if the process was killed there.
    fn call(&mut self, tid: i32) -> Result<bool> {
        let (number, first) = match registers::stop(tid)? {
            Stop::Entry(number, first) => (number, first),
            Stop::Exit => return self.answer(tid).map(|()| false),
            Stop::Other => return Ok(false),
        };
        let process = self.threads[&tid].process;
        let place = Place { process, call: self.calls[process] };
        self.calls[process] += 1;
        match self.request.at {
            None => {
                writeln!(self.seen, "call {process} {number}").map_err(Error::other)?;
            }
            Some((at, fault)) if at == place && !self.done => {
                self.done = true;
                writeln!(self.seen, "hit {number} {first}").map_err(Error::other)?;
                self.save()?;
                return self.strike(tid, number, fault);
            }
            Some(_) => {}
        }
        Ok(false)
    }

    /// The call that was skipped gets its answer.
    fn answer(&mut self, tid: i32) -> Result<()> {
        let thread = self.threads.get_mut(&tid).expect("numbered");
        let Some(errno) = thread.pending.take() else { return Ok(()) };
        registers::answer(tid, errno)?;
        writeln!(self.seen, "answered {errno}").map_err(Error::other)?;
        self.save()
    }

    fn strike(&mut self, tid: i32, number: u64, fault: Fault) -> Result<bool> {
        match fault {
            Fault::Errno(errno) => {
                // Linux closes a descriptor whatever it answers (close(2)).
                if number != libc::SYS_close as u64 {
                    registers::skip(tid)?;
                }
                self.threads.get_mut(&tid).expect("numbered").pending = Some(errno);
                Ok(false)
            }
            Fault::Kill => {
                // SAFETY: plain system call; a traced process keeps its pid until it was waited for.
                unsafe { libc::kill(tid, libc::SIGKILL) };
                Ok(true)
            }
        }
    }
}
