//! Architectures as the runtime specification names them, their AUDIT_ARCH_* tokens, and their
//! system call numbers. The number tables beside this file are written by `hack/gen-syscalls`;
//! this file only looks things up in them.

mod aarch64;
mod arm;
mod loongarch64;
mod m68k;
mod mips;
mod mips64;
mod mips64n32;
mod names;
mod parisc;
mod parisc64;
mod ppc;
mod ppc64;
mod riscv64;
mod s390;
mod s390x;
mod sh;
mod x32;
mod x86;
mod x86_64;

use names::{COUNT, NAMES, NO};
use std::cmp::Ordering;
use std::fmt;

/// The bit that tells an x32 call from an x86_64 one; both carry the same AUDIT_ARCH token
/// (arch/x86/include/uapi/asm/unistd.h).
pub(crate) const X32_BIT: u32 = 0x4000_0000;

/// The names one behind the other, and where each ends: a table of pointers is relocated whenever the program starts, two
/// pages of it, used or not.
static TEXT: [u8; LENGTH] = {
    let mut text = [0; LENGTH];
    let (mut name, mut at) = (0, 0);
    while name < COUNT {
        let mut byte = 0;
        while byte < NAMES[name].len() {
            text[at] = NAMES[name].as_bytes()[byte];
            byte += 1;
            at += 1;
        }
        name += 1;
    }
    text
};

static ENDS: [u16; COUNT] = {
    let mut ends = [0; COUNT];
    let (mut name, mut at) = (0, 0);
    while name < COUNT {
        at += NAMES[name].len();
        ends[name] = at as u16;
        name += 1;
    }
    ends
};

const LENGTH: usize = {
    let (mut name, mut length) = (0, 0);
    while name < COUNT {
        length += NAMES[name].len();
        name += 1;
    }
    assert!(length <= u16::MAX as usize);
    length
};

/// The position of a system call's name in the table that all architectures share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NameId(pub(crate) u16);

impl NameId {
    /// The id of `name`, or `None` where no architecture known here has such a call.
    pub(crate) fn of(name: &str) -> Option<NameId> {
        let (mut low, mut high) = (0, COUNT);
        while low < high {
            let middle = NameId(((low + high) / 2) as u16);
            match middle.bytes().cmp(name.as_bytes()) {
                Ordering::Less => low = usize::from(middle.0) + 1,
                Ordering::Greater => high = usize::from(middle.0),
                Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// The name.
    pub(crate) fn name(self) -> &'static str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    fn bytes(self) -> &'static [u8] {
        let at = usize::from(self.0);
        let start = if at == 0 { 0 } else { ENDS[at - 1] };
        &TEXT[usize::from(start)..usize::from(ENDS[at])]
    }

    /// The same, faster where `name` follows closely on the name of `self`: profiles list their
    /// names in alphabetical order.
    pub(crate) fn next_of(self, name: &str) -> Option<NameId> {
        let after = usize::from(self.0) + 1;
        let mut near = (after..COUNT.min(after + 4)).map(|index| NameId(index as u16));
        near.find(|id| id.bytes() == name.as_bytes()).or_else(|| NameId::of(name))
    }
}

/// An architecture of the runtime specification 1.3, `linux.seccomp.architectures`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Arch {
    X86,
    X86_64,
    X32,
    Arm,
    Aarch64,
    Mips,
    Mips64,
    Mips64N32,
    Mipsel,
    Mipsel64,
    Mipsel64N32,
    Ppc,
    Ppc64,
    Ppc64Le,
    S390,
    S390X,
    Parisc,
    Parisc64,
    Riscv64,
    LoongArch64,
    M68k,
    Sh,
    Sheb,
}

/// A name that is none of the specification's SCMP_ARCH_* values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownArch(pub String);

impl fmt::Display for UnknownArch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "unknown seccomp architecture {:?} (such as SCMP_ARCH_X86_64)", self.0)
    }
}

