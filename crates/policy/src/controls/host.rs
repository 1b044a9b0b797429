//! `hooks.*`, `sysctls.*`, `cgroup.*` and `process.core-pattern`: where a configuration reaches the host itself.

use crate::check::{clean, sysctl};
use crate::control::ControlId;
use crate::decision::{Refusal, Verdict};
use crate::facts::HookFile;
use crate::harden::Draft;
use crate::mount_options::{attr, MountPlanFlags};
use crate::overrides::AllowedHook;
use crate::spec::NamespaceKind;
use serde_json::{json, Value};

/// How long a hook may take that names no time, in seconds: one that hangs would hold the engine for ever.
const HOOK_TIMEOUT: i64 = 30;

/// Rule `hooks.trusted`. Who may change a hook is the runtime's to find out.
pub(crate) fn hooks(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let rule = ControlId::TrustedHooks;
    for (kind, list) in draft.spec.hooks.kinds_mut() {
        for (index, hook) in list.iter_mut().enumerate().filter(|(_, hook)| hook.timeout.is_none())
        {
            hook.timeout = Some(HOOK_TIMEOUT);
            let values = (Value::Null, json!(HOOK_TIMEOUT));
            let pointer = format!("/hooks/{kind}/{index}/timeout");
            let reason = "a hook that hangs would hold up the engine for ever";
            draft.log.change(rule, pointer, Verdict::Added, values, reason);
        }
    }
    let facts = draft.facts;
    let Some((pointer, fault)) = facts.hook_faults.iter().next() else {
        let reason = "nobody but root could change a hook";
        draft.log.note(rule, "/hooks", Verdict::Kept, reason);
        return Ok(());
    };
    if let Some(source) = draft.allows("hooks.untrusted") {
        draft.log.waive(rule, pointer.clone(), source, format!("hooks are not judged: {fault}"));
        return Ok(());
    }
    let reason = format!("{}: {fault}", json_path(pointer));
    Err(draft.refuse(rule, pointer.clone(), reason, Some("hooks.untrusted")))
}

/// Rule `hooks.allow`. startContainer hooks are programs of the container, with its rights.
pub(crate) fn listed_hooks(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, override_name) = (ControlId::ListedHooks, "hooks.unlisted");
    let Some(list) = &draft.choice.overrides.values.hooks_allow else {
        draft.log.note(rule, "/hooks", Verdict::Kept, "the node's policy has no list of hooks");
        return Ok(());
    };
    let (mut found, mut fault) = (serde_json::Map::new(), None);
    for (kind, hooks) in draft.spec.hooks.kinds() {
        for (index, hook) in hooks.iter().enumerate().filter(|_| kind != "startContainer") {
            let pointer = format!("/hooks/{kind}/{index}");
            let file = draft.facts.hook_files.get(&pointer).cloned().unwrap_or_default();
            if let (Some(reason), None) = (unlisted(&hook.path, &file, list), &fault) {
                fault = Some((pointer, reason));
            }
            found.insert(hook.path.clone(), json!(file.sha256));
        }
    }
    let Some((pointer, reason)) = fault else {
        let reason = "hooks are those of the node's policy";
        draft.log.change(rule, "/hooks", Verdict::Kept, (Value::Null, found.into()), reason);
        return Ok(());
    };
    let reason = format!("{}: {reason}", json_path(&pointer));
    if let Some(source) = draft.allows(override_name) {
        draft.log.waive(rule, pointer, source, reason);
        return Ok(());
    }
    Err(draft.refuse(rule, pointer, reason, Some(override_name)))
}

/// Why a hook is none of the list; `None`: it is one.
fn unlisted(path: &str, file: &HookFile, list: &[AllowedHook]) -> Option<String> {
    // dockerd names itself by its process: what that leads to counts as well.
    let named: Vec<&AllowedHook> =
        list.iter().filter(|known| known.path == path || known.path == file.path).collect();
    if named.is_empty() {
        return Some(format!("{path} is not in hooks.allow of the node policy"));
    }
    let fits = |known: &&AllowedHook| known.sha256.is_none() || known.sha256 == file.sha256;
    if named.iter().any(fits) {
        return None;
    }
    let digest = file.sha256.as_deref().map_or("unknown".to_owned(), |sum| format!("sha256 {sum}"));
    Some(format!("{path} is not what hooks.allow of the node policy knows (is {digest})"))
}

