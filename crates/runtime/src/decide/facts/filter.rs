//! What the configuration's own system call filter does to the calls that engines' filters refuse: asked of the program that would be
//! loaded, by the interpreter that tests compare with the kernel.

use crate::plan::seccomp::program;
use anyhow::{anyhow, Result};
use casemate_policy::spec::SeccompProfile;
use casemate_policy::{guarded_calls, FilterFact};
use casemate_seccomp::{Action, Arch, Bits, Program};

/// Looks at a filter.
///
/// # Errors
/// It cannot be compiled.
pub(crate) fn of(profile: &SeccompProfile) -> Result<FilterFact> {
    let native =
        Arch::native().ok_or_else(|| anyhow!("no system call table for this architecture"))?;
    let (default, program) = program(profile, native)?;
    let passes = |call: &&str| {
        // What the machine's kernels do not have nobody can call.
        let number = native.syscall_number(call);
        number.is_some_and(|number| !is_refused(&program, native, call, number))
    };
    let lets_pass = guarded_calls().filter(passes).map(str::to_owned).collect();
    Ok(FilterFact { lets_pass, is_open: !stops(default) })
}

/// Whether every way to make the call is refused. Threads and processes are made by `clone` too: of that one asked for is a user
/// namespace. Its flags are the first argument, on s390 the second.
fn is_refused(program: &Program, native: Arch, call: &str, number: u32) -> bool {
    /// CLONE_NEWUSER of clone(2).
    const NEWUSER: Bits<u64> = Bits { known: 0x1000_0000, value: 0x1000_0000 };
    let mut args = [Bits::default(); 6];
    if call == "clone" {
        (args[0], args[1]) = (NEWUSER, NEWUSER);
    }
    program.answers(native, number, args).is_some_and(|answers| answers.into_iter().all(stops))
}

/// The call is not made, and the caller is told. Tracers and listeners may let it pass; a call that is said to have been made
/// is no engine's way to refuse one.
fn stops(action: Action) -> bool {
    match action {
        Action::KillProcess | Action::KillThread | Action::Trap => true,
        Action::Errno(errno) => errno != 0,
        Action::Trace(_) | Action::Log | Action::Allow | Action::Notify => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_policy::spec::Spec;
    use serde_json::{json, Value};

    fn asked(filter: &Value) -> FilterFact {
        let text =
            json!({"ociVersion": "1.0.2", "root": {"path": "r"}, "linux": {"seccomp": filter}});
        let spec = Spec::parse(text.to_string().as_bytes()).unwrap();
        of(spec.linux.seccomp.as_ref().unwrap()).unwrap()
    }

    fn rule(names: &[&str], action: &str, args: &Value) -> Value {
        json!({"names": names, "action": action, "args": args})
    }

    /// The calls that this machine has.
    fn all() -> Vec<String> {
        let native = Arch::native().unwrap();
        guarded_calls()
            .filter(|call| native.syscall_number(call).is_some())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn what_a_filter_lets_pass_is_what_its_program_answers() {
        let list = |action: &str, rules: Value| {
            asked(&json!({"defaultAction": action, "syscalls": rules}))
        };
        let always = json!([]);
        let found = list("SCMP_ACT_ERRNO", json!([rule(&["read"], "SCMP_ACT_ALLOW", &always)]));
        assert_eq!(found, FilterFact { lets_pass: Vec::new(), is_open: false });
        let found =
            list("SCMP_ACT_ERRNO", json!([rule(&["bpf", "mount"], "SCMP_ACT_LOG", &always)]));
        assert_eq!(found.lets_pass, ["bpf", "mount"]);
        for action in ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"] {
            let found = list(action, json!([rule(&["bpf"], "SCMP_ACT_ERRNO", &always)]));
            assert!(found.is_open && !found.lets_pass.contains(&"bpf".to_owned()), "{action}");
            assert_eq!(found.lets_pass.len(), all().len() - 1, "{action}");
        }
    }

    #[test]
    fn a_call_that_passes_with_some_arguments_or_is_said_to_be_made_is_not_refused() {
        let one = json!([{"index": 0, "value": 5, "op": "SCMP_CMP_EQ"}]);
        for (default, rules) in [
            ("SCMP_ACT_ERRNO", json!([rule(&["keyctl"], "SCMP_ACT_ALLOW", &one)])),
            ("SCMP_ACT_ALLOW", json!([rule(&["keyctl"], "SCMP_ACT_ERRNO", &one)])),
            (
                "SCMP_ACT_ALLOW",
                json!([{"names": ["keyctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0}]),
            ),
        ] {
            let found = asked(&json!({"defaultAction": default, "syscalls": rules}));
            assert!(found.lets_pass.contains(&"keyctl".to_owned()), "{rules}");
        }
    }

    #[test]
    fn clone_is_refused_where_it_makes_no_user_namespace() {
        let masked = |mask: u64| {
            let args =
                json!([{"index": 0, "value": mask, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]);
            let rules = json!([rule(&["clone"], "SCMP_ACT_ALLOW", &args)]);
            asked(&json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules})).lets_pass
        };
        assert!(masked(0x7e02_0000).is_empty(), "as Docker has it");
        assert_eq!(masked(0x0002_0000), ["clone"]);
        let named: Vec<Value> = [0x1000_0000_u64, 0x1000_0011, 0x1002_0011]
            .iter()
            .map(|flags| {
                let args = json!([{"index": 0, "value": flags, "op": "SCMP_CMP_EQ"}]);
                rule(&["clone"], "SCMP_ACT_ERRNO", &args)
            })
            .collect();
        let some = asked(&json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": named}));
        assert!(some.lets_pass.contains(&"clone".to_owned()), "some values of the flags only");
    }

    #[test]
    fn podmans_filter_leaves_mounts_and_namespaces_to_the_kernel_and_nothing_else() {
        let text = include_str!("../../../../../tests/fixtures/podman-default/config.json");
        let config: Value = serde_json::from_str(text).unwrap();
        let found = asked(&config["linux"]["seccomp"]);
        assert!(!found.is_open);
        let mounts = ["fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr"];
        let others = ["clone", "clone3", "keyctl", "move_mount", "open_tree", "pivot_root"];
        let more = ["reboot", "setns", "umount2", "unshare"];
        let known: Vec<&str> = mounts.iter().chain(&others).chain(&more).copied().collect();
        for call in &found.lets_pass {
            assert!(known.contains(&call.as_str()), "{call}");
        }
    }
}