impl std::error::Error for UnknownArch {}

use Arch::*;

/// Every architecture with the name the specification gives it and its AUDIT_ARCH_* token
/// (include/uapi/linux/audit.h: ELF machine, 0x8000_0000 for 64 bits, 0x4000_0000 for little
/// endian, 0x2000_0000 for MIPS n32).
const ARCHS: [(Arch, &str, u32); 23] = [
    (X86, "SCMP_ARCH_X86", 0x4000_0003),
    (X86_64, "SCMP_ARCH_X86_64", 0xc000_003e),
    (X32, "SCMP_ARCH_X32", 0xc000_003e),
    (Arm, "SCMP_ARCH_ARM", 0x4000_0028),
    (Aarch64, "SCMP_ARCH_AARCH64", 0xc000_00b7),
    (Mips, "SCMP_ARCH_MIPS", 0x0000_0008),
    (Mips64, "SCMP_ARCH_MIPS64", 0x8000_0008),
    (Mips64N32, "SCMP_ARCH_MIPS64N32", 0xa000_0008),
    (Mipsel, "SCMP_ARCH_MIPSEL", 0x4000_0008),
    (Mipsel64, "SCMP_ARCH_MIPSEL64", 0xc000_0008),
    (Mipsel64N32, "SCMP_ARCH_MIPSEL64N32", 0xe000_0008),
    (Ppc, "SCMP_ARCH_PPC", 0x0000_0014),
    (Ppc64, "SCMP_ARCH_PPC64", 0x8000_0015),
    (Ppc64Le, "SCMP_ARCH_PPC64LE", 0xc000_0015),
    (S390, "SCMP_ARCH_S390", 0x0000_0016),
    (S390X, "SCMP_ARCH_S390X", 0x8000_0016),
    (Parisc, "SCMP_ARCH_PARISC", 0x0000_000f),
    (Parisc64, "SCMP_ARCH_PARISC64", 0x8000_000f),
    (Riscv64, "SCMP_ARCH_RISCV64", 0xc000_00f3),
    (LoongArch64, "SCMP_ARCH_LOONGARCH64", 0xc000_0102),
    (M68k, "SCMP_ARCH_M68K", 0x0000_0004),
    (Sh, "SCMP_ARCH_SH", 0x4000_002a),
    (Sheb, "SCMP_ARCH_SHEB", 0x0000_002a),
];

impl Arch {
    /// All architectures, in the order of the specification's table.
    pub fn all() -> impl Iterator<Item = Arch> {
        ARCHS.iter().map(|(arch, _, _)| *arch)
    }

    /// The architecture this program was built for, or `None` where none of the specification's
    /// names fits it.
    pub const fn native() -> Option<Arch> {
        let little = cfg!(target_endian = "little");
        if cfg!(target_arch = "x86_64") {
            Some(X86_64)
        } else if cfg!(target_arch = "aarch64") && little {
            Some(Aarch64)
        } else if cfg!(target_arch = "x86") {
            Some(X86)
        } else if cfg!(target_arch = "arm") && little {
            Some(Arm)
        } else if cfg!(target_arch = "riscv64") {
            Some(Riscv64)
        } else if cfg!(target_arch = "s390x") {
            Some(S390X)
        } else if cfg!(target_arch = "powerpc64") {
            Some(if little { Ppc64Le } else { Ppc64 })
        } else if cfg!(target_arch = "loongarch64") {
            Some(LoongArch64)
        } else if cfg!(target_arch = "mips64") {
            Some(if little { Mipsel64 } else { Mips64 })
        } else {
            None
        }
    }

    /// The architecture of a specification name such as `SCMP_ARCH_AARCH64`.
    ///
    /// # Errors
    /// [`UnknownArch`] with the value as it was given.
    pub fn from_scmp_name(name: &str) -> Result<Arch, UnknownArch> {
        let found = ARCHS.iter().find(|(_, known, _)| *known == name);
        found.map(|(arch, _, _)| *arch).ok_or_else(|| UnknownArch(name.to_owned()))
    }

