//! docker: /etc/docker/daemon.json.

use super::program::{binary_path, driver, is_casemate, locate, program};
use crate::host::{Check, Host, Status};
use serde_json::{json, Map, Value};

const FILE: &str = "/etc/docker/daemon.json";
const RESTART: &str = "add it to /etc/docker/daemon.json, then systemctl restart docker";

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let config = match host.read(FILE) {
        None => Value::Null,
        Some(text) => match serde_json::from_str::<Value>(&text) {
            Ok(value) => value,
            Err(error) => {
                let found = format!("{FILE}: {error}");
                let check = Check::new("docker.config", Status::Missing, found);
                return vec![check.fix("correct the file: dockerd will not start with it")];
            }
        },
    };
    let mut checks = vec![match config.is_null() {
        true => Check::new("docker.config", Status::Info, format!("{FILE} does not exist")),
        false => Check::new("docker.config", Status::Ok, FILE),
    }];
    checks.extend(runtimes(host, &config));
    checks.push(cgroup_driver(host, &config));
    checks.extend(notes(&config));
    checks
}

fn runtimes(host: &Host, config: &Value) -> Vec<Check> {
    let none = Map::new();
    let all = config["runtimes"].as_object().unwrap_or(&none);
    let ours: Vec<(&String, &Value)> = all
        .iter()
        .filter(|(name, runtime)| is_casemate(name) || is_casemate(binary_of(runtime)))
        .collect();
    if ours.is_empty() {
        let found = "no runtime of daemon.json is casemate";
        return vec![Check::new("docker.runtime", Status::Missing, found)
            .fix(RESTART)
            .snippet(snippet(host))];
    }
    let mut checks: Vec<Check> =
        ours.iter().flat_map(|(name, runtime)| one_runtime(host, name, runtime)).collect();
    checks.push(default(config, &ours));
    checks
}

/// The program of a runtime: `path`, or the option of a shim.
fn binary_of(runtime: &Value) -> &str {
    let option = runtime["options"]["BinaryName"].as_str();
    runtime["path"].as_str().or(option).unwrap_or_default()
}

fn one_runtime(host: &Host, name: &str, runtime: &Value) -> Vec<Check> {
    let id = format!("docker.runtime.{name}");
    let binary = binary_of(runtime);
    if binary.is_empty() {
        let found = format!("{name} has neither path nor options.BinaryName");
        return vec![Check::new(id, Status::Missing, found).fix(RESTART).snippet(snippet(host))];
    }
    if let Some(kind) =
        runtime["runtimeType"].as_str().filter(|kind| *kind != "io.containerd.runc.v2")
    {
        let found =
            format!("{name}: runtimeType {kind} is a shim of its own, casemate needs runc's");
        let fix = "\"runtimeType\": \"io.containerd.runc.v2\", or \"path\" alone";
        return vec![Check::new(id, Status::Missing, found).fix(fix).snippet(snippet(host))];
    }
    let mut checks = vec![program(host, &id, binary)];
    let args: Vec<&str> =
        runtime["runtimeArgs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if args.windows(2).any(|pair| pair == ["--profile", "privileged"])
        || args.contains(&"--profile=privileged")
    {
        let found = format!("{name} runs configurations as written: nothing is hardened");
        checks.push(Check::new(format!("{id}.args"), Status::Info, found));
    }
    checks
}

fn default(config: &Value, ours: &[(&String, &Value)]) -> Check {
    let default = config["default-runtime"].as_str();
    let by_name = |name: &str| ours.iter().any(|(known, _)| *known == name);
    match default {
        Some(name) if by_name(name) => {
            Check::new("docker.default", Status::Ok, format!("{name} runs every container"))
        }
        Some(name) if is_casemate(name) => {
            let found = format!("default-runtime {name} is not among the runtimes");
            Check::new("docker.default", Status::Missing, found).fix(RESTART)
        }
        other => {
            let (other, name) = (other.unwrap_or("runc"), ours[0].0);
            let found = format!("{other} is the default: --runtime {name} chooses casemate");
            Check::new("docker.default", Status::Info, found)
        }
    }
}

fn cgroup_driver(host: &Host, config: &Value) -> Check {
    let options = config["exec-opts"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let asked = options.into_iter().find_map(|option| option.strip_prefix("native.cgroupdriver="));
    let fixes = [
        "\"exec-opts\": [\"native.cgroupdriver=systemd\"]",
        "\"exec-opts\": [\"native.cgroupdriver=cgroupfs\"]",
    ];
    driver(host, "docker.cgroup-driver", asked.map(|name| name == "systemd"), fixes)
}

fn notes(config: &Value) -> Vec<Check> {
    let mut checks = Vec::new();
    if config["seccomp-profile"].as_str() == Some("unconfined") {
        let found = "docker adds no filter of its own: casemate's default one is loaded";
        checks.push(Check::new("docker.seccomp", Status::Info, found));
    }
    if let Some(user) = config["userns-remap"].as_str().filter(|user| !user.is_empty()) {
        let found = format!("userns-remap = {user}: docker chooses the ids of all containers");
        checks.push(Check::new("docker.userns", Status::Info, found));
    }
    checks
}

fn snippet(host: &Host) -> String {
    let path = locate(host, "casemate").unwrap_or_else(|| binary_path(host));
    let value = json!({"runtimes": {"casemate": {"path": path}}});
    // Strings and maps of strings: nothing to fail.
    serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
}
