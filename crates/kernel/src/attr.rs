//! `MOUNT_ATTR_*` of include/uapi/linux/mount.h (mount_setattr(2)).

/// Read-only.
pub const RDONLY: u64 = 0x1;
/// Ignore set-user-ID and file capabilities.
pub const NOSUID: u64 = 0x2;
/// Device nodes cannot be opened.
pub const NODEV: u64 = 0x4;
/// Files cannot be executed.
pub const NOEXEC: u64 = 0x8;
/// The field that holds the access time mode; it can only be changed as a whole.
pub const ATIME: u64 = 0x70;
/// Access time mode: relative, the kernel's default.
pub const RELATIME: u64 = 0;
/// Access time mode: never.
pub const NOATIME: u64 = 0x10;
/// Access time mode: always.
pub const STRICTATIME: u64 = 0x20;
/// No access times of directories.
pub const NODIRATIME: u64 = 0x80;
/// Symbolic links are not followed.
pub const NOSYMFOLLOW: u64 = 0x0020_0000;
