//! The names of a control's overrides, each written out.

use super::row::Control;
use crate::spec::Capability;

/// What the default filter can let pass on request, by the name behind `seccomp.` and `+`. What each opens is said where the
/// filter is described (`profiles/seccomp`); a test of the runtime compares the two.
pub(super) const SECCOMP_FEATURES: &[&str] = &[
    "af_alg",
    "bluetooth",
    "bpf",
    "can",
    "compat32",
    "fanotify",
    "handles",
    "io_uring",
    "kcmp",
    "keyring",
    "lsm",
    "modify_ldt",
    "mount",
    "netlink",
    "numa",
    "perf",
    "personality",
    "ptrace",
    "sctp",
    "socketcall",
    "tiocsti",
    "userfaultfd",
    "userns",
    "vmsplice",
    "vsock",
];

/// All names `seccomp.<feature>`, without the prefix.
#[must_use]
pub fn seccomp_features() -> &'static [&'static str] {
    SECCOMP_FEATURES
}

/// Every name by which a control can be overridden, families written out.
pub(crate) fn all_names(control: &Control) -> Vec<String> {
    let each = |name: &&'static str| -> Vec<String> {
        match *name {
            "capabilities.*" => Capability::all().map(capability_name).collect(),
            "seccomp.*" => {
                seccomp_features().iter().map(|part| format!("seccomp.{part}")).collect()
            }
            plain => vec![plain.to_owned()],
        }
    };
    control.allow.iter().flat_map(each).collect()
}

fn capability_name(capability: Capability) -> String {
    let name = capability.name();
    format!("capabilities.{}", name.strip_prefix("CAP_").unwrap_or(name).to_ascii_lowercase())
}
