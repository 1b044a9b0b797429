//! The configuration that docker or podman would hand over for a container, by what their `inspect` says of it: good enough to
//! say what would be cut or refused, before anything is started.
//!
//! What `inspect` does not tell is not made up: the engine's own filter, hooks and networks are not in it.

use anyhow::{bail, Context as _, Result};
use casemate_policy::spec::Capability;
use casemate_policy::USUAL_CAPABILITIES;
use casemate_runtime::hinted::hinted;
use serde_json::{json, Value};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

/// A container as `inspect` has it.
#[derive(Debug)]
pub struct Inspected {
    /// Its id.
    pub id: String,
    /// Its `config.json`, as far as it can be told.
    pub config: Value,
}

/// Takes the output of `inspect`, of one container.
///
/// # Errors
/// It is none: of an image, or of several containers.
pub fn inspected(bytes: &[u8]) -> Result<Inspected> {
    let value: Value = serde_json::from_slice(bytes).context("output of inspect")?;
    let one = match value {
        Value::Array(mut all) if all.len() == 1 => all.remove(0),
        Value::Array(all) => {
            bail!("output of inspect: expected one container, got {}", all.len())
        }
        other => other,
    };
    let (Some(id), true) = (one["Id"].as_str(), one["HostConfig"].is_object()) else {
        return Err(hinted(
            "output of inspect: not of a container",
            "'docker create' or 'podman create' makes one without starting it",
        ));
    };
    Ok(Inspected { id: id.to_owned(), config: config(&one)? })
}

fn config(one: &Value) -> Result<Value> {
    let (own, host) = (&one["Config"], &one["HostConfig"]);
    let is_privileged = host["Privileged"] == true;
    let capabilities = capabilities(host, is_privileged);
    let mut config = json!({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs", "readonly": host["ReadonlyRootfs"] == true},
        "process": {
            "cwd": own["WorkingDir"].as_str().filter(|dir| !dir.is_empty()).unwrap_or("/"),
            "args": args(own, one),
            "user": user(own),
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "noNewPrivileges": options(host).any(|option| option.starts_with("no-new-privileges") && !option.ends_with("false")),
        },
        "mounts": mounts(one, is_privileged),
        "annotations": annotations(own, host),
        "linux": {
            "namespaces": namespaces(host),
            "resources": resources(host, is_privileged),
            "devices": [],
        },
    });
    if !is_shared(host, "UTSMode") {
        config["hostname"] = own["Hostname"].as_str().unwrap_or("container").into();
    }
    if let Some(sysctls) = host["Sysctls"].as_object() {
        config["linux"]["sysctl"] = json!(sysctls);
    }
    for (from, to) in [("MaskedPaths", "maskedPaths"), ("ReadonlyPaths", "readonlyPaths")] {
        // podman does not tell them.
        if host[from].is_array() {
            config["linux"][to] = host[from].clone();
        }
    }
    devices(host, &mut config)?;
    Ok(config)
}

/// docker has the program apart from its arguments; podman's command is whole where there is an entry point too.
fn args(own: &Value, one: &Value) -> Value {
    let path = one["Path"].as_str().into_iter();
    let rest = one["Args"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let all: Vec<&str> = path.chain(rest).collect();
    if all.is_empty() {
        own["Cmd"].clone()
    } else {
        json!(all)
    }
}

/// A name is looked up in the image, which is not at hand: then it is a user that is not root.
fn user(own: &Value) -> Value {
    let text = own["User"].as_str().unwrap_or_default();
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let number = |text: &str, other: u32| match text {
        "" | "root" => 0,
        text => text.parse().unwrap_or(other),
    };
    json!({"uid": number(user, 65534), "gid": number(group, 0)})
}

fn words(value: &Value) -> impl Iterator<Item = String> + '_ {
    let all = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    all.map(|name| name.trim_start_matches("CAP_").to_uppercase())
}

fn capabilities(host: &Value, is_privileged: bool) -> Vec<String> {
    let added: Vec<String> = words(&host["CapAdd"]).collect();
    let dropped: Vec<String> = words(&host["CapDrop"]).collect();
    let has_all = is_privileged || added.iter().any(|name| name == "ALL");
    let all = Capability::all().map(|one| one.name().trim_start_matches("CAP_"));
    let mut names: Vec<String> = match (has_all, dropped.iter().any(|name| name == "ALL")) {
        (true, _) => all.map(ToOwned::to_owned).collect(),
        (false, true) => Vec::new(),
        (false, false) => USUAL_CAPABILITIES.map(ToOwned::to_owned).into(),
    };
    names.retain(|name| !dropped.contains(name));
    names.extend(added.into_iter().filter(|name| name != "ALL"));
    names.sort();
    names.dedup();
    names.into_iter().map(|name| format!("CAP_{name}")).collect()
}

