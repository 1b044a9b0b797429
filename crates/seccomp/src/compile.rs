//! From a filter to its program: checks what the runtime must refuse, resolves names to numbers
//! per architecture, and decides what every system call number gets. Writing instructions is
//! `codegen`'s, libseccomp's precedence is `order`'s.
//!
//! A program first compares the architecture, the native one first. Within an architecture the
//! whole 32-bit number space is cut into ranges with one answer each and searched binarily, so
//! that a call costs about eight comparisons whatever the profile. The kernel further caches
//! calls that are allowed whatever their arguments (since 5.11), and the instructions used before
//! an argument is looked at are those that cache understands.

use crate::arch::{Arch, NameId, X32_BIT};
use crate::bpf::{Program, MAX_INSNS};
use crate::codegen::{self, Backwards, Body, Layout, Ranges};
use crate::model::{Action, Arg, Filter, Op, Rule, RuleOrder};
use crate::order::{Case, Cases};
use std::fmt;

/// What runtimes answer to calls newer than a profile.
const ENOSYS: Action = Action::Errno(38);

/// Room for a rule's position beside the number and the multiplexed call in a sort key.
const MAX_RULES: usize = 1 << 24;

/// A program and what is to be known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The program.
    pub program: Program,
    /// Names that no architecture has; runc and crun skip them as well.
    pub skipped_unknown: Vec<String>,
    /// Whether any rule notifies, so that loading yields a listener.
    pub uses_notify: bool,
}

/// A filter that cannot be or must not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileError {
    /// NOTIFY as the default action: the runtime itself would wait for its own listener.
    NotifyByDefault,
    /// NOTIFY for write(2), for the same reason.
    NotifyOnWrite,
    /// A rule with an empty name.
    EmptyName,
    /// A comparison of an argument that no system call has.
    ArgIndex {
        /// The rule's first system call.
        syscall: String,
        /// The index given; 5 is the highest.
        index: u32,
    },
    /// Two rules for one call with the same comparisons and different actions.
    Conflict {
        /// The system call.
        syscall: String,
        /// The architecture where they meet.
        arch: Arch,
        /// The two actions, in the order of the rules.
        actions: (Action, Action),
    },
    /// An architecture of the other byte order, whose programs cannot run here.
    ByteOrder {
        /// The architecture listed.
        arch: Arch,
        /// The architecture of this machine.
        native: Arch,
    },
    /// One rule compares more than one jump can pass over.
    RuleTooLong {
        /// The rule's system call.
        syscall: String,
    },
    /// More rules than the compiler counts.
    TooManyRules(usize),
    /// The program is longer than the kernel accepts.
    ProgramTooLong(usize),
}

impl fmt::Display for CompileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompileError::NotifyByDefault => {
                write!(out, "SCMP_ACT_NOTIFY cannot be used as default action")
            }
            CompileError::NotifyOnWrite => {
                write!(out, "SCMP_ACT_NOTIFY cannot be used for the write syscall")
            }
            CompileError::EmptyName => {
                write!(out, "empty string is not a valid syscall in a seccomp rule")
            }
            CompileError::ArgIndex { syscall, index } => {
                write!(out, "seccomp rule for {syscall}: argument index {index} is above 5")
            }
            CompileError::Conflict { syscall, arch, actions: (first, second) } => write!(
                out,
                "seccomp rules for {syscall} on {} overlap with different actions {first:?} and \
                 {second:?}; list the more special rule once or give both one action",
                arch.scmp_name()
            ),
            CompileError::ByteOrder { arch, native } => write!(
                out,
                "seccomp architecture {} has another byte order than this machine's {}",
                arch.scmp_name(),
                native.scmp_name()
            ),
            CompileError::RuleTooLong { syscall } => {
                write!(out, "seccomp rule for {syscall} has too many argument comparisons")
            }
            CompileError::TooManyRules(count) => {
                write!(out, "seccomp filter has {count} rules (at most {MAX_RULES})")
            }
            CompileError::ProgramTooLong(count) => write!(
                out,
                "seccomp filter needs {count} BPF instructions, the kernel takes {MAX_INSNS}; \
                 name fewer architectures or argument rules"
            ),
        }
    }
}

