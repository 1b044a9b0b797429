//! What the callers of a runtime rely on without saying so: each test replays, word for word, what one of them does. The
//! numbers are those of the table below, which also names the tests of other modules that go deeper.
//!
//! | trap | more about it |
//! |---|---|
//! | 1 spellings of options | `cli_parser`, `spec_lifecycle::global_options_may_come_twice_and_with_one_dash` |
//! | 2 driver from the state | `spec_lifecycle::the_driver_of_later_commands_is_that_of_create` |
//! | 3 poor environments | `spec_lifecycle::commands_work_with_the_poor_environment_of_engines` |
//! | 4 pid files | `spec_exec::a_pid_file_holds_the_host_pid_...`, `spec_refusals::a_pid_file_...` |
//! | 5 log files | `cli_log` |
//! | 6 streams | `spec_lifecycle::nothing_that_stays_holds_the_streams_of_the_caller`, `spec_hooks::a_hook_that_leaves_a_daemon_behind_...` |
//! | 7 state | `spec_lifecycle::the_state_has_no_keys_that_engines_would_take_for_their_own` |
//! | 8 kill | `spec_lifecycle::sigkill_reaches_a_paused_container`, `a_shared_pid_namespace_is_killed_as_a_whole` |
//! | 9 checkpoint | `spec_lifecycle::checkpoint_and_restore_are_not_there_and_say_it_the_way_engines_probe` |
//! | 10 exec | `spec_exec`, `spec_io::a_foreground_terminal_is_copied` |
//! | 11 hooks | `spec_hooks` |
//! | 12 user namespaces by path | `spec_namespaces::a_user_namespace_with_a_path_is_joined_with_its_maps` |
//! | 13 passed descriptors | `spec_io::activated_descriptors_...`, `preserved_descriptors_...` |
//! | 14 shared state roots | `spec_lifecycle::strangers_in_the_state_root_are_left_alone` |
//! | 15 two mount namespaces | `spec_lifecycle::create_and_later_commands_may_be_in_different_mount_namespaces` |
//! | 16 features | `cli_features` |
//!
//! The seventeenth is the suites of other projects, which are programs of their own.

use casemate_tests::{host, requires, wait, Bundle, Cmd, Container};
use serde_json::{json, Value};
use std::path::{Path, PathBuf};

/// The binary with exactly these words and this environment.
fn call(container: &Container, environment: &[(&str, &str)], words: &[&str]) -> Cmd {
    let mut command = Cmd::new(host::runtime(), container.bundle.dir()).args(words);
    command.inner.env_clear();
    environment.iter().fold(command, |command, (key, value)| command.env(key, value))
}

/// A path below the bundle, as text.
fn at(container: &Container, name: &str) -> String {
    container.bundle.dir().join(name).display().to_string()
}

fn created(script: &str) -> Container {
    let container = Container::new(Bundle::sh(script));
    container.bundle.save();
    container
}

const PATH: (&str, &str) = ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");

