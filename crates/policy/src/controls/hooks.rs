//! `hooks.*`: programs that run on the host's side.

use super::prelude::*;
use crate::check::clean;
use crate::facts::HookFile;
use crate::overrides::AllowedHook;
use crate::spec::{Hook, Hooks};
use serde_json::{json, Value};

/// **What.** A hook that runs on the host's side is refused unless its program, every directory
/// above it and every link on its path belong to root (or to the caller, for an ordinary user) and
/// cannot be written by others. A sticky directory such as `/tmp` is permitted. Three more rules
/// apply to paths:
///
/// - `/proc/PID/exe`, which dockerd uses as its own name, is resolved to the file, which must be
///   one of the host's. The hook that runs later is that file
///   (`a_hook_that_is_named_by_a_process_runs_the_file_that_was_judged`). A path through another
///   process's view (`/proc/PID/root/...`) is not trusted
///   (`a_hook_is_not_run_by_a_path_through_what_a_container_has`).
/// - A hook among data on an overlay, FUSE or ecryptfs is not trusted, because its file has other
///   names underneath (`a_hook_that_lies_on_an_overlay_is_not_trusted`).
/// - Interpreters of scripts are judged in the same way. Among data, neither a hook nor an
///   interpreter may have a second name (`a_hook_with_a_second_name_is_not_trusted`).
///
/// casemate repeats these checks right before each hook runs. A hook that then fails them has the
/// same effect as a hook that exits with an error: an error of `create` or `start`, and a warning
/// of `delete`. No container can write programs of hooks, links that lead to them, or interpreters
/// of scripts while the hook's container exists (`mounts.sources`;
/// `a_hook_is_not_written_through_a_volume_that_is_or_holds_it` and its neighbours,
/// `a_hook_that_others_can_change_by_the_time_it_runs_does_not_run`). casemate does not check what
/// a program loads itself (the loader of an ELF file, libraries, files that its arguments name). If
/// a hook is not static, keep it in the host's system together with everything that it loads.
///
/// As with runc, poststop hooks also run after a failed creation, once the container had a state
/// directory: the specification says so for a hook that fails before the program runs. A hook
/// without a timeout gets 30 seconds. Hooks run in `/` with their own environment and without
/// casemate's descriptors. At `privileged` they run in the bundle, createContainer hooks in the
/// root file system, startContainer hooks in the program's directory, as under runc.
/// createContainer hooks run in the container's user namespace, if there is one: they can write to
/// its root file system, but cannot mount or create devices. If only root may search the path to
/// the root file system or to the bundle's config.json, these hooks see these two there and nothing
/// else. startContainer hooks are programs of the container and are not checked.
///
/// **Why.** Hooks run with the runtime's privileges: anybody who can replace one is root
/// (CVE-2024-0132, CVE-2025-23266).
///
/// **What breaks.** Hooks in a developer's home directory, directories writable by a group.
///
/// **Override.**
///
/// - `hooks.untrusted`: hooks that others than root can change
///
/// **In the profiles.**
///
/// - privileged: Hooks run, no matter who may write them.
/// - baseline: Toolkits in unusual places continue to work.
/// - hardened: Hooks run with the runtime's privileges: anybody who can replace one, or a directory
///   above it, is root of the host. They get only their own environment, / as working directory,
///   and 30 seconds unless they ask for another limit (CVE-2025-23266).
pub(crate) const TRUSTED: Control = Control {
    id: ControlId::TrustedHooks,
    name: "hooks.trusted",
    allow: &["hooks.untrusted"],
    modes: [OFF, WARN, ON, ON],
    severity: HIGH,
    summary: "hooks are programs that only root can change",
};

