//! Compiled programs against the meaning of the rules: for many random filters, every system call
//! number of every architecture and arguments around each rule's values are put to the program and
//! to a direct evaluation written from the description of `RuleOrder`, independent of the compiler.

#![allow(clippy::unwrap_used)]

mod common;

use casemate_seccomp::{
    compile, default_filter, Action, Arch, Arg, Filter, Op, Program, Rule, RuleOrder, SeccompData,
    Variant, Verdict,
};
use common::Random;
use std::borrow::Cow;

const NAMES: [&str; 14] = [
    "read",
    "write",
    "openat",
    "clone",
    "ioctl",
    "socket",
    "personality",
    "mseal",
    "futex_waitv",
    "bpf",
    "restart_syscall",
    "shmget",
    "no_such_call",
    "file_getattr",
];
const OPS: [Op; 7] = [Op::Ne, Op::Lt, Op::Le, Op::Eq, Op::Ge, Op::Gt, Op::MaskedEq];
const VALUES: [u64; 10] = [
    0,
    1,
    16,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    0x7e02_0000,
    1 << 63,
    u64::MAX,
    0x1234_5678_9abc_def0,
];
const ACTIONS: [Action; 4] = [Action::Allow, Action::Errno(1), Action::Log, Action::Trap];

fn random_filter(random: &mut Random, order: RuleOrder, archs: &[Arch]) -> Filter<'static> {
    let mut filter = Filter::new(random.pick(&ACTIONS));
    filter.order = order;
    filter.archs = archs.to_vec();
    filter.enosys_tail = false;
    for _ in 0..random.below(12) {
        let count = random.below(4) as usize;
        let names = (0..=count).map(|_| Cow::Borrowed(random.pick(&NAMES))).collect();
        let args = (0..random.below(4)).map(|_| random_arg(random)).collect();
        filter.rules.push(Rule { names, action: random.pick(&ACTIONS), args });
    }
    filter
}

fn random_arg(random: &mut Random) -> Arg {
    let (index, value) = (random.below(6) as u32, random.pick(&VALUES));
    Arg { index, value, value_two: random.pick(&VALUES), op: random.pick(&OPS) }
}

fn holds(arg: &Arg, args: &[u64; 6], wide: bool) -> bool {
    let cut = |value: u64| if wide { value } else { value & 0xffff_ffff };
    let (actual, value) = (cut(args[arg.index as usize]), cut(arg.value));
    match arg.op {
        Op::Ne => actual != value,
        Op::Lt => actual < value,
        Op::Le => actual <= value,
        Op::Eq => actual == value,
        Op::Ge => actual >= value,
        Op::Gt => actual > value,
        Op::MaskedEq => actual & value == cut(arg.value_two) & value,
    }
}

fn is_wide(arch: Arch) -> bool {
    !matches!(arch, Arch::X86 | Arch::X32 | Arch::Arm | Arch::S390)
}

/// What `FirstMatch` says, straight from its description.
fn first_match(filter: &Filter, arch: Arch, nr: u32, args: &[u64; 6]) -> Action {
    let named = |rule: &&Rule| rule.names.iter().any(|name| arch.syscall_number(name) == Some(nr));
    let mut rules = filter.rules.iter().filter(named);
    let hit = rules.find(|rule| rule.args.iter().all(|arg| holds(arg, args, is_wide(arch))));
    hit.map_or(filter.default_action, |rule| rule.action)
}

fn verdict(program: &Program, native: Arch, arch: Arch, nr: u32, args: [u64; 6]) -> Verdict {
    program.evaluate(native, &SeccompData::new(arch, nr, args)).unwrap()
}

fn interesting_args(random: &mut Random) -> [u64; 6] {
    std::array::from_fn(|_| {
        let near = random.below(3).wrapping_sub(1);
        random.pick(&VALUES).wrapping_add(near)
    })
}

/// Numbers worth asking about: all assigned ones, the edges of every ABI, and beyond.
fn numbers(arch: Arch) -> impl Iterator<Item = u32> {
    let base = arch.syscall_number("read").unwrap_or(0) & 0x4000_0000;
    (base..base + 600).chain([base + 0xf0005, 0x3fff_ffff, 0x7fff_ffff, 0xffff_fffe])
}

