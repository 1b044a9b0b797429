//! What the default profile gives a payload, as the payload sees it; and what `--profile privileged` leaves alone.

use casemate_tests::scratch::Dir;
use casemate_tests::{host, requires, Bundle, Canary, Container, Done};
use serde_json::{json, Value};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const REPORT: &str = "sed -nE 's/^(Cap...|NoNewPrivs|Seccomp|Seccomp_filters):\t*/\\1=/p' /proc/self/status
    echo core=$(ulimit -Hc)
    for d in / /tmp /var/tmp /run /etc; do echo \"$d=$(touch $d/x 2>/dev/null && echo rw || echo ro)\"; done
    for d in /tmp /var/tmp /run; do awk -v d=$d '$5 == d { print \"mount\" d \"=\" $6 }' /proc/self/mountinfo; done";

/// What the most careless bundle asks for: everything.
fn careless(script: &str) -> Bundle {
    Bundle::sh(script).all_capabilities().edit(|c| {
        c["process"]["noNewPrivileges"] = json!(false);
        c["process"].as_object_mut().unwrap().remove("rlimits");
        c["root"]["readonly"] = json!(false);
        let linux = c["linux"].as_object_mut().unwrap();
        linux.remove("maskedPaths");
        linux.remove("readonlyPaths");
        linux
            .insert("resources".to_owned(), json!({"devices": [{"allow": true, "access": "rwm"}]}));
    })
}

fn capability_mask(done: &Done, set: &str) -> u64 {
    u64::from_str_radix(done.value(set), 16).unwrap()
}

/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE.
const CEILING: u64 = 0b100_1111_1011;

#[test]
fn a_bundle_that_asks_for_everything_gets_the_default_profile() {
    requires!(root);
    let done = Container::new(careless(REPORT)).run().ok();
    assert_eq!(done.value("NoNewPrivs"), "1");
    assert_eq!((done.value("Seccomp"), done.value("Seccomp_filters")), ("2", "1"));
    for set in ["CapBnd", "CapEff", "CapPrm"] {
        assert_eq!(capability_mask(&done, set), CEILING, "{set}");
    }
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(capability_mask(&done, set), 0, "{set}");
    }
    assert_eq!(done.value("core"), "0");
    for (place, access) in
        [("/", "ro"), ("/etc", "ro"), ("/tmp", "rw"), ("/var/tmp", "rw"), ("/run", "rw")]
    {
        assert_eq!(done.value(place), access, "{place}");
    }
    for place in ["mount/tmp", "mount/var/tmp", "mount/run"] {
        assert!(done.value(place).contains("nosuid,nodev"), "{place}: {}", done.value(place));
    }
}

#[test]
fn a_bundle_that_is_read_only_itself_gets_no_writable_places_added() {
    requires!(root);
    let done = Container::new(Bundle::sh(
        "touch /tmp/x 2>/dev/null || echo ro; grep -c ' /tmp ' /proc/self/mountinfo",
    ));
    assert_eq!(done.run().done().stdout, "ro\n0\n");
}

#[test]
fn kernel_files_are_hidden_although_the_bundle_hides_none() {
    requires!(root);
    let files = [
        "/proc/kcore",
        "/proc/keys",
        "/proc/timer_list",
        "/proc/kallsyms",
        "/proc/interrupts",
        "/proc/kpagecount",
        "/proc/slabinfo",
        "/proc/sysrq-trigger",
        "/proc/key-users",
        "/proc/kmsg",
        "/proc/vmallocinfo",
    ];
    let dirs = [
        "/sys/firmware",
        "/sys/kernel/debug",
        "/sys/kernel/security",
        "/sys/fs/bpf",
        "/proc/acpi",
        "/proc/scsi",
    ];
    let script = format!(
        "for f in {}; do [ -e $f ] && echo $f=$(wc -c < $f 2>/dev/null); done; \
         for d in {}; do [ -e $d ] && echo $d=$(ls -A $d 2>/dev/null | wc -l); done; \
         for f in /proc/sys/kernel/core_pattern /proc/irq/default_smp_affinity; do echo w$f=$(probe open w $f); done; true",
        files.join(" "),
        dirs.join(" ")
    );
    let done = Container::new(careless(&script)).run().ok();
    let mut hidden = 0;
    for path in files.iter().chain(&dirs) {
        if std::path::Path::new(path).exists() {
            assert_eq!(done.value(path), "0", "{path}");
            hidden += 1;
        }
    }
    assert!(hidden >= 5, "this kernel has nothing to hide: {hidden}");
    // Root of a user namespace is told that it may not, before it is told that nobody may.
    assert!(["EROFS", "EACCES"].contains(&done.value("w/proc/sys/kernel/core_pattern")));
    if std::path::Path::new("/proc/irq/default_smp_affinity").exists() {
        assert!(["EROFS", "EACCES"].contains(&done.value("w/proc/irq/default_smp_affinity")));
    }
}

