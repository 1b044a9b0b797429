//! Overrides: one control at a time, by whose word, and what the payload then sees.

use casemate_tests::cli::Casemate;
use casemate_tests::scratch::Dir;
use casemate_tests::{host, programs, requires, Bundle, Container, Done};
use serde_json::{json, Value};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const REPORT: &str = "sed -nE 's/^(CapBnd|NoNewPrivs|Seccomp):\t*/\\1=/p' /proc/self/status
    echo core=$(ulimit -Hc)
    echo root=$(touch /x 2>/dev/null && echo rw || echo ro)
    echo slab=$(wc -c < /proc/slabinfo)";

/// What the default profile leaves of a bundle that asks for everything.
const DEFAULT: [(&str, &str); 6] = [
    ("CapBnd", "00000000000004fb"),
    ("NoNewPrivs", "1"),
    ("Seccomp", "2"),
    ("core", "0"),
    ("root", "ro"),
    ("slab", "0"),
];

fn careless() -> Bundle {
    Bundle::sh(REPORT).all_capabilities().edit(|c| {
        c["process"]["noNewPrivileges"] = json!(false);
        c["process"]["rlimits"] = json!([{"type": "RLIMIT_CORE", "hard": 4096, "soft": 4096}]);
        c["root"]["readonly"] = json!(false);
        c["linux"].as_object_mut().unwrap().remove("maskedPaths");
    })
}

fn annotated(key: &str, value: &str) -> Bundle {
    careless().edit(|c| c["annotations"] = json!({ key: value }))
}

fn assert_default_but(done: &Done, changed: &[&str]) {
    for (name, value) in DEFAULT {
        let same = done.value(name) == value;
        assert_eq!(same, !changed.contains(&name), "{name}={}: {}", done.value(name), done.stdout);
    }
}

#[test]
fn each_override_changes_what_it_is_named_for_and_nothing_else() {
    requires!(root);
    let cases: [(&str, &[&str]); 7] = [
        ("rootfs.writable", &["root"]),
        ("process.new-privileges", &["NoNewPrivs"]),
        ("capabilities.net_raw", &["CapBnd"]),
        ("rlimits.core", &["core"]),
        ("paths.unmasked", &["slab"]),
        ("pids.unlimited", &[]),
        // The filter is the only one: the bundle has none.
        ("seccomp.unconfined", &["Seccomp"]),
    ];
    for (name, changed) in cases {
        let done = Container::new(careless()).global(&["--allow", name]).run().ok();
        assert_default_but(&done, changed);
    }
    assert_default_but(&Container::new(careless()).run().ok(), &[]);
}

#[test]
fn an_annotation_of_the_permitted_set_is_enough() {
    requires!(root);
    let bundle = annotated("org.casemate.allow/rootfs.writable", "true");
    assert_default_but(&Container::new(bundle).run().ok(), &["root"]);
}

#[test]
fn annotations_outside_of_the_permitted_set_are_refused_before_anything_is_made() {
    requires!(root);
    for (key, value, wanted) in [
        ("org.casemate.allow/devices.all", "true", "the node policy does not permit devices.all"),
        ("org.casemate.allow/rootfs.writable", "false", "must be \\\"true\\\""),
        ("org.casemate.allow/rootfs.writeable", "true", "is unknown"),
        ("org.casemate.profile", "privileged", "does not permit profile.privileged"),
    ] {
        let container = Container::new(annotated(key, value));
        let text = container.run().refused();
        assert!(text.contains(key) && text.contains(wanted), "{text}");
        assert!(!container.state_dir().exists());
    }
}

#[test]
fn several_overrides_can_be_given_at_once_and_behind_the_command() {
    requires!(root);
    let container = Container::new(careless()).global(&[
        "--allow",
        "rootfs.writable,rlimits.core",
        "--allow=capabilities.net_raw",
    ]);
    assert_default_but(&container.run().ok(), &["root", "core", "CapBnd"]);
    let container = Container::new(careless());
    let text = container.run_command(&["--allow=nonsense"]).refused();
    assert!(text.contains("--allow nonsense: override "), "{text}");
}

#[test]
fn what_was_overridden_at_create_stays_so_for_exec_and_nothing_more() {
    requires!(root);
    let bundle = careless().args(&["sleep", "600"]);
    let container =
        Container::new(bundle).global(&["--allow", "process.new-privileges,capabilities.net_raw"]);
    let container = container.up();
    let done = container.exec(REPORT).ok();
    assert_default_but(&done, &["NoNewPrivs", "CapBnd"]);
    // exec has no say of its own.
    let options = ["--allow", "rlimits.core,capabilities.all", "--cap", "CAP_SYS_ADMIN"];
    let done = container.exec_command(&options, &["sh", "-c", REPORT]).ok();
    assert_default_but(&done, &["NoNewPrivs", "CapBnd"]);
    assert_eq!(done.value("CapBnd"), "00000000000024fb");
}

