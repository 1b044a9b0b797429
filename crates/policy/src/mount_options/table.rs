//! The option names that are not file system data. One table each for attributes, their recursive forms,
//! superblock flags, propagation and the rest, so that `features` can list exactly what is understood.

use super::{attr, superblock, AttrChange, Depth, MountPlanFlags};
use crate::spec::Propagation;

/// What an attribute option does.
#[derive(Clone, Copy)]
enum Change {
    Set(u64),
    Clear(u64),
    Atime(u64),
    UnsetAtime(u64),
    Nothing,
}

/// Attribute options. Each has a recursive form with an `r` before it.
const ATTRS: [(&str, Change); 18] = [
    ("ro", Change::Set(attr::RDONLY)),
    ("rw", Change::Clear(attr::RDONLY)),
    ("nosuid", Change::Set(attr::NOSUID)),
    ("suid", Change::Clear(attr::NOSUID)),
    ("nodev", Change::Set(attr::NODEV)),
    ("dev", Change::Clear(attr::NODEV)),
    ("noexec", Change::Set(attr::NOEXEC)),
    ("exec", Change::Clear(attr::NOEXEC)),
    ("noatime", Change::Atime(attr::NOATIME)),
    ("atime", Change::UnsetAtime(attr::NOATIME)),
    ("strictatime", Change::Atime(attr::STRICTATIME)),
    ("nostrictatime", Change::UnsetAtime(attr::STRICTATIME)),
    ("relatime", Change::Atime(attr::RELATIME)),
    // Without it the kernel falls back to relatime: there is nothing to take back.
    ("norelatime", Change::Nothing),
    ("nodiratime", Change::Set(attr::NODIRATIME)),
    ("diratime", Change::Clear(attr::NODIRATIME)),
    ("nosymfollow", Change::Set(attr::NOSYMFOLLOW)),
    ("symfollow", Change::Clear(attr::NOSYMFOLLOW)),
];

/// Superblock options: bit, and whether it is set or cleared.
const SUPERBLOCK: [(&str, u32, bool); 13] = [
    ("sync", superblock::SYNCHRONOUS, true),
    ("async", superblock::SYNCHRONOUS, false),
    ("dirsync", superblock::DIRSYNC, true),
    ("mand", superblock::MANDLOCK, true),
    ("nomand", superblock::MANDLOCK, false),
    ("lazytime", superblock::LAZYTIME, true),
    ("nolazytime", superblock::LAZYTIME, false),
    ("silent", superblock::SILENT, true),
    ("loud", superblock::SILENT, false),
    ("iversion", superblock::I_VERSION, true),
    ("noiversion", superblock::I_VERSION, false),
    ("acl", superblock::POSIXACL, true),
    ("noacl", superblock::POSIXACL, false),
];

const PROPAGATION: [(&str, Propagation); 8] = [
    ("shared", Propagation::Shared),
    ("rshared", Propagation::Rshared),
    ("slave", Propagation::Slave),
    ("rslave", Propagation::Rslave),
    ("private", Propagation::Private),
    ("rprivate", Propagation::Rprivate),
    ("unbindable", Propagation::Unbindable),
    ("runbindable", Propagation::Runbindable),
];

/// Options that say how the mount is made.
const MANNER: [&str; 10] = [
    "bind",
    "rbind",
    "remount",
    "defaults",
    "idmap",
    "ridmap",
    "tmpcopyup",
    "src-nofollow",
    "dest-nofollow",
    "copy-symlink",
];

impl MountPlanFlags {
    /// Every option name that has a meaning of its own, sorted: what `features` lists as `mountOptions`.
    #[must_use]
    pub fn known_options() -> Vec<String> {
        let mut names: Vec<String> = MANNER.iter().map(|name| (*name).to_owned()).collect();
        for (name, _) in ATTRS {
            names.push(name.to_owned());
            names.push(format!("r{name}"));
        }
        names.extend(SUPERBLOCK.iter().map(|(name, ..)| (*name).to_owned()));
        names.extend(PROPAGATION.iter().map(|(name, _)| (*name).to_owned()));
        names.sort();
        names
    }

    /// Applies one option; false when it is none of ours, hence file system data.
    pub(super) fn apply(&mut self, option: &str) -> bool {
        // Data of the file system: none of ours has a value.
        !option.as_bytes().contains(&b'=')
            && (self.apply_manner(option)
                || self.apply_attr(option)
                || self.apply_superblock(option)
                || self.apply_propagation(option))
    }

    fn apply_manner(&mut self, option: &str) -> bool {
        match option {
            "defaults" => {}
            // `bind,rbind` is recursive, in either order: mount(2) has one bit for the depth.
            "bind" => self.bind = self.bind.or(Some(Depth::Single)),
            "rbind" => self.bind = Some(Depth::Recursive),
            "idmap" => self.idmap = self.idmap.or(Some(Depth::Single)),
            "ridmap" => self.idmap = Some(Depth::Recursive),
            "remount" => self.remount = true,
            "tmpcopyup" => self.tmpcopyup = true,
            "src-nofollow" => self.source_nofollow = true,
            "dest-nofollow" => self.dest_nofollow = true,
            "copy-symlink" => self.copy_symlink = true,
            _ => return false,
        }
        true
    }

    fn apply_attr(&mut self, option: &str) -> bool {
        if let Some(change) = find_attr(option) {
            self.names_atime = match change {
                Change::Atime(_) => true,
                Change::UnsetAtime(mode) => {
                    self.names_atime && self.attrs.set & attr::ATIME != mode
                }
                _ => self.names_atime,
            };
            self.attrs.apply(change);
            match option {
                "ro" => self.set_superblock(superblock::RDONLY),
                "rw" => self.clear_superblock(superblock::RDONLY),
                _ => {}
            }
            return true;
        }
        match option.strip_prefix('r').and_then(find_attr) {
            Some(change) => {
                self.recursive_attrs.apply(change);
                true
            }
            None => false,
        }
    }

    fn apply_superblock(&mut self, option: &str) -> bool {
        let found = SUPERBLOCK.iter().find(|(name, ..)| *name == option);
        match found {
            Some((_, bit, true)) => self.set_superblock(*bit),
            Some((_, bit, false)) => self.clear_superblock(*bit),
            None => return false,
        }
        true
    }

    fn apply_propagation(&mut self, option: &str) -> bool {
        let found = PROPAGATION.iter().find(|(name, _)| *name == option);
        self.propagation.extend(found.map(|(_, kind)| *kind));
        found.is_some()
    }
}

impl AttrChange {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Set(bits) => self.set_bits(bits),
            Change::Clear(bits) => self.clear_bits(bits),
            Change::Atime(mode) => self.set_atime(mode),
            Change::UnsetAtime(mode) => self.unset_atime(mode),
            Change::Nothing => {}
        }
    }
}

fn find_attr(name: &str) -> Option<Change> {
    ATTRS.iter().find(|(known, _)| *known == name).map(|(_, change)| *change)
}
