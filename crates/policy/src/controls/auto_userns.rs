//! `userns.auto`, `userns.required`: a user namespace with ids that nothing on the host belongs to.
//!
//! The rule only decides. Which ids they are, and whether the file systems can be shown with them, is found out by the
//! runtime, which then says so by [`HardenedSpec::enter_user_namespace`]; or hardens once more, with the reason why it is not
//! possible as a fact ([`HostFacts::unmappable`](crate::HostFacts::unmappable)), so that every rule judges what is really run.

use crate::control::ControlId;
use crate::controls::namespaces::is_hosts;
use crate::decision::{Decision, Refusal, Verdict};
use crate::harden::Draft;
use crate::hardened::HardenedSpec;
use crate::overrides::Source;
use crate::spec::{Capability, IdMapping, Namespace, NamespaceKind};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

const POINTER: &str = "/linux/namespaces/-";

/// A user namespace that the runtime has to provide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoUserns {
    /// Without it the container is refused.
    pub required: bool,
}

/// Rule `userns.auto`.
pub(crate) fn auto(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let rule = ControlId::AutoUserns;
    if draft.spec.namespace(NamespaceKind::User).is_some() {
        draft.log.note(rule, POINTER, Verdict::Kept, "the configuration has a user namespace");
        return Ok(());
    }
    if !draft.facts.can_make_user_namespace {
        let reason = "the caller has no privilege on the host that the container could inherit";
        draft.log.note(rule, POINTER, Verdict::Kept, reason);
        return Ok(());
    }
    if let Some(source) = draft.allows("userns.host") {
        draft.log.waive(rule, POINTER, source, "root in the container is root on the host");
        return Ok(());
    }
    if let Some(reason) = not_of_use(draft) {
        draft.log.note(rule, POINTER, Verdict::Waived, reason);
        return Ok(());
    }
    if let Some(name) = void_capability(draft) {
        let reason = format!(
            "{name} has no effect in a user namespace of the container's own, and it has one"
        );
        return Err(draft.refuse(rule, "/process/capabilities", reason, Some("userns.host")));
    }
    if let Some(why) = &draft.facts.unmappable {
        let reason = format!("root in the container is root on the host: {why}");
        draft.log.change(rule, POINTER, Verdict::Waived, (Value::Null, Value::Null), reason);
        return Ok(());
    }
    draft.extras.auto_userns = Some(AutoUserns::default());
    Ok(())
}

/// Rule `userns.required`.
pub(crate) fn required(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, granted) = (ControlId::RequiredUserns, draft.allows("userns.fallback"));
    if let (Some(why), None) = (&draft.facts.unmappable, granted) {
        let reason = format!("no user namespace of its own is possible: {why}");
        return Err(draft.refuse(rule, POINTER, reason, Some("userns.fallback")));
    }
    let Some(auto) = &mut draft.extras.auto_userns else { return Ok(()) };
    match granted {
        Some(source) => {
            let reason = "what cannot be shown with the container's ids leaves it without them";
            draft.log.waive(rule, POINTER, source, reason);
        }
        None => auto.required = true,
    }
    Ok(())
}

/// What a user namespace of its own would take from a container that shares this with the host.
fn not_of_use(draft: &Draft<'_>) -> Option<&'static str> {
    if draft.spec.namespace(NamespaceKind::Mount).is_none() {
        return Some("a container without a mount namespace cannot have one");
    }
    if is_hosts(draft, NamespaceKind::Pid) {
        return Some("the container shares the host's processes");
    }
    is_hosts(draft, NamespaceKind::Network).then_some("the container shares the host's network")
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
    let network = draft.spec.namespace(NamespaceKind::Network);
    let joined = network.is_some_and(|namespace| namespace.path.is_some());
    let network = OF_THE_NETWORK.iter().filter(|_| joined);
    let held = draft.spec.process.as_ref().and_then(|process| process.capabilities.as_ref())?;
    OF_THE_HOST.iter().chain(network).find_map(|name| {
        let granted = draft.allows(&format!("capabilities.{}", name.to_ascii_lowercase()));
        let capability = Capability::from_name(name).filter(|_| granted.is_some())?;
        held.permitted.contains(capability).then(|| capability.name().to_owned())
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
