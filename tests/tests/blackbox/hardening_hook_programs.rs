//! Programs of hooks after they were decided about: no container writes them, and none runs that is no longer what was let in.

use casemate_tests::hooks::{hooked, set_mode, with_tmp, Place};
use casemate_tests::scratch::Dir;
use casemate_tests::{host, programs, requires, Bundle, Container};
use serde_json::{json, Value};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is in the log of the container's commands.
fn logging(container: Container) -> (Container, PathBuf) {
    let file = container.bundle.dir().join("casemate.log");
    let container = container.global(&["--log", file.to_str().unwrap()]);
    (container, file)
}

const PROFILES: [&str; 2] = ["hardened", "baseline"];

#[test]
fn a_hook_is_not_written_through_a_volume_that_is_or_holds_it() {
    requires!(root);
    for profile in PROFILES {
        let place = Place::new();
        let top = place.path().to_owned();
        for (source, at) in
            [(place.hooks(), "/mnt/h.sh"), (top.clone(), "/mnt/hooks/h.sh"), (place.hook(), "/mnt")]
        {
            let bundle = with_tmp(Bundle::sh(&place.attack(at)));
            let bundle =
                hooked(bundle.bind(&source, "/mnt", &["rbind", "rw"]), "poststop", &place.hook());
            let done = Container::new(bundle).global(&["--profile", profile]).run().done();
            assert_eq!(place.ran(), "orig\n", "{profile} {}: {done:?}", source.display());
            place.forget();
        }
        // Beside it everything is as before, and who is granted the host's programs may write these.
        std::fs::create_dir(top.join("data")).unwrap();
        let run = |source: &Path, script: &str, globals: &[&str]| {
            let bundle = Bundle::sh(script).bind(source, "/mnt", &["rw"]);
            let container = Container::new(hooked(bundle, "poststop", &place.hook()));
            container.global(&["--profile", profile]).global(globals).run().ok();
        };
        run(&top.join("data"), ": >/mnt/x", &[]);
        run(&place.hooks(), ": >/mnt/x", &["--allow", "mounts.host-system"]);
    }
}

#[test]
fn a_link_that_leads_to_a_hook_is_not_replaced_through_a_volume() {
    requires!(root);
    let (place, links) = (Place::new(), Dir::new("links"));
    symlink(place.hook(), links.path().join("h.sh")).unwrap();
    symlink(place.hooks(), links.path().join("d")).unwrap();
    for (hook, at) in [("h.sh", "/mnt/h.sh"), ("d/h.sh", "/mnt/d")] {
        let script = format!("rm {at}; mkdir /mnt/d; {}", place.attack(&format!("/mnt/{hook}")));
        let bundle = with_tmp(Bundle::sh(&script)).bind(links.path(), "/mnt", &["rw"]);
        Container::new(hooked(bundle, "poststop", &links.path().join(hook))).run().done();
        assert_eq!(place.ran(), "orig\n", "{hook}");
        place.forget();
    }
}

#[test]
fn what_interprets_a_hook_is_not_written_through_a_volume() {
    requires!(root);
    let (place, scripts) = (Place::new(), Dir::new("scripts"));
    let script = scripts.path().join("script");
    casemate_tests::bundle::write(&script, format!("#!{}\n", place.hook().display()));
    set_mode(&script, 0o755);
    let bundle = with_tmp(Bundle::sh(&place.attack("/mnt/h.sh")));
    let bundle = bundle.bind(&place.hooks(), "/mnt", &["rw"]);
    Container::new(hooked(bundle, "poststop", &script)).run().done();
    assert_eq!(place.ran(), "orig\n");
}

