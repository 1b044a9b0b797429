//! What a filter says, before it is a program: actions, comparisons, rules, flags, in the terms of
//! the runtime specification's `linux.seccomp`. Reading the specification's names is here; reading
//! JSON is the caller's, and what a set of rules means together is the compiler's.

use crate::arch::Arch;
use std::borrow::Cow;
use std::fmt;

/// EPERM, what the specification prescribes where `errnoRet` is absent.
const DEFAULT_ERRNO: u32 = 1;

/// What happens to a system call (seccomp(2), "Return values").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The whole process dies with SIGSYS.
    KillProcess,
    /// The calling thread dies with SIGSYS.
    KillThread,
    /// The thread gets a SIGSYS it may handle.
    Trap,
    /// The call fails with this errno. The kernel lowers values above 4095 to 4095.
    Errno(u16),
    /// A tracer is asked; it sees this value. Without a tracer the call fails with ENOSYS.
    Trace(u16),
    /// The call runs and is logged.
    Log,
    /// The call runs.
    Allow,
    /// The listener is asked (seccomp_unotify(2)).
    Notify,
}

impl Action {
    /// The action of a specification name and the `errnoRet` (or `defaultErrnoRet`) beside it.
    ///
    /// # Errors
    /// An unknown name; an errno above 65535; an errno beside an action that has none, which the
    /// specification wants refused.
    pub fn from_scmp_name(name: &str, errno: Option<u32>) -> Result<Action, ParseError> {
        let wide = errno.unwrap_or(DEFAULT_ERRNO);
        let value = u16::try_from(wide).map_err(|_| ParseError::ErrnoTooLarge(wide));
        let plain = match name {
            "SCMP_ACT_ERRNO" => return Ok(Action::Errno(value?)),
            "SCMP_ACT_TRACE" => return Ok(Action::Trace(value?)),
            "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
            "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
            "SCMP_ACT_TRAP" => Action::Trap,
            "SCMP_ACT_LOG" => Action::Log,
            "SCMP_ACT_ALLOW" => Action::Allow,
            "SCMP_ACT_NOTIFY" => Action::Notify,
            _ => return Err(ParseError::Action(name.to_owned())),
        };
        match errno {
            Some(errno) => Err(ParseError::ErrnoWithout { action: name.to_owned(), errno }),
            None => Ok(plain),
        }
    }

    /// The 32-bit value that a program returns for this action (linux/seccomp.h, SECCOMP_RET_*).
    pub const fn to_ret(self) -> u32 {
        match self {
            Action::KillProcess => 0x8000_0000,
            Action::KillThread => 0,
            Action::Trap => 0x0003_0000,
            Action::Errno(errno) => 0x0005_0000 | errno as u32,
            Action::Notify => 0x7fc0_0000,
            Action::Trace(value) => 0x7ff0_0000 | value as u32,
            Action::Log => 0x7ffc_0000,
            Action::Allow => 0x7fff_0000,
        }
    }

    /// The action of a value that a program returned; `None` for one that seccomp(2) does not name
    /// (the kernel then kills the process).
    pub const fn from_ret(ret: u32) -> Option<Action> {
        let data = (ret & 0xffff) as u16;
        match ret & 0xffff_0000 {
            0x8000_0000 => Some(Action::KillProcess),
            0 => Some(Action::KillThread),
            0x0003_0000 => Some(Action::Trap),
            0x0005_0000 => Some(Action::Errno(data)),
            0x7fc0_0000 => Some(Action::Notify),
            0x7ff0_0000 => Some(Action::Trace(data)),
            0x7ffc_0000 => Some(Action::Log),
            0x7fff_0000 => Some(Action::Allow),
            _ => None,
        }
    }

    /// The specification's name.
    pub const fn scmp_name(self) -> &'static str {
        match self {
            Action::KillProcess => "SCMP_ACT_KILL_PROCESS",
            Action::KillThread => "SCMP_ACT_KILL_THREAD",
            Action::Trap => "SCMP_ACT_TRAP",
            Action::Errno(_) => "SCMP_ACT_ERRNO",
            Action::Trace(_) => "SCMP_ACT_TRACE",
            Action::Log => "SCMP_ACT_LOG",
            Action::Allow => "SCMP_ACT_ALLOW",
            Action::Notify => "SCMP_ACT_NOTIFY",
        }
    }

    /// Every action name that [`Action::from_scmp_name`] knows.
    pub const SCMP_NAMES: [&'static str; 9] = [
        "SCMP_ACT_ALLOW",
        "SCMP_ACT_ERRNO",
        "SCMP_ACT_KILL",
        "SCMP_ACT_KILL_PROCESS",
        "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_LOG",
        "SCMP_ACT_NOTIFY",
        "SCMP_ACT_TRACE",
        "SCMP_ACT_TRAP",
    ];
}

