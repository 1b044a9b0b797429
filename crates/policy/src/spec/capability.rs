//! Capability names and sets (capabilities(7), include/uapi/linux/capability.h up to Linux 6.18).
//!
//! A set is a 64-bit mask. Names that this release does not know are kept beside it: the specification
//! asks for a warning, not for a failure, when a capability cannot be mapped.

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq, Serializer};
use std::borrow::Cow;
use std::fmt;

/// Names by number.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// One capability, by its kernel number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability(u8);

impl Capability {
    /// All that this release knows, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        (0_u8..).take(NAMES.len()).map(Self)
    }

    /// The capability called `name`, with or without `CAP_`, in any case, as `exec --cap` allows.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let bare = strip_prefix_ignore_case(name);
        let index = NAMES.iter().position(|known| known[4..].eq_ignore_ascii_case(bare))?;
        // There are 64 at most.
        u8::try_from(index).ok().map(Self)
    }

    /// `CAP_...`.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }

    /// Kernel number, the bit in a mask.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// The mask with only this bit.
    #[must_use]
    pub fn mask(self) -> u64 {
        1 << self.0
    }
}

fn strip_prefix_ignore_case(name: &str) -> &str {
    match name.get(..4) {
        Some(head) if head.eq_ignore_ascii_case("CAP_") => &name[4..],
        _ => name,
    }
}

/// A set of capabilities, plus the names in it that are unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapSet {
    /// Bit N is capability N.
    pub mask: u64,
    /// Names without a number, as written.
    pub unknown: Vec<String>,
}

impl CapSet {
    /// The set with exactly these bits.
    #[must_use]
    pub fn from_mask(mask: u64) -> Self {
        Self { mask, unknown: Vec::new() }
    }

    /// True when it holds nothing, known or unknown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mask == 0 && self.unknown.is_empty()
    }

    /// True when it holds `capability`.
    #[must_use]
    pub fn contains(&self, capability: Capability) -> bool {
        self.mask & capability.mask() != 0
    }

    /// Its known members, by number.
    pub fn iter(&self) -> impl Iterator<Item = Capability> + '_ {
        Capability::all().filter(|capability| self.contains(*capability))
    }

    fn insert(&mut self, name: Cow<'_, str>) {
        // Engines write the names in full and in capitals: that comparison is the cheap one.
        match NAMES.iter().position(|known| *known == name) {
            Some(number) => self.mask |= 1 << number,
            None => self.unknown.push(name.into_owned()),
        }
    }
}

impl Serialize for CapSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for capability in self.iter() {
            seq.serialize_element(capability.name())?;
        }
        for name in &self.unknown {
            seq.serialize_element(name)?;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for CapSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(CapSetVisitor)
    }
}

struct CapSetVisitor;

impl<'de> Visitor<'de> for CapSetVisitor {
    type Value = CapSet;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of capability names")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<CapSet, A::Error> {
        let mut set = CapSet::default();
        while let Some(name) = seq.next_element::<Cow<'de, str>>()? {
            set.insert(name);
        }
        Ok(set)
    }
}
