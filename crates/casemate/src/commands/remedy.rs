//! What is pasted to be given an override: for each engine in its own words.

/// What to type or to write for the engine at hand.
pub(super) fn paste(engine: Option<&str>, names: &[&str]) -> Vec<String> {
    let key = |name: &&str| format!("org.casemate.allow/{name}=true");
    let flags: Vec<String> =
        names.iter().map(|name| format!("--annotation {}", key(name))).collect();
    let permit = format!("casemate policy permit {}", names.join(","));
    let flags = flags.join(" ");
    match engine {
        Some("docker") => vec![permit, format!("docker run --runtime casemate {flags} ...")],
        Some("podman") => vec![permit, format!("podman run --runtime casemate {flags} ...")],
        Some("cri-o") => in_pod(permit, names),
        // Pods and ctr have it in common.
        Some("containerd") => {
            let mut lines = vec![permit.clone(), format!("ctr run {flags} ...")];
            lines.extend(in_pod(permit, names).into_iter().skip(1));
            lines
        }
        _ => vec![format!("casemate --allow {} run ...", names.join(","))],
    }
}

fn in_pod(permit: String, names: &[&str]) -> Vec<String> {
    let mut lines = vec![permit, "metadata: { annotations: {".to_owned()];
    lines.extend(names.iter().map(|name| format!("  org.casemate.allow/{name}: \"true\",")));
    lines.push("} }".to_owned());
    lines
}
