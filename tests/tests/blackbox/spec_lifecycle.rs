//! The life of a container as engines drive it: states, streams, signals, and the traps that have caught other runtimes.

use casemate_tests::{host, programs, races, requires, wait, Bundle, Cmd, Container};
use serde_json::{json, Value};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::time::Instant;

#[test]
fn the_states_follow_each_other_and_refuse_what_does_not_fit() {
    requires!(root);
    let container =
        Container::new(Bundle::sh("sleep 600").edit(|c| c["annotations"] = json!({"k": "v"})));
    let text = container.verb("state", &[]).refused();
    assert!(text.contains("does not exist"), "{text}");
    container.create().ok();
    let state = container.state();
    assert_eq!((&state["status"], &state["annotations"]["k"]), (&json!("created"), &json!("v")));
    // What the ids on the host are goes along; nothing else does.
    let map = &state["annotations"]["org.casemate.uid-map"];
    assert!(map.as_str().is_some_and(|map| map.starts_with("0 ")), "{state}");
    assert_eq!(state["annotations"].as_object().unwrap().len(), 2);
    assert_eq!(state["bundle"].as_str(), container.bundle.dir().to_str());
    container.start().ok();
    assert_eq!(container.state()["status"], "running");
    let text = container.start().refused();
    assert!(text.contains("cannot start an already running container"), "{text}");
    let text = container.verb("delete", &[]).refused();
    let hint = "that is not stopped: running (hint: 'kill' ends it, 'delete --force' does both)";
    assert!(text.contains(hint), "{text}");
    container.verb("pause", &[]).ok();
    assert_eq!(container.state()["status"], "paused");
    container.verb("resume", &[]).ok();
    let text = container.verb("resume", &[]).refused();
    assert!(text.contains("container not paused"), "{text}");
    container.kill("TERM").ok();
    // Process 1 of a pid namespace ignores what it has no handler for.
    assert_eq!(container.state()["status"], "running");
    container.kill("KILL").ok();
    container.wait_status("stopped");
    assert_eq!(container.state()["pid"], 0);
    let text = container.start().refused();
    assert!(text.contains("cannot start a container that has stopped"), "{text}");
    for text in [container.kill("KILL").refused(), container.verb("pause", &[]).refused()] {
        assert!(text.contains("container not running"), "{text}");
    }
    container.verb("kill", &["--all"]).args(["9"]).ok();
    container.verb("delete", &[]).ok();
    let text = container.verb("delete", &[]).refused();
    assert!(text.contains("container does not exist"), "{text}");
    container.delete().ok();
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

#[test]
fn the_state_has_no_keys_that_engines_would_take_for_their_own() {
    requires!(root);
    let container = Container::new(Bundle::sh("true")).up();
    container.wait_status("stopped");
    let state = container.state();
    let foreign = [
        "started",
        "finished",
        "exitcode",
        "oomkilled",
        "seccompkilled",
        "error",
        "initpid",
        "initstarttime",
        "checkpointedtime",
        "containermonitorprocess",
    ];
    for key in state.as_object().unwrap().keys() {
        assert!(!foreign.contains(&key.to_lowercase().as_str()), "{key}");
    }
    assert_eq!(state["owner"], "");
}

#[test]
fn an_event_begins_with_its_type_and_its_container() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let done = container.verb("events", &["--stats"]).ok();
    let start = format!("{{\"type\":\"stats\",\"id\":\"{}\",\"data\":{{", container.id);
    assert!(done.stdout.starts_with(&start), "{}", done.stdout);
}

#[test]
fn debug_tells_the_steps_of_a_command_on_standard_error() {
    requires!(root);
    let container = Container::new(Bundle::sh("true")).global(&["--debug"]);
    let done = container.create().ok();
    for step in ["decisions made: ", "cgroup", "building its tree", "being verified"] {
        assert!(done.stderr.contains(step), "{step}: {}", done.stderr);
    }
    assert!(done.stderr.lines().all(|line| line.contains("level=debug")), "{}", done.stderr);
    let done = container.start().ok();
    assert!(done.stderr.contains("opening its gate"), "{}", done.stderr);
}

#[test]
fn a_successful_command_prints_nothing() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600"));
    let quiet = |command: Cmd| {
        let done = command.ok();
        assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("", ""));
    };
    quiet(container.create());
    quiet(container.start());
    quiet(container.verb("pause", &[]));
    quiet(container.verb("resume", &[]));
    quiet(container.exec_command(&["--detach"], &["true"]));
    quiet(container.kill("KILL"));
    container.wait_status("stopped");
    quiet(container.verb("delete", &[]));
}