/// How an argument is compared with a rule's value. Comparisons are unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Differs from `value`.
    Ne,
    /// Below `value`.
    Lt,
    /// At most `value`.
    Le,
    /// Is `value`.
    Eq,
    /// At least `value`.
    Ge,
    /// Above `value`.
    Gt,
    /// The bits of the argument that `value` selects are those of `value_two`.
    MaskedEq,
}

impl Op {
    /// Every operator name of the specification, with the operator.
    const TABLE: [(&'static str, Op); 7] = [
        ("SCMP_CMP_EQ", Op::Eq),
        ("SCMP_CMP_GE", Op::Ge),
        ("SCMP_CMP_GT", Op::Gt),
        ("SCMP_CMP_LE", Op::Le),
        ("SCMP_CMP_LT", Op::Lt),
        ("SCMP_CMP_MASKED_EQ", Op::MaskedEq),
        ("SCMP_CMP_NE", Op::Ne),
    ];

    /// Every operator name that [`Op::from_scmp_name`] knows.
    pub fn scmp_names() -> impl Iterator<Item = &'static str> {
        Self::TABLE.iter().map(|(name, _)| *name)
    }

    /// The operator of a specification name such as `SCMP_CMP_EQ`.
    ///
    /// # Errors
    /// The name, where the specification has no such operator.
    pub fn from_scmp_name(name: &str) -> Result<Op, ParseError> {
        let found = Self::TABLE.iter().find(|(known, _)| *known == name);
        found.map(|(_, op)| *op).ok_or_else(|| ParseError::Op(name.to_owned()))
    }
}

/// One comparison of one system call argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arg {
    /// Which argument, 0 to 5.
    pub index: u32,
    /// The value compared with; the mask for [`Op::MaskedEq`].
    pub value: u64,
    /// Used by [`Op::MaskedEq`] only: the bits expected under the mask.
    pub value_two: u64,
    /// The comparison.
    pub op: Op,
}

impl Arg {
    /// A comparison with one value.
    pub const fn new(index: u32, op: Op, value: u64) -> Arg {
        Arg { index, value, value_two: 0, op }
    }

    /// `argument & mask == expected`.
    pub const fn masked(index: u32, mask: u64, expected: u64) -> Arg {
        Arg { index, value: mask, value_two: expected, op: Op::MaskedEq }
    }
}

/// One rule: the action for calls of any of `names` whose arguments pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// System call names. One that no architecture knows is skipped and reported.
    pub names: Vec<Cow<'a, str>>,
    /// What happens to a call that matches.
    pub action: Action,
    /// All must hold; none means every call matches. See [`RuleOrder`] for two on one argument.
    pub args: Vec<Arg>,
}

/// What several rules for one system call mean together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuleOrder {
    /// What runc and crun make of them with libseccomp: a rule whose action is the default action
    /// is left out; a rule without arguments beats all with arguments, and the first such rule
    /// beats later ones; comparisons of one rule that name the same argument twice are separate
    /// rules; rules with arguments and different actions are tried in the order of libseccomp's
    /// tree, not of the file.
    #[default]
    Libseccomp,
    /// The rules are tried as they are listed and the first that matches decides; all comparisons
    /// of a rule must hold. What casemate's own filters use, because a denied special case before
    /// an allowed rest can be written no other way.
    FirstMatch,
}

/// The flags of seccomp(2) that the specification lets a bundle ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// SECCOMP_FILTER_FLAG_TSYNC. Accepted and without effect: a single-threaded runtime has no
    /// other thread to synchronise, and exec(2) would end it.
    pub tsync: bool,
    /// SECCOMP_FILTER_FLAG_LOG: log every action but ALLOW.
    pub log: bool,
    /// SECCOMP_FILTER_FLAG_SPEC_ALLOW: no speculative store bypass mitigation.
    pub spec_allow: bool,
    /// SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: a notified task waits for its listener killably.
    pub wait_killable_recv: bool,
}

impl Flags {
    /// Every flag name of the specification.
    pub const NAMES: [&'static str; 4] = [
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ];

    /// What runtimes use when a bundle does not have the property: SPEC_ALLOW alone.
    pub const fn when_absent() -> Flags {
        Flags { tsync: false, log: false, spec_allow: true, wait_killable_recv: false }
    }

    /// The flags of the specification's names; an empty list is no flag at all.
    ///
    /// # Errors
    /// The first name that the specification does not have.
    pub fn from_names<S: AsRef<str>>(names: &[S]) -> Result<Flags, ParseError> {
        let mut flags = Flags::default();
        for name in names {
            match name.as_ref() {
                "SECCOMP_FILTER_FLAG_TSYNC" => flags.tsync = true,
                "SECCOMP_FILTER_FLAG_LOG" => flags.log = true,
                "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => flags.spec_allow = true,
                "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => flags.wait_killable_recv = true,
                unknown => return Err(ParseError::Flag(unknown.to_owned())),
            }
        }
        Ok(flags)
    }

