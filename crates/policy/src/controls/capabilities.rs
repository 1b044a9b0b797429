//! `capabilities.ceiling`: cuts all five sets.

use super::prelude::*;
use crate::control::Mode;
use crate::overrides::Overrides;
use crate::profile::Profile;
use crate::spec::{CapSet, Capabilities, NamespaceKind};
use casemate_kernel::InnerId;
use serde_json::{json, Value};
use std::collections::BTreeMap;

/// **What.** All five sets are reduced to CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID,
/// CAP_KILL, CAP_SETGID, CAP_SETUID and CAP_NET_BIND_SERVICE. Names that casemate does not know are
/// removed too. Sets that ask for less are not changed.
///
/// **Why.** These are what a service needs that starts as root and switches to another user. Each
/// of the others opens a large part of the kernel: CAP_NET_ADMIN reaches nf_tables (CVE-2023-32233,
/// CVE-2024-1086), CAP_SYS_ADMIN the file system drivers (CVE-2022-0185), CAP_NET_RAW packet
/// sockets (CVE-2020-14386), CAP_MKNOD device nodes. Engines grant CAP_SETFCAP, CAP_AUDIT_WRITE and
/// CAP_SETPCAP, but programs hardly need them. If CAP_NET_RAW is removed from a container that does
/// not share the host's network, `net.ipv4.ping_group_range` instead permits everybody in the
/// container to send echo requests, unless the configuration sets that parameter itself or the
/// profile is `restricted`; docker does the same.
///
/// **What breaks.** ping with raw sockets, VPN and firewall containers, mounting in a container,
/// chroot, package managers that set file capabilities. An engine's `--cap-add` and `--privileged`
/// do not lift the ceiling.
///
/// **Workaround.** podman permits ping only to group 0. For other users:
/// `--sysctl net.ipv4.ping_group_range="0 2147483647"`, with a ping that uses ICMP sockets.
///
/// **Override.**
///
/// - `capabilities.NAME`: one capability beyond the profile's list, such as `capabilities.net_raw`
/// - `capabilities.all`: all that the configuration asks for
///
/// **In the profiles.**
///
/// - privileged: No ceiling: everything that the configuration grants.
/// - baseline: What engines grant by default, without forged packets: the list `ceiling`.
/// - hardened: Root in a container needs few of root's powers: those of the list `ceiling`.
/// - restricted: Only one capability is available: the list `ceiling`.
pub(crate) const CEILING: Control = Control {
    id: ControlId::Capabilities,
    name: "capabilities.ceiling",
    allow: &["capabilities.all", "capabilities.*"],
    modes: [OFF, ON, ON, ON],
    severity: HIGH,
    summary: "all five capability sets are limited to a list",
};

const NET_RAW: u64 = 1 << 13;

/// For a process that joins, what the container's first one has given up stays given up.
pub(crate) fn ceiling(
    draft: &mut Draft<'_>,
    asked: Option<Capabilities>,
) -> Result<Option<Capabilities>, Refusal> {
    let overrides = &draft.choice.overrides;
    let (control, pointer) = (ControlId::Capabilities, "/process/capabilities");
    let Some(capabilities) = asked else {
        // Absent means none for a container, and for a process that joins the container's own, which were admitted.
        draft.log.note(control, pointer, Verdict::Kept, "none are asked for");
        return Ok(None);
    };
    let all = capabilities.sets().iter().fold(0, |mask, (_, set)| mask | set.mask);
    let (granted, source) = overrides.capabilities();
    let above = CapSet::from_mask(all & granted & !draft.profile.capability_ceiling);
    if let (Some(source), false) = (source, above.is_empty()) {
        let reason = format!("above the profile's ceiling, and kept: {}", join(&above));
        draft.log.waive(control, pointer, source, reason);
    }
    let ceiling = ceiling_of(draft.profile, overrides);
    let ceiling = draft.joining.map_or(ceiling, |container| ceiling & bounding(container));
    Ok(Some(cut(capabilities, ceiling, &mut draft.log)))
}

fn bounding(container: &HardenedSpec) -> u64 {
    let init = container.process.as_ref().and_then(|process| process.capabilities.as_ref());
    init.map_or(0, |capabilities| capabilities.bounding.mask)
}

/// The profile's ceiling, with what is granted beside it and without what is denied.
fn ceiling_of(profile: &Profile, overrides: &Overrides) -> u64 {
    (profile.capability_ceiling | overrides.capabilities().0) & !overrides.denied_capabilities()
}

