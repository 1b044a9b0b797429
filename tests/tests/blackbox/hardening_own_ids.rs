//! Containers that ask for no user namespace and get one: ids that nobody else has, files that look as they would without.

use casemate_tests::{host, programs, requires, wait, Bundle, Container};
use serde_json::{json, Value};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// First id on the host, and how many lines there are.
pub fn map_of(pid: i32) -> (u32, usize) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
    let first = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    (first, text.lines().count())
}

/// First ids of the ranges that the pool keeps for this container. The pool is the host's: other tests take and give
/// back ranges meanwhile, this one's among them as soon as it is free.
fn ranges_of(container: &Container) -> Vec<u32> {
    let first = |path: &PathBuf| -> u32 {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.split('-').next().unwrap().parse().unwrap()
    };
    held_by(container).iter().map(first).collect()
}

fn decisions(container: &Container) -> Vec<Value> {
    let text = std::fs::read(container.state_dir().join("decisions.json")).unwrap();
    let all: Vec<Value> = serde_json::from_slice(&text).unwrap();
    all.into_iter().filter(|d| d["rule"] == "userns.auto").collect()
}

pub fn sleeping() -> Bundle {
    Bundle::sh("sleep 600")
}

/// With a network or ipc namespace that is joined.
fn joining(bundle: Bundle, kind: &str, path: &str) -> Bundle {
    bundle.without_namespace(kind).edit(|c| {
        let list = c["linux"]["namespaces"].as_array_mut().unwrap();
        list.push(json!({"type": kind, "path": path}));
    })
}

#[test]
fn root_of_the_container_is_nobody_on_the_host() {
    requires!(root);
    let container = Container::new(sleeping()).up();
    let pid = container.pid();
    let (first, lines) = map_of(pid);
    assert!(first >= 65536 && lines == 1, "{first} {lines}");
    assert!(host::status(pid, "Uid").unwrap().starts_with(&format!("{first}\t")));
    assert!(host::status(pid, "Gid").unwrap().starts_with(&format!("{first}\t")));
    let inside =
        container.exec("id -u; id -g; stat -c %u:%g / /bin/busybox /dev/null /tmp /dev/shm").ok();
    assert_eq!(inside.stdout, "0\n0\n0:0\n0:0\n0:0\n0:0\n0:0\n");
    // What it was given is on record, and goes when the container goes.
    let decision = &decisions(&container)[0];
    assert_eq!(decision["verdict"], "added");
    assert_eq!(decision["after"]["uidMappings"][0]["hostID"], first);
    let shown = format!("0 {first} 65536");
    assert_eq!(container.state()["annotations"]["org.casemate.uid-map"], shown);
    assert_eq!(ranges_of(&container), [first]);
    container.delete().ok();
    assert!(held_by(&container).is_empty());
}

#[test]
fn files_on_a_volume_keep_their_owners_on_both_sides() {
    requires!(root);
    let script = "touch /v/new; mkdir /v/dir; touch /v/of33; chown 33:34 /v/of33; \
                  stat -c %n=%u:%g /v/new /v/of33 /v/theirs; cat /v/secret; touch /v/theirs";
    let bundle = Bundle::sh(script).bind_own("/v");
    let shared = bundle.dir().join("shared");
    for (name, id) in [("theirs", 1000), ("secret", 0)] {
        std::fs::write(shared.join(name), "secret\n").unwrap();
        std::os::unix::fs::chown(shared.join(name), Some(id), Some(id)).unwrap();
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(shared.join(name), mode).unwrap();
    }
    let bundle = bundle.capabilities(&["CAP_CHOWN", "CAP_DAC_OVERRIDE"]);
    let done = Container::new(bundle).run().ok();
    assert_eq!((done.value("/v/new"), done.value("/v/of33")), ("0:0", "33:34"));
    assert_eq!(done.value("/v/theirs"), "1000:1000");
    assert!(done.stdout.ends_with("secret\n"), "{}", done.stdout);
}