#[test]
fn the_lists_of_bundle_and_profile_are_united() {
    requires!(root);
    let bundle =
        Bundle::sh("wc -c < /proc/version; probe open w /proc/loadavg; wc -c < /proc/timer_list");
    let bundle = bundle.edit(|c| {
        c["linux"]["maskedPaths"] = json!(["/proc/version"]);
        c["linux"]["readonlyPaths"] = json!(["/proc/loadavg"]);
    });
    let done = Container::new(bundle).run().ok();
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!((lines[0], lines[2]), ("0", "0"));
    assert_ne!(lines[1], "ok");
}

/// Go's reader, and so runc, knows a property in any letter case.
#[test]
fn restrictions_whose_names_are_in_other_letters_are_in_force() {
    requires!(root);
    let script =
        "wc -c < /proc/version; probe open w /proc/sys/kernel/hostname; grep NoNewPrivs /proc/self/status";
    let bundle = Bundle::sh(script).edit(|c| {
        c["linux"]["MaskedPaths"] = json!(["/proc/version"]);
        c["linux"]["readonlypaths"] = json!(["/proc/sys"]);
        for name in ["maskedPaths", "readonlyPaths"] {
            c["linux"].as_object_mut().unwrap().remove(name);
        }
        c["process"]["NONEWPRIVILEGES"] = json!(true);
        c["process"].as_object_mut().unwrap().remove("noNewPrivileges");
    });
    let options = ["--profile", "privileged"];
    let done = Container::new(bundle).global(&options).run().ok();
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines, ["0", "EROFS", "NoNewPrivs:\t1"]);
}

#[test]
fn what_is_asked_for_in_other_letters_is_refused_as_in_the_right_ones() {
    requires!(root);
    let bundle = Bundle::sh("true").edit(|c| {
        let mut mounts = c.as_object_mut().unwrap().remove("mounts").unwrap();
        let host =
            json!({"Destination": "/host", "Type": "bind", "Source": "/", "Options": ["rbind"]});
        mounts.as_array_mut().unwrap().push(host);
        c["Mounts"] = mounts;
    });
    let container = Container::new(bundle);
    let text = container.run().refused();
    assert!(text.contains("mounts.host-root"), "{text}");
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

#[test]
fn odd_spellings_of_a_path_hide_it_all_the_same() {
    requires!(root);
    let files = [
        "/proc/timer_list/",
        "//proc//keys",
        "/proc/./version",
        "/proc/sys/../loadavg",
        "/proc/uptime//",
    ];
    let bundle = Bundle::sh(
        "cd /proc; for f in timer_list keys version loadavg uptime; do wc -c < $f; done; probe open w /proc/sys/kernel/hostname",
    );
    let bundle = bundle.edit(|c| {
        c["linux"]["maskedPaths"] = json!(files);
        c["linux"]["readonlyPaths"] = json!(["/proc/sys/"]);
    });
    let done = Container::new(bundle).verbatim().run().ok();
    assert_eq!(done.stdout, "0\n0\n0\n0\n0\nEROFS\n");
}

#[test]
fn the_filter_of_the_bundle_comes_on_top_of_the_default_one() {
    requires!(root);
    let bundle = Bundle::sh("grep Seccomp_filters /proc/self/status; mkdir /tmp/x 2>&1; probe socket 17; probe unshare user");
    let bundle = bundle.edit(|c| {
        c["root"]["readonly"] = json!(false);
        c["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}],
        });
    });
    let done = Container::new(bundle).run().done();
    assert!(done.stdout.starts_with("Seccomp_filters:\t2\n"), "{}", done.stdout);
    assert!(done.stdout.contains("No space left"), "{}", done.stdout);
    let tail: Vec<&str> = done.stdout.lines().rev().take(2).collect();
    assert!(["EPERM", "EAFNOSUPPORT"].contains(&tail[1]) && tail[0] == "EPERM", "{}", done.stdout);
}

