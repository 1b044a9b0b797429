//! `userns.*`: a user namespace with ids that nothing on the host belongs to, and none below it.
//!
//! The control only decides. Which ids they are, and whether the file systems can be shown with them, is found out by the
//! runtime, which then says so by [`HardenedSpec::enter_user_namespace`]; or admits once more, with the reason why it is not
//! possible as a fact ([`HostFacts::unmappable`](crate::HostFacts::unmappable)), so that every control judges what is really
//! run.

use super::prelude::*;
use crate::admit::Asked;
use crate::auto::AutoUserns;
use crate::choice::Choice;
use crate::control::Mode;
use crate::decision::Decision;
use crate::facts::HostFacts;
use crate::source::Source;
use crate::spec::{Capability, IdMapping, Namespace, NamespaceKind, Spec};
use casemate_kernel::{HostId, InnerId};
use serde_json::{json, Value};

/// **What.** A container that asks for no user namespace gets one, with 65536 user and group ids
/// that nobody else on the host has: root in the container is a user on the host who owns nothing.
/// Files look the same as without it. The image and every volume are id-mapped mounts: owners on
/// disk do not change, files that root of the container writes to a volume belong to root on the
/// volume, and volumes are nosuid. `casemate state` shows the ids (`org.casemate.uid-map`), and
/// `casemate explain` predicts them. Containers that join the namespaces of another one (those of a
/// pod, `docker run --network container:NAME`) share its ids and its user namespace. Ids above
/// 65535 that the configuration names (`--user 1000660000`) are mapped individually.
///
/// **Where the ids come from.** The first of these that exists: `"userns.range"` in `[values]` of
/// the node's policy; the entry `casemate` of /etc/subuid and /etc/subgid, if it is in both; the
/// range 1073741824 to 1879048191, without what other entries of the two files name. If a directory
/// service gives ids of that size to people, set one of the first two. A container that is started
/// again gets the same ids, unless somebody else has them in the meantime.
///
/// **Why.** Whatever escapes from a container, by a bug in the kernel, the runtime or an engine,
/// escapes without privileges (CVE-2019-5736, CVE-2024-21626, CVE-2022-0492, the ways of
/// CVE-2022-0847 to the host, and most others). Containers do not share ids either, so they cannot
/// signal or trace each other. And because the mount tree is built before the user namespace is
/// entered, the kernel locks masks and read-only flags, against all capabilities.
///
/// **Ports below 1024.** In a network namespace that the engine made, the container's capabilities
/// have no effect. For a container with CAP_NET_BIND_SERVICE, `net.ipv4.ip_unprivileged_port_start`
/// is set to 0 there; `net.ipv4.ping_group_range` is translated.
///
/// **What breaks.** Capabilities over resources of the host. A capability that was granted by name
/// and would have no effect is refused with a message that says so: CAP_NET_ADMIN and CAP_NET_RAW
/// in an engine's network namespace, CAP_SYS_TIME, CAP_SYS_MODULE, CAP_SYSLOG, CAP_BPF and similar
/// ones. Files with owners above 65535 appear to belong to nobody. Devices bound as files appear to
/// belong to nobody; nodes of `--device` do not.
///
/// **A user namespace of the configuration's own** (`--uidmap`, podman's `keep-id` for root) is
/// accepted if none of its ids is below 65536: those belong to the host's users and services, and
/// root among them would be root of the host. It is refused with such an id, and with an id of a
/// range that another container has from casemate. Nobody else gets its ids while the container
/// exists; another configuration may bring the same ones. A user namespace without mappings counts
/// as asked for, not as brought: it is the one that casemate provides, or with `userns.host` one in
/// which root is the caller.
///
/// **Not applied** if the configuration has a user namespace, if the caller is in one or has no
/// privilege (rootless), and if the container shares the host's processes or network (which needs
/// an override of its own). File systems without owners (proc, sysfs, cgroup, mqueue, devpts,
/// hugetlbfs), device nodes, and read-only binds of what everybody may read are shown unchanged. If
/// the host later mounts something below a bind that is `rslave` (Kubernetes'
/// `mountPropagation: HostToContainer`), it appears unchanged, with files that belong to nobody; a
/// warning says so. An overlay, as the root, as a mount of its own or bound (image volumes), is
/// reassembled from id-mapped layers. For other file systems that cannot be shown with other ids
/// (NFS, CIFS, most of FUSE), see `userns.required`.
///
/// **Override.**
///
/// - `userns.host`: no user namespace of its own: root is root of the host
/// - `userns.shared-ids`: a user namespace of the configuration's own with ids of other containers
///
/// **In the profiles.**
///
/// - privileged: Ids of the host.
/// - baseline: Ids of the host, which the engines and images of this profile were made for. Turn it
///   on if the volumes permit it.
/// - hardened: Root in the container is a user on the host who owns nothing: whatever escapes from
///   the container has no privileges. Ids on volumes and in the image do not change (id-mapped
///   mounts).
pub(crate) const AUTO: Control = Control {
    id: ControlId::AutoUserns,
    name: "userns.auto",
    allow: &["userns.host", "userns.shared-ids"],
    modes: [OFF, OFF, ON, ON],
    severity: MEDIUM,
    summary: "root in the container has no privileges on the host",
};

