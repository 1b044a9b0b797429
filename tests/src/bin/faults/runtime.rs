//! The runtime that is tried, called as an engine calls it.

use super::host;
use super::trace::{Fault, Place};
use serde_json::Value;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Who is tried, and where.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) program: PathBuf,
    pub(crate) globals: Vec<String>,
    pub(crate) work: PathBuf,
    pub(crate) id: String,
    pub(crate) limit: Duration,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// It did not end within the limit.
    pub(crate) hung: bool,
}

/// A fault's way through the tracer.
#[derive(Debug)]
pub(crate) struct Traced {
    pub(crate) done: Done,
    /// Number of the call that was struck, and whether its first argument was standard error's.
    pub(crate) hit: Option<(u32, bool)>,
    /// Process and number of each call, where nothing was struck.
    pub(crate) calls: Vec<(usize, u32)>,
}

impl Done {
    pub(crate) fn ok(&self) -> bool {
        self.status.success() && !self.hung
    }
}

impl Runtime {
    pub(crate) fn state(&self) -> PathBuf {
        self.work.join("state")
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.work.join("bundle")
    }

    /// All arguments of a command.
    pub(crate) fn words(&self, command: &[&str]) -> Vec<String> {
        let root = ["--root".to_owned(), self.state().display().to_string()];
        let rest = command.iter().map(|word| word.replace("ID", &self.id));
        root.into_iter().chain(self.globals.iter().cloned()).chain(rest).collect()
    }

    /// Run a command to its end, as it is.
    pub(crate) fn plain(&self, command: &[&str]) -> Done {
        let mut plain = Command::new(&self.program);
        plain.args(self.words(command));
        self.finish(plain, None)
    }

    /// Run it under the tracer, which is this program once more.
    pub(crate) fn traced(
        &self,
        command: &[&str],
        at: Option<(Place, Fault)>,
        (also, follow): (Option<i32>, bool),
    ) -> Traced {
        let report = self.work.join("report");
        drop(std::fs::remove_file(&report));
        let fault = match at {
            None => "none".to_owned(),
            Some((place, Fault::Kill)) => format!("{}:{}:kill", place.process, place.call),
            Some((place, Fault::Errno(errno))) => {
                format!("{}:{}:{errno}", place.process, place.call)
            }
        };
        let mut outer = Command::new("/proc/self/exe");
        outer.arg("--trace").arg(fault).arg(also.unwrap_or(0).to_string());
        outer.arg(follow.to_string()).arg(&report).arg(&self.program).args(self.words(command));
        let done = self.finish(outer, Some(&report));
        let text = std::fs::read_to_string(&report).unwrap_or_default();
        let mut traced = Traced { done, hit: None, calls: Vec::new() };
        let mut answered = false;
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words[at].parse::<i64>().expect("the tracer's own number");
            match words[0] {
                "hit" => traced.hit = Some((number(1) as u32, words[2] == "2")),
                "answered" => answered = true,
                "call" => traced.calls.push((number(1) as usize, number(2) as u32)),
                "status" => traced.done.status = ExitStatus::from_raw(number(1) as i32),
                _ => {}
            }
        }
        let is_error = matches!(at, Some((_, Fault::Errno(_))));
        assert!(!is_error || traced.hit.is_none() || answered, "a fault without effect: {text}");
        traced
    }

    fn finish(&self, mut command: Command, report: Option<&Path>) -> Done {
        // Files, not pipes: a container keeps them open.
        let (out, err) = (self.work.join("out"), self.work.join("err"));
        let create = |path: &Path| {
            // A new one: a process of an earlier command may still write into the old one, if there was one.
            drop(std::fs::remove_file(path));
            File::create(path).expect("a file for the output")
        };
        command.stdin(Stdio::null()).stdout(create(&out)).stderr(create(&err));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let mut child = command.spawn().expect("the runtime can be started");
        let begun = Instant::now();
        let mut hung = false;
        let mut pause = Duration::from_micros(200);
        let status = loop {
            if let Some(status) = child.try_wait().expect("wait") {
                break status;
            }
            if begun.elapsed() > self.limit && !hung {
                hung = true;
                drop(child.kill());
                report.map(root_of).into_iter().flatten().for_each(|pid| {
                    // SAFETY: plain system call, in a pid namespace of our own.
                    unsafe { libc::kill(pid, libc::SIGKILL) };
                });
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        };
        let read =
            |path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
        Done { status, stdout: read(out), stderr: read(err), hung }
    }

    /// What `state` says: status and pid; the error where it fails.
    pub(crate) fn status(&self) -> (String, i32) {
        let done = self.plain(&["state", "ID"]);
        if !done.ok() {
            return (format!("an error, {}: {}", done.status, done.stderr.trim()), 0);
        }
        let state: Value = serde_json::from_str(&done.stdout).unwrap_or(Value::Null);
        let pid = state["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
        (state["status"].as_str().unwrap_or("not told").to_owned(), pid)
    }

    /// A container of the bundle, created by an untouched command.
    pub(crate) fn create(&self) {
        let bundle = self.bundle().display().to_string();
        self.must(&["create", "--bundle", &bundle, "ID"]);
    }

    pub(crate) fn must(&self, command: &[&str]) {
        let done = self.plain(command);
        assert!(done.ok(), "{command:?}: {} {}", done.status, done.stderr);
    }

    /// Its program runs: what is between the runtime's answer and execve is waited for.
    pub(crate) fn wait_for_program(&self, pid: i32) -> bool {
        self.wait(|| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(b"/bin/sleep\0")
        })
    }

    /// Wait for a condition as long as for a command.
    pub(crate) fn wait(&self, mut check: impl FnMut() -> bool) -> bool {
        let begun = Instant::now();
        loop {
            let late = begun.elapsed() > self.limit;
            if check() || late {
                return !late || check();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether the freezer holds it.
    pub(crate) fn is_frozen(&self) -> bool {
        let events = std::fs::read_to_string(host::cgroup(&self.id).join("cgroup.events"));
        events.unwrap_or_default().contains("frozen 1")
    }

    /// The limit that `update` sets.
    pub(crate) fn depth(&self) -> String {
        let file = host::cgroup(&self.id).join("cgroup.max.depth");
        std::fs::read_to_string(file).unwrap_or_default().trim().to_owned()
    }
}

fn root_of(report: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(report).ok()?;
    text.lines().find_map(|line| line.strip_prefix("root ")?.parse().ok())
}
