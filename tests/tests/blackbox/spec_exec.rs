//! `exec`: a process object or the container's own with changes, where it runs, what it answers.

use casemate_tests::{host, requires, Bundle, Cmd, Container};
use serde_json::{json, Value};
use std::path::PathBuf;

fn up() -> Container {
    Container::new(Bundle::sh("sleep 600").edit(|c| {
        c["process"]["env"] = json!(["PATH=/bin", "OWN=1"]);
        c["process"]["user"]["umask"] = json!(0o027);
    }))
    .verbatim()
    .up()
}

fn process_file(container: &Container, process: &Value) -> PathBuf {
    let path =
        container.bundle.dir().join(format!("process-{}.json", casemate_tests::scratch::number()));
    casemate_tests::bundle::write(&path, process.to_string());
    path
}

#[test]
fn an_unknown_capability_for_exec_is_a_warning_and_gives_nothing() {
    requires!(root);
    let bundle = Bundle::sh("sleep 600");
    let file = bundle.dir().join("casemate.log");
    let container = Container::new(bundle).global(&["--log", file.to_str().unwrap()]).up();
    let line = ["grep", "CapEff", "/proc/self/status"];
    let plain = container.exec_command(&[], &line).done();
    let asked = container.exec_command(&["--cap", "CAP_OF_TOMORROW"], &line).done();
    assert_eq!((asked.code(), asked.stdout), (0, plain.stdout));
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("level=warning msg=\"--cap CAP_OF_TOMORROW: unknown"), "{text}");
}

#[test]
fn without_a_process_object_the_containers_own_is_changed_by_options() {
    requires!(root);
    let container = up();
    let script = "echo own=$OWN,$NEW; echo pwd=$PWD; echo id=$(id -u):$(id -g):$(id -G | tr ' ' ,); echo umask=$(umask); grep Cap /proc/self/status";
    let options = [
        "--env",
        "NEW=2",
        "-e",
        "OWN=3",
        "--cwd",
        "/tmp",
        "--user",
        "7:8",
        "--additional-gids",
        "9",
        "--cap",
        "CAP_CHOWN",
    ];
    let done = container.exec_command(&options, &["sh", "-c", script]).ok();
    assert_eq!(
        (done.value("own"), done.value("pwd"), done.value("umask")),
        ("3,2", "/tmp", "0027")
    );
    assert!(
        done.value("id").starts_with("7:8:8") && done.value("id").contains('9'),
        "{}",
        done.stdout
    );
    let bounding = done.stdout.lines().find_map(|l| l.strip_prefix("CapBnd:\t")).unwrap();
    assert_eq!(u64::from_str_radix(bounding, 16).unwrap() & 1, 1);
    // Inheritable stays empty (CVE-2022-29162).
    assert!(done.stdout.contains("CapInh:\t0000000000000000"), "{}", done.stdout);
}

#[test]
fn a_process_object_replaces_everything_but_what_it_leaves_out() {
    requires!(root);
    let container = up();
    let script = "echo env=$OWN,$A; echo id=$(id -u):$(id -g); echo pwd=$PWD; grep -E 'CapEff|NoNewPrivs' /proc/self/status; ulimit -n";
    let file = process_file(
        &container,
        &json!({
            "args": ["sh", "-c", script], "env": ["PATH=/bin", "A=b"], "cwd": "/tmp", "user": {"uid": 3, "gid": 4}
        }),
    );
    let done = container.exec_command(&["--process", file.to_str().unwrap()], &[]).ok();
    assert_eq!((done.value("env"), done.value("id"), done.value("pwd")), (",b", "3:4", "/tmp"));
    // From the container: no_new_privs and rlimits.
    assert!(
        done.stdout.contains("NoNewPrivs:\t1") && done.stdout.ends_with("1024\n"),
        "{}",
        done.stdout
    );
}

