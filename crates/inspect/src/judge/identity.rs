//! Who the program is, and which of the host's namespaces it is in.

use super::judgement::{some, Judgement};
use crate::observe::{Observation, Origin, Place};
use casemate_kernel::{HostId, InnerId};
use casemate_policy::spec::{Capability, NamespaceKind};
use casemate_policy::Profile;

pub(super) fn no_new_privileges(seen: &Observation, _: &Profile) -> Judgement {
    let on = seen.no_new_privileges;
    Judgement::new(on, if on { "set" } else { "not set" })
}

pub(super) fn capabilities(seen: &Observation, profile: &Profile) -> Judgement {
    let all = seen.capabilities.any();
    let above = all & !profile.capability_ceiling;
    let shown = match (all.count_ones(), above.count_ones()) {
        (0, _) => "none".to_owned(),
        (n, 0) => format!("{n}, none too many"),
        (n, above_count) => {
            let names: Vec<String> = Capability::all()
                .filter(|capability| above & capability.mask() != 0)
                .map(|capability| capability.name().trim_start_matches("CAP_").to_lowercase())
                .collect();
            format!("{n}, {above_count} too many: {}", some(&names))
        }
    };
    Judgement::new(above == 0, shown)
}

pub(super) fn root(seen: &Observation, _: &Profile) -> Judgement {
    let root_group = seen.gid == 0 || seen.groups.contains(&0);
    let ids = format!("{}:{}", seen.uid, seen.gid);
    let shown = match (seen.uid, root_group) {
        (0, _) => format!("{ids}, root of the container"),
        (_, true) => format!("{ids}, in the group root"),
        _ => ids,
    };
    Judgement::new(seen.uid != 0, shown)
}

pub(super) fn user_namespace(seen: &Observation, _: &Profile) -> Judgement {
    if seen.place(NamespaceKind::User) == Place::Host {
        return Judgement::new(false, "the host's: root is root");
    }
    let root = seen.uid_map.iter().find(|range| range.contains(InnerId::ROOT));
    match root {
        Some(range) if range.host_id == HostId(0) => {
            Judgement::new(false, "root is the host's root")
        }
        Some(range) => {
            let shown = format!("root is {} on the host, {} ids", range.host_id, range.size);
            Judgement::new(true, shown)
        }
        None if seen.uid_map.is_empty() => Judgement::new(true, "joined"),
        None => Judgement::new(true, "root is nobody"),
    }
}

pub(super) fn filters(seen: &Observation, _: &Profile) -> Judgement {
    let shown = match seen.filters {
        0 => "none".to_owned(),
        1 => "1 filter".to_owned(),
        n => format!("{n} filters"),
    };
    Judgement::new(seen.filters > 0, shown)
}

pub(super) fn apparmor(seen: &Observation, _: &Profile) -> Judgement {
    match seen.apparmor.as_deref() {
        None => Judgement::unseen("AppArmor is off"),
        Some("") if seen.origin == Origin::Config => Judgement::unseen("none asked for"),
        Some("" | "unconfined") => Judgement::new(false, "unconfined"),
        Some(profile) => Judgement::new(!profile.ends_with("(complain)"), profile),
    }
}

pub(super) fn selinux(seen: &Observation, _: &Profile) -> Judgement {
    match seen.selinux.as_deref() {
        None => Judgement::unseen("SELinux is off"),
        Some("") => Judgement::unseen("none asked for"),
        Some(label) => {
            let kind = label.split(':').nth(2).unwrap_or_default();
            let confined = kind.starts_with("container_") && kind != "container_runtime_t";
            Judgement::new(confined, label)
        }
    }
}

pub(super) fn descriptors(seen: &Observation, _: &Profile) -> Judgement {
    match &seen.escapes {
        None => Judgement::unseen("only of a running process"),
        Some(found) => Judgement::new(found.is_empty(), some(found)),
    }
}

pub(super) fn hooks(seen: &Observation, _: &Profile) -> Judgement {
    match &seen.hooks {
        None => Judgement::unseen("they have run"),
        Some(hooks) if hooks.is_empty() => Judgement::new(true, "none"),
        Some(hooks) => Judgement::unseen(some(hooks)),
    }
}

/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, MKNOD,
/// AUDIT_WRITE, SETFCAP, by number: what the Pod Security Standard of the name baseline lets pods add.
pub(super) const PSS_BASELINE: u64 = 1 << 0
    | 1 << 1
    | 1 << 3
    | 1 << 4
    | 1 << 5
    | 1 << 6
    | 1 << 7
    | 1 << 8
    | NET_BIND_SERVICE
    | 1 << 18
    | 1 << 27
    | 1 << 29
    | 1 << 31;
pub(super) const NET_BIND_SERVICE: u64 = 1 << 10;

pub(super) fn pss_baseline(seen: &Observation, _: &Profile) -> Judgement {
    within(seen, PSS_BASELINE)
}

pub(super) fn net_bind_only(seen: &Observation, _: &Profile) -> Judgement {
    within(seen, NET_BIND_SERVICE)
}

fn within(seen: &Observation, list: u64) -> Judgement {
    let above = seen.capabilities.any() & !list;
    let names: Vec<String> = Capability::all()
        .filter(|capability| above & capability.mask() != 0)
        .map(|capability| capability.name().trim_start_matches("CAP_").to_lowercase())
        .collect();
    Judgement::new(above == 0, format!("beyond the list: {}", some(&names)))
}

/// One of the two is enough; a host has one at most.
pub(super) fn mandatory(seen: &Observation, profile: &Profile) -> Judgement {
    let (apparmor, selinux) = (apparmor(seen, profile), selinux(seen, profile));
    match (apparmor.holds, selinux.holds) {
        (Some(_), _) => apparmor,
        (None, Some(_)) => selinux,
        (None, None) => Judgement::unseen("neither AppArmor nor SELinux confines it"),
    }
}

fn own(seen: &Observation, kind: NamespaceKind) -> Judgement {
    match seen.place(kind) {
        Place::Host => Judgement::new(false, "the host's"),
        Place::Private => Judgement::new(true, "not the host's"),
    }
}

pub(super) fn mount_namespace(seen: &Observation, _: &Profile) -> Judgement {
    own(seen, NamespaceKind::Mount)
}

pub(super) fn network(seen: &Observation, _: &Profile) -> Judgement {
    own(seen, NamespaceKind::Network)
}

pub(super) fn pid(seen: &Observation, _: &Profile) -> Judgement {
    own(seen, NamespaceKind::Pid)
}

pub(super) fn ipc(seen: &Observation, _: &Profile) -> Judgement {
    own(seen, NamespaceKind::Ipc)
}

pub(super) fn uts(seen: &Observation, _: &Profile) -> Judgement {
    own(seen, NamespaceKind::Uts)
}

pub(super) fn cgroup_namespace(seen: &Observation, _: &Profile) -> Judgement {
    own(seen, NamespaceKind::Cgroup)
}

/// What `--privileged` of an engine comes to: every capability, and nothing that filters.
pub(super) fn privileged(seen: &Observation, _: &Profile) -> Judgement {
    const MOST: u32 = 30;
    let everything = seen.capabilities.any().count_ones() >= MOST && seen.filters == 0;
    Judgement::new(!everything, if everything { "everything at once" } else { "no" })
}
