//! Descriptors: none of the host's reaches a payload, through whatever door.

use casemate_tests::{races, requires, wait, Bundle, Canary, Cmd, Container};
use serde_json::json;
use std::os::unix::process::CommandExt;
use std::time::Duration;

/// Have the runtime's caller leave directories of the host open, from descriptor 3 on, as a careless shim would.
fn leaking(mut command: Cmd) -> Cmd {
    let open = || {
        let paths = [c"/", c"/etc", c"/proc", c"/sys/fs/cgroup"];
        for (number, path) in (3..23).zip(paths.iter().cycle()) {
            // SAFETY: system calls on constant strings, between fork and exec. The pipe by which std would report a
            // failing exec may be among the numbers; then that is not reported.
            let fd = unsafe {
                libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC)
            };
            if fd < 0 || unsafe { libc::dup2(fd, 500 + number) } < 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        for number in 3..23 {
            // SAFETY: as above; the copies made before are not what is overwritten here.
            if unsafe { libc::dup2(500 + number, number) } < 0
                || unsafe { libc::close(500 + number) } < 0
            {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only.
    unsafe { command.inner.pre_exec(open) };
    command
}

#[test]
fn cve_2024_21626_a_working_directory_behind_a_descriptor_is_refused() {
    requires!(root);
    let canary = Canary::new();
    for n in 0..40 {
        for path in [format!("/proc/self/fd/{n}"), format!("/proc/self/fd/{n}/..")] {
            if n > 12 && path.ends_with("..") {
                continue;
            }
            let bundle = Bundle::sh("pwd; cat ../../../../etc/hostname ../secret 2>/dev/null; ls -d /proc/self/cwd/usr/lib")
                .edit(|c| c["process"]["cwd"] = json!(path));
            let done = leaking(Container::new(bundle).verbatim().run()).done();
            assert_eq!(done.code(), 1, "{path}: {}{}", done.stdout, done.stderr);
            assert_eq!(done.stdout, "", "{path}");
        }
    }
    canary.check();
}

#[test]
fn cve_2024_21626_a_working_directory_that_links_to_a_descriptor_is_refused() {
    requires!(root);
    for target in [
        "/proc/self/fd/7",
        "/proc/self/fd/3",
        "/proc/self/cwd",
        "/proc/1/root",
        "/proc/self/fd/9/..",
    ] {
        let bundle = Bundle::sh("pwd; ls").edit(|c| c["process"]["cwd"] = json!("/work"));
        std::os::unix::fs::symlink(target, bundle.rootfs().join("work")).unwrap();
        let done = leaking(Container::new(bundle).run()).done();
        assert_eq!((done.code(), done.stdout.as_str()), (1, ""), "{target}: {}", done.stderr);
    }
}

#[test]
fn cve_2024_21626_a_program_behind_a_descriptor_is_refused() {
    requires!(root);
    let up = "../".repeat(8);
    for n in 0..30 {
        let program = format!("/proc/self/fd/{n}/{up}bin/sh");
        let bundle = Bundle::new().args(&[&program, "-c", "echo ran; cat /etc/os-release"]);
        let done = leaking(Container::new(bundle).verbatim().run()).done();
        assert_ne!(done.code(), 0, "{program}: {}", done.stdout);
        assert_eq!(done.stdout, "", "{program}");
    }
}

#[test]
fn cve_2024_21626_exec_neither_works_nor_runs_behind_a_descriptor() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).verbatim();
    leaking(container.create()).ok();
    container.start().ok();
    for n in 0..30 {
        let fd = format!("/proc/self/fd/{n}");
        let done =
            leaking(container.exec_command(&["--cwd", &fd], &["ls", "/proc/self/cwd/"])).done();
        assert_eq!((done.code() != 0, done.stdout.as_str()), (true, ""), "{fd}: {}", done.stderr);
        let program = format!("{fd}/../../../bin/sh");
        let done = leaking(container.exec_command(&[], &[&program, "-c", "echo ran"])).done();
        assert_eq!((done.code() != 0, done.stdout.as_str()), (true, ""), "{fd}: {}", done.stderr);
    }
}

#[test]
fn cve_2024_21626_a_payload_has_nothing_but_its_standard_streams() {
    requires!(root);
    for profile in ["hardened", "privileged"] {
        let container =
            Container::new(Bundle::new().args(&["probe", "fds"])).global(&["--profile", profile]);
        let done = leaking(container.run()).ok();
        assert_eq!(done.value("fds"), "0,1,2");

        let container =
            Container::new(Bundle::sh("probe fds; sleep 600")).global(&["--profile", profile]);
        leaking(container.create()).ok();
        // Before the start, too, when the process is still ours: only its channels, and nothing that leads to the host.
        for (number, target) in casemate_tests::host::descriptors(container.pid()) {
            let harmless = number < 3 || target.to_string_lossy().starts_with("socket:");
            assert!(harmless, "a waiting container holds {number} -> {}", target.display());
        }
        container.start().ok();
        let done = leaking(container.exec_command(&[], &["probe", "fds"])).ok();
        assert_eq!(done.value("fds"), "0,1,2");
    }
}

#[test]
fn cve_2024_21626_preserved_descriptors_are_those_that_were_asked_for() {
    requires!(root);
    let container = Container::new(Bundle::new().args(&["probe", "fds"]));
    // They are directories, and who asks for these has to mean it.
    let text = leaking(container.run_command(&["--preserve-fds", "2"])).refused();
    let rule = "(rule process.preserved-fds); allow with --allow descriptors.directories, or annotation org.casemate.allow/descriptors.directories=true";
    assert!(text.contains("descriptor 3 that is to be preserved") && text.contains(rule), "{text}");
    let container = container.global(&["--allow", "descriptors.directories"]);
    let done = leaking(container.run_command(&["--preserve-fds", "2"])).ok();
    assert_eq!(done.value("fds"), "0,1,2,3,4");
}

#[test]
fn cve_2024_21626_a_standard_stream_is_no_directory_of_the_host() {
    requires!(root);
    let streamed = |command: Cmd| command.through("sh", ["-c", "exec \"$@\" </etc", "sh"]);
    let container = Container::new(Bundle::sh("ls /proc/self/fd/0/"));
    let text = streamed(container.run_command(&[])).refused();
    assert!(text.contains("standard stream 0 is the directory or path /etc"), "{text}");
    let container = Container::new(Bundle::sh("sleep 600"));
    container.create().ok();
    container.start().ok();
    let text = streamed(container.exec_command(&[], &["ls", "/proc/self/fd/0/"])).refused();
    assert!(text.contains("standard stream 0 is the directory or path /etc"), "{text}");
}

#[test]
fn a_preserved_descriptor_is_no_file_of_the_hosts_kernel() {
    requires!(root);
    let files = [
        ("/proc/self/mem", "proc"),
        ("/proc/self/ns/mnt", "nsfs"),
        ("/sys/kernel/uevent_seqnum", "sysfs"),
    ];
    for (path, fs) in files {
        let container = Container::new(Bundle::new().args(&["probe", "fds"]));
        let preserved = |container: &Container| {
            let command = container.run_command(&["--preserve-fds", "1"]);
            command.through("sh", ["-c", &format!("exec \"$@\" 3<{path}"), "sh"])
        };
        let text = preserved(&container).refused();
        let what = "descriptor 3 that is to be preserved is the kernel's file ";
        assert!(text.contains(what) && text.contains(&format!("of the host ({fs})")), "{text}");
        let container = container.global(&["--allow", "descriptors.kernel-files"]);
        assert_eq!(preserved(&container).ok().value("fds"), "0,1,2,3");
    }
}

#[test]
fn a_descriptor_that_the_caller_does_not_have_is_not_one_of_the_runtimes() {
    requires!(root);
    let container = Container::new(Bundle::new().args(&["probe", "fds"]));
    let done = container.run_command(&["--preserve-fds", "4"]).ok();
    assert_eq!(done.value("fds"), "0,1,2");
}

#[test]
fn a_preserved_socket_is_a_connection_and_not_the_hosts_network() {
    requires!(root);
    // SAFETY: plain integers.
    let packet: fn() -> libc::c_long =
        || unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).into() };
    // SAFETY: likewise.
    let netlink: fn() -> libc::c_long =
        || unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, 0).into() };
    // SAFETY: likewise.
    let stream: fn() -> libc::c_long =
        || unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0).into() };
    let container = Container::new(Bundle::new().args(&["probe", "fds"]));
    let run = || container.run_command(&["--preserve-fds", "1"]);
    for made in [packet, netlink] {
        let text = handing(run(), 3, made).refused();
        assert!(text.contains("descriptors.kernel-files"), "{text}");
    }
    assert_eq!(handing(run(), 3, stream).ok().value("fds"), "0,1,2,3");
}

