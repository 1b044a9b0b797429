//! The default filter as a payload meets it, with and without the features that an override can add, and the kernel's
//! own limit on nested user namespaces behind it.

use casemate_tests::{requires, Bundle, Container, Done};
use serde_json::json;

/// A call and what the profile hardened answers, by errno.
struct Probe {
    /// The feature that opens it.
    feature: &'static str,
    number: i64,
    args: &'static [i64],
    refused: i32,
}

const fn probe(feature: &'static str, number: i64, args: &'static [i64], refused: i32) -> Probe {
    Probe { feature, number, args, refused }
}

/// Calls that an ordinary kernel answers otherwise than the filter does.
const PROBES: [Probe; 15] = [
    probe("io_uring", libc::SYS_io_uring_setup, &[1, 0], libc::ENOSYS),
    probe("keyring", libc::SYS_keyctl, &[0, -3, 0], libc::EPERM),
    probe("kcmp", libc::SYS_kcmp, &[1, 1, 0, 0, 0], libc::EPERM),
    probe("numa", libc::SYS_mbind, &[0, 0, 0, 0, 0, 0], libc::EPERM),
    probe("handles", libc::SYS_name_to_handle_at, &[-100, 0, 0, 0, 0], libc::EPERM),
    probe("personality", libc::SYS_personality, &[0x0004_0000], libc::EPERM),
    probe("mount", libc::SYS_open_tree, &[-100, 0, 0], libc::EPERM),
    probe("userns", libc::SYS_setns, &[-1, 0], libc::EPERM),
    probe("userns", libc::SYS_clone3, &[0, 0], libc::ENOSYS),
    probe("ptrace", libc::SYS_process_madvise, &[-1, 0, 0, 0, 0], libc::EPERM),
    probe("tiocsti", libc::SYS_ioctl, &[0, 0x5412, 0], libc::EPERM),
    // The kernel looks at 32 bits of a request and of a family: so does the filter.
    probe("tiocsti", libc::SYS_ioctl, &[0, 0x1_0000_5412, 0], libc::EPERM),
    probe("tiocsti", libc::SYS_ioctl, &[0, 0x7fff_0000_541c, 0], libc::EPERM),
    probe("userfaultfd", libc::SYS_userfaultfd, &[0x4000_0001], libc::EPERM),
    probe("fanotify", libc::SYS_fanotify_init, &[0x200, 0], libc::EPERM),
];

impl Probe {
    fn line(&self) -> String {
        let args: Vec<String> = self.args.iter().map(i64::to_string).collect();
        format!("probe raw {} {}", self.number, args.join(" "))
    }
}

fn run(bundle: Bundle, options: &[&str]) -> Done {
    Container::new(bundle).global(options).run().done()
}

/// The answers; a probe that could ask says `ok` behind each.
fn errnos(done: &Done) -> Vec<&str> {
    done.stdout.lines().filter(|line| *line != "ok").collect()
}

#[test]
fn each_feature_opens_its_calls_and_leaves_the_others_closed() {
    requires!(root);
    let script: Vec<String> = PROBES.iter().map(Probe::line).collect();
    let script = script.join("; ");
    let plain = run(Bundle::sh(&script), &[]);
    let refused: Vec<String> = PROBES.iter().map(|p| format!("errno={}", p.refused)).collect();
    assert_eq!(errnos(&plain), refused, "{}", plain.stderr);
    for feature in ["io_uring", "keyring", "kcmp", "numa", "handles", "personality", "mount"]
        .iter()
        .chain(&["userns", "ptrace", "tiocsti", "userfaultfd", "fanotify"])
    {
        let allow = format!("seccomp.{feature}");
        let done = run(Bundle::sh(&script), &["--allow", &allow]);
        let answers = errnos(&done);
        assert_eq!(answers.len(), PROBES.len(), "{feature}: {}{}", done.stdout, done.stderr);
        for (probe, answer) in PROBES.iter().zip(answers) {
            let closed = answer == format!("errno={}", probe.refused);
            let own = probe.feature == *feature;
            // Two calls belong to a second feature as well.
            let shared = probe.feature == "kcmp" && *feature == "ptrace";
            assert_eq!(closed, !own && !shared, "{feature}: {} {answer}", probe.line());
        }
    }
}

