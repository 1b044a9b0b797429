//! `--no-pivot`: the root is moved on top of the host's.

use casemate_tests::command::Cmd;
use casemate_tests::{requires, Bundle, Canary, Container};
use serde_json::json;

#[test]
fn without_pivot_root_the_container_runs_as_well() {
    requires!(root);
    let canary = Canary::new();
    let container = Container::new(Bundle::sh("ls /; echo one=1")).verbatim();
    let done = container.run_command(&["--no-pivot"]).ok();
    assert_eq!(done.value("one"), "1");
    assert!(!done.stdout.lines().any(|name| name == "work" || name == "boot"), "{}", done.stdout);
    canary.check();
}

/// Tries to get a procfs and a sysfs without masks, in a container that has both with masks.
fn wants_fresh_ones() -> Bundle {
    let fresh = |kind: &str| {
        let mount = format!("mount -t {kind} {kind} /mnt && echo {kind}=mounted");
        format!("unshare -U -r -m -n -p -f sh -c '{mount}'")
    };
    Bundle::sh(&format!("{}; {}; echo end=1", fresh("proc"), fresh("sysfs")))
        .all_capabilities()
        .edit(|c| c["linux"]["maskedPaths"] = json!(["/proc/kcore", "/sys/firmware"]))
}

/// The old root stays below the new one. A user namespace made in the container must not find a procfs there that nothing is
/// masked in: the kernel would give it a fresh one.
#[test]
fn without_pivot_root_no_procfs_of_the_host_is_left_below() {
    requires!(root);
    let canary = Canary::new();
    for propagation in ["private", "rshared"] {
        let bundle =
            wants_fresh_ones().edit(|c| c["linux"]["rootfsPropagation"] = json!(propagation));
        let container = Container::new(bundle).verbatim();
        for options in [&["--no-pivot"][..], &[]] {
            let done = container.run_command(options).ok();
            assert_eq!(done.stdout, "end=1\n", "{propagation} {options:?} {}", done.stderr);
            assert_eq!(done.stderr.matches("mount: ").count(), 2, "{}", done.stderr);
        }
    }
    canary.check();
}

/// Root of a user namespace cannot take the mounts of the one above away, so they are covered.
#[test]
fn without_pivot_root_what_cannot_be_taken_away_is_covered() {
    requires!(root);
    requires!(program "unshare");
    let bundle = wants_fresh_ones().edit(|c| {
        for mount in c["mounts"].as_array_mut().unwrap() {
            if let Some(options) = mount["options"].as_array_mut() {
                options.retain(|option| option != "gid=5");
            }
        }
    });
    let container = Container::new(bundle).verbatim();
    container.bundle.save();
    let run = container.run_command(&["--no-pivot"]);
    let line = std::iter::once(run.inner.get_program()).chain(run.inner.get_args());
    // A procfs of its own: to mount one is nothing but the container's matter then.
    let setup = "mount --make-rprivate / && mount -t proc proc /proc && exec \"$@\"";
    let words = ["-U", "-r", "-m", "-p", "-f", "sh", "-c", setup, "_"].map(std::ffi::OsStr::new);
    let done = Cmd::new("unshare", container.bundle.dir()).args(words.into_iter().chain(line)).ok();
    assert_eq!(done.stdout, "end=1\n", "{}", done.stderr);
}
