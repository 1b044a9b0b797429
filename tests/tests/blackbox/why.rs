//! `why`: the refusal or the end of a container, and what to paste.

use casemate_tests::bundle::{write, Bundle};
use casemate_tests::container::Container;
use casemate_tests::requires;
use casemate_tests::scratch::Dir;
use serde_json::{json, Value};
use std::os::unix::fs::PermissionsExt;

/// It asks for a writable root and a capability, and gets neither.
fn asking() -> Bundle {
    Bundle::sh("sleep 600")
        .capabilities(&["CAP_CHOWN", "CAP_NET_ADMIN"])
        .edit(|c| c["root"]["readonly"] = json!(false))
}

fn why(container: &Container) -> Value {
    serde_json::from_str(&container.verb("why", &["--format", "json"]).ok().stdout).unwrap()
}

#[test]
fn what_was_asked_for_and_not_given_is_said_while_it_runs_and_when_it_has_gone() {
    requires!(root);
    let container = Container::new(asking()).up();
    let wanted = json!(["rootfs.writable", "capabilities.net_admin"]);
    let cut = |why: &Value| {
        let cut = why["cut"].as_array().unwrap().iter();
        let named =
            cut.filter(|one| one["control"] != "mounts.flags" && one["control"] != "mounts.types");
        let names = named.flat_map(|one| one["allow"].as_array().unwrap().clone());
        Value::Array(names.collect())
    };
    let running = why(&container);
    assert_eq!(
        (&running["status"], cut(&running)),
        (&json!("running"), wanted.clone()),
        "{running:#}"
    );
    container.delete().ok();
    let gone = why(&container);
    assert_eq!((&gone["status"], &gone["profile"]), (&json!("gone"), &json!("hardened")));
    assert_eq!(cut(&gone), wanted);
    let text = container.verb("why", &[]).ok().stdout;
    let head = format!(
        "container {}: it was made with profile hardened; it was deleted at ",
        container.id
    );
    assert!(text.replace('\n', " ").starts_with(&head), "{text}");
    // Nobody is to paste all of it.
    assert!(
        text.ends_with("replace NAME by its override\n  casemate --allow NAME run ...\n"),
        "{text}"
    );
}