#[test]
fn what_the_container_writes_belongs_on_the_host_to_whom_it_belongs_inside() {
    requires!(root);
    let bundle = Bundle::sh("touch /v/a; chown 33:34 /v/a; mkdir /v/d; ln -s a /v/l; mknod /v/p p")
        .bind_own("/v")
        .capabilities(&["CAP_CHOWN"]);
    let container = Container::new(bundle);
    container.run().ok();
    let owner = |name: &str| {
        let st = container.bundle.dir().join("shared").join(name).symlink_metadata().unwrap();
        (st.uid(), st.gid())
    };
    assert_eq!(
        (owner("a"), owner("d"), owner("l"), owner("p")),
        ((33, 34), (0, 0), (0, 0), (0, 0))
    );
}

#[test]
fn a_writable_root_keeps_its_owners_too() {
    requires!(root);
    let bundle = Bundle::sh("touch /made; chown 5:6 /made")
        .edit(|c| c["root"]["readonly"] = json!(false))
        .capabilities(&["CAP_CHOWN"]);
    let container = Container::new(bundle).global(&["--allow", "rootfs.writable"]);
    container.run().ok();
    let st = container.bundle.rootfs().join("made").metadata().unwrap();
    assert_eq!((st.uid(), st.gid()), (5, 6));
}

#[test]
fn a_set_user_id_file_of_a_volume_gives_nothing() {
    requires!(root);
    let bundle = Bundle::sh("grep ' /v ' /proc/self/mountinfo; /v/id -u").bind_own("/v");
    let bundle = bundle.edit(|c| c["process"]["user"] = json!({"uid": 7, "gid": 7}));
    let file = bundle.dir().join("shared/id");
    programs::copy(&host::find_program("busybox").unwrap(), &file);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o4755)).unwrap();
    let done = Container::new(bundle).global(&["--allow", "process.new-privileges"]).run().ok();
    assert!(done.stdout.contains("nosuid"), "{}", done.stdout);
    assert!(done.stdout.ends_with("\n7\n"), "{}", done.stdout);
}

#[test]
fn a_volume_with_other_file_systems_below_it_is_mapped_mount_by_mount() {
    requires!(root);
    let script = "stat -c %n=%u /v/own /v/tmp/t /v/proc/1 /v/null; cat /v/tmp/t; touch /v/tmp/by; \
                  echo x > /v/null; grep -c ' /v[ /]' /proc/self/mountinfo";
    let bundle = Bundle::sh(script).bind_own("/v").edit(|c| {
        c["linux"]["devices"] = json!([]);
    });
    let shared = bundle.dir().join("shared");
    std::fs::write(shared.join("own"), "").unwrap();
    std::fs::write(shared.join("null"), "").unwrap();
    for dir in ["tmp", "proc"] {
        std::fs::create_dir(shared.join(dir)).unwrap();
    }
    // Seen by this test alone: it has a mount namespace of its own.
    let mount = |args: &[&str], at: &Path| {
        assert!(programs::status(Command::new("mount").args(args).arg(at)).unwrap().success());
    };
    mount(&["-t", "tmpfs", "t"], &shared.join("tmp"));
    mount(&["-t", "proc", "p"], &shared.join("proc"));
    mount(&["--bind", "/dev/null"], &shared.join("null"));
    std::fs::write(shared.join("tmp/t"), "below\n").unwrap();
    std::os::unix::fs::chown(shared.join("tmp/t"), Some(9), Some(9)).unwrap();
    let container =
        Container::new(bundle).global(&["--allow", "mounts.dev,mounts.host-proc,devices.all"]);
    let done = container.run().done();
    for point in ["tmp", "proc", "null"] {
        let mut umount = Command::new("umount");
        assert!(programs::status(umount.arg(shared.join(point))).unwrap().success());
    }
    assert!(done.status.success(), "{}{}", done.stdout, done.stderr);
    assert_eq!((done.value("/v/own"), done.value("/v/tmp/t")), ("0", "9"));
    // The kernel's own: shown as they are, to somebody who is not in the map.
    assert_eq!((done.value("/v/proc/1"), done.value("/v/null")), ("65534", "65534"));
    assert!(done.stdout.contains("below\n") && done.stdout.ends_with("4\n"), "{}", done.stdout);
}

