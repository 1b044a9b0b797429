//! One invocation of the binary, with a time limit.
//!
//! Output goes into files, not pipes: a created container keeps the streams, so a pipe would never end.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// After this long a command counts as hung, and is killed.
pub const LIMIT: Duration = Duration::from_secs(120);

/// An invocation that is being put together.
#[derive(Debug)]
pub struct Cmd {
    /// The command itself, for whatever has no method here.
    pub inner: Command,
    out: PathBuf,
    err: PathBuf,
    limit: Duration,
}

/// A command that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    line: String,
    out: PathBuf,
    err: PathBuf,
    deadline: Instant,
}

/// A command that has ended.
#[derive(Clone, Debug)]
pub struct Done {
    /// How.
    pub status: ExitStatus,
    /// What it and its container have written so far.
    pub stdout: String,
    /// What it and its container have written so far.
    pub stderr: String,
}

impl Cmd {
    /// `program` with an environment of nothing but PATH, no input, output into `dir`.
    pub fn new(program: impl AsRef<OsStr>, dir: &Path) -> Self {
        let number = crate::scratch::number();
        let mut inner = Command::new(program);
        inner.env_clear().stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            inner.env("PATH", path);
        }
        Self {
            inner,
            out: dir.join(format!("out.{number}")),
            err: dir.join(format!("err.{number}")),
            limit: LIMIT,
        }
    }

    /// Add arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.inner.args(args);
        self
    }

    /// Set a variable.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.inner.env(key, value);
        self
    }

    /// Have another program run it: `args` in front of it and its own arguments.
    pub fn through<S: AsRef<OsStr>>(
        mut self,
        program: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut outer = Command::new(program);
        outer.args(args).arg(self.inner.get_program()).args(self.inner.get_args());
        outer.env_clear().stdin(Stdio::null());
        for (key, value) in self.inner.get_envs() {
            outer.env(key, value.unwrap_or_default());
        }
        self.inner = outer;
        self
    }

    /// Shorten, or lengthen, the time limit.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Start it.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn spawn(mut self) -> Running {
        let open = |path: &Path| -> File {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        self.inner.stdout(open(&self.out)).stderr(open(&self.err));
        let line = format!("{:?}", self.inner);
        let child =
            crate::programs::start(&mut self.inner).unwrap_or_else(|e| panic!("{line}: {e}"));
        Running { child, line, out: self.out, err: self.err, deadline: Instant::now() + self.limit }
    }

    /// Run it to its end.
    ///
    /// # Panics
    /// If it cannot be started or takes too long.
    pub fn done(self) -> Done {
        self.spawn().done()
    }

    /// Run it to its end, which must be success.
    ///
    /// # Panics
    /// If it fails.
    pub fn ok(self) -> Done {
        let line = format!("{:?}", self.inner);
        let done = self.done();
        assert!(
            done.status.success(),
            "{line}: {}\nstdout: {}\nstderr: {}",
            done.status,
            done.stdout,
            done.stderr
        );
        done
    }

    /// Run it to its end, which must be a failure of the runtime itself: one line, and exit status 1 (126, 127 or 255 of
    /// `exec`).
    ///
    /// # Panics
    /// If it succeeds, or fails in another way.
    pub fn refused(self) -> String {
        let line = format!("{:?}", self.inner);
        let done = self.done();
        let about =
            format!("{line}: {}\nstdout: {}\nstderr: {}", done.status, done.stdout, done.stderr);
        assert!(matches!(done.status.code(), Some(1 | 126 | 127 | 255)), "{about}");
        assert_eq!(done.stderr.lines().count(), 1, "{about}");
        assert!(!done.stderr.contains("panicked"), "{about}");
        done.stderr
    }
}

impl Running {
    /// Its pid.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// What it has written so far.
    pub fn stdout(&self) -> String {
        read(&self.out)
    }

    /// What it has written so far.
    pub fn stderr(&self) -> String {
        read(&self.err)
    }

    /// Send it a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: plain system call; the child is not reaped before `done`.
        unsafe { libc::kill(self.pid(), signal) };
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// If the kernel does not know it.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_some()
    }

    /// Wait until its standard output holds `text`.
    ///
    /// # Panics
    /// If it ends or takes too long without.
    pub fn wait_for(&mut self, text: &str) {
        loop {
            if self.stdout().contains(text) {
                return;
            }
            let ended = self.child.try_wait().expect("wait").filter(|status| !status.success());
            assert!(
                ended.is_none() || self.stdout().contains(text),
                "{} ended without {text:?}: {}",
                self.line,
                self.stderr()
            );
            self.check_time();
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn check_time(&mut self) {
        if Instant::now() > self.deadline {
            drop(self.child.kill());
            drop(self.child.wait());
            panic!(
                "{} takes too long\nstdout: {}\nstderr: {}",
                self.line,
                read(&self.out),
                read(&self.err)
            );
        }
    }

    /// Wait for its end.
    ///
    /// # Panics
    /// If it takes too long.
    pub fn done(mut self) -> Done {
        let mut pause = Duration::from_micros(200);
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return Done { status, stdout: self.stdout(), stderr: self.stderr() };
            }
            self.check_time();
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    }
}

impl Done {
    /// The exit status as a shell shows it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// The value of a `key=value` line of the output.
    ///
    /// # Panics
    /// If there is none.
    pub fn value(&self, key: &str) -> &str {
        let find = |line: &'_ str| line.starts_with(key) && line[key.len()..].starts_with('=');
        let line = self.stdout.lines().find(|line| find(line));
        line.map(|line| &line[key.len() + 1..]).unwrap_or_else(|| {
            panic!("no {key}= in stdout: {}\nstderr: {}", self.stdout, self.stderr)
        })
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
