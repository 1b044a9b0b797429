//! `host-check`: what it says about hosts and engines that are directories of fixture files.

use casemate_tests::cli::{Casemate, Scratch};
use serde_json::{json, Value};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A host whose files lie in a directory.
struct Host(Scratch);

impl Host {
    /// One with the binary installed.
    fn new() -> Self {
        let host = Self(Scratch::new());
        host.file("usr/bin/casemate", "#!/bin/sh\n").mode("usr/bin/casemate", 0o755)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn mode(self, name: &str, mode: u32) -> Self {
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn systemd(self) -> Self {
        std::fs::create_dir_all(self.path("run/systemd/system")).unwrap();
        self
    }

    /// The report about one engine, and the exit status.
    fn ask(&self, engine: &str) -> (Value, i32) {
        let root = Path::new("--host-root");
        let words = [
            Path::new("host-check"),
            Path::new("--format"),
            Path::new("json"),
            Path::new("--engine"),
            Path::new(engine),
            root,
            self.0.path(),
        ];
        let answer = Casemate::with(words).answer();
        let report: Value = serde_json::from_str(&answer.stdout)
            .unwrap_or_else(|error| panic!("{error}: {} {}", answer.stdout, answer.stderr));
        (report["engines"][0].clone(), answer.status)
    }

    /// The status of one check about an engine.
    fn status(&self, engine: &str, id: &str) -> String {
        let check = self.check(engine, id);
        check["status"].as_str().unwrap().to_owned()
    }

    fn check(&self, engine: &str, id: &str) -> Value {
        let (report, _) = self.ask(engine);
        let checks = report["checks"].as_array().unwrap();
        let found = checks.iter().find(|check| check["id"] == id);
        found.unwrap_or_else(|| panic!("no {id} in {report:#}")).clone()
    }
}

const PODMAN: &str = "[engine]\nruntime_supports_json = [\"casemate\"]\n\
                      runtime_supports_nocgroup = [\"casemate\"]\n[engine.runtimes]\n\
                      casemate = [\"/usr/bin/casemate\"]\n";
const PODMAN_FILE: &str = "etc/containers/containers.conf.d/casemate.conf";

#[test]
fn podman_that_is_set_up_as_documented_is_in_order() {
    let host = Host::new().file(PODMAN_FILE, PODMAN);
    let (report, _) = host.ask("podman");
    assert!(["ok", "info"].contains(&report["status"].as_str().unwrap()), "{report:#}");
    assert_eq!(host.status("podman", "podman.runtime"), "ok");
}

#[test]
fn podman_without_the_table_is_told_what_to_paste_and_the_paste_works() {
    let host = Host::new();
    let check = host.check("podman", "podman.runtime");
    assert_eq!(check["status"], "warning");
    let snippet = check["snippet"].as_str().unwrap().to_owned();
    let host = host.file(PODMAN_FILE, &snippet);
    assert_eq!(host.status("podman", "podman.runtime"), "ok");
    assert_eq!(host.status("podman", "podman.json-errors"), "ok");
    assert_eq!(host.status("podman", "podman.no-cgroups"), "ok");
}

#[test]
fn podman_with_the_key_as_its_manual_spells_it_is_told_which_one_is_read() {
    let plural = PODMAN.replace("nocgroup =", "nocgroups =");
    let host = Host::new().file(PODMAN_FILE, &plural);
    let check = host.check("podman", "podman.no-cgroups");
    assert_eq!(check["status"], "warning");
    assert!(check["found"].as_str().unwrap().contains("podman reads"), "{check}");
}

#[test]
fn podman_with_a_path_that_leads_nowhere_is_not_set_up() {
    let wrong = PODMAN.replace("/usr/bin/", "/opt/");
    let host = Host::new().file(PODMAN_FILE, &wrong);
    let check = host.check("podman", "podman.runtime");
    assert_eq!(check["status"], "missing");
    assert!(check["found"].as_str().unwrap().contains("/opt/casemate"), "{check}");
    assert_eq!(host.ask("podman").1, 1);
}

#[test]
fn a_binary_that_everybody_may_replace_is_not_accepted() {
    let host = Host::new().file(PODMAN_FILE, PODMAN).mode("usr/bin/casemate", 0o757);
    assert_eq!(host.status("podman", "podman.runtime"), "missing");
    let host = host.mode("usr/bin/casemate", 0o644);
    assert_eq!(host.status("podman", "podman.runtime"), "missing");
}

#[test]
fn podman_drop_ins_go_over_the_main_file_in_the_order_of_their_names() {
    let host = Host::new()
        .file("etc/containers/containers.conf", "[engine]\nruntime = \"crun\"\n")
        .file("etc/containers/containers.conf.d/10.conf", PODMAN)
        .file("etc/containers/containers.conf.d/20.conf", "[engine]\nruntime = \"casemate\"\n");
    assert_eq!(host.status("podman", "podman.default"), "ok");
    let host = host.file("etc/containers/containers.conf.d/30.conf", "[engine]\nruntime = 1 2\n");
    let check = host.check("podman", "podman.config");
    assert_eq!(check["status"], "missing");
    assert!(check["found"].as_str().unwrap().contains("30.conf: line 2"), "{check}");
}

#[test]
fn podman_flags_that_loosen_every_container_are_pointed_out() {
    let text = format!("{PODMAN}[engine.runtimes_flags]\ncasemate = [\"profile=privileged\"]\n");
    let host = Host::new().file(PODMAN_FILE, &text);
    assert_eq!(host.status("podman", "podman.flags"), "warning");
}

/// containerd's file: version, plug-in, and what stands in the runtime's table and in its options.
fn containerd(version: u32, plugin: &str, runtime: &str, options: &str) -> String {
    let table = format!("plugins.\"{plugin}\".containerd.runtimes.casemate");
    format!("version = {version}\n[{table}]\n{runtime}\n[{table}.options]\n{options}\n")
}

const V2: &str = "io.containerd.grpc.v1.cri";
const V3: &str = "io.containerd.cri.v1.runtime";
const SHIM: &str = "runtime_type = \"io.containerd.runc.v2\"";
const BINARY: &str = "BinaryName = \"/usr/bin/casemate\"\nSystemdCgroup = true";
const CONTAINERD_FILE: &str = "etc/containerd/config.toml";

#[test]
fn containerd_of_both_versions_is_understood() {
    for (version, plugin) in [(2, V2), (3, V3)] {
        let text = containerd(version, plugin, SHIM, BINARY) + &runc(plugin);
        let host = Host::new().systemd().file(CONTAINERD_FILE, &text);
        let (report, _) = host.ask("containerd");
        assert!(["ok", "info"].contains(&report["status"].as_str().unwrap()), "{report:#}");
    }
}

#[test]
fn containerd_imports_are_read() {
    let host = Host::new()
        .systemd()
        .file(CONTAINERD_FILE, "version = 2\nimports = [\"conf.d/*.toml\"]\n")
        .file("etc/containerd/conf.d/casemate.toml", &containerd(2, V2, SHIM, BINARY));
    assert_eq!(host.status("containerd", "containerd.runtime.casemate"), "ok");
}

/// The table of runc, as containerd's own example has it.
fn runc(plugin: &str) -> String {
    format!("[plugins.\"{plugin}\".containerd.runtimes.runc]\n{SHIM}\n")
}

#[test]
fn containerd_that_would_lose_its_built_in_runtime_is_noticed_and_the_snippet_keeps_it() {
    // A file without runtimes, as Debian's: runc is built in until there is one runtime in the file.
    let host = Host::new().systemd().file(CONTAINERD_FILE, "version = 2\n");
    let snippet = host.check("containerd", "containerd.runtime")["snippet"].clone();
    let snippet = snippet.as_str().unwrap();
    assert!(snippet.contains("runtimes.runc]"), "{snippet}");
    let host = host.file(CONTAINERD_FILE, snippet);
    assert_eq!(host.status("containerd", "containerd.default"), "info");
    let alone = containerd(2, V2, SHIM, BINARY);
    let host = host.file(CONTAINERD_FILE, &alone);
    assert_eq!(host.status("containerd", "containerd.default"), "missing");
    // containerd 2, whose files have version 3, keeps it.
    let host = host.file(CONTAINERD_FILE, &containerd(3, V3, SHIM, BINARY));
    assert_eq!(host.status("containerd", "containerd.default"), "info");
}

#[test]
fn an_import_takes_the_place_of_a_whole_plugin_in_version_2_and_adds_to_it_in_version_3() {
    let status = |version: u32, plugin: &str| {
        let main = format!("version = {version}\nimports = [\"conf.d/*.toml\"]\n{}", runc(plugin));
        let host = Host::new().systemd().file(CONTAINERD_FILE, &main).file(
            "etc/containerd/conf.d/casemate.toml",
            &containerd(version, plugin, SHIM, BINARY),
        );
        host.status("containerd", "containerd.default")
    };
    assert_eq!((status(2, V2).as_str(), status(3, V3).as_str()), ("missing", "info"));
}

#[test]
fn a_runtime_below_the_plugin_of_the_other_version_is_noticed() {
    let host = Host::new().file(CONTAINERD_FILE, &containerd(3, V2, SHIM, BINARY));
    assert_eq!(host.status("containerd", "containerd.plugin"), "missing");
}

#[test]
fn binary_name_in_the_wrong_table_is_noticed() {
    let text = containerd(2, V2, &format!("{SHIM}\nBinaryName = \"/usr/bin/casemate\""), "");
    let host = Host::new().file(CONTAINERD_FILE, &text);
    let check = host.check("containerd", "containerd.runtime.casemate");
    assert_eq!(check["status"], "missing");
    assert!(check["found"].as_str().unwrap().contains("beside options"), "{check}");
    let snippet = check["snippet"].as_str().unwrap().to_owned();
    let host = host.file(CONTAINERD_FILE, &snippet);
    assert_eq!(host.status("containerd", "containerd.runtime.casemate"), "ok");
}

#[test]
fn a_shim_of_its_own_and_a_runtime_path_are_mistakes() {
    let type_of_its_own = "runtime_type = \"io.containerd.casemate.v2\"";
    let host = Host::new().file(CONTAINERD_FILE, &containerd(2, V2, type_of_its_own, BINARY));
    assert_eq!(host.status("containerd", "containerd.runtime.casemate.type"), "missing");
    let path = format!("{SHIM}\nruntime_path = \"/usr/bin/casemate\"");
    let host = Host::new().file(CONTAINERD_FILE, &containerd(2, V2, &path, BINARY));
    assert_eq!(host.status("containerd", "containerd.runtime.casemate.path"), "missing");
}

#[test]
fn a_cgroup_driver_that_the_host_cannot_have_is_missing_and_an_unwise_one_a_warning() {
    let id = "containerd.runtime.casemate.cgroup-driver";
    let host = Host::new().file(CONTAINERD_FILE, &containerd(2, V2, SHIM, BINARY));
    assert_eq!(host.status("containerd", id), "missing");
    let cgroupfs = "BinaryName = \"/usr/bin/casemate\"";
    let host = Host::new().systemd().file(CONTAINERD_FILE, &containerd(2, V2, SHIM, cgroupfs));
    assert_eq!(host.status("containerd", id), "warning");
}

#[test]
fn annotations_that_containerd_keeps_to_itself_are_mentioned() {
    let id = "containerd.runtime.casemate.annotations";
    let host = Host::new().file(CONTAINERD_FILE, &containerd(2, V2, SHIM, BINARY));
    assert_eq!(host.status("containerd", id), "info");
    let status = |patterns: &str| {
        let table = format!("{SHIM}\npod_annotations = [{patterns}]");
        let host = Host::new().file(CONTAINERD_FILE, &containerd(2, V2, &table, BINARY));
        host.status("containerd", id)
    };
    // A star of containerd's stands for no slash, and the names of overrides stand behind one.
    assert_eq!(status("\"org.casemate.*\""), "warning");
    assert_eq!(status("\"org.casemate.*\", \"org.casemate.*/*\""), "ok");
}

#[test]
fn a_driver_that_cannot_work_without_systemd_is_answered_with_the_other_one() {
    let host = Host::new().file(CRIO_FILE, "[crio.runtime]\n");
    let check = host.check("crio", "crio.cgroup-manager");
    assert_eq!(check["status"], "missing");
    assert!(check["fix"].as_str().unwrap().contains("cgroupfs"), "{check}");
}

#[test]
fn an_engine_that_is_not_there_is_pointed_out() {
    let host = Host::new();
    assert_eq!(host.status("docker", "docker.program"), "info");
    let host = host.file("usr/sbin/dockerd", "").mode("usr/sbin/dockerd", 0o755);
    let (report, _) = host.ask("docker");
    let checks = report["checks"].as_array().unwrap();
    assert!(checks.iter().all(|check| check["id"] != "docker.program"), "{report:#}");
}

#[test]
fn docker_runtimes_are_found_by_name_and_by_program() {
    let daemon = |value: Value| Host::new().file("etc/docker/daemon.json", &value.to_string());
    let host = daemon(json!({"runtimes": {"casemate": {"path": "/usr/bin/casemate"}}}));
    assert_eq!(host.status("docker", "docker.runtime.casemate"), "ok");
    assert_eq!(host.status("docker", "docker.default"), "info");
    let host = daemon(json!({
        "default-runtime": "safe",
        "runtimes": {"safe": {
            "runtimeType": "io.containerd.runc.v2",
            "options": {"BinaryName": "/usr/bin/casemate"},
        }},
    }));
    assert_eq!(host.status("docker", "docker.runtime.safe"), "ok");
    assert_eq!(host.status("docker", "docker.default"), "ok");
    let host = daemon(
        json!({"runtimes": {"casemate": {"runtimeType": "io.containerd.casemate.v2", "path": "/usr/bin/casemate"}}}),
    );
    assert_eq!(host.status("docker", "docker.runtime.casemate"), "missing");
    let host = daemon(json!({"default-runtime": "casemate"}));
    assert_eq!(host.status("docker", "docker.runtime"), "missing");
}

#[test]
fn a_daemon_json_that_is_no_json_is_missing() {
    let host = Host::new().file("etc/docker/daemon.json", "{\"runtimes\": {},}");
    assert_eq!(host.status("docker", "docker.config"), "missing");
}

const CRIO_FILE: &str = "etc/crio/crio.conf.d/50-casemate.conf";

#[test]
fn crio_snippet_is_in_order_and_its_mistakes_are_noticed() {
    let host = Host::new().systemd();
    let snippet = host.check("crio", "crio.runtime")["snippet"].as_str().unwrap().to_owned();
    let host = host.file(CRIO_FILE, &snippet);
    let (report, _) = host.ask("crio");
    assert!(["ok", "info"].contains(&report["status"].as_str().unwrap()), "{report:#}");
    let host = host.file(CRIO_FILE, &snippet.replace("\"oci\"", "\"vm\""));
    assert_eq!(host.status("crio", "crio.runtime.casemate.type"), "missing");
    let host = host.file(CRIO_FILE, &snippet.replace("/usr/bin/", "/opt/"));
    assert_eq!(host.status("crio", "crio.runtime.casemate"), "missing");
    let host = host.file(CRIO_FILE, &snippet.replace("runtime_root", "#"));
    assert_eq!(host.status("crio", "crio.runtime.casemate.root"), "warning");
    let unknown = format!("{snippet}allowed_annotations = [\"org.casemate.\"]\n");
    let host = host.file(CRIO_FILE, &unknown);
    assert_eq!(host.status("crio", "crio.runtime.casemate.annotations"), "missing");
}

#[test]
fn a_kubelet_with_another_cgroup_driver_than_its_engine_is_noticed() {
    let id = "kubernetes.cgroup-driver";
    let host = Host::new()
        .systemd()
        .file(CONTAINERD_FILE, &containerd(2, V2, SHIM, BINARY))
        .file("var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\ncgroupDriver: systemd\n");
    assert_eq!(host.status("kubernetes", id), "ok");
    let host = host.file("var/lib/kubelet/config.yaml", "cgroupDriver: cgroupfs\n");
    assert_eq!(host.status("kubernetes", id), "missing");
}

#[test]
fn the_engine_that_the_kubelet_asks_is_the_one_that_is_judged() {
    let kubelet = "var/lib/kubelet/config.yaml";
    let both = || {
        Host::new()
            .systemd()
            .file(CONTAINERD_FILE, "version = 2\ndisabled_plugins = [\"cri\"]\n")
            .file(CRIO_FILE, "[crio.runtime]\ncgroup_manager = \"cgroupfs\"\n")
    };
    for (endpoint, driver, wanted) in [
        ("unix:///var/run/crio/crio.sock", "cgroupfs", "ok"),
        ("unix:///var/run/crio/crio.sock", "systemd", "missing"),
    ] {
        let text = format!("containerRuntimeEndpoint: {endpoint}\ncgroupDriver: {driver}\n");
        let host = both().file(kubelet, &text);
        assert_eq!(host.status("kubernetes", "kubernetes.cgroup-driver"), wanted, "{text}");
    }
}

#[test]
fn a_node_of_kubernetes_is_told_what_follows_the_host_without_ids() {
    let host = Host::new().systemd();
    assert_eq!(host.status("kubernetes", "kubernetes.propagation"), "info");
}

#[test]
fn a_range_of_the_kubelets_counts_only_with_its_user_and_the_program_that_reads_it() {
    let id = "kubernetes.ids";
    let range = "kubelet:65536:7208960\n";
    let host = Host::new().systemd();
    assert_eq!(host.status("kubernetes", id), "info");
    let host = host.file("etc/subuid", range).file("etc/subgid", range);
    assert_eq!(host.status("kubernetes", id), "warning");
    let host = host.file("etc/passwd", "kubelet:x:999:999::/:/usr/sbin/nologin\n");
    assert_eq!(host.status("kubernetes", id), "warning");
    let host = host.file("usr/bin/getsubids", "");
    assert_eq!(host.status("kubernetes", id), "ok");
}

/// What `host-check` says about the policy of a host, and how it ends.
fn policy_check(host: &Host) -> (Value, i32) {
    let words = ["host-check", "--format", "json", "--host-root"].map(Path::new);
    let answer = Casemate::with(words.into_iter().chain([host.0.path()])).answer();
    let report: Value = serde_json::from_str(&answer.stdout).unwrap();
    let checks = report["host"].as_array().unwrap().clone();
    let found = checks.into_iter().find(|check| check["id"] == "node.policy").unwrap();
    (found, answer.status)
}

const POLICY: &str = "etc/casemate/policy.toml";

#[test]
fn a_policy_that_others_can_write_is_missing() {
    let host = Host::new().file(POLICY, "profile = \"hardened\"\n").mode(POLICY, 0o664);
    let (check, _) = policy_check(&host);
    assert_eq!(check["status"], "missing");
    assert!(check["fix"].as_str().unwrap().contains("chmod go-w"), "{check}");
}

#[test]
fn a_policy_with_a_mistake_is_missing_and_the_check_fails() {
    if !casemate_tests::host::is_root() {
        // The files have to be root's.
        return;
    }
    let place = |host: &Host| {
        let (check, status) = policy_check(host);
        assert_eq!((&check["status"], status), (&json!("missing"), 1), "{check}");
        check["found"].as_str().unwrap().to_owned()
    };
    let host = || {
        Host::new()
            .file(POLICY, "permit = [\"rootfs.writable\"]\n")
            .mode(POLICY, 0o644)
            .mode("etc/casemate", 0o755)
    };
    let (check, _) = policy_check(&host());
    assert_eq!(check["status"], "ok", "{check}");
    // What somebody pastes at the end of the file.
    let text = "permit = [\"rootfs.writable\"]\n\npermit = [\"devices.gpu\"]\n";
    let found = place(&host().file(POLICY, text));
    let wanted = "/etc/casemate/policy.toml:3: permit stands here a second time, first at line 1";
    assert!(found.starts_with(wanted), "{found}");
    let more = "etc/casemate/policy.d/50-x.toml";
    let found = place(
        &host().file(more, "permits = 1\n").mode(more, 0o644).mode("etc/casemate/policy.d", 0o755),
    );
    assert!(found.starts_with("/etc/casemate/policy.d/50-x.toml:1: unknown field"), "{found}");
}

#[test]
fn an_audit_log_without_its_directory_is_missing_where_it_is_required() {
    if !casemate_tests::host::is_root() {
        return;
    }
    let with = |required: bool| {
        let text =
            format!("[audit]\nfile = \"/var/log/casemate/audit.jsonl\"\nrequired = {required}\n");
        Host::new().file(POLICY, &text).mode(POLICY, 0o644).mode("etc/casemate", 0o755)
    };
    for (required, wanted) in [(true, "missing"), (false, "warning")] {
        let (check, _) = policy_check(&with(required));
        assert_eq!(check["status"], wanted, "{check}");
        assert_eq!(check["fix"], "install -d -m 0700 /var/log/casemate");
        let there = with(required).file("var/log/casemate/audit.jsonl", "");
        assert_eq!(policy_check(&there).0["status"], "ok");
    }
}

#[test]
fn unknown_engines_and_formats_are_refused() {
    let answer = Casemate::with(["host-check", "--engine", "rkt"]).answer();
    assert_eq!(answer.status, 1);
    assert!(answer.stderr.contains("unknown engine"), "{}", answer.stderr);
    assert_eq!(Casemate::with(["host-check", "--format", "xml"]).answer().status, 1);
}