/// **What.** If the node's policy has a list of hooks, hooks that run on the host's side and are
/// not in the list are refused. An entry is the program's path, either as the configuration names
/// it or with all links resolved, and may have a digest:
///
/// ```toml
/// [values]
/// "hooks.allow" = [
///     "/usr/bin/nvidia-ctk",
///     { path = "/usr/bin/nvidia-container-runtime-hook", sha256 = "9f86d081884c7d65...0a08" },
///     { path = "/usr/libexec/net-hook", env = ["NET_NAME", "MODE=quiet"] },
/// ]
/// ```
///
/// A digest does not protect against LD_PRELOAD or BASH_ENV. So a listed hook gets only those
/// variables of the configuration that its entry names in `env`: `NAME` with any value,
/// `NAME=VALUE` with this value. Without `env` it gets LANG, LANGUAGE, LC_*, TERM and NO_COLOR if
/// their values are not paths, and the system's directories of PATH. The decisions list the
/// variables that were dropped.
///
/// If every entry for a hook has a digest, the hook must have the same content each time it runs as
/// when the container was created, even if the list changes later; `delete` continues without a
/// hook that does not. The file that runs is the one from which the digest was taken. Only a script
/// is opened again by its path, and compared right before (device, inode, size, time of change);
/// `a_pinned_hook_that_was_altered_since_does_not_run`,
/// `a_pinned_program_is_run_from_the_file_that_the_digest_was_taken_of`.
///
/// `"hooks.allow" = []` refuses all hooks. casemate computes digests only if there is such a list
/// or an audit log; the container's `posture.json` and `casemate audit ID` then show them.
/// dockerd's own hook is `/usr/bin/dockerd`. startContainer hooks are programs of the container.
///
/// **Why.** A hook is a program that runs as root for every container, and the configuration names
/// it. Only the node's administrator knows which hooks the node needs.
///
/// **What breaks.** Hooks of engines and GPU toolkits that the list lacks, or whose variables it
/// does not name.
///
/// **Override.**
///
/// - `hooks.unlisted`: hooks that the policy's list lacks
///
/// Without a list there is nothing to override. Hooks then run, and programs that are not known as
/// hooks of engines or device toolkits are a finding (`warned`).
///
/// **In the profiles.**
///
/// - privileged: Any hooks that the configuration names.
/// - baseline: If there is a list, somebody wrote it for a reason.
/// - hardened: Only if the node's policy has a list of hooks ("hooks.allow" in [values]): nobody
///   else can know which ones are needed.
pub(crate) const LISTED: Control = Control {
    id: ControlId::ListedHooks,
    name: "hooks.allow",
    allow: &["hooks.unlisted"],
    modes: [OFF, ON, ON, ON],
    severity: HIGH,
    summary: "if the node's policy has a list of hooks, only those run",
};

/// How long a hook may take that names no time, in seconds: one that hangs would hold the engine for ever.
const HOOK_TIMEOUT: i64 = 30;

/// A hook that is named by a process is run by the name of its file: what was judged is what runs, also when that process executes
/// something else by then, or has gone. Nothing is taken away by that.
fn name_by_file(draft: &mut Draft<'_>, asked: &mut Hooks) {
    for (kind, list) in asked.kinds_mut() {
        for (index, hook) in list.iter_mut().enumerate() {
            let pointer = format!("/hooks/{kind}/{index}");
            let Some(file) = draft.facts.hook_names.get(&pointer) else { continue };
            let named = std::mem::replace(&mut hook.path, file.clone());
            if hook.args.is_empty() {
                hook.args.push(named.clone());
            }
            let values = (json!(named), json!(file));
            let reason = "by then that process may execute another file";
            let rule = ControlId::TrustedHooks;
            draft.log.change(rule, format!("{pointer}/path"), Verdict::Added, values, reason);
        }
    }
}

