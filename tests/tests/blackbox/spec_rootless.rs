//! Callers that are not root of the host: an ordinary user, with and without subordinate ids, and root of a user namespace,
//! as rootless engines call.

use casemate_tests::scratch::Dir;
use casemate_tests::{host, programs, requires, wait, Bundle, Cmd, Done};
use serde_json::{json, Value};
use std::path::Path;
use std::process::Command;

const USER: u32 = 4711;

/// What a test does to config.json.
pub type Change = Box<dyn FnOnce(&mut Value)>;

/// A bundle and a runtime directory of the user.
pub struct Rootless {
    pub bundle: Bundle,
    pub runtime_dir: Dir,
}

impl Rootless {
    pub fn new(script: &str) -> Self {
        host::isolate();
        let runtime_dir = Dir::new("xdg");
        std::os::unix::fs::chown(runtime_dir.path(), Some(USER), Some(USER)).unwrap();
        let mut bundle = Bundle::sh(script);
        let spec = Dir::new("rootless-spec");
        std::os::unix::fs::chown(spec.path(), Some(USER), Some(USER)).unwrap();
        let this = Self { bundle: Bundle::new(), runtime_dir };
        this.command(&["spec", "--rootless", "--bundle", spec.path().to_str().unwrap()]).ok();
        let text = std::fs::read(spec.path().join("config.json")).unwrap();
        let mut config: Value = serde_json::from_slice(&text).unwrap();
        config["process"]["args"] = bundle.config["process"]["args"].clone();
        config["process"]["terminal"] = json!(false);
        bundle.config = config;
        Self { bundle, ..this }
    }

    pub fn edit(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.bundle.config);
        self
    }

    pub fn program(&self, program: &Path, args: &[&str]) -> Cmd {
        self.bundle.save();
        let mut command = Cmd::new("setpriv", self.bundle.dir())
            .args([
                format!("--reuid={USER}"),
                format!("--regid={USER}"),
                "--clear-groups".to_owned(),
            ])
            .args([program])
            .args(args)
            .env("XDG_RUNTIME_DIR", self.runtime_dir.path().to_str().unwrap());
        command.inner.current_dir("/");
        command
    }

    pub fn command(&self, args: &[&str]) -> Cmd {
        self.program(host::runtime(), args)
    }

    pub fn run(&self, id: &str) -> Done {
        self.command(&["run", "--bundle", self.bundle.dir().to_str().unwrap(), id]).done()
    }

    /// What is left below the state root.
    pub fn left(&self) -> usize {
        host::left_in_root(&self.runtime_dir.path().join("casemate")).len()
    }
}

pub fn id() -> String {
    use casemate_tests::scratch::{number, run};
    format!("rl-{}-{:06}", run(), number())
}

#[test]
fn an_ordinary_user_runs_a_container() {
    requires!(root);
    requires!(program "setpriv");
    let script = "echo uid=$(id -u); echo map=$(echo $(cat /proc/self/uid_map)); echo x > /dev/null && echo null=1; \
        touch /sys/x 2>/dev/null || echo sys=ro; mount | grep -c ' on /dev/null ' | sed s/^/bound=/; exit 7";
    let rootless = Rootless::new(script);
    let done = rootless.run(&id());
    assert_eq!(done.code(), 7, "{}{}", done.stdout, done.stderr);
    assert_eq!((done.value("uid"), done.value("null"), done.value("sys")), ("0", "1", "ro"));
    assert_eq!(done.value("map"), format!("0 {USER} 1"));
    // Nobody but root of the host makes device nodes.
    assert_eq!(done.value("bound"), "1");
    assert_eq!(rootless.left(), 0);
}

