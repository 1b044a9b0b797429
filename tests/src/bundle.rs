//! Bundles: a rootfs of busybox and the tests' own probe, and a config.json that a test edits before it runs it.

use crate::host::find_program;
use crate::programs;
use crate::scratch::{self, Dir};
use serde_json::{json, Value};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Files of the container's root that every bundle has.
#[derive(Debug)]
pub struct Image {
    busybox: PathBuf,
    applets: Vec<String>,
    /// The probe and the libraries that it needs, at the paths that they have in the root.
    probe: Vec<(PathBuf, PathBuf)>,
}

impl Image {
    /// What this host gives, found once.
    ///
    /// # Panics
    /// If there is no busybox.
    pub fn get() -> &'static Self {
        static IMAGE: OnceLock<Image> = OnceLock::new();
        IMAGE.get_or_init(|| {
            let busybox = find_program("busybox")
                .expect("busybox is needed (apt-get install busybox-static)");
            let list =
                programs::output(Command::new(&busybox).arg("--list")).expect("busybox --list");
            let applets =
                String::from_utf8_lossy(&list.stdout).lines().map(str::to_owned).collect();
            Self { busybox, applets, probe: probe_files() }
        })
    }

    /// Fill `rootfs`.
    ///
    /// # Panics
    /// If a file cannot be made.
    pub fn unpack(&self, rootfs: &Path) {
        for dir in
            ["bin", "etc", "proc", "sys", "dev", "tmp", "run", "var/tmp", "root", "usr/bin", "mnt"]
        {
            scratch::make(&rootfs.join(dir));
        }
        programs::copy(&self.busybox, &rootfs.join("bin/busybox"));
        // Hard links: a file system makes three hundred of these in the time of a few symbolic ones.
        let busybox = rootfs.join("bin/busybox");
        for applet in self.applets.iter().filter(|name| *name != "busybox") {
            let link = rootfs.join("bin").join(applet);
            std::fs::hard_link(&busybox, link).unwrap_or_else(|e| panic!("bin/{applet}: {e}"));
        }
        for (from, to) in &self.probe {
            let to = rootfs.join(to.strip_prefix("/").unwrap_or(to));
            scratch::make(to.parent().expect("a file has a directory"));
            programs::copy(from, &to);
        }
        write(
            &rootfs.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
        );
        write(&rootfs.join("etc/group"), "root:x:0:\n");
    }
}

/// The probe lies beside the test's own executable's directory, as cargo builds it. A dynamic one takes its loader and
/// libraries along.
fn probe_files() -> Vec<(PathBuf, PathBuf)> {
    let test = std::env::current_exe().expect("the test knows its own path");
    let probe =
        test.ancestors().nth(2).expect("tests lie in target/PROFILE/deps").join("casemate-probe");
    if !probe.exists() {
        return Vec::new();
    }
    let libraries =
        programs::output(Command::new("ldd").arg(&probe)).map(|out| out.stdout).unwrap_or_default();
    let mut files = vec![(probe, PathBuf::from("/bin/probe"))];
    for word in
        String::from_utf8_lossy(&libraries).split_whitespace().filter(|word| word.starts_with('/'))
    {
        files.push((word.into(), word.into()));
    }
    files
}

/// Write a file.
///
/// # Panics
/// If it cannot be written.
pub fn write(path: &Path, text: impl AsRef<[u8]>) {
    programs::write(path, text);
}

/// A bundle directory with `rootfs` and, once it is used, config.json.
#[derive(Debug)]
pub struct Bundle {
    dir: Dir,
    /// What config.json will hold.
    pub config: Value,
}

impl Default for Bundle {
    fn default() -> Self {
        Self::new()
    }
}

impl Bundle {
    /// What `casemate spec` writes, without a terminal.
    ///
    /// # Panics
    /// If the bundle cannot be made.
    pub fn new() -> Self {
        static SPEC: OnceLock<Value> = OnceLock::new();
        let spec = SPEC.get_or_init(|| {
            let dir = Dir::new("spec");
            let answer = crate::cli::Casemate::with(["spec"]).in_directory(dir.path()).answer();
            assert_eq!(answer.status, 0, "casemate spec: {}", answer.stderr);
            let text =
                std::fs::read(dir.path().join("config.json")).expect("spec writes config.json");
            let mut spec: Value = serde_json::from_slice(&text).expect("config.json is JSON");
            spec["process"]["terminal"] = json!(false);
            spec
        });
        let dir = Dir::new("bundle");
        Image::get().unpack(&dir.path().join("rootfs"));
        Self { dir, config: spec.clone() }
    }