impl std::error::Error for CompileError {}

/// Compiles `filter` for a machine whose own architecture is `native`.
///
/// # Errors
/// [`CompileError`] for a filter that contradicts itself, that would lock up the runtime, or whose
/// program the kernel would refuse.
pub fn compile(filter: &Filter, native: Arch) -> Result<Compiled, CompileError> {
    let uses_notify = check(filter, native)?;
    let (names, skipped_unknown) = Names::resolve(&filter.rules);
    let compiler = Compiler { filter, names: &names, big_endian: native.is_big_endian() };
    let mut program = Backwards::ending_in(filter.bad_arch_action.to_ret());
    for token in tokens(filter, native).into_iter().rev() {
        program.section(token.audit, &compiler.ranges(&token)?);
    }
    let insns = program.finish();
    if insns.len() > MAX_INSNS {
        return Err(CompileError::ProgramTooLong(insns.len()));
    }
    Ok(Compiled { program: Program::new(insns), skipped_unknown, uses_notify })
}

/// Refuses what must not be compiled; answers whether any rule notifies.
fn check(filter: &Filter, native: Arch) -> Result<bool, CompileError> {
    if filter.default_action == Action::Notify {
        return Err(CompileError::NotifyByDefault);
    }
    if filter.rules.len() > MAX_RULES {
        return Err(CompileError::TooManyRules(filter.rules.len()));
    }
    for arch in &filter.archs {
        if arch.is_big_endian() != native.is_big_endian() {
            return Err(CompileError::ByteOrder { arch: *arch, native });
        }
    }
    let mut uses_notify = false;
    for rule in &filter.rules {
        uses_notify |= rule.action == Action::Notify;
        check_rule(rule)?;
    }
    Ok(uses_notify)
}

fn check_rule(rule: &Rule) -> Result<(), CompileError> {
    if rule.names.iter().any(|name| name.is_empty()) {
        return Err(CompileError::EmptyName);
    }
    if rule.action == Action::Notify && rule.names.iter().any(|name| name == "write") {
        return Err(CompileError::NotifyOnWrite);
    }
    match rule.args.iter().find(|arg| arg.index > 5) {
        Some(Arg { index, .. }) => {
            let syscall = rule.names.first().map(|name| name.to_string()).unwrap_or_default();
            Err(CompileError::ArgIndex { syscall, index: *index })
        }
        None => Ok(()),
    }
}

/// One AUDIT_ARCH_* value and the architectures behind it: two for x86_64 with x32, else one.
struct Token {
    audit: u32,
    archs: Vec<Arch>,
}

/// The native architecture first, then the listed ones.
fn tokens(filter: &Filter, native: Arch) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::with_capacity(filter.archs.len() + 1);
    for arch in std::iter::once(native).chain(filter.archs.iter().copied()) {
        let audit = arch.audit_token();
        match tokens.iter_mut().find(|token| token.audit == audit) {
            Some(token) if token.archs.contains(&arch) => {}
            Some(token) => token.archs.push(arch),
            None => tokens.push(Token { audit, archs: vec![arch] }),
        }
    }
    tokens
}

/// The names of all rules, looked up once for all architectures.
struct Names {
    ids: Vec<(u32, NameId)>,
}

impl Names {
    fn resolve(rules: &[Rule]) -> (Names, Vec<String>) {
        let count = rules.iter().map(|rule| rule.names.len()).sum();
        let mut ids = Vec::with_capacity(count);
        let mut unknown = Vec::new();
        for (position, rule) in rules.iter().enumerate() {
            let mut last = None;
            for name in &rule.names {
                let id = match last {
                    Some(last) => NameId::next_of(last, name),
                    None => NameId::of(name),
                };
                last = id.or(last);
                match id {
                    Some(id) => ids.push((position as u32, id)),
                    None => unknown.push(name.to_string()),
                }
            }
        }
        (Names { ids }, unknown)
    }
}

/// A rule that applies to a number: sorts by number, then by the rule's position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry(u64);

impl Entry {
    fn new(nr: u32, rule: u32, call: u8) -> Entry {
        Entry(u64::from(nr) << 32 | u64::from(rule) << 8 | u64::from(call))
    }

