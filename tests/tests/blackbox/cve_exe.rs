//! CVE-2019-5736: the runtime's own binary, reachable for a payload through /proc/self/exe and /proc/PID/exe.

use casemate_tests::bundle::write;
use casemate_tests::{host, races, requires, wait, Bundle, Canary, Container};
use serde_json::json;
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The runtime's file, and proof that it stays as it is.
struct Runtime {
    content: Vec<u8>,
    canary: Canary,
}

impl Runtime {
    fn watch() -> Self {
        Self { content: std::fs::read(host::runtime()).unwrap(), canary: Canary::new() }
    }

    fn check(&self) {
        assert!(
            std::fs::read(host::runtime()).unwrap() == self.content,
            "the runtime was overwritten"
        );
        self.canary.check();
    }
}

fn exe(pid: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/exe"))
}

fn is_runtime(path: &Path) -> bool {
    let (a, b) = (std::fs::metadata(path).unwrap(), std::fs::metadata(host::runtime()).unwrap());
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[test]
fn cve_2019_5736_a_waiting_container_does_not_run_the_hosts_file() {
    requires!(root);
    let runtime = Runtime::watch();
    let container = Container::new(Bundle::sh("sleep 600")).verbatim();
    container.create().ok();
    let exe = exe(container.pid());
    assert!(!is_runtime(&exe), "init runs the host's own inode");
    let mapped = std::fs::read_dir(format!("/proc/{}/map_files", container.pid())).unwrap();
    for file in mapped.map(|entry| entry.unwrap().path()) {
        assert!(!is_runtime(&file), "init has the host's own inode in memory: {}", file.display());
    }
    // Not even root of the host can write to it, through the link or through the descriptor behind it.
    for path in [exe.clone(), PathBuf::from(format!("/proc/{}/map_files", container.pid()))] {
        let opened = std::fs::OpenOptions::new().write(true).open(&path);
        assert!(opened.is_err(), "{}", path.display());
    }
    // Nor when nobody executes it any more: a busy text alone would be a matter of time.
    let held = std::fs::File::open(&exe).unwrap();
    container.delete().ok();
    let again = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held));
    let error = std::fs::OpenOptions::new().write(true).open(again).unwrap_err();
    let raw = error.raw_os_error().unwrap();
    assert!([libc::EROFS, libc::EPERM, libc::EACCES].contains(&raw), "{error}");
    runtime.check();
}

#[test]
fn cve_2019_5736_the_protected_program_leaves_no_mark_in_a_container() {
    requires!(root);
    let runtime = Runtime::watch();
    let container = Container::new(Bundle::sh("sleep 600"));
    container.create().ok();
    assert!(!is_runtime(&exe(container.pid())), "init runs the host's own inode");
    container.start().ok();
    let exec = container.exec("echo $_CASEMATE_PROTECTED; env | grep -ci casemate");
    assert_eq!(exec.done().stdout, "\n0\n");
    runtime.check();
}

#[test]
fn cve_2019_5736_the_runtime_is_not_a_program_of_a_container() {
    requires!(root);
    let runtime = Runtime::watch();
    for (program, link) in [
        ("/proc/self/exe", None),
        ("/bin/evil", Some("/proc/self/exe")),
        ("evil", Some("/proc/1/exe")),
    ] {
        let bundle = Bundle::new().args(&[program, "--version"]);
        if let Some(target) = link {
            symlink(target, bundle.rootfs().join("bin/evil")).unwrap();
        }
        let done = Container::new(bundle).verbatim().run().done();
        assert_ne!(done.code(), 0, "{program}: {}", done.stdout);
        assert_eq!(done.stdout, "", "{program}");
        runtime.check();
    }
    let container = Container::new(Bundle::sh("sleep 600")).verbatim().up();
    for program in ["/proc/self/exe", "/proc/thread-self/exe"] {
        let done = container.exec_command(&[], &[program, "--version"]).done();
        assert_eq!((done.code() != 0, done.stdout.as_str()), (true, ""), "{}", done.stderr);
    }
    runtime.check();
}

/// A script whose interpreter is the process that executes it: what then runs is a copy that nobody can write to.
#[test]
fn cve_2019_5736_an_interpreter_that_is_the_runtime_cannot_be_written_to() {
    requires!(root);
    let runtime = Runtime::watch();
    let bundle = Bundle::new().args(&["/bin/evil"]).edit(|c| c["root"]["readonly"] = json!(false));
    let script = |path: &Path| {
        write(path, "#!/proc/self/exe\n");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    script(&bundle.rootfs().join("bin/evil"));
    let container = Container::new(bundle).verbatim();
    let done = container.run().done();
    assert_ne!(done.code(), 0, "{}", done.stdout);
    runtime.check();

    let bundle = Bundle::new()
        .args(&["probe", "overwrite", "/data/stop"])
        .bind_own("/data")
        .all_capabilities()
        .edit(|c| c["process"]["noNewPrivileges"] = json!(false));
    script(&bundle.rootfs().join("bin/evil"));
    let container = Container::new(bundle).verbatim();
    // Created and started, not run: while any process of the runtime is there, its file is busy and safe anyway. So there
    // have to be moments without one.
    let mut create = container.create().limit(Duration::from_secs(900)).spawn();
    wait::until("it is created", || wait::equal(&create.has_ended(), &true));
    container.start().ok();
    create.wait_for("overwriting");
    let execute = || {
        container.exec_command(&[], &["/bin/evil"]).done();
        std::thread::sleep(Duration::from_millis(250));
    };
    (0..races::rounds(8, 100)).for_each(|_| execute());
    wait::until("the attacker gets hold of the runtime", || {
        execute();
        wait::equal(&create.stdout().contains("first="), &true)
    });
    write(&container.bundle.dir().join("shared/stop"), "");
    create.wait_for("tries=");
    assert!(!create.stdout().contains("caught"), "{}", create.stdout());
    runtime.check();
}

#[test]
fn cve_2019_5736_libraries_of_the_image_are_not_loaded_into_the_runtime() {
    requires!(root);
    let runtime = Runtime::watch();
    let bundle = Bundle::sh("echo ran").edit(|c| {
        c["process"]["env"]
            .as_array_mut()
            .unwrap()
            .extend([json!("LD_PRELOAD=/evil.so"), json!("LD_LIBRARY_PATH=/")]);
        c["root"]["readonly"] = json!(false);
    });
    // Opening any of these would hang the runtime: nobody ever writes into them.
    for name in
        ["evil.so", "etc/ld.so.preload", "etc/nsswitch.conf", "etc/ld.so.cache", "libc.so.6"]
    {
        drop(std::fs::remove_file(bundle.rootfs().join(name)));
        let path = std::ffi::CString::new(bundle.rootfs().join(name).to_str().unwrap()).unwrap();
        // SAFETY: a C string that lives through the call.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o644) }, 0);
    }
    let container = Container::new(bundle.args(&["busybox", "echo", "ran"])).verbatim();
    let done = container.run().ok();
    assert_eq!(done.stdout, "ran\n");
    runtime.check();
}
