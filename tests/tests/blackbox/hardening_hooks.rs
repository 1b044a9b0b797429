//! Hooks of the default profile: programs that nobody but root can change, and that end.

use casemate_tests::scratch::Dir;
use casemate_tests::{programs, requires, Bundle, Container};
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
            "(rule hooks.trusted); allow with --allow hooks.untrusted, or annotation org.casemate.allow/hooks.untrusted=true";
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

/// A node policy with these lines in `[values]`.
fn policy(values: &str) -> Dir {
    let dir = Dir::new("policy");
    std::fs::write(dir.path().join("policy.toml"), format!("[values]\n{values}\n")).unwrap();
    dir
}

fn sha256(path: &Path) -> String {
    let out = programs::output(std::process::Command::new("sha256sum").arg(path)).unwrap();
    String::from_utf8(out.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

fn under(container: Container, policy: &Dir) -> Container {
    container.global(&["--policy-dir", policy.path().to_str().unwrap()])
}

#[test]
fn where_the_policy_lists_hooks_no_others_run() {
    requires!(root);
    let dir = Dir::new("hook");
    let seen = dir.path().join("seen");
    let hook = script(&dir, &format!("touch {}", seen.display()));
    let refused = |policy: &Dir, why: &str| {
        let container = under(with(&hook), policy);
        let text = container.run().refused();
        assert!(text.contains("hooks.createRuntime[0]: ") && text.contains(why), "{text}");
        assert!(text.contains("(rule hooks.allow)"), "{text}");
        assert_eq!(container.leftovers(), Vec::<String>::new());
        assert!(!seen.exists());
    };
    refused(&policy("\"hooks.allow\" = []"), "is not in hooks.allow of the node policy");
    refused(&policy("\"hooks.allow\" = [\"/bin/true\"]"), "is not in hooks.allow");
    let listed = |digest: &str| {
        let path = hook.display();
        policy(&format!("\"hooks.allow\" = [{{ path = \"{path}\", sha256 = \"{digest}\" }}]"))
    };
    let digest = sha256(&hook);
    refused(&listed(&sha256(Path::new("/bin/true"))), &format!("is sha256 {digest}"));
    assert_eq!(under(with(&hook), &listed(&digest)).output().stdout, "ran\n");
    assert!(seen.exists());
    let by_path = policy(&format!("\"hooks.allow\" = [\"{}\"]", hook.display()));
    assert_eq!(under(with(&hook), &by_path).output().stdout, "ran\n");
    // Another name of the same program, as dockerd gives itself one.
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&hook, &link).unwrap();
    assert_eq!(under(with(&link), &by_path).output().stdout, "ran\n");
    let nothing = policy("\"hooks.allow\" = []");
    let allowed = under(with(&hook), &nothing).global(&["--allow", "hooks.unlisted"]);
    assert_eq!(allowed.output().stdout, "ran\n");
}

#[test]
fn a_listed_hook_gets_the_variables_that_its_entry_names() {
    requires!(root);
    let dir = Dir::new("hook");
    let seen = dir.path().join("seen");
    let hook = script(&dir, &format!("env >{}", seen.display()));
    let digest = sha256(&hook);
    let run = |entry: &str, options: &[&str]| {
        let entry =
            format!("{{ path = {:?}, sha256 = {digest:?}{entry} }}", hook.display().to_string());
        let env = [
            "LD_LIBRARY_PATH=/tmp",
            "BASH_ENV=/tmp/x",
            "MODE=quiet",
            "LANG=C",
            "PATH=/tmp:/usr/bin:/bin",
        ];
        let bundle = Bundle::sh("true").edit(|c| {
            c["hooks"]["createRuntime"] = json!([{"path": hook, "env": env}]);
        });
        let list = policy(&format!("\"hooks.allow\" = [{entry}]"));
        under(Container::new(bundle), &list).global(options).run().ok();
        let text = std::fs::read_to_string(&seen).unwrap();
        let own = ["PWD", "SHLVL", "_", "OLDPWD"];
        let mut left: Vec<String> = text
            .lines()
            .filter(|line| !own.contains(&line.split('=').next().unwrap()))
            .map(str::to_owned)
            .collect();
        left.sort();
        left
    };
    assert_eq!(run("", &[]), ["LANG=C", "PATH=/usr/bin:/bin"]);
    // A shell that is given none makes itself a PATH, and does not export it.
    assert_eq!(
        run(", env = [\"MODE=quiet\", \"PATH\"]", &[]),
        ["MODE=quiet", "PATH=/tmp:/usr/bin:/bin"]
    );
    let all = run("", &["--allow", "hooks.unlisted"]);
    assert!(all.contains(&"BASH_ENV=/tmp/x".to_owned()), "{all:?}");
}

#[test]
fn the_digest_of_a_hook_is_kept_with_the_container_and_shown() {
    requires!(root);
    let dir = Dir::new("hook");
    let hook = script(&dir, "exit 0");
    let list = policy(&format!("\"hooks.allow\" = [\"{}\"]", hook.display()));
    let made = under(with(&hook), &list);
    made.create().ok();
    let digests = |container: &Container| {
        let bytes = std::fs::read(container.state_dir().join("posture.json")).unwrap();
        let posture: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        posture["hookDigests"].clone()
    };
    let digest = sha256(&hook);
    assert_eq!(digests(&made), json!({"/hooks/createRuntime/0": digest}));
    let audit = made.command("audit").args(["--format", "json", &made.id]).done();
    assert!(audit.stdout.contains(&format!("sha256:{digest}")), "{}", audit.stdout);
    // Nobody asks: nothing is read.
    let quiet = with(&hook);
    quiet.create().ok();
    assert_eq!(digests(&quiet), serde_json::Value::Null);
}

#[test]
fn a_list_of_hooks_with_a_mistake_starts_nothing() {
    requires!(root);
    for (line, wanted) in [
        ("\"hooks.allow\" = [\"true\"]", "the path of a hook is absolute"),
        ("\"hooks.allow\" = [{ path = \"/x\", sha256 = \"12\" }]", "64 hexadecimal digits"),
        ("\"hooks.allow\" = [{ path = \"/x\", md5 = \"12\" }]", "a path, or a table"),
        ("\"hooks.allow\" = [{ path = \"/x\", env = [\"=x\"] }]", "neither NAME nor NAME=VALUE"),
    ] {
        let text = under(with(Path::new("/bin/true")), &policy(line)).run().refused();
        assert!(text.contains(wanted) && text.contains("policy.toml:2"), "{text}");
    }
}
