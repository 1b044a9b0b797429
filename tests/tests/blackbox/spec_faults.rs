//! A kernel that does not do what it is asked for, or says that it has: every command ends.

use casemate_tests::filter::{answer, inject, inject_at};
use casemate_tests::scratch::Dir;
use casemate_tests::{host, programs, requires, wait, Bundle, Container};
use serde_json::{json, Value};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// `create`, what becomes of it, and an `exec` into another container.
fn every_command_ends(number: libc::c_long, errno: i32) {
    let running = Container::new(Bundle::sh("sleep 600")).up();
    let container = Container::new(Bundle::sh("sleep 600"));
    let create = answer(container.create(), number, errno).done();
    if create.status.success() {
        container.start().ok();
        container.exec("true").ok();
    }
    container.delete().ok();
    assert_eq!(container.leftovers(), Vec::<String>::new(), "{}", create.stderr);
    let run = answer(Container::new(Bundle::sh("true")).run(), number, errno).done();
    let exec = answer(running.exec("true"), number, errno).done();
    for done in [create, run, exec] {
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        assert!(done.status.success() || !done.stderr.is_empty());
    }
}

/// What they make ends without a signal, too.
#[test]
fn commands_end_where_no_signal_is_sent() {
    requires!(root);
    every_command_ends(libc::SYS_pidfd_send_signal, libc::EPERM);
    every_command_ends(libc::SYS_pidfd_send_signal, 0);
}

#[test]
fn commands_end_where_no_message_arrives() {
    requires!(root);
    every_command_ends(libc::SYS_sendmsg, libc::EPERM);
    every_command_ends(libc::SYS_sendmsg, 0);
    every_command_ends(libc::SYS_recvmsg, 0);
}

#[test]
fn commands_end_where_no_limit_is_set() {
    requires!(root);
    every_command_ends(libc::SYS_prlimit64, libc::EPERM);
    every_command_ends(libc::SYS_prlimit64, 0);
}

/// What is set in a namespace of the container's must not be set in the host's, because the other one is not there.
#[test]
fn the_host_keeps_its_name_where_no_namespace_is_made_or_joined() {
    requires!(root);
    let own = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let before = own();
    for number in [libc::SYS_setns, libc::SYS_unshare] {
        let bundle = Bundle::sh("true").edit(|c| c["hostname"] = json!("of-a-container"));
        let container = Container::new(bundle);
        let text = answer(container.run(), number, 0).refused();
        assert!(text.contains("namespace"), "{text}");
        assert_eq!(own(), before);
        assert_eq!(container.leftovers(), Vec::<String>::new());
    }
}