    fn nr(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn rule(self) -> usize {
        (self.0 >> 8) as usize & (MAX_RULES - 1)
    }

    /// The first argument of the multiplexer through which the rule's call is reached; 0 for none.
    fn call(self) -> u8 {
        self.0 as u8
    }
}

/// The rules of one architecture, by number.
struct Entries {
    sorted: Vec<Entry>,
    /// The highest number that any rule names, skipped rules included, as runc counts.
    highest: u32,
}

struct Compiler<'a> {
    filter: &'a Filter<'a>,
    names: &'a Names,
    big_endian: bool,
}

impl Compiler<'_> {
    /// What every number gets under one AUDIT_ARCH_* value.
    fn ranges(&self, token: &Token) -> Result<Ranges, CompileError> {
        let mut ranges = Ranges::with_capacity(self.names.ids.len() * 2);
        if token.audit == Arch::X86_64.audit_token() {
            self.x86_64_ranges(&token.archs, &mut ranges)?;
        } else {
            for arch in &token.archs {
                self.arch_ranges(*arch, &mut ranges)?;
            }
        }
        Ok(ranges)
    }

    /// x86_64 and x32 share a token and differ in bit 30. Without x32 its calls are calls of an
    /// unlisted architecture; only -1 is not, with which a tracer skips a call (seccomp(2)).
    fn x86_64_ranges(&self, archs: &[Arch], ranges: &mut Ranges) -> Result<(), CompileError> {
        let bad = Body::Ret(self.filter.bad_arch_action.to_ret());
        let default = Body::Ret(self.filter.default_action.to_ret());
        let with_x32 = archs.contains(&Arch::X32);
        let mut tails = (None, None);
        if archs.contains(&Arch::X86_64) {
            tails.0 = self.arch_ranges(Arch::X86_64, ranges)?;
        } else {
            ranges.from(0, bad.clone());
        }
        if with_x32 {
            tails.1 = self.arch_ranges(Arch::X32, ranges)?;
        } else {
            ranges.from(X32_BIT, bad.clone());
        }
        // Above both ABIs; which of the two a number counts for is again bit 30.
        let beyond = if with_x32 { &default } else { &bad };
        ranges.from(2 * X32_BIT, tails.0.unwrap_or_else(|| beyond.clone()));
        ranges.from(3 * X32_BIT, tails.1.clone().unwrap_or_else(|| beyond.clone()));
        ranges.from(u32::MAX, tails.1.unwrap_or(default));
        Ok(())
    }

    /// Adds one architecture's calls; answers what comes after its last if that is not the default.
    fn arch_ranges(&self, arch: Arch, out: &mut Ranges) -> Result<Option<Body>, CompileError> {
        let entries = self.entries(arch);
        let tail = self.has_tail() && entries.highest != 0;
        let default = Body::Ret(self.filter.default_action.to_ret());
        let enosys = Body::Ret(ENOSYS.to_ret());
        out.from(if arch == Arch::X32 { X32_BIT } else { 0 }, default.clone());
        if tail && matches!(arch, Arch::S390 | Arch::S390X) {
            // Numbers too large for the svc instruction arrive as 0 where the kernel has no call.
            out.from(0, enosys.clone());
            out.from(1, default.clone());
        }
        for group in entries.sorted.chunk_by(|left, right| left.nr() == right.nr()) {
            let nr = group[0].nr();
            if tail && nr > entries.highest {
                break;
            }
            out.from(nr, self.body(arch, group)?);
            out.from(nr + 1, default.clone());
        }
        if tail {
            out.from(entries.highest + 1, enosys.clone());
        }
        Ok(tail.then_some(enosys))
    }

    fn has_tail(&self) -> bool {
        let runs =
            matches!(self.filter.default_action, Action::Allow | Action::Log | Action::Trace(_));
        self.filter.enosys_tail && !runs
    }

    fn entries(&self, arch: Arch) -> Entries {
        let like_libseccomp = self.filter.order == RuleOrder::Libseccomp;
        let mut sorted = Vec::with_capacity(self.names.ids.len());
        let mut highest = 0;
        for (rule, id) in &self.names.ids {
            let direct = arch.number(*id);
            let multiplexed = if like_libseccomp { arch.multiplexed(*id) } else { None };
            if let (Some(nr), None) = (direct, multiplexed) {
                highest = highest.max(nr);
            }
            if like_libseccomp
                && self.filter.rules[*rule as usize].action == self.filter.default_action
            {
                continue;
            }
            sorted.extend(direct.map(|nr| Entry::new(nr, *rule, 0)));
            sorted.extend(multiplexed.map(|mux| Entry::new(mux.number, *rule, mux.call)));
        }
        sorted.sort_unstable();
        Entries { sorted, highest }
    }

    /// What the calls of one number get.
    fn body(&self, arch: Arch, group: &[Entry]) -> Result<Body, CompileError> {
        let first = &self.filter.rules[group[0].rule()];
        if first.args.is_empty() && group[0].call() == 0 {
            // Under either order nothing later changes this.
            return Ok(Body::Ret(first.action.to_ret()));
        }
        let cases = match self.filter.order {
            RuleOrder::Libseccomp => self.libseccomp_cases(arch, group)?,
            RuleOrder::FirstMatch => self.first_match_cases(arch, group),
        };
        let rest = cases.rest.unwrap_or(self.filter.default_action);
        let special = without_trailing(&cases.special, rest);
        if special.is_empty() {
            return Ok(Body::Ret(rest.to_ret()));
        }
        let layout = Layout { wide: arch.has_wide_args(), big_endian: self.big_endian };
        codegen::cases(special, rest.to_ret(), layout)
            .map(Body::Code)
            .ok_or_else(|| CompileError::RuleTooLong { syscall: name(arch, group) })
    }

    fn libseccomp_cases(&self, arch: Arch, group: &[Entry]) -> Result<Cases, CompileError> {
        let mut cases = Cases::default();
        for entry in group {
            let rule = &self.filter.rules[entry.rule()];
            for args in alternatives(&rule.args) {
                let mut tests = args.to_vec();
                if entry.call() != 0 {
                    tests.retain(|arg| arg.index != 0);
                    tests.push(Arg::new(0, Op::Eq, u64::from(entry.call())));
                }
                let case = Case { tests: normal(tests, arch), action: rule.action };
                cases.add(case).map_err(|conflict| CompileError::Conflict {
                    syscall: name(arch, group),
                    arch,
                    actions: (conflict.0, conflict.1),
                })?;
            }
        }
        cases.sort();
        Ok(cases)
    }

    fn first_match_cases(&self, arch: Arch, group: &[Entry]) -> Cases {
        let mut cases = Cases::default();
        for entry in group {
            let rule = &self.filter.rules[entry.rule()];
            let tests = normal(rule.args.clone(), arch);
            if tests.is_empty() {
                cases.rest = Some(rule.action);
                break;
            }
            cases.special.push(Case { tests, action: rule.action });
        }
        cases
    }
}

/// The separate rules that runc makes of one whose comparisons name an argument twice; usually one.
fn alternatives(args: &[Arg]) -> Vec<&[Arg]> {
    let repeats =
        (1..args.len()).any(|at| args[..at].iter().any(|arg| arg.index == args[at].index));
    if repeats {
        args.chunks(1).collect()
    } else {
        vec![args]
    }
}

/// In the order of the arguments and without comparisons that always hold.
fn normal(mut tests: Vec<Arg>, arch: Arch) -> Vec<Arg> {
    let bits = if arch.has_wide_args() { u64::MAX } else { u64::from(u32::MAX) };
    tests.retain(|arg| arg.op != Op::MaskedEq || arg.value & bits != 0);
    tests.sort_by_key(|arg| arg.index);
    tests
}

/// The cases before those at the end that answer what the rest answers anyway.
fn without_trailing(cases: &[Case], rest: Action) -> &[Case] {
    let needed = cases.iter().rposition(|case| case.action != rest).map_or(0, |last| last + 1);
    &cases[..needed]
}

fn name(arch: Arch, group: &[Entry]) -> String {
    let nr = group[0].nr();
    arch.syscall_name(nr).map_or_else(|| nr.to_string(), str::to_owned)
}
