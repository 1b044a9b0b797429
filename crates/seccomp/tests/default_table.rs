//! The default filter's programs against its table: for every variant, every system call number and
//! arguments on and around every boundary, the compiled BPF is run and its answer compared with a
//! reading of profiles/seccomp/default.json that shares no code with the compiler.

#![allow(clippy::unwrap_used)]

mod common;

use casemate_seccomp::{default_program, Action, Arch, Feature, FeatureSet, SeccompData, Variant};
use common::Random;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

const TABLE: &str = include_str!("../../../profiles/seccomp/default.json");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    default_errno_ret: u16,
    syscalls: Vec<Group>,
    restricted: Vec<Group>,
    features: Vec<JsonFeature>,
}

#[derive(Deserialize)]
struct JsonFeature {
    name: String,
    #[serde(default)]
    architectures: BTreeMap<String, Vec<String>>,
    syscalls: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    names: Vec<String>,
    action: String,
    errno_ret: Option<u16>,
    #[serde(default)]
    args: Vec<JsonArg>,
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonArg {
    index: usize,
    value: u64,
    value_two: u64,
    op: String,
}

impl Group {
    fn matches(&self, args: &[u64; 6]) -> bool {
        self.args.iter().all(|arg| {
            assert_eq!(arg.op, "SCMP_CMP_MASKED_EQ");
            args[arg.index] & arg.value == arg.value_two
        })
    }

    fn answer(&self) -> Action {
        match (self.action.as_str(), self.errno_ret) {
            ("SCMP_ACT_ALLOW", None) => Action::Allow,
            ("SCMP_ACT_ERRNO", Some(errno)) => Action::Errno(errno),
            other => panic!("{other:?}"),
        }
    }
}

/// A variant as names, the way the file and people speak of it.
#[derive(Clone, Debug)]
struct Case {
    native: Arch,
    caps: Vec<&'static str>,
    restricted: bool,
    features: Vec<&'static str>,
}

/// Those that some rule asks for, by number (linux/capability.h).
const CAPS: [(&str, u32); 18] = [
    ("CAP_DAC_READ_SEARCH", 2),
    ("CAP_NET_ADMIN", 12),
    ("CAP_NET_RAW", 13),
    ("CAP_SYS_MODULE", 16),
    ("CAP_SYS_RAWIO", 17),
    ("CAP_SYS_CHROOT", 18),
    ("CAP_SYS_PTRACE", 19),
    ("CAP_SYS_PACCT", 20),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_SYS_BOOT", 22),
    ("CAP_SYS_NICE", 23),
    ("CAP_SYS_TIME", 25),
    ("CAP_SYS_TTY_CONFIG", 26),
    ("CAP_MKNOD", 27),
    ("CAP_AUDIT_WRITE", 29),
    ("CAP_AUDIT_CONTROL", 30),
    ("CAP_SYSLOG", 34),
    ("CAP_PERFMON", 38),
];
const CAP_BPF: (&str, u32) = ("CAP_BPF", 39);

impl Case {
    fn variant(&self) -> Variant {
        let bit = |name: &&str| {
            let known = CAPS.iter().chain([&CAP_BPF]).find(|(known, _)| known == name);
            1_u64 << known.unwrap().1
        };
        Variant {
            caps: self.caps.iter().map(bit).sum(),
            restricted: self.restricted,
            features: FeatureSet::from_names(&self.features).unwrap(),
        }
    }

    /// The groups in force, in order.
    fn groups<'t>(&self, table: &'t Table) -> Vec<&'t Group> {
        let granted = |feature: &&JsonFeature| self.features.contains(&feature.name.as_str());
        let mut groups: Vec<&Group> =
            table.features.iter().filter(granted).flat_map(|f| &f.syscalls).collect();
        if self.restricted {
            groups.extend(&table.restricted);
        }
        groups.extend(&table.syscalls);
        groups.retain(|group| {
            let here = group.arches.is_empty()
                || group.arches.iter().any(|arch| arch == self.native.scmp_name());
            here && group.caps.iter().all(|cap| self.caps.contains(&cap.as_str()))
        });
        groups
    }

    /// The native architecture and those that features admit.
    fn archs(&self, table: &Table) -> Vec<Arch> {
        let granted = |feature: &&JsonFeature| self.features.contains(&feature.name.as_str());
        let others = table
            .features
            .iter()
            .filter(granted)
            .filter_map(|feature| feature.architectures.get(self.native.scmp_name()))
            .flatten()
            .map(|name| Arch::from_scmp_name(name).unwrap());
        std::iter::once(self.native).chain(others).collect()
    }
}

/// Nothing, everything, and each capability and feature alone, with and without `restricted`.
fn cases(native: Arch) -> Vec<Case> {
    let names: Vec<&str> = CAPS.iter().chain([&CAP_BPF]).map(|(name, _)| *name).collect();
    let features: Vec<&str> = Feature::all().iter().map(|feature| feature.name).collect();
    let mut cases = Vec::new();
    for restricted in [false, true] {
        let mut add = |caps: &[&'static str], features: &[&'static str]| {
            let (caps, features) = (caps.to_vec(), features.to_vec());
            cases.push(Case { native, caps, restricted, features });
        };
        add(&[], &[]);
        add(&names, &[]);
        add(&[], &features);
        add(&names, &features);
        add(&["CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_NET_RAW"], &[]);
        names.iter().for_each(|cap| add(&[cap], &[]));
        features.iter().for_each(|feature| add(&[], &[feature]));
    }
    cases
}

