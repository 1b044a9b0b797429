//! Runs the binary and looks at what it prints, what it exits with and which files it leaves.
//!
//! It stops short of containers: nothing here needs privileges or a bundle.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The binary under test: `$CASEMATE_BIN`, else the one beside the test's own build.
///
/// # Panics
/// If there is none.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("CASEMATE_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the test knows its own path");
    let built = test.ancestors().nth(2).expect("tests lie in target/PROFILE/deps").join("casemate");
    assert!(built.exists(), "{} is missing: cargo build -p casemate", built.display());
    built
}

/// What an invocation did.
#[derive(Debug)]
pub struct Answer {
    /// Exit status; -1 after a signal.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// An invocation that is being put together.
#[derive(Debug)]
pub struct Casemate(Command);

impl Casemate {
    /// An invocation with these arguments, no input, and an environment of nothing but `PATH`.
    pub fn with<I, S>(arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = Command::new(binary());
        command.args(arguments).env_clear().stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        Self(command)
    }

    /// Sets a variable.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.0.env(key, value);
        self
    }

    /// Starts it in another directory.
    pub fn in_directory(mut self, directory: &Path) -> Self {
        self.0.current_dir(directory);
        self
    }

    /// Runs it as another user; only root can.
    pub fn as_user(mut self, uid: u32) -> Self {
        self.0.uid(uid).gid(uid);
        self
    }

    /// Runs it to the end.
    ///
    /// # Panics
    /// If it cannot be started, or prints something that is not UTF-8.
    pub fn answer(mut self) -> Answer {
        let output = crate::programs::output(&mut self.0).expect("the binary can be started");
        Answer {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }
}

/// Runs `casemate` with these arguments, as a shell would split them at spaces.
pub fn casemate(line: &str) -> Answer {
    Casemate::with(line.split_whitespace()).answer()
}

/// A directory of its own that vanishes with the value.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes an empty directory.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn new() -> Self {
        let name = format!("casemate-cli-{}-{}", crate::scratch::run(), crate::scratch::number());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("the temporary directory is writable");
        Self(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it, as text.
    ///
    /// # Panics
    /// If the temporary directory's name is not UTF-8.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("the temporary directory's name is UTF-8").to_owned()
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        crate::scratch::remove(&self.0);
    }
}
