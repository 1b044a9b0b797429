//! Hooks of the default profile: programs that nobody but root can change, and that end.

use casemate_tests::scratch::Dir;
use casemate_tests::{requires, Bundle, Container};
use serde_json::json;
use std::os::unix::fs::{chown, PermissionsExt};
use std::path::{Path, PathBuf};

fn script(dir: &Dir, text: &str) -> PathBuf {
    let path = dir.path().join("hook");
    casemate_tests::bundle::write(&path, format!("#!/bin/sh\n{text}\n"));
    set_mode(&path, 0o755);
    set_mode(dir.path(), 0o755);
    path
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn with(hook: &Path) -> Container {
    Container::new(
        Bundle::sh("echo ran").edit(|c| c["hooks"]["createRuntime"] = json!([{"path": hook}])),
    )
}

#[test]
fn a_hook_that_others_can_change_is_refused_and_does_not_run() {
    requires!(root);
    let dir = Dir::new("hook");
    let seen = dir.path().join("seen");
    let hook = script(&dir, &format!("touch {}", seen.display()));
    let refused = |why: &str| {
        let container = with(&hook);
        let text = container.run().refused();
        let rule =
            "(rule hooks.trusted); allow with annotation org.casemate.allow/hooks.untrusted=true";
        assert!(text.contains("hooks.createRuntime[0]: ") && text.contains(why), "{text}");
        assert!(text.contains(rule), "{text}");
        assert_eq!(container.leftovers(), Vec::<String>::new());
        assert!(!seen.exists());
    };
    set_mode(&hook, 0o775);
    refused("may be written by others (mode 0775)");
    set_mode(&hook, 0o755);
    chown(&hook, Some(1000), None).unwrap();
    refused("belongs to uid 1000");
    chown(&hook, Some(0), None).unwrap();
    set_mode(dir.path(), 0o757);
    refused("may be written by others (mode 0757)");
    set_mode(dir.path(), 0o755);
    assert_eq!(with(&hook).output().stdout, "ran\n");
    assert!(seen.exists());
}

#[test]
fn an_override_runs_it_all_the_same() {
    requires!(root);
    let dir = Dir::new("hook");
    let seen = dir.path().join("seen");
    let hook = script(&dir, &format!("touch {}", seen.display()));
    set_mode(&hook, 0o777);
    with(&hook).global(&["--allow", "hooks.untrusted"]).run().ok();
    assert!(seen.exists());
}

#[test]
fn a_hook_that_names_no_time_gets_half_a_minute() {
    requires!(root);
    let container = with(Path::new("/bin/true"));
    let done =
        container.command("explain").args(["--bundle"]).args([container.bundle.dir()]).done();
    assert!(
        done.stdout.contains("timeout") || done.stdout.contains("hooks.trusted"),
        "{}",
        done.stdout
    );
    let made = with(Path::new("/bin/true"));
    made.create().ok();
    assert_eq!(made.record()["spec"]["spec"]["hooks"]["createRuntime"][0]["timeout"], 30);
}

#[test]
fn a_hook_of_an_engine_named_by_its_process_is_trusted() {
    requires!(root);
    // dockerd names itself so; here it is the test's own program, which lists its tests and ends.
    let exe = std::env::current_exe().unwrap();
    let trusted = exe.ancestors().skip(1).all(|dir| {
        let mode = dir.metadata().unwrap().permissions().mode();
        mode & 0o022 == 0 || mode & 0o1000 != 0
    });
    if !trusted {
        return;
    }
    let own = format!("/proc/{}/exe", std::process::id());
    let container = Container::new(Bundle::sh("echo ran").edit(|c| {
        c["hooks"]["prestart"] = json!([{"path": own, "args": [own, "--list"]}]);
    }));
    assert_eq!(container.output().stdout, "ran\n");
}
