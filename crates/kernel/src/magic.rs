//! File systems by the number that statfs(2) reports (include/uapi/linux/magic.h and the file systems' own headers).

/// procfs.
pub const PROC: u64 = 0x9fa0;
/// sysfs.
pub const SYSFS: u64 = 0x6265_6572;
/// cgroup v1.
pub const CGROUP: u64 = 0x0027_e0eb;
/// cgroup v2.
pub const CGROUP2: u64 = 0x6367_7270;
/// Pseudo terminals.
pub const DEVPTS: u64 = 0x0000_1cd1;
/// POSIX message queues.
pub const MQUEUE: u64 = 0x1980_0202;
/// Namespace files.
pub const NSFS: u64 = 0x6e73_6673;
/// tmpfs, and devtmpfs.
pub const TMPFS: u64 = 0x0102_1994;
/// overlay.
pub const OVERLAY: u64 = 0x794c_7630;
/// FUSE.
pub const FUSE: u64 = 0x6573_5546;
/// NFS.
pub const NFS: u64 = 0x6969;
/// btrfs.
pub const BTRFS: u64 = 0x9123_683e;
/// The anonymous inode file system: pidfds before Linux 6.9, eventfds and the like.
pub const ANON_INODE: u64 = 0x0904_1934;
/// Memory that devices share.
pub const DMA_BUF: u64 = 0x444d_4142;
/// Memory of a virtual machine (KVM_CREATE_GUEST_MEMFD).
pub const GUEST_MEMORY: u64 = 0x474d_454d;

/// File systems through which the kernel shows or changes itself or the host, by number and name.
pub const OF_KERNEL: [(u64, &str); 21] = [
    (PROC, "proc"),
    (SYSFS, "sysfs"),
    (CGROUP, "cgroup"),
    (CGROUP2, "cgroup2"),
    (DEVPTS, "devpts"),
    (MQUEUE, "mqueue"),
    (NSFS, "nsfs"),
    (0x5049_4446, "pidfs"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0xcafe_4a11, "bpf"),
    (0x7363_6673, "securityfs"),
    (0x6265_6570, "configfs"),
    (0xf97c_ff8c, "selinuxfs"),
    (0x6165_676c, "pstore"),
    (0xde5e_81e4, "efivarfs"),
    (0x4249_4e4d, "binfmt_misc"),
    (0x6573_5543, "fusectl"),
    (0x5a3c_69f0, "apparmorfs"),
    (0x0765_5821, "resctrl"),
    (0x4341_5d53, "smackfs"),
];

/// The name of a file system of the kernel's own; `None`: it is none of them.
#[must_use]
pub fn of_kernel(magic: u64) -> Option<&'static str> {
    OF_KERNEL.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
}
