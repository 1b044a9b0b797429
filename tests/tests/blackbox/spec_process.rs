//! `process` and the parts of `linux` that belong to it: identity, capabilities, limits, scheduling, as the payload finds
//! them.

use casemate_tests::{filter, host, programs, requires, Bundle, Cmd, Container, Done};
use serde_json::{json, Value};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

/// Run `script` verbatim after `change`.
pub fn run(script: &str, change: impl FnOnce(&mut Value)) -> Done {
    Container::new(Bundle::sh(script).edit(change)).verbatim().output()
}

pub fn refused(change: impl FnOnce(&mut Value)) -> String {
    let container = Container::new(Bundle::sh("true").edit(change)).verbatim();
    let text = container.run().refused();
    assert_eq!(container.leftovers(), Vec::<String>::new());
    text
}

#[test]
fn arguments_environment_and_directory_are_as_given() {
    requires!(root);
    let script = "echo args=$0,$1; echo a=$A; echo b=$B; echo home=$HOME; echo pwd=$PWD; echo n=$(env | grep -c ^A=)";
    let done =
        Container::new(Bundle::new().args(&["sh", "-c", script, "zero", "one two"]).edit(|c| {
            c["process"]["env"] = json!(["PATH=/bin", "A=1", "B=x=y z", "A=2"]);
            c["process"]["cwd"] = json!("/made/for/it");
            c["root"]["readonly"] = json!(false);
        }))
        .verbatim()
        .output();
    let got = ["args", "a", "b", "home", "pwd", "n"].map(|key| done.value(key).to_owned());
    assert_eq!(got, ["zero,one two", "2", "x=y z", "/root", "/made/for/it", "1"]);
}

/// With a directory that only root may enter.
fn with_private_directory(script: &str) -> Bundle {
    let bundle =
        Bundle::sh(script).edit(|c| c["process"]["user"] = json!({"uid": 1000, "gid": 1000}));
    let private = bundle.rootfs().join("private");
    std::fs::create_dir(&private).unwrap();
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o700)).unwrap();
    bundle
}

#[test]
fn a_working_directory_that_only_root_may_enter_serves_another_user() {
    requires!(root);
    for profile in ["privileged", "hardened"] {
        let global = ["--profile", profile];
        let bundle = with_private_directory("pwd; id -u; ls . 2>&1 | grep -c denied")
            .edit(|c| c["process"]["cwd"] = json!("/private"));
        let container = Container::new(bundle).global(&global);
        assert_eq!(container.output().stdout, "/private\n1000\n1\n", "{profile}");
        let running = Container::new(with_private_directory("sleep 600")).global(&global).up();
        let done = running.exec_command(&["--cwd", "/private"], &["pwd"]).done();
        assert_eq!(done.stdout, "/private\n", "{profile}: {}", done.stderr);
    }
}