#[test]
fn first_match_programs_decide_as_the_rules_say() {
    let mut random = Random(1);
    let machines: [&[Arch]; 4] = [
        &[Arch::X86_64, Arch::X86, Arch::X32],
        &[Arch::Aarch64, Arch::Arm],
        &[Arch::S390X, Arch::S390],
        &[Arch::Riscv64],
    ];
    for round in 0..200 {
        let archs = machines[round % machines.len()];
        let filter = random_filter(&mut random, RuleOrder::FirstMatch, archs);
        let program = compile(&filter, archs[0]).unwrap().program;
        for arch in archs {
            let own = |nr: &u32| nr >> 30 == u32::from(*arch == Arch::X32);
            for nr in numbers(*arch).filter(own) {
                let args = interesting_args(&mut random);
                let expected = first_match(&filter, *arch, nr, &args);
                let actual = verdict(&program, archs[0], *arch, nr, args).action();
                assert_eq!(actual, expected, "{filter:?} {arch:?} {nr} {args:x?}");
            }
        }
    }
}

#[test]
fn rules_with_one_action_do_not_depend_on_their_order() {
    let mut random = Random(2);
    for _ in 0..100 {
        let mut filter = random_filter(&mut random, RuleOrder::Libseccomp, &[Arch::X86_64]);
        filter.default_action = Action::Errno(1);
        for rule in &mut filter.rules {
            rule.action = Action::Allow;
            rule.args.sort_by_key(|arg| arg.index);
            rule.args.dedup_by_key(|arg| arg.index);
        }
        let libseccomp = compile(&filter, Arch::X86_64).unwrap().program;
        filter.rules.reverse();
        filter.order = RuleOrder::FirstMatch;
        let listed = compile(&filter, Arch::X86_64).unwrap().program;
        for nr in numbers(Arch::X86_64) {
            let args = interesting_args(&mut random);
            let verdict = |program| verdict(program, Arch::X86_64, Arch::X86_64, nr, args);
            assert_eq!(verdict(&libseccomp), verdict(&listed), "{filter:?} {nr} {args:x?}");
        }
    }
}

#[test]
fn a_rule_that_names_an_argument_twice_means_either_to_runc() {
    let mut filter = Filter::new(Action::Errno(1));
    let args = vec![Arg::new(0, Op::Eq, 1), Arg::new(0, Op::Eq, 2)];
    filter.rules.push(Rule { names: vec!["socket".into()], action: Action::Allow, args });
    let allowed = |filter: &Filter, family| {
        let program = compile(filter, Arch::X86_64).unwrap().program;
        let args = [family, 0, 0, 0, 0, 0];
        verdict(&program, Arch::X86_64, Arch::X86_64, 41, args).action() == Action::Allow
    };
    assert_eq!([1, 2, 3].map(|family| allowed(&filter, family)), [true, true, false]);
    filter.order = RuleOrder::FirstMatch;
    assert_eq!([1, 2, 3].map(|family| allowed(&filter, family)), [false; 3]);
}

#[test]
fn a_call_newer_than_the_profile_is_answered_with_enosys() {
    let mut filter = Filter::new(Action::Errno(1));
    filter.archs = vec![Arch::X86_64, Arch::X86];
    let names = vec!["read".into(), "statx".into()];
    filter.rules.push(Rule { names, action: Action::Allow, args: vec![] });
    let program = compile(&filter, Arch::X86_64).unwrap().program;
    let ask = |arch, nr| verdict(&program, Arch::X86_64, arch, nr, [0; 6]).action();
    assert_eq!(ask(Arch::X86_64, 332), Action::Allow);
    assert_eq!(ask(Arch::X86_64, 331), Action::Errno(1));
    assert_eq!(ask(Arch::X86_64, 333), Action::Errno(38));
    assert_eq!(ask(Arch::X86, 383), Action::Allow);
    assert_eq!(ask(Arch::X86, 384), Action::Errno(38));
    assert_eq!(ask(Arch::Aarch64, 63), Action::KillThread);

    filter.default_action = Action::Log;
    let program = compile(&filter, Arch::X86_64).unwrap().program;
    assert_eq!(verdict(&program, Arch::X86_64, Arch::X86_64, 500, [0; 6]).action(), Action::Log);
}