/// AF_* numbers with the protocol asked for, and the answer: 0 stands for a socket.
const FAMILIES: [(i64, i64, i64, i32); 17] = [
    (1, 1, 0, 0),
    (2, 1, 0, 0),
    (10, 2, 0, 0),
    (16, 3, 0, 0),
    (16, 3, 15, 0),
    (16, 3, 12, libc::EPROTONOSUPPORT),
    (16, 3, 9, libc::EPROTONOSUPPORT),
    (17, 3, 0, libc::EAFNOSUPPORT),
    (38, 5, 0, libc::EAFNOSUPPORT),
    (40, 1, 0, libc::EAFNOSUPPORT),
    (29, 3, 1, libc::EAFNOSUPPORT),
    (30, 5, 0, libc::EAFNOSUPPORT),
    (31, 3, 0, libc::EAFNOSUPPORT),
    (44, 3, 0, libc::EAFNOSUPPORT),
    (0x1_0000_0026, 5, 0, libc::EAFNOSUPPORT),
    (2, 10, 0x300, libc::EPERM),
    (2, 6, 0, libc::ESOCKTNOSUPPORT),
];

#[test]
fn sockets_of_ordinary_families_open_and_others_look_absent() {
    requires!(root);
    let line = |(family, kind, protocol, _): &(i64, i64, i64, i32)| {
        format!("probe raw {} {family} {kind} {protocol}", libc::SYS_socket)
    };
    let script: Vec<String> = FAMILIES.iter().map(line).collect();
    let done = run(Bundle::sh(&script.join("; ")), &[]);
    let wanted: Vec<String> = FAMILIES
        .iter()
        .map(|(.., errno)| if *errno == 0 { "raw=3".to_owned() } else { format!("errno={errno}") })
        .collect();
    assert_eq!(errnos(&done), wanted, "{}", done.stderr);
}

