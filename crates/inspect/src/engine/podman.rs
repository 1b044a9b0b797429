//! podman: containers.conf(5) and its drop-ins.

use super::files::{layered, table, text, texts};
use super::program::{binary_path, driver, is_casemate, locate, program, unreadable};
use crate::host::{Check, Host, Status};
use toml::Table;

const MAIN: [&str; 2] =
    ["/usr/share/containers/containers.conf", "/etc/containers/containers.conf"];
const DROP_INS: [&str; 2] =
    ["/usr/share/containers/containers.conf.d", "/etc/containers/containers.conf.d"];

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let mut paths = Vec::new();
    for (main, dir) in MAIN.iter().zip(DROP_INS) {
        paths.push((*main).to_owned());
        paths.extend(host.names(dir, ".conf").iter().map(|name| format!("{dir}/{name}")));
    }
    paths.extend(own_files(host));
    let (config, found) = match layered(host, &paths) {
        Ok(read) => read,
        Err(error) => return vec![unreadable("podman.config", &error)],
    };
    let mut checks = vec![match found.is_empty() {
        true => Check::new("podman.config", Status::Info, "no containers.conf: podman's defaults"),
        false => Check::new("podman.config", Status::Ok, found.join(" ")),
    }];
    checks.extend(runtime(host, &config));
    checks.push(manager(host, &config));
    checks.extend(loosened(&config));
    checks
}

/// A rootless user's own files, over the system's.
fn own_files(host: &Host) -> Vec<String> {
    if rustix::process::geteuid().is_root() || !host.is_running() {
        return Vec::new();
    }
    // As podman takes them: a name that is no text is none.
    let Some(base) = std::env::var("XDG_CONFIG_HOME")
        .ok()
        .filter(|dir| !dir.is_empty())
        .or_else(|| std::env::var("HOME").ok().map(|home| format!("{home}/.config")))
    else {
        return Vec::new();
    };
    let dir = format!("{base}/containers/containers.conf.d");
    let drop_ins = host.names(&dir, ".conf").into_iter().map(|name| format!("{dir}/{name}"));
    std::iter::once(format!("{base}/containers/containers.conf")).chain(drop_ins).collect()
}

fn runtime(host: &Host, config: &Table) -> Vec<Check> {
    let runtimes = table(config, &["engine", "runtimes"]);
    let ours = runtimes.into_iter().flatten().find(|(name, paths)| {
        let paths = paths.as_array().into_iter().flatten();
        is_casemate(name) || paths.filter_map(toml::Value::as_str).any(is_casemate)
    });
    let Some((name, _)) = ours else { return vec![unregistered(host)] };
    let paths = texts(config, &["engine", "runtimes", name]);
    // podman takes the first that exists.
    let path = paths.iter().find(|path| host.exists(path)).or(paths.first());
    let binary = match path {
        Some(path) => program(host, "podman.runtime", path),
        None => Check::new("podman.runtime", Status::Missing, format!("{name} has no paths"))
            .snippet(snippet(host)),
    };
    vec![
        binary,
        default(config, name),
        json_errors(host, config, name),
        no_cgroups(host, config, name),
    ]
}

fn unregistered(host: &Host) -> Check {
    let check = match locate(host, "casemate") {
        Some(path) => Check::new(
            "podman.runtime",
            Status::Warning,
            format!("not in [engine.runtimes]; --runtime {path} works, with poorer error texts"),
        ),
        None => {
            Check::new("podman.runtime", Status::Missing, "not in [engine.runtimes], not in PATH")
        }
    };
    check.fix("write /etc/containers/containers.conf.d/casemate.conf").snippet(snippet(host))
}

fn snippet(host: &Host) -> String {
    let path = binary_path(host);
    format!(
        "[engine]\nruntime_supports_json = [\"crun\", \"runc\", \"casemate\"]\n\
         runtime_supports_nocgroup = [\"crun\", \"casemate\"]\n\n\
         [engine.runtimes]\ncasemate = [\"{path}\"]\n"
    )
}