#[test]
fn x32_calls_count_as_a_foreign_architecture_unless_listed() {
    let mut filter = Filter::new(Action::Allow);
    let ask = |filter: &Filter, nr| {
        let program = compile(filter, Arch::X86_64).unwrap().program;
        verdict(&program, Arch::X86_64, Arch::X86_64, nr, [0; 6]).action()
    };
    assert_eq!(ask(&filter, 0x4000_0000), Action::KillThread);
    assert_eq!(ask(&filter, u32::MAX), Action::Allow);
    filter.archs.push(Arch::X32);
    assert_eq!(ask(&filter, 0x4000_0000), Action::Allow);
}

#[test]
fn filters_that_would_lock_up_the_runtime_are_refused() {
    let text = |filter: &Filter| compile(filter, Arch::X86_64).unwrap_err().to_string();
    assert!(text(&Filter::new(Action::Notify)).contains("default action"));
    let mut filter = Filter::new(Action::Allow);
    let names = vec!["write".into()];
    filter.rules.push(Rule { names, action: Action::Notify, args: vec![] });
    assert!(text(&filter).contains("write syscall"));
}

#[test]
fn impossible_filters_are_refused_with_the_reason() {
    let rule = |args| Rule { names: vec!["dup".into()], action: Action::Log, args };
    let mut filter = Filter::new(Action::Allow);
    filter.rules.push(rule(vec![Arg::new(6, Op::Eq, 0)]));
    let text = |filter: &Filter| compile(filter, Arch::X86_64).unwrap_err().to_string();
    assert!(text(&filter).contains("dup: argument index 6"));

    filter.rules = vec![rule(vec![Arg::new(0, Op::Eq, 0)]), rule(vec![Arg::new(0, Op::Eq, 0)])];
    filter.rules[1].action = Action::Trap;
    assert!(text(&filter).contains("dup on SCMP_ARCH_X86_64"));

    filter.rules = (0..2000).map(|value| rule(vec![Arg::new(0, Op::Eq, value)])).collect();
    assert!(text(&filter).contains("the kernel takes 4096"));

    filter.rules.clear();
    filter.archs = vec![Arch::S390X];
    assert!(text(&filter).contains("byte order"));
}

#[test]
fn unknown_names_are_skipped_and_reported() {
    let mut filter = Filter::new(Action::Errno(1));
    let names = vec!["no_such_call".into(), "read".into()];
    filter.rules.push(Rule { names, action: Action::Allow, args: vec![] });
    let compiled = compile(&filter, Arch::X86_64).unwrap();
    assert_eq!(compiled.skipped_unknown, ["no_such_call"]);
    assert_eq!(
        verdict(&compiled.program, Arch::X86_64, Arch::X86_64, 0, [0; 6]).action(),
        Action::Allow
    );
}

#[test]
fn a_decision_takes_few_instructions_before_arguments_matter() {
    let program =
        compile(&default_filter(Arch::X86_64, Variant::default()), Arch::X86_64).unwrap().program;
    let known = ["read", "futex", "openat", "epoll_wait"];
    for name in known {
        let nr = Arch::X86_64.syscall_number(name).unwrap();
        let (mut at, mut steps) = (0, 0);
        // Follows the program by hand, with only number and architecture known.
        let mut accumulator = 0;
        loop {
            let insn = program.insns()[at];
            steps += 1;
            at += 1 + match insn.code {
                0x20 => {
                    accumulator = if insn.k == 0 { nr } else { Arch::X86_64.audit_token() };
                    0
                }
                0x15 => usize::from(if accumulator == insn.k { insn.jt } else { insn.jf }),
                0x35 => usize::from(if accumulator >= insn.k { insn.jt } else { insn.jf }),
                0x05 => insn.k as usize,
                _ => break,
            };
        }
        assert!(steps <= 14, "{name} took {steps} instructions");
    }
}
