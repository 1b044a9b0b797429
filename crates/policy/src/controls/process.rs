//! `process.*` and `rlimits.*`: the process itself, at start and on `exec`.

use super::capabilities;
use crate::control::{ControlId, Mode};
use crate::decision::{Decision, Refusal, Remedy, Verdict};
use crate::facts::HostFacts;
use crate::harden::{refused, Draft, Log};
use crate::hardened::HardenedSpec;
use crate::profile::Profile;
use crate::spec::{NamespaceKind, Process, Rlimit, RlimitKind, Spec, User};
use serde_json::{json, Value};

/// Rule `process.no-new-privileges` for a container.
pub(crate) fn no_new_privileges(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let granted = draft.allows("process.new-privileges");
    let Some(process) = &mut draft.spec.process else { return Ok(()) };
    match granted.filter(|_| !process.no_new_privileges) {
        Some(source) => {
            let (rule, pointer) = (ControlId::NoNewPrivileges, "/process/noNewPrivileges");
            draft.log.waive(rule, pointer, source, "set-user-ID files may add privileges");
        }
        None => forbid_gain(process, &mut draft.log),
    }
    Ok(())
}

/// The annotation by which podman's `--group-add keep-groups` reaches a runtime.
const KEEP_GROUPS: &str = "run.oci.keep_original_groups";

/// Rule `process.groups`. Comes before the user namespace: the caller's groups are nobody's there.
pub(crate) fn groups(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, pointer) = (ControlId::KeptGroups, "/annotations/run.oci.keep_original_groups");
    if draft.spec.annotations.get(KEEP_GROUPS).is_none_or(|value| value != "1") {
        draft.log.note(rule, pointer, Verdict::Kept, "the groups are the configuration's");
        return Ok(());
    }
    if draft.facts.euid != 0 || !draft.facts.in_initial_userns {
        draft.log.note(rule, pointer, Verdict::Kept, "they are those of an ordinary user");
        return Ok(());
    }
    if let Some(source) = draft.allows("groups.kept") {
        draft.log.waive(rule, pointer, source, "the container keeps its caller's groups");
        return Ok(());
    }
    draft.extras.drop_groups = true;
    let reason = "root's groups are not the container's, whoever wrote the annotation";
    draft.log.change(rule, pointer, Verdict::Tightened, (json!("1"), Value::Null), reason);
    Ok(())
}

/// Rule `rlimits.core` for a container.
pub(crate) fn core_limit(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let granted = draft.allows("rlimits.core");
    let limit = core_limit_here(draft.profile, draft.facts);
    let Some(process) = &mut draft.spec.process else { return Ok(()) };
    match granted {
        Some(source) => {
            let reason = "core dumps as the configuration limits them";
            draft.log.waive(ControlId::CoreLimit, "/process/rlimits", source, reason);
        }
        None => limit_core(process, limit, &mut draft.log),
    }
    Ok(())
}

/// The limit that keeps the kernel from starting the host's core dump program: 1 byte, exactly (core(5); fs/coredump.c aborts
/// a pipe at that limit, and a file below a page). 0 does not.
const NO_PIPE: u64 = 1;

/// Nobody can raise the limit above the caller's without a privilege that the caller may not have.
fn core_limit_here(profile: &Profile, facts: &HostFacts) -> u64 {
    let reachable = facts.limits.core.is_none_or(|hard| hard >= NO_PIPE);
    let wanted = profile.core_limit;
    if facts.core_pattern_is_pipe && wanted < NO_PIPE && reachable {
        NO_PIPE
    } else {
        wanted
    }
}

/// What the container's first process has.
fn core_limit_of(container: &HardenedSpec) -> u64 {
    let limits = container.process.iter().flat_map(|init| &init.rlimits);
    let own = limits.into_iter().find(|limit| limit.kind == RlimitKind::Core);
    let usual = container.profile().profile().core_limit;
    own.map_or(usual, |limit| if limit.hard == NO_PIPE { NO_PIPE } else { usual })
}