/// The runtime itself must not go on as if it were the container's first process.
#[test]
fn a_process_that_was_not_made_is_not_taken_for_one() {
    requires!(root);
    let container = Container::new(Bundle::sh("true"));
    let text = answer(container.run(), libc::SYS_clone3, 0).refused();
    assert!(text.contains("which it is not"), "{text}");
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

#[test]
fn a_container_that_cannot_be_looked_at_is_not_taken_for_a_stopped_one() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let text = answer(container.kill("TERM"), libc::SYS_pidfd_open, libc::EMFILE).refused();
    assert!(text.contains("pidfd_open") && !text.contains("not running"), "{text}");
    let every = answer(
        container.verb("kill", &["--all"]).args(["TERM"]),
        libc::SYS_pidfd_open,
        libc::EMFILE,
    );
    let text = every.refused();
    assert!(text.contains("open process") && text.contains("too many open files"), "{text}");
    for damaged in ["", "{\"pid\":7,\"start_", "[]"] {
        std::fs::write(container.state_dir().join("init.json"), damaged).unwrap();
        for verb in ["state", "delete", "start", "ps"] {
            let text = container.verb(verb, &[]).refused();
            assert!(text.contains("init.json"), "{verb}: {text}");
        }
        let listed = container.command("list").done();
        assert!(listed.stderr.contains("init.json"), "{}", listed.stderr);
    }
    // By force it goes, and nothing of it runs on.
    container.delete().ok();
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

/// The id would be taken for ever.
#[test]
fn a_create_that_cannot_have_its_directory_leaves_none() {
    requires!(root);
    requires!(program "strace");
    let container = Container::new(Bundle::sh("true"));
    let missing = inject_at(container.create(), &container.state_dir(), "openat:error=ENFILE");
    let text = missing.refused();
    assert!(text.contains("too many open files in system"), "{text}");
    assert_eq!(container.leftovers(), Vec::<String>::new());
    let text = inject_at(container.create(), &container.state_dir(), "flock:error=EIO").refused();
    assert!(text.contains("flock"), "{text}");
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

/// Whoever is told that nothing runs looks no further.
#[test]
fn a_run_whose_last_step_fails_leaves_nothing_running() {
    requires!(root);
    requires!(program "strace");
    let container = Container::new(Bundle::sh("sleep 600"));
    let run = container.run_command(&["--detach"]);
    let text = inject_at(run, &container.state_dir(), "flock:error=EIO:when=2").refused();
    assert!(text.contains("flock"), "{text}");
    container.wait_gone();
}

/// Taken before there is a directory to find it by, and named after it all the same.
#[test]
fn ids_that_were_taken_for_a_container_that_never_was_are_given_back() {
    requires!(root);
    requires!(program "strace");
    let container = Container::new(Bundle::sh("true"));
    let ids = Path::new("/run/casemate-ids");
    std::fs::create_dir_all(ids).unwrap();
    // Of this test's own.
    let mount = ["-t", "tmpfs", "-o", "mode=0700", "ids"];
    assert!(programs::status(Command::new("mount").args(mount).arg(ids)).unwrap().success());
    let taken = || {
        let names = std::fs::read_dir(ids).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name != "lock").count()
    };
    // The first one is the lock of all, the second that of the new file.
    let text = inject(container.create(), "flock:error=EIO:when=2").refused();
    assert!(text.contains("id ranges for") && text.contains("flock("), "{text}");
    assert_eq!(taken(), 0);
    let killed = inject_at(container.create(), &container.state_dir(), "mkdirat:signal=KILL");
    assert_eq!(killed.done().code(), 128 + libc::SIGKILL);
    assert_eq!(taken(), 1);
    container.delete().ok();
    assert_eq!(taken(), 0);
    assert!(programs::status(Command::new("umount").arg(ids)).unwrap().success());
}

/// The state root is full, or the last step fails: neither the limits nor the record are new.
#[test]
fn an_update_that_cannot_be_recorded_changes_no_limit() {
    requires!(root);
    requires!(program "strace");
    host::isolate();
    let root = Dir::new("full");
    let small = ["-t", "tmpfs", "-o", "size=256k,mode=0700", "small"];
    let mounted = programs::status(Command::new("mount").args(small).arg(root.path())).unwrap();
    assert!(mounted.success());
    let container = Container::new(Bundle::sh("sleep 600")).in_root(root.path()).up();
    let dirs = host::cgroups_named(&container.id);
    let depth = || std::fs::read_to_string(format!("{}/cgroup.max.depth", dirs[0])).unwrap();
    let file = container.bundle.dir().join("resources.json");
    let update = |depth: &str| {
        let resources = json!({"unified": {"cgroup.max.depth": depth}}).to_string();
        casemate_tests::bundle::write(&file, resources);
        container.verb("update", &["--resources", file.to_str().unwrap()])
    };
    let record = container.record();
    let text = inject(update("5"), "renameat,renameat2:error=EIO").refused();
    assert!(text.contains("record.json") && text.contains("renameat"), "{text}");
    assert_eq!((depth().as_str(), container.record() == record), ("max\n", true));
    update("6").ok();
    let filler = root.path().join("filler");
    std::fs::write(&filler, vec![1; 1 << 20]).unwrap_err();
    let text = update("7").refused();
    assert!(text.contains("no space left on device"), "{text}");
    assert_eq!(depth(), "6\n");
    std::fs::remove_file(&filler).unwrap();
    update("8").ok();
    assert_eq!(depth(), "8\n");
    container.delete().ok();
    let gone = programs::status(Command::new("umount").arg(root.path())).unwrap();
    assert!(gone.success());
}

/// A pause in between would have the start wait for an answer until somebody resumes the container.
#[test]
fn a_pause_waits_until_a_start_is_through() {
    requires!(root);
    let bundle = Bundle::sh("sleep 600").bind_own("/shared").edit(|c| {
        let script = "touch /shared/begun; sleep 1";
        c["hooks"] = json!({"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]});
    });
    let begun = bundle.dir().join("shared/begun");
    let container = Container::new(bundle).verbatim();
    container.create().ok();
    let start = container.start().limit(Duration::from_secs(60)).spawn();
    wait::until("the hook runs", || wait::equal(&begun.exists(), &true));
    container.verb("pause", &[]).ok();
    let done = start.done();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert_eq!(container.state()["status"], "paused");
    container.verb("resume", &[]).ok();
    assert_eq!(container.state()["status"], "running");
}

/// A name in an error is as long as the bundle's author likes, and engines pass the line on.
#[test]
fn an_error_about_a_long_text_is_cut_wherever_it_is_told() {
    requires!(root);
    let long = "x".repeat(70_000);
    for change in [
        |c: &mut Value, long: &str| c["process"]["cwd"] = json!(long),
        |c: &mut Value, long: &str| c["mounts"][0]["type"] = json!(long),
        |c: &mut Value, long: &str| c["process"]["args"] = json!([long]),
        |c: &mut Value, long: &str| c["ociVersion"] = json!(long),
    ] {
        let bundle = Bundle::sh("true").edit(|c| change(c, &long));
        let log = bundle.dir().join("log");
        for format in ["text", "json"] {
            let options = ["--log", log.to_str().unwrap(), "--log-format", format, "--debug"];
            let container = Container::new(bundle_of(&bundle)).global(&options);
            let text = container.run().refused();
            assert!(text.len() < 10_000, "{} bytes", text.len());
            let logged = std::fs::read_to_string(&log).unwrap();
            let most = logged.lines().map(str::len).max();
            assert!(most < Some(10_000), "{most:?}");
            std::fs::remove_file(&log).unwrap();
        }
        let text = Container::new(bundle_of(&bundle)).run().refused();
        assert!(text.len() < 10_000, "{} bytes", text.len());
    }
}

fn bundle_of(other: &Bundle) -> Bundle {
    let config = other.config.clone();
    Bundle::new().edit(|c| *c = config)
}

/// Whether an ELF file names a dynamic loader (elf(5), PT_INTERP).
fn has_interpreter(elf: &[u8]) -> bool {
    let number = |at: usize| usize::from(u16::from_le_bytes([elf[at], elf[at + 1]]));
    let (first, size, count) = (number(32), number(54), number(56));
    (0..count).any(|i| elf[first + i * size] == 3)
}

/// The kernel would end it with SIGSEGV, of which nobody can tell where it comes from. (With less data than the file's writable
/// part, 240 KiB, it does not even execute it.)
#[test]
fn limits_that_are_too_small_to_run_with_are_told_in_one_line() {
    requires!(root);
    let begins_in_our_code = !has_interpreter(&std::fs::read(host::runtime()).unwrap());
    requires!(begins_in_our_code, "needs a binary as hack/build makes it");
    let container = Container::new(Bundle::sh("true"));
    for (limit, name) in [("--stack=65536", "RLIMIT_STACK"), ("--data=262144", "RLIMIT_DATA")] {
        for command in [container.run(), container.command("list"), container.delete()] {
            let text = command.through("prlimit", [limit]).refused();
            assert!(text.contains(name) && text.contains("hint"), "{text}");
        }
    }
    for limit in ["--stack=131072", "--data=1048576"] {
        container.run().through("prlimit", [limit]).ok();
    }
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

/// Three answers: it is there, it is gone, it cannot be told. One failed look is neither of the first two.
#[test]
fn one_failed_look_at_init_is_an_error_and_ends_no_container() {
    requires!(root);
    requires!(program "strace");
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let pid = container.pid();
    let stat = format!("/proc/{pid}/stat");
    let commands = || {
        [
            container.verb("state", &[]),
            container.verb("delete", &[]),
            container.kill("URG"),
            container.exec("true"),
            container.verb("ps", &[]),
            container.verb("pause", &[]),
            container.delete(),
        ]
    };
    for command in commands() {
        let text = inject_at(command, Path::new(&stat), "read:error=EIO").refused();
        assert!(text.contains("/stat") && text.contains("input/output error"), "{text}");
        assert_eq!(container.pid(), pid);
    }
    container.delete().ok();
}

#[test]
fn a_command_without_descriptors_says_so_and_ends_no_container() {
    requires!(root);
    requires!(program "prlimit");
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let pid = container.pid();
    for limit in 3..14 {
        let limit = format!("--nofile={limit}");
        for verb in ["state", "delete", "kill", "exec"] {
            let command = match verb {
                "kill" => container.kill("URG"),
                "exec" => container.exec("true"),
                verb => container.verb(verb, &[]),
            };
            let done = command.through("prlimit", [&limit]).done();
            let about = format!("{verb} {limit}: {} {}{}", done.status, done.stdout, done.stderr);
            let wrong = ["stopped\"", "container not running", "does not exist", "panicked"];
            assert!(!wrong.iter().any(|part| about.contains(part)), "{about}");
            assert!(done.status.success() || done.stderr.lines().count() == 1, "{about}");
            assert_eq!(container.pid(), pid, "{about}");
        }
    }
    for limit in 3..14 {
        let done = container.delete().through("prlimit", [format!("--nofile={limit}")]).done();
        match done.status.success() {
            true => assert_eq!(container.leftovers(), Vec::<String>::new(), "{limit}"),
            false => assert!(container.state_dir().exists(), "{limit}: {}", done.stderr),
        }
    }
    container.delete().ok();
    assert_eq!(container.leftovers(), Vec::<String>::new());
}