#[test]
fn a_program_is_searched_in_the_containers_path_only() {
    requires!(root);
    let bundle = || Bundle::new().args(&["tool"]);
    let place = |bundle: &Bundle| {
        let rootfs = bundle.rootfs();
        programs::copy(&rootfs.join("bin/busybox"), &rootfs.join("usr/bin/tool"));
    };
    let found = bundle().edit(|c| c["process"]["env"] = json!(["PATH=/nowhere:/usr/bin"]));
    place(&found);
    let done = Container::new(found).run().done();
    assert!(!done.stderr.contains("level=error"), "{}", done.stderr);
    let missed = bundle().edit(|c| c["process"]["env"] = json!(["PATH=/nowhere"]));
    place(&missed);
    let text = Container::new(missed).run().refused();
    assert!(text.contains(r#"exec: \"tool\": executable file not found in $PATH"#), "{text}");
}

#[test]
fn a_program_that_cannot_run_is_named_with_the_reason_that_engines_match() {
    requires!(root);
    let cases = [
        ("/no/such", "no such file or directory"),
        ("/etc", "is a directory"),
        ("/etc/passwd", "permission denied"),
    ];
    for (program, reason) in cases {
        let container = Container::new(Bundle::new().args(&[program]));
        for command in [container.create(), container.run()] {
            let text = command.refused();
            assert!(
                text.contains(&format!("exec: \\\"{program}\\\"")) && text.contains(reason),
                "{text}"
            );
        }
        assert_eq!(container.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn ids_groups_and_umask_are_the_users() {
    requires!(root);
    let done = run(
        "echo uid=$(id -u); echo gid=$(id -g); echo groups=$(id -G); echo umask=$(umask)",
        |c| {
            c["process"]["user"] = json!({"uid": 1000, "gid": 1001, "umask": 63, "additionalGids": [5, 1001, 4_000_000]});
        },
    );
    assert_eq!((done.value("uid"), done.value("gid")), ("1000", "1001"));
    let mut groups: Vec<_> = done.value("groups").split(' ').collect();
    groups.sort_unstable();
    groups.dedup();
    assert_eq!(groups, ["1001", "4000000", "5"]);
    assert_eq!(done.value("umask"), "0077");
    assert_eq!(run("echo umask=$(umask)", |_| {}).value("umask"), "0022");
}

fn sets(text: &str) -> [u64; 5] {
    let keys = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    keys.map(|key| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap_or_else(|| panic!("{key}: {text}"));
        u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
    })
}

pub const KILL: u64 = 1 << 5;
const BIND: u64 = 1 << 10;
const CHOWN: u64 = 1;

#[test]
fn the_five_capability_sets_are_set_one_by_one() {
    requires!(root);
    for uid in [0, 1000] {
        let done = run("grep ^Cap /proc/self/status", |c| {
            c["process"]["user"] = json!({"uid": uid, "gid": uid});
            c["process"]["noNewPrivileges"] = json!(true);
            c["process"]["capabilities"] = json!({
                "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
                "permitted": ["CAP_KILL", "CAP_NET_BIND_SERVICE"],
                "effective": ["CAP_KILL"],
                "inheritable": ["CAP_KILL"],
                "ambient": ["CAP_KILL"],
            });
        });
        let [inheritable, permitted, effective, bounding, ambient] = sets(&done.stdout);
        assert_eq!(
            (inheritable, bounding, ambient),
            (KILL, CHOWN | KILL | BIND, KILL),
            "{}",
            done.stdout
        );
        // execve(2) of root gives what the bounding set allows, but with no_new_privs nothing that was not permitted; of
        // another user, what is ambient.
        let gained = if uid == 0 { KILL | BIND } else { KILL };
        assert_eq!((permitted, effective), (gained, gained), "uid {uid}: {}", done.stdout);
    }
}

#[test]
fn capabilities_of_a_waiting_process_are_exactly_the_configured_ones() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600").edit(|c| {
        c["process"]["capabilities"] = json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]
        });
    }))
    .verbatim();
    container.create().ok();
    let text = std::fs::read_to_string(format!("/proc/{}/status", container.pid())).unwrap();
    assert_eq!(sets(&text), [0, KILL, KILL, CHOWN | KILL, 0]);
}

#[test]
fn no_capabilities_object_means_none() {
    requires!(root);
    let done = run("grep ^Cap /proc/self/status", |c| {
        c["process"].as_object_mut().unwrap().remove("capabilities");
    });
    assert_eq!(sets(&done.stdout), [0; 5], "{}", done.stdout);
}

#[test]
fn a_program_that_only_a_capability_lets_execute_is_executed() {
    requires!(root);
    for capable in [true, false] {
        let sets: &[&str] = if capable { &["CAP_DAC_OVERRIDE"] } else { &[] };
        let bundle = Bundle::sh("true").edit(|c| {
            c["process"]["args"] = json!(["/bin/own"]);
            c["process"]["user"] = json!({"uid": 1000, "gid": 1000});
            for set in ["bounding", "permitted", "effective", "inheritable", "ambient"] {
                c["process"]["capabilities"][set] = json!(sets);
            }
        });
        let program = bundle.rootfs().join("bin/own");
        programs::copy(Path::new("/bin/true"), &program);
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o744)).unwrap();
        let done = Container::new(bundle).verbatim().run().done();
        assert_eq!(done.stderr.contains("permission denied"), !capable, "{}", done.stderr);
    }
}