#[test]
fn what_cannot_be_mapped_is_refused_unless_the_hosts_ids_are_asked_for() {
    requires!(root);
    let bundle = || Bundle::sh("cat /proc/self/uid_map; stat -c owner=%u /v/f").bind_own("/v");
    let container = Container::new(bundle());
    let shared = container.bundle.dir().join("shared");
    let mut mount = Command::new("mount");
    mount.args(["-t", "ramfs", "r"]).arg(&shared);
    assert!(programs::status(&mut mount).unwrap().success());
    std::fs::write(shared.join("f"), "").unwrap();
    let refusal = container.run().refused();
    let granted = Container::new(Bundle::sh("cat /proc/self/uid_map").bind(&shared, "/v", &["rw"]));
    let granted = granted.global(&["--allow", "userns.fallback"]);
    let done = granted.run().done();
    // Nobody loses anything who could read it anyway.
    let shown = Container::new(Bundle::sh("stat -c owner=%u /v/f").bind(&shared, "/v", &["ro"]));
    let shown = shown.run().done();
    assert!(programs::status(Command::new("umount").arg(&shared)).unwrap().success());
    let wanted = "lies on ramfs, which cannot be shown with other ids (rule userns.required)";
    assert!(refusal.contains(wanted), "{refusal}");
    assert!(refusal.contains("org.casemate.allow/userns.fallback=true"), "{refusal}");
    let map: Vec<&str> = done.stdout.split_whitespace().collect();
    assert_eq!(map, ["0", "0", "4294967295"], "{}", done.stderr);
    assert_eq!(shown.value("owner"), "65534", "{}", shown.stderr);
}

/// A bundle with directories for an overlay whose names make an option of more than 255 bytes, and a file in the lowest.
fn layered(script: &str) -> (Bundle, String) {
    let bundle = Bundle::sh(script);
    let top = bundle.dir().join("l".repeat(120));
    let names = ["upper", "work", "lower"].map(|name| format!("{name}{}", "x".repeat(90)));
    for name in &names {
        std::fs::create_dir_all(top.join(name)).unwrap();
    }
    let [upper, work, lower] = names.map(|name| top.join(name).display().to_string());
    std::fs::write(format!("{lower}/f"), "seen\n").unwrap();
    std::os::unix::fs::chown(format!("{lower}/f"), Some(9), Some(9)).unwrap();
    (bundle, format!("lowerdir={lower},upperdir={upper},workdir={work}"))
}

const LAYERED: &str =
    "cat /proc/self/uid_map /v/f; stat -c owner=%u /v/f; touch /v/made && echo made=yes; \
                       echo mounts=$(grep -c ' /v ' /proc/self/mountinfo)";

#[test]
fn an_overlay_that_is_mounted_is_made_from_layers_with_the_containers_ids() {
    requires!(root);
    let (bundle, options) = layered(LAYERED);
    let dir = bundle.dir().to_owned();
    let mount =
        json!({"destination": "/v", "type": "overlay", "source": "overlay", "options": [options]});
    let container = Container::new(bundle.mount(mount));
    let done = container.run().ok();
    assert!(!done.stdout.contains("4294967295") && done.stdout.contains("seen"), "{}", done.stdout);
    assert_eq!((done.value("owner"), done.value("made"), done.value("mounts")), ("9", "yes", "1"));
    let upper = dir.join("l".repeat(120)).join(format!("upper{}", "x".repeat(90)));
    let made = upper.join("made").metadata().unwrap();
    assert_eq!((made.uid(), made.gid()), (0, 0), "as without a user namespace");
}

