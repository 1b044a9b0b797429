//! The seccomp fields that belong together. Names of actions, architectures and operators are checked
//! where they are compiled.

use crate::spec::{SeccompProfile, SpecError};

pub(super) fn check(profile: &SeccompProfile) -> Result<(), SpecError> {
    let fail =
        |path: &str, message: &str| Err(SpecError::new(format!("linux.seccomp.{path}"), message));
    if profile.listener_metadata.is_some() && profile.listener_path.is_none() {
        return fail("listenerMetadata", "given without listenerPath");
    }
    if profile.default_action == "SCMP_ACT_NOTIFY" {
        // The runtime's own calls after loading would wait for a listener that it has yet to send.
        return fail("defaultAction", "SCMP_ACT_NOTIFY cannot be the default action");
    }
    if profile.default_action.is_empty() && !profile.syscalls.is_empty() {
        return fail("defaultAction", "missing");
    }
    if profile.uses_notify() && profile.listener_path.is_none() {
        return fail("listenerPath", "missing although a rule has SCMP_ACT_NOTIFY");
    }
    for (i, rule) in profile.syscalls.iter().enumerate() {
        if rule.names.is_empty() {
            return fail(&format!("syscalls[{i}].names"), "must not be empty");
        }
        if let Some(j) = rule.args.iter().position(|arg| arg.index > 5) {
            return fail(
                &format!("syscalls[{i}].args[{j}].index"),
                "a system call has arguments 0 to 5",
            );
        }
    }
    Ok(())
}