#[test]
fn trap_1_containerds_shim_is_understood_word_for_word() {
    requires!(root);
    let container = created("sleep 600");
    let (root, log) = (container.root().display().to_string(), at(&container, "log.json"));
    let (bundle, pid_file) = (at(&container, ""), at(&container, "init.pid"));
    let go_runc = |words: &[&str]| {
        let prefix = ["--root", &root, "--log", &log, "--log-format", "json"];
        call(&container, &[PATH], &[&prefix, words].concat())
    };
    let id = container.id.as_str();
    go_runc(&["create", "--bundle", &bundle, "--pid-file", &pid_file, id]).ok();
    let pid: i32 = std::fs::read_to_string(&pid_file).unwrap().parse().unwrap();
    assert_eq!(pid, container.pid());
    go_runc(&["start", id]).ok();
    let process = at(&container, "runc-process123");
    let text = json!({"args": ["sleep", "600"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}});
    std::fs::write(&process, text.to_string()).unwrap();
    let exec_pid = at(&container, "1.pid");
    go_runc(&["exec", "--process", &process, "--detach", "--pid-file", &exec_pid, id]).ok();
    let pids: Vec<i32> =
        serde_json::from_str(&go_runc(&["ps", "--format", "json", id]).ok().stdout).unwrap();
    assert_eq!(pids.len(), 2, "{pids:?}");
    assert!(pids.contains(&std::fs::read_to_string(&exec_pid).unwrap().parse().unwrap()));
    go_runc(&["kill", "--all", id, "9"]).ok();
    container.wait_status("stopped");
    let text = go_runc(&["kill", id, "15"]).refused();
    assert!(text.contains("container not running"), "{text}");
    // The clean-up of a crashed shim: by force, with nothing known but the id.
    go_runc(&["delete", "--force", id]).ok();
    go_runc(&["delete", "--force", id]).ok();
    let text = go_runc(&["delete", id]).refused();
    assert!(text.contains("does not exist"), "{text}");
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

#[test]
fn trap_1_cri_o_and_conmon_rs_are_understood_word_for_word() {
    requires!(root);
    let container = created("sleep 600");
    let root = container.root().display().to_string();
    let equals = format!("--root={root}");
    let (bundle, pid_file) = (at(&container, ""), at(&container, "pidfile"));
    let env = [("XDG_RUNTIME_DIR", ""), ("CRI_O_EXTERNAL", "1"), PATH];
    let id = container.id.as_str();
    // conmon-rs says its prefix twice.
    let twice = [equals.as_str(), "--cgroup-manager=cgroupfs", &equals];
    let create = ["create", "--bundle", &bundle, "--pid-file", &pid_file, id];
    call(&container, &env, &[&twice[..], &create].concat()).ok();
    let cri_o =
        |words: &[&str]| call(&container, &env, &[&["--root", root.as_str()], words].concat());
    cri_o(&["start", id]).ok();
    // It reads the answer over a record of its own.
    let state: Value = serde_json::from_str(&cri_o(&["state", id]).ok().stdout).unwrap();
    assert_eq!((&state["status"], &state["id"]), (&json!("running"), &json!(id)));
    // An exec without a process object.
    let exec_pid = at(&container, "exec.pid");
    std::fs::write(&exec_pid, "").unwrap();
    let file = format!("--pid-file={exec_pid}");
    call(&container, &env, &[&twice[..], &["exec", "-d", &file, id, "sleep", "600"]].concat()).ok();
    assert!(std::fs::read_to_string(&exec_pid).unwrap().parse::<u32>().is_ok());
    cri_o(&["kill", "-a", id, "9"]).ok();
    container.wait_status("stopped");
    let text = cri_o(&["kill", id, "KILL"]).refused();
    assert!(text.contains("container not running"), "{text}");
    cri_o(&["delete", "--force", id]).ok();
}

#[test]
fn trap_1_resources_come_from_standard_input_in_both_spellings() {
    requires!(root);
    let container = created("sleep 600").up();
    for spelling in [&["--resources=-"][..], &["--resources", "-"], &["-r", "-"]] {
        let mut command = container.verb("update", spelling);
        let file = container.bundle.dir().join("resources");
        std::fs::write(&file, "{}").unwrap();
        command.inner.stdin(std::fs::File::open(file).unwrap());
        command.ok();
    }
}

#[test]
fn trap_2_and_3_podman_names_the_root_the_driver_and_the_path_never_again() {
    requires!(root);
    let container = created("sleep 600").global(&["--cgroup-manager", "disabled"]);
    // podman passes no --root either, but a test must not use the host's.
    let root = container.root().display().to_string();
    container.create().ok();
    let id = container.id.as_str();
    for (verb, environment) in [
        (&["start", id][..], &[("XDG_RUNTIME_DIR", ""), PATH][..]),
        (&["kill", id, "0"], &[("XDG_RUNTIME_DIR", ""), PATH]),
        (&["delete", "--force", id], &[("XDG_RUNTIME_DIR", "")]),
    ] {
        let done = call(&container, environment, &[&["--root", &root], verb].concat()).ok();
        assert_eq!(done.stderr, "", "{verb:?}");
    }
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

#[test]
fn trap_4_an_empty_pid_file_is_replaced_and_left_alone_by_a_failed_exec() {
    requires!(root);
    let container = created("sleep 600");
    let file = PathBuf::from(at(&container, "pid"));
    std::fs::write(&file, "").unwrap();
    container.create_command(&["--pid-file", file.to_str().unwrap()]).ok();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, container.pid().to_string(), "the host's number and nothing behind it");
    container.start().ok();
    std::fs::write(&file, "").unwrap();
    let options = ["--detach", "--pid-file", file.to_str().unwrap()];
    let done = container.exec_command(&options, &["/no/such/program"]).done();
    assert!(done.code() != 0, "{done:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "");
}

#[test]
fn trap_5_a_failure_is_one_object_with_a_time_and_the_same_words_on_standard_error() {
    requires!(root);
    let container = created("sleep 600");
    let log = at(&container, "log.json");
    let prefix = ["--log", &log, "--log-format", "json", "--root", "/nonexistent", "start", "none"];
    let said = call(&container, &[], &prefix).refused();
    let text = std::fs::read_to_string(&log).unwrap();
    // podman reads the file as one document.
    let object: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&object["level"], object["msg"].as_str()), (&json!("error"), Some(said.trim())));
    let time = object["time"].as_str().unwrap();
    assert!(time.len() >= 20 && time.as_bytes()[10] == b'T', "{time}");
}

