//! containerd: config.toml of version 2 and 3, with what it imports.

use super::files::{self, at, merge, table, text, texts, FileError};
use super::program::{binary_path, driver, is_casemate, program, unreadable};
use crate::host::{Check, Host, Status};
use toml::{Table, Value};

const FILE: &str = "/etc/containerd/config.toml";
const SHIM: &str = "io.containerd.runc.v2";
/// The plug-in that knows the runtimes, in version 2 and in version 3 of the file.
const PLUGINS: [(i64, &str); 2] =
    [(2, "io.containerd.grpc.v1.cri"), (3, "io.containerd.cri.v1.runtime")];
/// A file that imports itself must not keep us.
const DEEPEST: usize = 8;

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let (config, found) = match load(host) {
        Ok(read) => read,
        Err(error) => return vec![unreadable("containerd.config", &error)],
    };
    if found.is_empty() {
        let check =
            Check::new("containerd.config", Status::Missing, format!("{FILE} does not exist"));
        let fix = "write it, then systemctl restart containerd";
        return vec![check.fix(fix).snippet(snippet(host, 2, &config))];
    }
    let version = at(&config, &["version"]).and_then(Value::as_integer).unwrap_or(1);
    let mut checks = vec![Check::new(
        "containerd.config",
        Status::Ok,
        format!("version {version}: {}", found.join(" ")),
    )];
    checks.extend(enabled(&config));
    let Some((_, plugin)) = PLUGINS.iter().find(|(known, _)| *known == version) else {
        let found = format!("version {version} of the file is not known here");
        let check = Check::new("containerd.version", Status::Missing, found);
        checks.push(check.fix("containerd config migrate").snippet(snippet(host, 2, &config)));
        return checks;
    };
    checks.extend(misplaced(&config, version));
    checks.extend(runtimes(host, &config, plugin, version));
    checks
}

/// The handler's cgroup driver, for the kubelet's to be compared with; `None` when no handler is casemate.
pub(super) fn systemd_driver(host: &Host) -> Option<bool> {
    // A file that cannot be read is a check of containerd's own.
    let (config, _) = load(host).ok()?;
    PLUGINS.iter().find_map(|(_, plugin)| {
        let (_, runtime) = ours(&config, plugin).into_iter().next()?;
        Some(at(runtime, &["options", "SystemdCgroup"]).and_then(Value::as_bool).unwrap_or(false))
    })
}

/// Whether containerd is configured on this host at all.
pub(super) fn is_present(host: &Host) -> bool {
    host.exists(FILE)
}

fn load(host: &Host) -> Result<(Table, Vec<String>), FileError> {
    let (mut merged, mut found) = (Table::new(), Vec::new());
    add(host, FILE, 0, &mut merged, &mut found)?;
    Ok((merged, found))
}

/// The file itself, then what it imports over it. Imports may be relative to the file, with a `*` in the last part.
fn add(
    host: &Host,
    path: &str,
    depth: usize,
    merged: &mut Table,
    found: &mut Vec<String>,
) -> Result<(), FileError> {
    if depth > DEEPEST || found.iter().any(|known| known == path) {
        return Ok(());
    }
    let Some(table) = files::read(host, path)? else { return Ok(()) };
    found.push(path.to_owned());
    let imports: Vec<String> = texts(&table, &["imports"]).into_iter().map(str::to_owned).collect();
    replace_plugins(merged, &table);
    merge(merged, table);
    let here = path.rsplit_once('/').map_or("", |(dir, _)| dir);
    for import in imports {
        let import = if import.starts_with('/') { import } else { format!("{here}/{import}") };
        for file in expand(host, &import) {
            add(host, &file, depth + 1, merged, found)?;
        }
    }
    Ok(())
}

/// containerd 1.7, which reads files up to version 2, takes what a later file says of a plug-in in place of all that the files
/// before it said; only containerd 2 puts the tables together.
fn replace_plugins(merged: &mut Table, later: &Table) {
    if at(later, &["version"]).and_then(Value::as_integer) == Some(3) {
        return;
    }
    let Some(plugins) = merged.get_mut("plugins").and_then(Value::as_table_mut) else { return };
    let replaced = table(later, &["plugins"]).into_iter().flatten();
    replaced.for_each(|(name, _)| drop(plugins.remove(name)));
}

fn expand(host: &Host, pattern: &str) -> Vec<String> {
    let Some((dir, last)) = pattern.rsplit_once('/') else { return Vec::new() };
    let Some((head, tail)) = last.split_once('*') else { return vec![pattern.to_owned()] };
    let names = host.names(dir, tail).into_iter().filter(|name| name.starts_with(head));
    names.map(|name| format!("{dir}/{name}")).collect()
}