fn options(host: &Value) -> impl Iterator<Item = &str> {
    host["SecurityOpt"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn annotations(own: &Value, host: &Value) -> Value {
    let mut all = serde_json::Map::new();
    for given in [&own["Annotations"], &host["Annotations"]] {
        all.extend(given.as_object().cloned().unwrap_or_default());
    }
    Value::Object(all)
}

fn is_shared(host: &Value, key: &str) -> bool {
    host[key] == "host"
}

/// One that is another container's is its own here: whose it is matters less than that it is not the host's.
fn namespaces(host: &Value) -> Value {
    let kinds = [
        ("pid", "PidMode"),
        ("network", "NetworkMode"),
        ("ipc", "IpcMode"),
        ("uts", "UTSMode"),
        ("cgroup", "CgroupnsMode"),
    ];
    let own = kinds
        .iter()
        .filter(|(_, key)| !is_shared(host, key))
        .map(|(kind, _)| json!({"type": kind}));
    own.chain([json!({"type": "mount"})]).collect()
}

fn resources(host: &Value, is_privileged: bool) -> Value {
    let positive = |key: &str| host[key].as_i64().filter(|number| *number > 0);
    let mut resources = json!({"devices": [{"allow": is_privileged, "access": "rwm"}]});
    if let Some(limit) = positive("PidsLimit") {
        resources["pids"] = json!({"limit": limit});
    }
    if let Some(limit) = positive("Memory") {
        resources["memory"] = json!({"limit": limit});
    }
    if let Some(shares) = positive("CpuShares") {
        resources["cpu"] = json!({"shares": shares});
    }
    resources
}

fn mounts(one: &Value, is_privileged: bool) -> Value {
    let sys = if is_privileged { "rw" } else { "ro" };
    let mut mounts = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755"]}),
        json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]}),
        json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", sys]}),
        json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", sys]}),
        json!({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]}),
        json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777"]}),
    ];
    for mount in one["Mounts"].as_array().into_iter().flatten() {
        let (Some(source), Some(destination)) =
            (mount["Source"].as_str(), mount["Destination"].as_str())
        else {
            continue;
        };
        let access = if mount["RW"] == false { "ro" } else { "rw" };
        let propagation =
            mount["Propagation"].as_str().filter(|word| !word.is_empty()).unwrap_or("rprivate");
        mounts.push(json!({"destination": destination, "type": "bind", "source": source, "options": ["rbind", access, propagation]}));
    }
    for (destination, options) in one["HostConfig"]["Tmpfs"].as_object().into_iter().flatten() {
        let given = options.as_str().unwrap_or_default().split(',').filter(|word| !word.is_empty());
        let options: Vec<&str> = ["nosuid", "nodev"].into_iter().chain(given).collect();
        mounts.push(json!({"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options}));
    }
    Value::Array(mounts)
}

/// Their numbers are this host's. One that is not there could not be given either.
fn devices(host: &Value, config: &mut Value) -> Result<()> {
    for device in host["Devices"].as_array().into_iter().flatten() {
        let Some(path) = device["PathOnHost"].as_str() else { continue };
        let meta = std::fs::metadata(path).with_context(|| format!("device {path}"))?;
        let kind = if meta.file_type().is_block_device() { "b" } else { "c" };
        let (major, minor) = (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev()));
        let inside = device["PathInContainer"].as_str().unwrap_or(path);
        let access = device["CgroupPermissions"]
            .as_str()
            .filter(|access| !access.is_empty())
            .unwrap_or("rwm");
        let push = |list: &mut Value, value| list.as_array_mut().map(|list| list.push(value));
        push(
            &mut config["linux"]["devices"],
            json!({"path": inside, "type": kind, "major": major, "minor": minor}),
        );
        let rule =
            json!({"allow": true, "type": kind, "major": major, "minor": minor, "access": access});
        push(&mut config["linux"]["resources"]["devices"], rule);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(host: Value) -> Value {
        let one = json!([{"Id": "c1", "Path": "sh", "Args": ["-c", "true"],
            "Config": {"User": "1000:100", "Hostname": "h"}, "HostConfig": host, "Mounts": [
                {"Type": "volume", "Source": "/data", "Destination": "/srv", "RW": false, "Propagation": ""}]}]);
        inspected(one.to_string().as_bytes()).unwrap().config
    }

    #[test]
    fn flags_of_the_engine_are_what_the_configuration_asks_for() {
        let plain = config(json!({}));
        assert_eq!(plain["process"]["args"], json!(["sh", "-c", "true"]));
        assert_eq!(plain["process"]["user"], json!({"uid": 1000, "gid": 100}));
        assert_eq!(plain["linux"]["namespaces"].as_array().unwrap().len(), 6);
        let volume = plain["mounts"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&volume["source"], &volume["options"]),
            (&json!("/data"), &json!(["rbind", "ro", "rprivate"]))
        );
        let asking = config(
            json!({"PidMode": "host", "NetworkMode": "host", "CapAdd": ["CAP_NET_ADMIN"],
            "CapDrop": ["ALL"], "ReadonlyRootfs": true, "PidsLimit": 7, "SecurityOpt": ["no-new-privileges"],
            "Tmpfs": {"/tmp": "size=1m"}, "Annotations": {"a": "b"}}),
        );
        assert_eq!(asking["linux"]["namespaces"].as_array().unwrap().len(), 4);
        assert_eq!(asking["process"]["capabilities"]["bounding"], json!(["CAP_NET_ADMIN"]));
        assert_eq!(
            (&asking["root"]["readonly"], &asking["annotations"]["a"]),
            (&json!(true), &json!("b"))
        );
        assert_eq!(asking["linux"]["resources"]["pids"]["limit"], 7);
        assert_eq!(asking["process"]["noNewPrivileges"], true);
        let tmpfs = asking["mounts"].as_array().unwrap().last().unwrap();
        assert_eq!(tmpfs["options"], json!(["nosuid", "nodev", "size=1m"]));
        let all = config(json!({"Privileged": true}));
        assert_eq!(all["process"]["capabilities"]["bounding"].as_array().unwrap().len(), 41);
    }

    #[test]
    fn what_is_no_container_is_refused() {
        let said = |text: &str| format!("{:#}", inspected(text.as_bytes()).unwrap_err());
        assert!(said("[]").contains("got 0"));
        assert!(said(r#"[{"Id": "x", "RepoTags": []}]"#).contains("not of a container"));
        assert!(said("{").contains("output of inspect"));
    }
}
