//! `features`: what this binary can do, as the runtime specification's features document.
//!
//! It describes the binary, not the host, and engines act on it: nothing stands here that is not
//! implemented. `null` and absent would mean "unknown"; everything we know is said.

use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use crate::{output, version};
use serde::Serialize;
use std::collections::BTreeMap;

mod tables;

/// The document (runtime-spec, features.md).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Features {
    oci_version_min: &'static str,
    oci_version_max: &'static str,
    hooks: &'static [&'static str],
    mount_options: &'static [&'static str],
    linux: Linux,
    annotations: BTreeMap<&'static str, &'static str>,
    potentially_unsafe_config_annotations: &'static [&'static str],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    namespaces: &'static [&'static str],
    capabilities: &'static [&'static str],
    cgroup: Cgroup,
    seccomp: Seccomp,
    apparmor: Enabled,
    selinux: Enabled,
    intel_rdt: IntelRdt,
    memory_policy: MemoryPolicy,
    mount_extensions: MountExtensions,
    net_devices: Enabled,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cgroup {
    v1: bool,
    v2: bool,
    systemd: bool,
    systemd_user: bool,
    rdma: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Seccomp {
    enabled: bool,
    actions: &'static [&'static str],
    operators: &'static [&'static str],
    archs: &'static [&'static str],
    known_flags: &'static [&'static str],
    supported_flags: &'static [&'static str],
}

#[derive(Serialize)]
struct Enabled {
    enabled: bool,
}

#[derive(Serialize)]
struct IntelRdt {
    enabled: bool,
    schemata: bool,
    monitoring: bool,
}

#[derive(Serialize)]
struct MemoryPolicy {
    modes: &'static [&'static str],
    flags: &'static [&'static str],
}

#[derive(Serialize)]
struct MountExtensions {
    idmap: Enabled,
}

pub(super) const VERB: Verb = Verb::of::<FeaturesFlags>(
    "features",
    Group::Bundle,
    "Print what this binary supports, as JSON of the runtime specification",
    Arity::Exactly(0),
);

/// It has none.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct FeaturesFlags {}

impl Execute for FeaturesFlags {
    fn execute(self, _: &mut Context<'_>) -> Outcome {
        output::print_json(&features())
    }
}

fn features() -> Features {
    Features {
        oci_version_min: "1.0.0",
        oci_version_max: version::SPECIFICATION,
        hooks: tables::HOOKS,
        mount_options: tables::MOUNT_OPTIONS,
        linux: linux(),
        annotations: BTreeMap::from([
            ("io.github.casemate.release", version::RELEASE),
            // What the specification has no place for: implemented, whether or not this host can do it (`host-check`).
            ("io.github.casemate.landlock.enabled", "true"),
            ("io.github.casemate.profiles", tables::PROFILES),
            ("io.github.casemate.userns.auto", "true"),
            // The key by which engines ask for checkpoints, whatever the runtime is called.
            ("org.opencontainers.runc.checkpoint.enabled", "false"),
        ]),
        potentially_unsafe_config_annotations: tables::UNSAFE_ANNOTATIONS,
    }
}

fn linux() -> Linux {
    Linux {
        namespaces: tables::NAMESPACES,
        capabilities: tables::CAPABILITIES,
        // cgroup v1 is refused, by design: see docs/develop/ARCHITECTURE.md.
        cgroup: Cgroup { v1: false, v2: true, systemd: true, systemd_user: true, rdma: true },
        seccomp: Seccomp {
            enabled: true,
            actions: tables::SECCOMP_ACTIONS,
            operators: tables::SECCOMP_OPERATORS,
            archs: tables::SECCOMP_ARCHS,
            known_flags: tables::SECCOMP_FLAGS,
            supported_flags: tables::SECCOMP_FLAGS,
        },
        apparmor: Enabled { enabled: true },
        selinux: Enabled { enabled: true },
        // A configuration that asks for it is refused.
        intel_rdt: IntelRdt { enabled: false, schemata: false, monitoring: false },
        memory_policy: MemoryPolicy {
            modes: tables::MEMORY_POLICY_MODES,
            flags: tables::MEMORY_POLICY_FLAGS,
        },
        mount_extensions: MountExtensions { idmap: Enabled { enabled: true } },
        net_devices: Enabled { enabled: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_has_what_engines_read() {
        let document = serde_json::to_value(features()).unwrap();
        assert_eq!(document["ociVersionMin"], "1.0.0");
        assert_eq!(document["ociVersionMax"], "1.3.0");
        assert_eq!(document["linux"]["mountExtensions"]["idmap"]["enabled"], true);
        assert_eq!(document["linux"]["cgroup"]["v1"], false);
        assert_eq!(document["linux"]["cgroup"]["systemdUser"], true);
        assert_eq!(document["linux"]["intelRdt"]["enabled"], false);
        let options = document["mountOptions"].as_array().unwrap();
        assert!(options.iter().any(|option| option == "rro"));
    }

    #[test]
    fn lists_are_sorted_and_without_duplicates() {
        for list in [
            tables::MOUNT_OPTIONS,
            tables::NAMESPACES,
            tables::SECCOMP_ACTIONS,
            tables::SECCOMP_OPERATORS,
            tables::SECCOMP_ARCHS,
            tables::SECCOMP_FLAGS,
        ] {
            assert!(list.is_sorted_by(|a, b| a < b), "{list:?}");
        }
        assert_eq!(tables::CAPABILITIES.len(), 41);
    }
}