/// What is left of the capabilities that were asked for.
pub(super) fn left(draft: &Draft<'_>) -> u64 {
    let asked = draft.asked.capabilities;
    match draft.choice.mode(ControlId::Capabilities) {
        Mode::Enforce => asked & ceiling_of(draft.profile, &draft.choice.overrides),
        Mode::Off | Mode::Warn => asked,
    }
}

/// Cuts each set to `ceiling`. Unknown names go too: what has no number here might get one in a newer
/// kernel, and the ceiling is a list of what is allowed.
fn cut(asked: Capabilities, ceiling: u64, log: &mut Log) -> Capabilities {
    // Engines fill several sets alike: sets that lose the same from the same are one decision.
    let mut cuts: Vec<(CapSet, Vec<&'static str>)> = Vec::new();
    let mut admit = |name: &'static str, asked: CapSet| {
        let kept = CapSet::from_mask(asked.mask & ceiling);
        if kept != asked {
            match cuts.iter_mut().find(|(known, _)| *known == asked) {
                Some((_, sets)) => sets.push(name),
                None => cuts.push((asked, vec![name])),
            }
        }
        kept
    };
    let Capabilities { bounding, effective, inheritable, permitted, ambient } = asked;
    let admitted = Capabilities {
        bounding: admit("bounding", bounding),
        effective: admit("effective", effective),
        inheritable: admit("inheritable", inheritable),
        permitted: admit("permitted", permitted),
        ambient: admit("ambient", ambient),
    };
    if cuts.is_empty() {
        let reason = "all sets are under the profile's ceiling";
        log.note(ControlId::Capabilities, "/process/capabilities", Verdict::Kept, reason);
    }
    for (before, sets) in cuts {
        record(before, &sets, ceiling, log);
    }
    admitted
}

fn record(before: CapSet, sets: &[&'static str], ceiling: u64, log: &mut Log) {
    let change = values(&before, &CapSet::from_mask(before.mask & ceiling));
    let dropped = join(&CapSet { mask: before.mask & !ceiling, ..before });
    let pointer = match sets {
        [only] => format!("/process/capabilities/{only}"),
        _ => "/process/capabilities".to_owned(),
    };
    let reason = format!("above the profile's ceiling in {}: {dropped}", sets.join(", "));
    log.change(ControlId::Capabilities, pointer, Verdict::Tightened, change, reason);
}

fn join(set: &CapSet) -> String {
    let known = set.iter().map(|capability| capability.name());
    let all: Vec<&str> = known.chain(set.unknown.iter().map(String::as_str)).collect();
    all.join(", ")
}

/// Packets of any kind are what is taken away; echo requests are what was wanted, nearly always. They have a socket of their
/// own, which the network namespace gives to groups: engines that think of it give it to everybody.
pub(crate) fn let_ping(
    draft: &mut Draft<'_>,
    mut asked: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let ceiling = ceiling_of(draft.profile, &draft.choice.overrides);
    let lost = draft.asked.capabilities & !ceiling & NET_RAW != 0;
    if !lost || draft.profile.strict_filter || !has_network(draft) {
        return Ok(asked);
    }
    let set = draft.asked.sysctls.iter().any(|path| path == "net/ipv4/ping_group_range");
    let (false, Some(last)) = (set, last_group(draft)) else { return Ok(asked) };
    let (key, groups) = ("net.ipv4.ping_group_range", format!("0 {last}"));
    let change = (Value::Null, json!({key: groups}));
    asked.insert(key.to_owned(), groups);
    let reason = "ping works without CAP_NET_RAW";
    draft.log.change(ControlId::Capabilities, "/linux/sysctl", Verdict::Added, change, reason);
    Ok(asked)
}

/// A network that is not the host's: a new one, or a pod's, which engines make on the host.
fn has_network(draft: &Draft<'_>) -> bool {
    let Some(network) = draft.asked.namespace(NamespaceKind::Network) else { return false };
    let hosts = draft.facts.host_namespaces.contains(&NamespaceKind::Network);
    let simple = draft.asked.namespace(NamespaceKind::User).is_none();
    network.path.is_none() || simple && !hosts
}

/// The end of "everybody", beginning at 0, for the kernel, which takes no group that the user namespace does not have. `None`: which
/// it has is not known here.
fn last_group(draft: &Draft<'_>) -> Option<u32> {
    match draft.asked.namespace(NamespaceKind::User) {
        None => draft.facts.in_initial_userns.then_some(i32::MAX as u32),
        Some(namespace) if namespace.path.is_some() => None,
        Some(_) => {
            let maps = &draft.asked.gid_mappings;
            let first =
                maps.iter().find(|map| map.container_id == InnerId::ROOT && map.size > 0)?;
            Some((first.size - 1).min(i32::MAX as u32))
        }
    }
}
