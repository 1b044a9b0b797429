//! "Never more than asked for": what a hardened configuration has that the one before it had not.

use casemate_policy::mount_options::MountPlanFlags;
use casemate_policy::spec::{
    Hook, Linux, Mount, Namespace, NamespaceKind, Process, Propagation, Resources, Rlimit, Spec,
};
use casemate_policy::{HardenedSpec, HostFacts, Profile};
use std::collections::BTreeMap;

/// Each thing that is more than asked for, in a few words.
pub(crate) fn beyond(asked: &Spec, made: &HardenedSpec, facts: &HostFacts) -> Vec<String> {
    let mut found = Vec::new();
    let mut claim = |holds: bool, what: &str| {
        if !holds {
            found.push(what.to_owned());
        }
    };
    let Spec {
        oci_version,
        process,
        root,
        hostname,
        domainname,
        mounts: _,
        hooks,
        annotations,
        linux: _,
        warnings: _,
        unknown: _,
    } = &**made;
    claim(*oci_version == asked.oci_version, "ociVersion");
    claim(root.path == asked.root.path, "root.path");
    claim(root.readonly >= asked.root.readonly, "root.readonly");
    claim(*hostname == asked.hostname && *domainname == asked.domainname, "host names");
    claim(process.is_some() == asked.process.is_some(), "a process");
    for ((kind, made), (_, asked)) in hooks.kinds().into_iter().zip(asked.hooks.kinds()) {
        // A hook that names no time gets one.
        let same = |a: &Hook, b: &Hook| {
            (&a.path, &a.args, &a.env) == (&b.path, &b.args, &b.env)
                && (b.timeout.is_none() || a.timeout == b.timeout)
        };
        let known = |hook: &Hook| asked.iter().any(|other| same(hook, other));
        claim(made.iter().all(known), &format!("hooks.{kind}"));
    }
    claim(is_subset(annotations, &asked.annotations), "annotations");
    let shown = serde_json::to_string(&**made).unwrap();
    claim(!shown.contains("noMasks") && !shown.contains("mounts2"), "unknown properties");
    if let (Some(made), Some(asked)) = (process, &asked.process) {
        self::process(&mut claim, asked, made, facts);
    }
    mounts(&mut claim, asked, made);
    linux(&mut claim, &asked.linux, &made.linux);
    resources(&mut claim, asked.linux.resources.as_ref(), made.linux.resources.as_ref());
    found
}

fn is_subset<K: Ord, V: PartialEq>(made: &BTreeMap<K, V>, asked: &BTreeMap<K, V>) -> bool {
    made.iter().all(|(key, value)| asked.get(key) == Some(value))
}

pub(crate) fn process(
    claim: &mut (impl FnMut(bool, &str) + ?Sized),
    asked: &Process,
    made: &Process,
    facts: &HostFacts,
) {
    let same = (&made.terminal, &made.console_size, &made.user, &made.args, &made.env, &made.cwd)
        == (&asked.terminal, &asked.console_size, &asked.user, &asked.args, &asked.env, &asked.cwd);
    claim(same, "what the process is");
    claim(made.exec_cpu_affinity == asked.exec_cpu_affinity, "execCPUAffinity");
    claim(made.no_new_privileges >= asked.no_new_privileges, "noNewPrivileges");
    claim(made.capabilities.is_some() <= asked.capabilities.is_some(), "capabilities");
    let sets = |process: &Process| {
        process
            .capabilities
            .iter()
            .flat_map(|c| c.sets().map(|(n, s)| (n, s.clone())))
            .collect::<Vec<_>>()
    };
    for ((name, made), (_, asked)) in sets(made).iter().zip(sets(asked)) {
        let known = made.mask & !asked.mask == 0;
        claim(known && made.unknown.iter().all(|name| asked.unknown.contains(name)), name);
    }
    for limit in &made.rlimits {
        let before = asked.rlimits.iter().find(|before| before.kind == limit.kind);
        claim(is_within(limit, before, facts), &format!("{:?}", limit.kind));
    }
    let kept = asked.rlimits.iter().all(|limit| made.rlimits.iter().any(|l| l.kind == limit.kind));
    claim(kept, "a limit is gone");
    let oom = asked.oom_score_adj.is_none_or(|score| made.oom_score_adj >= Some(score));
    claim(oom, "oomScoreAdj");
    claim(made.scheduler.is_none() || made.scheduler == asked.scheduler, "scheduler");
    claim(made.io_priority.is_none() || made.io_priority == asked.io_priority, "ioPriority");
    let loosens = |label: &Option<String>| {
        label.as_deref().is_some_and(|l| l.contains("unconfined") || l.contains("spc_t"))
    };
    let apparmor =
        made.apparmor_profile == asked.apparmor_profile || !loosens(&made.apparmor_profile);
    claim(apparmor, "apparmorProfile");
    let selinux = made.selinux_label == asked.selinux_label || !loosens(&made.selinux_label);
    claim(selinux, "selinuxLabel");
}

