//! `capabilities.ceiling`: cuts all five sets.

use crate::check::sysctl;
use crate::control::ControlId;
use crate::decision::{Refusal, Verdict};
use crate::harden::{Draft, Log};
use crate::overrides::Overrides;
use crate::profile::Profile;
use crate::spec::{CapSet, Capabilities, NamespaceKind};
use serde_json::{json, Value};

const NET_RAW: u64 = 1 << 13;

/// Rule `capabilities.ceiling` for a container.
pub(crate) fn ceiling(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let overrides = &draft.choice.overrides;
    let (rule, pointer) = (ControlId::Capabilities, "/process/capabilities");
    let process = draft.spec.process.as_mut();
    let Some(capabilities) = process.and_then(|process| process.capabilities.as_mut()) else {
        draft.log.note(rule, pointer, Verdict::Kept, "none are asked for");
        return Ok(());
    };
    let asked = capabilities.sets().iter().fold(0, |mask, (_, set)| mask | set.mask);
    let (granted, source) = overrides.capabilities();
    let above = CapSet::from_mask(asked & granted & !draft.profile.capability_ceiling);
    if let (Some(source), false) = (source, above.is_empty()) {
        let reason = format!("above the profile's ceiling, and left: {}", join(&above));
        draft.log.waive(rule, pointer, source, reason);
    }
    let ceiling = ceiling_of(draft.profile, overrides);
    cut(capabilities, ceiling, &mut draft.log);
    if asked & !ceiling & NET_RAW != 0 && !draft.profile.strict_filter {
        let_ping(draft);
    }
    Ok(())
}

/// Packets of any kind are what is taken away; echo requests are what was wanted, nearly always. They have a socket of their own, which
/// the network namespace gives to groups: engines that think of it give it to everybody.
fn let_ping(draft: &mut Draft<'_>) {
    let set = sysctl::resolve(&draft.spec).unwrap_or_default();
    let Some(last) = last_group(draft) else { return };
    if !has_network(draft) || set.iter().any(|sysctl| sysctl.path == "net/ipv4/ping_group_range") {
        return;
    }
    let (key, groups) = ("net.ipv4.ping_group_range", format!("0 {last}"));
    let values = (Value::Null, json!({key: groups}));
    draft.spec.linux.sysctl.insert(key.to_owned(), groups);
    let reason = "ping works without CAP_NET_RAW";
    draft.log.change(ControlId::Capabilities, "/linux/sysctl", Verdict::Added, values, reason);
}

/// A network that is not the host's: a new one, or a pod's, which engines make on the host.
fn has_network(draft: &Draft<'_>) -> bool {
    let Some(network) = draft.spec.namespace(NamespaceKind::Network) else { return false };
    let hosts = draft.facts.host_namespaces.contains(&NamespaceKind::Network);
    let simple = draft.spec.namespace(NamespaceKind::User).is_none();
    network.path.is_none() || simple && !hosts
}

/// The end of "everybody", beginning at 0, for the kernel, which takes no group that the user namespace does not have. `None`: which
/// it has is not known here.
fn last_group(draft: &Draft<'_>) -> Option<u32> {
    match draft.spec.namespace(NamespaceKind::User) {
        None => draft.facts.in_initial_userns.then_some(i32::MAX as u32),
        Some(namespace) if namespace.path.is_some() => None,
        Some(_) => {
            let maps = &draft.spec.linux.gid_mappings;
            let first = maps.iter().find(|map| map.container_id == 0 && map.size > 0)?;
            Some((first.size - 1).min(i32::MAX as u32))
        }
    }
}

/// The profile's ceiling, with what is granted beside it and without what is denied.
pub(crate) fn ceiling_of(profile: &Profile, overrides: &Overrides) -> u64 {
    (profile.capability_ceiling | overrides.capabilities().0) & !overrides.denied_capabilities()
}

/// Cuts each set to `ceiling`. Unknown names go too: what has no number here might get one in a newer
/// kernel, and the ceiling is a list of what is allowed.
pub(crate) fn cut(capabilities: &mut Capabilities, ceiling: u64, log: &mut Log) {
    // Engines fill several sets alike: sets that lose the same from the same are one decision.
    let mut cuts: Vec<(CapSet, Vec<&'static str>)> = Vec::new();
    for (name, set) in capabilities.sets_mut() {
        let kept = CapSet::from_mask(set.mask & ceiling);
        if kept == *set {
            continue;
        }
        let before = std::mem::replace(set, kept);
        match cuts.iter_mut().find(|(known, _)| *known == before) {
            Some((_, sets)) => sets.push(name),
            None => cuts.push((before, vec![name])),
        }
    }
    if cuts.is_empty() {
        let reason = "all sets are under the profile's ceiling";
        return log.note(ControlId::Capabilities, "/process/capabilities", Verdict::Kept, reason);
    }
    for (before, sets) in cuts {
        record(before, &sets, ceiling, log);
    }
}

fn record(before: CapSet, sets: &[&'static str], ceiling: u64, log: &mut Log) {
    let values = (names(&before), names(&CapSet::from_mask(before.mask & ceiling)));
    let dropped = join(&CapSet { mask: before.mask & !ceiling, ..before });
    let pointer = match sets {
        [only] => format!("/process/capabilities/{only}"),
        _ => "/process/capabilities".to_owned(),
    };
    let reason = format!("above the profile's ceiling in {}: {dropped}", sets.join(", "));
    log.change(ControlId::Capabilities, pointer, Verdict::Tightened, values, reason);
}

fn names(set: &CapSet) -> Value {
    json!(set)
}

fn join(set: &CapSet) -> String {
    let known = set.iter().map(|capability| capability.name());
    let all: Vec<&str> = known.chain(set.unknown.iter().map(String::as_str)).collect();
    all.join(", ")
}