#[test]
fn a_merged_overlay_that_is_bound_is_put_together_again_from_its_layers() {
    requires!(root);
    let (bundle, options) = layered(LAYERED);
    let merged = bundle.dir().join("merged");
    std::fs::create_dir(&merged).unwrap();
    // fsconfig(2) would not take paths of this length.
    let short = options.replace(&format!("{}/", bundle.dir().display()), "");
    let mut mount = Command::new("mount");
    mount.current_dir(bundle.dir()).args(["-t", "overlay", "o", "-o", &short]).arg(&merged);
    if !programs::status(&mut mount).unwrap().success() {
        return;
    }
    // The layers are outside what belongs to an engine.
    let over = ["--allow", "mounts.engine-data"];
    let container = Container::new(bundle.bind(&merged, "/v", &["rw"])).global(&over);
    let done = container.run().done();
    let ro = Bundle::sh(LAYERED).bind(&merged, "/v", &["ro", "rbind"]);
    let read = Container::new(ro).global(&over).run().done();
    assert!(programs::status(Command::new("umount").arg(&merged)).unwrap().success());
    for (done, made) in [(&done, "made=yes"), (&read, "Read-only file system")] {
        let text = format!("{}{}", done.stdout, done.stderr);
        assert!(text.contains("seen") && text.contains(made), "{text}");
        assert!(!text.contains("4294967295"), "{text}");
        assert_eq!((done.value("owner"), done.value("mounts")), ("9", "1"), "{text}");
    }
}

#[test]
fn containers_that_join_a_container_share_its_ids_and_its_namespace() {
    requires!(root);
    let first = Container::new(sleeping()).up();
    let pid = first.pid();
    let (range, _) = map_of(pid);
    let bundle = Bundle::sh("probe listen 80; sleep 600")
        .capabilities(&["CAP_NET_BIND_SERVICE", "CAP_KILL"]);
    let bundle = joining(bundle, "network", &format!("/proc/{pid}/ns/net"));
    let bundle = joining(bundle, "pid", &format!("/proc/{pid}/ns/pid"));
    let second = Container::new(bundle).up();
    let user = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
    assert_eq!((map_of(second.pid()).0, user(second.pid())), (range, user(pid)));
    assert_eq!((ranges_of(&first), ranges_of(&second)), (vec![range], vec![range]));
    // Whose it is is told.
    let report = second.command("audit").args(["--format", "json", &second.id]).ok().stdout;
    assert!(report.contains(&format!("(container {})", first.id)), "{report}");
    // Root of one may signal root of the other, as in a pod.
    second.exec("kill -0 1").ok();
    second.delete().ok();
    assert_eq!((ranges_of(&first), held_by(&second).len()), (vec![range], 0));
    first.delete().ok();
    assert!(held_by(&first).is_empty());
}

#[test]
fn low_ports_can_be_bound_in_a_network_namespace_of_the_engine() {
    requires!(root);
    // A network namespace that the host made, as engines do.
    let engine = programs::start(Command::new("unshare").args(["-n", "sleep", "600"])).unwrap();
    let path = format!("/proc/{}/ns/net", engine.id());
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    wait::until("the engine has its network namespace", || {
        wait::equal(&(std::fs::read_link(&path).unwrap() != own), &true)
    });
    let run = |capabilities: &[&str], sysctl: Value| {
        let bundle = Bundle::sh("probe listen 80; cat /proc/sys/net/ipv4/ping_group_range");
        let bundle = joining(bundle, "network", &path).capabilities(capabilities);
        Container::new(bundle.edit(|c| c["linux"]["sysctl"] = sysctl)).run().ok().stdout
    };
    let ping = json!({"net.ipv4.ping_group_range": "0 2147483647"});
    let without = run(&[], json!({}));
    let with = run(&["CAP_NET_BIND_SERVICE"], ping);
    let mut engine = engine;
    engine.kill().unwrap();
    engine.wait().unwrap();
    assert!(without.starts_with("EACCES\n"), "{without}");
    assert_eq!(with, "ok\n0\t65535\n");
}

