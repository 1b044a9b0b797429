//! `linux.seccomp`: what the listed rules do to the payload's system calls, and the way to a notification agent.

use casemate_sys::socket::{self, Kind};
use casemate_tests::{host, programs, requires, wait, Bundle, Container, Done};
use serde_json::{json, Value};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// getppid, a call that nothing needs: its number, as the probe wants it.
fn getppid() -> String {
    libc::SYS_getppid.to_string()
}

fn with(profile: Value, args: &[&str]) -> Bundle {
    Bundle::new().args(args).edit(|c| c["linux"]["seccomp"] = profile)
}

fn run(profile: Value, args: &[&str]) -> Done {
    Container::new(with(profile, args)).verbatim().run().done()
}

fn rule(action: &str, more: Value) -> Value {
    let mut rule = json!({"names": ["getppid"], "action": action});
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})
}

#[test]
fn actions_do_what_they_say() {
    requires!(root);
    let number = getppid();
    let args = ["probe", "raw", &number];
    assert_eq!(run(rule("SCMP_ACT_ALLOW", json!({})), &args).value("raw"), "0");
    assert_eq!(run(rule("SCMP_ACT_LOG", json!({})), &args).value("raw"), "0");
    assert_eq!(
        run(rule("SCMP_ACT_ERRNO", json!({})), &args).value("errno"),
        libc::EPERM.to_string()
    );
    assert_eq!(run(rule("SCMP_ACT_ERRNO", json!({"errnoRet": 38})), &args).value("errno"), "38");
    // Nobody traces: the kernel answers ENOSYS.
    assert_eq!(
        run(rule("SCMP_ACT_TRACE", json!({"errnoRet": 5})), &args).value("errno"),
        libc::ENOSYS.to_string()
    );
    for killing in
        ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"]
    {
        let done = run(rule(killing, json!({})), &args);
        assert_eq!(done.code(), 128 + libc::SIGSYS, "{killing}: {}{}", done.stdout, done.stderr);
    }
}

#[test]
fn the_default_action_is_for_what_is_not_listed() {
    requires!(root);
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []});
    assert_eq!(run(profile, &["probe", "raw", "100000"]).value("errno"), libc::ENOSYS.to_string());
    // Everything is allowed by name but for getppid and what no kernel knows.
    let names: Vec<&str> = casemate_seccomp_names().collect();
    let profile = json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 77,
        "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]
    });
    assert_eq!(run(profile, &["probe", "raw", &getppid()]).value("errno"), "77");
}

/// Enough for a static or dynamic program to start, print and end.
fn casemate_seccomp_names() -> impl Iterator<Item = &'static str> {
    "access arch_prctl brk capget clone clone3 close close_range connect dup3 execve exit exit_group faccessat \
     faccessat2 fchdir fchown fcntl fstat futex getcwd getdents64 getegid geteuid getgid getpid getrandom gettid getuid \
     ioctl lseek mmap mprotect mremap munmap newfstatat open openat openat2 personality poll ppoll prctl pread64 \
     prlimit64 read readlink recvmsg rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity seccomp sendmsg \
     set_robust_list set_tid_address setfsgid setfsuid setgid setgroups setresgid setresuid setuid sigaltstack \
     socket stat statx umask wait4 waitid write writev a_call_of_the_future"
        .split_whitespace()
}

#[test]
fn arguments_are_compared_as_asked() {
    requires!(root);
    // fsync(2) of a descriptor that is not open answers EBADF (9); the filter answers 99.
    let number = libc::SYS_fsync.to_string();
    let cases = [
        ("SCMP_CMP_EQ", 500, None, [("500", 99), ("501", 9)]),
        ("SCMP_CMP_NE", 500, None, [("501", 99), ("500", 9)]),
        ("SCMP_CMP_LT", 500, None, [("499", 99), ("500", 9)]),
        ("SCMP_CMP_LE", 500, None, [("500", 99), ("501", 9)]),
        ("SCMP_CMP_GT", 500, None, [("501", 99), ("500", 9)]),
        ("SCMP_CMP_GE", 500, None, [("500", 99), ("499", 9)]),
        ("SCMP_CMP_MASKED_EQ", 0xf0, Some(0x70), [("376", 99), ("384", 9)]),
    ];
    for (op, value, value_two, expected) in cases {
        let mut argument = json!({"index": 0, "value": value, "op": op});
        if let Some(two) = value_two {
            argument["valueTwo"] = json!(two);
        }
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls":
            [{"names": ["fsync"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99, "args": [argument]}]});
        for (given, answer) in expected {
            let done = run(profile.clone(), &["probe", "raw", &number, given]);
            assert_eq!(done.value("errno"), answer.to_string(), "{op} {given}");
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn other_architectures_are_covered_only_when_listed() {
    requires!(root);
    requires!(
        std::path::Path::new("/proc/sys/abi/vsyscall32").exists(),
        "this kernel runs no 32-bit programs"
    );
    // getppid is 64 on i386.
    let args = ["probe", "raw32", "64", "0"];
    let mut profile = rule("SCMP_ACT_ERRNO", json!({"errnoRet": 55}));
    profile["architectures"] = json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]);
    let done = run(profile.clone(), &args);
    assert_eq!(done.value("raw"), "-55", "{}", done.stderr);
    profile["architectures"] = json!(["SCMP_ARCH_X86_64"]);
    let done = run(profile, &args);
    assert_eq!(done.code(), 128 + libc::SIGSYS, "{}{}", done.stdout, done.stderr);
}