/// Have the runtime's caller hand over, as descriptor `number`, what `make` opens.
fn handing(mut command: Cmd, number: i32, make: fn() -> libc::c_long) -> Cmd {
    let open = move || {
        // SAFETY: `make` makes one system call on memory of its own, between fork and exec.
        match unsafe { libc::dup2(i32::try_from(make()).unwrap_or(-1), number) } {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    // SAFETY: the closure makes system calls only.
    unsafe { command.inner.pre_exec(open) };
    command
}

/// Objects of the kernel, each by what its descriptor is called.
type Objects = Vec<(&'static str, fn() -> libc::c_long)>;

fn dangerous() -> Objects {
    fn fanotify() -> libc::c_long {
        // SAFETY: no pointers.
        unsafe { libc::syscall(libc::SYS_fanotify_init, libc::FAN_CLASS_NOTIF, libc::O_RDWR) }
    }
    fn bpf() -> libc::c_long {
        // BPF_MAP_CREATE of an array: type, size of a key, size of a value, entries.
        let attr: [u32; 32] = std::array::from_fn(|i| [2, 4, 4, 4].get(i).copied().unwrap_or(0));
        // SAFETY: the kernel reads 128 bytes of `attr`.
        unsafe { libc::syscall(libc::SYS_bpf, 0, attr.as_ptr(), 128) }
    }
    fn uring() -> libc::c_long {
        let mut params = [0_u64; 15];
        // SAFETY: the kernel reads and writes 120 bytes of `params`.
        unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, params.as_mut_ptr()) }
    }
    fn inotify() -> libc::c_long {
        // SAFETY: no pointers.
        unsafe { libc::syscall(libc::SYS_inotify_init1, 0) }
    }
    fn fsopen() -> libc::c_long {
        // SAFETY: a constant string.
        unsafe { libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), 0) }
    }
    fn pidfd() -> libc::c_long {
        // SAFETY: no pointers.
        unsafe { libc::syscall(libc::SYS_pidfd_open, 1, 0) }
    }
    vec![
        ("anon_inode:[fanotify]", fanotify),
        ("anon_inode:bpf-map", bpf),
        ("anon_inode:[io_uring]", uring),
        ("anon_inode:inotify", inotify),
        ("anon_inode:[fscontext]", fsopen),
        ("pidf", pidfd),
    ]
}