/// A timer of systemd runs health checks of rootless podman with lower limits than the login session that started the container.
#[test]
fn a_caller_who_may_not_raise_a_limit_execs_with_its_own() {
    requires!(root);
    let container = up();
    let file = process_file(
        &container,
        &json!({
            "args": ["sh", "-c", "ulimit -n; ulimit -Hn"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1000, "hard": 1000}]
        }),
    );
    for (own, seen) in [("500", "500\n500\n"), ("2000", "1000\n1000\n")] {
        let script = format!(
            "ulimit -n {own}; exec setpriv --bounding-set -sys_resource {} --root {} exec --process {} {}",
            host::runtime().display(),
            container.root().display(),
            file.display(),
            container.id
        );
        let done = Cmd::new("sh", container.bundle.dir()).args(["-c", &script]).ok();
        assert_eq!(done.stdout, seen, "{}", done.stderr);
    }
}

#[test]
fn the_exit_status_is_the_programs_and_255_is_the_runtimes() {
    requires!(root);
    let container = up();
    assert_eq!(container.exec("exit 9").done().code(), 9);
    assert_eq!(container.exec("kill -TERM $$").done().code(), 128 + 15);
    let missing = container.exec_command(&[], &["/no/such/program"]).done();
    assert_eq!(missing.code(), 255, "{}", missing.stderr);
    assert!(missing.stderr.contains("no such file or directory"), "{}", missing.stderr);
    let cwd = container.exec_command(&["--cwd", "/no/such/dir"], &["true"]).done();
    assert_eq!(cwd.code(), 255, "{}", cwd.stderr);
}

#[test]
fn a_pid_file_holds_the_host_pid_without_a_newline_and_is_untouched_by_failure() {
    requires!(root);
    let container = up();
    let path = container.bundle.dir().join("pid");
    casemate_tests::bundle::write(&path, "");
    let options = ["--detach", "--pid-file", path.to_str().unwrap()];
    assert_eq!(container.exec_command(&options, &["/no/such/program"]).done().code(), 255);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    container.exec_command(&options, &["sleep", "600"]).ok();
    let text = std::fs::read_to_string(&path).unwrap();
    let pid: i32 = text.parse().unwrap_or_else(|e| panic!("{text:?}: {e}"));
    let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert_eq!(command, "sleep\u{0}600\u{0}");
    // It leads a session of its own: engines kill its process group.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!(
        (fields[2], fields[3]),
        (&*pid.to_string(), &*pid.to_string()),
        "group and session of {stat}"
    );
    let done = container.verb("ps", &["--format", "json"]).ok();
    let list: Vec<i32> = serde_json::from_str(&done.stdout).unwrap();
    assert!(list.contains(&pid) && list.contains(&container.pid()), "{list:?}");
}

#[test]
fn it_joins_every_namespace_of_the_container() {
    requires!(root);
    for userns in [false, true] {
        let bundle = Bundle::sh("sleep 600");
        let bundle = if userns { bundle.user_namespace(100_000) } else { bundle };
        let container = Container::new(bundle).up();
        let done = container.exec("for n in cgroup ipc mnt net pid user uts; do echo $n=$(readlink /proc/self/ns/$n); done").ok();
        for kind in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
            let init = std::fs::read_link(format!("/proc/{}/ns/{kind}", container.pid())).unwrap();
            assert_eq!(
                done.value(kind),
                init.display().to_string(),
                "{kind}, user namespace: {userns}"
            );
        }
    }
}