#[test]
fn a_container_that_was_never_made_is_known_to_the_audit_log() {
    requires!(root);
    let policy = Dir::new("policy");
    let log = Dir::new("log");
    for dir in [&policy, &log] {
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let file = log.path().join("audit.jsonl").display().to_string();
    write(&policy.path().join("policy.toml"), format!("[audit]\nfile = {file:?}\n"));
    let dir = policy.path().display().to_string();
    let bundle = Bundle::sh("true").without_namespace("pid");
    let container = Container::new(bundle).global(&["--policy-dir", &dir]);
    let said = container.create().refused();
    let answer = why(&container);
    assert_eq!((&answer["status"], &answer["id"]), (&json!("refused"), &json!(container.id)));
    let error = answer["error"].as_str().unwrap();
    assert!(error.starts_with("denied by profile hardened") && said.contains(error), "{error}");
    let cut = &answer["cut"][0];
    let wanted = (&json!("namespaces.host-pid"), &json!(["namespaces.host-pid"]));
    assert_eq!((&cut["control"], &cut["allow"]), wanted);
    let text = container.verb("why", &[]).ok().stdout;
    assert!(text.contains("it was never made (profile hardened)."), "{text}");
    assert!(text.ends_with("  casemate --allow namespaces.host-pid run ...\n"), "{text}");
    // What is pasted works.
    let bundle = Bundle::sh("echo made").without_namespace("pid");
    let done = Container::new(bundle).global(&["--allow", "namespaces.host-pid"]).run().ok();
    assert_eq!(done.stdout, "made\n");
    // What no control has refused no override passes.
    let failed = Container::new(Bundle::new().args(&["/nope"])).global(&["--policy-dir", &dir]);
    failed.run().refused();
    let answer = why(&failed);
    assert_eq!((&answer["status"], &answer["cut"]), (&json!("refused"), &json!([])));
    let text = failed.verb("why", &[]).ok().stdout.replace('\n', " ");
    assert!(text.contains("no override helps") && !text.contains("--allow"), "{text}");
    // Nobody knows any other.
    let said = container.command("why").args(["nobody-has-this-name"]).refused();
    assert!(said.contains("no record of nobody-has-this-name"), "{said}");
}

#[test]
fn what_docker_says_of_a_container_is_explained_before_it_is_started() {
    requires!(root);
    let dir = Dir::new("inspect");
    let (id, container) = ("4f5c".repeat(16), Container::new(asking()));
    let explain = |host: Value| {
        let file = dir.path().join("inspect.json");
        let mounts = json!([{"Type": "bind", "Source": "/no/docker.sock", "Destination": "/s"}]);
        let one = json!([{"Id": id, "Path": "true", "Args": [], "Config": {}, "HostConfig": host, "Mounts": mounts}]);
        write(&file, one.to_string());
        let words = ["explain", "--format", "json", "--inspect", file.to_str().unwrap()];
        let tmp = dir.path().to_str().unwrap();
        container.command(words[0]).args(&words[1..]).env("TMPDIR", tmp)
    };
    let refused =
        explain(json!({"PidMode": "host", "NetworkMode": "host", "CapAdd": ["NET_ADMIN"]}))
            .refused();
    for name in ["namespaces.host-pid", "namespaces.host-network", "capabilities.net_admin"] {
        assert!(refused.contains(name), "{refused}");
    }
    let report: Value = serde_json::from_str(&explain(json!({})).ok().stdout).unwrap();
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("/no/docker.sock is not on this host"), "{warnings}");
    let everything = explain(json!({"Privileged": true})).ok().stdout;
    let everything: Value = serde_json::from_str(&everything).unwrap();
    let of = |rule: &str| {
        let mut all = everything["decisions"].as_array().unwrap().iter();
        all.find(|decision| decision["rule"] == rule).unwrap()["verdict"].clone()
    };
    assert_eq!(
        (of("bundle.privileged"), of("devices.cgroup")),
        (json!("warned"), json!("tightened"))
    );
    assert_eq!((&report["id"], &report["profile"]), (&json!(id), &json!("hardened")));
    let decisions = report["decisions"].as_array().unwrap();
    let root = decisions.iter().find(|one| one["rule"] == "root.readonly").unwrap();
    assert_eq!(
        (&root["verdict"], &root["allow"]),
        (&json!("tightened"), &json!(["rootfs.writable"]))
    );
    // Nothing is left of the bundle that was made for it.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// What to run, what it prints, and the overrides with which it works; none where there is none.
const SCREENS: [(&str, &str, &str); 10] = [
    ("touch /file", "Read-only file system", "rootfs.writable"),
    ("echo 1 >/proc/sys/net/ipv4/ip_forward", "Read-only file system", ""),
    ("busybox ping -c1 127.0.0.1", "ping: permission denied", "capabilities.net_raw"),
    (
        "busybox ip link set lo mtu 1400",
        "SIOCSIFMTU: Operation not permitted",
        "capabilities.net_admin",
    ),
    ("busybox chroot / /bin/true", "can't change root directory", "capabilities.sys_chroot"),
    (
        "busybox mount -t tmpfs t /tmp",
        "mount: permission denied",
        "capabilities.sys_admin,seccomp.mount",
    ),
    (
        "busybox unshare -U true",
        "unshare(0x10000000): Operation not permitted",
        "seccomp.userns,userns.nested",
    ),
    ("busybox hostname other", "sethostname: Operation not permitted", ""),
    ("busybox date -s 2020.01.01-00:00", "can't set date", ""),
    ("busybox cat /dev/kmsg", "can't open '/dev/kmsg'", ""),
];

#[test]
fn the_page_says_what_is_on_the_screen() {
    requires!(root);
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/user/TROUBLESHOOTING.md");
    let page = std::fs::read_to_string(page).unwrap();
    let capabilities =
        ["CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_SYS_CHROOT", "CAP_SYS_ADMIN", "CAP_SYS_TIME"];
    for (script, text, allow) in SCREENS {
        let row = format!("`{allow}` |");
        let is_row =
            |line: &&str| line.contains(text) && (allow.is_empty() || line.ends_with(&row));
        assert!(page.lines().any(|line| is_row(&line)), "{script}: no row of the page");
        let run = |globals: &[&str]| {
            let bundle = Bundle::sh(&format!("{{ {script}; }} 2>&1")).capabilities(&capabilities);
            let bundle = bundle.edit(|c| c["root"]["readonly"] = json!(false));
            Container::new(bundle).global(globals).run().done()
        };
        let done = run(&[]);
        assert!(done.stdout.contains(text), "{script}: {}", done.stdout);
        if !allow.is_empty() {
            let done = run(&["--allow", allow]);
            assert_eq!(done.code(), 0, "{script}: {}{}", done.stdout, done.stderr);
        }
    }
}