/// All rules for a process that is added to a container. What was overridden when the container was made is so for
/// its other processes too, but never more: what the container's first process has given up stays given up.
///
/// # Errors
/// Root, where the container must not have it.
pub(crate) fn added(
    process: &mut Process,
    container: &HardenedSpec,
    log: &mut Log,
) -> Result<(), Refusal> {
    let enforced = |rule| container.mode(rule) == Mode::Enforce;
    let overrides = container.overrides();
    let profile = container.profile().profile();
    let gained = container.process.as_ref().is_some_and(|init| !init.no_new_privileges);
    let may_gain = overrides.allows("process.new-privileges").is_some() && gained;
    if enforced(ControlId::NoNewPrivileges) && !may_gain {
        forbid_gain(process, log);
    }
    if enforced(ControlId::Capabilities) {
        // Absent means the container's own, which went through the rules already.
        if let Some(capabilities) = &mut process.capabilities {
            let ceiling = capabilities::ceiling_of(profile, overrides);
            capabilities::cut(capabilities, ceiling & bounding(container), log);
        }
    }
    if enforced(ControlId::CoreLimit) && overrides.allows("rlimits.core").is_none() {
        limit_core(process, core_limit_of(container), log);
    }
    if enforced(ControlId::OomScore) {
        let allowed = overrides.allows("oom.negative-score").is_some();
        super::limits::raise(process, allowed, log);
    }
    if enforced(ControlId::ExecLabels) {
        keep_labels(process, container, log);
    }
    let user = user_namespace_counts(profile, container);
    if enforced(ControlId::RootUser) && overrides.allows("process.root").is_none() && !user {
        if let Some(reason) = as_root(&process.user) {
            let decision = Box::new(refused(ControlId::RootUser, "/process/user", reason));
            return Err(Refusal { profile: profile.name, decision, allow: None });
        }
    }
    Ok(())
}

/// Rule `process.root` for a container.
pub(crate) fn root(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, pointer) = (ControlId::RootUser, "/process/user");
    let Some(reason) = draft.spec.process.as_ref().and_then(|process| as_root(&process.user))
    else {
        draft.log.note(rule, pointer, Verdict::Kept, "is an ordinary user in ordinary groups");
        return Ok(());
    };
    let planned = draft.profile.root_in_userns && draft.extras.auto_userns.is_some();
    if planned || user_namespace_counts(draft.profile, &draft.spec) {
        draft.log.note(rule, pointer, Verdict::Kept, "is root of a user namespace only");
        return Ok(());
    }
    match draft.allows("process.root") {
        Some(source) => draft.log.waive(rule, pointer, source, reason),
        None => return Err(draft.refuse(rule, pointer, reason, Some("process.root"))),
    }
    Ok(())
}

fn user_namespace_counts(profile: &Profile, spec: &Spec) -> bool {
    profile.root_in_userns && spec.namespace(NamespaceKind::User).is_some()
}

/// What of root there is in a user's ids. The group too: its files are writable in many images, and it is what the
/// standard does not ask about.
fn as_root(user: &User) -> Option<&'static str> {
    match user {
        User { uid: 0, .. } => Some("the process runs as root (uid 0)"),
        User { gid: 0, .. } => Some("the process runs in root's group (gid 0)"),
        User { additional_gids, .. } if additional_gids.contains(&0) => {
            Some("the process has root's group (gid 0) beside its own")
        }
        _ => None,
    }
}

fn bounding(container: &HardenedSpec) -> u64 {
    let init = container.process.as_ref().and_then(|process| process.capabilities.as_ref());
    init.map_or(0, |capabilities| capabilities.bounding.mask)
}

fn forbid_gain(process: &mut Process, log: &mut Log) {
    let (rule, pointer) = (ControlId::NoNewPrivileges, "/process/noNewPrivileges");
    if process.no_new_privileges {
        return log.note(rule, pointer, Verdict::Kept, "set by the configuration");
    }
    process.no_new_privileges = true;
    let reason = "set-user-ID files and file capabilities must not add privileges";
    log.change(rule, pointer, Verdict::Tightened, (json!(false), json!(true)), reason);
}

fn limit_core(process: &mut Process, limit: u64, log: &mut Log) {
    let rule = ControlId::CoreLimit;
    let wanted = Rlimit { kind: RlimitKind::Core, hard: limit, soft: limit };
    let found = process.rlimits.iter_mut().enumerate();
    let Some((i, present)) = found.into_iter().find(|(_, entry)| entry.kind == RlimitKind::Core)
    else {
        process.rlimits.push(wanted);
        let reason = "core dumps leave the container and hold its secrets";
        let values = (Value::Null, json!(wanted));
        return log.change(rule, "/process/rlimits/-", Verdict::Added, values, reason);
    };
    let pipe = limit == NO_PIPE;
    let fits =
        if pipe { (present.soft, present.hard) == (limit, limit) } else { present.hard <= limit };
    if fits {
        return log.note(rule, "/process/rlimits", Verdict::Kept, "set by the configuration");
    }
    let soft = if pipe { limit } else { present.soft.min(limit) };
    let before = std::mem::replace(present, Rlimit { soft, ..wanted });
    let reason = "core dumps leave the container and hold its secrets";
    let values = (json!(before), json!(present));
    log.change(rule, format!("/process/rlimits/{i}"), Verdict::Tightened, values, reason);
}

