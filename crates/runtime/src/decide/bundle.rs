//! The bundle: config.json, read once through a descriptor and size-capped.

use crate::files::read_regular;
use anyhow::{Context as _, Result};
use casemate_policy::spec::Spec;
use std::path::{Path, PathBuf};

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
    ///
    /// # Errors
    /// As [`read_regular`]: the configuration is missing, unreadable, no regular file or too large.
    /// What it says is not looked at.
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