#[test]
fn an_id_above_the_range_is_mapped_by_itself() {
    requires!(root);
    let bundle =
        Bundle::sh("id -u; id -g; touch /v/f; stat -c %u:%g /v/f; sleep 600").bind_own("/v");
    let id = 1_000_660_000;
    std::fs::set_permissions(bundle.dir().join("shared"), std::fs::Permissions::from_mode(0o777))
        .unwrap();
    let bundle = bundle.edit(|c| {
        c["process"]["user"] = json!({"uid": id, "gid": 0, "additionalGids": [id + 1, 5]});
    });
    let container = Container::new(bundle);
    let mut run = container.run().spawn();
    run.wait_for("1000660000:0");
    let (first, lines) = map_of(container.pid());
    assert!(lines == 3, "{lines}");
    let uid: u32 =
        host::status(container.pid(), "Uid").unwrap().split('\t').next().unwrap().parse().unwrap();
    assert!((first..first + 65536).contains(&uid), "{uid}");
    let file = container.bundle.dir().join("shared/f").metadata().unwrap();
    assert_eq!((file.uid(), file.gid()), (id, 0));
    container.kill("KILL").ok();
    run.done();
}

#[test]
fn secrets_and_single_files_of_the_engine_can_be_read() {
    requires!(root);
    let script = "cat /run/secret /etc/name; stat -c %a:%u /run/secret; ls /dev/shm";
    let bundle = Bundle::sh(script).edit(|c| c["process"]["user"] = json!({"uid": 0, "gid": 0}));
    let (secret, name) = (bundle.dir().join("secret"), bundle.dir().join("name"));
    for (path, text) in [(&secret, "s3cret\n"), (&name, "web\n")] {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o400)).unwrap();
    }
    let bundle = bundle.bind(&secret, "/run/secret", &["ro"]).bind(&name, "/etc/name", &["ro"]);
    let done = Container::new(bundle.capabilities(&[])).run().ok();
    assert_eq!(done.stdout, "s3cret\nweb\n400:0\n");
}

#[test]
fn standard_streams_can_be_opened_again_by_whoever_the_payload_is() {
    requires!(root);
    let bundle = Bundle::sh("echo one > /dev/stdout; echo two > /dev/stderr");
    for user in [0, 7] {
        let bundle = Bundle::sh("echo one > /dev/stdout; echo two > /dev/stderr")
            .edit(|c| c["process"]["user"] = json!({"uid": user, "gid": user}));
        let container = Container::new(bundle);
        // Pipes, as engines give them.
        let mut command = Command::new(host::runtime());
        container.bundle.save();
        command.arg("--root").arg(container.root()).args(["run", "--bundle"]);
        let out = programs::output(command.arg(container.bundle.dir()).arg(&container.id)).unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout), "one\n");
        assert_eq!(String::from_utf8_lossy(&out.stderr), "two\n");
    }
    // A file of the host's keeps its owner.
    let file = bundle.dir().join("log");
    let out = std::fs::File::create(&file).unwrap();
    let container = Container::new(Bundle::sh("echo one"));
    container.bundle.save();
    let mut command = Command::new(host::runtime());
    command.arg("--root").arg(container.root()).args(["run", "--bundle"]);
    command.arg(container.bundle.dir()).arg(&container.id).stdout(out);
    programs::status(&mut command).unwrap();
    assert_eq!(
        (std::fs::read_to_string(&file).unwrap().as_str(), file.metadata().unwrap().uid()),
        ("one\n", 0)
    );
}

#[test]
fn masks_of_an_ordinary_container_hold_against_all_capabilities() {
    requires!(root);
    let script = "probe umount /proc/timer_list; probe remount-rw /; probe remount-rw /sys; \
                  probe clear /proc/sys ro; probe bind /proc /mnt; probe mknod /dev/mem";
    let bundle = Bundle::sh(script).all_capabilities();
    let allow = "capabilities.all,seccomp.mount,process.new-privileges";
    let done = Container::new(bundle).global(&["--allow", allow]).run().ok();
    assert_eq!(done.stdout, "EINVAL\nEPERM\nEPERM\nEPERM\nEINVAL\nEPERM\n");
}