/// **What.** If `userns.auto` cannot be applied because of a file system, the container is refused
/// and does not run with the host's ids. Linux 6.3 is the first release that can map tmpfs. On
/// older kernels, the tmpfs that engines make for every container are a finding under `hardened`:
/// the container then runs with the host's ids, and the record says so. `restricted` refuses them.
///
/// **Why.** A promise must hold, or say that it does not.
///
/// **What breaks.** Volumes on NFS and most of FUSE. (A mount for which the configuration itself
/// asks for `idmap` is an error there under every profile.)
///
/// **Override.**
///
/// - `userns.fallback`: no user namespace if it cannot be created
///
/// **In the profiles.**
///
/// - privileged: Belongs to userns.auto.
/// - baseline: Belongs to userns.auto.
/// - hardened: A file system that cannot be shown with other ids would leave the whole container in
///   the host's user namespace, although nobody asked for that. (Before Linux 6.3 this includes
///   every tmpfs: those that engines make for each container are a finding and not refused.)
/// - restricted: If a file system cannot be shown with other ids, the container is refused.
pub(crate) const REQUIRED: Control = Control {
    id: ControlId::RequiredUserns,
    name: "userns.required",
    allow: &["userns.fallback"],
    modes: [OFF, OFF, ON, ON],
    severity: LOW,
    summary: "a container that cannot get a user namespace of its own is refused",
};

/// **What.** `user.max_user_namespaces` is 0 in the container's own user namespace, so no user
/// namespace can be created below it. A value in the configuration does not change that. A user
/// namespace that is joined by path is left to its creator.
///
/// **Why.** The creator of a user namespace has all capabilities over what is created in it, and
/// with them reaches kernel code that otherwise only root reaches (CVE-2022-0185, CVE-2023-32233,
/// CVE-2024-1086). The filter already refuses the calls. This is the kernel's own limit, and it
/// also applies if the filter was overridden.
///
/// **What breaks.** Browsers and build tools that build their own sandbox, containers in
/// containers.
///
/// **Override.**
///
/// - `userns.nested`: user namespaces inside
///
/// `seccomp.userns` lifts both this and the filter's refusal; `userns.nested` lifts only this.
///
/// **In the profiles.**
///
/// - privileged: No Landlock layer, and user namespaces as deep as the kernel permits.
/// - baseline: Browsers and build tools nest user namespaces for good reasons.
/// - hardened: A user namespace gives all capabilities over what is created in it, and with them
///   access to the least tested kernel code (CVE-2022-0185, CVE-2024-1086). The filter refuses the
///   calls; this makes the kernel refuse them too.
pub(crate) const NESTED: Control = Control {
    id: ControlId::NestedUserns,
    name: "userns.nested",
    allow: &["userns.nested"],
    modes: [OFF, OFF, ON, ON],
    severity: LOW,
    summary: "no user namespaces can be created in the container's own",
};

const POINTER: &str = "/linux/namespaces/-";

/// The configuration with ids for a user namespace that it asks for without naming any. Where the profile gives containers
/// one, that is the one that was asked for; elsewhere root in it is the caller, as under crun.
pub(crate) fn with_ids(mut asked: Spec, choice: &Choice, facts: &HostFacts) -> Spec {
    if !asked.leaves_ids_open() {
        return asked;
    }
    let mut without = asked.clone();
    without.linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::User);
    let draft = Draft::new(choice, facts, Asked::of(&without, choice.engine, &facts.mounts));
    if facts.can_make_user_namespace && is_expected(&draft) {
        return without;
    }
    let root = |id| vec![IdMapping { container_id: InnerId(0), host_id: HostId(id), size: 1 }];
    asked.linux.uid_mappings = root(facts.euid);
    asked.linux.gid_mappings = root(facts.egid);
    asked
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
const LOWEST_FREE: HostId = HostId(65536);

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

