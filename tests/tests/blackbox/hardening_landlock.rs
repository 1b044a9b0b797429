//! The Landlock layer of the profile restricted: what it keeps a payload from that read-only flags and capabilities let
//! pass, and what it leaves alone.

use casemate_tests::command::Cmd;
use casemate_tests::scratch::Dir;
use casemate_tests::{host, requires, wait, Bundle, Container, Done};
use serde_json::json;

fn landlock_abi() -> i64 {
    // SAFETY: with the version flag no structure is read.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, 1) }
}

/// What the profile restricted takes: an ordinary user without capabilities, and limits.
fn modest(script: &str) -> Bundle {
    Bundle::sh(script).capabilities(&[]).edit(|c| {
        c["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        c["root"]["readonly"] = json!(false);
    })
}

fn restricted(bundle: Bundle) -> Container {
    Container::new(bundle).global(&[
        "--profile",
        "restricted",
        "--allow",
        "memory.unlimited,pids.unlimited",
    ])
}

/// A bundle whose rootfs has a pipe that anybody may write to: what a read-only mount does not prevent.
fn with_pipe(bundle: Bundle) -> Bundle {
    let path = bundle.rootfs().join("pipe");
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: C strings that live through the calls.
    unsafe {
        assert_eq!(libc::mkfifo(name.as_ptr(), 0o666), 0);
        assert_eq!(libc::chmod(name.as_ptr(), 0o666), 0);
    }
    bundle
}

const PLACES: &str = "
    exec 2>/dev/null
    for place in /tmp /dev/shm /volume /run; do
        (echo x > $place/file && mkdir $place/dir && mv $place/file $place/dir/file && ln -s x $place/link \
            && truncate -s 0 $place/dir/file && rm -r $place/dir $place/link) && echo $place=rw || echo $place=no
    done
    for node in null zero full random urandom tty; do echo dev/$node=$(probe open w /dev/$node); done
    echo comm=$( (echo renamed > /proc/self/comm) && echo ok)
    echo pipe=$(probe open rw /pipe)";

fn volume(bundle: Bundle) -> Bundle {
    let bundle = bundle.bind_own("/volume");
    let dir = bundle.dir().join("shared");
    std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    with_pipe(bundle)
}

fn assert_confined(done: &Done) {
    for place in ["/tmp", "/dev/shm", "/volume"] {
        assert_eq!(done.value(place), "rw", "{place}: {}", done.stdout);
    }
    for node in ["null", "zero", "random", "urandom"] {
        assert_eq!(done.value(&format!("dev/{node}")), "ok", "{node}: {}", done.stdout);
    }
    assert_eq!(done.value("comm"), "ok");
    assert_eq!(done.value("pipe"), "EACCES", "{}", done.stdout);
}

#[test]
fn a_restricted_payload_writes_to_volumes_and_devices_and_nowhere_else() {
    requires!(root);
    requires!(landlock_abi() >= 3, "Landlock cannot deny truncation");
    let done = restricted(volume(modest(PLACES))).run().ok();
    assert_confined(&done);
    // The same without the layer: the flags alone let this pass.
    let done = Container::new(volume(modest(PLACES))).run().ok();
    assert_eq!(done.value("pipe"), "ok", "{}", done.stdout);
}

#[test]
fn a_process_that_exec_adds_is_confined_as_well() {
    requires!(root);
    requires!(landlock_abi() >= 3, "Landlock cannot deny truncation");
    let container = restricted(volume(modest("sleep 600 & wait"))).up();
    let done = container.exec(PLACES).ok();
    assert_confined(&done);
    // It is a domain of its own, and yet can signal what it was added to.
    let done = container.exec("kill -0 1 && echo reached").ok();
    assert_eq!(done.stdout, "reached\n");
}

#[test]
fn directories_of_the_host_that_a_payload_was_handed_stay_closed() {
    requires!(root);
    requires!(landlock_abi() >= 3, "Landlock cannot deny truncation");
    // The mount is writable and lies nowhere in the container's tree.
    let bundle = modest("exec 2>&1; probe open w /proc/self/fd/3; echo x > /proc/self/fd/3");
    let file = bundle.dir().join("outside");
    std::fs::write(&file, "kept").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let container = restricted(bundle);
    let run = format!(
        "exec {} --root {} --profile restricted --allow memory.unlimited,pids.unlimited run --bundle {} --preserve-fds 1 {} 3<{}",
        host::runtime().display(),
        container.root().display(),
        container.bundle.dir().display(),
        container.id,
        file.display()
    );
    let done = Cmd::new("sh", container.bundle.dir()).args(["-c", &run]).done();
    assert!(done.stdout.starts_with("EACCES\n"), "{}{}", done.stdout, done.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
}

/// A container to share namespaces with: it listens on an abstract socket.
fn neighbour() -> Container {
    let bundle = modest("probe listen-abstract casemate-landlock & sleep 600");
    let container = Container::new(bundle).up();
    wait::until("the neighbour listens", || {
        let table = std::fs::read_to_string(format!("/proc/{}/net/unix", container.pid()));
        let table = table.map_err(|e| e.to_string())?;
        wait::equal(&table.contains("@casemate-landlock"), &true).map_err(|_| table)
    });
    container
}

fn joining(bundle: Bundle, other: &Container) -> Bundle {
    let pid = other.pid();
    bundle.edit(|c| {
        for namespace in c["linux"]["namespaces"].as_array_mut().unwrap() {
            for (kind, file) in [("pid", "pid"), ("network", "net")] {
                if namespace["type"] == kind {
                    namespace["path"] = json!(format!("/proc/{pid}/ns/{file}"));
                }
            }
        }
    })
}

#[test]
fn neighbours_in_shared_namespaces_are_out_of_reach() {
    requires!(root);
    requires!(landlock_abi() >= 6, "Landlock has no scopes");
    let other = neighbour();
    let script = "probe connect-abstract casemate-landlock; kill -0 1 2>&1 && echo reached";
    let done = Container::new(joining(modest(script), &other)).run().done();
    assert_eq!(done.stdout, "ok\nreached\n", "without the layer: {}", done.stderr);
    let done = restricted(joining(modest(script), &other)).run().done();
    assert!(done.stdout.starts_with("EPERM\n"), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("not permitted"), "{}", done.stdout);

    let container = restricted(joining(modest("sleep 600"), &other)).up();
    let done = container.exec(script).done();
    assert!(done.stdout.starts_with("EPERM\n"), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("not permitted"), "{}", done.stdout);
    // Itself it can signal.
    assert!(host::status(container.pid(), "Seccomp").is_some());
    container.kill("TERM").ok();
}

/// A node policy of a test's own.
fn policy(text: &str) -> Dir {
    let dir = Dir::new("policy");
    std::fs::write(dir.path().join("policy.toml"), text).unwrap();
    dir
}

#[test]
fn a_node_policy_puts_the_layer_on_hardened_containers_and_lists_their_ports() {
    requires!(root);
    requires!(landlock_abi() >= 4, "Landlock has no TCP ports");
    let policy = policy(
        "[controls]\n\"landlock.layer\" = \"enforce\"\n\
         [values]\n\"landlock.tcp-bind\" = [8080]\n\"landlock.tcp-connect\" = [8081]\n",
    );
    let script = "for port in 8080 8081; do echo bind$port=$(probe listen $port); done
        nc 127.0.0.1 8080 2>&1 | sed 's/.*: /connect8080=/'; nc 127.0.0.1 8081 2>&1 | sed 's/.*: /connect8081=/'
        echo pipe=$(probe open rw /pipe)";
    let container = Container::new(with_pipe(Bundle::sh(script)));
    let done = container.global(&["--policy-dir", policy.path().to_str().unwrap()]).run().done();
    assert_eq!(
        (done.value("bind8080"), done.value("bind8081")),
        ("ok", "EACCES"),
        "{}",
        done.stderr
    );
    assert_eq!(done.value("connect8080"), "Permission denied");
    assert_eq!(done.value("connect8081"), "Connection refused");
    assert_eq!(done.value("pipe"), "EACCES");
}

#[test]
fn a_payload_that_may_mount_gets_no_layer() {
    requires!(root);
    requires!(landlock_abi() >= 3, "Landlock cannot deny truncation");
    let bundle = |script: &str| with_pipe(modest(script).capabilities(&["CAP_SYS_ADMIN"]));
    // The ceiling takes the capability away, so the layer is there.
    let done = restricted(bundle("probe open rw /pipe")).run().done();
    assert_eq!(done.stdout, "EACCES\n", "{}", done.stderr);
    for allow in ["capabilities.sys_admin", "landlock.off"] {
        let container = restricted(bundle("probe open rw /pipe")).global(&["--allow", allow]);
        let done = container.run().done();
        assert_eq!(done.stdout, "ok\n", "{allow}: {}", done.stderr);
    }
}

#[test]
fn streams_that_are_files_can_be_opened_again_as_they_were_given() {
    requires!(root);
    requires!(landlock_abi() >= 3, "Landlock cannot deny truncation");
    let bundle = modest("echo first; echo second >> /proc/self/fd/1; probe open w /proc/self/fd/0");
    let files = ["input", "output"].map(|name| bundle.dir().join(name));
    for file in &files {
        std::fs::write(file, "").unwrap();
        std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .unwrap();
    }
    let container = restricted(bundle);
    let run = format!(
        "exec {} --root {} --profile restricted --allow memory.unlimited,pids.unlimited run --bundle {} {} <{} >>{}",
        host::runtime().display(),
        container.root().display(),
        container.bundle.dir().display(),
        container.id,
        files[0].display(),
        files[1].display()
    );
    let done = Cmd::new("sh", container.bundle.dir()).args(["-c", &run]).done();
    let text = std::fs::read_to_string(&files[1]).unwrap();
    assert_eq!(text, "first\nsecond\nEACCES\n", "{}", done.stderr);
}