/// Run with pipes on the standard streams and wait until they end, as engines do; the container goes on all the while.
fn until_streams_end(command: Cmd) {
    let begun = Instant::now();
    let mut inner = command.inner;
    let out = programs::output(inner.stdin(Stdio::null())).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(begun.elapsed() < wait::PATIENCE, "{inner:?}: {:?}", begun.elapsed());
}

#[test]
fn nothing_that_stays_holds_the_streams_of_the_caller() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600"));
    container.create().ok();
    until_streams_end(container.start());
    until_streams_end(container.verb("pause", &[]));
    until_streams_end(container.verb("resume", &[]));
    until_streams_end(container.verb("state", &[]));
    until_streams_end(container.verb("ps", &[]));
    until_streams_end(container.kill("KILL"));
    container.wait_status("stopped");
    until_streams_end(container.verb("delete", &[]));
}

#[test]
fn the_container_becomes_a_child_of_the_callers_subreaper() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600"));
    container.bundle.save();
    let pid_file = container.bundle.dir().join("pid");
    let (root, dir) = (container.root(), container.bundle.dir().to_owned());
    let monitor = |words: &[&str]| {
        let mut monitor = Cmd::new(container.bundle.rootfs().join("bin/probe"), &dir)
            .args(["adopt".as_ref(), host::runtime(), "--root".as_ref(), &root])
            .args(words)
            .args([&container.id])
            .args(if words[0] == "exec" { &["sleep", "600"][..] } else { &[] })
            .spawn();
        monitor.wait_for("adopting=exit status: 0");
        monitor
    };
    let parent = |pid: i32| host::status(pid, "PPid").unwrap();
    let of_create = monitor(&["create", "--bundle", dir.to_str().unwrap()]);
    assert_eq!(parent(container.pid()), of_create.pid().to_string());
    let of_exec = monitor(&["exec", "--detach", "--pid-file", pid_file.to_str().unwrap()]);
    let exec: i32 = std::fs::read_to_string(pid_file).unwrap().parse().unwrap();
    assert_eq!(parent(exec), of_exec.pid().to_string());
    container.kill("KILL").ok();
    of_exec.done();
    of_create.done();
}

#[test]
fn created_means_that_everything_an_engine_looks_at_is_there() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600"));
    container.create().ok();
    let pid = container.pid();
    // Namespaces final, root pivoted, cgroup joined.
    for kind in ["net", "mnt", "pid", "ipc", "uts", "cgroup"] {
        let own = std::fs::metadata(format!("/proc/thread-self/ns/{kind}")).unwrap().ino();
        assert_ne!(
            std::fs::metadata(format!("/proc/{pid}/ns/{kind}")).unwrap().ino(),
            own,
            "{kind}"
        );
    }
    let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(cgroup.lines().any(|l| l.starts_with("0::") && l.contains(&container.id)), "{cgroup}");
    let before = cgroup;
    container.start().ok();
    assert_eq!(
        std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap(),
        before,
        "moved after create"
    );
}

#[test]
fn a_later_change_of_the_bundle_changes_nothing() {
    requires!(root);
    let container = Container::new(Bundle::sh("echo from=create; sleep 600"));
    container.create().ok();
    std::fs::write(container.bundle.dir().join("config.json"), "{}").unwrap();
    container.start().ok();
    assert_eq!(container.exec("echo x=1").ok().value("x"), "1");
    std::fs::remove_file(container.bundle.dir().join("config.json")).unwrap();
    assert_eq!(container.state()["status"], "running");
    container.delete().ok();
}

#[test]
fn commands_work_with_the_poor_environment_of_engines() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600"));
    let poor = |mut command: Cmd| {
        command.inner.env_clear().env("XDG_RUNTIME_DIR", "");
        command.ok();
    };
    poor(container.create());
    poor(container.start());
    poor(container.verb("pause", &[]));
    poor(container.verb("resume", &[]));
    poor(container.exec_command(&[], &["true"]));
    poor(container.kill("KILL"));
    container.wait_status("stopped");
    poor(container.verb("state", &[]));
    poor(container.delete());
}

