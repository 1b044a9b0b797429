//! A container of a test: its own id, its own state root, removed by force when the value is dropped.

use crate::bundle::Bundle;
use crate::command::{Cmd, Done};
use crate::{host, scratch, wait};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A container and its bundle. Making the value makes only the bundle; see [`Container::run`] and
/// [`Container::create`].
#[derive(Debug)]
pub struct Container {
    /// Its bundle.
    pub bundle: Bundle,
    /// Its id.
    pub id: String,
    globals: Vec<String>,
    root: PathBuf,
}

impl Container {
    /// A container of this bundle. The calling test gets a mount namespace of its own first: see [`host::isolate`].
    pub fn new(bundle: Bundle) -> Self {
        host::isolate();
        bundle.save();
        // Of one length, so that no id is part of another: cgroups are searched by it.
        let id = format!("cmt-{}-{:06}", scratch::run(), scratch::number());
        let root = bundle.dir().join("state");
        Self { bundle, id, globals: Vec::new(), root }
    }

    /// Add global options, e.g. `--systemd-cgroup`.
    pub fn global(mut self, options: &[&str]) -> Self {
        self.globals.extend(options.iter().map(|s| (*s).to_owned()));
        self
    }

    /// Lay the bundle where containerd keeps those of this namespace of its, and call the cgroup after the container, below
    /// `/casemate-test-PID`. Options that name files of the bundle come later.
    pub fn as_of_containerd(mut self, namespace: &str) -> Self {
        let tasks = Path::new("io.containerd.runtime.v2.task");
        self.bundle.keep_in(&tasks.join(namespace).join(&self.id));
        self.bundle.config["linux"]["cgroupsPath"] =
            format!("/casemate-test-{}/{}", std::process::id(), self.id).into();
        self.root = self.bundle.dir().join("state");
        self
    }

    /// Use the bundle word for word.
    pub fn verbatim(self) -> Self {
        self.global(&["--profile", "privileged"])
    }

    /// Use this state root in place of one of its own.
    pub fn in_root(mut self, root: &Path) -> Self {
        self.root = root.to_owned();
        self
    }

    /// The state root.
    pub fn root(&self) -> PathBuf {
        self.root.clone()
    }

    /// The container's directory in the state root.
    pub fn state_dir(&self) -> PathBuf {
        self.root().join(&self.id)
    }

    /// The command `verb` with the global options.
    pub fn command(&self, verb: &str) -> Cmd {
        let root = self.root();
        Cmd::new(host::runtime(), self.bundle.dir())
            .args([Path::new("--root"), &root])
            .args(&self.globals)
            .args([verb])
    }

    /// A command that takes nothing but the id behind its options.
    pub fn verb(&self, verb: &str, options: &[&str]) -> Cmd {
        self.command(verb).args(options).args([&self.id])
    }

    /// `run` of the bundle as it is in [`Container::bundle`] now.
    pub fn run_command(&self, options: &[&str]) -> Cmd {
        self.bundle.save();
        self.command("run")
            .args([Path::new("--bundle"), self.bundle.dir()])
            .args(options)
            .args([&self.id])
    }

    /// `run` in the foreground.
    pub fn run(&self) -> Cmd {
        self.run_command(&[])
    }

    /// `create` with options.
    pub fn create_command(&self, options: &[&str]) -> Cmd {
        self.bundle.save();
        self.command("create")
            .args([Path::new("--bundle"), self.bundle.dir()])
            .args(options)
            .args([&self.id])
    }

    /// `create`.
    pub fn create(&self) -> Cmd {
        self.create_command(&[])
    }

    /// `start`.
    pub fn start(&self) -> Cmd {
        self.verb("start", &[])
    }

    /// `exec` with options in front of the id and the program behind it.
    pub fn exec_command(&self, options: &[&str], args: &[&str]) -> Cmd {
        self.command("exec").args(options).args([&self.id]).args(args)
    }

    /// `exec sh -c SCRIPT`.
    pub fn exec(&self, script: &str) -> Cmd {
        self.exec_command(&[], &["sh", "-c", script])
    }

    /// Create and start it; it is then running (or over already).
    pub fn up(self) -> Self {
        self.create().ok();
        self.start().ok();
        self
    }

    /// `kill`.
    pub fn kill(&self, signal: &str) -> Cmd {
        self.verb("kill", &[]).args([signal])
    }

    /// `delete --force`.
    pub fn delete(&self) -> Cmd {
        self.verb("delete", &["--force"])
    }

    /// What `state` answers.
    ///
    /// # Panics
    /// If it fails.
    pub fn state(&self) -> Value {
        let done = self.verb("state", &[]).ok();
        serde_json::from_str(&done.stdout).expect("state prints JSON")
    }

    /// The record in the state directory.
    ///
    /// # Panics
    /// If there is none.
    pub fn record(&self) -> Value {
        let text = std::fs::read(self.state_dir().join("record.json")).expect("a record");
        serde_json::from_slice(&text).expect("the record is JSON")
    }

    /// Pid of init.
    ///
    /// # Panics
    /// If it has none, or has ended.
    pub fn pid(&self) -> i32 {
        let state = self.state();
        let pid = state["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        pid.filter(|pid| *pid > 0).unwrap_or_else(|| panic!("no process: {state}"))
    }

    /// Wait until `state` says so.
    ///
    /// # Panics
    /// If that takes longer than [`wait::PATIENCE`].
    pub fn wait_status(&self, wanted: &str) {
        wait::until(&format!("{} is {wanted}", self.id), || {
            let done = self.verb("state", &[]).done();
            let state: Value = serde_json::from_str(&done.stdout).map_err(|_| done.stderr)?;
            wait::equal(&state["status"].as_str(), &Some(wanted))
        });
    }

    /// Wait until nothing of it is left; the kernel takes a moment after the last process.
    ///
    /// # Panics
    /// If that takes longer than [`wait::PATIENCE`].
    pub fn wait_gone(&self) {
        let nothing = Vec::<String>::new();
        wait::until(&format!("{} is gone", self.id), || wait::equal(&self.leftovers(), &nothing));
    }

    /// Everything that a container leaves when it should have left nothing: state directory, cgroups, processes.
    pub fn leftovers(&self) -> Vec<String> {
        let mut left = host::cgroups_named(&self.id);
        if self.state_dir().exists() {
            left.push(self.state_dir().display().to_string());
        }
        left.extend(host::processes_of(&self.bundle.rootfs()));
        left
    }

    /// Run the payload of the bundle and return what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn output(&self) -> Done {
        self.run().ok()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.state_dir().exists() {
            let done = self.delete().done();
            if !done.status.success() && !std::thread::panicking() {
                panic!("delete --force {}: {}", self.id, done.stderr);
            }
        }
    }
}