#[test]
fn flags_are_taken_and_unknown_ones_refused() {
    requires!(root);
    for flags in [
        json!([]),
        json!([
            "SECCOMP_FILTER_FLAG_TSYNC",
            "SECCOMP_FILTER_FLAG_LOG",
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW"
        ]),
    ] {
        let mut profile = rule("SCMP_ACT_ERRNO", json!({}));
        profile["flags"] = flags;
        assert_eq!(run(profile, &["probe", "raw", &getppid()]).value("errno"), "1");
    }
    let mut profile = rule("SCMP_ACT_ERRNO", json!({}));
    profile["flags"] = json!(["SECCOMP_FILTER_FLAG_MAGIC"]);
    let text = Container::new(with(profile, &["true"])).run().refused();
    assert!(text.contains("linux.seccomp.flags"), "{text}");
}

#[test]
fn impossible_profiles_are_refused_with_their_place() {
    requires!(root);
    for (profile, part) in [
        (json!({"defaultAction": "SCMP_ACT_WISH"}), "linux.seccomp.defaultAction"),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_Z80"]}),
            "linux.seccomp.architectures[0]",
        ),
        (json!({"defaultAction": "SCMP_ACT_NOTIFY"}), "linux.seccomp.defaultAction"),
        (rule("SCMP_ACT_NOTIFY", json!({})), "linux.seccomp.listenerPath"),
        (
            rule(
                "SCMP_ACT_ERRNO",
                json!({"args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}),
            ),
            "linux.seccomp.syscalls[0].args[0]",
        ),
    ] {
        let container = Container::new(with(profile, &["true"]));
        let text = container.run().refused();
        assert!(text.contains(part), "{part}: {text}");
        assert_eq!(container.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn the_filter_is_loaded_with_and_without_no_new_privileges_and_for_exec() {
    requires!(root);
    for no_new_privs in [true, false] {
        let bundle = with(rule("SCMP_ACT_ERRNO", json!({"errnoRet": 66})), &["sleep", "600"])
            .edit(|c| c["process"]["noNewPrivileges"] = json!(no_new_privs));
        let container = Container::new(bundle).verbatim().up();
        let done = container.exec_command(&[], &["probe", "raw", &getppid()]).ok();
        assert_eq!(done.value("errno"), "66");
        assert_eq!(host::status(container.pid(), "Seccomp").as_deref(), Some("2"));
    }
}

/// `struct seccomp_notif` and `seccomp_notif_resp` of linux/seccomp.h.
#[repr(C)]
struct Request {
    id: u64,
    pid: u32,
    flags: u32,
    data: [u64; 8],
}

#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// Answer one notification with this value.
fn answer(listener: &OwnedFd, value: i64) -> u32 {
    const RECEIVE: libc::c_ulong = 0xc050_2100;
    const SEND: libc::c_ulong = 0xc018_2101;
    let mut request = Request { id: 0, pid: 0, flags: 0, data: [0; 8] };
    // SAFETY: the structures have the kernel's layout and live through the calls.
    unsafe {
        assert_eq!(libc::ioctl(listener.as_raw_fd(), RECEIVE as _, &raw mut request), 0);
        let mut response = Response { id: request.id, value, error: 0, flags: 0 };
        assert_eq!(libc::ioctl(listener.as_raw_fd(), SEND as _, &raw mut response), 0);
    }
    request.pid
}

fn agent(listener: &OwnedFd) -> (Value, OwnedFd) {
    let connection = socket::accept(listener).unwrap();
    let mut buffer = [0u8; 8192];
    let (n, mut fds) = socket::receive(&connection, &mut buffer).unwrap();
    assert_eq!(fds.len(), 1);
    (serde_json::from_slice(&buffer[..n]).unwrap(), fds.remove(0))
}

#[test]
fn notifications_of_init_and_exec_go_to_the_agent() {
    requires!(root);
    for no_new_privs in [true, false] {
        let number = getppid();
        let bundle = Bundle::sh(&format!("probe raw {number}; sleep 600"));
        let path = bundle.dir().join("agent");
        let socket = socket::listen(&path, Kind::Stream).unwrap();
        let mut profile = rule("SCMP_ACT_NOTIFY", json!({}));
        profile["listenerPath"] = json!(path);
        profile["listenerMetadata"] = json!("meta \"data\"");
        let bundle = bundle.edit(|c| {
            c["linux"]["seccomp"] = profile;
            c["process"]["noNewPrivileges"] = json!(no_new_privs);
            c["annotations"] = json!({"a": "b"});
        });
        let container = Container::new(bundle).verbatim();
        let creating = container.create().spawn();
        let (message, listener) = agent(&socket);
        assert!(creating.done().status.success());
        let pid = container.pid();
        assert_eq!(message["fds"], json!(["seccompFd"]));
        assert_eq!(message["metadata"], "meta \"data\"");
        assert_eq!((&message["pid"], &message["state"]["pid"]), (&json!(pid), &json!(pid)));
        assert_eq!(message["state"]["status"], "creating");
        assert_eq!(message["state"]["id"], container.id.as_str());
        assert_eq!(message["state"]["annotations"], json!({"a": "b"}));
        container.start().ok();
        answer(&listener, 4242);

        let exec = container.exec_command(&[], &["probe", "raw", &number]).spawn();
        let (message, listener) = agent(&socket);
        assert_eq!(message["state"]["status"], "running");
        assert_eq!(message["state"]["pid"], pid);
        assert_ne!(message["pid"], pid);
        let caller = answer(&listener, 777);
        assert_eq!(message["pid"], caller);
        assert_eq!(exec.done().value("raw"), "777");
    }
}

#[test]
fn an_agent_that_no_rule_asks_is_handed_a_listener_where_a_configuration_is_used_as_written() {
    requires!(root);
    let named = |path: &Path| json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path});
    let bundle = Bundle::sh("true");
    let path = bundle.dir().join("agent");
    let socket = socket::listen(&path, Kind::Stream).unwrap();
    let container = Container::new(bundle.edit(|c| c["linux"]["seccomp"] = named(&path)));
    container.verbatim().run().ok();
    assert_eq!(agent(&socket).0["state"]["status"], "creating");
    // runc does not look for it, nor do the other profiles.
    let nobody = Bundle::sh("true").edit(|c| c["linux"]["seccomp"] = named("/no/agent".as_ref()));
    Container::new(nobody).output();
}

#[test]
fn no_system_call_is_handed_to_an_engine() {
    requires!(root);
    let bundle = Bundle::sh("true");
    let path = bundle.dir().join("docker.sock");
    let _engine = socket::listen(&path, Kind::Stream).unwrap();
    let link = bundle.dir().join("seccomp-agent.sock");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let mut profile = rule("SCMP_ACT_NOTIFY", json!({}));
    profile["listenerPath"] = json!(link);
    let container = Container::new(bundle.edit(|c| c["linux"]["seccomp"] = profile));
    let text = container.run().refused();
    assert!(text.contains("(rule process.seccomp-listener)"), "{text}");
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

/// Each service with PrivateTmp= has such mounts.
#[test]
fn no_system_call_is_handed_to_a_socket_by_way_of_another_process() {
    requires!(root);
    let bundle = Bundle::sh("true");
    let path = bundle.dir().join("docker.sock");
    let _engine = socket::listen(&path, Kind::Stream).unwrap();
    let mut command = std::process::Command::new("unshare");
    let mut process = programs::start(command.args(["-m", "sleep", "600"])).unwrap();
    let own = std::fs::read_link("/proc/thread-self/ns/mnt").unwrap();
    let theirs = format!("/proc/{}/ns/mnt", process.id());
    wait::until("mounts of its own", || match std::fs::read_link(&theirs) {
        Ok(link) if link != own => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let mut profile = rule("SCMP_ACT_NOTIFY", json!({}));
    profile["listenerPath"] = json!(format!("/proc/{}/root{}", process.id(), path.display()));
    let container = Container::new(bundle.edit(|c| c["linux"]["seccomp"] = profile));
    let done = container.run().done();
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(done.stderr.contains("(rule process.seccomp-listener)"), "{}", done.stderr);
}

#[test]
fn an_agent_that_is_not_there_fails_the_create() {
    requires!(root);
    let mut profile = rule("SCMP_ACT_NOTIFY", json!({}));
    profile["listenerPath"] = json!("/no/such/agent");
    let container = Container::new(with(profile, &["true"]));
    let text = container.run().refused();
    assert!(text.contains("listenerPath") && text.contains("/no/such/agent"), "{text}");
    assert_eq!(container.leftovers(), Vec::<String>::new());
}