#[test]
fn the_driver_of_later_commands_is_that_of_create() {
    requires!(root);
    let container =
        Container::new(Bundle::sh("sleep 600")).global(&["--cgroup-manager", "disabled"]);
    container.create().ok();
    assert_eq!(host::cgroups_named(&container.id), Vec::<String>::new());
    let done = Cmd::new(host::runtime(), container.bundle.dir())
        .args(["--root", container.root().to_str().unwrap(), "delete", "--force", &container.id])
        .ok();
    assert_eq!(done.stderr, "");
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

#[test]
fn create_and_later_commands_may_be_in_different_mount_namespaces() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600"));
    container.bundle.save();
    // As podman does: the rootfs and the bundle exist only where create runs.
    let hidden = container.bundle.dir().join("hidden");
    std::fs::create_dir(&hidden).unwrap();
    let script = format!(
        "mount -t tmpfs t {h} && mkdir {h}/rootfs && mount --rbind {r} {h}/rootfs && cp {b}/config.json {h} && \
         exec {exe} --root {root} create --bundle {h} {id}",
        h = hidden.display(),
        r = container.bundle.rootfs().display(),
        b = container.bundle.dir().display(),
        exe = host::runtime().display(),
        root = container.root().display(),
        id = container.id
    );
    Cmd::new("unshare", container.bundle.dir()).args(["--mount", "sh", "-c", &script]).ok();
    container.start().ok();
    assert_eq!(container.exec("echo in=1").ok().value("in"), "1");
    assert_eq!(container.state()["status"], "running");
    container.delete().ok();
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

#[test]
fn strangers_in_the_state_root_are_left_alone() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let stranger = container.root().join("foreign");
    std::fs::create_dir(&stranger).unwrap();
    std::fs::write(stranger.join("state.json"), "{\"id\":\"foreign\",\"init_process_pid\":1}")
        .unwrap();
    let done = container.command("list").args(["--format", "json"]).ok();
    let list: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    let command = |verb: &str| container.command(verb).args(["foreign"]);
    assert!(command("state").refused().contains("does not exist"));
    assert!(command("kill").refused().contains("does not exist"));
    let create = container.command("create").args([
        "--bundle",
        container.bundle.dir().to_str().unwrap(),
        "foreign",
    ]);
    assert!(create.refused().contains("already exists"));
    assert!(stranger.join("state.json").exists());
}

#[test]
fn global_options_may_come_twice_and_with_one_dash() {
    requires!(root);
    let container = Container::new(Bundle::sh("true"));
    container.bundle.save();
    let (root, dir) =
        (container.root().display().to_string(), container.bundle.dir().display().to_string());
    let done = Cmd::new(host::runtime(), container.bundle.dir())
        .args([
            "--root=/wrong",
            "--cgroup-manager=cgroupfs",
            &format!("--root={root}"),
            "-debug",
            "--cgroup-manager",
            "cgroupfs",
        ])
        .args(["run", "-bundle", &dir, &container.id])
        .ok();
    assert!(!done.stderr.contains("error"), "{}", done.stderr);
}

#[test]
fn a_shared_pid_namespace_is_killed_as_a_whole() {
    requires!(root);
    // Init ends and leaves a child that the host would keep.
    let script = "sleep 600 & echo child=$!";
    let container = Container::new(Bundle::sh(script).without_namespace("pid")).verbatim();
    container.create().ok();
    container.start().ok();
    container.wait_status("stopped");
    let alive = || !host::processes_of(&container.bundle.rootfs()).is_empty();
    assert!(alive(), "the child is gone too early to say anything");
    container.verb("kill", &["--all"]).args(["9"]).ok();
    wait::until("kill --all reaches the child", || wait::equal(&alive(), &false));
    container.verb("delete", &[]).ok();
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

#[test]
fn a_container_that_waits_for_start_ends_when_it_is_asked_to() {
    requires!(root);
    for signal in ["TERM", "INT", "HUP", "QUIT"] {
        let container = Container::new(Bundle::sh("sleep 600"));
        container.create().ok();
        container.kill(signal).ok();
        container.wait_status("stopped");
        let text = container.start().refused();
        assert!(text.contains("cannot start a container that has stopped"), "{signal}: {text}");
        container.verb("delete", &[]).ok();
    }
}

#[test]
fn a_start_says_that_init_has_ended_at_its_gate_and_not_that_it_runs() {
    requires!(root);
    let container = Container::new(Bundle::sh("true")).global(&["--debug"]);
    container.create().done();
    container.kill("STOP").done();
    let starting = container.start().spawn();
    wait::until("start is at the gate", || {
        wait::equal(&starting.stderr().contains("opening its gate"), &true)
    });
    container.kill("KILL").done();
    let done = starting.done();
    assert_eq!(done.code(), 1, "{}", done.stderr);
    assert!(!done.stderr.contains("already running"), "{}", done.stderr);
    assert!(done.stderr.contains("container init "), "{}", done.stderr);
}

#[test]
fn a_program_starts_with_default_actions_and_no_signal_blocked() {
    requires!(root);
    let container = Container::new(Bundle::sh(
        "grep ^Sig /proc/self/status; trap 'exit 7' TERM; kill -TERM $$",
    ));
    let done = container.run().done();
    assert_eq!(done.code(), 7, "{}", done.stderr);
    for field in ["SigBlk", "SigIgn", "SigCgt"] {
        let none = format!("{field}:\t0000000000000000");
        assert!(done.stdout.contains(&none), "{field}: {}", done.stdout);
    }
}

#[test]
fn sigkill_reaches_a_paused_container() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    container.verb("pause", &[]).ok();
    container.kill("9").ok();
    container.wait_status("stopped");
}