#[test]
fn it_is_born_in_the_containers_cgroup_or_where_init_has_gone() {
    requires!(root);
    let script = "mkdir /sys/fs/cgroup/inner && echo $$ > /sys/fs/cgroup/inner/cgroup.procs; \
        for c in $(cat /sys/fs/cgroup/cgroup.controllers); do echo +$c > /sys/fs/cgroup/cgroup.subtree_control; done; \
        echo moved; sleep 600";
    let bundle = Bundle::sh(script)
        .without_mount("/sys/fs/cgroup")
        .mount(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]}));
    let container = Container::new(bundle).verbatim();
    let mut running = container.run().spawn();
    running.wait_for("moved");
    let inside = "echo at=$(grep ^0:: /proc/self/cgroup)";
    let has_controllers =
        !container.exec("cat /sys/fs/cgroup/cgroup.subtree_control").ok().stdout.trim().is_empty();
    let done = container.exec(inside).ok();
    // With controllers enabled below, the kernel lets no process into the container's own cgroup.
    assert_eq!(done.value("at"), if has_controllers { "0::/inner" } else { "0::/" });
    let done = container.exec_command(&["--cgroup", "/inner"], &["sh", "-c", inside]).ok();
    assert_eq!(done.value("at"), "0::/inner");
    if has_controllers {
        let done = container.exec_command(&["--cgroup", "/"], &["true"]).done();
        let wanted = "/cgroup.procs: device or resource busy";
        assert!(done.stderr.contains(wanted), "{}", done.stderr);
    }
    for bad in ["/../..", "..", "/none"] {
        let done = container.exec_command(&["--cgroup", bad], &["true"]).done();
        assert_eq!(done.code(), 255, "{bad}: {}", done.stderr);
        let wanted = match bad {
            "/none" => "/none/cgroup.procs: no such file or directory",
            _ => "is not a sub cgroup path",
        };
        assert!(
            done.stderr.contains("--cgroup: ") && done.stderr.contains(wanted),
            "{bad}: {}",
            done.stderr
        );
    }
    container.kill("KILL").ok();
    running.done();
}

#[test]
fn cpu_affinity_is_reset_or_as_configured() {
    requires!(root);
    requires!(program "taskset");
    let container = up();
    let mut pinned =
        container.exec("echo cpus=$(grep Cpus_allowed_list /proc/self/status | cut -f2)");
    use std::os::unix::process::CommandExt;
    let pin = |cpus: usize| {
        move || {
            // SAFETY: a system call on a set of ours, between fork and exec.
            unsafe {
                let mut set: libc::cpu_set_t = std::mem::zeroed();
                (0..cpus).for_each(|cpu| libc::CPU_SET(cpu, &mut set));
                libc::sched_setaffinity(0, std::mem::size_of_val(&set), &raw const set);
            }
            Ok(())
        }
    };
    // SAFETY: the closures make one system call.
    unsafe { pinned.inner.pre_exec(pin(1)) };
    // The tests themselves may be pinned: what counts is what a process may have here.
    let mut all = Cmd::new("grep", container.bundle.dir());
    // SAFETY: as above.
    unsafe { all.inner.pre_exec(pin(1024)) };
    let all = all.args(["Cpus_allowed_list", "/proc/self/status"]).ok().stdout;
    let all = all.trim().rsplit('\t').next().unwrap();
    assert_eq!(
        pinned.ok().value("cpus"),
        all,
        "the caller's pinning is not the container's business"
    );
    for (affinity, expected) in [
        (json!({"final": "0"}), "0"),
        (json!({"initial": "0"}), "0"),
        (json!({"initial": "0-1", "final": "0"}), "0"),
    ] {
        let file = process_file(
            &container,
            &json!({
                "args": ["grep", "Cpus_allowed_list", "/proc/self/status"], "env": ["PATH=/bin"], "cwd": "/",
                "user": {"uid": 0, "gid": 0}, "execCPUAffinity": affinity
            }),
        );
        let done = container.exec_command(&["--process", file.to_str().unwrap()], &[]).ok();
        assert_eq!(done.stdout.trim().rsplit('\t').next(), Some(expected), "{affinity}");
    }
    let file = process_file(
        &container,
        &json!({"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "execCPUAffinity": {"final": "many"}}),
    );
    let done = container.exec_command(&["--process", file.to_str().unwrap()], &[]).done();
    assert!(done.code() == 255 && done.stderr.contains("execCPUAffinity"), "{}", done.stderr);
}

#[test]
fn it_works_in_a_created_and_is_refused_in_a_stopped_or_paused_container() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600"));
    container.create().ok();
    assert_eq!(container.exec("exit 4").done().code(), 4);
    container.start().ok();
    container.verb("pause", &[]).ok();
    let done = container.exec("true").done();
    assert!(
        done.code() == 255 && done.stderr.contains("cannot exec in a paused container"),
        "{}",
        done.stderr
    );
    container.verb("resume", &[]).ok();
    container.kill("KILL").ok();
    container.wait_status("stopped");
    let done = container.exec("true").done();
    assert!(
        done.code() == 255 && done.stderr.contains("cannot exec in a stopped container"),
        "{}",
        done.stderr
    );
}