/// A limit that nobody asked for is not above the caller's.
fn is_within(made: &Rlimit, asked: Option<&Rlimit>, facts: &HostFacts) -> bool {
    use casemate_policy::spec::RlimitKind::{Core, Memlock, Nofile};
    let most = match (asked, made.kind) {
        // As below: with a program behind the pattern 1 is less than 0.
        (Some(asked), Core) => Some((asked.soft.max(1), asked.hard.max(1))),
        (Some(asked), _) => Some((asked.soft, asked.hard)),
        (None, Nofile) => facts.limits.nofile,
        (None, Memlock) => facts.limits.memlock,
        // At 1 the kernel hands a core to nobody, at 0 it may.
        (None, Core) => facts.limits.core.map(|hard| (hard.max(1), hard.max(1))),
        _ => Some((0, 0)),
    };
    most.is_none_or(|(soft, hard)| made.soft <= soft.max(hard) && made.hard <= hard)
}

fn mounts(claim: &mut impl FnMut(bool, &str), asked: &Spec, made: &HardenedSpec) {
    let profile: &Profile = made.profile().profile();
    let (own, rest) = made.mounts.split_at(made.extras().added_mounts);
    for mount in own {
        let listed = profile.tmpfs.iter().any(|tmpfs| tmpfs.destination == mount.destination);
        claim(listed && mount.kind.as_deref() == Some("tmpfs"), "a mount that is the profile's");
    }
    claim(rest.len() <= asked.mounts.len(), "more mounts");
    for (made, asked) in rest.iter().zip(&asked.mounts) {
        let same = |mount: &Mount| {
            (
                mount.destination.clone(),
                mount.kind.clone(),
                mount.source.clone(),
                mount.uid_mappings.clone(),
            )
        };
        claim(same(made) == same(asked), "another mount");
        let flags = |mount: &Mount| MountPlanFlags::parse(&mount.options).unwrap();
        let (new, old) = (flags(made), flags(asked));
        let kept = new.attrs.set | new.recursive_attrs.set;
        let all = old.attrs.set | old.recursive_attrs.set;
        const RESTRICT: u64 = 0x20_000f;
        claim(all & RESTRICT & !kept == 0, "options of a mount");
        let cleared =
            |flags: &MountPlanFlags| (flags.attrs.clear | flags.recursive_attrs.clear) & RESTRICT;
        claim(cleared(&new) & !cleared(&old) == 0, "what a mount lifts");
        claim(
            (new.bind, new.remount, new.idmap) == (old.bind, old.remount, old.idmap),
            "kind of a mount",
        );
        claim(new.data.iter().all(|o| old.data.contains(o) || hides(o)), "data of a mount");
        let shares = |flags: &MountPlanFlags| {
            flags
                .propagation
                .iter()
                .any(|p| matches!(p, Propagation::Shared | Propagation::Rshared))
        };
        claim(shares(&new) <= shares(&old), "a mount is shared");
    }
}

/// Of procfs: what it does not show.
fn hides(option: &casemate_policy::mount_options::FsOption) -> bool {
    let text = (option.key.as_str(), option.value.as_deref());
    matches!(text, ("subset", Some("pid")) | ("hidepid", Some("ptraceable")))
}

