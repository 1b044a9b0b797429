//! The floor: what is not in a container whatever its configuration says, and a kernel that says it has done what it has
//! not.

use casemate_tests::command::Cmd;
use casemate_tests::filter::inject_at;
use casemate_tests::{requires, Bundle, Container};
use serde_json::{json, Value};
use std::os::unix::process::CommandExt;

/// A system call that does nothing and answers 0, for the command and all that it starts; with `argument`, only where that
/// one is not 0.
fn pretend(command: Cmd, call: libc::c_long, argument: Option<u32>) -> Cmd {
    pretend_where(command, call, argument.map(|number| (number, 0, false)))
}

/// The same, only where an argument is, or is not, a value.
fn pretend_where(mut command: Cmd, call: libc::c_long, argument: Option<(u32, u32, bool)>) -> Cmd {
    let filter = move || {
        let step = |code: u32, k, jt, jf| libc::sock_filter { code: code as u16, jt, jf, k };
        let load = |at| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0);
        let equal = |k, jt, jf| step(libc::BPF_JMP | libc::BPF_JEQ, k, jt, jf);
        let end = |answer| step(libc::BPF_RET | libc::BPF_K, answer, 0, 0);
        // struct seccomp_data: the number first, eight bytes for each argument behind sixteen.
        let (number, value, is) = argument.unwrap_or_default();
        let (low, high) = match argument {
            Some(_) => (16 + 8 * number, 20 + 8 * number),
            None => (0, 0),
        };
        let (other, same) = match is {
            true => (libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_ERRNO),
            false => (libc::SECCOMP_RET_ERRNO, libc::SECCOMP_RET_ALLOW),
        };
        // Without an argument the number itself is looked at once more, and is not 0.
        let mut steps = [
            load(0),
            equal(call as u32, 0, if is { 4 } else { 5 }),
            load(low),
            equal(value, 0, 2),
            load(high),
            equal(0, 1, 0),
            end(other),
            end(same),
        ];
        let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
        // SAFETY: the program outlives the call.
        match unsafe {
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
        } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: bare system calls, no memory is asked for.
    unsafe { command.inner.pre_exec(filter) };
    command
}

/// RLIMIT_FSIZE, which nobody else sets.
fn limited() -> Bundle {
    Bundle::sh("echo ran").edit(|c| {
        c["process"]["rlimits"] = json!([{"type": "RLIMIT_FSIZE", "hard": 4096, "soft": 4096}]);
    })
}

#[test]
fn a_kernel_that_says_done_and_does_nothing_is_noticed_before_the_program_runs() {
    requires!(root);
    let cases = [
        ("setns", libc::SYS_setns, None),
        ("move_mount", libc::SYS_move_mount, None),
        ("mount_setattr", libc::SYS_mount_setattr, None),
        // prlimit64 reads limits too: only calls that bring a new one are swallowed.
        ("prlimit64", libc::SYS_prlimit64, Some(2)),
        ("capset", libc::SYS_capset, None),
    ];
    for (name, call, argument) in cases {
        let container = Container::new(limited());
        let done = pretend(container.run(), call, argument).done();
        assert!(!done.status.success() && !done.stdout.contains("ran"), "{name}: {done:?}");
        container.wait_gone();
    }
}

#[test]
fn limits_that_were_set_and_do_not_hold_end_the_container() {
    requires!(root);
    let container = Container::new(limited());
    let text = pretend(container.run(), libc::SYS_prlimit64, Some(2)).refused();
    assert!(text.contains("verification before exec: resource limit 1 is "), "{text}");
    container.wait_gone();
    let running = Container::new(Bundle::sh("sleep 600").edit(|c| {
        c["process"]["rlimits"] = json!([{"type": "RLIMIT_FSIZE", "hard": 4096, "soft": 4096}]);
    }));
    let running = running.up();
    let text = pretend(running.exec("echo ran"), libc::SYS_prlimit64, Some(2)).refused();
    assert!(text.contains("verification before exec: resource limit 1 is "), "{text}");
}

