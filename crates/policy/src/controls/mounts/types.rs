//! What kinds of file systems a container mounts, and where: a list of those that are known to be harmless.

use super::judgement::Judgement;
use super::scope::covers;
use crate::mount_options::{attr, MountPlanFlags};
use crate::spec::Mount;

/// What becomes of a mount that is not a bind mount, by its type and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TypeJudgement {
    pub(super) judgement: Judgement,
    /// Restrictions that it gets beside those that it has: bits of [`attr`].
    pub(super) restrict: u64,
}

/// Types by kind, and the override that permits a type of that kind.
const REFUSED: [(&str, &str); 4] = [
    (
        "mounts.block",
        "bcachefs befs bfs btrfs cramfs erofs exfat ext2 ext3 ext4 f2fs gfs2 hfs hfsplus iso9660 jffs2 \
         jfs minix msdos nilfs2 ntfs ntfs3 ocfs2 omfs qnx4 qnx6 reiserfs romfs squashfs ubifs udf ufs \
         vfat xfs zfs zonefs",
    ),
    (
        "mounts.network",
        "9p afs beegfs ceph cifs coda glusterfs lustre ncpfs nfs nfs4 orangefs smb3 smbfs",
    ),
    ("mounts.fuse", "fuse fuseblk virtiofs"),
    (
        "mounts.kernel-fs",
        "aafs anon_inodefs apparmorfs autofs bdev binder binfmt_misc bpf configfs cpuset debugfs dax \
         devtmpfs dmabuf drm efivarfs functionfs fusectl gadgetfs nfsd nsfs pidfs pipefs pstore resctrl \
         rootfs rpc_pipefs secretmem securityfs selinuxfs smackfs sockfs spufs tracefs usbfs usbdevfs \
         xenfs",
    ),
];

const QUIET: u64 = attr::NOSUID | attr::NODEV | attr::NOEXEC;

/// Judges a new file system of type `kind` on `destination`, a clean path of the container.
pub(super) fn judge(kind: &str, destination: &str, flags: &MountPlanFlags) -> TypeJudgement {
    let found = by_kind(kind, destination);
    let is_refused = matches!(found.judgement, Judgement::Refused { .. });
    match flags.data.iter().find(|option| option.key == "source").filter(|_| !is_refused) {
        Some(option) => {
            let note = format!(": option {:?} names a source of its own", option.key);
            TypeJudgement { restrict: found.restrict, ..refused("mounts.unknown-fs", note) }
        }
        None => found,
    }
}

/// An override for another place is for that alone: what the type is restricted to stays.
fn by_kind(kind: &str, destination: &str) -> TypeJudgement {
    let on = |place: &str| destination == place;
    let elsewhere =
        |class, restrict, note: &str| TypeJudgement { restrict, ..refused(class, note) };
    match kind {
        "proc" if on("/proc") => let_in(QUIET),
        "proc" => {
            let note = " belongs on /proc, where parts of it are hidden";
            elsewhere("mounts.second-proc", QUIET, note)
        }
        "sysfs" if on("/sys") => let_in(QUIET | attr::RDONLY),
        "sysfs" => {
            let note = " belongs on /sys, where parts of it are hidden";
            elsewhere("mounts.second-sysfs", QUIET | attr::RDONLY, note)
        }
        "cgroup" | "cgroup2" if covers("/sys/fs/cgroup", destination) => let_in(QUIET),
        "cgroup" | "cgroup2" => {
            elsewhere("mounts.host-cgroup", QUIET, " belongs on /sys/fs/cgroup")
        }
        "devpts" | "mqueue" | "tmpfs" | "ramfs" | "hugetlbfs" | "overlay" => ordinary(destination),
        // The kernel has no such type, and says so.
        "none" | "bind" => let_in(0),
        _ => other(kind),
    }
}

