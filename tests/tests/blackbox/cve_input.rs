//! Names, paths and documents that are too long, too many, or shaped to lead somewhere else.

use casemate_tests::bundle::write;
use casemate_tests::{host, programs, requires, Bundle, Canary, Cmd, Container};
use serde_json::{json, Value};
use std::path::Path;

fn listing(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn an_id_cannot_lead_out_of_the_state_root() {
    requires!(root);
    let canary = Canary::new();
    let container = Container::new(Bundle::sh("sleep 600"));
    container.create().ok();
    let root = container.root();
    let (inside, beside) = (listing(&root), listing(root.parent().unwrap()));
    let long = "a".repeat(4096);
    let ids = [
        "..",
        ".",
        "",
        "/",
        "a/b",
        "../x",
        "a/../../x",
        "/etc",
        &long,
        "a b",
        "a\nb",
        "-x",
        "a\u{e9}",
        "%2e%2e",
    ];
    let run = |args: &[&str]| {
        Cmd::new(host::runtime(), container.bundle.dir())
            .args([Path::new("--root"), &root])
            .args(args)
            .done()
    };
    let bundle = container.bundle.dir().to_str().unwrap();
    for id in ids {
        let about = |verb: &str, done: &casemate_tests::Done| {
            format!("{verb} {id:?}: {}{}", done.stdout, done.stderr)
        };
        for verb in ["create", "run"] {
            let done = run(&[verb, "--bundle", bundle, id]);
            assert_ne!(done.code(), 0, "{}", about(verb, &done));
        }
        for verb in [
            &["state", id][..],
            &["start", id],
            &["kill", id, "KILL"],
            &["exec", id, "true"],
            &["ps", id],
        ] {
            let done = run(verb);
            assert_ne!(done.code(), 0, "{}", about(verb[0], &done));
        }
        run(&["delete", "--force", id]);
        assert_eq!(listing(&root), inside, "{id:?}");
        let files = |names: &[String]| -> Vec<String> {
            names
                .iter()
                .filter(|n| !n.starts_with("out.") && !n.starts_with("err."))
                .cloned()
                .collect()
        };
        assert_eq!(files(&listing(root.parent().unwrap())), files(&beside), "{id:?}");
    }
    assert_eq!(container.state()["status"], "created");
    // Odd but harmless, and not hidden from whoever looks.
    let hidden = format!(".{}", container.id);
    let done = run(&["create", "--bundle", bundle, &hidden]);
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let list = run(&["list", "--quiet"]);
    run(&["delete", "--force", &hidden]);
    assert!(list.stdout.lines().any(|id| id == hidden), "{}", list.stdout);
    canary.check();
}

#[test]
fn a_cgroups_path_cannot_lead_out_of_the_hierarchy() {
    requires!(root);
    let canary = Canary::new();
    let long = format!("/{}", "a".repeat(300));
    for path in ["/../..", "a/../../b", "..", "/a/..", "/", "//", "/a\nb", &long, "/a/./../../../b"]
    {
        let bundle = Bundle::sh("true").edit(|c| c["linux"]["cgroupsPath"] = json!(path));
        let container = Container::new(bundle).verbatim();
        let message = container.run().refused();
        assert!(message.contains("cgroup"), "{path:?}: {message}");
        assert_eq!(container.leftovers(), Vec::<String>::new());
    }
    canary.check();
}

#[test]
fn a_cgroups_path_above_other_cgroups_does_not_reach_their_processes() {
    requires!(root);
    requires!(host::cgroup_mount().is_some(), "needs cgroup2");
    let name = format!("casemate-test-{}-services", std::process::id());
    let services = host::cgroup_mount().unwrap().join(&name);
    let service = services.join("a");
    std::fs::create_dir_all(&service).unwrap();
    let mut process = programs::start(std::process::Command::new("sleep").arg("600")).unwrap();
    std::fs::write(service.join("cgroup.procs"), process.id().to_string()).unwrap();
    let bundle = Bundle::sh("true").edit(|c| {
        c["linux"]["cgroupsPath"] = json!(format!("/{name}"));
        c["linux"]["resources"]["unified"] = json!({"cgroup.max.depth": "7"});
    });
    let container = Container::new(bundle);
    let message = container.run().refused();
    let alive = process.try_wait().unwrap().is_none();
    let depth = std::fs::read_to_string(services.join("cgroup.max.depth")).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    let empty = container.run().refused();
    let kept = service.exists();
    std::fs::remove_dir(&service).unwrap();
    // Nothing below any more: an empty one is taken, and given back.
    container.run().ok();
    container.delete().done();
    let after = std::fs::read_to_string(services.join("cgroup.max.depth")).unwrap();
    std::fs::remove_dir(&services).unwrap();
    assert!(message.contains("container's cgroup is not empty: 1 process(es)"), "{message}");
    assert!(empty.contains("container's cgroup is not empty: 1 cgroup(s)"), "{empty}");
    assert!(alive && kept);
    assert_eq!((depth.as_str(), after.as_str()), ("max\n", "max\n"));
}

/// What freezes or ends a container does so with all that is below its cgroup.
#[test]
fn a_cgroup_is_not_made_in_that_of_another_container() {
    requires!(root);
    requires!(host::cgroup_mount().is_some(), "needs cgroup2");
    let name = format!("casemate-test-{}-owned", std::process::id());
    let at = |path: &str| {
        let path = format!("/{name}{path}");
        Bundle::sh("sleep 600").edit(move |c| c["linux"]["cgroupsPath"] = json!(path))
    };
    let first = Container::new(at("/a")).up();
    let beside = Container::new(at("/b"));
    beside.create().ok();
    for path in ["/a/x", "/a/x/y", "/a"] {
        let message = Container::new(at(path)).create().refused();
        assert!(message.contains(&format!("the cgroup of container {}", first.id)), "{message}");
    }
    assert!(!host::cgroup_mount().unwrap().join(&name).join("a/x").exists());
    // A name that systemd's slices have is a container's too.
    let slice = Container::new(at("/c.slice")).up();
    let message = Container::new(at("/c.slice/x")).create().refused();
    assert!(message.contains(&format!("the cgroup of container {}", slice.id)), "{message}");
    slice.command("delete").args(["--force", slice.id.as_str()]).ok();
    // One whose process has ended keeps it until it is deleted.
    first.kill("KILL").ok();
    first.wait_status("stopped");
    let message = Container::new(at("/a")).create().refused();
    assert!(message.contains(first.id.as_str()), "{message}");
    first.command("delete").args(["--force", first.id.as_str()]).ok();
    Container::new(at("/a")).create().ok();
    // What nobody has any more is nobody's.
    beside.kill("KILL").ok();
    beside.wait_status("stopped");
    std::fs::remove_dir_all(beside.state_dir()).unwrap();
    Container::new(at("/b")).create().ok();
    let top = host::cgroup_mount().unwrap().join(&name);
    // It was there before, and was given back.
    std::fs::remove_dir(top.join("b")).unwrap();
    std::fs::remove_dir(top).unwrap();
}

/// On Linux 6.18 a process that is born into a cgroup dies at once if cgroup.kill has ever been written there.
#[test]
fn a_cgroup_that_was_there_before_can_be_used_again_and_again() {
    requires!(root);
    requires!(host::cgroup_mount().is_some(), "needs cgroup2");
    let name = format!("casemate-test-{}-again", std::process::id());
    let own = host::cgroup_mount().unwrap().join(&name);
    std::fs::create_dir_all(&own).unwrap();
    let made = || {
        let bundle = Bundle::sh("echo ran=1; sleep 600");
        Container::new(bundle.edit(|c| c["linux"]["cgroupsPath"] = json!(format!("/{name}"))))
    };
    for end in ["delete", "kill"] {
        let container = made().up();
        if end == "kill" {
            container.command("kill").args(["--all", container.id.as_str(), "KILL"]).ok();
        }
        container.command("delete").args(["--force", container.id.as_str()]).ok();
    }
    let container = made().up();
    container.exec("true").ok();
    container.command("delete").args(["--force", container.id.as_str()]).ok();
    std::fs::remove_dir(&own).unwrap();
}

#[test]
fn a_cgroups_path_is_not_deeper_or_longer_than_one_line_can_say() {
    let deep = "/a".repeat(33);
    let long = format!("/{}", "a".repeat(4096));
    for path in [&deep, &long] {
        let bundle = Bundle::sh("true").edit(|c| c["linux"]["cgroupsPath"] = json!(path));
        let message = Container::new(bundle).run().refused();
        assert!(message.contains("linux.cgroupsPath") && message.contains("at most"), "{message}");
        assert!(message.len() < 300, "{message}");
    }
}

#[test]
fn a_configuration_that_is_a_fifo_is_refused_without_waiting() {
    let container = Container::new(Bundle::sh("true"));
    let config = container.bundle.dir().join("config.json");
    std::fs::remove_file(&config).unwrap();
    let mut mkfifo = std::process::Command::new("mkfifo");
    assert!(programs::status(mkfifo.arg(&config)).unwrap().success());
    // Not through `run_command`, which would write a configuration there.
    let command = container.command("run").args([Path::new("--bundle"), container.bundle.dir()]);
    let message = command.args([&container.id]).refused();
    assert!(message.contains("is not a regular file"), "{message}");
}

#[test]
fn a_process_or_resources_in_a_fifo_are_refused_without_waiting() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let fifo = container.bundle.dir().join("fifo");
    let mut mkfifo = std::process::Command::new("mkfifo");
    assert!(programs::status(mkfifo.arg(&fifo)).unwrap().success());
    for (verb, option) in [("exec", "--process"), ("update", "--resources")] {
        let command = container.command(verb).args([Path::new(option), &fifo]);
        let message = command.args([&container.id]).refused();
        assert!(message.contains("is not a regular file"), "{verb}: {message}");
    }
}

