//! A hook, and what tries to put another program in its place.

use crate::scratch::Dir;
use crate::Bundle;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A directory with the directory `hooks`, in which a hook says in the file `log` that it ran.
#[derive(Debug)]
pub struct Place(Dir);

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// With the hook in it.
    pub fn new() -> Self {
        let place = Self(Dir::new("hooks"));
        std::fs::create_dir(place.hooks()).unwrap();
        set_mode(&place.hooks(), 0o755);
        place.write("orig");
        place.forget();
        // createContainer hooks are root of the container's user namespace.
        set_mode(&place.log(), 0o666);
        place
    }

    /// All of it.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where the hook lies.
    pub fn hooks(&self) -> PathBuf {
        self.0.path().join("hooks")
    }

    /// The hook.
    pub fn hook(&self) -> PathBuf {
        self.hooks().join("h.sh")
    }

    /// Where it says that it ran.
    pub fn log(&self) -> PathBuf {
        self.0.path().join("log")
    }

    /// Makes the hook one that says `word`.
    pub fn write(&self, word: &str) {
        crate::bundle::write(&self.hook(), self.text(word));
        set_mode(&self.hook(), 0o755);
    }

    /// A script that says `word`.
    pub fn text(&self, word: &str) -> String {
        format!("#!/bin/sh\necho {word} >>{}\n", self.log().display())
    }

    /// What hooks have said so far.
    pub fn ran(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap()
    }

    /// Empties the log.
    pub fn forget(&self) {
        std::fs::write(self.log(), "").unwrap();
    }

    /// A script that puts another program where the hook is, at `path` of the container, as well as it can.
    pub fn attack(&self, path: &str) -> String {
        let dir = Path::new(path).parent().unwrap().display();
        let text = self.text("altered");
        format!(
            "cat >/tmp/n <<'END'\n{text}END\nchmod 755 /tmp/n\ncat /tmp/n >{path}\ncp /tmp/n {dir}/n && mv {dir}/n {path}\ntrue"
        )
    }
}

/// chmod(2).
pub fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// With one hook of this kind.
pub fn hooked(bundle: Bundle, kind: &str, hook: &Path) -> Bundle {
    bundle.edit(|c| c["hooks"][kind] = json!([{"path": hook}]))
}

/// With a tmpfs that can be written.
pub fn with_tmp(bundle: Bundle) -> Bundle {
    bundle.mount(json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}))
}
