//! What a container is made from, by every name under which somebody could change it.

use super::beneath::Beneath;
use super::fd::real;
use anyhow::{anyhow, Result};
use casemate_kernel::mountinfo::Mount;
use casemate_policy::{usual, BundleFact, Usual};
use casemate_sandbox::trust;
use rustix::fd::OwnedFd;
use std::collections::BTreeSet;
use std::path::Path;

/// The bundle of a container, its configuration where that has another name, and its root file system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    /// As the caller named it.
    pub(crate) bundle: &'a Path,
    /// `None`: the bundle's config.json.
    pub(crate) config: Option<&'a Path>,
    /// As it was resolved.
    pub(crate) rootfs: &'a Path,
}

impl Origin<'_> {
    /// For other containers.
    ///
    /// # Errors
    /// One of them cannot be looked at.
    pub(crate) fn fact(self, proc: &OwnedFd, mounts: &[Mount<'_>]) -> Result<BundleFact> {
        let root = real(self.rootfs, proc)?;
        Ok(BundleFact {
            bundle: real(self.bundle, proc)?,
            config: self.config.map(|config| real(config, proc)).transpose()?,
            names: self.names(proc, mounts)?,
            root_names: beneath(&Beneath::new(mounts), &root)?.into_iter().collect(),
            root,
            ..BundleFact::default()
        })
    }

    /// Links on the way to the bundle and to its configuration, what these lead to, and where all of that lies beneath other file
    /// systems; without the two names that everybody knows.
    ///
    /// # Errors
    /// The bundle cannot be looked at.
    pub(crate) fn names(self, proc: &OwnedFd, mounts: &[Mount<'_>]) -> Result<Vec<String>> {
        let bundle = real(self.bundle, proc)?;
        let usual = [bundle.clone(), format!("{bundle}/config.json")];
        let config = self.config.map_or_else(|| self.bundle.join("config.json"), Path::to_owned);
        let ways = trust::places(&config, |_| true);
        let ways = ways.iter().map(|place| place.to_string_lossy().into_owned());
        let mut found: BTreeSet<String> = ways.chain([bundle]).collect();
        let tree = Beneath::new(mounts);
        for place in found.clone() {
            found.extend(beneath(&tree, &place)?);
        }
        Ok(found.into_iter().filter(|name| !usual.contains(name)).collect())
    }
}

/// Where a place lies beneath other file systems. What is stacked among data has to be told; an engine's layers, of which some are
/// mounted in a place that is gone by now, nobody is given by name.
fn beneath(tree: &Beneath<'_, '_>, place: &str) -> Result<BTreeSet<String>> {
    tree.names(place).or_else(|why| match usual(place) {
        Usual::Engine | Usual::Host => Ok(BTreeSet::new()),
        Usual::Other | Usual::Packaged(_) => Err(anyhow!("{place}: {why}")),
    })
}