/// File systems with nothing of the host's in them go anywhere but over the kernel's.
fn ordinary(destination: &str) -> TypeJudgement {
    const PLACES: [&str; 3] = ["/dev/shm", "/dev/pts", "/dev/mqueue"];
    let is_node = destination.starts_with("/dev/")
        && ["null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "fd"]
            .iter()
            .any(|node| covers(&format!("/dev/{node}"), destination));
    let own = PLACES.iter().any(|place| covers(place, destination));
    match !own && (is_node || covers("/proc", destination) || covers("/sys", destination)) {
        true => refused("mounts.covered", " would cover what the kernel shows there"),
        false => let_in(0),
    }
}

fn other(kind: &str) -> TypeJudgement {
    let base = kind.split('.').next().unwrap_or(kind);
    let class = REFUSED
        .iter()
        .find(|(_, types)| types.split(' ').any(|name| name == base))
        .map(|(class, _)| *class);
    match class {
        Some(class) => refused(class, ""),
        None => refused("mounts.unknown-fs", " is not known to be harmless"),
    }
}

fn let_in(restrict: u64) -> TypeJudgement {
    TypeJudgement { judgement: Judgement::LetIn, restrict }
}

fn refused(class: &'static str, note: impl Into<String>) -> TypeJudgement {
    TypeJudgement { judgement: Judgement::refused(class, note), restrict: 0 }
}

/// A change to what an earlier mount of the configuration has put on the same place; it must not take away what
/// that one was restricted to. `earlier`: the mounts before it.
pub(super) fn remount(destination: &str, earlier: &[Mount]) -> TypeJudgement {
    let on = |mount: &&Mount| crate::check::clean(&mount.destination) == destination;
    let Some(first) = earlier.iter().rev().find(on) else {
        let note = ": the configuration has no earlier mount there";
        return refused("mounts.remount", note);
    };
    // What cannot be read was refused when the configuration was checked.
    let flags = MountPlanFlags::parse(&first.options).unwrap_or_default();
    let_in((flags.attrs.set | flags.recursive_attrs.set) & (QUIET | attr::RDONLY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(kind: &str, destination: &str) -> Option<&'static str> {
        match judge(kind, destination, &MountPlanFlags::default()).judgement {
            Judgement::Refused { class, .. } => class,
            _ => None,
        }
    }

    #[test]
    fn a_type_is_let_in_at_its_place_and_nowhere_else() {
        for (kind, destination) in [
            ("proc", "/proc"),
            ("sysfs", "/sys"),
            ("cgroup", "/sys/fs/cgroup"),
            ("cgroup2", "/sys/fs/cgroup"),
            ("devpts", "/dev/pts"),
            ("mqueue", "/dev/mqueue"),
            ("tmpfs", "/dev"),
            ("tmpfs", "/dev/shm"),
            ("tmpfs", "/run"),
            ("tmpfs", "/a/b"),
            ("ramfs", "/secrets"),
            ("hugetlbfs", "/dev/hugepages"),
            ("overlay", "/vol"),
        ] {
            assert_eq!(class(kind, destination), None, "{kind} on {destination}");
        }
        for (kind, destination, wanted) in [
            ("proc", "/mnt", "mounts.second-proc"),
            ("sysfs", "/mnt", "mounts.second-sysfs"),
            ("cgroup2", "/mnt", "mounts.host-cgroup"),
            ("tmpfs", "/sys/kernel", "mounts.covered"),
            ("tmpfs", "/dev/null", "mounts.covered"),
            ("overlay", "/sys", "mounts.covered"),
            ("binfmt_misc", "/mnt", "mounts.kernel-fs"),
            ("debugfs", "/mnt", "mounts.kernel-fs"),
            ("devtmpfs", "/dev", "mounts.kernel-fs"),
            ("ext4", "/mnt", "mounts.block"),
            ("nfs4", "/mnt", "mounts.network"),
            ("fuse.sshfs", "/mnt", "mounts.fuse"),
            ("nosuchfs", "/mnt", "mounts.unknown-fs"),
            ("Proc", "/mnt", "mounts.unknown-fs"),
        ] {
            assert_eq!(class(kind, destination), Some(wanted), "{kind} on {destination}");
        }
    }

    #[test]
    fn an_option_that_names_a_source_is_no_other_name_for_the_type() {
        let option = ["source=/dev/sda1".to_owned()];
        let flags = MountPlanFlags::parse(&option).unwrap();
        for (kind, wanted) in [
            ("proc", "mounts.second-proc"),
            ("debugfs", "mounts.kernel-fs"),
            ("tmpfs", "mounts.unknown-fs"),
        ] {
            let found = judge(kind, "/mnt", &flags).judgement;
            assert!(
                matches!(found, Judgement::Refused { class: Some(class), .. } if class == wanted)
            );
        }
    }

    #[test]
    fn a_remount_keeps_what_the_mount_was_restricted_to() {
        let options = ["ro", "nosuid", "rbind"].map(str::to_owned).to_vec();
        let first = Mount { destination: "/mnt".to_owned(), options, ..Mount::default() };
        let found = remount("/mnt", std::slice::from_ref(&first));
        assert_eq!(found.restrict, attr::RDONLY | attr::NOSUID);
        assert!(matches!(remount("/other", &[first]).judgement, Judgement::Refused { .. }));
    }
}