#[test]
fn run_in_the_foreground_passes_signals_on_and_answers_how_it_ended() {
    requires!(root);
    let script = "trap 'echo got=usr1' USR1; trap 'echo got=term; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let container = Container::new(Bundle::sh(script));
    let mut running = container.run().spawn();
    running.wait_for("ready");
    running.signal(libc::SIGUSR1);
    running.wait_for("got=usr1");
    running.signal(libc::SIGTERM);
    let done = running.done();
    assert_eq!((done.code(), done.stdout.contains("got=term")), (9, true), "{}", done.stdout);
    assert_eq!(container.leftovers(), Vec::<String>::new());

    let container = Container::new(Bundle::sh("sleep 600"));
    let running = container.run().spawn();
    container.wait_status("running");
    container.kill("KILL").ok();
    assert_eq!(running.done().code(), 128 + 9);
}

#[test]
fn whoever_hears_from_a_program_of_run_finds_it_running() {
    requires!(root);
    for _ in 0..races::rounds(5, 200) {
        let container = Container::new(Bundle::sh("echo up; sleep 600"));
        let mut running = container.run().spawn();
        running.wait_for("up");
        let state = container.state();
        assert_eq!(state["status"], "running", "{state}");
        assert!(state["pid"].as_i64().is_some_and(|pid| pid > 0), "{state}");
        container.exec("true").ok();
        container.kill("KILL").ok();
        running.done();
    }
}

#[test]
fn keep_leaves_the_stopped_container_and_detach_the_running_one() {
    requires!(root);
    let container = Container::new(Bundle::sh("exit 3"));
    assert_eq!(container.run_command(&["--keep"]).done().code(), 3);
    assert_eq!(container.state()["status"], "stopped");
    container.verb("delete", &[]).ok();

    let container = Container::new(Bundle::sh("sleep 600"));
    container.run_command(&["--detach"]).ok();
    assert_eq!(container.state()["status"], "running");
}

#[test]
fn a_program_that_cannot_be_executed_after_all_says_so_where_it_is_seen() {
    requires!(root);
    // Passes every check of create and fails in execve(2).
    let bundle = Bundle::new().args(&["/bin/script"]);
    casemate_tests::bundle::write(&bundle.rootfs().join("bin/script"), "#!/no/such/interpreter\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bundle.rootfs().join("bin/script"), mode).unwrap();
    let container = Container::new(bundle);
    container.create().ok();
    let text = container.start().refused();
    assert!(text.contains("/bin/script") && text.contains("no such file or directory"), "{text}");
    container.wait_status("stopped");
    let text = container.run().done();
    assert_ne!(text.code(), 0);
}

#[test]
fn checkpoint_and_restore_are_not_there_and_say_it_the_way_engines_probe() {
    let dir = casemate_tests::scratch::Dir::new("probe");
    let probe = |args: &[&str]| Cmd::new(host::runtime(), dir.path()).args(args).done();
    assert_ne!(probe(&["checkpoint", "--help"]).code(), 0);
    assert_ne!(probe(&["restore", "--lsm-mount-context"]).code(), 0);
}

#[test]
fn an_update_reads_standard_input_and_passes_over_what_it_does_not_know() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let dirs = host::cgroups_named(&container.id);
    requires!(!dirs.is_empty(), "needs cgroup2");
    // As engines send it: the whole object, devices included, which must stay as they are.
    for (depth, words) in [("5", &["--resources=-"][..]), ("6", &["--resources", "-"])] {
        let file = container.bundle.dir().join("resources.json");
        let resources = json!({
            "unified": {"cgroup.max.depth": depth}, "fromTheFuture": {},
            "devices": [{"allow": false, "access": "rwm"}]
        });
        casemate_tests::bundle::write(&file, resources.to_string());
        let mut command = container.verb("update", words);
        command.inner.stdin(std::fs::File::open(&file).unwrap());
        command.ok();
        let text = std::fs::read_to_string(format!("{}/cgroup.max.depth", dirs[0])).unwrap();
        assert_eq!(text.trim(), depth);
    }
    assert_eq!(container.exec("echo x > /dev/null").done().code(), 0);
}
