//! `userns.*`: a user namespace with ids that nothing on the host belongs to, and none below it.
//!
//! The control only decides. Which ids they are, and whether the file systems can be shown with them, is found out by the
//! runtime, which then says so by [`HardenedSpec::enter_user_namespace`]; or admits once more, with the reason why it is not
//! possible as a fact ([`HostFacts::unmappable`](crate::HostFacts::unmappable)), so that every control judges what is really
//! run.

use super::prelude::*;
use crate::decision::Decision;
use crate::overrides::Source;
use crate::spec::{Capability, IdMapping, Namespace, NamespaceKind};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

pub(crate) const AUTO: Control = Control {
    id: ControlId::AutoUserns,
    name: "userns.auto",
    allow: &["userns.host"],
    modes: [OFF, OFF, ON, ON],
    summary: "root in the container is nobody on the host",
};

pub(crate) const REQUIRED: Control = Control {
    id: ControlId::RequiredUserns,
    name: "userns.required",
    allow: &["userns.fallback"],
    modes: [OFF, OFF, ON, ON],
    summary: "what cannot have a user namespace of its own is refused",
};

pub(crate) const NESTED: Control = Control {
    id: ControlId::NestedUserns,
    name: "userns.nested",
    allow: &["userns.nested"],
    modes: [OFF, OFF, ON, ON],
    summary: "no user namespaces can be made in the container's own",
};

const POINTER: &str = "/linux/namespaces/-";

/// A user namespace that the runtime has to provide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoUserns {
    /// Without it the container is refused.
    pub required: bool,
}

/// Decides whether the container is to get a user namespace.
pub(crate) fn auto(
    draft: &mut Draft<'_>,
    asked: Vec<Namespace>,
) -> Result<Vec<Namespace>, Refusal> {
    let control = ControlId::AutoUserns;
    if draft.has_userns() {
        draft.log.note(control, POINTER, Verdict::Kept, "the configuration has a user namespace");
        return Ok(asked);
    }
    if !draft.facts.can_make_user_namespace {
        let reason = "the caller has no privilege on the host that the container could inherit";
        draft.log.note(control, POINTER, Verdict::Kept, reason);
        return Ok(asked);
    }
    if let Some(source) = draft.allows("userns.host") {
        draft.log.waive(control, POINTER, source, "root in the container is root on the host");
        return Ok(asked);
    }
    if asked.iter().any(|namespace| namespace.kind == NamespaceKind::User) {
        let reason = "the user namespace that is joined is the host's own";
        return Err(draft.refuse(control, "/linux/namespaces", reason, Some("userns.host")));
    }
    if let Some(reason) = not_of_use(draft) {
        draft.log.note(control, POINTER, Verdict::Waived, reason);
        return Ok(asked);
    }
    if let Some(name) = void_capability(draft) {
        let reason = format!(
            "{name} has no effect in a user namespace of the container's own, and it has one"
        );
        return Err(draft.refuse(control, "/process/capabilities", reason, Some("userns.host")));
    }
    if let Some(why) = &draft.facts.unmappable {
        let reason = format!("root in the container is root on the host: {why}");
        draft.log.note(control, POINTER, Verdict::Waived, reason);
        return Ok(asked);
    }
    draft.extras.auto_userns = Some(AutoUserns::default());
    Ok(asked)
}

/// Ids below this belong to the host's users and services (login.defs(5), systemd's UIDS-GIDS); subordinate ids lie above.
const LOWEST_FREE: u32 = 65536;

/// Users of a user namespace that the configuration brings.
pub(crate) fn uid_mappings(
    draft: &mut Draft<'_>,
    asked: Vec<IdMapping>,
) -> Result<Vec<IdMapping>, Refusal> {
    own_ids(draft, "/linux/uidMappings", "user", asked)
}

/// Groups of a user namespace that the configuration brings.
pub(crate) fn gid_mappings(
    draft: &mut Draft<'_>,
    asked: Vec<IdMapping>,
) -> Result<Vec<IdMapping>, Refusal> {
    own_ids(draft, "/linux/gidMappings", "group", asked)
}

/// A user namespace whose ids are the host's protects nothing. Below the initial user namespace, and without privilege, the
/// kernel gives nobody ids that are not theirs.
fn own_ids(
    draft: &mut Draft<'_>,
    pointer: &'static str,
    what: &str,
    asked: Vec<IdMapping>,
) -> Result<Vec<IdMapping>, Refusal> {
    let control = ControlId::AutoUserns;
    let low = |map: &&IdMapping| {
        let IdMapping { container_id: _, host_id, size } = map;
        *host_id < LOWEST_FREE && *size > 0
    };
    let Some(map) = asked.iter().find(low).filter(|_| draft.facts.can_make_user_namespace) else {
        return Ok(asked);
    };
    let reason = format!(
        "{what} {} of the container is {what} {} of the host, where ids below {LOWEST_FREE} have owners",
        map.container_id, map.host_id
    );
    if let Some(source) = draft.allows("userns.host") {
        draft.log.waive(control, pointer, source, reason);
        return Ok(asked);
    }
    Err(draft.refuse(control, pointer, reason, Some("userns.host")))
}