/// Who may change a hook is the runtime's to find out.
pub(crate) fn trusted(draft: &mut Draft<'_>, mut asked: Hooks) -> Result<Hooks, Refusal> {
    let rule = ControlId::TrustedHooks;
    for (kind, list) in asked.kinds_mut() {
        for (index, hook) in list.iter_mut().enumerate().filter(|(_, hook)| hook.timeout.is_none())
        {
            hook.timeout = Some(HOOK_TIMEOUT);
            let values = (Value::Null, json!(HOOK_TIMEOUT));
            let pointer = format!("/hooks/{kind}/{index}/timeout");
            let reason = "a hook that hangs would hold up the engine for ever";
            draft.log.change(rule, pointer, Verdict::Added, values, reason);
        }
    }
    name_by_file(draft, &mut asked);
    let facts = draft.facts;
    let Some((pointer, fault)) = facts.hook_faults.iter().next() else {
        let on_host =
            |(kind, list): &(&str, &[Hook])| *kind != "startContainer" && !list.is_empty();
        draft.extras.hooks.trusted = asked.kinds().iter().any(on_host);
        let reason = "nobody but root could change a hook";
        draft.log.note(rule, "/hooks", Verdict::Kept, reason);
        return Ok(asked);
    };
    if let Some(source) = draft.allows("hooks.untrusted") {
        draft.log.waive(rule, pointer.clone(), source, format!("hooks are not checked: {fault}"));
        return Ok(asked);
    }
    let reason = format!("{}: {fault}", json_path(pointer));
    Err(draft.refuse(rule, pointer.clone(), reason, Some("hooks.untrusted")))
}

/// startContainer hooks are programs of the container, with its rights.
pub(crate) fn listed(draft: &mut Draft<'_>, mut asked: Hooks) -> Result<Hooks, Refusal> {
    let (rule, override_name) = (ControlId::ListedHooks, "hooks.unlisted");
    let Some(list) = &draft.choice.overrides.values.hooks_allow else {
        draft.log.note(rule, "/hooks", Verdict::Kept, "the node's policy has no list of hooks");
        for (pointer, hook) in unusual(&asked) {
            let reason = format!(
                "{}: {} runs with the runtime's rights and the configuration's arguments; \
                 hooks.allow in the node's policy can limit which hooks run",
                json_path(&pointer),
                hook.path
            );
            draft.log.note(rule, pointer, Verdict::Warned, reason);
        }
        return Ok(asked);
    };
    let (mut found, mut fault) = (serde_json::Map::new(), None);
    for (kind, hooks) in asked.kinds() {
        for (index, hook) in hooks.iter().enumerate().filter(|_| kind != "startContainer") {
            let pointer = format!("/hooks/{kind}/{index}");
            let file = draft.facts.hook_files.get(&pointer).cloned().unwrap_or_default();
            if let (Some(reason), None) = (unlisted(&hook.path, &file, list), &fault) {
                fault = Some((pointer, reason));
            }
            found.insert(hook.path.clone(), json!(file.sha256));
        }
    }
    if let Some((pointer, reason)) = fault {
        let reason = format!("{}: {reason}", json_path(&pointer));
        if let Some(source) = draft.allows(override_name) {
            draft.log.waive(rule, pointer, source, reason);
            return Ok(asked);
        }
        return Err(draft.refuse(rule, pointer, reason, Some(override_name)));
    }
    let reason = "hooks are those of the node's policy";
    draft.log.change(rule, "/hooks", Verdict::Kept, (Value::Null, found.into()), reason);
    if draft.allows(override_name).is_none() {
        pin_programs(draft, list, &asked);
        pin_environments(draft, list, &mut asked);
    }
    Ok(asked)
}