#[test]
fn every_change_is_on_record_and_explained() {
    requires!(root);
    let container = Container::new(careless("sleep 600")).up();
    let decisions = std::fs::read_to_string(container.state_dir().join("decisions.json")).unwrap();
    let decisions: Vec<Value> = serde_json::from_str(&decisions).unwrap();
    let rules: Vec<&str> = decisions.iter().filter_map(|d| d["rule"].as_str()).collect();
    for rule in ["capabilities", "no-new-privileges", "root", "core", "seccomp", "masked"] {
        assert!(rules.iter().any(|r| r.contains(rule)), "{rule}: {rules:?}");
    }
    let posture = std::fs::read(container.state_dir().join("posture.json")).unwrap();
    let posture: Value = serde_json::from_slice(&posture).unwrap();
    assert_eq!(posture["noNewPrivs"], true);
    assert_eq!(posture["rootReadonly"], true);
    assert_eq!(posture["uid"], container.record()["uid_mappings"][0]["hostID"]);
    assert_eq!(posture["capEffective"], format!("{CEILING:016x}"));
    assert_eq!(posture["capBounding"], format!("{CEILING:016x}"));
    assert!(posture["mountsChecked"].as_u64().unwrap() > 10, "{posture}");
    // What was verified is what is there.
    let pid = container.pid();
    assert_eq!(host::status(pid, "CapEff").unwrap(), format!("{CEILING:016x}"));
    assert_eq!(host::status(pid, "NoNewPrivs").unwrap(), "1");
}

#[test]
fn exec_is_confined_like_the_container() {
    requires!(root);
    let container = Container::new(careless("sleep 600")).up();
    let done = container.exec(REPORT).ok();
    assert_eq!(done.value("NoNewPrivs"), "1");
    assert_eq!(done.value("Seccomp_filters"), "1");
    assert_eq!(capability_mask(&done, "CapBnd"), CEILING);
    assert_eq!((done.value("core"), done.value("/")), ("0", "ro"));
    // Another profile cannot be had by whoever only execs.
    let done = casemate_tests::Cmd::new(host::runtime(), container.bundle.dir())
        .args([std::path::Path::new("--root"), &container.root()])
        .args([
            "--profile",
            "privileged",
            "exec",
            "--cap",
            "CAP_SYS_ADMIN",
            &container.id,
            "sh",
            "-c",
            REPORT,
        ])
        .done();
    if done.code() == 0 {
        assert_eq!(done.value("NoNewPrivs"), "1");
        assert_eq!(capability_mask(&done, "CapEff") & !CEILING, 0);
    }
}

#[test]
fn the_profile_privileged_takes_the_bundle_word_for_word() {
    requires!(root);
    let canary = Canary::new();
    let done = Container::new(careless(REPORT)).verbatim().run().ok();
    assert_eq!(done.value("NoNewPrivs"), "0");
    assert_eq!((done.value("Seccomp"), done.value("Seccomp_filters")), ("0", "0"));
    let own = u64::from_str_radix(&host::status(std::process::id() as i32, "CapBnd").unwrap(), 16)
        .unwrap();
    for set in ["CapBnd", "CapEff", "CapPrm"] {
        assert_eq!(capability_mask(&done, set), own, "{set}");
    }
    for place in ["/", "/etc", "/tmp"] {
        assert_eq!(done.value(place), "rw", "{place}");
    }
    canary.check();
}

#[test]
fn a_container_that_would_share_the_hosts_mounts_is_refused() {
    requires!(root);
    let canary = Canary::new();
    let bundle = Bundle::sh("true").without_namespace("mount");
    let message = Container::new(bundle).run().refused();
    assert!(message.contains("mount namespace"), "{message}");
    canary.check();
}

