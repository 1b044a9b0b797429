//! What crosses the border as descriptors: terminals, preserved and activated descriptors, pidfds, readiness.

use casemate_sys::socket::{self, Kind};
use casemate_tests::{requires, wait, Bundle, Cmd, Container};
use serde_json::json;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The engine's side of `--console-socket`: one connection, one message, one descriptor.
fn accept(listener: &OwnedFd) -> (String, OwnedFd) {
    let connection = socket::accept(listener).unwrap();
    let mut buffer = [0u8; 4096];
    let (n, mut fds) = socket::receive(&connection, &mut buffer).unwrap();
    assert_eq!(fds.len(), 1, "exactly one descriptor");
    let (rest, more) = socket::receive(&connection, &mut [0u8; 8]).unwrap();
    assert_eq!((rest, more.len()), (0, 0), "nothing behind it");
    (String::from_utf8_lossy(&buffer[..n]).into_owned(), fds.remove(0))
}

/// Read a terminal until `text` has come, or its end.
fn read_until(master: &mut File, text: &str) -> String {
    let deadline = Instant::now() + wait::PATIENCE;
    let mut seen = String::new();
    let mut buffer = [0u8; 1024];
    while Instant::now() < deadline && !seen.contains(text) {
        match master.read(&mut buffer) {
            Ok(n) if n > 0 => seen.push_str(&String::from_utf8_lossy(&buffer[..n])),
            _ => break,
        }
    }
    seen
}

fn terminal(script: &str) -> Bundle {
    Bundle::sh(script).edit(|c| {
        c["process"]["terminal"] = json!(true);
        c["process"]["consoleSize"] = json!({"height": 33, "width": 99});
    })
}

#[test]
fn a_terminal_goes_to_the_console_socket() {
    requires!(root);
    let script = "stty size; tty; ls -l /dev/console | cut -c1; read word; echo got $word; stat -c owner=%u /dev/pts/0";
    let container = Container::new(
        terminal(script).edit(|c| c["process"]["user"] = json!({"uid": 5, "gid": 5})),
    );
    let path = container.bundle.dir().join("console");
    let listener = socket::listen(&path, Kind::Stream).unwrap();
    container.create_command(&["--console-socket", path.to_str().unwrap()]).ok();
    let (name, master) = accept(&listener);
    assert!(name.starts_with("/dev/pts/"), "{name}");
    // Nothing of the caller's streams is left in the container.
    for (number, target) in casemate_tests::host::descriptors(container.pid()).into_iter().take(3) {
        assert!(target.starts_with("/dev/pts/"), "{number} -> {}", target.display());
    }
    container.start().ok();
    let mut master = File::from(master);
    let seen = read_until(&mut master, "c\r\n");
    assert!(seen.contains("33 99") && seen.contains("/dev/pts/0"), "{seen}");
    master.write_all(b"hello\n").unwrap();
    let seen = read_until(&mut master, "owner=5");
    assert!(seen.contains("got hello") && seen.contains("owner=5"), "{seen}");
    container.wait_status("stopped");
}

#[test]
fn exec_has_a_terminal_of_its_own() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let path = container.bundle.dir().join("console");
    let listener = socket::listen(&path, Kind::Stream).unwrap();
    let process = json!({
        "terminal": true, "consoleSize": {"height": 12, "width": 34}, "cwd": "/", "user": {"uid": 0, "gid": 0},
        "args": ["sh", "-c", "stty size; sleep 600"], "env": ["PATH=/bin"]
    });
    let file = container.bundle.dir().join("process.json");
    casemate_tests::bundle::write(&file, process.to_string());
    let options = [
        "--detach",
        "--process",
        file.to_str().unwrap(),
        "--console-socket",
        path.to_str().unwrap(),
    ];
    container.exec_command(&options, &[]).ok();
    let (_, master) = accept(&listener);
    assert!(read_until(&mut File::from(master), "34").contains("12 34"));
}