fn harmless() -> Objects {
    fn eventfd() -> libc::c_long {
        // SAFETY: no pointers.
        unsafe { libc::syscall(libc::SYS_eventfd2, 0, 0) }
    }
    fn timerfd() -> libc::c_long {
        // SAFETY: no pointers.
        unsafe { libc::syscall(libc::SYS_timerfd_create, libc::CLOCK_MONOTONIC, 0) }
    }
    fn signalfd() -> libc::c_long {
        let mask = 1_u64;
        // SAFETY: the kernel reads 8 bytes of `mask`.
        unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const mask, 8, 0) }
    }
    fn epoll() -> libc::c_long {
        // SAFETY: no pointers.
        unsafe { libc::syscall(libc::SYS_epoll_create1, 0) }
    }
    fn memfd() -> libc::c_long {
        // SAFETY: a constant string.
        unsafe { libc::syscall(libc::SYS_memfd_create, c"m".as_ptr(), 0) }
    }
    vec![("", eventfd), ("", timerfd), ("", signalfd), ("", epoll), ("", memfd)]
}

#[test]
fn a_descriptor_is_no_object_of_the_kernel_but_a_harmless_one() {
    requires!(root);
    let container = Container::new(Bundle::new().args(&["probe", "fds"]));
    let preserving = || container.run_command(&["--preserve-fds", "1"]);
    for (called, make) in dangerous() {
        // A kernel, or its settings (kernel.io_uring_disabled), may have none.
        let Ok(fd @ 0..) = i32::try_from(make()) else { continue };
        // SAFETY: nobody else has it.
        unsafe { libc::close(fd) };
        let text = handing(preserving(), 3, make).refused();
        let what = "descriptor 3 that is to be preserved is the kernel's file ";
        assert!(text.contains(what) && text.contains(called), "{called}: {text}");
        assert!(text.contains("descriptors.kernel-files"), "{text}");
        let text = handing(container.run_command(&[]), 0, make).refused();
        assert!(text.contains("standard stream 0 is the kernel's file"), "{called}: {text}");
    }
    for (_, make) in harmless() {
        assert_eq!(handing(preserving(), 3, make).ok().value("fds"), "0,1,2,3");
    }
}

