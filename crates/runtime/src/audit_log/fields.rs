//! What stands in a record: who, what, on which grounds.

use crate::decide::bundle::Bundle;
use crate::decide::Decided;
use crate::digest::of_bytes;
use crate::procfs;
use crate::state::Record;
use casemate_policy::spec::{Hook, Spec};
use casemate_policy::{Decision, Engine, Label, Source, Verdict};
use rustix::fd::OwnedFd;
use serde_json::{json, Map, Value};

/// Texts come from bundles; a record must stay one write.
const LONGEST: usize = 1024;

type Fields = Map<String, Value>;

/// At most so much of a text, whole characters.
pub(super) fn short(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

fn put(fields: &mut Fields, key: &str, value: impl Into<Value>) {
    fields.insert(key.to_owned(), value.into());
}

/// Who calls: ids, the login that they go back to, the process and the one that started it, and its cgroup.
pub(super) fn of_caller(proc: &OwnedFd) -> Fields {
    let mut fields = Fields::new();
    let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    // What cannot be read has no field: a record that says less is one, and an ended parent has nothing to say.
    let line = |path: &str| procfs::read(proc, path).ok().map(|text| text.trim().to_owned());
    put(&mut fields, "user.uid", rustix::process::getuid().as_raw());
    if let Some(login) = line("self/loginuid").and_then(|text| text.parse::<u32>().ok()) {
        // -1: nobody has logged in, as for services.
        put(&mut fields, "user.loginuid", if login == u32::MAX { json!(-1) } else { json!(login) });
    }
    put(&mut fields, "group.gid", rustix::process::getgid().as_raw());
    put(&mut fields, "proc.name", "casemate");
    put(&mut fields, "proc.pid", std::process::id());
    put(&mut fields, "proc.ppid", parent);
    if let Some(name) = line(&format!("{parent}/comm")) {
        put(&mut fields, "proc.pname", short(&name));
    }
    if let Ok(path) = rustix::fs::readlinkat(proc, format!("{parent}/exe"), Vec::new()) {
        put(&mut fields, "proc.pexepath", short(&path.to_string_lossy()));
    }
    let cgroup = line("self/cgroup").unwrap_or_default();
    if let Some(path) = cgroup.lines().find_map(|line| line.strip_prefix("0::")) {
        put(&mut fields, "thread.cgroups", short(path));
    }
    fields
}

/// The bundle: where it is, and what stood in its configuration.
pub(super) fn of_bundle(fields: &mut Fields, bundle: &Bundle) {
    put(fields, "casemate.bundle", short(&bundle.dir.to_string_lossy()));
    put(fields, "casemate.bundle.digest", format!("sha256:{}", of_bytes(&bundle.config)));
}

/// What is about to be made, and why so.
pub(super) fn of_decided(fields: &mut Fields, decided: &Decided) {
    of_spec(fields, &decided.spec, decided.choice.engine);
    put(fields, "casemate.profile", decided.spec.profile().as_str());
    let decisions: Vec<Value> = decided.decisions.iter().map(decision).collect();
    put(fields, "casemate.decisions", decisions);
    let hooks = hooks(decided);
    if !hooks.is_empty() {
        put(fields, "casemate.hooks", hooks);
    }
}

/// What a later command knows of a container.
pub(super) fn of_record(fields: &mut Fields, record: &Record) {
    of_spec(fields, &record.spec, record.engine);
    put(fields, "casemate.profile", record.spec.profile().as_str());
    put(fields, "casemate.bundle", short(&record.bundle.to_string_lossy()));
}

/// One of the decisions for which a configuration is not run: where, and why.
pub(super) fn refused(decision: &Decision) -> Value {
    json!({
        "control": decision.rule,
        "verdict": decision.verdict,
        "pointer": decision.pointer,
        "reason": short(&decision.reason),
    })
}

fn decision(decision: &Decision) -> Value {
    let mut value = json!({"control": decision.rule, "verdict": decision.verdict});
    if decision.source != Source::Profile {
        value["source"] = decision.source.to_string().into();
    }
    if matches!(decision.verdict, Verdict::Waived | Verdict::Warned) {
        value["reason"] = short(&decision.reason).into();
    }
    value
}

/// What the engine itself says: image, names, Kubernetes' coordinates. What a pod or an image has written under the same
/// names is not told, nor who made a configuration that has signs of two engines.
fn of_spec(fields: &mut Fields, spec: &Spec, engine: Option<Engine>) {
    const LABELS: [(&str, Label); 6] = [
        ("container.image", Label::Image),
        ("container.name", Label::Container),
        ("k8s.ns.name", Label::Namespace),
        ("k8s.pod.name", Label::Pod),
        ("k8s.pod.uid", Label::PodUid),
        ("k8s.pod.sandbox_id", Label::Sandbox),
    ];
    if let Err(error) = Engine::claimed(&spec.annotations, spec.linux.cgroups_path.as_deref()) {
        return put(fields, "casemate.manager", short(&format!("unknown: {error}")));
    }
    let Some(engine) = engine else { return };
    put(fields, "casemate.manager", engine.manager());
    for (key, label) in LABELS {
        if let Some(text) = engine.label(&spec.annotations, label) {
            put(fields, key, short(text));
        }
    }
}

fn hooks(decided: &Decided) -> Vec<Value> {
    let kinds = decided.spec.hooks.kinds();
    let each = |(kind, list): &(&'static str, &[Hook])| {
        let kind = *kind;
        list.iter()
            .enumerate()
            .map(move |(n, hook)| (kind, n, hook.path.clone()))
            .collect::<Vec<_>>()
    };
    let all = kinds.iter().flat_map(each);
    all.map(|(kind, index, path)| {
        let mut value = json!({"kind": kind, "path": short(&path)});
        let file = decided.facts.hook_files.get(&format!("/hooks/{kind}/{index}"));
        if let Some(sum) = file.and_then(|file| file.sha256.as_ref()) {
            value["digest"] = format!("sha256:{sum}").into();
        }
        value
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_whole_characters() {
        assert_eq!(short(&"é".repeat(5000)).chars().count(), LONGEST);
    }
}