fn default(config: &Table, name: &str) -> Check {
    match text(config, &["engine", "runtime"]) {
        Some(default) if default == name || is_casemate(default) => {
            Check::new("podman.default", Status::Ok, "casemate runs every container")
        }
        other => {
            let other = other.unwrap_or("podman's own choice");
            let found = format!("{other} is the default: --runtime {name} chooses casemate");
            Check::new("podman.default", Status::Info, found)
        }
    }
}

fn json_errors(host: &Host, config: &Table, name: &str) -> Check {
    let id = "podman.json-errors";
    let check = match texts(config, &["engine", "runtime_supports_json"]).contains(&name) {
        true => Check::new(id, Status::Ok, format!("{name} is in runtime_supports_json")),
        false => Check::new(id, Status::Warning, format!("{name} is not in runtime_supports_json")),
    };
    check
        .needed_for("exit status 126 and 127 of programs that cannot be run")
        .fix("add it to the list")
        .snippet(snippet(host))
}

/// podman reads the singular; its manual has the plural.
fn no_cgroups(host: &Host, config: &Table, name: &str) -> Check {
    let id = "podman.no-cgroups";
    let listed = |key| texts(config, &["engine", key]).contains(&name);
    let key = "runtime_supports_nocgroup";
    let check = if listed(key) {
        Check::new(id, Status::Ok, format!("{name} is in {key}"))
    } else if listed("runtime_supports_nocgroups") {
        let found =
            format!("{name} is in {key}s, as podman's manual has it, but podman reads {key}");
        Check::new(id, Status::Warning, found)
    } else {
        Check::new(id, Status::Warning, format!("{name} is not in {key}"))
    };
    let fix = format!("add it to the list {key}");
    check.needed_for("--cgroups=disabled").fix(fix).snippet(snippet(host))
}

fn manager(host: &Host, config: &Table) -> Check {
    let systemd = text(config, &["engine", "cgroup_manager"]).map(|manager| manager == "systemd");
    let fixes =
        ["cgroup_manager = \"systemd\" in [engine]", "cgroup_manager = \"cgroupfs\" in [engine]"];
    driver(host, "podman.cgroup-manager", systemd, fixes)
}

/// Settings that loosen every container of the host.
fn loosened(config: &Table) -> Vec<Check> {
    let mut checks = Vec::new();
    let flags = table(config, &["engine", "runtimes_flags"]).into_iter().flatten();
    for (name, flags) in flags.filter(|(name, _)| is_casemate(name)) {
        let flags = flags.as_array().into_iter().flatten().filter_map(toml::Value::as_str);
        if let Some(flag) = flags.into_iter().find(|flag| loosens(flag)) {
            let found = format!("every call of {name} has --{flag}");
            checks.push(
                Check::new("podman.flags", Status::Warning, found)
                    .fix("use an annotation, for one container"),
            );
        }
    }
    if text(config, &["containers", "seccomp_profile"]) == Some("unconfined") {
        let found = "podman adds no filter of its own: casemate's default one is loaded";
        checks.push(Check::new("podman.seccomp", Status::Info, found));
    }
    let annotations = texts(config, &["containers", "annotations"]);
    for annotation in annotations.iter().filter(|text| text.starts_with("org.casemate.allow/")) {
        let found = format!("every container gets {annotation}");
        checks.push(
            Check::new("podman.annotations", Status::Warning, found)
                .fix("set it where it is needed"),
        );
    }
    checks
}

fn loosens(flag: &str) -> bool {
    let words = flag.trim_start_matches('-');
    words == "profile=privileged" || words == "profile=baseline" || words.starts_with("allow")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_loosen_are_told_from_others() {
        assert!(loosens("profile=privileged") && loosens("allow=rootfs.writable"));
        assert!(!loosens("profile=restricted") && !loosens("debug"));
    }
}