/// Packages of docker ship containerd with its CRI off.
fn enabled(config: &Table) -> Option<Check> {
    let off = texts(config, &["disabled_plugins"]);
    let cri = off
        .into_iter()
        .find(|name| *name == "cri" || name.ends_with(".cri") || name.contains(".cri.v1"))?;
    let found = format!("disabled_plugins has {cri}: Kubernetes cannot use this containerd");
    Some(
        Check::new("containerd.cri", Status::Warning, found).fix("take it out of disabled_plugins"),
    )
}

/// Runtimes below the plug-in of the other version are read by nobody.
fn misplaced(config: &Table, version: i64) -> Vec<Check> {
    let others = PLUGINS.iter().filter(|(known, _)| *known != version);
    let wrong = others.filter(|(_, plugin)| !ours(config, plugin).is_empty());
    wrong
        .map(|(_, plugin)| {
            let found =
                format!("casemate stands below {plugin}, which version {version} does not read");
            let right = PLUGINS.iter().find(|(known, _)| *known == version).map_or("", |(_, p)| p);
            Check::new("containerd.plugin", Status::Missing, found)
                .fix(format!("move it below plugins.\"{right}\""))
        })
        .collect()
}

/// The runtimes of a plug-in that are casemate, by their name or their program.
fn ours<'a>(config: &'a Table, plugin: &str) -> Vec<(&'a String, &'a Table)> {
    let all = table(config, &["plugins", plugin, "containerd", "runtimes"]);
    all.into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name, value.as_table()?)))
        .filter(|(name, runtime)| {
            let programs = [
                text(runtime, &["options", "BinaryName"]),
                text(runtime, &["BinaryName"]),
                text(runtime, &["runtime_path"]),
            ];
            is_casemate(name) || programs.into_iter().flatten().any(is_casemate)
        })
        .collect()
}

fn runtimes(host: &Host, config: &Table, plugin: &str, version: i64) -> Vec<Check> {
    let ours = ours(config, plugin);
    if ours.is_empty() {
        let found = "no runtime of the CRI plug-in is casemate (ctr needs none: --runc-binary)";
        return vec![Check::new("containerd.runtime", Status::Missing, found)
            .fix(format!("add it to {FILE}, then systemctl restart containerd"))
            .snippet(snippet(host, version, config))];
    }
    let paste = || snippet(host, version, config);
    let mut checks: Vec<Check> =
        ours.iter().flat_map(|(name, runtime)| one_runtime(host, name, runtime, &paste)).collect();
    let default = default_name(config, plugin);
    checks.push(if ours.iter().any(|(known, _)| *known == default) {
        Check::new("containerd.default", Status::Ok, format!("{default} runs every pod"))
    } else if lacks_default(config, plugin, version) {
        let found = format!(
            "{default} is the default and has no table: containerd 1.7 knows it no longer, and starts without its CRI"
        );
        let fix = format!("add {default}'s table too, or default_runtime_name = \"{}\"", ours[0].0);
        Check::new("containerd.default", Status::Missing, found).fix(fix).snippet(paste())
    } else {
        let found = format!("{default} is the default: a runtime class chooses {}", ours[0].0);
        Check::new("containerd.default", Status::Info, found)
    });
    checks
}

fn default_name<'a>(config: &'a Table, plugin: &str) -> &'a str {
    text(config, &["plugins", plugin, "containerd", "default_runtime_name"]).unwrap_or("runc")
}

/// With one runtime in its file, containerd 1.7 forgets the one that is built in; containerd 2 keeps it.
fn lacks_default(config: &Table, plugin: &str, version: i64) -> bool {
    let default = default_name(config, plugin);
    let tables = table(config, &["plugins", plugin, "containerd", "runtimes"]);
    let built_in = version >= 3 && default == "runc";
    !built_in && !tables.is_some_and(|tables| tables.contains_key(default))
}