#[test]
fn an_unknown_capability_is_not_fatal() {
    requires!(root);
    let done = run("grep ^Cap /proc/self/status", |c| {
        let names = json!(["CAP_KILL", "CAP_OF_THE_FUTURE"]);
        c["process"]["capabilities"] =
            json!({"bounding": names, "permitted": names, "effective": names});
    });
    assert_eq!(sets(&done.stdout)[3], KILL, "{}", done.stdout);
}

#[test]
fn no_new_privileges_is_set_only_when_asked() {
    requires!(root);
    for asked in [true, false] {
        let done = run("echo nnp=$(grep NoNewPrivs /proc/self/status | cut -f2)", |c| {
            c["process"]["noNewPrivileges"] = json!(asked);
        });
        assert_eq!(done.value("nnp"), if asked { "1" } else { "0" });
    }
}

/// `run` by a caller that ignores these signals.
fn run_ignoring(signals: &str, container: &Container) -> Cmd {
    container.bundle.save();
    Cmd::new("env", container.bundle.dir())
        .args([&format!("--ignore-signal={signals}")])
        .args([host::runtime()])
        .args([Path::new("--root"), &container.root()])
        .args(["--profile", "privileged", "run", "--bundle"])
        .args([container.bundle.dir()])
        .args([&container.id])
}

#[test]
fn signals_that_the_caller_ignores_have_their_default_action_for_the_program() {
    requires!(root);
    // No shell, which would ignore signals of its own accord.
    let bundle = Bundle::new().args(&["grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"]);
    let seen = bundle.dir().join("seen");
    let hook = format!("grep -E '^Sig(Ign|Blk)' /proc/self/status > {}", seen.display());
    let container = Container::new(bundle.edit(|c| {
        c["hooks"]["createRuntime"] = json!([{"path": "/bin/sh", "args": ["sh", "-c", hook]}]);
    }));
    let done = run_ignoring("TERM,HUP,INT,PIPE,CHLD,RTMIN,RTMAX", &container).ok();
    for text in [done.stdout, std::fs::read_to_string(&seen).unwrap()] {
        let masks: Vec<_> = text.lines().map(|line| line.split_once(":\t").unwrap().1).collect();
        assert_eq!(masks, ["0000000000000000"; 2], "{text}");
    }
}