    /// The bits for seccomp(2). `uses_notify` adds NEW_LISTENER, without which the kernel refuses
    /// WAIT_KILLABLE_RECV with EINVAL; so that one is left out where no rule notifies.
    pub const fn kernel_bits(self, uses_notify: bool) -> u32 {
        let log = (self.log as u32) << 1;
        let spec_allow = (self.spec_allow as u32) << 2;
        let listener = (uses_notify as u32) << 3;
        let killable = ((self.wait_killable_recv && uses_notify) as u32) << 5;
        log | spec_allow | listener | killable
    }
}

/// A whole filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter<'a> {
    /// For every call that no rule matches.
    pub default_action: Action,
    /// For calls through an architecture that is not in `archs`; KILL_THREAD in runc and crun.
    pub bad_arch_action: Action,
    /// Architectures beside the native one, which is always part of the filter.
    pub archs: Vec<Arch>,
    /// In the order of the file.
    pub rules: Vec<Rule<'a>>,
    /// How the program is to be loaded; the compiler does not look at them.
    pub flags: Flags,
    /// What several rules for one call mean.
    pub order: RuleOrder,
    /// Answer ENOSYS to calls numbered above the highest one that any rule names, unless the
    /// default action lets calls run (ALLOW, LOG, TRACE). runc does so: a new C library then sees
    /// "no such call" and falls back, where a profile older than the call would have said EPERM.
    pub enosys_tail: bool,
}

impl Filter<'_> {
    /// A filter without rules, for the native architecture, with what runc does by default.
    pub fn new(default_action: Action) -> Self {
        Filter {
            default_action,
            bad_arch_action: Action::KillThread,
            archs: Vec::new(),
            rules: Vec::new(),
            flags: Flags::when_absent(),
            order: RuleOrder::Libseccomp,
            enosys_tail: true,
        }
    }
}

/// A value that the runtime specification does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Not an SCMP_ACT_* name.
    Action(String),
    /// Not an SCMP_CMP_* name.
    Op(String),
    /// Not a SECCOMP_FILTER_FLAG_* name.
    Flag(String),
    /// An errno that does not fit a filter's 16 bits.
    ErrnoTooLarge(u32),
    /// An errno beside an action that takes none.
    ErrnoWithout {
        /// The action's name.
        action: String,
        /// The errno beside it.
        errno: u32,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseError::Action(name) => {
                write!(out, "unknown seccomp action {name:?} (such as SCMP_ACT_ERRNO)")
            }
            ParseError::Op(name) => {
                write!(out, "unknown seccomp operator {name:?} (such as SCMP_CMP_EQ)")
            }
            ParseError::Flag(name) => {
                write!(out, "unknown seccomp flag {name:?} (one of {})", Flags::NAMES.join(", "))
            }
            ParseError::ErrnoTooLarge(errno) => {
                write!(out, "seccomp errno {errno} is too large (at most 65535)")
            }
            ParseError::ErrnoWithout { action, errno } => {
                write!(out, "seccomp action {action} takes no errno, but {errno} is given")
            }
        }
    }
}

impl std::error::Error for ParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_survive_the_way_to_the_kernel_value_and_back() {
        for name in Action::SCMP_NAMES {
            let action = Action::from_scmp_name(name, None).unwrap();
            assert_eq!(Action::from_ret(action.to_ret()), Some(action));
        }
        assert_eq!(Action::from_scmp_name("SCMP_ACT_ERRNO", None), Ok(Action::Errno(1)));
        assert_eq!(Action::from_scmp_name("SCMP_ACT_TRACE", Some(7)), Ok(Action::Trace(7)));
    }

    #[test]
    fn bad_values_are_named() {
        let cases = [
            (Action::from_scmp_name("SCMP_ACT_PET", None).unwrap_err(), "SCMP_ACT_PET"),
            (Action::from_scmp_name("SCMP_ACT_ALLOW", Some(5)).unwrap_err(), "SCMP_ACT_ALLOW"),
            (Action::from_scmp_name("SCMP_ACT_ERRNO", Some(65536)).unwrap_err(), "65536"),
            (Op::from_scmp_name("SCMP_CMP_ISH").unwrap_err(), "SCMP_CMP_ISH"),
            (Flags::from_names(&["SECCOMP_FILTER_FLAG_FAST"]).unwrap_err(), "FLAG_FAST"),
        ];
        for (error, word) in cases {
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn wait_killable_is_only_asked_for_with_a_listener() {
        let flags = Flags::from_names(&Flags::NAMES).unwrap();
        assert_eq!(flags.kernel_bits(false), 0b0110);
        assert_eq!(flags.kernel_bits(true), 0b10_1110);
        assert_eq!(Flags::when_absent().kernel_bits(false), 0b100);
    }
}
