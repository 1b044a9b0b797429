//! The bundle: config.json, read once through a descriptor and size-capped.

use anyhow::{bail, Context, Result};
use casemate_policy::spec::Spec;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Largest configuration that is read: the biggest real ones are below 1 MiB.
const MAX_CONFIG: u64 = 16 << 20;

/// A bundle whose configuration has been read.
#[derive(Debug)]
pub struct Bundle {
    /// Absolute directory.
    pub dir: PathBuf,
    /// The bytes of the configuration; nothing reads the file again.
    pub config: Vec<u8>,
    /// The file that the caller has named in place of config.json.
    pub config_file: Option<PathBuf>,
}

impl Bundle {
    /// Read `config` (default: `<dir>/config.json`).
    pub fn open(dir: &Path, config: Option<&Path>) -> Result<Self> {
        let path = config.map_or_else(|| dir.join("config.json"), Path::to_path_buf);
        let config_file = config.map(Path::to_path_buf);
        Ok(Self { dir: dir.to_path_buf(), config: read_regular(&path)?, config_file })
    }

    /// What messages call the configuration.
    pub(crate) fn config_name(&self) -> String {
        let named = self.config_file.as_ref().map(|path| path.display().to_string());
        named.unwrap_or_else(|| "config.json".to_owned())
    }

    /// The configuration, with the container's paths for its mounts.
    ///
    /// # Errors
    /// As [`Spec::parse_in`].
    pub(crate) fn spec(&self) -> Result<Spec> {
        Spec::parse_in(&self.dir, &self.config).with_context(|| self.config_name())
    }

    /// `path` as the bundle means it: relative paths start at the bundle.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }
}

/// Read a file that whoever asks for a container or a program in it has put there, up to the cap. What is no regular file is refused without waiting
/// for a writer: open(2) of a FIFO would.
pub fn read_regular(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    // Looked at first: to open a device can do something. What cannot be looked at cannot be opened either, and is told then.
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        bail!("{shown}: is not a regular file");
    }
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let opened = File::options().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|e| say(&e)).with_context(|| format!("open {shown}"))?;
    let kind = file.metadata().map_err(|e| say(&e)).with_context(|| format!("stat {shown}"))?;
    if !kind.is_file() {
        bail!("{shown}: is not a regular file");
    }
    read_file(file, path)
}

/// As [`read_regular`], and a pipe that is one of our own descriptors (`--process <(jq ...)`): the caller has opened it, so
/// whoever writes to it is the caller's business.
pub fn read_given(path: &Path) -> Result<Vec<u8>> {
    let own = ["/dev/fd", "/proc/self/fd"].iter().any(|dir| path.parent() == Some(Path::new(dir)));
    if !own {
        return read_regular(path);
    }
    let shown = path.display();
    // Without waiting for a writer: one that has gone leaves what it wrote.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let opened = File::options().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|e| say(&e)).with_context(|| format!("open {shown}"))?;
    rustix::fs::fcntl_setfl(&file, rustix::fs::OFlags::empty())
        .map_err(|e| anyhow::anyhow!(casemate_sys::errno_text(e)))
        .with_context(|| format!("fcntl {shown}"))?;
    read_file(file, path)
}

/// Read a file that an administrator names, who may wait for a pipe, up to the cap.
pub fn read_capped(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let file = File::open(path).map_err(|e| say(&e)).with_context(|| format!("open {shown}"))?;
    read_file(file, path)
}

fn read_file(file: File, path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let size = file.metadata().map_err(|e| say(&e)).with_context(|| format!("stat {shown}"))?.len();
    let mut bytes = Vec::with_capacity(size.min(MAX_CONFIG) as usize + 1);
    let read = file.take(MAX_CONFIG + 1).read_to_end(&mut bytes).map_err(|e| say(&e));
    read.with_context(|| format!("read {shown}"))?;
    if bytes.len() as u64 > MAX_CONFIG {
        bail!("{shown}: larger than {} MiB", MAX_CONFIG >> 20);
    }
    Ok(bytes)
}

/// An I/O error in the words that engines match: lower case, no number.
pub fn say(error: &std::io::Error) -> anyhow::Error {
    match error.raw_os_error() {
        Some(raw) => {
            anyhow::anyhow!(casemate_sys::errno_text(rustix::io::Errno::from_raw_os_error(raw)))
        }
        None => anyhow::anyhow!(error.to_string()),
    }
}
/// The container that a bundle is for, by the name of its directory; podman and CRI-O keep it in `ID/userdata`. For reports: what
/// engines make for a container has its id in the path.
#[must_use]
pub fn container_of(dir: &Path) -> Option<String> {
    let named = match dir.file_name()?.to_str()? {
        "userdata" => dir.parent()?.file_name()?.to_str()?,
        name => name,
    };
    Some(named.to_owned())
}
