//! Who the payload is: ids, and capabilities that nobody gave it.

use casemate_tests::bundle::write;
use casemate_tests::{requires, Bundle, Canary, Container};
use serde_json::{json, Value};

const IDS: &str =
    "echo id=$(id -u):$(id -g); grep -E '^(Cap|NoNew)' /proc/self/status | sed 's/:\t/=/'";

#[test]
fn cve_2016_3697_a_number_is_never_looked_up_as_a_name() {
    requires!(root);
    let bundle = Bundle::sh(&format!("{IDS}; sleep 600"))
        .edit(|c| c["process"]["user"] = json!({"uid": 1000, "gid": 1000}));
    let passwd = "1000:x:0:0::/:/bin/sh\nroot:x:0:0::/:/bin/sh\n1000:x:1000:0::/home:/bin/sh\n";
    write(&bundle.rootfs().join("etc/passwd"), passwd);
    write(&bundle.rootfs().join("etc/group"), "1000:x:0:\nroot:x:0:1000\n");
    let container = Container::new(bundle);
    let created = container.create().ok();
    drop(created);
    container.start().ok();
    let done = container.exec_command(&["--user", "1000"], &["id"]).ok();
    assert!(done.stdout.starts_with("uid=1000"), "{}", done.stdout);
    let done = container.exec_command(&["--user", "1000:1000"], &["id", "-G"]).ok();
    assert_eq!(done.stdout.trim(), "1000");
    container.exec_command(&["--user", "root"], &["id"]).refused();
}

#[test]
fn cve_2026_30892_a_user_that_cannot_be_read_is_an_error_and_never_root() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    for user in [
        "",
        "-1",
        "4294967295",
        "4294967296",
        "0x1",
        "1:",
        ":1",
        "+1",
        "1:2:3",
        "1 ",
        "18446744073709551616",
    ] {
        let done = container.exec_command(&["--user", user], &["id"]).done();
        // An empty value counts as not given, as everywhere on the command line: the container's own user.
        if user.is_empty() && done.code() == 0 {
            continue;
        }
        assert_ne!(done.code(), 0, "{user:?}: {}", done.stdout);
        assert_eq!(done.stdout, "", "{user:?}");
    }
    for (user, expected) in
        [("1", "1:0"), ("1:2", "1:2"), ("65534:65534", "65534:65534"), ("0:7", "0:7")]
    {
        let done =
            container.exec_command(&["--user", user], &["sh", "-c", "echo $(id -u):$(id -g)"]).ok();
        assert_eq!(done.stdout.trim(), expected, "{user}");
    }
}

#[test]
fn cve_2024_40635_ids_that_wrap_are_refused() {
    requires!(root);
    let ids = [
        json!(4_294_967_295u64),
        json!(4_294_967_296u64),
        json!(2_147_483_648u64),
        json!(-1),
        json!("0"),
        json!(1e3),
        Value::Null,
    ];
    for id in &ids[..6] {
        for field in ["uid", "gid"] {
            let bundle = Bundle::sh("id").edit(|c| c["process"]["user"][field] = id.clone());
            let message = Container::new(bundle).verbatim().run().refused();
            assert!(message.contains(&format!("process.user.{field}")), "{id}: {message}");
        }
        let bundle =
            Bundle::sh("id").edit(|c| c["process"]["user"]["additionalGids"] = json!([id]));
        let done = Container::new(bundle).verbatim().run().done();
        let plain = *id == json!(2_147_483_648u64) && done.code() == 0;
        assert!(
            plain || done.stderr.contains("additionalGids"),
            "{id}: {}{}",
            done.stdout,
            done.stderr
        );
    }
}

#[test]
fn cve_2026_46680_exec_refuses_ids_that_wrap_in_a_process_object() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let file = container.bundle.dir().join("process.json");
    for id in [json!(4_294_967_295u64), json!(4_294_967_296u64), json!(-1), json!("root")] {
        let process = json!({"user": {"uid": id, "gid": 0}, "args": ["id"], "cwd": "/", "env": ["PATH=/bin"]});
        write(&file, process.to_string());
        let done = container.exec_command(&["--process", file.to_str().unwrap()], &[]).done();
        assert_ne!(done.code(), 0, "{id}: {}", done.stdout);
        assert_eq!(done.stdout, "");
    }
}

#[test]
fn cve_2022_29162_nobody_gets_an_inheritable_capability_unasked() {
    requires!(root);
    for profile in ["privileged", "hardened"] {
        for uid in [0, 1000] {
            let bundle = Bundle::sh(&format!("{IDS}; sleep 600"))
                .capabilities(&["CAP_CHOWN", "CAP_NET_BIND_SERVICE"])
                .edit(|c| c["process"]["user"] = json!({"uid": uid, "gid": uid}));
            let container = Container::new(bundle).global(&["--profile", profile]);
            let mut run = container.run().spawn();
            run.wait_for("NoNewPrivs");
            assert!(run.stdout().contains("CapInh=0000000000000000"), "{}", run.stdout());
            assert!(run.stdout().contains("CapAmb=0000000000000000"), "{}", run.stdout());
            for options in [
                vec![],
                vec!["--cap", "CAP_NET_BIND_SERVICE"],
                vec!["--user", "7", "--cap", "CAP_CHOWN"],
            ] {
                let done = container.exec_command(&options, &["sh", "-c", IDS]).ok();
                assert_eq!(
                    done.value("CapInh"),
                    "0000000000000000",
                    "{options:?}: {}",
                    done.stdout
                );
            }
            container.kill("KILL").ok();
            run.done();
        }
    }
}

