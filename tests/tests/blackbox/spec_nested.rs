//! Containers that root of a user namespace makes.

use crate::spec_rootless::{id, Rootless};
use casemate_tests::scratch::Dir;
use casemate_tests::{host, programs, requires, Done};
use serde_json::{json, Value};
use std::process::Command;

/// Root of a user namespace whose ids 0 and up to 65535 are the user's and others.
fn inside(rootless: &Rootless, ids: &str, line: &str) -> Done {
    let script = format!("mount --make-rprivate / && {line}");
    let mut options = vec!["--user", "--mount", "--map-root-user"];
    options.extend(ids.split_whitespace());
    options.extend(["--", "sh", "-c", &script]);
    rootless.program(&host::find_program("unshare").unwrap(), &options).done()
}

#[test]
fn root_of_a_user_namespace_runs_containers() {
    requires!(root);
    requires!(program "setpriv");
    let script = "echo uid=$(id -u); mount | grep -c ' on /dev/null ' | sed s/^/bound=/; echo x > /dev/null; ls /sys/class > /dev/null && echo sys=1";
    for network in [true, false] {
        let rootless = Rootless::new(script).edit(|c| {
            let list = c["linux"]["namespaces"].as_array_mut().unwrap();
            list.retain(|ns| ns["type"] != "user" && (network || ns["type"] != "network"));
            c["linux"]["uidMappings"] = json!([]);
            c["linux"]["gidMappings"] = json!([]);
            // What an engine's default has, and what only fails here: a group that is not mapped, sysfs of the host's network.
            for mount in c["mounts"].as_array_mut().unwrap() {
                if mount["destination"] == "/sys" {
                    let options = ["nosuid", "noexec", "nodev", "ro"];
                    *mount = json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": options});
                }
            }
        });
        let line = format!(
            "{} --allow namespaces.host-network run --bundle {} {}",
            host::runtime().display(),
            rootless.bundle.dir().display(),
            id()
        );
        let done = inside(&rootless, "", &line);
        assert_eq!(done.code(), 0, "network {network}: {}{}", done.stdout, done.stderr);
        assert_eq!((done.value("uid"), done.value("bound"), done.value("sys")), ("0", "1", "1"));
        assert_eq!(rootless.left(), 0);
    }
}

/// Where the kernel gives no sysfs of the container's own, the one of the caller's container stands in: not a file of it, nor
/// of the cgroup file system below it, can be written.
#[test]
fn a_sysfs_that_stands_in_is_read_only_with_all_that_is_below() {
    requires!(root);
    requires!(program "setpriv");
    let rootless = Rootless::new("grep ' /sys' /proc/self/mountinfo | cut -d ' ' -f 5,6").edit(|c| {
        let list = c["linux"]["namespaces"].as_array_mut().unwrap();
        list.retain(|ns| ns["type"] != "user" && ns["type"] != "network");
        c["linux"]["uidMappings"] = json!([]);
        c["linux"]["gidMappings"] = json!([]);
        let mounts = c["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/sys"));
        mounts.push(json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["rrw"]}));
    });
    let line = format!(
        "{} --profile privileged run --bundle {} {}",
        host::runtime().display(),
        rootless.bundle.dir().display(),
        id()
    );
    let done = inside(&rootless, "", &line);
    assert_eq!(done.code(), 0, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stdout.contains("/sys ") && done.stdout.contains("/sys/fs/cgroup"),
        "{}",
        done.stdout
    );
    let lines = done.stdout.lines().filter(|line| line.starts_with("/sys"));
    let writable = lines.filter(|line| !line.contains(" ro,nosuid,nodev,noexec"));
    assert_eq!(writable.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn locked_mount_flags_are_kept_in_a_user_namespace() {
    requires!(root);
    requires!(program "setpriv");
    let volume = Dir::new("volume");
    std::fs::write(volume.path().join("f"), "x").unwrap();
    // Made by the host's root: in the user namespace these flags are locked.
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "nosuid,nodev,noexec,ro", "locked"]).arg(volume.path());
    assert!(programs::status(&mut mount).unwrap().success());
    let base = |options: Value| {
        let path = volume.path().to_owned();
        Rootless::new("grep ' /mnt ' /proc/self/mountinfo").edit(move |c| {
            c["mounts"]
                .as_array_mut()
                .unwrap()
                .push(json!({"destination": "/mnt", "source": path, "options": options}));
        })
    };
    // The last three ask for more than there is: engines write `rw` for every volume that is not to be read-only.
    let options = [
        &["rbind"][..],
        &["rbind", "ro"],
        &["rbind", "rw"],
        &["rbind", "exec", "rw", "nodev"],
        &["rbind", "rrw"],
    ];
    for options in options {
        let done = base(json!(options)).run(&id());
        assert_eq!(done.code(), 0, "{options:?}: {}", done.stderr);
        assert!(done.stdout.contains("ro,nosuid,nodev,noexec"), "{options:?}: {}", done.stdout);
    }
    // What is to be more than it is, and cannot, is an error.
    let done = base(json!(["rbind", "noatime"])).run(&id());
    assert_eq!(done.code(), 1, "{}", done.stdout);
    let message = "operation not permitted";
    assert!(done.stderr.contains("/mnt") && done.stderr.contains(message), "{}", done.stderr);
    programs::status(Command::new("umount").arg("-l").arg(volume.path())).unwrap();
}