#[test]
fn the_multiplexer_among_the_devices_is_the_containers_own() {
    requires!(root);
    requires!(program "setpriv");
    let script = "echo ptmx=$(readlink /dev/ptmx); : <>/dev/ptmx && echo open=1";
    let device = json!([{"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2, "fileMode": 0o666, "uid": 0, "gid": 0}]);
    let done = Rootless::new(script).edit(|c| c["linux"]["devices"] = device.clone()).run(&id());
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert_eq!((done.value("ptmx"), done.value("open")), ("pts/ptmx", "1"));
    for profile in ["hardened", "privileged"] {
        let bundle = Bundle::sh(script).edit(|c| c["linux"]["devices"] = device.clone());
        let container = casemate_tests::Container::new(bundle).global(&["--profile", profile]);
        let done = container.output();
        assert_eq!((done.value("ptmx"), done.value("open")), ("pts/ptmx", "1"));
    }
}

#[test]
fn an_ordinary_users_container_has_clocks_of_its_own() {
    requires!(root);
    requires!(program "setpriv");
    let script = "echo up=$(cut -d. -f1 /proc/uptime)";
    let done = Rootless::new(script)
        .edit(|c| {
            c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
            c["linux"]["timeOffsets"] = json!({"boottime": {"secs": 1_000_000_000}});
        })
        .run(&id());
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(done.value("up").parse::<u64>().unwrap() >= 1_000_000_000, "{}", done.stdout);
}

#[test]
fn an_ordinary_user_manages_a_container_command_by_command() {
    requires!(root);
    requires!(program "setpriv");
    let rootless = Rootless::new("sleep 600");
    let id = id();
    let state = |wanted: &str| {
        let done = rootless.command(&["state", &id]).ok();
        let state: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(state["status"], wanted);
    };
    rootless.command(&["create", "--bundle", rootless.bundle.dir().to_str().unwrap(), &id]).ok();
    state("created");
    rootless.command(&["start", &id]).ok();
    state("running");
    let done = rootless
        .command(&[
            "exec",
            &id,
            "sh",
            "-c",
            "echo ns=$(readlink /proc/self/ns/pid); echo uid=$(id -u); exit 5",
        ])
        .done();
    assert_eq!((done.code(), done.value("uid")), (5, "0"), "{}", done.stderr);
    let own = std::fs::read_link("/proc/self/ns/pid").unwrap();
    assert_ne!(done.value("ns"), own.display().to_string());
    let detached = rootless.bundle.dir().join("exec-dir");
    casemate_tests::scratch::make(&detached);
    std::os::unix::fs::chown(&detached, Some(USER), Some(USER)).unwrap();
    let pid_file = detached.join("pid");
    rootless
        .command(&[
            "exec",
            "--detach",
            "--pid-file",
            pid_file.to_str().unwrap(),
            &id,
            "sleep",
            "600",
        ])
        .ok();
    let pid: i32 = std::fs::read_to_string(pid_file).unwrap().parse().unwrap();
    assert_eq!(
        host::status(pid, "Uid").unwrap().split('\t').next(),
        Some(USER.to_string().as_str())
    );
    let list = rootless.command(&["list", "--quiet"]).ok();
    assert_eq!(list.stdout.trim(), id);
    rootless.command(&["kill", &id, "KILL"]).ok();
    wait::until("it has stopped", || {
        let state = rootless.command(&["state", &id]).ok().stdout;
        wait::equal(&state.contains("\"stopped\""), &true).map_err(|_| state)
    });
    rootless.command(&["delete", &id]).ok();
    assert_eq!(rootless.left(), 0);
}

#[test]
fn exec_of_an_ordinary_user_reports_failures_and_leaves_no_process() {
    requires!(root);
    requires!(program "setpriv");
    let rootless = Rootless::new("sleep 600");
    let id = id();
    rootless
        .command(&["run", "--detach", "--bundle", rootless.bundle.dir().to_str().unwrap(), &id])
        .ok();
    let done = rootless.command(&["exec", &id, "/no/such/program"]).done();
    assert!(
        done.code() == 255 && done.stderr.contains("no such file or directory"),
        "{}",
        done.stderr
    );
    let processes = host::processes_of(&rootless.bundle.rootfs());
    assert_eq!(processes.len(), 1, "{processes:?}");
    rootless.command(&["delete", "--force", &id]).ok();
}

/// The go-between of exec names the process that it made with a descriptor, which takes sendmsg(2); what that process says
/// itself does not. So a delay makes it the first to speak, if anything lets it.
#[test]
fn exec_of_an_ordinary_user_works_however_late_the_go_between_names_the_process() {
    requires!(root);
    requires!(program "setpriv");
    requires!(program "strace");
    let rootless = Rootless::new("sleep 600");
    let id = id();
    let bundle = rootless.bundle.dir().to_str().unwrap();
    rootless.command(&["run", "--detach", "--bundle", bundle, &id]).ok();
    let (trace, delay) = ("trace=sendmsg", "inject=sendmsg:delay_enter=200000");
    let casemate = host::runtime().to_str().unwrap();
    let late = ["-f", "-o", "/dev/null", "-e", trace, "-e", delay, casemate];
    let exec = ["exec", &id, "echo", "in=1"];
    let done = rootless.program(Path::new("strace"), &[&late[..], &exec].concat()).done();
    assert_eq!(done.value("in"), "1", "{}", done.stderr);
    rootless.command(&["delete", "--force", &id]).ok();
}

#[test]
fn subordinate_ids_are_mapped_with_the_system_helpers() {
    requires!(root);
    requires!(program "newuidmap");
    let range = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
    let first = range.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let known = name == USER.to_string() || user_name().as_deref() == Some(name);
        known.then(|| fields.next()?.parse::<u32>().ok()).flatten()
    });
    requires!(first.is_some(), "user 4711 has no subordinate ids");
    let first = first.unwrap();
    let map = |first: u32| json!([{"containerID": 0, "hostID": USER, "size": 1}, {"containerID": 1, "hostID": first, "size": 1000}]);
    let script =
        "echo id=$(id -u):$(id -g):$(id -G | tr ' ' ,); echo lines=$(wc -l < /proc/self/uid_map)";
    let rootless = Rootless::new(script).edit(|c| {
        c["linux"]["uidMappings"] = map(first);
        c["linux"]["gidMappings"] = map(first);
        c["process"]["user"] = json!({"uid": 100, "gid": 101, "additionalGids": [5]});
    });
    let done = rootless.run(&id());
    assert_eq!(done.value("id"), "100:101:101,5", "{}", done.stderr);
    assert_eq!(done.value("lines"), "2");

    let rootless = rootless.edit(|c| {
        c["linux"]["uidMappings"] = map(1);
        c["linux"]["gidMappings"] = map(1);
    });
    let done = rootless.run(&id());
    assert!(done.code() == 1 && done.stderr.contains("newuidmap"), "{}", done.stderr);
    assert_eq!(rootless.left(), 0);
}

/// With hidepid=1 (proc(5)) the user may not look at it, and must not have to wait until it ends.
#[test]
fn a_stopped_container_whose_pid_is_another_users_by_now_is_stopped_and_goes() {
    requires!(root);
    requires!(program "setpriv");
    let rootless = Rootless::new("sleep 600");
    let hidden = |args: &[&str]| {
        let script = "mount -t proc -o hidepid=1 proc /proc && exec \"$@\"";
        let command = rootless.command(args);
        command.through("unshare", ["--mount", "sh", "-c", script, "sh"])
    };
    let id = id();
    let bundle = rootless.bundle.dir().to_str().unwrap();
    // To make one, its processes have to be looked at before they are the user's.
    rootless.command(&["run", "--detach", "--bundle", bundle, &id]).ok();
    assert!(hidden(&["state", &id]).ok().stdout.contains("\"running\""));
    let init = rootless.runtime_dir.path().join("casemate").join(&id).join("init.json");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&init).unwrap()).unwrap();
    hidden(&["kill", &id, "KILL"]).ok();
    wait::until("it is stopped", || {
        let state = hidden(&["state", &id]).done();
        wait::equal(&state.stdout.contains("\"stopped\""), &true).map_err(|_| state.stderr)
    });
    // In place of a number that was used again: a process of root's.
    record["pid"] = json!(1);
    std::fs::write(&init, record.to_string()).unwrap();
    assert!(hidden(&["state", &id]).ok().stdout.contains("\"stopped\""));
    hidden(&["delete", "--force", &id]).ok();
    assert_eq!(rootless.left(), 0);
}