#[test]
fn cve_2025_27612_a_process_that_joins_has_no_more_than_the_container() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600").capabilities(&["CAP_CHOWN"])).up();
    let done = container.exec(IDS).ok();
    assert_eq!(
        (done.value("CapBnd"), done.value("CapEff")),
        ("0000000000000001", "0000000000000001")
    );
    assert_eq!(
        (done.value("CapInh"), done.value("CapAmb")),
        ("0000000000000000", "0000000000000000")
    );
    // More than the profile gives is not to be had on the command line either.
    let done = container.exec_command(&["--cap", "CAP_SYS_ADMIN"], &["sh", "-c", IDS]).done();
    if done.code() == 0 {
        for set in ["CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb"] {
            let mask = u64::from_str_radix(done.value(set), 16).unwrap();
            assert_eq!(mask & !1, 0, "{set}: {}", done.stdout);
        }
    }
    let process = json!({
        "user": {"uid": 0, "gid": 0}, "args": ["sh", "-c", IDS], "cwd": "/", "env": ["PATH=/bin"],
        "noNewPrivileges": false,
        "capabilities": {
            "bounding": ["CAP_SYS_ADMIN", "CAP_CHOWN"], "effective": ["CAP_SYS_ADMIN", "CAP_CHOWN"],
            "permitted": ["CAP_SYS_ADMIN", "CAP_CHOWN"], "inheritable": ["CAP_SYS_ADMIN"], "ambient": ["CAP_SYS_ADMIN"],
        },
    });
    let file = container.bundle.dir().join("process.json");
    write(&file, process.to_string());
    let done = container.exec_command(&["--process", file.to_str().unwrap()], &[]).ok();
    assert_eq!(
        (done.value("CapBnd"), done.value("CapEff")),
        ("0000000000000001", "0000000000000001")
    );
    assert_eq!(
        (done.value("CapInh"), done.value("CapAmb")),
        ("0000000000000000", "0000000000000000")
    );
    assert_eq!(done.value("NoNewPrivs"), "1");
}

#[test]
fn cve_2026_15809_nothing_in_the_environment_reaches_a_file() {
    requires!(root);
    let canary = Canary::new();
    for home in ["HOME=/\nroot2::0:0::/:/bin/sh", "HOME=/tmp:0:0", "HOME="] {
        let bundle = Bundle::sh("cat /etc/passwd | wc -l").edit(|c| {
            c["process"]["env"].as_array_mut().unwrap().push(json!(home));
            c["root"]["readonly"] = json!(false);
        });
        let passwd = bundle.rootfs().join("etc/passwd");
        let before = std::fs::read(&passwd).unwrap();
        let container = Container::new(bundle).verbatim();
        let done = container.run().ok();
        assert_eq!(done.stdout.trim(), "2", "{home:?}");
        assert_eq!(std::fs::read(&passwd).unwrap(), before);
    }
    for name in ["A\nB=1", "=x", "nothing"] {
        let bundle = Bundle::sh("true")
            .edit(|c| c["process"]["env"].as_array_mut().unwrap().push(json!(name)));
        let message = Container::new(bundle).verbatim().run().refused();
        assert!(message.contains("process.env"), "{message}");
    }
    canary.check();
}

/// The runtime reads one file of the image: etc/passwd, for HOME. Whatever lies there, it does not hang, does not run out
/// of memory, and does not take anything but a home directory from it.
#[test]
fn passwd_of_the_image_cannot_stop_or_mislead_the_runtime() {
    requires!(root);
    let canary = Canary::new();
    for how in ["fifo", "zero", "kmsg", "directory", "host", "loop", "long", "odd"] {
        let bundle = Bundle::sh("echo home=$HOME").edit(|c| c["root"]["readonly"] = json!(false));
        let passwd = bundle.rootfs().join("etc/passwd");
        std::fs::remove_file(&passwd).unwrap();
        let link = |target: &std::path::Path| std::os::unix::fs::symlink(target, &passwd).unwrap();
        match how {
            "fifo" => {
                let path = std::ffi::CString::new(passwd.to_str().unwrap()).unwrap();
                // SAFETY: a C string that lives through the call.
                assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o644) }, 0);
            }
            "zero" => link("/dev/zero".as_ref()),
            "kmsg" => link("/proc/kmsg".as_ref()),
            "directory" => std::fs::create_dir(&passwd).unwrap(),
            "host" => link(&canary.dir().join("secret")),
            "loop" => link("passwd".as_ref()),
            "long" => {
                let file = std::fs::File::create(&passwd).unwrap();
                file.set_len(8 << 30).unwrap();
            }
            _ => write(&passwd, b"\xff\xfe:::\n::0:::\nx:y:0:0:z\nroot:x:0:0:r:relative:/bin/sh\nr:x:0:0:r:/odd\0home:/bin/sh\n"),
        }
        let container = Container::new(bundle).verbatim();
        let done = container.run().ok();
        assert_eq!(done.value("home"), "/", "{how}: {}", done.stdout);
    }
    canary.check();
}