#[test]
fn trap_5_a_log_file_in_a_bundle_that_is_gone_is_a_failure_that_breaks_nothing() {
    requires!(root);
    let container = created("sleep 600").up();
    let root = container.root().display().to_string();
    let gone = at(&container, "gone/log.json");
    let delete = ["--root", &root, "--log", &gone, "delete", "--force", &container.id];
    let text = call(&container, &[PATH], &delete).refused();
    assert!(text.contains(&gone), "{text}");
    assert_eq!(container.state()["status"], "running");
}

#[test]
fn trap_7_state_answers_properly_or_not_at_all_while_the_container_goes() {
    requires!(root);
    let container = created("sleep 600").up();
    let mut delete = container.delete().spawn();
    wait::until("the deleted container is forgotten", || {
        let over = delete.has_ended();
        let done = container.verb("state", &[]).done();
        if done.status.success() {
            let state: Value = serde_json::from_str(&done.stdout).unwrap();
            let status = state["status"].as_str().unwrap();
            assert!(matches!(status, "running" | "stopped" | "paused"), "{state}");
            assert_eq!(state["pid"] == 0, status == "stopped", "{state}");
        } else {
            assert!(done.stderr.contains("does not exist"), "{}", done.stderr);
        }
        assert!(!over || !done.status.success(), "state still knows it: {}", done.stdout);
        wait::equal(&over, &true)
    });
    delete.done();
}

#[test]
fn trap_8_kill_of_all_succeeds_on_what_has_ended_and_says_nothing() {
    requires!(root);
    let container = created("true").up();
    container.wait_status("stopped");
    let done = container.verb("kill", &["--all"]).args(["9"]).ok();
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("", ""));
}

#[test]
fn trap_9_engines_see_that_there_is_no_checkpoint() {
    requires!(root);
    let container = created("true");
    // podman asks for the help of checkpoint, CRI-O as well; podman then for an option of restore, which must not
    // sound like the one that it looks for.
    let done = call(&container, &[PATH], &["checkpoint", "--help"]).done();
    assert!(!done.status.success(), "{done:?}");
    let done = call(&container, &[PATH], &["restore", "--lsm-mount-context"]).done();
    assert!(!done.status.success(), "{done:?}");
    for words in ["flag needs an argument", "requires an argument"] {
        assert!(!done.stderr.contains(words), "{}", done.stderr);
    }
}

#[test]
fn trap_10_an_exec_from_a_cgroup_below_the_containers_works() {
    requires!(root);
    requires!(host::cgroup_mount().is_some(), "needs a cgroup v2 mount");
    let container = created("sleep 600").up();
    let group = host::cgroups_named(&container.id);
    requires!(!group.is_empty(), "needs a cgroup for the container");
    // As CRI-O does with its exec cgroup: the runtime itself stands below the container's cgroup.
    let below = Path::new(&group[0]).join("exec");
    std::fs::create_dir(&below).unwrap();
    let root = container.root().display().to_string();
    let script = format!(
        "echo $$ > {}/cgroup.procs && exec {} --root {root} exec {} sh -c 'exit 7'",
        below.display(),
        host::runtime().display(),
        container.id
    );
    let done = Cmd::new("sh", container.bundle.dir()).args(["-c", &script]).done();
    assert_eq!(done.code(), 7, "{}", done.stderr);
    std::fs::remove_dir(below).unwrap();
}