    /// One that runs this script.
    pub fn sh(script: &str) -> Self {
        Self::new().args(&["sh", "-c", script])
    }

    /// Run this program.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.config["process"]["args"] = json!(args);
        self
    }

    /// Change config.json.
    pub fn edit(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.config);
        self
    }

    /// Add a mount.
    pub fn mount(mut self, mount: Value) -> Self {
        self.config["mounts"].as_array_mut().expect("mounts is a list").push(mount);
        self
    }

    /// Add a recursive bind mount of a host path.
    pub fn bind(self, source: &Path, destination: &str, options: &[&str]) -> Self {
        let options: Vec<&str> = std::iter::once("rbind").chain(options.iter().copied()).collect();
        self.mount(json!({"destination": destination, "type": "bind", "source": source, "options": options}))
    }

    /// Bind a directory of the bundle's own (`shared` in the bundle directory) here, writable.
    pub fn bind_own(self, destination: &str) -> Self {
        let shared = self.dir().join("shared");
        scratch::make(&shared);
        self.bind(&shared, destination, &["rw"])
    }

    /// Remove the mount with this destination.
    pub fn without_mount(mut self, destination: &str) -> Self {
        self.config["mounts"]
            .as_array_mut()
            .expect("mounts is a list")
            .retain(|mount| mount["destination"] != destination);
        self
    }

    /// Set the same capabilities in the bounding, effective and permitted set.
    pub fn capabilities(self, names: &[&str]) -> Self {
        self.edit(|c| {
            c["process"]["capabilities"] =
                json!({"bounding": names, "effective": names, "permitted": names})
        })
    }

    /// Set every capability that this host's kernel knows and this process has, in those three sets.
    pub fn all_capabilities(self) -> Self {
        let names = crate::host::own_capabilities();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.capabilities(&names)
    }

    /// A user namespace of its own: container ids 0 to 65535 are the host's from `first` on. The rootfs is given to its
    /// root.
    ///
    /// # Panics
    /// If a file cannot be given away.
    pub fn user_namespace(self, first: u32) -> Self {
        give(&self.rootfs(), first);
        self.edit(|c| {
            let map = json!([{"containerID": 0, "hostID": first, "size": 65536}]);
            c["linux"]["uidMappings"] = map.clone();
            c["linux"]["gidMappings"] = map;
            c["linux"]["namespaces"].as_array_mut().expect("a list").push(json!({"type": "user"}));
        })
    }

    /// Remove a namespace type from the list.
    pub fn without_namespace(mut self, kind: &str) -> Self {
        self.config["linux"]["namespaces"]
            .as_array_mut()
            .expect("a list")
            .retain(|ns| ns["type"] != kind);
        self
    }

    /// The bundle directory, moved to where an engine would keep it: `place` below a directory of the test's.
    pub fn keep_in(&mut self, place: &Path) {
        self.dir.move_to(place);
    }

    /// The bundle directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The root file system.
    pub fn rootfs(&self) -> PathBuf {
        self.dir.path().join("rootfs")
    }

    /// Write config.json as it is now.
    pub fn save(&self) {
        let text = serde_json::to_vec_pretty(&self.config).expect("a value is JSON");
        write(&self.dir.path().join("config.json"), text);
    }
}

/// chown -hR.
fn give(path: &Path, id: u32) {
    // Another name of a file that was given already.
    if path.symlink_metadata().is_ok_and(|m| m.is_file() && (m.uid(), m.gid()) == (id, id)) {
        return;
    }
    std::os::unix::fs::lchown(path, Some(id), Some(id))
        .unwrap_or_else(|e| panic!("chown {}: {e}", path.display()));
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).expect("the rootfs can be read") {
            give(&entry.expect("an entry").path(), id);
        }
    }
}