/// A policy directory, owned by root as the test is.
fn policy(files: &[(&str, &str)]) -> (Dir, PathBuf) {
    let dir = Dir::new("policy");
    let path = dir.path().join("casemate");
    std::fs::create_dir_all(path.join("policy.d")).unwrap();
    for (name, text) in files {
        std::fs::write(path.join(name), text).unwrap();
    }
    (dir, path)
}

fn under(bundle: Bundle, policy: &std::path::Path) -> Container {
    Container::new(bundle).global(&["--policy-dir", policy.to_str().unwrap()])
}

#[test]
fn a_node_policy_chooses_permits_and_forbids() {
    requires!(root);
    let (_keep, dir) = policy(&[
        ("policy.toml", "profile = \"baseline\"\npermit = [\"capabilities.*\"]\n"),
        (
            "policy.d/50-ci.toml",
            "[[rule]]\nname = \"ci\"\nprofile = \"hardened\"\nallow = [\"rootfs.writable\"]\n\
             forbid = [\"rlimits.core\"]\nmatch.namespace = [\"ci\"]\n",
        ),
        ("policy.d/ignored.txt", "this is not a policy"),
    ]);
    let ci = || {
        careless().edit(|c| c["annotations"] = json!({"io.kubernetes.cri.sandbox-namespace": "ci"}))
    };
    let pod = under(ci(), &dir).as_of_containerd("k8s.io");
    assert_default_but(&pod.run().ok(), &["root"]);
    let baseline = under(careless(), &dir).run().ok();
    assert_eq!((baseline.value("root"), baseline.value("NoNewPrivs")), ("rw", "0"));
    assert_eq!((baseline.value("CapBnd"), baseline.value("slab")), ("00000000a80405fb", "0"));
    let text = under(ci(), &dir).global(&["--allow", "rlimits.core"]).run().refused();
    assert!(text.contains("forbidden by") && text.contains("50-ci.toml:5"), "{text}");
    let asked = annotated("org.casemate.allow/rootfs.writable", "true");
    let text = under(asked, &dir).run().refused();
    assert!(text.contains("does not permit rootfs.writable"), "{text}");
}

/// docker keeps its containers in another namespace of containerd's, ctr and nerdctl too; with `--cgroup` they choose the cgroup.
#[test]
fn an_annotation_of_a_user_of_docker_or_ctr_gets_no_profile_that_a_kubernetes_namespace_has() {
    requires!(root);
    let rule = "[[rule]]\nprofile = \"privileged\"\nmatch.namespace = [\"kube-system\"]\n";
    let (_keep, dir) = policy(&[("policy.toml", rule)]);
    let system = || {
        careless().edit(|c| {
            c["annotations"] = json!({"io.kubernetes.cri.sandbox-namespace": "kube-system"});
        })
    };
    for namespace in ["moby", "default"] {
        let container = under(system(), &dir).as_of_containerd(namespace);
        assert_default_but(&container.run().ok(), &[]);
        let report = container.command("explain").args(["--format", "json", "--bundle"]);
        let report = report.args([container.bundle.dir()]).ok();
        let report: Value = serde_json::from_str(&report.stdout).unwrap();
        let warning = report["warnings"][0]["message"].as_str().unwrap();
        assert!(
            warning.starts_with("those of containerd, which is not known to have made"),
            "{warning}"
        );
    }
    let open = under(system(), &dir).as_of_containerd("k8s.io");
    assert_eq!(open.run().ok().value("root"), "rw");
    // The directory's name alone is nobody's word: here an ordinary user could have put the configuration there.
    let planted = under(system(), &dir).as_of_containerd("k8s.io");
    planted.bundle.save();
    std::os::unix::fs::chown(planted.bundle.dir(), Some(12345), None).unwrap();
    assert_default_but(&planted.run().ok(), &[]);
}