#[test]
fn restricted_refuses_more() {
    requires!(root);
    let bundle = |script: &str| {
        Bundle::sh(script).capabilities(&[]).edit(|c| {
            c["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        })
    };
    let lines = [
        (format!("{} 0 1 0 0", libc::SYS_ptrace), libc::ESRCH),
        (format!("{} -1 0 0 0", libc::SYS_vmsplice), libc::EBADF),
        (format!("{} 16 3 15", libc::SYS_socket), 0),
    ];
    let script: Vec<String> = lines.iter().map(|(line, _)| format!("probe raw {line}")).collect();
    let script = script.join("; ");
    let hardened = run(bundle(&script), &[]);
    assert!(!hardened.stdout.contains("errno=1\n"), "{}", hardened.stdout);
    let strict = run(
        bundle(&script),
        &["--profile", "restricted", "--allow", "memory.unlimited,pids.unlimited"],
    );
    assert_eq!(errnos(&strict), ["errno=1", "errno=1", "errno=93"], "{}", strict.stderr);
    let traced = run(
        bundle(&script),
        &[
            "--profile",
            "restricted",
            "--allow",
            "memory.unlimited,pids.unlimited",
            "--allow",
            "seccomp.ptrace",
        ],
    );
    assert_eq!(errnos(&traced)[1..], ["errno=1", "errno=93"], "{}", traced.stderr);
    assert_ne!(errnos(&traced)[0], "errno=1");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_32_bit_abi_is_closed_unless_allowed_and_then_under_the_same_rules() {
    requires!(root);
    requires!(
        std::path::Path::new("/proc/sys/abi/vsyscall32").exists(),
        "this kernel runs no 32-bit programs"
    );
    // getpid is 20 on i386, socketcall 102, socket 359.
    for call in ["20 0", "102 1", "359 38"] {
        let done = run(Bundle::new().args(&split(call)), &[]);
        assert_eq!(done.code(), 128 + libc::SIGSYS, "{call}: {}{}", done.stdout, done.stderr);
    }
    let allow = ["--allow", "seccomp.compat32"];
    assert_eq!(run(Bundle::new().args(&split("20 0")), &allow).value("raw"), "1");
    let refused = |errno: i32| (-errno).to_string();
    let done = run(Bundle::new().args(&split("102 1")), &allow);
    assert_eq!(done.value("raw"), refused(libc::EPERM));
    let done = run(Bundle::new().args(&split("359 38")), &allow);
    assert_eq!(done.value("raw"), refused(libc::EAFNOSUPPORT));
}

#[cfg(target_arch = "x86_64")]
fn split(call: &str) -> Vec<&str> {
    ["probe", "raw32"].into_iter().chain(call.split(' ')).collect()
}

#[test]
fn a_feature_holds_for_exec_and_not_against_the_bundles_own_filter() {
    requires!(root);
    let line = probe("io_uring", libc::SYS_io_uring_setup, &[1, 0], 0).line();
    let args: Vec<&str> = line.split(' ').collect();
    let allow = ["--allow", "seccomp.io_uring"];
    let container = Container::new(Bundle::sh("sleep 600")).global(&allow).up();
    assert_ne!(errnos(&container.exec_command(&[], &args).ok()), ["errno=38"]);
    let own = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls":
        [{"names": ["io_uring_setup"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77}]});
    let bundle = Bundle::sh(&line).edit(|c| c["linux"]["seccomp"] = own);
    let container = Container::new(bundle).global(&allow);
    assert_eq!(errnos(&container.run().done()), ["errno=77"]);
    let text =
        container.command("explain").args(["--bundle"]).args([container.bundle.dir()]).ok().stdout;
    assert!(text.contains("own filter refuses io_uring_setup"), "{text}");
}

#[test]
fn a_filter_that_forgets_what_engines_refuse_does_not_keep_the_default_one_away() {
    requires!(root);
    let answer = |filter: serde_json::Value| {
        let line = format!("probe raw {} 0 -3 0", libc::SYS_keyctl);
        let bundle = Bundle::sh(&line).edit(|c| c["linux"]["seccomp"] = filter);
        run(bundle, &["--profile", "baseline"]).stdout
    };
    let names = ["delete_module", "finit_module", "init_module", "kexec_load", "swapon"];
    let five = json!([{"names": names, "action": "SCMP_ACT_ERRNO"}]);
    let refused = format!("errno={}", libc::EPERM);
    let text = answer(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": five}));
    assert!(text.contains(&refused), "{text}");
    // Podman's own stays alone, and leaves keyctl to the kernel.
    let text = include_str!("../../fixtures/podman-default/config.json");
    let podmans: serde_json::Value = serde_json::from_str(text).unwrap();
    let text = answer(podmans["linux"]["seccomp"].clone());
    assert!(!text.contains(&refused) && text.contains("ok"), "{text}");
}

#[test]
fn a_mistyped_feature_is_refused_with_those_there_are() {
    requires!(root);
    for name in ["seccomp.io-uring", "+everything"] {
        let container = Container::new(Bundle::sh("true")).global(&["--allow", name]);
        let text = container.run().refused();
        assert!(text.contains(name) && text.contains("io_uring"), "{text}");
        assert_eq!(container.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn user_namespaces_cannot_be_nested_even_without_the_filter() {
    requires!(root);
    let nest = |options: &[&str]| {
        let bundle = Bundle::sh("probe unshare user; cat /proc/sys/user/max_user_namespaces");
        run(bundle.user_namespace(300_000), options).stdout
    };
    assert_eq!(nest(&[]), "EPERM\n0\n");
    assert_eq!(nest(&["--allow", "seccomp.unconfined"]), "ENOSPC\n0\n");
    // The feature lifts both limits, and only it.
    assert!(nest(&["--allow", "seccomp.userns"]).starts_with("ok\n"));
    let counted = nest(&["--allow", "userns.nested"]);
    assert!(counted.starts_with("EPERM\n") && !counted.ends_with("\n0\n"), "{counted}");
}

#[test]
fn a_limit_of_the_bundle_on_namespaces_cannot_lift_the_profiles() {
    requires!(root);
    let bundle = Bundle::sh("cat /proc/sys/user/max_user_namespaces").user_namespace(300_000);
    let bundle = bundle.edit(|c| c["linux"]["sysctl"] = json!({"user.max_user_namespaces": "77"}));
    assert_eq!(run(bundle, &[]).stdout, "0\n");
}

#[test]
fn the_session_keyring_has_no_name_that_others_could_join() {
    requires!(root);
    let keyring = |options: &[&str]| {
        let done = run(Bundle::new().args(&["probe", "keyring"]), options);
        done.value("keyring").rsplit(';').next().unwrap().to_owned()
    };
    // Without the filter, to ask; the profile's keyring stays.
    assert_eq!(keyring(&["--allow", "seccomp.unconfined"]), "_ses");
    let [first, second] = [0, 1].map(|_| keyring(&["--allow", "seccomp.keyring"]));
    assert!(first.starts_with("_ses.") && first.len() > 30, "{first}");
    assert_ne!(first, second);
}
