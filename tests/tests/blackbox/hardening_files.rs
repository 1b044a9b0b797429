//! Files that the runtime writes for its caller, and files that it believes: in directories that somebody else may write.

use casemate_tests::scratch::Dir;
use casemate_tests::{programs, requires, Bundle, Container};
use serde_json::json;
use std::os::unix::fs::{chown, symlink, PermissionsExt};
use std::path::Path;
use std::process::Command;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A directory of somebody's who is not root.
fn of_another() -> Dir {
    let dir = Dir::new("theirs");
    chown(dir.path(), Some(1000), Some(1000)).unwrap();
    set_mode(dir.path(), 0o777);
    dir
}

/// Who knows which pid comes next, also knew the name under which the file was written first.
#[test]
fn a_pid_file_is_not_written_through_a_link_that_somebody_put_there() {
    requires!(root);
    let (theirs, ours) = (of_another(), Dir::new("ours"));
    let victim = ours.path().join("victim");
    casemate_tests::bundle::write(&victim, "of root");
    let latest = programs::output(Command::new("sh").args(["-c", "echo $$"])).unwrap();
    let latest: u32 = String::from_utf8_lossy(&latest.stdout).trim().parse().unwrap();
    for pid in latest..latest + 3000 {
        symlink(&victim, theirs.path().join(format!(".init.pid.{pid}"))).unwrap();
    }
    let container = Container::new(Bundle::sh("sleep 600"));
    let file = theirs.path().join("init.pid");
    container.create_command(&["--pid-file", file.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), container.pid().to_string());
    assert!(!file.is_symlink());
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "of root");
}

#[test]
fn a_pid_file_replaces_nothing_but_a_regular_file() {
    requires!(root);
    let dir = Dir::new("pid");
    let (victim, file) = (dir.path().join("victim"), dir.path().join("pid"));
    casemate_tests::bundle::write(&victim, "of root");
    let running = Container::new(Bundle::sh("sleep 600")).up();
    let refused = |what: &str| {
        let container = Container::new(Bundle::sh("true"));
        let options = ["--pid-file", file.to_str().unwrap()];
        let mut texts = vec![container.create_command(&options).refused()];
        assert_eq!(container.leftovers(), Vec::<String>::new(), "{what}");
        texts.push(running.exec_command(&options, &["true"]).refused());
        for text in texts {
            assert!(text.contains("--pid-file") && text.contains("not a regular file"), "{text}");
        }
    };
    symlink(&victim, &file).unwrap();
    refused("link");
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "of root");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    refused("directory");
    std::fs::remove_dir(&file).unwrap();
    let made = programs::output(Command::new("mkfifo").arg(&file)).unwrap();
    assert!(made.status.success());
    refused("pipe");
    std::fs::remove_file(&file).unwrap();

    casemate_tests::bundle::write(&file, "1");
    running.exec_command(&["--detach", "--pid-file", file.to_str().unwrap()], &["true"]).ok();
    assert_ne!(std::fs::read_to_string(&file).unwrap(), "1");
    let names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

/// A record names programs: root must not run what somebody else has put there.
#[test]
fn a_state_root_of_another_user_is_not_used() {
    requires!(root);
    let dir = Dir::new("root");
    let root = dir.path().join("state");
    let seen = dir.path().join("seen");
    let bundle = Bundle::sh("true").edit(|c| {
        c["hooks"]["poststop"] = json!([{"path": "/bin/touch", "args": ["touch", seen]}]);
    });
    let container = Container::new(bundle).in_root(&root).verbatim();
    container.create().ok();
    let refused = |reason: &str| {
        let verbs: [(&str, &[&str]); 5] = [
            ("delete", &["--force"]),
            ("delete", &[]),
            ("state", &[]),
            ("start", &[]),
            ("kill", &[]),
        ];
        for (verb, options) in verbs {
            let text = container.verb(verb, options).refused();
            assert!(text.contains("state root") && text.contains(reason), "{verb}: {text}");
        }
        let other = Container::new(Bundle::sh("true")).in_root(&root);
        assert!(other.create().refused().contains(reason));
        assert!(!seen.exists(), "its hook has run");
    };
    chown(&root, Some(1000), Some(1000)).unwrap();
    refused("belongs to uid 1000");
    chown(&root, Some(0), Some(1000)).unwrap();
    set_mode(&root, 0o770);
    refused("its group 1000 may write it");
    set_mode(&root, 0o707);
    refused("everybody may write it");
    chown(&root, Some(0), Some(0)).unwrap();
    set_mode(&root, 0o755);
    container.delete().ok();
    assert!(seen.exists());
}

/// As /tmp: who may write the directory above puts no other in its place.
#[test]
fn a_state_root_may_lie_in_a_directory_for_all() {
    requires!(root);
    let dir = Dir::new("tmp");
    set_mode(dir.path(), 0o1777);
    let root = dir.path().join("state");
    let container = Container::new(Bundle::sh("true")).in_root(&root);
    container.run().ok();
}
