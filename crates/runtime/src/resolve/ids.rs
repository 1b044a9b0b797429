//! Ids of the container and of the host: translating, and writing the maps of a user namespace.

use crate::files::io_error_text;
use crate::hinted::Hinted;
use anyhow::{bail, Context as _, Result};
use casemate_kernel::{id_map, HostId, InnerId};
use casemate_policy::spec::IdMapping;
use casemate_sandbox::holder::{self, Holder, User};
use casemate_sys::Context as _;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use std::fmt::Write as _;

/// Both maps of a container's user namespace; empty: the container has none and ids mean the same on both sides.
#[derive(Clone, Debug, Default)]
pub struct IdMaps {
    /// User ids.
    pub uid: Vec<IdMapping>,
    /// Group ids.
    pub gid: Vec<IdMapping>,
}

fn to_host(map: &[IdMapping], id: InnerId) -> Option<HostId> {
    if map.is_empty() {
        return Some(HostId(id.0));
    }
    map.iter().find_map(|range| range.to_host(id))
}

impl IdMaps {
    /// The host's number for a user id of the container; `None` when it is not mapped.
    pub fn host_uid(&self, id: InnerId) -> Option<HostId> {
        to_host(&self.uid, id)
    }

    /// The host's number for a group id of the container; `None` when it is not mapped.
    pub fn host_gid(&self, id: InnerId) -> Option<HostId> {
        to_host(&self.gid, id)
    }

    /// The uid and gid, as we know them, that a user namespace with these maps is made by: its root's, or the first that it has.
    /// What the kernel counts per user is then counted for somebody who is in the container, and not for root.
    ///
    /// `None`: by ourselves. So it is too where the id may be a person's: outside of the namespace, its maker has every
    /// capability over it (user_namespaces(7)), volumes that others own among what is in there.
    pub fn maker(&self) -> Option<(HostId, HostId)> {
        /// Ids of people and services end here, those for containers begin (systemd's UIDS-GIDS).
        const FIRST: HostId = HostId(65536);
        fn first(map: &[IdMapping]) -> Option<HostId> {
            let root = map.iter().find(|range| range.contains(InnerId::ROOT));
            root.map(|range| range.host_id).or_else(|| map.first().map(|range| range.host_id))
        }
        first(&self.uid).zip(first(&self.gid)).filter(|(uid, gid)| *uid.min(gid) >= FIRST)
    }
}

fn lines(map: &[IdMapping]) -> String {
    let mut text = String::new();
    for range in map {
        // Writing to a String cannot fail.
        writeln!(text, "{} {} {}", range.container_id, range.host_id, range.size).ok();
    }
    text
}

/// Write the maps of process `pid`, which has just made its user namespace. Without privilege the kernel takes one
/// line with the caller's own id; more needs newuidmap(1) and newgidmap(1).
///
/// # Errors
/// The kernel refuses a map (EPERM: not the caller's ids; EINVAL: ranges that overlap, or too
/// many), or newuidmap(1) or newgidmap(1) is missing or refuses it.
pub fn write_maps(proc: impl AsFd, pid: i32, maps: &IdMaps, privileged: bool) -> Result<()> {
    if !privileged && needs_helper(maps) {
        run_helper("newuidmap", pid, &maps.uid)?;
        return run_helper("newgidmap", pid, &maps.gid);
    }
    if !privileged {
        // Who may not drop groups may not change them: the kernel wants that said before an unprivileged gid map
        // (user_namespaces(7), CVE-2014-8989).
        write(&proc, pid, "setgroups", "deny")?;
    }
    write(&proc, pid, "uid_map", &lines(&maps.uid)).context("linux.uidMappings")?;
    write(&proc, pid, "gid_map", &lines(&maps.gid)).context("linux.gidMappings")
}

fn needs_helper(maps: &IdMaps) -> bool {
    let own = |map: &[IdMapping], id: u32| matches!(map, [one] if one.size == 1 && one.host_id == HostId(id));
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    !(own(&maps.uid, uid) && own(&maps.gid, gid))
}

