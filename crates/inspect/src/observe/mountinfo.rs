//! /proc/PID/mountinfo (proc_pid_mountinfo(5)), in a form that outlives the text.

use casemate_kernel::mountinfo::{self, unescape, Mount};
use casemate_kernel::ParseError;
use std::collections::BTreeSet;

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Number of the mount.
    pub id: u64,
    /// Device of the file system, `MAJOR:MINOR`.
    pub device: String,
    /// Path in the file system that is mounted.
    pub root: String,
    /// Where.
    pub point: String,
    /// Options of this mount.
    pub options: BTreeSet<String>,
    /// Peer group, when its mounts are passed on.
    pub peers: Option<u64>,
    /// File system type.
    pub kind: String,
    /// Options of the file system.
    pub super_options: BTreeSet<String>,
}

/// All lines.
///
/// # Errors
/// A line that does not have the form.
pub fn parse(table: &[u8]) -> Result<Vec<Line>, ParseError> {
    Ok(mountinfo::parse(table)?.iter().map(line).collect())
}

fn line(mount: &Mount<'_>) -> Line {
    let text = |field: &[u8]| String::from_utf8_lossy(&unescape(field)).into_owned();
    Line {
        id: mount.id,
        device: format!("{}:{}", mount.superblock.major, mount.superblock.minor),
        root: text(mount.root),
        point: text(mount.point),
        options: set(mount.options),
        peers: mount.shared,
        kind: mount.fstype.to_owned(),
        super_options: set(&String::from_utf8_lossy(mount.super_options)),
    }
}

fn set(text: &str) -> BTreeSet<String> {
    text.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect()
}

/// The path on the host at which something of a file system can be found, given the host's own mounts: the one that shows
/// the most of what is asked for.
pub fn on_host(host: &[Line], device: &str, root: &str) -> Option<String> {
    let shows = host.iter().filter(|line| line.device == device && super::covers(&line.root, root));
    let best = shows.max_by_key(|line| line.root.len())?;
    let rest = root.strip_prefix(best.root.trim_end_matches('/')).unwrap_or_default();
    let path = format!("{}{rest}", best.point.trim_end_matches('/'));
    let path = path.trim_end_matches('/');
    Some(if path.is_empty() { "/".to_owned() } else { path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &[u8] = b"\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / /run rw,nosuid,nodev shared:13 - tmpfs tmpfs rw,size=10%
31 22 8:2 /vol /data\\040x rw - xfs /dev/sdb rw
";

    #[test]
    fn fields_are_found_around_the_optional_ones() {
        let lines = parse(HOST).unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0].peers, Some(1));
        assert!(lines[1].options.contains("nosuid") && lines[1].super_options.contains("size=10%"));
        assert_eq!((lines[2].point.as_str(), lines[2].peers), ("/data x", None));
    }

    #[test]
    fn a_bind_mount_is_traced_back_to_a_path_of_the_host() {
        let host = parse(HOST).unwrap();
        assert_eq!(on_host(&host, "0:25", "/docker.sock").as_deref(), Some("/run/docker.sock"));
        assert_eq!(on_host(&host, "8:1", "/").as_deref(), Some("/"));
        assert_eq!(on_host(&host, "0:25", "/").as_deref(), Some("/run"));
        assert_eq!(on_host(&host, "8:1", "/etc").as_deref(), Some("/etc"));
        assert_eq!(on_host(&host, "8:2", "/vol/a").as_deref(), Some("/data x/a"));
        assert_eq!(on_host(&host, "8:2", "/other"), None);
    }
}