fn linux(claim: &mut impl FnMut(bool, &str), asked: &Linux, made: &Linux) {
    // A container without a cgroup namespace of its own gets one.
    let own = |namespace: &&Namespace| {
        namespace.kind != NamespaceKind::Cgroup || namespace.path.is_some()
    };
    let others =
        made.namespaces.iter().filter(own).all(|namespace| asked.namespaces.contains(namespace));
    claim(others && made.namespaces.len() >= asked.namespaces.len(), "namespaces");
    claim(made.uid_mappings == asked.uid_mappings, "uidMappings");
    claim(made.gid_mappings == asked.gid_mappings, "gidMappings");
    claim(made.devices.iter().all(|device| asked.devices.contains(device)), "devices");
    claim(is_subset(&made.net_devices, &asked.net_devices), "netDevices");
    claim(made.cgroups_path == asked.cgroups_path, "cgroupsPath");
    let shares =
        |p: Option<Propagation>| matches!(p, Some(Propagation::Shared | Propagation::Rshared));
    claim(shares(made.rootfs_propagation) <= shares(asked.rootfs_propagation), "rootfsPropagation");
    claim(made.seccomp == asked.seccomp, "seccomp");
    // Where CAP_NET_RAW is taken away, ping goes on to work without it.
    let let_in = |key: &str| key.replace('/', ".") == "net.ipv4.ping_group_range";
    let sysctls =
        made.sysctl.iter().all(|(key, value)| asked.sysctl.get(key) == Some(value) || let_in(key));
    claim(sysctls, "sysctl");
    claim(asked.masked_paths.iter().all(|path| made.masked_paths.contains(path)), "maskedPaths");
    claim(
        asked.readonly_paths.iter().all(|path| made.readonly_paths.contains(path)),
        "readonlyPaths",
    );
    claim(made.mount_label.is_none() || made.mount_label == asked.mount_label, "mountLabel");
    claim(made.intel_rdt == asked.intel_rdt, "intelRdt");
    claim(made.memory_policy == asked.memory_policy, "memoryPolicy");
    claim(made.personality == asked.personality, "personality");
    claim(made.time_offsets == asked.time_offsets, "timeOffsets");
}

pub(crate) fn resources(
    claim: &mut (impl FnMut(bool, &str) + ?Sized),
    asked: Option<&Resources>,
    made: Option<&Resources>,
) {
    let none = Resources::default();
    let (asked, made) = (asked.unwrap_or(&none), made.unwrap_or(&none));
    let within = |made: Option<i64>, asked: Option<i64>| match asked {
        Some(limit) if limit > 0 => made.is_some_and(|made| made > 0 && made <= limit),
        _ => true,
    };
    claim(within(made.memory.limit, asked.memory.limit), "memory.limit");
    let pids = |r: &Resources| r.pids.and_then(|pids| pids.limit);
    claim(within(pids(made), pids(asked)), "pids.limit");
    let unlimited = |mut memory: casemate_policy::spec::Memory| {
        memory.limit = None;
        memory
    };
    claim(unlimited(made.memory) == unlimited(asked.memory), "memory");
    let rest = |r: &Resources| {
        (
            r.cpu.clone(),
            r.block_io.clone(),
            r.hugepage_limits.clone(),
            r.network.clone(),
            r.rdma.clone(),
        )
    };
    claim(rest(made) == rest(asked), "other limits");
    let known = made
        .unified
        .iter()
        .all(|(name, value)| asked.unified.get(name) == Some(value) || name == "memory.oom.group");
    claim(known, "unified");
    for kind in ["b", "c"] {
        for (major, minor) in
            [(0, 0), (1, 1), (1, 3), (8, 0), (10, 200), (10, 229), (136, 5), (195, 0), (4001, 1)]
        {
            for access in ['r', 'w', 'm'] {
                let may = |r: &Resources| is_allowed(r, kind, major, minor, access);
                claim(!may(made) || may(asked), "device rules");
            }
        }
    }
}

/// The rules as the kernel sees them: the last that matches decides.
fn is_allowed(resources: &Resources, kind: &str, major: i64, minor: i64, access: char) -> bool {
    use casemate_policy::spec::DeviceRuleKind::{All, Block, Char};
    let kind = if kind == "b" { Block } else { Char };
    let number = |given: Option<i64>, wanted: i64| given.is_none_or(|n| n == -1 || n == wanted);
    let last = resources.devices.iter().rev().find(|rule| {
        rule.kind.is_none_or(|k| k == All || k == kind)
            && number(rule.major, major)
            && number(rule.minor, minor)
            && rule.access.contains(access)
    });
    last.is_some_and(|rule| rule.allow)
}