/// `/hooks/prestart/0` as messages say it: `hooks.prestart[0]`.
fn json_path(pointer: &str) -> String {
    match pointer.trim_start_matches('/').rsplit_once('/') {
        Some((list, index)) => format!("{}[{index}]", list.replace('/', ".")),
        None => pointer.to_owned(),
    }
}

/// Rule `sysctls.allowlist`: of the parameters that belong to the container's namespaces, those that are known not to
/// reach beyond.
pub(crate) fn sysctls(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let rule = ControlId::Sysctls;
    let pointer = "/linux/sysctl";
    if let Some(source) = draft.allows("sysctls.any") {
        draft.log.waive(rule, pointer, source, "kernel parameters are as asked for");
        return Ok(());
    }
    let safe = draft.profile.sysctls;
    let all = sysctl::resolve(&draft.spec).unwrap_or_default();
    let Some(other) = all.iter().find(|sysctl| !safe.contains(&sysctl.path.as_str())) else {
        draft.log.note(rule, pointer, Verdict::Kept, "no kernel parameter but safe ones");
        return Ok(());
    };
    let reason = format!("kernel parameter {}", other.path.replace('/', "."));
    Err(draft.refuse(rule, pointer, reason, Some("sysctls.any")))
}

/// Rule `cgroup.readonly`.
pub(crate) fn cgroup(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let rule = ControlId::CgroupMount;
    if let Some(source) = draft.allows("cgroup.writable") {
        draft.log.waive(rule, "/mounts", source, "the cgroup file system is as asked for");
        return Ok(());
    }
    let own = draft
        .spec
        .namespace(NamespaceKind::Cgroup)
        .is_some_and(|namespace| namespace.path.is_none());
    let mut changed = false;
    for (index, mount) in draft.spec.mounts.iter_mut().enumerate() {
        let is_cgroup = matches!(mount.kind.as_deref(), Some("cgroup" | "cgroup2"));
        let Ok(flags) = MountPlanFlags::parse(&mount.options) else { continue };
        let read_only = flags.attrs.set & attr::RDONLY != 0;
        let asked = mount.options.iter().any(|option| option == "rw");
        if mount.is_bind() || !is_cgroup || read_only || (asked && own) {
            continue;
        }
        mount.options.push("ro".to_owned());
        changed = true;
        let reason =
            format!("{}: limits are not the container's to set", clean(&mount.destination));
        let values = (Value::Null, json!(["ro"]));
        let pointer = format!("/mounts/{index}/options/-");
        draft.log.change(rule, pointer, Verdict::Tightened, values, reason);
    }
    if !changed {
        let reason = "no cgroup but the container's own can be written";
        draft.log.note(rule, "/mounts", Verdict::Kept, reason);
    }
    Ok(())
}

/// Rule `process.core-pattern`.
pub(crate) fn core_pattern(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let rule = ControlId::CorePattern;
    let pointer = "/linux/namespaces";
    // One that is not required may turn out not to be possible.
    let confined = draft.spec.namespace(NamespaceKind::User).is_some()
        || draft.extras.auto_userns.is_some_and(|own| own.required)
        || !draft.facts.in_initial_userns;
    if !draft.facts.core_pattern_is_pipe || confined {
        let reason = "a crash starts no program of the host's, or gives it ids without power";
        draft.log.note(rule, pointer, Verdict::Kept, reason);
        return Ok(());
    }
    if let Some(source) = draft.allows("process.core-pipe") {
        draft.log.waive(rule, pointer, source, "the host's core dump program may be started");
        return Ok(());
    }
    let reason = "a crash would start the program of kernel.core_pattern as root of the host";
    Err(draft.refuse(rule, pointer, reason, Some("process.core-pipe")))
}
