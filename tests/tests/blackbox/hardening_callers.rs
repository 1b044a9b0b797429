//! What a caller hands over, and asks for, beside the configuration: a terminal's socket, no keyring, its own uid.

use casemate_sys::socket::{self, Kind};
use casemate_tests::scratch::Dir;
use casemate_tests::{requires, Bundle, Container};
use serde_json::json;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const STRANGER: u32 = 4713;

/// A socket that a process of another user listens on.
fn foreign_listener(path: PathBuf) -> OwnedFd {
    let listen = move || {
        // SAFETY: a system call of plain numbers, which changes this thread alone; the thread ends behind it.
        let changed = unsafe { libc::syscall(libc::SYS_setresuid, -1, STRANGER, -1) };
        assert_eq!(changed, 0);
        socket::listen(&path, Kind::Stream).unwrap()
    };
    std::thread::spawn(listen).join().unwrap()
}

fn open_dir() -> Dir {
    let dir = Dir::new("console");
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    dir
}

fn console(dir: &Dir) -> [String; 2] {
    ["--console-socket".to_owned(), dir.path().join("tty").to_str().unwrap().to_owned()]
}

fn with_terminal() -> Bundle {
    Bundle::sh("sleep 600").edit(|c| c["process"]["terminal"] = json!(true))
}

#[test]
fn a_terminal_is_not_handed_to_another_user() {
    requires!(root);
    let dir = open_dir();
    let _listener = foreign_listener(dir.path().join("tty"));
    let options = console(&dir);
    let options = options.each_ref().map(String::as_str);
    let container = Container::new(with_terminal());
    let text = container.create_command(&options).refused();
    assert!(text.contains(&format!("is listened on by uid {STRANGER}")), "{text}");
    let rule = "(rule console.peer); allow with --allow console.foreign, or annotation org.casemate.allow/console.foreign=true";
    assert!(text.contains(rule), "{text}");
    assert_eq!(container.leftovers(), Vec::<String>::new());
    // By the same rule for exec, and by a word of the operator's for both.
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let exec = [&options[..], &["--tty", "--detach"]].concat();
    let text = container.exec_command(&exec, &["true"]).refused();
    assert!(text.contains("(rule console.peer)"), "{text}");
    Container::new(with_terminal())
        .global(&["--allow", "console.foreign"])
        .create_command(&options)
        .ok();
    Container::new(with_terminal()).verbatim().create_command(&options).ok();
}

#[test]
fn the_callers_session_keyring_stays_with_the_caller() {
    requires!(root);
    let named = |allow: &str| {
        let container =
            Container::new(Bundle::new().args(&["probe", "keyring"])).global(&["--allow", allow]);
        container.run_command(&["--no-new-keyring"]).ok().value("keyring").to_owned()
    };
    // Without the calls the payload could not tell: with them it has a keyring of a secret name.
    let own = named("seccomp.keyring");
    assert!(own.contains(";_ses."), "{own}");
    let inherited = named("seccomp.keyring,keyring.inherited");
    assert!(!inherited.contains(";_ses."), "{inherited}");
    let container = Container::new(Bundle::sh("sleep 600"));
    container.create_command(&["--no-new-keyring"]).ok();
    let decisions = std::fs::read_to_string(container.state_dir().join("decisions.json")).unwrap();
    assert!(decisions.contains("\"rule\":\"process.keyring\""), "{decisions}");
    assert!(decisions.contains("--no-new-keyring would give"), "{decisions}");
}

fn refused_root(path: &Path, shown: &str, name: &str) {
    let container = Container::new(Bundle::sh("true").edit(|c| c["root"]["path"] = json!(path)));
    let text = container.run().refused();
    assert!(text.contains(&format!("root.path {shown}")), "{text}");
    let rule =
        format!("(rule mounts.sources); allow with --allow {name}, or annotation org.casemate.allow/{name}=true");
    assert!(text.contains(&rule), "{text}");
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

#[test]
fn the_hosts_own_tree_is_no_root_file_system() {
    requires!(root);
    for (path, name) in [
        ("/", "mounts.host-root"),
        ("/usr/..", "mounts.host-root"),
        ("/etc", "mounts.host-etc"),
        ("/usr/bin", "mounts.host-system"),
        ("/usr", "mounts.host-system"),
    ] {
        refused_root(Path::new(path), path, name);
    }
    let dir = Dir::new("root");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("/", &link).unwrap();
    refused_root(&link, link.to_str().unwrap(), "mounts.host-root");
}