fn one_runtime(host: &Host, name: &str, runtime: &Table, paste: &dyn Fn() -> String) -> Vec<Check> {
    let id = format!("containerd.runtime.{name}");
    let mut checks = Vec::new();
    match text(runtime, &["runtime_type"]) {
        Some(SHIM) => {}
        kind => {
            let found = format!("runtime_type is {}", kind.unwrap_or("not set"));
            let fix = format!("runtime_type = \"{SHIM}\": casemate is run by runc's shim");
            let check = Check::new(format!("{id}.type"), Status::Missing, found);
            checks.push(check.fix(fix).snippet(paste()));
        }
    }
    if text(runtime, &["runtime_path"]).is_some_and(is_casemate) {
        let found = "runtime_path names a shim, and casemate is none";
        let check = Check::new(format!("{id}.path"), Status::Missing, found);
        checks.push(check.fix("use options.BinaryName in its place").snippet(paste()));
    }
    checks.push(match text(runtime, &["options", "BinaryName"]) {
        Some(path) => program(host, &id, path),
        None => {
            let elsewhere = ["BinaryName", "binary_name", "binaryName"];
            let stray = elsewhere.iter().find(|key| runtime.contains_key(**key));
            let found = match stray {
                Some(key) => format!("{key} stands beside options and not in it: runc is run"),
                None => "options has no BinaryName: runc is run".to_owned(),
            };
            Check::new(id.clone(), Status::Missing, found)
                .fix("BinaryName belongs into the table options")
                .snippet(paste())
        }
    });
    let systemd = at(runtime, &["options", "SystemdCgroup"]).and_then(Value::as_bool);
    let fixes = [
        "SystemdCgroup = true in the table options, and cgroupDriver: systemd for the kubelet",
        "SystemdCgroup = false in the table options, and cgroupDriver: cgroupfs for the kubelet",
    ];
    let systemd = Some(systemd.unwrap_or(false));
    checks.push(driver(host, &format!("{id}.cgroup-driver"), systemd, fixes));
    checks.push(annotations(&id, runtime).snippet(paste()));
    checks
}

/// Without this list containerd keeps a pod's annotations to itself.
fn annotations(id: &str, runtime: &Table) -> Check {
    let id = format!("{id}.annotations");
    let patterns = texts(runtime, &["pod_annotations"]);
    let passes = |key: &str| patterns.iter().any(|pattern| matches(pattern, key));
    let check = match (passes(PROFILE_KEY), passes(ALLOW_KEY)) {
        (_, true) => Check::new(
            id,
            Status::Ok,
            "org.casemate.* of the pod reaches its sandbox and containers",
        ),
        // A star of containerd's stands for no slash.
        (true, false) => Check::new(
            id,
            Status::Warning,
            "pod_annotations has no pattern for org.casemate.allow/NAME: no overrides by annotation",
        )
        .fix("pod_annotations = [\"org.casemate.*\", \"org.casemate.*/*\"]"),
        (false, false) => Check::new(
            id,
            Status::Info,
            "org.casemate.* of pods does not reach casemate: no overrides by annotation",
        ),
    };
    check.needed_for("overrides by annotation")
}

/// An annotation of ours without a slash, and one with.
const PROFILE_KEY: &str = "org.casemate.profile";
const ALLOW_KEY: &str = "org.casemate.allow/rootfs.writable";

/// containerd's patterns are those of Go's `path.Match`, of which annotations need `*`: any text without a slash.
fn matches(pattern: &str, key: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), key.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if matches_part(pattern, part) => {}
            _ => return false,
        }
    }
}

fn matches_part(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, behind)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| matches_part(behind, rest)))
        }),
    }
}

/// Our table, with runc's in front where it is missing from a file that has to have it.
fn snippet(host: &Host, version: i64, config: &Table) -> String {
    let (version, plugin) =
        PLUGINS.iter().find(|(known, _)| *known == version).unwrap_or(&PLUGINS[0]);
    let runtimes = format!("plugins.\"{plugin}\".containerd.runtimes");
    let table = format!("{runtimes}.casemate");
    let systemd = host.exists("/run/systemd/system");
    let runc = match default_name(config, plugin) {
        "runc" if lacks_default(config, plugin, *version) => {
            format!("[{runtimes}.runc]\n  runtime_type = \"{SHIM}\"\n")
        }
        _ => String::new(),
    };
    format!(
        "version = {version}\n{runc}[{table}]\n  runtime_type = \"{SHIM}\"\n  pod_annotations = [\"org.casemate.*\", \"org.casemate.*/*\"]\n  \
         [{table}.options]\n    BinaryName = \"{}\"\n    \
         SystemdCgroup = {systemd}\n",
        binary_path(host)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_no_slash() {
        assert!(matches("org.casemate.*", PROFILE_KEY) && !matches("org.casemate.*", ALLOW_KEY));
        assert!(
            matches("org.casemate.*/*", ALLOW_KEY) && !matches("org.casemate.*/*", PROFILE_KEY)
        );
        assert!(matches("*", PROFILE_KEY) && matches("*/*", ALLOW_KEY) && !matches("*", ALLOW_KEY));
        assert!(matches("org.casemate.allow/rootfs.*", ALLOW_KEY));
        assert!(!matches("org.casemate.allow/seccomp.*", ALLOW_KEY));
    }
}