/// Argument vectors that sit on, beside and above (in the upper half) every value that some rule
/// of a call compares with, and some that have nothing to do with any.
fn arguments(groups: &[&Group], random: &mut Random) -> Vec<[u64; 6]> {
    let mut vectors = vec![[0; 6], [u64::MAX; 6], std::array::from_fn(|_| random.next())];
    for group in groups.iter().filter(|group| !group.args.is_empty()) {
        let mut exact: [u64; 6] = std::array::from_fn(|_| random.next());
        for arg in &group.args {
            exact[arg.index] = exact[arg.index] & !arg.value | arg.value_two;
        }
        vectors.push(exact);
        for arg in &group.args {
            for change in
                [1 << random.below(64), 1 << 32, 1 << 63, 1, arg.value & arg.value.wrapping_neg()]
            {
                let mut near = exact;
                near[arg.index] ^= change;
                vectors.push(near);
            }
        }
    }
    vectors
}

fn compare(case: &Case, table: &Table, random: &mut Random) -> usize {
    let program = default_program(case.native, case.variant()).unwrap();
    let groups = case.groups(table);
    let mut asked = 0;
    for arch in case.archs(table) {
        let mut by_number: HashMap<u32, Vec<&Group>> = HashMap::new();
        for group in &groups {
            for number in group.names.iter().filter_map(|name| arch.syscall_number(name)) {
                by_number.entry(number).or_default().push(group);
            }
        }
        let wide = matches!(arch, Arch::X86_64 | Arch::Aarch64);
        for number in (0..700).chain([0x1fff_ffff, 0x3fff_ffff, u32::MAX]) {
            let groups = by_number.get(&number).map_or(&[][..], Vec::as_slice);
            for mut args in arguments(groups, random) {
                if !wide {
                    args = args.map(|arg| arg & 0xffff_ffff);
                }
                let decided = groups.iter().find(|group| group.matches(&args));
                let expected =
                    decided.map_or(Action::Errno(table.default_errno_ret), |group| group.answer());
                let data = SeccompData::new(arch, number, args);
                let answer = program.evaluate(case.native, &data).unwrap().action();
                let name = arch.syscall_name(number);
                assert_eq!(answer, expected, "{case:?} {arch:?} {number} {name:?} {args:x?}");
                asked += 1;
            }
        }
    }
    asked
}

#[test]
fn every_variant_answers_as_its_table_says() {
    let table: Table = serde_json::from_str(TABLE).unwrap();
    for native in [Arch::X86_64, Arch::Aarch64] {
        let mut random = Random(11);
        let asked: usize =
            cases(native).iter().map(|case| compare(case, &table, &mut random)).sum();
        assert!(asked > 200_000, "{asked}");
    }
}

#[test]
fn every_architecture_that_is_not_admitted_is_killed() {
    let table: Table = serde_json::from_str(TABLE).unwrap();
    for native in [Arch::X86_64, Arch::Aarch64] {
        for case in cases(native) {
            let program = default_program(native, case.variant()).unwrap();
            let admitted = case.archs(&table);
            for arch in Arch::all().filter(|arch| !admitted.contains(arch)) {
                if arch.audit_token() == native.audit_token() && arch != Arch::X32 {
                    continue;
                }
                for number in [0, 1, 102, 359] {
                    let number = if arch == Arch::X32 { number | 0x4000_0000 } else { number };
                    let data = SeccompData::new(arch, number, [0; 6]);
                    let answer = program.evaluate(native, &data).unwrap().action();
                    assert_eq!(answer, Action::KillProcess, "{case:?} {arch:?} {number}");
                }
            }
        }
    }
}

#[test]
fn a_feature_opens_its_own_calls_and_no_others() {
    let table: Table = serde_json::from_str(TABLE).unwrap();
    let arch = Arch::X86_64;
    let mut random = Random(12);
    for restricted in [false, true] {
        let plain = Variant { restricted, ..Variant::default() };
        let without = default_program(arch, plain).unwrap();
        for feature in &table.features {
            let features = FeatureSet::from_names([&feature.name]).unwrap();
            let with = default_program(arch, Variant { features, ..plain }).unwrap();
            let of_it: Vec<&Group> = feature.syscalls.iter().collect();
            let own = |number| {
                feature.syscalls.iter().any(|group| {
                    group.names.iter().any(|name| arch.syscall_number(name) == Some(number))
                })
            };
            for number in 0..600 {
                for args in arguments(&of_it, &mut random) {
                    let data = SeccompData::new(arch, number, args);
                    let [before, after] =
                        [&without, &with].map(|p| p.evaluate(arch, &data).unwrap().action());
                    let opened = before != Action::Allow && after == Action::Allow;
                    assert!(
                        before == after || (opened && own(number)),
                        "{} {number} {args:x?}: {before:?} {after:?}",
                        feature.name
                    );
                }
            }
        }
    }
}

#[test]
fn names_of_the_table_are_system_calls_and_capabilities_of_the_table_are_tested() {
    let table: Table = serde_json::from_str(TABLE).unwrap();
    let features = table.features.iter().flat_map(|feature| &feature.syscalls);
    for group in table.syscalls.iter().chain(&table.restricted).chain(features) {
        for name in &group.names {
            assert!(Arch::all().any(|arch| arch.syscall_number(name).is_some()), "{name}");
        }
        for cap in &group.caps {
            assert!(CAPS.iter().chain([&CAP_BPF]).any(|(known, _)| known == cap), "{cap}");
        }
    }
}

#[test]
fn every_feature_stands_in_the_documentation() {
    let text = include_str!("../../../docs/HARDENING.md");
    for feature in Feature::all() {
        let row = format!("| `seccomp.{}` | {} |", feature.name, feature.comment);
        assert!(text.contains(&row), "{row}");
    }
}