impl HardenedSpec {
    /// Control `console.peer`: whether `peer`, the user at the other end of the console socket, gets the terminal of a caller
    /// with the uid `caller`.
    ///
    /// # Errors
    /// It is somebody else.
    pub fn check_console(&self, peer: u32, caller: u32) -> Result<(), Refusal> {
        let rule = ControlId::ConsolePeer;
        let known =
            peer == 0 || peer == caller || self.overrides().allows("console.foreign").is_some();
        if known || self.mode(rule) != Mode::Enforce {
            return Ok(());
        }
        let reason = format!("the console socket is listened on by uid {peer}, and not by root or the caller (uid {caller})");
        let decision = Box::new(refused(rule, "", reason));
        let allow = Remedy { name: "console.foreign".to_owned(), permitted: false };
        Err(Refusal { profile: self.profile(), decision, allow: Some(allow) })
    }

    /// Whether the container keeps its caller's groups.
    #[must_use]
    pub fn keeps_groups(&self) -> bool {
        !self.extras().drop_groups
            && self.annotations.get(KEEP_GROUPS).is_some_and(|value| value == "1")
    }

    /// Control `process.preserved-fds`: whether the caller may hand over a directory, or a descriptor that is only a path, by
    /// this number.
    ///
    /// # Errors
    /// It may not.
    pub fn check_directory(&self, number: u32, path: &str) -> Result<(), Refusal> {
        let (rule, name) = (ControlId::PreservedFds, "descriptors.directories");
        if self.mode(rule) != Mode::Enforce || self.overrides().allows(name).is_some() {
            return Ok(());
        }
        let reason = format!("descriptor {number} that is to be preserved is the directory or path {path} of the host");
        let decision = Box::new(refused(rule, "", reason));
        let allow = Remedy { name: name.to_owned(), permitted: false };
        Err(Refusal { profile: self.profile(), decision, allow: Some(allow) })
    }

    /// Control `process.keyring`: whether a container whose caller asks for no keyring of its own (`--no-new-keyring`) keeps
    /// the caller's.
    #[must_use]
    pub fn may_inherit_keyring(&self) -> bool {
        self.mode(ControlId::SessionKeyring) != Mode::Enforce
            || self.overrides().allows("keyring.inherited").is_some()
    }

    /// What is recorded of that; `inherit`: the caller asks.
    #[must_use]
    pub fn keyring_decision(&self, inherit: bool) -> Option<Decision> {
        let mut log = Log::default();
        let (rule, granted) =
            (ControlId::SessionKeyring, self.overrides().allows("keyring.inherited"));
        match (self.mode(rule), inherit, granted) {
            (Mode::Off, ..) => return None,
            (_, false, _) => {
                log.note(rule, "", Verdict::Kept, "the container has a session keyring of its own");
            }
            (_, true, Some(source)) => {
                log.waive(rule, "", source, "the container has its caller's session keyring");
            }
            (mode, true, None) => {
                let enforced = mode == Mode::Enforce;
                let verdict = if enforced { Verdict::Tightened } else { Verdict::Warned };
                let reason =
                    "--no-new-keyring would give the container the keys of its caller's session";
                log.note(rule, "", verdict, reason);
            }
        }
        log.into_last()
    }
}

/// A process that joins keeps the labels that confine the container, whatever the caller sends: engines
/// send "unconfined" for a privileged exec.
fn keep_labels(process: &mut Process, container: &HardenedSpec, log: &mut Log) {
    let Some(init) = &container.process else { return };
    let pairs = [
        (
            "/process/apparmorProfile",
            &mut process.apparmor_profile,
            init.apparmor_profile.as_deref(),
        ),
        ("/process/selinuxLabel", &mut process.selinux_label, init.selinux_label.as_deref()),
    ];
    for (pointer, label, wanted) in pairs {
        if wanted.is_none() || label.as_deref() == wanted {
            continue;
        }
        let verdict = if label.is_some() { Verdict::Tightened } else { Verdict::Added };
        let before = std::mem::replace(label, wanted.map(str::to_owned));
        let reason = "a process that joins keeps the container's label";
        let values = (json!(before), json!(wanted));
        log.change(ControlId::ExecLabels, pointer, verdict, values, reason);
    }
}