    /// The specification's name, such as `SCMP_ARCH_AARCH64`.
    pub fn scmp_name(self) -> &'static str {
        ARCHS[self as usize].1
    }

    /// The AUDIT_ARCH_* value that the kernel puts into `seccomp_data.arch`.
    pub fn audit_token(self) -> u32 {
        ARCHS[self as usize].2
    }

    /// Whether the architecture stores the high half of a 64-bit argument first.
    pub fn is_big_endian(self) -> bool {
        self.audit_token() & 0x4000_0000 == 0
    }

    /// Whether arguments are compared in full. x32 and MIPS n32 count as 32-bit ABIs although their
    /// registers are wider, as libseccomp has it.
    pub(crate) fn has_wide_args(self) -> bool {
        self.audit_token() & 0x8000_0000 != 0 && !matches!(self, X32 | Mips64N32 | Mipsel64N32)
    }

    /// The number of system call `name`, with the ABI's base or bit in it, as the kernel puts it
    /// into `seccomp_data.nr`. `None` where this architecture has no such call.
    pub fn syscall_number(self, name: &str) -> Option<u32> {
        self.number(NameId::of(name)?)
    }

    /// The name of system call `number`, the inverse of [`Arch::syscall_number`].
    pub fn syscall_name(self, number: u32) -> Option<&'static str> {
        let plain = number.checked_sub(self.base()).filter(|plain| *plain != NO)?;
        let index = self.table().iter().position(|known| *known == plain)?;
        Some(NameId(index as u16).name())
    }

    pub(crate) fn number(self, id: NameId) -> Option<u32> {
        let plain = self.table()[id.0 as usize];
        (plain != NO).then(|| plain + self.base())
    }

    /// The multiplexer, if any, through which `id` can also be reached here: old architectures had
    /// one `socketcall` and one `ipc` for all of these (socketcall(2), ipc(2)).
    pub(crate) fn multiplexed(self, id: NameId) -> Option<Multiplexed> {
        let code = MULTIPLEXED[id.0 as usize];
        if code == 0 || !self.has_multiplexers() {
            return None;
        }
        let entry = if code & IPC == 0 { "socketcall" } else { "ipc" };
        Some(Multiplexed { number: self.syscall_number(entry)?, call: code & !IPC })
    }

    fn has_multiplexers(self) -> bool {
        let arches = [X86, Mips, Mipsel, Ppc, Ppc64, Ppc64Le, S390, S390X, M68k, Sh, Sheb];
        arches.contains(&self)
    }

    /// What the ABI adds to the numbers of the table (asm/unistd.h of x86 and MIPS).
    fn base(self) -> u32 {
        match self {
            X32 => X32_BIT,
            Mips | Mipsel => 4000,
            Mips64 | Mipsel64 => 5000,
            Mips64N32 | Mipsel64N32 => 6000,
            _ => 0,
        }
    }

    fn table(self) -> &'static [u32; COUNT] {
        match self {
            X86 => &x86::NUMBERS,
            X86_64 => &x86_64::NUMBERS,
            X32 => &x32::NUMBERS,
            Arm => &arm::NUMBERS,
            Aarch64 => &aarch64::NUMBERS,
            Mips | Mipsel => &mips::NUMBERS,
            Mips64 | Mipsel64 => &mips64::NUMBERS,
            Mips64N32 | Mipsel64N32 => &mips64n32::NUMBERS,
            Ppc => &ppc::NUMBERS,
            Ppc64 | Ppc64Le => &ppc64::NUMBERS,
            S390 => &s390::NUMBERS,
            S390X => &s390x::NUMBERS,
            Parisc => &parisc::NUMBERS,
            Parisc64 => &parisc64::NUMBERS,
            Riscv64 => &riscv64::NUMBERS,
            LoongArch64 => &loongarch64::NUMBERS,
            M68k => &m68k::NUMBERS,
            Sh | Sheb => &sh::NUMBERS,
        }
    }
}

