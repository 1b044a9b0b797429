//! Which controllers a set of limits needs, and enabling them down the tree.
//!
//! A controller is usable in a cgroup when every ancestor lists it in cgroup.subtree_control (cgroups(7),
//! "Top-down constraint"). A controller that a limit needs and that cannot be had is an error naming both; one that is
//! only wanted for statistics is tried and forgotten. What a limit means is not known here.

use crate::error::{Error, Result};
use crate::files::{open_directory, Dir};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Text that is nearly always a literal.
type Text = Cow<'static, str>;

/// Controllers by name, each with the first limit that needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controllers(Vec<(Text, Text)>);

impl Controllers {
    /// No controller.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Add `controller`, needed by `limit`; the first limit named for a controller stays.
    pub fn need(&mut self, controller: impl Into<Text>, limit: impl Into<Text>) {
        let controller = controller.into();
        if !self.contains(&controller) {
            self.0.push((controller, limit.into()));
        }
    }

    /// Whether `controller` is in the set.
    pub fn contains(&self, controller: &str) -> bool {
        self.0.iter().any(|(name, _)| name == controller)
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// The limit that needs `controller`.
    fn limit(&self, controller: &str) -> &str {
        self.0.iter().find(|(name, _)| name == controller).map_or("this limit", |(_, limit)| limit)
    }

    /// Whether one of them works on whole processes only, so that it excludes threaded cgroups (cgroups(7),
    /// "Thread mode": cpu, cpuset, perf_event and pids are threaded controllers).
    pub(crate) fn has_domain_controller(&self) -> bool {
        self.names().any(|name| !matches!(name, "cpu" | "cpuset" | "perf_event" | "pids"))
    }
}

/// What has to work, and what is welcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) needed: &'a Controllers,
    pub(crate) wanted: &'a [&'a str],
}

impl<'a> Wish<'a> {
    fn names(self) -> impl Iterator<Item = &'a str> {
        let wanted = self.wanted.iter().copied().filter(move |name| !self.needed.contains(name));
        self.needed.names().chain(wanted)
    }

    fn is_empty(self) -> bool {
        self.needed.is_empty() && self.wanted.is_empty()
    }
}

/// Make the wished controllers usable in the cgroup `inner` (no leading slash) below `mount`.
pub(crate) fn enable(mount: &Path, inner: &Path, cgroup: Dir<'_>, wish: Wish<'_>) -> Result<()> {
    // Most engines' parents have everything on already: one read tells.
    if wish.is_empty() || missing(&cgroup, "cgroup.controllers", wish)?.is_empty() {
        return Ok(());
    }
    let mut path: PathBuf = mount.to_owned();
    let mut fd: OwnedFd = open_directory(mount)?;
    for component in inner.components() {
        enable_below(&Dir { fd: fd.as_fd(), path: &path }, wish)?;
        path.push(component);
        let next = Dir { fd: fd.as_fd(), path: &path }
            .open_child(&component.as_os_str().to_string_lossy());
        fd = next.map_err(|errno| Error::io("open", &path, errno))?;
    }
    Ok(())
}

fn missing<'a>(dir: &Dir<'_>, file: &str, wish: Wish<'a>) -> Result<Vec<&'a str>> {
    let text = dir.read(file)?;
    let have: Vec<&str> = text.split_whitespace().collect();
    Ok(wish.names().filter(|name| !have.contains(name)).collect())
}

/// Enable what is missing for the children of one cgroup: all in one write, then one by one.
fn enable_below(dir: &Dir<'_>, wish: Wish<'_>) -> Result<()> {
    let missing = missing(dir, "cgroup.subtree_control", wish)?;
    if missing.is_empty() {
        return Ok(());
    }
    let batch: Vec<String> = missing.iter().map(|name| format!("+{name}")).collect();
    // The kernel takes all of a batch or nothing, so that one missing controller hides the others: the errors that count are
    // those of the single writes.
    if dir.write("cgroup.subtree_control", &batch.join(" ")).is_ok() {
        return Ok(());
    }
    for name in missing {
        let result = dir.write("cgroup.subtree_control", &format!("+{name}"));
        if let (Err(error), true) = (result, wish.needed.contains(name)) {
            return Err(unavailable(dir, name, wish.needed.limit(name), &error));
        }
    }
    Ok(())
}

fn unavailable(dir: &Dir<'_>, controller: &str, limit: &str, error: &Error) -> Error {
    // ENOENT and EINVAL of this write say "not in cgroup.controllers", not "no such file".
    let errno = error.errno().filter(|e| !matches!(*e, Errno::NOENT | Errno::INVAL));
    Error::ControllerUnavailable {
        controller: controller.to_owned(),
        limit: limit.to_owned(),
        at: dir.path.to_owned(),
        errno,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_limit_that_needs_a_controller_is_remembered() {
        let mut set = Controllers::none();
        set.need("memory", "memory.limit");
        set.need("memory", "memory.swap");
        assert_eq!(set.names().collect::<Vec<_>>(), ["memory"]);
        assert_eq!(set.limit("memory"), "memory.limit");
    }

    #[test]
    fn only_process_wide_controllers_exclude_threaded_cgroups() {
        let mut set = Controllers::none();
        set.need("pids", "pids.limit");
        assert!(!set.has_domain_controller());
        set.need("io", "blockIO.weight");
        assert!(set.has_domain_controller());
    }
}