#[test]
fn a_namespace_that_was_joined_and_is_not_ends_the_container() {
    requires!(root);
    let other = Container::new(Bundle::sh("sleep 600")).up();
    let path = format!("/proc/{}/ns/uts", other.pid());
    let joining = Bundle::sh("echo ran").without_namespace("uts").edit(|c| {
        drop(c.as_object_mut().unwrap().remove("hostname"));
        let list = c["linux"]["namespaces"].as_array_mut().unwrap();
        list.push(json!({"type": "uts", "path": path}));
    });
    let container = Container::new(joining).global(&["--allow", "userns.host"]);
    let text = pretend(container.run(), libc::SYS_setns, None).refused();
    assert!(text.contains("namespace is not the one to be joined"), "{text}");
    container.wait_gone();
}

#[test]
fn filters_that_were_loaded_and_are_not_there_end_what_was_to_run() {
    requires!(root);
    let container = Container::new(Bundle::sh("echo ran"));
    let done = pretend(container.run(), libc::SYS_seccomp, None).done();
    assert!(!done.status.success() && !done.stdout.contains("ran"), "{done:?}");
    assert!(done.stderr.contains("filters were loaded, and the kernel shows 1"), "{done:?}");
    container.wait_gone();
    let container = Container::new(Bundle::sh("echo ran"));
    pretend(container.create(), libc::SYS_seccomp, None).ok();
    let text = container.start().refused();
    assert!(text.contains("filters were loaded, and the kernel shows 1"), "{text}");
    container.delete().ok();
    let running = Container::new(Bundle::sh("sleep 600")).up();
    let text = pretend(running.exec("echo ran"), libc::SYS_seccomp, None).refused();
    assert!(text.contains("filters were loaded, and the kernel shows 1"), "{text}");
    assert!(!text.contains("ran"), "{text}");
}

/// The kernel could not be asked behind it: that is not done at the price of the program.
#[test]
fn a_filter_that_lets_no_read_pass_is_loaded_and_not_counted() {
    requires!(root);
    let filter = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL_PROCESS"}],
    });
    let bundle = Bundle::sh("echo ran; read line; echo still here");
    let container = Container::new(bundle.edit(|c| c["linux"]["seccomp"] = filter));
    let done = container.run().done();
    assert!(done.stdout == "ran\n" && !done.status.success(), "{done:?}");
}

#[test]
fn device_rules_that_were_attached_and_are_not_end_the_container() {
    requires!(root);
    const BPF_PROG_ATTACH: u32 = 8;
    let container = Container::new(Bundle::sh("echo ran"));
    let attach = Some((0, BPF_PROG_ATTACH, true));
    let text = pretend_where(container.run(), libc::SYS_bpf, attach).refused();
    assert!(text.contains("is not attached, as the kernel said it was"), "{text}");
    container.wait_gone();
}

#[test]
fn a_count_of_user_namespaces_that_was_written_and_is_not_there_ends_the_container() {
    requires!(root);
    requires!(program "strace");
    let container = Container::new(Bundle::sh("echo ran"));
    let file = std::path::Path::new("/proc/sys/user/max_user_namespaces");
    let text = inject_at(container.run(), file, "write:retval=1").refused();
    assert!(text.contains("the kernel says it is written and shows another value"), "{text}");
    container.wait_gone();
}

fn new_mount(fstype: &str, place: &str, options: &[&str]) -> Value {
    json!({"destination": place, "type": fstype, "source": fstype, "options": options})
}

