//! `spec`: writes a configuration to begin with.
//!
//! The two templates are files, so that what is written can be read. They differ only where a user
//! without privileges has to differ; a test holds them to that.

use super::Outcome;
use crate::cli::observe::SpecArgs;
use crate::request::path;
use anyhow::{bail, Context};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

const FOR_ROOT: &str = include_str!("../templates/config.json");
const ROOTLESS: &str = include_str!("../templates/config-rootless.json");

#[inline(never)]
pub(crate) fn execute(args: &SpecArgs) -> Outcome {
    let target = target(args)?;
    write_new(&target, &content(args.rootless))?;
    Ok(0)
}

fn target(args: &SpecArgs) -> anyhow::Result<PathBuf> {
    match path::optional(args.file.as_deref())? {
        Some(file) => Ok(file),
        None => Ok(path::directory(args.bundle.as_deref())?.join("config.json")),
    }
}

fn content(rootless: bool) -> String {
    if !rootless {
        return FOR_ROOT.to_owned();
    }
    ROOTLESS
        .replace("@UID@", &rustix::process::geteuid().as_raw().to_string())
        .replace("@GID@", &rustix::process::getegid().as_raw().to_string())
}

/// Never overwrites: a configuration that somebody edited is not ours to replace.
fn write_new(target: &PathBuf, content: &str) -> anyhow::Result<()> {
    let mut file = match File::create_new(target) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("file {} exists; remove it first", target.display())
        }
        Err(error) => return Err(error).with_context(|| format!("create {}", target.display())),
    };
    file.write_all(content.as_bytes()).with_context(|| format!("write {}", target.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, Value};

    fn parsed(rootless: bool) -> Value {
        serde_json::from_str(&content(rootless)).unwrap()
    }

    #[test]
    fn template_asks_for_all_namespaces_and_few_capabilities() {
        let spec = parsed(false);
        assert_eq!(spec["ociVersion"], crate::version::SPECIFICATION);
        assert_eq!(spec["process"]["terminal"], true);
        assert_eq!(spec["process"]["args"], json!(["sh"]));
        let few = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
        for set in ["bounding", "effective", "permitted"] {
            assert_eq!(spec["process"]["capabilities"][set], few);
        }
        let types: Vec<&Value> =
            spec["linux"]["namespaces"].as_array().unwrap().iter().map(|ns| &ns["type"]).collect();
        assert_eq!(types, ["pid", "network", "ipc", "uts", "mount", "cgroup"]);
        assert!(content(false).contains("\n\t\"process\": {\n\t\t\"terminal\""));
    }

    #[test]
    fn rootless_template_differs_only_where_it_must() {
        let mut spec = parsed(false);
        let rootless = parsed(true);
        let id = |id: u32| json!([{"containerID": 0, "hostID": id, "size": 1}]);
        let linux = &mut spec["linux"];
        linux.as_object_mut().unwrap().remove("resources");
        linux["uidMappings"] = id(rustix::process::geteuid().as_raw());
        linux["gidMappings"] = id(rustix::process::getegid().as_raw());
        let namespaces = linux["namespaces"].as_array_mut().unwrap();
        namespaces.push(json!({"type": "user"}));
        for mount in spec["mounts"].as_array_mut().unwrap() {
            if let Some(options) = mount.get_mut("options").and_then(Value::as_array_mut) {
                options.retain(|option| !option.as_str().unwrap().starts_with("gid="));
            }
            if mount["destination"] == "/sys" {
                let options = json!(["rbind", "nosuid", "noexec", "nodev", "ro"]);
                *mount = json!({
                    "destination": "/sys", "type": "none", "source": "/sys", "options": options
                });
            }
        }
        let sorted = |mut spec: Value| {
            let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.sort_by_key(|ns| ns["type"].to_string());
            spec
        };
        assert_eq!(sorted(rootless), sorted(spec));
    }
}