#[test]
fn a_process_in_a_pipe_that_the_caller_has_open_is_read() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let process =
        json!({"args": ["/bin/echo", "from a pipe"], "cwd": "/", "user": {"uid": 0, "gid": 0}});
    let mut echo = std::process::Command::new("echo");
    let mut writer =
        programs::start(echo.arg(process.to_string()).stdout(std::process::Stdio::piped()))
            .unwrap();
    let mut command = container.command("exec").args(["--process", "/dev/fd/0", &container.id]);
    command.inner.stdin(writer.stdout.take().unwrap());
    let done = command.ok();
    writer.wait().unwrap();
    assert!(done.stdout.contains("from a pipe"), "{}", done.stdout);
}

#[test]
fn a_cgroup_for_exec_stays_below_the_containers() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    for path in ["..", "../..", "/..", "a/../..", ":../..", "cpu:../.."] {
        let done =
            container.exec_command(&["--cgroup", path], &["cat", "/proc/self/cgroup"]).done();
        assert_ne!(done.code(), 0, "{path}: {}", done.stdout);
    }
}

#[test]
fn cve_2021_43784_many_mappings_are_taken_whole_or_refused() {
    requires!(root);
    let maps = |n: u32| -> Value {
        (0..n)
            .map(|i| json!({"containerID": i, "hostID": 200_000 + i * 2, "size": 1}))
            .collect::<Vec<_>>()
            .into()
    };
    // The kernel takes 340 lines, and less than a page of text: 300 of these fit, 340 do not.
    for (count, fits) in [(300, true), (340, false), (341, false), (20_000, false)] {
        let bundle =
            Bundle::sh("wc -l < /proc/self/uid_map; id -u").user_namespace(200_000).edit(|c| {
                c["linux"]["uidMappings"] = maps(count);
                c["linux"]["gidMappings"] = maps(count);
            });
        let container = Container::new(bundle).verbatim();
        let done = container.run().done();
        match fits {
            true => assert_eq!(done.stdout, format!("{count}\n0\n"), "{}", done.stderr),
            false => {
                assert!(
                    done.stderr.contains("Mappings"),
                    "{count}: {}{}",
                    done.stdout,
                    done.stderr
                );
                assert!(done.stderr.len() < 1000, "{}", done.stderr);
            }
        }
        assert_eq!(container.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn cve_2021_43784_long_arguments_and_annotations_arrive_whole_or_not_at_all() {
    requires!(root);
    // 100 kB fit one argument (MAX_ARG_STRLEN is 128 KiB), 1 MiB do not.
    let long = "x".repeat(100_000);
    let bundle = Bundle::new()
        .args(&["sh", "-c", "echo n=${#1}-$(echo -n $V | wc -c)", "sh", &long])
        .edit(|c| {
            c["process"]["env"].as_array_mut().unwrap().push(json!(format!("V={long}")));
            c["annotations"] = json!({"one": "y".repeat(1 << 20)});
        });
    let container = Container::new(bundle);
    let done = container.run().ok();
    assert_eq!(done.value("n"), "100000-100000");

    let bundle = Bundle::new().args(&["sh", "-c", "echo ran", &"x".repeat(1 << 20)]);
    let container = Container::new(bundle);
    let done = container.run().done();
    assert!(done.code() != 0 && done.stdout.is_empty(), "{}", done.stderr.len());
    assert_eq!(container.leftovers(), Vec::<String>::new());

    let many: Vec<Value> = (0..5000).map(|n| json!(format!("V{n}={n}"))).collect();
    let bundle = Bundle::sh("env | grep -c ^V")
        .edit(|c| c["process"]["env"].as_array_mut().unwrap().extend(many));
    assert_eq!(Container::new(bundle).run().ok().stdout.trim(), "5000");
}

#[test]
fn a_configuration_that_is_too_large_or_too_deep_is_refused() {
    requires!(root);
    let container = Container::new(Bundle::sh("true"));
    let file = container.bundle.dir().join("config.json");
    let run = || {
        container
            .command("run")
            .args([Path::new("--bundle"), container.bundle.dir()])
            .args([&container.id])
    };
    let valid = std::fs::read_to_string(&file).unwrap();
    let large = format!("{valid}{}", " ".repeat(17 << 20));
    let deep = format!("{{\"annotations\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let texts = [
        (large, "larger than"),
        (deep, "config.json"),
        (valid[..valid.len() / 2].to_owned(), "config.json"),
        (String::new(), "config.json"),
        ("null".to_owned(), "config.json"),
        (format!("{valid}{valid}"), "config.json"),
        (valid.replace("\"sh\"", "\"s\\u0000h\""), "process.args"),
        ("\u{feff}{}".to_owned(), "config.json"),
    ];
    for (text, expected) in texts {
        write(&file, &text);
        let message = run().refused();
        assert!(message.contains(expected), "{expected}: {message}");
    }
    // Not a file at all.
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
    run().refused();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

#[test]
fn paths_with_nul_bytes_are_refused_and_never_cut_short() {
    requires!(root);
    let canary = Canary::new();
    let nul = "/etc\u{0}/x";
    type Change = Box<dyn Fn(&mut Value)>;
    let changes: Vec<(&str, Change)> = vec![
        ("root.path", Box::new(move |c| c["root"]["path"] = json!("rootfs\u{0}x"))),
        ("process.cwd", Box::new(move |c| c["process"]["cwd"] = json!(nul))),
        (
            "process.env",
            Box::new(move |c| c["process"]["env"] = json!(["PATH=/bin", "A=\u{0}B=1"])),
        ),
        ("maskedPaths", Box::new(move |c| c["linux"]["maskedPaths"] = json!([nul]))),
        ("readonlyPaths", Box::new(move |c| c["linux"]["readonlyPaths"] = json!([nul]))),
        ("hostname", Box::new(move |c| c["hostname"] = json!("a\u{0}b"))),
        ("cgroupsPath", Box::new(move |c| c["linux"]["cgroupsPath"] = json!("/a\u{0}b"))),
        ("mounts", Box::new(move |c| c["mounts"][1]["destination"] = json!("/dev\u{0}x"))),
        ("mounts", Box::new(move |c| c["mounts"][1]["source"] = json!("tmp\u{0}fs"))),
        (
            "hooks",
            Box::new(move |c| c["hooks"] = json!({"createRuntime": [{"path": "/bin/true\u{0}x"}]})),
        ),
    ];
    for (name, change) in changes {
        let container = Container::new(Bundle::sh("true").edit(|c| change(c))).verbatim();
        let message = container.run().refused();
        assert!(message.contains(name), "{name}: {message}");
        assert_eq!(container.leftovers(), Vec::<String>::new());
    }
    canary.check();
}

#[test]
fn mounts_on_top_of_each_other_leave_the_last_visible_and_the_masks_in_force() {
    requires!(root);
    let canary = Canary::new();
    let mut bundle = Bundle::sh(
        "cat /data/name; wc -c < /proc/timer_list; probe open w /proc/sys/kernel/core_pattern; \
         grep -c ' /data ' /proc/self/mountinfo",
    );
    for name in ["first", "second"] {
        let dir = bundle.dir().join(name);
        std::fs::create_dir(&dir).unwrap();
        write(&dir.join("name"), name);
        bundle = bundle.bind(&dir, "/data", &["ro"]);
    }
    // Over the parent of what is masked, and a mask of a path that a mount covers.
    let bundle = bundle.edit(|c| {
        c["linux"]["maskedPaths"]
            .as_array_mut()
            .unwrap()
            .extend([json!("/proc/timer_list"), json!("/data/first")]);
        c["linux"]["readonlyPaths"]
            .as_array_mut()
            .unwrap()
            .extend([json!("/proc/sys"), json!("/proc/sys/kernel")]);
    });
    let done = Container::new(bundle).verbatim().run().ok();
    assert_eq!(done.stdout, "second0\nEROFS\n2\n");
    canary.check();
}
