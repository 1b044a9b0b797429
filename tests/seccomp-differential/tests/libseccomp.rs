//! The same filters through libseccomp, added as runc adds them, and through casemate's compiler;
//! both programs run in the same interpreter over every system call number of every architecture
//! and over sampled arguments, and must give the same answer. Where they do not, a third, direct
//! evaluation of the rules says who is right.
//!
//! Byte order: libseccomp can write programs for machines of the other byte order, but spoils
//! return values in long ones (they are swapped twice), so big-endian machines get short filters.
//!
//! Not compared, because libseccomp has no part in it: the ENOSYS answer to newer calls (runc
//! patches that in afterwards), and names newer than the installed libseccomp.

#[path = "../../../crates/seccomp/tests/common/mod.rs"]
mod common;

use casemate_seccomp::{
    compile, default_rules, Action, Arch, Arg, CompileError, Filter, Op, Program, Rule, SeccompData,
};
use common::Random;
use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
};
use std::io::{Read, Seek};

const LITTLE: [(Arch, ScmpArch); 9] = [
    (Arch::X86_64, ScmpArch::X8664),
    (Arch::X86, ScmpArch::X86),
    (Arch::X32, ScmpArch::X32),
    (Arch::Aarch64, ScmpArch::Aarch64),
    (Arch::Arm, ScmpArch::Arm),
    (Arch::Riscv64, ScmpArch::Riscv64),
    (Arch::Ppc64Le, ScmpArch::Ppc64Le),
    (Arch::Mipsel64, ScmpArch::Mipsel64),
    (Arch::Mipsel, ScmpArch::Mipsel),
];
const BIG: [(Arch, ScmpArch); 7] = [
    (Arch::S390X, ScmpArch::S390X),
    (Arch::S390, ScmpArch::S390),
    (Arch::Ppc64, ScmpArch::Ppc64),
    (Arch::Ppc, ScmpArch::Ppc),
    (Arch::Mips, ScmpArch::Mips),
    (Arch::Mips64, ScmpArch::Mips64),
    (Arch::Parisc64, ScmpArch::Parisc64),
];

fn scmp_arch(arch: Arch) -> ScmpArch {
    let found = LITTLE.iter().chain(&BIG).find(|(known, _)| *known == arch);
    found.expect("an architecture of the tables above").1
}

fn scmp_action(action: Action) -> ScmpAction {
    match action {
        Action::KillProcess => ScmpAction::KillProcess,
        Action::KillThread => ScmpAction::KillThread,
        Action::Trap => ScmpAction::Trap,
        Action::Errno(errno) => ScmpAction::Errno(i32::from(errno)),
        Action::Trace(value) => ScmpAction::Trace(value),
        Action::Log => ScmpAction::Log,
        Action::Allow => ScmpAction::Allow,
        Action::Notify => ScmpAction::Notify,
    }
}

fn scmp_compare(arg: &Arg) -> ScmpArgCompare {
    let (op, datum) = match arg.op {
        Op::Ne => (ScmpCompareOp::NotEqual, arg.value),
        Op::Lt => (ScmpCompareOp::Less, arg.value),
        Op::Le => (ScmpCompareOp::LessOrEqual, arg.value),
        Op::Eq => (ScmpCompareOp::Equal, arg.value),
        Op::Ge => (ScmpCompareOp::GreaterEqual, arg.value),
        Op::Gt => (ScmpCompareOp::Greater, arg.value),
        Op::MaskedEq => (ScmpCompareOp::MaskedEqual(arg.value), arg.value_two),
    };
    ScmpArgCompare::new(arg.index, op, datum)
}

/// libseccomp's program, or `None` where it refuses a rule.
fn libseccomp_program(filter: &Filter, native: Arch) -> Option<Program> {
    let mut context = ScmpFilterContext::new(scmp_action(filter.default_action)).unwrap();
    if native != Arch::X86_64 {
        context.remove_arch(ScmpArch::Native).unwrap();
        context.add_arch(scmp_arch(native)).unwrap();
    }
    for arch in &filter.archs {
        context.add_arch(scmp_arch(*arch)).unwrap();
    }
    for rule in filter.rules.iter().filter(|rule| rule.action != filter.default_action) {
        add(&mut context, rule)?;
    }
    let mut file = tempfile::tempfile().unwrap();
    context.export_bpf(&file).unwrap();
    file.rewind().unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    if native.is_big_endian() {
        bytes.chunks_exact_mut(8).for_each(|insn| {
            insn[..2].reverse();
            insn[4..].reverse();
        });
    }
    Some(Program::from_bytes(&bytes).unwrap())
}