#[test]
fn what_a_policy_forbids_no_profile_and_no_switched_control_gives() {
    requires!(root);
    // Without a user namespace: some capabilities mean nothing in one of its own.
    let forbid =
        "allow = [\"userns.host\"]\nforbid = [\"capabilities.sys_*\", \"seccomp.unconfined\"]";
    for looser in [
        "profile = \"privileged\"",
        "[[rule]]\nmatch.uid = [0]\nallow = [\"capabilities.all\"]",
        "controls = { \"capabilities.ceiling\" = \"off\", \"seccomp.default\" = \"off\" }",
    ] {
        let (_keep, dir) = policy(&[("policy.toml", &format!("{forbid}\n{looser}\n"))]);
        let done = under(careless(), &dir).run().ok();
        let held = u64::from_str_radix(done.value("CapBnd"), 16).unwrap();
        // SYS_MODULE, SYS_ADMIN, SYS_PTRACE; NET_RAW.
        assert_eq!((held & 0x29_0000, held & 0x2000), (0, 0x2000), "{looser}: {held:x}");
        assert_eq!(done.value("Seccomp"), "2", "{looser}");
    }
}

#[test]
fn signs_of_two_engines_are_refused_but_where_everything_is_run_as_written() {
    requires!(root);
    let two = || {
        careless().edit(|c| {
            c["annotations"] = json!({
                "io.container.manager": "libpod",
                "io.kubernetes.cri.sandbox-namespace": "kube-system",
            });
        })
    };
    let text = Container::new(two()).run().refused();
    let wanted =
        "signs of two engines: podman (annotation io.container.manager=libpod) and containerd \
                  (annotation io.kubernetes.cri.sandbox-namespace)";
    assert!(text.contains(wanted), "{text}");
    Container::new(two()).global(&["--profile", "privileged"]).run().ok();
}

/// Every remedy that a refusal prints is pasted as it is, and works: by `--allow`, and by annotation once the node permits it.
#[test]
fn a_printed_remedy_is_pasted_and_works() {
    requires!(root);
    let shared = |kind: &'static str| {
        Bundle::sh("true").without_namespace(kind).edit(|c| {
            c.as_object_mut().unwrap().remove("hostname");
        })
    };
    let bound = |source: &'static str| {
        let mount = json!({"destination": "/x", "type": "bind", "source": source, "options": ["bind", "ro"]});
        Bundle::sh("true").edit(|c| c["mounts"].as_array_mut().unwrap().push(mount))
    };
    let bundles: [&dyn Fn() -> Bundle; 5] = [
        &|| shared("network"),
        &|| shared("pid"),
        &|| shared("uts"),
        &|| bound("/etc/shadow"),
        &|| bound("/root"),
    ];
    // One node for all: a later remedy must not take back what an earlier one gave.
    for first in ["", "permit = []", "permit = [\"rootfs.writable\"]"] {
        let (_keep, dir) = policy(&[("policy.toml", first)]);
        let casemate = format!("{} --policy-dir {} ", host::runtime().display(), dir.display());
        for bundle in bundles {
            let text = under(bundle(), &dir).run().refused();
            let remedy = text.split("; allow with --allow ").nth(1).unwrap();
            let (name, rest) = remedy.split_once(", or annotation ").unwrap();
            under(bundle(), &dir).global(&["--allow", name]).run().ok();
            let (annotation, command) = rest.split_once(" once the node permits it: ").unwrap();
            let command = command.lines().next().unwrap().trim_end_matches('"');
            let command = command.replacen("casemate ", &casemate, 1);
            for _twice in 0..2 {
                let mut shell = std::process::Command::new("sh");
                let pasted = programs::output(shell.args(["-c", &command]));
                assert!(pasted.as_ref().unwrap().status.success(), "{command}: {pasted:?}");
            }
            let (key, value) = annotation.split_once('=').unwrap();
            let asking = bundle().edit(|c| c["annotations"] = json!({ key: value }));
            under(asking, &dir).run().ok();
        }
        for bundle in bundles {
            let text = under(bundle(), &dir).run().refused();
            assert!(!text.contains("once the node permits it"), "{text}");
        }
    }
}