fn user_name() -> Option<String> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    let line =
        text.lines().find(|line| line.split(':').nth(2) == Some(USER.to_string().as_str()))?;
    line.split(':').next().map(str::to_owned)
}

#[test]
fn what_needs_root_of_the_host_is_refused_in_one_clear_line() {
    requires!(root);
    requires!(program "setpriv");
    let cases: [(&str, Change); 4] = [
        (
            "needs a user namespace",
            Box::new(|c| {
                c["linux"]["namespaces"].as_array_mut().unwrap().retain(|ns| ns["type"] != "user");
                c["linux"]["uidMappings"] = json!([]);
                c["linux"]["gidMappings"] = json!([]);
            }),
        ),
        (
            "linux.netDevices",
            Box::new(|c| {
                c["linux"]["netDevices"] = json!({"eth0": {}});
            }),
        ),
        (
            "newuidmap",
            Box::new(|c| {
                let map = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
                c["linux"]["uidMappings"] = map.clone();
                c["linux"]["gidMappings"] = map;
            }),
        ),
        ("cgroup", Box::new(|c| c["linux"]["cgroupsPath"] = json!("/not-yours/at-all"))),
    ];
    for (part, change) in cases {
        let rootless = Rootless::new("true").edit(change);
        let text = rootless
            .command(&["run", "--bundle", rootless.bundle.dir().to_str().unwrap(), &id()])
            .refused();
        assert!(text.contains(part), "{part}: {text}");
        assert_eq!(rootless.left(), 0);
    }
}