#[test]
fn mounts_of_the_container_do_not_appear_on_the_host() {
    requires!(root);
    let canary = Canary::new();
    for (profile, root, volume) in [
        ("hardened", "rshared", "rshared"),
        ("hardened", "shared", "shared"),
        ("privileged", "rslave", "rslave"),
    ] {
        let volumes = Bundle::new();
        let bundle = Bundle::sh("probe mount tmpfs /data; probe mount tmpfs /tmp; sleep 1")
            .all_capabilities()
            .bind(volumes.dir(), "/data", &[volume])
            .edit(|c| c["linux"]["rootfsPropagation"] = json!(root));
        let container = Container::new(bundle).global(&["--profile", profile]);
        let done = container.run().done();
        assert_eq!(done.code(), 0, "{}", done.stderr);
        let expected = if profile == "privileged" { "ok\nok\n" } else { "EPERM\nEPERM\n" };
        assert_eq!(done.stdout, expected);
        canary.check();
    }
}

#[test]
fn devices_are_made_for_use_and_not_for_making() {
    requires!(root);
    let script =
        "for d in null zero full random urandom tty; do echo $d=$(stat -c %t:%T /dev/$d); done; \
                  head -c 4 /dev/zero | wc -c; probe mknod /tmp/mem";
    let done = Container::new(careless(script)).run().ok();
    let expected = [
        ("null", "1:3"),
        ("zero", "1:5"),
        ("full", "1:7"),
        ("random", "1:8"),
        ("urandom", "1:9"),
        ("tty", "5:0"),
    ];
    for (name, number) in expected {
        assert_eq!(done.value(name), number);
    }
    assert!(done.stdout.ends_with("4\nEPERM\n"), "{}", done.stdout);
}

/// The places that the profile makes writable, as an image may have them.
#[test]
fn an_image_cannot_use_the_added_writable_places_against_the_read_only_root() {
    requires!(root);
    let canary = Canary::new();
    let outside = canary.dir().display().to_string();
    for target in ["/", ".", "/etc", "/proc", "/proc/self/root", "/dev", "tmp", "/absent", &outside]
    {
        for place in ["tmp", "run"] {
            let bundle = careless("for d in / /bin /etc; do touch $d/x 2>/dev/null && echo wrote $d; done; cat /etc/passwd");
            std::fs::remove_dir(bundle.rootfs().join(place)).unwrap();
            std::os::unix::fs::symlink(target, bundle.rootfs().join(place)).unwrap();
            let container = Container::new(bundle);
            let done = container.run().done();
            assert!(matches!(done.code(), 0 | 1), "{place} -> {target}: {}", done.stderr);
            let written: Vec<&str> =
                done.stdout.lines().filter(|line| line.starts_with("wrote")).collect();
            // A link to /etc makes that a memory of its own; what the image holds stays as it is in any case.
            assert!(
                written.is_empty() || written == ["wrote /etc"],
                "{place} -> {target}: {}",
                done.stdout
            );
            for dir in ["", "bin", "etc"] {
                assert!(
                    !container.bundle.rootfs().join(dir).join("x").exists(),
                    "{place} -> {target}"
                );
            }
            canary.check();
        }
    }
}

#[test]
fn restrictions_of_mounts_with_odd_names_are_verified_too() {
    requires!(root);
    let bundle = Bundle::sh("probe open w '/my dir/x'; grep -c 'my.040dir' /proc/self/mountinfo")
        .bind_own("/my dir");
    let bundle = bundle.edit(|c| {
        c["mounts"].as_array_mut().unwrap().last_mut().unwrap()["options"] =
            json!(["bind", "ro", "nosuid"])
    });
    std::fs::create_dir(bundle.rootfs().join("my dir")).unwrap();
    std::fs::write(bundle.dir().join("shared/x"), "x").unwrap();
    assert_eq!(Container::new(bundle).run().ok().stdout, "EROFS\n1\n");
}

#[test]
fn a_state_root_that_everybody_may_write_is_refused() {
    requires!(root);
    let root = Dir::new("open-root");
    set_mode(root.path(), 0o777);
    let message = Container::new(Bundle::sh("true")).in_root(root.path()).run().refused();
    assert!(message.contains("everybody may write it"), "{message}");
    set_mode(root.path(), 0o700);
    Container::new(Bundle::sh("true")).in_root(root.path()).run().ok();
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