/// A second way to a system call: the multiplexer's number and the value its first argument has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Multiplexed {
    pub(crate) number: u32,
    pub(crate) call: u8,
}

/// Set in [`MULTIPLEXED`] for a call that goes through ipc(2), not socketcall(2).
const IPC: u8 = 0x80;

/// For every name: 0, or its number within its multiplexer. Computed while compiling, because a
/// profile asks for it once per name and architecture.
static MULTIPLEXED: [u8; COUNT] = mark(mark([0; COUNT], &SOCKETCALLS, 0), &IPC_CALLS, IPC);

const fn mark(mut codes: [u8; COUNT], calls: &[(&str, u8)], bit: u8) -> [u8; COUNT] {
    let mut call = 0;
    while call < calls.len() {
        let mut name = 0;
        while !same(NAMES[name], calls[call].0) {
            name += 1;
        }
        codes[name] = calls[call].1 | bit;
        call += 1;
    }
    codes
}

const fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut at = 0;
    while at < left.len() && at < right.len() && left[at] == right[at] {
        at += 1;
    }
    at == left.len() && at == right.len()
}

/// First argument of socketcall(2) per call (include/uapi/linux/net.h).
const SOCKETCALLS: [(&str, u8); 20] = [
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

/// First argument of ipc(2) per call (include/uapi/linux/ipc.h).
const IPC_CALLS: [(&str, u8); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_unique() {
        assert!(NAMES.windows(2).all(|pair| pair[0] < pair[1]));
        for (index, name) in NAMES.into_iter().enumerate() {
            let id = NameId(index as u16);
            assert_eq!((id.name(), NameId::of(name)), (name, Some(id)));
        }
        assert_eq!((NameId::of(""), NameId::of("zzz"), NameId::of("rea")), (None, None, None));
    }

    #[test]
    fn the_arch_table_is_in_declaration_order() {
        for (index, arch) in Arch::all().enumerate() {
            assert_eq!(arch as usize, index);
            assert_eq!(Arch::from_scmp_name(arch.scmp_name()), Ok(arch));
        }
    }

    #[test]
    fn a_number_belongs_to_one_name() {
        for arch in Arch::all() {
            let mut numbers: Vec<u32> =
                arch.table().iter().copied().filter(|number| *number != NO).collect();
            let all = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), all, "{arch:?}");
        }
    }

    #[test]
    fn well_known_numbers_resolve_both_ways() {
        let known = [
            (X86_64, "read", 0),
            (X86_64, "uretprobe", 335),
            (X86_64, "uprobe", 336),
            (X86_64, "file_getattr", 468),
            (X86_64, "rseq_slice_yield", 471),
            (X32, "read", 0x4000_0000),
            (X32, "execve", 0x4000_0000 + 520),
            (X86, "socketcall", 102),
            (Arm, "set_tls", 0xf0005),
            (Aarch64, "openat", 56),
            (Aarch64, "open_tree_attr", 467),
            (Riscv64, "riscv_hwprobe", 258),
            (Mips, "read", 4003),
            (Mips64, "read", 5000),
            (Mips64N32, "read", 6000),
            (S390X, "statmount", 457),
            (Ppc64Le, "mseal", 462),
        ];
        for (arch, name, number) in known {
            assert_eq!(arch.syscall_number(name), Some(number), "{arch:?} {name}");
            assert_eq!(arch.syscall_name(number), Some(name), "{arch:?} {number}");
        }
        assert_eq!(Aarch64.syscall_number("open"), None);
        assert_eq!(X86_64.syscall_number("no_such_call"), None);
    }

    #[test]
    fn an_unknown_architecture_is_named_in_the_error() {
        let error = Arch::from_scmp_name("SCMP_ARCH_VAX").unwrap_err();
        assert!(error.to_string().contains("\"SCMP_ARCH_VAX\""));
    }
}