#[test]
fn an_ordinary_users_container_without_a_network_namespace_has_the_users_network() {
    requires!(root);
    requires!(program "setpriv");
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    let bundle = || {
        Rootless::new("readlink /proc/self/ns/net").edit(|c| {
            let list = c["linux"]["namespaces"].as_array_mut().unwrap();
            list.retain(|ns| ns["type"] != "network");
        })
    };
    let done = bundle().run(&id());
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert_eq!(done.stdout.trim(), own.to_str().unwrap());
}

#[test]
fn the_layers_behind_the_filter_hold_for_ordinary_users() {
    requires!(root);
    requires!(program "setpriv");
    // SAFETY: with the version flag no structure is read.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, 1) };
    requires!(abi >= 3, "Landlock cannot deny truncation");
    let script =
        "echo count=$(cat /proc/sys/user/max_user_namespaces); echo nest=$(probe unshare user); \
        echo pipe=$(probe open rw /pipe); echo null=$(probe open w /dev/null)";
    let rootless = Rootless::new(script);
    let pipe = rootless.bundle.rootfs().join("pipe");
    let made = programs::status(Command::new("mkfifo").args(["-m", "666"]).arg(pipe));
    assert!(made.unwrap().success());
    let run = |options: &[&str]| {
        let id = id();
        let bundle = rootless.bundle.dir().to_str().unwrap();
        let done = rootless.command(&[options, &["run", "--bundle", bundle, &id]].concat()).done();
        ["count", "nest", "pipe", "null"].map(|key| done.value(key).to_owned())
    };
    assert_eq!(run(&[]), ["0", "EPERM", "ok", "ok"]);
    assert_eq!(run(&["--allow", "seccomp.unconfined"]), ["0", "ENOSPC", "ok", "ok"]);
    // Which hides kernel parameters.
    assert_eq!(
        run(&[
            "--profile",
            "restricted",
            "--allow",
            "memory.unlimited,pids.unlimited,process.root"
        ]),
        ["", "EPERM", "EACCES", "ok"]
    );
}

#[test]
fn a_hook_that_belongs_to_the_caller_is_not_written_through_a_volume() {
    requires!(root);
    let dir = Dir::new("hooks");
    std::os::unix::fs::chown(dir.path(), Some(USER), Some(USER)).unwrap();
    let (hook, log) = (dir.path().join("h.sh"), dir.path().join("log"));
    casemate_tests::bundle::write(&hook, format!("#!/bin/sh\necho orig >>{}\n", log.display()));
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(&hook, Some(USER), Some(USER)).unwrap();
    let run = |source: &Path, kind: &str, hook: &Path| {
        let script = "echo 'echo altered >&2' >>/mnt/h.sh; : >/mnt/written";
        let done = Rootless::new(script).edit(|c| {
            let mount = json!({"destination": "/mnt", "type": "bind", "source": source, "options": ["rbind", "rw"]});
            c["mounts"].as_array_mut().unwrap().push(mount);
            c["hooks"][kind] = json!([{"path": hook}]);
        });
        done.run(&id())
    };
    let said = run(dir.path(), "poststop", &hook).stderr;
    assert!(said.contains("Read-only file system"), "{said}");
    assert_eq!(std::fs::read_to_string(&log).unwrap_or_else(|e| panic!("{e}: {said}")), "orig\n");
    // What only root of the host may write no container of the caller's writes anyway.
    run(dir.path(), "poststop", Path::new("/bin/true"));
    assert!(dir.path().join("written").exists());
}

#[test]
fn a_policy_tells_ordinary_users_apart_by_their_uid() {
    requires!(root);
    requires!(program "setpriv");
    let policy = |uid: u32| {
        let dir = Dir::new("policy");
        let text = format!("[[rule]]\nmatch.uid = [{uid}]\nallow = [\"rootfs.writable\"]\n");
        std::fs::write(dir.path().join("policy.toml"), text).unwrap();
        dir
    };
    let root = |dir: &Dir| {
        let rootless =
            Rootless::new("touch /x 2>/dev/null && echo root=rw || echo root=ro").edit(|c| {
                c["root"]["readonly"] = json!(false);
            });
        let rootfs = rootless.bundle.dir().join("rootfs");
        std::os::unix::fs::chown(&rootfs, Some(USER), Some(USER)).unwrap();
        let bundle = rootless.bundle.dir().to_str().unwrap().to_owned();
        let dir = dir.path().to_str().unwrap();
        let done = rootless.command(&["--policy-dir", dir, "run", "--bundle", &bundle, &id()]);
        done.ok().value("root").to_owned()
    };
    assert_eq!(root(&policy(USER)), "rw");
    assert_eq!(root(&policy(USER + 1)), "ro");
    assert_eq!(root(&policy(0)), "ro");
}