#[test]
fn an_override_leaves_the_container_the_hosts_ids() {
    requires!(root);
    let container =
        Container::new(Bundle::sh("cat /proc/self/uid_map")).global(&["--allow", "userns.host"]);
    let done = container.run().ok();
    assert_eq!(done.stdout.split_whitespace().collect::<Vec<_>>(), ["0", "0", "4294967295"]);
}

#[test]
fn explain_foretells_the_ids_and_takes_none() {
    requires!(root);
    let explain = |container: &Container| {
        let dir = container.bundle.dir().to_str().unwrap();
        let done = container
            .command("explain")
            .args(["--bundle", dir, "--format", "json", &container.id])
            .done();
        assert!(done.status.success(), "{}", done.stderr);
        let text: Value = serde_json::from_str(&done.stdout).unwrap();
        text["spec"]["linux"]["uidMappings"][0]["hostID"].as_u64().unwrap()
    };
    let comes_true = |_| {
        let container = Container::new(sleeping());
        let first = u32::try_from(explain(&container)).unwrap();
        assert!(held_by(&container).is_empty());
        map_of(container.up().pid()).0 == first
    };
    // Somebody else on this host may take just that range in between; but not three times.
    assert!((0..3).any(comes_true));
}

#[test]
fn hooks_run_with_the_hosts_ids() {
    requires!(root);
    let bundle = sleeping();
    let out = bundle.dir().join("out");
    let hook = bundle.dir().join("hook");
    programs::write(&hook, format!("#!/bin/sh\ncat /proc/self/uid_map > {}\n", out.display()));
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let bundle = bundle.edit(|c| c["hooks"] = json!({"createRuntime": [{"path": hook}]}));
    let _container = Container::new(bundle).global(&["--allow", "hooks.untrusted"]).up();
    let text = std::fs::read_to_string(&out).unwrap();
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["0", "0", "4294967295"]);
}

#[test]
fn what_a_tmpfs_takes_over_from_the_image_keeps_its_owners() {
    requires!(root);
    let bundle = Bundle::sh("stat -c %u:%g /run /run/svc /run/svc/pid");
    let dir = bundle.rootfs().join("run/svc");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("pid"), "").unwrap();
    for path in [dir.clone(), dir.join("pid")] {
        std::os::unix::fs::chown(path, Some(101), Some(102)).unwrap();
    }
    let container = Container::new(bundle.edit(|c| c["root"]["readonly"] = json!(false)));
    assert_eq!(container.run().ok().stdout, "0:0\n101:102\n101:102\n");
}

#[test]
fn a_volume_that_follows_the_host_is_warned_about() {
    requires!(root);
    let said = |options: &[&str], global: &[&str]| {
        let bundle = Bundle::sh("true");
        let volume = bundle.dir().join("volume");
        std::fs::create_dir(&volume).unwrap();
        let log = bundle.dir().join("log");
        let mut words = vec!["--log", log.to_str().unwrap()];
        words.extend(global);
        let container = Container::new(bundle.bind(&volume, "/v", options)).global(&words);
        container.run().ok();
        // Nothing to say is no file.
        std::fs::read_to_string(&log).unwrap_or_default()
    };
    let warning = said(&["rslave"], &[]);
    assert!(warning.contains("level=warning") && warning.contains("userns.host"), "{warning}");
    assert_eq!(said(&["rprivate"], &[]), "");
    assert_eq!(said(&["rslave"], &["--allow", "userns.host"]), "");
}

/// Files of the pool that are about this container.
pub fn held_by(container: &Container) -> Vec<PathBuf> {
    let state = container.state_dir();
    let is_ours = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let owner: Value = serde_json::from_str(&text).unwrap_or_default();
        owner["state"].as_str() == state.to_str()
    };
    let entries = std::fs::read_dir("/run/casemate-ids").unwrap().flatten();
    entries.map(|entry| entry.path()).filter(is_ours).collect()
}
