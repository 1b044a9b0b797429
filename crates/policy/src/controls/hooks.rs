//! `hooks.*`: programs that run on the host's side.

use super::prelude::*;
use crate::check::clean;
use crate::facts::HookFile;
use crate::overrides::AllowedHook;
use crate::spec::Hooks;
use serde_json::{json, Value};

pub(crate) const TRUSTED: Control = Control {
    id: ControlId::TrustedHooks,
    name: "hooks.trusted",
    allow: &["hooks.untrusted"],
    modes: [OFF, WARN, ON, ON],
    summary: "hooks are programs that only root can change",
};

pub(crate) const LISTED: Control = Control {
    id: ControlId::ListedHooks,
    name: "hooks.allow",
    allow: &["hooks.unlisted"],
    modes: [OFF, ON, ON, ON],
    summary: "hooks are those that the node's policy lists, where it has a list",
};

/// How long a hook may take that names no time, in seconds: one that hangs would hold the engine for ever.
const HOOK_TIMEOUT: i64 = 30;

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
    let facts = draft.facts;
    let Some((pointer, fault)) = facts.hook_faults.iter().next() else {
        let reason = "nobody but root could change a hook";
        draft.log.note(rule, "/hooks", Verdict::Kept, reason);
        return Ok(asked);
    };
    if let Some(source) = draft.allows("hooks.untrusted") {
        draft.log.waive(rule, pointer.clone(), source, format!("hooks are not judged: {fault}"));
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
        pin_environments(draft, list, &mut asked);
    }
    Ok(asked)
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
    Some(format!("{path} is not what hooks.allow of the node policy knows (is {digest})"))
}

/// `/hooks/prestart/0` as messages say it: `hooks.prestart[0]`.
fn json_path(pointer: &str) -> String {
    match pointer.trim_start_matches('/').rsplit_once('/') {
        Some((list, index)) => format!("{}[{index}]", list.replace('/', ".")),
        None => pointer.to_owned(),
    }
}