fn add(context: &mut ScmpFilterContext, rule: &Rule) -> Option<()> {
    let action = scmp_action(rule.action);
    let compares: Vec<ScmpArgCompare> = rule.args.iter().map(scmp_compare).collect();
    let alternatives: Vec<&[ScmpArgCompare]> =
        if has_repeats(&rule.args) { compares.chunks(1).collect() } else { vec![&compares] };
    for name in &rule.names {
        let syscall = ScmpSyscall::from_name(name).unwrap();
        for compares in &alternatives {
            context.add_rule_conditional(action, syscall, compares).ok()?;
        }
    }
    Some(())
}

/// Leaves out names that the installed libseccomp does not know on some architecture.
fn known_to_both(mut filter: Filter<'static>, native: Arch) -> Filter<'static> {
    let archs: Vec<Arch> = std::iter::once(native).chain(filter.archs.iter().copied()).collect();
    let known = |name: &str, arch: Arch| {
        let theirs = ScmpSyscall::from_name_by_arch(name, scmp_arch(arch)).map(i32::from);
        // Below -1 are libseccomp's own numbers for calls that go through a multiplexer.
        matches!(theirs, Ok(number) if arch.syscall_number(name).is_none() || number >= 0 || (-224..=-100).contains(&number))
    };
    for rule in &mut filter.rules {
        rule.names.retain(|name| archs.iter().all(|arch| known(name, *arch)));
    }
    filter.enosys_tail = false;
    filter
}

fn numbers() -> impl Iterator<Item = u32> {
    let edges = [0x3fff_ffff, 0x7fff_ffff, 0x8000_0000, 0xbfff_ffff, 0xc000_0000, u32::MAX];
    let mips = (4000..4500).chain(5000..5500);
    (0..600).chain(mips).chain(0x4000_0000..0x4000_0258).chain(0xf_0000..0xf_0008).chain(edges)
}

/// Values that separate the rules of `filter`, and some at random.
fn samples(filter: &Filter, random: &mut Random) -> Vec<u64> {
    let args = filter.rules.iter().flat_map(|rule| &rule.args);
    let mut values: Vec<u64> = args.flat_map(|arg| [arg.value, arg.value_two]).collect();
    values.extend([0, 1, 2, 9, 16, 17, 40, u64::MAX, random.next(), random.next()]);
    values
}

/// How often the two programs were asked and where they differed.
#[derive(Debug, Default)]
struct Tally {
    asked: u64,
    /// libseccomp answered what no rule that holds (and no default) says.
    their_fault: u64,
    /// Several rules with different actions hold and each took another one.
    other_order: u64,
}

/// Puts every number and `rounds` samples of arguments to both programs. Where they differ, the
/// rules themselves are asked: an answer of ours that no rule gives fails the test.
fn compare(filter: &Filter, native: Arch, rounds: usize, random: &mut Random) -> Tally {
    let mut tally = Tally::default();
    let Some(theirs) = libseccomp_program(filter, native) else {
        return tally;
    };
    let ours = compile(filter, native).unwrap().program;
    let values = samples(filter, random);
    for arch in std::iter::once(native).chain(filter.archs.iter().copied()) {
        for nr in numbers() {
            for _ in 0..rounds {
                let args = std::array::from_fn(|_| {
                    random.pick(&values).wrapping_add(random.below(3)).wrapping_sub(1)
                });
                let data = SeccompData::new(arch, nr, args);
                let theirs = theirs.evaluate(native, &data).unwrap().action();
                let ours = ours.evaluate(native, &data).unwrap().action();
                tally.asked += 1;
                if ours != theirs {
                    tally.judge(filter, (arch, nr, &args), ours, theirs);
                }
            }
        }
    }
    tally
}

impl Tally {
    fn judge(
        &mut self,
        filter: &Filter,
        call: (Arch, u32, &[u64; 6]),
        ours: Action,
        theirs: Action,
    ) {
        let (arch, nr, args) = call;
        let arch = match arch {
            Arch::X86_64 | Arch::X32 if nr >> 30 == 1 => Arch::X32,
            Arch::X86_64 | Arch::X32 => Arch::X86_64,
            other => other,
        };
        let said = what_rules_say(filter, arch, nr, args);
        let of_call = |rule: &&Rule| rule.names.iter().any(|name| reach(arch, name, nr).is_some());
        assert!(
            said.contains(&ours),
            "{arch:?} {nr} {args:x?}: casemate {ours:?}, libseccomp {theirs:?}, rules {said:?}\n{:#?}",
            filter.rules.iter().filter(of_call).collect::<Vec<_>>()
        );
        if said.contains(&theirs) {
            self.other_order += 1;
        } else {
            self.their_fault += 1;
        }
    }
}

/// The actions of all rules that hold, or the default action, evaluated without any program.
fn what_rules_say(filter: &Filter, arch: Arch, nr: u32, args: &[u64; 6]) -> Vec<Action> {
    let mut said = Vec::new();
    for rule in filter.rules.iter().filter(|rule| rule.action != filter.default_action) {
        for reached in rule.names.iter().filter_map(|name| reach(arch, name, nr)) {
            let repeats = has_repeats(&rule.args);
            let mut results = rule.args.iter().map(|arg| match reached {
                Some(call) if arg.index == 0 => args[0] as u32 == call,
                _ => holds(arg, args, arch),
            });
            let args_hold = if repeats { results.any(|it| it) } else { results.all(|it| it) };
            if args_hold && reached.is_none_or(|call| args[0] as u32 == call) {
                said.push(rule.action);
            }
        }
    }
    if said.is_empty() {
        said.push(filter.default_action);
    }
    said
}

/// Whether `nr` is the way to `name`: directly (`Some(None)`) or through a multiplexer, then with
/// the number of the call in it.
fn reach(arch: Arch, name: &str, nr: u32) -> Option<Option<u32>> {
    const CALLS: [(&str, &str, u32); 4] = [
        ("socket", "socketcall", 1),
        ("sendto", "socketcall", 11),
        ("shmget", "ipc", 23),
        ("semop", "ipc", 1),
    ];
    if arch.syscall_number(name) == Some(nr) {
        return Some(None);
    }
    let call = CALLS.iter().find(|(known, ..)| *known == name)?;
    (arch.syscall_number(call.1) == Some(nr)).then_some(Some(call.2))
}

fn has_repeats(args: &[Arg]) -> bool {
    let indexes = |at: usize| args[..at].iter().any(|other| other.index == args[at].index);
    (0..args.len()).any(indexes)
}

fn holds(arg: &Arg, args: &[u64; 6], arch: Arch) -> bool {
    let narrow = [Arch::X86, Arch::X32, Arch::Arm, Arch::Mipsel, Arch::S390, Arch::Ppc, Arch::Mips];
    let cut = |value: u64| if narrow.contains(&arch) { value & 0xffff_ffff } else { value };
    let (actual, value) = (cut(args[arg.index as usize]), cut(arg.value));
    match arg.op {
        Op::Ne => actual != value,
        Op::Lt => actual < value,
        Op::Le => actual <= value,
        Op::Eq => actual == value,
        Op::Ge => actual >= value,
        Op::Gt => actual > value,
        Op::MaskedEq => actual & value == arg.value_two & value,
    }
}

#[test]
fn numbers_agree_wherever_libseccomp_knows_the_name() {
    let mut compared = 0;
    for (arch, scmp) in LITTLE.into_iter().chain(BIG) {
        for name in (0..8000).chain(0xf_0000..0xf_0008).filter_map(|nr| arch.syscall_name(nr)) {
            let theirs = ScmpSyscall::from_name_by_arch(name, scmp).map(i32::from);
            if let Ok(number @ 0..) = theirs {
                assert_eq!(arch.syscall_number(name), Some(number as u32), "{arch:?} {name}");
                compared += 1;
            }
        }
    }
    assert!(compared > 4000, "{compared}");
}

#[test]
fn the_filter_that_podman_writes_is_decided_alike() {
    let filter = known_to_both(common::podman_filter(), Arch::X86_64);
    alike(compare(&filter, Arch::X86_64, 8, &mut Random(3)));
}

#[test]
fn a_filter_like_mobys_is_decided_alike_on_every_architecture() {
    for (native, _) in LITTLE {
        let others = LITTLE.iter().map(|(arch, _)| *arch).filter(|arch| *arch != native);
        let mut filter = Filter::new(Action::Errno(1));
        filter.archs = others.collect();
        for rule in default_rules().iter().filter(|rule| rule.action == Action::Allow) {
            let names = rule.names().map(Into::into).collect();
            filter.rules.push(Rule { names, action: rule.action, args: rule.args.to_vec() });
        }
        alike(compare(&known_to_both(filter, native), native, 1, &mut Random(4)));
    }
}

#[test]
fn random_filters_with_one_action_are_decided_alike() {
    let mut random = Random(5);
    let mut sum = Tally::default();
    for round in 0..150 {
        let machine = if round % 3 == 0 { &BIG[..] } else { &LITTLE[..] };
        let filter = random_filter(&mut random, machine, &[Action::Allow]);
        sum.add(compare(&filter, machine[0].0, 2, &mut random));
    }
    assert!(sum.other_order == 0, "{sum:?}");
    sum.is_nearly_alike();
}

#[test]
fn random_filters_with_several_actions_are_decided_alike() {
    let mut random = Random(6);
    let actions = [Action::Allow, Action::Errno(5), Action::Trap];
    let mut sum = Tally::default();
    let mut refused = 0;
    for _ in 0..300 {
        let filter = random_filter(&mut random, &LITTLE[..5], &actions);
        let we_refuse =
            matches!(compile(&filter, Arch::X86_64), Err(CompileError::Conflict { .. }));
        let they_refuse = libseccomp_program(&filter, Arch::X86_64).is_none();
        assert_eq!(we_refuse, they_refuse, "{filter:#?}");
        if we_refuse {
            refused += 1;
        } else {
            sum.add(compare(&filter, Arch::X86_64, 4, &mut random));
        }
    }
    assert!(refused > 50, "only {refused} contradictory filters tried");
    sum.is_nearly_alike();
}

fn alike(tally: Tally) {
    assert!(tally.asked > 10_000 && tally.their_fault == 0 && tally.other_order == 0, "{tally:?}");
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.asked += other.asked;
        self.their_fault += other.their_fault;
        self.other_order += other.other_order;
    }

    /// Random rules overlap as no profile does. What is left of differences there is accepted:
    /// libseccomp (2.5.4, 2.6.0) misjudges some values wider than 32 bits on 32-bit architectures
    /// and some trees that it prunes, and orders comparisons that share only a half of their value
    /// by its tree of halves.
    fn is_nearly_alike(&self) {
        let differing = self.their_fault + self.other_order;
        println!("{self:?}");
        assert!(differing * 20_000 < self.asked, "{self:?}");
    }
}