/// Hooks on the host's side that are not what engines and toolkits for devices bring: their programs do one thing, whatever the
/// arguments. `/proc/PID/exe` is how dockerd names itself.
fn unusual(hooks: &Hooks) -> Vec<(String, &Hook)> {
    const USUAL: [&str; 7] = [
        "dockerd",
        "nvidia-ctk",
        "nvidia-cdi-hook",
        "nvidia-container-runtime-hook",
        "nvidia-container-toolkit",
        "netavark",
        "oci-seccomp-bpf-hook",
    ];
    let is_usual = |hook: &Hook| {
        let docker = hook.path.starts_with("/proc/") && hook.path.ends_with("/exe");
        let name = hook.path.rsplit('/').next().unwrap_or_default();
        USUAL.contains(&name) || (docker && hook.args.iter().any(|arg| arg == "libnetwork-setkey"))
    };
    let host = hooks.kinds().into_iter().filter(|(kind, _)| *kind != "startContainer");
    let each = host.flat_map(|(kind, list)| {
        list.iter().enumerate().map(move |(index, hook)| (format!("/hooks/{kind}/{index}"), hook))
    });
    each.filter(|(_, hook)| !is_usual(hook)).collect()
}

/// What a hook holds whose every entry has a digest, it holds whenever it runs.
fn pin_programs(draft: &mut Draft<'_>, list: &[AllowedHook], asked: &Hooks) {
    for (kind, hooks) in asked.kinds().into_iter().filter(|(kind, _)| *kind != "startContainer") {
        for (index, hook) in hooks.iter().enumerate() {
            let pointer = format!("/hooks/{kind}/{index}");
            let Some(file) = draft.facts.hook_files.get(&pointer) else { continue };
            let mut entries =
                list.iter().filter(|known| known.is_named(&hook.path, file) && known.holds(file));
            let digest =
                file.sha256.clone().filter(|_| entries.all(|known| known.sha256.is_some()));
            if let Some(digest) = digest {
                draft.extras.hooks.digests.insert(pointer, digest);
            }
        }
    }
}

/// Listed hooks get of the configuration's variables what the list lets them have.
fn pin_environments(draft: &mut Draft<'_>, list: &[AllowedHook], asked: &mut Hooks) {
    for (kind, hooks) in asked.kinds_mut() {
        for (index, hook) in hooks.iter_mut().enumerate().filter(|_| kind != "startContainer") {
            let pointer = format!("/hooks/{kind}/{index}");
            let file = draft.facts.hook_files.get(&pointer).cloned().unwrap_or_default();
            let entries = || {
                list.iter().filter(|known| known.is_named(&hook.path, &file) && known.holds(&file))
            };
            let Some(env) = &hook.env else { continue };
            let pass = |text: &String| entries().find_map(|known| known.passes(text));
            let left: Vec<String> = env.iter().filter_map(pass).collect();
            if left == *env {
                continue;
            }
            // Names only: values may be secrets.
            let name = |text: &String| text.split('=').next().unwrap_or_default().to_owned();
            let changed: Vec<String> =
                env.iter().filter(|text| !left.contains(text)).map(name).collect();
            let names = changed.iter().map(|name| clean(name)).collect::<Vec<_>>().join(", ");
            let reason = format!("{}: {names} not as in env of hooks.allow", json_path(&pointer));
            hook.env = Some(left);
            let (values, pointer) = ((json!(changed), Value::Null), format!("{pointer}/env"));
            draft.log.change(ControlId::ListedHooks, pointer, Verdict::Tightened, values, reason);
        }
    }
}

/// Why a hook is none of the list; `None`: it is one.
fn unlisted(path: &str, file: &HookFile, list: &[AllowedHook]) -> Option<String> {
    let mut named = list.iter().filter(|known| known.is_named(path, file)).peekable();
    if named.peek().is_none() {
        return Some(format!("{path} is not in hooks.allow of the node policy"));
    }
    if named.any(|known| known.holds(file)) {
        return None;
    }
    let digest = file.sha256.as_deref().map_or("unknown".to_owned(), |sum| format!("sha256 {sum}"));
    Some(format!("{path} does not match hooks.allow of the node policy (its digest is {digest})"))
}

/// `/hooks/prestart/0` as messages say it: `hooks.prestart[0]`.
fn json_path(pointer: &str) -> String {
    match pointer.trim_start_matches('/').rsplit_once('/') {
        Some((list, index)) => format!("{}[{index}]", list.replace('/', ".")),
        None => pointer.to_owned(),
    }
}