#[test]
fn a_caller_that_ignores_the_ends_of_its_children_gets_the_programs_status() {
    requires!(root);
    let container = Container::new(Bundle::sh("exit 7").edit(|c| {
        c["hooks"]["createRuntime"] = json!([{"path": "/bin/true"}]);
    }));
    let done = run_ignoring("CHLD", &container).done();
    assert_eq!((done.code(), &*done.stderr), (7, ""));
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

#[test]
fn the_personality_is_set() {
    requires!(root);
    let done = run("probe persona; uname -m", |c| {
        c["linux"]["personality"] = json!({"domain": "LINUX32"})
    });
    assert_eq!(done.value("personality"), "8");
    #[cfg(target_arch = "x86_64")]
    assert!(done.stdout.contains("i686"), "{}", done.stdout);
    let text = refused(|c| c["linux"]["personality"] = json!({"domain": "HPUX"}));
    assert!(text.contains("linux.personality.domain"), "{text}");
}

#[test]
fn the_session_keyring_is_the_containers_own_unless_refused() {
    requires!(root);
    let container = Container::new(Bundle::new().args(&["probe", "keyring"])).verbatim();
    let done = container.output();
    assert!(done.value("keyring").ends_with(&format!(";_ses.{}", container.id)), "{}", done.stdout);
    let done = container.run_command(&["--no-new-keyring"]).ok();
    assert!(!done.value("keyring").contains("_ses.cmt"), "{}", done.stdout);

    let container = Container::new(Bundle::sh("sleep 600")).verbatim().up();
    let done = container.exec_command(&[], &["probe", "keyring"]).ok();
    assert!(done.value("keyring").ends_with(&format!(";_ses.{}", container.id)), "{}", done.stdout);
}

#[test]
fn a_quota_of_keys_that_is_used_up_is_named_with_what_helps() {
    requires!(root);
    let container = Container::new(Bundle::sh("true"));
    let command = filter::answer(container.run(), libc::SYS_keyctl, libc::EDQUOT);
    let text = command.refused();
    for part in ["session keyring", "kernel.keys.maxkeys", "keyring.inherited"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_named_apparmor_profile_is_refused_where_there_is_no_apparmor() {
    requires!(root);
    let enabled = std::fs::read("/sys/module/apparmor/parameters/enabled");
    requires!(!enabled.is_ok_and(|text| text.starts_with(b"Y")), "needs a host without AppArmor");
    for profile in ["privileged", "hardened"] {
        let bundle = Bundle::sh("true").edit(|c| c["process"]["apparmorProfile"] = json!("mine"));
        let text = Container::new(bundle).global(&["--profile", profile]).run().refused();
        assert!(
            text.contains("mine") && text.contains("AppArmor is not enabled on this host"),
            "{text}"
        );
    }
    run("true", |c| c["process"]["apparmorProfile"] = json!("unconfined"));
}

#[test]
fn groups_are_kept_with_the_annotation() {
    requires!(root);
    let container = Container::new(Bundle::sh("echo groups=$(id -G)").edit(|c| {
        c["annotations"] = json!({"run.oci.keep_original_groups": "1"});
    }))
    .verbatim();
    let mut command = container.run();
    use std::os::unix::process::CommandExt;
    let groups = || {
        // SAFETY: a system call between fork and exec.
        match unsafe { libc::setgroups(2, [0, 1234].as_ptr()) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure makes one system call.
    unsafe { command.inner.pre_exec(groups) };
    assert!(command.ok().value("groups").contains("1234"));
}

#[test]
fn streams_belong_to_the_payloads_user() {
    requires!(root);
    let bundle = Bundle::sh(
        "echo again > /dev/stdout; echo owner=$(stat -L -c %u /proc/self/fd/1)",
    )
    .edit(|c| {
        c["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    });
    let container = Container::new(bundle).verbatim();
    let mut command = container.run().inner;
    let out = programs::output(&mut command).unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        text.contains("again") && text.contains("owner=1000"),
        "{text} {}",
        String::from_utf8_lossy(&out.stderr)
    );
    assert!(host::is_root());
}

#[test]
fn a_caller_with_few_descriptors_makes_a_container_with_many_volumes() {
    requires!(root);
    for options in [&[][..], &["--profile", "privileged"]] {
        let mut bundle = Bundle::sh("echo soft=$(ulimit -Sn) hard=$(ulimit -Hn)");
        let seen = bundle.dir().join("seen");
        let volume = bundle.dir().join("shared");
        std::fs::create_dir(&volume).unwrap();
        for number in 0..100 {
            bundle = bundle.bind(&volume, &format!("/tmp/{number}"), &[]);
        }
        let hook = format!("ulimit -Sn > {}", seen.display());
        let container = Container::new(bundle.edit(|c| {
            c["process"]["rlimits"] = json!([]);
            c["hooks"]["createRuntime"] = json!([{"path": "/bin/sh", "args": ["sh", "-c", hook]}]);
        }))
        .global(options);
        let mut command = container.run();
        let own = libc::rlimit { rlim_cur: 40, rlim_max: 2000 };
        // SAFETY: one bare system call between fork and exec.
        unsafe {
            command.inner.pre_exec(move || match libc::setrlimit(libc::RLIMIT_NOFILE, &own) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            })
        };
        let done = command.ok();
        if !options.is_empty() {
            assert_eq!(done.stdout, "soft=40 hard=2000\n");
        }
        assert_eq!(std::fs::read_to_string(seen).unwrap(), "40\n");
    }
}
