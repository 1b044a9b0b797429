//! The default filter in two parts, for who wants its refusals recorded: together they are the whole.

#![allow(clippy::unwrap_used)]

use casemate_seccomp::{
    default_program, default_program_in_parts, Action, Arch, Feature, FeatureSet, Program,
    SeccompData, Variant,
};

const ENOSYS: Action = Action::Errno(38);

fn action(arch: Arch, program: &Program, data: &SeccompData) -> Action {
    program.evaluate(arch, data).unwrap().action()
}

/// Some filters: with and without capabilities, the additional refusals and features.
fn variants() -> Vec<Variant> {
    let features = |names: &[&str]| FeatureSet::from_names(names).unwrap();
    let all: Vec<&str> = Feature::all().iter().map(|feature| feature.name).collect();
    vec![
        Variant::default(),
        Variant { restricted: true, ..Variant::default() },
        Variant::of_caps(u64::MAX),
        Variant { features: features(&["userns", "io_uring"]), ..Variant::of_caps(1 << 13) },
        Variant { features: features(&all), ..Variant::default() },
    ]
}

#[test]
fn together_the_parts_answer_every_call_as_the_whole_does() {
    let words = [0, 1, 2, 16, 0x1000_0000, 0x7c02_0000, u64::MAX];
    for arch in [Arch::native().unwrap(), Arch::from_scmp_name("SCMP_ARCH_AARCH64").unwrap()] {
        for variant in variants() {
            let whole = default_program(arch, variant).unwrap();
            let [refusals, unknown] = default_program_in_parts(arch, variant).unwrap();
            for (number, word) in (0..700).flat_map(|number| words.map(|word| (number, word))) {
                let data = SeccompData::new(arch, number, [word; 6]);
                let wanted = action(arch, &whole, &data);
                let parts = [action(arch, &refusals, &data), action(arch, &unknown, &data)];
                let about = format!("{arch:?} {variant:?} call {number} with {word:#x}");
                // What is recorded is no "no such call", and nothing is refused by both.
                match wanted {
                    Action::Allow => assert_eq!(parts, [Action::Allow; 2], "{about}"),
                    ENOSYS => assert_eq!(parts, [Action::Allow, ENOSYS], "{about}"),
                    other => assert_eq!(parts, [other, Action::Allow], "{about}"),
                }
            }
        }
    }
}

#[test]
fn the_parts_that_were_compiled_with_the_crate_are_those_the_compiler_makes() {
    // A feature that lets nothing more pass has them compiled at run time, so the two can be compared by what they answer.
    let arch = Arch::native().unwrap();
    let built = default_program_in_parts(arch, Variant::default()).unwrap();
    let features = FeatureSet::from_names(["io_uring"]).unwrap();
    let made = default_program_in_parts(arch, Variant { features, ..Variant::default() }).unwrap();
    let opened = Feature::all().iter().find(|feature| feature.name == "io_uring").unwrap();
    let opened: Vec<&str> = opened.rules.iter().flat_map(|rule| rule.names()).collect();
    for number in 0..700 {
        if arch.syscall_name(number).is_some_and(|name| opened.contains(&name)) {
            continue;
        }
        let data = SeccompData::new(arch, number, [0; 6]);
        for (built, made) in built.iter().zip(&made) {
            assert_eq!(action(arch, built, &data), action(arch, made, &data), "call {number}");
        }
    }
}

#[test]
fn a_call_of_another_architecture_is_killed_by_the_recorded_part() {
    let arch = Arch::native().unwrap();
    let [refusals, unknown] = default_program_in_parts(arch, Variant::default()).unwrap();
    let other = Arch::all().find(|other| other.audit_token() != arch.audit_token()).unwrap();
    let data = SeccompData::new(other, 1, [0; 6]);
    let whole = default_program(arch, Variant::default()).unwrap();
    assert_eq!(action(arch, &refusals, &data), action(arch, &whole, &data));
    assert_ne!(action(arch, &refusals, &data), Action::Allow);
    assert_eq!(action(arch, &unknown, &data), Action::Allow);
}