/// Whether the container runs without.
pub(crate) fn required(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (control, granted) = (ControlId::RequiredUserns, draft.allows("userns.fallback"));
    if let (Some(why), None) = (&draft.facts.unmappable, granted) {
        if draft.facts.unmappable_by_kernel && !draft.profile.fail_closed {
            let reason = format!("root in the container is root on the host: {why}");
            draft.log.note(control, POINTER, Verdict::Waived, reason);
            return Ok(());
        }
        let reason = format!("no user namespace of its own is possible: {why}");
        return Err(draft.refuse(control, POINTER, reason, Some("userns.fallback")));
    }
    let Some(auto) = &mut draft.extras.auto_userns else {
        draft.log.note(control, POINTER, Verdict::Kept, "the runtime provides none here");
        return Ok(());
    };
    match granted {
        Some(source) => {
            let reason = "what cannot be shown with the container's ids leaves it without them";
            draft.log.waive(control, POINTER, source, reason);
        }
        None => {
            auto.required = true;
            let reason = "what cannot be shown with its ids is refused";
            draft.log.note(control, POINTER, Verdict::Kept, reason);
        }
    }
    Ok(())
}

/// What a user namespace of its own would take from a container that shares this with the host.
fn not_of_use(draft: &Draft<'_>) -> Option<&'static str> {
    if draft.asked.namespace(NamespaceKind::Mount).is_none() {
        return Some("a container without a mount namespace cannot have one");
    }
    if draft.is_hosts(NamespaceKind::Pid) {
        return Some("the container shares the host's processes");
    }
    draft.is_hosts(NamespaceKind::Network).then_some("the container shares the host's network")
}

/// Capabilities that the kernel asks of the host's user namespace whatever the container has.
const OF_THE_HOST: [&str; 12] = [
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_TIME",
    "SYS_BOOT",
    "SYSLOG",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_CONTROL",
    "PERFMON",
    "BPF",
];

/// In a network namespace that is joined these are asked of who owns that.
const OF_THE_NETWORK: [&str; 2] = ["NET_ADMIN", "NET_RAW"];

/// A capability that was granted by name, on purpose, and would do nothing. One that came with `capabilities.all` was not
/// asked for in particular.
fn void_capability(draft: &Draft<'_>) -> Option<String> {
    let network = draft.asked.namespace(NamespaceKind::Network);
    let joined = network.is_some_and(|namespace| namespace.path.is_some());
    let network = OF_THE_NETWORK.iter().filter(|_| joined);
    let denied = draft.choice.overrides.denied_capabilities();
    OF_THE_HOST.iter().chain(network).find_map(|name| {
        let granted = draft.allows(&format!("capabilities.{}", name.to_ascii_lowercase()));
        let capability = Capability::from_name(name).filter(|_| granted.is_some())?;
        (draft.asked.permitted.contains(capability) && capability.mask() & denied == 0)
            .then(|| capability.name().to_owned())
    })
}

impl HardenedSpec {
    /// Gives the container a user namespace: a new one with these mappings, or the one behind `join`, which has them.
    pub fn enter_user_namespace(
        &mut self,
        join: Option<String>,
        uid: Vec<IdMapping>,
        gid: Vec<IdMapping>,
    ) -> Decision {
        let namespace = Namespace { kind: NamespaceKind::User, path: join };
        let first = |map: &[IdMapping]| map.first().map_or(0, |range| range.host_id);
        let reason = format!(
            "root in the container is user {} and group {} on the host, to whom nothing belongs",
            first(&uid),
            first(&gid)
        );
        let after = json!({ "namespace": namespace, "uidMappings": uid, "gidMappings": gid });
        let spec = self.spec_mut();
        spec.linux.namespaces.push(namespace);
        (spec.linux.uid_mappings, spec.linux.gid_mappings) = (uid, gid);
        decision(Verdict::Added, after, reason)
    }
}

fn decision(verdict: Verdict, after: Value, reason: String) -> Decision {
    Decision {
        rule: ControlId::AutoUserns,
        pointer: POINTER.into(),
        verdict,
        source: Source::Profile,
        before: Value::Null,
        after,
        reason: reason.into(),
    }
}

/// The system call filter refuses the calls already; this is the kernel's own count
/// (user.max_user_namespaces of the container's user namespace is 0), which also holds when the filter is overridden. The
/// feature `seccomp.userns` lifts both, or it would be of no use. Comes after every rule that gives the container a user
/// namespace.
pub(crate) fn nested(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, pointer) = (ControlId::NestedUserns, "/linux/namespaces");
    if let Some(source) = draft.allows("userns.nested").or(draft.allows("seccomp.userns")) {
        draft.log.waive(rule, pointer, source, "user namespaces can be made in the container");
        return Ok(());
    }
    draft.extras.no_nested_userns = true;
    let (verdict, reason) = match draft.asked.namespace(NamespaceKind::User).map(|n| &n.path) {
        Some(None) => (Verdict::Added, "none can be made below the container's"),
        None if draft.extras.auto_userns.is_some() => {
            (Verdict::Added, "none can be made below the one that the container is given")
        }
        Some(Some(_)) => (Verdict::Kept, "whoever made the one that is joined has decided"),
        None => {
            (Verdict::Waived, "the container has none of its own; the system call filter remains")
        }
    };
    draft.log.note(rule, pointer, verdict, reason);
    Ok(())
}
