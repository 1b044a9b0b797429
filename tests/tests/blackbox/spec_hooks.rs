//! Hooks: where and when each of the six kinds runs, what it is given, what its failure does.

use casemate_tests::scratch::Dir;
use casemate_tests::{programs, requires, Bundle, Canary, Container};
use serde_json::{json, Value};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// A host script in the bundle directory.
fn script(bundle: &Bundle, name: &str, text: &str) -> PathBuf {
    let path = bundle.dir().join(name);
    casemate_tests::bundle::write(&path, format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// Every kind of hook appends one line to a log: its name, and what it sees. The one that runs in the container writes to
/// the same file through a bind mount.
fn logged(bundle: Bundle) -> Bundle {
    let log = bundle.dir().join("log");
    casemate_tests::bundle::write(&log, "");
    std::fs::set_permissions(&log, PermissionsExt::from_mode(0o666)).unwrap();
    let line = |log: &str| {
        format!(
            "echo \"$1 net=$(readlink /proc/self/ns/net) mnt=$(readlink /proc/self/ns/mnt) host=$(hostname) pwd=$PWD \
             arg0=$0 $(cat | tr -d '\\n')\" >> {log}"
        )
    };
    let hook = script(&bundle, "hook", &line(&log.display().to_string()));
    let inner = bundle.rootfs().join("bin/hook");
    casemate_tests::bundle::write(&inner, format!("#!/bin/sh\n{}\n", line("/log")));
    std::fs::set_permissions(&inner, PermissionsExt::from_mode(0o755)).unwrap();
    let mount = json!({"destination": "/log", "source": log, "options": ["bind"]});
    bundle.mount(mount).edit(|c| {
        c["annotations"] = json!({"com.example.key": "value \"quoted\""});
        for kind in KINDS {
            let path =
                if kind == "startContainer" { PathBuf::from("/bin/hook") } else { hook.clone() };
            c["hooks"][kind] = json!([
                {"path": path, "args": ["any-name", kind]},
                {"path": path, "args": ["any-name", format!("{kind}2")]}
            ]);
        }
    })
}

fn log(container: &Container) -> Vec<String> {
    let text = std::fs::read_to_string(container.bundle.dir().join("log")).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn field<'l>(line: &'l str, key: &str) -> &'l str {
    let rest = line.split_once(&format!(" {key}=")).unwrap_or_else(|| panic!("{key}: {line}")).1;
    rest.split(' ').next().unwrap()
}

fn state(line: &str) -> Value {
    serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap_or_else(|e| panic!("{e}: {line}"))
}

#[test]
fn hooks_run_in_order_in_their_namespaces_with_the_state_on_standard_input() {
    requires!(root);
    let container =
        Container::new(logged(Bundle::sh("echo program >> /log; sleep 600"))).verbatim();
    container.create().ok();
    let names = |lines: &[String]| -> Vec<String> {
        lines.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let at_create = log(&container);
    assert_eq!(
        names(&at_create),
        [
            "prestart",
            "prestart2",
            "createRuntime",
            "createRuntime2",
            "createContainer",
            "createContainer2"
        ]
    );
    let pid = container.pid();
    let ns = |pid: &str, kind: &str| {
        std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap().display().to_string()
    };
    for line in &at_create[..4] {
        assert_eq!(
            (field(line, "net"), field(line, "mnt")),
            (&*ns("thread-self", "net"), &*ns("thread-self", "mnt"))
        );
        assert_eq!(state(line)["pid"], pid, "{line}");
    }
    for line in &at_create[4..] {
        assert_eq!(
            (field(line, "net"), field(line, "host")),
            (&*ns(&pid.to_string(), "net"), "casemate")
        );
        assert_eq!(state(line)["pid"], 1, "{line}");
    }
    container.start().ok();
    container.kill("KILL").ok();
    container.wait_status("stopped");
    container.verb("delete", &[]).ok();
    let all = log(&container);
    let after: Vec<_> = names(&all)[6..].to_vec();
    assert_eq!(after[..2], ["startContainer", "startContainer2"]);
    assert_eq!(after[after.len() - 2..], ["poststop", "poststop2"]);
    let between: Vec<_> =
        after[2..after.len() - 2].iter().filter(|name| *name != "program").cloned().collect();
    assert_eq!(between, ["poststart", "poststart2"]);
    let status = |name: &str| {
        let line = all.iter().find(|line| line.split(' ').next() == Some(name)).unwrap();
        state(line)["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        ["startContainer", "poststart", "poststop"].map(status),
        ["created", "running", "stopped"]
    );
    for line in all.iter().filter(|line| line.contains('{')) {
        let state = state(line);
        assert_eq!(state["id"], container.id.as_str());
        assert_eq!(state["bundle"].as_str().map(Path::new), Some(container.bundle.dir()));
        assert_eq!(state["annotations"]["com.example.key"], "value \"quoted\"");
        assert_eq!(state["ociVersion"], container.bundle.config["ociVersion"]);
    }
}

#[test]
fn a_hook_is_given_exactly_its_environment_and_arguments() {
    requires!(root);
    for profile in ["hardened", "privileged"] {
        let bundle = Bundle::sh("true");
        let out = bundle.dir().join("out");
        let text = format!(
            "{{ echo arg0=$0; echo n=$#; env; ls /proc/self/fd | wc -l | sed s/^/fds=/; }} > {}",
            out.display()
        );
        let hook = script(&bundle, "hook", &text);
        let bundle = bundle.edit(|c| {
            c["hooks"]["createRuntime"] = json!([{"path": hook, "args": ["own-name", "a b", ""], "env": ["ONLY=this", "PATH=/bin:/usr/bin"]}]);
        });
        let container = Container::new(bundle).global(&["--profile", profile]);
        container.run().env("LEAK", "no").ok();
        let text = std::fs::read_to_string(out).unwrap();
        assert!(text.contains("n=2") && text.contains("ONLY=this"), "{text}");
        assert!(!text.contains("LEAK") && !text.contains("LD_"), "{text}");
        // 0, 1, 2, the script itself and the listing.
        let fds: u32 =
            text.lines().find_map(|l| l.strip_prefix("fds=")).unwrap().trim().parse().unwrap();
        assert!(fds <= 5, "{text}");
    }
}

#[test]
fn a_hook_begins_in_the_bundle_or_the_root_where_a_configuration_is_used_as_written() {
    requires!(root);
    for profile in ["privileged", "hardened"] {
        let bundle = logged(Bundle::sh("true").edit(|c| c["process"]["cwd"] = json!("/tmp")));
        let container = Container::new(bundle).global(&["--profile", profile]);
        container.run().ok();
        let lines = log(&container);
        let (bundle, rootfs) = (container.bundle.dir(), container.bundle.rootfs());
        let written = |kind: &str| match kind {
            "createContainer" => rootfs.display().to_string(),
            "startContainer" => "/tmp".to_owned(),
            _ => bundle.display().to_string(),
        };
        for kind in KINDS {
            let line = lines.iter().find(|line| line.starts_with(&format!("{kind} "))).unwrap();
            let expected = if profile == "privileged" { written(kind) } else { "/".to_owned() };
            assert_eq!(field(line, "pwd"), expected, "{profile} {kind}");
        }
    }
}

/// Writes to the rootfs as well as it can, as hooks of GPUs do (ld.so.cache).
fn writing_hook(bundle: Bundle) -> Bundle {
    let text = format!(
        "{{ cat /proc/self/uid_map; grep CapBnd /proc/self/status; id -u; mknod {0}/dev/sda b 8 0 2>&1 | grep -o 'not permitted'; }} > {0}/etc/written",
        bundle.rootfs().display()
    );
    let hook = script(&bundle, "hook", &text);
    std::fs::set_permissions(bundle.dir(), PermissionsExt::from_mode(0o755)).unwrap();
    bundle.edit(|c| c["hooks"]["createContainer"] = json!([{"path": hook}]))
}

const SEEN: &str = "cat /etc/written; echo owner=$(stat -c %u /etc/written)";

#[test]
fn a_create_container_hook_runs_in_the_containers_user_namespace() {
    requires!(root);
    let own = Container::new(writing_hook(Bundle::sh(SEEN)).user_namespace(700_000));
    let done = own.verbatim().output();
    let map: Vec<_> = done.stdout.split_whitespace().take(3).collect();
    assert_eq!(map, ["0", "700000", "65536"]);
    assert!(done.stdout.contains("not permitted"), "{}", done.stdout);
    assert_eq!(done.value("owner"), "0");
}

#[test]
fn a_create_container_hook_can_write_to_the_hardened_root() {
    requires!(root);
    for options in [&[][..], &["--allow", "rootfs.writable"]] {
        let done = Container::new(writing_hook(Bundle::sh(SEEN))).global(options).output();
        let map: Vec<_> = done.stdout.split_whitespace().take(3).collect();
        assert_eq!((map[0], map[1] == "0", map[2]), ("0", false, "65536"), "{}", done.stdout);
        assert_eq!(done.value("owner"), "0");
    }
}

#[test]
fn a_create_container_hook_finds_configuration_and_root_where_only_root_may_look() {
    requires!(root);
    // The root below a closed directory of its own, the root in the closed bundle.
    for apart in [true, false] {
        let dirs = (Dir::new("tools"), Dir::new("closed"));
        let tool = dirs.0.path().join("hook");
        let text = "#!/bin/sh\nb=$(sed 's/.*\"bundle\":\"\\([^\"]*\\)\".*/\\1/')\n\
            r=$(tr -d ' \\n' <$b/config.json | sed 's/.*\"root\":{[^}]*\"path\":\"\\([^\"]*\\)\".*/\\1/')\n\
            cd $b && echo made >$r/etc/ld.so.cache\n";
        programs::write(&tool, text);
        std::fs::set_permissions(&tool, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(dirs.0.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let script = "cat /etc/ld.so.cache; stat -c owner=%u /etc/ld.so.cache";
        let bundle = Bundle::sh(script).edit(|c| {
            c["hooks"]["createContainer"] = json!([{"path": tool}]);
        });
        let bundle = if apart { away(bundle, dirs.1.path()) } else { bundle };
        std::fs::set_permissions(bundle.dir(), PermissionsExt::from_mode(0o700)).unwrap();
        let done = Container::new(bundle).output();
        assert_eq!((done.stdout.lines().next(), done.value("owner")), (Some("made"), "0"));
    }
}

/// The root file system of a bundle, moved.
fn away(bundle: Bundle, to: &Path) -> Bundle {
    let rootfs = to.join("rootfs");
    std::fs::rename(bundle.rootfs(), &rootfs).unwrap();
    std::fs::set_permissions(to, PermissionsExt::from_mode(0o700)).unwrap();
    bundle.edit(|c| c["root"]["path"] = json!(rootfs))
}

#[test]
fn a_hook_may_be_a_magic_link_with_another_name() {
    requires!(root);
    // What dockerd's builder does: its own binary under the name of a built-in command.
    let dir = casemate_tests::scratch::Dir::new("engine");
    let busybox = casemate_tests::host::find_program("busybox").unwrap();
    let mut engine = std::process::Command::new(busybox);
    let mut engine = programs::start(engine.args(["sleep", "600"])).unwrap();
    let made = dir.path().join("made");
    let container = Container::new(Bundle::sh("true").edit(|c| {
        c["hooks"]["prestart"] =
            json!([{"path": format!("/proc/{}/exe", engine.id()), "args": ["touch", made]}]);
    }));
    container.run().ok();
    engine.kill().unwrap();
    engine.wait().unwrap();
    assert!(made.exists());
}

#[test]
fn a_create_runtime_hook_can_reach_the_containers_network_namespace() {
    requires!(root);
    let bundle = Bundle::sh("true");
    let out = bundle.dir().join("out");
    let text = format!(
        "pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); readlink /proc/$pid/ns/net > {}",
        out.display()
    );
    let hook = script(&bundle, "hook", &text);
    let container =
        Container::new(bundle.edit(|c| c["hooks"]["createRuntime"] = json!([{"path": hook}])));
    container.create().ok();
    let ns = std::fs::read_link(format!("/proc/{}/ns/net", container.pid())).unwrap();
    assert_eq!(std::fs::read_to_string(out).unwrap().trim(), ns.display().to_string());
}

#[test]
fn a_failing_hook_before_the_program_undoes_the_container_and_poststop_still_runs() {
    requires!(root);
    let canary = Canary::new();
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        let bundle = logged(Bundle::sh("echo program >> /log"));
        script(&bundle, "fail", "echo this went wrong; exit 7");
        let inner = bundle.rootfs().join("bin/fail");
        programs::copy(&bundle.dir().join("fail"), &inner);
        let path = if kind == "startContainer" {
            PathBuf::from("/bin/fail")
        } else {
            bundle.dir().join("fail")
        };
        let bundle = bundle.edit(|c| c["hooks"][kind] = json!([{"path": path}]));
        let container = Container::new(bundle).verbatim();
        let text = container.run().refused();
        for part in [&format!("error running {kind} hook #0: "), "exit status 7", "this went wrong"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        let lines = log(&container);
        assert!(lines.last().unwrap().starts_with("poststop2 "), "{kind}: {lines:?}");
        assert!(!lines.contains(&"program".to_owned()), "{kind}: {lines:?}");
        assert_eq!(container.leftovers(), Vec::<String>::new(), "{kind}");
        canary.check();
    }
}

#[test]
fn a_hook_that_a_signal_ends_is_told_with_what_the_signal_means() {
    requires!(root);
    let bundle = Bundle::sh("true");
    let hook = script(&bundle, "fail", "kill -SYS $$");
    let bundle = bundle.edit(|c| c["hooks"]["createRuntime"] = json!([{"path": hook}]));
    let text = Container::new(bundle).verbatim().run().refused();
    assert!(text.contains("killed by signal 31 (bad system call)"), "{text}");
}

#[test]
fn a_failing_poststart_hook_stops_the_container() {
    requires!(root);
    let bundle = Bundle::sh("sleep 600");
    let hook = script(&bundle, "fail", "exit 3");
    let container =
        Container::new(bundle.edit(|c| c["hooks"]["poststart"] = json!([{"path": hook}])));
    container.create().ok();
    let text = container.start().refused();
    assert!(text.contains("error running poststart hook #0: "), "{text}");
    container.wait_status("stopped");
}

#[test]
fn a_failing_poststop_hook_does_not_keep_the_others_from_running() {
    requires!(root);
    let bundle = logged(Bundle::sh("true"));
    let hook = script(&bundle, "fail", "exit 3");
    let bundle = bundle
        .edit(|c| c["hooks"]["poststop"].as_array_mut().unwrap().insert(0, json!({"path": hook})));
    let container = Container::new(bundle).verbatim();
    container.run().ok();
    assert!(log(&container).last().unwrap().starts_with("poststop2 "));
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

#[test]
fn a_failing_poststop_hook_is_a_warning_in_the_log() {
    requires!(root);
    for create_fails in [false, true] {
        let bundle = logged(Bundle::sh("true"));
        let hook = script(&bundle, "fail", "echo went wrong; exit 3");
        let bundle = bundle.edit(|c| {
            c["hooks"]["poststop"].as_array_mut().unwrap().insert(0, json!({"path": hook}));
            if create_fails {
                c["hooks"]["createRuntime"] = json!([{"path": "/bin/false"}]);
            }
        });
        let file = bundle.dir().join("casemate.log");
        let options = ["--log", file.to_str().unwrap(), "--log-format", "json"];
        let container = Container::new(bundle).verbatim().global(&options);
        if create_fails {
            container.create().refused();
        } else {
            container.create().ok();
            let done = container.verb("delete", &["--force"]).ok();
            assert_eq!((&*done.stdout, &*done.stderr), ("", ""));
        }
        assert!(log(&container).last().unwrap().starts_with("poststop2 "));
        let text = std::fs::read_to_string(file).unwrap();
        let records: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(records[0]["level"], "warning", "{text}");
        let message = records[0]["msg"].as_str().unwrap();
        assert!(message.starts_with("error running poststop hook #0: "), "{message}");
        assert!(message.ends_with("fail: exit status 3, output: went wrong"), "{message}");
        assert_eq!(records.len(), 1 + usize::from(create_fails), "{text}");
        assert_eq!(container.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn a_hook_that_takes_too_long_is_killed() {
    requires!(root);
    let bundle = Bundle::sh("true");
    let hook = script(&bundle, "slow", "exec sleep 600");
    let container = Container::new(
        bundle.edit(|c| c["hooks"]["createRuntime"] = json!([{"path": hook, "timeout": 1}])),
    );
    let text = container.run().refused();
    assert!(
        text.contains("error running createRuntime hook #0: ")
            && text.contains("timed out after 1 s"),
        "{text}"
    );
}

#[test]
fn a_hook_that_leaves_a_daemon_behind_does_not_hang_the_start() {
    requires!(root);
    let bundle = Bundle::sh("sleep 600");
    let pid = bundle.dir().join("daemon.pid");
    let text = format!("sleep 600 & echo $! > {}; exit 0", pid.display());
    let hook = script(&bundle, "daemon", &text);
    let container =
        Container::new(bundle.edit(|c| c["hooks"]["poststart"] = json!([{"path": hook}])));
    container.create().ok();
    let mut command = container.start().inner;
    // Pipes, whose end an engine waits for.
    let out = programs::output(&mut command).unwrap();
    assert!(out.status.success());
    // Their end came before the daemon's.
    let pid: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    // SAFETY: a plain system call; the daemon has nobody but us who would end it.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0, "the daemon has ended by itself");
}

#[test]
fn impossible_hooks_are_refused_before_anything_is_made() {
    requires!(root);
    for (hook, part) in [
        (json!({"path": "relative"}), "hooks.createRuntime[0].path"),
        (json!({"path": "/no/such/hook"}), "hooks.createRuntime[0]"),
        (json!({"path": "/bin/true", "timeout": -1}), "hooks.createRuntime[0].timeout"),
        (json!({"path": "/bin/true", "env": ["NOTHING"]}), "hooks.createRuntime[0]"),
    ] {
        let container = Container::new(
            Bundle::sh("true").edit(|c| c["hooks"]["createRuntime"] = json!([hook])),
        );
        let text = container.run().refused();
        assert!(text.contains(part), "{hook}: {text}");
        assert_eq!(container.leftovers(), Vec::<String>::new());
    }
}

/// A bundle with a startContainer hook that puts what it sees of itself into a file of the container's.
fn with_a_hook_of_the_image() -> Bundle {
    let bundle =
        Bundle::sh("cat /v/hook; grep -E '^(Seccomp|NoNewPrivs|Cap|Uid|Groups)' /proc/self/status")
            .bind_own("/v")
            .edit(|c| {
                c["process"]["user"] = json!({"uid": 0, "gid": 0});
                c["hooks"]["startContainer"] = json!([{"path": "/bin/hook"}]);
            });
    let hook = bundle.rootfs().join("bin/hook");
    let text = "exec > /v/hook; echo hook; cat > /dev/null; grep -E '^(Seccomp|NoNewPrivs|Cap|Uid|Groups)' \
                /proc/self/status; echo home=$HOME; echo program";
    casemate_tests::bundle::write(&hook, format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
    bundle
}

/// What the hook has seen of itself, and what the program.
fn hook_and_program(text: &str) -> (Vec<&str>, Vec<&str>) {
    let (hook, program) = text.split_once("program\n").unwrap_or_else(|| panic!("{text}"));
    let hook = hook.lines().filter(|line| *line != "hook" && !line.starts_with("home="));
    (hook.collect(), program.lines().collect())
}

#[test]
fn a_hook_of_the_image_is_confined_as_the_program_is() {
    requires!(root);
    let done = Container::new(with_a_hook_of_the_image()).run().ok();
    let (hook, program) = hook_and_program(&done.stdout);
    assert!(program.contains(&"Seccomp:\t2"), "{}", done.stdout);
    assert_eq!(hook, program);
    assert!(done.stdout.contains("\nhome=/root\n"), "{}", done.stdout);
}

/// Without no_new_privs the filter comes first, and refuses clone3(2) as the usual ones do: their authors cannot see its flags.
#[test]
fn a_hook_of_the_image_runs_behind_a_filter_that_refuses_clone3() {
    requires!(root);
    for errno in [libc::ENOSYS, libc::EPERM] {
        let bundle = with_a_hook_of_the_image().edit(|c| {
            c["process"]["noNewPrivileges"] = json!(false);
            c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno}]});
        });
        let done = Container::new(bundle).verbatim().run().ok();
        let (hook, program) = hook_and_program(&done.stdout);
        assert!(program.contains(&"Seccomp:\t2"), "{}", done.stdout);
        assert_eq!(hook, program);
    }
}