#[test]
fn trap_11_a_hook_finds_the_configuration_by_the_bundle_of_the_state() {
    requires!(root);
    let bundle = Bundle::sh("true");
    let hook = bundle.dir().join("hook");
    // As nerdctl's: the bundle's configuration, and the network namespace of the process, on createRuntime and on poststop.
    casemate_tests::bundle::write(
        &hook,
        "#!/bin/sh\nstate=$(cat)\nbundle=$(echo \"$state\" | sed 's/.*\"bundle\": *\"\\([^\"]*\\)\".*/\\1/')\n\
         pid=$(echo \"$state\" | sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p')\n\
         grep -q ociVersion \"$bundle/config.json\" || exit 1\n\
         [ \"$1\" = poststop ] || readlink /proc/$pid/ns/net >\"$bundle/net\" || exit 1\necho $1 >>\"$bundle/seen\"\n",
    );
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let bundle = bundle.edit(|c| {
        c["hooks"] = json!({
            "createRuntime": [{"path": hook, "args": ["nerdctl", "createRuntime"], "env": ["PATH=/usr/bin:/bin"]}],
            "poststop": [{"path": hook, "args": ["nerdctl", "poststop"], "env": ["PATH=/usr/bin:/bin"]}]
        });
    });
    let container = Container::new(bundle);
    container.run().ok();
    assert_eq!(
        std::fs::read_to_string(at(&container, "seen")).unwrap(),
        "createRuntime\npoststop\n"
    );
    let net = std::fs::read_to_string(at(&container, "net")).unwrap();
    let ours = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert!(net.starts_with("net:") && net.trim() != ours.to_str().unwrap(), "{net}");
}

#[test]
fn trap_14_runc_and_casemate_share_a_state_root() {
    requires!(root);
    requires!(program "runc");
    let ours = created("sleep 600").up();
    let theirs = Container::new(Bundle::sh("sleep 600")).in_root(&ours.root());
    let runc = |words: &[&str]| {
        let root = theirs.root().display().to_string();
        Cmd::new("runc", theirs.bundle.dir()).args([&["--root", &root], words].concat())
    };
    let made = runc(&["create", "--bundle", &at(&theirs, ""), &theirs.id]).done();
    requires!(made.status.success(), "runc makes no container on this host");
    let list: Value =
        serde_json::from_str(&ours.command("list").args(["-f", "json"]).ok().stdout).unwrap();
    let ids: Vec<&str> =
        list.as_array().unwrap().iter().filter_map(|one| one["id"].as_str()).collect();
    assert_eq!(ids, [ours.id.as_str()]);
    assert!(theirs.verb("state", &[]).refused().contains("does not exist"));
    theirs.delete().ok();
    let state: Value = serde_json::from_str(&runc(&["state", &theirs.id]).ok().stdout).unwrap();
    assert_eq!(state["status"], "created", "a delete by force of ours keeps away from runc's");
    runc(&["delete", "--force", &theirs.id]).ok();
    assert_eq!(ours.state()["status"], "running");
}

#[test]
fn trap_16_features_has_what_kubelets_act_upon() {
    let dir = Bundle::new();
    let done = Cmd::new(host::runtime(), dir.dir()).args(["features"]).ok();
    assert_eq!(done.stderr, "");
    let features: Value = serde_json::from_str(&done.stdout).unwrap();
    assert!(features["linux"].is_object(), "{features}");
    assert_eq!(features["linux"]["mountExtensions"]["idmap"]["enabled"], true);
    let has = |list: &Value, word: &str| list.as_array().unwrap().iter().any(|one| one == word);
    assert!(has(&features["mountOptions"], "rro"));
    assert!(has(&features["linux"]["namespaces"], "user"));
    for version in ["ociVersionMin", "ociVersionMax"] {
        assert!(features[version].as_str().is_some_and(|text| text.starts_with("1.")));
    }
}
