//! What the caller wrote on the command line is the caller's: nobody in the container reads it from the runtime's processes.

use casemate_tests::{host, requires, wait, Bundle, Container};
use serde_json::json;
use std::path::PathBuf;

const SECRET: &str = "CORRECT-HORSE";

fn sleeping() -> Bundle {
    Bundle::sh("sleep 600")
}

/// What the kernel shows of a process: arguments and environment.
fn shown(pid: i32) -> String {
    let read = |file| std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
    String::from_utf8_lossy(&[read("cmdline"), read("environ")].concat()).into_owned()
}

/// The process that joins is born into a frozen cgroup: what is seen of it is what it has shown from the first moment on.
#[test]
fn a_process_that_joins_a_container_never_shows_the_arguments_of_exec() {
    requires!(root);
    requires!(host::cgroup_mount().is_some(), "needs a cgroup2 hierarchy");
    let container = Container::new(sleeping()).up();
    let init = container.pid();
    let procs: Vec<PathBuf> = host::cgroups_named(&container.id)
        .iter()
        .map(|dir| PathBuf::from(dir).join("cgroup.procs"))
        .filter(|file| file.exists() && file.with_file_name("cgroup.freeze").exists())
        .collect();
    assert!(!procs.is_empty());
    container.verb("pause", &[]).ok();
    let password = format!("PASSWORD={SECRET}");
    let exec = container.exec_command(
        &["--ignore-paused", "--env", &password],
        &["sh", "-c", "echo \"$PASSWORD\""],
    );
    let running = exec.env("OF_THE_CALLER", SECRET).spawn();
    let mut joining = 0;
    wait::until("a process joins", || {
        let texts = procs.iter().filter_map(|file| std::fs::read_to_string(file).ok());
        let pids: Vec<i32> = texts
            .flat_map(|t| t.lines().filter_map(|l| l.parse().ok()).collect::<Vec<_>>())
            .collect();
        joining = *pids.iter().find(|pid| **pid != init).ok_or(format!("{pids:?}"))?;
        Ok(())
    });
    let seen = shown(joining);
    // The parent has its own back, for whoever looks after this host.
    wait::until("the caller's process shows what it is", || {
        let seen = shown(running.pid());
        if seen.contains(&container.id) {
            Ok(())
        } else {
            Err(seen)
        }
    });
    container.verb("resume", &[]).ok();
    let done = running.done();
    assert_eq!(done.stdout, format!("{SECRET}\n"), "{}", done.stderr);
    assert!(seen.chars().all(|c| c == '\0'), "{seen:?}");
}

#[test]
fn a_created_container_does_not_show_the_arguments_of_create() {
    requires!(root);
    let container = Container::new(sleeping());
    container.create().env("OF_THE_CALLER", SECRET).ok();
    let seen = container.exec("cat /proc/1/cmdline; cat /proc/1/environ; true").ok().stdout;
    assert!(seen.chars().all(|c| c == '\0'), "{seen:?}");
    assert_eq!(shown(container.pid()).trim_matches('\0'), "");
}

/// The same from inside, as fast as a shell looks.
#[test]
fn a_container_that_looks_all_the_time_finds_no_arguments() {
    requires!(root);
    let script =
        "echo looking; while [ ! -e /v/stop ]; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; \
                  done 2>/dev/null | tr '\\0' '\\n' >> /v/seen";
    let bundle = Bundle::sh(script).bind_own("/v").edit(|c| {
        c["process"]["user"] = json!({"uid": 0, "gid": 0});
    });
    let shared = bundle.dir().join("shared");
    let container = Container::new(bundle);
    let mut running = container.run().spawn();
    running.wait_for("looking");
    for _ in 0..20 {
        // Not in the environment of the program itself, which is the container's to read.
        container.exec_command(&["--process-label", ""], &["true"]).env("CALLER", SECRET).ok();
    }
    std::fs::write(shared.join("stop"), "").unwrap();
    running.done();
    let seen = std::fs::read_to_string(shared.join("seen")).unwrap();
    assert!(seen.contains("/proc/"), "it has looked: {seen}");
    assert!(!seen.contains(SECRET) && !seen.contains("--process-label"), "{seen}");
}