#[test]
fn a_hook_of_another_container_is_not_written_while_that_one_is_there() {
    requires!(root);
    let (place, state) = (Place::new(), Dir::new("state"));
    set_mode(state.path(), 0o700);
    let first = hooked(Bundle::sh("sleep 600"), "poststop", &place.hook());
    let first = Container::new(first).in_root(state.path());
    first.create().ok();
    let second = |script: &str| {
        let bundle = with_tmp(Bundle::sh(script)).bind(&place.hooks(), "/mnt", &["rw"]);
        Container::new(bundle).in_root(state.path()).run().done()
    };
    second(&place.attack("/mnt/h.sh"));
    first.delete().ok();
    assert_eq!(place.ran(), "orig\n");
    drop(second(": >/mnt/x"));
    assert!(place.hooks().join("x").exists());
    assert_eq!(host::left_in_root(state.path()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_registration_of_a_release_that_knew_no_hooks_is_read() {
    requires!(root);
    let (place, state) = (Place::new(), Dir::new("state"));
    set_mode(state.path(), 0o700);
    let first = hooked(Bundle::sh("sleep 600"), "poststop", &place.hook());
    let bundle = first.dir().to_owned();
    let first = Container::new(first).in_root(state.path());
    first.create().ok();
    let file = state.path().join("@bundles").join(&first.id);
    let mut fact: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(fact["hooks"], json!([place.hook()]));
    fact.as_object_mut().unwrap().remove("hooks");
    std::fs::write(&file, fact.to_string()).unwrap();
    let second = Bundle::sh(": >/mnt/x").bind(&bundle, "/mnt", &["rw"]);
    let text = Container::new(second).in_root(state.path()).run().done().stderr;
    assert!(text.contains("Read-only file system"), "{text}");
}

#[test]
fn an_overlay_that_would_be_written_to_a_hooks_directory_is_refused() {
    requires!(root);
    for profile in PROFILES {
        let (place, work) = (Place::new(), Dir::new("work"));
        let upper = place.hooks();
        let options = json!([
            "lowerdir=/usr/share",
            format!("upperdir={}", upper.display()),
            format!("workdir={}", work.path().display())
        ]);
        let bundle = Bundle::sh("true").mount(
            json!({"destination": "/mnt", "type": "overlay", "source": "overlay", "options": options}),
        );
        let container = Container::new(hooked(bundle, "poststop", &place.hook()));
        let text = container.global(&["--profile", profile]).run().refused();
        assert!(text.contains("contains a hook's program"), "{text}");
        assert!(text.contains("mounts.host-system"), "{text}");
        assert_eq!(place.ran(), "");
    }
}

#[test]
fn a_root_file_system_that_holds_a_hook_is_refused_where_it_can_be_written() {
    requires!(root);
    for (profile, readonly) in [("hardened", true), ("hardened", false), ("baseline", false)] {
        let bundle = Bundle::sh("true");
        let hook = bundle.rootfs().join("bin/hook");
        casemate_tests::bundle::write(&hook, "#!/bin/sh\n");
        set_mode(&hook, 0o755);
        let bundle = hooked(bundle, "poststop", &hook).edit(|c| {
            c["root"]["readonly"] = json!(readonly);
            if !readonly {
                c["annotations"] = json!({"org.casemate.allow/rootfs.writable": "true"});
            }
        });
        let container = Container::new(bundle).global(&["--profile", profile]);
        if readonly {
            container.run().ok();
            continue;
        }
        let text = container.run().refused();
        assert!(text.contains("root.path rootfs (contains a hook's program"), "{text}");
    }
}

#[test]
fn a_directory_above_a_hook_is_protected_even_where_a_mount_lies_between() {
    requires!(root);
    let (place, other) = (Place::new(), Dir::new("other"));
    let point = other.path().join("mid/point");
    std::fs::create_dir_all(&point).unwrap();
    programs::output(Command::new("mount").arg("--bind").arg(place.hooks()).arg(&point)).unwrap();
    // Renaming its place in another mount namespace takes the mount away, and the path leads to what is there then.
    let script = format!(
        "mv /mnt/mid /mnt/old; mkdir -p /mnt/mid/point; {}",
        place.attack("/mnt/mid/point/h.sh")
    );
    let bundle = with_tmp(Bundle::sh(&script)).bind(other.path(), "/mnt", &["bind", "rw"]);
    let container = Container::new(hooked(bundle, "poststop", &point.join("h.sh")));
    container.run().done();
    assert_eq!(place.ran(), "orig\n");
    programs::output(Command::new("umount").arg("-l").arg(&point)).unwrap();
}

#[test]
fn a_hook_that_others_can_change_by_the_time_it_runs_does_not_run() {
    requires!(root);
    let container = |place: &Place, kind: &str| {
        Container::new(hooked(Bundle::sh("sleep 600"), kind, &place.hook()))
    };
    // poststop: a warning, and the container is gone.
    let place = Place::new();
    let (made, log) = logging(container(&place, "poststop"));
    made.create().ok();
    set_mode(&place.hook(), 0o777);
    made.verb("delete", &["--force"]).ok();
    let said = std::fs::read_to_string(log).unwrap();
    assert!(
        said.contains("level=warning") && said.contains("error running poststop hook #0: "),
        "{said}"
    );
    assert!(said.contains("may be written by others (mode 0777)"), "{said}");
    assert_eq!(place.ran(), "");
    assert_eq!(made.leftovers(), Vec::<String>::new());
    // poststart: an error, as of a hook that fails.
    let place = Place::new();
    let made = container(&place, "poststart");
    made.create().ok();
    set_mode(&place.hooks(), 0o775);
    let text = made.start().refused();
    assert!(
        text.contains("error running poststart hook #0: ") && text.contains("mode 0775"),
        "{text}"
    );
    assert_eq!(place.ran(), "");
    made.wait_status("stopped");
    // As runc does it.
    let place = Place::new();
    let made = container(&place, "poststop").verbatim();
    made.create().ok();
    set_mode(&place.hook(), 0o777);
    made.verb("delete", &["--force"]).ok();
    assert_eq!(place.ran(), "orig\n");
}

/// A node policy that lists this program with the digest that it has now.
fn pinned(program: &Path) -> Dir {
    let dir = Dir::new("policy");
    let out = programs::output(Command::new("sha256sum").arg(program)).unwrap();
    let digest = String::from_utf8(out.stdout).unwrap().split(' ').next().unwrap().to_owned();
    let path = program.display();
    let text =
        format!("[values]\n\"hooks.allow\" = [{{ path = \"{path}\", sha256 = \"{digest}\" }}]\n");
    std::fs::write(dir.path().join("policy.toml"), text).unwrap();
    dir
}

fn under(policy: &Dir, bundle: Bundle) -> Container {
    Container::new(bundle).global(&["--policy-dir", policy.path().to_str().unwrap()])
}

#[test]
fn a_pinned_hook_that_was_altered_since_does_not_run() {
    requires!(root);
    for kind in ["poststart", "poststop"] {
        let place = Place::new();
        let policy = pinned(&place.hook());
        let bundle = || hooked(Bundle::sh("sleep 600"), kind, &place.hook());
        let (made, log) = logging(under(&policy, bundle()));
        made.create().ok();
        place.write("altered");
        let failed = made.start().done();
        assert_eq!(failed.status.success(), kind == "poststop", "{failed:?}");
        made.verb("delete", &["--force"]).ok();
        let said = std::fs::read_to_string(log).unwrap();
        assert!(said.contains("is no longer what hooks.allow let in: sha256"), "{said}");
        assert_eq!(place.ran(), "");
    }
}

#[test]
fn a_pinned_hook_runs_at_each_time_as_it_was_when_the_container_was_made() {
    requires!(root);
    let place = Place::new();
    let policy = pinned(&place.hook());
    let bundle = Bundle::sh("true").edit(|c| {
        for kind in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
            c["hooks"][kind] = json!([{"path": place.hook()}]);
        }
    });
    let made = under(&policy, bundle);
    made.create().ok();
    // What the container was let in by counts, and not what the node's policy says by now.
    std::fs::write(policy.path().join("policy.toml"), "[values]\n\"hooks.allow\" = []\n").unwrap();
    made.start().ok();
    made.wait_status("stopped");
    made.verb("delete", &[]).ok();
    assert_eq!(place.ran(), "orig\n".repeat(5));
}

#[test]
fn a_pinned_program_is_run_from_the_file_that_the_digest_was_taken_of() {
    requires!(root);
    let place = Place::new();
    let program = place.hooks().join("sh");
    std::fs::copy("/bin/sh", &program).unwrap();
    set_mode(&program, 0o755);
    let policy = pinned(&program);
    // By descriptor: the path may have another file by then. Its own name is what the configuration says all the same.
    let script = format!("echo \"$0 $(readlink /proc/$$/exe)\" >>{}", place.log().display());
    let bundle = Bundle::sh("true").edit(|c| {
        c["hooks"]["createRuntime"] =
            json!([{"path": program, "args": ["own", "-c", script, "name"]}]);
        let inside = format!("echo inside >>{}", place.log().display());
        c["hooks"]["createContainer"] = json!([{"path": program, "args": ["own", "-c", inside]}]);
    });
    under(&policy, bundle).run().ok();
    let exe = program.canonicalize().unwrap();
    assert_eq!(place.ran(), format!("name {}\ninside\n", exe.display()));
}
