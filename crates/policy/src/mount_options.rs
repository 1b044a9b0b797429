//! The meaning of mount option strings (config.md "Linux mount options"; mount(8), mount_setattr(2)).
//!
//! Each string is a mount attribute, a superblock flag, a propagation type, a way of making the mount, or
//! data for the file system. This module sorts them; it knows nothing of paths and makes no system call.
//! The constants have the kernel's values so that a plan can hand them on unchanged.

mod data;
mod table;

pub use casemate_kernel::attr;
pub use data::FsOption;

use crate::spec::Propagation;
use serde::Serialize;
use std::fmt;

/// Superblock flags with the values of mount(2)'s `MS_*`.
pub mod superblock {
    /// Read-only.
    pub const RDONLY: u32 = 1;
    /// Synchronous writes.
    pub const SYNCHRONOUS: u32 = 1 << 4;
    /// Mandatory locks; gone since Linux 5.15.
    pub const MANDLOCK: u32 = 1 << 6;
    /// Synchronous directory changes.
    pub const DIRSYNC: u32 = 1 << 7;
    /// Fewer kernel messages; the new mount API has no counterpart.
    pub const SILENT: u32 = 1 << 15;
    /// POSIX access control lists; the new mount API has no counterpart.
    pub const POSIXACL: u32 = 1 << 16;
    /// Inode version counter; the new mount API has no generic counterpart.
    pub const I_VERSION: u32 = 1 << 23;
    /// Write times lazily.
    pub const LAZYTIME: u32 = 1 << 25;
}

/// Whether something covers one mount or all below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Depth {
    /// The mount itself.
    Single,
    /// And every mount below.
    Recursive,
}

/// Bits to set and bits to clear; a bit is never in both, the access time field excepted, where `clear`
/// holds the whole field and `set` the new mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AttrChange {
    /// `attr_set` of mount_setattr(2).
    pub set: u64,
    /// `attr_clr` of mount_setattr(2).
    pub clear: u64,
}

impl AttrChange {
    /// True when nothing changes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.set == 0 && self.clear == 0
    }

    fn set_bits(&mut self, bits: u64) {
        self.set |= bits;
        self.clear &= !bits;
    }

    fn clear_bits(&mut self, bits: u64) {
        self.clear |= bits;
        self.set &= !bits;
    }

    fn set_atime(&mut self, mode: u64) {
        self.clear |= attr::ATIME;
        self.set = self.set & !attr::ATIME | mode;
    }

    /// Takes back one mode, if that is what is (or may be) in force.
    fn unset_atime(&mut self, mode: u64) {
        let chosen = self.clear & attr::ATIME != 0;
        if !chosen || self.set & attr::ATIME == mode {
            self.set_atime(attr::RELATIME);
        }
    }
}

/// The options of one mount, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MountPlanFlags {
    /// A bind mount, and how deep.
    pub bind: Option<Depth>,
    /// Change the mount that is there already.
    pub remount: bool,
    /// Attributes of this mount.
    pub attrs: AttrChange,
    /// An access time mode is asked for, and not only another one taken back.
    pub names_atime: bool,
    /// Attributes of this mount and all below, mount_setattr(2) with AT_RECURSIVE.
    pub recursive_attrs: AttrChange,
    /// Superblock flags to set; [`MountPlanFlags::fsconfig_flags`] names them.
    pub superblock_set: u32,
    /// Superblock flags to clear.
    pub superblock_clear: u32,
    /// Propagation changes, in the order given.
    pub propagation: Vec<Propagation>,
    /// What the file system itself is told.
    pub data: Vec<FsOption>,
    /// An idmapped mount, and how deep.
    pub idmap: Option<Depth>,
    /// tmpfs: copy what the directory held.
    pub tmpcopyup: bool,
    /// Bind: do not follow a symbolic link as the source.
    pub source_nofollow: bool,
    /// Do not follow a symbolic link as the destination.
    pub dest_nofollow: bool,
    /// Bind: make a link like the source when that is a symbolic link.
    pub copy_symlink: bool,
}

/// An option that cannot be given a meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    /// Position in the list.
    pub index: usize,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for OptionError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "options[{}]: {}", self.index, self.message)
    }
}

impl std::error::Error for OptionError {}

impl MountPlanFlags {
    /// Sorts the options of one mount. A later option wins over an earlier one that it contradicts.
    ///
    /// # Errors
    /// An option that would be lost silently: `idmap=...` (mappings belong into `uidMappings`), or data
    /// with an unclosed quote.
    pub fn parse(options: &[String]) -> Result<Self, OptionError> {
        let mut flags = Self::default();
        for (index, option) in options.iter().enumerate() {
            if flags.apply(option) {
                continue;
            }
            if option.starts_with("idmap=") || option.starts_with("ridmap=") {
                let message = format!("{option:?}: mappings go into uidMappings and gidMappings");
                return Err(OptionError { index, message });
            }
            data::split_into(option, &mut flags.data)
                .map_err(|message| OptionError { index, message })?;
        }
        Ok(flags)
    }

    /// The superblock flags as fsconfig(2) FSCONFIG_SET_FLAG names, in a fixed order. `ro` is among them:
    /// mount(2) makes both the mount and a new superblock read-only.
    #[must_use]
    pub fn fsconfig_flags(&self) -> Vec<&'static str> {
        const NAMES: [(u32, &str); 5] = [
            (superblock::RDONLY, "ro"),
            (superblock::SYNCHRONOUS, "sync"),
            (superblock::MANDLOCK, "mand"),
            (superblock::DIRSYNC, "dirsync"),
            (superblock::LAZYTIME, "lazytime"),
        ];
        let set = |bit: u32| self.superblock_set & bit != 0;
        NAMES.iter().filter(|(bit, _)| set(*bit)).map(|(_, name)| *name).collect()
    }

    /// The change of a bind's attributes as mount(2) makes it with `MS_REMOUNT | MS_BIND`, which is how runc and crun do it:
    /// who names one attribute names them all. Access times are an exception, they stay unless a mode is named, or
    /// `nodiratime`, which means `relatime` too. `locked`: as in a user namespace, where the restrictions of the source and
    /// its access times stay even if their opposite is asked for (mount_namespaces(7)).
    #[must_use]
    pub fn remounted(&self, locked: bool) -> AttrChange {
        const LOCKABLE: u64 = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC;
        const TIMES: u64 = attr::ATIME | attr::NODIRATIME;
        if self.attrs.is_empty() {
            return self.attrs;
        }
        let wanted = self.attrs.set | self.recursive_attrs.set;
        let mut change = AttrChange { set: self.attrs.set & !TIMES, clear: attr::NOSYMFOLLOW };
        if !locked {
            change.clear |= LOCKABLE;
        }
        if self.names_atime || self.attrs.set & attr::NODIRATIME != 0 {
            change.set |= self.attrs.set & TIMES;
            change.clear |= if locked { attr::ATIME } else { TIMES };
        }
        change.clear &= !wanted | attr::ATIME;
        change
    }

    fn set_superblock(&mut self, bits: u32) {
        self.superblock_set |= bits;
        self.superblock_clear &= !bits;
    }

    fn clear_superblock(&mut self, bits: u32) {
        self.superblock_clear |= bits;
        self.superblock_set &= !bits;
    }
}