/// The user namespace that the configuration brings has none of the host's users in it. Of one that is joined nobody knows,
/// unless the kernel keeps the caller from having others' ids anyway.
pub(super) fn has_free_ids(draft: &Draft<'_>) -> bool {
    let maps = [&draft.asked.uid_mappings, &draft.asked.gid_mappings];
    let free = |maps: &&Vec<IdMapping>| {
        !maps.is_empty() && maps.iter().all(|map| map.host_id >= LOWEST_FREE)
    };
    !draft.facts.can_make_user_namespace || maps.iter().all(free)
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
        return ids_of_nobody(draft, pointer, what, asked);
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

/// How many ids a container has from casemate in a row.
const HELD: u64 = 65536;

/// How many a configuration may bring: as many as 64 containers have, of some twelve thousand that there is room for.
const MOST: u64 = 64 * HELD;

/// Two containers with the same ids can signal and trace each other, if they get to see each other.
fn ids_of_nobody(
    draft: &mut Draft<'_>,
    pointer: &'static str,
    what: &str,
    asked: Vec<IdMapping>,
) -> Result<Vec<IdMapping>, Refusal> {
    let count: u64 = asked.iter().map(|map| u64::from(map.size)).sum();
    if count > MOST && draft.allows("userns.shared-ids").is_none() {
        let reason =
            format!("{count} {what} ids are more than {MOST}: others would be left without");
        return Err(draft.refuse(
            ControlId::AutoUserns,
            pointer,
            reason,
            Some("userns.shared-ids"),
        ));
    }
    let held = match pointer {
        "/linux/uidMappings" => &draft.facts.held_uids,
        _ => &draft.facts.held_gids,
    };
    let meets = |map: &IdMapping, first: HostId| {
        let (from, held) = (u64::from(map.host_id.0), u64::from(first.0));
        from < held + HELD && held < from + u64::from(map.size)
    };
    let hit = asked.iter().find_map(|map| held.iter().find(|first| meets(map, **first)));
    let Some(first) = hit else { return Ok(asked) };
    let reason = format!("{what} ids from {first} on are those of another container");
    if let Some(source) = draft.allows("userns.shared-ids") {
        draft.log.waive(ControlId::AutoUserns, pointer, source, reason);
        return Ok(asked);
    }
    Err(draft.refuse(ControlId::AutoUserns, pointer, reason, Some("userns.shared-ids")))
}

/// Whether the container will have ids that are not the host's, as far as can be told before its namespaces are judged.
pub(super) fn is_expected(draft: &Draft<'_>) -> bool {
    if draft.asked.namespace(NamespaceKind::User).is_some() {
        return has_free_ids(draft);
    }
    draft.choice.mode(ControlId::AutoUserns) == Mode::Enforce
        && draft.allows("userns.host").is_none()
        && not_of_use(draft).is_none()
        && draft.facts.unmappable.is_none()
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

/// Says of binds that are to follow the host what the container's ids do not reach: a mount gets an id mapping when it is
/// cloned, and one that the kernel propagates later is a clone of the host's.
pub(crate) fn later_mounts(draft: &mut Draft<'_>, admitted: &Spec) -> Result<(), Refusal> {
    const FOLLOWING: [&str; 4] = ["slave", "rslave", "shared", "rshared"];
    if draft.extras.auto_userns.is_none() {
        return Ok(());
    }
    let binds = admitted.mounts.iter().skip(draft.extras.added_mounts).enumerate();
    for (i, mount) in binds.filter(|(_, mount)| mount.is_bind()) {
        if mount.options.iter().any(|option| FOLLOWING.contains(&option.as_str())) {
            let reason = format!(
                "files of what the host mounts below {} later belong to nobody in the container: only \
                 existing mounts have its ids; containers that depend on this (mountPropagation, storage drivers) need userns.host",
                mount.source.as_deref().unwrap_or(&mount.destination)
            );
            let pointer = format!("/mounts/{i}/options");
            draft.log.note(ControlId::AutoUserns, pointer, Verdict::Warned, reason);
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
        let first = |map: &[IdMapping]| map.first().map_or(HostId(0), |range| range.host_id);
        let reason = format!(
            "root in the container is user {} and group {} on the host, which own nothing",
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
    let joins =
        draft.asked.namespace(NamespaceKind::User).is_some_and(|joined| joined.path.is_some());
    if let Some(other) = draft.asked.sysctls.iter().find(|path| joins && path.starts_with("user/"))
    {
        let name = other.replace('/', ".");
        let reason = format!("{name} of a user namespace that is joined is for its owner to set");
        return Err(draft.refuse(rule, "/linux/sysctl", reason, Some("userns.nested")));
    }
    draft.extras.no_nested_userns = true;
    let (verdict, reason) = match draft.asked.namespace(NamespaceKind::User).map(|n| &n.path) {
        Some(None) => (Verdict::Added, "no user namespace can be created below the container's"),
        None if draft.extras.auto_userns.is_some() => (
            Verdict::Added,
            "no user namespace can be created below the one that the container gets",
        ),
        Some(Some(_)) => (Verdict::Kept, "the creator of the joined user namespace decides"),
        None => {
            (Verdict::Waived, "the container has none of its own; the system call filter remains")
        }
    };
    draft.log.note(rule, pointer, verdict, reason);
    Ok(())
}