#[test]
fn a_policy_that_others_could_have_written_starts_nothing() {
    requires!(root);
    let modes: [(&str, u32, &str); 4] = [
        ("policy.toml", 0o664, "0644"),
        ("policy.d", 0o777, "0755"),
        ("policy.d/1.toml", 0o646, "0644"),
        (".", 0o775, "0755"),
    ];
    for (name, mode, wanted) in modes {
        let (_keep, dir) = policy(&[("policy.toml", ""), ("policy.d/1.toml", "")]);
        let path = dir.join(name);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let text = under(careless(), &dir).run().refused();
        assert!(text.contains("must belong to root and be writable by nobody else"), "{text}");
        assert!(text.contains(&format!("chmod {wanted}")), "{text}");
    }
    let (_keep, dir) = policy(&[("policy.toml", "")]);
    std::os::unix::fs::chown(dir.join("policy.toml"), Some(4711), None).unwrap();
    assert!(under(careless(), &dir).run().refused().contains("must belong to root"));
    std::fs::remove_file(dir.join("policy.toml")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", dir.join("policy.toml")).unwrap();
    assert!(under(careless(), &dir).run().refused().contains("not a symbolic link"));
}

#[test]
fn a_policy_with_a_mistake_starts_nothing_and_says_where_it_is() {
    requires!(root);
    let (_keep, dir) = policy(&[("policy.d/1.toml", "\npermits = []\n")]);
    let text = under(careless(), &dir).run().refused();
    assert!(text.contains("policy.d/1.toml:2: unknown field `permits`"), "{text}");
    let text = under(careless(), &dir.join("nowhere")).run().refused();
    assert!(text.contains("no such directory"), "{text}");
}

#[test]
fn explain_of_a_container_is_about_that_one_also_when_its_bundle_is_gone() {
    requires!(root);
    let bundle = Bundle::sh("sleep 600").edit(|c| {
        c["hostname"] = json!("of-the-container");
        c["root"]["readonly"] = json!(false);
    });
    let container = Container::new(bundle).global(&["--allow", "rootfs.writable"]).up();
    // The caller's directory has a bundle of its own.
    let other = Bundle::sh("true").edit(|c| c["hostname"] = json!("of-the-directory"));
    other.save();
    let root = container.root().display().to_string();
    let explain = || {
        let words = ["--root", &root, "explain", "--format", "json", &container.id];
        let answer = Casemate::with(words).in_directory(other.dir()).answer();
        assert_eq!(answer.status, 0, "{}", answer.stderr);
        serde_json::from_str::<Value>(&answer.stdout).unwrap()
    };
    let verdict = |report: &Value| {
        let decisions = report["decisions"].as_array().unwrap();
        let root = decisions.iter().find(|one| one["rule"] == "root.readonly").unwrap();
        root["verdict"].as_str().unwrap().to_owned()
    };
    let report = explain();
    assert_eq!(report["spec"]["hostname"], "of-the-container");
    assert_eq!(verdict(&report), "waived");
    std::fs::remove_file(container.bundle.dir().join("config.json")).unwrap();
    let report = explain();
    assert_eq!(report["spec"]["hostname"], "of-the-container");
    assert_eq!(verdict(&report), "waived");
    assert!(report["warnings"][0].as_str().unwrap().contains("bundle is gone"), "{report}");
}

#[test]
fn overrides_that_are_offered_leave_alone_what_was_changed() {
    requires!(root);
    let proc = json!({"destination": "/proc", "type": "proc", "source": "proc"});
    let bundle = Bundle::sh("true").without_mount("/proc").mount(proc);
    let container = Container::new(bundle);
    let dir = container.bundle.dir().display().to_string();
    let done = container.command("explain").args(["--bundle", &dir, "--format", "json"]).ok();
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    let decisions = report["decisions"].as_array().unwrap();
    let of = |rule: &'static str| decisions.iter().filter(move |one| one["rule"] == rule);
    // Nothing lets a /proc have set-user-ID files.
    let proc = of("mounts.types").find(|one| one["verdict"] == "tightened").unwrap();
    assert!(proc.get("allow").is_none(), "{proc}");
    let filter = of("seccomp.default").next().unwrap();
    assert_eq!(filter["allow"], json!(["seccomp.unconfined"]));
}

#[test]
fn a_capability_that_nobody_knows_is_warned_of_and_offered_nowhere() {
    requires!(root);
    let bundle = Bundle::sh("true").capabilities(&["CAP_NET_ROW", "CAP_NET_ADMIN"]);
    let log = bundle.dir().join("log");
    let container = Container::new(bundle).global(&["--log", log.to_str().unwrap()]);
    container.run().ok();
    let told = std::fs::read_to_string(log).unwrap();
    let warning = "ignoring unknown or unavailable capabilities: [CAP_NET_ROW]";
    assert!(told.contains(warning), "{told}");
    let dir = container.bundle.dir().display().to_string();
    let text = container.command("explain").args(["--bundle", &dir]).ok().stdout;
    assert!(text.contains("capabilities.net_admin"), "{text}");
    assert!(!text.contains("capabilities.net_row"), "{text}");
}

/// The program itself will only say "Operation not permitted".
#[test]
fn a_capability_that_is_asked_for_by_name_and_cut_is_said_in_the_callers_log() {
    requires!(root);
    for (names, wanted) in [
        (&["CAP_KILL", "CAP_NET_ADMIN"][..], true),
        (&["CAP_KILL", "CAP_NET_RAW", "CAP_MKNOD"], false),
    ] {
        let bundle = Bundle::sh("true").capabilities(names);
        let log = bundle.dir().join("log");
        let options = ["--log", log.to_str().unwrap(), "--log-format", "json"];
        let container = Container::new(bundle).global(&options);
        assert_eq!(container.run().ok().stderr, "");
        // Who has nothing to say writes no file.
        let told = std::fs::read_to_string(log).unwrap_or_default();
        let warning = "asked for by name and not given: capabilities.net_admin; allow with --allow";
        assert_eq!(told.contains(warning), wanted, "{told}");
    }
}

#[test]
fn explain_says_who_decided() {
    requires!(root);
    let bundle = annotated("org.casemate.allow/rootfs.writable", "true");
    let container = Container::new(bundle).global(&["--allow", "rlimits.core"]);
    let dir = container.bundle.dir().to_str().unwrap().to_owned();
    let done = container.command("explain").args(["--bundle", &dir, "--format", "json"]).ok();
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    let decision = |rule: &str| {
        let all = report["decisions"].as_array().unwrap();
        all.iter().find(|decision| decision["rule"] == rule).unwrap().clone()
    };
    assert_eq!(decision("root.readonly")["verdict"], "waived");
    assert_eq!(decision("root.readonly")["source"], json!({"annotation": "the built-in policy"}));
    assert_eq!(decision("rlimits.core")["source"], "commandLine");
    assert_eq!(decision("pids.limit")["source"], "profile");
    let text = container.command("explain").args(["--bundle", &dir]).ok().stdout;
    assert!(text.contains("the command line"), "{text}");
    assert!(text.contains("an annotation, permitted by the built-in policy"), "{text}");
}

#[test]
fn the_hosts_namespaces_are_refused_by_name_and_inode() {
    requires!(root);
    for (kind, file, name) in [
        ("network", "net", "namespaces.host-network"),
        ("pid", "pid", "namespaces.host-pid"),
        ("ipc", "ipc", "namespaces.host-ipc"),
        ("uts", "uts", "namespaces.host-uts"),
    ] {
        let without = || {
            Bundle::sh("true").without_namespace(kind).edit(|c| {
                c.as_object_mut().unwrap().remove("hostname");
            })
        };
        let by_path = || {
            without().edit(|c| {
                let path = format!("/proc/{}/ns/{file}", std::process::id());
                let entry = json!({"type": kind, "path": path});
                c["linux"]["namespaces"].as_array_mut().unwrap().push(entry);
            })
        };
        for bundle in [without(), by_path()] {
            let text = Container::new(bundle).run().refused();
            assert!(
                text.contains(&format!("(rule {name}); allow with --allow {name}, or ")),
                "{text}"
            );
            assert!(text.contains(&format!("org.casemate.allow/{name}=true")), "{text}");
        }
        Container::new(without()).global(&["--allow", name]).run().ok();
    }
}

#[test]
fn a_cgroup_namespace_is_given_to_a_container_that_asks_for_none() {
    requires!(root);
    let bundle = || Bundle::sh("cat /proc/self/cgroup").without_namespace("cgroup");
    assert_eq!(Container::new(bundle()).run().ok().stdout.lines().last(), Some("0::/"));
    let host = Container::new(bundle()).global(&["--allow", "namespaces.host-cgroup"]).run().ok();
    assert_ne!(host.stdout.lines().last(), Some("0::/"));
}

#[test]
fn restricted_asks_for_a_user_and_a_memory_limit_and_gives_less() {
    requires!(root);
    // Not every host that tests run on can limit tasks, which restricted would ask for first.
    let options = ["--profile", "restricted", "--allow", "pids.unlimited"];
    let strict = |bundle: Bundle| Container::new(bundle).global(&options);
    let user =
        |bundle: Bundle| bundle.edit(|c| c["process"]["user"] = json!({"uid": 1000, "gid": 1000}));
    let text = strict(user(Bundle::sh("true"))).run().refused();
    assert!(text.contains("(rule memory.limit)"), "{text}");
    let options = [&options[..], &["--allow", "memory.unlimited"]].concat();
    let strict = |bundle: Bundle| Container::new(bundle).global(&options);
    let text = strict(Bundle::sh("true")).run().refused();
    assert!(text.contains("runs as root (uid 0) (rule process.root)"), "{text}");
    let group = user(Bundle::sh("true")).edit(|c| c["process"]["user"]["gid"] = json!(0));
    assert!(strict(group).run().refused().contains("root's group (gid 0) (rule process.root)"));
}