fn random_filter(
    random: &mut Random,
    machine: &[(Arch, ScmpArch)],
    actions: &[Action],
) -> Filter<'static> {
    const NAMES: [&str; 9] =
        ["read", "clone", "ioctl", "socket", "personality", "shmget", "sendto", "bpf", "semop"];
    const OPS: [Op; 7] = [Op::Ne, Op::Lt, Op::Le, Op::Eq, Op::Ge, Op::Gt, Op::MaskedEq];
    const VALUES: [u64; 8] =
        [0, 1, 16, 40, 0xffff_ffff, 0x1_0000_0001, 0x7e02_0000, 0x8000_0000_0000_0000];
    let mut filter = Filter::new(Action::Errno(1));
    filter.enosys_tail = false;
    filter.archs = machine[1..].iter().map(|(arch, _)| *arch).collect();
    for _ in 0..random.below(8) + 1 {
        let names = vec![random.pick(&NAMES).into(), random.pick(&NAMES).into()];
        let arg = |random: &mut Random| Arg {
            index: random.below(3) as u32,
            value: random.pick(&VALUES),
            value_two: random.pick(&VALUES),
            op: random.pick(&OPS),
        };
        let args = (0..random.below(3)).map(|_| arg(random)).collect();
        filter.rules.push(Rule { names, action: random.pick(actions), args });
    }
    filter
}