fn write(proc: impl AsFd, pid: i32, file: &str, text: &str) -> Result<()> {
    let path = format!("{pid}/{file}");
    let fd = rustix::fs::openat(proc, &path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .call(|| format!("openat(/proc, \"{path}\")"))?;
    // One write: the kernel takes a map only as a whole, and no more than fits a page.
    let shown = if text.len() <= 256 {
        format!("{:?}", text.trim_end())
    } else {
        format!("{} bytes", text.len())
    };
    match rustix::io::write(&fd, text.as_bytes()).call(|| format!("write(/proc/{path}, {shown})")) {
        Err(e) if text.len() >= 4096 => Err(e).context("too many mappings for a page of text"),
        other => Ok(other.map(drop)?),
    }
}

fn run_helper(name: &str, pid: i32, map: &[IdMapping]) -> Result<()> {
    let mut command = std::process::Command::new(name);
    command.arg(pid.to_string());
    for range in map {
        command.args([range.container_id.0, range.host_id.0, range.size].map(|n| n.to_string()));
    }
    // Engines call with an empty environment.
    if std::env::var_os("PATH").is_none() {
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    }
    let output = command.output().map_err(|error| {
        let hint = "more than one id can be mapped without root only with the package uidmap";
        Hinted::new(format!("run {name}"), hint).because(io_error_text(&error))
    })?;
    if !output.status.success() {
        bail!("{name} {pid}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Read a map back from the kernel, in ids of our own namespace.
///
/// # Errors
/// The process is gone, or the file cannot be read or understood.
pub fn read_map(proc: impl AsFd, pid: i32, file: &str) -> Result<Vec<IdMapping>> {
    let text = crate::procfs::read(proc, &format!("{pid}/{file}"))?;
    let ranges = id_map::parse(&text).with_context(|| format!("/proc/{pid}/{file}"))?;
    Ok(ranges.into_iter().map(IdMapping::from).collect())
}

/// A user namespace that exists only for its maps: for idmapped mounts.
///
/// # Errors
/// No user namespace may be made (ENOSPC: the limit is reached), or the kernel refuses a map.
pub fn mapping_namespace(proc: &OwnedFd, maps: &IdMaps) -> Result<OwnedFd> {
    let holder: Holder = holder::hold(
        0,
        User::New(maps.maker().map(|(uid, gid)| (uid.0, gid.0))),
        proc.as_fd(),
        Vec::new(),
    )?;
    write_maps(proc, holder.pid(), maps, true)?;
    Ok(holder.namespace(proc, "user")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_translate_inside_their_range_only() {
        let map =
            vec![IdMapping { container_id: InnerId(0), host_id: HostId(100_000), size: 1000 }];
        let maps = IdMaps { uid: map.clone(), gid: map };
        assert_eq!(maps.host_uid(InnerId(0)), Some(HostId(100_000)));
        assert_eq!(maps.host_gid(InnerId(999)), Some(HostId(100_999)));
        assert_eq!(maps.host_uid(InnerId(1000)), None);
        assert_eq!(IdMaps::default().host_uid(InnerId(7)), Some(HostId(7)));
    }

    #[test]
    fn a_user_namespace_is_made_by_an_id_of_its_own() {
        let line = |inside, outside| IdMapping {
            container_id: InnerId(inside),
            host_id: HostId(outside),
            size: 10,
        };
        let maps = |uid: Vec<IdMapping>| IdMaps { gid: uid.clone(), uid };
        let (low, high) = (line(10, 70_000), line(0, 500_000));
        assert_eq!(maps(vec![low, high]).maker(), Some((HostId(500_000), HostId(500_000))));
        assert_eq!(maps(vec![low]).maker(), Some((HostId(70_000), HostId(70_000))));
        // Nobody else gets a say about the container.
        assert_eq!(maps(vec![line(0, 1000)]).maker(), None);
        assert_eq!(IdMaps::default().maker(), None);
    }
}
