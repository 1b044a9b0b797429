//! CRI-O: crio.conf and crio.conf.d.

use super::files::{layered, table, text, texts};
use super::program::{binary_path, driver, is_casemate, program, unreadable};
use crate::host::{Check, Host, Status};
use toml::Table;

const MAIN: &str = "/etc/crio/crio.conf";
const DIRS: [&str; 2] = ["/usr/share/crio/crio.conf.d", "/etc/crio/crio.conf.d"];

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let mut paths = vec![MAIN.to_owned()];
    for dir in DIRS {
        // CRI-O reads every file of the directory, whatever its name ends in.
        paths.extend(host.names(dir, "").iter().map(|name| format!("{dir}/{name}")));
    }
    let (config, found) = match layered(host, &paths) {
        Ok(read) => read,
        Err(error) => return vec![unreadable("crio.config", &error)],
    };
    let mut checks = vec![match found.is_empty() {
        true => Check::new("crio.config", Status::Info, "no crio.conf: CRI-O's defaults"),
        false => Check::new("crio.config", Status::Ok, found.join(" ")),
    }];
    checks.extend(runtimes(host, &config));
    checks.push(manager(host, &config));
    checks
}

/// Whether CRI-O is configured on this host at all.
pub(super) fn is_present(host: &Host) -> bool {
    host.exists("/etc/crio")
}

/// CRI-O's driver, for the kubelet's to be compared with.
pub(super) fn systemd_driver(host: &Host) -> bool {
    let mut paths = vec![MAIN.to_owned()];
    for dir in DIRS {
        paths.extend(host.names(dir, "").iter().map(|name| format!("{dir}/{name}")));
    }
    // A file that cannot be read is a check of CRI-O's own.
    let config = layered(host, &paths).map(|(config, _)| config).unwrap_or_default();
    text(&config, &["crio", "runtime", "cgroup_manager"]).is_none_or(|name| name == "systemd")
}

fn runtimes(host: &Host, config: &Table) -> Vec<Check> {
    let all = table(config, &["crio", "runtime", "runtimes"]).into_iter().flatten();
    let ours: Vec<(&String, &Table)> = all
        .filter_map(|(name, value)| Some((name, value.as_table()?)))
        .filter(|(name, runtime)| {
            is_casemate(name) || text(runtime, &["runtime_path"]).is_some_and(is_casemate)
        })
        .collect();
    let Some((first, _)) = ours.first() else {
        return vec![Check::new(
            "crio.runtime",
            Status::Missing,
            "no runtime of CRI-O is casemate",
        )
        .fix("write /etc/crio/crio.conf.d/50-casemate.conf, then systemctl restart crio")
        .snippet(snippet(host))];
    };
    let mut checks: Vec<Check> =
        ours.iter().flat_map(|(name, runtime)| one_runtime(host, name, runtime)).collect();
    let default = text(config, &["crio", "runtime", "default_runtime"]);
    checks.push(match default {
        Some(name) if ours.iter().any(|(known, _)| *known == name) => {
            Check::new("crio.default", Status::Ok, format!("{name} runs every pod"))
        }
        other => {
            let other = other.unwrap_or("crun");
            let found = format!("{other} is the default: a runtime class chooses {first}");
            Check::new("crio.default", Status::Info, found)
        }
    });
    checks
}

fn one_runtime(host: &Host, name: &str, runtime: &Table) -> Vec<Check> {
    let id = format!("crio.runtime.{name}");
    let binary = match text(runtime, &["runtime_path"]).filter(|path| !path.is_empty()) {
        Some(path) => program(host, &id, path),
        // CRI-O then looks for a program of the runtime's name in PATH.
        None => program(host, &id, name),
    };
    let kind = text(runtime, &["runtime_type"]).unwrap_or_default();
    let kind = match kind {
        "" | "oci" | "pod" => {
            Check::new(format!("{id}.type"), Status::Ok, if kind.is_empty() { "oci" } else { kind })
        }
        other => {
            Check::new(format!("{id}.type"), Status::Missing, format!("runtime_type is {other}"))
                .fix("runtime_type = \"oci\": others are run by a shim of their own")
                .snippet(snippet(host))
        }
    };
    let root = match text(runtime, &["runtime_root"]).filter(|root| !root.is_empty()) {
        Some(root) => Check::new(format!("{id}.root"), Status::Ok, root),
        None => Check::new(
            format!("{id}.root"),
            Status::Warning,
            "runtime_root is not set: the state goes to another runtime's directory",
        )
        .fix("runtime_root = \"/run/casemate\"")
        .snippet(snippet(host)),
    };
    // CRI-O hands all annotations of pods on. This list is for those that itself acts upon, and a name that it does not
    // know keeps it from starting ("invalid allowed_annotation").
    let listed =
        texts(runtime, &["allowed_annotations"]).iter().any(|p| p.starts_with("org.casemate."));
    let annotations = match listed {
        false => {
            Check::new(format!("{id}.annotations"), Status::Ok, "org.casemate.* reaches casemate")
        }
        true => Check::new(
            format!("{id}.annotations"),
            Status::Missing,
            "CRI-O refuses to start with org.casemate.* in allowed_annotations",
        )
        .fix("leave it out: annotations that are not CRI-O's own are always handed on")
        .snippet(snippet(host)),
    };
    vec![binary, kind, root, annotations.needed_for("overrides by annotation")]
}

fn manager(host: &Host, config: &Table) -> Check {
    let manager = text(config, &["crio", "runtime", "cgroup_manager"]).unwrap_or("systemd");
    driver(
        host,
        "crio.cgroup-manager",
        Some(manager == "systemd"),
        [
            "cgroup_manager = \"systemd\" in [crio.runtime]",
            "cgroup_manager = \"cgroupfs\" and conmon_cgroup = \"pod\" in [crio.runtime]",
        ],
    )
}

fn snippet(host: &Host) -> String {
    format!(
        "[crio.runtime.runtimes.casemate]\nruntime_path = \"{}\"\nruntime_type = \"oci\"\n\
         runtime_root = \"/run/casemate\"\n",
        binary_path(host)
    )
}