#[test]
fn a_terminal_and_the_socket_for_it_are_asked_for_together() {
    requires!(root);
    let with = Container::new(terminal("true"));
    let text = with.create().refused();
    assert!(text.contains("cannot allocate tty"), "{text}");
    let path = with.bundle.dir().join("console");
    let _listener = socket::listen(&path, Kind::Stream).unwrap();
    let without = Container::new(Bundle::sh("true"));
    let text = without.create_command(&["--console-socket", path.to_str().unwrap()]).refused();
    assert!(text.contains("cannot use console socket"), "{text}");
    let text = with.create_command(&["--console-socket", "/no/such/socket"]).refused();
    assert!(text.contains("/no/such/socket"), "{text}");
    for container in [with, without] {
        assert_eq!(container.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn a_foreground_terminal_is_copied() {
    requires!(root);
    requires!(program "script");
    let container = Container::new(terminal("stty size; tty; exit 5"));
    container.bundle.save();
    let line = format!(
        "{} --root {} run --bundle {} {}",
        casemate_tests::host::runtime().display(),
        container.root().display(),
        container.bundle.dir().display(),
        container.id
    );
    let done = Cmd::new("script", container.bundle.dir())
        .args([
            "--quiet",
            "--return",
            "--command",
            &format!("stty rows 44 cols 77; {line}"),
            "/dev/null",
        ])
        .done();
    assert_eq!(done.code(), 5, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("44 77") && done.stdout.contains("/dev/pts/0"), "{}", done.stdout);
}

/// What a real terminal gets to show of a line that `casemate WORDS` runs on it.
fn on_a_terminal(container: &Container, words: &str) -> String {
    let line = format!(
        "{} --root {} {words}",
        casemate_tests::host::runtime().display(),
        container.root().display()
    );
    let command = Cmd::new("script", container.bundle.dir());
    let done = command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).ok();
    // Its input ends at once, which it tells the terminal, at any moment.
    done.stdout.replace("^@", "").replace("^D\u{8}\u{8}", "").replace("^D", "")
}

#[test]
fn lines_on_a_foreground_terminal_begin_at_its_left() {
    requires!(root);
    requires!(program "script");
    let script = "echo a; echo b; stty -a 2>/dev/null | grep -o -- '[-]*onlcr'";
    let container = Container::new(terminal(script));
    container.bundle.save();
    let run = format!("run --bundle {} {}", container.bundle.dir().display(), container.id);
    assert_eq!(on_a_terminal(&container, &run), "a\r\nb\r\n-onlcr\r\n");
    // Without a terminal there is nothing to be begun, from the first line on.
    assert_eq!(container.run().ok().stdout, "a\nb\n-onlcr\n");
    let up = Container::new(Bundle::sh("sleep 600")).up();
    let exec = format!("exec --tty {} sh -c 'echo a; echo b'", up.id);
    assert_eq!(on_a_terminal(&up, &exec), "a\r\nb\r\n");
}

#[test]
fn a_foreground_terminal_ends_when_what_feeds_it_ends() {
    requires!(root);
    // Standard input is /dev/null: without an end of its own the terminal would be waited for until the time is up.
    let container = Container::new(terminal("cat; echo over=1"));
    assert_eq!(container.run().ok().value("over"), "1");
}

/// Have the command start with these descriptors open: number, path.
fn with_fds(mut command: Cmd, fds: &'static [(i32, &std::ffi::CStr)]) -> Cmd {
    let open = move || {
        // SAFETY: system calls on constant strings, between fork and exec.
        unsafe {
            for (number, path) in fds {
                let fd = libc::open(path.as_ptr(), libc::O_RDONLY);
                if fd < 0 || (fd != *number && (libc::dup2(fd, *number) < 0 || libc::close(fd) < 0))
                {
                    return Err(std::io::Error::last_os_error());
                }
            }
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only.
    unsafe { command.inner.pre_exec(open) };
    command
}

#[test]
fn preserved_descriptors_reach_the_payload_with_their_holes() {
    requires!(root);
    let container = Container::new(Bundle::new().args(&["probe", "fds"]));
    let command = container.run_command(&["--preserve-fds", "4"]);
    let done = with_fds(command, &[(6, c"/dev/null"), (4, c"/dev/zero"), (9, c"/etc")]).done();
    // runc calls a hole an error, crun does not; podman sends them.
    if done.status.success() {
        assert_eq!(done.value("fds"), "0,1,2,4,6");
    } else {
        assert!(done.stderr.contains("preserved-fd"), "{}", done.stderr);
    }
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let command = container.exec_command(&["--preserve-fds", "1"], &["probe", "fds"]);
    assert_eq!(with_fds(command, &[(3, c"/dev/null"), (4, c"/etc")]).ok().value("fds"), "0,1,2,3");
}

#[test]
fn activated_descriptors_are_passed_on_only_to_whom_they_are_meant_for() {
    requires!(root);
    let script = "probe fds; echo listen=$LISTEN_FDS,$LISTEN_PID";
    let start = |global: &str, pid: &str, more: &str| {
        let container = Container::new(Bundle::sh(script));
        let run = format!(
            "export {pid} LISTEN_FDS=2; exec {} {global} --root {} run --bundle {} {more} {} 3</dev/null 4</dev/zero 5</dev/full",
            casemate_tests::host::runtime().display(),
            container.root().display(),
            container.bundle.dir().display(),
            container.id
        );
        Cmd::new("sh", container.bundle.dir()).args(["-c", &run]).ok()
    };
    let ours = start("", "LISTEN_PID=$$", "");
    assert_eq!((ours.value("fds"), ours.value("listen")), ("0,1,2,3,4", "2,1"));
    let both = start("", "LISTEN_PID=$$", "--preserve-fds 1");
    assert_eq!((both.value("fds"), both.value("listen")), ("0,1,2,3,4,5", "2,1"));
    for foreign in ["LISTEN_PID=1", "LISTEN_PID=", "OTHER=1"] {
        let foreign = start("", foreign, "");
        assert_eq!((foreign.value("fds"), foreign.value("listen")), ("0,1,2", ","));
    }
    let privileged = "--profile privileged";
    let to_anybody = start(privileged, "OTHER=1", "");
    assert_eq!((to_anybody.value("fds"), to_anybody.value("listen")), ("0,1,2,3,4", "2,1"));
    let foreign = start(privileged, "LISTEN_PID=1", "");
    assert_eq!((foreign.value("fds"), foreign.value("listen")), ("0,1,2", ","));
}

#[test]
fn a_pidfd_is_delivered_with_its_kind() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600"));
    let path = container.bundle.dir().join("pidfd");
    let listener = socket::listen(&path, Kind::Stream).unwrap();
    container.create_command(&["--pidfd-socket", path.to_str().unwrap()]).ok();
    let (kind, pidfd) = accept(&listener);
    assert_eq!((kind.as_str(), pid_of(&pidfd)), ("standard", container.pid()));
    container.start().ok();
    let pid_file = container.bundle.dir().join("exec.pid");
    let options = [
        "--detach",
        "--pid-file",
        pid_file.to_str().unwrap(),
        "--pidfd-socket",
        path.to_str().unwrap(),
    ];
    container.exec_command(&options, &["sleep", "600"]).ok();
    let (kind, pidfd) = accept(&listener);
    let pid: i32 = std::fs::read_to_string(pid_file).unwrap().parse().unwrap();
    assert_eq!((kind.as_str(), pid_of(&pidfd)), ("setns", pid));
}

fn pid_of(pidfd: &OwnedFd) -> i32 {
    use std::os::fd::AsRawFd;
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    text.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap().trim().parse().unwrap()
}

fn manager(dir: &Path) -> (UnixDatagram, String) {
    let path = dir.join("manager");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    (socket, path.display().to_string())
}

fn next(socket: &UnixDatagram) -> (String, usize) {
    let mut buffer = [0u8; 1024];
    let (n, fds) = socket::receive(socket, &mut buffer).unwrap();
    (String::from_utf8_lossy(&buffer[..n]).into_owned(), fds.len())
}

#[test]
fn readiness_and_nothing_else_reaches_the_service_manager() {
    requires!(root);
    let script = "probe notify \"$(printf 'STATUS=x\\nFDSTORE=1')\"; sleep 0.4; touch /tmp/sent; \
        probe notify \"$(printf 'READY=1\\nMAINPID=1')\"; ls -l /run/notify; touch /run/notify/x; sleep 600";
    for uid in [0, 1000] {
        let bundle = Bundle::sh(script).user_namespace(100_000).edit(|c| {
            c["process"]["user"] = json!({"uid": uid, "gid": uid});
            c["process"]["env"] = json!(["PATH=/bin", "NOTIFY_SOCKET=/wrong"]);
        });
        let container = Container::new(bundle);
        let (socket, path) = manager(container.bundle.dir());
        container.create().env("NOTIFY_SOCKET", &path).ok();
        // `start` has no such variable: what counts is what create found.
        let begun = Instant::now();
        let started = container.start().spawn();
        assert_eq!(next(&socket), ("READY=1".to_owned(), 0));
        assert_eq!(next(&socket), (format!("MAINPID={}", container.pid()), 0));
        assert_eq!(next(&socket), ("BARRIER=1".to_owned(), 1));
        assert!(started.done().status.success());
        assert!(
            begun.elapsed() >= Duration::from_millis(400),
            "start came back before the payload was ready"
        );
        container.delete().ok();
        assert_eq!(container.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn a_payload_that_ends_without_being_ready_does_not_hang_start_or_run() {
    requires!(root);
    for detached in [true, false] {
        let container = Container::new(Bundle::sh("sleep 0.2"));
        let (_socket, path) = manager(container.bundle.dir());
        let options: &[&str] = if detached { &["--detach"] } else { &[] };
        container.run_command(options).env("NOTIFY_SOCKET", &path).ok();
    }
    let container = Container::new(Bundle::sh("probe notify READY=1; exit 6"));
    let (socket, path) = manager(container.bundle.dir());
    assert_eq!(container.run().env("NOTIFY_SOCKET", &path).done().code(), 6);
    assert_eq!(next(&socket).0, "READY=1");
}