#[test]
fn a_descriptor_is_no_device_that_a_container_may_not_have() {
    requires!(root);
    let with = |globals: &[&str], path: &str, number: u32| {
        let container = Container::new(Bundle::new().args(&["probe", "fds"])).global(globals);
        let command = container.run_command(&["--preserve-fds", "1"]);
        let script = format!("exec \"$@\" 3</dev/null {number}<{path}");
        (command.through("sh", ["-c", &script, "sh"]), container)
    };
    for number in [0, 3] {
        let text = with(&[], "/dev/kmsg", number).0.refused();
        assert!(text.contains(" is the device /dev/kmsg of the host"), "{text}");
        for name in ["descriptors.kernel-files", "devices.all"] {
            let (command, _container) = with(&["--allow", name], "/dev/kmsg", number);
            assert_eq!(command.ok().value("fds"), "0,1,2,3", "{name}");
        }
        let (command, _container) = with(&[], "/dev/zero", number);
        assert_eq!(command.ok().value("fds"), "0,1,2,3");
    }
}

#[test]
fn cve_2016_9962_a_container_cannot_look_into_a_process_that_joins_it() {
    requires!(root);
    // With every right of container's root but to trace whom it likes.
    let own = casemate_tests::host::own_capabilities();
    let caps: Vec<&str> =
        own.iter().map(String::as_str).filter(|c| *c != "CAP_SYS_PTRACE").collect();
    for userns in [false, true] {
        let mut bundle = Bundle::new()
            .args(&["probe", "grab", "/data/stop"])
            .bind_own("/data")
            .capabilities(&caps);
        if userns {
            // Here even the right to trace is worth nothing against the runtime.
            bundle = bundle.all_capabilities().user_namespace(100_000);
        }
        let bundle = bundle.edit(|c| c["process"]["noNewPrivileges"] = json!(false));
        let container = Container::new(bundle).verbatim();
        let mut run = container.run().limit(Duration::from_secs(900)).spawn();
        run.wait_for("grabbing");
        let join = || drop(leaking(container.exec_command(&[], &["true"])).done());
        (0..races::rounds(30, 500)).for_each(|_| join());
        wait::until("the attacker sees a process that joins", || {
            join();
            wait::equal(&run.stdout().contains("first="), &true)
        });
        casemate_tests::bundle::write(&container.bundle.dir().join("shared/stop"), "");
        let done = run.done();
        assert!(!done.stdout.contains("caught"), "user namespace {userns}: {}", done.stdout);
        assert!(done.stdout.contains("runtimes="), "it ended too early: {}", done.stdout);
    }
}
