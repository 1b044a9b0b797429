//! `spec`: writes a configuration to begin with.
//!
//! The two templates are files, so that what is written can be read. They differ only where a user
//! without privileges has to differ; a test holds them to that.

use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use anyhow::{bail, Context as _};
use casemate_runtime::request::path;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

const FOR_ROOT: &str = include_str!("../templates/config.json");
const ROOTLESS: &str = include_str!("../templates/config-rootless.json");

pub(super) const VERB: Verb =
    Verb::of::<Spec>("spec", Group::Bundle, "Write a config.json to start from", Arity::Exactly(0))
        .more(MORE);

const MORE: &str = "\
Example, a bundle from only a busybox:
  mkdir -p bundle/rootfs/bin && cp /bin/busybox bundle/rootfs/bin/sh
  casemate spec --bundle bundle && casemate run --bundle bundle demo

The file describes the bundle before hardening; 'casemate explain' shows the result of hardening.";

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Spec {
    /// Directory to write config.json into [default: the working directory]
    #[arg(short, long, value_name = "DIR", value_parser = path::dir())]
    bundle: Option<PathBuf>,

    /// Write this file instead of config.json
    #[arg(short, long, value_name = "FILE", value_parser = path::file())]
    file: Option<PathBuf>,

    /// For an ordinary user: a user namespace with the caller's ids, no cgroup limits
    #[arg(long)]
    rootless: bool,
}

impl Execute for Spec {
    fn execute(self, _: &mut Context<'_>) -> Outcome {
        let target = target(&self)?;
        write_new(&target, &content(self.rootless))?;
        Ok(0)
    }
}

fn target(args: &Spec) -> anyhow::Result<PathBuf> {
    match (&args.file, &args.bundle) {
        (Some(file), _) => Ok(file.clone()),
        (None, Some(bundle)) => Ok(bundle.join("config.json")),
        (None, None) => path::absolute("config.json"),
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