/// Whichever of the two statements sees it first: a control, or the floor.
#[test]
fn file_systems_of_the_kernel_are_at_their_place_or_not_in_a_container() {
    requires!(root);
    let cases = [
        ("proc", "/mnt"),
        ("sysfs", "/mnt"),
        ("mqueue", "/mnt"),
        ("devpts", "/mnt"),
        ("binfmt_misc", "/mnt"),
        ("debugfs", "/mnt"),
        ("tracefs", "/mnt"),
    ];
    for (fstype, place) in cases {
        for profile in ["baseline", "hardened", "restricted"] {
            let bundle = Bundle::sh("echo ran").edit(|c| {
                c["process"]["user"] = json!({"uid": 1000, "gid": 1000});
                c["linux"]["resources"]["memory"] = json!({"limit": 1 << 26});
            });
            let mount = new_mount(fstype, place, &["rw"]);
            let container = Container::new(bundle.mount(mount)).global(&["--profile", profile]);
            let text = container.run().refused();
            assert!(!text.contains("ran"), "{profile} {fstype}: {text}");
            container.wait_gone();
        }
    }
}

#[test]
fn a_second_procfs_is_refused_with_its_override_which_lets_it_in() {
    requires!(root);
    let bundle =
        || Bundle::sh("ls /mnt/self > /dev/null && echo ran").mount(new_mount("proc", "/mnt", &[]));
    let text = Container::new(bundle()).run().refused();
    assert!(text.contains("mounts.second-proc"), "{text}");
    let granted = Container::new(bundle()).global(&["--allow", "mounts.second-proc"]);
    assert_eq!(granted.run().ok().stdout, "ran\n");
}

#[test]
fn of_two_mounts_at_one_destination_the_uppermost_counts() {
    requires!(root);
    // As `ctr --mount type=bind,...,dst=/dev/shm` writes it, behind its own tmpfs that is noexec.
    let bundle = Bundle::sh("echo ran; touch /dev/shm/x").bind_own("/dev/shm");
    assert_eq!(Container::new(bundle).run().ok().stdout, "ran\n");
}

#[test]
fn an_overlay_whose_layers_are_the_hosts_is_no_way_around_a_refused_bind() {
    requires!(root);
    let scratch = casemate_tests::scratch::Dir::new("layers");
    let dir = |name: &str| {
        let path = scratch.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path.display().to_string()
    };
    let options = [
        "lowerdir=/etc".to_owned(),
        format!("upperdir={}", dir("upper")),
        format!("workdir={}", dir("work")),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let bundle = Bundle::sh("cat /h/shadow").mount(new_mount("overlay", "/h", &options));
    let text = Container::new(bundle).run().refused();
    assert!(text.contains("mounts.host-etc"), "{text}");
}

#[test]
fn what_was_compared_with_the_floor_is_on_record() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let posture = std::fs::read(container.state_dir().join("posture.json")).unwrap();
    let posture: Value = serde_json::from_slice(&posture).unwrap();
    assert!(posture["floor"].is_string(), "{posture}");
    let verbatim = Container::new(Bundle::sh("sleep 600")).verbatim().up();
    let posture = std::fs::read(verbatim.state_dir().join("posture.json")).unwrap();
    let posture: Value = serde_json::from_slice(&posture).unwrap();
    assert!(posture["floor"].is_null(), "{posture}");
}

#[test]
fn a_container_without_a_program_can_be_created_and_not_started() {
    requires!(root);
    let container = Container::new(Bundle::sh("true").edit(|c| c["process"] = Value::Null));
    container.create().ok();
    let text = container.start().refused();
    assert!(text.contains("is not set"), "{text}");
}

/// A place of the image, not of procfs: the same part of the same file system, read-only.
#[test]
fn a_place_of_the_image_that_is_made_read_only_is_above_the_floor() {
    requires!(root);
    let bundle = Bundle::sh("echo x >/var/tmp/x; echo ran")
        .edit(|c| c["linux"]["readonlyPaths"] = json!(["/etc", "/with space"]));
    std::fs::create_dir(bundle.rootfs().join("with space")).unwrap();
    let done = Container::new(bundle).run().ok();
    assert!(done.stdout.contains("ran"), "{done:?}");
}
